//! What is shared with those who do not make passes: the newest status document, the hold, the stop.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::watch;

use crate::model::Reason;
use crate::report::status::TenantView;

/// What commands and the HTTP server read while a pass runs.
#[derive(Debug, Clone, Default)]
pub struct Shared {
    inner: Arc<SharedState>,
}

#[derive(Debug, Default)]
struct SharedState {
    view: RwLock<Option<Arc<TenantView>>>,
    is_held: AtomicBool,
    is_stopping: AtomicBool,
    is_sending: watch::Sender<bool>,
    is_published: tokio::sync::Notify,
}

impl Shared {
    /// The newest status document; `None` before the first pass.
    pub fn view(&self) -> Option<Arc<TenantView>> {
        self.inner.view.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn publish(&self, view: Arc<TenantView>) {
        *self.inner.view.write().unwrap_or_else(PoisonError::into_inner) = Some(view);
        self.inner.is_published.notify_one();
    }

    /// What is shown beside the newest pass has changed: an answer, a hold.
    pub fn announce_change(&self) {
        self.inner.is_published.notify_one();
    }

    /// Returns when there is a newer status document, or something new to say beside it; for one waiter at a time.
    pub async fn published(&self) {
        self.inner.is_published.notified().await;
    }

    /// The big red button, effective before the next request.
    pub fn set_held(&self, is_held: bool) {
        self.inner.is_held.store(is_held, Ordering::SeqCst);
    }

    /// No request starts after this; the one under way is finished.
    pub fn stop(&self) {
        self.inner.is_stopping.store(true, Ordering::SeqCst);
    }

    /// Returns when no request that changes something is under way. What else a pass does can be dropped at any await.
    pub async fn has_sent(&self) {
        // The sender lives as long as this.
        let _ = self.inner.is_sending.subscribe().wait_for(|is_sending| !is_sending).await.map(|_| ());
    }

    /// Requests that change something are under way until the guard is dropped.
    pub(super) fn sending(&self) -> Sending<'_> {
        self.inner.is_sending.send_replace(true);
        Sending(self)
    }

    pub(super) fn stopped(&self) -> Option<Reason> {
        let is_stopped =
            self.inner.is_held.load(Ordering::SeqCst) || self.inner.is_stopping.load(Ordering::SeqCst);
        is_stopped.then_some(Reason::Held)
    }
}

/// See [`Shared::sending`].
pub(super) struct Sending<'a>(&'a Shared);

impl Drop for Sending<'_> {
    fn drop(&mut self) {
        self.0.inner.is_sending.send_replace(false);
    }
}
