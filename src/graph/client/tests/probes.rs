//! Questions to Exchange, one by one and twenty to a batch.

use futures_util::StreamExt;
use serde_json::Value;

use crate::model::{MailboxKind, ProbeAnswer};

use super::super::super::Cloud;
use super::*;

fn no_mailbox() -> HttpResponse {
    fault(404, "MailboxNotEnabledForRESTAPI", "The mailbox is either inactive, soft-deleted, or on-premise.")
}

fn users(count: u128) -> Vec<UserId> {
    (1..=count).map(UserId::from_u128).collect()
}

/// The answers in the order of the users, whenever they came.
async fn probed(client: &Client, users: &[UserId]) -> Vec<Probed> {
    let mut answers: Vec<Probed> = client.probe_mailboxes(users.to_vec()).collect().await;
    answers.sort_by_key(|(user, _)| users.iter().position(|asked| asked == user));
    answers
}

fn reachable(id: &str) -> ProbeAnswer {
    ProbeAnswer::Reachable { kind: MailboxKind::Shared, primary_id: Some(id.to_owned()) }
}

#[tokio::test(start_paused = true)]
async fn an_answer_about_a_mailbox_is_data_and_a_refusal_says_nothing() {
    let cases = [
        (no_mailbox(), MailboxAnswer::NoMailbox),
        (fault(403, "MailboxNotEnabledForRESTAPI", ""), MailboxAnswer::NoMailbox),
        (fault(403, "ErrorAccessDenied", ""), MailboxAnswer::Unreadable),
        (fault(404, "ErrorInvalidUser", ""), MailboxAnswer::Unreadable),
        (html(404), MailboxAnswer::Unreadable),
        (fault(501, "NotImplemented", ""), MailboxAnswer::Unreadable),
    ];
    for (answer, expected) in cases {
        let (client, _) = FakeGraph::new(move |_, _| Ok(answer.clone())).client();
        assert_eq!(client.mailbox_kind(USER).await, Ok(expected));
        assert_eq!(client.mailbox_identity(USER).await, Ok(None));
    }
    let (client, _) = FakeGraph::new(|_, _| Ok(HttpResponse::new(500))).client();
    assert!(matches!(client.mailbox_kind(USER).await, Err(Error::Unanswered { .. })));
}

#[tokio::test(start_paused = true)]
async fn one_by_one_eight_are_asked_at_a_time() {
    let (client, graph) = FakeGraph::new(|request, _| match request.url.rsplit('/').next() {
        Some("userPurpose") => ok(&json!({ "value": "shared" })),
        _ => ok(&json!({ "primaryMailboxId": "MBX:1" })),
    })
    .client();
    let started = tokio::time::Instant::now();
    let answers = probed(&client, &users(80)).await;
    // 160 answers of 50 ms, eight at a time, and one token.
    assert!(started.elapsed() <= std::time::Duration::from_millis(1_100), "{:?}", started.elapsed());
    assert_eq!(answers.iter().map(|(user, _)| *user).collect::<Vec<_>>(), users(80));
    assert!(answers.iter().all(|(_, answer)| *answer == Ok(reachable("MBX:1"))));
    assert_eq!((graph.requests().len(), graph.token_requests()), (160, 1));
    assert_eq!(graph.requests()[0].header("x-ms-throttle-priority"), Some("Low"));
}

#[tokio::test(start_paused = true)]
async fn a_cloud_without_identities_is_not_asked_for_them() {
    let (client, graph) = FakeGraph::new(|_, _| ok(&json!({ "value": "user" })))
        .client_with(|config| config.roots = Cloud::China.roots());
    let answers = probed(&client, &[USER]).await;
    assert_eq!(answers[0].1, Ok(ProbeAnswer::Reachable { kind: MailboxKind::User, primary_id: None }));
    assert_eq!(graph.requests().len(), 1);
    assert!(graph.requests()[0].url.starts_with("https://microsoftgraph.chinacloudapi.cn/v1.0/users/"));
}

