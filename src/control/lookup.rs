//! Finding one user among all: by id, principal name or any address; who is meant by a misspelt name; who else answers
//! to the same address. Streams over the store, keeps a handful.

use std::collections::BTreeSet;

use crate::model::{KnownUser, Presence, Surroundings, UserId};
use crate::plan::explain::OtherAccount;
use crate::policy::Policy;
use crate::store::records::{LicensingGroups, ReleasedUsers};
use crate::store::{self, TenantStore};

use super::{Names, Refusal};

/// Names that are suggested for one that nobody has.
const SUGGESTED: usize = 5;

/// Below this (Jaro-Winkler, 1 is equal) two names are merely two names.
const LEAST_LIKENESS: f64 = 0.84;

/// By object id, user principal name or any address, letter case ignored.
pub fn find(store: &TenantStore, name: &str) -> Result<KnownUser, Refusal> {
    if let Ok(id) = name.parse::<UserId>() {
        let known = store.user(id)?;
        return known.ok_or_else(|| Refusal::failed(format!("no user with the id {id} was ever observed")));
    }
    let wanted = name.trim().to_ascii_lowercase();
    let mut found: Vec<KnownUser> = Vec::new();
    store.for_each_user(|known| {
        if known.user.addresses().contains(&wanted) {
            found.push(known);
        }
    })?;
    found.sort_by_key(|known| (known.presence != Presence::Live, known.user.upn != wanted));
    match found.len() {
        0 => {
            let mut similar = Similar::to(&wanted);
            store.for_each_user(|known| similar.look(&known))?;
            Err(Refusal::failed(similar.refusal(name)))
        }
        1 => Ok(found.remove(0)),
        _ if found[0].user.upn.eq_ignore_ascii_case(name) => Ok(found.remove(0)),
        _ => {
            let ids: Vec<String> =
                found.iter().map(|known| format!("{}  {}", known.id(), known.user.upn)).collect();
            Err(Refusal::usage(format!(
                "{name} fits several users, ask by object id:\n  {}",
                ids.join("\n  ")
            )))
        }
    }
}

/// The best few of all that were looked at.
struct Similar {
    wanted: String,
    best: Vec<(f64, String)>,
}

impl Similar {
    fn to(wanted: &str) -> Self {
        Self { wanted: wanted.to_owned(), best: Vec::new() }
    }

    fn look(&mut self, known: &KnownUser) {
        let addresses = known.user.addresses();
        let has_domain = self.wanted.contains('@');
        let local = |address: &str| address.split('@').next().unwrap_or_default().to_owned();
        let display = known.user.display_name.iter().map(|name| name.to_lowercase());
        let names = addresses.iter().map(|address| if has_domain { address.clone() } else { local(address) });
        // At night one has a surname.
        let words =
            known.user.display_name.iter().flat_map(|name| name.split_whitespace().map(str::to_lowercase));
        let words: Vec<String> = words.filter(|word| word.chars().count() > 2).collect();
        let likeness = names
            .chain(display)
            .chain(words)
            .map(|name| strsim::jaro_winkler(&self.wanted, &name))
            .fold(0.0, f64::max);
        let is_among_best =
            self.best.len() < SUGGESTED || self.best.iter().any(|(other, _)| *other < likeness);
        if likeness >= LEAST_LIKENESS && is_among_best {
            self.best.push((likeness, known.user.upn.clone()));
            self.best.sort_by(|(one, a), (other, b)| other.total_cmp(one).then_with(|| a.cmp(b)));
            self.best.truncate(SUGGESTED);
        }
    }

    fn refusal(&self, name: &str) -> String {
        if self.best.is_empty() {
            return format!(
                "no observed user answers to {name}: check the spelling, or ask by object id; a user made since the \
                 last pass is not known yet"
            );
        }
        let names: Vec<&str> = self.best.iter().map(|(_, upn)| upn.as_str()).collect();
        format!("no observed user answers to {name}; did you mean:\n  {}", names.join("\n  "))
    }
}

/// Other accounts with one of the same addresses, one of the two deleted: what makes a repair ambiguous. Also the first
/// of them, to be shown.
pub fn rivals(
    store: &TenantStore,
    policy: &Policy,
    known: &KnownUser,
) -> Result<(Surroundings, Option<OtherAccount>), store::Error> {
    let new_name = policy.name_if_taken(known);
    let groups = store.get_or_default::<LicensingGroups>()?.groups;
    let ReleasedUsers(released) = store.get_or_default()?;
    let mut surroundings = Surroundings { groups, released, ..Surroundings::default() };
    store.for_each_user(|other| {
        if other.id() == known.id() {
            return;
        }
        surroundings.note(known, &other);
        if let Some(name) = new_name.as_ref().filter(|name| other.user.addresses().contains(*name)) {
            surroundings.names_in_use.insert(name.clone());
        }
    })?;
    let first = surroundings.rivals.get(&known.id()).map(|rival| rival.other);
    let first = first.map(|other| store.user(other)).transpose()?.flatten();
    let shown = first.map(|other| OtherAccount {
        id: other.id(),
        shared: known.user.addresses().intersection(&other.user.addresses()).cloned().collect(),
        has_same_name: other.user.upn.eq_ignore_ascii_case(&known.user.upn),
        upn: other.user.upn,
        presence: other.presence,
    });
    Ok((surroundings, shown))
}

