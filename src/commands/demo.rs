//! `mailkeeper demo`: a month of a simulated company in about a minute, with the daemon's own loop against it over
//! HTTP.
//!
//! Drives time from pass to pass; what the company does stands in `world`, what the daemon does is the daemon's own
//! code, and who was right is said by `judge`.

mod daemon;
mod frame;
mod judge;
mod lines;
mod paint;
mod screen;
mod story;
mod summary;
#[cfg(test)]
mod tests;
mod world;

use std::future::Future;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;

use crate::cli::{DemoArgs, Exit};
use crate::model::Span;
use crate::reconcile::PassReport;
use crate::report::words::count_of;
use crate::settings::Mode;
use crate::telemetry;

use daemon::{Daemon, Pages};
use frame::{Scene, frame};
use lines::Lines;
use paint::{Line, Style};
use screen::Screen;
use story::Chronicle;
use summary::Summary;
use world::World;

/// Company time between two passes on show. The daemon's usual ten minutes would be six thousand passes a month;
/// three hours make a few hundred, five a second at the usual speed, and are still little beside every deadline.
const TICK: Span = Span::from_hours(3);

/// The first day, in which nothing happens yet, has passes as close as the daemon's own: it asks about some mailboxes
/// in each, and must know them all before they are in danger.
const FIRST_DAY: (Span, Span) = (Span::from_days(1), Span::from_minutes(30));

/// How the month is played.
#[derive(Debug, Clone, Copy)]
struct Play {
    seed: u64,
    users: usize,
    pace: Pace,
    /// Company time between two passes.
    tick: Span,
    listen: SocketAddr,
    /// What the daemon's settings say.
    mode: Mode,
}

/// Company days in a real second.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Pace {
    Max,
    DaysPerSecond(f64),
}

impl Pace {
    fn parse(text: &str) -> Result<Self, String> {
        if text == "max" {
            return Ok(Self::Max);
        }
        match text.parse::<f64>() {
            Ok(days) if days.is_finite() && days >= 0.001 => Ok(Self::DaysPerSecond(days)),
            Ok(_) | Err(_) => {
                Err(format!("--speed {text}: give days a second, 0.001 or more, 0.6 for instance, or max"))
            }
        }
    }

    /// Real time for that much of the company's.
    fn real(self, span: Span) -> Duration {
        match self {
            Self::Max => Duration::ZERO,
            Self::DaysPerSecond(days) => span.to_duration().div_f64(days * 86_400.0),
        }
    }
}

/// Plays the month; afterwards leaves the pages up until interrupted, unless told to end.
pub async fn demo(arguments: &DemoArgs) -> Exit {
    let pace = match Pace::parse(&arguments.speed) {
        Ok(pace) => pace,
        Err(error) => {
            eprintln!("mailkeeper: {error}");
            return Exit::Usage;
        }
    };
    let play = Play {
        seed: arguments.seed,
        users: arguments.users,
        pace,
        tick: TICK,
        listen: arguments.listen,
        mode: Mode::Act,
    };
    match show(play, arguments.exit).await {
        Ok(exit) => exit,
        Err(error) => {
            eprintln!("mailkeeper: {error}");
            Exit::Failed
        }
    }
}

async fn show(play: Play, exits: bool) -> Result<Exit, String> {
    let mut interrupt: Interrupt = Box::pin(interrupted()?);
    let mut stage = Stage::set(play).await?;
    let output = match Screen::open() {
        Some(screen) => Output::Screen(screen),
        None => {
            log_where_asked();
            Output::Lines(Lines::new(io::stdout(), stage.world.month.starts))
        }
    };
    let begun = Instant::now();
    let Some(summary) = stage.play(output, &mut interrupt).await? else {
        println!("interrupted before the month was over: nothing can be said of it");
        return Ok(Exit::Failed);
    };
    let mut out = io::stdout();
    write!(out, "{summary}").and_then(|()| out.flush()).map_err(|error| error.to_string())?;
    eprintln!("took {:.0} s", begun.elapsed().as_secs_f64());
    if !exits {
        let address = stage.pages.address();
        eprintln!(
            "status page http://{address}/ and metrics http://{address}/metrics stay up; Ctrl-C ends it"
        );
        interrupt.await;
    }
    stage.pages.close().await;
    Ok(if summary.is_good() { Exit::Done } else { Exit::Failed })
}

