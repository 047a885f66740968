//! The policy against the users that are known: rules that match nobody, users that nothing names, ids that nobody has,
//! groups that are missing, empty or nested. One look over the state, a handful kept.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Catalog, Entitlement, Group, GroupId, KnownUser, Presence, Reason, Span, UserId};
use crate::policy::{Answer, Assign, KeepRule, Policy, Ruling};
use crate::report::examination::{Area, Finding, Level};
use crate::report::words;
use crate::store::records::{Cursor, Seats};
use crate::store::{self, TenantStore};

use super::GroupAnswer;

/// Users named as examples.
const EXAMPLES: usize = 5;

/// Ids named in one finding.
const IDS_SHOWN: usize = 10;

/// What one look over the known users shows.
#[derive(Debug, Default)]
pub struct Census {
    pub users: u64,
    pub is_observed: bool,
    /// By position in `keep`: users that the rule decides about, and users that it would match.
    decided: BTreeMap<usize, u64>,
    matched: BTreeMap<usize, u64>,
    /// With a mailbox, and nothing names them.
    unnamed: Sample,
    undetermined: Sample,
    /// The same of accounts that are deleted: nobody can ask any more.
    lost_facts: Sample,
    /// By position in `keep`: users of the rule about whom nothing can be decided.
    undecided: BTreeMap<usize, u64>,
    fact: Option<String>,
    members: BTreeMap<GroupId, u64>,
    groups_read: BTreeSet<GroupId>,
    /// Ids of the policy that were not seen.
    unseen: BTreeSet<UserId>,
}

/// A count and a few names.
#[derive(Debug, Default)]
struct Sample {
    count: u64,
    names: Vec<String>,
}

impl Sample {
    fn add(&mut self, upn: &str) {
        self.count += 1;
        if self.names.len() < EXAMPLES {
            self.names.push(upn.to_owned());
        }
    }

    fn examples(&self) -> String {
        let more = if self.count > self.names.len() as u64 { ", .." } else { "" };
        format!("{}{more}", self.names.join(", "))
    }
}

impl Census {
    pub fn take(policy: &Policy, store: &TenantStore) -> Result<Self, store::Error> {
        let catalog = store.get::<Seats>()?.map(|seats| seats.catalog).unwrap_or_default();
        let ids = entries(policy).into_iter().flat_map(|entry| entry.ids);
        let mut census = Self { unseen: ids.collect(), ..Self::default() };
        census.is_observed = store.get_or_default::<Cursor>()?.last_complete.is_some();
        store.for_each_user(|known| census.count(policy, &known, &catalog))?;
        Ok(census)
    }

    fn count(&mut self, policy: &Policy, known: &KnownUser, catalog: &Catalog) {
        self.users += 1;
        self.unseen.remove(&known.id());
        self.groups_read.extend(&known.groups_read);
        if known.presence == Presence::Live {
            for group in &known.groups {
                *self.members.entry(*group).or_default() += 1;
            }
        }
        let ruling = policy.ruling(known);
        for (index, rule) in policy.keep.iter().enumerate() {
            if rule.matcher.answer(known) == Answer::Yes {
                *self.matched.entry(index).or_default() += 1;
                let is_undecided = matches!(ruling, Ruling::Undetermined { .. });
                *self.undecided.entry(index).or_default() += u64::from(is_undecided);
            }
        }
        match ruling {
            Ruling::Keep(rule) => {
                let index = policy.keep.iter().position(|candidate| std::ptr::eq(candidate, rule));
                *self.decided.entry(index.unwrap_or_default()).or_default() += 1;
            }
            Ruling::NoRule => {
                let has_mailbox =
                    known.mailbox.kind.is_some() || Entitlement::of(&known.user, catalog).is_licensed();
                if has_mailbox && known.presence == Presence::Live {
                    self.unnamed.add(&known.user.upn);
                }
            }
            Ruling::Undetermined { .. } if matches!(known.presence, Presence::Deleted { .. }) => {
                self.lost_facts.add(&known.user.upn);
            }
            Ruling::Undetermined { fact } => {
                self.undetermined.add(&known.user.upn);
                self.fact.get_or_insert(fact);
            }
            Ruling::Offboarded(_) | Ruling::Protected(_) => {}
        }
    }
}

/// An entry or rule that names ids.
struct Named {
    place: String,
    ids: BTreeSet<UserId>,
}

