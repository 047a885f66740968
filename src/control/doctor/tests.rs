//! The doctor at a simulated tenant: in order, and with one thing wrong at a time.

use super::*;
use crate::control::testing::Office;
use crate::control::{Answer, Person, Question};
use crate::report::doubts;
use crate::sim::administrator::DeletedFrom;
use crate::sim::scenario::{Company, Role};

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
async fn an_account_deleted_before_the_first_look_is_named_with_its_deadline_and_nobody_promises_to_learn_more()
 {
    let mut office = Office::open(true, policy);
    let victim = office.company.of(Role::Staff).next().expect("there is staff");
    let (victim, upn) = (victim.id, victim.user.user_principal_name.to_lowercase());
    let now = office.now();
    office.tenant().delete_user(now, victim, DeletedFrom::AdminCentre);
    let deadline = (now + Span::from_days(30)).human();
    office.pass_after(Span::from_minutes(10)).await;

    let view = office.desk.view().expect("a pass was made");
    let status = doubts::sentences(&view, office.now()).join("\n");
    let line = status.lines().find(|line| line.contains(&upn)).unwrap_or_else(|| panic!("{status}"));
    assert!(line.contains(&deadline), "{line}");
    assert!(status.contains("restores it by hand") && !status.contains("next passes"), "{status}");
    assert_eq!(view.earliest_deadline(), Some(now + Span::from_days(30)));
    let explained = match office.desk.answer(&Question::Explain { user: upn.clone() }, &person()) {
        Some(Ok(Answer::Explanation { explanation })) => explanation.to_text(),
        other => panic!("{other:?}"),
    };
    assert!(explained.contains(&deadline) && explained.contains("restores it by hand"), "{explained}");
    let found = examine(&office.desk).await.findings;
    let found = found.iter().find(|finding| finding.what.contains(&upn)).expect("doctor names it");
    assert!(found.what.starts_with("1 deleted account cannot be decided"), "{}", found.what);
    assert!(found.to_do.contains("restores it by hand"), "{}", found.to_do);
}

fn person() -> Person {
    Person { name: "carl (uid 1000)".to_owned() }
}

#[tokio::test(start_paused = true)]
async fn a_new_name_in_a_foreign_domain_is_found_before_anybody_needs_it() {
    let foreign = |company: &Company| {
        let restore = "on_deleted: act\n    restore: { upn_if_taken: \"*-back@fabrikam.com\" }";
        policy(company).replace("on_deleted: act", restore)
    };
    let found = examined(&Office::open(true, foreign)).await;
    let is_named = |what: &str| what.contains("names at fabrikam.com, which is no verified domain here");
    assert!(found.iter().any(|(level, what)| *level == Level::Error && is_named(what)), "{found:?}");
    let own = |company: &Company| foreign(company).replace("fabrikam.com", &company.domain);
    let found = examined(&Office::open(true, own)).await;
    assert!(!found.iter().any(|(_, what)| what.contains("verified domain")), "{found:?}");
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
