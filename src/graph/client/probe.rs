//! Questions to Exchange about mailboxes: is there one, of what kind, and which one is it.

use futures_util::StreamExt;
use futures_util::stream;

use crate::model::{MailboxKind, ProbeAnswer, UserId};

use super::super::error::{Error, ErrorAnswer};
use super::super::request;
use super::super::response::{decode_mailbox_identity, decode_mailbox_kind};
use super::Client;

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
    /// Sign-in, no usable answer, an answer that is not understood. A refusal is [`MailboxAnswer::Unreadable`].
    pub async fn mailbox_kind(&self, user: UserId) -> Result<MailboxAnswer, Error> {
        match self.read(&request::mailbox_kind(user), decode_mailbox_kind).await {
            Ok(kind) => Ok(MailboxAnswer::Kind(kind)),
            Err(Error::Answer { answer, .. }) => Ok(MailboxAnswer::of_error(&answer)),
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
            Err(Error::Answer { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Both questions for many users, in the order given. One user's failure is that user's alone.
    pub async fn probe_mailboxes(&self, users: &[UserId]) -> Vec<(UserId, Result<ProbeAnswer, Error>)> {
        if self.is_worth_batches(users.len()) {
            self.probe_in_batches(users).await
        } else {
            self.probe_one_by_one(users).await
        }
    }

    pub(super) async fn probe_one_by_one(
        &self,
        users: &[UserId],
    ) -> Vec<(UserId, Result<ProbeAnswer, Error>)> {
        // Owned ids: a borrowing closure here keeps the whole pass from being `Send`.
        let probes = users.iter().copied().map(|user| async move { (user, self.probe(user).await) });
        stream::iter(probes).buffered(self.probes_at_once()).collect().await
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
