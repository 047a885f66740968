//! Graph to state: what is there. Decides whether an observation is complete and believable, never what follows
//! from it.
//!
//! A delta costs what changed; a full listing costs what exists and is made when there is no delta to go on from,
//! when something is in doubt, and when it is asked for. Users stream from the pages into a stage in the store,
//! then are folded into what is known of each. In memory are the changes of one delta, the deleted users as a few
//! numbers each, and while groups are listed their members (16 bytes a member): nothing grows with the number of
//! users.

pub mod audit;
pub mod fold;

mod bin;
mod changes;
mod delta;
mod entry;
mod full;
mod groups;
mod left;
mod mailboxes;
mod plausible;
mod released;
mod reread;
mod shards;
mod subscriptions;
mod surroundings;

use std::collections::BTreeMap;

use crate::clock::{Clock, Reading};
use crate::errors::chain;
use crate::graph::{Client, Error};
use crate::model::{
    Catalog, KnownUser, Observation, ObservationKind, Problem, ProblemKind, Span, Surroundings, Timestamp,
    UserId,
};
use crate::policy::Policy;
use crate::store::records::{Cursor, RecycleBin, Seats, Tally};
use crate::store::{self, TenantStore};

pub use mailboxes::mailboxes;
pub use plausible::clock_set;

/// Life of a delta token (Graph: delta-query-overview). After as long without a full listing one is made, whatever
/// the schedule says: a machine that sleeps at night never reaches a schedule at night.
const FULL_AT_THE_LATEST: Span = Span::from_days(7);

/// A change may reach the delta late (Graph: "varying delays"), so an unchanged user is only known to have been so
/// some time before the delta. Minutes were seen; an hour makes deadlines earlier by that much, never later.
const DELTA_LAG: Span = Span::from_hours(1);

/// What one observation is to cover.
#[derive(Debug)]
pub struct Scope<'a> {
    /// List everybody, whatever the deltas said.
    pub is_full_wanted: bool,
    /// The process is new: its credentials may lead to another tenant than those before.
    pub is_first: bool,
    pub policy: &'a Policy,
}

/// What one observation brought, beside the users in the store.
#[derive(Debug)]
pub struct Observed {
    pub observation: Observation,
    pub catalog: Catalog,
    pub surroundings: Surroundings,
    pub reach: Reach,
    /// The counters before this observation; `None` when they cannot be carried on from.
    pub tally: Option<Tally>,
}

/// Whose record may be another one than before.
#[derive(Debug)]
pub enum Reach {
    Everyone,
    /// These users', with what was known before.
    These(BTreeMap<UserId, Option<KnownUser>>),
}

impl Reach {
    /// Notes what was known of a user before a change; the oldest knowledge counts.
    fn note(&mut self, user: UserId, before: &Option<KnownUser>) {
        match self {
            Self::Everyone => {}
            Self::These(users) => {
                users.entry(user).or_insert_with(|| before.clone());
            }
        }
    }
}

/// Everything that the reads of one observation work with.
struct Watch<'a> {
    graph: &'a Client,
    store: &'a TenantStore,
    policy: &'a Policy,
    clock: &'a dyn Clock,
    is_first: bool,
    /// Before the first request.
    started: Timestamp,
    begun: Reading,
    cursor: Cursor,
}

/// What was seen, before and after it is believed.
#[derive(Debug, Default)]
struct Seen {
    catalog: Catalog,
    live_users: u64,
    deleted_users: u64,
    problems: Vec<Problem>,
}

impl Seen {
    fn is_believable(&self) -> bool {
        self.problems.iter().all(|problem| !problem.kind.is_blocking())
    }
}

/// Observes the tenant and, if the observation may be believed, folds it into the state.
///
/// An observation that may not leaves the state as it was: unreadable is not absent.
///
/// # Errors
/// Only of the store. What Graph did not answer is a problem of the observation.
pub async fn observe(
    graph: &Client,
    store: &TenantStore,
    scope: &Scope<'_>,
    clock: &dyn Clock,
) -> Result<Observed, store::Error> {
    let cursor = store.get_or_default::<Cursor>()?;
    let watch = Watch {
        graph,
        store,
        policy: scope.policy,
        clock,
        is_first: scope.is_first,
        started: clock.now(),
        begun: Reading::of(clock),
        cursor,
    };
    let reason = match watch.why_everybody(scope) {
        None => match delta::observe(&watch).await? {
            delta::Outcome::Observed(observed) => return Ok(*observed),
            delta::Outcome::ListEverybody(reason) => reason,
        },
        Some(reason) => reason,
    };
    tracing::debug!(reason, "listing everybody");
    full::observe(&watch).await
}

