//! Graph to state: what is there. Decides whether an observation is complete and believable, never what follows from
//! it.
//!
//! Users stream from the pages into a stage in the store, then are folded into what is known of each; nothing here
//! grows with the tenant but the member lists of the groups that the policy names (16 bytes a member).

pub mod fold;
mod listing;
mod mailboxes;
mod plausible;

use crate::clock::Clock;
use crate::graph::Client;
use crate::model::{Catalog, Conflicts, Observation, ObservationKind, Problem, Timestamp};
use crate::policy::Policy;
use crate::store::records::{Cursor, Seats};
use crate::store::{self, Staged, TenantStore};

use fold::{Context, Memberships};
pub use mailboxes::mailboxes;

/// What one observation is to cover.
#[derive(Debug)]
pub struct Scope<'a> {
    pub kind: ObservationKind,
    pub policy: &'a Policy,
}

/// What one observation brought, beside the users in the store.
#[derive(Debug)]
pub struct Observed {
    pub observation: Observation,
    pub catalog: Catalog,
    pub conflicts: Conflicts,
}

/// What was read, before it is believed.
struct Read {
    staged: Staged,
    catalog: Catalog,
    memberships: Memberships,
    live_users: u64,
    deleted_users: u64,
    problems: Vec<Problem>,
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
    let started = clock.now();
    let cursor = store.get_or_default::<Cursor>()?;
    let mut read = listing::read(graph, store, scope.policy).await?;
    read.problems.extend(plausible::clock_skew(graph.clock_skew()));
    let mut conflicts = Conflicts::default();
    if read.problems.iter().all(|problem| !problem.kind.is_blocking()) {
        let seats = store.get::<Seats>()?;
        read.problems.extend(plausible::seats(seats.as_ref(), &read.catalog, started));
        let look = plausible::look(store, &read.staged)?;
        read.problems.extend(look.problem());
        conflicts = look.into_conflicts();
    }
    let observation = Observation {
        kind: scope.kind,
        started,
        finished: clock.now(),
        live_users: read.live_users,
        deleted_users: read.deleted_users,
        problems: read.problems,
    };
    let catalog = if observation.is_complete() {
        believe(store, &read.staged, &observation, read.catalog, &read.memberships, cursor.last_complete)?
    } else {
        store.get::<Seats>()?.map(|seats| seats.catalog).unwrap_or_default()
    };
    store.clear_stage()?;
    Ok(Observed { observation, catalog, conflicts })
}

fn believe(
    store: &TenantStore,
    staged: &Staged,
    observation: &Observation,
    catalog: Catalog,
    memberships: &Memberships,
    previous: Option<Timestamp>,
) -> Result<Catalog, store::Error> {
    let context = Context {
        kind: observation.kind,
        observed: observation.started,
        previous,
        catalog: &catalog,
        memberships,
    };
    store.fold(staged, |known, sighting| fold::fold(known, sighting, &context))?;
    store.put(&Seats { catalog: catalog.clone(), read_at: observation.started })?;
    Ok(catalog)
}
