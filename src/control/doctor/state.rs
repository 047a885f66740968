//! State, journal, backups, mode and hold of one tenant: what the daemon knows of itself.

use std::path::Path;

use crate::model::{Problem, Span, Timestamp};
use crate::report::examination::{Area, Finding, Level};
use crate::report::status::PassOutcome;
use crate::report::words;
use crate::store;
use crate::store::backup::Header;
use crate::store::journal::JournalError;
use crate::store::records::Cursor;

use super::super::desk::{Desk, Places};

/// A state without a backup for this long has missed more than one.
const BACKUP_OLD: Span = Span::from_days(2);

/// Nothing seen for this long is an outage, whatever the schedule.
const OBSERVATION_OLD: Span = Span::from_hours(2);

pub fn unreadable(error: &store::Error) -> Finding {
    Finding::new(
        Level::Error,
        Area::State,
        format!("the state cannot be read: {}", crate::errors::chain(error)),
        "nothing is sent while that is so",
        "look at disk space and the disk itself; restart the daemon: a state that cannot be opened is moved aside",
    )
}

pub fn judge(desk: &Desk) -> Vec<Finding> {
    let now = desk.clock.now();
    let mut findings = vec![mode(desk), journal(desk)];
    findings.extend(settings(desk));
    findings.extend(hold(desk, now));
    findings.extend(observation(desk, now));
    if let Some(places) = &desk.places {
        findings.extend(on_disk(desk, places, now));
    }
    findings
}

fn mode(desk: &Desk) -> Finding {
    match desk.may_act {
        true => Finding::ok(Area::State, "mode is act"),
        false => Finding::new(
            Level::Note,
            Area::State,
            "mode is observe: it plans, reports and alerts, and changes nothing",
            "a mailbox that is lost is reported, not kept",
            "once the plans look right: `mode: act` in mailkeeper.yaml, then systemctl restart mailkeeper",
        ),
    }
}

fn settings(desk: &Desk) -> Option<Finding> {
    let changed = desk.settings_changed()?;
    let why = "the daemon goes on with what it was started with";
    Some(Finding::new(Level::Warning, Area::State, changed, why, "systemctl restart mailkeeper"))
}

fn hold(desk: &Desk, now: Timestamp) -> Option<Finding> {
    let hold = desk.active_hold()?;
    let until = hold
        .until
        .map_or_else(|| "until somebody resumes".to_owned(), |until| format!("until {}", until.human()));
    let reason = hold.reason.as_deref().unwrap_or("no reason given");
    Some(Finding::new(
        Level::Warning,
        Area::State,
        format!("on hold {until}, by {}, {}: {reason}", hold.by, words::distance(hold.since, now)),
        "nothing is sent meanwhile, and the clocks of lost mailboxes go on",
        "mailkeeper resume",
    ))
}

fn journal(desk: &Desk) -> Finding {
    match desk.journal.verify() {
        Ok(found) => match found.first_bad {
            None => Finding::ok(
                Area::State,
                format!("the journal is whole: {}", words::how_many(found.entries, "entry", "entries")),
            ),
            Some(bad) => Finding::new(
                Level::Error,
                Area::State,
                format!(
                    "the journal is BROKEN in segment {} at byte {}: {}",
                    bad.segment, bad.offset, bad.reason
                ),
                "somebody or something changed it after it was written: it no longer proves what was done",
                "keep the files as they are, compare with a backup, and find out who had access",
            ),
        },
        Err(error) => Finding::new(
            Level::Error,
            Area::State,
            format!("the journal cannot be read: {}", crate::errors::chain(&error)),
            "no request leaves without a journal",
            "look at disk space and permissions of the state directory",
        ),
    }
}

fn observation(desk: &Desk, now: Timestamp) -> Vec<Finding> {
    let mut findings = Vec::new();
    match desk.store.get_or_default::<Cursor>() {
        Err(error) => findings.push(unreadable(&error)),
        Ok(Cursor { last_complete: None, .. }) => findings.push(Finding::new(
            Level::Warning,
            Area::State,
            "the tenant was never observed completely",
            "no clock can be trusted before, so nothing is started",
            "run `mailkeeper plan` and read its problems",
        )),
        Ok(Cursor { last_complete: Some(at), live_users, deleted_users, .. }) => {
            let what = format!(
                "last complete observation {}: {} live and {} deleted users",
                words::distance(at, now),
                words::count_of(live_users),
                words::count_of(deleted_users)
            );
            findings.push(match now - at > OBSERVATION_OLD {
                false => Finding::ok(Area::State, what),
                true => Finding::new(
                    Level::Warning,
                    Area::State,
                    what,
                    "what was lost since is not known",
                    "is the daemon running? `systemctl status mailkeeper`, `journalctl -u mailkeeper`",
                ),
            });
        }
    }
    let last =
        desk.view().ok().and_then(|view| Some((view.last_pass.clone()?, view.last_observation.clone())));
    if let Some((pass, observation)) = last.filter(|(pass, _)| pass.outcome != PassOutcome::Done) {
        let problems = observation.map(|observation| observation.problems).unwrap_or_default();
        let details: Vec<&str> = Problem::told(&problems).map(|problem| problem.detail.as_str()).collect();
        findings.push(Finding::new(
            Level::Error,
            Area::State,
            format!(
                "the last pass ({}) was {}: {}",
                pass.finished.human(),
                pass.outcome.label(),
                details.join("; ")
            ),
            "nothing followed from it",
            "repair what it names; `mailkeeper plan` tries again",
        ));
    }
    findings
}

