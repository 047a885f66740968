//! Whether a request may go out once more within a pass. The step was decided on what the observation showed; while it
//! waited to be repeated, somebody may have marked the account as a leaver, given it another licence or taken it back.
//! Then the next pass judges anew.

use crate::graph::Client;
use crate::model::{License, Presence, User, UserId};
use crate::store::TenantStore;

/// True when a single read shows the user as the state knows it. A read that fails shows nothing.
pub(super) async fn is_as_decided(user: UserId, graph: &Client, store: &TenantStore) -> bool {
    let Ok(Some(known)) = store.user(user) else { return false };
    let is_same = match known.presence {
        Presence::Live => graph.user(user).await.map(|now| match now {
            Some(Ok(now)) => is_same(&known.user, &now),
            Some(Err(_)) | None => false,
        }),
        Presence::Deleted { since } => graph.deleted_user(user).await.map(|now| match now {
            Some(Ok(now)) => now.deleted == since && adds_nothing(&known.user, now.user),
            Some(Err(_)) | None => false,
        }),
        Presence::Missing { .. } | Presence::Gone { .. } | Presence::Recalled { .. } => Ok(false),
    };
    is_same.unwrap_or_else(|error| {
        tracing::debug!(%error, user.id = %user, "read before a repeat failed");
        false
    })
}

/// Whatever a rule or a repair asks about. The rest moves by itself after a licence was lost, or is not kept up to date
/// by deltas.
fn is_same(known: &User, now: &User) -> bool {
    let now = User {
        licenses: if have_same_licenses(known, now) { known.licenses.clone() } else { now.licenses.clone() },
        plans: known.plans.clone(),
        assignments: known.assignments.clone(),
        provisioning_errors: known.provisioning_errors.clone(),
        ..now.clone()
    };
    now == *known
}

/// In any order; not said is not the same.
fn have_same_licenses(known: &User, now: &User) -> bool {
    let (Some(known), Some(now)) = (&known.licenses, &now.licenses) else { return false };
    known.len() == now.len() && known.iter().all(|license: &License| now.contains(license))
}

/// Judged as the observation judges it: what the recycle bin shows must not be news.
fn adds_nothing(known: &User, listed: User) -> bool {
    let mut now = known.clone();
    now.note_last_words(listed);
    now == *known
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::model::{AssignedPlan, CapabilityStatus, PlanId, SkuId};

    fn user() -> User {
        let license = |sku| License { sku: SkuId::from_u128(sku), disabled_plans: BTreeSet::new() };
        let mut user = User::new(UserId::from_u128(1), "anna@contoso.com");
        user.licenses = Some(vec![license(1), license(2)]);
        user.department = Some("Sales".to_owned());
        user
    }

    #[test]
    fn what_a_rule_asks_about_must_not_have_changed() {
        let known = user();
        let told = |change: fn(&mut User)| {
            let mut now = user();
            change(&mut now);
            is_same(&known, &now)
        };
        assert!(told(|_| ()));
        assert!(told(|now| now.licenses.as_mut().expect("some").reverse()), "order says nothing");
        let gone =
            AssignedPlan { plan: PlanId::from_u128(1), status: CapabilityStatus::Deleted, assigned: None };
        let mut moved = user();
        moved.plans.push(gone);
        assert!(is_same(&known, &moved), "plans follow a loss by themselves");
        assert!(!told(|now| now.licenses = None));
        assert!(!told(|now| drop(now.licenses.as_mut().expect("some").pop())));
        assert!(!told(|now| now.department = None));
        assert!(!told(|now| now.employee_type = Some("Leaver".to_owned())));
        assert!(!told(|now| now.account_enabled = Some(false)));
        assert!(!told(|now| now.upn = "anna.old@contoso.com".to_owned()));
    }

    #[test]
    fn the_bin_may_say_less_and_nothing_new() {
        let known = user();
        let bare = User::new(UserId::from_u128(1), "anna@contoso.com");
        assert!(adds_nothing(&known, bare.clone()));
        let marked = User { employee_type: Some("Leaver".to_owned()), ..bare.clone() };
        let blocked = User { account_enabled: Some(false), ..bare };
        assert!(!adds_nothing(&known, marked) && !adds_nothing(&known, blocked));
    }
}
