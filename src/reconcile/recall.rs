//! From the journal back into a state that is older than it: lost, read back from a backup, rolled back, or a crash's
//! last half second behind. What observation cannot tell is read again: which mailbox was the healthy one, clocks that
//! run, what was tried and proved, the hold, what people denied.
//!
//! What people approved does not come back: it was said of a situation that nobody watched since, and is asked anew. A
//! "no" does, since it only keeps hands still.

mod recollection;

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{KnownUser, MailboxKind, Presence, RecordedMailbox, Remembered, Timestamp, UserId};
use crate::store::journal::{Entry, Head, Journal};
use crate::store::records::{Approvals, Cursor, Hold, Reflected};
use crate::store::{self, TenantStore};

use recollection::{Recollection, answered};

/// Identities held before they are written into the state: some megabytes.
const IDENTITIES_HELD: usize = 10_000;

/// Brings the state up to date with the journal. Costs one walk of the journal, and nothing where both end at the same
/// line, as after an orderly stop.
pub fn recall(store: &TenantStore, journal: &Journal, now: Timestamp) -> Result<(), store::Error> {
    let head = journal.head();
    let Some(after) = reflected(store, &head)? else { return reflect(store, head) };
    if after == head {
        // Before anything else is in the state: without it, half a state would look like a current one.
        return if store.get::<Reflected>()?.is_none() { reflect(store, head) } else { Ok(()) };
    }
    let mut read = read(store, journal, &after)?;
    if !read.is_continued && after.seq > 0 {
        tracing::warn!(
            line = after.seq,
            "the journal does not go on from this state: all of it is read again"
        );
        read = self::read(store, journal, &Head::default())?;
    }
    let mailboxes = read.mailboxes;
    let found = read.recollection.write(store)?;
    if mailboxes + found.clocks + found.ledgers + found.others > 0 {
        tracing::warn!(
            mailboxes,
            clocks = found.clocks,
            ledgers = found.ledgers,
            "the state was behind the journal and was brought up to date from it"
        );
        let (clocks, ledgers) = (found.clocks, found.ledgers);
        let entry = Entry::Recalled { after: after.seq, mailboxes, clocks, ledgers };
        journal.append(&entry, now)?;
    }
    if mailboxes + found.clocks > 0 {
        // Users are not what the last delta left: list everybody.
        if let Some(cursor) = store.get::<Cursor>()? {
            store.put(&Cursor { delta_link: None, ..cursor })?;
        }
    }
    reflect(store, journal.head())
}

/// Says that the state has everything up to this line.
pub fn reflect(store: &TenantStore, head: Head) -> Result<(), store::Error> {
    store.put(&Reflected(head))?;
    store.flush()
}

/// The line up to which the state has everything; `None` for a state of before that was recorded, which is current.
fn reflected(store: &TenantStore, head: &Head) -> Result<Option<Head>, store::Error> {
    if let Some(reflected) = store.get::<Reflected>()? {
        return Ok(Some(reflected.0));
    }
    let is_older_version = store.get::<Cursor>()?.is_some() && head.seq > 0;
    Ok((!is_older_version).then(Head::default))
}

struct Read {
    recollection: Recollection,
    /// Identities that the state did not have.
    mailboxes: u64,
    /// The line that the state ends at is in the journal.
    is_continued: bool,
}

fn read(store: &TenantStore, journal: &Journal, after: &Head) -> Result<Read, store::Error> {
    let ledger = store.ledger_entries().collect::<Result<_, _>>()?;
    let mut read = Read { recollection: Recollection::new(ledger), mailboxes: 0, is_continued: false };
    let mut failed = None;
    journal.for_each(|line| {
        read.is_continued |= line.seq == after.seq && line.hash == after.hash;
        // Older segments may have been taken away.
        read.is_continued |= line.seq == after.seq + 1 && line.prev == after.hash;
        if line.seq <= after.seq || failed.is_some() {
            return;
        }
        read.recollection.note(line);
        if read.recollection.identities.len() >= IDENTITIES_HELD {
            match identify(store, std::mem::take(&mut read.recollection.identities)) {
                Ok(count) => read.mailboxes += count,
                Err(error) => failed = Some(error),
            }
        }
    })?;
    if let Some(error) = failed {
        return Err(error);
    }
    read.mailboxes += identify(store, std::mem::take(&mut read.recollection.identities))?;
    Ok(read)
}

/// Writes identities of mailboxes of which the state has none; how many.
fn identify(
    store: &TenantStore,
    mut identities: BTreeMap<UserId, RecordedMailbox>,
) -> Result<u64, store::Error> {
    let users: BTreeSet<UserId> = identities.keys().copied().collect();
    let mut count = 0;
    store.update_users(&users, |user, before| {
        let is_known = before.as_ref().is_some_and(|known| known.mailbox.primary_id.is_some());
        let Some(mailbox) = identities.remove(&user).filter(|_| !is_known) else { return before };
        count += 1;
        let mut known = before.unwrap_or_else(|| KnownUser::recalled(user));
        known.mailbox.primary_id = Some(mailbox.primary_id);
        if matches!(known.presence, Presence::Recalled { .. }) {
            known.mailbox.kind = Some(mailbox.kind.unwrap_or(MailboxKind::User));
            if !mailbox.switched_off.is_empty() && known.remembered.is_none() {
                known.remembered =
                    Some(Remembered { licenses: mailbox.switched_off, assignments: Vec::new() });
            }
        }
        Some(known)
    })?;
    Ok(count)
}

