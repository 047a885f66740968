//! `assignLicense` and what it leaves behind.

use serde_json::json;

use super::*;
use crate::model::{PlanId, SkuId};
use crate::sim::scenario::products::{EXCHANGE_S_STANDARD, EXCHANGESTANDARD};

fn add(sku: SkuId) -> Value {
    json!({"addLicenses": [{"skuId": sku, "disabledPlans": []}], "removeLicenses": []})
}

fn remove(sku: SkuId) -> Value {
    json!({"addLicenses": [], "removeLicenses": [sku]})
}

#[test]
fn success_answers_with_the_default_properties_and_takes_a_seat() {
    let mut lab = Lab::new();
    let user = lab.add("kari", UserKind::WithoutMailbox, false);
    let reply = lab.post(&format!("/users/{user}/assignLicense"), add(SPE_E3));
    assert_eq!(reply.status, 200);
    assert_eq!(reply.json["userPrincipalName"], "kari@contoso.com");
    assert!(reply.json.get("assignedLicenses").is_none());
    assert_eq!(lab.tenant.seats(SPE_E3).map(|seats| seats.consumed), Some(1));
    lab.post(&format!("/users/{user}/assignLicense"), add(SPE_E3));
    assert_eq!(
        lab.tenant.seats(SPE_E3).map(|seats| seats.consumed),
        Some(1),
        "the same again takes no second seat"
    );
    let write = &lab.tenant.writes()[0];
    assert_eq!((write.operation, write.user, write.applied), ("assign license", Some(user), true));
}

#[test]
fn each_refusal_has_its_text() {
    let mut lab = Lab::new();
    let held = lab.member("held");
    let abroad = lab.add("abroad", UserKind::WithoutMailbox, false);
    lab.tenant.set_usage_location(START, abroad, None);
    let unlicensed = lab.add("unlicensed", UserKind::WithoutMailbox, false);
    let unknown = SkuId::from_u128(7);
    let cases = [
        (abroad, add(SPE_E3), "License assignment cannot be done for user with invalid usage location."),
        (unlicensed, add(unknown), "does not correspond to a valid company License."),
        (unlicensed, remove(SPE_E3), "User does not have a corresponding license."),
        (held, json!({"addLicenses": []}), "The missing parameters are: removeLicenses."),
        (held, json!({"removeLicenses": []}), "The missing parameters are: addLicenses."),
    ];
    for (user, body, text) in cases {
        let reply = lab.post(&format!("/users/{user}/assignLicense"), body);
        assert_eq!((reply.status, reply.code()), (400, "Request_BadRequest"), "{text}");
        assert!(reply.message().ends_with(text), "{} for {text}", reply.message());
    }
    lab.tenant.set_seats(START, SPE_E3, 1);
    let reply = lab.post(&format!("/users/{unlicensed}/assignLicense"), add(SPE_E3));
    assert_eq!(
        reply.message(),
        format!("Subscription with SKU {SPE_E3} does not have any available licenses.")
    );
    let reply = lab.post("/users/nobody@contoso.com/assignLicense", add(SPE_E3));
    assert_eq!((reply.status, reply.code()), (404, "Request_ResourceNotFound"));
    assert!(lab.tenant.writes().iter().all(|write| !write.applied));
}

#[test]
fn plans_that_exclude_or_need_each_other_are_refused() {
    let mut lab = Lab::new();
    let user = lab.add("kari", UserKind::WithoutMailbox, false);
    let extra = PlanId::from_u128(9);
    let addon = SkuId::from_u128(8);
    let plan = ServicePlan::new(extra, "EXTRA", "exchange");
    lab.tenant
        .add_sku(START, NewSku { sku: addon, part_number: "ADDON".to_owned(), plans: vec![plan], seats: 5 });
    lab.tenant.require_plan(extra, EXCHANGE_S_ENTERPRISE);
    let reply = lab.post(&format!("/users/{user}/assignLicense"), add(addon));
    assert!(reply.message().contains("depends on the service plan(s)"), "{}", reply.message());
    let both = json!({"addLicenses": [{"skuId": SPE_E3, "disabledPlans": []}, {"skuId": addon, "disabledPlans": []}], "removeLicenses": []});
    assert_eq!(
        lab.post(&format!("/users/{user}/assignLicense"), both.clone()).status,
        200,
        "the whole set in one call"
    );
    lab.tenant.forbid_plans_together(extra, TEAMS1);
    let reply = lab.post(&format!("/users/{user}/assignLicense"), both);
    assert!(reply.message().ends_with("are mutually exclusive"), "{}", reply.message());
}

