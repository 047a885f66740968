//! The quota, through the front door. Random throttling is a fault and not tested here.

use serde_json::json;

use super::*;

#[test]
fn too_many_units_are_refused_until_the_bucket_refills() {
    let mut lab = Lab::new();
    lab.tenant.set_quota(Quota::Custom { units_per_10s: 10, writes_per_150s: 100 });
    for _ in 0..5 {
        assert_eq!(lab.get("/users").status, 200, "two units each");
    }
    let reply = lab.get("/users");
    assert_eq!((reply.status, reply.code()), (429, "TooManyRequests"));
    assert_eq!(reply.response.header("retry-after"), Some("2"));
    assert_eq!(reply.response.header("x-ms-throttle-information"), Some("ResourceUnitLimitExceeded"));
    assert!(
        reply
            .response
            .header("x-ms-throttle-scope")
            .expect("a scope")
            .starts_with("Tenant_Application/ReadWrite/")
    );
    lab.wait(Span::from_secs(2));
    let reply = lab.get("/users");
    assert_eq!((reply.status, reply.response.header("x-ms-throttle-limit-percentage")), (200, Some("1.0")));
    assert_eq!((lab.tenant.counters().throttled, lab.tenant.counters().resource_units), (1, 12));
}

#[test]
fn writes_have_a_bucket_of_their_own_and_a_refused_one_changes_nothing() {
    let mut lab = Lab::new();
    let user = lab.member("kari");
    lab.tenant.set_quota(Quota::Custom { units_per_10s: 1000, writes_per_150s: 2 });
    let body = |location: &str| json!({"usageLocation": location});
    let path = format!("/users/{user}");
    assert_eq!([lab.patch(&path, body("DE")).status, lab.patch(&path, body("SE")).status], [204, 204]);
    let refused = lab.patch(&path, body("DK"));
    assert_eq!(refused.response.header("x-ms-throttle-information"), Some("WriteLimitExceeded"));
    assert_eq!(refused.response.header("retry-after"), Some("75"));
    assert_eq!(lab.get(&format!("{path}?$select=usageLocation")).json["usageLocation"], "SE");
    let statuses: Vec<u16> = lab.tenant.writes().iter().map(|write| write.status).collect();
    assert_eq!(statuses, [204, 204, 429]);
}

#[test]
fn selection_and_small_pages_are_cheaper() {
    let mut lab = Lab::new();
    let cost = |lab: &mut Lab, target: &str| {
        lab.get(target).response.header("x-ms-resource-unit").map(str::to_owned)
    };
    assert_eq!(cost(&mut lab, "/users").as_deref(), Some("2"));
    assert_eq!(cost(&mut lab, "/users?$select=id").as_deref(), Some("1"));
    assert_eq!(cost(&mut lab, "/users?$select=id&$top=5").as_deref(), Some("1"));
    assert_eq!(cost(&mut lab, "/subscribedSkus").as_deref(), Some("3"));
}

#[test]
fn a_write_that_is_refused_for_its_units_costs_no_write() {
    let mut lab = Lab::new();
    let user = lab.member("kari");
    lab.tenant.set_quota(Quota::Custom { units_per_10s: 1, writes_per_150s: 2 });
    let path = format!("/users/{user}");
    let statuses: Vec<u16> =
        (0..4).map(|_| lab.patch(&path, json!({"usageLocation": "SE"})).status).collect();
    assert_eq!(statuses, [204, 429, 429, 429]);
    lab.wait(Span::from_secs(10));
    assert_eq!(lab.patch(&path, json!({"usageLocation": "DE"})).status, 204);
}

#[test]
fn an_error_that_was_charged_says_so() {
    let mut lab = Lab::new();
    let missing = lab.get("/users/nobody@contoso.com");
    assert_eq!((missing.status, missing.response.header("x-ms-resource-unit")), (404, Some("1")));
}
