//! Who changed the policy does not approve: with a git work tree around it, where there is a git binary to make one.

use std::fs;
use std::process::Command;

use mailkeeper::control::Person;
use serde_json::Value;

use crate::site::Site;

/// False where there is no git.
fn git(site: &Site, author: &str, arguments: &[&str]) -> bool {
    let at = "1790000000 +0000";
    Command::new("git")
        .current_dir(site.path("."))
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .envs([("GIT_AUTHOR_NAME", author), ("GIT_AUTHOR_EMAIL", "x@contoso.com"), ("GIT_AUTHOR_DATE", at)])
        .envs([("GIT_COMMITTER_NAME", "Web Flow"), ("GIT_COMMITTER_EMAIL", "noreply@forge.example")])
        .env("GIT_COMMITTER_DATE", at)
        .args(arguments)
        .output()
        .is_ok_and(|output| output.status.success())
}

fn want_four_eyes(site: &Site, login: &str, named: &str) {
    site.set_mode("act");
    let file = site.path("mailkeeper.yaml");
    let text = fs::read_to_string(&file).expect("readable");
    let people = format!("approvals: {{ four_eyes: true, people: {{ \"{login}\": {named} }} }}\n");
    fs::write(file, people + &text).expect("writable");
}

#[test]
fn who_changed_the_policy_may_deny_and_not_approve() {
    let site = Site::observed();
    site.set_policy(&site.policy().replace("on_license_lost: act", "on_license_lost: ask"));
    let person = Person::of_this_process();
    let commits = [&["init", "-q"][..], &["add", "policy.yaml"], &["commit", "-qm", "ask first"]];
    if !commits.iter().all(|arguments| git(&site, "Anna Berg", arguments)) {
        return;
    }
    site.unlicense(1);
    for _ in 0..2 {
        assert_eq!(site.run(&["plan"]).code, Some(0));
    }
    let asks: Value = serde_json::from_str(&site.run(&["asks", "--output", "json"]).stdout).expect("json");
    let ask = asks[0]["ask"]["id"].as_str().or(asks[0]["id"].as_str()).expect("one question").to_owned();

    want_four_eyes(&site, person.login(), "Anna Berg");
    let refused = site.run(&["approve", &ask]);
    assert_eq!(refused.code, Some(1), "{refused}");
    assert!(refused.stderr.contains("changed the policy last: commit "), "{refused}");
    assert!(refused.stderr.contains("by Anna Berg <x@contoso.com>, committed by Web Flow"), "{refused}");
    assert!(site.run(&["history"]).stdout.contains("was not approved"), "the attempt is in the journal");
    let _ = site.run(&["apply"]);
    assert!(site.writes().is_empty(), "nothing is half approved");

    let denied = site.run(&["deny", &ask]);
    assert_eq!(denied.code, Some(0), "{denied}");

    want_four_eyes(&site, person.login(), "ben@contoso.com");
    let approved = site.run(&["approve", &ask]);
    assert_eq!(approved.code, Some(0), "a colleague takes the answer back: {approved}");
    assert_eq!(site.run(&["apply"]).code, Some(0));
    assert_eq!(site.licensed().len(), 1);
}
