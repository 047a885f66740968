//! Accounts that no keep rule names any more, although nobody changed the policy: an attribute or a membership was
//! taken away, of one by a move, of many by a slip in what feeds the directory. Nothing is done for them, and that is
//! told.

use std::collections::BTreeMap;

use crate::model::{KnownUser, Released, Span, UserId};
use crate::policy::{Policy, Ruling};
use crate::store;
use crate::store::records::ReleasedUsers;

use super::Watch;

/// For so long somebody may ask what became of an account.
const REMEMBERED: Span = Span::from_days(60);

/// More are not remembered: a tenant of which nothing is kept any more is told by any number of them.
const REMEMBERED_MAX: usize = 10_000;

/// Compares the rules that name a user before and after an observation.
pub(super) struct Releases<'a> {
    policy: &'a Policy,
    /// Another policy names others: that is a matter of its own.
    is_same_policy: bool,
    now: Released,
    /// As they were stored.
    before: BTreeMap<UserId, Released>,
    users: BTreeMap<UserId, Released>,
}

impl<'a> Releases<'a> {
    pub(super) fn of(watch: &Watch<'a>) -> Result<Self, store::Error> {
        let is_same_policy = watch.cursor.policy_digest.as_deref() == Some(watch.policy.digest.as_str());
        let ReleasedUsers(before) = watch.store.get_or_default()?;
        let mut users = before.clone();
        // Whom another policy drops, it drops. Everybody is counted anew then.
        users.retain(|_, released| is_same_policy || !released.is_over);
        let now = Released { rule: String::new(), at: watch.started, is_over: false };
        Ok(Self { policy: watch.policy, is_same_policy, now, before, users })
    }

    /// One user before and after.
    pub(super) fn note(&mut self, before: &KnownUser, after: &KnownUser) {
        if before.user == after.user && before.groups == after.groups {
            return;
        }
        self.note_return(after);
        if !self.is_same_policy || !before.had_mailbox() || self.users.len() >= REMEMBERED_MAX {
            return;
        }
        if let (Ruling::Keep(rule), Ruling::NoRule) = (self.policy.ruling(before), self.policy.ruling(after))
        {
            let released = Released { rule: rule.name.clone(), ..self.now.clone() };
            self.users.insert(after.id(), released);
        }
    }

    /// The policy decides about the user again.
    pub(super) fn note_return(&mut self, known: &KnownUser) {
        if let Some(released) = self.users.get_mut(&known.id())
            && !matches!(self.policy.ruling(known), Ruling::NoRule)
        {
            released.is_over = true;
        }
    }

    /// Forgets whom the policy decides about again, and those of long ago. Only while everybody is counted anew: the
    /// counters of a pass take off what they put on.
    pub(super) fn forget_settled(&mut self) {
        let at = self.now.at;
        self.users.retain(|_, released| !released.is_over && released.at + REMEMBERED > at);
    }

    pub(super) fn keep(self, watch: &Watch<'_>) -> Result<(), store::Error> {
        let new = self.users.values().filter(|released| released.at == self.now.at).count();
        if new > 0 {
            tracing::warn!(
                accounts = new,
                "no keep rule names them any more, although the policy is the same: see `mailkeeper status`"
            );
        }
        if self.users == self.before {
            return Ok(());
        }
        watch.store.put(&ReleasedUsers(self.users))
    }
}
