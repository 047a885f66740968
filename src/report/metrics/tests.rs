//! Names, closed sets, replacement and hostile text, all read back from the text format.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};

use super::*;
use crate::report::sample;

const LIMITS: MetricsLimits = MetricsLimits { mailboxes: 500, upn: true };

/// One sample line: name, label names with their unescaped values, value.
#[derive(Debug)]
struct Line {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

/// Reads the text format strictly: a line that does not fit it fails the test.
fn parse(text: &str) -> Vec<Line> {
    assert!(text.ends_with('\n'), "the last line ends");
    text.lines().filter(|line| !line.starts_with('#')).map(parse_line).collect()
}

fn parse_line(line: &str) -> Line {
    let end = line.find(['{', ' ']).expect("a name ends");
    let (name, mut rest) = line.split_at(end);
    assert!(name.chars().all(|char| char.is_ascii_alphanumeric() || char == '_'), "{line}");
    let mut labels = BTreeMap::new();
    if let Some(mut inside) = rest.strip_prefix('{') {
        while !inside.starts_with('}') {
            let (label, after) = inside.split_once("=\"").expect("a label has a quoted value");
            let (value, after) = unquote(after);
            assert!(labels.insert(label.to_owned(), value).is_none(), "a label stands twice: {line}");
            inside = after.strip_prefix(',').unwrap_or(after);
        }
        rest = &inside[1..];
    }
    Line { name: name.to_owned(), labels, value: rest.trim().parse().expect("a value is a number") }
}

/// The value up to its closing quote, and what follows.
fn unquote(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return (value, &text[at + 1..]),
            '\\' => match chars.next().expect("an escape is complete").1 {
                'n' => value.push('\n'),
                escaped @ ('"' | '\\') => value.push(escaped),
                other => panic!("unknown escape {other}"),
            },
            plain => value.push(plain),
        }
    }
    panic!("the value does not end: {text}")
}

fn published(view: &TenantView) -> (Metrics, Vec<Line>) {
    let metrics = Metrics::new();
    metrics.publish(view, LIMITS);
    let lines = parse(&metrics.render());
    (metrics, lines)
}

fn series<'a>(lines: &'a [Line], name: &str) -> Vec<&'a Line> {
    let name = format!("mailkeeper_{name}");
    lines.iter().filter(|line| line.name == name).collect()
}

/// The one value of the series with these labels.
#[track_caller]
fn value(lines: &[Line], name: &str, labels: &[(&str, &str)]) -> f64 {
    let fits = |line: &&Line| {
        labels.iter().all(|(label, value)| line.labels.get(*label).is_some_and(|is| is == value))
    };
    let found: Vec<_> = series(lines, name).into_iter().filter(fits).collect();
    assert_eq!(found.len(), 1, "{name} {labels:?}: {found:?}");
    found[0].value
}

#[test]
fn the_names_labels_and_types_are_those_of_the_manual() {
    let lines = DESCRIPTIONS.iter().map(|one| format!("{} {} {}", one.kind, one.name, one.labels.join(",")));
    insta::assert_snapshot!(lines.collect::<Vec<_>>().join("\n"));
}

#[test]
fn names_follow_the_conventions_of_prometheus() {
    for one in DESCRIPTIONS {
        assert!(one.name.starts_with("mailkeeper_"), "{}", one.name);
        assert_eq!(one.kind == "counter", one.name.ends_with("_total"), "{}", one.name);
        assert!(one.help.ends_with('.') && one.help.len() > 20, "{}", one.name);
        let is_process_wide =
            matches!(one.name, "mailkeeper_build_info" | "mailkeeper_invariant_violations_total");
        assert_eq!(one.labels.first() != Some(&"tenant"), is_process_wide, "{}", one.name);
    }
}

