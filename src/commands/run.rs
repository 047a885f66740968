//! `mailkeeper run`: the daemon. Parses everything before it opens anything, tells systemd what it does, drains on
//! SIGTERM.

use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::cli::{Exit, Global};
use crate::clock::{Clock, SystemClock};
use crate::control::desk::{Desk, SettingsChanged};
use crate::control::server::Socket;
use crate::errors::chain;
use crate::fleet::{Fleet, told};
use crate::http::{Health, HttpState, Server, TenantHealth, Views};
use crate::model::Span;
use crate::report::metrics::{Metrics, MetricsLimits};
use crate::settings::{self, Settings};
use crate::telemetry::{self, LogFormat};
use crate::trigger::{Alarm, Schedule, Wake};

use super::{backups, setup};

/// Between two looks at the policy files, and at whether the state can still be written. A pass reads the policy
/// anyway; this only makes a change count sooner.
const LOOK: Duration = Duration::from_secs(5);

/// A drain that takes longer than this is given up: before systemd kills the process (`TimeoutStopSec` of the unit),
/// and long after every request that is going to be answered was.
pub const DRAIN_LONGEST: Duration = Duration::from_secs(45);

/// Of a state that cannot be written any more.
const WHAT_HELPS: &str = "nothing is sent without it, so mailkeeper ends, for the service manager to start it again with \
                          the state as it lies on the disk: make room there, or bring the directory back";

/// Runs until SIGTERM or SIGINT.
pub async fn run(global: &Global) -> Exit {
    let settings = match setup::settings(global) {
        Ok(settings) => settings,
        Err(exit) => return exit,
    };
    if let Err(error) = telemetry::init(log_format(settings.log.format)) {
        eprintln!("mailkeeper: {}", chain(&error));
        return Exit::Usage;
    }
    telemetry::show_addresses(settings.metrics.upn);
    match serve(&settings, &global.config).await {
        Ok(()) => Exit::Done,
        Err(error) => {
            tracing::error!(error, "mailkeeper cannot run");
            Exit::Failed
        }
    }
}

fn log_format(format: settings::LogFormat) -> LogFormat {
    match format {
        settings::LogFormat::Auto => LogFormat::Auto,
        settings::LogFormat::Json => LogFormat::Json,
        settings::LogFormat::Text => LogFormat::Text,
    }
}

async fn serve(settings: &Settings, file: &Path) -> Result<(), String> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let metrics = Metrics::new();
    let socket = Socket::open(&settings.control_socket).map_err(|error| chain(&error))?;
    let mut members =
        setup::members(settings, setup::Access::Graph, &clock, &metrics).map_err(|error| chain(&error))?;
    let settings_changed = setup::settings_watch(settings, file);
    for (_, desk) in &mut members {
        desk.settings_changed = Some(Arc::clone(&settings_changed));
    }
    check_policies(settings)?;
    let (fleet, running) = Fleet::start(members);
    let alarms = fleet.alarms();
    let schedule = Schedule::start(&settings.schedule, &settings.full_schedule, &alarms, Arc::clone(&clock))
        .await
        .map_err(|error| chain(&error))?;
    let pages = serve_pages(settings, &fleet, &metrics, &clock).await?;
    let control = tokio::spawn(socket.serve(Arc::clone(&fleet), fleet.stopping()));
    let beating = tokio::spawn(watchdog(fleet.stopping()));
    let backing_up = tokio::spawn(backups::keep(Arc::clone(&fleet)));
    let signals = Signals::listen()?;
    notify(&[NotifyState::Ready, NotifyState::Status("watching")]);
    tracing::info!(tenants = settings.tenants.len(), mode = ?settings.mode, schedule = settings.schedule, "mailkeeper runs");
    alarms.iter().for_each(|alarm| alarm.ring(Wake::FullListing));
    let ended = until_told_to_stop(&fleet, &alarms, signals, &settings_changed).await;
    notify(&[NotifyState::Stopping, NotifyState::Status("draining")]);
    tracing::info!("stopping: the request under way is finished, nothing new is sent");
    fleet.stop();
    drained(async {
        schedule.stop().await;
        running.finished().await;
        for task in [pages, Some(control), Some(beating), Some(backing_up)].into_iter().flatten() {
            let _ = task.await;
        }
    })
    .await;
    ended
}

/// Without any good policy there is nothing to keep, and the operator should know at once.
fn check_policies(settings: &Settings) -> Result<(), String> {
    for tenant in &settings.tenants {
        if let Err(faults) = crate::policy::source::load(&tenant.policy) {
            let text = crate::policy::render(&faults, crate::policy::Format::Text);
            tracing::error!(
                tenant = tenant.name,
                "the policy cannot be loaded; nothing is done until it can:\n{text}"
            );
        }
    }
    Ok(())
}

