//! What people read: history, doctor, report, explain; and what a policy change would do, also in a git hook.

use std::fs;
use std::process::Command;

use serde_json::Value;

use super::running::Daemon;
use crate::site::{Site, repository, run};
use crate::wait;

/// Two of the staff lost their licence and got it back.
fn repaired() -> Site {
    let site = Site::observed();
    site.unlicense(2);
    for _ in 0..3 {
        let ran = site.run(&["apply"]);
        assert_eq!(ran.code, Some(0), "{ran}");
    }
    site
}

#[test]
fn history_and_report_tell_what_was_done_in_sentences() {
    let site = repaired();
    let history = site.run(&["history"]).stdout;
    for sentence in [
        "in force",
        "no licence gives this mailbox any more",
        "asks Microsoft to assign SPE_E3",
        "accepted the request",
    ] {
        assert!(history.contains(sentence), "{sentence} is not in:\n{history}");
    }
    assert!(!history.contains('{') && !history.contains("user="), "not for people:\n{history}");
    let report = site.run(&["report", "--since", "7d"]);
    assert_eq!(report.code, Some(0), "{report}");
    assert!(report.stdout.contains("2 mailboxes came into danger"), "{report}");
    let rows: Vec<Value> =
        serde_json::from_str(&site.run(&["report", "--output", "json"]).stdout).expect("an array");
    assert_eq!(rows[0]["noticed"], 2);
    assert_eq!(site.run(&["report", "--since", "yesterday"]).code, Some(64));
}

#[test]
fn doctor_is_content_with_a_tenant_in_order_and_names_what_is_missing() {
    let site = Site::observed();
    let well = site.run(&["doctor"]);
    assert_eq!(well.code, Some(0), "{well}");
    for text in [
        "signed in to",
        "users can be read",
        "the journal is whole",
        "no daemon runs",
        "DelayedDelicensingEnabled",
    ] {
        assert!(well.stdout.contains(text), "{text} is not in {well}");
    }
    site.leave_permissions(&["User.Read.All"]);
    let ill = site.run(&["doctor", "--output", "ndjson"]);
    assert_eq!(ill.code, Some(1), "{ill}");
    let findings: Vec<Value> =
        ill.stdout.lines().map(|line| serde_json::from_str(line).expect("an object a line")).collect();
    let errors: Vec<&str> = findings
        .iter()
        .filter(|finding| finding["level"] == "error")
        .filter_map(|finding| finding["what"].as_str())
        .collect();
    assert!(errors.iter().any(|what| what.contains("LicenseAssignment.Read.All is missing")), "{errors:?}");
    assert!(site.writes().is_empty(), "a doctor only looks");
}

#[test]
fn a_pass_that_may_read_no_mailbox_says_so() {
    let site = Site::new();
    let well = site.run(&["plan"]);
    assert!(!well.stderr.contains("mailbox_unreadable"), "{well}");
    let site = Site::new();
    site.leave_permissions(&["User.Read.All", "GroupMember.Read.All", "LicenseAssignment.Read.All"]);
    let blind = site.run(&["plan"]);
    assert!(blind.stderr.contains("mailbox_unreadable"), "{blind}");
    assert!(blind.stderr.contains("MailboxSettings.Read may be missing"), "{blind}");
}

#[test]
fn doctor_works_while_the_daemon_holds_the_state_and_without_any_state_at_all() {
    let site = Site::observed();
    {
        let daemon = Daemon::start(&site);
        daemon.passes(1);
        let ran = site.run(&["doctor"]);
        assert_eq!(ran.code, Some(0), "{ran}");
        assert!(ran.stdout.contains("the daemon answers on"), "{ran}");
        let ran = site.run(&["restore-state", "/dev/null"]);
        assert!(ran.code == Some(1) && ran.stderr.contains("stop the daemon first"), "{ran}");
    }
    fs::remove_file(site.path("secret")).expect("it is there");
    let ran = site.run(&["doctor"]);
    assert_eq!(ran.code, Some(1), "{ran}");
    assert!(ran.stdout.contains("secret cannot be read"), "the findings go on: {ran}");
}

