//! What becomes of mailboxes. Licence loss disconnects, deletion soft-deletes, thirty days later they are purged; a
//! licence in time brings the same mailbox back, too late a new and empty one.
//! Sources: Microsoft KB 3158794 (disconnected, not soft-deleted), OfficeDocs-Exchange delete-or-restore-mailboxes,
//! Microsoft support "litigation hold mailbox not turn into inactive" (12/2024), Exchange team on re-licensing (2022).

use std::collections::BTreeMap;

use uuid::Uuid;

use super::directory::User;
use super::licensing::{can_use_mailbox, keeps_mailbox};
use super::tenant::{Job, Tenant};
use super::truth::{LossCause, LostMailbox};
use crate::model::{Span, Timestamp, UserId};

/// How long Exchange keeps a disconnected or soft-deleted mailbox, and Entra a deleted user.
pub(super) const RETENTION: Span = Span::from_days(30);

/// What a mailbox is for: `userPurpose`. All but `User` need no licence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailboxKind {
    User,
    Shared,
    Room,
    Equipment,
}

impl MailboxKind {
    pub(super) fn purpose(self) -> &'static str {
        match self {
            MailboxKind::User => "user",
            MailboxKind::Shared => "shared",
            MailboxKind::Room => "room",
            MailboxKind::Equipment => "equipment",
        }
    }

    fn needs_licence(self) -> bool {
        self == MailboxKind::User
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Active,
    /// Delicensing Resiliency: unlicensed, still working.
    Grace,
    /// Licence lost: hidden, reattachable.
    Disconnected {
        since: Timestamp,
    },
    /// The user is deleted, or was until at most thirty days ago.
    SoftDeleted {
        since: Timestamp,
    },
    /// On hold at deletion.
    Inactive,
    Purged {
        at: Timestamp,
    },
}

#[derive(Debug, Clone)]
pub(super) struct Mailbox {
    pub id: Uuid,
    /// 1 for the first mailbox of this user, one more for each new and empty one.
    pub generation: u32,
    pub kind: MailboxKind,
    pub state: State,
    pub is_held: bool,
    /// Since when no licence keeps it; `None` while one does, or none is needed.
    unlicensed_since: Option<Timestamp>,
    /// A mailbox that never had a licence is left alone by licence changes until its own clock ends.
    was_licensed: bool,
    /// When the pending reconnection happens.
    reconnects_at: Option<Timestamp>,
}

/// The mailboxes by their owner; entries stay when the user or the mailbox is gone.
#[derive(Debug, Default)]
pub(super) struct Mailboxes {
    by_user: BTreeMap<UserId, Mailbox>,
    /// Users whose first mailbox is being made.
    expected: BTreeMap<UserId, Timestamp>,
}

impl Mailboxes {
    pub fn get(&self, user: UserId) -> Option<&Mailbox> {
        self.by_user.get(&user)
    }

    pub fn is_expected(&self, user: UserId) -> bool {
        self.expected.contains_key(&user)
    }
}

impl Tenant {
    /// A mailbox that exists from the start.
    pub(super) fn create_mailbox(
        &mut self,
        now: Timestamp,
        user: UserId,
        kind: MailboxKind,
        is_licensed: bool,
    ) {
        // A licence that came before the mailbox must not make a second one.
        self.mailboxes.expected.remove(&user);
        let needs_licence = kind.needs_licence() && !is_licensed;
        let mailbox = Mailbox {
            id: self.ids.uuid(),
            generation: 1,
            kind,
            state: State::Active,
            is_held: false,
            unlicensed_since: needs_licence.then_some(now),
            was_licensed: is_licensed,
            reconnects_at: None,
        };
        self.mailboxes.by_user.insert(user, mailbox);
        self.mailboxes.expected.remove(&user);
        if needs_licence {
            self.schedule(now + RETENTION, Job::EndGrace(user));
        }
    }

    /// Whether Graph reaches this user's mailbox.
    pub(super) fn reachable_mailbox(&self, user: &User) -> Option<&Mailbox> {
        let mailbox = self.mailboxes.get(user.id)?;
        let is_working = match mailbox.state {
            State::Active | State::Grace => true,
            State::Disconnected { .. }
            | State::SoftDeleted { .. }
            | State::Inactive
            | State::Purged { .. } => false,
        };
        let is_suspended = keeps_mailbox(user) && !can_use_mailbox(user) && mailbox.kind.needs_licence();
        (is_working && !is_suspended).then_some(mailbox)
    }

