//! The permission table, through the front door.

use serde_json::json;

use super::*;

#[test]
fn a_token_without_the_permission_is_refused_and_counted() {
    let mut lab = Lab::new();
    let user = lab.member("kari");
    lab.tenant.set_roles(&["User.Read.All"]);
    lab.token = lab.tenant.issue_token(lab.now, Span::from_hours(1));
    assert_eq!(lab.get("/users").status, 200);
    assert_eq!(lab.tenant.counters().denied, 0);
    let body = json!({"addLicenses": [{"skuId": SPE_E3}], "removeLicenses": []});
    let replies = [
        lab.post(&format!("/users/{user}/assignLicense"), body),
        lab.post(&format!("/directory/deletedItems/{user}/restore"), json!({})),
        lab.get("/subscribedSkus"),
        lab.get("/auditLogs/directoryAudits"),
        lab.get(&format!("/users/{user}/mailboxSettings")),
    ];
    for reply in &replies {
        assert_eq!((reply.status, reply.code()), (403, "Authorization_RequestDenied"));
        assert_eq!(reply.message(), "Insufficient privileges to complete the operation.");
    }
    assert_eq!(lab.tenant.counters().denied, 5);
    assert!(lab.tenant.writes().iter().all(|write| !write.applied && write.status == 403));
}

#[test]
fn a_token_without_any_role_may_do_nothing() {
    let mut lab = Lab::new();
    lab.tenant.set_roles(&[]);
    lab.token = lab.tenant.issue_token(lab.now, Span::from_hours(1));
    assert_eq!(lab.get("/users").status, 403);
    assert_eq!(lab.get("/organization").status, 403);
}
