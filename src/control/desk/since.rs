//! What people said since the newest pass, laid over its documents: answers, the hold. Pure.

use std::collections::BTreeMap;

use crate::model::{Answer, Ask, Plan, Reason, UserId};
use crate::report::status::{NextMove, TenantView};

/// Answers by the question's id.
type Answers = BTreeMap<String, Answer>;

/// Sorts the questions of a plan by the answers of now: open ones stay, denied ones can be taken back. Returns all that
/// are answered.
pub fn sort_asks(plan: &mut Plan, answers: &Answers) -> Vec<Ask> {
    let all = std::mem::take(&mut plan.asks).into_iter().chain(std::mem::take(&mut plan.denied));
    let (answered, open): (Vec<Ask>, Vec<Ask>) = all.partition(|ask| answers.contains_key(&ask.id));
    plan.denied = answered.iter().filter(|ask| !answers[&ask.id].granted).cloned().collect();
    plan.asks = open;
    answered
}

/// Lays answers and the hold over the newest status document. `stopped`: why nothing is sent at the moment.
pub fn lay_over(view: &mut TenantView, answers: &Answers, stopped: Option<Reason>) {
    let answered = sort_asks(&mut view.plan, answers);
    let mut about: BTreeMap<UserId, Vec<&Ask>> = BTreeMap::new();
    for ask in &answered {
        for user in &ask.users {
            about.entry(*user).or_default().push(ask);
        }
    }
    view.asks.clone_from(&view.plan.asks);
    for row in &mut view.at_risk {
        let newer = match &row.next {
            NextMove::Step { is_sent: false, .. } => stopped.map(waits),
            NextMove::Waiting { reason: Reason::Held, .. } => match stopped {
                // Resumed since.
                None => step(&view.plan, row.user),
                Some(reason) => Some(waits(reason)),
            },
            NextMove::Waiting { reason, .. } => {
                let answered = about.get(&row.user).map(Vec::as_slice).unwrap_or_default();
                answer(answered, answers, *reason).map(|answer| match (answer.granted, stopped) {
                    (false, _) => waits(Reason::Denied),
                    (true, Some(reason)) => waits(reason),
                    (true, None) => NextMove::Approved { by: answer.by.clone(), at: answer.at },
                })
            }
            NextMove::Step { is_sent: true, .. } | NextMove::Approved { .. } => None,
        };
        if let Some(newer) = newer {
            row.next = newer;
        }
    }
}

/// The answer that bears on a mailbox that waits for this reason. A yes to many is none to the question that the rule
/// itself asks about one of them.
fn answer<'a>(answered: &[&Ask], answers: &'a Answers, reason: Reason) -> Option<&'a Answer> {
    answered.iter().find_map(|ask| {
        let answer = answers.get(&ask.id)?;
        let bears = !answer.granted || ask.reason == reason || reason == Reason::Denied;
        bears.then_some(answer)
    })
}

fn step(plan: &Plan, user: UserId) -> Option<NextMove> {
    let step = plan.steps.iter().find(|step| step.user == user)?;
    Some(NextMove::Step { action: step.action.clone(), is_sent: false })
}

fn waits(reason: Reason) -> NextMove {
    NextMove::Waiting { reason, until: None, detail: None }
}
