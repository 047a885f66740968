//! Commands that change nothing: check, plan, status, explain, history, schema, completions; and how a command refuses.

use std::collections::BTreeSet;
use std::process::Stdio;

use mailkeeper::graph::transport::HttpResponse;
use serde_json::{Value, json};

use crate::site::{Site, binary, repository, run};

/// Three faults: an unknown key, an unknown product, and a rule that acts without a licence.
const BAD_POLICY: &str = "\
version: 1
keep:
  - name: staff
    match: { mail: \"*@contoso.com\" }
    licences: [SPE_E3]
  - name: others
    match: { department: Sales }
    licenses: [SPE_E33]
    on_license_lost: act
    settle: soon
";

#[test]
fn check_names_every_fault_with_its_place() {
    let site = Site::new();
    site.set_policy(BAD_POLICY);
    let policy = site.path("policy.yaml");
    let policy = policy.to_str().expect("the path is UTF-8");

    let ran = site.run(&["check", policy]);
    assert_eq!(ran.code, Some(64), "{ran}");
    for place in ["policy.yaml:5:5", "policy.yaml:8:", "policy.yaml:10:"] {
        assert!(ran.stdout.contains(place), "{place} is not named:\n{}", ran.stdout);
    }
    let faults = objects(&site.run(&["check", policy, "--format", "json"]).stdout);
    let lines: BTreeSet<u64> = faults.iter().filter_map(|fault| fault["line"].as_u64()).collect();
    assert!([5, 8, 10].iter().all(|line| lines.contains(line)), "{faults:#?}");
    let github = site.run(&["check", policy, "--format", "github"]);
    assert!(github.stdout.lines().all(|line| line.starts_with("::error ")), "{}", github.stdout);
    assert_eq!(github.stdout.lines().count(), faults.len());

    // Without a name the settings and what they name are checked.
    assert_eq!(site.run(&["check"]).code, Some(64));
    site.set_policy(&site.policy().replace("settle: 0s", "settle: 2h").replace("share: 50%", "share: 5%"));
    let ran = site.run(&["check"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), ""), "{ran}");
}

#[test]
fn listings_are_json_that_names_users() {
    let site = Site::observed();
    let user = site.unlicense(1)[0];
    let upn = site.company.people.iter().find(|person| person.id == user).expect("staff").user.clone();
    let upn = upn.user_principal_name.to_lowercase();

    for (command, rows_at_least) in
        [(vec!["plan"], 1), (vec!["status"], 1), (vec!["explain", upn.as_str()], 1)]
    {
        let array = site.run(&[command.as_slice(), &["--output", "json"]].concat());
        let lines = site.run(&[command.as_slice(), &["--output", "ndjson"]].concat());
        assert_eq!((array.code, lines.code), (Some(0), Some(0)), "{command:?}: {array:?}");
        let array = objects(&array.stdout);
        let lines: Vec<Value> = lines.stdout.lines().map(parsed).collect();
        for rows in [&array, &lines] {
            assert!(rows.len() >= rows_at_least, "{command:?}: {rows:?}");
            assert!(rows.iter().all(|row| row["id"].is_string() && row["upn"].is_string()), "{command:?}");
            let is_named = |row: &Value| row["id"] == json!(user.to_string()) && row["upn"] == json!(upn);
            assert!(rows.iter().any(is_named), "{command:?} does not name {upn}: {rows:?}");
        }
    }
    let explained = objects(&site.run(&["explain", &upn, "--output", "json"]).stdout);
    assert_eq!(explained[0]["observed"]["presence"], json!("live"), "as every other document writes it");
    assert!(explained[0]["observed"]["entitlement"].to_string().contains("none"), "{explained:#?}");
    let history = objects(&site.run(&["history", "--output", "json"]).stdout);
    let events: Vec<&str> = history.iter().filter_map(|line| line["entry"]["event"].as_str()).collect();
    for event in ["policy_loaded", "clock_started"] {
        assert!(events.contains(&event), "{event} is not in the journal: {events:?}");
    }
    // So far nothing acted, and who only looks leaves no trace of having been there.
    assert!(!events.contains(&"started") && !events.contains(&"stopped"), "{events:?}");
    let verified = site.run(&["history", "--verify"]);
    assert_eq!(verified.code, Some(0), "{verified:?}");
}

