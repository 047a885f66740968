//! Whether a condition of the policy holds for one user: yes, no, or not known. Unreadable is not absent. Pure.

use std::collections::BTreeSet;

use globset::{GlobBuilder, GlobMatcher};

use crate::model::{GroupId, KnownUser, MailboxKind, Presence, Probe, ProbeAnswer, UserId, UserType};

/// The answer to a condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    Yes,
    No,
    /// The fact that is missing, in words.
    Unknown(String),
}

/// The `match` of a rule or entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matcher {
    condition: Condition,
}

/// A condition and its combinations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Not(Box<Condition>),
    Fact(Fact),
}

/// One key of a match. Several values mean any of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    Id(BTreeSet<UserId>),
    Text { property: Property, patterns: Vec<Pattern> },
    UserType(BTreeSet<Membership>),
    AccountEnabled(BTreeSet<bool>),
    OnPremisesSynced(bool),
    Group(BTreeSet<GroupId>),
    Mailbox(BTreeSet<MailboxKind>),
}

/// A text of the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Property {
    Upn,
    Mail,
    Domain,
    Department,
    Company,
    Country,
    JobTitle,
    EmployeeType,
}

/// `user_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Membership {
    Member,
    Guest,
}

/// Text in which `*` stands for any run of characters; letter case is ignored, everything else stands for itself.
#[derive(Debug, Clone)]
pub struct Pattern {
    lowered: String,
    glob: Option<GlobMatcher>,
}

impl Pattern {
    /// `None` when the text is too long to be compiled.
    pub fn new(text: &str) -> Option<Self> {
        let lowered = text.to_lowercase();
        if !lowered.contains('*') {
            return Some(Self { lowered, glob: None });
        }
        // Only `*` is special: departments are called "R&D [EU]", and nobody expects that to be a character class.
        let escaped: String = lowered.chars().fold(String::new(), |mut escaped, character| {
            if matches!(character, '?' | '[' | ']' | '{' | '}' | '!' | '\\') {
                escaped.push('\\');
            }
            // `**` would be a path wildcard; in a name it says no more than `*`.
            if character != '*' || !escaped.ends_with('*') {
                escaped.push(character);
            }
            escaped
        });
        let glob = GlobBuilder::new(&escaped).backslash_escape(true).literal_separator(false).build().ok()?;
        Some(Self { lowered, glob: Some(glob.compile_matcher()) })
    }

    fn matches(&self, lowered: &str) -> bool {
        match &self.glob {
            Some(glob) => glob.is_match(lowered),
            None => self.lowered == lowered,
        }
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.lowered == other.lowered
    }
}

impl Eq for Pattern {}

impl Matcher {
    /// As written: what a match does not mention may be anything.
    pub fn as_written(condition: Condition) -> Self {
        Self { condition }
    }

    /// As written, and members only unless it speaks of the user type itself.
    pub fn members_by_default(condition: Condition) -> Self {
        if condition.facts().iter().any(|fact| matches!(fact, Fact::UserType(_))) {
            return Self { condition };
        }
        let member = Condition::Fact(Fact::UserType(BTreeSet::from([Membership::Member])));
        let conditions = match condition {
            Condition::All(mut conditions) => {
                conditions.push(member);
                conditions
            }
            other => vec![other, member],
        };
        Self { condition: Condition::All(conditions) }
    }

    pub fn answer(&self, known: &KnownUser) -> Answer {
        self.condition.answer(known)
    }

    /// What must hold together.
    pub(super) fn conjuncts(&self) -> Vec<&Condition> {
        self.condition.conjuncts()
    }

    pub fn groups(&self) -> BTreeSet<GroupId> {
        let facts = self.condition.facts();
        let groups = facts.iter().filter_map(|fact| match fact {
            Fact::Group(groups) => Some(groups),
            Fact::Id(_)
            | Fact::Text { .. }
            | Fact::UserType(_)
            | Fact::AccountEnabled(_)
            | Fact::OnPremisesSynced(_)
            | Fact::Mailbox(_) => None,
        });
        groups.flatten().copied().collect()
    }

    pub fn needs_mailbox_kind(&self) -> bool {
        self.condition.facts().iter().any(|fact| matches!(fact, Fact::Mailbox(_)))
    }

    /// True when the match says in so many words that a disabled account is meant.
    pub fn accepts_disabled(&self) -> bool {
        self.condition.names_disabled(true)
    }

