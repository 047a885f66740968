//! Records for the tests of the store.

use std::collections::BTreeSet;

use proptest::prelude::*;

use crate::model::{
    AssignedPlan, CapabilityStatus, GroupId, KnownUser, License, LicenseAssignment, Loss, MAILBOX_PLANS,
    MailboxKind, MailboxMemory, PlanId, Presence, Probe, ProbeAnswer, Remembered, Sighting, SkuId, TenantId,
    Timestamp, User, UserId, UserType,
};

pub(super) const TENANT: TenantId = TenantId::from_u128(0x9d1c_7f3e_3f43_4a52_9a35_0d2c_55f1_a001);
pub(super) const SKU: SkuId = SkuId::from_u128(0x05e9_a617_0261_4cee_bb44_138d_3ef5_d965);

pub(super) fn id(number: u128) -> UserId {
    UserId::from_u128(number)
}

/// A user that differs from the same user in another `version`.
pub(super) fn user(number: u128, version: u64) -> User {
    let mut user = User::new(id(number), format!("user{number}@contoso.com"));
    user.display_name = Some(format!("version {version}"));
    user.user_type = UserType::Member;
    user
}

pub(super) fn known(number: u128, version: u64) -> KnownUser {
    KnownUser {
        user: user(number, version),
        presence: Presence::Live,
        groups: BTreeSet::new(),
        groups_read: BTreeSet::new(),
        mailbox: MailboxMemory::default(),
        remembered: None,
        loss: None,
    }
}

/// A user with something in every field.
pub(super) fn full(number: u128) -> KnownUser {
    let at = Timestamp::from_secs(1_795_000_000);
    let license = License { sku: SKU, disabled_plans: BTreeSet::from([PlanId::from_u128(3)]) };
    let assignment = LicenseAssignment {
        sku: SKU,
        disabled_plans: BTreeSet::new(),
        by_group: Some(GroupId::from_u128(8)),
        state: "Active".into(),
        error: None,
        updated: Some(at),
    };
    let mut known = known(number, 1);
    known.user.licenses = Some(vec![license.clone()]);
    known.user.plans = vec![AssignedPlan {
        plan: MAILBOX_PLANS[1].0,
        status: CapabilityStatus::Other("Newer".into()),
        assigned: Some(at),
    }];
    known.user.assignments = vec![assignment.clone()];
    known.presence = Presence::Deleted { since: at };
    known.groups = BTreeSet::from([GroupId::from_u128(8)]);
    known.groups_read = BTreeSet::from([GroupId::from_u128(8), GroupId::from_u128(9)]);
    known.mailbox = MailboxMemory {
        kind: Some(MailboxKind::Shared),
        primary_id: Some("MBX:one@tenant".into()),
        last_probe: Some(Probe { at, answer: ProbeAnswer::NoMailbox }),
    };
    known.remembered = Some(Remembered { licenses: vec![license], assignments: vec![assignment] });
    known.loss = Some(Loss { last_with: Some(at), noticed: at, hint: None, had_mailbox_plan: true });
    known
}

/// Ids that collide often, with gaps.
pub(super) fn ids() -> impl Strategy<Value = u128> {
    (0_u128..400).prop_map(|number| number * 3)
}

pub(super) fn sightings() -> impl Strategy<Value = Sighting> {
    (ids(), any::<u64>(), 0_u8..4).prop_map(|(number, version, kind)| match kind {
        0 => Sighting::Purged(id(number)),
        1 => Sighting::Deleted { user: user(number, version), since: Timestamp::from_secs(9) },
        _ => Sighting::Live(user(number, version)),
    })
}
