//! `/$batch`.

use serde_json::json;

use super::*;
use crate::sim::call::View;

fn item(id: &str, method: &str, url: &str) -> Value {
    json!({"id": id, "method": method, "url": url})
}

/// The parts by their id: Graph promises no order.
fn sorted(reply: &Reply) -> Vec<Value> {
    let mut responses = reply.json["responses"].as_array().expect("responses").clone();
    responses.sort_by_key(|response| response["id"].as_str().expect("an id").to_owned());
    responses
}

/// The ids in the order of the answer.
fn order(reply: &Value) -> Vec<u32> {
    let parts = reply["responses"].as_array().expect("responses").iter();
    parts.map(|part| part["id"].as_str().and_then(|id| id.parse().ok()).expect("a number")).collect()
}

fn twenty() -> Value {
    let requests: Vec<Value> =
        (0..20).map(|number| item(&number.to_string(), "GET", "/organization")).collect();
    json!({ "requests": requests })
}

#[test]
fn answers_come_in_any_order_and_the_seed_says_which() {
    let run = || {
        let mut lab = Lab::new();
        [order(&lab.post("/$batch", twenty()).json), order(&lab.post("/$batch", twenty()).json)]
    };
    let [first, second] = run();
    assert_ne!(first, (0..20).collect::<Vec<u32>>());
    assert_ne!(first, second);
    assert_eq!(run(), [first.clone(), second]);
    let mut all = first;
    all.sort_unstable();
    assert_eq!(all, (0..20).collect::<Vec<u32>>());
}

#[test]
fn single_parts_are_refused_missing_or_doubled() {
    let mut lab = Lab::new();
    let request =
        lab.request(Method::Post, "/$batch").with_body("application/json", twenty().to_string().into_bytes());
    let mut seen = [0; 4];
    for seed in 0..10 {
        let view = View { part_faults: Some(seed), ..View::clear(lab.now) };
        let response = lab.tenant.handle_viewed(lab.now, view, &request);
        assert_eq!(response.status, 200);
        let json: Value = serde_json::from_slice(&response.body).expect("JSON");
        let ids = order(&json);
        let parts = json["responses"].as_array().expect("responses");
        let refused = parts.iter().filter(|part| part["status"] == 429);
        seen[0] += refused.filter(|part| part["headers"]["Retry-After"].is_string()).count();
        seen[1] += parts.iter().filter(|part| part["status"] == 503).count();
        seen[2] += (0..20).filter(|id| !ids.contains(id)).count();
        seen[3] += (0..20).filter(|id| ids.iter().filter(|other| *other == id).count() == 2).count();
    }
    assert!(seen.iter().all(|count| *count > 5), "{seen:?}");
}

#[test]
fn a_batch_within_a_batch_fails_alone_and_an_unknown_dependency_the_whole() {
    let mut lab = Lab::new();
    let mut nested = item("1", "POST", "/$batch");
    nested["headers"] = json!({"Content-Type": "application/json"});
    nested["body"] = twenty();
    let reply = lab.post("/$batch", json!({"requests": [nested, item("2", "GET", "/organization")]}));
    let statuses: Vec<Value> = sorted(&reply).iter().map(|response| response["status"].clone()).collect();
    assert_eq!(statuses, [json!(400), json!(200)]);
    let mut lost = item("1", "GET", "/organization");
    lost["dependsOn"] = json!(["9"]);
    let reply = lab.post("/$batch", json!({"requests": [lost]}));
    assert_eq!((reply.status, reply.code()), (400, "BadRequest"));
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
    let responses = sorted(&reply);
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
    let statuses: Vec<Value> = sorted(&reply).iter().map(|response| response["status"].clone()).collect();
    assert_eq!(statuses, [json!(404), json!(424), json!(424)]);
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
    assert_eq!(refused.len(), 2, "the batch itself costs nothing");
    assert_eq!(reply.response.header("x-ms-resource-unit"), None);
    assert!(refused.iter().all(|response| response["headers"]["Retry-After"].is_string()));
}

#[test]
fn malformed_batches_are_refused_whole() {
    let mut lab = Lab::new();
    let many: Vec<Value> = (0..21).map(|number| item(&number.to_string(), "GET", "/organization")).collect();
    assert_eq!(lab.post("/$batch", json!({ "requests": many })).status, 400);
    assert_eq!(
        lab.post("/$batch", json!({"requests": [item("a", "GET", "/users"), item("A", "GET", "/users")]}))
            .status,
        400
    );
}

#[test]
fn a_write_without_type_or_body_stops_the_whole_batch() {
    let mut lab = Lab::new();
    let user = lab.member("kari");
    lab.delete(&format!("/users/{user}"));
    let restore = format!("/directory/deletedItems/{user}/restore");
    let json = json!({"Content-Type": "application/json"});
    let cases = [
        json!({"id": "1", "method": "POST", "url": "/users", "body": {}}),
        json!({"id": "1", "method": "patch", "url": "/users/x", "headers": json}),
        json!({"id": "1", "method": "POST", "url": restore}),
    ];
    for part in cases {
        let good = json!({"id": "2", "method": "POST", "url": restore, "headers": json, "body": {}});
        let reply = lab.post("/$batch", json!({ "requests": [good, part] }));
        assert_eq!((reply.status, reply.code()), (400, "BadRequest"), "{part}");
        assert_eq!(reply.message(), "Write request id : 1 does not contain Content-Type header or body.");
        assert!(lab.tenant.is_in_recycle_bin(user), "nothing ran");
    }
    let good = json!({"id": "2", "method": "POST", "url": restore, "headers": json, "body": {}});
    let others = [item("3", "GET", "/organization"), item("4", "DELETE", "/users/nobody")];
    let reply = lab.post("/$batch", json!({ "requests": [good, others[0], others[1]] }));
    let statuses: Vec<Value> = sorted(&reply).iter().map(|response| response["status"].clone()).collect();
    assert_eq!(statuses, [json!(200), json!(200), json!(404)]);
}

#[test]
fn parts_may_be_written_as_scripts_write_them() {
    let mut lab = Lab::new();
    let headers = json!({"ConsistencyLevel": "eventual", "X-Number": 7});
    let requests = json!([
        {"Id": 1, "Method": "GET", "Url": "/users/$count", "Headers": headers},
        {"ID": "2", "method": "get", "URL": "organization", "headers": null, "dependsOn": null, "body": null},
        {"id": 3, "method": "GET", "url": "/organization", "dependsOn": [2]},
    ]);
    let reply = lab.post("/$batch", json!({"Requests": requests}));
    let statuses: Vec<(Value, Value)> =
        sorted(&reply).iter().map(|part| (part["id"].clone(), part["status"].clone())).collect();
    assert_eq!(statuses, ["1", "2", "3"].map(|id| (json!(id), json!(200))));
}

#[test]
fn a_batch_of_nothing_or_in_a_circle_is_refused_whole() {
    let mut lab = Lab::new();
    let waits =
        |id: &str, other: &str| json!({"id": id, "method": "GET", "url": "/users", "dependsOn": [other]});
    for requests in [
        json!([]),
        json!(null),
        json!([["1", "GET", "/users"]]),
        json!([{"id": {}, "method": "GET", "url": "/users"}]),
        json!([waits("1", "2"), waits("2", "1")]),
        json!([waits("1", "1")]),
    ] {
        let reply = lab.post("/$batch", json!({"requests": requests}));
        assert_eq!((reply.status, reply.message()), (400, "Invalid batch payload format."), "{requests}");
    }
}
