//! Which git commit is checked out where the policy lies. Reads git's own files, runs nothing, and never fails: a
//! revision is a label for people, the digest is what counts.

use std::path::{Path, PathBuf};

/// Symbolic refs that point at symbolic refs: git itself stops at five.
const DEEPEST_REF: usize = 5;

/// Where a work tree and its git directories lie.
pub struct WorkTree {
    pub root: PathBuf,
    git: PathBuf,
    /// A linked work tree keeps its HEAD, and shares the rest.
    pub common: PathBuf,
}

/// The commit of the work tree around `path`; `None` outside of one, or before its first commit.
pub fn of(path: &Path) -> Option<String> {
    head(&work_tree(path)?)
}

/// The work tree around `path`.
pub fn work_tree(path: &Path) -> Option<WorkTree> {
    let absolute = std::fs::canonicalize(path).ok()?;
    let (root, git) = absolute.ancestors().find_map(|root| Some((root.to_owned(), git_directory(root)?)))?;
    let common = match read(&git.join("commondir")) {
        Some(shared) => git.join(shared),
        None => git.clone(),
    };
    Some(WorkTree { root, git, common })
}

/// The commit that is checked out.
pub fn head(WorkTree { git, common, .. }: &WorkTree) -> Option<String> {
    let mut value = read(&git.join("HEAD"))?;
    for _ in 0..DEEPEST_REF {
        let Some(name) = value.strip_prefix("ref: ") else { return commit(&value) };
        let name = name.trim().to_owned();
        // A ref is a path below the git directory and nowhere else.
        if name.split('/').any(|step| step.is_empty() || step.starts_with('.')) {
            return None;
        }
        value =
            read(&git.join(&name)).or_else(|| read(&common.join(&name))).or_else(|| packed(common, &name))?;
    }
    None
}

/// `.git` is a directory, or in linked work trees and submodules a file that names one.
fn git_directory(directory: &Path) -> Option<PathBuf> {
    let candidate = directory.join(".git");
    if candidate.is_dir() {
        return Some(candidate);
    }
    let named = read(&candidate)?;
    Some(directory.join(named.strip_prefix("gitdir: ")?.trim()))
}

fn packed(common: &Path, name: &str) -> Option<String> {
    let refs = std::fs::read_to_string(common.join("packed-refs")).ok()?;
    let line = refs.lines().find(|line| line.split_once(' ').is_some_and(|(_, packed)| packed == name))?;
    line.split_once(' ').map(|(commit, _)| commit.to_owned())
}

/// 40 hexadecimal digits, or 64 where the repository uses SHA-256.
fn commit(text: &str) -> Option<String> {
    let is_commit = matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_commit.then(|| text.to_owned())
}

fn read(path: &Path) -> Option<String> {
    std::fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

    fn write(path: &Path, text: &str) {
        std::fs::create_dir_all(path.parent().expect("has a parent")).expect("creates");
        std::fs::write(path, text).expect("writes");
    }

    #[test]
    fn a_loose_ref_a_packed_ref_and_a_detached_head_are_read() {
        let tree = tempfile::tempdir().expect("a directory");
        let policy = tree.path().join("config/policy.yaml");
        write(&policy, "version: 1");
        assert_eq!(of(&policy), None, "outside of any work tree");

        write(&tree.path().join(".git/HEAD"), "ref: refs/heads/main\n");
        assert_eq!(of(&policy), None, "before the first commit");

        write(
            &tree.path().join(".git/packed-refs"),
            &format!("# pack-refs with: peeled\n{COMMIT} refs/heads/main\n"),
        );
        assert_eq!(of(&policy).as_deref(), Some(COMMIT));

        let newer = COMMIT.replace('0', "f");
        write(&tree.path().join(".git/refs/heads/main"), &format!("{newer}\n"));
        assert_eq!(of(&policy), Some(newer), "a loose ref is newer than a packed one");

        write(&tree.path().join(".git/HEAD"), COMMIT);
        assert_eq!(of(&policy).as_deref(), Some(COMMIT));

        write(&tree.path().join(".git/HEAD"), "ref: ../../etc/passwd\n");
        assert_eq!(of(&policy), None);
    }

    #[test]
    fn a_linked_work_tree_has_its_own_head() {
        let root = tempfile::tempdir().expect("a directory");
        let git = root.path().join("main/.git");
        write(&git.join("HEAD"), "ref: refs/heads/main\n");
        write(&git.join("refs/heads/feature"), COMMIT);
        write(&git.join("worktrees/linked/HEAD"), "ref: refs/heads/feature\n");
        write(&git.join("worktrees/linked/commondir"), "../..\n");
        let linked = root.path().join("linked");
        write(&linked.join(".git"), &format!("gitdir: {}\n", git.join("worktrees/linked").display()));
        assert_eq!(of(&linked).as_deref(), Some(COMMIT));
    }
}
