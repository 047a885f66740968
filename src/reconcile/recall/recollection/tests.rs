//! Lines of a journal, and what a state gets back from them.

use super::*;
use crate::model::{Action, GroupId, License, OutcomeKind, SkuId, Span, TenantId, Verdict};
use crate::store::journal::{Journal, MemoryLog};

const ANNA: UserId = UserId::from_u128(1);

fn at(hours: i64) -> Timestamp {
    Timestamp::from_secs(1_795_000_000 + 3600 * hours)
}

/// What the entries of these hours make of a ledger.
fn recalled(ledger: &[(UserId, LedgerEntry)], entries: &[(i64, Entry)]) -> Recollection {
    let (journal, _) = Journal::open(Box::new(MemoryLog::new()), TenantId::from_u128(9)).expect("opens");
    for (hours, entry) in entries {
        journal.append(entry, at(*hours)).expect("recorded");
    }
    let mut recollection = Recollection::new(ledger.iter().cloned().collect());
    journal.for_each(|line| recollection.note(line)).expect("readable");
    recollection
}

fn loss() -> Loss {
    Loss { last_with: Some(at(0)), noticed: at(1), hint: None, had_mailbox_plan: true }
}

fn memory() -> Memory {
    let license =
        License { sku: SkuId::from_u128(5), disabled_plans: [crate::model::PlanId::from_u128(7)].into() };
    Memory {
        remembered: Some(Remembered { licenses: vec![license], assignments: Vec::new() }),
        loss: Some(loss()),
        primary_id: Some("MBX:1".into()),
        ..Memory::default()
    }
}

fn started(memory: Option<Memory>) -> Entry {
    Entry::ClockStarted {
        user: ANNA,
        upn: "anna@contoso.com".into(),
        kind: DriftKind::Unlicensed,
        earliest: Some(at(0)),
        latest: at(1),
        deadline: Some(at(0) + Span::from_days(30)),
        cause: None,
        memory: memory.map(Box::new),
    }
}

fn stopped(reason: &str) -> Entry {
    Entry::ClockStopped { user: ANNA, reason: reason.into() }
}

fn intent(step: &str) -> Entry {
    Entry::Intent {
        step_id: step.into(),
        user: ANNA,
        upn: "anna@contoso.com".into(),
        action: Action::PLAIN_RESTORE,
        drift: DriftKind::Unlicensed,
        rule: "staff".into(),
        policy_digest: "p".into(),
        plan_digest: "q".into(),
        expected_mailbox: Some("MBX:1".into()),
    }
}

fn outcome(step: &str, kind: OutcomeKind) -> Entry {
    Entry::Outcome { step_id: step.into(), user: ANNA, kind, detail: "said".into(), request_id: None }
}

fn verdict(step: &str, verdict: Verdict) -> Entry {
    Entry::Verdict { user: ANNA, step_id: Some(step.into()), verdict, detail: String::new() }
}

#[test]
fn a_clock_that_runs_comes_back_with_its_evidence() {
    let recollection = recalled(&[], &[(1, started(Some(memory())))]);
    let known = recollection.clocks[&ANNA].apply(ANNA, None).expect("recalled");
    assert_eq!((known.loss, known.remembered), (Some(loss()), memory().remembered));
    assert_eq!(
        (known.user.upn.as_str(), known.presence),
        ("anna@contoso.com", Presence::Recalled { deleted: None })
    );
    let entry = &recollection.ledger[&ANNA];
    assert_eq!(
        (entry.first_seen, entry.sightings, entry.warned),
        (at(1), 1, true),
        "it need not settle again"
    );
}

#[test]
fn a_line_of_before_memories_still_says_when() {
    let recollection = recalled(&[], &[(1, started(None))]);
    let known = recollection.clocks[&ANNA].apply(ANNA, None).expect("recalled");
    assert_eq!(known.loss, Some(loss()));
}

#[test]
fn a_clock_that_stopped_leaves_nothing_but_what_was_proved() {
    let lines = [
        (1, started(Some(memory()))),
        (2, intent("a")),
        (2, outcome("a", OutcomeKind::Accepted)),
        (3, verdict("a", Verdict::Verified)),
        (3, stopped("repaired")),
    ];
    let recollection = recalled(&[], &lines);
    assert_eq!(recollection.clocks[&ANNA].apply(ANNA, None), None);
    let entry = &recollection.ledger[&ANNA];
    assert_eq!(
        (entry.repaired.as_slice(), entry.resolved, &entry.pending),
        (&[at(3)][..], Some(at(3)), &None)
    );

    let mut old = KnownUser::recalled(ANNA);
    old.loss = Some(loss());
    let healed = recollection.clocks[&ANNA].apply(ANNA, Some(old.clone())).expect("known");
    assert_eq!(healed.loss, None, "the loss of an old state is over");
    old.loss = Some(Loss { noticed: at(4), ..loss() });
    let lost_again = recollection.clocks[&ANNA].apply(ANNA, Some(old.clone())).expect("known");
    assert_eq!(lost_again.loss, old.loss, "a later loss is another one");
}