    /// Makes a live user's mailbox follow the licences. Safe to call at any time.
    pub(super) fn settle_mailbox(&mut self, now: Timestamp, id: UserId) {
        let Some(user) = self.directory.live(id) else { return };
        let is_licensed = keeps_mailbox(user);
        let Some(mailbox) = self.mailboxes.by_user.get_mut(&id) else {
            self.expect_mailbox(now, id, is_licensed);
            return;
        };
        if is_licensed || !mailbox.kind.needs_licence() {
            mailbox.was_licensed |= is_licensed;
            mailbox.unlicensed_since = None;
            self.keep_mailbox(now, id);
        } else if mailbox.was_licensed || mailbox.state != State::Active {
            self.lose_licence(now, id);
        }
    }

    fn expect_mailbox(&mut self, now: Timestamp, id: UserId, is_licensed: bool) {
        if !is_licensed {
            self.mailboxes.expected.remove(&id);
        } else if !self.mailboxes.is_expected(id) {
            let at = now + self.provisioning_delay();
            self.mailboxes.expected.insert(id, at);
            self.schedule(at, Job::Provision(id));
        }
    }

    fn keep_mailbox(&mut self, now: Timestamp, id: UserId) {
        let delay = self.provisioning_delay();
        let Some(mailbox) = self.mailboxes.by_user.get_mut(&id) else { return };
        match mailbox.state {
            State::Active => self.set_provisioning_error(now, id, false),
            State::Grace | State::Inactive => mailbox.state = State::Active,
            State::Purged { .. } if !mailbox.kind.needs_licence() => {}
            State::Disconnected { .. } | State::SoftDeleted { .. } | State::Purged { .. } => {
                if mailbox.reconnects_at.is_none() {
                    mailbox.reconnects_at = Some(now + delay);
                    self.schedule(now + delay, Job::Provision(id));
                }
            }
        }
    }

    fn lose_licence(&mut self, now: Timestamp, id: UserId) {
        let is_resilient = self.switches.delicensing_resiliency;
        let renews_clock = self.switches.restore_renews_clock;
        let Some(mailbox) = self.mailboxes.by_user.get_mut(&id) else { return };
        mailbox.reconnects_at = None;
        let lost_at = *mailbox.unlicensed_since.get_or_insert(now);
        match mailbox.state {
            State::Active | State::Inactive if mailbox.is_held => {
                mailbox.state = State::Active;
                self.set_provisioning_error(now, id, true);
            }
            State::Active | State::Inactive if is_resilient => {
                mailbox.state = State::Grace;
                self.schedule(lost_at + RETENTION, Job::EndGrace(id));
            }
            State::Active | State::Inactive => self.disconnect(id, now),
            State::SoftDeleted { since } => {
                self.disconnect(id, if renews_clock { now } else { since.min(lost_at) })
            }
            State::Disconnected { since } => self.schedule(since + RETENTION, Job::PurgeMailbox(id)),
            State::Grace | State::Purged { .. } => {}
        }
    }

    fn disconnect(&mut self, id: UserId, since: Timestamp) {
        let Some(mailbox) = self.mailboxes.by_user.get_mut(&id) else { return };
        mailbox.state = State::Disconnected { since };
        mailbox.reconnects_at = None;
        self.schedule(since + RETENTION, Job::PurgeMailbox(id));
    }

    fn set_provisioning_error(&mut self, now: Timestamp, id: UserId, is_blocked: bool) {
        let Some(user) = self.directory.live(id) else { return };
        if user.provisioning_error_at.is_some() != is_blocked {
            let mut user = User::clone(user);
            user.provisioning_error_at = is_blocked.then_some(now);
            self.store_user(now, user);
        }
    }

    /// Thirty days without a licence: ends the grace of Delicensing Resiliency, and that of a mailbox never licensed.
    pub(super) fn end_grace(&mut self, now: Timestamp, id: UserId) {
        let is_live = self.directory.live(id).is_some();
        let Some(mailbox) = self.mailboxes.by_user.get_mut(&id) else { return };
        let is_due = mailbox.unlicensed_since.is_some_and(|since| since + RETENTION <= now);
        let is_working = matches!(mailbox.state, State::Active | State::Grace);
        if is_live && is_due && is_working && !mailbox.is_held {
            mailbox.was_licensed = true;
            self.disconnect(id, now);
        }
    }

    /// A pending mailbox comes: the old one again, or a new one.
    pub(super) fn provision(&mut self, now: Timestamp, id: UserId) {
        let Some(user) = self.directory.live(id) else { return };
        let duplicate_of = user.duplicate_of;
        if self.mailboxes.expected.get(&id) == Some(&now) {
            self.mailboxes.expected.remove(&id);
            self.create_mailbox(now, id, MailboxKind::User, true);
            self.replace_original(now, duplicate_of);
            return;
        }
        let fresh = self.ids.uuid();
        let Some(mailbox) = self.mailboxes.by_user.get_mut(&id) else { return };
        if mailbox.reconnects_at != Some(now) {
            return;
        }
        mailbox.reconnects_at = None;
        if let State::Purged { .. } = mailbox.state {
            mailbox.id = fresh;
            mailbox.generation += 1;
        }
        mailbox.state = State::Active;
    }

