//! What is shared with those who do not make passes: the newest status document, the stop, and the turn of whoever
//! takes down what a person said.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use tokio::sync::watch;

use crate::report::status::TenantView;

/// What commands and the HTTP server read while a pass runs.
#[derive(Debug, Clone, Default)]
pub struct Shared {
    inner: Arc<SharedState>,
}

#[derive(Debug, Default)]
struct SharedState {
    view: RwLock<Option<Arc<TenantView>>>,
    taking_down: Mutex<()>,
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

    /// The turn of one person: answers, holds and policies are taken down one after the other, each in the journal and
    /// in the state before the next. Not to be kept over an await.
    pub fn turn(&self) -> MutexGuard<'_, ()> {
        self.inner.taking_down.lock().unwrap_or_else(PoisonError::into_inner)
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

    pub(super) fn is_stopping(&self) -> bool {
        self.inner.is_stopping.load(Ordering::SeqCst)
    }
}

/// See [`Shared::sending`].
pub(super) struct Sending<'a>(&'a Shared);

impl Drop for Sending<'_> {
    fn drop(&mut self) {
        self.0.inner.is_sending.send_replace(false);
    }
}
