//! The matching cases: a policy, users as an operator would describe them, and the ruling that each must get.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::model::{
    KnownUser, MailboxKind, MailboxMemory, Presence, Probe, ProbeAnswer, Remembered, Timestamp, User,
    UserType,
};
use crate::policy::{Format, Policy, Ruling, render, schema};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MatchingCase {
    policy: String,
    users: Vec<UserCase>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UserCase {
    /// What this user shows.
    say: String,
    /// `keep NAME`, `offboarded REASON`, `protected REASON`, `no rule`, or `undetermined FACT` with its beginning.
    ruling: String,
    #[serde(default = "some_id")]
    id: String,
    #[serde(default = "some_upn")]
    upn: String,
    mail: Option<String>,
    department: Option<String>,
    company: Option<String>,
    country: Option<String>,
    job_title: Option<String>,
    employee_type: Option<String>,
    /// member when not written; `unknown` when Graph did not say.
    user_type: Option<String>,
    account_enabled: Option<bool>,
    #[serde(default)]
    on_premises_synced: bool,
    #[serde(default)]
    groups: BTreeSet<String>,
    /// Groups that could not be read.
    #[serde(default)]
    unread: BTreeSet<String>,
    /// A kind; `none` (Exchange says so), `unreadable`; not written: never asked.
    mailbox: Option<String>,
    /// A licence was seen to carry a mailbox.
    #[serde(default)]
    was_licensed: bool,
    /// `live`, `deleted after the mailbox was asked for` or `deleted before ..`.
    presence: Option<String>,
}

fn some_id() -> String {
    "11111111-1111-4111-8111-111111111111".to_owned()
}

fn some_upn() -> String {
    "anna@contoso.com".to_owned()
}

const PROBED: Timestamp = Timestamp::from_secs(1_700_000_000);

impl UserCase {
    fn known(&self, policy: &Policy) -> KnownUser {
        let mut user = User::new(self.id.parse().expect("an id"), self.upn.clone());
        user.mail = self.mail.clone();
        user.department = self.department.clone();
        user.company = self.company.clone();
        user.country = self.country.clone();
        user.job_title = self.job_title.clone();
        user.employee_type = self.employee_type.clone();
        user.account_enabled = self.account_enabled;
        user.on_premises_synced = self.on_premises_synced;
        user.user_type = match self.user_type.as_deref() {
            None | Some("member") => UserType::Member,
            Some("guest") => UserType::Guest,
            Some("unknown") => UserType::Unknown,
            Some(other) => UserType::Other(other.to_owned()),
        };
        let unread = self.unread.iter().map(|id| id.parse().expect("an id")).collect();
        KnownUser {
            user,
            presence: match self.presence.as_deref() {
                None | Some("live") => Presence::Live,
                Some("deleted after the mailbox was asked for") => {
                    Presence::Deleted { since: Timestamp::from_millis(PROBED.as_millis() + 1) }
                }
                Some("deleted before the mailbox was asked for") => Presence::Deleted { since: PROBED },
                Some(other) => panic!("presence: {other}"),
            },
            groups: self.groups.iter().map(|id| id.parse().expect("an id")).collect(),
            groups_read: policy.groups().difference(&unread).copied().collect(),
            mailbox: self.mailbox(),
            remembered: self
                .was_licensed
                .then(|| Remembered { licenses: Vec::new(), assignments: Vec::new() }),
            loss: None,
        }
    }

    fn mailbox(&self) -> MailboxMemory {
        let probe = |answer| Some(Probe { at: PROBED, answer });
        let last_probe = match self.mailbox.as_deref() {
            None => None,
            Some("none") => probe(ProbeAnswer::NoMailbox),
            Some("unreadable") => probe(ProbeAnswer::Unreadable),
            Some(kind) => {
                let kind = MailboxKind::parse(kind);
                return MailboxMemory { kind: Some(kind), ..MailboxMemory::default() };
            }
        };
        MailboxMemory { last_probe, ..MailboxMemory::default() }
    }
}

fn described(ruling: &Ruling<'_>) -> String {
    match ruling {
        Ruling::Offboarded(entry) => format!("offboarded {}", entry.reason),
        Ruling::Protected(entry) => format!("protected {}", entry.reason),
        Ruling::Keep(rule) => format!("keep {}", rule.name),
        Ruling::NoRule => "no rule".to_owned(),
        Ruling::Undetermined { fact } => format!("undetermined {fact}"),
    }
}

#[test]
fn every_user_gets_the_ruling_that_the_case_says() {
    let mut failures = Vec::new();
    for path in super::cases("match") {
        let text = std::fs::read_to_string(&path).expect("readable");
        let case: MatchingCase =
            schema::read(&text).unwrap_or_else(|error| panic!("{}: {}", path.display(), error.message));
        let policy = Policy::parse("policy.yaml", &case.policy)
            .unwrap_or_else(|faults| panic!("{}\n{}", path.display(), render(&faults, Format::Text)));
        assert!(!case.users.is_empty(), "{}", path.display());
        for user in &case.users {
            let known = user.known(&policy);
            let ruling = described(&policy.ruling(&known));
            let is_as_said = ruling == user.ruling
                || (user.ruling.starts_with("undetermined ") && ruling.starts_with(&user.ruling));
            if !is_as_said {
                failures.push(format!(
                    "{}: {}: {} instead of {}",
                    path.display(),
                    user.say,
                    ruling,
                    user.ruling
                ));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
