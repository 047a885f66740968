//! What must hold for every plan, whatever the tenant; and that the separate checker sees each promise broken.

mod checker;

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::diff::tests::world::{E3, NOW, World, world};
use crate::model::{DriftKind, KnownUser, LossClock, RestoreOptions, RuleRef, Span, Units};
use crate::policy::Ruling;

/// The parts that an [`Input`] borrows.
struct Setting {
    world: World,
    drifts: Vec<Drift>,
    ledger: BTreeMap<UserId, LedgerEntry>,
    answers: BTreeMap<String, Answer>,
}

impl Setting {
    fn of(world: World) -> Self {
        let drifts = world.drifts_at(NOW);
        let ledger = world.ledger(&drifts);
        Self { world, drifts, ledger, answers: BTreeMap::new() }
    }

    /// Every question is answered, some with yes; a mass event, too.
    fn answered(world: World, yes: &[bool]) -> Self {
        let mut setting = Self::of(world);
        let asks = plan(&setting.input()).asks;
        for (ask, granted) in asks.into_iter().zip(yes.iter().copied().cycle()) {
            let answer = Answer {
                granted,
                at: NOW,
                by: "an administrator".to_owned(),
                digest: String::new(),
                reason: ask.reason,
                users: ask.users.iter().copied().collect(),
            };
            setting.answers.insert(ask.id, answer);
        }
        setting
    }

    fn input(&self) -> Input<'_> {
        Input {
            now: NOW,
            policy: &self.world.policy,
            drifts: &self.drifts,
            ledger: &self.ledger,
            catalog: &self.world.catalog,
            kept: self.world.kept,
            sent_last_day: self.world.sent_last_day,
            in_flight: &self.world.in_flight,
            answers: &self.answers,
            closed: None,
            standing_ask: None,
        }
    }
}

fn settings() -> impl Strategy<Value = Setting> {
    (world(), proptest::collection::vec(any::<bool>(), 1..4), any::<bool>()).prop_map(
        |(world, yes, is_answered)| {
            if is_answered { Setting::answered(world, &yes) } else { Setting::of(world) }
        },
    )
}

impl std::fmt::Debug for Setting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:#?}", self.input())
    }
}

