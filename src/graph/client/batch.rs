//! The same questions, twenty to a request.
//!
//! A 200 around a batch says nothing about its parts: each has its own status and its own `Retry-After`, may be
//! missing, come twice or under an id in other letters. A part without a usable answer goes into the next round.
//! Where batches as such are refused, single requests take over for good; where they only fail, for a while.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use crate::model::{ProbeAnswer, UserId};

use super::super::auth::{Challenge, challenge};
use super::super::error::{Error, ErrorAnswer, RequestIds, tame};
use super::super::request::{self, Endpoint, Request};
use super::super::response::{
    BatchPart, Decoded, decode_batch, decode_error, decode_mailbox_identity, decode_mailbox_kind,
    is_error_readable,
};
use super::super::throttle::{delay_before, is_throttled, is_transient};
use super::super::transport::HttpResponse;
use super::probe::MailboxAnswer;
use super::read::{Answered, MAX_MALFORMED, Patience};
use super::{Client, is_success};

/// Graph: json-batching.
pub(super) const PARTS: usize = 20;

/// So many batches that fail one after the other are no trouble of a moment: a stand-in fails on what it does not know.
const FAILURES_TOLERATED: u32 = 3;

/// For so long single requests take over then.
const REST: Duration = Duration::from_secs(3_600);

/// Whether batches are worth sending.
#[derive(Debug, Default)]
pub(super) struct Batches {
    /// Refused as such, or not wanted.
    is_off: AtomicBool,
    failures: AtomicU32,
    /// In milliseconds on the monotonic clock.
    rests_until: AtomicU64,
}

impl Batches {
    pub(super) fn new(is_wanted: bool) -> Self {
        Self { is_off: AtomicBool::new(!is_wanted), ..Self::default() }
    }

    fn are_on(&self, now: Duration) -> bool {
        !self.is_off.load(Ordering::Relaxed)
            && now >= Duration::from_millis(self.rests_until.load(Ordering::Relaxed))
    }

    fn refused(&self) {
        self.is_off.store(true, Ordering::Relaxed);
    }

    fn succeeded(&self) {
        self.failures.store(0, Ordering::Relaxed);
    }

    /// True when they rest from now on.
    fn failed(&self, now: Duration) -> bool {
        let is_over = self.failures.fetch_add(1, Ordering::Relaxed) + 1 >= FAILURES_TOLERATED;
        if is_over {
            let until = u64::try_from((now + REST).as_millis()).unwrap_or(u64::MAX);
            self.rests_until.store(until, Ordering::Relaxed);
            self.failures.store(0, Ordering::Relaxed);
        }
        is_over
    }
}

/// One kind of question: how it is asked, and what an answer to it means.
pub(super) struct Question<A, R> {
    pub(super) ask: A,
    pub(super) read: R,
}

pub(super) type Answers<T> = BTreeMap<UserId, Result<T, Error>>;

impl Client {
    pub(super) fn uses_batch(&self) -> bool {
        self.shared.batches.are_on(self.shared.clock.monotonic())
    }

    /// Whether a question about so many users goes out in batches.
    pub(super) fn is_worth_batches(&self, users: usize) -> bool {
        self.uses_batch() && users >= self.shared.batch_from
    }

