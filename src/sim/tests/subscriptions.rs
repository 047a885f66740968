//! Seats, stages and the organisation.

use serde_json::json;

use super::*;
use crate::sim::subscriptions::Stage;

#[test]
fn seats_are_reported_as_they_are() {
    let mut lab = Lab::new();
    lab.member("kari");
    let sku = lab.get("/subscribedSkus").json["value"][0].clone();
    assert_eq!((&sku["skuPartNumber"], &sku["consumedUnits"]), (&json!("SPE_E3"), &json!(1)));
    assert_eq!(sku["prepaidUnits"], json!({"enabled": 10, "warning": 0, "suspended": 0, "lockedOut": 0}));
    assert_eq!(sku["id"], format!("{}_{SPE_E3}", lab.tenant.id()));
    let single = lab.get(&format!("/subscribedSkus/{}", sku["id"].as_str().expect("text")));
    assert_eq!(single.json["skuId"], sku["skuId"]);
    let narrow = lab.get("/subscribedSkus?$select=skuPartNumber");
    assert_eq!(narrow.json["value"][0].as_object().map(serde_json::Map::len), Some(2));
    assert_eq!(lab.get("/subscribedSkus/nothing").status, 404);
}

#[test]
fn an_unpaid_subscription_runs_through_its_stages() {
    let mut lab = Lab::new();
    let user = lab.member("kari");
    lab.tenant.set_subscription_stage(START, SPE_E3, Stage::Warning);
    let look = |lab: &mut Lab| {
        let subscription = lab.get("/directory/subscriptions").json["value"][0].clone();
        let sku = lab.get("/subscribedSkus").json["value"][0]["capabilityStatus"].clone();
        let plan = lab.get(&format!("/users/{user}?$select=assignedPlans")).json["assignedPlans"][0]["capabilityStatus"].clone();
        let settings = lab.get(&format!("/users/{user}/mailboxSettings")).status;
        [
            subscription["status"].clone(),
            subscription["nextLifecycleDateTime"].clone(),
            sku,
            plan,
            json!(settings),
        ]
    };
    let on_day = |day: i64| json!((START + Span::from_days(day)).to_string());
    assert_eq!(
        look(&mut lab),
        [json!("Warning"), on_day(30), json!("Warning"), json!("Warning"), json!(200)]
    );
    lab.wait(Span::from_days(30));
    assert_eq!(
        look(&mut lab),
        [json!("Suspended"), on_day(120), json!("Suspended"), json!("Suspended"), json!(404)]
    );
    let other = lab.add("ola", UserKind::WithoutMailbox, false);
    let body = json!({"addLicenses": [{"skuId": SPE_E3}], "removeLicenses": []});
    assert_eq!(lab.post(&format!("/users/{other}/assignLicense"), body).status, 400, "cannot be assigned");
    lab.wait(Span::from_days(90));
    assert_eq!(
        look(&mut lab),
        [json!("Deleted"), Value::Null, json!("LockedOut"), json!("Deleted"), json!(404)]
    );
}

#[test]
fn a_renewed_subscription_stays() {
    let mut lab = Lab::new();
    lab.tenant.set_subscription_stage(START, SPE_E3, Stage::Warning);
    lab.wait(Span::from_days(20));
    lab.tenant.set_subscription_stage(lab.now, SPE_E3, Stage::Enabled);
    lab.wait(Span::from_days(200));
    assert_eq!(lab.get("/directory/subscriptions").json["value"][0]["status"], "Enabled");
}

#[test]
fn the_organization_names_the_tenant() {
    let mut lab = Lab::new();
    let reply = lab.get("/organization?$select=id,verifiedDomains");
    assert_eq!(reply.json["value"][0]["id"], lab.tenant.id().to_string());
    assert_eq!(reply.json["value"][0]["verifiedDomains"][0]["name"], "contoso.com");
}

#[test]
fn the_organization_is_found_by_its_id() {
    let mut lab = Lab::new();
    let id = lab.tenant.id().to_string();
    for target in [format!("/organization/{id}"), format!("/organization('{id}')")] {
        let reply = lab.get(&format!("{target}?$select=id,displayName"));
        assert_eq!((reply.status, &reply.json["displayName"]), (200, &"Contoso".into()), "{target}");
    }
    assert_eq!(lab.get("/organization/11111111-1111-4111-8111-111111111111").status, 404);
}
