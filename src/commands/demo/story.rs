//! What the daemon saw, did and proved, gathered from its status documents pass by pass: one story for each mailbox,
//! and notes for people. No layout, no terminal; does not look at the tenant.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{
    Action, Cause, DriftKind, OutcomeKind, ProblemKind, Reason, SeatNeed, Span, Timestamp, UserId, Verdict,
    Waiting,
};
use crate::reconcile::PassReport;
use crate::report::status::{EventKind, PassOutcome, RecentEvent, RiskRow, TenantView};
use crate::report::words;
use crate::sim::scenario::Event;

/// One mailbox, from the first sight of its drift to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Story {
    pub user: UserId,
    pub upn: String,
    /// As it was first seen; what follows a restore is the same story.
    pub kind: DriftKind,
    pub cause: Cause,
    pub noticed: Timestamp,
    pub deadline: Option<Timestamp>,
    /// What was done for it, by label.
    pub actions: BTreeSet<&'static str>,
    pub ending: Option<Ending>,
}

/// How a story ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ending {
    pub at: Timestamp,
    pub how: How,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// A later observation said so.
    Judged(Verdict),
    /// The drift went away without a request of the daemon's.
    HealedByOthers,
    /// The limit passed.
    Lost,
}

impl Story {
    /// The time that was left at its end.
    pub fn left(&self) -> Option<Span> {
        Some(self.deadline? - self.ending?.at)
    }

    pub fn is_back(&self) -> bool {
        match self.ending.map(|ending| ending.how) {
            Some(How::Judged(Verdict::Verified | Verdict::Unverified) | How::HealedByOthers) => true,
            Some(How::Judged(Verdict::NewEmptyMailbox | Verdict::Stuck) | How::Lost) | None => false,
        }
    }
}

/// Seats of one product that were missing for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shortage {
    pub part_number: String,
    pub from: Timestamp,
    /// `None` while it lasts.
    pub until: Option<Timestamp>,
    pub most: u32,
}

/// One line for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    pub at: Timestamp,
    pub kind: NoteKind,
    pub text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoteKind {
    /// The company, or Microsoft, did something.
    Happened,
    Noticed,
    Acted,
    Proved,
    /// A person should look.
    Alarm,
}

/// Everything so far.
#[derive(Debug, Default)]
pub struct Chronicle {
    pub stories: Vec<Story>,
    open: BTreeMap<UserId, usize>,
    /// Requests by action and outcome.
    pub requests: BTreeMap<&'static str, BTreeMap<OutcomeKind, u64>>,
    pub passes: u64,
    pub failed_passes: u64,
    /// Observations that were not believed, by the first reason.
    pub rejected: BTreeMap<ProblemKind, u64>,
    pub shortages: Vec<Shortage>,
    /// Users left alone although something is wrong with them.
    pub left_alone: BTreeMap<Reason, BTreeMap<UserId, String>>,
    pub notes: Vec<Note>,
}

impl Chronicle {
    /// Notes what the script did.
    pub fn happened(&mut self, event: &Event) {
        let kind = NoteKind::Happened;
        self.notes.push(Note { at: event.at, kind, text: event.description.clone() });
    }

    /// Takes in what one pass brought.
    pub fn saw(&mut self, report: &PassReport) {
        let view = &report.view;
        self.count_pass(view);
        for row in &view.at_risk {
            self.follow(row);
        }
        for done in &report.done {
            let outcomes = self.requests.entry(done.step.action.label()).or_default();
            *outcomes.entry(done.outcome.kind).or_default() += 1;
        }
        let begun = view.last_pass.as_ref().map_or(view.at, |pass| pass.started);
        for event in view.recent.iter().rev().filter(|event| event.at >= begun) {
            self.tell(event);
        }
        // After an observation that was not believed nothing is known of seats.
        if view.last_pass.as_ref().is_some_and(|pass| pass.outcome == PassOutcome::Done) {
            self.watch_seats(&view.seat_needs, view.at);
        }
        for waiting in view.plan.waiting.iter().filter(|waiting| waiting.rule.is_none()) {
            self.leave_alone(waiting, view.at);
        }
    }

    /// The stories that ended within `span` before `now`, newest first.
    pub fn ended_within(&self, span: Span, now: Timestamp) -> Vec<&Story> {
        let mut ended: Vec<(Ending, &Story)> = self
            .stories
            .iter()
            .filter_map(|story| Some((story.ending?, story)))
            .filter(|(ending, _)| ending.at + span > now)
            .collect();
        ended.sort_by_key(|(ending, story)| (std::cmp::Reverse(ending.at), story.upn.clone()));
        ended.into_iter().map(|(_, story)| story).collect()
    }

    fn count_pass(&mut self, view: &TenantView) {
        self.passes += 1;
        match view.last_pass.as_ref().map(|pass| pass.outcome) {
            Some(PassOutcome::Rejected) => {
                let problems = view.last_observation.iter().flat_map(|observation| &observation.problems);
                if let Some(problem) = problems.into_iter().find(|problem| problem.kind.is_blocking()) {
                    *self.rejected.entry(problem.kind).or_default() += 1;
                }
            }
            Some(PassOutcome::Failed) | None => self.failed_passes += 1,
            Some(PassOutcome::Done) => {}
        }
    }

