//! What `status` may not be silent about although no mailbox is at risk: passes that saw nothing to rely on, accounts
//! that cannot be judged, mailboxes in danger that are not ours, repairs that lost data. Without it "every mailbox is
//! where it should be" would be said where nobody knows.

use std::collections::BTreeMap;

use serde::Serialize;

use super::status::{ReleasedView, TenantView};
use super::words;
use crate::model::{DriftKind, MailboxState, Problem, ProblemKind, Reason, Timestamp, UserId, Waiting};

/// Accounts that cannot be judged, listed singly.
const LISTED: usize = 20;

/// Names in a sentence.
const NAMED: usize = 3;

/// What may be said where no mailbox is at risk.
pub fn at_ease(view: &TenantView) -> String {
    let is_certain = view.failing.is_none()
        && view.unjudged().is_empty()
        && view.undecided() == 0
        && unreadable(view).is_none()
        && mass_release(view).is_none()
        && view.data_loss.is_empty();
    match view.last_complete_observation {
        None => "Nothing is known yet: there has been no complete observation.".to_owned(),
        Some(_) if view.failing.is_some() && !view.unjudged().is_empty() => {
            "Nothing newer is known than what stands here, and accounts in danger cannot be judged:"
                .to_owned()
        }
        Some(_) if view.failing.is_some() => "Nothing newer is known than what stands here.".to_owned(),
        Some(_) if view.kept == 0 && is_certain => "No keep rule of the policy names a mailbox.".to_owned(),
        Some(_) if is_certain => "Every kept mailbox is where it should be.".to_owned(),
        Some(_) => "No kept mailbox is known to be at risk; that is not all:".to_owned(),
    }
}

/// The doubts as sentences for people, the most pressing first.
pub fn sentences(view: &TenantView, now: Timestamp) -> Vec<String> {
    let failing = view.failing.as_ref().map(|failing| {
        let last = match failing.passes {
            1 => "THE LAST PASS SAW NOTHING TO RELY ON".to_owned(),
            passes => format!("THE LAST {} PASSES SAW NOTHING TO RELY ON", words::count_of(passes)),
        };
        let since = words::distance(failing.since, now);
        format!("{last} (since {}, {since}): {}", failing.since.human(), words::one_line(&failing.why))
    });
    let lost = view.data_loss.iter().map(|lost| {
        let upn = words::one_line(&lost.upn);
        format!(
            "DATA LOSS: a new, empty mailbox answers for {upn} (found {}); the old one may still be soft-deleted: \
             mailkeeper explain {upn}",
            lost.at.human()
        )
    });
    let released = mass_release(view).map(|released| {
        let by_rule: Vec<String> =
            released.by_rule.iter().map(|(rule, count)| format!("{rule}: {count}")).collect();
        format!(
            "{} FELL OUT OF THE KEEP RULES within a day, although the policy is the same ({}): something that the rules \
             ask for was changed in the directory. Nothing is done for them any more; find the cause, or change the rules",
            words::how_many(released.lately, "ACCOUNT", "ACCOUNTS"),
            words::one_line(&by_rule.join(", "))
        )
    });
    let told = failing
        .into_iter()
        .chain(released)
        .chain(lost)
        .chain(unjudged(view, now))
        .chain(left_alone(view, now));
    told.chain(
        unreadable(view)
            .map(|problem| format!("{}; nothing is done on what is not understood", words::problem(problem))),
    )
    .chain(undecided(view))
    .collect()
}

/// Of whom it is not known whether a rule means them: nothing is wrong with them that is known, and nothing is done.
pub fn undecided(view: &TenantView) -> Option<String> {
    let accounts = words::how_many(view.undecided(), "account", "accounts");
    (view.undecided() > 0).then(|| {
        format!(
            "{accounts} cannot be judged yet: a fact that the policy asks for, such as the kind of a mailbox, is not \
             known. The next passes ask for what can be read; `mailkeeper doctor` says what is missing"
        )
    })
}

/// So many accounts left the rules that it is hardly people who moved.
fn mass_release(view: &TenantView) -> Option<&ReleasedView> {
    view.released.as_ref().filter(|released| released.is_mass)
}

/// Repairs that show in the directory and whose mailbox was not seen again yet; they are at risk no more, and not kept
/// for certain.
pub fn unproved(view: &TenantView) -> Option<String> {
    let count = view.states.get(&MailboxState::Settling).copied().unwrap_or_default();
    let repairs = words::how_many(count, "repair waits", "repairs wait");
    (count > 0).then(|| format!("{repairs} for the proof that the same mailbox is back"))
}

/// Users of whom the last observation could tell nothing but that they are there: no rule can mean them.
fn unreadable(view: &TenantView) -> Option<&Problem> {
    let observation = view.last_observation.as_ref().filter(|observation| observation.is_complete())?;
    observation.problems.iter().find(|problem| problem.kind == ProblemKind::UserUnreadable)
}

