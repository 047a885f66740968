//! Plans doctored one promise at a time: the separate checker must name the promise.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::*;
use crate::diff::tests::world::{E5, ENTERPRISE, GROUP, TEAMS};
use crate::model::Surroundings;
use crate::model::{
    AssignedPlan, CapabilityStatus, GroupId, License, Loss, MailboxMemory, Presence, Remembered, Sku,
    SkuPlan, Undone, User, UserType,
};
use crate::policy::Policy;

const POLICY: &str = r#"version: 1
offboarded:
  - { match: { department: left }, reason: left }
keep:
  - { name: asked, match: { department: asked }, licenses: [SPE_E3], on_license_lost: ask }
  - { name: reported, match: { department: reported }, licenses: [SPE_E3], on_license_lost: report }
  - { name: staff, match: { department: staff }, licenses: [SPE_E3], on_license_lost: act, on_deleted: act, usage_location: NO }
limits: { per_pass: 3, per_day: 5, floor: 5, share: 1%, seats_reserved: { SPE_E3: 1 } }
"#;

/// Users 1 to 3 lost their licence, 4 was deleted, 5 waits for an answer, 6 is reported, 7 has left.
pub fn sample() -> World {
    let plan = |id| SkuPlan { id, name: String::new(), applies_to: "User".to_owned() };
    let sku = |id, name: &str| Sku {
        id,
        part_number: name.to_owned(),
        capability_status: "Enabled".to_owned(),
        consumed: 0,
        units: Units { enabled: 4, ..Units::default() },
        plans: vec![plan(ENTERPRISE), plan(TEAMS)],
    };
    let user = |number: u128, department: &str| {
        let mut user = User::new(UserId::from_u128(number), format!("user{number}@contoso.com"));
        user.user_type = UserType::Member;
        user.department = Some(department.to_owned());
        user.account_enabled = Some(true);
        user.usage_location = Some("NO".to_owned());
        user.licenses = Some(Vec::new());
        user.plans =
            vec![AssignedPlan { plan: ENTERPRISE, status: CapabilityStatus::Deleted, assigned: None }];
        let is_deleted = number == 4;
        let lost = NOW - Span::from_hours(10);
        let license = License { sku: E3, disabled_plans: BTreeSet::from([TEAMS]) };
        KnownUser {
            user,
            presence: if is_deleted { Presence::Deleted { since: lost } } else { Presence::Live },
            groups: BTreeSet::new(),
            groups_read: BTreeSet::from([GROUP]),
            mailbox: MailboxMemory::default(),
            remembered: Some(Remembered { licenses: vec![license], assignments: Vec::new() }),
            loss: (!is_deleted).then_some(Loss {
                last_with: Some(lost),
                noticed: lost,
                hint: None,
                had_mailbox_plan: true,
            }),
        }
    };
    let departments = ["staff", "staff", "staff", "staff", "asked", "reported", "left"];
    let users = departments.iter().enumerate().map(|(index, department)| {
        let number = index as u128 + 1;
        (UserId::from_u128(number), user(number, department))
    });
    World {
        policy: Policy::parse("policy.yaml", POLICY).expect("the policy is good"),
        catalog: [sku(E3, "SPE_E3"), sku(E5, "SPE_E5")].into_iter().collect(),
        users: users.collect(),
        surroundings: Surroundings::default(),
        histories: Vec::new(),
        sent_last_day: 0,
        kept: 6,
        in_flight: BTreeMap::new(),
    }
}

/// The sample with drifts that stood long enough.
fn setting() -> Setting {
    let mut setting = Setting::of(sample());
    let entry = |drift: &Drift| {
        let entry = LedgerEntry::opened(drift.kind, NOW - Span::from_hours(9));
        (drift.user, LedgerEntry { sightings: 2, ..entry })
    };
    setting.ledger = setting.drifts.iter().map(entry).collect();
    setting
}

