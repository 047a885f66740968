//! `mailkeeper doctor`: is everything in place? Asks cheap questions of Graph, looks once over the state, and says of
//! each thing what it is, why it matters and what to do. Changes nothing; one failure never hides the others.

mod licences;
mod permissions;
mod policy;
pub(super) mod state;

use crate::errors::chain;
use crate::graph::{Client, Error, MailboxAnswer, Organization, SignInFault};
use crate::model::{Catalog, Group, GroupId, KnownUser, Presence, ProblemKind, Span, Subscription, UserId};
use crate::plan::age::standing;
use crate::policy::Policy;
use crate::report::examination::{Area, Examination, Finding, Level};
use crate::store::records::{Approvals, Seats};

use super::desk::Desk;

/// More than this and the observation is not believed (see `observe`).
const SKEW_REFUSED: Span = Span::from_minutes(5);

/// More than this is a machine without time synchronisation.
const SKEW_SUSPICIOUS: Span = Span::from_secs(30);

/// Examines one tenant.
pub async fn examine(desk: &Desk) -> Examination {
    let mut examination = Examination::default();
    if desk.policy.current().is_none() {
        desk.policy.reload();
    }
    let loaded = desk.policy.loaded();
    let answers = Answers::collect(&desk.graph, desk, loaded.current.as_deref()).await;
    examination.findings.extend(sign_in(&answers, desk));
    if let Some(failed) = &loaded.failed {
        examination.push(Finding::new(
            Level::Error,
            Area::Policy,
            "the newest policy cannot be loaded",
            "nothing is started until it can; the last good one decides who is left alone",
            format!("repair it, `mailkeeper check` shows every fault:\n{}", failed.trim_end()),
        ));
    }
    let waiting = desk.view().map(|view| view.policy.waiting).unwrap_or_default();
    if !waiting.is_empty() {
        examination.push(Finding::new(
            Level::Warning,
            Area::Policy,
            format!("a changed policy waits for approval: {}", waiting.join("; ")),
            "nothing is started until somebody answers; what stands below is about the policy of before",
            "correct it, or answer: `mailkeeper asks`",
        ));
    }
    if let Some(policy) = &loaded.current {
        let needs = permissions::Needs::of(policy, desk.may_act, desk.reads_audit_log);
        if answers.is_signed_in() {
            examination.findings.extend(permissions::judge(
                &needs,
                &answers.probes(),
                answers.roles.as_deref(),
            ));
        }
        let catalog = answers.catalog(desk);
        examination.findings.extend(licences::judge(policy, &catalog, desk.clock.now()));
        match policy::Census::take(policy, &desk.store) {
            Ok(census) => {
                examination.findings.extend(policy::judge(policy, &census, &answers.groups));
                if let Ok(organization) = &answers.organization {
                    examination.findings.extend(policy::strange_domains(policy, &organization.domains));
                }
            }
            Err(error) => examination.push(state::unreadable(&error)),
        }
        examination.push(retention(policy));
        let approvals = desk.store.get_or_default::<Approvals>().unwrap_or_default();
        let standing = standing(desk.clock.now(), policy, &approvals.0);
        examination.findings.extend(standing.age.and_then(|(age, limit)| policy::age(age, limit)));
    }
    examination.findings.extend(state::judge(desk));
    examination
}

/// What Graph said to the cheap questions.
struct Answers {
    organization: Result<Organization, Error>,
    roles: Option<Vec<String>>,
    skew: Option<Span>,
    users: Option<Error>,
    deleted: Option<Error>,
    skus: Result<Vec<crate::model::Sku>, Error>,
    subscriptions: Result<Vec<Subscription>, Error>,
    /// Outer `None`: the settings do not ask for it.
    audit_log: Option<Option<Error>>,
    /// `None`: no user to ask about.
    mailbox: Option<bool>,
    groups: Vec<(GroupId, GroupAnswer)>,
}

/// What Graph said of one group of the policy.
pub(super) enum GroupAnswer {
    Known {
        group: Group,
        /// Users in the group itself; read of licensing groups only.
        direct: Option<u64>,
    },
    Missing,
    Refused,
    Unread(String),
}

