//! What decisions about a user depend on beside the user: licensing groups, released accounts, and of deleted accounts
//! what others have taken by now, and whether the names under which the policy would have them back are free.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Presence, Span, Surroundings, Taken, UserId};
use crate::store;
use crate::store::records::{LicensingGroups, NewNames, RecycleBin, ReleasedUsers};

use super::Watch;

/// Whether a name is in use is looked up among everybody, so not in every pass. Graph itself refuses a name that was
/// taken meanwhile.
const LOOKED_UP_EVERY: Span = Span::from_hours(1);

/// # Errors
/// Only of the store.
pub(super) fn surroundings(watch: &Watch<'_>, bin: &RecycleBin) -> Result<Surroundings, store::Error> {
    let groups = watch.store.get_or_default::<LicensingGroups>()?.groups;
    let ReleasedUsers(released) = watch.store.get_or_default()?;
    let mut surroundings = Surroundings { groups, released, ..Surroundings::default() };
    let mut owners = BTreeMap::new();
    for (live, deleted) in &bin.taken {
        let (Some(holder), Some(owner)) = (watch.store.user(*live)?, watch.store.user(*deleted)?) else {
            continue;
        };
        surroundings.note_remembered(&holder, &owner);
        owners.insert(*deleted, owner);
    }
    let mut wanted: BTreeMap<String, BTreeSet<UserId>> = BTreeMap::new();
    for (id, owner) in &owners {
        let is_name_taken = surroundings
            .rivals
            .get(id)
            .is_some_and(|rival| matches!(rival.taken, Taken::Of { name: true, .. }));
        if let Some(name) = watch.policy.name_if_taken(owner).filter(|_| is_name_taken) {
            wanted.entry(name).or_default().insert(*id);
        }
    }
    if !wanted.is_empty() {
        surroundings.names_in_use = names_in_use(watch, wanted)?;
    }
    Ok(surroundings)
}

fn names_in_use(
    watch: &Watch<'_>,
    wanted: BTreeMap<String, BTreeSet<UserId>>,
) -> Result<BTreeSet<String>, store::Error> {
    let known = watch.store.get::<NewNames>()?;
    if let Some(known) = known.filter(|known| known.looked_up + LOOKED_UP_EVERY > watch.started)
        && known.wanted_by == wanted
    {
        return Ok(known.in_use);
    }
    let mut in_use = BTreeSet::new();
    watch.store.for_each_user(|known| {
        if matches!(known.presence, Presence::Gone { .. }) {
            return;
        }
        for address in known.user.addresses() {
            let is_for_another = |owners: &BTreeSet<UserId>| owners.iter().any(|owner| *owner != known.id());
            if wanted.get(&address).is_some_and(is_for_another) {
                in_use.insert(address);
            }
        }
    })?;
    // Two who would get one name: neither does, until a person has decided.
    in_use.extend(wanted.iter().filter(|(_, owners)| owners.len() > 1).map(|(name, _)| name.clone()));
    watch.store.put(&NewNames { looked_up: watch.started, wanted_by: wanted, in_use: in_use.clone() })?;
    Ok(in_use)
}