#[test]
fn every_series_that_is_exported_carries_the_declared_labels() {
    let (metrics, _) = published(&sample::troubled());
    metrics.graph_request("contoso", request(Some(429)));
    let lines = parse(&metrics.render());
    for one in DESCRIPTIONS {
        let suffix = if one.kind == "histogram" { "_count" } else { "" };
        let full = format!("{}{suffix}", one.name);
        let found: Vec<_> = lines.iter().filter(|line| line.name == full).collect();
        assert!(!found.is_empty(), "{} has no series", one.name);
        for line in found {
            let declared: Vec<_> = one.labels.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
            assert_eq!(line.labels.keys().map(String::as_str).collect::<Vec<_>>(), declared, "{}", one.name);
        }
    }
    assert!(
        lines.iter().any(|line| line.name == "process_resident_memory_bytes"),
        "the process is measured too"
    );
}

#[test]
fn closed_sets_are_complete_from_the_first_moment() {
    let metrics = Metrics::new();
    metrics.introduce("contoso");
    let lines = parse(&metrics.render());
    let expected = [
        ("mailboxes", MailboxState::ALL.len()),
        ("mailboxes_expiring", EXPIRING.len()),
        ("mailboxes_lost_total", CAUSES.len() * 2),
        ("actions_total", Action::LABELS.len() * OutcomeKind::ALL.len()),
        ("recoveries_total", Verdict::ALL.len()),
        ("waiting", Reason::ALL.len()),
        ("users_left_alone", Reason::ALL.len()),
        ("observation_rejected_total", ProblemKind::ALL.len() - 2),
        ("observation_unreadable_total", 2),
        ("last_pass_timestamp_seconds", PassOutcome::ALL.len()),
        ("pass_duration_seconds_count", PassOutcome::ALL.len()),
        ("hold", 1),
        ("mode", 1),
        ("last_complete_observation_timestamp_seconds", 1),
        ("policy_load_failed", 1),
    ];
    for (name, count) in expected {
        let found = series(&lines, name);
        assert_eq!(found.len(), count, "{name}");
        assert!(found.iter().all(|line| line.value == 0.0), "{name}");
    }
}

/// The counts belong to the process, and another test breaks a promise on purpose: so they are compared, not fixed.
#[test]
fn every_promise_is_counted() {
    let counts = || InvariantId::ALL.iter().map(|id| invariant::violations(*id) as f64).collect::<Vec<_>>();
    let metrics = Metrics::new();
    metrics.render();
    let before = counts();
    let lines = parse(&metrics.render());
    let after = counts();
    for ((id, before), after) in InvariantId::ALL.iter().zip(before).zip(after) {
        let shown = value(&lines, "invariant_violations_total", &[("id", id.label())]);
        assert!((before..=after).contains(&shown), "{}: {before} {shown} {after}", id.label());
    }
}

#[test]
fn the_list_of_causes_is_complete() {
    for (index, cause) in CAUSES.into_iter().enumerate() {
        let position = match cause {
            Cause::LicenseRemoved => 0,
            Cause::GroupLicenseRemoved => 1,
            Cause::GroupLicenseError => 2,
            Cause::PlanDisabled => 3,
            Cause::SubscriptionLapsed => 4,
            Cause::KindChanged => 5,
            Cause::NeverLicensed => 6,
            Cause::AccountDeleted => 7,
            Cause::AccountPurged => 8,
        };
        assert_eq!(index, position);
    }
}

