//! What a lost state gets back: nobody but the journal knows when a licence was lost, and which mailbox was the
//! healthy one.

use std::fs;

use mailkeeper::model::{Span, UserId};
use serde_json::Value;

use super::running::Daemon;
use crate::site::{Site, now};
use crate::wait;

/// The rows of a listing.
pub fn rows(site: &Site, command: &[&str]) -> Vec<Value> {
    let ran = site.run(&[command, &["--output", "json"]].concat());
    assert_eq!(ran.code, Some(0), "{command:?}: {ran}");
    serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran}"))
}

fn row(site: &Site, command: &[&str], user: UserId) -> Value {
    let id = Value::String(user.to_string());
    let found = rows(site, command).into_iter().find(|row| row["id"] == id);
    found.unwrap_or_else(|| panic!("{command:?} does not name {user}"))
}

/// What is known of the loss: everything but how much time is left.
fn clock(site: &Site, user: UserId) -> (Value, Value) {
    let status = row(site, &["status"], user);
    let explained = row(site, &["explain", &user.to_string()], user);
    assert!(status["deadline"].is_string(), "the deadline is known: {status}");
    (status["deadline"].clone(), explained["drift"]["clock"].clone())
}

pub fn verdicts(site: &Site) -> Vec<String> {
    let history = rows(site, &["history"]);
    history.iter().filter_map(|line| Some(line["entry"]["verdict"].as_str()?.to_owned())).collect()
}

pub fn passes(site: &Site, count: usize) {
    for _ in 0..count {
        let ran = site.run(&["apply"]);
        assert_eq!(ran.code, Some(0), "{ran}");
    }
}

/// One mailbox lost its licence, that was noticed, and somebody pressed the button. There is a backup of before.
fn noticed(site: &Site) -> UserId {
    let daemon = Daemon::start(site);
    daemon.passes(1);
    wait::until("the backup of the day", || {
        let files = fs::read_dir(site.path("state/backups")).ok()?;
        files.flatten().find(|file| file.file_name().to_string_lossy().starts_with("contoso-"))
    });
    daemon.kill();
    let user = site.unlicense(1)[0];
    assert_eq!(site.run(&["plan"]).code, Some(0));
    assert_eq!(site.run(&["hold", "the audit is not over"]).code, Some(0));
    user
}

/// Exchange takes up to half an hour to provision a mailbox.
pub fn exchange_catches_up(site: &Site) {
    site.tenant().advance(now() + Span::from_hours(1));
}

pub fn lose_state(site: &Site) {
    fs::remove_dir_all(site.path("state/db")).expect("the state is there");
}

#[test]
fn a_lost_state_has_its_clocks_and_its_hold_again() {
    for is_backup_lost in [false, true] {
        let site = Site::observed();
        let user = noticed(&site);
        let before = clock(&site, user);
        lose_state(&site);
        if is_backup_lost {
            fs::remove_dir_all(site.path("state/backups")).expect("there are backups");
        }

        let daemon = Daemon::start(&site);
        daemon.passes(1);
        assert_eq!(clock(&site, user), before, "backup lost: {is_backup_lost}");
        assert_eq!(daemon.metric("mailkeeper_hold"), Some(1.0));
        daemon.kill();
        let held = site.run(&["apply"]);
        assert_eq!((held.code, site.writes().len()), (Some(1), 0), "{held}");
        assert!(held.stdout.contains("on hold"), "{held}");

        assert_eq!(site.run(&["resume"]).code, Some(0));
        passes(&site, 1);
        assert_eq!(site.licensed(), [user].into(), "backup lost: {is_backup_lost}");
        exchange_catches_up(&site);
        passes(&site, 1);
        assert_eq!(verdicts(&site), ["verified"], "backup lost: {is_backup_lost}");
        let events = rows(&site, &["history"]);
        let count = |event| events.iter().filter(|line| line["entry"]["event"] == event).count();
        assert_eq!((count("recalled"), count("clock_started")), (1, 1), "noticed once");
        assert_eq!(count("restored"), usize::from(!is_backup_lost));
    }
}

#[test]
fn another_machine_goes_on_with_backup_and_journal() {
    let site = Site::observed();
    let file = site.path("backup.ndjson");
    let file = file.to_str().expect("the path is UTF-8");
    assert_eq!(site.run(&["backup", file]).code, Some(0));
    let user = site.unlicense(1)[0];
    assert_eq!(site.run(&["plan"]).code, Some(0));
    assert_eq!(site.run(&["hold", "moving"]).code, Some(0));
    let before = clock(&site, user);

    lose_state(&site);
    let restored = site.run(&["restore-state", file]);
    assert_eq!(restored.code, Some(0), "{restored}");
    assert_eq!(site.run(&["plan"]).code, Some(0));
    assert_eq!(clock(&site, user), before);
    let held = site.run(&["apply"]);
    assert_eq!((held.code, site.writes().len()), (Some(1), 0), "{held}");
}
