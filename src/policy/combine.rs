//! From the files of a policy to a [`Policy`]: lists joined, defaults filled in, and everything reported that only
//! shows when values are seen together.

mod condition;
mod conflicts;
mod doubts;

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use crate::model::{Response, Span};

use super::document::Document;
use super::fault::{Complaint, Fault, Source};
use super::grammar::POLICY;
use super::schema::{
    AssignFile, ExclusionFile, KeepRuleFile, LimitsFile, PolicyFile, RestoreFile, RetentionFile,
    UnansweredFile,
};
use super::{
    Assign, Exclusion, KeepRule, Limits, Matcher, NamePattern, Policy, Restore, Retention, SkuName,
    Unanswered, scalar, skus,
};

use condition::condition;

pub(super) type Part<'s> = Document<'s, PolicyFile>;

/// Where a rule or entry stands: the index of its file and its path inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Origin {
    part: usize,
    path: String,
}

/// A rule or entry and where it stands.
pub(super) struct Placed<T> {
    origin: Origin,
    item: T,
}

const DEFAULT_DAYS: u32 = 30;
/// Two days: a working day to notice, and one to act.
const DEFAULT_MARGIN: Span = Span::from_days(2);
/// Long enough for an administrator who moves a user between licensing groups.
const DEFAULT_SETTLE: Span = Span::from_hours(2);
const DEFAULT_PER_PASS: u32 = 25;
const DEFAULT_PER_DAY: u32 = 100;
const DEFAULT_SHARE: f64 = 0.05;
const DEFAULT_FLOOR: u32 = 10;

/// Reads and joins the files, in this order.
///
/// # Errors
/// Everything that is wrong with any of them, in the order of files and lines; warnings among them.
pub fn combine(sources: &[Source]) -> Result<Policy, Vec<Fault>> {
    let mut parts: Vec<Part<'_>> = sources.iter().map(|source| Document::read(source, &POLICY)).collect();
    let retention = retention(&mut parts);
    let limits = limits(&mut parts);
    let unanswered_asks = match single(&mut parts, "unanswered_asks", |file| file.unanswered_asks.as_ref()) {
        Some((_, UnansweredFile::Act)) => Unanswered::Act,
        Some((_, UnansweredFile::Report)) | None => Unanswered::Report,
    };
    let offboarded = exclusions(&mut parts, "offboarded", |file| file.offboarded.as_deref());
    let protected = exclusions(&mut parts, "protected", |file| file.protected.as_deref());
    let keep = rules(&mut parts);
    conflicts::report(&mut parts, &keep, retention);
    doubts::report(&mut parts);

    let mut faults: Vec<Fault> = parts.into_iter().flat_map(|part| part.faults.into_list()).collect();
    if keep.is_empty() && !faults.iter().any(Fault::is_error) {
        let file = sources.first().map_or("", |source| source.name.as_str());
        let hint = "a policy that keeps nothing is a mistake: write a rule below `keep:`";
        faults.push(Fault::of_file(file, "there is no keep rule", hint));
    }
    if faults.iter().any(Fault::is_error) {
        return Err(faults);
    }
    Ok(Policy {
        retention,
        offboarded: offboarded.into_iter().map(|placed| placed.item).collect(),
        protected: protected.into_iter().map(|placed| placed.item).collect(),
        keep: keep.into_iter().map(|placed| placed.item).collect(),
        limits,
        unanswered_asks,
        digest: digest(sources),
        revision: None,
        change: None,
        dated: None,
        warnings: faults,
        sources: sources.to_vec(),
    })
}

/// SHA-256 of one file, or of the `sha256sum` lines of several.
pub fn digest(sources: &[Source]) -> String {
    match sources {
        [only] => hexadecimal(&only.text),
        several => {
            let base = |name: &str| name.rsplit('/').next().unwrap_or(name).to_owned();
            let lines =
                several.iter().map(|part| format!("{}  {}\n", hexadecimal(&part.text), base(&part.name)));
            hexadecimal(&lines.collect::<String>())
        }
    }
}

