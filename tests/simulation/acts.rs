//! What people do between two passes: administrators, HR, other tools, and those who run mailkeeper. An act is drawn,
//! told in a line, and done; whether it is still possible is the tenant's business.

use mailkeeper::model::{SkuId, Span, Timestamp, UserId};
use mailkeeper::sim::administrator::DeletedFrom;
use mailkeeper::sim::faults::Faults;
use mailkeeper::sim::rng::Rng;
use mailkeeper::sim::scenario::{Company, Role, products};
use mailkeeper::sim::subscriptions::Stage;
use mailkeeper::sim::tenant::Tenant;

use super::people::{People, Person};
use super::shape::Standing;

/// What is done to the tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TenantAct {
    LoseLicence(UserId),
    LeaveLicensingGroup(UserId),
    /// Back into the licensing group when the last seat is gone: the group cannot give its licence again.
    RejoinWithoutSeat(UserId),
    DisableExchange(UserId),
    Delete {
        user: UserId,
        from: DeletedFrom,
    },
    HardDelete(UserId),
    /// HR marks a leaver; `deletes`: and the off-boarding script deletes the account in the same minute.
    Leave {
        user: UserId,
        deletes: bool,
    },
    Disable(UserId),
    Enable(UserId),
    RestoreByHand(UserId),
    LicenseByHand(UserId),
    LoseLocation(UserId),
    Promote(UserId),
    AddDuplicate(UserId),
    ChangeSeats {
        sku: SkuId,
        spare: u32,
    },
    /// Nobody renews a product, or somebody does.
    Subscription {
        sku: SkuId,
        stage: Stage,
    },
    RevokeTokens,
    LosePermission(&'static str),
    RegainPermissions,
    Storm(bool),
}

/// What is done to mailkeeper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeeperAct {
    /// Pressed when the write of this number in the next pass is answered.
    HoldDuring {
        write: u32,
    },
    Hold {
        minutes: Option<i64>,
    },
    Resume,
    BreakPolicy,
    MendPolicy,
    /// The operator adds this user to the off-boarded ones.
    OffboardInPolicy(UserId),
    SetClockOff {
        minutes: i64,
    },
    AnswerAsks {
        granted: bool,
    },
    Restart,
    /// The disk fails after so many more calls.
    FailState {
        calls: u64,
    },
    FailJournal {
        calls: u64,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    Tenant(TenantAct),
    Keeper(KeeperAct),
}

/// Beyond this many mailboxes at risk nobody makes it worse: the limits would hide everything else.
const ENOUGH: usize = 12;

/// All application permissions that observing and acting need.
pub const PERMISSIONS: [&str; 10] = [
    "User.Read.All",
    "LicenseAssignment.Read.All",
    "LicenseAssignment.ReadWrite.All",
    "User.DeleteRestore.All",
    "Organization.Read.All",
    "AuditLog.Read.All",
    "MailboxSettings.Read",
    "GroupMember.Read.All",
    "GroupMember.ReadWrite.All",
    "User.ReadWrite.All",
];

/// Draws one act that makes sense at the moment. `repaired`: whom the product sent a request for, newest last.
pub fn draw(people: &People, repaired: &[UserId], rng: &mut Rng) -> Act {
    let at_risk = people.iter().filter(|person| person.at_risk_since.is_some()).count();
    match rng.below(if at_risk < ENOUGH { 100 } else { 30 }) {
        0..=29 => other(people, rng),
        30..=39 if !repaired.is_empty() => {
            let user = *rng.pick(repaired).unwrap_or(&repaired[0]);
            Act::Tenant(TenantAct::LoseLicence(user))
        }
        _ => Act::Tenant(damage(people, rng)),
    }
}

fn damage(people: &People, rng: &mut Rng) -> TenantAct {
    let healthy = |person: &&Person| person.at_risk_since.is_none() && person.has_mailbox();
    let anybody: Vec<&Person> = people.iter().filter(healthy).collect();
    let licensed: Vec<&Person> = anybody.iter().filter(|person| person.needs_license()).copied().collect();
    let Some(person) = rng.pick(&licensed).copied() else { return TenantAct::RevokeTokens };
    let any = rng.pick(&anybody).map_or(person.id, |person| person.id);
    let user = person.id;
    let is_grouped = person.facts.role == Role::GroupStaff;
    match rng.below(20) {
        0..=6 if is_grouped => TenantAct::LeaveLicensingGroup(user),
        0..=6 => TenantAct::LoseLicence(user),
        7..=8 => TenantAct::DisableExchange(user),
        9..=12 => TenantAct::Delete { user: any, from: DeletedFrom::Graph },
        13..=14 => TenantAct::Delete { user: any, from: DeletedFrom::AdminCentre },
        15 => TenantAct::Leave { user, deletes: false },
        16 => TenantAct::Leave { user, deletes: true },
        17 => TenantAct::Disable(user),
        18 => TenantAct::LoseLocation(user),
        _ => TenantAct::LoseLicence(user),
    }
}

