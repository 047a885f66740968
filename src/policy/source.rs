//! Policy files on disk: one file or a directory of them, read whole, checked and digested. Knows nothing of what is
//! in them.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::fault::{Fault, Source};
use super::locate::LONGEST_FILE;
use super::{Policy, authorship, combine, revision};

/// More files than anybody keeps in one directory by intent; a wrong path such as `/etc` is found out early.
const MOST_FILES: usize = 256;

/// Reads a policy from a file, or from the `*.yaml` and `*.yml` files of a directory in the order of their names.
///
/// # Errors
/// Every fault of every file; a file that cannot be read is one of them.
pub fn load(path: &Path) -> Result<Policy, Vec<Fault>> {
    let sources = read(path)?;
    let policy = combine::combine(&sources)?;
    let change = authorship::last_change(path, &sources);
    let dated = change.as_ref().map(|change| change.at).or_else(|| authorship::newest_file(&sources));
    Ok(Policy { revision: revision::of(path), change, dated, ..policy })
}

/// The digest that a policy at `path` would have, without looking at what it says: has anything changed?
///
/// # Errors
/// As [`load`], for files that cannot be read.
pub fn digest(path: &Path) -> Result<String, Vec<Fault>> {
    read(path).map(|sources| combine::digest(&sources))
}

/// The files as text.
///
/// # Errors
/// Files that are missing, unreadable, too long or not UTF-8; a directory without policy files.
pub fn read(path: &Path) -> Result<Vec<Source>, Vec<Fault>> {
    let files = if path.is_dir() { listed(path)? } else { vec![path.to_owned()] };
    let (mut sources, mut faults) = (Vec::new(), Vec::new());
    for file in files {
        match read_file(&file) {
            Ok(source) => sources.push(source),
            Err(more) => faults.extend(more),
        }
    }
    if faults.is_empty() { Ok(sources) } else { Err(faults) }
}

/// One file as text.
///
/// # Errors
/// A file that is missing, unreadable, too long or not UTF-8.
pub fn read_file(path: &Path) -> Result<Source, Vec<Fault>> {
    let name = path.display().to_string();
    let unreadable =
        |error: std::io::Error| vec![Fault::of_file(&name, format!("cannot be read: {error}"), "")];
    let file = File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    // One byte more than allowed is enough to know that it is too long.
    file.take(LONGEST_FILE as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    decoded(name, bytes)
}

/// Bytes as the text of a file.
///
/// # Errors
/// Too long, or not UTF-8.
pub fn decoded(name: String, bytes: Vec<u8>) -> Result<Source, Vec<Fault>> {
    if bytes.len() > LONGEST_FILE {
        let hint = "use a group or an attribute instead of single ids, or a directory of files";
        return Err(vec![Fault::of_file(name, "longer than 1 MiB", hint)]);
    }
    if bytes.starts_with(b"\xef\xbb\xbf") || bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff")
    {
        return Err(vec![Fault::of_file(
            name,
            "starts with a byte order mark",
            "save it as UTF-8 without BOM",
        )]);
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Source { name, text }),
        Err(error) => {
            let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = valid.iter().filter(|byte| **byte == b'\n').count() + 1;
            let mut fault = Fault::of_file(name, "not UTF-8", "save the file as UTF-8");
            fault.line = u32::try_from(line).unwrap_or(u32::MAX);
            fault.column = 1;
            Err(vec![fault])
        }
    }
}

/// The policy files of a directory by name; hidden ones and other endings are not policy.
fn listed(directory: &Path) -> Result<Vec<PathBuf>, Vec<Fault>> {
    let name = directory.display().to_string();
    let unreadable =
        |error: std::io::Error| vec![Fault::of_file(&name, format!("cannot be listed: {error}"), "")];
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let is_hidden = path.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'));
        let is_yaml = path.extension().is_some_and(|ending| ending == "yaml" || ending == "yml");
        if is_yaml && !is_hidden {
            files.push(path);
        }
    }
    files.sort();
    match files.len() {
        0 => Err(vec![Fault::of_file(name, "no policy files here", "they end in .yaml")]),
        1..=MOST_FILES => Ok(files),
        count => {
            let message = format!("{count} files are too many");
            Err(vec![Fault::of_file(name, message, "is this the right directory?")])
        }
    }
}
