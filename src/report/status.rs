//! The status document: one value a tenant, made after each pass, behind `status`, the metrics and the status page.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::{
    Action, Ask, AuditEvent, Cause, Certainty, DriftKind, MailboxState, Observation, OutcomeKind, Outlook,
    Plan, Reason, SeatNeed, Span, TenantId, Timestamp, UserId, Verdict, Waiting,
};

/// Everything a reader may want to know of one tenant without asking Graph or the store.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TenantView {
    pub tenant: String,
    pub tenant_id: TenantId,
    /// When this document was made.
    pub at: Timestamp,
    /// True when mailkeeper may act (`mode: act`).
    pub is_acting: bool,
    pub hold: Option<HoldView>,
    pub policy: PolicyView,
    /// Start of the last complete observation.
    pub last_complete_observation: Option<Timestamp>,
    pub last_observation: Option<Observation>,
    pub last_pass: Option<PassView>,
    /// Mailboxes that a keep rule names.
    pub kept: u64,
    pub states: BTreeMap<MailboxState, u64>,
    /// Users left alone, by reason; also healthy ones.
    pub left_alone: BTreeMap<Reason, u64>,
    /// Users whom a keep rule named until lately; `None` while there are none.
    #[serde(default)]
    pub released: Option<ReleasedView>,
    /// Mailboxes at risk, the most urgent first.
    pub at_risk: Vec<RiskRow>,
    pub plan: Plan,
    pub asks: Vec<Ask>,
    pub seats: Vec<SeatRow>,
    pub seat_needs: Vec<SeatNeed>,
    /// The products that the policy names or kept mailboxes rest on, and what backs them.
    #[serde(default)]
    pub subscriptions: Vec<SubscriptionRow>,
    /// Newest first, bounded.
    pub recent: Vec<RecentEvent>,
    pub journal_head: Option<String>,
    /// The newest passes brought nothing to rely on: what stands here is of before them.
    #[serde(default)]
    pub failing: Option<Failing>,
    /// Newest first; those older than [`DATA_LOSS_SHOWN`] are left out.
    #[serde(default)]
    pub data_loss: Vec<DataLoss>,
    /// The settings file says something else than what the daemon was started with.
    #[serde(default)]
    pub settings_changed: Option<String>,
}

/// Users whom no keep rule names any more since something about them changed, within the last day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleasedView {
    pub lately: u64,
    /// More than may be repaired without a person: hardly moves of single people.
    pub is_mass: bool,
    /// How many of them each rule named.
    pub by_rule: BTreeMap<String, u64>,
}

/// For as long a new, empty mailbox is shown: the old one may be merged back while it is soft-deleted, 30 days.
pub const DATA_LOSS_SHOWN: Span = Span::from_days(30);

/// Passes one after the other that were rejected or failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failing {
    pub passes: u64,
    pub since: Timestamp,
    /// Of the newest pass.
    pub why: String,
}

/// A repair after which another, empty mailbox answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataLoss {
    #[serde(rename = "id")]
    pub user: UserId,
    pub upn: String,
    pub at: Timestamp,
}

/// The big red button, pressed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HoldView {
    pub since: Timestamp,
    pub until: Option<Timestamp>,
    pub reason: String,
    pub by: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PolicyView {
    pub digest: String,
    pub revision: Option<String>,
    /// Why the newest policy could not be loaded, while the last good one stands.
    pub failed: Option<String>,
    /// Why the newest policy waits for a person, while the one before stands.
    #[serde(default)]
    pub waiting: Vec<String>,
}

/// One pass.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PassView {
    pub number: u64,
    pub started: Timestamp,
    pub finished: Timestamp,
    pub outcome: PassOutcome,
    pub steps_planned: u32,
    pub steps_sent: u32,
}

/// The `outcome` label of the pass metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PassOutcome {
    /// Observed completely, planned, and everything that was to be sent was sent.
    Done,
    /// The observation was rejected: nothing followed from it.
    Rejected,
    /// Something failed on our side: state, journal or an invariant.
    Failed,
}

impl PassOutcome {
    pub const ALL: [Self; 3] = [Self::Done, Self::Rejected, Self::Failed];

