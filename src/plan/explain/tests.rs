//! One golden text a situation: what an administrator reads at three in the morning.

use std::collections::BTreeSet;

use super::*;
use crate::model::{
    Action, Ask, AssignedPlan, Attempt, CapabilityStatus, GroupId, Loss, MAILBOX_PLANS, MailboxKind,
    MailboxMemory, OutcomeKind, Pending, Probe, Remembered, Replaced, RestoreOptions, Sku, SkuId, SkuPlan,
    Span, Step, Undone, Units, User, UserId, UserType, Verdict, Waiting,
};

/// 2026-11-23 12:00 UTC.
const NOW: Timestamp = Timestamp::from_secs(1_795_435_200);
const E3: SkuId = SkuId::from_u128(0x05e9);
const BOSSES: GroupId = GroupId::from_u128(0x0c0f);

const POLICY: &str = r#"version: 1
offboarded:
  - match: { employee_type: leaver }
    reason: leavers are released by HR
protected:
  - match: { upn: "breakglass*" }
    reason: break-glass account
keep:
  - name: bosses
    match: { group: 00000000-0000-0000-0000-000000000c0f }
    licenses: [SPE_E3]
    on_license_lost: act
    on_deleted: ask
    settle: 30m
  - name: staff
    match: { mail: "*@contoso.com" }
    licenses: [SPE_E3]
    on_license_lost: act
    on_deleted: report
    settle: 2h
"#;

fn hours(count: i64) -> Span {
    Span::from_hours(count)
}

fn catalog() -> Catalog {
    let plan = SkuPlan { id: MAILBOX_PLANS[1].0, name: "P2".to_owned(), applies_to: "User".to_owned() };
    let units = Units { enabled: 5, ..Units::default() };
    let sku = Sku {
        id: E3,
        part_number: "SPE_E3".to_owned(),
        capability_status: "Enabled".to_owned(),
        consumed: 1,
        units,
        plans: vec![plan],
    };
    std::iter::once(sku).collect()
}

fn license() -> License {
    License { sku: E3, disabled_plans: BTreeSet::new() }
}

/// A licensed member of the staff whose mailbox answers.
fn healthy() -> KnownUser {
    let mut user = User::new(UserId::from_u128(1), "anna@contoso.com");
    user.display_name = Some("Anna Berg".to_owned());
    user.mail = Some("anna@contoso.com".to_owned());
    user.user_type = UserType::Member;
    user.account_enabled = Some(true);
    user.usage_location = Some("NO".to_owned());
    user.licenses = Some(vec![license()]);
    let assigned = Some(NOW - Span::from_days(400));
    user.plans = vec![AssignedPlan { plan: MAILBOX_PLANS[1].0, status: CapabilityStatus::Enabled, assigned }];
    let answer =
        ProbeAnswer::Reachable { kind: MailboxKind::User, primary_id: Some("MBX:1@contoso".to_owned()) };
    KnownUser {
        user,
        presence: Presence::Live,
        groups: BTreeSet::new(),
        groups_read: BTreeSet::from([BOSSES]),
        mailbox: MailboxMemory {
            kind: Some(MailboxKind::User),
            primary_id: Some("MBX:1@contoso".to_owned()),
            last_probe: Some(Probe { at: NOW - hours(30), answer }),
        },
        remembered: Some(Remembered { licenses: vec![license()], assignments: Vec::new() }),
        loss: None,
    }
}

/// The licence was lost between three hours and ten minutes and three hours ago.
fn unlicensed() -> KnownUser {
    let mut known = healthy();
    known.user.licenses = Some(Vec::new());
    known.user.plans[0].status = CapabilityStatus::Deleted;
    known.loss = Some(Loss {
        last_with: Some(NOW - hours(3) - Span::from_minutes(10)),
        noticed: NOW - hours(3),
        hint: None,
        had_mailbox_plan: true,
    });
    known
}

fn deleted() -> KnownUser {
    KnownUser { presence: Presence::Deleted { since: NOW - Span::from_days(20) }, ..healthy() }
}

fn seen(drift: DriftKind) -> LedgerEntry {
    LedgerEntry { sightings: 18, ..LedgerEntry::opened(drift, NOW - hours(3)) }
}

