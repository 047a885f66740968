//! What a user's own record does not say. Above all accounts that answer to the same address, one of them deleted: what
//! stands in the way of a restore, and why the other one must not be licensed.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{AuditEvent, Group, GroupId, KnownUser, Presence, Sku, SkuId, Timestamp, User, UserId};

/// The end of a rule's care for one user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Released {
    /// The keep rule that named the user.
    pub rule: String,
    /// Start of the first observation in which it did not.
    pub at: Timestamp,
    /// The policy decides about the user again.
    #[serde(default)]
    pub is_over: bool,
}

/// What the whole tenant says about one user: only for the few that are concerned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// Users who share an address with another one, one of the two deleted.
    pub rivals: BTreeMap<UserId, Rival>,
    /// Users whom no keep rule names any more, although the policy did not change.
    pub released: BTreeMap<UserId, Released>,
    /// Names of `upn_if_taken` that are not free, lower case.
    pub names_in_use: BTreeSet<String>,
    /// The groups by which the policy gives licences, as far as they are known.
    pub groups: BTreeMap<GroupId, Group>,
    /// What the audit log says of the user's loss and deletion, where it was asked.
    pub audited: BTreeMap<UserId, Vec<AuditEvent>>,
}

/// Another account with one of the same addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rival {
    /// The first that was found.
    pub other: UserId,
    pub taken: Taken,
}

/// What live accounts hold of a deleted one's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// This is the live one.
    Nothing,
    Of {
        /// The user principal name.
        name: bool,
        /// Mail and proxy addresses, lower case.
        addresses: BTreeSet<String>,
    },
    /// An address that the deleted account answered to once.
    Unknown,
}

impl Surroundings {
    pub fn audited(&self, user: UserId) -> &[AuditEvent] {
        self.audited.get(&user).map_or(&[], Vec::as_slice)
    }

    /// The product that membership of this group brings, of those that a rule would take, in its order.
    pub fn given_by<'s>(&self, group: GroupId, mut skus: impl Iterator<Item = &'s Sku>) -> Option<SkuId> {
        let group = self.groups.get(&group);
        skus.find(|sku| group.is_none_or(|group| group.gives_mailbox(sku))).map(|sku| sku.id)
    }

    /// Notes that two accounts share an address, if they do and one is live, the other deleted. True when they are.
    pub fn note(&mut self, one: &KnownUser, other: &KnownUser) -> bool {
        let Some((live, deleted)) = live_and_deleted(one, other) else { return false };
        let taken = Taken::of(deleted, live);
        if taken == Taken::Nothing {
            return false;
        }
        self.insert(live.id, deleted.id, taken);
        true
    }

    /// Two accounts of which an older record says that they share an address. Nothing where they are not live and
    /// deleted.
    pub fn note_remembered(&mut self, one: &KnownUser, other: &KnownUser) {
        if !self.note(one, other)
            && let Some((live, deleted)) = live_and_deleted(one, other)
        {
            self.insert(live.id, deleted.id, Taken::Unknown);
        }
    }

    /// What of the deleted one is taken adds up over all who took of it.
    fn insert(&mut self, live: UserId, deleted: UserId, taken: Taken) {
        self.rivals.entry(live).or_insert(Rival { other: deleted, taken: Taken::Nothing });
        let rival = self.rivals.entry(deleted).or_insert(Rival { other: live, taken: Taken::Nothing });
        rival.taken = std::mem::replace(&mut rival.taken, Taken::Nothing).and(taken);
    }
}

fn live_and_deleted<'u>(one: &'u KnownUser, other: &'u KnownUser) -> Option<(&'u User, &'u User)> {
    let is_deleted = |known: &KnownUser| matches!(known.presence, Presence::Deleted { .. });
    match (one.presence == Presence::Live, other.presence == Presence::Live) {
        (true, false) if is_deleted(other) => Some((&one.user, &other.user)),
        (false, true) if is_deleted(one) => Some((&other.user, &one.user)),
        (true | false, true | false) => None,
    }
}

impl Taken {
    fn of(deleted: &User, live: &User) -> Self {
        let theirs = live.addresses();
        let name = theirs.contains(&deleted.upn.to_ascii_lowercase());
        let addresses: BTreeSet<String> = deleted.mail_addresses().intersection(&theirs).cloned().collect();
        if name || !addresses.is_empty() { Self::Of { name, addresses } } else { Self::Nothing }
    }

    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Of { name, mut addresses }, Self::Of { name: also, addresses: others }) => {
                addresses.extend(others);
                Self::Of { name: name || also, addresses }
            }
            (Self::Unknown, _) | (_, Self::Unknown) => Self::Unknown,
            (Self::Nothing, taken) | (taken, Self::Nothing) => taken,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::MailboxMemory;

    fn known(id: u128, upn: &str, proxies: &[&str], presence: Presence) -> KnownUser {
        let mut user = User::new(UserId::from_u128(id), upn);
        user.proxy_addresses = proxies.iter().map(|proxy| (*proxy).to_owned()).collect();
        KnownUser {
            user,
            presence,
            groups: BTreeSet::new(),
            groups_read: BTreeSet::new(),
            mailbox: MailboxMemory::default(),
            remembered: None,
            loss: None,
        }
    }

    const DELETED: Presence = Presence::Deleted { since: Timestamp::from_secs(9) };

    fn anna() -> KnownUser {
        known(
            1,
            "anna@contoso.com",
            &["SMTP:anna@contoso.com", "smtp:sales@contoso.com", "SIP:anna"],
            DELETED,
        )
    }

    fn taken(surroundings: &Surroundings) -> &Taken {
        &surroundings.rivals[&anna().id()].taken
    }

    #[test]
    fn what_is_taken_adds_up_over_all_who_took_of_it() {
        let mut surroundings = Surroundings::default();
        assert!(
            surroundings
                .note(&anna(), &known(2, "bo@contoso.com", &["smtp:Sales@contoso.com"], Presence::Live))
        );
        let sales = BTreeSet::from(["sales@contoso.com".to_owned()]);
        assert_eq!(*taken(&surroundings), Taken::Of { name: false, addresses: sales });
        assert!(surroundings.note(&known(3, "ANNA@contoso.com", &[], Presence::Live), &anna()));
        let both = ["anna@contoso.com", "sales@contoso.com"].map(str::to_owned);
        assert_eq!(*taken(&surroundings), Taken::Of { name: true, addresses: BTreeSet::from(both) });
        assert_eq!(surroundings.rivals[&UserId::from_u128(2)].taken, Taken::Nothing, "the live one");
        surroundings.note_remembered(&known(4, "cleo@contoso.com", &[], Presence::Live), &anna());
        assert_eq!(*taken(&surroundings), Taken::Unknown, "and nothing more is known");
    }

    #[test]
    fn only_a_live_and_a_deleted_account_are_rivals_and_only_with_an_address_in_common() {
        let mut surroundings = Surroundings::default();
        let twin = |presence| known(2, "anna@contoso.com", &[], presence);
        for presence in [DELETED, Presence::Gone { noticed: Timestamp::from_secs(10) }] {
            assert!(!surroundings.note(&anna(), &twin(presence.clone())));
            surroundings.note_remembered(&anna(), &twin(presence));
        }
        assert!(!surroundings.note(&anna(), &known(3, "bo@contoso.com", &["SIP:anna"], Presence::Live)));
        assert_eq!(surroundings, Surroundings::default());
    }
}
