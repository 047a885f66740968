//! Questions to Exchange about mailboxes: is there one, of what kind, and which one is it.

use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};

use crate::model::{MailboxKind, ProbeAnswer, UserId};

use super::super::error::{Error, ErrorAnswer};
use super::super::request;
use super::super::response::{decode_mailbox_identity, decode_mailbox_kind};
use super::Client;
use super::batch::PARTS;

/// Batches under way at the same time. Exchange limits each mailbox by itself.
const BATCHES_AT_ONCE: usize = 4;

/// What was learned of one user.
pub type Probed = (UserId, Result<ProbeAnswer, Error>);

/// What `mailboxSettings` says of one user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MailboxAnswer {
    Kind(MailboxKind),
    /// `MailboxNotEnabledForRESTAPI`: never had one, disconnected, deleted, on premises, or still being made.
    NoMailbox,
    /// Refused or not offered: nothing is known.
    Unreadable,
}

impl MailboxAnswer {
    /// Matches on the code, whatever the status: 404 is documented, 403 was seen. Any other refusal says nothing
    /// about the mailbox.
    pub(super) fn of_error(answer: &ErrorAnswer) -> Self {
        if answer.has_code("MailboxNotEnabledForRESTAPI") { Self::NoMailbox } else { Self::Unreadable }
    }
}

impl Client {
    /// Whether the user has a reachable cloud mailbox, and of what kind. Source: Graph mailboxSettings.
    ///
    /// # Errors
    /// Sign-in, a token that was not taken, no usable answer, an answer that is not understood. Any other refusal is
    /// [`MailboxAnswer::Unreadable`].
    pub async fn mailbox_kind(&self, user: UserId) -> Result<MailboxAnswer, Error> {
        match self.read(&request::mailbox_kind(user), decode_mailbox_kind).await {
            Ok(kind) => Ok(MailboxAnswer::Kind(kind)),
            Err(Error::Answer { answer, .. }) if answer.status != 401 => Ok(MailboxAnswer::of_error(&answer)),
            Err(error) => Err(error),
        }
    }

    /// `primaryMailboxId`, which names the mailbox itself; `None` where the cloud or the permissions do not offer it.
    ///
    /// # Errors
    /// As [`Client::mailbox_kind`].
    pub async fn mailbox_identity(&self, user: UserId) -> Result<Option<String>, Error> {
        if !self.shared.roots.features().has_mailbox_identity {
            return Ok(None);
        }
        match self.read(&request::mailbox_identity(user), decode_mailbox_identity).await {
            Ok(id) => Ok(id),
            Err(Error::Answer { answer, .. }) if answer.status != 401 => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Both questions for many users. Answers come as they arrive, and in no order: who stops listening loses only what
    /// is still under way. One user's failure is that user's alone.
    pub fn probe_mailboxes(&self, users: Vec<UserId>) -> BoxStream<'static, Probed> {
        if !self.is_worth_batches(users.len()) {
            return self.probe_one_by_one(users);
        }
        let mut some: Vec<Vec<UserId>> = users.chunks(PARTS).map(<[UserId]>::to_vec).collect();
        // The first one alone tells whether batches are taken here at all.
        let rest = some.split_off(1);
        let client = self.clone();
        let probes = move |some: Vec<UserId>| {
            let client = client.clone();
            async move { client.probe_together(some).await }
        };
        let at_once = BATCHES_AT_ONCE.min(self.probes_at_once());
        let first = stream::iter(some).then(probes.clone());
        first.chain(stream::iter(rest).map(probes).buffer_unordered(at_once)).flat_map(stream::iter).boxed()
    }

    /// As many as fit into a batch.
    async fn probe_together(&self, users: Vec<UserId>) -> Vec<Probed> {
        let answers = if self.uses_batch() { self.probe_batch(&users).await } else { None };
        match answers {
            Some(answers) => answers.into_iter().collect(),
            None => self.probe_one_by_one(users).collect().await,
        }
    }

    fn probe_one_by_one(&self, users: Vec<UserId>) -> BoxStream<'static, Probed> {
        let client = self.clone();
        let probes = move |user: UserId| {
            let client = client.clone();
            async move { (user, client.probe(user).await) }
        };
        stream::iter(users).map(probes).buffer_unordered(self.probes_at_once()).boxed()
    }

    /// The identity is asked for only where there is a mailbox to identify.
    async fn probe(&self, user: UserId) -> Result<ProbeAnswer, Error> {
        match self.mailbox_kind(user).await? {
            MailboxAnswer::Kind(kind) => {
                Ok(ProbeAnswer::Reachable { kind, primary_id: self.mailbox_identity(user).await? })
            }
            MailboxAnswer::NoMailbox => Ok(ProbeAnswer::NoMailbox),
            MailboxAnswer::Unreadable => Ok(ProbeAnswer::Unreadable),
        }
    }
}
