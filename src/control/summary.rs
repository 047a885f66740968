//! What came of a period, told from the journal: for the people who pay. Every figure is counted from recorded
//! entries; what waits at the moment comes from the newest status document, and is marked as such.

mod text;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::model::{Cause, DriftKind, OutcomeKind, Reason, SeatNeed, Span, Timestamp, UserId, Verdict};
use crate::store::journal::{Entry, Line};

use crate::report::TenantView;

/// Mailboxes and refusals listed by name; the counts cover all.
const LISTED: usize = 20;

/// A period of one tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    pub tenant: String,
    pub from: Timestamp,
    pub to: Timestamp,
    /// Entries of the journal in the period.
    pub entries: u64,
    pub noticed: u64,
    pub kept: Kept,
    pub healed_by_others: u64,
    /// Repairs that ended badly.
    pub new_empty_mailboxes: u64,
    pub stuck: u64,
    pub lost: Lost,
    pub asks: Asks,
    /// Requests by what came of them.
    pub requests: BTreeMap<OutcomeKind, u64>,
    /// What Microsoft refused and why, the most frequent first, bounded.
    pub refusals: Vec<Refused>,
    /// Seats of each product that were found missing, at most at once.
    pub seats_missing: BTreeMap<String, u32>,
    pub policies: Vec<PolicyChange>,
    pub holds: Vec<HoldPeriod>,
    pub observations_rejected: u64,
    pub now: Option<Standing>,
}

/// Mailboxes that were brought back.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    pub verified: u64,
    pub unverified: u64,
    /// Time left until the deadline when the repair was proved; of those whose deadline was known.
    #[serde(rename = "least_left_ms")]
    pub least_left: Option<Span>,
    #[serde(rename = "median_left_ms")]
    pub median_left: Option<Span>,
    pub by_cause: BTreeMap<String, u64>,
    pub by_rule: BTreeMap<String, u64>,
}