    /// True when only mailboxes that live without a licence can match: shared, room, equipment.
    pub fn is_without_license(&self) -> bool {
        self.condition.demands(
            &|fact| matches!(fact, Fact::Mailbox(kinds) if kinds.iter().all(|kind| !kind.needs_license())),
        )
    }

    /// The ids without which nothing matches; empty when other users can match, too.
    pub fn ids(&self) -> BTreeSet<UserId> {
        let facts = self.condition.conjuncts().into_iter().filter_map(|condition| match condition {
            Condition::Fact(Fact::Id(ids)) => Some(ids),
            Condition::Fact(_) | Condition::All(_) | Condition::Any(_) | Condition::Not(_) => None,
        });
        facts.flatten().copied().collect()
    }

    /// True when every user that `other` matches is matched by this one, too, as far as the wording shows.
    pub fn covers(&self, other: &Self) -> bool {
        let theirs = other.condition.conjuncts();
        self.condition.conjuncts().iter().all(|ours| theirs.iter().any(|their| ours.covers(their)))
    }
}

impl Condition {
    pub(super) fn answer(&self, known: &KnownUser) -> Answer {
        match self {
            Self::All(conditions) => combined(conditions, known, &Answer::No, Answer::Yes),
            Self::Any(conditions) => combined(conditions, known, &Answer::Yes, Answer::No),
            Self::Not(condition) => match condition.answer(known) {
                Answer::Yes => Answer::No,
                Answer::No => Answer::Yes,
                unknown @ Answer::Unknown(_) => unknown,
            },
            Self::Fact(fact) => fact.answer(known),
        }
    }

    fn facts(&self) -> Vec<&Fact> {
        match self {
            Self::All(conditions) | Self::Any(conditions) => {
                conditions.iter().flat_map(Self::facts).collect()
            }
            Self::Not(condition) => condition.facts(),
            Self::Fact(fact) => vec![fact],
        }
    }

    /// What must hold together: nested `all` are opened.
    fn conjuncts(&self) -> Vec<&Condition> {
        match self {
            Self::All(conditions) => conditions.iter().flat_map(Self::conjuncts).collect(),
            Self::Any(_) | Self::Not(_) | Self::Fact(_) => vec![self],
        }
    }

    fn demands(&self, is_wanted: &dyn Fn(&Fact) -> bool) -> bool {
        match self {
            Self::All(conditions) => conditions.iter().any(|condition| condition.demands(is_wanted)),
            Self::Any(conditions) => conditions.iter().all(|condition| condition.demands(is_wanted)),
            Self::Not(_) => false,
            Self::Fact(fact) => is_wanted(fact),
        }
    }

    fn names_disabled(&self, is_positive: bool) -> bool {
        match self {
            Self::All(conditions) | Self::Any(conditions) => {
                conditions.iter().any(|condition| condition.names_disabled(is_positive))
            }
            Self::Not(condition) => condition.names_disabled(!is_positive),
            Self::Fact(Fact::AccountEnabled(values)) => values.contains(&!is_positive),
            Self::Fact(_) => false,
        }
    }

    fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Fact(ours), Self::Fact(theirs)) => ours.covers(theirs),
            _ => self == other,
        }
    }
}

/// `all` ends at the first no, `any` at the first yes; else the first unknown counts.
fn combined(conditions: &[Condition], known: &KnownUser, decides: &Answer, otherwise: Answer) -> Answer {
    let mut result = otherwise;
    for condition in conditions {
        let answer = condition.answer(known);
        if answer == *decides {
            return answer;
        }
        if matches!(answer, Answer::Unknown(_)) && !matches!(result, Answer::Unknown(_)) {
            result = answer;
        }
    }
    result
}

impl Fact {
    fn answer(&self, known: &KnownUser) -> Answer {
        let user = &known.user;
        match self {
            Self::Id(ids) => yes_if(ids.contains(&user.id)),
            Self::Text { property, patterns } => {
                let text = property.of(known).map(|text| text.to_lowercase());
                yes_if(text.is_some_and(|text| patterns.iter().any(|pattern| pattern.matches(&text))))
            }
            Self::UserType(types) => match &user.user_type {
                UserType::Member => yes_if(types.contains(&Membership::Member)),
                UserType::Guest => yes_if(types.contains(&Membership::Guest)),
                UserType::Other(_) => Answer::No,
                UserType::Unknown => Answer::Unknown("the user type".to_owned()),
            },
            Self::AccountEnabled(values) => match user.account_enabled {
                Some(is_enabled) => yes_if(values.contains(&is_enabled)),
                None if values.len() == 2 => Answer::Yes,
                None => Answer::Unknown("whether the account is enabled".to_owned()),
            },
            Self::OnPremisesSynced(is_synced) => yes_if(user.on_premises_synced == *is_synced),
            Self::Group(groups) => in_any(groups, known),
            Self::Mailbox(kinds) => mailbox_is(kinds, known),
        }
    }

    fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Id(ours), Self::Id(theirs)) => ours.is_superset(theirs),
            (
                Self::Text { property: our, patterns: ours },
                Self::Text { property: their, patterns: theirs },
            ) => our == their && theirs.iter().all(|pattern| ours.contains(pattern)),
            (Self::UserType(ours), Self::UserType(theirs)) => ours.is_superset(theirs),
            (Self::AccountEnabled(ours), Self::AccountEnabled(theirs)) => ours.is_superset(theirs),
            (Self::Group(ours), Self::Group(theirs)) => ours.is_superset(theirs),
            (Self::Mailbox(ours), Self::Mailbox(theirs)) => ours.is_superset(theirs),
            _ => self == other,
        }
    }
}

fn yes_if(holds: bool) -> Answer {
    if holds { Answer::Yes } else { Answer::No }
}

fn in_any(groups: &BTreeSet<GroupId>, known: &KnownUser) -> Answer {
    let read = |group: &&GroupId| known.groups_read.contains(*group);
    if groups.iter().filter(read).any(|group| known.groups.contains(group)) {
        return Answer::Yes;
    }
    match groups.iter().find(|group| !read(group)) {
        Some(unread) => Answer::Unknown(format!("membership of group {unread}")),
        None => Answer::No,
    }
}

/// Exchange is the only one who knows the kind. That it answered "no mailbox" for a live account proves that there is
/// none that lives without a licence; whether a licensed one waits to come back, it does not prove.
fn mailbox_is(kinds: &BTreeSet<MailboxKind>, known: &KnownUser) -> Answer {
    let unknown = || Answer::Unknown("the kind of the mailbox".to_owned());
    let probed = known.mailbox.last_probe.as_ref();
    let probed_kind = probed.and_then(|probe| match &probe.answer {
        ProbeAnswer::Reachable { kind, .. } => Some(kind),
        ProbeAnswer::NoMailbox | ProbeAnswer::Unreadable => None,
    });
    match known.mailbox.kind.as_ref().or(probed_kind) {
        Some(MailboxKind::Unrecognised(_)) => return unknown(),
        Some(kind) => return yes_if(kinds.contains(kind)),
        None => {}
    }
    let had_none_while_live = probed.is_some_and(|probe| {
        let was_live = match known.presence {
            Presence::Live => true,
            Presence::Deleted { since } => probe.at < since,
            Presence::Missing { .. } | Presence::Gone { .. } | Presence::Recalled { .. } => false,
        };
        was_live && probe.answer == ProbeAnswer::NoMailbox
    });
    let only_without_license = kinds.iter().all(|kind| !kind.needs_license());
    if had_none_while_live && (only_without_license || !known.had_mailbox()) {
        return Answer::No;
    }
    // Exchange is not asked about them: a mailbox has a licence, or an address at least.
    let has_neither = known.user.mail.is_none() && known.user.licenses.as_ref().is_some_and(Vec::is_empty);
    if known.presence == Presence::Live && has_neither && !known.had_mailbox() {
        return Answer::No;
    }
    if only_without_license && is_refused(probed) && looks_like_a_person(known) {
        return Answer::No;
    }
    unknown()
}

fn is_refused(probe: Option<&Probe>) -> bool {
    probe.is_some_and(|probe| probe.answer == ProbeAnswer::Unreadable)
}

/// Where Exchange may not be asked there is indirect evidence: a licence that carries a mailbox, and an account to sign
/// in with. Those of shared mailboxes are blocked (Microsoft: "block sign-in for the shared mailbox account").
fn looks_like_a_person(known: &KnownUser) -> bool {
    known.remembered.is_some() && known.user.account_enabled == Some(true)
}

impl Property {
    pub(super) fn of(self, known: &KnownUser) -> Option<String> {
        let user = &known.user;
        match self {
            Self::Upn => Some(user.upn.clone()),
            Self::Mail => user.mail.clone(),
            Self::Domain => user.domain(),
            Self::Department => user.department.clone(),
            Self::Company => user.company.clone(),
            Self::Country => user.country.clone(),
            Self::JobTitle => user.job_title.clone(),
            Self::EmployeeType => user.employee_type.clone(),
        }
    }
}