fn assign() -> Action {
    Action::AssignLicense {
        sku: E3,
        part_number: "SPE_E3".to_owned(),
        disabled_plans: BTreeSet::new(),
        takes_seat: true,
    }
}

fn planned(known: &KnownUser) -> Plan {
    let step = Step {
        id: "s".to_owned(),
        user: known.id(),
        upn: known.user.upn.clone(),
        drift: DriftKind::Unlicensed,
        rule: "staff".to_owned(),
        action: assign(),
        deadline: None,
        act_by: None,
        attempt: 1,
    };
    Plan { steps: vec![step], ..Plan::default() }
}

fn waiting(known: &KnownUser, reason: Reason, until: Option<Timestamp>, detail: Option<&str>) -> Plan {
    let waiting = Waiting {
        user: known.id(),
        upn: known.user.upn.clone(),
        drift: DriftKind::Unlicensed,
        rule: Some("staff".to_owned()),
        reason,
        until,
        deadline: None,
        act_by: None,
        detail: detail.map(str::to_owned),
    };
    Plan { waiting: vec![waiting], ..Plan::default() }
}

/// What is known beside the user itself.
#[derive(Default)]
struct Beside {
    entry: Option<LedgerEntry>,
    plan: Option<Plan>,
    stopped: Option<Reason>,
    same_address: Option<OtherAccount>,
    past: Vec<Past>,
    policy_failed: bool,
    /// Texts of the policy, and what stands there instead.
    policy_with: &'static [(&'static str, &'static str)],
}

fn told(known: &KnownUser, beside: Beside) -> String {
    let text = beside.policy_with.iter().fold(POLICY.to_owned(), |text, (old, new)| text.replace(old, new));
    let mut policy = Policy::parse("policy.yaml", &text).expect("a good policy");
    policy.revision = Some("9c41e07d2b8a9c41e07d2b8a9c41e07d2b8a9c41".to_owned());
    let catalog = catalog();
    let mut surroundings = Surroundings::default();
    if let Some(other) = &beside.same_address {
        let mut user = User::new(other.id, other.upn.clone());
        user.proxy_addresses = other.shared.iter().map(|address| format!("smtp:{address}")).collect();
        let other = KnownUser { user, presence: other.presence.clone(), ..known.clone() };
        assert!(surroundings.note(&other, known));
    }
    let facts = Facts {
        now: NOW,
        policy: &policy,
        policy_failed: beside.policy_failed,
        known,
        entry: beside.entry.as_ref(),
        catalog: &catalog,
        surroundings: &surroundings,
        same_address: beside.same_address,
        last_complete: Some(NOW - Span::from_minutes(4)),
        plan: beside.plan.as_ref(),
        stopped: beside.stopped,
        past: beside.past,
    };
    let explanation = explain(&facts);
    assert_eq!(explanation, explain(&facts), "the same facts give the same document");
    explanation.to_text()
}

#[test]
fn healthy_mailbox() {
    insta::assert_snapshot!(told(&healthy(), Beside::default()));
}

#[test]
fn healthy_again_and_proof_awaited() {
    let pending = Pending {
        step_id: "s".to_owned(),
        action: assign(),
        sent: NOW - hours(1),
        is_uncertain: false,
        expected_mailbox: Some("MBX:1@contoso".to_owned()),
    };
    let entry = LedgerEntry { pending: Some(pending), resolved: Some(NOW), ..seen(DriftKind::Unlicensed) };
    insta::assert_snapshot!(told(&healthy(), Beside { entry: Some(entry), ..Beside::default() }));
}

#[test]
fn repaired_by_others_and_proof_awaited() {
    let healed = Some(NOW - Span::from_minutes(10));
    let entry = LedgerEntry { healed, resolved: healed, ..seen(DriftKind::Deleted) };
    let text = told(&healthy(), Beside { entry: Some(entry), ..Beside::default() });
    assert!(text.starts_with("UNPROVED") || text.contains("\nUNPROVED"), "{text}");
    assert!(text.contains("others repaired it; that the mailbox is the same is not proved yet"), "{text}");
    assert!(text.contains("the proof of the repair (by others, seen 2026-"), "{text}");
}

