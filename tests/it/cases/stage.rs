//! From a case file to the input of planning: products, users folded look by look, the ledger, the answers.

use std::collections::{BTreeMap, BTreeSet};

use mailkeeper::diff::{Finding, diff};
use mailkeeper::model::{
    Action, Answer, AssignedPlan, Attempt, CapabilityStatus, Catalog, Drift, DriftKind, Group, KnownUser,
    LedgerEntry, License, LicenseAssignment, MAILBOX_PLANS, MailboxKind, MailboxMemory, ObservationKind,
    OutcomeKind, Pending, Plan, PlanId, ProvisioningError, Reason, Rival, Sighting, Sku, SkuId, SkuPlan,
    Subscription, Surroundings, Taken, Timestamp, Undone, Units, User, UserId, UserType,
};
use mailkeeper::observe::fold::{Context, Memberships, fold};
use mailkeeper::plan::{self, Input};
use mailkeeper::policy::{Format, Policy, render};

use super::format::{
    AttemptCase, Case, GroupCase, LedgerCase, LicenseCase, Look, PlanCase, Seats, SubscriptionCase,
    TakenCase, UserCase,
};

/// Products with the plans of interest, as published by Microsoft.
const PRODUCTS: [(&str, u128, &[&str]); 6] = [
    ("SPE_E3", 0x05e9_a617_0261_4cee_bb44_138d_3ef5_d965, &["EXCHANGE_S_ENTERPRISE", "TEAMS1", "YAMMER"]),
    ("SPE_E5", 0x06eb_c4ee_1bb5_47dd_8120_1132_4bc5_4e06, &["EXCHANGE_S_ENTERPRISE", "TEAMS1", "SWAY"]),
    ("STANDARDPACK", 0x1818_1a46_0d4e_45cd_891e_60aa_bd17_1b4e, &["EXCHANGE_S_STANDARD", "TEAMS1"]),
    ("SPE_F1", 0x66b5_5226_6b4f_492c_910c_a3b7_a3c9_d993, &["EXCHANGE_S_DESKLESS", "TEAMS1"]),
    ("EXCHANGESTANDARD", 0x4b94_05b0_7788_4568_add1_9961_4e61_3b69, &["EXCHANGE_S_STANDARD"]),
    ("VISIOCLIENT", 0xc592_8f49_12ba_48f7_ada3_0d74_3a36_01d5, &["EXCHANGE_S_FOUNDATION", "VISIO"]),
];

/// Plans that carry no mailbox.
const OTHER_PLANS: [(&str, u128); 5] = [
    ("EXCHANGE_S_FOUNDATION", 0x113f_eb6c_3fe4_4440_bddc_54d7_74bf_0318),
    ("TEAMS1", 0x57ff_2da0_773e_42df_b2af_ffb7_a231_7929),
    ("YAMMER", 0x7547_a3fe_08ee_4ccb_b430_5077_c504_1653),
    ("SWAY", 0xa23b_959c_7ce8_4e57_9140_b90e_b88a_9e97),
    ("VISIO", 0x663a_804f_1c30_4ff0_9915_9db8_4f0d_1cea),
];

/// Everything that a plan depends on, and the names of a case.
pub struct Stage {
    pub now: Timestamp,
    pub policy: Policy,
    pub catalog: Catalog,
    pub known: BTreeMap<UserId, KnownUser>,
    pub drifts: Vec<Drift>,
    pub left_alone: BTreeMap<String, String>,
    pub healthy: Vec<String>,
    ledger: BTreeMap<UserId, LedgerEntry>,
    answers: BTreeMap<String, Answer>,
    in_flight: BTreeMap<SkuId, u32>,
    kept: u64,
    sent_last_day: u32,
    closed: Option<Reason>,
    names: BTreeMap<UserId, String>,
}

