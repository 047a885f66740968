//! What came of a situation: every request that reached the tenant, the truth about the mailboxes, and what the product
//! says. Read from the tenant's own record and from the journal as it lies on the disk.

use std::collections::BTreeMap;

use mailkeeper::model::UserId;
use mailkeeper::report::status::{NextMove, TenantView};
use mailkeeper::sim::truth::{MailboxState, WriteRecord};
use serde_json::Value;
use uuid::Uuid;

use super::file::{self, Expected};
use super::lab::{Lab, Names, plan_name, sku_name};

/// The state of things.
pub struct Seen {
    pub answer: Expected,
    problems: Vec<String>,
    missing_seats: BTreeMap<String, u32>,
    at_risk: usize,
    left_alone: BTreeMap<String, u64>,
    /// Users who fell out of the rules, where they are many.
    mass_release: Option<u64>,
    mailboxes: BTreeMap<String, String>,
    /// Deadlines shown, in whole hours from the start of the story.
    deadlines: BTreeMap<String, i64>,
}

impl Seen {
    pub fn of(lab: &Lab, view: Option<&TenantView>) -> Result<Self, String> {
        let mailboxes = mailboxes(lab);
        let changed = mailboxes.iter().filter(|(name, state)| is_news(lab, name, state));
        let journal = journal(lab);
        let answer = Expected {
            writes: writes(lab),
            verdicts: events(lab, &journal, "verdict", |entry| text(entry, "verdict")),
            mailboxes: changed.map(|(name, state)| (name.clone(), state.clone())).collect(),
            open: view.map(|view| open(&lab.names, view)).unwrap_or_default(),
            asks: view.map(asks).unwrap_or_default(),
            lost: lost(lab, &journal)?,
        };
        let problems = view.and_then(|view| view.last_observation.as_ref()).map(|seen| &seen.problems);
        let needs = view.map(|view| view.seat_needs.as_slice()).unwrap_or_default();
        let left_alone = view.map(|view| view.left_alone.clone()).unwrap_or_default();
        Ok(Self {
            answer,
            problems: problems.into_iter().flatten().map(|problem| problem.kind.label().to_owned()).collect(),
            missing_seats: needs.iter().map(|need| (need.part_number.clone(), need.missing)).collect(),
            at_risk: view.map_or(0, |view| view.at_risk.len()),
            left_alone: left_alone
                .iter()
                .map(|(reason, count)| (reason.label().to_owned(), *count))
                .collect(),
            mass_release: view
                .and_then(|view| view.released.as_ref())
                .filter(|released| released.is_mass)
                .map(|released| released.lately),
            mailboxes,
            deadlines: view.map(|view| deadlines(&lab.names, view)).unwrap_or_default(),
        })
    }

    /// Checks one `see` line of a story.
    pub fn look(&self, line: &str) -> Result<(), String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let differs = |what: String, is: &dyn std::fmt::Debug| Err(format!("{line}: {what} {is:?}"));
        match words[..] {
            ["end"] => Ok(()),
            ["see", who, "open", reason] => {
                let wrong = |name: &String| self.answer.open.get(name).map(String::as_str) != Some(reason);
                match file::names(who).into_iter().find(wrong) {
                    Some(name) => differs(name, &self.answer.open),
                    None => Ok(()),
                }
            }
            ["see", who, "mailbox", state] => {
                let wrong = |name: &String| self.mailboxes.get(name).map(String::as_str) != Some(state);
                match file::names(who).into_iter().find(wrong) {
                    Some(name) => differs(name.clone(), &self.mailboxes.get(&name)),
                    None => Ok(()),
                }
            }
            ["see", who, "deadline", at] => {
                let wanted = file::span(at)?.as_millis() / 3_600_000;
                let shown = self.deadlines.get(who).copied();
                // To the hour: a deadline counts from the last look at which the licence was there.
                let is_right = shown.is_some_and(|shown| (wanted - 2..=wanted).contains(&shown));
                if is_right { Ok(()) } else { differs(format!("{wanted} hours, shown are"), &shown) }
            }
            ["see", number, "writes"] => {
                let sent: usize = self.answer.writes.values().map(Vec::len).sum();
                if number == "no" && sent == 0 || number.parse() == Ok(sent) {
                    return Ok(());
                }
                differs(format!("{sent} writes:"), &self.answer.writes)
            }
            ["see", "ask", reason, number] => {
                let asked = self.answer.asks.get(reason).copied();
                if asked == number.parse().ok() {
                    Ok(())
                } else {
                    differs("asks".to_owned(), &self.answer.asks)
                }
            }
            ["see", "problem", kind] => {
                let has_problem = self.problems.iter().any(|problem| problem == kind);
                if has_problem { Ok(()) } else { differs("problems".to_owned(), &self.problems) }
            }
            ["see", "nothing", "at", "risk"] => {
                if self.at_risk == 0 {
                    Ok(())
                } else {
                    differs("at risk".to_owned(), &self.answer.open)
                }
            }
            ["see", "missing", product, number] => {
                let missing = self.missing_seats.get(product).copied().unwrap_or(0);
                if number.parse() == Ok(missing) { Ok(()) } else { differs("missing".to_owned(), &missing) }
            }
            ["see", "mass-release", number] => {
                let released = self.mass_release.unwrap_or(0);
                if number.parse() == Ok(released) {
                    Ok(())
                } else {
                    differs("released".to_owned(), &released)
                }
            }
            ["see", "left-alone", reason, number] => {
                let count = self.left_alone.get(reason).copied().unwrap_or(0);
                if number.parse() == Ok(count) {
                    Ok(())
                } else {
                    differs("left alone".to_owned(), &self.left_alone)
                }
            }
            _ => Err(format!("nobody knows what this means: {line}")),
        }
    }
}