#[test]
fn licence_lost_and_about_to_be_assigned() {
    let known = unlicensed();
    let past = vec![Past { at: NOW - hours(3), what: "noticed: the mailbox licence is gone".to_owned() }];
    let beside = Beside {
        entry: Some(seen(DriftKind::Unlicensed)),
        plan: Some(planned(&known)),
        past,
        ..Beside::default()
    };
    insta::assert_snapshot!(told(&known, beside));
}

#[test]
fn licence_lost_in_observe_mode_with_a_bad_new_policy() {
    let known = unlicensed();
    let beside = Beside {
        entry: Some(seen(DriftKind::Unlicensed)),
        plan: Some(planned(&known)),
        stopped: Some(Reason::ObserveMode),
        policy_failed: true,
        ..Beside::default()
    };
    insta::assert_snapshot!(told(&known, beside));
}

#[test]
fn licence_lost_and_settling() {
    let known = unlicensed();
    let plan = waiting(&known, Reason::Settling, Some(NOW + Span::from_minutes(40)), None);
    let beside = Beside { entry: Some(seen(DriftKind::Unlicensed)), plan: Some(plan), ..Beside::default() };
    insta::assert_snapshot!(told(&known, beside));
}

#[test]
fn refused_and_a_person_must_act() {
    let known = unlicensed();
    let mut entry = seen(DriftKind::Unlicensed);
    entry.attempts = vec![Attempt {
        at: NOW - hours(1),
        action: assign(),
        outcome: Some(OutcomeKind::Refused),
        detail: "400 Request_BadRequest".to_owned(),
    }];
    entry.next_attempt = Some(NOW + hours(23));
    let said = "Graph said 400 Request_BadRequest; it is not known why: a person looks at the account";
    let plan = waiting(&known, Reason::Refused, Some(NOW + hours(23)), Some(said));
    insta::assert_snapshot!(told(
        &known,
        Beside { entry: Some(entry), plan: Some(plan), ..Beside::default() }
    ));
}

#[test]
fn undone_twice_and_a_person_asked() {
    let known = unlicensed();
    let mut entry = seen(DriftKind::Unlicensed);
    entry.repaired = vec![NOW - Span::from_days(2)];
    let undone = |seen| Undone { at: NOW - hours(1), sent: NOW - hours(2), action: assign(), seen };
    entry.undone = vec![undone(Some(NOW - Span::from_minutes(100))), undone(None)];
    let plan = waiting(&known, Reason::Flapping, None, Some("3 repairs did not last"));
    let beside = Beside { entry: Some(entry), plan: Some(plan), ..Beside::default() };
    insta::assert_snapshot!(told(&known, beside));
}

#[test]
fn healthy_after_a_mailbox_was_lost_once() {
    let replaced = Replaced {
        at: NOW - Span::from_days(3),
        lost: "MBX:0@contoso".to_owned(),
        by: "MBX:1@contoso".to_owned(),
    };
    let entry = LedgerEntry {
        resolved: Some(NOW),
        last_verdict: Some(Verdict::Verified),
        replaced: Some(replaced),
        ..seen(DriftKind::Unlicensed)
    };
    insta::assert_snapshot!(told(&healthy(), Beside { entry: Some(entry), ..Beside::default() }));
}

#[test]
fn no_seat_left_and_the_loss_never_observed() {
    let mut known = unlicensed();
    known.loss = Some(Loss { last_with: None, noticed: NOW - hours(3), hint: None, had_mailbox_plan: true });
    let plan = waiting(&known, Reason::NoSeat, None, Some("the deadline is not known"));
    let beside = Beside { entry: Some(seen(DriftKind::Unlicensed)), plan: Some(plan), ..Beside::default() };
    insta::assert_snapshot!(told(&known, beside));
}

#[test]
fn account_deleted_and_a_person_asked() {
    let mut known = deleted();
    known.groups = BTreeSet::from([BOSSES]);
    let mut plan = waiting(&known, Reason::Ask, None, None);
    plan.asks = vec![Ask {
        id: "1f9f0c9b2e01".to_owned(),
        reason: Reason::Ask,
        users: vec![known.id()],
        question: "restore?".to_owned(),
        opened: NOW,
        act_by: None,
    }];
    let beside = Beside { entry: Some(seen(DriftKind::Deleted)), plan: Some(plan), ..Beside::default() };
    insta::assert_snapshot!(told(&known, beside));
}