impl Stage {
    pub fn build(case: &Case) -> Result<Self, String> {
        let policy = Policy::parse("policy.yaml", &case.policy)
            .map_err(|faults| format!("the policy is bad:\n{}", render(&faults, Format::Text)))?;
        let catalog = catalog(&case.products)?.backed_by(subscriptions(case)?);
        let ids: BTreeMap<&str, UserId> = case
            .users
            .iter()
            .enumerate()
            .map(|(number, user)| Ok((user.name.as_str(), id(number, user)?)))
            .collect::<Result<_, String>>()?;
        let find = |name: &str| ids.get(name).copied().ok_or_else(|| format!("no user {name}"));
        let mut surroundings = Surroundings {
            names_in_use: case.names_in_use.clone(),
            groups: case
                .groups
                .iter()
                .map(|(id, group)| known_group(id, group).map(|group| (group.id, group)))
                .collect::<Result<_, _>>()?,
            ..Surroundings::default()
        };
        let mut known = BTreeMap::new();
        for user in &case.users {
            let id = find(&user.name)?;
            if let Some(other) = &user.same_address_as {
                let taken = match user.taken.clone() {
                    Some(TakenCase { name, addresses }) => Taken::Of { name, addresses },
                    None => Taken::Unknown,
                };
                surroundings.rivals.insert(id, Rival { other: find(other)?, taken });
            }
            surroundings.audited.insert(id, user.audited.clone());
            known.insert(id, folded(id, user, &policy, &catalog)?);
        }
        let mut stage = Self {
            now: case.now,
            kept: case.kept.unwrap_or(case.users.len() as u64),
            sent_last_day: case.sent_last_day.unwrap_or_default(),
            closed: case.closed.as_deref().map(reason).transpose()?,
            in_flight: case
                .in_flight
                .iter()
                .map(|(name, seats)| Ok((sku(name)?, *seats)))
                .collect::<Result<_, String>>()?,
            names: ids.iter().map(|(name, id)| (*id, (*name).to_owned())).collect(),
            policy,
            catalog,
            known,
            drifts: Vec::new(),
            left_alone: BTreeMap::new(),
            healthy: Vec::new(),
            ledger: BTreeMap::new(),
            answers: BTreeMap::new(),
        };
        stage.judge(&surroundings);
        for user in &case.users {
            stage.open_ledger(find(&user.name)?, user)?;
        }
        stage.answer(case, find)?;
        Ok(stage)
    }

    pub fn input<'a>(&'a self, drifts: &'a [Drift]) -> Input<'a> {
        Input {
            now: self.now,
            policy: &self.policy,
            drifts,
            ledger: &self.ledger,
            catalog: &self.catalog,
            kept: self.kept,
            sent_last_day: self.sent_last_day,
            in_flight: &self.in_flight,
            answers: &self.answers,
            closed: self.closed,
            standing_ask: None,
        }
    }

    pub fn plan(&self) -> Plan {
        plan::plan(&self.input(&self.drifts))
    }

    pub fn name(&self, user: UserId) -> String {
        self.names.get(&user).cloned().unwrap_or_else(|| user.to_string())
    }

    pub fn describe(&self, action: &Action) -> String {
        super::describe(action, |plan| {
            let published = mailkeeper::model::mailbox_plan_name(*plan);
            let other =
                || OTHER_PLANS.iter().find(|(_, id)| PlanId::from_u128(*id) == *plan).map(|(name, _)| *name);
            published.or_else(other).unwrap_or("?").to_owned()
        })
    }

    fn judge(&mut self, surroundings: &Surroundings) {
        for (id, known) in &self.known {
            let name = self.names[id].clone();
            match diff(&self.policy, known, &self.catalog, surroundings, self.now) {
                Finding::Healthy => self.healthy.push(name),
                Finding::Drift(drift) => self.drifts.push(*drift),
                Finding::LeftAlone { reason, drift, .. } => {
                    let trouble = drift.map_or("healthy", DriftKind::label);
                    self.left_alone.insert(name, format!("{reason}, {trouble}"));
                }
            }
        }
        self.healthy.sort();
    }

    fn open_ledger(&mut self, id: UserId, user: &UserCase) -> Result<(), String> {
        let Some(drift) = self.drifts.iter().find(|drift| drift.user == id) else { return Ok(()) };
        let LedgerCase { seen_since, sightings, attempts, pending, next_attempt, repaired, undone } =
            user.ledger.clone().unwrap_or_default();
        let sightings = sightings.unwrap_or(2);
        if sightings == 0 {
            return Ok(());
        }
        let last_look = user.seen.last().map_or(self.now, |look| look.at);
        let attempts = attempts.iter().map(|attempt| self.attempt(attempt)).collect::<Result<Vec<_>, _>>()?;
        let entry = LedgerEntry {
            sightings,
            pending: attempts.last().filter(|_| pending).map(|attempt| Pending {
                step_id: "sent before".to_owned(),
                action: attempt.action.clone(),
                sent: attempt.at,
                is_uncertain: false,
                expected_mailbox: None,
            }),
            attempts,
            next_attempt,
            repaired,
            undone: undone.into_iter().map(undone_at).collect(),
            ..LedgerEntry::opened(drift.kind, seen_since.unwrap_or(last_look))
        };
        self.ledger.insert(id, entry);
        Ok(())
    }

