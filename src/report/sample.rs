//! Status documents for the tests of metrics, tables and the status page. Nothing of this is in the program.

use std::collections::{BTreeMap, BTreeSet};

use super::status::{
    EventKind, HoldView, NextMove, PassOutcome, PassView, PolicyView, RecentEvent, RiskRow, SeatRow,
    SubscriptionRow, TenantView,
};
use crate::model::{
    Action, Ask, Backing, Cause, Certainty, DriftKind, MailboxState, Observation, ObservationKind,
    OutcomeKind, Outlook, Plan, Reason, SeatNeed, SkuId, Span, Step, TenantId, Timestamp, UserId, Verdict,
    Waiting,
};

/// 2026-11-23 12:00 UTC.
pub const NOW: Timestamp = Timestamp::from_secs(1_795_435_200);

/// A tenant in which every kept mailbox is where it should be.
pub fn healthy() -> TenantView {
    TenantView {
        tenant: "contoso".to_owned(),
        tenant_id: TenantId::from_u128(0x9d1c_7f3e),
        at: NOW,
        is_acting: true,
        hold: None,
        policy: PolicyView {
            digest: "5f2b1c9e8a7d6f3041b2c3d4e5f60718293a4b5c6d7e8f901a2b3c4d5e6f7081".to_owned(),
            revision: Some("9c41e07d2b8a".to_owned()),
            failed: None,
            waiting: Vec::new(),
        },
        last_complete_observation: Some(NOW - Span::from_minutes(4)),
        last_observation: Some(observation()),
        last_pass: Some(PassView {
            number: 4_812,
            started: NOW - Span::from_minutes(4),
            finished: NOW - Span::from_secs(226),
            outcome: PassOutcome::Done,
            steps_planned: 0,
            steps_sent: 0,
        }),
        kept: 4_127,
        states: BTreeMap::from([(MailboxState::Healthy, 4_127)]),
        left_alone: BTreeMap::from([(Reason::NoRule, 310), (Reason::Offboarded, 41), (Reason::Protected, 4)]),
        released: None,
        at_risk: Vec::new(),
        plan: Plan { made_at: NOW, digest: "c0ffee".repeat(10), ..Plan::default() },
        asks: Vec::new(),
        seats: vec![seats("SPE_E3", 4_200, 4_080, 5), seats("SPE_E5", 60, 58, 0)],
        seat_needs: Vec::new(),
        subscriptions: Vec::new(),
        recent: Vec::new(),
        journal_head: Some("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855".to_owned()),
        failing: None,
        data_loss: Vec::new(),
        settings_changed: None,
    }
}

/// One mailbox of each kind of trouble, asks, a missing seat and a history.
pub fn troubled() -> TenantView {
    let mut view = healthy();
    view.at_risk = vec![
        anna(),
        row(
            2,
            "carl.vonberg@contoso.com",
            DriftKind::Deleted,
            Cause::AccountDeleted,
            60,
            waiting(Reason::Ask),
        ),
        row(
            3,
            "info@contoso.com",
            DriftKind::Deleted,
            Cause::AccountDeleted,
            7 * 24,
            step(Action::PLAIN_RESTORE, false),
        ),
        row(
            4,
            "dora.lindqvist-sorensen@contoso.com",
            DriftKind::Unlicensed,
            Cause::GroupLicenseRemoved,
            500,
            settling(),
        ),
        unknown(),
        passed(),
    ];
    view.states = BTreeMap::from([
        (MailboxState::Healthy, 4_120),
        (MailboxState::Unlicensed, 2),
        (MailboxState::Deleted, 2),
        (MailboxState::Expired, 1),
        (MailboxState::Settling, 1),
        (MailboxState::Unknown, 1),
    ]);
    view.plan = plan(&view.at_risk);
    view.asks = view.plan.asks.clone();
    view.seats = vec![seats("SPE_E3", 4_200, 4_197, 5), seats("SPE_E5", 60, 60, 0)];
    view.seat_needs = view.plan.seats.clone();
    view.subscriptions = vec![
        subscription("SPE_E3", Backing::Enabled, 200, 0),
        subscription("SPE_E5", Backing::Warning, 12, 60),
    ];
    view.recent = recent();
    view
}

