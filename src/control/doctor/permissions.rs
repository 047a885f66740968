//! Which application permissions are held, missing and superfluous. A read that works is the proof; the roles in the
//! token are only a hint, but the only one for writes, which nobody tries out. Pure.

use std::collections::BTreeSet;

use crate::graph::Error;
use crate::model::{ProblemKind, Response};
use crate::policy::{Assign, Policy};
use crate::report::examination::{Area, Finding, Level};

/// What the policy and the mode ask of the application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needs {
    pub groups: bool,
    pub mailbox_kind: bool,
    pub assign: bool,
    pub restore: bool,
    pub group_membership: bool,
    pub usage_location: bool,
    pub audit_log: bool,
    pub may_act: bool,
}

impl Needs {
    pub fn of(policy: &Policy, may_act: bool, audit_log: bool) -> Self {
        let wants = |response: Response| response != Response::Report;
        let licensed =
            || policy.keep.iter().filter(|rule| wants(rule.on_license_lost) && !rule.licenses.is_empty());
        Self {
            groups: !policy.groups().is_empty(),
            mailbox_kind: policy.needs_mailbox_kind(),
            assign: licensed().any(|rule| rule.assign == Assign::Direct),
            restore: policy.keep.iter().any(|rule| wants(rule.on_deleted)),
            group_membership: licensed().any(|rule| rule.assign != Assign::Direct),
            usage_location: licensed().any(|rule| rule.usage_location.is_some()),
            audit_log,
            may_act,
        }
    }
}

/// How a cheap read went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    Works,
    Refused,
    /// No usable answer: says nothing about permissions.
    Unanswered(String),
}

impl Probe {
    pub fn of(error: Option<&Error>) -> Self {
        match error {
            None => Self::Works,
            Some(error) if error.problem_kind() == ProblemKind::Refused => Self::Refused,
            Some(error) => Self::Unanswered(crate::errors::chain(error)),
        }
    }
}

/// How the reads went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probes {
    pub users: Probe,
    pub deleted: Probe,
    pub skus: Probe,
    pub subscriptions: Probe,
    /// `None`: the settings do not ask for it.
    pub audit_log: Option<Probe>,
    /// `None`: there was no mailbox to ask about.
    pub mailbox: Option<bool>,
    pub groups_refused: bool,
    pub organization_refused: bool,
}

/// What a stolen credential could do with it beyond what mailkeeper ever does.
const BROAD: [(&str, &str); 8] = [
    ("Directory.ReadWrite.All", "it may change nearly everything in the directory"),
    ("Directory.Read.All", "it reads the whole directory"),
    ("User.ReadWrite.All", "it may change and delete every user"),
    ("User.ManageIdentities.All", "it may change how people sign in"),
    ("Group.ReadWrite.All", "it may change every group and its content"),
    ("RoleManagement.ReadWrite.Directory", "it may make anybody an administrator"),
    ("Application.ReadWrite.All", "it may take over other applications"),
    ("AppRoleAssignment.ReadWrite.All", "it may grant itself anything"),
];

/// Reads that deploy/entra/permissions.md offers and this version does not make.
const UNUSED: [&str; 2] = ["Reports.Read.All", "Application.Read.All"];

const AUDIT_LOG: &str = "AuditLog.Read.All";

const GRANT: &str = "grant it as APPLICATION permission and give admin consent (deploy/entra/permissions.md); a fresh \
consent takes some minutes to show";

pub fn judge(needs: &Needs, probes: &Probes, roles: Option<&[String]>) -> Vec<Finding> {
    let held: BTreeSet<&str> = roles.unwrap_or_default().iter().map(String::as_str).collect();
    let mut findings = reads(needs, probes, &held);
    match roles {
        Some(_) => {
            findings.extend(writes(needs, &held));
            findings.extend(superfluous(needs, &held));
        }
        None => findings.push(Finding::new(
            Level::Note,
            Area::Permissions,
            "the token does not say which permissions it carries",
            "whether licences can be assigned and accounts restored is only known once it is done",
            "look at the application's API permissions in the Entra admin centre",
        )),
    }
    findings
}

