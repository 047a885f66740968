//! The daemon's daily backups, and what they are for: a state that could not be opened is filled from the newest one.

use std::sync::Arc;
use std::time::Duration;

use crate::control::desk::Desk;
use crate::errors::chain;
use crate::fleet::{Fleet, told};
use crate::model::Timestamp;
use crate::store::TenantStore;
use crate::store::journal::{Entry, Journal};
use crate::store::records::Cursor;
use crate::store::shelf::{Refilled, Shelf};

/// Between two looks whether the backup of the day is there. A day's backup is early enough ten minutes after midnight.
const LOOK: Duration = Duration::from_secs(600);

/// Writes a backup of each tenant once a day (UTC) until told to stop.
pub async fn keep(fleet: Arc<Fleet>) {
    let mut stopping = fleet.stopping();
    let mut look = tokio::time::interval(LOOK);
    loop {
        tokio::select! {
            _ = look.tick() => {}
            () = told(&mut stopping) => return,
        }
        for desk in fleet.desks().cloned() {
            let tenant = desk.tenant.clone();
            if let Err(error) = tokio::task::spawn_blocking(move || back_up(&desk)).await {
                tracing::error!(tenant, %error, "the backup ended in a panic");
            }
        }
    }
}

/// Never of a state without a complete observation: an empty one must not push out what is worth keeping.
fn back_up(desk: &Desk) {
    let Some(places) = &desk.places else { return };
    let now = desk.clock.now();
    let is_observed = desk
        .store
        .get::<Cursor>()
        .is_ok_and(|cursor| cursor.is_some_and(|cursor| cursor.last_complete.is_some()));
    if !is_observed || places.shelf.has_one_of(now) {
        return;
    }
    match places.shelf.write(&desk.store, desk.journal.head(), now) {
        Ok((path, counts)) => {
            tracing::info!(tenant = desk.tenant, path = %path.display(), users = counts.users, "backup written");
        }
        Err(error) => {
            tracing::warn!(tenant = desk.tenant, error = %chain(&error), "the daily backup could not be written");
        }
    }
}

/// After a state was lost. Says loudly what came of it; a full observation follows in any case.
pub fn refill(tenant: &str, shelf: &Shelf, store: &TenantStore, journal: &Journal, now: Timestamp) {
    let Refilled { from, unusable } = shelf.refill(store);
    for (path, error) in unusable {
        tracing::error!(tenant, path = %path.display(), error = %chain(&error), "a backup cannot be used");
    }
    let Some((path, header)) = from else {
        tracing::error!(
            tenant,
            "the state was lost and THERE IS NO BACKUP: when licences were lost and which mailboxes were the healthy \
             ones is only known as far as the journal tells"
        );
        return;
    };
    tracing::error!(
        tenant,
        path = %path.display(),
        made_at = %header.made_at,
        "the state was LOST, and was read back from the newest backup; what happened since is read from the journal and observed \
         anew"
    );
    let backup = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    if let Err(error) = journal.append(&Entry::Restored { backup, made_at: header.made_at }, now) {
        tracing::error!(tenant, error = %chain(&error), "the journal could not record that the state was read back");
    }
}