/// Answers each part of a batch with `part(url, round)`; `None` leaves it out.
fn batches(
    part: impl Fn(&str, u32) -> Option<Value> + Send + Sync + 'static,
) -> (Client, std::sync::Arc<FakeGraph>) {
    FakeGraph::new(move |request, call| {
        assert!(request.url.ends_with("/v1.0/$batch"), "{}", request.url);
        let body: Value = serde_json::from_slice(&request.body).expect("JSON");
        let mut responses = Vec::new();
        for asked in body["requests"].as_array().expect("requests") {
            if let Some(mut answer) = part(asked["url"].as_str().expect("url"), call) {
                answer["id"] = asked["id"].as_str().expect("id").to_uppercase().into();
                responses.push(answer);
            }
        }
        responses.reverse();
        ok(&json!({ "responses": responses }))
    })
    .client_with(|config| {
        config.has_batch = true;
        config.batch_from = 1;
    })
}

fn good(url: &str) -> Value {
    let is_kind = url.ends_with("/mailboxSettings/userPurpose");
    let body = if is_kind { json!({ "value": "shared" }) } else { json!({ "primaryMailboxId": url }) };
    json!({ "status": 200, "headers": { "Content-Type": "application/json" }, "body": body })
}

#[tokio::test(start_paused = true)]
async fn in_batches_twenty_share_a_request_whatever_the_order_and_case_of_ids() {
    let (client, graph) = batches(|url, _| Some(good(url)));
    let answers = probed(&client, &users(45)).await;
    assert_eq!(answers.iter().map(|(user, _)| *user).collect::<Vec<_>>(), users(45));
    for (user, answer) in answers {
        assert_eq!(answer, Ok(reachable(&format!("/users/{user}/settings/exchange"))));
    }
    // Three groups, two questions each.
    assert_eq!(graph.requests().len(), 6);
}

