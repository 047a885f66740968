//! `/$batch`.

use serde_json::json;

use super::*;

fn item(id: &str, method: &str, url: &str) -> Value {
    json!({"id": id, "method": method, "url": url})
}

#[test]
fn items_are_answered_one_by_one() {
    let mut lab = Lab::new();
    let user = lab.member("kari");
    let write = json!({
        "id": "3", "method": "POST", "url": format!("/users/{user}/assignLicense"),
        "headers": {"Content-Type": "application/json"},
        "body": {"addLicenses": [], "removeLicenses": [SPE_E3]},
    });
    let count = json!({"id": "4", "method": "GET", "url": "/users/$count", "headers": {"ConsistencyLevel": "eventual"}});
    let requests = [
        item("1", "GET", &format!("/users/{user}?$select=id")),
        item("2", "GET", "/users/nobody"),
        write,
        count,
    ];
    let reply = lab.post("/$batch", json!({ "requests": requests }));
    assert_eq!(reply.status, 200);
    let responses = reply.json["responses"].as_array().expect("responses");
    let statuses: Vec<i64> =
        responses.iter().map(|response| response["status"].as_i64().expect("a number")).collect();
    assert_eq!(statuses, [200, 404, 200, 200]);
    assert_eq!(responses[0]["body"]["id"], json!(user));
    assert_eq!(responses[1]["body"]["error"]["code"], "Request_ResourceNotFound");
    assert_eq!(responses[3]["body"], 1);
    assert_eq!(lab.tenant.writes().len(), 1, "the item is the write, not the batch");
}

#[test]
fn dependants_of_a_failure_fail() {
    let mut lab = Lab::new();
    let mut second = item("2", "GET", "/organization");
    second["dependsOn"] = json!(["1"]);
    let mut third = item("3", "GET", "/organization");
    third["dependsOn"] = json!(["2"]);
    let reply = lab.post("/$batch", json!({"requests": [item("1", "GET", "/users/nobody"), second, third]}));
    let statuses: Vec<&Value> = reply.json["responses"]
        .as_array()
        .expect("responses")
        .iter()
        .map(|response| &response["status"])
        .collect();
    assert_eq!(statuses, [&json!(404), &json!(424), &json!(424)]);
}

#[test]
fn items_are_throttled_one_by_one() {
    let mut lab = Lab::new();
    lab.tenant.set_quota(Quota::Custom { units_per_10s: 4, writes_per_150s: 10 });
    let requests: Vec<Value> =
        (0..6).map(|number| item(&number.to_string(), "GET", "/organization")).collect();
    let reply = lab.post("/$batch", json!({ "requests": requests }));
    let responses = reply.json["responses"].as_array().expect("responses");
    let refused: Vec<&Value> = responses.iter().filter(|response| response["status"] == 429).collect();
    assert_eq!(refused.len(), 3, "one unit went to the batch itself");
    assert!(refused.iter().all(|response| response["headers"]["Retry-After"].is_string()));
}

#[test]
fn malformed_batches_are_refused_whole() {
    let mut lab = Lab::new();
    let many: Vec<Value> = (0..21).map(|number| item(&number.to_string(), "GET", "/organization")).collect();
    let without_type = json!({"id": "1", "method": "POST", "url": "/users", "body": {}});
    assert_eq!(lab.post("/$batch", json!({ "requests": many })).status, 400);
    assert_eq!(
        lab.post("/$batch", json!({"requests": [item("a", "GET", "/users"), item("A", "GET", "/users")]}))
            .status,
        400
    );
    let reply = lab.post("/$batch", json!({"requests": [without_type]}));
    assert_eq!(reply.json["responses"][0]["status"], 400);
}
