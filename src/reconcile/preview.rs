//! The groups of a policy that is not in force yet, read before it is judged: what was observed so far knows only those
//! of the policy before, and nothing of a group that does not exist.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::clock::{Clock, within};
use crate::errors::chain;
use crate::graph::Client;
use crate::model::{GroupId, KnownUser, Presence, Span, Timestamp, UserId};

/// A waiting policy is held against newer members once in this time.
const GOOD_FOR: Span = Span::from_hours(1);

/// Groups that gave no answer are asked again after this: the wait for them is not to be part of every pass.
const ASK_AGAIN: Span = Span::from_minutes(30);

/// The policy in force judges meanwhile, and its pass must not wait for a group of another one for long. A hundred
/// thousand members are a hundred pages.
const WAIT: Duration = Duration::from_secs(60);

/// What reading the groups of one policy brought.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Preview {
    policy_digest: String,
    read_at: Option<Timestamp>,
    members: BTreeMap<GroupId, BTreeSet<UserId>>,
    /// Groups that were not read, and why.
    pub unread: BTreeMap<GroupId, Unread>,
}

/// Why a group was not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unread {
    Missing,
    Failed(String),
}

impl Preview {
    /// Reads these groups, unless they were read for this policy a short while ago.
    pub async fn read(
        &mut self,
        graph: &Client,
        clock: &dyn Clock,
        policy_digest: &str,
        groups: BTreeSet<GroupId>,
        now: Timestamp,
    ) {
        if self.policy_digest == policy_digest && self.stands(&groups, now) {
            return;
        }
        let read_at = Some(now);
        *self = Self { policy_digest: policy_digest.to_owned(), read_at, ..Self::default() };
        let mut wait = WAIT;
        for group in groups {
            match within(clock, wait, members(graph, group)).await {
                Some(Ok(members)) => drop(self.members.insert(group, members)),
                Some(Err(why)) => drop(self.unread.insert(group, why)),
                None => {
                    wait = Duration::ZERO;
                    self.unread.insert(group, Unread::Failed(format!("no answer in {} s", WAIT.as_secs())));
                }
            }
        }
    }

    /// True while these groups need not be read anew. That one does not exist is said at once, so it is asked in every
    /// pass whether it does by now.
    fn stands(&self, groups: &BTreeSet<GroupId>, now: Timestamp) -> bool {
        let has_failed = self.unread.values().any(|why| matches!(why, Unread::Failed(_)));
        let good_for = if has_failed { ASK_AGAIN } else { GOOD_FOR };
        let tried: BTreeSet<GroupId> = self.members.keys().chain(self.unread.keys()).copied().collect();
        let is_recent = self.read_at.is_some_and(|at| at.is_within(good_for, now));
        is_recent && tried == *groups && (has_failed || self.unread.is_empty())
    }

    /// The user as the next observation would know it. Memberships of deleted accounts cannot be listed.
    pub fn shown(&self, mut known: KnownUser) -> KnownUser {
        if known.presence == Presence::Live {
            for (group, members) in &self.members {
                known.groups_read.insert(*group);
                if members.contains(&known.id()) {
                    known.groups.insert(*group);
                }
            }
        }
        known
    }
}

async fn members(graph: &Client, group: GroupId) -> Result<BTreeSet<UserId>, Unread> {
    match graph.group(group).await {
        Ok(Some(_)) => {}
        Ok(None) => return Err(Unread::Missing),
        Err(error) => return Err(Unread::Failed(chain(&error))),
    }
    let mut pages = graph.group_members(group);
    let mut members = BTreeSet::new();
    loop {
        match pages.next().await {
            Ok(Some(page)) => members.extend(page),
            Ok(None) => return Ok(members),
            Err(error) => return Err(Unread::Failed(chain(&error))),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};

    use async_trait::async_trait;
    use serde_json::json;

    use super::*;
    use crate::graph::transport::{HttpRequest, HttpResponse, Transport, TransportError};
    use crate::graph::{Cloud, Config, SignIn};
    use crate::model::TenantId;
    use crate::sim::clock::TokioClock;

    /// Signs everybody in, and answers everything else with one status.
    #[derive(Default)]
    struct Answering {
        status: AtomicU16,
        asked: AtomicU32,
    }

    #[async_trait]
    impl Transport for Answering {
        async fn send(&self, request: HttpRequest) -> Result<HttpResponse, TransportError> {
            if request.url.contains("/oauth2/") {
                let token = json!({ "token_type": "Bearer", "access_token": "t", "expires_in": 86_399 });
                return Ok(HttpResponse::new(200).with_json(&token));
            }
            self.asked.fetch_add(1, Ordering::SeqCst);
            let error = json!({ "error": { "code": "Request_ResourceNotFound", "message": "" } });
            Ok(HttpResponse::new(self.status.load(Ordering::SeqCst)).with_json(&error))
        }
    }

    /// How often it is asked for two groups, in passes at these minutes.
    async fn asked_at(status: u16, minutes: &[i64]) -> Vec<bool> {
        let clock = Arc::new(TokioClock::new(Timestamp::from_secs(1_795_435_200)));
        let graph = Arc::new(Answering::default());
        graph.status.store(status, Ordering::SeqCst);
        let sign_in = SignIn::ClientSecret { client_id: "c".to_owned(), secret: "s".to_owned().into() };
        let config = Config::new(TenantId::from_u128(1), Cloud::Global.roots(), sign_in);
        let client = Client::new(config, graph.clone(), clock.clone());
        let groups: BTreeSet<GroupId> = [1, 2].map(GroupId::from_u128).into();
        let (mut preview, begun, mut asked) = (Preview::default(), clock.now(), Vec::new());
        for minute in minutes {
            let before = graph.asked.load(Ordering::SeqCst);
            let now = begun + Span::from_minutes(*minute);
            preview.read(&client, &*clock, "new", groups.clone(), now).await;
            assert_eq!(preview.unread.len(), 2);
            asked.push(graph.asked.load(Ordering::SeqCst) > before);
        }
        asked
    }

    #[tokio::test(start_paused = true)]
    async fn groups_that_give_no_answer_are_not_asked_again_in_every_pass() {
        assert_eq!(asked_at(500, &[0, 10, 20, 31, 40]).await, [true, false, false, true, false]);
    }

    #[tokio::test(start_paused = true)]
    async fn groups_that_do_not_exist_are_looked_for_in_every_pass() {
        assert_eq!(asked_at(404, &[0, 10, 20]).await, [true, true, true]);
    }
}