async fn serve_pages(
    settings: &Settings,
    fleet: &Arc<Fleet>,
    metrics: &Metrics,
    clock: &Arc<dyn Clock>,
) -> Result<Option<JoinHandle<()>>, String> {
    let Some(address) = settings.http.listen else { return Ok(None) };
    let server = Server::bind(address).await.map_err(|error| chain(&error))?;
    // With port 0 nobody else knows it.
    tracing::info!(address = %server.address(), "metrics and status page are served");
    let (views, health) = (watch::channel(Views::new()), watch::channel(Health::default()));
    let limits = MetricsLimits { mailboxes: settings.metrics.mailboxes, upn: settings.metrics.upn };
    let state =
        HttpState { views: views.1, health: health.1, metrics: metrics.clone(), clock: Arc::clone(clock) };
    let period = schedule_period(&settings.schedule, &**clock);
    tokio::spawn(publish(
        Arc::clone(fleet),
        Publisher { views: views.0, health: health.0, metrics: metrics.clone(), limits, period },
    ));
    let mut stopping = fleet.stopping();
    Ok(Some(tokio::spawn(server.serve(state, async move {
        told(&mut stopping).await;
    }))))
}

/// The time between two passes as the schedule gives it now.
fn schedule_period(schedule: &str, clock: &dyn Clock) -> Span {
    let parser = croner::parser::CronParser::builder().seconds(croner::parser::Seconds::Required).build();
    let now = clock.now().to_datetime();
    let times = parser.parse(schedule).ok().and_then(|cron| {
        let first = cron.find_next_occurrence(&now, false).ok()?;
        let second = cron.find_next_occurrence(&first, false).ok()?;
        Some(second - first)
    });
    times.map_or(Span::from_hours(1), |between| Span::from_millis(between.num_milliseconds()))
}

/// Where new status documents go.
struct Publisher {
    views: watch::Sender<Views>,
    health: watch::Sender<Health>,
    metrics: Metrics,
    limits: MetricsLimits,
    period: Span,
}

/// Hands new status documents to the HTTP server and the metrics.
async fn publish(fleet: Arc<Fleet>, publisher: Publisher) {
    let Publisher { views, health, metrics, limits, period } = publisher;
    let mut stopping = fleet.stopping();
    loop {
        let newest = fleet.views();
        health.send_replace(health_of(&fleet, &newest, period));
        newest.values().for_each(|view| metrics.publish(view, limits));
        views.send_replace(newest);
        tokio::select! {
            () = fleet.published() => {}
            () = told(&mut stopping) => return,
        }
    }
}

fn health_of(fleet: &Fleet, newest: &Views, period: Span) -> Health {
    let of_tenant = |desk: &Desk| (desk.tenant.clone(), tenant_health(newest, &desk.tenant, period));
    Health { tenants: fleet.desks().map(of_tenant).collect(), store_failure: fleet.broken() }
}

fn tenant_health(views: &Views, tenant: &str, period: Span) -> TenantHealth {
    let view = views.get(tenant);
    TenantHealth {
        last_complete_observation: view.and_then(|view| view.last_complete_observation),
        schedule_period: period,
        policy_failure: view.and_then(|view| view.policy.failed.clone()),
    }
}

/// Listened to before anybody is told that we are ready: a reload right after the start would end the process.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn listen() -> Result<Self, String> {
        let listen = |kind| signal(kind).map_err(|error| format!("signals cannot be received: {error}"));
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }
}

/// Reacts to signals and to changed policy files. An error when the state has stopped for good: a process that goes on
/// without one does nothing for ever, a new one opens it anew.
async fn until_told_to_stop(
    fleet: &Arc<Fleet>,
    alarms: &[Alarm],
    signals: Signals,
    settings_changed: &SettingsChanged,
) -> Result<(), String> {
    let Signals { mut terminate, mut interrupt, mut hangup } = signals;
    let mut look = tokio::time::interval(LOOK);
    let mut broken = pin!(until_broken(fleet));
    let mut digests = policy_digests(fleet);
    loop {
        tokio::select! {
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            broken = &mut broken => return Err(format!("{broken}; {WHAT_HELPS}")),
            _ = hangup.recv() => {
                // Whoever reloads may believe that this was enough.
                if let Some(changed) = settings_changed() {
                    tracing::warn!("a reload reads the policy only: {changed}");
                }
                reload(fleet, alarms);
            }
            _ = look.tick() => {
                let newest = policy_digests(fleet);
                if newest != digests {
                    digests = newest;
                    tracing::info!("a policy file changed");
                    reload(fleet, alarms);
                }
            }
        }
    }
}