/// The principal names of these users; unknown ones are left out.
pub fn names(store: &TenantStore, users: impl IntoIterator<Item = UserId>) -> Result<Names, store::Error> {
    let wanted: BTreeSet<UserId> = users.into_iter().collect();
    let mut names = Names::new();
    for user in wanted {
        if let Some(known) = store.user(user)? {
            names.insert(user, known.user.upn);
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::{MailboxMemory, TenantId, Timestamp, User};
    use crate::store::memory::MemoryKv;

    fn store(users: &[(u128, &str, Presence)]) -> TenantStore {
        let store = TenantStore::new(Arc::new(MemoryKv::new()), TenantId::from_u128(1));
        let known = users.iter().map(|(id, upn, presence)| KnownUser {
            user: User::new(UserId::from_u128(*id), *upn),
            presence: presence.clone(),
            groups: BTreeSet::new(),
            groups_read: BTreeSet::new(),
            mailbox: MailboxMemory::default(),
            remembered: None,
            loss: None,
        });
        store.put_users(known).expect("written");
        store
    }

    const DELETED: Presence = Presence::Deleted { since: Timestamp::from_secs(9) };

    #[test]
    fn a_misspelt_name_is_answered_with_those_that_are_near() {
        let store = store(&[
            (1, "anna.berg@contoso.com", Presence::Live),
            (2, "anna.borg@contoso.com", Presence::Live),
            (3, "zed@fabrikam.com", Presence::Live),
        ]);
        assert_eq!(find(&store, "ANNA.berg@contoso.com").expect("found").id(), UserId::from_u128(1));
        let refusal = find(&store, "ana.berg@contoso.com").expect_err("misspelt").message;
        assert_eq!(
            refusal,
            "no observed user answers to ana.berg@contoso.com; did you mean:\n  anna.berg@contoso.com\n  \
             anna.borg@contoso.com"
        );
        assert!(find(&store, "anna.brg").expect_err("no domain").message.contains("anna.berg@contoso.com"));
        assert!(find(&store, "qqq").expect_err("nobody").message.contains("check the spelling"));
    }

    #[test]
    fn a_surname_is_answered_with_those_who_bear_it() {
        let store =
            store(&[(1, "hh17@contoso.com", Presence::Live), (2, "zed@fabrikam.com", Presence::Live)]);
        let mut known = store.user(UserId::from_u128(1)).expect("readable").expect("known");
        known.user.display_name = Some("Håkon Horvat".to_owned());
        store.put_users([known]).expect("written");
        let refusal = find(&store, "Horvat").expect_err("no address").message;
        assert!(
            refusal.contains("did you mean:\n  hh17@contoso.com") && !refusal.contains("zed"),
            "{refusal}"
        );
    }

    #[test]
    fn a_live_and_a_deleted_account_with_one_address_are_a_conflict() {
        let store = store(&[
            (1, "anna@contoso.com", DELETED),
            (2, "anna@contoso.com", Presence::Live),
            (3, "bert@contoso.com", DELETED),
        ]);
        let known = |id| store.user(UserId::from_u128(id)).expect("readable").expect("known");
        let policy = "version: 1\nkeep: [{ name: all, match: { upn: \"*@contoso.com\" } }]\n";
        let policy = Policy::parse("policy.yaml", policy).expect("good");
        let (surroundings, other) = rivals(&store, &policy, &known(1)).expect("readable");
        let other = other.expect("a conflict");
        assert_eq!(surroundings.rivals[&UserId::from_u128(1)].other, other.id);
        assert_eq!(other.id, UserId::from_u128(2));
        assert!(other.has_same_name);
        assert_eq!(other.shared, ["anna@contoso.com"]);
        assert_eq!(rivals(&store, &policy, &known(3)).expect("readable"), (Surroundings::default(), None));
    }

    #[test]
    fn an_address_of_several_users_is_asked_back() {
        let store = store(&[(1, "a@x.org", DELETED), (2, "a@x.org", DELETED)]);
        let refusal = find(&store, "b@x.org").expect_err("nobody");
        assert!(!refusal.is_usage);
        assert_eq!(find(&store, "a@x.org").expect("the first with that very name").user.upn, "a@x.org");
    }
}