#[test]
fn the_document_becomes_gauges() {
    let (_, lines) = published(&sample::troubled());
    assert_eq!(value(&lines, "mailboxes", &[("state", "healthy")]), 4120.0);
    assert_eq!(value(&lines, "mailboxes", &[("state", "unlicensed_and_deleted")]), 0.0);
    assert_eq!(value(&lines, "mailboxes_expiring", &[("within", "1d")]), 1.0);
    assert_eq!(
        value(&lines, "mailboxes_expiring", &[("within", "30d")]),
        4.0,
        "not the unknown, not the passed one"
    );
    let soonest = (sample::NOW + Span::from_hours(19)).as_secs_f64();
    assert_eq!(value(&lines, "earliest_deadline_timestamp_seconds", &[]), soonest);
    assert_eq!(value(&lines, "waiting", &[("reason", "ask")]), 1.0);
    assert_eq!(value(&lines, "users_left_alone", &[("reason", "offboarded")]), 41.0);
    assert_eq!(value(&lines, "asks_open", &[]), 1.0);
    assert_eq!(value(&lines, "seats_free", &[("sku", "SPE_E3")]), 3.0);
    assert_eq!(value(&lines, "seats_missing", &[("sku", "SPE_E5")]), 2.0);
    assert_eq!(value(&lines, "seats_missing", &[("sku", "SPE_E3")]), 0.0);
    assert_eq!(value(&lines, "mode", &[]), 1.0);
    assert_eq!(value(&lines, "hold", &[]), 0.0);
    assert_eq!(value(&lines, "policy_info", &[("revision", "9c41e07d2b8a")]), 1.0);
    let labels = [
        ("upn", "anna.berg@contoso.com"),
        ("kind", "unlicensed"),
        ("cause", "license_removed"),
        ("rule", "executives"),
    ];
    assert_eq!(value(&lines, "mailbox_deadline_timestamp_seconds", &labels), soonest);
    assert_eq!(value(&lines, "mailbox_act_by_timestamp_seconds", &labels), soonest - 2.0 * 86_400.0);
}

#[test]
fn series_disappear_with_what_they_name() {
    let (metrics, lines) = published(&sample::troubled());
    assert_eq!(series(&lines, "mailbox_deadline_timestamp_seconds").len(), 5);
    let mut other = sample::troubled();
    other.tenant = "fabrikam".to_owned();
    metrics.publish(&other, LIMITS);

    let mut healed = sample::healthy();
    healed.seats.truncate(1);
    healed.policy.digest = "new".to_owned();
    healed.journal_head = None;
    metrics.publish(&healed, LIMITS);
    let mut lines = parse(&metrics.render());
    lines.retain(|line| line.labels.get("tenant").is_some_and(|tenant| tenant == "contoso"));
    for gone in ["mailbox_deadline_timestamp_seconds", "mailbox_act_by_timestamp_seconds", "journal_info"] {
        assert_eq!(series(&lines, gone).len(), 0, "{gone}");
    }
    assert_eq!(series(&lines, "earliest_deadline_timestamp_seconds").len(), 0);
    assert_eq!(series(&lines, "asks_oldest_timestamp_seconds").len(), 0);
    assert_eq!(series(&lines, "seats_free").len(), 1);
    assert_eq!(series(&lines, "policy_info").len(), 1);
    assert_eq!(value(&lines, "mailboxes", &[("state", "unlicensed")]), 0.0);

    let all = parse(&metrics.render());
    assert_eq!(
        series(&all, "mailbox_deadline_timestamp_seconds").len(),
        5,
        "the other tenant keeps its series"
    );
}

#[test]
fn only_the_most_urgent_mailboxes_have_series_and_names_only_where_allowed() {
    let metrics = Metrics::new();
    metrics.publish(&sample::crowded(500), MetricsLimits { mailboxes: 3, upn: false });
    let lines = parse(&metrics.render());
    let deadlines: Vec<f64> =
        series(&lines, "mailbox_deadline_timestamp_seconds").iter().map(|line| line.value).collect();
    let expected = [3, 4, 5].map(|hours| (sample::NOW + Span::from_hours(hours)).as_secs_f64());
    assert_eq!(deadlines.len(), 3);
    assert!(expected.iter().all(|deadline| deadlines.contains(deadline)), "{deadlines:?}");
    assert!(lines.iter().all(|line| line.labels.get("upn").is_none_or(String::is_empty)));
}

