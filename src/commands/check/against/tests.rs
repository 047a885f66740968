//! One small state, two policies, and what is said of the change.

use std::io::Cursor;
use std::sync::Arc;

use super::*;
use crate::model::{
    AssignedPlan, CapabilityStatus, License, Loss, MAILBOX_PLANS, MailboxKind, MailboxMemory, Remembered,
    Sku, SkuId, SkuPlan, TenantId, Units, User, UserType,
};
use crate::store::TenantStore;
use crate::store::memory::MemoryKv;
use crate::store::records::Seats;

/// 2026-11-23 12:00 UTC.
const NOW: Timestamp = Timestamp::from_secs(1_795_435_200);
const E3: SkuId = SkuId::from_u128(3);

const BASE: &str = r#"version: 1
offboarded:
  - match: { employee_type: leaver }
    reason: released by HR
keep:
  - name: sales
    match: { department: sales }
    licenses: [SPE_E3]
    on_license_lost: act
"#;

const CHANGED: &str = r#"version: 1
offboarded:
  - match: { employee_type: leaver }
    reason: released by HR
keep:
  - name: executives
    match: { job_title: "chief*" }
    licenses: [SPE_E3]
    on_license_lost: act
  - name: staff
    match: { mail: "*@contoso.com", department: [sales, finance] }
    licenses: [SPE_E3]
    on_license_lost: act
  - name: projects
    match: { group: 00000000-0000-0000-0000-00000000beef }
    licenses: [SPE_E3]
"#;

fn catalog() -> Catalog {
    let plan = SkuPlan { id: MAILBOX_PLANS[1].0, name: "P2".to_owned(), applies_to: "User".to_owned() };
    let sku = Sku {
        id: E3,
        part_number: "SPE_E3".to_owned(),
        capability_status: "Enabled".to_owned(),
        consumed: 0,
        units: Units { enabled: 1, ..Units::default() },
        plans: vec![plan],
    };
    std::iter::once(sku).collect()
}

fn known(number: u128, name: &str, department: &str, is_licensed: bool) -> KnownUser {
    let license = License { sku: E3, disabled_plans: BTreeSet::new() };
    let mut user = User::new(UserId::from_u128(number), format!("{name}@contoso.com"));
    user.mail = Some(user.upn.clone());
    user.user_type = UserType::Member;
    user.account_enabled = Some(true);
    user.usage_location = Some("NO".to_owned());
    user.department = Some(department.to_owned());
    user.licenses = Some(if is_licensed { vec![license.clone()] } else { Vec::new() });
    let status = if is_licensed { CapabilityStatus::Enabled } else { CapabilityStatus::Deleted };
    user.plans = vec![AssignedPlan { plan: MAILBOX_PLANS[1].0, status, assigned: None }];
    KnownUser {
        user,
        presence: Presence::Live,
        groups: BTreeSet::new(),
        groups_read: BTreeSet::new(),
        mailbox: MailboxMemory { kind: Some(MailboxKind::User), ..MailboxMemory::default() },
        remembered: Some(Remembered { licenses: vec![license], assignments: Vec::new() }),
        loss: (!is_licensed).then(|| Loss {
            last_with: Some(NOW - Span::from_days(20)),
            noticed: NOW - Span::from_days(20),
            hint: None,
            had_mailbox_plan: true,
        }),
    }
}

/// Five people: a chief, two of sales (one unlicensed), two of finance (both unlicensed), one who left.
fn state() -> Cursor<Vec<u8>> {
    let store = TenantStore::new(Arc::new(MemoryKv::new()), TenantId::from_u128(1));
    store.put(&Seats { catalog: catalog(), read_at: NOW }).expect("written");
    let mut chief = known(1, "anna", "sales", true);
    chief.user.job_title = Some("Chief of sales".to_owned());
    let mut leaver = known(6, "frida", "sales", false);
    leaver.user.employee_type = Some("leaver".to_owned());
    let people = [
        chief,
        known(2, "bert", "sales", false),
        known(3, "carl", "finance", false),
        known(4, "dora", "finance", false),
        known(5, "erik", "legal", true),
        leaver,
    ];
    store.put_users(people).expect("written");
    let mut bytes = Vec::new();
    backup::export(&store, NOW, None, &mut bytes).expect("exported");
    Cursor::new(bytes)
}

fn impact(text: &str, base: Option<&str>) -> Impact {
    let policy = Policy::parse("policy.yaml", text).expect("good");
    let base = base.map(|base| Policy::parse("base.yaml", base).expect("good"));
    let base = base.as_ref().map(|policy| Named { name: "base.yaml", policy });
    compare(Named { name: "policy.yaml", policy: &policy }, base, &mut state()).expect("a good backup")
}

#[test]
fn a_change_is_told_user_by_user() {
    let impact = impact(CHANGED, Some(BASE));
    assert_eq!((impact.kept_before, impact.kept_after, impact.users), (Some(2), 4, 6));
    assert_eq!(impact.changes_rule.count, 2, "anna to executives, bert to staff");
    assert_eq!(impact.becomes_kept.count, 2, "finance");
    assert_eq!(impact.undetermined.count, 1, "erik: nobody has read the new group");
    // One seat, three without a licence.
    assert_eq!((impact.steps.count, impact.waiting.values().sum::<u64>()), (1, 2));
    insta::assert_snapshot!("text", impact.to_text());
    insta::assert_snapshot!("markdown", impact.to_markdown());
}

#[test]
fn the_same_policy_changes_nothing_and_says_so() {
    let impact = impact(BASE, Some(BASE));
    assert!(impact.is_unchanged());
    assert!(impact.to_text().starts_with("policy.yaml treats every known user as base.yaml does"));
}

#[test]
fn without_another_policy_only_its_own_effect_is_told() {
    let impact = impact(CHANGED, None);
    assert_eq!((impact.kept_before, impact.becomes_kept.count, impact.steps_dropped), (None, 0, None));
    assert!(!impact.is_unchanged());
    assert!(impact.to_text().starts_with("what policy.yaml would do"));
}

#[test]
fn a_damaged_backup_is_refused_whole() {
    let policy = Policy::parse("policy.yaml", BASE).expect("good");
    let bytes = state().into_inner();
    let mut cut = Cursor::new(bytes[..bytes.len() - 40].to_vec());
    let named = Named { name: "policy.yaml", policy: &policy };
    assert!(compare(named, None, &mut cut).is_err());
}