    fn follow(&mut self, row: &RiskRow) {
        // What ended badly stays ended, whatever it is called from then on.
        let is_over =
            |story: &Story| story.is_back() && story.ending.is_some_and(|ending| row.since > ending.at);
        match self.open.get(&row.user).map(|index| &mut self.stories[*index]) {
            Some(story) if !is_over(story) => story.deadline = row.deadline.or(story.deadline),
            Some(_) | None => {
                self.open.insert(row.user, self.stories.len());
                self.stories.push(Story {
                    user: row.user,
                    upn: row.upn.clone(),
                    kind: row.drift,
                    cause: row.cause,
                    noticed: row.since,
                    deadline: row.deadline,
                    actions: BTreeSet::new(),
                    ending: None,
                });
            }
        }
    }

    fn tell(&mut self, event: &RecentEvent) {
        let story = event.user.and_then(|user| self.open.get(&user)).map(|index| &mut self.stories[*index]);
        let name = short(event.upn.as_deref().unwrap_or("a mailbox"));
        let (kind, text) = match &event.what {
            EventKind::DriftSeen { .. } => {
                let left = story.and_then(|story| story.deadline).map(|deadline| deadline - event.at);
                let left = left.map_or_else(
                    || "no clock runs".to_owned(),
                    |left| match left.is_negative() {
                        true => "its limit had passed".to_owned(),
                        false => format!("{left} left"),
                    },
                );
                (NoteKind::Noticed, format!("{name}: {}, {left}", words::plain(&event.detail)))
            }
            EventKind::Acted { action, outcome } => {
                let why = story.map_or_else(String::new, |story| {
                    story.actions.insert(action.label());
                    format!(" ({})", words::plain(story.cause.label()))
                });
                let what = match action {
                    Action::AddToGroup { .. } => "put back into the licensing group".to_owned(),
                    Action::AssignLicense { .. }
                    | Action::ReprocessLicenses { .. }
                    | Action::SetUsageLocation { .. }
                    | Action::Restore(_) => words::action(action),
                };
                let text = format!("{name}: {what}, {}{why}", words::plain(outcome.label()));
                (if event.is_alarming() { NoteKind::Alarm } else { NoteKind::Acted }, text)
            }
            EventKind::Judged { verdict } => {
                let how = How::Judged(*verdict);
                let left = story.and_then(|story| {
                    story.ending = Some(Ending { at: event.at, how });
                    story.left()
                });
                let left = left.map_or_else(String::new, |left| format!(", {left} to spare"));
                let kind = if event.is_alarming() { NoteKind::Alarm } else { NoteKind::Proved };
                (kind, format!("{name}: {}{left}", words::event(event)))
            }
            EventKind::HealedByOthers => {
                if let Some(story) = story {
                    story.ending = Some(Ending { at: event.at, how: How::HealedByOthers });
                }
                (NoteKind::Proved, format!("{name}: {}", words::event(event)))
            }
            EventKind::Lost { .. } => {
                if let Some(story) = story {
                    story.ending = Some(Ending { at: event.at, how: How::Lost });
                }
                (NoteKind::Alarm, format!("{name}: {}", words::event(event)))
            }
        };
        self.notes.push(Note { at: event.at, kind, text });
    }

    fn leave_alone(&mut self, waiting: &Waiting, now: Timestamp) {
        let users = self.left_alone.entry(waiting.reason).or_default();
        if users.insert(waiting.user, waiting.upn.clone()).is_none() {
            let (name, trouble) = (short(&waiting.upn), words::plain(waiting.drift.label()));
            let text = format!("{name}: {trouble}, left alone: {}", why_alone(waiting));
            self.notes.push(Note { at: now, kind: NoteKind::Noticed, text });
        }
    }

    fn watch_seats(&mut self, needs: &[SeatNeed], now: Timestamp) {
        for shortage in self.shortages.iter_mut().filter(|shortage| shortage.until.is_none()) {
            if !needs.iter().any(|need| need.part_number == shortage.part_number) {
                shortage.until = Some(now);
            }
        }
        for need in needs {
            let open = self
                .shortages
                .iter_mut()
                .find(|shortage| shortage.until.is_none() && shortage.part_number == need.part_number);
            match open {
                Some(shortage) => shortage.most = shortage.most.max(need.missing),
                None => self.shortages.push(Shortage {
                    part_number: need.part_number.clone(),
                    from: now,
                    until: None,
                    most: need.missing,
                }),
            }
        }
    }
}

/// Why somebody is left alone, in the words of the policy where it names the person; the details of other reasons speak
/// of files of this run.
pub fn why_alone(waiting: &Waiting) -> String {
    let reason = words::plain(waiting.reason.label());
    let is_named = matches!(waiting.reason, Reason::Offboarded | Reason::Protected);
    match waiting.detail.as_deref().filter(|_| is_named) {
        Some(detail) => format!("{reason} ({})", words::one_line(detail)),
        None => reason,
    }
}

/// The part of an address before the `@`: all addresses of the demo are in one domain.
pub fn short(upn: &str) -> String {
    words::one_line(upn.split('@').next().unwrap_or(upn))
}