#[test]
fn a_clock_that_nobody_watches_any_more_goes_on() {
    let recollection = recalled(&[], &[(1, started(Some(memory()))), (3, stopped("left_alone"))]);
    let mut known = KnownUser::recalled(ANNA);
    known.loss = Some(loss());
    let after = recollection.clocks[&ANNA].apply(ANNA, Some(known)).expect("known");
    assert_eq!(after.loss, Some(loss()));
}

#[test]
fn a_request_under_way_is_waited_for_and_a_refused_one_backs_off() {
    let accepted =
        recalled(&[], &[(1, started(None)), (2, intent("a")), (2, outcome("a", OutcomeKind::Accepted))]);
    let pending = accepted.ledger[&ANNA].pending.clone().expect("under way");
    assert_eq!((pending.sent, pending.is_uncertain), (at(2), false));
    assert_eq!(pending.expected_mailbox.as_deref(), Some("MBX:1"));

    let refused =
        recalled(&[], &[(1, started(None)), (2, intent("a")), (2, outcome("a", OutcomeKind::Refused))]);
    let entry = &refused.ledger[&ANNA];
    assert_eq!((&entry.pending, entry.attempts.len()), (&None, 1));
    assert!(entry.next_attempt.is_some_and(|next| next > at(2)));
}

#[test]
fn lines_that_the_state_has_change_nothing() {
    let lines = [
        (1, started(Some(memory()))),
        (2, intent("a")),
        (2, outcome("a", OutcomeKind::Refused)),
        (5, intent("b")),
        (5, outcome("b", OutcomeKind::Accepted)),
        (6, verdict("b", Verdict::Unverified)),
        (6, stopped("repaired")),
        (9, started(Some(memory()))),
        (10, Entry::Lost { user: ANNA, upn: "anna@contoso.com".into(), warned: true }),
        (11, intent("c")),
        (11, outcome("c", OutcomeKind::Accepted)),
    ];
    let whole = recalled(&[], &lines).ledger;
    for seen in 0..=lines.len() {
        let state: Vec<_> = recalled(&[], &lines[..seen]).ledger.into_iter().collect();
        assert_eq!(recalled(&state, &lines[seen..]).ledger, whole, "after {seen} lines");
    }
    let state: Vec<_> = whole.clone().into_iter().collect();
    for overlap in 7..lines.len() {
        assert_eq!(recalled(&state, &lines[overlap..]).ledger, whole, "again from line {overlap} on");
    }
    assert!(whole[&ANNA].counted_lost);
}

#[test]
fn the_last_word_on_a_hold_counts() {
    let held = Entry::Held { by: "uid 0".into(), reason: Some("audit".into()), until: None };
    let resumed = Entry::Resumed { by: "uid 0".into() };
    let hold = Hold { since: at(2), until: None, reason: Some("audit".into()), by: "uid 0".into() };
    assert_eq!(recalled(&[], &[]).hold, None);
    assert_eq!(recalled(&[], &[(1, resumed.clone()), (2, held.clone())]).hold, Some(Some(hold)));
    assert_eq!(recalled(&[], &[(1, held), (2, resumed)]).hold, Some(None));
}

#[test]
fn a_no_comes_back_and_a_yes_does_not() {
    let denied = |ask: &str| Entry::Denied {
        ask: ask.into(),
        by: "uid 0".into(),
        digest: "d".into(),
        reason: Some(Reason::MassEvent),
        users: [ANNA].into(),
    };
    let approved = |ask: &str| Entry::Approved {
        ask: ask.into(),
        by: "uid 0".into(),
        digest: "d".into(),
        users: BTreeSet::new(),
    };
    let lines = [(1, denied("no")), (1, denied("changed")), (2, approved("changed")), (2, approved("yes"))];
    let told = recalled(&[], &lines).answers;
    let after = answered(Approvals::default(), told.clone());
    assert_eq!(after.0.keys().collect::<Vec<_>>(), ["no"]);
    assert_eq!((after.0["no"].users.clone(), after.0["no"].at), ([ANNA].into(), at(1)));

    let old = answered(Approvals::default(), recalled(&[], &lines[..2]).answers);
    assert_eq!(answered(old, told.clone()).0.keys().collect::<Vec<_>>(), ["no"], "the yes took the no back");
    let current = Approvals([("yes".to_owned(), told["yes"].clone())].into());
    assert!(answered(current, told).0["yes"].granted, "what the state has is not taken from it");
}

#[test]
fn groups_are_remembered_of_the_deletion_only() {
    let mut known = KnownUser::recalled(ANNA);
    known.presence = Presence::Live;
    known.groups = [GroupId::from_u128(4)].into();
    assert_eq!(known.memory().groups, BTreeSet::new(), "they may change for as long as the account lives");
    known.presence = Presence::Deleted { since: at(1) };
    let memory = known.memory();
    assert_eq!((memory.groups.len(), memory.deleted), (1, Some(at(1))));
    let mut back = KnownUser::recalled(ANNA);
    back.recall(&memory);
    assert_eq!((back.groups.len(), back.presence), (1, Presence::Recalled { deleted: Some(at(1)) }));
}