    fn attempt(&self, case: &AttemptCase) -> Result<Attempt, String> {
        let action = match case.action.split_once(' ') {
            None if case.action == "restore" => Action::PLAIN_RESTORE,
            Some(("assign", name)) => Action::AssignLicense {
                sku: sku(name)?,
                part_number: name.to_owned(),
                disabled_plans: BTreeSet::new(),
                takes_seat: true,
            },
            Some(("add", group)) => {
                let group = group.trim_start_matches("to group ");
                Action::AddToGroup { group: group.parse().map_err(|_| format!("no id: {group}"))? }
            }
            Some(_) | None => return Err(format!("no action: {}", case.action)),
        };
        let outcome = OutcomeKind::ALL.into_iter().find(|kind| kind.label() == case.outcome);
        let outcome = Some(outcome.ok_or_else(|| format!("no outcome: {}", case.outcome))?);
        let detail = case.detail.clone().unwrap_or_else(|| case.outcome.clone());
        Ok(Attempt { at: case.at, action, outcome, detail })
    }

    /// The ask is looked up in the plan that is made without any answer; answers to mass events need none.
    fn answer(&mut self, case: &Case, find: impl Fn(&str) -> Result<UserId, String>) -> Result<(), String> {
        let unanswered = self.plan();
        for (number, answer) in case.answers.iter().enumerate() {
            let reason = reason(&answer.reason)?;
            let users = answer.users.iter().map(|name| find(name)).collect::<Result<BTreeSet<_>, _>>()?;
            let asked = unanswered.asks.iter().find(|ask| {
                ask.reason == reason && ask.users.iter().copied().collect::<BTreeSet<_>>() == users
            });
            let id = match asked {
                Some(ask) => ask.id.clone(),
                None if reason == Reason::MassEvent => format!("an earlier question {number}"),
                None => return Err(format!("nobody asked {} about {:?}", answer.reason, answer.users)),
            };
            let by = "an administrator".to_owned();
            let given =
                Answer { granted: answer.granted, at: answer.at, by, digest: String::new(), reason, users };
            self.answers.insert(id, given);
        }
        Ok(())
    }
}

fn id(number: usize, user: &UserCase) -> Result<UserId, String> {
    match &user.id {
        Some(id) => id.parse().map_err(|_| format!("no id: {id}")),
        None => Ok(UserId::from_u128(number as u128 + 1)),
    }
}

fn reason(label: &str) -> Result<Reason, String> {
    Reason::ALL
        .iter()
        .copied()
        .find(|reason| reason.label() == label)
        .ok_or_else(|| format!("no reason: {label}"))
}

fn sku(name: &str) -> Result<SkuId, String> {
    product(name).map(|(id, _)| id)
}

fn product(name: &str) -> Result<(SkuId, &'static [&'static str]), String> {
    let found = PRODUCTS.iter().find(|(part_number, ..)| *part_number == name);
    found.map(|(_, id, plans)| (SkuId::from_u128(*id), *plans)).ok_or_else(|| format!("no product {name}"))
}

fn plan_id(name: &str) -> Result<PlanId, String> {
    let mailbox = MAILBOX_PLANS.iter().find(|(_, published)| *published == name).map(|(id, _)| *id);
    let other = || OTHER_PLANS.iter().find(|(known, _)| *known == name).map(|(_, id)| PlanId::from_u128(*id));
    mailbox.or_else(other).ok_or_else(|| format!("no plan {name}"))
}

