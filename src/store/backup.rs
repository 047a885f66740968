//! The portable copy of one tenant's records: JSON lines that need neither sled nor this version's encodings. A
//! header, the records, users in id order, and an end line with counts and the SHA-256 of everything before it.
//! Streams in both directions; knows no file names.
//!
//! A backup is a memory, not an order: importing forgets what people approved, and where the next delta starts, so that
//! no old decision is carried out again and the next observation is a full one. What they denied stays denied. It also
//! says how far it has what the journal says, so that the lines behind are read at the next start.

use std::io::{BufRead, Read, Seek, SeekFrom, Write};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::model::{KnownUser, LedgerEntry, Observation, Plan, TenantId, Timestamp, UserId};

use super::journal::Head;
use super::records::{
    AcceptedPolicy, Approvals, Cursor, Hold, LastPass, Reflected, ReleasedUsers, Seats, Single, Tally,
};
use super::{Cause, Error, Operation, Result, TenantStore};

/// Goes up with every change that an older version cannot read.
const VERSION: u32 = 1;

/// The longest line that is read: the plan of some hundred thousand drifts.
const MAX_LINE: u64 = 64 << 20;

/// Users written at a time while importing: some megabytes.
const IMPORT_USERS: usize = 2048;

/// How a backup starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    pub version: u32,
    pub tenant: TenantId,
    pub made_at: Timestamp,
    /// The journal's last line at that moment: a journal that does not contain it was cut or replaced.
    pub journal_head: Option<Head>,
    /// How far the records have what the journal says. `None` in backups of before it was recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reflected: Option<Head>,
}

/// What a backup holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub users: u64,
    pub ledger: u64,
    /// Records that the tenant has once.
    pub records: u64,
}

/// How a backup ends.
#[derive(Debug, Serialize, Deserialize)]
struct End {
    counts: Counts,
    /// Hex, of all bytes before this line.
    sha256: String,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "record", content = "value", rename_all = "snake_case")]
enum Line {
    Header(Header),
    Cursor(Cursor),
    Seats(Seats),
    Plan(Plan),
    Observation(Observation),
    LastPass(LastPass),
    Hold(Hold),
    Approvals(Approvals),
    Tally(Tally),
    AcceptedPolicy(AcceptedPolicy),
    ReleasedUsers(ReleasedUsers),
    Ledger { user: UserId, entry: LedgerEntry },
    User(Box<KnownUser>),
    End(End),
}

/// Writes everything but the stage. Users that change meanwhile are written as before or after. The caller makes the
/// output durable.
///
/// # Errors
/// Also when a record cannot be read: a backup with holes would not be one.
pub fn export(
    store: &TenantStore,
    made_at: Timestamp,
    journal_head: Option<Head>,
    output: &mut impl Write,
) -> Result<Counts> {
    let mut exporting = Exporting { output, hash: Sha256::new(), counts: Counts::default() };
    let tenant = store.tenant();
    let reflected = store.get::<Reflected>()?.map(|reflected| reflected.0);
    exporting.write(&Line::Header(Header { version: VERSION, tenant, made_at, journal_head, reflected }))?;
    exporting.write_single(store, Line::Cursor)?;
    exporting.write_single(store, Line::Seats)?;
    exporting.write_single(store, Line::Plan)?;
    exporting.write_single(store, Line::Observation)?;
    exporting.write_single(store, Line::LastPass)?;
    exporting.write_single(store, Line::Hold)?;
    exporting.write_single(store, Line::Approvals)?;
    exporting.write_single(store, Line::Tally)?;
    exporting.write_single(store, Line::AcceptedPolicy)?;
    exporting.write_single(store, Line::ReleasedUsers)?;
    for entry in store.ledger_entries() {
        let (user, entry) = entry?;
        exporting.write(&Line::Ledger { user, entry })?;
    }
    for user in store.users() {
        exporting.write(&Line::User(Box::new(user?)))?;
    }
    exporting.finish()
}

