//! Bodies as Graph documents them, as it really sends them, and as nobody should.

use serde_json::{Value, json};

use crate::model::{CapabilityStatus, License, PlanId, User, UserType};

use super::super::transport::HttpResponse;
use super::*;

const ID: &str = "6ea91a8d-e32e-41a1-b7bd-d2d185eed0e0";
const SKU: &str = "c7df2760-2c81-4ef7-b578-5b5392b571df";
const PLAN: &str = "efb87545-963c-4e0d-99df-69c6916d9eb0";

fn bytes(body: &Value) -> Vec<u8> {
    body.to_string().into_bytes()
}

fn one_user(more: Value) -> Decoded<User> {
    let mut user = json!({ "id": ID, "userPrincipalName": "adams@contoso.com" });
    user.as_object_mut().expect("object").extend(more.as_object().expect("object").clone());
    decode_user(&bytes(&user)).and_then(|user| user.map_err(|odd| odd.fault))
}

#[test]
fn a_full_user_is_read_whole() {
    let body = include_bytes!("../../../tests/data/graph/users-page.json");
    let page = decode_users(body).expect("the documented shape");
    assert!(page.next.is_some_and(|link| link.contains("$skiptoken=")));
    let user = page.items[0].as_ref().expect("understood");
    assert_eq!((user.upn.as_str(), &user.user_type), ("adams@contoso.com", &UserType::Member));
    assert_eq!(user.created, Timestamp::parse("2019-04-02T08:11:05Z"));
    assert_eq!(user.licenses()[0].disabled_plans.len(), 1);
    assert!(user.on_premises_synced && user.account_enabled == Some(true));
    let statuses: Vec<&CapabilityStatus> = user.plans.iter().map(|plan| &plan.status).collect();
    let newer = CapabilityStatus::Other("Hibernated".to_owned());
    assert_eq!(statuses, [&CapabilityStatus::Enabled, &CapabilityStatus::Deleted, &newer]);
    let errors: Vec<Option<&str>> = user.assignments.iter().map(|state| state.error.as_deref()).collect();
    assert_eq!(errors, [None, None, Some("CountViolation"), None]);
    assert_eq!(user.assignments.iter().filter(|state| state.by_group.is_some()).count(), 1);
    assert!(!user.provisioning_errors[0].is_resolved);
    // The second one says next to nothing.
    let bare = page.items[1].as_ref().expect("understood");
    assert_eq!(
        (bare.licenses.as_ref(), bare.mail.as_ref(), &bare.user_type),
        (None, None, &UserType::Unknown)
    );
}