/// Returns when state or journal of a tenant have stopped for good. Looks on a thread of its own: a disk that hangs
/// must not keep signals waiting.
async fn until_broken(fleet: &Arc<Fleet>) -> String {
    let mut look = tokio::time::interval(LOOK);
    loop {
        look.tick().await;
        let fleet = Arc::clone(fleet);
        if let Ok(Some(broken)) = tokio::task::spawn_blocking(move || fleet.broken()).await {
            return broken;
        }
    }
}

fn policy_digests(fleet: &Fleet) -> Vec<Option<String>> {
    fleet.desks().map(|desk| desk.policy.digest_on_disk()).collect()
}

fn reload(fleet: &Fleet, alarms: &[Alarm]) {
    let now = NotifyState::monotonic_usec_now();
    let reloading: Vec<NotifyState> = std::iter::once(NotifyState::Reloading).chain(now.ok()).collect();
    notify(&reloading);
    fleet.desks().for_each(|desk| desk.policy.reload());
    alarms.iter().for_each(|alarm| alarm.ring(Wake::Pass));
    notify(&[NotifyState::Ready]);
}

/// Waits for what is under way, within bounds.
async fn drained(under_way: impl Future<Output = ()>) {
    if tokio::time::timeout(DRAIN_LONGEST, under_way).await.is_err() {
        tracing::error!(
            after_seconds = DRAIN_LONGEST.as_secs(),
            "the drain took too long; what was not recorded is read back at the next start"
        );
    }
}

/// Tells systemd's watchdog that the process is alive, at half the interval it asks for.
async fn watchdog(mut stopping: watch::Receiver<bool>) {
    let Some(interval) = sd_notify::watchdog_enabled() else { return };
    let mut beat = tokio::time::interval(interval / 2);
    loop {
        tokio::select! {
            _ = beat.tick() => notify(&[NotifyState::Watchdog]),
            () = told(&mut stopping) => return,
        }
    }
}

fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "systemd was not told");
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;
    use crate::control::testing::Office;
    use crate::http::MissingKind;

    /// A full disk: the pass fails, readiness and metrics say so, and the daemon ends by itself.
    #[tokio::test(start_paused = true)]
    async fn a_state_that_cannot_be_written_is_named_and_ends_the_daemon() {
        let mut office = Office::open(true, |company| {
            let rule = "licenses: [SPE_E3], on_license_lost: act, on_deleted: act";
            format!(
                "version: 1\nkeep: [{{ name: staff, match: {{ mail: \"*@{}\" }}, {rule} }}]\n",
                company.domain
            )
        });
        office.pass_after(Span::from_minutes(1)).await;
        let now = office.now();
        let (disk, metrics) = (office.disk.clone(), Metrics::new());
        let (fleet, running) = Fleet::start(vec![(office.reconciler, office.desk)]);
        let alarms = fleet.alarms();
        let missing = || {
            let health = health_of(&fleet, &fleet.views(), Span::from_minutes(10));
            health.missing(now).into_iter().map(|missing| missing.what).collect::<Vec<_>>()
        };
        assert_eq!(missing(), []);

        disk.fail_after(0);
        alarms.iter().for_each(|alarm| alarm.ring(Wake::Pass));
        let begun = Instant::now();
        let unchanged: SettingsChanged = Arc::new(|| None);
        let signals = Signals::listen().expect("signals");
        let ended =
            until_told_to_stop(&fleet, &alarms, signals, &unchanged).await.expect_err("the state is gone");
        assert!(begun.elapsed() <= LOOK, "{:?}", begun.elapsed());
        assert!(ended.contains("an injected failure") && ended.contains("service manager"), "{ended}");
        assert_eq!(missing(), [MissingKind::Store], "there was an observation, and not long ago");
        fleet
            .views()
            .values()
            .for_each(|view| metrics.publish(view, MetricsLimits { mailboxes: 0, upn: false }));
        let failed = "mailkeeper_last_pass_timestamp_seconds{outcome=\"failed\",tenant=\"contoso\"} ";
        let text = metrics.render();
        let at = text.lines().find_map(|line| line.strip_prefix(failed));
        assert!(at.is_some_and(|at| at != "0"), "{text}");
        fleet.stop();
        drained(running.finished()).await;
    }

    #[tokio::test(start_paused = true)]
    async fn what_hangs_is_given_up_and_what_ends_is_waited_for() {
        let begun = Instant::now();
        drained(std::future::pending()).await;
        assert_eq!(begun.elapsed(), DRAIN_LONGEST);
        let begun = Instant::now();
        drained(tokio::time::sleep(Duration::from_secs(30))).await;
        assert_eq!(begun.elapsed(), Duration::from_secs(30));
    }
}
