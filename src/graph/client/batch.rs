//! The same questions, twenty to a request.
//!
//! A 200 around a batch says nothing about its parts: each has its own status and its own `Retry-After`, may be
//! missing, come twice or under an id in other letters. A part without a usable answer goes into the next round.
//! Where batches as such are refused, single requests take over for good.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::model::{ProbeAnswer, UserId};

use super::super::error::Error;
use super::super::request::{self, Endpoint, Request};
use super::super::response::{
    BatchPart, Decoded, decode_batch, decode_error, decode_mailbox_identity, decode_mailbox_kind,
};
use super::super::throttle::{MAX_READ_ATTEMPTS, delay_before, is_transient};
use super::super::transport::HttpResponse;
use super::probe::MailboxAnswer;
use super::{Client, is_success};

/// Graph: json-batching.
pub(super) const PARTS: usize = 20;

/// One kind of question: how it is asked, and what an answer to it means.
pub(super) struct Question<A, R> {
    pub(super) ask: A,
    pub(super) read: R,
}

pub(super) type Answers<T> = BTreeMap<UserId, Result<T, Error>>;

impl Client {
    pub(super) fn uses_batch(&self) -> bool {
        self.shared.has_batch.load(Ordering::Relaxed)
    }

    /// Whether a question about so many users goes out in batches.
    pub(super) fn is_worth_batches(&self, users: usize) -> bool {
        self.uses_batch() && users >= self.shared.batch_from
    }

    pub(super) async fn probe_in_batches(
        &self,
        users: &[UserId],
    ) -> Vec<(UserId, Result<ProbeAnswer, Error>)> {
        let mut results = Vec::with_capacity(users.len());
        for some in users.chunks(PARTS) {
            let answers = if self.uses_batch() { self.probe_batch(some).await } else { None };
            match answers {
                Some(answers) => results.extend(in_order(some, &answers)),
                None => results.extend(self.probe_one_by_one(some).await),
            }
        }
        results
    }

    /// One batch for the kinds, one for the identities of those that have a mailbox. `None`: batches are refused.
    async fn probe_batch(&self, users: &[UserId]) -> Option<Answers<ProbeAnswer>> {
        let kinds = self.ask(users, &Question { ask: request::mailbox_kind, read: read_kind }).await?;
        let has_mailbox = |kind: &Result<MailboxAnswer, Error>| matches!(kind, Ok(MailboxAnswer::Kind(_)));
        let reachable: Vec<UserId> =
            kinds.iter().filter(|(_, kind)| has_mailbox(kind)).map(|(user, _)| *user).collect();
        let mut identities = self.identities(&reachable).await?;
        let answers = kinds.into_iter().map(|(user, kind)| {
            let answer = kind.and_then(|kind| match kind {
                MailboxAnswer::Kind(kind) => {
                    let primary_id = identities.remove(&user).transpose()?.flatten();
                    Ok(ProbeAnswer::Reachable { kind, primary_id })
                }
                MailboxAnswer::NoMailbox => Ok(ProbeAnswer::NoMailbox),
                MailboxAnswer::Unreadable => Ok(ProbeAnswer::Unreadable),
            });
            (user, answer)
        });
        Some(answers.collect())
    }

    async fn identities(&self, users: &[UserId]) -> Option<Answers<Option<String>>> {
        if users.is_empty() || !self.shared.roots.features().has_mailbox_identity {
            return Some(Answers::new());
        }
        self.ask(users, &Question { ask: request::mailbox_identity, read: read_identity }).await
    }

