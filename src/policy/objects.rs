//! Commits and trees out of git's own files, loose and packed. Runs nothing, writes nothing, never fails: what cannot
//! be read is not there. Knows nothing of policies. Hashes are not checked: who can write here can write the policy,
//! too.

use std::fs::File;
use std::io::{BufReader, Read};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use flate2::bufread::ZlibDecoder;

/// A longer commit or tree is none of ours: a tree of 100,000 files takes 4 MB.
const LONGEST_OBJECT: u64 = 16 << 20;
/// Deltas upon deltas; git makes chains of 50.
const DEEPEST_DELTA: u32 = 512;
/// Before the objects of one pack, and of an index of version 2.
const INDEX_HEADER: [u8; 8] = [0xff, b't', b'O', b'c', 0, 0, 0, 2];

/// The object database of one repository.
pub struct Objects {
    /// Its own and those it borrows from.
    directories: Vec<PathBuf>,
    packs: Vec<Pack>,
}

struct Pack {
    index: File,
    objects: File,
    count: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Commit,
    Tree,
    Other,
}

impl Objects {
    /// Of the git directory that holds `objects`.
    pub fn open(common: &Path) -> Self {
        let own = common.join("objects");
        let borrowed = std::fs::read_to_string(own.join("info/alternates")).unwrap_or_default();
        let mut directories = vec![own.clone()];
        directories.extend(borrowed.lines().map(|line| own.join(line)));
        let packs = directories.iter().flat_map(|directory| packs(&directory.join("pack"))).collect();
        Self { directories, packs }
    }

    /// An object of this kind by its hexadecimal id.
    pub fn read(&self, id: &str, kind: Kind) -> Option<Vec<u8>> {
        let (found, bytes) = self.find(id, 0)?;
        (found == kind).then_some(bytes)
    }

    fn find(&self, id: &str, depth: u32) -> Option<(Kind, Vec<u8>)> {
        let bytes = from_hex(id)?;
        self.directories.iter().find_map(|directory| loose(directory, id)).or_else(|| {
            self.packs.iter().find_map(|pack| self.unpacked(pack, pack.offset(&bytes)?, bytes.len(), depth))
        })
    }

    /// The object at this offset of a pack; a delta is applied to what it stands on.
    fn unpacked(&self, pack: &Pack, offset: u64, id_length: usize, depth: u32) -> Option<(Kind, Vec<u8>)> {
        if depth > DEEPEST_DELTA {
            return None;
        }
        let mut at = BufReader::new(At { file: &pack.objects, offset });
        let first = byte(&mut at)?;
        let mut last = first;
        while last & 0x80 != 0 {
            last = byte(&mut at)?;
        }
        let kind = match (first >> 4) & 7 {
            1 => Kind::Commit,
            2 => Kind::Tree,
            6 => {
                let base = offset.checked_sub(distance(&mut at)?)?;
                let base = self.unpacked(pack, base, id_length, depth + 1)?;
                return Some((base.0, patched(&base.1, &inflated(at)?)?));
            }
            7 => {
                let mut id = vec![0; id_length];
                at.read_exact(&mut id).ok()?;
                let base = self.find(&to_hex(&id), depth + 1)?;
                return Some((base.0, patched(&base.1, &inflated(at)?)?));
            }
            _ => return Some((Kind::Other, Vec::new())),
        };
        Some((kind, inflated(at)?))
    }
}

fn packs(directory: &Path) -> Vec<Pack> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let indices =
        entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|end| end == "idx"));
    indices.filter_map(|path| Pack::open(&path)).collect()
}

impl Pack {
    fn open(index: &Path) -> Option<Self> {
        let objects = File::open(index.with_extension("pack")).ok()?;
        let index = File::open(index).ok()?;
        let header: [u8; 8] = bytes_at(&index, 0)?;
        let count = u64::from(u32::from_be_bytes(bytes_at(&index, 8 + 255 * 4)?));
        (header == INDEX_HEADER).then_some(Self { index, objects, count })
    }