    pub fn label(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Rejected => "rejected",
            Self::Failed => "failed",
        }
    }
}

/// One mailbox at risk.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RiskRow {
    #[serde(rename = "id")]
    pub user: UserId,
    pub upn: String,
    pub state: MailboxState,
    pub drift: DriftKind,
    pub cause: Cause,
    pub rule: String,
    pub certainty: Certainty,
    /// When the drift was first seen.
    pub since: Timestamp,
    pub deadline: Option<Timestamp>,
    pub act_by: Option<Timestamp>,
    /// What the audit log says: who did it, and when. Empty where it is not asked, or does not know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub audited: Vec<AuditEvent>,
    pub next: NextMove,
}

/// What happens next with a mailbox at risk.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "next", rename_all = "snake_case")]
pub enum NextMove {
    /// A step of the newest plan; `is_sent` when it was sent in this pass.
    Step {
        action: Action,
        is_sent: bool,
    },
    Waiting {
        reason: Reason,
        until: Option<Timestamp>,
        detail: Option<String>,
    },
    /// A person said yes since the newest pass.
    Approved {
        by: String,
        at: Timestamp,
    },
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SeatRow {
    pub part_number: String,
    pub enabled: i64,
    pub warning: i64,
    pub suspended: i64,
    pub consumed: i64,
    pub reserved: u32,
    pub free: i64,
}

/// What backs one product, by the subscription that counts where there are several.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SubscriptionRow {
    pub part_number: String,
    #[serde(flatten)]
    pub outlook: Outlook,
    /// Healthy kept mailboxes that this product alone keeps.
    pub kept: u64,
}

/// Something that was done or found.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RecentEvent {
    pub at: Timestamp,
    #[serde(rename = "user_id")]
    pub user: Option<UserId>,
    pub upn: Option<String>,
    pub what: EventKind,
    pub detail: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum EventKind {
    /// A request and what came of it.
    Acted {
        action: Action,
        outcome: OutcomeKind,
    },
    Judged {
        verdict: Verdict,
    },
    /// A mailbox passed its limit.
    Lost {
        warned: bool,
    },
    /// A drift went away without a request of ours.
    HealedByOthers,
    DriftSeen {
        drift: DriftKind,
    },
}

impl TenantView {
    /// Products whose users lose something, or have lost it, unless somebody renews; the soonest first.
    pub fn subscriptions_to_renew(&self) -> Vec<&SubscriptionRow> {
        let mut rows: Vec<_> = self.subscriptions.iter().filter(|row| row.outlook.is_alarming()).collect();
        rows.sort_by_key(|row| (row.outlook.next, row.part_number.as_str()));
        rows
    }

    /// Mailboxes whose deadline lies within `span` from now and not in the past.
    pub fn expiring_within(&self, span: Span) -> usize {
        let is_within = |row: &&RiskRow| {
            row.deadline.is_some_and(|deadline| deadline > self.at && deadline - self.at <= span)
        };
        let unjudged = self.unjudged().into_iter().filter_map(|row| row.deadline);
        let unjudged = unjudged.filter(|deadline| *deadline > self.at && *deadline - self.at <= span);
        self.at_risk.iter().filter(is_within).count() + unjudged.count()
    }

    /// The soonest deadline that has not passed.
    pub fn earliest_deadline(&self) -> Option<Timestamp> {
        let at_risk = self.at_risk.iter().filter_map(|row| row.deadline);
        let unjudged = self.unjudged().into_iter().filter_map(|row| row.deadline);
        at_risk.chain(unjudged).filter(|deadline| *deadline > self.at).min()
    }

    /// Accounts in danger of which no rule can be told, because a fact that decides it cannot be read; the soonest
    /// deadline first.
    pub fn unjudged(&self) -> Vec<&Waiting> {
        let mut rows: Vec<&Waiting> =
            self.left_in_danger().filter(|row| row.reason == Reason::Undetermined).collect();
        rows.sort_by_key(|row| (row.deadline.is_none(), row.deadline, row.upn.as_str()));
        rows
    }

