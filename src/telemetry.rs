//! Logs: where they go, in which form, and how addresses look in them.
//!
//! One sink, never two: under systemd the journal, else standard error. Standard output belongs to data. Nothing here
//! decides what is logged, except which foreign crates are too talkative.

use std::fmt;
use std::io::IsTerminal as _;
use std::os::unix::fs::MetadataExt as _;
use std::sync::atomic::{AtomicBool, Ordering};

use thiserror::Error;
use tracing_subscriber::filter::{EnvFilter, ParseError};
use tracing_subscriber::fmt::format::FmtSpan;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};
use tracing_subscriber::{Layer, Registry, fmt as format};

/// The environment variable that holds the filter, in the notation of `tracing_subscriber::filter::EnvFilter`.
pub const FILTER_VARIABLE: &str = "MAILKEEPER_LOG";

/// The libraries below report their own life at `info`, which tells an operator nothing.
const DEFAULT_FILTER: &str = "info,sled=warn,tokio_cron_scheduler=warn,hyper=warn,h2=warn,rustls=warn";

const QUIET_FILTER: &str = "warn";

/// `log.format` of the settings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// The journal under systemd, text on a terminal, else JSON.
    #[default]
    Auto,
    Json,
    Text,
}

/// Where log lines go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sink {
    /// Fields stay fields: `journalctl F_TENANT=contoso`.
    Journal,
    /// One JSON object a line on standard error.
    Json,
    /// Lines for people on standard error.
    Text { has_colour: bool },
}

#[derive(Debug, Error)]
pub enum TelemetryError {
    #[error("{FILTER_VARIABLE} is not a log filter: {filter}")]
    Filter { filter: String, source: ParseError },
    #[error("{FILTER_VARIABLE} is not UTF-8")]
    Encoding,
    #[error("logs are set up already")]
    Twice { source: TryInitError },
}

/// Sets the process's logs up; once, before anything is logged. Returns where they go.
///
/// # Errors
/// When `MAILKEEPER_LOG` is not a filter, or logs were set up before.
pub fn init(format: LogFormat) -> Result<Sink, TelemetryError> {
    init_with(format, DEFAULT_FILTER)
}

/// As [`init`], for a command that runs once and answers on standard output: from warnings up, unless more is asked
/// for.
///
/// # Errors
/// As [`init`].
pub fn init_quiet(format: LogFormat) -> Result<Sink, TelemetryError> {
    init_with(format, QUIET_FILTER)
}

fn init_with(format: LogFormat, default: &str) -> Result<Sink, TelemetryError> {
    let filter = match std::env::var(FILTER_VARIABLE) {
        Ok(filter) => filter_of(Some(&filter), default)?,
        Err(std::env::VarError::NotPresent) => filter_of(None, default)?,
        Err(std::env::VarError::NotUnicode(_)) => return Err(TelemetryError::Encoding),
    };
    let is_terminal = std::io::stderr().is_terminal();
    let has_colour = is_terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let stream = std::env::var("JOURNAL_STREAM").ok();
    let sink = choose(format, is_journal(stream.as_deref(), stderr_identity()), is_terminal, has_colour);
    let (sink, layer) = open(sink);
    let subscriber = Registry::default().with(layer.with_filter(filter));
    subscriber.try_init().map_err(|source| TelemetryError::Twice { source })?;
    Ok(sink)
}

/// An explicit format always means standard error.
fn choose(format: LogFormat, is_journal: bool, is_terminal: bool, has_colour: bool) -> Sink {
    match format {
        LogFormat::Json => Sink::Json,
        LogFormat::Text => Sink::Text { has_colour },
        LogFormat::Auto if is_journal => Sink::Journal,
        LogFormat::Auto if is_terminal => Sink::Text { has_colour },
        LogFormat::Auto => Sink::Json,
    }
}

/// The layer of a sink; a journal that cannot be reached becomes JSON on standard error, which systemd collects too.
fn open(sink: Sink) -> (Sink, Box<dyn Layer<Registry> + Send + Sync>) {
    let stderr = || format::layer().with_writer(std::io::stderr).with_span_events(FmtSpan::NONE);
    match sink {
        Sink::Journal => match tracing_journald::layer() {
            Ok(layer) => (sink, layer.boxed()),
            Err(_) => open(Sink::Json),
        },
        Sink::Json => (sink, stderr().json().flatten_event(true).with_current_span(false).boxed()),
        Sink::Text { has_colour } => (sink, stderr().with_ansi(has_colour).with_target(false).boxed()),
    }
}

fn filter_of(text: Option<&str>, default: &str) -> Result<EnvFilter, TelemetryError> {
    let text = text.map(str::trim).filter(|text| !text.is_empty()).unwrap_or(default);
    EnvFilter::builder()
        .parse(text)
        .map_err(|source| TelemetryError::Filter { filter: text.to_owned(), source })
}

