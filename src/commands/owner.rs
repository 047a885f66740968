//! Whose state it is: files of another user in it would lock the daemon out, so who is not the owner does not open it.

use std::fs::{self, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use crate::control::Person;

/// What mailkeeper itself makes in a state directory; the directory may hold more.
const OURS: [&str; 3] = ["db", "journal", "backups"];

/// sled and the journal are two levels deep; a link in a circle must not be followed for ever.
const DEEPEST: u32 = 4;

/// Refuses whoever is not the owner of the state in `directory`. A directory without a state may belong to anybody
/// (a volume that was mounted for us), but root would leave files there that its owner cannot read.
///
/// # Errors
/// For people, with the command that works.
pub fn check(directory: &Path) -> Result<(), String> {
    let Some(me) = own_uid() else { return Ok(()) };
    let db = directory.join("db");
    // Behind a link it may lie on another disk; of one that leads nowhere the link's own owner counts.
    let found = fs::metadata(&db).or_else(|_| fs::symlink_metadata(&db));
    let (path, owner) = match (found, fs::metadata(directory)) {
        (Ok(found), _) => (db.as_path(), found.uid()),
        (Err(error), Ok(found)) if error.kind() == ErrorKind::PermissionDenied || me == 0 => {
            (directory, found.uid())
        }
        (Err(_), _) => return Ok(()),
    };
    if owner == me {
        return Ok(());
    }
    let [owner, me] = [owner, me].map(Person::of_uid);
    Err(format!(
        "{} belongs to {}, and this is {}, whose files would lock the daemon out: run the command as the owner, `sudo -u {} \
         mailkeeper ..`",
        path.display(),
        owner.name,
        me.name,
        owner.login().trim_start_matches("uid "),
    ))
}

/// The first file of the state that belongs to somebody else, and how to get it back: what `Permission denied` mostly
/// comes from.
pub fn foreign(directory: &Path) -> Option<String> {
    let me = own_uid()?;
    let (path, owner) = foreign_below(&directory.join("db"), me, 0)?;
    let [owner, me] = [owner, me].map(Person::of_uid);
    Some(format!(
        "{} belongs to {}: as root, `chown -R {} {}`",
        path.display(),
        owner.name,
        me.login().trim_start_matches("uid "),
        directory.display()
    ))
}

fn foreign_below(path: &Path, me: u32, depth: u32) -> Option<(PathBuf, u32)> {
    let found = fs::symlink_metadata(path).ok()?;
    if found.uid() != me {
        return Some((path.to_owned(), found.uid()));
    }
    let entries = fs::read_dir(path).ok().filter(|_| found.is_dir() && depth < DEEPEST)?;
    entries.flatten().find_map(|entry| foreign_below(&entry.path(), me, depth + 1))
}

/// Closes to others what an earlier version, or another umask, left open: a state names people.
pub fn close_to_others(directory: &Path) {
    for name in OURS {
        let path = directory.join(name);
        let is_open =
            fs::symlink_metadata(&path).is_ok_and(|found| found.is_dir() && found.mode() & 0o077 != 0);
        if is_open && let Err(error) = fs::set_permissions(&path, Permissions::from_mode(0o700)) {
            tracing::warn!(path = %path.display(), %error, "others may look into this directory");
        }
    }
}

/// The user as whom this process makes files.
fn own_uid() -> Option<u32> {
    fs::metadata("/proc/self").ok().map(|found| found.uid())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::chown;

    use super::*;

    #[test]
    fn a_state_of_somebody_else_is_not_opened_and_its_files_are_named() {
        let directory = tempfile::tempdir().expect("a directory");
        assert_eq!(check(directory.path()), Ok(()), "an own directory without a state");
        fs::create_dir(directory.path().join("db")).expect("made");
        let file = directory.path().join("db/snap.0");
        fs::write(&file, "").expect("written");
        close_to_others(directory.path());
        let mode = fs::metadata(directory.path().join("db")).expect("there").mode();
        assert_eq!(mode & 0o777, 0o700);
        assert_eq!((check(directory.path()), foreign(directory.path())), (Ok(()), None));
        if own_uid() != Some(0) {
            eprintln!("only root can give files away: the rest was not tried");
            return;
        }
        chown(&file, Some(65_534), None).expect("root may");
        let told = foreign(directory.path()).expect("a foreign file");
        assert!(told.contains("db/snap.0 belongs to") && told.contains("chown -R"), "{told}");
        chown(directory.path().join("db"), Some(65_534), None).expect("root may");
        let refused = check(directory.path()).expect_err("not ours");
        assert!(refused.contains("uid 65534") && refused.contains("sudo -u"), "{refused}");
        fs::remove_dir_all(directory.path().join("db")).expect("removed");
        chown(directory.path(), Some(65_534), None).expect("root may");
        assert!(check(directory.path()).is_err(), "root in the empty directory of another user");
    }

    #[test]
    fn behind_a_link_the_directory_counts_and_not_the_link() {
        if own_uid() != Some(0) {
            eprintln!("only root can give files away: not tried");
            return;
        }
        let (directory, disk) =
            (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a disk"));
        let link = directory.path().join("db");
        std::os::unix::fs::symlink(disk.path(), &link).expect("linked");
        std::os::unix::fs::lchown(&link, Some(65_534), None).expect("root may");
        assert_eq!(check(directory.path()), Ok(()));
        chown(disk.path(), Some(65_534), None).expect("root may");
        assert!(check(directory.path()).is_err(), "the state behind it belongs to somebody else");
    }
}