fn users(steps: &[Step]) -> BTreeSet<UserId> {
    steps.iter().map(|step| step.user).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn every_plan_passes_the_separate_checker(setting in settings()) {
        let plan = plan(&setting.input());
        prop_assert!(check::check(&plan, &setting.input(), &setting.world.users));
    }

    #[test]
    fn a_plan_without_some_of_its_steps_is_as_good(setting in settings(), seed in any::<u8>()) {
        let plan = plan(&setting.input());
        let chosen = |user: &UserId| user.as_bytes()[15] % 3 == seed % 3;
        let offenders: BTreeSet<UserId> = users(&plan.steps).into_iter().filter(chosen).collect();
        let rest = without(plan.clone(), &offenders);
        prop_assert!(check::check(&rest, &setting.input(), &setting.world.users));
        prop_assert_eq!(rest.steps.len() + offenders.len(), plan.steps.len());
        let refused = rest.waiting.iter().filter(|waiting| waiting.reason == Reason::Unsafe);
        prop_assert_eq!(refused.map(|waiting| waiting.user).collect::<BTreeSet<_>>(), offenders);
    }

    #[test]
    fn nothing_is_sent_for_a_user_whom_no_rule_names(setting in settings()) {
        for step in plan(&setting.input()).steps {
            let known: &KnownUser = &setting.world.users[&step.user];
            prop_assert!(matches!(setting.world.policy.ruling(known), Ruling::Keep(_)), "{known:?}");
        }
    }

    #[test]
    fn every_drift_ends_exactly_once(setting in settings()) {
        let plan = plan(&setting.input());
        let mut ends: Vec<UserId> = plan.steps.iter().map(|step| step.user).collect();
        ends.extend(plan.waiting.iter().map(|waiting| waiting.user));
        ends.sort_unstable();
        let drifting: Vec<UserId> = setting.drifts.iter().map(|drift| drift.user).collect();
        prop_assert_eq!(ends, drifting);
    }

    #[test]
    fn the_order_of_the_drifts_changes_nothing(setting in settings(), seed in any::<u64>()) {
        let mut shuffled = setting.drifts.clone();
        shuffled.sort_by_key(|drift| (drift.user.as_bytes()[15] as u64).wrapping_mul(seed | 1));
        let plan_of = |drifts| plan(&Input { drifts, ..setting.input() });
        prop_assert_eq!(plan_of(&shuffled), plan_of(&setting.drifts));
    }

    #[test]
    fn a_closed_pass_sends_and_asks_nothing(setting in settings()) {
        let input = Input { closed: Some(Reason::ObservationRejected), ..setting.input() };
        let plan = plan(&input);
        prop_assert!(plan.steps.is_empty() && plan.asks.is_empty() && plan.seats.is_empty());
    }

    #[test]
    fn the_digest_speaks_of_users_and_actions_alone(setting in settings()) {
        let plan = plan(&setting.input());
        let mut later = plan.steps.clone();
        later.reverse();
        for step in &mut later {
            step.id = "another".to_owned();
            step.attempt += 1;
            step.deadline = Some(NOW);
        }
        prop_assert_eq!(digest(&later), plan.digest.clone());
        if !later.is_empty() {
            later[0].action = Action::SetUsageLocation { location: "SE".to_owned() };
            prop_assert_ne!(digest(&later), plan.digest.clone());
            prop_assert_ne!(digest(&plan.steps[1..]), plan.digest);
        }
    }

    #[test]
    fn more_seats_never_take_a_step_from_anybody(setting in settings(), more in 1_i64..5) {
        let mut setting = setting;
        // Limits are another matter: whoever comes first with a new seat uses them up.
        setting.world.policy.limits.per_pass = 1000;
        setting.world.policy.limits.per_day = 1000;
        let before = users(&plan(&setting.input()).steps);
        let mut skus: Vec<_> = setting.world.catalog.iter().cloned().collect();
        for sku in skus.iter_mut().filter(|sku| sku.id == E3) {
            sku.units = Units { enabled: sku.units.enabled + more, ..sku.units };
        }
        setting.world.catalog = skus.into_iter().collect();
        let after = users(&plan(&setting.input()).steps);
        prop_assert!(before.is_subset(&after), "{before:?} {after:?}");
    }

    #[test]
    fn more_seats_never_make_fewer_steps_within_the_limits(setting in settings(), more in 1_i64..5) {
        let mut setting = setting;
        let before = plan(&setting.input()).steps.len();
        let mut skus: Vec<_> = setting.world.catalog.iter().cloned().collect();
        for sku in &mut skus {
            sku.units = Units { enabled: sku.units.enabled + more, ..sku.units };
        }
        setting.world.catalog = skus.into_iter().collect();
        prop_assert!(plan(&setting.input()).steps.len() >= before);
    }

    #[test]
    fn a_no_of_a_person_stops_a_step_and_starts_none(world in world()) {
        let open = users(&plan(&Setting::of(world.clone()).input()).steps);
        let denied = users(&plan(&Setting::answered(world, &[false]).input()).steps);
        let mass = denied.difference(&open).count();
        prop_assert_eq!(mass, 0);
    }

    #[test]
    fn what_is_refused_is_tried_once_a_day_and_once_before_act_by(minutes in -3_000_i64..60_000) {
        let act_by = NOW + Span::from_minutes(minutes);
        let (mut now, mut tries) = (NOW, Vec::new());
        while tries.len() < 10 {
            now = pace::after_refusal(Some(act_by), now);
            tries.push(now);
        }
        let last_try = act_by - Span::from_hours(2);
        prop_assert!(!(NOW < last_try && last_try < now) || tries.contains(&last_try));
        for (number, at) in tries.iter().enumerate() {
            let in_a_day = tries[number + 1..].iter().filter(|next| **next <= *at + Span::from_days(1)).count();
            prop_assert!(in_a_day <= 2 && (in_a_day >= 1 || *at == now), "{tries:?}");
        }
    }

    #[test]
    fn retries_come_closer_as_the_deadline_does_but_not_too_close(
        failures in 0_u32..40, hours in -100_i64..800,
    ) {
        let wait = |act_by| pace::next_attempt(failures, act_by, NOW) - NOW;
        let alone = wait(None);
        let pressed = wait(Some(NOW + Span::from_hours(hours)));
        prop_assert!(pressed <= alone);
        prop_assert!(pressed >= Span::from_minutes(15));
        prop_assert!(failures < 2 || pressed >= Span::from_minutes(30));
        prop_assert!(alone <= Span::from_hours(6));
        let sooner = wait(Some(NOW + Span::from_hours(hours - 1)));
        prop_assert!(sooner <= pressed);
    }
}