    /// One batch for the kinds, one for the identities of those that have a mailbox. `None`: batches are refused.
    pub(super) async fn probe_batch(&self, users: &[UserId]) -> Option<Answers<ProbeAnswer>> {
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

    /// Asks in rounds until each user has a final answer. All rounds together wait no longer than a single read does.
    /// `None`: batches are refused here, or failed.
    pub(super) async fn ask<T, A, R>(&self, users: &[UserId], question: &Question<A, R>) -> Option<Answers<T>>
    where
        A: Fn(UserId) -> Request,
        R: Fn(&HttpResponse, &RequestIds) -> Decoded<T>,
    {
        let mut rounds = Rounds::new(users);
        while !rounds.open.is_empty() {
            rounds.number += 1;
            let asked: Vec<(UserId, Request)> =
                rounds.open.keys().map(|user| (*user, (question.ask)(*user))).collect();
            // The token that the batch goes out with, in case its parts are refused for it.
            let token = match self.token().await {
                Ok(token) => token,
                Err(error) => return Some(rounds.given_up(&error)),
            };
            let arrived = match self.read_batch(&asked, &mut rounds.waited).await {
                Ok(arrived) => {
                    self.shared.batches.succeeded();
                    arrived
                }
                Err(Error::Answer { answer, .. }) if answer.status != 401 => {
                    let (status, code) = (answer.status, answer.code());
                    tracing::info!(status, code, "batches are refused here, asking one by one from now on");
                    self.shared.batches.refused();
                    return None;
                }
                // Who asks one by one instead asks twenty times as often.
                Err(error @ Error::Unanswered { is_throttled: true, .. }) => {
                    return Some(rounds.given_up(&error));
                }
                // Single requests will tell whether it is only batches that fail.
                Err(error @ (Error::Unanswered { .. } | Error::Malformed { .. })) => {
                    let is_resting = self.shared.batches.failed(self.shared.clock.monotonic());
                    tracing::info!(%error, is_resting, "a batch got no answer, asking one by one");
                    return None;
                }
                Err(error) => return Some(rounds.given_up(&error)),
            };
            let (delay, refused) = self.settle(&question.read, &asked, arrived, &mut rounds);
            if let Some(challenge) = refused {
                self.shared.tokens.refused(&token, challenge).await;
            }
            if !rounds.open.is_empty() {
                rounds.waited += delay;
                self.shared.clock.sleep(delay).await;
            }
        }
        Some(rounds.answers)
    }

    async fn read_batch(
        &self,
        asked: &[(UserId, Request)],
        waited: &mut Duration,
    ) -> Result<Answered<BTreeMap<String, HttpResponse>>, Error> {
        let parts: Vec<(String, Request)> =
            asked.iter().enumerate().map(|(index, (_, request))| (part_id(index), request.clone())).collect();
        let request = request::batch(&parts);
        let url = self.url_of(&request)?;
        let Answered { value, ids } = self.read_within(&request, &url, decode_batch, waited).await?;
        Ok(Answered { value: unambiguous(value), ids })
    }

    /// Sorts the parts of one round. Users without a final answer stay open while there is an attempt and the time left
    /// for another one. Returns the longest delay that any of them asked for, and what came with the first part
    /// that was refused for its token.
    fn settle<T>(
        &self,
        read: impl Fn(&HttpResponse, &RequestIds) -> Decoded<T>,
        asked: &[(UserId, Request)],
        mut arrived: Answered<BTreeMap<String, HttpResponse>>,
        rounds: &mut Rounds<T>,
    ) -> (Duration, Option<Option<Challenge>>) {
        let now = self.shared.clock.now();
        let (mut delay, mut refused) = (Duration::ZERO, None);
        for (index, (user, request)) in asked.iter().enumerate() {
            let part = arrived.value.remove(&part_id(index));
            if let Some(part) = &part {
                self.shared.throttle.learn(request.workload, part, now);
            }
            let ids = ids_of(part.as_ref(), &arrived.ids);
            let tries = rounds.open.entry(*user).or_default();
            let verdict = judge(request.endpoint, part.as_ref(), &ids, tries, &read);
            let last = match verdict {
                Verdict::Final(answer) => {
                    rounds.close(*user, answer);
                    continue;
                }
                Verdict::Refused => {
                    refused = refused.or_else(|| Some(part.as_ref().and_then(challenge)));
                    continue;
                }
                Verdict::Again(last) => last,
            };
            let wanted = delay_before(rounds.number + 1, &request.path, part.as_ref(), now);
            let patience = Patience::with(request.endpoint);
            if rounds.number >= patience.attempts || rounds.waited + wanted > patience.wait {
                let (endpoint, attempts) = (Endpoint::Batch, rounds.number);
                let is_throttled = part.as_ref().is_some_and(|part| is_throttled(part.status));
                rounds.close(*user, Err(Error::Unanswered { endpoint, attempts, last, is_throttled }));
            } else {
                delay = delay.max(wanted);
            }
        }
        (delay, refused)
    }
}

/// Where the question stands.
struct Rounds<T> {
    open: BTreeMap<UserId, Tries>,
    answers: Answers<T>,
    number: u32,
    waited: Duration,
}

/// What a part was asked again for, beside what passes.
#[derive(Default)]
struct Tries {
    malformed: u32,
    was_refused: bool,
}

impl<T> Rounds<T> {
    fn new(users: &[UserId]) -> Self {
        let open = users.iter().map(|user| (*user, Tries::default())).collect();
        Self { open, answers: Answers::new(), number: 0, waited: Duration::ZERO }
    }

