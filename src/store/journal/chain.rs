//! Walking the chain: from line to line, to the first one that does not fit. Reads through a closure, changes nothing.

use std::io;

use serde::{Deserialize, Serialize};

use crate::model::TenantId;

use super::APPEND_BYTES;
use super::line::Line;
use super::log::{CHUNK, LogFile};

/// How every line starts; it stands nowhere else, since quotes inside of texts are escaped.
const LINE_START: &[u8] = b"{\"seq\":";

/// A line and its place in the chain: the anchor that metrics and backups carry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// 0 before the first line.
    pub seq: u64,
    /// SHA-256, hex; 64 zeros before the first line.
    pub hash: String,
}

impl Default for Head {
    fn default() -> Self {
        Self { seq: 0, hash: "0".repeat(64) }
    }
}

/// What a walk found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verification {
    /// Good lines.
    pub entries: u64,
    /// The `seq` of the first line: above 1 when older segments were taken away.
    pub first_seq: Option<u64>,
    /// The last good line.
    pub head: Head,
    pub first_bad: Option<Bad>,
    /// Where the good lines of the newest segment end.
    pub(super) end_of_newest: u64,
}

/// The first line that does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bad {
    pub segment: u32,
    /// Where the line starts, in bytes.
    pub offset: u64,
    pub reason: String,
}

/// What there is to walk.
#[derive(Debug)]
pub(super) struct Extent {
    /// Ascending, never empty.
    pub(super) segments: Vec<u32>,
    /// Where the newest segment ends; `None`: wherever its bytes end.
    pub(super) end: Option<u64>,
    newest: u32,
}

impl Extent {
    pub(super) fn of(log: &dyn LogFile) -> io::Result<Self> {
        let segments = log.segments()?;
        let newest = segments.last().copied().unwrap_or_default();
        Ok(Self { segments, end: None, newest })
    }

    pub(super) fn newest(&self) -> u32 {
        self.newest
    }

    /// One segment alone; its chain starts wherever it does.
    pub(super) fn only(&self, segment: u32) -> Self {
        Self { segments: vec![segment], end: self.end, newest: self.newest }
    }
}

/// Walks all lines, oldest first, and shows the good ones.
pub(super) fn walk(
    extent: &Extent,
    tenant: TenantId,
    read: impl Fn(u32, u64, usize) -> io::Result<Vec<u8>>,
    mut look: impl FnMut(&Line),
) -> io::Result<Verification> {
    let mut found = Verification::default();
    let mut before = None;
    for segment in extent.segments.iter().copied() {
        let is_first = before.is_none();
        let bad = |offset, reason| Some(Bad { segment, offset, reason });
        if before.is_some_and(|before: u32| before.checked_add(1) != Some(segment)) {
            found.first_bad = bad(0, "the segment before it is missing".to_owned());
            return Ok(found);
        }
        before = Some(segment);
        let end = if segment == extent.newest { extent.end } else { None };
        let mut lines = Lines::new(|offset, limit| read(segment, offset, limit), end);
        while let Some((offset, text)) = lines.next()? {
            // Older segments may have been taken away, so the first line of a later one starts the chain.
            let starts_chain = is_first && offset == 0 && segment > 1;
            match fits(&text, &found.head, tenant, starts_chain) {
                Err(reason) => {
                    found.first_bad = bad(offset, reason);
                    return Ok(found);
                }
                Ok(line) => {
                    found.entries += 1;
                    found.first_seq.get_or_insert(line.seq);
                    found.head = line.head();
                    look(&line);
                }
            }
        }
        found.end_of_newest = lines.offset;
    }
    Ok(found)
}

/// True when the damage at the start of `tail`, where the line `damaged` should be, is not the end of an append that a
/// crash interrupted: a later append stands behind it, which only began once the damaged line was durable, or a whole
/// line stands there that merely belongs elsewhere.
pub(super) fn was_acknowledged(tail: &[u8], damaged: u64) -> bool {
    whole_lines(tail).any(|(start, line)| start == 0 || line.batch > damaged)
}

/// Every whole line in damaged bytes with its offset, also behind a line break that was lost.
fn whole_lines(bytes: &[u8]) -> impl Iterator<Item = (usize, Line)> + '_ {
    let starts = bytes.windows(LINE_START.len()).enumerate().filter(|(_, window)| *window == LINE_START);
    starts.filter_map(|(start, _)| {
        let length = bytes[start..].iter().position(|byte| *byte == b'\n')?;
        Line::parse(&bytes[start..start + length]).ok().map(|line| (start, line))
    })
}

/// How the reason begins that a line is of another tenant, whose id follows.
const FOREIGN: &str = "it belongs to tenant ";

impl Bad {
    /// The tenant whose line this is, where that is what is wrong with it.
    pub fn foreign_tenant(&self) -> Option<&str> {
        self.reason.strip_prefix(FOREIGN)
    }
}

/// Reads the line that must follow `head`.
fn fits(text: &Text, head: &Head, tenant: TenantId, starts_chain: bool) -> Result<Line, String> {
    let line = match text {
        Text::Line(bytes) => Line::parse(bytes)?,
        Text::Unterminated => return Err("it breaks off".to_owned()),
        Text::TooLong => return Err("it is longer than any line that is written".to_owned()),
    };
    if line.tenant != tenant {
        return Err(format!("{FOREIGN}{}", line.tenant));
    }
    if !starts_chain && (line.seq != head.seq + 1 || line.prev != head.hash) {
        return Err(format!("line {} does not follow line {}", line.seq, head.seq));
    }
    Ok(line)
}

/// What stands between two line breaks.
enum Text {
    Line(Vec<u8>),
    /// The end of the segment, without a line break.
    Unterminated,
    TooLong,
}

/// Lines of a segment with their offsets, a chunk at a time.
struct Lines<R> {
    read: R,
    end: Option<u64>,
    /// Where the next line starts.
    offset: u64,
    buffer: Vec<u8>,
    /// Bytes of the buffer that were given out.
    used: usize,
}

impl<R: Fn(u64, usize) -> io::Result<Vec<u8>>> Lines<R> {
    fn new(read: R, end: Option<u64>) -> Self {
        Self { read, end, offset: 0, buffer: Vec::new(), used: 0 }
    }

    fn next(&mut self) -> io::Result<Option<(u64, Text)>> {
        let start = self.offset;
        let mut searched = self.used;
        loop {
            if let Some(length) = self.buffer[searched..].iter().position(|byte| *byte == b'\n') {
                let line = self.buffer[self.used..searched + length].to_vec();
                self.offset += line.len() as u64 + 1;
                self.used = searched + length + 1;
                return Ok(Some((start, Text::Line(line))));
            }
            let unused = self.buffer.len() - self.used;
            if unused > APPEND_BYTES {
                return Ok(Some((start, Text::TooLong)));
            }
            self.buffer.drain(..self.used);
            self.used = 0;
            searched = unused;
            let position = self.offset + unused as u64;
            let limit = self.end.map_or(CHUNK, |end| {
                usize::try_from(end.saturating_sub(position)).unwrap_or(CHUNK).min(CHUNK)
            });
            let chunk = if limit == 0 { Vec::new() } else { (self.read)(position, limit)? };
            if chunk.is_empty() {
                return Ok((unused > 0).then_some((start, Text::Unterminated)));
            }
            self.buffer.extend(chunk);
        }
    }
}