/// The promise that the checker names, `None` when it is content.
fn caught(plan: &Plan, setting: &Setting, input: &Input<'_>) -> Option<String> {
    let verdict = catch_unwind(AssertUnwindSafe(|| check::check(plan, input, &setting.world.users)));
    match verdict {
        Ok(is_good) => {
            assert!(is_good, "in a debug build a broken promise panics");
            None
        }
        Err(panic) => {
            let text = panic.downcast_ref::<String>().expect("the panic carries a text");
            Some(text.split(' ').next().unwrap_or_default().to_owned())
        }
    }
}

/// Plans the sample, doctors the plan, and returns what the checker says.
fn doctored(doctor: impl FnOnce(&mut Plan)) -> Option<String> {
    let setting = setting();
    let mut plan = plan(&setting.input());
    doctor(&mut plan);
    caught(&plan, &setting, &setting.input())
}

/// Plans the sample, and checks the plan against facts that the planner did not have.
fn ignored(change: impl FnOnce(&mut Setting)) -> Option<String> {
    let mut setting = setting();
    let plan = plan(&setting.input());
    change(&mut setting);
    caught(&plan, &setting, &setting.input())
}

fn first(setting: &mut Setting) -> &mut LedgerEntry {
    setting.ledger.values_mut().next().expect("there are drifts")
}

/// Turns a waiting drift into a step, as a careless planner would.
fn push(plan: &mut Plan, number: u128) {
    let user = UserId::from_u128(number);
    plan.waiting.retain(|waiting| waiting.user != user);
    let rule = ["staff", "staff", "staff", "staff", "asked", "reported", "staff"][number as usize - 1];
    plan.steps.pop().inspect(|dropped| {
        plan.waiting.push(Waiting {
            user: dropped.user,
            upn: dropped.upn.clone(),
            drift: dropped.drift,
            rule: None,
            reason: Reason::LimitPerPass,
            until: None,
            deadline: None,
            act_by: None,
            detail: None,
        });
    });
    let step = Step { user, rule: rule.to_owned(), ..plan.steps[0].clone() };
    plan.steps.push(step);
}

#[test]
fn an_honest_plan_passes() {
    let setting = setting();
    let plan = plan(&setting.input());
    assert_eq!(users(&plan.steps).len(), 3);
    assert_eq!(caught(&plan, &setting, &setting.input()), None);
}

#[test]
fn a_step_for_somebody_whom_no_rule_names_or_allows_is_caught() {
    let safe1 = Some("SAFE-1".to_owned());
    assert_eq!(doctored(|plan| push(plan, 7)), safe1, "off-boarded");
    assert_eq!(doctored(|plan| push(plan, 6)), safe1, "report only");
    assert_eq!(doctored(|plan| push(plan, 5)), safe1, "nobody was asked");
    assert_eq!(doctored(|plan| plan.steps[0].rule = "asked".to_owned()), safe1, "another rule");
    assert_eq!(ignored(|setting| setting.drifts[0].blocked = Some(Reason::Duplicate)), safe1, "blocked");
    let repairs = vec![NOW - Span::from_days(2), NOW - Span::from_days(1)];
    assert_eq!(ignored(|setting| first(setting).repaired = repairs), safe1, "undone again");
    assert_eq!(ignored(undone_since(None)), safe1, "undone again before it was proved");
    let early = NOW - Span::from_hours(3);
    assert_eq!(ignored(undone_since(Some(early))), safe1, "the answer was to an earlier question");
    assert_eq!(ignored(undone_since(Some(NOW))), None);
    let no = |setting: &mut Setting| {
        let answer = Answer {
            granted: false,
            at: NOW,
            by: String::new(),
            digest: String::new(),
            reason: Reason::MassEvent,
            users: setting.drifts.iter().map(|drift| drift.user).collect(),
        };
        setting.answers.insert("mass".to_owned(), answer);
    };
    assert_eq!(ignored(no), safe1, "a person said no");
}

/// The first user was undone twice, two hours ago the last time; a person may have allowed a repair.
fn undone_since(allowed: Option<Timestamp>) -> impl FnOnce(&mut Setting) {
    move |setting| {
        let user = *setting.ledger.keys().next().expect("there are drifts");
        let undone = |hours| Undone {
            at: NOW - Span::from_hours(hours),
            sent: NOW - Span::from_hours(hours + 1),
            action: Action::PLAIN_RESTORE,
            seen: None,
        };
        first(setting).undone = vec![undone(6), undone(2)];
        let answer = allowed.map(|at| Answer {
            granted: true,
            at,
            by: String::new(),
            digest: String::new(),
            reason: Reason::Flapping,
            users: BTreeSet::from([user]),
        });
        setting.answers.extend(answer.map(|answer| ("undone".to_owned(), answer)));
    }
}

