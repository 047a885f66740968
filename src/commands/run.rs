//! `mailkeeper run`: the daemon. Parses everything before it opens anything, tells systemd what it does, drains on
//! SIGTERM.

use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::cli::{Exit, Global};
use crate::clock::{Clock, SystemClock};
use crate::control::server::Socket;
use crate::errors::chain;
use crate::fleet::{Fleet, Running, told};
use crate::http::{Health, HttpState, Server, TenantHealth, Views};
use crate::model::Span;
use crate::report::metrics::{Metrics, MetricsLimits};
use crate::settings::{self, Settings};
use crate::telemetry::{self, LogFormat};
use crate::trigger::{Alarm, Schedule, Wake};

use super::{backups, setup};

/// Between two looks at the policy files. A pass reads them anyway; this only makes a change count sooner.
const POLICY_LOOK: Duration = Duration::from_secs(5);

/// A drain that takes longer than this is given up; systemd would kill the process a little later.
const DRAIN_LONGEST: Duration = Duration::from_secs(80);

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
    match serve(&settings).await {
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

async fn serve(settings: &Settings) -> Result<(), String> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let metrics = Metrics::new();
    let socket = Socket::open(&settings.control_socket).map_err(|error| chain(&error))?;
    let members =
        setup::members(settings, setup::Access::Graph, &clock, &metrics).map_err(|error| chain(&error))?;
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
    notify(&[NotifyState::Ready, NotifyState::Status("watching")]);
    tracing::info!(tenants = settings.tenants.len(), mode = ?settings.mode, schedule = settings.schedule, "mailkeeper runs");
    alarms.iter().for_each(|alarm| alarm.ring(Wake::FullListing));
    until_told_to_stop(&fleet, &alarms).await?;
    notify(&[NotifyState::Stopping, NotifyState::Status("draining")]);
    tracing::info!("stopping: the request under way is finished, nothing new is sent");
    schedule.stop().await;
    drain(&fleet, running).await;
    for task in [pages, Some(control), Some(beating), Some(backing_up)].into_iter().flatten() {
        let _ = task.await;
    }
    Ok(())
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
        health.send_replace(Health {
            tenants: fleet
                .desks()
                .map(|desk| (desk.tenant.clone(), tenant_health(&newest, &desk.tenant, period)))
                .collect(),
            store_failure: None,
        });
        newest.values().for_each(|view| metrics.publish(view, limits));
        views.send_replace(newest);
        tokio::select! {
            () = fleet.published() => {}
            () = told(&mut stopping) => return,
        }
    }
}

fn tenant_health(views: &Views, tenant: &str, period: Span) -> TenantHealth {
    let view = views.get(tenant);
    TenantHealth {
        last_complete_observation: view.and_then(|view| view.last_complete_observation),
        schedule_period: period,
        policy_failure: view.and_then(|view| view.policy.failed.clone()),
    }
}

/// Reacts to signals and to changed policy files.
async fn until_told_to_stop(fleet: &Fleet, alarms: &[Alarm]) -> Result<(), String> {
    let listen = |kind| signal(kind).map_err(|error| format!("signals cannot be received: {error}"));
    let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    let mut hangup = listen(SignalKind::hangup())?;
    let mut look = tokio::time::interval(POLICY_LOOK);
    let mut digests = policy_digests(fleet);
    loop {
        tokio::select! {
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            _ = hangup.recv() => reload(fleet, alarms),
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

async fn drain(fleet: &Fleet, running: Running) {
    fleet.stop();
    if tokio::time::timeout(DRAIN_LONGEST, running.finished()).await.is_err() {
        tracing::error!("the drain took too long; what was not recorded is read back at the next start");
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