fn entries(policy: &Policy) -> Vec<Named> {
    let excluded = [("off-boarded", &policy.offboarded), ("protected", &policy.protected)];
    let excluded = excluded.into_iter().flat_map(|(kind, entries)| {
        entries.iter().map(move |entry| Named {
            place: format!("{kind} entry {}:{}", entry.file, entry.line),
            ids: entry.matcher.ids(),
        })
    });
    let rules = policy.keep.iter().map(|rule| Named {
        place: format!("rule \"{}\" ({}:{})", rule.name, rule.file, rule.line),
        ids: rule.matcher.ids(),
    });
    excluded.chain(rules).filter(|named| !named.ids.is_empty()).collect()
}

pub fn judge(policy: &Policy, census: &Census, groups: &[(GroupId, GroupAnswer)]) -> Vec<Finding> {
    let mut findings: Vec<Finding> =
        groups.iter().filter_map(|(id, answer)| group(policy, census, *id, answer)).collect();
    if !census.is_observed {
        findings.push(Finding::new(
            Level::Note,
            Area::Policy,
            "the tenant was never observed completely: the policy was not compared with its users",
            "",
            "run `mailkeeper plan`, or wait for the daemon's first pass",
        ));
        return findings;
    }
    findings.extend(rules(policy, census));
    findings.extend(unseen(policy, census));
    findings.extend(unnamed(census));
    findings
}

/// A policy that is about to be too old for itself, or is.
pub fn age(age: Span, limit: Span) -> Option<Finding> {
    if age.as_millis() < limit.as_millis() / 10 * 9 {
        return None;
    }
    let is_over = age > limit;
    let (level, effect) = match is_over {
        true => (Level::Error, "nothing is started until a person says that it is still meant"),
        false => (Level::Warning, "over it nothing is started until a person says that it is still meant"),
    };
    Some(Finding::new(
        level,
        Area::Policy,
        format!("the policy was changed or approved {age} ago, limits.policy_age is {limit}"),
        effect,
        "read it and commit what has to change; once it is over the limit, `mailkeeper asks` and `approve` do as well",
    ))
}

/// New names for restored accounts in domains that are not the tenant's: Graph refuses them, at the worst moment.
pub fn strange_domains(policy: &Policy, domains: &[String]) -> Vec<Finding> {
    let strange = policy.keep.iter().filter_map(|rule| {
        let domain = rule.restore.upn_if_taken.as_ref()?.domain();
        let is_known = domains.is_empty() || domains.iter().any(|known| known.eq_ignore_ascii_case(domain));
        (!is_known).then(|| {
            Finding::new(
                Level::Error,
                Area::Policy,
                format!(
                    "rule \"{}\" ({}:{}) gives restored accounts names at {domain}, which is no verified domain here",
                    rule.name, rule.file, rule.line
                ),
                "Graph refuses such a restore",
                "write a domain of the tenant in `upn_if_taken`",
            )
        })
    });
    strange.collect()
}

fn rules(policy: &Policy, census: &Census) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, rule) in policy.keep.iter().enumerate() {
        let [decided, matched] =
            [&census.decided, &census.matched].map(|counts| counts.get(&index).copied().unwrap_or_default());
        let place = format!("rule \"{}\" ({}:{})", rule.name, rule.file, rule.line);
        findings.push(match (decided, matched) {
            (0, 0) => Finding::new(
                Level::Warning,
                Area::Policy,
                format!("{place} matches nobody"),
                "whoever was meant is not kept by it",
                "look for a misspelt domain, department or group; `mailkeeper explain USER` says what matches",
            ),
            // Whose fault it is, is said once, below.
            (0, _) if census.undecided.get(&index).is_some_and(|count| *count > 0) => Finding::new(
                Level::Note,
                Area::Policy,
                format!("{place} decides about nobody at the moment: about some of its users nothing can be decided"),
                "a fact is missing, for which an entry or rule above it asks",
                "see the users that cannot be decided",
            ),
            (0, matched) => Finding::new(
                Level::Warning,
                Area::Policy,
                format!("{place} decides about nobody: others come first for all of its {matched} users"),
                "the first rule that matches decides",
                "move it up, or remove it",
            ),
            (decided, _) => {
                Finding::ok(Area::Policy, format!("{place} keeps {}", words::how_many(decided, "user", "users")))
            }
        });
    }
    findings
}

