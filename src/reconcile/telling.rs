//! What a pass leaves behind for people: the status document, what happened, how it ended, one line of log.

use crate::act::Done;
use crate::errors::chain;
use crate::model::{Timestamp, Verdict};
use crate::report::status::{
    DATA_LOSS_SHOWN, DataLoss, EventKind, Failing, PassOutcome, RecentEvent, TenantView,
};
use crate::report::words;
use crate::store::records::LastPass;

use super::{PassReport, RECENT_SHOWN, Reconciler};

impl Reconciler {
    /// The newest status document outlives the process: `status` without a daemon shows it.
    pub(super) fn keep_view(&self, view: &TenantView) {
        let Some(pass) = &view.last_pass else { return };
        if self.parts.store.failure().is_some() {
            return;
        }
        let kept = serde_json::to_value(view).map_err(|error| error.to_string()).and_then(|summary| {
            let last = LastPass {
                started: pass.started,
                finished: pass.finished,
                outcome: pass.outcome.label().to_owned(),
                summary,
            };
            self.parts.store.put(&last).and_then(|()| self.parts.store.flush()).map_err(|error| chain(&error))
        });
        if let Err(error) = kept {
            tracing::error!(tenant = self.parts.name, error, "the status document could not be stored");
        }
    }

    pub(super) fn note_outcomes(&mut self, done: &[Done]) {
        for done in done {
            self.parts.metrics.acted(&self.parts.name, &done.step.action, done.outcome.kind);
            self.recent.push(RecentEvent {
                at: done.at,
                user: Some(done.step.user),
                upn: Some(done.step.upn.clone()),
                what: EventKind::Acted { action: done.step.action.clone(), outcome: done.outcome.kind },
                detail: done.outcome.detail.clone(),
            });
        }
        let surplus = self.recent.len().saturating_sub(RECENT_SHOWN);
        self.recent.drain(..surplus);
    }

    pub(super) fn note_data_loss(&mut self, events: &[RecentEvent]) {
        let judged = EventKind::Judged { verdict: Verdict::NewEmptyMailbox };
        let lost = events
            .iter()
            .filter(|event| event.what == judged)
            .filter_map(|event| Some(DataLoss { user: event.user?, upn: event.upn.clone()?, at: event.at }));
        self.data_loss.splice(0..0, lost);
        let oldest = self.parts.clock.now() - DATA_LOSS_SHOWN;
        self.data_loss.retain(|lost| lost.at >= oldest);
    }

    /// How long it has been going on that passes bring nothing to rely on, and why the last one did not.
    pub(super) fn failing(
        &self,
        report: &PassReport,
        outcome: PassOutcome,
        started: Timestamp,
    ) -> Option<Failing> {
        let why = match (outcome, &report.view.last_observation) {
            (PassOutcome::Done, _) => return None,
            (PassOutcome::Rejected, Some(observation)) => words::problems(observation),
            (PassOutcome::Rejected | PassOutcome::Failed, _) => match &report.view.policy.failed {
                Some(failure) => words::policy_failure(failure),
                None => "the state or the journal cannot be read or written".to_owned(),
            },
        };
        let before = self.shared.view().and_then(|view| view.failing.clone());
        let (passes, since) = before.map_or((1, started), |before| (before.passes + 1, before.since));
        Some(Failing { passes, since, why })
    }

    pub(super) fn outcome(&self, report: &PassReport) -> PassOutcome {
        match &report.view.last_observation {
            Some(observation) if observation.is_complete() => PassOutcome::Done,
            Some(_) => PassOutcome::Rejected,
            None => PassOutcome::Failed,
        }
    }

    pub(super) fn log_pass(&self, report: &PassReport, outcome: PassOutcome, duration: std::time::Duration) {
        tracing::info!(
            tenant = self.parts.name,
            outcome = outcome.label(),
            duration_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
            users = report.view.last_observation.as_ref().map_or(0, |observation| observation.live_users),
            at_risk = report.view.at_risk.len(),
            steps = report.plan().steps.len(),
            sent = report.done.len(),
            "pass finished"
        );
    }
}
