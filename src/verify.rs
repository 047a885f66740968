//! Intents against a later observation. The only place that says "fixed". Pure: no I/O, no clock, no async.
//!
//! A request that Graph accepted proves nothing: since 2022 every re-licensed user gets a mailbox, be it a new, empty
//! one. Proof is a ladder: the Exchange plan is assigned and usable, `mailboxSettings` answers, and `primaryMailboxId`
//! is the one recorded while the mailbox was healthy.

use crate::invariant::{InvariantId, holds};
use crate::model::{
    Action, Catalog, DIRECTORY_SETTLE, Entitlement, GroupId, KnownUser, MAILBOX_SETTLE, Pending, Presence,
    ProbeAnswer, Timestamp, Verdict,
};

/// What a later observation says of one pending request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// Not observable yet; stale reads are expected for a while.
    Waiting,
    /// The directory shows the effect, and there is nothing more to prove for this request: the drift goes on as what
    /// it is now (a restored user without a licence, a user who now has a usage location).
    StepDone,
    /// The request had no effect although there was time for it.
    NoEffect,
    /// The last word on this repair. `Stuck` is not final: a later observation may still prove it.
    Concluded { verdict: Verdict, detail: String },
}

/// Judges one pending request by what was observed at `observed` (the start of the observation).
pub fn verify(pending: &Pending, known: &KnownUser, catalog: &Catalog, observed: Timestamp) -> Progress {
    if observed <= pending.sent {
        return Progress::Waiting;
    }
    let entitlement = Entitlement::of(&known.user, catalog);
    let is_live = known.presence == Presence::Live;
    let is_licensed = is_live && entitlement.is_licensed();
    let waited = observed - pending.sent;
    if !shows_effect(&pending.action, known, catalog) {
        // A request without an answer may never have arrived; repeating it is harmless, waiting may not be.
        let is_expected = waited < DIRECTORY_SETTLE && !pending.is_uncertain;
        return if is_expected { Progress::Waiting } else { Progress::NoEffect };
    }
    let needs_license = known.needs_license();
    match pending.action {
        Action::SetUsageLocation { .. } => Progress::StepDone,
        // The licences of a restored user may appear a little later than the user.
        Action::Restore(_) if needs_license && !is_licensed => {
            if waited < DIRECTORY_SETTLE {
                Progress::Waiting
            } else {
                Progress::StepDone
            }
        }
        // The membership is there, and the group cannot give its licence: that is another thing to be done.
        Action::AddToGroup { group }
            if !is_licensed && waited >= DIRECTORY_SETTLE && has_group_error(known, group) =>
        {
            Progress::StepDone
        }
        Action::Restore(_)
        | Action::AssignLicense { .. }
        | Action::AddToGroup { .. }
        | Action::ReprocessLicenses { .. } => {
            let is_usable =
                is_live && matches!(entitlement, Entitlement::Licensed { is_confirmed: true, .. });
            mailbox_proof(pending, known, observed, is_usable || !needs_license)
        }
    }
}

/// True while the directory shows what the request was for.
pub fn shows_effect(action: &Action, known: &KnownUser, catalog: &Catalog) -> bool {
    let is_live = known.presence == Presence::Live;
    match action {
        Action::Restore(_) => is_live,
        Action::AssignLicense { .. } | Action::ReprocessLicenses { .. } => is_licensed(known, catalog),
        Action::AddToGroup { group } => {
            is_licensed(known, catalog) || (is_live && known.groups.contains(group))
        }
        Action::SetUsageLocation { .. } => known.user.usage_location.is_some(),
    }
}

/// True when the request has done its work, as far as the directory shows: a membership has once its licence is there.
pub fn has_worked(action: &Action, known: &KnownUser, catalog: &Catalog) -> bool {
    match action {
        Action::AddToGroup { .. } => is_licensed(known, catalog),
        Action::Restore(_)
        | Action::AssignLicense { .. }
        | Action::ReprocessLicenses { .. }
        | Action::SetUsageLocation { .. } => shows_effect(action, known, catalog),
    }
}