fn catalog(products: &BTreeMap<String, Seats>) -> Result<Catalog, String> {
    products
        .iter()
        .map(|(name, seats)| {
            let (id, plans) = product(name)?;
            let plan = |name: &&str| {
                Ok(SkuPlan { id: plan_id(name)?, name: (*name).to_owned(), applies_to: "User".to_owned() })
            };
            Ok(Sku {
                id,
                part_number: name.clone(),
                capability_status: seats.status.clone(),
                consumed: 50,
                units: Units {
                    enabled: 50 + seats.free - seats.warning,
                    warning: seats.warning,
                    ..Units::default()
                },
                plans: plans.iter().map(plan).collect::<Result<_, String>>()?,
            })
        })
        .collect()
}

fn undone_at(at: Timestamp) -> Undone {
    Undone { at, sent: at, action: Action::PLAIN_RESTORE, seen: None }
}

fn subscriptions(case: &Case) -> Result<Option<Vec<Subscription>>, String> {
    let one = |one: &SubscriptionCase| {
        Ok(Subscription {
            sku: sku(&one.product)?,
            part_number: one.product.clone(),
            status: CapabilityStatus::from(one.status.clone()),
            seats: one.seats,
            is_trial: false,
            next: one.next,
        })
    };
    case.subscriptions.as_ref().map(|all| all.iter().map(one).collect()).transpose()
}

/// What is known of the user after all looks.
fn folded(id: UserId, case: &UserCase, policy: &Policy, catalog: &Catalog) -> Result<KnownUser, String> {
    let mut known: Option<KnownUser> = None;
    let mut merged = Look { licenses: Some(Vec::new()), ..Look::default() };
    let mut previous = None;
    for look in &case.seen {
        merged = merge(&merged, look);
        let mut memberships = Memberships::default();
        let groups = merged.groups.clone().unwrap_or_default();
        for group in policy.groups() {
            let is_member = groups.contains(&group.to_string());
            memberships.insert(group, if is_member { vec![id] } else { Vec::new() });
        }
        let context = Context {
            kind: ObservationKind::Full,
            observed: look.at,
            previous: look.previous.or(previous),
            catalog,
            memberships: &memberships,
        };
        let user = user(id, case, &merged, known.as_ref())?;
        let sighting = match (look.absent, look.deleted) {
            (true, _) => None,
            (false, Some(since)) => Some(Sighting::Deleted { user, since }),
            (false, None) => Some(Sighting::Live(user)),
        };
        known = fold(known, sighting, &context);
        if let (Some(known), Some(mailbox)) = (&mut known, &case.mailbox) {
            let kind = Some(MailboxKind::parse(&mailbox.kind));
            known.mailbox = MailboxMemory { kind, primary_id: mailbox.id.clone(), last_probe: None };
        }
        previous = Some(look.at);
    }
    known.ok_or_else(|| format!("{} is not known after all looks", case.name))
}

fn merge(before: &Look, look: &Look) -> Look {
    fn newest<T: Clone>(look: &Option<T>, before: &Option<T>) -> Option<T> {
        look.clone().or_else(|| before.clone())
    }
    Look {
        licenses: newest(&look.licenses, &before.licenses),
        by_group: newest(&look.by_group, &before.by_group),
        enabled: newest(&look.enabled, &before.enabled),
        usage_location: newest(&look.usage_location, &before.usage_location),
        groups: newest(&look.groups, &before.groups),
        holds: newest(&look.holds, &before.holds),
        ..look.clone()
    }
}