#[test]
fn counters_count_what_happened() {
    let metrics = Metrics::new();
    let same = metrics.clone();
    metrics.introduce("contoso");
    same.acted("contoso", &sample::assign(), OutcomeKind::Accepted);
    same.acted("contoso", &Action::PLAIN_RESTORE, OutcomeKind::Refused);
    same.judged("contoso", Verdict::NewEmptyMailbox);
    same.lost("contoso", Cause::AccountDeleted, false);
    same.observation_problem("contoso", ProblemKind::ClockSkew);
    same.pass_finished("contoso", PassOutcome::Done, Duration::from_secs(4));
    same.graph_request("contoso", request(Some(200)));
    same.graph_request("contoso", request(Some(429)));
    same.graph_request("contoso", request(None));
    let lines = parse(&metrics.render());
    assert_eq!(value(&lines, "actions_total", &[("action", "assign_license"), ("outcome", "accepted")]), 1.0);
    assert_eq!(value(&lines, "actions_total", &[("action", "restore"), ("outcome", "refused")]), 1.0);
    assert_eq!(value(&lines, "recoveries_total", &[("verdict", "new_empty_mailbox")]), 1.0);
    assert_eq!(
        value(&lines, "mailboxes_lost_total", &[("cause", "account_deleted"), ("warned", "false")]),
        1.0
    );
    assert_eq!(value(&lines, "observation_rejected_total", &[("reason", "clock_skew")]), 1.0);
    assert_eq!(value(&lines, "pass_duration_seconds_sum", &[("outcome", "done")]), 4.0);
    assert_eq!(value(&lines, "graph_requests_total", &[("status", "200")]), 1.0);
    assert_eq!(value(&lines, "graph_requests_total", &[("status", "none")]), 1.0);
    assert_eq!(value(&lines, "graph_resource_units_total", &[("status", "200")]), 3.0);
    assert_eq!(series(&lines, "graph_throttled_total").len(), 1);
    assert_eq!(value(&lines, "graph_throttled_total", &[("status", "429")]), 1.0);
}

fn request(status: Option<u16>) -> GraphRequest {
    GraphRequest {
        endpoint: "users_delta",
        status,
        duration: Duration::from_millis(120),
        resource_units: 3,
        is_throttled: status == Some(429),
    }
}

#[test]
fn hostile_text_stays_inside_its_label() {
    let (_, lines) = published(&sample::hostile());
    let found = series(&lines, "mailbox_deadline_timestamp_seconds");
    assert_eq!(found.len(), 5);
    for line in found {
        assert!(line.labels["upn"].starts_with("<script>alert(1)</script>\"'&\\ "), "{line:?}");
        assert!(!line.labels["upn"].contains(char::is_control), "{line:?}");
    }
}

#[test]
fn a_very_long_name_is_cut() {
    let mut view = sample::troubled();
    view.at_risk[0].upn = "é".repeat(100_000);
    let (_, lines) = published(&view);
    let longest = lines.iter().filter_map(|line| line.labels.get("upn")).map(|upn| upn.chars().count()).max();
    assert_eq!(longest, Some(LABEL_LENGTH));
}

#[test]
fn publishing_and_scraping_at_the_same_time_never_shows_half_a_document() {
    let metrics = Metrics::new();
    metrics.publish(&sample::healthy(), LIMITS);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..50 {
                metrics.publish(&sample::crowded(20), LIMITS);
                metrics.publish(&sample::healthy(), LIMITS);
            }
        });
        for _ in 0..50 {
            let lines = parse(&metrics.render());
            let at_risk = value(&lines, "mailboxes", &[("state", "unlicensed")]);
            assert_eq!(series(&lines, "mailbox_deadline_timestamp_seconds").len() as f64, at_risk);
            assert_eq!(series(&lines, "mailbox_act_by_timestamp_seconds").len() as f64, at_risk);
        }
    });
}

#[test]
fn promtool_finds_nothing_to_complain_about() {
    let (metrics, _) = published(&sample::hostile());
    metrics.graph_request("contoso", request(Some(429)));
    let mut tool = Command::new("promtool");
    tool.args(["check", "metrics"]);
    let Ok(mut child) = spawn(tool) else {
        eprintln!("skipped: promtool is not installed");
        return;
    };
    child.stdin.take().expect("piped").write_all(metrics.render().as_bytes()).expect("promtool reads");
    let output = child.wait_with_output().expect("promtool ends");
    let said =
        String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.trim().is_empty(), "{said}");
}

fn spawn(mut command: Command) -> std::io::Result<std::process::Child> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
}