fn hexadecimal(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A key that may stand in one file only, and the file where it stands.
fn single<T: Clone>(
    parts: &mut [Part<'_>],
    key: &str,
    read: impl Fn(&PolicyFile) -> Option<&T>,
) -> Option<(usize, T)> {
    let holders: Vec<usize> = (0..parts.len()).filter(|part| read(&parts[*part].file).is_some()).collect();
    let first = *holders.first()?;
    let place = parts[first].place(key);
    let name = parts[first].faults.file().to_owned();
    for second in holders.into_iter().skip(1) {
        let complaint = Complaint::new(
            format!("`{key}` stands in two files"),
            format!("it stands in {name}:{} already; keep one of them", place.line),
        );
        parts[second].error(key, "", complaint);
    }
    read(&parts[first].file).cloned().map(|value| (first, value))
}

fn retention(parts: &mut [Part<'_>]) -> Retention {
    let found = single(parts, "retention", |file| file.retention.as_ref());
    let (part, RetentionFile { days, margin }) = found.unwrap_or_default();
    let retention = Retention {
        days: Span::from_days(i64::from(days.unwrap_or(DEFAULT_DAYS))),
        margin: span(margin.as_deref(), DEFAULT_MARGIN),
    };
    if retention.margin >= retention.days {
        let complaint = Complaint::new(
            format!("a margin of {} leaves nothing of {}", retention.margin, retention.days),
            "write less, such as 2d",
        );
        parts[part].error("retention.margin", margin.as_deref().unwrap_or(""), complaint);
    }
    retention
}

fn limits(parts: &mut [Part<'_>]) -> Limits {
    let found = single(parts, "limits", |file| file.limits.as_ref());
    let (part, written) = found.unwrap_or_default();
    let LimitsFile { per_pass, per_day, share, floor, policy_age, seats_reserved } = written;
    let day = per_day.unwrap_or(DEFAULT_PER_DAY);
    if let Some(pass) = per_pass.filter(|pass| *pass > day) {
        let hint = match per_day {
            Some(_) => "a pass cannot do more than a day allows: lower per_pass or raise per_day".to_owned(),
            None => format!("per_day is {DEFAULT_PER_DAY} unless written: write it, too"),
        };
        let complaint = Complaint::new(format!("per_pass {pass} is more than per_day {day}"), hint);
        parts[part].error("limits.per_pass", &pass.to_string(), complaint);
    }
    let seats_reserved = seats_reserved.unwrap_or_default();
    let mut seen: BTreeMap<String, &String> = BTreeMap::new();
    for name in seats_reserved.keys() {
        if let Some(first) = seen.insert(product(name), name) {
            let complaint =
                Complaint::new(format!("`{name}` and `{first}` are one product"), "keep one of them");
            parts[part].error(&format!("limits.seats_reserved.{name}"), name, complaint);
        }
    }
    Limits {
        per_pass: per_pass.unwrap_or(DEFAULT_PER_PASS.min(day)),
        per_day: day,
        share: share.and_then(|text| scalar::share(&text).ok()).unwrap_or(DEFAULT_SHARE),
        floor: floor.unwrap_or(DEFAULT_FLOOR),
        policy_age: policy_age.as_deref().and_then(|text| scalar::duration(text).ok()),
        seats_reserved,
    }
}

fn exclusions(
    parts: &mut [Part<'_>],
    list: &str,
    read: impl Fn(&PolicyFile) -> Option<&[ExclusionFile]>,
) -> Vec<Placed<Exclusion>> {
    let mut placed = Vec::new();
    for (index, part) in parts.iter_mut().enumerate() {
        let entries = read(&part.file).unwrap_or_default().to_vec();
        for (number, entry) in entries.into_iter().enumerate() {
            let path = format!("{list}[{number}]");
            if let Some(item) = exclusion(part, &path, entry) {
                placed.push(Placed { origin: Origin { part: index, path }, item });
            }
        }
    }
    placed
}

/// `None` when it is damaged; the fault is reported.
fn exclusion(part: &mut Part<'_>, path: &str, entry: ExclusionFile) -> Option<Exclusion> {
    if part.faults.touches(path) {
        return None;
    }
    let condition = match (entry.id, entry.r#match) {
        (Some(id), None) => condition::of_id(&id),
        (None, Some(matching)) => condition(&matching),
        (Some(_), Some(_)) => {
            let hint = "write the id inside the match, or make two entries of it";
            part.error(path, "", Complaint::new("both `id` and `match`", hint));
            return None;
        }
        (None, None) => {
            part.error(path, "", Complaint::new("neither `id` nor `match`", "say who is meant"));
            return None;
        }
    };
    Some(Exclusion {
        matcher: Matcher::as_written(condition),
        reason: entry.reason.unwrap_or_default(),
        line: part.place(path).line,
        file: part.faults.file().to_owned(),
    })
}

fn rules(parts: &mut [Part<'_>]) -> Vec<Placed<KeepRule>> {
    let mut placed = Vec::new();
    for (index, part) in parts.iter_mut().enumerate() {
        for (number, rule) in part.file.keep.clone().unwrap_or_default().into_iter().enumerate() {
            let path = format!("keep[{number}]");
            let item = keep_rule(part, &path, rule);
            placed.push(Placed { origin: Origin { part: index, path }, item });
        }
    }
    placed
}

fn keep_rule(part: &mut Part<'_>, path: &str, rule: KeepRuleFile) -> KeepRule {
    let response =
        |written: Option<super::schema::ResponseFile>| written.map_or(Response::Report, Response::from);
    KeepRule {
        matcher: Matcher::members_by_default(condition(&rule.r#match.unwrap_or_default())),
        licenses: licenses(part, path, rule.licenses.unwrap_or_default()),
        assign: match rule.assign {
            Some(AssignFile::Group(assign)) => {
                assign.group.and_then(|id| id.parse().ok()).map_or(Assign::Direct, Assign::Group)
            }
            Some(AssignFile::Word(_)) | None => Assign::Direct,
        },
        usage_location: rule.usage_location,
        on_license_lost: response(rule.on_license_lost),
        on_deleted: response(rule.on_deleted),
        restore: restore(rule.restore.unwrap_or_default()),
        settle: span(rule.settle.as_deref(), DEFAULT_SETTLE),
        priority: rule.priority.unwrap_or_default(),
        adopt: rule.adopt.unwrap_or_default(),
        line: part.place(path).line,
        file: part.faults.file().to_owned(),
        name: rule.name.unwrap_or_default(),
    }
}

fn restore(written: RestoreFile) -> Restore {
    Restore {
        drop_taken_addresses: written.drop_taken_addresses.unwrap_or_default(),
        upn_if_taken: written.upn_if_taken.and_then(|text| NamePattern::parse(&text).ok()),
    }
}

fn licenses(part: &mut Part<'_>, path: &str, written: Vec<String>) -> Vec<SkuName> {
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    let mut names = Vec::new();
    for (number, written) in written.into_iter().enumerate().filter(|(_, written)| !written.is_empty()) {
        let path = format!("{path}.licenses[{number}]");
        let place = part.place(&path);
        if let Some(first) = seen.insert(product(&written), written.clone()) {
            let complaint =
                Complaint::new(format!("`{written}` is `{first}` again"), "name each product once");
            part.error(&path, &written, complaint);
        }
        if let Some(doubt) = skus::doubt(&written) {
            part.warning(&path, &written, doubt);
        }
        names.push(SkuName { written, line: place.line, column: place.column });
    }
    names
}

/// One name for a product, whether it is written as a part number or as an id.
fn product(written: &str) -> String {
    skus::id(written).map_or_else(|| written.trim().to_ascii_lowercase(), |id| id.to_string())
}

fn span(written: Option<&str>, default: Span) -> Span {
    written.and_then(|text| scalar::duration(text).ok()).unwrap_or(default)
}