fn unjudged(view: &TenantView, now: Timestamp) -> Vec<String> {
    let rows = view.unjudged();
    let Some(first) = rows.first() else { return Vec::new() };
    let accounts = words::how_many(rows.len() as u64, "account", "accounts");
    // What is the same for all is said once.
    let shared = first.detail.as_deref().filter(|_| rows.len() > 1);
    let shared = shared.filter(|fact| rows.iter().all(|row| row.detail.as_deref() == Some(fact)));
    let fact = shared.map(|fact| format!(" ({})", words::one_line(fact))).unwrap_or_default();
    let mut sentences = vec![format!(
        "{accounts} in danger cannot be judged: {}{fact}. Nothing is done for them:",
        first.reason.sentence()
    )];
    sentences.extend(rows.iter().take(LISTED).map(|row| {
        let fact = row.detail.as_deref().filter(|_| shared.is_none());
        let fact = fact.map(|fact| format!(": {}", words::one_line(fact))).unwrap_or_default();
        format!(
            "{} ({}), {}, {}{fact}",
            words::one_line(&row.upn),
            row.user,
            trouble(row.drift),
            lost_at(row, now)
        )
    }));
    if rows.len() > LISTED {
        sentences.push(format!("and {} more", words::count_of((rows.len() - LISTED) as u64)));
    }
    if rows.iter().any(|row| row.drift.is_deletion()) {
        sentences.push(format!("Deleted: {}.", Reason::DELETED_UNDETERMINED));
    }
    sentences
}

/// Whom mailkeeper would not touch although something is wrong with the mailbox, by reason and with a few names: the
/// administrators among them may want to know.
fn left_alone(view: &TenantView, now: Timestamp) -> Vec<String> {
    let mut by_reason: BTreeMap<Reason, Vec<&Waiting>> = BTreeMap::new();
    for row in view.left_in_danger().filter(|row| row.reason != Reason::Undetermined) {
        by_reason.entry(row.reason).or_default().push(row);
    }
    let sentence = |(reason, mut rows): (Reason, Vec<&Waiting>)| {
        rows.sort_by_key(|row| (row.deadline.is_none(), row.deadline, row.upn.as_str()));
        let named = rows.iter().take(NAMED).map(|row| {
            format!("{}, {}, {}", words::one_line(&row.upn), trouble(row.drift), lost_at(row, now))
        });
        let named: Vec<String> = named.collect();
        let more = if rows.len() > NAMED { "; .." } else { "" };
        let accounts = words::how_many(rows.len() as u64, "account", "accounts");
        let reason = words::plain(reason.label());
        format!("left alone with a mailbox in danger: {accounts}, {reason} ({}{more})", named.join("; "))
    };
    by_reason.into_iter().map(sentence).collect()
}

fn trouble(drift: DriftKind) -> &'static str {
    match drift {
        DriftKind::Unlicensed => "licence lost",
        DriftKind::Deleted => "deleted",
        DriftKind::UnlicensedAndDeleted => "licence lost and deleted",
        DriftKind::Gone => "gone",
    }
}

fn lost_at(row: &Waiting, now: Timestamp) -> String {
    match row.deadline {
        Some(deadline) if deadline > now => {
            format!("lost for good on {}, {}", deadline.human(), words::distance(deadline, now))
        }
        Some(deadline) => format!("its limit was {}", deadline.human()),
        None => "nobody knows until when".to_owned(),
    }
}

/// A doubt for machines.
#[derive(Debug, Serialize)]
pub struct Doubt<'a> {
    /// `None` where the whole tenant is meant.
    pub id: Option<UserId>,
    pub upn: Option<&'a str>,
    /// `blind`, `released`, `data_loss`, `unknown`, `left_alone`, `unreadable` or `undecided`.
    pub state: &'static str,
    pub drift: Option<DriftKind>,
    pub reason: Option<Reason>,
    pub detail: Option<&'a str>,
    pub deadline: Option<Timestamp>,
    pub since: Option<Timestamp>,
    /// Passes one after the other, where the tenant cannot be seen.
    pub passes: Option<u64>,
    /// How many are undecided, or fell out of the rules.
    pub accounts: Option<u64>,
}

