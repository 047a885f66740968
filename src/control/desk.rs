//! Where questions are answered that need no pass: reads the state and the newest status document, presses and
//! releases the big red button, takes answers of people. Works while a pass runs.

mod since;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use crate::clock::Clock;
use crate::graph::Client;
use crate::model::{Ask, KnownUser, Plan, Reason, Span, Timestamp, UserId};
use crate::plan::explain::{Explanation, Facts, Past, explain};
use crate::policy::Unanswered;
use crate::policy::fault::nearest;
use crate::reconcile::{PolicyHolder, Shared, hold_view};
use crate::report::status::TenantView;
use crate::report::words;
use crate::store::TenantStore;
use crate::store::journal::{Entry, Journal, JournalError};
use crate::store::records::{Approvals, Cursor, Hold, LastPass, Seats, Traces};
use crate::store::shelf::Shelf;

use super::four_eyes::{FourEyes, Verdict};
use super::summary::Counting;
use super::{Answer, Denied, Person, Question, Refusal, chronicle, doctor, lookup};

/// The desk of one tenant. Cheap to clone.
#[derive(Clone)]
pub struct Desk {
    pub tenant: String,
    pub store: TenantStore,
    pub journal: Arc<Journal>,
    pub shared: Shared,
    pub policy: PolicyHolder,
    pub clock: Arc<dyn Clock>,
    /// `mode: act`.
    pub may_act: bool,
    /// `evidence: { audit_log: true }`.
    pub reads_audit_log: bool,
    pub graph: Client,
    /// `approvals: { four_eyes: true }`.
    pub four_eyes: Option<FourEyes>,
    /// Where things lie on disk; `None` for a state in memory.
    pub places: Option<Places>,
    /// What the settings file says by now that this process was not started with; `None` where it was read just now.
    pub settings_changed: Option<SettingsChanged>,
}

/// Looks at the settings file: what is to be said of it, if anything.
pub type SettingsChanged = Arc<dyn Fn() -> Option<String> + Send + Sync>;

/// Where one tenant's things lie on disk.
#[derive(Debug, Clone)]
pub struct Places {
    /// sled's directory, which all tenants share.
    pub state: PathBuf,
    pub journal: PathBuf,
    pub shelf: Shelf,
}

/// Entries of the journal that `explain` shows: the last repair from notice to proof, and what was before.
const PAST_SHOWN: usize = 8;

/// Entries that one answer carries: a few megabytes.
const HISTORY_LONGEST: usize = 10_000;

/// Users that the line of an answer names: half of what a line may hold. A state that was lost asks again about more.
const ANSWER_NAMED: usize = 10_000;

impl Desk {
    /// Answers what needs neither a pass nor Graph; `None` for what does.
    pub fn answer(&self, question: &Question, by: &Person) -> Option<Result<Answer, Refusal>> {
        Some(match question {
            Question::Status => self.view().map(|view| Answer::Status { view: Box::new(view) }),
            Question::Explain { user } => self
                .explain(user)
                .map(|explanation| Answer::Explanation { explanation: Box::new(explanation) }),
            Question::Asks => self.asks(),
            Question::Answer { ask, granted } => self.take_answer(ask, *granted, by),
            Question::Hold { duration, reason } => self.hold(*duration, reason, by),
            Question::Resume => self.resume(by),
            Question::History { user, limit } => self.history(user.as_deref(), *limit),
            Question::Verify => self.verify(),
            Question::Backup => self.backup(),
            Question::Report { since } => self.report(*since),
            Question::Plan | Question::Apply { .. } | Question::Doctor => return None,
        })
    }

    /// Why and where state or journal have stopped for good: nothing can be recorded, so nothing is sent, until they
    /// are opened anew.
    pub fn broken(&self) -> Option<String> {
        let (what, why, place) = match self.store.failure() {
            Some(why) => ("state", why, self.places.as_ref().map(|places| &places.state)),
            None => ("journal", self.journal.failure()?, self.places.as_ref().map(|places| &places.journal)),
        };
        let place = place.map(|place| format!(" in {}", place.display())).unwrap_or_default();
        Some(format!("the {what}{place} can no longer be used: {why}"))
    }

    /// The newest status document, with the answers and the hold that were given since.
    pub fn view(&self) -> Result<TenantView, Refusal> {
        let mut view = self.last_view()?;
        let answers = self.store.get_or_default::<Approvals>()?.0;
        view.hold = self.active_hold().map(hold_view);
        view.settings_changed = self.settings_changed();
        since::lay_over(&mut view, &answers, self.stopped());
        Ok(view)
    }

