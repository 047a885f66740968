//! The identities of healthy mailboxes, written into the journal: once lost, they cannot be observed again. Many in one
//! line, and few syncs: a large tenant has a million of them, once. Decides nothing.

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};

use crate::model::{RecordedMailbox, Timestamp, UserId};
use crate::store::journal::{Entry, Journal};
use crate::store::records::Identities;
use crate::store::{self, TenantStore};

/// Mailboxes of one line: some hundred kilobytes, a tenth of what a line may hold.
const PER_LINE: usize = 1_000;

/// Mailboxes held before they are written.
const AT_ONCE: usize = 10_000;

/// Writes what this pass recorded; where it is not certain that everything before is written (a crash in between, a
/// state of an older version, another journal), compares both and writes what is missing.
///
/// `was_whole`: nothing was missing before this pass.
pub fn record(
    store: &TenantStore,
    journal: &Journal,
    recorded: Vec<RecordedMailbox>,
    was_whole: bool,
    now: Timestamp,
) -> Result<(), store::Error> {
    match was_whole {
        true => append(journal, &recorded, now)?,
        false => append_missing(store, journal, now)?,
    }
    let is_said = store.get_or_default::<Identities>()?.are_journalled;
    if is_said { Ok(()) } else { store.put(&Identities { are_journalled: true }) }
}

fn append(journal: &Journal, mailboxes: &[RecordedMailbox], now: Timestamp) -> Result<(), store::Error> {
    let line = |some: &[RecordedMailbox]| Entry::MailboxesRecorded { mailboxes: some.to_vec() };
    let entries: Vec<Entry> = mailboxes.chunks(PER_LINE).map(line).collect();
    journal.append_all(&entries, now)?;
    Ok(())
}

/// Holds eight bytes for each identity in the journal.
fn append_missing(store: &TenantStore, journal: &Journal, now: Timestamp) -> Result<(), store::Error> {
    let mut written = BTreeSet::new();
    journal.for_each(|line| match line.entry.known() {
        Some(Entry::MailboxRecorded { user, primary_id }) => {
            written.insert(mark(*user, primary_id));
        }
        Some(Entry::MailboxesRecorded { mailboxes }) => {
            written.extend(mailboxes.iter().map(|mailbox| mark(mailbox.user, &mailbox.primary_id)));
        }
        Some(_) | None => {}
    })?;
    let mut missing = Vec::new();
    for known in store.users() {
        let mailbox = RecordedMailbox::of(&known?);
        missing.extend(mailbox.filter(|mailbox| !written.contains(&mark(mailbox.user, &mailbox.primary_id))));
        if missing.len() == AT_ONCE {
            append(journal, &std::mem::take(&mut missing), now)?;
        }
    }
    append(journal, &missing, now)
}

fn mark(user: UserId, primary_id: &str) -> u64 {
    let hash = Sha256::new().chain_update(user.as_bytes()).chain_update(primary_id).finalize();
    let mut start = [0; 8];
    start.copy_from_slice(&hash[..8]);
    u64::from_be_bytes(start)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::{KnownUser, TenantId};
    use crate::store::journal::MemoryLog;
    use crate::store::memory::MemoryKv;

    const AT: Timestamp = Timestamp::from_secs(1_795_000_000);
    const TENANT: TenantId = TenantId::from_u128(9);

    fn store(users: u128) -> TenantStore {
        let store = TenantStore::new(Arc::new(MemoryKv::new()), TENANT);
        let known = (0..users).map(|number| {
            let mut known = KnownUser::recalled(UserId::from_u128(number));
            known.mailbox.primary_id = Some(format!("MBX:{number}@contoso"));
            known
        });
        store.put_users(known).expect("written");
        store
    }

    fn journal() -> Journal {
        Journal::open(Box::new(MemoryLog::new()), TENANT).expect("opens").0
    }

    /// Mailboxes of each line.
    fn lines(journal: &Journal) -> Vec<usize> {
        let mut lines = Vec::new();
        let note = |line: &crate::store::journal::Line| {
            if let Some(Entry::MailboxesRecorded { mailboxes }) = line.entry.known() {
                lines.push(mailboxes.len());
            }
        };
        journal.for_each(note).expect("readable");
        lines
    }

    #[test]
    fn a_state_of_before_is_written_once_and_many_to_a_line() {
        let (store, journal) = (store(12_345), journal());
        record(&store, &journal, Vec::new(), false, AT).expect("recorded");
        let written = lines(&journal);
        assert_eq!((written.len(), written.iter().sum::<usize>()), (13, 12_345));
        assert!(store.get_or_default::<Identities>().expect("readable").are_journalled);
        record(&store, &journal, Vec::new(), true, AT).expect("recorded");
        record(&store, &journal, Vec::new(), false, AT).expect("recorded");
        assert_eq!(lines(&journal).len(), 13, "nothing twice");
    }

    #[test]
    fn what_a_crash_kept_out_of_the_journal_is_written_later() {
        let (store, journal) = (store(3), journal());
        let one = RecordedMailbox::of(&store.user(UserId::from_u128(1)).expect("readable").expect("known"));
        record(&store, &journal, one.into_iter().collect(), true, AT).expect("recorded");
        assert_eq!(lines(&journal), [1]);
        record(&store, &journal, Vec::new(), false, AT).expect("recorded");
        assert_eq!(lines(&journal), [1, 2]);
    }

    /// What one line costs, so that the bound on a line is known to be far away.
    #[test]
    fn a_full_line_is_far_from_the_longest_one() {
        let mailbox = |number: u128| RecordedMailbox {
            user: UserId::from_u128(u128::MAX - number),
            primary_id: format!("MBX:{}@{}", UserId::from_u128(u128::MAX), UserId::from_u128(u128::MAX)),
            kind: None,
            switched_off: Vec::new(),
        };
        let line = Entry::MailboxesRecorded { mailboxes: (0..PER_LINE as u128).map(mailbox).collect() };
        let bytes = serde_json::to_vec(&line).expect("writable").len();
        assert!(bytes < 200_000, "{bytes}");
    }
}
