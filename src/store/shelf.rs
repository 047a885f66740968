//! The daily backups of one tenant as files: `<tenant>-<date>.ndjson`, the newest few. Written beside the target and
//! renamed, so that what stands there is whole; readable by the owner alone, since it names people.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufReader, BufWriter};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use chrono::NaiveDate;

use crate::model::Timestamp;

use super::backup::{self, Counts, Header};
use super::journal::Head;
use super::{Cause, Error, Operation, Result, TenantStore};

/// Two weeks: long enough to notice over a holiday that a state went wrong, and some hundred megabytes for a large
/// tenant.
pub const KEPT: usize = 14;

const SUFFIX: &str = ".ndjson";
const DATE: &str = "%Y-%m-%d";

/// Where the backups of one tenant lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shelf {
    directory: PathBuf,
    tenant: String,
}

/// What [`Shelf::refill`] did.
#[derive(Debug, Default)]
pub struct Refilled {
    /// The backup that was read; `None` when there is no good one.
    pub from: Option<(PathBuf, Header)>,
    /// Newer ones that could not be.
    pub unusable: Vec<(PathBuf, Error)>,
}

impl Shelf {
    /// `tenant` is the tenant's name in the settings.
    pub fn new(directory: PathBuf, tenant: impl Into<String>) -> Self {
        Self { directory, tenant: tenant.into() }
    }

    /// The files, newest first by the date in their name.
    pub fn newest_first(&self) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(&self.directory) else { return Vec::new() };
        let mut found: Vec<(NaiveDate, PathBuf)> = entries
            .flatten()
            .filter_map(|entry| Some((self.date(&entry.file_name().to_string_lossy())?, entry.path())))
            .collect();
        found.sort_by(|one, other| other.cmp(one));
        found.into_iter().map(|(_, path)| path).collect()
    }

    /// The newest backup that starts like one, and when it was made.
    pub fn newest(&self) -> Option<(PathBuf, Header)> {
        self.newest_first().into_iter().find_map(|path| {
            let header = backup::header(&mut BufReader::new(File::open(&path).ok()?)).ok()?;
            Some((path, header))
        })
    }

    pub fn has_one_of(&self, day: Timestamp) -> bool {
        self.path(day).exists()
    }

    /// Writes the backup of the day, replacing an earlier one of the same day, and removes what is older than the
    /// newest [`KEPT`].
    ///
    /// # Errors
    /// Of the disk and of the store; an older backup is never touched then.
    pub fn write(&self, store: &TenantStore, head: Head, now: Timestamp) -> Result<(PathBuf, Counts)> {
        let failed = |error: io::Error| failed(&self.directory, error);
        if !self.directory.exists() {
            DirBuilder::new().recursive(true).mode(0o700).create(&self.directory).map_err(failed)?;
        }
        let (path, partial) = (self.path(now), self.directory.join(format!(".{}.partial", self.tenant)));
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&partial);
        let mut output = BufWriter::new(file.map_err(failed)?);
        let counts = backup::export(store, now, Some(head), &mut output)?;
        output.into_inner().map_err(|error| failed(error.into_error()))?.sync_all().map_err(failed)?;
        fs::rename(&partial, &path).map_err(failed)?;
        File::open(&self.directory).and_then(|directory| directory.sync_all()).map_err(failed)?;
        for old in self.newest_first().into_iter().skip(KEPT) {
            fs::remove_file(old).map_err(failed)?;
        }
        Ok((path, counts))
    }

    /// Fills an empty state from the newest backup that is good. Damaged ones are passed over.
    pub fn refill(&self, store: &TenantStore) -> Refilled {
        let mut refilled = Refilled::default();
        for path in self.newest_first() {
            let imported = File::open(&path)
                .map_err(|error| failed(&path, error))
                .and_then(|file| backup::import(store, &mut BufReader::new(file)));
            match imported {
                Ok((header, _)) => {
                    refilled.from = Some((path, header));
                    return refilled;
                }
                Err(error) => refilled.unusable.push((path, error)),
            }
        }
        refilled
    }

    fn path(&self, day: Timestamp) -> PathBuf {
        let date = day.to_datetime().format(DATE);
        self.directory.join(format!("{}-{date}{SUFFIX}", self.tenant))
    }

    /// `None` for a file of another tenant, also of one whose name starts alike.
    fn date(&self, name: &str) -> Option<NaiveDate> {
        let date = name.strip_prefix(&self.tenant)?.strip_prefix('-')?.strip_suffix(SUFFIX)?;
        NaiveDate::parse_from_str(date, DATE).ok()
    }
}

fn failed(path: &Path, error: io::Error) -> Error {
    Error::Failed { operation: Operation::Export, key: path.display().to_string(), source: Cause::new(error) }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::sync::Arc;

    use super::*;
    use crate::model::Span;
    use crate::store::memory::MemoryKv;
    use crate::store::samples::{TENANT, id, known};

    const DAY: Timestamp = Timestamp::from_secs(1_795_435_200);

    fn store(users: u128) -> TenantStore {
        let store = TenantStore::new(Arc::new(MemoryKv::new()), TENANT);
        store.put_users((0..users).map(|number| known(number, 0))).expect("written");
        store
    }

    fn names(shelf: &Shelf) -> Vec<String> {
        let name = |path: PathBuf| path.file_name().expect("a file").to_string_lossy().into_owned();
        shelf.newest_first().into_iter().map(name).collect()
    }

    #[test]
    fn the_newest_fourteen_days_are_kept_for_the_owner_alone() {
        let directory = tempfile::tempdir().expect("a directory");
        let shelf = Shelf::new(directory.path().join("backups"), "contoso");
        let other = Shelf::new(directory.path().join("backups"), "contoso-eu");
        let store = store(3);
        other.write(&store, Head::default(), DAY).expect("written");
        for day in 0..16 {
            let now = DAY + Span::from_days(day);
            assert!(!shelf.has_one_of(now));
            shelf.write(&store, Head::default(), now).expect("written");
            assert!(shelf.has_one_of(now));
        }
        let found = names(&shelf);
        assert_eq!((found.len(), found[0].as_str()), (KEPT, "contoso-2026-12-08.ndjson"));
        assert_eq!(found[KEPT - 1], "contoso-2026-11-25.ndjson");
        assert_eq!(names(&other), ["contoso-eu-2026-11-23.ndjson"], "another tenant's are not touched");
        let (path, header) = shelf.newest().expect("there");
        assert_eq!(header.made_at, DAY + Span::from_days(15));
        assert_eq!(fs::metadata(path).expect("there").permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_lost_state_is_refilled_from_the_newest_backup_that_is_whole() {
        let directory = tempfile::tempdir().expect("a directory");
        let shelf = Shelf::new(directory.path().to_owned(), "contoso");
        assert!(shelf.refill(&store(0)).from.is_none(), "nothing to read");
        shelf.write(&store(5), Head::default(), DAY).expect("written");
        let (torn, _) = shelf.write(&store(9), Head::default(), DAY + Span::from_days(1)).expect("written");
        let bytes = fs::read(&torn).expect("readable");
        fs::write(&torn, &bytes[..bytes.len() / 2]).expect("torn");
        let empty = store(0);
        let Refilled { from, unusable } = shelf.refill(&empty);
        assert_eq!(from.expect("the older one").1.made_at, DAY);
        assert_eq!(unusable.len(), 1);
        assert_eq!(empty.count_users().expect("readable"), 5);
        assert!(empty.user(id(4)).expect("readable").is_some());
    }
}