/// A drift that can be acted on, with a clock that ends in so many hours.
fn drift(number: u128, act_in: Option<i64>, priority: i32) -> Drift {
    let act_by = act_in.map(|hours| NOW + Span::from_hours(hours));
    Drift {
        user: UserId::from_u128(number),
        upn: format!("user{number}@contoso.com"),
        kind: DriftKind::Deleted,
        cause: crate::model::Cause::AccountDeleted,
        rule: RuleRef { name: "staff".to_owned(), line: 1, file: "policy.yaml".to_owned(), priority },
        clock: LossClock {
            certainty: act_by.map_or(Certainty::Unknown, |_| Certainty::Known),
            earliest: act_by,
            latest: NOW,
            deadline: act_by,
            act_by,
            evidence: Vec::new(),
        },
        response: Response::Act,
        settle: Span::ZERO,
        remedy: Remedy::Restore(RestoreOptions::PLAIN),
        blocked: None,
        detail: None,
    }
}

#[test]
fn unknown_deadlines_come_first_then_days_then_priority() {
    let mut drifts = [
        drift(1, Some(49), 0),
        drift(2, Some(30), 0),
        drift(3, Some(47), 5),
        drift(4, None, 0),
        drift(5, None, 9),
        drift(6, Some(-1), 0),
        drift(7, Some(25), 0),
    ];
    drifts.sort_by_key(|drift| pace::urgency(drift, NOW));
    let order: Vec<UserId> = drifts.iter().map(|drift| drift.user).collect();
    assert_eq!(order, [5, 4, 6, 3, 7, 2, 1].map(UserId::from_u128));
}

#[test]
fn a_step_id_is_new_for_each_attempt_also_when_the_ledger_forgot_the_first_ones() {
    let world = Setting::of(sample());
    let drift = drift(2, Some(40), 0);
    let id_after = |attempts: &[i64]| {
        let attempts = attempts.iter().map(|hours| crate::model::Attempt {
            at: NOW - Span::from_hours(*hours),
            action: Action::PLAIN_RESTORE,
            outcome: None,
            detail: String::new(),
        });
        let first_seen = NOW - Span::from_hours(100);
        let entry =
            LedgerEntry { attempts: attempts.collect(), ..LedgerEntry::opened(drift.kind, first_seen) };
        let ledger = BTreeMap::from([(drift.user, entry)]);
        step(&drift, Action::PLAIN_RESTORE, &Input { ledger: &ledger, ..world.input() }).id
    };
    assert_eq!(id_after(&[5]), id_after(&[5]));
    let ids: BTreeSet<String> = [&[][..], &[5], &[5, 4], &[4, 3]].map(id_after).into();
    assert_eq!(ids.len(), 4);
}

#[test]
fn another_way_to_come_back_is_another_request_and_another_question() {
    let world = Setting::of(sample());
    let plain = drift(2, Some(40), 0);
    let id = |action: Action| step(&plain, action, &world.input()).id;
    let renamed = |name: &str, drops_taken_addresses| RestoreOptions {
        new_upn: Some(name.to_owned()),
        drops_taken_addresses,
    };
    let ways = [
        RestoreOptions::PLAIN,
        RestoreOptions { drops_taken_addresses: true, ..RestoreOptions::PLAIN },
        renamed("a@contoso.com", false),
        renamed("a@contoso.com", true),
        renamed("b@contoso.com", true),
    ];
    let ids: BTreeSet<String> = ways.iter().map(|way| id(Action::Restore(way.clone()))).collect();
    assert_eq!(ids.len(), ways.len());
    let first_seen = NOW;
    let old = stable_id(&[&plain.user, &"restore", &first_seen, &0, &0]);
    assert_eq!(id(Action::PLAIN_RESTORE), old, "an intent of an older version is still known");
    let question = |way: &RestoreOptions| {
        let drift = Drift { remedy: Remedy::Restore(way.clone()), ..plain.clone() };
        question_id(&drift, Reason::Ask, NOW, way.key())
    };
    assert_eq!(ways.iter().map(question).collect::<BTreeSet<_>>().len(), ways.len());
    let old = stable_id(&[&"ask", &plain.user, &plain.kind.label(), &NOW]);
    assert_eq!(question(&RestoreOptions::PLAIN), old, "an answer given to an older version still counts");
}

/// A quiet tenant: one rule, six users, everything allowed.
fn sample() -> World {
    checker::sample()
}