    /// Where an object stands: after the header 256 counts by first byte, then sorted ids, checksums, offsets.
    fn offset(&self, id: &[u8]) -> Option<u64> {
        let (length, ids) = (id.len() as u64, 8 + 256 * 4);
        let upto =
            |first: u8| Some(u64::from(u32::from_be_bytes(bytes_at(&self.index, 8 + u64::from(first) * 4)?)));
        let first = *id.first()?;
        let (mut low, mut high) = (first.checked_sub(1).map_or(Some(0), upto)?, upto(first)?);
        let mut candidate = vec![0; id.len()];
        while low < high {
            let middle = low + (high - low) / 2;
            self.index.read_exact_at(&mut candidate, ids + middle * length).ok()?;
            match candidate.as_slice().cmp(id) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return self.offset_of(middle, ids + self.count * (length + 4)),
            }
        }
        None
    }

    fn offset_of(&self, position: u64, offsets: u64) -> Option<u64> {
        let short = u32::from_be_bytes(bytes_at(&self.index, offsets + position * 4)?);
        if short & 0x8000_0000 == 0 {
            return Some(u64::from(short));
        }
        let long = u64::from(short & 0x7fff_ffff);
        bytes_at(&self.index, offsets + self.count * 4 + long * 8).map(u64::from_be_bytes)
    }
}

/// A file from an offset on.
struct At<'f> {
    file: &'f File,
    offset: u64,
}

impl Read for At<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.file.read_at(buffer, self.offset)?;
        self.offset += read as u64;
        Ok(read)
    }
}

fn loose(directory: &Path, id: &str) -> Option<(Kind, Vec<u8>)> {
    let file = File::open(directory.join(id.get(..2)?).join(id.get(2..)?)).ok()?;
    let bytes = inflated(BufReader::new(file))?;
    let end = bytes.iter().position(|byte| *byte == 0)?;
    let kind = match bytes[..end].split(|byte| *byte == b' ').next()? {
        b"commit" => Kind::Commit,
        b"tree" => Kind::Tree,
        _ => Kind::Other,
    };
    Some((kind, bytes[end + 1..].to_vec()))
}

fn inflated(from: impl std::io::BufRead) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    ZlibDecoder::new(from).take(LONGEST_OBJECT + 1).read_to_end(&mut bytes).ok()?;
    (bytes.len() as u64 <= LONGEST_OBJECT).then_some(bytes)
}

/// How far before a delta its base stands.
fn distance(at: &mut impl Read) -> Option<u64> {
    let mut next = byte(at)?;
    let mut value = u64::from(next & 0x7f);
    while next & 0x80 != 0 {
        next = byte(at)?;
        value = (value.checked_add(1)?).checked_mul(128)? | u64::from(next & 0x7f);
    }
    Some(value)
}

/// What a delta makes of its base: stretches copied from there, and new ones.
fn patched(base: &[u8], delta: &[u8]) -> Option<Vec<u8>> {
    let mut delta = delta;
    length(&mut delta)?;
    let size = length(&mut delta)?;
    if size > LONGEST_OBJECT {
        return None;
    }
    let mut made = Vec::new();
    while let Some(instruction) = byte(&mut delta) {
        if instruction & 0x80 == 0 {
            let (new, rest) = delta.split_at_checked(usize::from(instruction))?;
            made.extend_from_slice(new);
            delta = rest;
        } else {
            let mut number = |bits: std::ops::Range<u32>| {
                bits.clone().filter(|bit| instruction & (1 << bit) != 0).try_fold(0_usize, |value, bit| {
                    Some(value | usize::from(byte(&mut delta)?) << ((bit - bits.start) * 8))
                })
            };
            let start = number(0..4)?;
            let count = Some(number(4..7)?).filter(|count| *count > 0).unwrap_or(0x10000);
            made.extend_from_slice(base.get(start..start.checked_add(count)?)?);
        }
        if made.len() as u64 > size {
            return None;
        }
    }
    (made.len() as u64 == size).then_some(made)
}

/// Seven bits a byte, the lowest first.
fn length(from: &mut impl Read) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..63).step_by(7) {
        let next = byte(from)?;
        value |= u64::from(next & 0x7f) << shift;
        if next & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn byte(from: &mut impl Read) -> Option<u8> {
    let mut one = [0];
    from.read_exact(&mut one).ok().map(|()| one[0])
}

fn bytes_at<const LENGTH: usize>(file: &File, offset: u64) -> Option<[u8; LENGTH]> {
    let mut bytes = [0; LENGTH];
    file.read_exact_at(&mut bytes, offset).ok().map(|()| bytes)
}

pub fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || !matches!(text.len(), 40 | 64) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}