fn on_disk(desk: &Desk, places: &Places, now: Timestamp) -> Vec<Finding> {
    let sizes = [&places.state, &places.journal].map(|path| words::megabytes(size(path, 0)));
    let mut findings = vec![Finding::ok(
        Area::State,
        format!("{} of state in {}, {} of journal", sizes[0], places.state.display(), sizes[1]),
    )];
    let torn = names(&places.journal, "journal.torn-");
    if !torn.is_empty() {
        findings.push(Finding::new(
            Level::Note,
            Area::State,
            format!("torn ends of the journal were cut off and kept: {}", torn.join(", ")),
            "a crash interrupted a write that nobody had been told of",
            "nothing; remove them once looked at",
        ));
    }
    let aside = places.state.parent().map(|parent| names(parent, "db.unreadable-")).unwrap_or_default();
    if !aside.is_empty() {
        findings.push(Finding::new(
            Level::Warning,
            Area::State,
            format!("a state that could not be opened was moved aside: {}", aside.join(", ")),
            "when licences were lost before that is only known from backup and journal",
            "look at the disk; remove it once looked at",
        ));
    }
    findings.push(backup(desk, places, now));
    findings
}

/// Whether the journal goes on from where the newest backup ends.
fn covered(desk: &Desk, header: &Header) -> Result<bool, JournalError> {
    let Some(end) = header.reflected.as_ref().or(header.journal_head.as_ref()) else { return Ok(false) };
    let mut is_found = end.seq == 0;
    desk.journal.for_each(|line| is_found |= line.seq == end.seq && line.hash == end.hash)?;
    Ok(is_found)
}

/// Lines that the newest backup was made behind, and that the journal does not have.
pub fn missing_lines(desk: &Desk, places: &Places) -> Option<String> {
    let (path, header) = places.shelf.newest()?;
    let end = header.reflected.as_ref().or(header.journal_head.as_ref())?;
    let is_covered = covered(desk, &header).unwrap_or(true);
    (!is_covered).then(|| {
        format!(
            "the backup {} was made after entry {}, which this journal does not have: older entries were removed, or the \
             journal was replaced",
            path.display(),
            end.seq
        )
    })
}

fn backup(desk: &Desk, places: &Places, now: Timestamp) -> Finding {
    let to_do = "the daemon writes one each day after a complete observation; `mailkeeper backup FILE` writes one now";
    let why = "when a licence was lost, and which mailbox was the healthy one, cannot be observed again";
    match places.shelf.newest() {
        None => Finding::new(Level::Warning, Area::State, "there is no backup of the state", why, to_do),
        Some((path, header)) => {
            let made_at = header.made_at;
            let what = format!("newest backup {} ({})", path.display(), words::distance(made_at, now));
            if !covered(desk, &header).unwrap_or(false) {
                let what = format!("{what}; the journal does not go on from there");
                return Finding::new(
                    Level::Warning,
                    Area::State,
                    what,
                    why,
                    "was the journal replaced? else: a new backup",
                );
            }
            match now - made_at > BACKUP_OLD {
                true => Finding::new(Level::Warning, Area::State, what, why, to_do),
                false => Finding::ok(Area::State, format!("{what}; the journal has everything since")),
            }
        }
    }
}

/// sled and the journal are two levels deep; a link in a circle must not be followed for ever.
const DEEPEST: u32 = 4;

fn size(path: &Path, depth: u32) -> u64 {
    let Ok(entries) = std::fs::read_dir(path) else { return 0 };
    let sizes = entries.flatten().map(|entry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() && depth < DEEPEST => size(&entry.path(), depth + 1),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    });
    sizes.sum()
}

fn names(directory: &Path, prefix: &str) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    let mut names: Vec<String> = entries
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| name.starts_with(prefix))
        .collect();
    names.sort();
    names
}