fn reads(needs: &Needs, probes: &Probes, held: &BTreeSet<&str>) -> Vec<Finding> {
    let mut findings = vec![
        read("live users", &probes.users, "User.Read.All", "nothing is seen", held),
        read("deleted users", &probes.deleted, "User.Read.All", "deleted accounts are not seen", held),
        read(
            "licences and seats",
            &probes.skus,
            "LicenseAssignment.Read.All",
            "every observation is incomplete, so nothing is ever started",
            held,
        ),
    ];
    if needs.groups {
        findings.push(match probes.groups_refused {
            true => missing(
                "groups",
                "GroupMember.Read.All",
                "the policy names groups: every observation is incomplete",
                held,
            ),
            false => Finding::ok(Area::Permissions, "groups can be read"),
        });
    }
    findings.push(match (probes.mailbox, needs.mailbox_kind) {
        (Some(true), _) => Finding::ok(Area::Permissions, "mailbox settings can be read"),
        (Some(false), true) => missing(
            "mailbox settings",
            "MailboxSettings.Read",
            "the policy matches on the kind of mailbox: those rules cannot be decided",
            held,
        ),
        (Some(false), false) => Finding::new(
            Level::Warning,
            Area::Permissions,
            "mailbox settings cannot be read: MailboxSettings.Read is missing",
            "a repair can never be proved: it ends as `unverified`",
            GRANT,
        ),
        (None, _) => Finding::new(
            Level::Note,
            Area::Permissions,
            "mailbox settings were not tried: no mailbox is known yet",
            "",
            "run doctor again after the first pass",
        ),
    });
    findings.push(subscriptions(&probes.subscriptions));
    findings.extend(probes.audit_log.as_ref().map(audit_log));
    findings
}

/// Optional: without them nothing is missed but a date.
fn subscriptions(probe: &Probe) -> Finding {
    let (what, to_do) = match probe {
        Probe::Works => return Finding::ok(Area::Permissions, "subscriptions can be read"),
        Probe::Refused => {
            ("subscriptions cannot be read (optional: Organization.Read.All)".to_owned(), GRANT)
        }
        Probe::Unanswered(error) => (
            format!("subscriptions could not be read: {error}"),
            "not every cloud has them; mailkeeper asks hourly",
        ),
    };
    let why = "nobody is told the day on which a product lapses for everybody";
    Finding::new(Level::Note, Area::Permissions, what, why, to_do)
}

fn read(what: &str, probe: &Probe, permission: &str, why: &str, held: &BTreeSet<&str>) -> Finding {
    match probe {
        Probe::Works => Finding::ok(Area::Permissions, format!("{what} can be read")),
        Probe::Refused => missing(what, permission, why, held),
        Probe::Unanswered(error) => Finding::new(
            Level::Error,
            Area::Permissions,
            format!("{what} could not be read: {error}"),
            "whether the permission is held is not known",
            "try again; look at Microsoft's service health",
        ),
    }
}

fn missing(what: &str, permission: &str, why: &str, held: &BTreeSet<&str>) -> Finding {
    if held.contains(permission) {
        let what = format!("{what} cannot be read: Microsoft refuses, although the token holds {permission}");
        let to_do = "look for a Conditional Access policy for workload identities and at the admin consent in the Entra \
                     admin centre";
        return Finding::new(Level::Error, Area::Permissions, what, why, to_do);
    }
    let what = format!("{what} cannot be read: {permission} is missing");
    Finding::new(Level::Error, Area::Permissions, what, why, GRANT)
}

