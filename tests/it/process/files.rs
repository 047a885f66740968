//! Files that commands make: for their owner alone, in a state of their owner, never over somebody else's.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::Path;
use std::process::Command;

use crate::site::{Ran, Site, binary, run};

/// The command under a mask that lets everybody read.
fn under_an_open_mask(site: &Site, arguments: &str) -> Ran {
    let mut shell = Command::new("sh");
    let (binary, config) = (env!("CARGO_BIN_EXE_mailkeeper"), site.path("mailkeeper.yaml"));
    shell.args(["-c", &format!("umask 000; exec {binary} --config {} {arguments}", config.display())]);
    run(shell)
}

/// Everything below that others may read.
fn open_to_others(path: &Path) -> Vec<String> {
    let found = fs::symlink_metadata(path).expect("it is there");
    let mut open = Vec::new();
    if found.mode() & 0o077 != 0 {
        open.push(format!("{} {:o}", path.display(), found.mode() & 0o777));
    }
    if found.is_dir() {
        let entries = fs::read_dir(path).expect("readable").flatten();
        open.extend(entries.flat_map(|entry| open_to_others(&entry.path())));
    }
    open
}

#[test]
fn state_and_backups_are_for_their_owner_alone_and_no_other_file_is_replaced() {
    let site = Site::new();
    assert_eq!(under_an_open_mask(&site, "plan").code, Some(0));
    assert_eq!(open_to_others(&site.path("state")), [] as [String; 0]);
    let backup = site.path("copy.ndjson");
    for _ in 0..2 {
        let ran = under_an_open_mask(&site, &format!("backup {}", backup.display()));
        assert_eq!(ran.code, Some(0), "an older backup may be replaced: {ran}");
    }
    assert_eq!(open_to_others(&backup), [] as [String; 0]);
    let policy = site.path("policy.yaml");
    let ran = site.run(&["backup", policy.to_str().expect("the path is UTF-8")]);
    assert_eq!(ran.code, Some(1), "{ran}");
    assert!(ran.stderr.contains("is no backup of mailkeeper"), "{ran}");
    assert_eq!(fs::read_to_string(policy).expect("it is there"), site.policy());
}

#[test]
fn a_state_of_somebody_else_is_left_alone() {
    let site = Site::observed();
    if fs::metadata(site.path("state")).expect("it is there").uid() != 0 {
        eprintln!("only root can give files away: this was not tried");
        return;
    }
    chown(site.path("state/db"), Some(65_534), None).expect("root may");
    for command in [&["status"][..], &["plan"], &["run"], &["doctor"]] {
        let ran = site.run(command);
        assert_eq!(ran.code, Some(1), "{command:?}: {ran}");
        let said = format!("{}{}", ran.stdout, ran.stderr);
        assert!(said.contains("belongs to") && said.contains("sudo -u"), "{command:?}: {ran}");
    }
    let others: Vec<_> = fs::read_dir(site.path("state/db")).expect("readable").flatten().collect();
    assert!(others.iter().all(|file| file.file_name() != "snap.new"), "nothing was written");
}

#[test]
fn a_simulation_does_not_replace_settings_that_differ() {
    let site = Site::new();
    let directory = site.path(".");
    let mut command = binary();
    command.args(["simulate", "--users", "20", "--listen", "127.0.0.1:0", "--write-config"]).arg(directory);
    let before = fs::read_to_string(site.path("mailkeeper.yaml")).expect("it is there");
    let ran = run(command);
    assert_eq!(ran.code, Some(1), "{ran}");
    assert!(ran.stderr.contains("is there and differs"), "{ran}");
    assert_eq!(fs::read_to_string(site.path("mailkeeper.yaml")).expect("it is there"), before);
    let mut command = binary();
    command.args(["simulate", "--listen", "0.0.0.0:0"]);
    let ran = run(command);
    assert_eq!(ran.code, Some(1), "{ran}");
    assert!(ran.stderr.starts_with("mailkeeper: 0.0.0.0:0 is not on loopback"), "{ran}");
}
