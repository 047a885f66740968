//! Cron, SIGHUP, file changes and start-up become a [`Wake`]. The only file naming the scheduler.
//!
//! A wake-up carries no data that a pass depends on: any pass can be the first after a crash. The channel coalesces, so
//! that a slow pass is followed by one more and not by a queue. tokio-cron-scheduler is a tick source in UTC and
//! nothing else: its clock cannot be injected, its jobs may overlap, and it forgets on restart.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;
use tokio_cron_scheduler::{Job, JobScheduler};

/// Why a pass is made: for the log, and to ask for a full listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wake {
    Pass,
    /// `full_schedule`: list everything, whatever the deltas said.
    FullListing,
}

/// The receiving end of all triggers: at most one wake-up waits.
#[derive(Debug, Clone, Default)]
pub struct Alarm {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    notify: Notify,
    is_full_wanted: AtomicBool,
}

impl Alarm {
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks for a pass; two requests before the next pass are one.
    pub fn ring(&self, wake: Wake) {
        if wake == Wake::FullListing {
            self.inner.is_full_wanted.store(true, Ordering::Release);
        }
        self.inner.notify.notify_one();
    }

    /// Waits for the next wake-up. Cancel-safe: a wake-up is lost by nobody who does not get it.
    pub async fn next(&mut self) -> Wake {
        self.inner.notify.notified().await;
        if self.inner.is_full_wanted.swap(false, Ordering::AcqRel) { Wake::FullListing } else { Wake::Pass }
    }
}

/// Why the schedule could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("schedule {schedule:?} cannot be used")]
    Schedule {
        schedule: String,
        #[source]
        source: tokio_cron_scheduler::JobSchedulerError,
    },
    #[error("the scheduler cannot be started")]
    Start(#[source] tokio_cron_scheduler::JobSchedulerError),
}

/// The running schedule; ends when dropped or stopped.
pub struct Schedule {
    scheduler: JobScheduler,
}

impl Schedule {
    /// Rings the alarms at the given times: six fields with seconds, UTC.
    pub async fn start(schedule: &str, full_schedule: &str, alarms: &[Alarm]) -> Result<Self, Error> {
        let scheduler = JobScheduler::new().await.map_err(Error::Start)?;
        for (cron, wake) in [(schedule, Wake::Pass), (full_schedule, Wake::FullListing)] {
            let alarms = alarms.to_vec();
            let at_schedule = |source| Error::Schedule { schedule: cron.to_owned(), source };
            let job = Job::new(cron, move |_, _| alarms.iter().for_each(|alarm| alarm.ring(wake)));
            scheduler.add(job.map_err(at_schedule)?).await.map_err(at_schedule)?;
        }
        scheduler.start().await.map_err(Error::Start)?;
        Ok(Self { scheduler })
    }

    /// No more wake-ups after this.
    pub async fn stop(mut self) {
        if let Err(error) = self.scheduler.shutdown().await {
            tracing::debug!(%error, "the scheduler did not stop cleanly");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn wake_ups_before_a_pass_are_one_and_a_full_listing_is_not_forgotten() {
        let mut alarm = Alarm::new();
        alarm.ring(Wake::FullListing);
        alarm.ring(Wake::Pass);
        assert_eq!(alarm.next().await, Wake::FullListing);
        let second = tokio::time::timeout(std::time::Duration::ZERO, alarm.next()).await;
        assert!(second.is_err(), "the two rings were one wake-up");
    }

    #[tokio::test]
    async fn a_schedule_of_five_fields_is_refused() {
        let started = Schedule::start("*/10 * * * *", "0 30 2 * * *", &[Alarm::new()]).await;
        assert!(matches!(started, Err(Error::Schedule { .. })));
    }
}
