//! One entry of the delta, applied to what is known. Pure.
//!
//! Entries are partial, come in any order and again, and say nothing of licence assignment states. They are applied
//! where that is enough; where a licence is touched, or anything is unclear, the user is read singly.

use crate::graph::UserPatch;
use crate::model::{KnownUser, Presence, User};

use super::changes::Change;

/// What an entry comes to.
pub(super) enum Applied {
    Same,
    Changed(Box<User>),
    /// Read singly.
    Unclear,
}

/// `known` without an entry of this observation; `is_in_bin` by the newest listing of the recycle bin.
pub(super) fn applied(change: &Change, known: Option<KnownUser>, is_in_bin: bool) -> Applied {
    let Change::Changed(patch) = change else {
        let is_known_deleted =
            known.is_some_and(|known| matches!(known.presence, Presence::Deleted { .. })) && is_in_bin;
        let is_soft = *change == Change::Removed { is_purged: false };
        return if is_known_deleted && is_soft { Applied::Same } else { Applied::Unclear };
    };
    let patch = UserPatch::clone(patch);
    let Some(known) = known else {
        // New users come whole, but for how they got their licences.
        return match patch.into_user() {
            Some(user) if user.licenses.as_ref().is_some_and(Vec::is_empty) && !is_in_bin => {
                Applied::Changed(Box::new(user))
            }
            Some(_) | None => Applied::Unclear,
        };
    };
    if known.presence != Presence::Live || is_in_bin {
        return Applied::Unclear;
    }
    let mut user = known.user.clone();
    patch.apply_to(&mut user);
    if user == known.user {
        return Applied::Same;
    }
    let is_licence_touched = user.licenses != known.user.licenses
        || user.plans != known.user.plans
        || user.assignments != known.user.assignments;
    if is_licence_touched { Applied::Unclear } else { Applied::Changed(Box::new(user)) }
}