#[tokio::test(start_paused = true)]
async fn single_users_and_memberships_share_requests_and_a_missing_user_is_an_answer() {
    let (client, graph) = batches(|url, _| {
        let id = url.trim_start_matches("/users/").split(['/', '?']).next().expect("an id").to_owned();
        let missing = json!({ "error": { "code": "Request_ResourceNotFound", "message": "" } });
        let refused = json!({ "error": { "code": "Authorization_RequestDenied", "message": "" } });
        Some(match (id.ends_with('1'), id.ends_with('2')) {
            (true, _) => json!({ "status": 404, "body": missing }),
            (_, true) => json!({ "status": 403, "body": refused }),
            _ if url.ends_with("/checkMemberGroups") => {
                json!({ "status": 200, "body": { "value": [crate::model::GroupId::from_u128(8)] } })
            }
            _ => json!({ "status": 200, "body": { "id": id, "userPrincipalName": "a@contoso.com" } }),
        })
    });
    let read = client.users_by_id(&users(3)).await;
    assert!(matches!(read[0].1, Ok(None)));
    assert!(matches!(&read[1].1, Err(Error::Answer { answer, .. }) if answer.status == 403));
    let third =
        read[2].1.as_ref().expect("answered").as_ref().expect("is there").as_ref().expect("understood");
    assert_eq!(third.id, users(3)[2]);
    let groups: std::collections::BTreeSet<_> = (1..=21).map(crate::model::GroupId::from_u128).collect();
    let held = client.memberships(&users(3), &groups).await;
    assert!(matches!(held[0].1, Ok(None)) && held[1].1.is_err());
    assert_eq!(held[2].1, Ok(Some([crate::model::GroupId::from_u128(8)].into())));
    // One for the users, and two for 21 groups.
    assert_eq!(graph.requests().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn few_users_are_asked_about_singly() {
    let (client, graph) = FakeGraph::new(|_, _| Ok(fault(404, "Request_ResourceNotFound", "")))
        .client_with(|config| config.has_batch = true);
    let read = client.users_by_id(&users(99)).await;
    assert!(read.iter().all(|(_, user)| *user == Ok(None)));
    assert_eq!(graph.requests().len(), 99);
}

#[tokio::test(start_paused = true)]
async fn parts_without_an_answer_are_asked_again_and_only_they() {
    let (client, graph) =
        batches(|url, round| match (url.contains("000000000002"), url.contains("000000000003"), round) {
            (true, _, 0) => Some(json!({ "status": 429, "headers": { "Retry-After": "7" } })),
            (true, _, 1) => Some(json!({ "status": 424 })),
            (_, true, 0) => None,
            (_, true, 1) => Some(json!({ "status": 200, "body": "not an object" })),
            _ => Some(good(url)),
        });
    let started = tokio::time::Instant::now();
    let answers = probed(&client, &users(3)).await;
    assert!(
        answers.iter().all(|(_, answer)| matches!(answer, Ok(ProbeAnswer::Reachable { .. }))),
        "{answers:?}"
    );
    assert!(started.elapsed() >= std::time::Duration::from_secs(7));
    let sizes: Vec<usize> = graph
        .requests()
        .iter()
        .map(|request| {
            serde_json::from_slice::<Value>(&request.body).expect("JSON")["requests"]
                .as_array()
                .map_or(0, Vec::len)
        })
        .collect();
    assert_eq!(sizes, [3, 2, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn a_part_that_never_answers_fails_alone_and_the_rounds_end() {
    let (client, graph) = batches(|url, _| match url.contains("000000000002") {
        true => Some(json!({ "status": 503, "body": { "error": { "code": "busy", "message": "" } } })),
        false => {
            Some(json!({ "status": 404, "body": { "error": { "code": "MailboxNotEnabledForRESTAPI" } } }))
        }
    });
    let answers = probed(&client, &users(3)).await;
    assert_eq!((&answers[0].1, &answers[2].1), (&Ok(ProbeAnswer::NoMailbox), &Ok(ProbeAnswer::NoMailbox)));
    assert!(
        matches!(&answers[1].1, Err(Error::Unanswered { attempts: 3, last, .. }) if last.contains("503 busy"))
    );
    assert_eq!(graph.requests().len(), 3);
}

/// What a pass does: whatever is under way after 20 s is dropped.
async fn answered_within_a_pass(client: &Client, wanted: Vec<UserId>) -> usize {
    let mut arriving = client.probe_mailboxes(wanted);
    let mut too_late = Box::pin(tokio::time::sleep(std::time::Duration::from_secs(20)));
    let mut good = 0;
    loop {
        tokio::select! {
            next = arriving.next() => match next {
                Some((_, answer)) => good += usize::from(answer.is_ok()),
                None => return good,
            },
            () = &mut too_late => return good,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_mailbox_that_never_answers_keeps_nobody_from_being_asked_about() {
    let busy =
        json!({ "status": 503, "body": { "error": { "code": "MailboxStoreUnavailable", "message": "" } } });
    let (client, _) = batches(move |url, _| match url.contains("000000000002/") {
        true => Some(busy.clone()),
        false => Some(good(url)),
    });
    assert_eq!(answered_within_a_pass(&client, users(1_000)).await, 999);
}

#[tokio::test(start_paused = true)]
async fn mailboxes_that_never_answer_keep_nobody_from_being_asked_about_singly() {
    let (client, _) = FakeGraph::new(|request, _| {
        let id = request.url.split("/users/").nth(1).and_then(|rest| rest.split('/').next()).expect("a user");
        match u64::from_str_radix(&id[24..], 16).expect("hex") {
            1..=16 => Ok(fault(503, "MailboxStoreUnavailable", "")),
            _ => Ok(HttpResponse::new(200).with_json(&good(&request.url)["body"])),
        }
    })
    .client();
    assert_eq!(answered_within_a_pass(&client, users(99)).await, 83);
}

/// Batches answer well from five seconds on, and until then as told.
async fn requests_an_hour_after(trouble: fn() -> HttpResponse) -> (usize, usize) {
    let started = tokio::time::Instant::now();
    let (client, graph) = FakeGraph::new(move |request, _| {
        if started.elapsed() < std::time::Duration::from_secs(5) {
            return Ok(trouble());
        }
        if !request.url.ends_with("$batch") {
            return Ok(HttpResponse::new(200).with_json(&good(&request.url)["body"]));
        }
        let body: Value = serde_json::from_slice(&request.body).expect("JSON");
        let parts = body["requests"].as_array().expect("requests").iter().map(|asked| {
            let mut answer = good(asked["url"].as_str().expect("url"));
            answer["id"] = asked["id"].clone();
            answer
        });
        ok(&json!({ "responses": parts.collect::<Vec<Value>>() }))
    })
    .client_with(|config| {
        config.has_batch = true;
        config.batch_from = 1;
    });
    probed(&client, &users(20)).await;
    let in_trouble = graph.requests().len();
    tokio::time::sleep(std::time::Duration::from_secs(3_600)).await;
    probed(&client, &users(200)).await;
    (in_trouble, graph.requests().len() - in_trouble)
}

#[tokio::test(start_paused = true)]
async fn seconds_of_trouble_turn_no_batches_off_and_throttling_is_not_answered_by_more() {
    let twenty_batches = 20;
    assert_eq!(requests_an_hour_after(|| throttled("1")).await, (4, twenty_batches));
    let (in_trouble, later) = requests_an_hour_after(|| HttpResponse::new(502)).await;
    assert!(in_trouble > 20, "asked one by one in the same pass: {in_trouble}");
    assert_eq!(later, twenty_batches);
}

#[tokio::test(start_paused = true)]
async fn a_part_that_is_to_come_again_much_later_keeps_nobody_waiting() {
    let (client, graph) = batches(|url, _| match url.contains("000000000002") {
        true => Some(json!({ "status": 429, "headers": { "Retry-After": "100000" } })),
        false => Some(good(url)),
    });
    let started = tokio::time::Instant::now();
    let answers = probed(&client, &users(3)).await;
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    assert!(matches!(&answers[1].1, Err(Error::Unanswered { attempts: 1, .. })), "{:?}", answers[1]);
    assert!(answers[0].1.is_ok() && answers[2].1.is_ok());
    assert_eq!(graph.requests().len(), 2);

    // What the batches around the parts waited for counts, too.
    let (client, _) = FakeGraph::new(|_, call| match call {
        0 => Ok(throttled("170")),
        _ => ok(
            &json!({ "responses": [{ "id": "part-0", "status": 429, "headers": { "Retry-After": 170 } }] }),
        ),
    })
    .client_with(|config| {
        config.has_batch = true;
        config.batch_from = 1;
    });
    let started = tokio::time::Instant::now();
    assert!(matches!(&probed(&client, &[USER]).await[0].1, Err(Error::Unanswered { attempts: 1, .. })));
    assert!(started.elapsed() <= MAX_READ_WAIT, "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_part_that_makes_no_sense_is_asked_about_as_often_as_a_single_read() {
    let (client, graph) = batches(|url, _| {
        Some(match (url.contains("000000000001"), url.contains("000000000002")) {
            (true, _) => json!({ "status": 200, "body": "PGh0bWw+" }),
            (_, true) => json!({ "status": 403, "body": "PGh0bWw+" }),
            _ => good(url),
        })
    });
    let answers = probed(&client, &users(3)).await;
    assert!(matches!(&answers[0].1, Err(Error::Malformed { endpoint: Endpoint::MailboxKind, .. })));
    assert_eq!(answers[1].1, Ok(ProbeAnswer::Unreadable));
    assert!(matches!(answers[2].1, Ok(ProbeAnswer::Reachable { .. })));
    // Three for the kinds, and one for the identity of the third.
    assert_eq!(graph.requests().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_says_nothing_about_a_mailbox() {
    let unauthorised = || fault(401, "InvalidAuthenticationToken", "Lifetime validation failed");
    let (client, graph) = FakeGraph::new(move |_, _| Ok(unauthorised())).client();
    let is_refused = |error: &Error| matches!(error, Error::Answer { answer, .. } if answer.status == 401);
    assert!(is_refused(&client.mailbox_kind(USER).await.expect_err("no token was taken")));
    assert!(is_refused(&client.mailbox_identity(USER).await.expect_err("no token was taken")));
    assert_eq!(graph.token_requests(), 2);

    // In a batch: renewed once, and the refused part alone is asked about again.
    for refuses_for_good in [false, true] {
        let (client, graph) = FakeGraph::new(move |request, _| {
            let body: Value = serde_json::from_slice(&request.body).expect("JSON");
            let responses = body["requests"].as_array().expect("requests").iter().map(|asked| {
                let url = asked["url"].as_str().expect("url");
                let is_old = refuses_for_good || bearer(request) == Some("Bearer token-1");
                let mut answer = match is_old && url.contains("000000000002") {
                    true => json!({ "status": 401, "body": { "error": { "code": "InvalidAuthenticationToken" } } }),
                    false => good(url),
                };
                answer["id"] = asked["id"].clone();
                answer
            });
            ok(&json!({ "responses": responses.collect::<Vec<_>>() }))
        })
        .client_with(|config| {
            config.has_batch = true;
            config.batch_from = 1;
        });
        let answers = probed(&client, &users(2)).await;
        assert!(answers[0].1.is_ok());
        assert_eq!(answers[1].1.as_ref().is_err_and(is_refused), refuses_for_good, "{:?}", answers[1]);
        // The kinds, those that were refused, the identities.
        assert_eq!((graph.token_requests(), graph.requests().len()), (2, 3));
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_with_a_part_is_told_with_ids() {
    let (client, graph) = batches(|url, _| match url {
        _ if url.contains("000000000001") => None,
        _ if url.contains("000000000002") => Some(json!({ "status": 503, "headers":
            { "request-id": "r-part", "client-request-id": "c-part" } })),
        _ => Some(json!({ "status": 200, "body": "PGh0bWw+" })),
    });
    let answers = probed(&client, &users(3)).await;
    let told = |index: usize| answers[index].1.as_ref().expect_err("no answer").to_string();
    assert!(told(1).contains("(request-id r-part, client-request-id c-part)"), "{}", told(1));
    let last_sent = |round: usize| {
        let requests = graph.requests();
        requests[round].header("client-request-id").expect("an id").to_owned()
    };
    let around = |round| format!("(request-id r-1, client-request-id {})", last_sent(round));
    assert!(told(0).contains(&around(2)), "{}", told(0));
    assert!(told(2).contains(&around(2)), "{}", told(2));
}

#[tokio::test(start_paused = true)]
async fn contradicting_parts_answer_nothing() {
    let (client, _) = FakeGraph::new(|_, call| {
        let part = |value: &str| json!({ "id": "part-0", "status": 200, "body": { "value": value } });
        let foreign = json!({ "id": "part-9", "status": 200, "body": { "value": "room" } });
        match call {
            0 => ok(&json!({ "responses": [part("user"), part("room"), foreign] })),
            1 => ok(&json!({ "responses": [part("shared"), part("shared")] })),
            _ => ok(&json!({ "responses": [{ "id": "part-0", "status": 403 }] })),
        }
    })
    .client_with(|config| {
        config.has_batch = true;
        config.batch_from = 1;
    });
    let answers = probed(&client, &[USER]).await;
    let expected = ProbeAnswer::Reachable { kind: MailboxKind::Shared, primary_id: None };
    assert_eq!(answers, [(USER, Ok(expected))]);
}

/// By Graph, or by a proxy that lets only GET through.
#[tokio::test(start_paused = true)]
async fn where_batches_only_fail_single_requests_take_over_before_the_pass_gives_up() {
    let (client, graph) = FakeGraph::new(|request, _| match request.url.ends_with("$batch") {
        true => Ok(HttpResponse::new(500)),
        false => Ok(no_mailbox()),
    })
    .client_with(|config| {
        config.has_batch = true;
        config.batch_from = 1;
    });
    let started = tokio::time::Instant::now();
    for _ in 0..2 {
        let answers = probed(&client, &users(45)).await;
        assert!(answers.iter().all(|(_, answer)| *answer == Ok(ProbeAnswer::NoMailbox)));
    }
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    let batches = graph.requests().iter().filter(|request| request.url.ends_with("$batch")).count();
    assert_eq!(batches, 3 * 4, "after three that failed they rest");
}

#[tokio::test(start_paused = true)]
async fn where_batches_are_refused_single_requests_take_over_for_good() {
    let page = |status| {
        let mut page = HttpResponse::new(status).with_header("content-type", "text/html");
        page.body = b"<html>Only GET passes here</html>".to_vec();
        page
    };
    let refusals = [400, 403, 404, 405, 501].map(|status| fault(status, "NotAllowed", "no"));
    for refusal in refusals.into_iter().chain([403, 405, 501].map(page)) {
        let status = refusal.status;
        let (client, graph) = FakeGraph::new(move |request, _| match request.url.ends_with("$batch") {
            true => Ok(refusal.clone()),
            false => Ok(no_mailbox()),
        })
        .client_with(|config| {
            config.has_batch = true;
            config.batch_from = 1;
        });
        let batches = || graph.requests().iter().filter(|request| request.url.ends_with("$batch")).count();
        let mut tried = Vec::new();
        for _ in 0..2 {
            let answers = probed(&client, &users(45)).await;
            assert_eq!(answers.len(), 45);
            assert!(answers.iter().all(|(_, answer)| *answer == Ok(ProbeAnswer::NoMailbox)), "{status}");
            tried.push(batches());
        }
        // A gateway's page may pass, so the first question repeats it before it gives up.
        assert!(tried[0] <= 3 && tried[1] == tried[0], "{status}: {tried:?}");
    }
}
