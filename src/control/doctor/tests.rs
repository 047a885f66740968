//! The doctor at a simulated tenant: in order, and with one thing wrong at a time.

use super::*;
use crate::control::testing::Office;
use crate::sim::scenario::Company;

/// Good, but for what the tests are about.
fn policy(company: &Company) -> String {
    format!(
        "version: 1\nprotected:\n  - match: {{ group: {} }}\n    reason: holders of directory roles\n  - id: \
         00000000-0000-0000-0000-00000000dead\n    reason: break glass\nkeep:\n  - name: sales\n    match: {{ department: \
         Sails }}\n    licenses: [SPE_E3]\n    on_license_lost: act\n  - name: staff\n    match: {{ mail: \"*@{}\" }}\n    \
         licenses: [SPE_E3]\n    on_license_lost: act\n    on_deleted: act\n",
        company.administrators, company.domain
    )
}

async fn examined(office: &Office) -> Vec<(Level, String)> {
    let examination = examine(&office.desk).await;
    let found = examination.findings.into_iter().filter(|finding| finding.level > Level::Note);
    found.map(|finding| (finding.level, finding.what)).collect()
}

#[tokio::test(start_paused = true)]
async fn a_tenant_in_order_has_only_the_faults_of_its_policy() {
    let mut office = Office::open(true, policy);
    office.pass_after(Span::from_minutes(10)).await;
    let found = examined(&office).await;
    let is_place = |what: &str, start: &str| what.starts_with(start);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(is_place(&found[0].1, "rule \"sales\""), "{found:?}");
    assert!(found[0].1.ends_with("matches nobody"), "{found:?}");
    assert!(found[1].1.contains("1 id, never observed: 00000000-0000-0000-0000-00000000dead"), "{found:?}");
}

#[tokio::test(start_paused = true)]
async fn missing_permissions_are_proved_by_reading_and_named() {
    let office = Office::open(true, policy);
    office.tenant().set_roles(&["User.Read.All", "Directory.ReadWrite.All"]);
    let found = examined(&office).await;
    assert!(found.iter().any(|(level, what)| *level == Level::Warning
        && what.starts_with("Directory.ReadWrite.All is superfluous")));
    office.tenant().set_roles(&["User.Read.All"]);
    // A fresh token carries the new roles.
    office.tenant().revoke_tokens();
    let errors: Vec<String> = examined(&office)
        .await
        .into_iter()
        .filter(|(level, _)| *level == Level::Error)
        .map(|(_, what)| what)
        .collect();
    assert!(
        errors
            .contains(&"licences and seats cannot be read: LicenseAssignment.Read.All is missing".to_owned()),
        "{errors:?}"
    );
    assert!(
        errors.contains(&"groups cannot be read: GroupMember.Read.All is missing".to_owned()),
        "{errors:?}"
    );
    assert!(errors.iter().any(|what| what.starts_with("may not restore deleted accounts")), "{errors:?}");
}

#[tokio::test(start_paused = true)]
async fn a_group_that_is_gone_and_a_policy_that_cannot_be_loaded_are_errors() {
    let mut office = Office::open(true, policy);
    office.pass_after(Span::from_minutes(10)).await;
    let good = policy(&office.company);
    let group = office.company.administrators.to_string();
    office.rewrite_policy(&good.replace(&group, "11111111-2222-3333-4444-555555555555"));
    office.desk.policy.reload();
    let found = examined(&office).await;
    assert!(
        found.iter().any(|(level, what)| *level == Level::Error && what.ends_with("does not exist")),
        "{found:?}"
    );
    office.rewrite_policy("version: 2\n");
    office.desk.policy.reload();
    let found = examined(&office).await;
    assert!(found.iter().any(|(_, what)| what == "the newest policy cannot be loaded"), "{found:?}");
}

#[tokio::test(start_paused = true)]
async fn licences_of_a_nested_group_are_said_not_to_reach() {
    let mut office = Office::open(true, |company| {
        format!(
            "version: 1\nkeep:\n  - name: staff\n    match: {{ mail: \"*@{}\" }}\n    licenses: [SPE_E3]\n    assign: \
             {{ group: {} }}\n    on_license_lost: act\n",
            company.domain, company.licensing_group
        )
    });
    let (now, outer, inner) = (office.now(), office.company.licensing_group, office.company.executives);
    office.tenant().nest_group(now, outer, inner);
    office.pass_after(Span::from_minutes(10)).await;
    let found = examined(&office).await;
    assert!(
        found.iter().any(|(level, what)| *level == Level::Error && what.contains("is nested: ")),
        "{found:?}"
    );
}

#[test]
fn clocks_are_judged_by_how_far_they_are_apart() {
    assert_eq!(clock(Span::from_secs(2)).level, Level::Ok);
    assert_eq!(clock(Span::from_secs(-45)).level, Level::Warning);
    assert_eq!(clock(Span::from_minutes(-6)).level, Level::Error);
}

#[tokio::test(start_paused = true)]
async fn a_policy_near_its_age_is_a_warning_and_an_old_one_an_error() {
    let mut office =
        Office::open(true, |company| format!("{}limits: {{ policy_age: 100d }}\n", policy(company)));
    office.pass_after(Span::from_minutes(10)).await;
    for (days, level) in [(89, None), (91, Some(Level::Warning)), (101, Some(Level::Error))] {
        office.date_policy(office.now() - Span::from_days(days));
        office.desk.policy.reload();
        let found = examined(&office).await;
        let told = found.into_iter().find(|(_, what)| what.contains("policy_age is 100d"));
        assert_eq!(told.map(|(level, _)| level), level, "{days} days");
    }
}
