//! `mailkeeper run`: what systemd, Prometheus and operators see of it, and what a SIGKILL leaves behind.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};

use mailkeeper::model::Span;
use serde_json::Value;

use super::running::Daemon;
use crate::site::{Site, repository, run};
use crate::wait;

#[test]
fn it_serves_pages_and_answers_commands_while_the_state_is_locked() {
    let site = Site::new();
    let user = site.staff().next().expect("there is staff").to_string();
    let daemon = Daemon::start(&site);
    daemon.passes(1);

    assert_eq!(daemon.get("/healthz"), (200, "alive\n".to_owned()));
    let (status, ready) = daemon.get("/readyz");
    assert_eq!((status, parsed(&ready)["ready"].clone()), (200, Value::Bool(true)), "{ready}");
    let (status, page) = daemon.get("/");
    assert!(status == 200 && page.starts_with("<!DOCTYPE html>") && page.contains("contoso"), "{page}");
    let (status, document) = daemon.get("/api/v1/status");
    assert!(status == 200 && parsed(&document)["tenants"][0]["tenant"] == "contoso", "{document}");
    assert_eq!(daemon.get("/etc/passwd").0, 404);

    for command in [&["status"][..], &["explain", &user], &["asks"], &["history"], &["history", "--verify"]] {
        let ran = site.run(command);
        assert_eq!(ran.code, Some(0), "{command:?}: {ran}");
    }
    let by_hand = site.run(&["hold", "testing"]);
    assert_eq!(by_hand.code, Some(0), "{by_hand}");
    assert_eq!(site.run(&["apply"]).code, Some(1), "the running daemon was not held");
    wait::until("mailkeeper_hold is 1", || (daemon.metric("mailkeeper_hold") == Some(1.0)).then_some(()));

    // Without the socket a command meets the lock, and says so instead of opening a second copy.
    fs::remove_file(site.path("control.sock")).expect("the socket is there");
    let locked = site.run(&["status"]);
    assert_eq!(locked.code, Some(1), "{locked}");
    assert!(locked.stderr.contains("in use by another mailkeeper"), "{locked}");
}

#[test]
fn its_metrics_are_those_of_dashboard_and_alerts() {
    let site = Site::observed();
    site.unlicense(3);
    let daemon = Daemon::start(&site);
    daemon.passes(1);
    for _ in 0..2 {
        let ran = site.run(&["apply"]);
        assert_eq!(ran.code, Some(0), "{ran}");
    }
    let text = wait::until("actions are counted", || {
        let text = daemon.get("/metrics").1;
        text.contains("mailkeeper_actions_total{action=\"assign_license\"").then_some(text)
    });
    assert_eq!(daemon.metric("mailkeeper_policy_load_failed"), Some(0.0));
    assert_eq!(daemon.metric("mailkeeper_mode"), Some(1.0));

    // For lane `dashboard` of .ci/run, and for whoever wants to see one.
    let exposition = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("metrics.txt");
    fs::write(&exposition, text).expect("the directory of this test is writable");
    if Command::new("python3").arg("--version").output().is_err() {
        eprintln!(
            "python3 is missing: lane `dashboard` compares {} with the dashboard",
            exposition.display()
        );
        return;
    }
    let mut check = Command::new("python3");
    check.arg(repository().join("deploy/test/check_dashboard.py")).arg("--exposition").arg(exposition);
    let checked = run(check);
    assert_eq!(checked.code, Some(0), "{checked}");
}

#[test]
fn systemd_hears_ready_watchdog_reloading_and_stopping() {
    let site = Site::new();
    let mut daemon = Daemon::start(&site);
    daemon.passes(1);
    daemon.hears("WATCHDOG=1");
    daemon.hears("WATCHDOG=1");

    site.set_policy(&format!("# another digest\n{}", site.policy()));
    daemon.signal("HUP");
    let reloading = daemon.hears("RELOADING=1");
    assert!(reloading.contains("MONOTONIC_USEC="), "Type=notify-reload needs the time: {reloading}");
    daemon.hears("READY=1");
    daemon.passes(2);
    let loaded = site.run(&["history", "--output", "json"]).stdout.matches("policy_loaded").count();
    assert_eq!(loaded, 2, "the reload reached the journal");

    daemon.signal("TERM");
    daemon.hears("STOPPING=1");
    assert_eq!(daemon.ends(), Some(0));
    assert!(!site.path("control.sock").exists(), "the socket is removed");
    let journal = site.run(&["history"]).stdout;
    assert!(journal.lines().rev().any(|line| line.contains("stopped")), "{journal}");
}

#[test]
fn changed_settings_are_told_until_the_restart_that_brings_them_into_use() {
    let site = Site::new();
    site.set_mode("observe");
    let daemon = Daemon::start(&site);
    daemon.passes(1);
    let status = site.run(&["status"]).stdout;
    assert!(!status.contains("CHANGED SETTINGS"), "{status}");

    site.set_mode("act");
    daemon.signal("HUP");
    daemon.logs("settings are read at the start only");
    daemon.passes(2);
    let status = site.run(&["status"]).stdout.replace('\n', " ");
    assert!(status.contains("observing only") && status.contains("was changed (mode)"), "{status}");
    let doctor = site.run(&["doctor"]).stdout;
    assert!(doctor.contains("was changed (mode)") && doctor.contains("systemctl restart"), "{doctor}");
    drop(daemon);

    let daemon = Daemon::start(&site);
    daemon.signal("HUP");
    daemon.passes(2);
    let status = site.run(&["status"]).stdout;
    assert!(status.contains("acting") && !status.contains("CHANGED SETTINGS"), "{status}");
}

