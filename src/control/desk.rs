//! Where questions are answered that need no pass: reads the state and the newest status document, presses and
//! releases the big red button, takes answers of people. Works while a pass runs.

use std::sync::Arc;

use crate::clock::Clock;
use crate::model::{Ask, KnownUser, Plan, Reason, Span, UserId};
use crate::plan::explain::{Explanation, Facts, explain};
use crate::reconcile::{PolicyHolder, Shared};
use crate::report::status::TenantView;
use crate::store::TenantStore;
use crate::store::journal::{Entry, Journal, JournalError};
use crate::store::records::{Approvals, Cursor, Hold, LastPass, Seats};

use super::{Answer, Person, Question, Refusal};

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
}

impl Desk {
    /// Answers what needs no pass; `None` for what does.
    pub fn answer(&self, question: &Question, by: &Person) -> Option<Result<Answer, Refusal>> {
        Some(match question {
            Question::Status => self.view().map(|view| Answer::Status { view: Box::new(view) }),
            Question::Explain { user } => self
                .explain(user)
                .map(|explanation| Answer::Explanation { explanation: Box::new(explanation) }),
            Question::Asks => self.view().map(|view| Answer::Asks { asks: view.asks }),
            Question::Answer { ask, granted } => self.take_answer(ask, *granted, by),
            Question::Hold { duration, reason } => self.hold(*duration, reason, by),
            Question::Resume => self.resume(by),
            Question::History { user, limit } => self.history(user.as_deref(), *limit),
            Question::Verify => self.verify(),
            Question::Backup => self.backup(),
            Question::Plan | Question::Apply { .. } => return None,
        })
    }

    /// The newest status document: of this process, else of the last one.
    pub fn view(&self) -> Result<TenantView, Refusal> {
        if let Some(view) = self.shared.view() {
            return Ok((*view).clone());
        }
        let last = self.store.get::<LastPass>()?;
        let stored = last.and_then(|last| serde_json::from_value(last.summary).ok());
        stored.ok_or_else(|| {
            Refusal::failed(format!("no pass was made for {} yet: run `mailkeeper plan`", self.tenant))
        })
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
        let plan = self.store.get::<Plan>()?;
        let now = self.clock.now();
        Ok(explain(&Facts {
            now,
            policy: &policy,
            known: &known,
            entry: entry.as_ref(),
            catalog: &catalog,
            conflicts: &crate::model::Conflicts::default(),
            last_complete: self.store.get_or_default::<Cursor>()?.last_complete,
            plan: plan.as_ref(),
            stopped: self.stopped(),
        }))
    }

    fn stopped(&self) -> Option<Reason> {
        if !self.may_act {
            return Some(Reason::ObserveMode);
        }
        self.active_hold().map(|_| Reason::Held)
    }

    fn active_hold(&self) -> Option<Hold> {
        self.store.get::<Hold>().ok().flatten().filter(|hold| hold.is_active(self.clock.now()))
    }

    /// By object id, user principal name or any address, letter case ignored.
    fn find(&self, name: &str) -> Result<KnownUser, Refusal> {
        if let Ok(id) = name.parse::<UserId>() {
            let known = self.store.user(id)?;
            return known
                .ok_or_else(|| Refusal::failed(format!("no user with the id {id} was ever observed")));
        }
        let wanted = name.to_ascii_lowercase();
        let mut found: Vec<KnownUser> = Vec::new();
        self.store.for_each_user(|known| {
            if known.user.addresses().contains(&wanted) {
                found.push(known.clone());
            }
        })?;
        let live_first =
            |known: &KnownUser| (known.presence != crate::model::Presence::Live, known.user.upn != wanted);
        found.sort_by_key(live_first);
        match found.len() {
            0 => Err(Refusal::failed(format!(
                "no observed user answers to {name}: check the spelling, or ask by object id"
            ))),
            1 => Ok(found.remove(0)),
            _ if found[0].user.upn.eq_ignore_ascii_case(name) => Ok(found.remove(0)),
            _ => {
                let ids: Vec<String> =
                    found.iter().map(|known| format!("{} {}", known.id(), known.user.upn)).collect();
                Err(Refusal::usage(format!(
                    "{name} fits several users, ask by object id:\n  {}",
                    ids.join("\n  ")
                )))
            }
        }
    }

