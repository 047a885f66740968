//! Against repositories that a git binary makes, and against one that is written by hand where there is none.

use std::io::Write as _;
use std::process::Command;

use super::*;
use crate::policy::source;

const POLICY: &str = "version: 1\nkeep:\n  - { name: a, match: { domain: contoso.com } }\n";

fn git(tree: &Path, person: &str, arguments: &[&str]) -> bool {
    let at = "1790000000 +0200";
    Command::new("git")
        .current_dir(tree)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_AUTHOR_NAME", person)
        .env("GIT_AUTHOR_EMAIL", format!("{person}@contoso.com"))
        .env("GIT_AUTHOR_DATE", at)
        .env("GIT_COMMITTER_NAME", "Web Flow")
        .env("GIT_COMMITTER_EMAIL", "noreply@forge.example")
        .env("GIT_COMMITTER_DATE", at)
        .args(arguments)
        .output()
        .is_ok_and(|output| output.status.success())
}

fn author(path: &Path) -> Option<String> {
    source::load(path).expect("good").change.map(|change| change.author.name)
}

fn commit(tree: &Path, person: &str, file: &str, text: &str) {
    std::fs::write(tree.join(file), text).expect("writes");
    assert!(git(tree, person, &["add", "."]) && git(tree, person, &["commit", "-qm", "a change"]));
}

#[test]
fn the_last_change_of_the_files_is_found_loose_and_packed() {
    let directory = tempfile::tempdir().expect("a directory");
    let tree = directory.path();
    if !git(tree, "nobody", &["init", "-q"]) {
        return;
    }
    std::fs::create_dir(tree.join("config")).expect("creates");
    let (folder, file) = (tree.join("config"), tree.join("config/policy.yaml"));
    let mut text = POLICY.to_owned();
    for number in 0..40 {
        text.push_str(&format!("# line {number}\n"));
        commit(tree, "paul", "config/policy.yaml", &text);
    }
    commit(tree, "anna", "config/policy.yaml", POLICY);
    commit(tree, "ben", "README", "not the policy\n");
    let looks_alike = |when: &str| {
        assert_eq!(author(&file).as_deref(), Some("anna"), "{when}");
        assert_eq!(author(&folder).as_deref(), Some("anna"), "{when}");
    };
    looks_alike("loose");
    assert!(git(tree, "nobody", &["gc", "-q", "--aggressive", "--prune=now"]));
    looks_alike("packed");

    let change = last_change(&file, &source::read(&file).expect("readable")).expect("told");
    assert_eq!(change.committer.email, "noreply@forge.example");
    assert_eq!(change.at, Timestamp::from_secs(1_790_000_000));

    // A merge that takes a side is no change of its own.
    assert!(git(tree, "nobody", &["checkout", "-qb", "side", "HEAD~1"]));
    commit(tree, "carl", "config/policy.yaml", &format!("{POLICY}# carl\n"));
    assert!(git(tree, "nobody", &["checkout", "-q", "-"]));
    assert!(git(tree, "dora", &["merge", "-q", "--no-ff", "-m", "merge", "side"]));
    assert_eq!(author(&file).as_deref(), Some("carl"));

    // A second file counts for the directory alone, also when it goes.
    commit(tree, "emil", "config/more.yaml", "version: 1\n");
    assert_eq!(author(&file).as_deref(), Some("carl"));
    assert_eq!(author(&folder).as_deref(), Some("emil"));
    std::fs::remove_file(tree.join("config/more.yaml")).expect("removes");
    assert_eq!(author(&folder), None, "not as committed");
    assert!(git(tree, "fred", &["commit", "-qam", "less"]));
    assert_eq!(author(&folder).as_deref(), Some("fred"));

    std::fs::write(&file, format!("{POLICY}# not committed\n")).expect("writes");
    let edited = source::load(&file).expect("good");
    assert_eq!(edited.change, None, "nobody says who wrote this");
    assert!(edited.dated.is_some_and(|dated| dated > Timestamp::from_secs(1_700_000_000)), "the file's own");
}

#[test]
fn a_shallow_clone_does_not_tell_what_lies_behind_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let (origin, clone) = (directory.path().join("origin"), directory.path().join("clone"));
    std::fs::create_dir(&origin).expect("creates");
    if !git(&origin, "nobody", &["init", "-q"]) {
        return;
    }
    commit(&origin, "anna", "policy.yaml", POLICY);
    commit(&origin, "ben", "README", "not the policy\n");
    let from = format!("file://{}", origin.display());
    let to = clone.display().to_string();
    assert!(git(directory.path(), "nobody", &["clone", "-q", "--depth", "1", &from, &to]));
    assert_eq!(author(&clone.join("policy.yaml")), None, "ben is not it");
}

fn put(tree: &Path, kind: &str, body: &[u8]) -> String {
    let bytes = [format!("{kind} {}\0", body.len()).as_bytes(), body].concat();
    let id = to_hex(ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, &bytes).as_ref());
    let path = tree.join(".git/objects").join(&id[..2]).join(&id[2..]);
    std::fs::create_dir_all(path.parent().expect("has one")).expect("creates");
    let file = std::fs::File::create(path).expect("creates");
    let mut packed = flate2::write::ZlibEncoder::new(file, flate2::Compression::fast());
    packed.write_all(&bytes).expect("writes");
    packed.finish().expect("writes");
    id
}

#[test]
fn a_repository_written_by_hand_is_read_and_a_damaged_one_tells_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let tree = directory.path();
    std::fs::write(tree.join("policy.yaml"), POLICY).expect("writes");
    let blob = put(tree, "blob", POLICY.as_bytes());
    let id: Vec<u8> =
        (0..40).step_by(2).map(|at| u8::from_str_radix(&blob[at..at + 2], 16).expect("hex")).collect();
    let root = put(tree, "tree", &[b"100644 policy.yaml\0", id.as_slice()].concat());
    let body = format!(
        "tree {root}\nauthor Anna Berg <anna@contoso.com> 1 +0000\ncommitter B <b@c> 1790000000 +0000\n\nauthor x\n"
    );
    let head = put(tree, "commit", body.as_bytes());
    std::fs::write(tree.join(".git/HEAD"), &head).expect("writes");
    let path = tree.join("policy.yaml");
    let change = source::load(&path).expect("good").change.expect("told");
    assert_eq!((change.commit.as_str(), change.author.name.as_str()), (head.as_str(), "Anna Berg"));

    std::fs::write(tree.join(".git/objects").join(&root[..2]).join(&root[2..]), "rubbish").expect("writes");
    assert_eq!(source::load(&path).expect("good").change, None);
}