    fn close(&mut self, user: UserId, answer: Result<T, Error>) {
        self.open.remove(&user);
        self.answers.insert(user, answer);
    }

    /// The same error for everybody who still waits.
    fn given_up(mut self, error: &Error) -> Answers<T> {
        self.answers.extend(self.open.into_keys().map(|user| (user, Err(error.clone()))));
        self.answers
    }
}

enum Verdict<T> {
    Final(Result<T, Error>),
    /// Why this part has no final answer yet.
    Again(String),
    /// The token was not taken, for the first time.
    Refused,
}

/// As a single read is judged.
fn judge<T>(
    endpoint: Endpoint,
    part: Option<&HttpResponse>,
    ids: &RequestIds,
    tries: &mut Tries,
    read: impl Fn(&HttpResponse, &RequestIds) -> Decoded<T>,
) -> Verdict<T> {
    let Some(part) = part else {
        return Verdict::Again(format!("no answer to this part of the batch ({ids})"));
    };
    if part.status == 401 && !std::mem::replace(&mut tries.was_refused, true) {
        return Verdict::Refused;
    }
    if part.status == 401 {
        let answer = Box::new(part_error(part, ids));
        return Verdict::Final(Err(Error::Answer { endpoint, answer }));
    }
    if is_transient(part.status) || part.status == 424 {
        return Verdict::Again(part_error(part, ids).to_string());
    }
    let is_readable = is_success(part) || is_error_readable(part) || tries.malformed >= MAX_MALFORMED;
    let answer =
        if is_readable { read(part, ids) } else { Err(format!("{}, no word of Graph's", part.status)) };
    match answer {
        Ok(answer) => Verdict::Final(Ok(answer)),
        Err(detail) if tries.malformed >= MAX_MALFORMED => {
            Verdict::Final(Err(Error::Malformed { endpoint, detail, ids: ids.clone() }))
        }
        Err(detail) => {
            tries.malformed += 1;
            Verdict::Again(format!("{detail} ({ids})"))
        }
    }
}

/// The ids of one part: its own, else those of the batch around it.
fn ids_of(part: Option<&HttpResponse>, around: &RequestIds) -> RequestIds {
    let ours = part.and_then(|part| part.header("client-request-id")).map(tame);
    RequestIds {
        request: part.and_then(|part| decode_error(part, "").ids.request).or_else(|| around.request.clone()),
        client_request: ours.unwrap_or_else(|| around.client_request.clone()),
    }
}

/// The error that a part is.
pub(super) fn part_error(part: &HttpResponse, ids: &RequestIds) -> ErrorAnswer {
    ErrorAnswer { ids: ids.clone(), ..decode_error(part, "") }
}

fn read_kind(part: &HttpResponse, ids: &RequestIds) -> Decoded<MailboxAnswer> {
    if is_success(part) {
        return decode_mailbox_kind(&part.body).map(MailboxAnswer::Kind);
    }
    Ok(MailboxAnswer::of_error(&part_error(part, ids)))
}

fn read_identity(part: &HttpResponse, _: &RequestIds) -> Decoded<Option<String>> {
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