    /// Of this process, else of the last one.
    fn last_view(&self) -> Result<TenantView, Refusal> {
        if let Some(view) = self.shared.view() {
            return Ok((*view).clone());
        }
        let last = self.store.get::<LastPass>()?;
        let stored = last.and_then(|last| serde_json::from_value(last.summary).ok());
        stored.ok_or_else(|| {
            Refusal::failed(format!("no pass was made for {} yet: run `mailkeeper plan`", self.tenant))
        })
    }

    /// By name or id. Before the first pass nobody is known, which is no fault of the name.
    fn find(&self, name: &str) -> Result<KnownUser, Refusal> {
        lookup::find(&self.store, name).or_else(|refusal| self.last_view().and(Err(refusal)))
    }

    fn explain(&self, name: &str) -> Result<Explanation, Refusal> {
        let known = self.find(name)?;
        if self.policy.current().is_none() {
            self.policy.reload();
        }
        let loaded = self.policy.loaded();
        let Some(policy) = loaded.current else {
            return Err(Refusal::failed(loaded.failed.unwrap_or_else(|| "no policy is loaded".to_owned())));
        };
        let catalog = self.store.get::<Seats>()?.map(|seats| seats.catalog).unwrap_or_default();
        let entry = self.store.ledger(known.id())?;
        let mut plan = self.store.get::<Plan>()?;
        if let Some(plan) = &mut plan {
            since::sort_asks(plan, &self.store.get_or_default::<Approvals>()?.0);
        }
        let (mut surroundings, same_address) = lookup::rivals(&self.store, &policy, &known)?;
        if let Some(trace) = self.store.get_or_default::<Traces>()?.users.remove(&known.id()) {
            surroundings.audited.insert(known.id(), trace.events);
        }
        Ok(explain(&Facts {
            now: self.clock.now(),
            policy: &policy,
            policy_failed: loaded.failed.is_some(),
            known: &known,
            entry: entry.as_ref(),
            catalog: &catalog,
            surroundings: &surroundings,
            same_address,
            last_complete: self.store.get_or_default::<Cursor>()?.last_complete,
            plan: plan.as_ref(),
            stopped: self.stopped(),
            past: self.past(known.id())?,
        }))
    }

    /// The last entries about one user, oldest first.
    fn past(&self, user: UserId) -> Result<Vec<Past>, Refusal> {
        let lines = self.journal.history(Some(user), PAST_SHOWN).map_err(refused)?;
        Ok(lines.iter().rev().map(|line| Past { at: line.at, what: chronicle::what(line) }).collect())
    }

    fn stopped(&self) -> Option<Reason> {
        if !self.may_act {
            return Some(Reason::ObserveMode);
        }
        self.active_hold().map(|_| Reason::Held)
    }

    pub(super) fn settings_changed(&self) -> Option<String> {
        self.settings_changed.as_ref().and_then(|look| look())
    }

    pub(super) fn active_hold(&self) -> Option<Hold> {
        self.store.get::<Hold>().ok().flatten().filter(|hold| hold.is_active(self.clock.now()))
    }

    fn asks(&self) -> Result<Answer, Refusal> {
        let TenantView { asks, plan, .. } = self.view()?;
        let answers = self.store.get_or_default::<Approvals>()?.0;
        let denied = plan.denied.into_iter().filter_map(|ask| {
            let answer = answers.get(&ask.id)?;
            Some(Denied { by: answer.by.clone(), at: answer.at, ask })
        });
        let denied: Vec<Denied> = denied.collect();
        let all = asks.iter().chain(denied.iter().map(|denied| &denied.ask));
        let concerned = all.flat_map(|ask| &ask.users).copied();
        let names = lookup::names(&self.store, concerned)?;
        if self.policy.current().is_none() {
            self.policy.reload();
        }
        let policy = self.policy.current();
        let acts_unanswered = policy.map(|policy| policy.unanswered_asks == Unanswered::Act);
        Ok(Answer::Asks { asks, denied, names, acts_unanswered })
    }

    /// The questions of the newest plan that nobody has answered since.
    fn open_asks(&self) -> Result<Vec<Ask>, Refusal> {
        Ok(self.view()?.asks)
    }

