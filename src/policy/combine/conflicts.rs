//! What contradicts something else: names and ids used twice, rules that never get a turn, responses that cannot work.

use std::collections::BTreeMap;

use crate::model::Response;
use crate::policy::fault::Complaint;
use crate::policy::schema::{ExclusionFile, KeepRuleFile, MatchFile, OneOrMany, PolicyFile};
use crate::policy::{KeepRule, Retention};

use super::{Origin, Part, Placed};

/// More rules than a person can keep in order, since the first that matches decides; each pair is compared.
const MOST_RULES: usize = 500;

/// Adds what it finds to the faults of the parts.
pub fn report(parts: &mut [Part<'_>], keep: &[Placed<KeepRule>], retention: Retention) {
    if keep.len() > MOST_RULES {
        let last = &keep[MOST_RULES];
        let hint = "use lists of values, groups or attributes: every rule is tried for every user";
        let complaint = Complaint::new(format!("more than {MOST_RULES} rules"), hint);
        parts[last.origin.part].error(&last.origin.path, "", complaint);
        return;
    }
    names_twice(parts, keep);
    ids_twice(parts);
    never_reached(parts, keep);
    for placed in keep {
        settles_too_long(parts, placed, retention);
        acts_without_license(parts, placed);
    }
}

fn names_twice(parts: &mut [Part<'_>], keep: &[Placed<KeepRule>]) {
    let mut seen: BTreeMap<String, &Placed<KeepRule>> = BTreeMap::new();
    for placed in keep.iter().filter(|placed| !placed.item.name.is_empty()) {
        let Some(first) = seen.get(&placed.item.name.to_lowercase()) else {
            seen.insert(placed.item.name.to_lowercase(), placed);
            continue;
        };
        let complaint = Complaint::new(
            format!("two rules are called \"{}\"", placed.item.name),
            format!(
                "the other stands in {}:{}; reports tell rules apart by name",
                first.item.file, first.item.line
            ),
        );
        parts[placed.origin.part].error(
            &format!("{}.name", placed.origin.path),
            &placed.item.name,
            complaint,
        );
    }
}

/// A rule whose every user an earlier rule takes.
fn never_reached(parts: &mut [Part<'_>], keep: &[Placed<KeepRule>]) {
    for (index, later) in keep.iter().enumerate() {
        if is_damaged(parts, &later.origin) {
            continue;
        }
        let earlier = keep[..index].iter().find(|earlier| {
            !is_damaged(parts, &earlier.origin) && earlier.item.matcher.covers(&later.item.matcher)
        });
        let Some(earlier) = earlier else { continue };
        let complaint = Complaint::new(
            format!("this rule never decides: rule \"{}\" matches the same users first", earlier.item.name),
            format!("move it above {}:{}, or remove it", earlier.item.file, earlier.item.line),
        );
        parts[later.origin.part].error(&format!("{}.match", later.origin.path), "", complaint);
    }
}

fn settles_too_long(parts: &mut [Part<'_>], placed: &Placed<KeepRule>, retention: Retention) {
    let act_by_ms = retention.days.as_millis().saturating_sub(retention.margin.as_millis());
    if placed.item.settle.as_millis() < act_by_ms || retention.margin >= retention.days {
        return;
    }
    let complaint = Complaint::new(
        format!("settle {} is not shorter than the time there is to act", placed.item.settle),
        format!(
            "retention {} less margin {} must leave time: write hours, such as 2h",
            retention.days, retention.margin
        ),
    );
    let path = format!("{}.settle", placed.origin.path);
    parts[placed.origin.part].error(&path, &placed.item.settle.to_string(), complaint);
}

fn acts_without_license(parts: &mut [Part<'_>], placed: &Placed<KeepRule>) {
    let rule = &placed.item;
    let word = match rule.on_license_lost {
        Response::Act => "act",
        Response::Ask => "ask",
        Response::Report => return,
    };
    let path = &placed.origin.path;
    if !rule.licenses.is_empty() || rule.matcher.is_without_license() || is_damaged(parts, &placed.origin) {
        return;
    }
    let complaint = Complaint::new(
        format!("`on_license_lost: {word}` and no licence to give"),
        "add `licenses: [SPE_E3]`, or match only `mailbox: [shared, room, equipment]`, or write `report`",
    );
    parts[placed.origin.part].error(&format!("{path}.on_license_lost"), word, complaint);
}

fn is_damaged(parts: &[Part<'_>], origin: &Origin) -> bool {
    let part = &parts[origin.part];
    part.faults.touches(&format!("{}.match", origin.path))
        || part.faults.touches(&format!("{}.licenses", origin.path))
}

/// Where an id was seen.
struct Sighting {
    list: &'static str,
    /// Other conditions stand beside the id, so that another entry may mean the rest.
    is_narrowed: bool,
    origin: Origin,
}

fn ids_twice(parts: &mut [Part<'_>]) {
    let sightings: Vec<(String, Sighting)> =
        parts.iter().enumerate().flat_map(|(index, part)| sightings(index, &part.file)).collect();
    let mut first_seen: BTreeMap<String, &Sighting> = BTreeMap::new();
    for (id, sighting) in &sightings {
        let Some(first) = first_seen.get(&id.to_lowercase()) else {
            first_seen.insert(id.to_lowercase(), sighting);
            continue;
        };
        let is_same_list = first.list == sighting.list;
        if is_same_list && sighting.list == "keep" && (first.is_narrowed || sighting.is_narrowed) {
            continue;
        }
        let there = &parts[first.origin.part];
        let place = format!("{}:{}", there.faults.file(), there.place(&first.origin.path).line);
        let complaint = if is_same_list {
            Complaint::new(
                format!("this id stands in `{}` twice", sighting.list),
                format!("first in {place}"),
            )
        } else {
            Complaint::new(
                format!("this id stands in `{}` and in `{}`", first.list, sighting.list),
                format!("the other is {place}; only one can be meant"),
            )
        };
        parts[sighting.origin.part].error(&sighting.origin.path, id, complaint);
    }
}

fn sightings(part: usize, file: &PolicyFile) -> Vec<(String, Sighting)> {
    let mut found = Vec::new();
    let lists = [("offboarded", &file.offboarded), ("protected", &file.protected)];
    for (list, entries) in lists {
        for (number, entry) in entries.iter().flatten().enumerate() {
            let ExclusionFile { id, r#match, .. } = entry;
            let path = format!("{list}[{number}]");
            let mut add = |id: &str, path: String| {
                let origin = Origin { part, path };
                found.push((id.to_owned(), Sighting { list, is_narrowed: false, origin }));
            };
            if let Some(id) = id {
                add(id, format!("{path}.id"));
            }
            for (id, path) in matched_ids(r#match.as_ref(), &path) {
                add(&id, path);
            }
        }
    }
    for (number, KeepRuleFile { r#match, .. }) in file.keep.iter().flatten().enumerate() {
        let is_narrowed = r#match
            .as_ref()
            .is_some_and(|written| *written != MatchFile { id: written.id.clone(), ..MatchFile::default() });
        for (id, path) in matched_ids(r#match.as_ref(), &format!("keep[{number}]")) {
            found.push((id, Sighting { list: "keep", is_narrowed, origin: Origin { part, path } }));
        }
    }
    found
}

/// The ids of a match with their paths; placeholders of refused ones left out.
fn matched_ids(written: Option<&MatchFile>, path: &str) -> Vec<(String, String)> {
    let Some(ids) = written.and_then(|written| written.id.as_ref()) else { return Vec::new() };
    let path_of = |index: usize| match ids {
        OneOrMany::One(_) => format!("{path}.match.id"),
        OneOrMany::Many(_) => format!("{path}.match.id[{index}]"),
    };
    let filled = ids.as_slice().iter().enumerate().filter(|(_, id)| !id.is_empty());
    filled.map(|(index, id)| (id.clone(), path_of(index))).collect()
}