/// The first lines in which the two differ.
pub fn compare(expected: &Expected, seen: &Expected) -> Result<(), String> {
    let mut differences = String::new();
    differ(&mut differences, "writes", &expected.writes, &seen.writes);
    differ(&mut differences, "verdicts", &expected.verdicts, &seen.verdicts);
    differ(&mut differences, "mailboxes", &expected.mailboxes, &seen.mailboxes);
    differ(&mut differences, "open", &expected.open, &seen.open);
    differ(&mut differences, "asks", &expected.asks, &seen.asks);
    differ(&mut differences, "lost", &expected.lost, &seen.lost);
    if differences.is_empty() { Ok(()) } else { Err(differences) }
}

fn differ<T: PartialEq + std::fmt::Debug>(
    differences: &mut String,
    what: &str,
    expected: &BTreeMap<String, T>,
    seen: &BTreeMap<String, T>,
) {
    let mut keys: Vec<&String> = expected.keys().chain(seen.keys()).collect();
    keys.sort();
    keys.dedup();
    for key in keys {
        let (expected, seen) = (expected.get(key), seen.get(key));
        if expected != seen {
            *differences += &format!("{what} of {key}: expected {expected:?}, got {seen:?}\n");
        }
    }
}

// -- the tenant's own record

fn writes(lab: &Lab) -> BTreeMap<String, Vec<String>> {
    let mut writes: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for record in lab.wire.network.tenant().writes() {
        let user = record.user.map_or_else(|| record.path.clone(), |user| lab.names.of_user(user));
        writes.entry(user).or_default().push(in_words(record, &lab.names));
    }
    writes
}

/// `assign SPE_E3 without TEAMS1`, `restore`, `join licensing`, `location NO`; refused ones with their status.
pub fn in_words(record: &WriteRecord, names: &Names) -> String {
    let body: Value = serde_json::from_str(&record.body).unwrap_or_default();
    let what = match record.operation {
        "assign license" => assignment(&body),
        "restore deleted item" if body.as_object().is_none_or(serde_json::Map::is_empty) => {
            "restore".to_owned()
        }
        "restore deleted item" => format!("restore with {body}"),
        "add member" => {
            format!("join {}", record.group.map(|group| names.of_group(group)).unwrap_or_default())
        }
        "update user" => match (body.as_object().map(serde_json::Map::len), body["usageLocation"].as_str()) {
            (Some(1), Some(location)) => format!("location {location}"),
            _ => format!("update {body}"),
        },
        other => format!("{other} {body}"),
    };
    if record.applied { what } else { format!("{what} ({})", record.status) }
}

fn assignment(body: &Value) -> String {
    let added = body["addLicenses"].as_array().cloned().unwrap_or_default();
    let removed = body["removeLicenses"].as_array().map_or(0, Vec::len);
    let id = |value: &Value| value.as_str().and_then(|text| text.parse::<Uuid>().ok());
    let products: Vec<String> = added
        .iter()
        .map(|added| {
            let off = added["disabledPlans"].as_array().cloned().unwrap_or_default();
            let off: Vec<String> = off
                .iter()
                .map(|plan| id(plan).map_or_else(|| plan.to_string(), |id| plan_name(id.into())))
                .collect();
            let product = id(&added["skuId"]).map_or_else(|| added.to_string(), |id| sku_name(id.into()));
            if off.is_empty() { product } else { format!("{product} without {}", off.join(" ")) }
        })
        .collect();
    let removal = if removed > 0 { format!(" and remove {removed}") } else { String::new() };
    format!("assign {}{removal}", products.join(" and "))
}

