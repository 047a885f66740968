//! Waiting for a condition: looks again and again until it holds or the time is up. A test that waits for time instead
//! is either slow or wrong.

use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Far beyond what anything here takes on a busy machine; only a failing test waits so long.
pub const LONG: Duration = Duration::from_secs(60);

const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What `look` finds, as soon as it finds it.
///
/// # Panics
/// When it finds nothing within [`LONG`].
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + LONG;
    // Nobody ever sends: receiving is the wait.
    let (_silent, nothing) = mpsc::channel::<()>();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "not within {LONG:?}: {what}");
        let _ = nothing.recv_timeout(LOOK_EVERY);
    }
}
