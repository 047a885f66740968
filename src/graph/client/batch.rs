//! The same questions, twenty to a request.
//!
//! A 200 around a batch says nothing about its parts: each has its own status, its own `Retry-After`, may be missing, come
//! twice or under an id in other letters. A part without a usable answer goes into the next round; where batches as such
//! are refused, single requests take over for good.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::model::{ProbeAnswer, UserId};

use super::super::error::Error;
use super::super::link::GraphUrl;
use super::super::request::{self, Request};
use super::super::response::{
    BatchPart, decode_batch, decode_error, decode_mailbox_identity, decode_mailbox_kind,
};
use super::super::throttle::{MAX_READ_ATTEMPTS, delay_before, is_transient};
use super::super::transport::HttpResponse;
use super::probe::MailboxAnswer;
use super::{Client, is_success};

/// Graph: json-batching.
const PARTS: usize = 20;

type Answers = BTreeMap<UserId, Result<HttpResponse, Error>>;

impl Client {
    pub(super) fn uses_batch(&self) -> bool {
        self.shared.has_batch.load(Ordering::Relaxed)
    }

    pub(super) async fn probe_in_batches(
        &self,
        users: &[UserId],
    ) -> Vec<(UserId, Result<ProbeAnswer, Error>)> {
        let mut results = Vec::with_capacity(users.len());
        for some in users.chunks(PARTS) {
            if self.uses_batch() {
                results.extend(self.probe_batch(some).await);
            } else {
                results.extend(self.probe_one_by_one(some).await);
            }
        }
        results
    }

    /// At most [`PARTS`] users: one batch for the kinds, one for the identities of those that have a mailbox.
    async fn probe_batch(&self, users: &[UserId]) -> Vec<(UserId, Result<ProbeAnswer, Error>)> {
        let Some(kinds) = self.ask(users, request::mailbox_kind).await else {
            return self.probe_one_by_one(users).await;
        };
        let mut kinds: BTreeMap<UserId, Result<MailboxAnswer, Error>> =
            kinds.into_iter().map(|(user, answer)| (user, answer.and_then(|part| kind_of(&part)))).collect();
        let reachable: Vec<UserId> = kinds
            .iter()
            .filter(|(_, kind)| matches!(kind, Ok(MailboxAnswer::Kind(_))))
            .map(|(user, _)| *user)
            .collect();
        let mut identities = self.identities(&reachable).await;
        let mut results = Vec::with_capacity(users.len());
        for user in users {
            let result = match kinds.remove(user) {
                Some(Ok(MailboxAnswer::Kind(kind))) => match identities.remove(user) {
                    Some(Err(error)) => Err(error),
                    Some(Ok(primary_id)) => Ok(ProbeAnswer::Reachable { kind, primary_id }),
                    None => Ok(ProbeAnswer::Reachable { kind, primary_id: None }),
                },
                Some(Ok(MailboxAnswer::NoMailbox)) => Ok(ProbeAnswer::NoMailbox),
                Some(Ok(MailboxAnswer::Unreadable)) => Ok(ProbeAnswer::Unreadable),
                Some(Err(error)) => Err(error),
                // The same user twice in the list: the first mention has taken the answer.
                None => self.probe_single(*user).await,
            };
            results.push((*user, result));
        }
        results
    }

    async fn probe_single(&self, user: UserId) -> Result<ProbeAnswer, Error> {
        let mut one = self.probe_one_by_one(&[user]).await;
        one.pop().expect("one user gives one result").1
    }

    async fn identities(&self, users: &[UserId]) -> BTreeMap<UserId, Result<Option<String>, Error>> {
        if users.is_empty() || !self.shared.roots.features().has_mailbox_identity {
            return BTreeMap::new();
        }
        match self.ask(users, request::mailbox_identity).await {
            Some(answers) => answers
                .into_iter()
                .map(|(user, answer)| (user, answer.and_then(|part| identity_of(&part))))
                .collect(),
            None => {
                let mut identities = BTreeMap::new();
                for user in users {
                    identities.insert(*user, self.mailbox_identity(*user).await);
                }
                identities
            }
        }
    }