/// Replaces the records of the tenant, after reading the whole backup once to see that it is good. A crash in the
/// middle leaves a part; import again.
///
/// # Errors
/// [`Error::Backup`] for a damaged backup, another tenant's or a newer version's: nothing was changed then.
pub fn import(store: &TenantStore, input: &mut (impl BufRead + Seek)) -> Result<(Header, Counts)> {
    let checked = check(store.tenant(), input)?;
    input.seek(SeekFrom::Start(0)).map_err(|error| failed(Operation::Import, error))?;
    store.clear_all()?;
    let mut lines = Lines::new(input);
    let mut users = Vec::new();
    while let Some(line) = lines.next()? {
        if let Line::User(user) = line {
            users.push(*user);
        } else {
            restore(store, line)?;
        }
        if users.len() == IMPORT_USERS {
            store.put_users(std::mem::take(&mut users))?;
        }
    }
    store.put_users(users)?;
    let header = &checked.0;
    if let Some(reflected) = header.reflected.as_ref().or(header.journal_head.as_ref()) {
        store.put(&Reflected(reflected.clone()))?;
    }
    store.flush()?;
    Ok(checked)
}

/// Reads a backup without changing anything.
///
/// # Errors
/// As [`import`].
pub fn check(tenant: TenantId, input: &mut impl BufRead) -> Result<(Header, Counts)> {
    let (header, counts) = check_any(input)?;
    if header.tenant != tenant {
        return Err(Error::Backup(format!("it belongs to tenant {}", header.tenant)));
    }
    Ok((header, counts))
}

/// What [`read`] shows of a backup, in this order.
#[derive(Debug)]
pub enum Part {
    /// The policy in force.
    Policy(AcceptedPolicy),
    Seats(Seats),
    Ledger(UserId, Box<LedgerEntry>),
    User(Box<KnownUser>),
}

/// Shows the users of a backup, and before them products, policy and ledger; records of a moment are passed over. May
/// be called again.
///
/// # Errors
/// [`Error::Backup`] for a damaged backup: nothing was shown then.
pub fn read(input: &mut (impl BufRead + Seek), mut look: impl FnMut(Part)) -> Result<Header> {
    let start = |input: &mut dyn Seek| -> Result<()> {
        input.seek(SeekFrom::Start(0)).map(drop).map_err(|error| failed(Operation::Import, error))
    };
    start(input)?;
    let (header, _) = check_any(input)?;
    start(input)?;
    let mut lines = Lines::new(input);
    while let Some(line) = lines.next()? {
        match line {
            Line::Seats(seats) => look(Part::Seats(seats)),
            Line::Ledger { user, entry } => look(Part::Ledger(user, Box::new(entry))),
            Line::User(user) => look(Part::User(user)),
            Line::AcceptedPolicy(policy) => look(Part::Policy(policy)),
            Line::Header(_)
            | Line::Cursor(_)
            | Line::Plan(_)
            | Line::Observation(_)
            | Line::LastPass(_)
            | Line::Hold(_)
            | Line::Approvals(_)
            | Line::Tally(_)
            | Line::ReleasedUsers(_)
            | Line::End(_) => {}
        }
    }
    Ok(header)
}

/// How a backup starts, without reading the rest.
///
/// # Errors
/// [`Error::Backup`] when it does not start like one, or is a newer version's.
pub fn header(input: &mut impl BufRead) -> Result<Header> {
    header_of(&mut Lines::new(input))
}

fn header_of(lines: &mut Lines<'_, impl BufRead>) -> Result<Header> {
    let Some(Line::Header(header)) = lines.next()? else {
        return Err(Error::Backup("it does not start like one".to_owned()));
    };
    if header.version != VERSION {
        return Err(Error::Backup(format!(
            "its version is {}, this program reads {VERSION}",
            header.version
        )));
    }
    Ok(header)
}

fn check_any(input: &mut impl BufRead) -> Result<(Header, Counts)> {
    let mut lines = Lines::new(input);
    let header = header_of(&mut lines)?;
    let mut counts = Counts::default();
    let end = loop {
        match lines.next()? {
            None => return Err(Error::Backup("it breaks off".to_owned())),
            Some(Line::End(end)) => break end,
            Some(line) => counts.add(&line),
        }
    };
    if end.sha256 != lines.hash_before_line || end.counts != counts {
        return Err(Error::Backup("its content does not match its end line".to_owned()));
    }
    if lines.next()?.is_some() {
        return Err(Error::Backup("something follows its end line".to_owned()));
    }
    Ok((header, counts))
}

