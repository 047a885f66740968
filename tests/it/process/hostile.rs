//! Answers that neither Graph nor any proxy should give, and that must not lead anywhere.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use mailkeeper::graph::transport::{HttpRequest, HttpResponse};
use mailkeeper::model::UserId;
use serde_json::{Value, json};

use crate::site::Site;
use crate::stand_in::StandIn;

#[test]
fn a_link_to_another_host_is_not_followed_and_nothing_is_sent() {
    let stranger = StandIn::start(|_| HttpResponse::new(200).with_json(&json!({"value": []})));
    let (foreign, is_foreign) = (stranger.origin(), Arc::new(AtomicBool::new(false)));
    let switch = Arc::clone(&is_foreign);
    let site = Site::behind(move |tenant, now, request| {
        let answer = tenant.handle(now, &request);
        if switch.load(Ordering::SeqCst) { misdirected(answer, &request, &foreign) } else { answer }
    });
    let site = site.with_observation();
    let users = site.unlicense(2);
    assert_eq!(site.run(&["plan"]).code, Some(0), "seen once");

    is_foreign.store(true, Ordering::SeqCst);
    let ran = site.run(&["apply"]);
    assert_eq!(ran.code, Some(1), "{ran}");
    assert!(ran.stdout.contains("problem"), "it says what is wrong: {ran}");
    assert_eq!(stranger.connections(), 0, "the token went to a stranger: {ran}");
    assert!(site.writes().is_empty(), "acted on a listing that was cut short: {ran}");

    is_foreign.store(false, Ordering::SeqCst);
    let ran = site.run(&["apply"]);
    assert_eq!(ran.code, Some(0), "{ran}");
    assert_eq!(site.writes().len(), users.len(), "the same plan without the foreign links is carried out");
}

#[test]
fn one_failed_request_in_five_changes_nothing_about_what_is_written() {
    let (requests, is_failing) = (AtomicU64::new(0), Arc::new(AtomicBool::new(false)));
    let switch = Arc::clone(&is_failing);
    let site = Site::behind(move |tenant, now, request| {
        let number = requests.fetch_add(1, Ordering::SeqCst);
        if switch.load(Ordering::SeqCst) && number % 5 == 4 {
            return failure(number / 5);
        }
        tenant.handle(now, &request)
    });
    let site = site.with_observation();
    let users: BTreeSet<UserId> = site.unlicense(4).into_iter().collect();

    is_failing.store(true, Ordering::SeqCst);
    for pass in 1..=3 {
        let ran = site.run(&["apply"]);
        assert_eq!(ran.code, Some(0), "pass {pass}: {ran}");
    }
    assert_eq!(site.licensed(), users);
}

/// Every list goes on at the stranger's.
fn misdirected(answer: HttpResponse, request: &HttpRequest, foreign: &str) -> HttpResponse {
    let Ok(mut body) = serde_json::from_slice::<Value>(&answer.body) else { return answer };
    if !body["value"].is_array() {
        return answer;
    }
    let (_, path) = request.url.split_once("/v1.0").expect("a list is Graph's");
    body["@odata.nextLink"] = json!(format!("{foreign}/v1.0{path}&$skiptoken=stolen"));
    HttpResponse::new(answer.status).with_json(&body)
}

/// 429, 503, 500 and 502 by turns, as Graph and the proxies before it word them.
fn failure(number: u64) -> HttpResponse {
    let error = |status, code: &str| {
        HttpResponse::new(status).with_json(&json!({"error": {"code": code, "message": "Try again."}}))
    };
    match number % 4 {
        0 => error(429, "TooManyRequests").with_header("retry-after", "1"),
        1 => error(503, "serviceNotAvailable"),
        2 => error(500, "InternalServerError"),
        _ => {
            let mut page = HttpResponse::new(502).with_header("content-type", "text/html");
            page.body = b"<html><body><h1>Bad Gateway</h1></body></html>".to_vec();
            page
        }
    }
}

/// A site that is observed and has two unlicensed users, and the switch that turns `change` on.
fn changing(change: impl Fn(&str, &mut Value) + Send + Sync + 'static) -> (Site, Arc<AtomicBool>) {
    let is_on = Arc::new(AtomicBool::new(false));
    let switch = Arc::clone(&is_on);
    let site = Site::behind(move |tenant, now, request| {
        let answer = tenant.handle(now, &request);
        if !switch.load(Ordering::SeqCst) || answer.status != 200 {
            return answer;
        }
        let Ok(mut body) = serde_json::from_slice::<Value>(&answer.body) else { return answer };
        change(&request.url, &mut body);
        answer.with_json(&body)
    });
    let site = site.with_observation();
    site.unlicense(2);
    assert_eq!(site.run(&["plan"]).code, Some(0), "seen once");
    (site, is_on)
}

#[test]
fn credentials_that_lead_to_another_tenant_are_noticed_by_every_new_process() {
    let (site, is_another) = changing(|url, body| {
        if url.contains("/organization") {
            body["value"][0]["id"] = json!("00000000-0000-4000-8000-00000000beef");
        }
    });
    is_another.store(true, Ordering::SeqCst);
    let ran = site.run(&["apply"]);
    assert_eq!(ran.code, Some(1), "{ran}");
    assert!(site.writes().is_empty(), "wrote to a stranger: {ran}");
    is_another.store(false, Ordering::SeqCst);
    assert_eq!(site.run(&["apply"]).code, Some(0));
    assert_eq!(site.writes().len(), 2);
}

#[test]
fn a_listing_without_a_word_on_licences_is_not_believed() {
    let (site, is_silent) = changing(|url, body| {
        let is_listing = url.contains("/users?") || url.contains("/users/delta");
        for user in body["value"].as_array_mut().into_iter().flatten().filter(|_| is_listing) {
            user.as_object_mut().expect("a user").remove("assignedLicenses");
        }
    });
    is_silent.store(true, Ordering::SeqCst);
    std::fs::remove_dir_all(site.path("state/db")).expect("the state is there");
    let ran = site.run(&["apply"]);
    assert_eq!(ran.code, Some(1), "{ran}");
    assert!(ran.stdout.contains("without assignedLicenses"), "it says what is missing: {ran}");
    assert!(site.writes().is_empty());
}