#[test]
fn more_than_a_limit_is_caught() {
    let safe2 = Some("SAFE-2".to_owned());
    let limits = |setting: &mut Setting| setting.world.policy.limits.per_pass = 2;
    assert_eq!(ignored(limits), safe2, "per pass");
    assert_eq!(ignored(|setting| setting.world.sent_last_day = 3), safe2, "per day");
    let share = |setting: &mut Setting| {
        setting.world.policy.limits.per_day = 100;
        setting.world.sent_last_day = 3;
    };
    assert_eq!(ignored(share), safe2, "share of the kept mailboxes");
}

#[test]
fn a_seat_that_is_not_there_is_caught() {
    let safe5 = Some("SAFE-5".to_owned());
    let reserve = |setting: &mut Setting| {
        setting.world.policy.limits.seats_reserved = BTreeMap::from([(E3.to_string(), 2)]);
    };
    assert_eq!(ignored(reserve), safe5, "a reserve that is written as an id");
    assert_eq!(ignored(|setting| setting.world.in_flight = BTreeMap::from([(E3, 1)])), safe5, "in flight");
    let suspended = |setting: &mut Setting| {
        let skus = setting.world.catalog.iter().cloned();
        let suspended = |sku| Sku { capability_status: "Suspended".to_owned(), ..sku };
        setting.world.catalog = skus.map(suspended).collect();
    };
    assert_eq!(ignored(suspended), safe5, "of an ended subscription");
}

#[test]
fn a_step_that_nothing_believable_stands_behind_is_caught() {
    let safe4 = Some("SAFE-4".to_owned());
    let setting = setting();
    let plan = plan(&setting.input());
    let closed = Input { closed: Some(Reason::ObservationRejected), ..setting.input() };
    assert_eq!(caught(&plan, &setting, &closed), safe4, "a rejected observation");
    assert_eq!(ignored(|setting| first(setting).sightings = 1), safe4, "one observation");
    assert_eq!(ignored(|setting| first(setting).first_seen = NOW), safe4, "not settled");
    let later = Some(NOW + Span::from_hours(1));
    assert_eq!(ignored(|setting| first(setting).next_attempt = later), safe4, "backing off");
    assert_eq!(ignored(|setting| setting.ledger.clear()), safe4, "never seen");
}

#[test]
fn a_drift_that_is_lost_or_counted_twice_is_caught() {
    let live3 = Some("LIVE-3".to_owned());
    assert_eq!(doctored(|plan| drop(plan.waiting.pop())), live3, "lost");
    assert_eq!(doctored(|plan| plan.waiting.push(plan.waiting[0].clone())), live3, "waits twice");
}

fn reprocess(sku: crate::model::SkuId) -> Action {
    Action::ReprocessLicenses { group: GROUP, sku, part_number: String::new() }
}

/// The sample, licensed by a group that could not give its licence to user 1 for this reason.
fn in_group(error: &str) -> Setting {
    let mut setting = setting();
    let by_group =
        POLICY.replace("on_deleted: act,", &format!("on_deleted: act, assign: {{ group: {GROUP} }},"));
    setting.world.policy = Policy::parse("policy.yaml", &by_group).expect("the policy is good");
    let known = setting.world.users.get_mut(&UserId::from_u128(1)).expect("user 1 is there");
    known.groups = BTreeSet::from([GROUP]);
    known.user.assignments = vec![crate::model::LicenseAssignment {
        sku: E3,
        disabled_plans: BTreeSet::new(),
        by_group: Some(GROUP),
        state: "Error".to_owned(),
        error: Some(error.to_owned()),
        updated: None,
    }];
    setting.drifts = setting.world.drifts_at(NOW);
    setting
}

