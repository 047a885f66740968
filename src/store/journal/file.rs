//! The log in files: `journal-00000001.ndjson` and so on in a directory of the tenant, readable by the owner alone,
//! since entries name people.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::log::LogFile;

const PREFIX: &str = "journal-";
const SUFFIX: &str = ".ndjson";
const OWNER_ONLY: u32 = 0o600;
const OWNER_ONLY_DIRECTORY: u32 = 0o700;

/// Segments as files. Reading opens files anew; the newest one stays open for appending.
#[derive(Debug)]
pub struct FileLog {
    directory: PathBuf,
    newest: Option<File>,
}

impl FileLog {
    /// Makes the directory where it is missing.
    pub fn open(directory: &Path) -> io::Result<Self> {
        if !directory.exists() {
            DirBuilder::new().recursive(true).mode(OWNER_ONLY_DIRECTORY).create(directory)?;
            if let Some(parent) = directory.parent() {
                sync_directory(parent)?;
            }
        }
        let mut log = Self { directory: directory.to_owned(), newest: None };
        if let Some(segment) = log.segments()?.last() {
            log.newest = Some(OpenOptions::new().append(true).open(log.path(*segment))?);
        }
        Ok(log)
    }

    fn path(&self, segment: u32) -> PathBuf {
        self.directory.join(format!("{PREFIX}{segment:08}{SUFFIX}"))
    }

    fn newest(&mut self) -> io::Result<&mut File> {
        self.newest.as_mut().ok_or_else(|| io::Error::new(ErrorKind::NotFound, "there is no segment yet"))
    }

    fn make(&self, path: &Path) -> io::Result<File> {
        let file = OpenOptions::new().append(true).create_new(true).mode(OWNER_ONLY).open(path)?;
        sync_directory(&self.directory)?;
        Ok(file)
    }
}

impl LogFile for FileLog {
    fn segments(&self) -> io::Result<Vec<u32>> {
        let mut segments = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            segments.extend(number(&entry?.file_name().to_string_lossy()));
        }
        segments.sort_unstable();
        Ok(segments)
    }

    fn create(&mut self, segment: u32) -> io::Result<()> {
        self.newest = Some(self.make(&self.path(segment))?);
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.newest()?.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.newest()?.sync_data()
    }

    fn read(&self, segment: u32, offset: u64, limit: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; limit];
        let count = File::open(self.path(segment))?.read_at(&mut bytes, offset)?;
        bytes.truncate(count);
        Ok(bytes)
    }

    fn truncate(&mut self, segment: u32, len: u64) -> io::Result<()> {
        // Opened anew: after a failed `create` the open file may be an older segment than the newest.
        let file = OpenOptions::new().append(true).open(self.path(segment))?;
        file.set_len(len)?;
        file.sync_all()?;
        sync_directory(&self.directory)?;
        self.newest = Some(file);
        Ok(())
    }

    fn set_aside(&mut self, bytes: &[u8]) -> io::Result<String> {
        for number in 1_u32.. {
            let name = format!("journal.torn-{number}");
            match self.make(&self.directory.join(&name)) {
                Ok(mut file) => {
                    file.write_all(bytes)?;
                    file.sync_all()?;
                    return Ok(name);
                }
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::other("no name is left for the torn end of the journal"))
    }
}

fn number(name: &str) -> Option<u32> {
    name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?.parse().ok()
}

/// A new name is durable only once its directory is. An empty path is the working directory.
fn sync_directory(path: &Path) -> io::Result<()> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    File::open(path)?.sync_all()
}