    fn take_answer(&self, ask: &str, granted: bool, by: &Person) -> Result<Answer, Refusal> {
        let _turn = self.shared.turn();
        let view = self.last_view()?;
        let mut approvals = self.store.get_or_default::<Approvals>()?;
        let Some(open) = view.asks.iter().chain(&view.plan.denied).find(|open| open.id == ask) else {
            return Err(self.no_such_ask(ask, approvals.0.get(ask)));
        };
        let before = approvals.0.get(ask).filter(|before| before.granted == granted);
        if let Some(before) = before {
            return Ok(Answer::Said { message: answered_already(ask, before) });
        }
        let untold = if granted { self.other_eyes(ask, by)? } else { "" };
        let (now, digest) = (self.clock.now(), view.plan.digest.clone());
        let users = open.users.iter().copied().collect();
        let entry = answer_entry(open, granted, by, &digest);
        self.journal.append(&entry, now).map_err(refused)?;
        let answer = crate::model::Answer {
            granted,
            at: now,
            by: by.name.clone(),
            digest,
            reason: open.reason,
            users,
        };
        approvals.0.insert(ask.to_owned(), answer);
        self.store.put(&approvals)?;
        self.store.flush()?;
        self.shared.announce_change();
        Ok(Answer::Said { message: format!("{}{untold}", self.said(open, granted)) })
    }