fn user(id: UserId, case: &UserCase, look: &Look, before: Option<&KnownUser>) -> Result<User, String> {
    let mut user = User::new(id, format!("{}@contoso.com", case.name));
    user.mail = Some(user.upn.clone());
    user.account_enabled = Some(look.enabled.unwrap_or(true));
    user.user_type = match case.properties.user_type.as_deref() {
        None | Some("member") => UserType::Member,
        Some("guest") => UserType::Guest,
        Some(other) => UserType::Other(other.to_owned()),
    };
    user.department.clone_from(&case.properties.department);
    user.employee_type.clone_from(&case.properties.employee_type);
    user.on_premises_synced = case.properties.synced;
    user.usage_location = Some(look.usage_location.clone().unwrap_or_else(|| "NO".to_owned()))
        .filter(|location| location != "none");
    let held = look.licenses.clone().unwrap_or_default();
    let licenses = held.iter().map(license).collect::<Result<Vec<_>, _>>()?;
    user.plans = plans(look.plans.as_deref(), &held, before)?;
    let group =
        look.by_group.as_deref().map(|id| id.parse().map_err(|_| format!("no id: {id}"))).transpose()?;
    let assignment = |sku: SkuId, state: &str, error: Option<String>| LicenseAssignment {
        sku,
        disabled_plans: BTreeSet::new(),
        by_group: group,
        state: state.to_owned(),
        error,
        updated: None,
    };
    user.assignments = licenses.iter().map(|license| assignment(license.sku, "Active", None)).collect();
    let failed = look.failed_licenses.iter().map(|name| sku(name)).collect::<Result<BTreeSet<_>, _>>()?;
    for assignment in user.assignments.iter_mut().filter(|assignment| failed.contains(&assignment.sku)) {
        (assignment.state, assignment.error) = ("Error".to_owned(), Some("CountViolation".to_owned()));
    }
    if let Some(name) = &look.group_error {
        let error = look.group_error_is.clone().unwrap_or_else(|| "CountViolation".to_owned());
        user.assignments.push(assignment(sku(name)?, "Error", Some(error)));
    }
    let hold = |created: &Timestamp| ProvisioningError {
        service_instance: "exchange/eurprd01-002-01".to_owned(),
        created: Some(*created),
        is_resolved: false,
    };
    user.provisioning_errors = look.holds.iter().flatten().map(hold).collect();
    user.licenses = (!look.licenses_unsaid).then_some(licenses);
    Ok(user)
}

fn known_group(id: &str, case: &GroupCase) -> Result<Group, String> {
    Ok(Group {
        id: id.parse().map_err(|_| format!("no id: {id}"))?,
        display_name: Some("Licensing".to_owned()),
        licenses: Some(case.gives.iter().map(license).collect::<Result<_, _>>()?),
        on_premises_synced: case.synced,
        is_dynamic: case.dynamic,
    })
}

fn license(case: &LicenseCase) -> Result<License, String> {
    match case {
        LicenseCase::Whole(name) => Ok(License { sku: sku(name)?, disabled_plans: BTreeSet::new() }),
        LicenseCase::Parts { sku: name, off } => {
            let disabled_plans = off.iter().map(|plan| plan_id(plan)).collect::<Result<_, _>>()?;
            Ok(License { sku: sku(name)?, disabled_plans })
        }
    }
}

/// As written, or on for what is licensed and deleted without a date for what was.
fn plans(
    written: Option<&[PlanCase]>,
    held: &[LicenseCase],
    before: Option<&KnownUser>,
) -> Result<Vec<AssignedPlan>, String> {
    if let Some(written) = written {
        let entry = |case: &PlanCase| {
            Ok(AssignedPlan { plan: plan_id(&case.plan)?, status: status(&case.status), assigned: case.date })
        };
        return written.iter().map(entry).collect();
    }
    let mut enabled = BTreeSet::new();
    for case in held {
        let (name, off) = match case {
            LicenseCase::Whole(name) => (name, [].as_slice()),
            LicenseCase::Parts { sku, off } => (sku, off.as_slice()),
        };
        let on = product(name)?.1.iter().filter(|plan| !off.iter().any(|off| off == *plan));
        enabled.extend(on.map(|plan| plan_id(plan)).collect::<Result<Vec<_>, _>>()?);
    }
    let entry = |plan, status| AssignedPlan { plan, status, assigned: None };
    let former = before.into_iter().flat_map(|known| &known.user.plans).map(|entry| entry.plan);
    let gone: BTreeSet<PlanId> = former.filter(|plan| !enabled.contains(plan)).collect();
    let on = enabled.into_iter().map(|plan| entry(plan, CapabilityStatus::Enabled));
    Ok(on.chain(gone.into_iter().map(|plan| entry(plan, CapabilityStatus::Deleted))).collect())
}

fn status(text: &str) -> CapabilityStatus {
    match text {
        "Enabled" => CapabilityStatus::Enabled,
        "Warning" => CapabilityStatus::Warning,
        "Suspended" => CapabilityStatus::Suspended,
        "LockedOut" => CapabilityStatus::LockedOut,
        "Deleted" => CapabilityStatus::Deleted,
        other => CapabilityStatus::Other(other.to_owned()),
    }
}
