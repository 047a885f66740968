//! The recycle bin of the directory: the one place that dates a deletion. It is listed in every pass, and compared
//! with what the last pass saw of it, so that only what changed goes further. Also finds live accounts that took
//! over an address of a deleted one.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};

use crate::graph::{Client, DeletedUser};
use crate::model::{Problem, ProblemKind, Timestamp, Unreadable, User, UserId};
use crate::store;
use crate::store::records::{Binned, RecycleBin};

use super::fold::CLOCKS_APART;
use super::plausible::Oddities;
use super::problem;

/// Deleted users that are believed: a tenant of a million that deletes half of itself. The bin is held in memory, some
/// hundred bytes a user.
const DELETED_MAX: usize = 500_000;

/// Lists the deleted users and gives to `changed` those that `before` does not know as they are. Returns the bin as
/// it is now; what was noted of taken addresses stays for those who are still in it.
pub(super) async fn read(
    graph: &Client,
    before: &RecycleBin,
    now: Timestamp,
    problems: &mut Vec<Problem>,
    mut changed: impl FnMut(DeletedUser) -> Result<(), store::Error> + Send,
) -> Result<RecycleBin, store::Error> {
    let mut bin = RecycleBin::default();
    let mut odd = Oddities::default();
    let mut pages = graph.deleted_users();
    loop {
        match pages.next().await {
            Ok(Some(page)) => {
                for user in page {
                    match user {
                        Ok(user) => {
                            if user.deleted > now + CLOCKS_APART {
                                odd.note(&undated(user.user.id));
                            }
                            if bin.add(&user, before) {
                                changed(user)?;
                            }
                        }
                        Err(unread) => {
                            odd.note(&unread);
                            bin.keep(unread.id, before);
                        }
                    }
                }
                if bin.users.len() > DELETED_MAX {
                    let detail = format!("deleted users: more than {DELETED_MAX}, and no end");
                    problems.push(Problem { kind: ProblemKind::Malformed, detail });
                    break;
                }
            }
            Ok(None) => break,
            Err(error) => {
                problems.push(problem("deleted users", &error));
                break;
            }
        }
    }
    problems.extend(odd.problem("deleted users", bin.users.len() as u64));
    bin.taken = before.taken.iter().filter(|(_, deleted)| bin.users.contains_key(deleted)).copied().collect();
    Ok(bin)
}

fn undated(id: UserId) -> Unreadable {
    Unreadable { id, is_deleted: true, fault: "no deletedDateTime in the past".to_owned() }
}

impl RecycleBin {
    /// The user is in it still, and what was known of that stays.
    fn keep(&mut self, user: UserId, before: &RecycleBin) {
        let known = before.users.get(&user).cloned();
        self.users.insert(user, known.unwrap_or_else(|| Binned { digest: 0, addresses: BTreeSet::new() }));
    }

    /// Notes a deleted user; true when `before` did not know it like that.
    pub(super) fn add(&mut self, deleted: &DeletedUser, before: &RecycleBin) -> bool {
        let known = before.users.get(&deleted.user.id);
        let mut addresses = known.map(|known| known.addresses.clone()).unwrap_or_default();
        addresses.extend(hashes(&deleted.user));
        let digest = digest_of(deleted);
        self.users.insert(deleted.user.id, Binned { digest, addresses });
        known.is_none_or(|known| known.digest != digest)
    }

    /// Adds the addresses that the user had before the deletion.
    pub(super) fn remember(&mut self, before: &User) {
        if let Some(binned) = self.users.get_mut(&before.id) {
            binned.addresses.extend(hashes(before));
        }
    }

    /// The user is alive, whatever the listing said.
    pub(super) fn remove(&mut self, user: UserId) {
        self.users.remove(&user);
        self.taken.retain(|(_, deleted)| *deleted != user);
    }
}

/// Who of the deleted users had an address.
#[derive(Debug, Default)]
pub(super) struct Addresses(BTreeMap<u64, BTreeSet<UserId>>);

impl Addresses {
    pub(super) fn of(bin: &RecycleBin) -> Self {
        let mut owners: BTreeMap<u64, BTreeSet<UserId>> = BTreeMap::new();
        for (user, binned) in &bin.users {
            for address in &binned.addresses {
                owners.entry(*address).or_default().insert(*user);
            }
        }
        Self(owners)
    }

    /// Notes anew what this live user holds of the deleted ones. A user that changed is asked about in every
    /// observation; one that did not cannot have taken an address since.
    pub(super) fn claim(&self, live: &User, taken: &mut BTreeSet<(UserId, UserId)>) {
        taken.retain(|(holder, _)| *holder != live.id);
        if self.0.is_empty() {
            return;
        }
        let owners = hashes(live).into_iter().filter_map(|address| self.0.get(&address)).flatten();
        taken.extend(owners.filter(|owner| **owner != live.id).map(|owner| (live.id, *owner)));
    }
}

fn hashes(user: &User) -> BTreeSet<u64> {
    user.addresses().iter().map(|address| hash(address.as_bytes())).collect()
}

fn digest_of(deleted: &DeletedUser) -> u64 {
    // The derived text names every field: whatever the listing says differently changes it.
    hash(format!("{deleted:?}").as_bytes())
}

/// The same in every run and version: the bin outlives the process.
fn hash(bytes: &[u8]) -> u64 {
    let mut start = [0; 8];
    start.copy_from_slice(&Sha256::digest(bytes)[..8]);
    u64::from_be_bytes(start)
}