/// True when `JOURNAL_STREAM` (`device:inode`, systemd.exec(5)) names our standard error. The variable alone proves
/// nothing: a child inherits it, also when its own output goes elsewhere.
fn is_journal(stream: Option<&str>, stderr: Option<(u64, u64)>) -> bool {
    let named = stream.and_then(|stream| {
        let (device, inode) = stream.split_once(':')?;
        Some((device.parse().ok()?, inode.parse().ok()?))
    });
    named.is_some() && named == stderr
}

/// Device and inode of standard error; works for sockets too, which have no other name.
fn stderr_identity() -> Option<(u64, u64)> {
    let metadata = std::fs::metadata("/proc/self/fd/2").ok()?;
    Some((metadata.dev(), metadata.ino()))
}

/// Whether addresses of people may stand in logs. Off until the settings say otherwise.
static SHOWS_ADDRESSES: AtomicBool = AtomicBool::new(false);

/// Lets [`Redacted`] show whole addresses, or not.
pub fn show_addresses(is_allowed: bool) {
    SHOWS_ADDRESSES.store(is_allowed, Ordering::Relaxed);
}

/// An address in a log line: `a…@contoso.com`, unless the settings allow the whole of it. Control characters, with
/// which a display name could forge a line, are replaced in both cases.
#[derive(Clone, Copy)]
pub struct Redacted<'a>(pub &'a str);

impl fmt::Display for Redacted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&redact(self.0, SHOWS_ADDRESSES.load(Ordering::Relaxed)))
    }
}

impl fmt::Debug for Redacted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn redact(address: &str, is_allowed: bool) -> String {
    let clean = crate::report::words::one_line(address);
    if is_allowed || clean.is_empty() {
        return clean;
    }
    let (local, domain) = match clean.rsplit_once('@') {
        Some((local, domain)) => (local, format!("@{domain}")),
        None => (clean.as_str(), String::new()),
    };
    let first: String = local.chars().take(1).collect();
    format!("{first}…{domain}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_sink_and_it_fits_where_we_run() {
        let colour = Sink::Text { has_colour: true };
        let cases = [
            (LogFormat::Auto, true, false, Sink::Journal),
            (LogFormat::Auto, false, true, colour),
            (LogFormat::Auto, false, false, Sink::Json),
            (LogFormat::Json, true, false, Sink::Json),
            (LogFormat::Json, false, true, Sink::Json),
            (LogFormat::Text, true, true, colour),
        ];
        for (format, is_journal, is_terminal, sink) in cases {
            assert_eq!(choose(format, is_journal, is_terminal, is_terminal), sink, "{format:?} {is_journal}");
        }
    }

    #[test]
    fn only_our_own_stream_is_the_journal() {
        let stderr = Some((8, 4711));
        assert!(is_journal(Some("8:4711"), stderr));
        for stream in
            [None, Some("8:4712"), Some("9:4711"), Some("4711"), Some(""), Some("8:4711:1"), Some("x:y")]
        {
            assert!(!is_journal(stream, stderr), "{stream:?}");
        }
        assert!(!is_journal(Some("8:4711"), None));
        assert!(!is_journal(None, None), "two unknowns are not the same");
    }

    #[test]
    fn standard_error_has_an_identity() {
        let (device, inode) = stderr_identity().expect("a process has a standard error under test");
        assert!(is_journal(Some(&format!("{device}:{inode}")), stderr_identity()));
    }

    #[test]
    fn a_bad_filter_is_an_error_that_names_it() {
        for good in [None, Some(""), Some("  "), Some("debug"), Some("mailkeeper::observe=trace,warn")] {
            assert!(filter_of(good, DEFAULT_FILTER).is_ok(), "{good:?}");
        }
        let error = filter_of(Some("mailkeeper=loud"), DEFAULT_FILTER).expect_err("loud is no level");
        assert_eq!(error.to_string(), "MAILKEEPER_LOG is not a log filter: mailkeeper=loud");
    }

    #[test]
    fn addresses_keep_their_first_letter_and_their_domain() {
        let cases = [
            ("anna.berg@contoso.com", "a…@contoso.com"),
            ("\"a@b\"@contoso.com", "\"…@contoso.com"),
            ("åsa@contoso.com", "å…@contoso.com"),
            ("no address", "n…"),
            ("@contoso.com", "…@contoso.com"),
            ("", ""),
            ("x\n2026 forged line@contoso.com", "x…@contoso.com"),
            ("x@con\ntoso.com", "x…@con\u{fffd}toso.com"),
        ];
        for (address, shown) in cases {
            assert_eq!(redact(address, false), shown, "{address:?}");
        }
        assert_eq!(redact("anna.berg@contoso.com", true), "anna.berg@contoso.com");
        assert_eq!(Redacted("anna.berg@contoso.com").to_string(), "a…@contoso.com", "hidden by default");
        assert_eq!(format!("{:?}", Redacted("anna.berg@contoso.com")), "a…@contoso.com");
    }
}