    /// One question for each user, in rounds until each has a final answer. `None`: batches are refused here.
    async fn ask(&self, users: &[UserId], question: fn(UserId) -> Request) -> Option<Answers> {
        let mut answers = Answers::new();
        let mut open: Vec<UserId> = users.to_vec();
        open.sort_unstable();
        open.dedup();
        let mut round = 1;
        loop {
            let parts: Vec<(String, Request)> =
                open.iter().enumerate().map(|(index, user)| (part_id(index), question(*user))).collect();
            let request = request::batch(&parts);
            let arrived = match self.read(&request, decode_batch).await {
                Ok(arrived) => arrived,
                Err(Error::Answer { .. }) => {
                    self.shared.has_batch.store(false, Ordering::Relaxed);
                    tracing::info!("batches are refused here, asking one by one from now on");
                    return None;
                }
                Err(error) => {
                    answers.extend(open.into_iter().map(|user| (user, Err(error.clone()))));
                    return Some(answers);
                }
            };
            let mut by_id = unambiguous(arrived);
            let mut unanswered = Vec::new();
            let mut delay = Duration::ZERO;
            for (index, user) in open.iter().enumerate() {
                let part = by_id.remove(&part_id(index));
                self.learn(part.as_ref());
                match part {
                    Some(part) if !is_transient(part.status) && part.status != 424 => {
                        answers.insert(*user, Ok(part));
                    }
                    part => {
                        let url = self
                            .url_of(&parts[index].1)
                            .map_or_else(|_| String::new(), |url: GraphUrl| url.as_str().to_owned());
                        delay =
                            delay.max(delay_before(round + 1, &url, part.as_ref(), self.shared.clock.now()));
                        unanswered.push((*user, part));
                    }
                }
            }
            if unanswered.is_empty() {
                return Some(answers);
            }
            if round >= MAX_READ_ATTEMPTS {
                let endpoint = request.endpoint;
                answers.extend(unanswered.into_iter().map(|(user, part)| {
                    let last = part.map_or_else(
                        || "no answer to this part".to_owned(),
                        |part| decode_error(&part, "").to_string(),
                    );
                    (user, Err(Error::Unanswered { endpoint, attempts: round, last }))
                }));
                return Some(answers);
            }
            round += 1;
            self.shared.clock.sleep(delay).await;
            open = unanswered.into_iter().map(|(user, _)| user).collect();
        }
    }

    fn learn(&self, part: Option<&HttpResponse>) {
        if let Some(part) = part {
            self.shared.throttle.learn(part, self.shared.clock.now());
        }
    }
}

fn part_id(index: usize) -> String {
    format!("probe-{index}")
}

/// The parts by id. One that came twice with different content answers nothing.
fn unambiguous(parts: Vec<BatchPart>) -> BTreeMap<String, HttpResponse> {
    let mut by_id: BTreeMap<String, Option<HttpResponse>> = BTreeMap::new();
    for part in parts {
        by_id
            .entry(part.id)
            .and_modify(|known| {
                if known.as_ref() != Some(&part.response) {
                    *known = None;
                }
            })
            .or_insert(Some(part.response.clone()));
    }
    by_id.into_iter().filter_map(|(id, response)| response.map(|response| (id, response))).collect()
}

fn kind_of(part: &HttpResponse) -> Result<MailboxAnswer, Error> {
    if is_success(part) {
        return decode_mailbox_kind(&part.body).map(MailboxAnswer::Kind).map_err(malformed);
    }
    Ok(MailboxAnswer::of_error(&decode_error(part, "")))
}

fn identity_of(part: &HttpResponse) -> Result<Option<String>, Error> {
    if is_success(part) { decode_mailbox_identity(&part.body).map_err(malformed) } else { Ok(None) }
}

fn malformed(detail: String) -> Error {
    let endpoint = request::Endpoint::Batch;
    Error::Malformed { endpoint, detail, ids: super::RequestIds::default() }
}
