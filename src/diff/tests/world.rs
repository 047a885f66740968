//! Random small tenants for property tests: a policy, products, and users as the fold leaves them after a few looks.

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::vec;
use proptest::prelude::*;

use crate::diff::{Finding, Surroundings, diff};
use crate::model::{
    Action, AssignedPlan, Attempt, CapabilityStatus, Catalog, Drift, GroupId, KnownUser, LedgerEntry,
    License, LicenseAssignment, MAILBOX_PLANS, MailboxKind, ObservationKind, OutcomeKind, Pending, PlanId,
    ProvisioningError, Rival, Sighting, Sku, SkuId, SkuPlan, Span, Subscription, Taken, Timestamp, Undone,
    Units, User, UserId, UserType,
};
use crate::observe::fold::{Context, Memberships, fold};
use crate::policy::Policy;

pub const NOW: Timestamp = Timestamp::from_secs(1_795_000_000);
pub const E3: SkuId = SkuId::from_u128(0x05e9_a617_0261_4cee_bb44_138d_3ef5_d965);
pub const E5: SkuId = SkuId::from_u128(0x06eb_c4ee_1bb5_47dd_8120_1132_4bc5_4e06);
/// In nobody's catalogue.
const UNLISTED: SkuId = SkuId::from_u128(0xff);
pub const GROUP: GroupId = GroupId::from_u128(0x6);
pub const ENTERPRISE: PlanId = MAILBOX_PLANS[1].0;
pub const TEAMS: PlanId = PlanId::from_u128(0x7);

/// A tenant at one moment.
#[derive(Debug, Clone)]
pub struct World {
    pub policy: Policy,
    pub catalog: Catalog,
    pub users: BTreeMap<UserId, KnownUser>,
    pub surroundings: Surroundings,
    /// What may have been done before, for each user who drifts.
    pub histories: Vec<History>,
    pub sent_last_day: u32,
    pub kept: u64,
    pub in_flight: BTreeMap<SkuId, u32>,
}

/// What a ledger entry may say; times in hours before now.
#[derive(Debug, Clone)]
pub struct History {
    sightings: u32,
    first_seen: i64,
    attempts: Vec<(i64, OutcomeKind)>,
    is_pending: bool,
    next_attempt: Option<i64>,
    repaired: Vec<i64>,
    undone: Vec<i64>,
}

/// `licenseAssignmentState.error`, and one of the future.
const GROUP_ERRORS: &[&str] = &[
    "CountViolation",
    "CountViolation",
    "ProhibitedInUsageLocationViolation",
    "MutuallyExclusiveViolation",
    "DependencyViolation",
    "UniquenessViolation",
    "SomethingNew",
];

/// What one look at a user shows.
#[derive(Debug, Clone)]
pub enum Shows {
    Licensed(SkuId),
    PlanOff(SkuId),
    Lapsed(SkuId),
    /// No licence; the date, in hours before now, on the deleted plan entry.
    Without(Option<i64>),
    Held,
    /// The group cannot give its licence.
    GroupError(SkuId, &'static str),
    Unsaid,
    Deleted {
        hours_ago: i64,
        licenses: Option<bool>,
    },
    Absent,
}

impl World {
    pub fn drifts_at(&self, now: Timestamp) -> Vec<Drift> {
        let drift = |known| match diff(&self.policy, known, &self.catalog, &self.surroundings, now) {
            Finding::Drift(drift) => Some(*drift),
            Finding::Healthy | Finding::LeftAlone { .. } => None,
        };
        self.users.values().filter_map(drift).collect()
    }

