//! Who changed the policy last, and when, where git tells. Walks back from the commit that is checked out to the one in
//! which the files came to say what they say now. Never fails: git tells, or it does not.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sha2::Digest as _;

use crate::model::Timestamp;

use super::fault::Source;
use super::objects::{Kind, Objects, to_hex};
use super::revision;

/// The commit that changed the policy last. Names are what the commit says; git does not prove them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub commit: String,
    pub author: Identity,
    pub committer: Identity,
    /// When it was committed, not when it was written.
    pub at: Timestamp,
}

/// A person as git names one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub name: String,
    pub email: String,
}

/// Commits looked at: years of a repository of its own. In a busy one that holds other things, too, each pass walks
/// back anew, and more would be felt.
const MOST_COMMITS: usize = 2_000;

/// Files by name with the ids of their contents.
type Snapshot = BTreeMap<Vec<u8>, String>;

/// The last change of these files. `None` outside of a work tree, for files that are not as committed, and where the
/// history does not reach back far enough: a shallow clone.
pub fn last_change(path: &Path, sources: &[Source]) -> Option<Change> {
    let tree = revision::work_tree(path)?;
    let mut current = revision::head(&tree)?;
    let is_sha256 = current.len() == 64;
    let absolute = std::fs::canonicalize(path).ok()?;
    let wanted = Wanted::of(absolute.strip_prefix(&tree.root).ok()?, absolute.is_dir())?;
    let objects = Objects::open(&tree.common);
    let mut commit = Commit::read(&objects, &current)?;
    let now = wanted.snapshot(&objects, &commit.tree)?;
    if now != on_disk(sources, is_sha256)? {
        return None;
    }
    let shallow = std::fs::read_to_string(tree.common.join("shallow")).unwrap_or_default();
    for _ in 0..MOST_COMMITS {
        if shallow.lines().any(|line| line.trim() == current) {
            return None;
        }
        let mut same = None;
        for parent in &commit.parents {
            let read = Commit::read(&objects, parent)?;
            if wanted.snapshot(&objects, &read.tree)? == now {
                same = Some((parent.clone(), read));
                break;
            }
        }
        match same {
            Some((parent, read)) => (current, commit) = (parent, read),
            None => return Some(commit.change(current)),
        }
    }
    None
}

/// The files as they lie there, as git would name their contents.
fn on_disk(sources: &[Source], is_sha256: bool) -> Option<Snapshot> {
    let entries = sources.iter().map(|source| {
        let name = Path::new(&source.name).file_name()?.as_encoded_bytes().to_vec();
        let blob = [format!("blob {}\0", source.text.len()).as_bytes(), source.text.as_bytes()].concat();
        let id = match is_sha256 {
            true => to_hex(&sha2::Sha256::digest(&blob)),
            false => to_hex(ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, &blob).as_ref()),
        };
        Some((name, id))
    });
    entries.collect()
}

/// Which entries of a tree are the policy.
struct Wanted {
    directories: Vec<Vec<u8>>,
    /// `None`: every policy file of the directory.
    file: Option<Vec<u8>>,
}

impl Wanted {
    fn of(relative: &Path, is_directory: bool) -> Option<Self> {
        let mut directories: Vec<Vec<u8>> =
            relative.components().map(|step| step.as_os_str().as_encoded_bytes().to_vec()).collect();
        let file = if is_directory { None } else { Some(directories.pop()?) };
        Some(Self { directories, file })
    }

    /// Empty where the directory was not there yet.
    fn snapshot(&self, objects: &Objects, tree: &str) -> Option<Snapshot> {
        let length = tree.len() / 2;
        let mut tree = objects.read(tree, Kind::Tree)?;
        for step in &self.directories {
            let Some((_, id)) = entries(&tree, length)?.into_iter().find(|(name, _)| name == step) else {
                return Some(Snapshot::new());
            };
            match objects.read(&id, Kind::Tree) {
                Some(below) => tree = below,
                None => return None,
            }
        }
        let is_wanted = |name: &[u8]| match &self.file {
            Some(file) => name == file,
            None => !name.starts_with(b".") && (name.ends_with(b".yaml") || name.ends_with(b".yml")),
        };
        Some(entries(&tree, length)?.into_iter().filter(|(name, _)| is_wanted(name)).collect())
    }
}

/// The lines of a tree: mode, space, name, zero, id in bytes.
fn entries(tree: &[u8], id_length: usize) -> Option<Vec<(Vec<u8>, String)>> {
    let (mut rest, mut found) = (tree, Vec::new());
    while !rest.is_empty() {
        let space = rest.iter().position(|byte| *byte == b' ')?;
        let end = rest.iter().position(|byte| *byte == 0)?;
        let id = rest.get(end + 1..end + 1 + id_length)?;
        found.push((rest.get(space + 1..end)?.to_vec(), to_hex(id)));
        rest = &rest[end + 1 + id_length..];
    }
    Some(found)
}

struct Commit {
    tree: String,
    parents: Vec<String>,
    author: Identity,
    committer: Identity,
    at: Timestamp,
}

impl Commit {
    fn read(objects: &Objects, id: &str) -> Option<Self> {
        Self::parse(&String::from_utf8_lossy(&objects.read(id, Kind::Commit)?))
    }

    fn parse(text: &str) -> Option<Self> {
        let head: Vec<(&str, &str)> = text
            .lines()
            .take_while(|line| !line.is_empty())
            .filter_map(|line| line.split_once(' '))
            .collect();
        let value = |key: &str| head.iter().find(|(name, _)| *name == key).map(|(_, value)| *value);
        let (author, _) = signed(value("author")?)?;
        let (committer, at) = signed(value("committer")?)?;
        let parents =
            head.iter().filter(|(name, _)| *name == "parent").map(|(_, id)| (*id).to_owned()).collect();
        Some(Self { tree: value("tree")?.to_owned(), parents, author, committer, at })
    }

    fn change(self, commit: String) -> Change {
        Change { commit, author: self.author, committer: self.committer, at: self.at }
    }
}

/// `Anna Berg <anna@contoso.com> 1790000000 +0200`.
fn signed(line: &str) -> Option<(Identity, Timestamp)> {
    let (name, rest) = line.split_once('<')?;
    let (email, rest) = rest.rsplit_once('>')?;
    let seconds: i64 = rest.split_whitespace().next()?.parse().ok()?;
    let identity = Identity { name: name.trim().to_owned(), email: email.trim().to_owned() };
    Some((identity, Timestamp::from_secs(seconds)))
}

/// When the newest of the files was written: the date of a policy of which git does not tell.
pub fn newest_file(sources: &[Source]) -> Option<Timestamp> {
    let written = |source: &Source| {
        let modified = std::fs::metadata(PathBuf::from(&source.name)).ok()?.modified().ok()?;
        let seconds = modified.duration_since(std::time::UNIX_EPOCH).ok()?.as_secs();
        Some(Timestamp::from_secs(i64::try_from(seconds).ok()?))
    };
    sources.iter().filter_map(written).max()
}

#[cfg(test)]
mod tests;