fn unseen(policy: &Policy, census: &Census) -> Vec<Finding> {
    let concerned = entries(policy).into_iter().filter_map(|named| {
        let ids: Vec<String> = named.ids.intersection(&census.unseen).map(UserId::to_string).collect();
        (!ids.is_empty()).then_some((named.place, ids))
    });
    let findings = concerned.map(|(place, ids)| {
        let more = ids.len().saturating_sub(IDS_SHOWN);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let shown = ids.iter().take(IDS_SHOWN).cloned().collect::<Vec<_>>().join(", ");
        Finding::new(
            Level::Warning,
            Area::Policy,
            format!(
                "{place} names {}, never observed: {shown}{more}",
                words::how_many(ids.len() as u64, "id", "ids")
            ),
            "a mistyped id protects or keeps nobody; an account purged long ago may be taken out",
            "compare with the object id in the Entra admin centre",
        )
    });
    findings.collect()
}

fn unnamed(census: &Census) -> Vec<Finding> {
    let mut findings = Vec::new();
    if census.undetermined.count > 0 {
        findings.push(Finding::new(
            Level::Warning,
            Area::Policy,
            format!(
                "{} cannot be decided: {} (such as {})",
                words::how_many(census.undetermined.count, "user", "users"),
                census.fact.as_deref().unwrap_or("a fact is missing"),
                census.undetermined.examples()
            ),
            "unreadable is not absent: they are reported, not repaired",
            "see Permissions above; after a new group in the policy, wait for one pass",
        ));
    }
    if census.lost_facts.count > 0 {
        findings.push(Finding::new(
            Level::Warning,
            Area::Policy,
            format!(
                "{} cannot be decided (such as {})",
                words::how_many(census.lost_facts.count, "deleted account", "deleted accounts"),
                census.lost_facts.examples()
            ),
            "they were deleted before the first observation, and are not restored",
            Reason::DELETED_UNDETERMINED,
        ));
    }
    if census.unnamed.count > 0 {
        findings.push(Finding::new(
            Level::Note,
            Area::Policy,
            format!(
                "{} with a mailbox are named by nothing in the policy: {}",
                words::how_many(census.unnamed.count, "user", "users"),
                census.unnamed.examples()
            ),
            "they are counted and never touched",
            "add a keep rule if they matter",
        ));
    }
    findings
}

fn group(policy: &Policy, census: &Census, id: GroupId, answer: &GroupAnswer) -> Option<Finding> {
    let rule = policy.keep.iter().find(|rule| rule.assign == Assign::Group(id));
    let (group, direct) = match answer {
        GroupAnswer::Known { group, direct } => (group, *direct),
        GroupAnswer::Missing => {
            return Some(Finding::new(
                Level::Error,
                Area::Policy,
                format!("group {id} does not exist"),
                "every observation is incomplete, so nothing is started",
                "correct the id in the policy; a deleted group can be restored for 30 days",
            ));
        }
        // Said once, under Permissions.
        GroupAnswer::Refused => return None,
        GroupAnswer::Unread(error) => {
            let what = format!("group {id} could not be read: {error}");
            return Some(Finding::new(Level::Warning, Area::Policy, what, "", "try again"));
        }
    };
    let name = group.title();
    let members =
        census.groups_read.contains(&id).then(|| census.members.get(&id).copied().unwrap_or_default());
    let nested = direct.zip(members).map(|(direct, all)| all.saturating_sub(direct));
    if let Some(finding) = rule.and_then(|rule| unlicensing(&name, rule, group, nested.unwrap_or_default())) {
        return Some(finding);
    }
    if members == Some(0) {
        return Some(Finding::new(
            Level::Warning,
            Area::Policy,
            format!("{name} is empty"),
            "whatever the policy says about its members is about nobody",
            "is it the right group?",
        ));
    }
    let members = members.map(|count| format!(" has {}", words::how_many(count, "member", "members")));
    Some(Finding::ok(Area::Policy, format!("{name}{}", members.unwrap_or_else(|| " exists".to_owned()))))
}

/// Why a group by which a rule gives licences would not do so. `nested`: users that are only in groups inside it.
fn unlicensing(name: &str, rule: &KeepRule, group: &Group, nested: u64) -> Option<Finding> {
    let (what, why, to_do) = if let Some((what, why)) = group.takes_nobody() {
        (what.to_owned(), why, "use another group, or `assign: direct`")
    } else if group.licenses.as_ref().is_some_and(Vec::is_empty) {
        (
            "gives no licence".to_owned(),
            "membership would not bring a mailbox back",
            "assign the product to the group",
        )
    } else if nested > 0 {
        (
            format!("is nested: {} are only in groups inside it", words::how_many(nested, "user", "users")),
            "group-based licensing does not reach below the first level: they get nothing",
            "put them into the group itself",
        )
    } else {
        return None;
    };
    let what = format!("{name}, which rule \"{}\" licenses by, {what}", rule.name);
    Some(Finding::new(Level::Error, Area::Policy, what, why, to_do))
}