impl Answers {
    async fn collect(graph: &Client, desk: &Desk, policy: Option<&Policy>) -> Self {
        let roles = graph.roles().await.ok().flatten();
        let organization = graph.organization().await;
        let mut answers = Self {
            organization,
            roles,
            skew: graph.clock_skew(),
            users: None,
            deleted: None,
            skus: Ok(Vec::new()),
            subscriptions: Ok(Vec::new()),
            audit_log: None,
            mailbox: None,
            groups: Vec::new(),
        };
        if !answers.is_signed_in() {
            return answers;
        }
        answers.users = graph.users(None).next().await.err();
        answers.deleted = graph.deleted_users().next().await.err();
        answers.skus = graph.subscribed_skus().await;
        answers.subscriptions = graph.subscriptions().await;
        if desk.reads_audit_log {
            // Nobody has this id: whether the log may be read shows all the same.
            answers.audit_log = Some(graph.directory_audits(UserId::from_u128(0), None).await.err());
        }
        if let Some(user) = somebody_with_a_mailbox(desk) {
            let answer = graph.mailbox_kind(user).await;
            answers.mailbox = answer.ok().map(|answer| answer != MailboxAnswer::Unreadable);
        }
        let licensing = policy.map(Policy::licensing_groups).unwrap_or_default();
        for group in policy.map(Policy::groups).unwrap_or_default() {
            let is_licensing = licensing.contains(&group);
            answers.groups.push((group, group_answer(graph, group, is_licensing).await));
        }
        answers
    }

    fn is_signed_in(&self) -> bool {
        !matches!(self.organization, Err(Error::SignIn(_)))
    }

    fn probes(&self) -> permissions::Probes {
        let is_refused = |error: &Error| error.problem_kind() == ProblemKind::Refused;
        permissions::Probes {
            users: permissions::Probe::of(self.users.as_ref()),
            deleted: permissions::Probe::of(self.deleted.as_ref()),
            skus: permissions::Probe::of(self.skus.as_ref().err()),
            subscriptions: permissions::Probe::of(self.subscriptions.as_ref().err()),
            audit_log: self.audit_log.as_ref().map(|error| permissions::Probe::of(error.as_ref())),
            mailbox: self.mailbox,
            groups_refused: self.groups.iter().any(|(_, answer)| matches!(answer, GroupAnswer::Refused)),
            organization_refused: self.organization.as_ref().is_err_and(is_refused),
        }
    }

    /// As read now, else as last read.
    fn catalog(&self, desk: &Desk) -> Catalog {
        match &self.skus {
            Ok(skus) if !skus.is_empty() => {
                let subscriptions = self.subscriptions.as_ref().ok().cloned();
                skus.iter().cloned().collect::<Catalog>().backed_by(subscriptions)
            }
            Ok(_) | Err(_) => {
                desk.store.get::<Seats>().ok().flatten().map(|seats| seats.catalog).unwrap_or_default()
            }
        }
    }
}

async fn group_answer(graph: &Client, id: GroupId, is_licensing: bool) -> GroupAnswer {
    let group = match graph.group(id).await {
        Ok(Some(group)) => group,
        Ok(None) => return GroupAnswer::Missing,
        Err(error) if error.problem_kind() == ProblemKind::Refused => return GroupAnswer::Refused,
        Err(error) => return GroupAnswer::Unread(chain(&error)),
    };
    if !is_licensing {
        return GroupAnswer::Known { group, direct: None };
    }
    let mut pages = graph.group_direct_members(id);
    let mut direct = 0;
    loop {
        match pages.next().await {
            Ok(Some(page)) => direct += page.len() as u64,
            Ok(None) => return GroupAnswer::Known { group, direct: Some(direct) },
            Err(_) => return GroupAnswer::Known { group, direct: None },
        }
    }
}

/// The first live user whose mailbox answered before.
fn somebody_with_a_mailbox(desk: &Desk) -> Option<UserId> {
    let has_mailbox = |known: &KnownUser| known.presence == Presence::Live && known.mailbox.kind.is_some();
    desk.store.users().flatten().find(has_mailbox).map(|known| known.id())
}