fn has_group_error(known: &KnownUser, group: GroupId) -> bool {
    known.user.assignments.iter().any(|assignment| {
        assignment.by_group == Some(group) && assignment.state.eq_ignore_ascii_case("error")
    })
}

fn is_licensed(known: &KnownUser, catalog: &Catalog) -> bool {
    known.presence == Presence::Live && Entitlement::of(&known.user, catalog).is_licensed()
}

/// `is_usable`: the Exchange plan itself shows as usable. A group hands out its licence in the background, and Exchange
/// takes it up later still; until then a mailbox that answers answers for another reason, such as a hold.
fn mailbox_proof(pending: &Pending, known: &KnownUser, observed: Timestamp, is_usable: bool) -> Progress {
    let probe = known.mailbox.last_probe.as_ref().filter(|probe| probe.at > pending.sent);
    let answer = probe.map(|probe| &probe.answer);
    let concluded = |verdict, detail: String| {
        holds(InvariantId::Safe7, observed > pending.sent, || {
            format!("{verdict:?} from an earlier observation")
        });
        Progress::Concluded { verdict, detail }
    };
    match answer.filter(|_| is_usable) {
        Some(ProbeAnswer::Reachable { primary_id: Some(id), .. }) => match &pending.expected_mailbox {
            Some(expected) if expected == id => {
                concluded(Verdict::Verified, "the mailbox that was recorded while healthy is back".to_owned())
            }
            Some(expected) => concluded(
                Verdict::NewEmptyMailbox,
                format!("expected mailbox {expected}, found {id}: the old mailbox is gone, this one is new"),
            ),
            None => concluded(
                Verdict::Unverified,
                "the mailbox answers; no identity was recorded before".to_owned(),
            ),
        },
        Some(ProbeAnswer::Reachable { primary_id: None, .. }) => {
            concluded(Verdict::Unverified, "the mailbox answers; its identity cannot be read".to_owned())
        }
        Some(ProbeAnswer::Unreadable) if observed - pending.sent >= DIRECTORY_SETTLE => concluded(
            Verdict::Unverified,
            "licensed; the mailbox cannot be read with these permissions".to_owned(),
        ),
        Some(ProbeAnswer::NoMailbox | ProbeAnswer::Unreadable) | None => {
            if observed - pending.sent >= MAILBOX_SETTLE {
                concluded(Verdict::Stuck, "no reachable mailbox 24 hours after the request".to_owned())
            } else {
                Progress::Waiting
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::model::{
        AssignedPlan, CapabilityStatus, License, MAILBOX_PLANS, MailboxKind, MailboxMemory, Probe, Sku,
        SkuId, SkuPlan, Span, Units, User, UserId,
    };

    const SENT: Timestamp = Timestamp::from_secs(1_000_000);
    const SKU: SkuId = SkuId::from_u128(5);

    fn catalog() -> Catalog {
        let plan = SkuPlan { id: MAILBOX_PLANS[1].0, name: "P2".to_owned(), applies_to: "User".to_owned() };
        [Sku {
            id: SKU,
            part_number: "SPE_E3".to_owned(),
            capability_status: "Enabled".to_owned(),
            consumed: 1,
            units: Units { enabled: 5, ..Units::default() },
            plans: vec![plan],
        }]
        .into_iter()
        .collect()
    }

    fn licensed(probe: Option<ProbeAnswer>, probed_after: Span) -> KnownUser {
        let mut user = User::new(UserId::from_u128(1), "anna@contoso.com");
        user.licenses = Some(vec![License { sku: SKU, disabled_plans: BTreeSet::new() }]);
        user.plans = vec![AssignedPlan {
            plan: MAILBOX_PLANS[1].0,
            status: CapabilityStatus::Enabled,
            assigned: None,
        }];
        KnownUser {
            user,
            presence: Presence::Live,
            groups: BTreeSet::new(),
            groups_read: BTreeSet::new(),
            mailbox: MailboxMemory {
                last_probe: probe.map(|answer| Probe { at: SENT + probed_after, answer }),
                ..MailboxMemory::default()
            },
            remembered: None,
            loss: None,
        }
    }

    fn reachable(id: &str) -> Option<ProbeAnswer> {
        Some(ProbeAnswer::Reachable { kind: MailboxKind::User, primary_id: Some(id.to_owned()) })
    }

    fn judge(known: &KnownUser, after: Span) -> Progress {
        let pending = Pending {
            step_id: "s".to_owned(),
            action: Action::AssignLicense {
                sku: SKU,
                part_number: "SPE_E3".to_owned(),
                disabled_plans: BTreeSet::new(),
                takes_seat: true,
            },
            sent: SENT,
            is_uncertain: false,
            expected_mailbox: Some("MBX:1".to_owned()),
        };
        verify(&pending, known, &catalog(), SENT + after)
    }

    fn verdict(progress: &Progress) -> Option<Verdict> {
        match progress {
            Progress::Concluded { verdict, .. } => Some(*verdict),
            Progress::Waiting | Progress::StepDone | Progress::NoEffect => None,
        }
    }

    #[test]
    fn the_recorded_mailbox_is_proof_and_another_one_is_data_loss() {
        let minute = Span::from_minutes(1);
        assert_eq!(verdict(&judge(&licensed(reachable("MBX:1"), minute), minute)), Some(Verdict::Verified));
        assert_eq!(
            verdict(&judge(&licensed(reachable("MBX:2"), minute), minute)),
            Some(Verdict::NewEmptyMailbox)
        );
    }

    #[test]
    fn an_observation_or_a_probe_from_before_the_request_proves_nothing() {
        let known = licensed(reachable("MBX:1"), Span::from_minutes(-1));
        assert_eq!(judge(&known, Span::from_minutes(-1)), Progress::Waiting);
        assert_eq!(judge(&known, Span::from_minutes(5)), Progress::Waiting);
    }

    #[test]
    fn a_licence_without_a_reachable_mailbox_is_stuck_after_a_day() {
        let known = licensed(Some(ProbeAnswer::NoMailbox), Span::from_hours(23));
        assert_eq!(judge(&known, Span::from_hours(23)), Progress::Waiting);
        assert_eq!(verdict(&judge(&known, Span::from_hours(24))), Some(Verdict::Stuck));
    }

    #[test]
    fn a_request_without_effect_is_given_time_for_replication() {
        let mut known = licensed(None, Span::ZERO);
        known.user.licenses = Some(Vec::new());
        known.user.plans.clear();
        assert_eq!(judge(&known, Span::from_minutes(14)), Progress::Waiting);
        assert_eq!(judge(&known, Span::from_minutes(15)), Progress::NoEffect);
    }

    fn pending(action: Action) -> Pending {
        Pending {
            step_id: "s".to_owned(),
            action,
            sent: SENT,
            is_uncertain: false,
            expected_mailbox: Some("MBX:1".to_owned()),
        }
    }

    fn unlicensed(mut known: KnownUser) -> KnownUser {
        known.user.licenses = Some(Vec::new());
        known.user.plans.clear();
        known
    }

    #[test]
    fn a_request_that_may_never_have_arrived_is_not_waited_for() {
        let known = unlicensed(licensed(None, Span::ZERO));
        let uncertain = Pending { is_uncertain: true, ..pending(Action::PLAIN_RESTORE) };
        let deleted = KnownUser { presence: Presence::Deleted { since: SENT }, ..known };
        let observed = SENT + Span::from_minutes(1);
        assert_eq!(verify(&uncertain, &deleted, &catalog(), observed), Progress::NoEffect);
        assert_eq!(
            verify(&pending(Action::PLAIN_RESTORE), &deleted, &catalog(), observed),
            Progress::Waiting
        );
    }

    #[test]
    fn a_mailbox_that_answers_before_its_plan_is_usable_answers_for_another_reason() {
        let mut known = licensed(reachable("MBX:1"), Span::from_hours(1));
        known.user.plans.clear();
        assert_eq!(judge(&known, Span::from_hours(1)), Progress::Waiting);
        assert_eq!(verdict(&judge(&known, Span::from_hours(24))), Some(Verdict::Stuck));
    }

    #[test]
    fn a_group_may_take_a_day_to_hand_out_its_licence() {
        let group = crate::model::GroupId::from_u128(7);
        let request = pending(Action::AddToGroup { group });
        let mut known = unlicensed(licensed(None, Span::ZERO));
        let judge =
            |known: &KnownUser, hours| verify(&request, known, &catalog(), SENT + Span::from_hours(hours));
        assert_eq!(judge(&known, 1), Progress::NoEffect, "not even a member");
        known.groups.insert(group);
        assert_eq!(judge(&known, 23), Progress::Waiting);
        assert_eq!(verdict(&judge(&known, 24)), Some(Verdict::Stuck));
        let mut arrived = licensed(reachable("MBX:1"), Span::from_hours(30));
        arrived.groups.insert(group);
        assert_eq!(verdict(&judge(&arrived, 30)), Some(Verdict::Verified));
    }

    #[test]
    fn a_group_that_cannot_give_its_licence_is_the_next_drift() {
        let group = GroupId::from_u128(7);
        let mut known = unlicensed(licensed(None, Span::ZERO));
        known.groups.insert(group);
        known.user.assignments = vec![crate::model::LicenseAssignment {
            sku: SKU,
            disabled_plans: BTreeSet::new(),
            by_group: Some(group),
            state: "Error".to_owned(),
            error: Some("CountViolation".to_owned()),
            updated: None,
        }];
        let judge = |action: Action, known: &KnownUser, minutes| {
            verify(&pending(action), known, &catalog(), SENT + Span::from_minutes(minutes))
        };
        let add = Action::AddToGroup { group };
        assert_eq!(judge(add.clone(), &known, 14), Progress::Waiting, "it may be the error of before");
        assert_eq!(judge(add, &known, 15), Progress::StepDone);
        let again = Action::ReprocessLicenses { group, sku: SKU, part_number: "SPE_E3".to_owned() };
        assert_eq!(judge(again.clone(), &known, 15), Progress::NoEffect);
        let arrived = licensed(reachable("MBX:1"), Span::from_minutes(20));
        assert_eq!(verdict(&judge(again, &arrived, 20)), Some(Verdict::Verified), "proved like any licence");
    }

    #[test]
    fn a_restored_user_without_a_licence_is_the_next_drift_and_a_shared_mailbox_is_done() {
        let mut known = unlicensed(licensed(reachable("MBX:1"), Span::from_minutes(10)));
        let restore = pending(Action::PLAIN_RESTORE);
        let judge = |known: &KnownUser, minutes| {
            verify(&restore, known, &catalog(), SENT + Span::from_minutes(minutes))
        };
        assert_eq!(judge(&known, 10), Progress::Waiting, "the licences may come a little later");
        assert_eq!(judge(&known, 15), Progress::StepDone);
        known.mailbox.kind = Some(MailboxKind::Shared);
        assert_eq!(verdict(&judge(&known, 10)), Some(Verdict::Verified));
    }

    #[test]
    fn a_usage_location_is_done_when_it_is_there() {
        let mut known = unlicensed(licensed(None, Span::ZERO));
        let request = pending(Action::SetUsageLocation { location: "NO".to_owned() });
        let observed = SENT + Span::from_minutes(20);
        assert_eq!(verify(&request, &known, &catalog(), observed), Progress::NoEffect);
        known.user.usage_location = Some("NO".to_owned());
        assert_eq!(verify(&request, &known, &catalog(), observed), Progress::StepDone);
    }
}