#[test]
fn who_only_reads_writes_nothing_into_the_journal() {
    let site = Site::observed();
    site.run(&["apply"]);
    let entries = || site.run(&["history", "--verify"]).stdout;
    let before = entries();
    for command in ["status", "asks", "history", "report", "doctor"] {
        site.run(&[command]);
        assert_eq!(entries(), before, "{command}");
    }
}

/// systemd tells the daemon where its secrets are; an operator's shell does not know.
#[test]
fn only_who_signs_in_needs_the_secret() {
    let site = Site::observed();
    let path = site.path("mailkeeper.yaml");
    let text = std::fs::read_to_string(&path).expect("the settings are written");
    let secret = site.path("secret").display().to_string();
    std::fs::write(&path, text.replace(&secret, "${MAILKEEPER_NOWHERE}/secret")).expect("it is writable");

    let mailbox = site.staff().next().expect("staff").to_string();
    for command in [
        &["status"][..],
        &["asks"],
        &["history"],
        &["report"],
        &["explain", &mailbox],
        &["hold", "looking"],
        &["resume"],
        &["check"],
    ] {
        let ran = site.run(command);
        assert_eq!(ran.code, Some(0), "{command:?}: {ran}");
    }
    for command in ["plan", "apply", "doctor", "run"] {
        let ran = site.run(&[command]);
        assert_eq!(ran.code, Some(1), "{command}: {ran}");
        let said = format!("{}{}", ran.stdout, ran.stderr);
        assert!(said.contains("MAILKEEPER_NOWHERE is not set here"), "{command}: {ran}");
    }
}

#[test]
fn explain_says_which_rule_where_it_stands_and_what_blocks() {
    let site = Site::observed();
    let user = site.unlicense(1)[0].to_string();
    site.run(&["plan"]);
    let ran = site.run(&["explain", &user]);
    assert_eq!(ran.code, Some(0), "{ran}");
    for words in ["staff", "policy.yaml:", "a second observation must confirm it"] {
        assert!(ran.stdout.contains(words), "{words:?} is missing:\n{}", ran.stdout);
    }
    let unknown = site.run(&["explain", "nobody@contoso.com"]);
    assert_eq!(unknown.code, Some(1), "{unknown:?}");
    assert!(unknown.stderr.contains("nobody@contoso.com"), "{unknown:?}");
}

#[test]
fn schemas_completions_and_manual_need_no_settings() {
    let bare = |arguments: &[&str]| {
        let mut command = binary();
        command.args(arguments).env("MAILKEEPER_CONFIG", "does-not-exist.yaml");
        let ran = run(command);
        assert_eq!(ran.code, Some(0), "{arguments:?}: {ran}");
        ran.stdout
    };
    for (document, file) in
        [("policy", "config/policy.schema.json"), ("settings", "config/mailkeeper.schema.json")]
    {
        let shipped = std::fs::read_to_string(repository().join(file)).expect("the schema is shipped");
        assert_eq!(
            parsed(&bare(&["schema", document])),
            parsed(&shipped),
            "{file}: write it with `mailkeeper schema {document}`"
        );
    }
    for shell in ["bash", "zsh", "fish"] {
        assert!(bare(&["completions", shell]).contains("restore-state"), "{shell}");
    }
    assert!(bare(&["man"]).contains(".TH mailkeeper 1"));
    assert!(bare(&["--version"]).starts_with("mailkeeper "));
}