fn sign_in(answers: &Answers, desk: &Desk) -> Vec<Finding> {
    let mut findings = Vec::new();
    match &answers.organization {
        Ok(organization) if organization.id == desk.store.tenant() => {
            let name = organization.display_name.as_deref().unwrap_or("without a name");
            findings.push(Finding::ok(Area::SignIn, format!("signed in to {name} ({})", organization.id)));
        }
        Ok(organization) => findings.push(Finding::new(
            Level::Error,
            Area::SignIn,
            format!("signed in to tenant {}, the settings say {}", organization.id, desk.store.tenant()),
            "every observation is rejected, so nothing is kept",
            "correct `id` or `auth` of the tenant in mailkeeper.yaml",
        )),
        Err(error @ Error::SignIn(cause)) => findings.push(Finding::new(
            Level::Error,
            Area::SignIn,
            chain(error),
            "without a token nothing is seen and nothing is kept; the questions below that need one were not asked",
            cure(cause.fault),
        )),
        Err(error) => findings.push(Finding::new(
            Level::Note,
            Area::SignIn,
            format!("signed in, but the tenant's own record cannot be read: {}", chain(error)),
            "that the credentials lead to the right tenant is not proved",
            "grant User.Read.All or Organization.Read.All",
        )),
    }
    findings.extend(answers.skew.map(clock));
    findings
}

fn cure(fault: SignInFault) -> &'static str {
    match fault {
        SignInFault::Unavailable | SignInFault::Untrusted => {
            "nobody was asked about the credentials yet: check network, DNS, proxy and firewall from here to that address, \
             and `endpoints` of the tenant in mailkeeper.yaml"
        }
        SignInFault::ClockOff => "timedatectl status; systemctl enable --now systemd-timesyncd (or chrony)",
        SignInFault::WrongSecret
        | SignInFault::ExpiredSecret
        | SignInFault::UnknownApp
        | SignInFault::UnknownTenant
        | SignInFault::CertificateRejected
        | SignInFault::Blocked
        | SignInFault::Refused
        | SignInFault::LocalCredential
        | SignInFault::Malformed => {
            "check client id, secret or certificate (expired?) and tenant id; deploy/entra/permissions.md says how"
        }
    }
}

fn clock(skew: Span) -> Finding {
    let absolute = Span::from_millis(skew.as_millis().saturating_abs());
    let words = if skew.is_negative() { "behind" } else { "ahead of" };
    let what = format!("the local clock is {absolute} {words} Microsoft's");
    let to_do = "timedatectl status; systemctl enable --now systemd-timesyncd (or chrony)";
    if absolute > SKEW_REFUSED {
        Finding::new(
            Level::Error,
            Area::SignIn,
            what,
            "deadlines would be wrong, so every observation is rejected",
            to_do,
        )
    } else if absolute > SKEW_SUSPICIOUS {
        Finding::new(Level::Warning, Area::SignIn, what, "it seems that nobody sets this clock", to_do)
    } else {
        Finding::ok(Area::SignIn, format!("the local clock agrees with Microsoft's ({absolute} apart)"))
    }
}

/// What Graph cannot say.
fn retention(policy: &Policy) -> Finding {
    let days = policy.retention.days;
    let command =
        "in Exchange Online PowerShell: Get-OrganizationConfig | Format-List DelayedDelicensingEnabled";
    if days > Span::from_days(30) {
        return Finding::new(
            Level::Warning,
            Area::Exchange,
            format!(
                "the policy counts {days} after a lost licence; that is only true with Delicensing Resiliency"
            ),
            "Graph does not show the switch: where it is off, mailboxes are gone 30 days before mailkeeper acts",
            format!("{command}\nFalse: write `retention: {{ days: 30 }}`"),
        );
    }
    Finding::new(
        Level::Note,
        Area::Exchange,
        format!(
            "the policy counts {days} after a lost licence, which is right unless Delicensing Resiliency is on"
        ),
        "Graph does not show the switch; where it is on, mailkeeper acts 30 days before it must, which is safe",
        command,
    )
}

#[cfg(test)]
mod tests;