/// So many mailboxes at risk, one hour apart, the last one first.
pub fn crowded(count: u32) -> TenantView {
    let mut view = healthy();
    let one = |index: u32| {
        let upn = format!("user{index:03}@contoso.com");
        let left_hours = i64::from(index) + 3;
        row(
            1000 + u128::from(index),
            &upn,
            DriftKind::Unlicensed,
            Cause::LicenseRemoved,
            left_hours,
            waiting(Reason::NoSeat),
        )
    };
    view.at_risk = (0..count).rev().map(one).collect();
    view.states.insert(MailboxState::Unlicensed, u64::from(count));
    view.plan = plan(&view.at_risk);
    view
}

/// A tenant where every text that others write tries to be markup, a label or a terminal sequence.
pub fn hostile() -> TenantView {
    let text = "<script>alert(1)</script>\"'&\\\n\u{1b}[31m\u{202e}x@contoso.com";
    let mut view = troubled();
    for row in &mut view.at_risk {
        row.upn = text.to_owned();
        row.rule = text.to_owned();
    }
    view.plan = plan(&view.at_risk);
    for ask in &mut view.plan.asks {
        ask.question = text.to_owned();
    }
    view.asks = view.plan.asks.clone();
    view.policy.failed = Some(text.to_owned());
    view.hold = Some(HoldView { since: NOW, until: None, reason: text.to_owned(), by: text.to_owned() });
    for event in &mut view.recent {
        event.upn = Some(text.to_owned());
        event.detail = text.to_owned();
    }
    for seat in &mut view.seats {
        seat.part_number = text.to_owned();
    }
    for row in &mut view.subscriptions {
        row.part_number = text.to_owned();
    }
    view
}

pub fn row(id: u128, upn: &str, drift: DriftKind, cause: Cause, hours_left: i64, next: NextMove) -> RiskRow {
    let deadline = NOW + Span::from_hours(hours_left);
    let state = match drift {
        DriftKind::Unlicensed => MailboxState::Unlicensed,
        DriftKind::Deleted => MailboxState::Deleted,
        DriftKind::UnlicensedAndDeleted => MailboxState::UnlicensedAndDeleted,
        DriftKind::Gone => MailboxState::Unknown,
    };
    RiskRow {
        user: UserId::from_u128(id),
        upn: upn.to_owned(),
        state,
        drift,
        cause,
        rule: "staff".to_owned(),
        certainty: Certainty::Known,
        since: deadline - Span::from_days(30),
        deadline: Some(deadline),
        act_by: Some(deadline - Span::from_days(2)),
        audited: Vec::new(),
        next,
    }
}

pub fn assign() -> Action {
    Action::AssignLicense {
        sku: SkuId::from_u128(0x05e9),
        part_number: "SPE_E3".to_owned(),
        disabled_plans: BTreeSet::new(),
        takes_seat: true,
    }
}

fn anna() -> RiskRow {
    let mut row = row(
        1,
        "anna.berg@contoso.com",
        DriftKind::Unlicensed,
        Cause::LicenseRemoved,
        19,
        step(assign(), true),
    );
    row.rule = "executives".to_owned();
    row
}

fn settling() -> NextMove {
    let until = Some(NOW + Span::from_minutes(95));
    NextMove::Waiting { reason: Reason::Settling, until, detail: None }
}

fn unknown() -> RiskRow {
    let mut row = row(
        5,
        "erik@contoso.com",
        DriftKind::Unlicensed,
        Cause::NeverLicensed,
        0,
        waiting(Reason::DeadlineUnknown),
    );
    row.state = MailboxState::Unknown;
    row.certainty = Certainty::Unknown;
    row.since = NOW - Span::from_days(3);
    row.deadline = None;
    row.act_by = None;
    row
}

fn passed() -> RiskRow {
    let mut row = row(
        6,
        "frida@contoso.com",
        DriftKind::Unlicensed,
        Cause::LicenseRemoved,
        -50,
        waiting(Reason::Expired),
    );
    row.state = MailboxState::Expired;
    row
}

