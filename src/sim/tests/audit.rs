//! `/auditLogs/directoryAudits`.

use serde_json::json;

use super::*;
use crate::sim::administrator::DeletedFrom;

const AUDITS: &str = "/auditLogs/directoryAudits";

#[test]
fn acts_appear_late_newest_first_and_say_who() {
    let mut lab = Lab::new();
    let user = lab.member("kari");
    lab.wait(Span::from_minutes(1));
    lab.tenant.remove_licence(lab.now, user, SPE_E3).expect("held");
    lab.wait(Span::from_minutes(1));
    lab.delete(&format!("/users/{user}"));
    let filter = format!("$filter=targetResources/any(t:t/id eq '{user}')");
    assert_eq!(lab.get(&format!("{AUDITS}?{filter}")).json["value"], json!([]), "minutes of latency");
    lab.wait(Span::from_minutes(5));
    let reply = lab.get(&format!("{AUDITS}?{filter}"));
    let activities: Vec<&Value> = reply.json["value"]
        .as_array()
        .expect("events")
        .iter()
        .map(|event| &event["activityDisplayName"])
        .collect();
    assert_eq!(activities, ["Delete user", "Change user license", "Add user"]);
    let deletion = &reply.json["value"][0];
    assert_eq!(
        (&deletion["initiatedBy"]["user"], &deletion["initiatedBy"]["app"]["displayName"]),
        (&Value::Null, &json!("mailkeeper"))
    );
    assert_eq!(deletion["activityDateTime"], "2027-01-15T08:02:00.0000000Z");
    let change = &reply.json["value"][1]["targetResources"][0]["modifiedProperties"][0];
    assert_eq!((&change["displayName"], &change["newValue"]), (&json!("AssignedLicense"), &json!("[]")));
}

#[test]
fn filters_named_by_microsoft_work_and_others_do_not() {
    let mut lab = Lab::new();
    let users = ["a", "b", "c"].map(|name| lab.member(name));
    lab.wait(Span::from_hours(1));
    lab.tenant.delete_user(lab.now, users[0], DeletedFrom::Graph);
    lab.wait(Span::from_hours(1));
    let later = START + Span::from_minutes(30);
    let cases = [
        ("activityDisplayName eq 'Delete user'".to_owned(), 1),
        ("startswith(activityDisplayName,'Add')".to_owned(), 3),
        (format!("activityDateTime ge {later}"), 1),
        (format!("activityDateTime le {later} and activityDisplayName eq 'Add user'"), 3),
        ("loggedByService eq 'Core Directory'".to_owned(), 4),
        ("initiatedBy/user/userPrincipalName eq 'admin@contoso.com'".to_owned(), 4),
        ("initiatedBy/app/displayName eq 'somebody'".to_owned(), 0),
    ];
    for (filter, count) in cases {
        let reply = lab.get(&format!("{AUDITS}?$filter={filter}"));
        assert_eq!(reply.json["value"].as_array().map(Vec::len), Some(count), "{filter}");
    }
    assert_eq!(lab.get(&format!("{AUDITS}?$filter=mood eq 'good'")).status, 400);
    assert_eq!(lab.walk(&format!("{AUDITS}?$top=1")).len(), 4);
}

#[test]
fn events_are_forgotten_after_the_retention() {
    for days in [7, 30] {
        let mut lab = Lab::with(Switches { audit_retention: Span::from_days(days), ..Switches::default() });
        lab.member("kari");
        lab.wait(Span::from_days(days));
        assert_eq!(lab.walk(AUDITS).len(), 1);
        lab.wait(Span::from_secs(1));
        assert_eq!(lab.walk(AUDITS).len(), 0);
    }
}

#[test]
fn one_event_is_found_by_its_id() {
    let mut lab = Lab::new();
    lab.member("kari");
    lab.wait(Span::from_hours(1));
    let event = lab.get(AUDITS).json["value"][0].clone();
    let id = event["id"].as_str().expect("text").to_owned();
    let single = lab.get(&format!("{AUDITS}/{id}"));
    assert_eq!((single.status, &single.json["targetResources"]), (200, &event["targetResources"]));
    assert_eq!(lab.get(&format!("{AUDITS}/Directory_none")).status, 404);
}