#[test]
fn a_misspelt_user_is_answered_with_those_that_are_near() {
    let site = Site::observed();
    let name = site.company.people[0].user.user_principal_name.clone();
    let misspelt = name.replacen(|letter: char| letter.is_ascii_lowercase(), "", 1);
    let ran = site.run(&["explain", &misspelt]);
    assert_eq!(ran.code, Some(1), "{ran}");
    assert!(ran.stderr.contains("did you mean") && ran.stderr.contains(&name), "{ran}");
}

#[test]
fn a_policy_change_is_told_before_it_is_made() {
    let site = Site::observed();
    let backup = site.path("state.ndjson");
    let backup = backup.to_str().expect("the path is UTF-8");
    assert_eq!(site.run(&["backup", backup]).code, Some(0));
    let proposed = site.path("proposed.yaml");
    let text =
        site.policy().replace("  - match: { employee_type: leaver }\n", "  - match: { department: Salg }\n");
    fs::write(&proposed, text).expect("written");
    let proposed = proposed.to_str().expect("the path is UTF-8");

    let here = site.run(&["check", "--against", "state", proposed]);
    assert_eq!(here.code, Some(0), "{here}");
    assert!(here.stdout.contains("released: ") && here.stdout.contains("off-boarded"), "{here}");

    let base = site.path("policy.yaml");
    let base = base.to_str().expect("the path is UTF-8");
    let arguments = ["check", "--against", backup, "--base", base, "--format", "json", proposed];
    let ran = site.run(&arguments);
    let document: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{ran}"));
    assert!(document["impact"]["released"]["count"].as_u64() > Some(0), "{document}");
    let markdown = site.run(&["check", "--against", backup, "--base", base, "--format", "markdown", base]);
    assert!(markdown.stdout.contains("treats every known user as"), "{markdown}");
    assert_eq!(site.run(&["check", "--against", "/nonexistent", proposed]).code, Some(64));
}

#[test]
fn the_daemon_backs_up_daily_and_a_lost_state_is_read_back() {
    let site = Site::observed();
    let backups = site.path("state/backups");
    {
        let _daemon = Daemon::start(&site);
        wait::until("a backup is written", || {
            let mut files = fs::read_dir(&backups).ok()?.flatten();
            files.any(|file| file.file_name().to_string_lossy().ends_with(".ndjson")).then_some(())
        });
    }
    fs::write(site.path("state/db/conf"), "not what sled wrote there").expect("written");
    let history = site.run(&["history"]);
    assert_eq!(history.code, Some(0), "{history}");
    assert!(history.stderr.contains("the state was LOST, and was read back"), "{history}");
    assert!(
        history.stdout.contains("the state was lost and read back from the backup contoso-"),
        "{history}"
    );
    let user = site.staff().next().expect("there is staff").to_string();
    let explained = site.run(&["explain", &user]);
    assert!(explained.stdout.contains("as of "), "what was known before is known: {explained}");
    let examined = site.run(&["doctor"]).stdout;
    assert!(examined.contains("moved aside: db.unreadable-"), "{examined}");
}

#[test]
fn a_journal_that_was_removed_is_not_called_whole() {
    let site = Site::observed();
    let backups = site.path("state/backups");
    {
        let _daemon = Daemon::start(&site);
        wait::until("a backup is written", || {
            let mut files = fs::read_dir(&backups).ok()?.flatten();
            files.any(|file| file.file_name().to_string_lossy().ends_with(".ndjson")).then_some(())
        });
    }
    let whole = site.run(&["history", "--verify"]);
    assert!(whole.code == Some(0) && whole.stdout.starts_with("the journal is whole"), "{whole}");
    fs::remove_dir_all(site.path("state/journal")).expect("it is there");
    assert_eq!(site.run(&["plan"]).code, Some(0));
    let cut = site.run(&["history", "--verify"]);
    assert_eq!(cut.code, Some(1), "{cut}");
    assert!(cut.stdout.contains("BUT ENTRIES ARE MISSING: the backup"), "{cut}");
}

#[test]
fn the_git_hook_refuses_a_bad_policy() {
    if Command::new("git").arg("--version").output().is_err() {
        eprintln!("git is missing: the hook was not tried");
        return;
    }
    let mut check = Command::new(repository().join("deploy/test/check_gitops.sh"));
    check.arg(env!("CARGO_BIN_EXE_mailkeeper"));
    let ran = run(check);
    assert_eq!(ran.code, Some(0), "{ran}");
}