/// Asked for by the settings, so a missing permission is a mistake of somebody's; nothing depends on it.
fn audit_log(probe: &Probe) -> Finding {
    let (what, to_do) = match probe {
        Probe::Works => return Finding::ok(Area::Permissions, "the audit log can be read"),
        Probe::Refused => ("the audit log cannot be read: AuditLog.Read.All is missing".to_owned(), GRANT),
        Probe::Unanswered(error) => (
            format!("the audit log could not be read: {error}"),
            "mailkeeper asks again an hour after a failure",
        ),
    };
    let why = "`evidence: { audit_log: true }` asks for it, and nobody is told who took a licence";
    Finding::new(Level::Warning, Area::Permissions, what, why, to_do)
}

/// A permission for a write: whether it is wanted, what it is for, and what happens without it.
struct Write {
    is_needed: bool,
    purpose: &'static str,
    sufficient: &'static [&'static str],
    without: &'static str,
}

fn writing(needs: &Needs) -> [Write; 4] {
    [
        Write {
            is_needed: needs.assign,
            purpose: "assign licences",
            sufficient: &["LicenseAssignment.ReadWrite.All", "User.ReadWrite.All", "Directory.ReadWrite.All"],
            without: "a lost licence is only reported",
        },
        Write {
            is_needed: needs.restore,
            purpose: "restore deleted accounts",
            sufficient: &["User.DeleteRestore.All", "User.ReadWrite.All"],
            without: "a deleted account is only reported",
        },
        Write {
            is_needed: needs.group_membership,
            purpose: "put users back into licensing groups",
            sufficient: &["GroupMember.ReadWrite.All", "Group.ReadWrite.All", "Directory.ReadWrite.All"],
            without: "users of rules with `assign: { group: .. }` are only reported",
        },
        Write {
            is_needed: needs.usage_location,
            purpose: "set a missing usage location",
            sufficient: &["User.ReadWrite.All", "Directory.ReadWrite.All"],
            without: "users without a usage location wait for a person, which is often the better way",
        },
    ]
}

fn writes(needs: &Needs, roles: &BTreeSet<&str>) -> Vec<Finding> {
    let judged = writing(needs).into_iter().filter(|write| write.is_needed).map(|write| {
        let held = write.sufficient.iter().find(|permission| roles.contains(**permission));
        let least = write.sufficient[0];
        match held {
            Some(held) => Finding::ok(Area::Permissions, format!("may {} ({held})", write.purpose)),
            None => {
                // A broad right that is only a convenience is not asked for in anger.
                let is_optional = least == "User.ReadWrite.All";
                let level = if needs.may_act && !is_optional { Level::Error } else { Level::Note };
                let what = format!("may not {}: {least} is missing", write.purpose);
                Finding::new(level, Area::Permissions, what, write.without, GRANT)
            }
        }
    });
    judged.collect()
}

fn superfluous(needs: &Needs, roles: &BTreeSet<&str>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for role in roles {
        let broad = BROAD.iter().find(|(name, _)| name == role);
        let is_mail = role.starts_with("Mail.") || *role == "full_access_as_app";
        let finding = match broad {
            Some(("User.ReadWrite.All", _)) if needs.usage_location => None,
            Some((name, harm)) => Some((Level::Warning, format!("{name} is superfluous: {harm}"))),
            None if is_mail => {
                Some((Level::Warning, format!("{role} is superfluous: mailkeeper reads no mail")))
            }
            None if *role == AUDIT_LOG && needs.audit_log => None,
            None if *role == AUDIT_LOG => {
                let what =
                    format!("{role} is held, and the settings do not ask for it (evidence: audit_log)");
                Some((Level::Note, what))
            }
            None if UNUSED.contains(role) => Some((Level::Note, format!("{role} is held and not used"))),
            None => unneeded_write(needs, role),
        };
        findings.extend(finding.map(|(level, what)| {
            let why = "whoever steals the credential holds it, too";
            Finding::new(level, Area::Permissions, what, why, "take it away in the Entra admin centre")
        }));
    }
    findings
}