fn other(people: &People, rng: &mut Rng) -> Act {
    let at_risk: Vec<UserId> =
        people.iter().filter(|person| person.at_risk_since.is_some()).map(|person| person.id).collect();
    let kept: Vec<UserId> = people
        .iter()
        .filter(|person| matches!(person.standing(), Standing::Kept(_)))
        .map(|person| person.id)
        .collect();
    let victim = rng.pick(&at_risk).or(rng.pick(&kept)).copied();
    let Some(victim) = victim else { return Act::Keeper(KeeperAct::Restart) };
    let is_grouped = people.get(victim).is_some_and(|person| person.facts.role == Role::GroupStaff);
    let sku = *rng
        .pick(&[products::SPE_E3, products::SPE_E5, products::EXCHANGESTANDARD])
        .unwrap_or(&products::SPE_E3);
    match rng.below(32) {
        0..=1 => Act::Tenant(TenantAct::RestoreByHand(victim)),
        2..=3 if is_grouped => Act::Tenant(TenantAct::RejoinWithoutSeat(victim)),
        2..=3 => Act::Tenant(TenantAct::LicenseByHand(victim)),
        4 => Act::Tenant(TenantAct::Enable(victim)),
        5 => Act::Tenant(TenantAct::Promote(victim)),
        6 => Act::Tenant(TenantAct::AddDuplicate(victim)),
        7 => Act::Tenant(TenantAct::HardDelete(victim)),
        8..=9 => Act::Tenant(TenantAct::ChangeSeats { sku, spare: u32::try_from(rng.below(4)).unwrap_or(0) }),
        10 => {
            let stages = [Stage::Enabled, Stage::Warning, Stage::Suspended];
            Act::Tenant(TenantAct::Subscription { sku, stage: *rng.pick(&stages).unwrap_or(&Stage::Enabled) })
        }
        11 => Act::Tenant(TenantAct::RevokeTokens),
        12 => Act::Tenant(TenantAct::LosePermission(rng.pick(&PERMISSIONS).unwrap_or(&PERMISSIONS[0]))),
        13..=14 => Act::Tenant(TenantAct::RegainPermissions),
        15 => Act::Tenant(TenantAct::Storm(true)),
        16 => Act::Tenant(TenantAct::Storm(false)),
        17 => Act::Keeper(KeeperAct::Hold { minutes: rng.chance(0.5).then(|| rng.between(10, 300)) }),
        18..=19 => {
            Act::Keeper(KeeperAct::HoldDuring { write: u32::try_from(rng.between(1, 3)).unwrap_or(1) })
        }
        20..=21 => Act::Keeper(KeeperAct::Resume),
        22 => Act::Keeper(KeeperAct::BreakPolicy),
        23..=24 => Act::Keeper(KeeperAct::MendPolicy),
        25 => Act::Keeper(KeeperAct::OffboardInPolicy(victim)),
        26 => Act::Keeper(KeeperAct::SetClockOff {
            minutes: *rng.pick(&[0, 3, -3, 12, -12, 45, -45]).unwrap_or(&0),
        }),
        27..=28 => Act::Keeper(KeeperAct::AnswerAsks { granted: rng.chance(0.8) }),
        29 => Act::Keeper(KeeperAct::Restart),
        30 => Act::Keeper(KeeperAct::FailState { calls: rng.below(60) }),
        _ => Act::Keeper(KeeperAct::FailJournal { calls: rng.below(8) }),
    }
}

impl TenantAct {
    /// Whom it is done to.
    pub fn user(&self) -> Option<UserId> {
        match self {
            Self::LoseLicence(user)
            | Self::LeaveLicensingGroup(user)
            | Self::RejoinWithoutSeat(user)
            | Self::DisableExchange(user)
            | Self::Delete { user, .. }
            | Self::HardDelete(user)
            | Self::Leave { user, .. }
            | Self::Disable(user)
            | Self::Enable(user)
            | Self::RestoreByHand(user)
            | Self::LicenseByHand(user)
            | Self::LoseLocation(user)
            | Self::Promote(user)
            | Self::AddDuplicate(user) => Some(*user),
            Self::ChangeSeats { .. }
            | Self::Subscription { .. }
            | Self::RevokeTokens
            | Self::LosePermission(_)
            | Self::RegainPermissions
            | Self::Storm(_) => None,
        }
    }