/// What was behind.
#[derive(Debug, Default)]
struct Found {
    clocks: u64,
    ledgers: u64,
    others: u64,
}

impl Recollection {
    /// Writes what the state does not have.
    fn write(mut self, store: &TenantStore) -> Result<Found, store::Error> {
        let mut found = Found { clocks: self.write_clocks(store)?, ..Found::default() };
        for user in &self.told {
            let Some(entry) = self.ledger.get(user) else { continue };
            if store.ledger(*user)?.as_ref() != Some(entry) {
                store.put_ledger(*user, entry)?;
                found.ledgers += 1;
            }
        }
        if let Some(hold) = self.hold
            && store.get::<Hold>()? != hold
        {
            match hold {
                Some(hold) => store.put(&hold)?,
                None => store.remove::<Hold>()?,
            }
            found.others += 1;
        }
        let before = store.get_or_default::<Approvals>()?;
        let after = answered(before.clone(), self.answers);
        if before != after {
            store.put(&after)?;
            found.others += 1;
        }
        Ok(found)
    }

    fn write_clocks(&mut self, store: &TenantStore) -> Result<u64, store::Error> {
        let users: BTreeSet<UserId> = self.clocks.keys().copied().collect();
        let mut count = 0;
        store.update_users(&users, |user, before| {
            let after = self.clocks.get(&user).and_then(|clock| clock.apply(user, before.clone()));
            count += u64::from(after != before);
            after
        })?;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::TenantId;
    use crate::store::journal::MemoryLog;
    use crate::store::memory::MemoryKv;

    const AT: Timestamp = Timestamp::from_secs(1_795_000_000);
    const TENANT: TenantId = TenantId::from_u128(9);
    const ANNA: UserId = UserId::from_u128(1);

    fn store() -> TenantStore {
        TenantStore::new(Arc::new(MemoryKv::new()), TENANT)
    }

    fn observed() -> TenantStore {
        let store = store();
        store.put(&Cursor { delta_link: Some("https://x".into()), ..Cursor::default() }).expect("written");
        store
    }

    /// A journal that tells of a mailbox and a hold.
    fn journal() -> Journal {
        let (journal, _) = Journal::open(Box::new(MemoryLog::new()), TENANT).expect("opens");
        let mailbox = RecordedMailbox {
            user: ANNA,
            primary_id: "MBX:1".into(),
            kind: Some(MailboxKind::Shared),
            switched_off: Vec::new(),
        };
        let held = Entry::Held { by: "uid 0".into(), reason: None, until: None };
        journal
            .append_all(&[Entry::MailboxesRecorded { mailboxes: vec![mailbox] }, held], AT)
            .expect("recorded");
        journal
    }

    fn told(journal: &Journal) -> usize {
        let lines = journal.history(None, 100).expect("readable");
        lines.iter().filter(|line| matches!(line.entry.known(), Some(Entry::Recalled { .. }))).count()
    }

    #[test]
    fn an_empty_state_gets_everything_once() {
        let (store, journal) = (store(), journal());
        for _ in 0..2 {
            recall(&store, &journal, AT).expect("recalled");
            let known = store.user(ANNA).expect("readable").expect("recalled");
            assert_eq!(known.mailbox.primary_id.as_deref(), Some("MBX:1"));
            assert_eq!(known.mailbox.kind, Some(MailboxKind::Shared));
            assert!(store.get::<Hold>().expect("readable").is_some());
            assert_eq!(told(&journal), 1);
        }
    }

    #[test]
    fn a_state_of_an_older_version_is_current() {
        let (store, journal) = (observed(), journal());
        recall(&store, &journal, AT).expect("recalled");
        assert_eq!((store.user(ANNA).expect("readable"), told(&journal)), (None, 0));
        assert_eq!(store.get::<Reflected>().expect("readable"), Some(Reflected(journal.head())));
    }

    #[test]
    fn half_of_a_new_state_is_not_taken_for_a_current_one() {
        let (journal, _) = Journal::open(Box::new(MemoryLog::new()), TENANT).expect("opens");
        let store = store();
        recall(&store, &journal, AT).expect("nothing to recall");
        store.put(&Cursor::default()).expect("written");
        let held = Entry::Held { by: "uid 0".into(), reason: None, until: None };
        journal.append(&held, AT).expect("recorded");
        recall(&store, &journal, AT).expect("recalled");
        assert!(store.get::<Hold>().expect("readable").is_some());
    }

    #[test]
    fn a_journal_that_does_not_go_on_from_the_state_is_read_from_its_beginning() {
        let (store, journal) = (observed(), journal());
        let elsewhere = Head { seq: 7, ..Head::default() };
        store.put(&Reflected(elsewhere)).expect("written");
        recall(&store, &journal, AT).expect("recalled");
        assert!(store.user(ANNA).expect("readable").is_some());
        let cursor = store.get::<Cursor>().expect("readable").expect("there");
        assert_eq!(cursor.delta_link, None, "everybody is listed");
    }
}