/// A write that this policy never makes.
fn unneeded_write(needs: &Needs, role: &str) -> Option<(Level, String)> {
    let write = writing(needs).into_iter().find(|write| write.sufficient[0] == role)?;
    if !write.is_needed {
        return Some((
            Level::Note,
            format!("{role} is held, and no rule of the policy lets mailkeeper {}", write.purpose),
        ));
    }
    (!needs.may_act).then(|| (Level::Note, format!("{role} is held and not needed while mode is observe")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEEDS: Needs = Needs {
        groups: true,
        mailbox_kind: false,
        assign: true,
        restore: true,
        group_membership: false,
        usage_location: false,
        audit_log: false,
        may_act: true,
    };

    fn works() -> Probes {
        Probes {
            users: Probe::Works,
            deleted: Probe::Works,
            skus: Probe::Works,
            subscriptions: Probe::Works,
            audit_log: None,
            mailbox: Some(true),
            groups_refused: false,
            organization_refused: false,
        }
    }

    fn troubles(needs: &Needs, probes: &Probes, roles: &[&str]) -> Vec<(Level, String)> {
        let roles: Vec<String> = roles.iter().map(|role| (*role).to_owned()).collect();
        let findings = judge(needs, probes, Some(&roles));
        let found = findings.into_iter().filter(|finding| finding.level != Level::Ok);
        found.map(|finding| (finding.level, finding.what)).collect()
    }

    const LEAST: [&str; 5] = [
        "User.Read.All",
        "LicenseAssignment.ReadWrite.All",
        "GroupMember.Read.All",
        "User.DeleteRestore.All",
        "MailboxSettings.Read",
    ];

    #[test]
    fn the_least_set_has_nothing_against_it() {
        assert_eq!(troubles(&NEEDS, &works(), &LEAST), []);
    }

    #[test]
    fn a_refused_read_names_its_permission_and_whether_the_token_holds_it() {
        let probes = Probes { skus: Probe::Refused, mailbox: Some(false), ..works() };
        let without = ["User.Read.All", "User.DeleteRestore.All"];
        let found = troubles(&NEEDS, &probes, &without);
        assert_eq!(found[0].1, "licences and seats cannot be read: LicenseAssignment.Read.All is missing");
        assert_eq!(found[0].0, Level::Error);
        assert_eq!(found[1].0, Level::Warning, "a proof is missed, nothing else: {}", found[1].1);
        let probes = Probes { deleted: Probe::Refused, ..works() };
        let found = troubles(&NEEDS, &probes, &LEAST);
        let said = "deleted users cannot be read: Microsoft refuses, although the token holds User.Read.All";
        assert_eq!(found, [(Level::Error, said.to_owned())]);
    }

    #[test]
    fn a_missing_write_is_an_error_only_where_mailkeeper_acts() {
        let roles = ["User.Read.All", "LicenseAssignment.Read.All"];
        let found = troubles(&NEEDS, &works(), &roles);
        assert_eq!(
            found,
            [
                (
                    Level::Error,
                    "may not assign licences: LicenseAssignment.ReadWrite.All is missing".to_owned()
                ),
                (
                    Level::Error,
                    "may not restore deleted accounts: User.DeleteRestore.All is missing".to_owned()
                ),
            ]
        );
        let observing = Needs { may_act: false, ..NEEDS };
        assert!(troubles(&observing, &works(), &roles).iter().all(|(level, _)| *level == Level::Note));
    }

    #[test]
    fn broad_rights_are_superfluous_unless_the_policy_uses_them() {
        let roles = [&LEAST[..], &["User.ReadWrite.All", "Directory.Read.All", "Mail.Read"]].concat();
        let found = troubles(&NEEDS, &works(), &roles);
        assert_eq!(found.len(), 3);
        assert!(found.iter().all(|(level, what)| *level == Level::Warning && what.contains("superfluous")));
        let locating = Needs { usage_location: true, ..NEEDS };
        assert!(!troubles(&locating, &works(), &roles).iter().any(|(_, what)| what.starts_with("User.")));
    }
}