/// The doubts for machines: passes that failed, lost data, accounts that cannot be judged or are left alone in danger.
pub fn rows(view: &TenantView) -> Vec<Doubt<'_>> {
    let nothing = || Doubt {
        id: None,
        upn: None,
        state: "blind",
        drift: None,
        reason: None,
        detail: None,
        deadline: None,
        since: None,
        passes: None,
        accounts: None,
    };
    let failing = view.failing.iter().map(|failing| Doubt {
        detail: Some(&failing.why),
        since: Some(failing.since),
        passes: Some(failing.passes),
        ..nothing()
    });
    let lost = view.data_loss.iter().map(|lost| Doubt {
        id: Some(lost.user),
        upn: Some(&lost.upn),
        state: "data_loss",
        since: Some(lost.at),
        ..nothing()
    });
    let in_danger = view.left_in_danger().map(|row| Doubt {
        id: Some(row.user),
        upn: Some(&row.upn),
        state: if row.reason == Reason::Undetermined { "unknown" } else { "left_alone" },
        drift: Some(row.drift),
        reason: Some(row.reason),
        detail: row.detail.as_deref(),
        deadline: row.deadline,
        ..nothing()
    });
    let undecided = (view.undecided() > 0).then(|| Doubt {
        state: "undecided",
        reason: Some(Reason::Undetermined),
        accounts: Some(view.undecided()),
        ..nothing()
    });
    let unreadable = unreadable(view).map(|problem| Doubt {
        state: "unreadable",
        detail: Some(&problem.detail),
        ..nothing()
    });
    let released = mass_release(view).map(|released| Doubt {
        state: "released",
        reason: Some(Reason::Released),
        accounts: Some(released.lately),
        ..nothing()
    });
    failing.chain(released).chain(lost).chain(in_danger).chain(unreadable).chain(undecided).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Span;
    use crate::report::sample::{NOW, healthy};
    use crate::report::status::{DataLoss, Failing};

    fn in_danger(number: u128, reason: Reason, days: Option<i64>) -> Waiting {
        Waiting {
            user: UserId::from_u128(number),
            upn: format!("u{number}@contoso.com"),
            drift: DriftKind::Deleted,
            rule: None,
            reason,
            until: None,
            deadline: days.map(|days| NOW + Span::from_days(days)),
            act_by: None,
            detail: Some("the kind of the mailbox".to_owned()).filter(|_| reason == Reason::Undetermined),
        }
    }

    fn doubtful() -> TenantView {
        let mut view = healthy();
        view.failing = Some(Failing {
            passes: 5,
            since: NOW - Span::from_hours(1),
            why: "Microsoft refuses: deleted users: 403 Authorization_RequestDenied".to_owned(),
        });
        view.data_loss = vec![DataLoss {
            user: UserId::from_u128(9),
            upn: "u9@contoso.com".to_owned(),
            at: NOW - Span::from_days(2),
        }];
        view.plan.waiting = vec![
            in_danger(1, Reason::Undetermined, None),
            in_danger(2, Reason::Undetermined, Some(25)),
            in_danger(3, Reason::Protected, Some(12)),
        ];
        view
    }

    #[test]
    fn what_is_not_known_is_said_where_no_mailbox_is_at_risk() {
        let view = doubtful();
        insta::assert_snapshot!(format!("{}\n{}", at_ease(&view), sentences(&view, NOW).join("\n")));
        let states: Vec<&str> = rows(&view).iter().map(|row| row.state).collect();
        assert_eq!(states, ["blind", "data_loss", "unknown", "unknown", "left_alone"]);
    }

    #[test]
    fn each_doubt_alone_takes_the_all_clear_away() {
        let all_clear = at_ease(&healthy());
        assert_eq!(all_clear, "Every kept mailbox is where it should be.");
        let doubtful = doubtful();
        let mut alone = [healthy(), healthy(), healthy(), healthy(), healthy(), healthy()];
        let by_rule = BTreeMap::from([("sales".to_owned(), 12)]);
        alone[5].released = Some(ReleasedView { lately: 12, is_mass: true, by_rule });
        let told = sentences(&alone[5], NOW);
        assert!(
            told[0].starts_with("12 ACCOUNTS FELL OUT OF THE KEEP RULES") && told[0].contains("sales: 12")
        );
        assert_eq!((rows(&alone[5])[0].state, rows(&alone[5])[0].accounts), ("released", Some(12)));
        let observation = alone[4].last_observation.as_mut().expect("there was one");
        observation.problems.push(Problem {
            kind: ProblemKind::UserUnreadable,
            detail: "2 of 900 users could not be understood, such as 7e06: not a name".to_owned(),
        });
        let told = sentences(&alone[4], NOW);
        assert!(told[0].starts_with("not understood: 2 of 900 users"), "{told:?}");
        assert_eq!(rows(&alone[4])[0].state, "unreadable");
        alone[3].left_alone.insert(Reason::Undetermined, 368);
        let told = sentences(&alone[3], NOW);
        assert!(told[0].starts_with("368 accounts cannot be judged yet"), "{told:?}");
        assert_eq!(rows(&alone[3])[0].accounts, Some(368));
        alone[0].failing = doubtful.failing;
        alone[1].data_loss = doubtful.data_loss;
        alone[2].plan.waiting = doubtful.plan.waiting[..1].to_vec();
        for view in alone {
            assert_ne!(at_ease(&view), all_clear, "{view:?}");
        }
    }

    #[test]
    fn an_account_that_cannot_be_judged_counts_among_those_that_expire() {
        let mut view = healthy();
        view.plan.waiting = doubtful().plan.waiting;
        assert_eq!(view.expiring_within(Span::from_days(30)), 1, "the protected one is not ours");
        assert_eq!(view.earliest_deadline(), Some(NOW + Span::from_days(25)));
    }
}