    /// Refuses an approval by whoever changed the policy last; else what is to be said beside it.
    fn other_eyes(&self, ask: &str, by: &Person) -> Result<&'static str, Refusal> {
        let Some(four_eyes) = &self.four_eyes else { return Ok("") };
        if self.policy.current().is_none() {
            self.policy.reload();
        }
        let policy = self.policy.newest();
        match four_eyes.judge(by, policy.as_ref().and_then(|policy| policy.change.as_ref())) {
            Verdict::Allowed => Ok(""),
            Verdict::Untold => {
                Ok("\ngit does not tell who changed the policy, so nobody was kept from approving")
            }
            Verdict::Refused(why) => {
                let (ask, by, reason) = (ask.to_owned(), by.name.clone(), why.clone());
                let entry = Entry::ApprovalRefused { ask, by, reason };
                self.journal.append(&entry, self.clock.now()).map_err(refused)?;
                Err(Refusal::failed(why))
            }
        }
    }

    /// What an answer means for what happens next.
    fn said(&self, ask: &Ask, granted: bool) -> String {
        let concerned = match ask.users.len() {
            0 => "the policy as a whole".to_owned(),
            count => words::how_many(count as u64, "mailbox", "mailboxes"),
        };
        let next = match (granted, self.stopped()) {
            (false, _) => format!(
                "nothing is done about it; as long as the trouble stands `mailkeeper approve {}` takes the answer back",
                ask.id
            ),
            (true, Some(reason)) => format!("nothing is sent yet: {}", reason.sentence()),
            (true, None) => "the next pass acts on it, within the limits of the policy".to_owned(),
        };
        let verb = if granted { "approved" } else { "denied" };
        format!("{verb} {} ({concerned}): {}\n{next}", ask.id, ask.question)
    }

    /// An answer holds for the question that was read and for no other, so one to a question that is gone is refused.
    fn no_such_ask(&self, ask: &str, answered: Option<&crate::model::Answer>) -> Refusal {
        if let Some(before) = answered {
            return Refusal::usage(format!("{}; the question is closed", answered_already(ask, before)));
        }
        let open = self.open_asks().unwrap_or_default();
        let ids: Vec<&str> = open.iter().map(|open| open.id.as_str()).collect();
        let near = nearest(ask, ids.iter().copied()).map(|near| format!(" Did you mean {near}?"));
        let others = match ids.is_empty() {
            true => "No question is open at the moment.".to_owned(),
            false => format!("Open are: {}.", ids.join(", ")),
        };
        Refusal::usage(format!(
            "there is no open question {ask}, so nothing was recorded: it was misspelt, the mailbox is no longer at \
             risk, or the situation changed and a new question was asked.{} {others} `mailkeeper asks` shows them.",
            near.unwrap_or_default()
        ))
    }

    fn hold(&self, duration: Option<Span>, reason: &str, by: &Person) -> Result<Answer, Refusal> {
        let _turn = self.shared.turn();
        let now = self.clock.now();
        let until = duration.map(|duration| now + duration);
        let before = self.active_hold();
        let hold = Hold { since: now, until, reason: Some(reason.to_owned()), by: by.name.clone() };
        self.store.put(&hold)?;
        self.store.flush()?;
        let entry = Entry::Held { until, reason: Some(reason.to_owned()), by: by.name.clone() };
        self.shared.announce_change();
        self.journal.append(&entry, now).map_err(refused)?;
        let said = |until: Option<Timestamp>| {
            until.map_or("until `mailkeeper resume`".to_owned(), |until| format!("until {}", until.human()))
        };
        let replaced =
            before.map(|before| format!("; replaces the hold of {} {}", before.by, said(before.until)));
        let replaced = replaced.unwrap_or_default();
        Ok(Answer::Said { message: format!("on hold {}: nothing more is sent{replaced}", said(until)) })
    }

    fn resume(&self, by: &Person) -> Result<Answer, Refusal> {
        let _turn = self.shared.turn();
        let Some(hold) = self.active_hold() else {
            return Ok(Answer::Said { message: "was not on hold".to_owned() });
        };
        // The state first: what the journal says is believed after a crash, and it must not say more than was done.
        self.store.remove::<Hold>()?;
        self.store.flush()?;
        let entry = Entry::Resumed { by: by.name.clone() };
        if let Err(error) = self.journal.append(&entry, self.clock.now()) {
            self.store.put(&hold)?;
            return Err(refused(error));
        }
        self.shared.announce_change();
        Ok(Answer::Said { message: "resumed: the next pass acts again".to_owned() })
    }

    /// Nothing to tell is another thing than nothing happened.
    fn has_begun(&self) -> Result<(), Refusal> {
        match self.journal.head().seq {
            0 => self.last_view().map(drop),
            _ => Ok(()),
        }
    }

    fn history(&self, user: Option<&str>, limit: usize) -> Result<Answer, Refusal> {
        self.has_begun()?;
        let user = user.map(|name| self.find(name)).transpose()?.map(|known| known.id());
        let lines = self.journal.history(user, limit.min(HISTORY_LONGEST)).map_err(refused)?;
        let users =
            lines.iter().filter_map(|line| line.entry.user().or_else(|| chronicle::sole(&line.entry)));
        let names = lookup::names(&self.store, users)?;
        Ok(Answer::History { lines, names })
    }

    fn report(&self, since: Span) -> Result<Answer, Refusal> {
        self.has_begun()?;
        let now = self.clock.now();
        let mut counting = Counting::new(&self.tenant, now - since, now);
        let walked = self.journal.for_each(|line| counting.note(line)).map_err(refused)?;
        if let Some(bad) = walked.first_bad {
            return Err(Refusal::failed(format!(
                "the journal is broken in segment {} at byte {} ({}): no report is made from half of it",
                bad.segment, bad.offset, bad.reason
            )));
        }
        let summary = counting.finish(self.view().ok().as_ref());
        Ok(Answer::Report { summary: Box::new(summary) })
    }

    fn verify(&self) -> Result<Answer, Refusal> {
        let verification = self.journal.verify().map_err(refused)?;
        let missing = self.places.as_ref().and_then(|places| doctor::state::missing_lines(self, places));
        let verification = super::Verification { missing, ..verification.into() };
        Ok(Answer::Verification { verification })
    }

    fn backup(&self) -> Result<Answer, Refusal> {
        let mut bytes = Vec::new();
        crate::store::backup::export(&self.store, self.clock.now(), Some(self.journal.head()), &mut bytes)
            .map_err(|error| Refusal::failed(crate::errors::chain(&error)))?;
        let text = String::from_utf8(bytes).map_err(|error| Refusal::failed(error.to_string()))?;
        Ok(Answer::Backup { text })
    }
}

/// The line of the journal; the users are named where there are not too many.
fn answer_entry(open: &Ask, granted: bool, by: &Person, digest: &str) -> Entry {
    let (ask, by, digest) = (open.id.clone(), by.name.clone(), digest.to_owned());
    let users = match open.users.len() {
        0..=ANSWER_NAMED => open.users.iter().copied().collect(),
        _ => BTreeSet::new(),
    };
    match granted {
        true => Entry::Approved { ask, by, digest, users },
        false => Entry::Denied { ask, by, digest, reason: Some(open.reason), users },
    }
}

fn answered_already(ask: &str, answer: &crate::model::Answer) -> String {
    let verb = if answer.granted { "approved" } else { "denied" };
    format!("{ask} was {verb} by {} on {}", answer.by, answer.at.human())
}

fn refused(error: JournalError) -> Refusal {
    Refusal::failed(crate::errors::chain(&error))
}

#[cfg(test)]
mod tests;
