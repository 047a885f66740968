//! The seam beneath the journal: bytes that only grow, in numbered segments.

use std::io;

/// Numbered segments of bytes; only the newest one grows. Implementations: [`super::FileLog`] and [`super::MemoryLog`].
pub trait LogFile: Send {
    /// The numbers of the segments, ascending.
    fn segments(&self) -> io::Result<Vec<u32>>;

    /// Makes an empty segment, the newest from here on. Its existence is durable when this returns.
    fn create(&mut self, segment: u32) -> io::Result<()>;

    /// Adds to the newest segment. Not durable before [`LogFile::sync`]; after an error any part may have been added.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Returns once everything appended would survive the loss of power.
    fn sync(&mut self) -> io::Result<()>;

    /// At most `limit` bytes of a segment from `offset` on; empty at the end.
    fn read(&self, segment: u32, offset: u64, limit: usize) -> io::Result<Vec<u8>>;

    /// Cuts the newest segment, which must be `segment`, to `len` bytes, durably, and goes on appending there.
    fn truncate(&mut self, segment: u32, len: u64) -> io::Result<()>;

    /// Keeps bytes that were cut off, durably, outside the segments; returns the name for people.
    fn set_aside(&mut self, bytes: &[u8]) -> io::Result<String>;
}

/// Bytes read at a time.
pub(super) const CHUNK: usize = 64 << 10;

/// Everything of a segment from `offset` on.
pub(super) fn read_from(log: &dyn LogFile, segment: u32, offset: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    loop {
        let chunk = log.read(segment, offset + bytes.len() as u64, CHUNK)?;
        if chunk.is_empty() {
            return Ok(bytes);
        }
        bytes.extend(chunk);
    }
}