#[test]
fn wrong_usage_is_64_and_a_bad_world_is_1() {
    let site = Site::new();
    for wrong in [
        &["plan", "--tenant", "fabrikam"][..],
        &["hold", "--for", "soon"],
        &["frobnicate"],
        &["approve", "no-such-ask"],
        &["apply", "--digest", "xyz"],
    ] {
        let ran = site.run(wrong);
        // Nothing can be approved before the first pass, and that is not the caller's mistake.
        let expected = if wrong[0] == "approve" { 1 } else { 64 };
        assert_eq!(ran.code, Some(expected), "{wrong:?}: {ran}");
        assert!(!ran.stderr.is_empty() && ran.stdout.is_empty(), "{wrong:?}: {ran}");
    }
    let mut elsewhere = binary();
    elsewhere.args(["--config", "does-not-exist.yaml", "status"]);
    let ran = run(elsewhere);
    assert_eq!(ran.code, Some(64), "{ran}");
    assert!(ran.stderr.contains("does-not-exist.yaml"), "{ran}");

    let status = site.run(&["status"]);
    assert_eq!(status.code, Some(1), "{status:?}");
    assert!(status.stderr.contains("mailkeeper plan"), "it says what to do: {status:?}");
}

#[test]
fn a_refused_sign_in_is_1_and_says_so() {
    let site = Site::behind(|tenant, now, request| {
        if request.url.ends_with("/token") {
            let body = json!({"error": "invalid_client", "error_codes": [7_000_222],
                "error_description": "AADSTS7000222: The provided client secret keys for app are expired."});
            return HttpResponse::new(401).with_json(&body);
        }
        tenant.handle(now, &request)
    });
    let ran = site.run(&["plan"]);
    assert_eq!(ran.code, Some(1), "{ran}");
    assert!(ran.stdout.contains("AADSTS7000222"), "{ran}");
    assert_eq!(site.tenant().counters().requests, 0);
}

/// The rows of a listing.
fn objects(text: &str) -> Vec<Value> {
    match parsed(text) {
        Value::Array(rows) => rows,
        other => panic!("no array: {other}"),
    }
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error} in:\n{text}"))
}

#[test]
fn whoever_has_read_enough_is_told_nothing_more() {
    let site = Site::observed();
    for arguments in [
        &["completions", "bash"][..],
        &["man"],
        &["schema", "policy"],
        &["history"],
        &["doctor", "--output", "json"],
        &["status"],
        &["check"],
    ] {
        let mut command = binary();
        command.arg("--config").arg(site.path("mailkeeper.yaml")).args(arguments);
        let (reader, writer) = std::io::pipe().expect("a pipe can be made");
        drop(reader);
        let ended = command.stdout(writer).stderr(Stdio::piped()).spawn().expect("starts").wait_with_output();
        let ended = ended.expect("it ends");
        let stderr = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert!(ended.status.code().is_some() && !stderr.contains("panicked"), "{arguments:?}: {stderr}");
    }
}

#[test]
fn a_sign_in_that_fails_is_told_once_with_the_address_and_what_to_look_at() {
    let site = Site::new();
    let path = site.path("mailkeeper.yaml");
    let settings = std::fs::read_to_string(&path).expect("it is there");
    let origin =
        settings.split("login: \"").nth(1).and_then(|rest| rest.split('"').next()).expect("it is named");
    let settings = settings.replace(origin, "http://127.0.0.1:9");
    std::fs::write(&path, settings).expect("the directory is writable");
    let plan = site.run(&["plan"]);
    assert_eq!(plan.code, Some(1), "{plan}");
    assert_eq!(plan.stderr.matches("the observation has a problem").count(), 1, "{plan}");
    assert!(plan.stdout.contains("could not connect to http://127.0.0.1:9"), "{plan}");
    let status = site.run(&["status"]).stdout.replace('\n', " ");
    assert_eq!(status.matches("could not connect").count(), 1, "{status}");
    let doctor = site.run(&["doctor"]).stdout;
    assert!(doctor.contains("check network, DNS, proxy and firewall"), "{doctor}");
    assert!(!doctor.contains("check client id"), "{doctor}");
    let last = doctor.lines().find(|line| line.contains("the last pass")).expect("it is told");
    assert_eq!(last.matches("could not connect").count(), 1, "{last}");
}