fn mailboxes(lab: &Lab) -> BTreeMap<String, String> {
    let now = lab.tenant_clock_now();
    let mut tenant = lab.wire.network.tenant();
    tenant.advance(now);
    let state = |(name, user): (&String, &UserId)| {
        let truth = tenant.mailbox_truth(*user);
        let before = lab.mailboxes.get(name).copied();
        let state = match truth.state {
            MailboxState::None => "none",
            MailboxState::Active if before == Some(truth.id) => "same",
            MailboxState::Active if before.is_none() => "first",
            MailboxState::Active => "new",
            MailboxState::Disconnected { .. } => "disconnected",
            MailboxState::SoftDeleted { .. } => "deleted",
            MailboxState::Inactive => "inactive",
            MailboxState::Purged { .. } => "purged",
        };
        let is_gone = !tenant.is_live(*user) && !tenant.is_in_recycle_bin(*user) && before.is_some();
        let state = if is_gone { "gone" } else { state };
        (name.clone(), state.to_owned())
    };
    lab.names.users.iter().map(state).collect()
}

/// Not as it was at the start.
fn is_news(lab: &Lab, name: &str, state: &str) -> bool {
    let expected = if lab.mailboxes.contains_key(name) { "same" } else { "none" };
    state != expected
}

// -- what the product says

fn open(names: &Names, view: &TenantView) -> BTreeMap<String, String> {
    let next = |next: &NextMove| match next {
        NextMove::Step { is_sent: true, .. } => "sent".to_owned(),
        NextMove::Step { is_sent: false, .. } => "step".to_owned(),
        NextMove::Waiting { reason, .. } => reason.label().to_owned(),
        NextMove::Approved { .. } => "approved".to_owned(),
    };
    let listed = view.plan.waiting.iter().map(|waiting| (waiting.user, waiting.reason.label().to_owned()));
    let at_risk = view.at_risk.iter().map(|row| (row.user, next(&row.next)));
    listed.chain(at_risk).map(|(user, reason)| (names.of_user(user), reason)).collect()
}

fn asks(view: &TenantView) -> BTreeMap<String, usize> {
    let mut asks = BTreeMap::new();
    for ask in &view.asks {
        *asks.entry(ask.reason.label().to_owned()).or_default() += ask.users.len();
    }
    asks
}

fn deadlines(names: &Names, view: &TenantView) -> BTreeMap<String, i64> {
    let hours = |at: mailkeeper::model::Timestamp| (at - super::lab::START).as_millis() / 3_600_000;
    let rows = view.at_risk.iter();
    rows.filter_map(|row| Some((names.of_user(row.user), hours(row.deadline?)))).collect()
}

/// Lines of the journal, read without the product's own reader.
fn journal(lab: &Lab) -> Vec<Value> {
    let bytes = lab.log.bytes();
    bytes.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect()
}

fn events(
    lab: &Lab,
    journal: &[Value],
    event: &str,
    show: impl Fn(&Value) -> String,
) -> BTreeMap<String, Vec<String>> {
    let mut events: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for entry in journal.iter().map(|line| &line["entry"]).filter(|entry| entry["event"] == event) {
        let user = text(entry, "user").parse().map(|user| lab.names.of_user(user)).unwrap_or_default();
        events.entry(user).or_default().push(show(entry));
    }
    events
}

/// Once each: a mailbox that is counted twice makes every figure of the operator wrong.
fn lost(lab: &Lab, journal: &[Value]) -> Result<BTreeMap<String, String>, String> {
    let warned = |entry: &Value| if entry["warned"] == true { "warned" } else { "unwarned" }.to_owned();
    let lost = events(lab, journal, "lost", warned);
    match lost.iter().find(|(_, counted)| counted.len() > 1) {
        Some((name, counted)) => Err(format!("{name} was counted as lost {} times", counted.len())),
        None => Ok(lost.into_iter().filter_map(|(name, mut counted)| Some((name, counted.pop()?))).collect()),
    }
}

fn text(entry: &Value, key: &str) -> String {
    entry[key].as_str().unwrap_or_default().to_owned()
}
