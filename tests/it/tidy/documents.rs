//! Documents and files for others to run us, against the code: declared metrics, examples of settings and policy, the
//! systemd unit.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use mailkeeper::cli::Cli;
use mailkeeper::commands::{LEFT_BEHIND, run};
use mailkeeper::policy::source;
use mailkeeper::report::metrics::Metrics;
use mailkeeper::settings::{Environment, Settings};

use super::report;
use crate::site::repository;

/// What systemd sets for the unit.
struct UnitEnvironment;

impl Environment for UnitEnvironment {
    fn variable(&self, name: &str) -> Option<String> {
        (name == "CREDENTIALS_DIRECTORY").then(|| "/run/credentials/mailkeeper.service".to_owned())
    }
}

/// What a loaded machine may add to a stop.
const MARGIN: Duration = Duration::from_secs(5);

#[test]
fn declared_metrics_are_those_of_the_code() {
    let text = read("deploy/metrics.txt");
    let declared: BTreeMap<&str, (&str, Vec<&str>)> = text
        .lines()
        .filter_map(|line| {
            let mut words = line.split('#').next()?.split_whitespace();
            let (name, kind) = (words.next()?, words.next()?);
            let labels = words.filter_map(|word| word.split('=').next()).collect();
            Some((name, (kind, labels)))
        })
        .collect();
    let described: BTreeMap<&str, (&str, Vec<&str>)> = Metrics::descriptions()
        .iter()
        .map(|metric| (metric.name, (metric.kind, metric.labels.to_vec())))
        .collect();
    let mut faults = Vec::new();
    for name in declared.keys().chain(described.keys()) {
        if declared.get(name) != described.get(name) {
            faults.push(format!(
                "{name}: {:?} in the file, {:?} in the code",
                declared.get(name),
                described.get(name)
            ));
        }
    }
    faults.dedup();
    report("deploy/metrics.txt and report/metrics/families.rs", &faults);
}

#[test]
fn the_examples_are_good_without_a_warning() {
    let policy = source::load(&repository().join("config/policy.yaml")).expect("the example policy is good");
    assert_eq!(policy.warnings.len(), 0, "{:#?}", policy.warnings);
    let settings = example_settings();
    assert_eq!(settings.warnings.len(), 0, "{:#?}", settings.warnings);
}

#[test]
fn the_unit_gives_what_the_example_settings_use() {
    let unit = read("systemd/mailkeeper.service");
    let settings = example_settings();
    let port = settings.http.listen.expect("the example serves pages").port();
    let mut wanted = vec![
        format!("StateDirectory={}", below(&settings.state, "/var/lib")),
        format!(
            "RuntimeDirectory={}",
            below(settings.control_socket.parent().expect("it is a file"), "/run")
        ),
        format!("SocketBindAllow=tcp:{port}"),
        "ExecReload=".to_owned(),
        "RestartPreventExitStatus=64".to_owned(),
        "Restart=on-failure".to_owned(),
        "StartLimitIntervalSec=0".to_owned(),
    ];
    let example = read("config/mailkeeper.yaml");
    let secrets = example.lines().filter_map(|line| line.split("${CREDENTIALS_DIRECTORY}/").nth(1));
    wanted.extend(secrets.map(|secret| format!("LoadCredential={}:", secret.trim())));
    let policy = &settings.tenants[0].policy;
    wanted.push(format!("ConfigurationDirectory={}", below(policy.parent().expect("it is a file"), "/etc")));
    // The unit names the file that the commands look for by themselves.
    let standard = <Cli as clap::CommandFactory>::command();
    let config = standard.get_arguments().find(|argument| argument.get_id() == "config");
    let config = config.and_then(|argument| argument.get_default_values().first()).expect("it has a default");
    wanted.push(format!("ExecStart=/usr/bin/mailkeeper run --config {}", config.to_string_lossy()));

    let missing =
        wanted.into_iter().filter(|line| !unit.lines().any(|found| found.starts_with(line.as_str())));
    report("lines that the unit lacks", &missing.collect::<Vec<_>>());
}

#[test]
fn the_daemon_ends_by_itself_before_systemd_kills_it() {
    let unit = read("systemd/mailkeeper.service");
    let stop = unit.lines().find_map(|line| line.strip_prefix("TimeoutStopSec=")?.strip_suffix('s'));
    let allowed = Duration::from_secs(stop.and_then(|seconds| seconds.parse().ok()).expect("in seconds"));
    let needed = run::DRAIN_LONGEST + LEFT_BEHIND;
    assert!(needed + MARGIN <= allowed, "{needed:?} of {allowed:?}");
    let told = format!("after\n# {} s", run::DRAIN_LONGEST.as_secs());
    assert!(unit.contains(&told), "the comment of the unit names another time");
}

#[test]
fn operators_are_told_what_changed() {
    assert!(read("CHANGELOG.md").contains("\n## "), "CHANGELOG.md has no section");
}

fn example_settings() -> Settings {
    let text = read("config/mailkeeper.yaml");
    Settings::parse("config/mailkeeper.yaml", &text, repository(), &UnitEnvironment)
        .unwrap_or_else(|faults| panic!("{faults:#?}"))
}

/// A directory as systemd's `..Directory=` names it.
fn below(path: &std::path::Path, parent: &str) -> String {
    let name = path.strip_prefix(parent).unwrap_or_else(|_| panic!("{} is not in {parent}", path.display()));
    name.display().to_string()
}

fn read(path: &str) -> String {
    fs::read_to_string(repository().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}
