//! The same read for many users: one by one while they are few, twenty to a request when they are many.
//!
//! One user's failure is that user's alone; what it means is for the caller.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream;

use crate::model::{GroupId, User, UserId};

use super::super::error::{Error, ErrorAnswer, RequestIds};
use super::super::request::{self, GROUPS_PER_CHECK, Request};
use super::super::response::{
    Decoded, DeletedUser, Understood, decode_deleted_user, decode_held_groups, decode_user,
};
use super::super::transport::HttpResponse;
use super::batch::{PARTS, Question, in_order, part_error};
use super::directory::is_not_found;
use super::{Client, is_success};

/// The answers in the order of the question.
pub type AnswersByUser<T> = Vec<(UserId, Result<T, Error>)>;

/// What is asked about each user.
#[derive(Debug, Clone)]
enum Ask {
    User,
    DeletedUser,
    /// At most [`GROUPS_PER_CHECK`].
    Memberships(Arc<[GroupId]>),
}

impl Ask {
    fn request(&self, user: UserId) -> Request {
        match self {
            Self::User => request::user(user),
            Self::DeletedUser => request::deleted_user(user),
            Self::Memberships(groups) => request::check_member_groups(user, groups),
        }
    }
}

/// One kind of single read. `absent` turns the refusals that are an answer into one.
struct Single<T> {
    ask: Ask,
    decode: fn(&[u8]) -> Decoded<T>,
    absent: fn(&ErrorAnswer) -> Option<T>,
}

impl Client {
    /// As [`Client::user`], for many.
    pub async fn users_by_id(&self, users: &[UserId]) -> AnswersByUser<Option<Understood<User>>> {
        let decode = |body: &[u8]| decode_user(body).map(Some);
        self.many(users, &Single { ask: Ask::User, decode, absent: not_found }).await
    }

    /// As [`Client::deleted_user`], for many.
    pub async fn deleted_users_by_id(
        &self,
        users: &[UserId],
    ) -> AnswersByUser<Option<Understood<DeletedUser>>> {
        let single = Single { ask: Ask::DeletedUser, decode: decode_deleted_user, absent: not_found };
        self.many(users, &single).await
    }

    /// Which of `groups` hold each user, directly or through other groups; `None` for a user that is not there. A
    /// group that does not exist holds nobody: whether it exists is another question.
    pub async fn memberships(
        &self,
        users: &[UserId],
        groups: &BTreeSet<GroupId>,
    ) -> AnswersByUser<Option<BTreeSet<GroupId>>> {
        let groups: Vec<GroupId> = groups.iter().copied().collect();
        let mut all: AnswersByUser<Option<BTreeSet<GroupId>>> =
            users.iter().map(|user| (*user, Ok(Some(BTreeSet::new())))).collect();
        for some in groups.chunks(GROUPS_PER_CHECK) {
            let decode = |body: &[u8]| decode_held_groups(body).map(Some);
            let single = Single { ask: Ask::Memberships(some.into()), decode, absent: not_found };
            let answers = self.many(users, &single).await;
            for ((_, held), (_, answer)) in all.iter_mut().zip(answers) {
                *held = union(std::mem::replace(held, Ok(None)), answer);
            }
        }
        all
    }

    async fn many<T: Clone>(&self, users: &[UserId], single: &Single<T>) -> AnswersByUser<T> {
        if !self.is_worth_batches(users.len()) {
            return self.singly(users, single).await;
        }
        let mut results = Vec::with_capacity(users.len());
        for some in users.chunks(PARTS) {
            match self.together(some, single).await {
                Some(answers) => results.extend(answers),
                None => results.extend(self.singly(some, single).await),
            }
        }
        results
    }

    async fn singly<T>(&self, users: &[UserId], single: &Single<T>) -> AnswersByUser<T> {
        let (decode, absent) = (single.decode, single.absent);
        let reads = users.iter().copied().map(|user| {
            let (client, request) = (self.clone(), single.ask.request(user));
            async move {
                let answer = match client.read(&request, decode).await {
                    Err(Error::Answer { endpoint, answer }) => {
                        absent(&answer).ok_or(Error::Answer { endpoint, answer })
                    }
                    other => other,
                };
                (user, answer)
            }
        });
        stream::iter(reads).buffered(self.probes_at_once()).collect().await
    }

    /// `None`: batches are refused here.
    async fn together<T: Clone>(&self, users: &[UserId], single: &Single<T>) -> Option<AnswersByUser<T>> {
        if !self.uses_batch() {
            return None;
        }
        let question = Question {
            ask: |user| single.ask.request(user),
            read: |part: &HttpResponse, ids: &RequestIds| read_part(part, ids, single),
        };
        let answers = self.ask(users, &question).await?;
        let answers = answers.into_iter().map(|(user, answer)| {
            let endpoint = single.ask.request(user).endpoint;
            let flat = answer.and_then(|answer| answer.map_err(|answer| Error::Answer { endpoint, answer }));
            (user, flat)
        });
        Some(in_order(users, &answers.collect()))
    }
}

/// A refusal is a final answer, too.
fn read_part<T>(
    part: &HttpResponse,
    ids: &RequestIds,
    single: &Single<T>,
) -> Decoded<Result<T, Box<ErrorAnswer>>> {
    if is_success(part) {
        return (single.decode)(&part.body).map(Ok);
    }
    let answer = part_error(part, ids);
    Ok((single.absent)(&answer).ok_or_else(|| Box::new(answer)))
}

fn not_found<T>(answer: &ErrorAnswer) -> Option<Option<T>> {
    is_not_found(answer).then_some(None)
}

fn union(
    held: Result<Option<BTreeSet<GroupId>>, Error>,
    more: Result<Option<Vec<GroupId>>, Error>,
) -> Result<Option<BTreeSet<GroupId>>, Error> {
    match (held?, more?) {
        (Some(mut held), Some(more)) => {
            held.extend(more);
            Ok(Some(held))
        }
        (None, _) | (_, None) => Ok(None),
    }
}