#[test]
fn account_deleted_and_its_address_taken() {
    let known = deleted();
    let other = OtherAccount {
        id: UserId::from_u128(2),
        upn: "anna.berg@contoso.com".to_owned(),
        presence: Presence::Live,
        shared: vec!["anna@contoso.com".to_owned()],
        has_same_name: false,
    };
    let plan = waiting(&known, Reason::Duplicate, None, None);
    let beside = Beside {
        entry: Some(seen(DriftKind::Deleted)),
        plan: Some(plan),
        same_address: Some(other),
        ..Beside::default()
    };
    insta::assert_snapshot!(told(&known, beside));
}

#[test]
fn account_deleted_and_about_to_be_restored_beside_the_one_that_took_its_place() {
    let known = deleted();
    let other = OtherAccount {
        id: UserId::from_u128(2),
        upn: known.user.upn.clone(),
        presence: Presence::Live,
        shared: vec![known.user.upn.clone()],
        has_same_name: true,
    };
    let new_upn = Some("anna-restored@contoso.com".to_owned());
    let options = RestoreOptions { new_upn, drops_taken_addresses: true };
    let mut plan = planned(&known);
    plan.steps[0].action = Action::Restore(options);
    let beside = Beside {
        entry: Some(seen(DriftKind::Deleted)),
        plan: Some(plan),
        same_address: Some(other),
        policy_with: &[
            ("mail: \"*@contoso.com\"", "domain: contoso.com"),
            (
                "on_deleted: report",
                "on_deleted: act\n    restore: { drop_taken_addresses: true, upn_if_taken: \"*-restored@contoso.com\" }",
            ),
        ],
        ..Beside::default()
    };
    insta::assert_snapshot!(told(&known, beside));
}

#[test]
fn synchronised_account_deleted() {
    let mut known = deleted();
    known.user.on_premises_synced = true;
    insta::assert_snapshot!(told(&known, Beside::default()));
}

#[test]
fn limit_passed() {
    let mut known = unlicensed();
    known.loss = Some(Loss {
        last_with: Some(NOW - Span::from_days(31)),
        noticed: NOW - Span::from_days(31) + Span::from_minutes(10),
        hint: None,
        had_mailbox_plan: true,
    });
    insta::assert_snapshot!(told(&known, Beside::default()));
}

#[test]
fn leaver_deleted_and_left_alone() {
    let mut known = deleted();
    known.user.employee_type = Some("Leaver".to_owned());
    insta::assert_snapshot!(told(&known, Beside::default()));
}

#[test]
fn protected_account_without_a_licence() {
    let mut known = unlicensed();
    known.user.upn = "breakglass1@contoso.com".to_owned();
    insta::assert_snapshot!(told(&known, Beside::default()));
}

#[test]
fn no_rule_names_a_guest() {
    let mut known = healthy();
    known.user.user_type = UserType::Guest;
    insta::assert_snapshot!(told(&known, Beside::default()));
}

#[test]
fn membership_not_known() {
    let mut known = unlicensed();
    known.groups_read = BTreeSet::new();
    insta::assert_snapshot!(told(&known, Beside::default()));
}

#[test]
fn a_purged_account_is_in_exchange_for_a_month_unless_its_licence_went_first() {
    let noticed = NOW - Span::from_days(3);
    let purged = |known: KnownUser| KnownUser { presence: Presence::Gone { noticed }, ..known };
    let kept = told(&purged(healthy()), Beside::default());
    assert!(
        kept.contains("Exchange keeps the mailbox until 2026-12-20 12:00 UTC at the latest, in 27d"),
        "{kept}"
    );
    assert!(kept.contains("Undo-SoftDeletedMailbox"), "{kept}");
    let nothing = told(&purged(unlicensed()), Beside::default());
    assert!(nothing.contains("the licence had been removed before"), "{nothing}");
    for text in [kept, nothing] {
        assert!(!text.contains("nothing is lost by waiting"), "{text}");
    }
}