    fn take_answer(&self, ask: &str, granted: bool, by: &Person) -> Result<Answer, Refusal> {
        let view = self.view()?;
        let Some(open) = view.asks.iter().find(|open| open.id == ask) else {
            let open: Vec<&str> = view.asks.iter().map(|open: &Ask| open.id.as_str()).collect();
            return Err(Refusal::usage(format!("no open ask {ask}; open are: {}", open.join(", "))));
        };
        let now = self.clock.now();
        let entry = match granted {
            true => {
                Entry::Approved { ask: ask.to_owned(), by: by.name.clone(), digest: view.plan.digest.clone() }
            }
            false => {
                Entry::Denied { ask: ask.to_owned(), by: by.name.clone(), digest: view.plan.digest.clone() }
            }
        };
        self.journal.append(&entry, now).map_err(refused)?;
        let mut approvals = self.store.get_or_default::<Approvals>()?;
        let answer = crate::model::Answer {
            granted,
            at: now,
            by: by.name.clone(),
            digest: view.plan.digest.clone(),
            reason: open.reason,
            users: open.users.iter().copied().collect(),
        };
        approvals.0.insert(ask.to_owned(), answer);
        self.store.put(&approvals)?;
        self.store.flush()?;
        let verb = if granted { "approved" } else { "denied" };
        Ok(Answer::Said {
            message: format!("{verb} {ask} for {} mailboxes: {}", open.users.len(), open.question),
        })
    }

    fn hold(&self, duration: Option<Span>, reason: &str, by: &Person) -> Result<Answer, Refusal> {
        let now = self.clock.now();
        let until = duration.map(|duration| now + duration);
        self.shared.set_held(true);
        let hold = Hold { since: now, until, reason: Some(reason.to_owned()), by: by.name.clone() };
        self.store.put(&hold)?;
        self.store.flush()?;
        let entry = Entry::Held { until, reason: Some(reason.to_owned()), by: by.name.clone() };
        self.journal.append(&entry, now).map_err(refused)?;
        let until =
            until.map_or("until `mailkeeper resume`".to_owned(), |until| format!("until {}", until.human()));
        Ok(Answer::Said { message: format!("on hold {until}: nothing more is sent") })
    }

    fn resume(&self, by: &Person) -> Result<Answer, Refusal> {
        if self.active_hold().is_none() {
            return Ok(Answer::Said { message: "was not on hold".to_owned() });
        }
        let entry = Entry::Resumed { by: by.name.clone() };
        self.journal.append(&entry, self.clock.now()).map_err(refused)?;
        self.store.remove::<Hold>()?;
        self.store.flush()?;
        self.shared.set_held(false);
        Ok(Answer::Said { message: "resumed: the next pass acts again".to_owned() })
    }

    fn history(&self, user: Option<&str>, limit: usize) -> Result<Answer, Refusal> {
        let user = user.map(|name| self.find(name)).transpose()?.map(|known| known.id());
        let lines = self.journal.history(user, limit).map_err(refused)?;
        Ok(Answer::History { lines })
    }

    fn verify(&self) -> Result<Answer, Refusal> {
        let verification = self.journal.verify().map_err(refused)?;
        Ok(Answer::Verification { verification: verification.into() })
    }

    fn backup(&self) -> Result<Answer, Refusal> {
        let mut bytes = Vec::new();
        crate::store::backup::export(&self.store, self.clock.now(), Some(self.journal.head()), &mut bytes)
            .map_err(|error| Refusal::failed(crate::errors::chain(&error)))?;
        let text = String::from_utf8(bytes).map_err(|error| Refusal::failed(error.to_string()))?;
        Ok(Answer::Backup { text })
    }
}

fn refused(error: JournalError) -> Refusal {
    Refusal::failed(crate::errors::chain(&error))
}
