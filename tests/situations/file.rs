//! The format of a situation file: a tenant, a policy, what happens, and the one right answer. No running here.

use std::collections::BTreeMap;

use mailkeeper::model::Span;
use serde::Deserialize;

/// One situation.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Situation {
    #[serde(default)]
    pub tenant: Tenant,
    /// Texts of the standard policy and what stands there instead.
    #[serde(default)]
    pub policy_with: BTreeMap<String, String>,
    /// Further policies by name, made of the one above in the same way; `policy NAME` puts one in force.
    #[serde(default)]
    pub policies: BTreeMap<String, BTreeMap<String, String>>,
    /// What happened before mailkeeper was installed, and how long before.
    #[serde(default)]
    pub before: Vec<BTreeMap<String, Lines>>,
    /// From pass to pass.
    #[serde(default = "hourly")]
    pub every: String,
    /// What happens from then on; the last entry ends the story.
    pub story: Vec<BTreeMap<String, Lines>>,
    pub expect: Expected,
}

fn hourly() -> String {
    "1h".to_owned()
}

/// The tenant, as far as it differs from the standard one.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tenant {
    /// Staff with Microsoft 365 E3, named staff01 and so on.
    #[serde(default)]
    pub staff: Option<usize>,
    #[serde(default)]
    pub people: BTreeMap<String, Person>,
    /// Seats beyond what is used at the start.
    #[serde(default)]
    pub free_seats: BTreeMap<String, u32>,
    /// How long Exchange takes until a mailbox answers again; some minutes where the file says nothing.
    #[serde(default)]
    pub exchange_takes: Option<String>,
    /// Switches of the simulated tenant that are not as usual.
    #[serde(default)]
    pub switches: Vec<String>,
}

/// Someone; without anything a member with Microsoft 365 E3.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Person {
    /// `SPE_E3` or `SPE_E3 without TEAMS1 OFFICESUBSCRIPTION`.
    #[serde(default)]
    pub licences: Option<Vec<String>>,
    #[serde(default)]
    pub groups: Vec<String>,
    /// member, without-mailbox, shared, room, guest.
    #[serde(default)]
    pub kind: Option<String>,
    #[serde(default)]
    pub employee_type: Option<String>,
    #[serde(default)]
    pub department: Option<String>,
    /// `none` for an account without one.
    #[serde(default)]
    pub location: Option<String>,
    /// A further address.
    #[serde(default)]
    pub also: Option<String>,
    /// The user principal name, where it is not the name at contoso.com.
    #[serde(default)]
    pub upn: Option<String>,
    #[serde(default)]
    pub synced: bool,
    #[serde(default)]
    pub holds_role: bool,
    #[serde(default)]
    pub disabled: bool,
    /// Not there yet: `hire NAME` brings them.
    #[serde(default)]
    pub joins_later: bool,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Lines {
    One(String),
    Many(Vec<String>),
}

impl Lines {
    pub fn all(&self) -> Vec<String> {
        match self {
            Self::One(line) => vec![line.clone()],
            Self::Many(lines) => lines.clone(),
        }
    }
}

/// The right answer. What is not mentioned must not be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// Everything that reached the tenant, refused or not: user to requests, in their order.
    #[serde(default)]
    pub writes: BTreeMap<String, Vec<String>>,
    /// What the journal says of repairs.
    #[serde(default)]
    pub verdicts: BTreeMap<String, Vec<String>>,
    /// Mailboxes that are not as they were: disconnected, deleted, inactive, purged, new, first, gone.
    #[serde(default)]
    pub mailboxes: BTreeMap<String, String>,
    /// Who is still at risk, or would be if it were ours to touch, and why nothing is done.
    #[serde(default)]
    pub open: BTreeMap<String, String>,
    /// Questions that are open at the end: reason to the number of users.
    #[serde(default)]
    pub asks: BTreeMap<String, usize>,
    /// Mailboxes that the journal counts as lost: warned, or unwarned.
    #[serde(default)]
    pub lost: BTreeMap<String, String>,
}

/// A moment of the story and what happens then.
#[derive(Debug, Clone)]
pub struct Moment {
    pub at: Span,
    pub lines: Vec<String>,
}

/// Moments in the order of the file.
pub fn moments(entries: &[BTreeMap<String, Lines>]) -> Result<Vec<Moment>, String> {
    let entries = entries.iter().flatten();
    entries.map(|(at, lines)| Ok(Moment { at: span(at)?, lines: lines.all() })).collect()
}

/// `90m`, `2h`, `30d`, `30d2h`.
pub fn span(text: &str) -> Result<Span, String> {
    let mut minutes = 0;
    let mut digits = String::new();
    for character in text.trim().chars() {
        if character.is_ascii_digit() {
            digits.push(character);
            continue;
        }
        let number: i64 = digits.parse().map_err(|_| format!("not a time: {text}"))?;
        digits.clear();
        minutes += number
            * match character {
                'm' => 1,
                'h' => 60,
                'd' => 24 * 60,
                _ => return Err(format!("not a time: {text}")),
            };
    }
    if digits.is_empty() { Ok(Span::from_minutes(minutes)) } else { Err(format!("not a time: {text}")) }
}

/// `anna`, `anna,bo`, `staff01..staff05`.
pub fn names(text: &str) -> Vec<String> {
    let parts = text.split(',');
    let expanded = parts.flat_map(|part| match part.split_once("..") {
        None => vec![part.to_owned()],
        Some((first, last)) => {
            let stem = first.trim_end_matches(|character: char| character.is_ascii_digit());
            let number = |name: &str| name[stem.len()..].parse::<usize>().expect("a range ends in numbers");
            let width = first.len() - stem.len();
            (number(first)..=number(last)).map(|number| format!("{stem}{number:0width$}")).collect()
        }
    });
    expanded.collect()
}

/// The same with every name on its own.
pub fn spread<T: Clone>(map: &BTreeMap<String, T>) -> BTreeMap<String, T> {
    map.iter()
        .flat_map(|(key, value)| names(key).into_iter().map(move |name| (name, value.clone())))
        .collect()
}
