//! The subscriptions behind the products: when each moves to its next stage. Optional: they need a permission that
//! nothing else needs, and that they cannot be read is no problem of an observation. It is "not known", and said once.

use std::time::Duration;

use crate::clock::within;
use crate::errors::chain;
use crate::model::{Span, Subscription, Timestamp};
use crate::store;
use crate::store::records::Subscriptions;

use super::Watch;

/// Stages last weeks, so an hour is often enough, whatever the answer was.
const ASK_AGAIN: Span = Span::from_hours(1);

/// Dates that could not be read again for so long are no longer shown: the permission was taken away, or worse.
const BELIEVED_FOR: Span = Span::from_days(7);

/// The products are read by then and a pass waits for this answer alone.
const WAIT: Duration = Duration::from_secs(20);

/// What is known of them, asked for anew where that is due; `None` when they are not known.
pub(super) async fn read(watch: &Watch<'_>) -> Result<Option<Vec<Subscription>>, store::Error> {
    let before = watch.store.get_or_default::<Subscriptions>()?;
    if !is_due(&before, watch.started) {
        return Ok(known(before, watch.started));
    }
    let after = Subscriptions { asked_at: Some(watch.started), ..ask(watch, &before).await };
    log_change(&before, &after);
    watch.store.put(&after)?;
    Ok(known(after, watch.started))
}

fn is_due(before: &Subscriptions, now: Timestamp) -> bool {
    !before.asked_at.is_some_and(|asked| asked.is_within(ASK_AGAIN, now))
}

async fn ask(watch: &Watch<'_>, before: &Subscriptions) -> Subscriptions {
    let failure = match within(watch.clock, WAIT, watch.graph.subscriptions()).await {
        Some(Ok(list)) => {
            return Subscriptions { list, read_at: Some(watch.started), failure: None, asked_at: None };
        }
        Some(Err(error)) => chain(&error),
        None => format!("no answer in {} s", WAIT.as_secs()),
    };
    Subscriptions { failure: Some(failure), ..before.clone() }
}

fn log_change(before: &Subscriptions, after: &Subscriptions) {
    match (&before.failure, &after.failure) {
        (None, Some(failure)) => tracing::info!(
            failure,
            "subscriptions cannot be read (optional: Organization.Read.All), so nobody is told the day on which a \
             product lapses"
        ),
        (Some(_), None) => tracing::info!("subscriptions can be read again"),
        (None, None) | (Some(_), Some(_)) => {}
    }
}

fn known(subscriptions: Subscriptions, now: Timestamp) -> Option<Vec<Subscription>> {
    let is_believed = subscriptions.read_at.is_some_and(|read_at| now < read_at + BELIEVED_FOR);
    is_believed.then_some(subscriptions.list)
}