/// On a terminal logs would disturb the view. Elsewhere the daemon's own log lines go to standard error when a filter
/// asks for them.
fn log_where_asked() {
    if std::env::var_os(telemetry::FILTER_VARIABLE).is_some()
        && let Err(error) = telemetry::init(telemetry::LogFormat::Text)
    {
        eprintln!("mailkeeper: {}", crate::errors::chain(&error));
    }
}

type Interrupt = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Ready once somebody wants the demo to end.
fn interrupted() -> Result<impl Future<Output = ()> + Send, String> {
    let listen = |kind| signal(kind).map_err(|error| format!("signals cannot be received: {error}"));
    let (mut interrupt, mut terminate) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    let mut hangup = listen(SignalKind::hangup())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    })
}

/// Where the month is shown.
enum Output {
    Screen(Screen),
    Lines(Lines<io::Stdout>),
    #[cfg(test)]
    Nowhere,
}

impl Output {
    /// The first look takes longer than all others, because every mailbox is asked about.
    fn announce(&mut self, users: usize) -> io::Result<()> {
        match self {
            Self::Screen(screen) => {
                let text =
                    format!("mailkeeper looks at {} accounts for the first time", count_of(users as u64));
                screen.paint(&[Line::new().add(Style::Dim, text)])
            }
            Self::Lines(_) => Ok(()),
            #[cfg(test)]
            Self::Nowhere => Ok(()),
        }
    }

    fn show(&mut self, scene: &Scene<'_>) -> io::Result<()> {
        match self {
            Self::Screen(screen) => {
                let (width, height) = screen.size();
                screen.paint(&frame(scene, width, height))
            }
            Self::Lines(lines) => lines.print(&scene.chronicle.notes),
            #[cfg(test)]
            Self::Nowhere => Ok(()),
        }
    }
}

fn gone(error: io::Error) -> String {
    format!("the output is gone: {error}")
}

/// Company, daemon and pages, ready to play.
struct Stage {
    play: Play,
    world: World,
    daemon: Daemon,
    pages: Pages,
    chronicle: Chronicle,
    _tenant: world::Served,
}

impl Stage {
    async fn set(play: Play) -> Result<Self, String> {
        let world = World::new(play.users, play.seed);
        let (origin, served) =
            world.open().await.map_err(|error| format!("the simulated tenant cannot listen: {error}"))?;
        let tenant = world.tenant().id();
        let daemon = Daemon::start(&world.company, tenant, &origin, play.mode, &world.clock)?;
        let pages = Pages::open(play.listen, &daemon, Arc::clone(&world.clock), play.tick).await?;
        Ok(Self { play, world, daemon, pages, chronicle: Chronicle::default(), _tenant: served })
    }

    /// From the first pass to the end of the month; `None` when interrupted.
    async fn play(
        &mut self,
        mut output: Output,
        interrupt: &mut Interrupt,
    ) -> Result<Option<Summary>, String> {
        let (starts, ends) = (self.world.month.starts, self.world.month.ends);
        let address = format!("http://{}", self.pages.address());
        let (mut tick, mut next) = (starts, Instant::now());
        output.announce(self.world.company.people.len()).map_err(gone)?;
        let last = loop {
            let report = tokio::select! {
                report = self.turn(tick) => report,
                () = &mut *interrupt => return Ok(None),
            };
            let weather = self.world.weather().clone();
            let scene = Scene {
                company: &self.world.company.domain,
                users: self.world.company.people.len(),
                starts,
                ends,
                now: self.world.now(),
                view: &report.view,
                chronicle: &self.chronicle,
                weather: &weather,
                pages: &address,
            };
            output.show(&scene).map_err(gone)?;
            if tick >= ends {
                break report;
            }
            let (first_day, close) = FIRST_DAY;
            let step = if tick < starts + first_day { close } else { self.play.tick };
            tick = tick + step;
            // A pass that took longer than a tick is not made up for: the view would hurry.
            next = (next + self.play.pace.real(step)).max(Instant::now());
            tokio::select! {
                () = tokio::time::sleep_until(next) => {}
                () = &mut *interrupt => return Ok(None),
            }
        };
        self.daemon.close();
        let chronicle = std::mem::take(&mut self.chronicle);
        Ok(Some(summary::summary(&mut self.world, chronicle, self.play.seed, summary::open(&last.view))))
    }

    /// What happens in the company until `tick`, and one pass of the daemon.
    async fn turn(&mut self, tick: crate::model::Timestamp) -> PassReport {
        for event in self.world.advance(tick) {
            self.chronicle.happened(&event);
        }
        let report = self.daemon.pass().await;
        self.pages.show(&report);
        self.chronicle.saw(&report);
        report
    }
}