    /// A licensed account with the `ExchangeGuid` of a deleted one hard-deletes the original's mailbox.
    fn replace_original(&mut self, now: Timestamp, original: Option<UserId>) {
        let Some(original) = original else { return };
        if self.directory.live(original).is_none() {
            self.purge_mailbox(now, original, LossCause::ReplacedByDuplicate);
        }
    }

    /// The user went to the recycle bin.
    pub(super) fn mailbox_of_deleted_user(&mut self, now: Timestamp, id: UserId) {
        self.mailboxes.expected.remove(&id);
        let Some(mailbox) = self.mailboxes.by_user.get_mut(&id) else { return };
        mailbox.reconnects_at = None;
        match mailbox.state {
            State::Active | State::Grace if mailbox.is_held => mailbox.state = State::Inactive,
            State::Active | State::Grace => mailbox.state = State::SoftDeleted { since: now },
            State::Disconnected { since } => self.schedule(since + RETENTION, Job::PurgeMailbox(id)),
            State::SoftDeleted { .. } | State::Inactive | State::Purged { .. } => {}
        }
    }

    /// The user left the recycle bin for good. With the licence gone before, nothing is left; else Exchange alone
    /// reaches the mailbox for thirty days more.
    pub(super) fn mailbox_of_purged_user(&mut self, now: Timestamp, id: UserId, upn: &str) {
        let Some(mailbox) = self.mailboxes.by_user.get_mut(&id) else { return };
        match mailbox.state {
            State::SoftDeleted { .. } if mailbox.unlicensed_since.is_none() => {
                let generation = mailbox.generation;
                self.schedule(now + RETENTION, Job::PurgeMailbox(id));
                self.lost.push(LostMailbox {
                    user: id,
                    user_principal_name: upn.to_owned(),
                    at: now,
                    cause: LossCause::AccountPurged,
                    generation,
                });
            }
            State::Active | State::Grace | State::SoftDeleted { .. } | State::Disconnected { .. } => {
                self.purge_mailbox(now, id, LossCause::AccountPurgedUnlicensed);
            }
            State::Inactive | State::Purged { .. } => {}
        }
    }

    /// Runs when a disconnected or soft-deleted mailbox may be due.
    pub(super) fn purge_due_mailbox(&mut self, now: Timestamp, id: UserId) {
        let is_known = self.directory.any(id).is_some();
        let Some(mailbox) = self.mailboxes.by_user.get(&id) else { return };
        match mailbox.state {
            State::Disconnected { since } if since + RETENTION <= now && mailbox.reconnects_at.is_none() => {
                self.purge_mailbox(now, id, LossCause::LicenceLost);
            }
            State::SoftDeleted { .. } if !is_known => self.purge_mailbox(now, id, LossCause::AccountPurged),
            State::Active
            | State::Grace
            | State::Disconnected { .. }
            | State::SoftDeleted { .. }
            | State::Inactive
            | State::Purged { .. } => {}
        }
    }

    fn purge_mailbox(&mut self, now: Timestamp, id: UserId, cause: LossCause) {
        let upn = self.directory.any(id).map(|user| user.user_principal_name.to_string());
        let Some(mailbox) = self.mailboxes.by_user.get_mut(&id) else { return };
        if let State::Purged { .. } = mailbox.state {
            return;
        }
        mailbox.state = State::Purged { at: now };
        mailbox.reconnects_at = None;
        let generation = mailbox.generation;
        let is_known = self.lost.iter().any(|lost| lost.user == id && lost.generation == generation);
        if !is_known {
            let user_principal_name = upn.unwrap_or_default();
            self.lost.push(LostMailbox { user: id, user_principal_name, at: now, cause, generation });
        }
    }

    /// Puts a mailbox on hold, or takes the hold off; without it the rules apply that it had suspended.
    pub(super) fn hold_mailbox(&mut self, now: Timestamp, id: UserId, is_held: bool) {
        let deleted_at = self.directory.deleted(id).and_then(|user| user.deleted_at);
        let Some(mailbox) = self.mailboxes.by_user.get_mut(&id) else { return };
        mailbox.is_held = is_held;
        if !is_held && mailbox.state == State::Inactive {
            mailbox.state = State::SoftDeleted { since: deleted_at.unwrap_or(now) };
            if deleted_at.is_none() {
                self.schedule(now + RETENTION, Job::PurgeMailbox(id));
            }
        }
        self.settle_mailbox(now, id);
    }

    /// Converts a mailbox; from shared back to user the licence counts again.
    pub(super) fn convert_mailbox(&mut self, now: Timestamp, id: UserId, kind: MailboxKind) {
        let Some(mailbox) = self.mailboxes.by_user.get_mut(&id) else { return };
        mailbox.kind = kind;
        mailbox.was_licensed = true;
        self.settle_mailbox(now, id);
    }
}