    /// Does it, and keeps the generator's knowledge in step.
    pub fn apply(
        &self,
        company: &Company,
        people: &mut People,
        tenant: &mut Tenant,
        faults: &mut Faults,
        now: Timestamp,
    ) {
        match self {
            Self::LoseLicence(user) => strip(company, tenant, *user, now),
            Self::LeaveLicensingGroup(user) => tenant.remove_member(now, company.licensing_group, *user),
            Self::RejoinWithoutSeat(user) => rejoin_without_seat(company, tenant, *user, now),
            Self::DisableExchange(user) => {
                for sku in tenant.licences_of(*user) {
                    let plan = match sku == products::EXCHANGESTANDARD {
                        true => products::EXCHANGE_S_STANDARD,
                        false => products::EXCHANGE_S_ENTERPRISE,
                    };
                    tenant.disable_plan(now, *user, sku, plan);
                }
            }
            Self::Delete { user, from } => {
                tenant.delete_user(now, *user, *from);
                if is_succeeded_at_once(*user) {
                    succeed(people, tenant, *user, now);
                }
            }
            Self::HardDelete(user) => tenant.hard_delete_user(now, *user),
            Self::Leave { user, deletes } => leave(company, people, tenant, *user, *deletes, now),
            Self::Disable(user) => set_enabled(people, tenant, *user, false, now),
            Self::Enable(user) => set_enabled(people, tenant, *user, true, now),
            Self::RestoreByHand(user) => drop(tenant.restore_user(now, *user)),
            Self::LicenseByHand(user) => {
                let is_done = tenant.assign_licence(now, *user, products::SPE_E3, Vec::new()).is_ok();
                // From here on every plan in it is wanted.
                people
                    .get_mut(*user)
                    .filter(|_| is_done)
                    .into_iter()
                    .for_each(|person| person.switched_off.clear());
            }
            Self::LoseLocation(user) => {
                if tenant.is_live(*user) {
                    tenant.set_usage_location(now, *user, None);
                    people.get_mut(*user).into_iter().for_each(|person| person.has_location = false);
                }
            }
            Self::Promote(user) => {
                if tenant.is_live(*user) {
                    tenant.add_member(now, company.administrators, *user);
                    people
                        .get_mut(*user)
                        .into_iter()
                        .for_each(|person| person.facts.holds_admin_group = true);
                }
            }
            Self::AddDuplicate(user) => succeed(people, tenant, *user, now),
            Self::ChangeSeats { sku, spare } => {
                let consumed = tenant.seats(*sku).map_or(0, |seats| seats.consumed);
                tenant.set_seats(now, *sku, consumed + spare);
            }
            Self::Subscription { sku, stage } => tenant.set_subscription_stage(now, *sku, *stage),
            Self::RevokeTokens => tenant.revoke_tokens(),
            Self::LosePermission(lost) => {
                let left: Vec<&str> = PERMISSIONS.iter().filter(|role| *role != lost).copied().collect();
                tenant.set_roles(&left);
                tenant.revoke_tokens();
            }
            Self::RegainPermissions => {
                tenant.set_roles(&PERMISSIONS);
                tenant.revoke_tokens();
            }
            Self::Storm(is_storming) => faults.set_storm(*is_storming),
        }
    }
}

/// Somebody whose successor gets a name and its addresses with the same form that deletes the old account.
fn is_succeeded_at_once(user: UserId) -> bool {
    user.as_bytes().last().is_some_and(|byte| byte.is_multiple_of(4))
}

fn succeed(people: &mut People, tenant: &mut Tenant, user: UserId, now: Timestamp) {
    if tenant.add_duplicate(now, user).is_some() {
        people.get_mut(user).into_iter().for_each(|person| person.has_duplicate = true);
    }
}

/// Takes every direct licence, and with the membership the one that comes by group.
fn strip(company: &Company, tenant: &mut Tenant, user: UserId, now: Timestamp) {
    for sku in tenant.licences_of(user) {
        drop(tenant.remove_licence(now, user, sku));
    }
    if tenant.is_member(company.licensing_group, user) {
        tenant.remove_member(now, company.licensing_group, user);
    }
}

fn rejoin_without_seat(company: &Company, tenant: &mut Tenant, user: UserId, now: Timestamp) {
    if !tenant.is_live(user) {
        return;
    }
    if let Some(seats) = tenant.seats(products::SPE_E3) {
        tenant.set_seats(now, products::SPE_E3, seats.consumed);
    }
    tenant.add_member(now, company.licensing_group, user);
}

fn leave(
    company: &Company,
    people: &mut People,
    tenant: &mut Tenant,
    user: UserId,
    deletes: bool,
    now: Timestamp,
) {
    if !tenant.is_live(user) {
        return;
    }
    tenant.set_employee_type(now, user, "leaver");
    if let Some(person) = people.get_mut(user) {
        person.facts.is_leaver = true;
    }
    if deletes {
        tenant.delete_user(now, user, DeletedFrom::Graph);
        return;
    }
    set_enabled(people, tenant, user, false, now);
    strip(company, tenant, user, now);
}

fn set_enabled(people: &mut People, tenant: &mut Tenant, user: UserId, is_enabled: bool, now: Timestamp) {
    if tenant.is_live(user) {
        tenant.set_account_enabled(now, user, is_enabled);
        people.get_mut(user).into_iter().for_each(|person| person.is_enabled = is_enabled);
    }
}

/// How long people take until the next thing happens.
pub fn pause(is_slow: bool, rng: &mut Rng) -> Span {
    match is_slow {
        true => Span::from_minutes(rng.between(20, 4 * 24 * 60)),
        false => Span::from_minutes(rng.between(1, 60)),
    }
}
