//! Why nothing is done: the closed list behind `waiting{reason}`, `explain` and the log.

use serde::{Deserialize, Serialize};

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $name:ident = $label:literal, $sentence:literal;)+) => {
        /// Why a drift has no step, or a user is left alone. Each is a metric label and a sentence for people.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Reason {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Reason {
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The metric label and JSON value.
            pub fn label(self) -> &'static str {
                match self { $(Self::$name => $label,)+ }
            }

            /// One sentence for an administrator.
            pub fn sentence(self) -> &'static str {
                match self { $(Self::$name => $sentence,)+ }
            }
        }
    };
}

reasons! {
    // the user is left alone, whatever the drift
    /// An offboarded entry names the user.
    Offboarded = "offboarded", "the policy lists this account as off-boarded: it is never licensed and never restored";
    /// A protected entry names the user.
    Protected = "protected", "the policy protects this account: it is reported and never touched";
    /// No keep rule names the user.
    NoRule = "no_rule", "no keep rule of the policy names this account";
    /// A keep rule named the user until something about the account changed.
    Released = "released", "no keep rule names this account any more since something about it changed, not the policy";
    /// A fact that decides which rule applies is not known.
    Undetermined = "undetermined", "a fact that decides which rule applies could not be read; unreadable is not absent";
    // the user's own situation
    /// The rule says `report`.
    ReportOnly = "report_only", "the rule says report: a person decides";
    /// The account is disabled and the rule does not speak of that.
    AccountDisabled = "account_disabled", "the account is disabled and the rule does not name account_enabled: a disabled account gets no licence";
    /// A deleted account from an on-premises directory.
    SyncedDeleted = "synced_deleted", "the account is synchronised from on premises: repair it at the source by moving the object back into sync scope";
    /// Never seen with a mailbox and the rule does not say `adopt`.
    NeverHadMailbox = "never_had_mailbox", "this account was never seen with a mailbox, and the rule does not say adopt: true";
    /// The deadline has passed.
    Expired = "expired", "Microsoft's limit has passed: the mailbox is gone, a licence would only create a new, empty one";
    /// The loss was never observed, and the only date is older than the limit.
    DeadlineUnknown = "deadline_unknown", "the loss was never observed and its only date is older than the limit: a licence may create a new, empty mailbox; a person decides";
    /// In neither list: purged, or about to reappear.
    Gone = "gone", "the account is neither among the live nor among the deleted users, and Graph cannot bring it back: a mailbox that was licensed when the account was deleted stays soft-deleted for 30 days after the purge, and Exchange PowerShell alone reaches it (Get-Mailbox -SoftDeletedMailbox, then Undo-SoftDeletedMailbox or New-MailboxRestoreRequest); after a licence was removed first nothing is left but a backup";
    /// A hold keeps the mailbox active.
    OnHold = "on_hold", "a hold keeps the mailbox active without a licence: no clock runs";
    /// The subscription behind the licence is suspended.
    SubscriptionLapsed = "subscription_lapsed", "the subscription behind the licence is suspended or locked out: renew it, a licence cannot help";
    /// A deleted account has the same address as this one, or the other way round.
    Duplicate = "duplicate", "another account, live or deleted, has the same address: a person must say which one is right";
    /// No usage location, and the policy gives none.
    NoUsageLocation = "no_usage_location", "the account has no usage location and the rule gives none: none is guessed";
    /// No product of the rule exists in the tenant with a mailbox plan.
    NoUsableSku = "no_usable_sku", "none of the rule's licences is a product of this tenant that carries a mailbox";
    /// A mailbox that needs no licence turned into one that does, or does not answer any more.
    KindChanged = "kind_changed", "this shared or resource mailbox turned into one of a user, or does not answer any more, and has no licence: convert it back, or license it before the deadline";
    /// The group that should give the licence cannot.
    GroupLicenseError = "group_license_error", "the licensing group reports an error for this account";
    /// Membership of the group that should give the licence would bring nothing, or cannot be given.
    GroupUnusable = "group_unusable", "the group that should give the licence cannot: it takes no members from here, or gives no mailbox";
    // waiting for time or evidence
    /// Seen in one pass only.
    Confirming = "confirming", "seen once: a second observation must confirm it";
    /// Younger than the rule's settle time.
    Settling = "settling", "younger than the rule's settle time";
    /// A request was sent; its effect has not been observed yet.
    AwaitingEffect = "awaiting_effect", "a request was sent; waiting for a later observation to show its effect";
    /// An earlier attempt failed; the next one is due later.
    BackingOff = "backing_off", "an earlier attempt failed; the next one is due later";
    /// Graph refused an attempt for good.
    Refused = "refused", "Graph refuses the request: a person must act; it is tried again once a day, and shortly before act-by";
    /// Our repair was undone by somebody.
    Flapping = "flapping", "the same drift came back after our repair: another tool or person undoes it";
    // waiting for resources
    /// No free seat above the reserve in any product of the rule.
    NoSeat = "no_seat", "no free seat above the reserve in any of the rule's products";
    /// The limit per pass is used up.
    LimitPerPass = "limit_per_pass", "the limit per pass is used up; the next pass continues";
    /// The limit per day is used up.
    LimitPerDay = "limit_per_day", "the limit per day is used up";
    /// More drifts than the allowed share of kept mailboxes.
    MassEvent = "mass_event", "more mailboxes are concerned than the allowed share: a person must say that this is meant to be repaired";
    // waiting for a person
    /// The rule says `ask`.
    Ask = "ask", "the rule says ask: waiting for approval";
    /// A person said no.
    Denied = "denied", "a person denied this";
    /// `mode: observe`.
    ObserveMode = "observe_mode", "mode is observe: nothing is changed";
    /// The big red button.
    Held = "held", "mailkeeper is on hold";
    // waiting for trust
    /// The observation of this pass is incomplete or not believable.
    ObservationRejected = "observation_rejected", "the observation of this pass is incomplete or not believable: nothing follows from it";
    /// The newest policy is bad; the last good one stands and nothing is started.
    PolicyFailed = "policy_failed", "the newest policy cannot be loaded: nothing is started until it can";
    /// A changed policy would do something that a person should look at first.
    PolicyChange = "policy_change", "a changed policy waits for a person, because of what it would do: nothing is started until it is approved or taken back (`mailkeeper asks`)";
    /// The policy was read anew after this pass had judged by it.
    PolicyReloaded = "policy_reloaded", "the policy was read anew while this pass was sending: the next pass judges by it";
    /// The policy is older than it says it may be, and nobody said that it is still meant.
    PolicyOld = "policy_old", "the policy is older than its own limits.policy_age: nothing is started until a person says that it is still meant (`mailkeeper asks`, then `approve`) or commits a reviewed change";
    /// The separate checker refuses the step, or the plan as a whole.
    Unsafe = "unsafe", "the checker of finished plans refuses this, which is a fault of mailkeeper: nothing is sent for it, a person must look";
    /// The state or the journal cannot be written.
    StateUnhealthy = "state_unhealthy", "the state or the journal cannot be written: nothing is sent";
}

impl Reason {
    /// What is to be done about a deleted account of which a fact is missing: no later pass can learn it.
    pub const DELETED_UNDETERMINED: &str = "what a deleted account was a member of, and the kind of its mailbox, cannot be \
                                            read any more: whoever wants it back restores it by hand (Entra admin centre, \
                                            deleted users); one that may go is named by its id under `offboarded`";
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.label())
    }
}