    pub fn ledger(&self, drifts: &[Drift]) -> BTreeMap<UserId, LedgerEntry> {
        let entries = drifts.iter().zip(&self.histories);
        entries
            .filter(|(_, history)| history.sightings > 0)
            .map(|(drift, history)| (drift.user, history.entry(drift)))
            .collect()
    }
}

impl History {
    fn entry(&self, drift: &Drift) -> LedgerEntry {
        let attempt = |(hours, outcome): &(i64, OutcomeKind)| Attempt {
            at: ago(*hours),
            action: Action::PLAIN_RESTORE,
            outcome: Some(*outcome),
            detail: "for the test".to_owned(),
        };
        LedgerEntry {
            sightings: self.sightings,
            attempts: self.attempts.iter().map(attempt).collect(),
            pending: self.is_pending.then(|| Pending {
                step_id: "earlier".to_owned(),
                action: Action::PLAIN_RESTORE,
                sent: ago(1),
                is_uncertain: false,
                expected_mailbox: None,
            }),
            next_attempt: self.next_attempt.map(ago),
            repaired: self.repaired.iter().map(|hours| ago(*hours)).collect(),
            undone: self
                .undone
                .iter()
                .map(|hours| Undone {
                    at: ago(*hours),
                    sent: ago(*hours),
                    action: Action::PLAIN_RESTORE,
                    seen: None,
                })
                .collect(),
            ..LedgerEntry::opened(drift.kind, ago(self.first_seen))
        }
    }
}

fn ago(hours: i64) -> Timestamp {
    NOW - Span::from_hours(hours)
}

/// A tenant with a dozen users.
pub fn world() -> impl Strategy<Value = World> {
    let users = vec((looks(), traits()), 3..14);
    let numbers = (0_u32..12, 1_u64..200, 0_u32..2, vec(any::<(u8, u8)>(), 0..2));
    (policy(), catalog(), users, vec(history(), 14), numbers).prop_map(
        |(policy, catalog, users, histories, (sent_last_day, kept, in_flight, pairs))| {
            let users = users.into_iter().enumerate().filter_map(|(number, (looks, traits))| {
                let id = UserId::from_u128(number as u128 + 1);
                folded(id, &looks, &traits, &catalog).map(|known| (id, known))
            });
            let mut surroundings = Surroundings::default();
            for (one, other) in pairs {
                let id = |number: u8| UserId::from_u128(u128::from(number % 14) + 1);
                surroundings.rivals.insert(id(one), Rival { other: id(other), taken: Taken::Unknown });
            }
            World {
                users: users.collect(),
                policy,
                catalog,
                surroundings,
                histories,
                sent_last_day,
                kept,
                in_flight: BTreeMap::from([(E3, in_flight)]),
            }
        },
    )
}

/// Rules for the board, for shared mailboxes and for staff; user 1 is off-boarded, operations are protected, and nobody
/// names the department "other".
pub fn policy() -> impl Strategy<Value = Policy> {
    let response = || prop_oneof![4 => Just("act"), 1 => Just("ask"), 1 => Just("report")];
    let limits = (1_u32..8, 8_u32..20, 1_u32..50, 0_u32..20, 0_u32..3);
    let retention = (prop_oneof![Just(30), Just(60)], 0_u32..10);
    let staff = (response(), response(), 0_u32..48, any::<bool>(), any::<bool>(), any::<bool>());
    (retention, staff, limits, any::<bool>(), response()).prop_map(
        |((days, margin), (lost, deleted, settle, in_group, adopt, location), limits, acts, board)| {
            let (per_pass, per_day, share, floor, reserved) = limits;
            let assign = if in_group { format!(", assign: {{ group: {GROUP} }}") } else { String::new() };
            let location = if location { ", usage_location: NO" } else { "" };
            let unanswered = if acts { "act" } else { "report" };
            let text = format!(
                r#"version: 1
retention: {{ days: {days}, margin: {margin}d }}
offboarded:
  - {{ id: {one}, reason: left }}
protected:
  - {{ match: {{ department: operations }}, reason: break-glass }}
keep:
  - {{ name: board, match: {{ department: board }}, licenses: [SPE_E5, SPE_E3], on_license_lost: {board}, on_deleted: {board}, settle: 0s, priority: 10 }}
  - {{ name: shared, match: {{ department: staff, mailbox: shared }}, on_deleted: {deleted} }}
  - {{ name: staff, match: {{ department: staff }}, licenses: [SPE_E3], on_license_lost: {lost}, on_deleted: {deleted}, settle: {settle}h, adopt: {adopt}{assign}{location} }}
limits: {{ per_pass: {per_pass}, per_day: {per_day}, share: {share}%, floor: {floor}, seats_reserved: {{ SPE_E3: {reserved} }} }}
unanswered_asks: {unanswered}
"#,
                one = UserId::from_u128(1),
            );
            Policy::parse("policy.yaml", &text).unwrap_or_else(|faults| panic!("{faults:?}\n{text}"))
        },
    )
}

pub fn catalog() -> impl Strategy<Value = Catalog> {
    let status = || prop_oneof![8 => Just("Enabled"), 1 => Just("Warning"), 1 => Just("Suspended")];
    let subscriptions = prop::option::of(vec(subscription(), 0..4));
    ((-2_i64..8, status()), (-2_i64..4, status()), subscriptions).prop_map(|(e3, e5, subscriptions)| {
        let sku = |id, name: &str, (free, status): (i64, &str)| Sku {
            id,
            part_number: name.to_owned(),
            capability_status: status.to_owned(),
            consumed: 40,
            units: Units { enabled: 40 + free, ..Units::default() },
            plans: [ENTERPRISE, TEAMS]
                .map(|id| SkuPlan { id, name: id.to_string(), applies_to: "User".into() })
                .into(),
        };
        let products: Catalog = [sku(E3, "SPE_E3", e3), sku(E5, "SPE_E5", e5)].into_iter().collect();
        products.backed_by(subscriptions)
    })
}

fn subscription() -> impl Strategy<Value = Subscription> {
    let status = prop_oneof![
        Just(CapabilityStatus::Enabled),
        Just(CapabilityStatus::Warning),
        Just(CapabilityStatus::Suspended),
        Just(CapabilityStatus::LockedOut),
        Just(CapabilityStatus::Deleted),
    ];
    let next = prop::option::weighted(0.9, -100_i64..2500);
    (any::<bool>(), status, next).prop_map(|(is_e3, status, next)| Subscription {
        sku: if is_e3 { E3 } else { E5 },
        part_number: "of a product".to_owned(),
        status,
        seats: 40,
        is_trial: false,
        next: next.map(|hours| ago(-hours)),
    })
}

/// What stays the same: department, mailbox kind, enabled, synced, member of the group, has a location.
#[derive(Debug, Clone)]
pub struct Traits {
    department: &'static str,
    kind: Option<MailboxKind>,
    is_enabled: Option<bool>,
    is_synced: bool,
    is_member: bool,
    has_location: bool,
}

pub fn traits() -> impl Strategy<Value = Traits> {
    let department =
        prop_oneof![6 => Just("staff"), 3 => Just("board"), 1 => Just("operations"), 1 => Just("other")];
    let kind = prop_oneof![6 => Just(None), 6 => Just(Some(MailboxKind::User)), 2 => Just(Some(MailboxKind::Shared))];
    let enabled = prop_oneof![18 => Just(Some(true)), 1 => Just(Some(false)), 1 => Just(None::<bool>)];
    (
        department,
        kind,
        enabled,
        prop::bool::weighted(0.1),
        prop::bool::weighted(0.2),
        prop::bool::weighted(0.8),
    )
        .prop_map(|(department, kind, is_enabled, is_synced, is_member, has_location)| Traits {
            department,
            kind,
            is_enabled,
            is_synced,
            is_member,
            has_location,
        })
}

/// Hours before now, oldest first, and what was seen.
pub fn looks() -> impl Strategy<Value = Vec<(i64, Shows)>> {
    vec((hours(), shows()), 2..5).prop_map(|mut looks| {
        looks.sort_by_key(|(hours, _)| -hours);
        looks
    })
}

/// Mostly within the thirty days.
fn hours() -> impl Strategy<Value = i64> {
    prop_oneof![4 => 0_i64..600, 1 => 600_i64..1500]
}

pub fn shows() -> impl Strategy<Value = Shows> {
    let sku = || prop_oneof![3 => Just(E3), 2 => Just(E5), 1 => Just(UNLISTED)];
    prop_oneof![
        7 => sku().prop_map(Shows::Licensed),
        1 => sku().prop_map(Shows::PlanOff),
        1 => sku().prop_map(Shows::Lapsed),
        9 => prop::option::of(hours()).prop_map(Shows::Without),
        1 => Just(Shows::Held),
        2 => (sku(), prop::sample::select(GROUP_ERRORS)).prop_map(|(sku, error)| Shows::GroupError(sku, error)),
        1 => Just(Shows::Unsaid),
        5 => (hours(), any::<Option<bool>>()).prop_map(|(hours_ago, licenses)| Shows::Deleted { hours_ago, licenses }),
        1 => Just(Shows::Absent),
    ]
}

pub fn history() -> impl Strategy<Value = History> {
    let outcome =
        prop_oneof![Just(OutcomeKind::Accepted), Just(OutcomeKind::Deferred), Just(OutcomeKind::Refused)];
    (
        prop_oneof![1 => 0_u32..2, 5 => 2_u32..9],
        0_i64..200,
        vec((0_i64..60, outcome), 0..3),
        prop::bool::weighted(0.05),
        prop::option::weighted(0.3, -5_i64..5),
        vec(0_i64..800, 0..3),
        vec(0_i64..800, 0..2),
    )
        .prop_map(|(sightings, first_seen, attempts, is_pending, next_attempt, repaired, undone)| {
            History { sightings, first_seen, attempts, is_pending, next_attempt, repaired, undone }
        })
}

fn folded(id: UserId, looks: &[(i64, Shows)], traits: &Traits, catalog: &Catalog) -> Option<KnownUser> {
    let mut known: Option<KnownUser> = None;
    let mut previous = None;
    for (hours, shows) in looks {
        let memberships = memberships(id, traits);
        let context = context(ago(*hours), previous, catalog, &memberships);
        known = fold(known, sighting(id, traits, shows, ago(*hours)), &context);
        if let Some(known) = &mut known {
            known.mailbox.kind.clone_from(&traits.kind);
        }
        previous = Some(ago(*hours));
    }
    known
}

pub fn memberships(id: UserId, traits: &Traits) -> Memberships {
    let mut memberships = Memberships::default();
    memberships.insert(GROUP, if traits.is_member { vec![id] } else { Vec::new() });
    memberships
}

pub fn context<'a>(
    observed: Timestamp,
    previous: Option<Timestamp>,
    catalog: &'a Catalog,
    memberships: &'a Memberships,
) -> Context<'a> {
    Context { kind: ObservationKind::Full, observed, previous, catalog, memberships }
}