/// Writes one record that is not a user.
fn restore(store: &TenantStore, line: Line) -> Result<()> {
    match line {
        Line::Cursor(cursor) => store.put(&Cursor { delta_link: None, ..cursor }),
        Line::Seats(seats) => store.put(&seats),
        Line::Plan(plan) => store.put(&plan),
        Line::Observation(observation) => store.put(&observation),
        Line::LastPass(pass) => store.put(&pass),
        Line::Hold(hold) => store.put(&hold),
        Line::Tally(tally) => store.put(&tally),
        Line::AcceptedPolicy(policy) => store.put(&policy),
        Line::ReleasedUsers(users) => store.put(&users),
        Line::Ledger { user, entry } => store.put_ledger(user, &entry),
        Line::User(user) => store.put_users([*user]),
        Line::Approvals(answers) => store.put(&answers.denials()),
        Line::Header(_) | Line::End(_) => Ok(()),
    }
}

impl Counts {
    fn add(&mut self, line: &Line) {
        match line {
            Line::User(_) => self.users += 1,
            Line::Ledger { .. } => self.ledger += 1,
            Line::Cursor(_)
            | Line::Seats(_)
            | Line::Plan(_)
            | Line::Observation(_)
            | Line::LastPass(_)
            | Line::Hold(_)
            | Line::Approvals(_)
            | Line::Tally(_)
            | Line::AcceptedPolicy(_)
            | Line::ReleasedUsers(_) => self.records += 1,
            Line::Header(_) | Line::End(_) => {}
        }
    }
}

struct Exporting<'o, W> {
    output: &'o mut W,
    hash: Sha256,
    counts: Counts,
}

impl<W: Write> Exporting<'_, W> {
    fn write_single<T: Single>(&mut self, store: &TenantStore, line: impl FnOnce(T) -> Line) -> Result<()> {
        store.get()?.map_or(Ok(()), |record| self.write(&line(record)))
    }

    fn write(&mut self, line: &Line) -> Result<()> {
        self.counts.add(line);
        let mut bytes = serde_json::to_vec(line).map_err(|error| failed(Operation::Export, error))?;
        bytes.push(b'\n');
        self.hash.update(&bytes);
        self.output.write_all(&bytes).map_err(|error| failed(Operation::Export, error))
    }

    fn finish(mut self) -> Result<Counts> {
        let counts = self.counts;
        let sha256 = format!("{:x}", self.hash.clone().finalize());
        self.write(&Line::End(End { counts, sha256 }))?;
        self.output.flush().map_err(|error| failed(Operation::Export, error))?;
        Ok(counts)
    }
}

/// Lines of a backup, and the hash of everything before the last one.
struct Lines<'i, R> {
    input: &'i mut R,
    hash: Sha256,
    hash_before_line: String,
    number: u64,
}

impl<'i, R: BufRead> Lines<'i, R> {
    fn new(input: &'i mut R) -> Self {
        Self { input, hash: Sha256::new(), hash_before_line: String::new(), number: 0 }
    }

    fn next(&mut self) -> Result<Option<Line>> {
        let mut bytes = Vec::new();
        let mut limited = self.input.by_ref().take(MAX_LINE);
        limited.read_until(b'\n', &mut bytes).map_err(|error| failed(Operation::Import, error))?;
        if bytes.is_empty() {
            return Ok(None);
        }
        self.number += 1;
        if bytes.last() != Some(&b'\n') {
            return Err(Error::Backup(format!("line {} breaks off, or is too long", self.number)));
        }
        let line = serde_json::from_slice(&bytes)
            .map_err(|error| Error::Backup(format!("line {}: {error}", self.number)))?;
        if matches!(line, Line::End(_)) {
            self.hash_before_line = format!("{:x}", self.hash.clone().finalize());
        }
        self.hash.update(&bytes);
        Ok(Some(line))
    }
}

fn failed(operation: Operation, error: impl std::fmt::Display) -> Error {
    Error::Failed { operation, key: "the backup".to_owned(), source: Cause::new(error) }
}

#[cfg(test)]
mod tests;