    /// Asks in rounds until each user has a final answer or the rounds are used up. `None`: batches are refused here.
    pub(super) async fn ask<T, A, R>(&self, users: &[UserId], question: &Question<A, R>) -> Option<Answers<T>>
    where
        A: Fn(UserId) -> Request,
        R: Fn(&HttpResponse) -> Decoded<T>,
    {
        let mut answers = Answers::new();
        let mut open = users.to_vec();
        open.sort_unstable();
        open.dedup();
        for round in 1..=MAX_READ_ATTEMPTS {
            let parts: Vec<(String, Request)> = open
                .iter()
                .enumerate()
                .map(|(index, user)| (part_id(index), (question.ask)(*user)))
                .collect();
            let arrived = match self.read(&request::batch(&parts), decode_batch).await {
                Ok(arrived) => unambiguous(arrived),
                Err(Error::Answer { answer, .. }) if answer.status != 401 => {
                    let (status, code) = (answer.status, answer.code());
                    tracing::info!(status, code, "batches are refused here, asking one by one from now on");
                    self.shared.has_batch.store(false, Ordering::Relaxed);
                    return None;
                }
                Err(error) => {
                    answers.extend(open.into_iter().map(|user| (user, Err(error.clone()))));
                    return Some(answers);
                }
            };
            let delay = self.settle(&question.read, &parts, &mut open, arrived, round, &mut answers);
            if open.is_empty() {
                break;
            }
            if round < MAX_READ_ATTEMPTS {
                self.shared.clock.sleep(delay).await;
            }
        }
        Some(answers)
    }

    /// Sorts the parts of one round: final answers into `answers`; users without one stay in `open`, with the reason
    /// noted in case this was the last round. Returns the longest delay that any part asked for.
    fn settle<T>(
        &self,
        read: impl Fn(&HttpResponse) -> Decoded<T>,
        parts: &[(String, Request)],
        open: &mut Vec<UserId>,
        mut arrived: BTreeMap<String, HttpResponse>,
        round: u32,
        answers: &mut Answers<T>,
    ) -> Duration {
        let now = self.shared.clock.now();
        let mut delay = Duration::ZERO;
        let mut unanswered = Vec::new();
        for (user, (id, request)) in open.iter().zip(parts) {
            let part = arrived.remove(id);
            if let Some(part) = &part {
                self.shared.throttle.learn(part, now);
            }
            match judge(part.as_ref(), &read) {
                Ok(answer) => {
                    answers.insert(*user, Ok(answer));
                }
                Err(last) => {
                    delay = delay.max(delay_before(round + 1, &request.path, part.as_ref(), now));
                    let error = Error::Unanswered { endpoint: Endpoint::Batch, attempts: round, last };
                    answers.insert(*user, Err(error));
                    unanswered.push(*user);
                }
            }
        }
        *open = unanswered;
        delay
    }
}

/// `Err` is why this part has no final answer yet.
fn judge<T>(part: Option<&HttpResponse>, read: impl Fn(&HttpResponse) -> Decoded<T>) -> Decoded<T> {
    let part = part.ok_or_else(|| "no answer to this part of the batch".to_owned())?;
    if is_transient(part.status) || part.status == 424 {
        return Err(decode_error(part, "").to_string());
    }
    read(part)
}

fn read_kind(part: &HttpResponse) -> Decoded<MailboxAnswer> {
    if is_success(part) {
        return decode_mailbox_kind(&part.body).map(MailboxAnswer::Kind);
    }
    Ok(MailboxAnswer::of_error(&decode_error(part, "")))
}

fn read_identity(part: &HttpResponse) -> Decoded<Option<String>> {
    if is_success(part) { decode_mailbox_identity(&part.body) } else { Ok(None) }
}

fn part_id(index: usize) -> String {
    format!("part-{index}")
}

/// The parts by id. One that came twice with different content answers nothing.
fn unambiguous(parts: Vec<BatchPart>) -> BTreeMap<String, HttpResponse> {
    let mut by_id: BTreeMap<String, Option<HttpResponse>> = BTreeMap::new();
    for BatchPart { id, response } in parts {
        match by_id.get_mut(&id) {
            None => {
                by_id.insert(id, Some(response));
            }
            Some(known) if known.as_ref() == Some(&response) => {}
            Some(known) => *known = None,
        }
    }
    by_id.into_iter().filter_map(|(id, response)| Some((id, response?))).collect()
}

/// The answers in the order of the question; a user named twice gets the same answer twice.
pub(super) fn in_order<T: Clone>(users: &[UserId], answers: &Answers<T>) -> Vec<(UserId, Result<T, Error>)> {
    users.iter().filter_map(|user| Some((*user, answers.get(user)?.clone()))).collect()
}