#[test]
fn group_licensing_tries_again_only_where_that_can_help_and_takes_a_seat() {
    let is_retried = |plan: &Plan| plan.steps.iter().any(|step| step.action.label() == "reprocess_licenses");
    let good = in_group("CountViolation");
    let plan_of = |setting: &Setting| plan(&setting.input());
    assert!(is_retried(&plan_of(&good)));
    assert_eq!(caught(&plan_of(&good), &good, &good.input()), None);
    let mut full = in_group("CountViolation");
    full.world.in_flight = BTreeMap::from([(E3, 1)]);
    assert_eq!(caught(&plan_of(&good), &full, &full.input()), Some("SAFE-5".to_owned()), "no seat left");
    for error in ["MutuallyExclusiveViolation", "Other"] {
        let bad = in_group(error);
        assert!(!is_retried(&plan_of(&bad)), "{error}");
        let mut careless = good.drifts.clone();
        careless.retain(|drift| drift.user == UserId::from_u128(1));
        let input = Input { drifts: &careless, ..bad.input() };
        assert_eq!(caught(&plan(&input), &bad, &input), Some("SAFE-8".to_owned()), "{error}");
    }
}

#[test]
fn an_action_that_nobody_asked_for_is_caught() {
    let safe8 = Some("SAFE-8".to_owned());
    let action = |action: Action| doctored(|plan| plan.steps[0].action = action);
    let assign = |sku, disabled: &[crate::model::PlanId], takes_seat| Action::AssignLicense {
        sku,
        part_number: String::new(),
        disabled_plans: disabled.iter().copied().collect(),
        takes_seat,
    };
    assert_eq!(action(assign(E3, &[], true)), safe8, "switches on what a person switched off");
    assert_eq!(action(assign(E5, &[TEAMS], true)), safe8, "a product that the rule does not name");
    assert_eq!(action(assign(E3, &[TEAMS, ENTERPRISE], true)), safe8, "without the mailbox");
    assert_eq!(action(assign(E3, &[TEAMS], false)), safe8, "a seat that is not counted");
    assert_eq!(action(Action::AddToGroup { group: GroupId::from_u128(9) }), safe8, "another group");
    assert_eq!(action(reprocess(E3)), safe8, "licences that no group gives");
    assert_eq!(action(Action::SetUsageLocation { location: "NO".to_owned() }), safe8, "there is one already");
    assert_eq!(action(Action::PLAIN_RESTORE), safe8, "a restore of a live account");
}

#[test]
fn a_restore_beyond_what_the_rule_allows_is_caught() {
    let rule = |restore: &str| {
        format!("version: 1\nkeep: [{{ name: staff, match: {{ user_type: member }}, {restore} }}]\n")
    };
    let known = |presence| KnownUser { presence, ..sample().users[&UserId::from_u128(1)].clone() };
    let deleted = known(Presence::Deleted { since: Timestamp::from_secs(9) });
    let local = deleted.user.upn.split('@').next().expect("a name").to_owned();
    let renamed =
        |name: &str| RestoreOptions { new_upn: Some(name.to_owned()), drops_taken_addresses: false };
    let drops = RestoreOptions { new_upn: None, drops_taken_addresses: true };
    let is_allowed = |restore: &str, options: &RestoreOptions| {
        let policy = Policy::parse("policy.yaml", &rule(restore)).expect("a good policy");
        crate::plan::check::is_restore_of_rule(options, &policy.keep[0], &deleted)
    };
    let both = "on_deleted: act, restore: { drop_taken_addresses: true, upn_if_taken: \"*-x@contoso.com\" }";
    let right = format!("{local}-x@contoso.com");
    for (restore, options, expected) in [
        ("on_deleted: act", RestoreOptions::PLAIN, true),
        ("on_deleted: act", drops.clone(), false),
        ("on_deleted: act", renamed(&right), false),
        (both, RestoreOptions::PLAIN, true),
        (both, drops, true),
        (both, renamed(&right), true),
        (both, renamed("other-x@contoso.com"), false),
    ] {
        assert_eq!(is_allowed(restore, &options), expected, "{restore} {options:?}");
    }
}