#[test]
fn a_policy_broken_meanwhile_starts_nothing_and_the_last_good_one_stands() {
    let site = Site::new();
    let daemon = Daemon::start(&site);
    daemon.passes(1);
    let users = site.unlicense(2);
    assert_eq!(site.run(&["apply"]).code, Some(0), "seen once");

    site.set_policy("version: 1\nkeep: [staff\n");
    daemon.signal("HUP");
    let failed = |wanted: f64| (daemon.metric("mailkeeper_policy_load_failed") == Some(wanted)).then_some(());
    wait::until("mailkeeper_policy_load_failed is 1", || failed(1.0));
    let ran = site.run(&["apply"]);
    assert!(ran.stdout.contains("policy.yaml:2"), "it says where: {ran}");
    assert!(site.writes().is_empty(), "started something under a bad policy: {ran}");
    assert_eq!(daemon.get("/readyz").0, 503);
    let status = site.run(&["status", "--output", "json"]);
    assert_eq!(parsed(&status.stdout).as_array().map(Vec::len), Some(users.len()), "{status}");

    site.set_policy(&site.policy());
    daemon.signal("HUP");
    wait::until("mailkeeper_policy_load_failed is 0", || failed(0.0));
    wait::until("both licences are back", || (site.writes().len() >= users.len()).then_some(()));
    assert_eq!(site.licensed(), users.into_iter().collect());
}

#[test]
fn a_daemon_killed_in_the_middle_of_a_pass_sends_nothing_twice_and_forgets_nothing() {
    let site = Site::observed();
    let users = site.unlicense(12);
    assert_eq!(site.run(&["plan"]).code, Some(0), "seen once");
    site.faults().latency = (Span::from_millis(60), Span::from_millis(60));
    let killed = Daemon::start(&site);
    wait::until("three licences are back", || (site.writes().len() >= 3).then_some(()));
    killed.kill();
    let before = site.writes().len();
    assert!(before < users.len(), "the kill came too late to show anything");

    site.faults().latency = (Span::ZERO, Span::ZERO);
    let mut restarted = Daemon::start(&site);
    restarted.passes(1);
    wait::until("every licence is back", || {
        let is_done = site.licensed().len() == users.len();
        if !is_done {
            site.run(&["apply"]);
        }
        is_done.then_some(())
    });
    let ran = site.run(&["apply"]);
    assert_eq!(ran.code, Some(0), "{ran}");
    assert_eq!(site.licensed(), users.into_iter().collect());
    restarted.signal("TERM");
    assert_eq!(restarted.ends(), Some(0));

    let verified = site.run(&["history", "--verify"]);
    assert_eq!(verified.code, Some(0), "{verified}");
    assert_eq!(intents_without_outcome(&site), BTreeSet::new());
}

/// Step ids of the journal that were started and never closed, be it by an outcome or by a verdict.
fn intents_without_outcome(site: &Site) -> BTreeSet<String> {
    let history = site.run(&["history", "--limit", "10000", "--output", "json"]);
    let lines = parsed(&history.stdout);
    let steps = |events: &[&str]| -> BTreeSet<String> {
        let entries = lines.as_array().into_iter().flatten().map(|line| &line["entry"]);
        let wanted = entries.filter(|entry| events.iter().any(|event| entry["event"] == **event));
        wanted.filter_map(|entry| entry["step_id"].as_str().map(str::to_owned)).collect()
    };
    let intents = steps(&["intent"]);
    assert!(!intents.is_empty(), "{history}");
    intents.difference(&steps(&["outcome", "verdict"])).cloned().collect()
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error} in:\n{text}"))
}

#[test]
fn a_stop_does_not_wait_for_a_read_that_hangs() {
    let (release, gate) = mpsc::channel::<()>();
    let (gate, asked) = (Mutex::new(gate), Arc::new(AtomicBool::new(false)));
    let is_asked = Arc::clone(&asked);
    let site = Site::behind(move |tenant, now, request| {
        let answer = tenant.handle(now, &request);
        if request.url.contains("/deletedItems/") {
            is_asked.store(true, Ordering::SeqCst);
            // Until the test is over.
            let _ = gate.lock().expect("nobody panics here").recv();
        }
        answer
    });
    let mut daemon = Daemon::start(&site);
    wait::until("the read hangs", || asked.load(Ordering::SeqCst).then_some(()));
    daemon.signal("TERM");
    assert_eq!(daemon.ends(), Some(0));
    drop(release);
}

#[test]
fn a_daemon_that_has_lost_its_state_says_so_and_ends_for_systemd_to_start_it_again() {
    let site = Site::observed();
    let mut daemon = Daemon::start(&site);
    daemon.passes(1);
    let held = site.run(&["hold", "before the state is gone"]);
    assert_eq!(held.code, Some(0), "{held}");
    daemon.log();
    let state = site.path("state").join("db");
    fs::remove_dir_all(&state).expect("it is there");
    site.run(&["apply"]);
    daemon.hears("STOPPING=1");
    assert_eq!(daemon.ends(), Some(1), "systemd starts again what ends so");
    let log = daemon.log();
    let told: Vec<_> = log.iter().filter(|line| line.contains("can no longer be used")).collect();
    let place = state.display().to_string();
    assert!(told.len() == 1 && told[0].contains(&place) && told[0].contains("make room"), "{log:#?}");

    let mut restarted = Daemon::start(&site);
    restarted.passes(1);
    let status = site.run(&["status"]);
    assert!(status.code == Some(0) && status.stdout.contains("ON HOLD by "), "{status}");
    assert_eq!(site.run(&["apply"]).code, Some(1), "the hold was lost with the state");
    restarted.signal("TERM");
    assert_eq!(restarted.ends(), Some(0));
}