impl Watch<'_> {
    /// Why a delta is not enough; `None` when it is.
    fn why_everybody(&self, scope: &Scope<'_>) -> Option<&'static str> {
        let cursor = &self.cursor;
        if cursor.delta_link.is_none() {
            return Some("there is no delta to go on from");
        }
        if scope.is_full_wanted {
            return Some("it was asked for");
        }
        let is_due = cursor.last_full.is_none_or(|last| last + FULL_AT_THE_LATEST <= self.started);
        is_due.then_some("the last full listing is a week old")
    }

    /// When an unchanged user was last seen for certain. A time in the future is that of a wrong clock, and says
    /// nothing.
    fn previous(&self) -> Option<Timestamp> {
        let Cursor { last_complete, last_full, .. } = self.cursor;
        let previous = match (last_complete, last_full) {
            (Some(complete), Some(full)) => Some(full.max(complete - DELTA_LAG).min(complete)),
            (complete, _) => complete,
        };
        previous.filter(|previous| *previous <= self.started)
    }

    /// What the local clock says must be what Graph's says, and must have been so all the time.
    fn clock_problem(&self) -> Option<Problem> {
        let set_by = Reading::of(self.clock).set_by_since(self.begun);
        plausible::clock_skew(self.graph.clock_skew()).or_else(|| plausible::clock_set(set_by))
    }

    fn observation(&self, kind: ObservationKind, seen: &Seen) -> Observation {
        Observation {
            kind,
            started: self.started,
            finished: self.clock.now(),
            live_users: seen.live_users,
            deleted_users: seen.deleted_users,
            problems: seen.problems.clone(),
        }
    }

    /// The products with what backs them, and what is wrong with them.
    async fn products(&self, problems: &mut Vec<Problem>) -> Result<Catalog, store::Error> {
        match self.graph.subscribed_skus().await {
            Ok(skus) => {
                let catalog: Catalog = skus.into_iter().collect();
                let before = self.store.get::<Seats>()?;
                problems.extend(plausible::seats(before.as_ref(), &catalog, self.started));
                Ok(catalog.backed_by(subscriptions::read(self).await?))
            }
            Err(error) => {
                problems.push(problem("products", &error));
                Ok(Catalog::default())
            }
        }
    }

    /// Nothing was believed: the state stays, and where the users themselves are in doubt everybody is listed next.
    fn reject(&self, kind: ObservationKind, seen: &Seen) -> Result<Observed, store::Error> {
        self.store.clear_stage()?;
        if seen.problems.iter().any(|problem| is_about_users(problem.kind)) {
            let cursor = self.store.get_or_default::<Cursor>()?;
            self.store.put(&Cursor { delta_link: None, ..cursor })?;
        }
        let bin = self.store.get_or_default::<RecycleBin>()?;
        Ok(Observed {
            observation: self.observation(kind, seen),
            catalog: self.store.get::<Seats>()?.map(|seats| seats.catalog).unwrap_or_default(),
            surroundings: surroundings::surroundings(self, &bin)?,
            reach: Reach::These(BTreeMap::new()),
            tally: self.store.get()?,
        })
    }
}

/// True for problems that leave open what the delta would have said. The others concern seats, groups and clocks,
/// and the delta is simply read again.
fn is_about_users(kind: ProblemKind) -> bool {
    match kind {
        ProblemKind::SeatsJumped
        | ProblemKind::ClockSkew
        | ProblemKind::GroupMissing
        | ProblemKind::MailboxUnreadable
        | ProblemKind::UserUnreadable => false,
        ProblemKind::SignIn
        | ProblemKind::Refused
        | ProblemKind::Unanswered
        | ProblemKind::Malformed
        | ProblemKind::HostileLink
        | ProblemKind::Truncated
        | ProblemKind::WrongTenant
        | ProblemKind::MassDisappearance => true,
    }
}

fn problem(what: &str, error: &Error) -> Problem {
    // The endpoint's label often says what `what` says.
    let told = chain(error);
    let label = format!("{}: ", what.replace(' ', "_"));
    let told = told.strip_prefix(&label).unwrap_or(&told);
    Problem { kind: error.problem_kind(), detail: format!("{what}: {told}") }
}
