//! Desired state: which mailboxes must survive, whom nobody may touch, and how much may be done at once. A value of
//! [`Policy`] is valid: everything that can be wrong with the files is found while they are read, all of it at once.
//!
//! Which rule a user falls under is decided here, and nothing else: no clocks, no seats, no choice to act.

mod authorship;
pub mod combine;
pub mod document;
pub mod fault;
pub mod grammar;
pub mod locate;
pub mod matcher;
mod misses;
mod objects;
mod restore;
pub mod revision;
pub mod scalar;
pub mod schema;
pub mod shape;
pub mod skus;
pub mod source;
mod tenant;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Catalog, GroupId, KnownUser, Response, RuleRef, Sku, Span, Timestamp};

pub use authorship::{Change, Identity};
pub use fault::{Fault, Format, Severity, render};
pub use matcher::{Answer, Matcher};
pub use restore::{NamePattern, Restore};
pub use schema::policy_schema;

/// What should be.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    pub retention: Retention,
    pub offboarded: Vec<Exclusion>,
    pub protected: Vec<Exclusion>,
    /// In the order of the files: the first that matches decides. Never empty.
    pub keep: Vec<KeepRule>,
    pub limits: Limits,
    pub unanswered_asks: Unanswered,
    /// SHA-256 of the sources, hexadecimal. Of a single file what `sha256sum` prints.
    pub digest: String,
    /// The git commit that was checked out where the files lie, if any.
    pub revision: Option<String>,
    /// The commit in which the files came to say what they say, where git tells.
    pub change: Option<Change>,
    /// When that was, else when the newest file was written; `None` for a text that is no file.
    pub dated: Option<Timestamp>,
    /// What is legal and still deserves a look.
    pub warnings: Vec<Fault>,
    /// The files as they were read.
    pub sources: Vec<fault::Source>,
}

/// Microsoft's limit and our own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// 30 or 60 days.
    pub days: Span,
    /// Less than `days`.
    pub margin: Span,
}

/// An entry of `offboarded` or `protected`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exclusion {
    pub matcher: Matcher,
    pub reason: String,
    pub line: u32,
    pub file: String,
}

/// A rule of `keep`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeepRule {
    pub name: String,
    pub matcher: Matcher,
    /// In the order of preference.
    pub licenses: Vec<SkuName>,
    pub assign: Assign,
    pub usage_location: Option<String>,
    pub on_license_lost: Response,
    pub on_deleted: Response,
    /// Where others hold the name or addresses of a deleted account by now.
    pub restore: Restore,
    pub settle: Span,
    pub priority: i32,
    pub adopt: bool,
    pub line: u32,
    pub file: String,
}

/// How a licence is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Assign {
    Direct,
    /// By membership of a licensing group.
    Group(GroupId),
}

/// A product as the policy names it: a part number or an id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkuName {
    pub written: String,
    pub line: u32,
    pub column: u32,
}

/// How much may be done at once.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    pub per_pass: u32,
    /// At least `per_pass`.
    pub per_day: u32,
    /// More than 0, at most 1: of the kept mailboxes, per day, once more than `floor` are concerned.
    pub share: f64,
    pub floor: u32,
    /// How long a policy may stand unchanged before a person must say that it is still meant.
    pub policy_age: Option<Span>,
    /// Seats left to people, by product as written.
    pub seats_reserved: BTreeMap<String, u32>,
}

impl Limits {
    /// Of so many kept mailboxes, so many may be concerned within a day without a person.
    pub fn allowed_of(&self, kept: u64) -> u64 {
        // A hair more: 29 % of 100 is 28.999999999999996 in floating point.
        let share = (self.share * kept as f64 + 1e-9).floor() as u64;
        share.max(u64::from(self.floor))
    }
}

/// What becomes of a question that nobody answered when "act by" is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unanswered {
    Report,
    Act,
}

