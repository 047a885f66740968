//! What must hold for every policy and every user, whatever the case.

pub(crate) mod world;

use proptest::prelude::*;

use super::*;
use crate::model::{Certainty, DELETED_RETENTION, Remedy, Span};
use crate::policy::Retention;
use world::{NOW, World, healed, world};

fn finding(world: &World, known: &KnownUser, now: Timestamp) -> Finding {
    diff(&world.policy, known, &world.catalog, &world.surroundings, now)
}

fn drift_of(finding: &Finding) -> Option<&Drift> {
    match finding {
        Finding::Drift(drift) => Some(drift),
        Finding::Healthy | Finding::LeftAlone { .. } => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn only_users_that_a_keep_rule_names_drift(world in world()) {
        for known in world.users.values() {
            let is_kept = matches!(world.policy.ruling(known), Ruling::Keep(_));
            prop_assert!(is_kept || drift_of(&finding(&world, known, NOW)).is_none(), "{known:?}");
        }
    }

    #[test]
    fn deadlines_count_from_the_earliest_bound_of_each_clock(world in world()) {
        let Retention { days, margin } = world.policy.retention;
        for drift in world.drifts_at(NOW) {
            let known = &world.users[&drift.user];
            let clock = &drift.clock;
            prop_assert_eq!(clock.act_by, clock.deadline.map(|deadline| deadline - margin));
            let is_dated = matches!(clock.certainty, Certainty::Known | Certainty::Hinted);
            prop_assert!(!is_dated || clock.deadline.is_some());
            let Some(deadline) = clock.deadline else { continue };
            if let Presence::Deleted { since } = known.presence {
                prop_assert!(deadline <= since + DELETED_RETENTION);
            }
            let license_counts = matches!(
                drift.kind,
                DriftKind::Unlicensed | DriftKind::Deleted | DriftKind::UnlicensedAndDeleted
            );
            if let Some(last_with) = known.loss.as_ref().and_then(|loss| loss.last_with)
                && license_counts
            {
                prop_assert!(deadline <= last_with + days);
            }
            if let Some(earliest) = clock.earliest {
                prop_assert!(earliest <= clock.latest, "{:?}", clock);
            }
        }
    }

    #[test]
    fn time_alone_never_moves_a_deadline_and_never_brings_a_mailbox_back(world in world(), hours in 0_i64..2000) {
        let later = NOW + Span::from_hours(hours);
        for known in world.users.values() {
            let (now, then) = (finding(&world, known, NOW), finding(&world, known, later));
            prop_assert_eq!(drift_of(&now).map(|drift| drift.kind), drift_of(&then).map(|drift| drift.kind));
            let (Some(now), Some(then)) = (drift_of(&now), drift_of(&then)) else { continue };
            prop_assert_eq!(now.clock.deadline, then.clock.deadline);
            prop_assert_eq!(now.clock.act_by, then.clock.act_by);
            if now.blocked == Some(Reason::Expired) {
                prop_assert_eq!(then.blocked, Some(Reason::Expired));
            }
        }
    }

    #[test]
    fn a_mailbox_is_given_up_only_after_the_latest_bound(world in world()) {
        for drift in world.drifts_at(NOW).into_iter().filter(|drift| drift.blocked == Some(Reason::Expired)) {
            let known = &world.users[&drift.user];
            let deletion = match known.presence {
                Presence::Deleted { since } => since + DELETED_RETENTION <= NOW,
                Presence::Live | Presence::Missing { .. } | Presence::Gone { .. } | Presence::Recalled { .. } => false,
            };
            let license =
                known.loss.as_ref().is_some_and(|loss| loss.noticed + world.policy.retention.days <= NOW);
            prop_assert!(deletion || license, "{known:?}");
        }
    }

    #[test]
    fn a_healed_user_does_not_drift(world in world()) {
        for known in world.users.values() {
            let healed = healed(known, &world.catalog, NOW + Span::from_hours(1));
            let after = finding(&world, &healed, NOW + Span::from_hours(1));
            prop_assert_eq!(drift_of(&after), None);
            prop_assert_eq!(healed.loss, None);
        }
    }

    #[test]
    fn a_drift_that_nothing_can_repair_says_why(world in world()) {
        for drift in world.drifts_at(NOW) {
            let is_empty = match &drift.remedy {
                Remedy::Nothing => true,
                Remedy::AssignLicense { candidates } => candidates.is_empty(),
                Remedy::EnablePlan { .. } | Remedy::AddToGroup { .. } | Remedy::SetUsageLocation { .. } | Remedy::ReprocessLicenses { .. }
                | Remedy::Restore(_) => false,
            };
            prop_assert!(!is_empty || drift.blocked.is_some(), "{drift:?}");
        }
    }
}