    /// Accounts, in danger or not, of which a fact is missing that the policy asks for; those of [`Self::unjudged`] are
    /// not counted again.
    pub fn undecided(&self) -> u64 {
        let all = self.left_alone.get(&Reason::Undetermined).copied().unwrap_or_default();
        all.saturating_sub(self.unjudged().len() as u64)
    }

    /// Accounts in danger that no keep rule makes ours.
    pub fn left_in_danger(&self) -> impl Iterator<Item = &Waiting> {
        self.plan.waiting.iter().filter(|row| row.rule.is_none())
    }

    /// The rows in the order in which they need attention at `now`: deadlines ahead, soonest first; then those whose
    /// deadline nobody knows; then those that no clock threatens; last those whose deadline has passed, newest first.
    pub fn most_urgent(&self, now: Timestamp) -> Vec<&RiskRow> {
        let mut rows: Vec<&RiskRow> = self.at_risk.iter().collect();
        rows.sort_by_key(|row| {
            let distance = row.deadline.map(|deadline| (deadline - now).as_millis().saturating_abs());
            (row.rank(now), distance, row.upn.as_str(), row.user)
        });
        rows
    }
}

/// The drifts of a plan that get no step, by reason.
pub fn waiting_by_reason(plan: &Plan) -> BTreeMap<Reason, Vec<&Waiting>> {
    let mut groups: BTreeMap<Reason, Vec<&Waiting>> = BTreeMap::new();
    for waiting in &plan.waiting {
        groups.entry(waiting.reason).or_default().push(waiting);
    }
    groups
}

/// How soon somebody should look at a mailbox at risk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// The deadline has passed.
    Passed,
    /// A day or less is left, or mailkeeper's own deadline has passed.
    Critical,
    /// A week or less is left.
    Soon,
    /// More than a week is left.
    Later,
    /// Nobody knows how much time is left.
    Unknown,
    /// No clock runs.
    Resting,
}

impl RiskRow {
    /// Until the deadline; negative once it has passed.
    pub fn time_left(&self, now: Timestamp) -> Option<Span> {
        self.deadline.map(|deadline| deadline - now)
    }

    pub fn urgency(&self, now: Timestamp) -> Urgency {
        let Some(left) = self.time_left(now) else {
            return match self.certainty {
                Certainty::NotRunning => Urgency::Resting,
                Certainty::Known | Certainty::Hinted | Certainty::Unknown => Urgency::Unknown,
            };
        };
        if left <= Span::ZERO {
            Urgency::Passed
        } else if left <= Span::from_days(1) || self.act_by.is_some_and(|act_by| act_by <= now) {
            Urgency::Critical
        } else if left <= Span::from_days(7) {
            Urgency::Soon
        } else {
            Urgency::Later
        }
    }

    /// `3d 4h`, `2d ago`, `unknown`, `no clock`.
    pub fn time_left_text(&self, now: Timestamp) -> String {
        match (self.time_left(now), self.urgency(now)) {
            (Some(left), Urgency::Passed) => format!("{} ago", Span::from_millis(-left.as_millis())),
            (Some(left), _) => left.to_string(),
            (None, _) if self.drift == DriftKind::Gone => "purged".to_owned(),
            (None, Urgency::Resting) => "no clock".to_owned(),
            (None, _) => "unknown".to_owned(),
        }
    }

    fn rank(&self, now: Timestamp) -> u8 {
        match self.urgency(now) {
            Urgency::Critical | Urgency::Soon | Urgency::Later => 0,
            Urgency::Unknown => 1,
            Urgency::Resting => 2,
            Urgency::Passed => 3,
        }
    }
}

impl RecentEvent {
    /// True when a person should look at it: data is lost, or may be.
    pub fn is_alarming(&self) -> bool {
        match &self.what {
            EventKind::Lost { .. } => true,
            EventKind::Judged { verdict } => matches!(verdict, Verdict::NewEmptyMailbox | Verdict::Stuck),
            EventKind::Acted { outcome, .. } => *outcome == OutcomeKind::Refused,
            EventKind::HealedByOthers | EventKind::DriftSeen { .. } => false,
        }
    }
}