/// What the policy says of one user.
#[derive(Debug, Clone, PartialEq)]
pub enum Ruling<'p> {
    Offboarded(&'p Exclusion),
    Protected(&'p Exclusion),
    Keep(&'p KeepRule),
    /// No entry and no rule matches.
    NoRule,
    /// A fact is missing on which the ruling depends; `fact` says which one and who asks for it.
    Undetermined {
        fact: String,
    },
}

impl Policy {
    /// Reads one text; `name` is what faults and rules call the file. No revision.
    pub fn parse(name: &str, text: &str) -> Result<Self, Vec<Fault>> {
        let source = fault::Source { name: name.to_owned(), text: text.to_owned() };
        combine::combine(&[source])
    }

    /// Reads files that were kept, as (name, text). No revision, no date.
    ///
    /// # Errors
    /// Every fault of every file, as another version of mailkeeper may find them.
    pub fn of_sources(sources: &[(String, String)]) -> Result<Self, Vec<Fault>> {
        let source =
            |(name, text): &(String, String)| fault::Source { name: name.clone(), text: text.clone() };
        combine::combine(&sources.iter().map(source).collect::<Vec<_>>())
    }

    /// Off-boarded entries first, then protected ones, then the first keep rule that matches. An answer that is not
    /// known ends the search, because what comes later could be wrong.
    pub fn ruling(&self, known: &KnownUser) -> Ruling<'_> {
        match excluded(&self.offboarded, known) {
            Found::Yes(entry) => return Ruling::Offboarded(entry),
            Found::Unknown(entry, fact) => return undetermined("off-boarded entry", entry, &fact),
            Found::No => {}
        }
        match excluded(&self.protected, known) {
            Found::Yes(entry) => return Ruling::Protected(entry),
            Found::Unknown(entry, fact) => return undetermined("protected entry", entry, &fact),
            Found::No => {}
        }
        for rule in &self.keep {
            match rule.matcher.answer(known) {
                Answer::Yes => return Ruling::Keep(rule),
                Answer::No => {}
                Answer::Unknown(fact) => {
                    let KeepRule { name, file, line, .. } = rule;
                    let fact = format!("{fact}, which rule \"{name}\" ({file}:{line}) asks for");
                    return Ruling::Undetermined { fact };
                }
            }
        }
        Ruling::NoRule
    }

    /// The name that a restore may give the user where its own is taken; whether it is free is another question.
    pub fn name_if_taken(&self, known: &KnownUser) -> Option<String> {
        match self.ruling(known) {
            Ruling::Keep(rule) => rule.restore.upn_if_taken.as_ref()?.name(&known.user.upn),
            Ruling::Offboarded(_) | Ruling::Protected(_) | Ruling::NoRule | Ruling::Undetermined { .. } => {
                None
            }
        }
    }

    /// Every group that the policy names: those that it matches on and those that give licences.
    pub fn groups(&self) -> BTreeSet<GroupId> {
        self.matchers().flat_map(Matcher::groups).chain(self.licensing_groups()).collect()
    }

    /// The groups whose members are left alone, off-boarded or protected.
    pub fn excluding_groups(&self) -> BTreeSet<GroupId> {
        self.exclusions().flat_map(|entry| entry.matcher.groups()).collect()
    }

    /// The groups by which rules give licences.
    pub fn licensing_groups(&self) -> BTreeSet<GroupId> {
        let assigning = self.keep.iter().filter_map(|rule| match rule.assign {
            Assign::Direct => None,
            Assign::Group(group) => Some(group),
        });
        assigning.collect()
    }

    /// The first rule or entry that names this group, for people.
    pub fn naming(&self, group: GroupId) -> Option<String> {
        let entries = |kind: &'static str, entries: &[Exclusion]| {
            let named = entries.iter().find(|entry| entry.matcher.groups().contains(&group));
            named.map(|entry| format!("the {kind} entry {}:{}", entry.file, entry.line))
        };
        let is_named =
            |rule: &&KeepRule| rule.assign == Assign::Group(group) || rule.matcher.groups().contains(&group);
        let rule = || self.keep.iter().find(is_named).map(|rule| format!("rule \"{}\"", rule.name));
        entries("off-boarded", &self.offboarded)
            .or_else(|| entries("protected", &self.protected))
            .or_else(rule)
    }

    /// True when a rule or entry depends on the kind of the mailbox, so that Exchange must be asked.
    pub fn needs_mailbox_kind(&self) -> bool {
        self.matchers().any(Matcher::needs_mailbox_kind)
    }

    /// What the tenant's products have against the policy. Errors are rules that can never give a mailbox.
    pub fn faults_against(&self, catalog: &Catalog) -> Vec<Fault> {
        tenant::faults(self, catalog)
    }

    fn matchers(&self) -> impl Iterator<Item = &Matcher> {
        let excluded = self.exclusions().map(|entry| &entry.matcher);
        excluded.chain(self.keep.iter().map(|rule| &rule.matcher))
    }

    fn exclusions(&self) -> impl Iterator<Item = &Exclusion> {
        self.offboarded.iter().chain(&self.protected)
    }
}

impl KeepRule {
    /// True when the rule says in so many words that disabled accounts are meant, too. Only then may one be licensed.
    pub fn names_account_enabled(&self) -> bool {
        self.matcher.accepts_disabled()
    }

    pub fn reference(&self) -> RuleRef {
        RuleRef { name: self.name.clone(), line: self.line, file: self.file.clone(), priority: self.priority }
    }
}

impl SkuName {
    pub fn as_str(&self) -> &str {
        &self.written
    }

    /// The tenant's product of this name.
    pub fn find<'c>(&self, catalog: &'c Catalog) -> Option<&'c Sku> {
        catalog.find(&self.written)
    }
}

enum Found<'p> {
    Yes(&'p Exclusion),
    No,
    Unknown(&'p Exclusion, String),
}

/// An entry that matches decides, also after one whose answer is not known: the user is left alone either way.
fn excluded<'p>(entries: &'p [Exclusion], known: &KnownUser) -> Found<'p> {
    let mut found = Found::No;
    for entry in entries {
        match (entry.matcher.answer(known), &found) {
            (Answer::Yes, _) => return Found::Yes(entry),
            (Answer::Unknown(fact), Found::No) => found = Found::Unknown(entry, fact),
            (Answer::Unknown(_), Found::Unknown(..) | Found::Yes(_)) | (Answer::No, _) => {}
        }
    }
    found
}

fn undetermined<'p>(kind: &str, entry: &Exclusion, fact: &str) -> Ruling<'p> {
    Ruling::Undetermined { fact: format!("{fact}, which the {kind} {}:{} asks for", entry.file, entry.line) }
}
