//! Cron, SIGHUP, file changes and start-up become a [`Wake`]. The only file naming the scheduler.
//!
//! A wake-up carries no data that a pass depends on: any pass can be the first after a crash. The channel coalesces, so
//! that a slow pass is followed by one more and not by a queue. tokio-cron-scheduler is a tick source in UTC and
//! nothing else: its clock cannot be injected, its jobs may overlap, and it forgets on restart. It also keeps the next
//! tick as a time of day: once the machine's clock was ahead and is set right, it would wait for as long as that was.
//! So the clock is compared with the time that really passed, and when it was set, the schedule begins anew.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio_cron_scheduler::{Job, JobScheduler};

use crate::clock::{Clock, Reading};
use crate::model::Span;

/// How often the clock is looked at.
const CLOCK_LOOK: Duration = Duration::from_secs(10);

/// Time synchronisation slews what is less; a machine that slept shows as a jump forward.
const CLOCK_SET: Span = Span::from_secs(5);

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

/// The running schedule; ends when stopped.
pub struct Schedule {
    stop: watch::Sender<bool>,
    keeping: JoinHandle<()>,
}

/// What rings, and when: six fields with seconds, UTC.
struct Times {
    crons: [(String, Wake); 2],
    alarms: Vec<Alarm>,
}

impl Schedule {
    /// Rings the alarms at the given times.
    pub async fn start(
        schedule: &str,
        full_schedule: &str,
        alarms: &[Alarm],
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Error> {
        let crons = [(schedule.to_owned(), Wake::Pass), (full_schedule.to_owned(), Wake::FullListing)];
        let times = Times { crons, alarms: alarms.to_vec() };
        let scheduler = times.begin().await?;
        let (stop, stopping) = watch::channel(false);
        Ok(Self { stop, keeping: tokio::spawn(times.keep(scheduler, clock, stopping)) })
    }

    /// No more wake-ups after this.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        if let Err(error) = self.keeping.await {
            tracing::debug!(%error, "the scheduler did not stop cleanly");
        }
    }
}

impl Times {
    async fn begin(&self) -> Result<JobScheduler, Error> {
        let scheduler = JobScheduler::new().await.map_err(Error::Start)?;
        for (cron, wake) in &self.crons {
            let (alarms, wake) = (self.alarms.clone(), *wake);
            let at_schedule = |source| Error::Schedule { schedule: cron.clone(), source };
            let job = Job::new(cron.as_str(), move |_, _| alarms.iter().for_each(|alarm| alarm.ring(wake)));
            scheduler.add(job.map_err(at_schedule)?).await.map_err(at_schedule)?;
        }
        scheduler.start().await.map_err(Error::Start)?;
        Ok(scheduler)
    }

    /// Begins anew whenever the clock was set, with a pass at once: what was to come may lie far off by now.
    async fn keep(
        self,
        mut scheduler: JobScheduler,
        clock: Arc<dyn Clock>,
        mut stopping: watch::Receiver<bool>,
    ) {
        let mut before = Reading::of(&*clock);
        loop {
            tokio::select! {
                // An error means that nobody can stop it any more, which is a stop, too.
                _ = stopping.changed() => break,
                () = tokio::time::sleep(CLOCK_LOOK) => {}
            }
            let now = Reading::of(&*clock);
            let set_by = now.set_by_since(before);
            before = now;
            if !set_by.is_beyond(CLOCK_SET) {
                continue;
            }
            tracing::warn!(by = %set_by, "the clock was set: the schedule begins anew, with a pass now");
            match self.begin().await {
                Ok(begun) => {
                    end(std::mem::replace(&mut scheduler, begun)).await;
                    self.alarms.iter().for_each(|alarm| alarm.ring(Wake::Pass));
                }
                Err(error) => {
                    tracing::error!(%error, "the schedule could not begin anew, the old one goes on")
                }
            }
        }
        end(scheduler).await;
    }
}

async fn end(mut scheduler: JobScheduler) {
    if let Err(error) = scheduler.shutdown().await {
        tracing::debug!(%error, "the scheduler did not stop cleanly");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicI64;

    use async_trait::async_trait;

    use super::*;
    use crate::clock::SystemClock;
    use crate::model::Timestamp;

    #[tokio::test]
    async fn wake_ups_before_a_pass_are_one_and_a_full_listing_is_not_forgotten() {
        let mut alarm = Alarm::new();
        alarm.ring(Wake::FullListing);
        alarm.ring(Wake::Pass);
        assert_eq!(alarm.next().await, Wake::FullListing);
        let second = tokio::time::timeout(std::time::Duration::ZERO, alarm.next()).await;
        assert!(second.is_err(), "the two rings were one wake-up");
    }

    /// A clock that can be set.
    #[derive(Default)]
    struct Set {
        ahead_secs: AtomicI64,
    }

    #[async_trait]
    impl Clock for Set {
        fn now(&self) -> Timestamp {
            SystemClock::new().now() + Span::from_secs(self.ahead_secs.load(Ordering::SeqCst))
        }

        fn monotonic(&self) -> Duration {
            Duration::from_millis(u64::try_from(SystemClock::new().now().as_millis()).expect("after 1970"))
        }

        async fn sleep(&self, duration: Duration) {
            tokio::time::sleep(duration).await;
        }
    }

    #[tokio::test]
    async fn a_schedule_of_five_fields_is_refused() {
        let clock = Arc::new(Set::default());
        let started = Schedule::start("*/10 * * * *", "0 30 2 * * *", &[Alarm::new()], clock).await;
        assert!(matches!(started, Err(Error::Schedule { .. })));
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_was_set_begins_the_schedule_anew() {
        let (clock, mut alarm) = (Arc::new(Set::default()), Alarm::new());
        let yearly = "0 0 0 1 1 *";
        let schedule =
            Schedule::start(yearly, yearly, &[alarm.clone()], clock.clone()).await.expect("started");
        for (ahead_secs, is_set) in [(0, false), (3_600, true), (3_603, false), (0, true)] {
            clock.ahead_secs.store(ahead_secs, Ordering::SeqCst);
            let rung = tokio::time::timeout(CLOCK_LOOK * 3, alarm.next()).await;
            assert_eq!(rung.ok(), is_set.then_some(Wake::Pass), "{ahead_secs}");
        }
        schedule.stop().await;
    }
}