#[test]
fn the_two_plans_of_exchange_exclude_each_other() {
    let mut lab = Lab::new();
    let plan = ServicePlan::new(EXCHANGE_S_STANDARD, "EXCHANGE_S_STANDARD", "exchange");
    let part_number = "EXCHANGESTANDARD".to_owned();
    lab.tenant.add_sku(START, NewSku { sku: EXCHANGESTANDARD, part_number, plans: vec![plan], seats: 5 });
    let text = format!(
        "License assignment failed because service plans {EXCHANGE_S_STANDARD}, {EXCHANGE_S_ENTERPRISE} are mutually \
         exclusive"
    );
    let both = json!({"addLicenses": [{"skuId": SPE_E3}, {"skuId": EXCHANGESTANDARD}], "removeLicenses": []});
    let new = lab.add("new", UserKind::WithoutMailbox, false);
    let held = lab.member("held");
    for (user, body) in [(new, both), (held, add(EXCHANGESTANDARD))] {
        let reply = lab.post(&format!("/users/{user}/assignLicense"), body);
        assert_eq!((reply.status, reply.message()), (400, text.as_str()));
    }
    let swap = json!({"addLicenses": [{"skuId": EXCHANGESTANDARD}], "removeLicenses": [SPE_E3]});
    assert_eq!(lab.post(&format!("/users/{held}/assignLicense"), swap).status, 200, "one for the other");
    let without = json!({
        "addLicenses": [{"skuId": SPE_E3, "disabledPlans": [EXCHANGE_S_ENTERPRISE]}], "removeLicenses": [],
    });
    assert_eq!(
        lab.post(&format!("/users/{held}/assignLicense"), without).status,
        200,
        "a disabled plan is none"
    );
}

#[test]
fn a_lost_plan_stays_listed_as_deleted_with_either_date() {
    for at_removal in [true, false] {
        let mut lab =
            Lab::with(Switches { deleted_plan_dated_at_removal: at_removal, ..Switches::default() });
        let user = lab.member("kari");
        lab.wait(Span::from_days(5));
        lab.tenant.remove_licence(lab.now, user, SPE_E3).expect("held");
        let reply =
            lab.get(&format!("/users/{user}?$select=assignedPlans,assignedLicenses,licenseAssignmentStates"));
        assert_eq!(reply.json["assignedLicenses"], json!([]));
        assert_eq!(reply.json["licenseAssignmentStates"], json!([]));
        let plans = reply.json["assignedPlans"].as_array().expect("a list");
        assert_eq!(plans.len(), 3);
        let date = if at_removal { lab.now } else { START };
        for plan in plans {
            assert_eq!(
                (&plan["capabilityStatus"], &plan["assignedDateTime"]),
                (&json!("Deleted"), &json!(date.to_string()))
            );
        }
    }
}

#[test]
fn disabled_plans_are_replaced_and_leave_their_mark() {
    let mut lab = Lab::new();
    let user = lab.member("kari");
    let body = json!({"addLicenses": [{"skuId": SPE_E3, "disabledPlans": [TEAMS1]}], "removeLicenses": []});
    assert_eq!(lab.post(&format!("/users/{user}/assignLicense"), body).status, 200);
    let reply = lab.get(&format!("/users/{user}?$select=assignedLicenses,assignedPlans"));
    assert_eq!(reply.json["assignedLicenses"], json!([{"disabledPlans": [TEAMS1], "skuId": SPE_E3}]));
    let teams = reply.json["assignedPlans"]
        .as_array()
        .expect("a list")
        .iter()
        .find(|plan| plan["servicePlanId"] == json!(TEAMS1));
    assert_eq!(teams.expect("still listed")["capabilityStatus"], "Deleted");
    let details = lab.get(&format!("/users/{user}/licenseDetails"));
    assert_eq!(details.json["value"][0]["skuPartNumber"], "SPE_E3");
}

#[test]
fn healthy_assignments_say_none_or_null() {
    for (as_text, expected) in [(true, json!("None")), (false, Value::Null)] {
        let mut lab = Lab::with(Switches { healthy_error_is_none_text: as_text, ..Switches::default() });
        let user = lab.member("kari");
        let reply = lab.get(&format!("/users/{user}?$select=licenseAssignmentStates"));
        let state = &reply.json["licenseAssignmentStates"][0];
        assert_eq!(
            (&state["error"], &state["state"], &state["assignedByGroup"]),
            (&expected, &json!("Active"), &Value::Null)
        );
    }
}