/// Mailboxes that passed the limit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lost {
    pub warned: u64,
    pub unwarned: u64,
    /// Bounded.
    pub mailboxes: Vec<LostMailbox>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostMailbox {
    pub id: UserId,
    pub upn: String,
    pub at: Timestamp,
    pub warned: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asks {
    pub opened: u64,
    pub approved: u64,
    pub denied: u64,
    /// Who answered, and how often.
    pub by: BTreeMap<String, u64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    pub detail: String,
    pub count: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyChange {
    pub at: Timestamp,
    pub digest: String,
    pub revision: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldPeriod {
    pub from: Timestamp,
    pub by: String,
    pub reason: Option<String>,
    /// `None` while it lasts.
    pub ended: Option<Timestamp>,
}

/// What the newest pass says; not counted from the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    pub at: Timestamp,
    pub kept: u64,
    pub at_risk: u64,
    /// Why mailboxes at risk wait.
    pub waiting: BTreeMap<Reason, u64>,
    pub seats_missing: Vec<SeatNeed>,
    pub asks_open: u64,
}

impl From<&TenantView> for Standing {
    fn from(view: &TenantView) -> Self {
        let mut waiting: BTreeMap<Reason, u64> = BTreeMap::new();
        for row in view.plan.waiting.iter().filter(|row| row.rule.is_some()) {
            *waiting.entry(row.reason).or_default() += 1;
        }
        Self {
            at: view.at,
            kept: view.kept,
            at_risk: view.at_risk.len() as u64,
            waiting,
            seats_missing: view.seat_needs.clone(),
            asks_open: view.asks.len() as u64,
        }
    }
}

/// Reads the journal from its first line, oldest first: what happened before the period explains what ends in it.
#[derive(Debug)]
pub struct Counting {
    summary: Summary,
    /// Mailboxes whose clock runs.
    open: BTreeMap<UserId, Open>,
    left: Vec<Span>,
    asked: BTreeSet<String>,
    refused: BTreeMap<String, u64>,
    missing: BTreeMap<String, u32>,
    policy: Option<String>,
}

/// What is known of a mailbox at risk.
#[derive(Debug, Clone, Default)]
struct Open {
    deadline: Option<Timestamp>,
    cause: Option<Cause>,
    kind: Option<DriftKind>,
    rule: Option<String>,
}

impl Counting {
    pub fn new(tenant: &str, from: Timestamp, to: Timestamp) -> Self {
        let summary = Summary {
            tenant: tenant.to_owned(),
            from,
            to,
            entries: 0,
            noticed: 0,
            kept: Kept::default(),
            healed_by_others: 0,
            new_empty_mailboxes: 0,
            stuck: 0,
            lost: Lost::default(),
            asks: Asks::default(),
            requests: BTreeMap::new(),
            refusals: Vec::new(),
            seats_missing: BTreeMap::new(),
            policies: Vec::new(),
            holds: Vec::new(),
            observations_rejected: 0,
            now: None,
        };
        Self {
            summary,
            open: BTreeMap::new(),
            left: Vec::new(),
            asked: BTreeSet::new(),
            refused: BTreeMap::new(),
            missing: BTreeMap::new(),
            policy: None,
        }
    }

    /// Takes the next line.
    pub fn note(&mut self, line: &Line) {
        let Some(entry) = line.entry.known() else { return };
        let is_within = line.at >= self.summary.from && line.at <= self.summary.to;
        if is_within {
            self.summary.entries += 1;
            self.count(entry, line.at);
        }
        self.remember(entry, line.at);
    }

    pub fn finish(mut self, view: Option<&TenantView>) -> Summary {
        self.left.sort_unstable();
        self.summary.kept.least_left = self.left.first().copied();
        self.summary.kept.median_left = median(&self.left);
        let mut refusals: Vec<Refused> =
            self.refused.into_iter().map(|(detail, count)| Refused { detail, count }).collect();
        refusals
            .sort_by(|one, other| other.count.cmp(&one.count).then_with(|| one.detail.cmp(&other.detail)));
        refusals.truncate(LISTED);
        self.summary.refusals = refusals;
        self.summary.now = view.map(Standing::from);
        self.summary
    }

    fn count(&mut self, entry: &Entry, at: Timestamp) {
        let summary = &mut self.summary;
        match entry {
            Entry::Intent { .. }
            | Entry::MailboxRecorded { .. }
            | Entry::MailboxesRecorded { .. }
            | Entry::ApprovalRefused { .. }
            | Entry::Restored { .. }
            | Entry::Recalled { .. }
            | Entry::Started { .. }
            | Entry::Stopped => {}
            Entry::ClockStarted { .. } => summary.noticed += 1,
            Entry::ClockStopped { reason, .. } => {
                summary.healed_by_others += u64::from(reason == "healed_by_others");
            }
            Entry::Verdict { user, verdict, .. } => self.judged(*user, *verdict, at),
            Entry::Outcome { kind, detail, .. } => {
                *summary.requests.entry(*kind).or_default() += 1;
                if *kind == OutcomeKind::Refused {
                    *self.refused.entry(without_ids(detail)).or_default() += 1;
                }
            }
            Entry::Lost { user, upn, warned } => {
                if *warned {
                    summary.lost.warned += 1;
                } else {
                    summary.lost.unwarned += 1;
                }
                if summary.lost.mailboxes.len() < LISTED {
                    let lost = LostMailbox { id: *user, upn: upn.clone(), at, warned: *warned };
                    summary.lost.mailboxes.push(lost);
                }
            }
            Entry::Asked { ask, .. } => {
                summary.asks.opened += u64::from(self.asked.insert(ask.clone()));
            }
            Entry::Approved { by, .. } => {
                summary.asks.approved += 1;
                *summary.asks.by.entry(by.clone()).or_default() += 1;
            }
            Entry::Denied { by, .. } => {
                summary.asks.denied += 1;
                *summary.asks.by.entry(by.clone()).or_default() += 1;
            }
            Entry::SeatsMissing { part_number, missing } => {
                let most = summary.seats_missing.entry(part_number.clone()).or_default();
                *most = (*most).max(*missing);
            }
            Entry::PolicyLoaded { digest, revision } => {
                // Every start says which policy is in force; only another one is a change.
                if self.policy.as_ref().is_some_and(|before| before != digest) {
                    let change = PolicyChange { at, digest: digest.clone(), revision: revision.clone() };
                    summary.policies.push(change);
                }
            }
            Entry::Held { by, reason, .. } => summary.holds.push(HoldPeriod {
                from: at,
                by: by.clone(),
                reason: reason.clone(),
                ended: None,
            }),
            Entry::Resumed { .. } => {
                if let Some(hold) = summary.holds.iter_mut().rev().find(|hold| hold.ended.is_none()) {
                    hold.ended = Some(at);
                }
            }
            Entry::ObservationRejected { .. } => summary.observations_rejected += 1,
        }
    }

    fn judged(&mut self, user: UserId, verdict: Verdict, at: Timestamp) {
        match verdict {
            Verdict::Verified => self.summary.kept.verified += 1,
            Verdict::Unverified => self.summary.kept.unverified += 1,
            Verdict::NewEmptyMailbox => {
                self.summary.new_empty_mailboxes += 1;
                return;
            }
            Verdict::Stuck => {
                self.summary.stuck += 1;
                return;
            }
        }
        let open = self.open.get(&user).cloned().unwrap_or_default();
        self.left.extend(open.deadline.map(|deadline| deadline - at));
        let cause =
            open.cause.map(Cause::label).or(open.kind.map(DriftKind::label)).unwrap_or("not_recorded");
        let rule = open.rule.unwrap_or_else(|| "not recorded".to_owned());
        *self.summary.kept.by_cause.entry(cause.to_owned()).or_default() += 1;
        *self.summary.kept.by_rule.entry(rule).or_default() += 1;
    }

    /// What later entries refer to, also from before the period.
    fn remember(&mut self, entry: &Entry, at: Timestamp) {
        match entry {
            Entry::ClockStarted { user, kind, deadline, cause, .. } => {
                let open = self.open.entry(*user).or_default();
                // A restored account without a licence is one story with one deadline: the first one.
                open.deadline = open.deadline.filter(|first| *first > at).or(*deadline);
                open.cause = open.cause.or(*cause);
                open.kind = open.kind.or(Some(*kind));
            }
            Entry::Intent { user, rule, .. } => {
                self.open.entry(*user).or_default().rule = Some(rule.clone());
            }
            Entry::Verdict { user, verdict: Verdict::Verified | Verdict::Unverified, .. }
            | Entry::Lost { user, .. } => drop(self.open.remove(user)),
            Entry::ClockStopped { user, reason }
                if ["healed_by_others", "left_alone"].contains(&reason.as_str()) =>
            {
                self.open.remove(user);
            }
            Entry::PolicyLoaded { digest, .. } => self.policy = Some(digest.clone()),
            Entry::SeatsMissing { part_number, missing } if at < self.summary.from => {
                // What was missing when the period began was missing in it.
                self.missing.insert(part_number.clone(), *missing);
                let still: BTreeMap<String, u32> = self
                    .missing
                    .iter()
                    .filter(|(_, count)| **count > 0)
                    .map(|(name, count)| (name.clone(), *count))
                    .collect();
                self.summary.seats_missing = still;
            }
            Entry::ClockStopped { .. }
            | Entry::SeatsMissing { .. }
            | Entry::Outcome { .. }
            | Entry::Verdict { .. }
            | Entry::MailboxRecorded { .. }
            | Entry::MailboxesRecorded { .. }
            | Entry::Recalled { .. }
            | Entry::Held { .. }
            | Entry::Resumed { .. }
            | Entry::Asked { .. }
            | Entry::Restored { .. }
            | Entry::Approved { .. }
            | Entry::ApprovalRefused { .. }
            | Entry::Denied { .. }
            | Entry::ObservationRejected { .. }
            | Entry::Started { .. }
            | Entry::Stopped => {}
        }
    }
}

fn median(sorted: &[Span]) -> Option<Span> {
    let middle = sorted.len() / 2;
    let upper = sorted.get(middle)?;
    if sorted.len() % 2 == 1 {
        return Some(*upper);
    }
    Some(Span::from_millis((sorted[middle - 1].as_millis() + upper.as_millis()) / 2))
}

/// The same refusal of two requests is one reason: the ids that Microsoft adds in brackets are not part of it.
fn without_ids(detail: &str) -> String {
    let end =
        detail.find(" (request-id").or_else(|| detail.find(" (client-request-id")).unwrap_or(detail.len());
    detail[..end].to_owned()
}

#[cfg(test)]
mod tests;