#[test]
fn an_odd_user_does_not_hide_the_others() {
    let other = "7e06b566-15f3-4013-8bf8-79874d52e68a";
    let entries = [
        json!({ "id": other, "userPrincipalName": "lee@contoso.com" }),
        json!({ "id": ID, "userPrincipalName": "adams@contoso.com", "assignedLicenses": "E5" }),
        json!({ "id": ID, "userPrincipalName": null }),
        json!({ "id": ID, "userPrincipalName": "adams@contoso.com", "accountEnabled": "yes" }),
    ];
    for odd in &entries[1..] {
        let page =
            json!({ "value": [odd, entries[0]], "@odata.nextLink": "https://graph.microsoft.com/v1.0/x" });
        let page = decode_users(&bytes(&page)).expect("a page");
        let [Err(unreadable), Ok(user)] = page.items.as_slice() else { panic!("{:?}", page.items) };
        assert_eq!((unreadable.id.to_string().as_str(), user.upn.as_str()), (ID, "lee@contoso.com"));
        assert!(!unreadable.fault.is_empty() && page.next.is_some(), "{unreadable:?}");
        assert!(matches!(decode_user(&bytes(odd)), Ok(Err(alone)) if alone == *unreadable));
    }
    let half = format!(r#"{{"value":[{{"id":"{ID}","userPrincipalName":"\ud800"}}]}}"#);
    let page = decode_users(half.as_bytes()).expect("half a character is half a character of one user");
    assert!(matches!(&page.items[..], [Err(odd)] if odd.id.to_string() == ID));
    let delta = json!({ "value": [entries[1]], "@odata.deltaLink": "https://graph.microsoft.com/v1.0/x" });
    let delta = decode_delta(&bytes(&delta)).expect("a page");
    assert!(matches!(&delta.items[..], [DeltaItem::Unreadable(odd)] if odd.id.to_string() == ID));
    // Whose entry it is must be told: it could be anybody.
    for stranger in [json!({ "userPrincipalName": "adams@contoso.com" }), json!("adams"), json!({ "id": 7 })]
    {
        assert!(decode_users(&bytes(&json!({ "value": [entries[0], stranger] }))).is_err(), "{stranger}");
    }
}

#[test]
fn null_absent_and_new_values_are_told_apart() {
    let user = one_user(
        json!({ "userType": "Robot", "mail": null, "assignedLicenses": [], "future": { "a": [1] } }),
    );
    let user = user.expect("readable");
    assert_eq!(
        (user.user_type.clone(), user.licenses),
        (UserType::Other("Robot".to_owned()), Some(Vec::new()))
    );
    // Not nullable in the schema: read as "not said", never as "none".
    assert_eq!(one_user(json!({ "assignedLicenses": null })).expect("readable").licenses, None);
    // What is held and not named could be anything.
    let unnamed = json!({ "assignedLicenses": [{ "skuId": null, "disabledPlans": [] }] });
    assert_eq!(one_user(unnamed), Err("a licence without skuId".to_owned()));
    // Ids elsewhere are nullable, too: an entry without one is left out, and does not cost us the user.
    let nulls = json!({
        "assignedLicenses": [{ "skuId": SKU, "disabledPlans": null }],
        "assignedPlans": [{ "servicePlanId": null, "capabilityStatus": "Enabled" }, { "servicePlanId": PLAN }],
        "licenseAssignmentStates": [{ "skuId": null, "assignedByGroup": "sales" }],
    });
    let user = one_user(nulls).expect("readable");
    assert_eq!((user.licenses().len(), user.plans.len(), user.assignments.len()), (1, 1, 0));
    // A group that cannot be read must not turn into a direct licence.
    let states = json!({ "licenseAssignmentStates": [{ "skuId": SKU, "assignedByGroup": "sales", "state": "Active" }] });
    assert!(one_user(states).is_err());
}

#[test]
fn entries_that_may_be_empty_cost_only_themselves() {
    let plans =
        json!([null, { "servicePlanId": null, "servicePlanName": "NAMELESS" }, { "servicePlanId": PLAN }]);
    let skus = json!({ "value": [
        { "skuId": null, "skuPartNumber": "NAMELESS" },
        { "skuId": SKU, "skuPartNumber": "SPE_E3", "servicePlans": plans },
    ] });
    let skus = decode_skus(&bytes(&skus)).expect("readable").items;
    let plans: Vec<String> = skus[0].plans.iter().map(|plan| plan.id.to_string()).collect();
    assert_eq!((skus.len(), plans), (1, vec![PLAN.to_owned()]));

    // A product id is a text in this list.
    let ids = [json!(null), json!(""), json!("SPE_E3"), json!(SKU)];
    let subscriptions: Vec<Value> = ids.iter().map(|id| json!({ "skuId": id, "totalLicenses": 5 })).collect();
    let page = json!({ "@odata.nextLink": "next", "value": subscriptions });
    let page = decode_subscriptions(&bytes(&page)).expect("readable");
    let ids: Vec<String> = page.items.iter().map(|subscription| subscription.sku.to_string()).collect();
    assert_eq!((ids, page.next.as_deref()), (vec![SKU.to_owned()], Some("next")));

    // Lists of the schema hold nulls where it says "nullable".
    let license = json!({ "skuId": SKU, "disabledPlans": [null, PLAN] });
    let user = one_user(json!({
        "assignedLicenses": [null, license], "assignedPlans": [null], "licenseAssignmentStates": [null, license],
        "serviceProvisioningErrors": [null, {}], "proxyAddresses": [null, "SMTP:adams@contoso.com"],
    }));
    let user = user.expect("readable");
    assert_eq!((user.licenses().len(), user.licenses()[0].disabled_plans.len(), user.plans.len()), (1, 1, 0));
    assert_eq!((user.assignments.len(), user.provisioning_errors.len()), (1, 1));
    assert_eq!(user.proxy_addresses, ["SMTP:adams@contoso.com"]);
    let group = json!({ "id": ID, "groupTypes": [null, "Unified"], "assignedLicenses": [null, license] });
    assert_eq!(decode_group(&bytes(&group)).expect("readable").licenses.map(|all| all.len()), Some(1));
    let entry = json!({ "activityDateTime": "2026-11-20T08:02:00Z",
        "targetResources": [null, { "id": "7", "modifiedProperties": [null] }] });
    assert_eq!(
        decode_audits(&bytes(&json!({ "value": [entry] }))).expect("readable").items[0].targets.len(),
        1
    );
}

#[test]
fn hostile_bodies_are_errors() {
    let deep = format!("{{\"value\":[],\"x\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let deep_inside = format!("{{\"value\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let cases: [&[u8]; 16] = [
        b"",
        b"   ",
        b"null",
        b"[]",
        b"\"text\"",
        b"42",
        b"{}",
        b"<html></html>",
        b"{\"value\":[",
        b"{\"value\":{}}",
        b"{\"value\":[{}]}",
        b"{\"value\":[null]}",
        b"{\"value\":[{\"id\":\"not a guid\",\"userPrincipalName\":\"a\"}]}",
        b"{\"value\":[],\"@odata.nextLink\":7}",
        b"{\"value\":[],\"@odata.nextLink\":\"a\",\"@odata.deltaLink\":\"b\"}",
        b"\xff\xfe{\"value\":[]}",
    ];
    for body in cases.into_iter().chain([deep_inside.as_bytes()]) {
        let shown = String::from_utf8_lossy(&body[..body.len().min(80)]).into_owned();
        assert!(decode_users(body).is_err(), "{shown}");
        assert!(decode_deleted_users(body).is_err() && decode_delta(body).is_err(), "{shown}");
        assert!(decode_skus(body).is_err() || body.starts_with(b"{\"value\":[],\"@odata.next"), "{shown}");
        assert!(
            decode_mailbox_kind(body).is_err() && decode_count(body).is_err() || body == b"42",
            "{shown}"
        );
    }
    // Depth in a member that nobody reads costs nothing.
    let _skipped = decode_users(deep.as_bytes());
    // A delta needs one link, a listing none.
    let empty = bytes(&json!({ "value": [] }));
    assert!(decode_delta(&empty).is_err() && decode_users(&empty).is_ok());
}

#[test]
fn errors_do_not_quote_what_a_body_says() {
    let error = one_user(json!({ "accountEnabled": "adams@contoso.com" })).expect_err("wrong type");
    assert!(error.starts_with("unexpected content at line 1") && !error.contains("adams"), "{error}");
}

#[test]
fn deleted_users_get_their_names_back() {
    let deleted = |upn: &str| {
        let user = json!({ "id": ID, "userPrincipalName": upn, "deletedDateTime": "2026-09-01T16:56:36Z" });
        let page = decode_deleted_users(&bytes(&json!({ "value": [user] }))).expect("readable");
        page.items.into_iter().next().expect("one").expect("understood").user.upn
    };
    assert_eq!(deleted("6ea91a8de32e41a1b7bdd2d185eed0e0adams@contoso.com"), "adams@contoso.com");
    assert_eq!(deleted("6EA91A8DE32E41A1B7BDD2D185EED0E0Adams@contoso.com"), "Adams@contoso.com");
    // Another's digits stay, and so does a name that is nothing but the digits.
    let other = "7e06b56615f340138bf879874d52e68ajohn@contoso.com";
    assert_eq!(deleted(other), other);
    assert_eq!(deleted("6ea91a8de32e41a1b7bdd2d185eed0e0"), "6ea91a8de32e41a1b7bdd2d185eed0e0");
    assert_eq!(deleted("\u{e9}"), "\u{e9}");
    // Deleted all the same, at no time that anybody could believe.
    for bad in [json!(null), json!("soon")] {
        let user = json!({ "id": ID, "userPrincipalName": "a@b", "deletedDateTime": bad });
        let page = decode_deleted_users(&bytes(&json!({ "value": [user] }))).expect("readable");
        assert_eq!(page.items[0].as_ref().expect("understood").deleted, Timestamp::LATEST);
    }
    let group = json!({ "@odata.type": "#microsoft.graph.group", "id": ID, "displayName": "G" });
    assert_eq!(decode_deleted_user(&bytes(&group)), Ok(None));
    let untyped = json!({ "id": ID, "displayName": "G", "groupTypes": ["Unified"], "mail": "g@contoso.com" });
    assert_eq!(decode_deleted_user(&bytes(&untyped)), Ok(None));
    let nameless = json!({ "id": ID, "displayName": "Who" });
    let odd = decode_deleted_user(&bytes(&nameless)).expect("an id").expect("a user").expect_err("no name");
    assert!(odd.is_deleted && odd.id.to_string() == ID, "{odd:?}");
}

#[test]
fn a_delta_entry_changes_only_what_it_names() {
    let body = json!({
        "@odata.deltaLink": "x",
        "value": [
            { "id": ID, "assignedLicenses": [], "mail": null, "deletedDateTime": null },
            { "id": ID, "@removed": { "reason": "deleted" } },
            { "id": ID, "@removed": { "reason": "something new" } },
        ],
    });
    let items = decode_delta(&bytes(&body)).expect("readable").items;
    let purged = |item: &DeltaItem| matches!(item, DeltaItem::Removed { is_purged: true, .. });
    assert_eq!((purged(&items[1]), purged(&items[2])), (true, false));
    let DeltaItem::Changed(patch) = items.into_iter().next().expect("three") else { panic!("a change") };
    assert_eq!((patch.deleted, patch.upn.clone()), (Some(None), None));

    let mut user = User::new(ID.parse().expect("a guid"), "adams@contoso.com");
    user.mail = Some("adams@contoso.com".to_owned());
    user.department = Some("Sales".to_owned());
    user.licenses = Some(vec![License { sku: SKU.parse().expect("a guid"), disabled_plans: [].into() }]);
    assert_eq!((*patch).clone().into_user(), None);
    patch.apply_to(&mut user);
    assert_eq!((user.mail.as_deref(), user.department.as_deref()), (None, Some("Sales")));
    assert_eq!((user.upn.as_str(), user.licenses), ("adams@contoso.com", Some(Vec::new())));
}

#[test]
fn the_small_bodies_are_read() {
    for body in [json!({ "value": "shared" }), json!({ "userPurpose": "Shared", "timeZone": "UTC" })] {
        assert_eq!(decode_mailbox_kind(&bytes(&body)), Ok(MailboxKind::Shared));
    }
    let new = decode_mailbox_kind(&bytes(&json!({ "value": "hologram" })));
    assert_eq!(new, Ok(MailboxKind::Unrecognised("hologram".to_owned())));
    let identity = |id: Value| decode_mailbox_identity(&bytes(&json!({ "primaryMailboxId": id })));
    assert_eq!(identity(json!("MBX:1@2")), Ok(Some("MBX:1@2".to_owned())));
    assert_eq!((identity(json!(null)), identity(json!(""))), (Ok(None), Ok(None)));
    assert_eq!(decode_count(b" 893\r\n"), Ok(893));
    assert!(decode_count(b"-1").is_err() && decode_count(b"{\"error\":1}").is_err());
    assert!(decode_object(b"{\"id\":1}").is_ok());
    assert!(decode_object(b"{\"error\":{}}").is_err() && decode_object(b"[]").is_err());

    let sku = json!({ "skuId": SKU, "skuPartNumber": "SPE_E3", "consumedUnits": 14, "capabilityStatus": "Enabled",
        "prepaidUnits": { "enabled": 25, "warning": 1, "suspended": 2, "lockedOut": null },
        "servicePlans": [{ "servicePlanId": PLAN, "servicePlanName": "EXCHANGE_S_ENTERPRISE", "appliesTo": "User" }] });
    let sku = decode_skus(&bytes(&json!({ "value": [sku] }))).expect("readable").items.remove(0);
    assert_eq!(
        (sku.free(), sku.carries_mailbox(), sku.plans[0].id),
        (12, true, PLAN.parse::<PlanId>().expect("guid"))
    );

    let group = json!({ "id": ID, "displayName": "Staff", "groupTypes": ["DynamicMembership"],
        "assignedLicenses": [{ "skuId": SKU, "disabledPlans": [PLAN] }] });
    let group = decode_group(&bytes(&group)).expect("readable");
    assert!(
        group.is_dynamic && !group.on_premises_synced && group.licenses.is_some_and(|all| all.len() == 1)
    );

    let organization = json!({ "value": [{ "id": ID, "verifiedDomains": [{ "name": "Contoso.com" }, {}] }] });
    assert_eq!(decode_organization(&bytes(&organization)).expect("readable").domains, ["contoso.com"]);
    assert!(decode_organization(&bytes(&json!({ "value": [] }))).is_err());
}

#[test]
fn error_bodies_are_read_in_every_shape() {
    let nested = json!({ "error": { "code": "BadRequest", "message": "line\r\none",
        "details": [{ "code": "ObjectConflict", "message": "two", "target": "x" }, { "message": "line\r\none" }],
        "innererror": { "code": "mutuallyExclusiveServicePlans", "request-id": "r", "innerError": { "code": "deepest" } } } });
    let answer = decode_error(&HttpResponse::new(400).with_json(&nested), "c");
    assert_eq!(answer.codes, ["BadRequest", "mutuallyExclusiveServicePlans", "deepest"]);
    assert!(answer.has_code("DEEPEST") && answer.ids.request.as_deref() == Some("r"));
    assert_eq!(answer.message, "line  one; two");

    let long = json!({ "error": { "code": "", "message": "x".repeat(100_000) } });
    let answer = decode_error(&HttpResponse::new(400).with_json(&long), "c");
    assert_eq!((answer.code(), answer.message.chars().count()), ("", 501));

    for body in
        [json!({ "error": "text" }), json!({ "error": null }), json!([1]), json!({ "error": { "code": 7 } })]
    {
        let answer = decode_error(&HttpResponse::new(500).with_json(&body), "c");
        assert_eq!((answer.status, answer.codes.len(), answer.message.as_str()), (500, 0, ""));
    }
    let answer = decode_error(&HttpResponse::new(502).with_header("request-id", "h"), "c");
    assert_eq!(answer.to_string(), "502 (request-id h, client-request-id c)");
}

#[test]
fn batch_parts_keep_their_own_status_and_headers() {
    let body = json!({ "responses": [
        { "id": "PROBE-1", "status": 429, "headers": { "Retry-After": 7, "Content-Type": "application/json" } },
        { "id": "probe-0", "status": 200, "body": { "value": "shared" } },
    ] });
    let parts = decode_batch(&bytes(&body)).expect("readable");
    assert_eq!((parts[0].id.as_str(), parts[0].response.header("retry-after")), ("probe-1", Some("7")));
    assert_eq!(decode_mailbox_kind(&parts[1].response.body), Ok(MailboxKind::Shared));
}

/// Samples of Microsoft's reference, kept outside the repository; `MAILKEEPER_GRAPH_SAMPLES` names the file.
#[test]
fn samples_of_the_official_reference_are_read() {
    let Ok(path) = std::env::var("MAILKEEPER_GRAPH_SAMPLES") else {
        eprintln!("skipped: MAILKEEPER_GRAPH_SAMPLES names no file");
        return;
    };
    let text = std::fs::read(path).expect("the file that the variable names");
    let document: Value = serde_json::from_slice(&text).expect("JSON");
    let mut read = 0;
    for sample in document["samples"].as_array().expect("samples") {
        let [method, url] = ["method", "url"].map(|name| sample["request"][name].as_str().expect("a text"));
        let body = &sample["response"]["body"];
        // Some samples are generated: placeholders for ids, listings without ids, one object where a list belongs (all
        // those of one user are that).
        if method == "GET" && body.to_string().contains("-value\"") {
            continue;
        }
        let path = url.strip_prefix("https://graph.microsoft.com/v1.0").expect("of Graph");
        let path = path.split('?').next().unwrap_or_default();
        let listed_ids =
            body["value"].as_array().is_some_and(|all| all.iter().all(|item| item["id"].is_string()));
        let bytes = bytes(body);
        let outcome = match (method, path) {
            ("GET", "/subscribedSkus") => decode_skus(&bytes).map(|page| page.items.len()),
            ("GET", "/directory/subscriptions") => decode_subscriptions(&bytes).map(|page| page.items.len()),
            ("GET", "/organization") => decode_organization(&bytes).map(|_| 1),
            ("GET", "/users/$count") => decode_count(body.as_str().expect("text").as_bytes()).map(|_| 1),
            ("GET", "/me/mailboxSettings/userPurpose") => decode_mailbox_kind(&bytes).map(|_| 1),
            ("GET", "/users/delta") if listed_ids => decode_delta(&bytes).map(|page| page.items.len()),
            // A group.
            ("GET", "/directory/deletedItems/*") => {
                decode_deleted_user(&bytes).map(|user| usize::from(user.is_none()))
            }
            ("GET", _) if path.starts_with("/auditLogs/directoryAudits") => {
                decode_audits(&bytes).map(|page| page.items.len())
            }
            ("GET", _) if path.contains("embers") && listed_ids => {
                decode_member_ids(&bytes).map(|page| page.items.len())
            }
            // What a write is believed by.
            ("POST" | "PATCH", _) if body.is_object() => decode_object(&bytes).map(|()| 1),
            _ => continue,
        };
        assert!(outcome.as_ref().is_ok_and(|items| *items > 0), "{method} {url}: {outcome:?}");
        read += 1;
    }
    assert!(read >= 20, "only {read} samples were relevant");
}

mod properties {
    use proptest::prelude::*;

    use super::*;

    fn read_as_everything(body: &[u8]) {
        let _users = decode_users(body);
        let _deleted = (decode_deleted_users(body), decode_deleted_user(body));
        let _delta = decode_delta(body);
        let _user = decode_user(body);
        let _directory =
            (decode_skus(body), decode_subscriptions(body), decode_group(body), decode_organization(body));
        let _mailbox = (decode_mailbox_kind(body), decode_mailbox_identity(body), decode_count(body));
        let _audits = decode_audits(body);
        let _parts = (decode_batch(body), decode_member_ids(body), decode_object(body));
        let _error =
            decode_error(&HttpResponse { status: 400, headers: Vec::new(), body: body.to_vec() }, "c");
    }

    proptest! {
        #[test]
        fn no_bytes_make_a_decoder_panic(body in proptest::collection::vec(any::<u8>(), 0..300)) {
            read_as_everything(&body);
        }

        /// A real page, broken somewhere: other bytes, a piece missing, a piece twice.
        #[test]
        fn no_broken_page_makes_a_decoder_panic(
            at in 0_usize..2_900, length in 0_usize..60, junk in "[\\[\\]{}\":,0-9a-z\\\\\u{0}é]{0,20}", repeats in 1_usize..3,
        ) {
            let page = include_bytes!("../../../tests/data/graph/users-page.json");
            let cut = (at + length).min(page.len());
            let body = [&page[..at], junk.repeat(repeats).as_bytes(), &page[cut..]].concat();
            read_as_everything(&body);
        }
    }
}