fn step(action: Action, is_sent: bool) -> NextMove {
    NextMove::Step { action, is_sent }
}

fn waiting(reason: Reason) -> NextMove {
    NextMove::Waiting { reason, until: None, detail: None }
}

fn seats(part_number: &str, enabled: i64, consumed: i64, reserved: u32) -> SeatRow {
    SeatRow {
        part_number: part_number.to_owned(),
        enabled,
        warning: 0,
        suspended: 0,
        consumed,
        reserved,
        free: enabled - consumed,
    }
}

fn subscription(part_number: &str, backing: Backing, days_left: i64, short: i64) -> SubscriptionRow {
    let next = Some(NOW + Span::from_days(days_left));
    SubscriptionRow {
        part_number: part_number.to_owned(),
        outlook: Outlook { backing, next, short },
        kept: 57,
    }
}

fn observation() -> Observation {
    Observation {
        kind: ObservationKind::Delta,
        started: NOW - Span::from_minutes(4),
        finished: NOW - Span::from_secs(231),
        live_users: 4_482,
        deleted_users: 17,
        problems: Vec::new(),
    }
}

fn plan(rows: &[RiskRow]) -> Plan {
    let mut plan = Plan {
        made_at: NOW,
        digest: "c0ffee".repeat(10),
        policy_digest: "5f2b".repeat(16),
        ..Plan::default()
    };
    for (index, row) in rows.iter().enumerate() {
        match &row.next {
            NextMove::Approved { .. } => {}
            NextMove::Step { action, .. } => plan.steps.push(Step {
                id: format!("step-{index}"),
                user: row.user,
                upn: row.upn.clone(),
                drift: row.drift,
                rule: row.rule.clone(),
                action: action.clone(),
                deadline: row.deadline,
                act_by: row.act_by,
                attempt: 1,
            }),
            NextMove::Waiting { reason, until, detail } => plan.waiting.push(Waiting {
                user: row.user,
                upn: row.upn.clone(),
                drift: row.drift,
                rule: Some(row.rule.clone()),
                reason: *reason,
                until: *until,
                deadline: row.deadline,
                act_by: row.act_by,
                detail: detail.clone(),
            }),
        }
    }
    plan.asks.push(Ask {
        id: "a-7k2m".to_owned(),
        reason: Reason::Ask,
        users: vec![UserId::from_u128(2)],
        question: "Restore carl.vonberg@contoso.com, deleted 27 days ago?".to_owned(),
        opened: NOW - Span::from_hours(29),
        act_by: Some(NOW + Span::from_hours(12)),
    });
    plan.seats.push(SeatNeed {
        sku: SkuId::from_u128(0x06eb),
        part_number: "SPE_E5".to_owned(),
        missing: 2,
        by: Some(NOW + Span::from_hours(12)),
    });
    plan
}

fn recent() -> Vec<RecentEvent> {
    let event = |minutes: i64, id: u128, upn: &str, what: EventKind, detail: &str| RecentEvent {
        at: NOW - Span::from_minutes(minutes),
        user: Some(UserId::from_u128(id)),
        upn: Some(upn.to_owned()),
        what,
        detail: detail.to_owned(),
    };
    let accepted = EventKind::Acted { action: assign(), outcome: OutcomeKind::Accepted };
    vec![
        event(3, 1, "anna.berg@contoso.com", accepted, "200, request 7a1c"),
        event(3, 6, "frida@contoso.com", EventKind::Lost { warned: true }, "no seat was found in 28 days"),
        event(
            64,
            9,
            "gustav@contoso.com",
            EventKind::Judged { verdict: Verdict::Verified },
            "the recorded mailbox answers",
        ),
        event(180, 10, "hanna@contoso.com", EventKind::HealedByOthers, ""),
        event(
            241,
            4,
            "dora.lindqvist-sorensen@contoso.com",
            EventKind::DriftSeen { drift: DriftKind::Unlicensed },
            "left group 5d9b1f3a",
        ),
    ]
}