pub fn sighting(id: UserId, traits: &Traits, shows: &Shows, observed: Timestamp) -> Option<Sighting> {
    let mut user = User::new(id, format!("{id}@contoso.com"));
    user.user_type = UserType::Member;
    user.department = Some(traits.department.to_owned());
    user.account_enabled = traits.is_enabled;
    user.on_premises_synced = traits.is_synced;
    user.usage_location = traits.has_location.then(|| "NO".to_owned());
    let license = |sku, off: &[PlanId]| License { sku, disabled_plans: off.iter().copied().collect() };
    let entry = |status, assigned| AssignedPlan { plan: ENTERPRISE, status, assigned };
    user.licenses = Some(Vec::new());
    match shows {
        Shows::Licensed(sku) => {
            user.licenses = Some(vec![license(*sku, &[TEAMS])]);
            user.plans = vec![entry(CapabilityStatus::Enabled, Some(ago(9000)))];
        }
        Shows::PlanOff(sku) => {
            user.licenses = Some(vec![license(*sku, &[ENTERPRISE])]);
            user.plans = vec![entry(CapabilityStatus::Deleted, None)];
        }
        Shows::Lapsed(sku) => {
            user.licenses = Some(vec![license(*sku, &[])]);
            user.plans = vec![entry(CapabilityStatus::Suspended, None)];
        }
        Shows::Without(hint) => user.plans = vec![entry(CapabilityStatus::Deleted, hint.map(ago))],
        Shows::Held => {
            user.provisioning_errors = vec![ProvisioningError {
                service_instance: "exchange/eur".to_owned(),
                created: Some(observed),
                is_resolved: false,
            }];
        }
        Shows::GroupError(sku, error) => {
            user.plans = vec![entry(CapabilityStatus::Deleted, None)];
            user.assignments = vec![LicenseAssignment {
                sku: *sku,
                disabled_plans: BTreeSet::new(),
                by_group: Some(GROUP),
                state: "Error".to_owned(),
                error: Some((*error).to_owned()),
                updated: None,
            }];
        }
        Shows::Unsaid => user.licenses = None,
        Shows::Deleted { hours_ago, licenses } => {
            user.licenses = licenses.map(|kept| if kept { vec![license(E3, &[])] } else { Vec::new() });
            let since = ago(*hours_ago).min(observed);
            return Some(Sighting::Deleted { user, since });
        }
        Shows::Absent => return None,
    }
    Some(Sighting::Live(user))
}

/// The same user, seen licensed, live and reachable.
pub fn healed(known: &KnownUser, catalog: &Catalog, observed: Timestamp) -> KnownUser {
    let traits = Traits {
        department: "staff",
        kind: None,
        is_enabled: Some(true),
        is_synced: false,
        is_member: true,
        has_location: true,
    };
    let memberships = memberships(known.id(), &traits);
    let context = context(observed, Some(NOW), catalog, &memberships);
    let sighting = sighting(known.id(), &traits, &Shows::Licensed(UNLISTED), observed);
    fold(Some(known.clone()), sighting, &context).expect("a live user is remembered")
}
