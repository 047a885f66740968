//! The client against a transport that answers as written: pages, failures, writes, batches.

use std::collections::BTreeSet;

use serde_json::json;

use crate::model::{GroupId, OutcomeKind, RestoreOptions, SkuId, UserId};

use super::super::testing::{Answer, EPOCH_DATE, FakeGraph, broken, fault, html, ok, throttled};
use super::super::throttle::MAX_READ_WAIT;
use super::super::transport::{HttpRequest, HttpResponse, TransportError};
use super::super::{DeltaItem, LinkFault};
use super::*;

const USER: UserId = UserId::from_u128(0x11);
const SKU: SkuId = SkuId::from_u128(0x22);
const ROOT: &str = "https://graph.microsoft.com/v1.0";

fn user(number: u128) -> serde_json::Value {
    json!({ "id": UserId::from_u128(number).to_string(), "userPrincipalName": format!("u{number}@contoso.com") })
}

fn bearer(request: &HttpRequest) -> Option<&str> {
    request.header("authorization")
}

mod reads {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn pages_are_walked_to_the_end_with_token_and_ids() {
        let (client, graph) = FakeGraph::new(|request, call| {
            assert_eq!(request.url.contains("$skiptoken=2"), call == 1);
            match call {
                0 => ok(&json!({ "@odata.nextLink": format!("{ROOT}/users?$skiptoken=2"), "value": [user(1), user(2)] })),
                _ => ok(&json!({ "value": [user(3)] })),
            }
        })
        .client();
        let mut pager = client.users(None);
        let mut seen = Vec::new();
        while let Some(page) = pager.next().await.expect("answered") {
            seen.extend(page.into_iter().flatten().map(|user| user.upn));
        }
        assert_eq!(seen, ["u1@contoso.com", "u2@contoso.com", "u3@contoso.com"]);
        assert!(pager.next().await.expect("still the end").is_none());
        let sent = graph.requests();
        let ids: BTreeSet<_> =
            sent.iter().filter_map(|request| request.header("client-request-id")).collect();
        assert_eq!((sent.len(), ids.len(), graph.token_requests()), (2, 2, 1));
        assert!(sent.iter().all(|request| bearer(request) == Some("Bearer token-1")));
    }

    #[tokio::test(start_paused = true)]
    async fn a_foreign_link_gets_neither_token_nor_request() {
        for link in
            ["https://evil.example/v1.0/users", "http://graph.microsoft.com/v1.0/users", "/v1.0/users?2"]
        {
            let (client, graph) =
                FakeGraph::new(move |_, _| ok(&json!({ "@odata.nextLink": link, "value": [user(1)] })))
                    .client();
            let error = client.users(None).next().await.expect_err("hostile");
            assert!(matches!(error, Error::HostileLink { endpoint: Endpoint::Users, .. }), "{error}");
            assert_eq!(graph.requests().len(), 1, "{link}");
            assert!(graph.everything_sent().iter().all(|request| !request.url.contains("evil")));
            assert!(!error.to_string().contains("evil"), "{error}");
            assert!(error.to_string().contains("request-id r-1, client-request-id "), "{error}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_link_to_itself_ends_the_listing() {
        let link = format!("{ROOT}/users?$skiptoken=again");
        let (client, graph) =
            FakeGraph::new(move |_, _| ok(&json!({ "@odata.nextLink": link, "value": [user(1)] }))).client();
        let mut pager = client.users(None);
        assert!(pager.next().await.expect("first").is_some());
        let error = pager.next().await.expect_err("round in circles");
        assert!(
            matches!(error, Error::HostileLink { endpoint: Endpoint::Users, fault: LinkFault::Loop, .. }),
            "{error}"
        );
        assert_eq!(graph.requests().len(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn an_expired_token_is_renewed_once_and_a_second_401_is_the_answer() {
        let unauthorised = || fault(401, "InvalidAuthenticationToken", "Lifetime validation failed");
        let (client, graph) = FakeGraph::new(move |request, _| match bearer(request) {
            Some("Bearer token-1") => Ok(unauthorised()),
            _ => ok(&json!({ "value": [user(1)] })),
        })
        .client();
        assert!(client.users(None).next().await.is_ok());
        assert_eq!((graph.token_requests(), graph.requests().len()), (2, 2));

        let (client, graph) = FakeGraph::new(move |_, _| Ok(unauthorised())).client();
        for _ in 0..20 {
            let error = client.users(None).next().await.expect_err("refused for good");
            assert!(matches!(&error, Error::Answer { answer, .. } if answer.status == 401), "{error}");
        }
        // Twenty refused reads have not become twenty token requests.
        assert_eq!(graph.token_requests(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn passing_failures_are_read_through() {
        let (client, graph) = FakeGraph::new(|_, call| match call {
            0 => Ok(html(502)),
            1 => Err(broken()),
            2 => Ok(throttled("2")),
            3 => Ok(html(200)),
            4 => {
                let mut cut = ok(&json!({ "value": [user(1)] }))?;
                cut.body.truncate(20);
                Ok(cut)
            }
            5 => Ok(HttpResponse::new(504)),
            _ => ok(&json!({ "value": [user(1)] })),
        })
        .client();
        assert_eq!(client.users(None).next().await.expect("at last").map(|page| page.len()), Some(1));
        assert_eq!(graph.requests().len(), 7);
    }

    #[tokio::test(start_paused = true)]
    async fn a_part_of_a_list_is_no_list() {
        let part = || Ok(HttpResponse::new(206).with_json(&json!({ "value": [user(1)] })));
        let (client, graph) = FakeGraph::new(move |_, _| part()).client();
        let error = client.users(None).next().await.expect_err("never whole");
        assert!(matches!(&error, Error::Malformed { detail, .. } if detail.contains("206")), "{error}");
        assert_eq!(graph.requests().len(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_are_bounded_and_the_error_carries_the_ids() {
        let (client, graph) =
            FakeGraph::new(|_, _| Ok(fault(503, "ServiceUnavailable", "later\r\nX"))).client();
        let error = client.subscribed_skus().await.expect_err("never");
        assert!(matches!(error, Error::Unanswered { attempts: 7, .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains("request-id r-9, client-request-id ") && !text.contains('\n'), "{text}");
        assert_eq!(graph.requests().len(), 7);

        let (client, graph) = FakeGraph::new(|_, _| Ok(html(200))).client();
        let error = client.subscribed_skus().await.expect_err("never JSON");
        assert!(
            matches!(&error, Error::Malformed { detail, .. } if detail == "the body is HTML, not JSON"),
            "{error}"
        );
        assert_eq!(graph.requests().len(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_asks_for_ever_longer_pauses_does_not_stop_a_pass() {
        let (client, graph) = FakeGraph::new(|_, _| Ok(throttled("1000000000"))).client();
        let started = tokio::time::Instant::now();
        let error = client.subscribed_skus().await.expect_err("never");
        assert!(matches!(error, Error::Unanswered { attempts: 2, .. }), "{error}");
        assert!(started.elapsed() <= MAX_READ_WAIT, "{:?}", started.elapsed());
        assert_eq!(graph.requests().len(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_small_listing_without_end_is_given_up_before_it_fills_the_memory() {
        let sku = json!({"skuId": SkuId::from_u128(1), "skuPartNumber": "X", "prepaidUnits": {}, "servicePlans": []});
        let (client, graph) = FakeGraph::new(move |_, call| {
            let next = format!("{ROOT}/subscribedSkus?$skiptoken={call}");
            ok(&json!({"value": [sku], "@odata.nextLink": next}))
        })
        .client();
        let error = client.subscribed_skus().await.expect_err("never ends");
        assert!(matches!(error, Error::HostileLink { fault: LinkFault::Endless, .. }), "{error}");
        assert!(graph.requests().len() <= 12, "{}", graph.requests().len());
    }

    #[tokio::test(start_paused = true)]
    async fn what_cannot_change_is_not_asked_again() {
        for status in [400, 403, 404, 405, 501] {
            let (client, graph) = FakeGraph::new(move |_, _| Ok(fault(status, "Nope", "no"))).client();
            let error = client.subscribed_skus().await.expect_err("final");
            assert!(matches!(&error, Error::Answer { answer, .. } if answer.status == status), "{error}");
            assert_eq!(graph.requests().len(), 1);
        }
        let too_large = TransportError::TooLarge { limit_bytes: 5 };
        let (client, graph) = FakeGraph::new(move |_, _| Err(too_large.clone())).client();
        let error = client.subscribed_skus().await.expect_err("too large");
        assert!(matches!(error, Error::Malformed { .. }), "{error}");
        assert_eq!(graph.requests().len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn absence_is_data_but_a_gateways_404_is_not() {
        let gone =
            |_: &HttpRequest, _| Ok(fault(404, "Request_ResourceNotFound", "Resource 'x' does not exist"));
        let (client, _) = FakeGraph::new(gone).client();
        assert_eq!(client.user(USER).await, Ok(None));
        assert_eq!(client.deleted_user(USER).await, Ok(None));
        assert_eq!(client.group(GroupId::from_u128(1)).await, Ok(None));

        let (client, graph) = FakeGraph::new(|_, _| Ok(html(404))).client();
        assert!(matches!(client.user(USER).await, Err(Error::Answer { .. })));
        assert_eq!(graph.requests().len(), 3);

        // Cut off in the middle it is no word of Graph's either: asked again, and then it is one.
        let (client, graph) = FakeGraph::new(move |request, call| {
            let mut answer = gone(request, call)?;
            answer.body.truncate(if call == 0 { 30 } else { usize::MAX });
            Ok(answer)
        })
        .client();
        assert_eq!((client.user(USER).await, graph.requests().len()), (Ok(None), 2));
    }

    #[tokio::test(start_paused = true)]
    async fn the_count_is_plain_text_and_asked_for_eventually() {
        let (client, graph) = FakeGraph::new(|_, _| {
            let mut response = HttpResponse::new(200).with_header("content-type", "text/plain");
            response.body = b"\xef\xbb\xbf893".to_vec();
            Ok(response)
        })
        .client();
        assert_eq!(client.users_count().await, Ok(893));
        let sent = &graph.requests()[0];
        assert_eq!(
            (sent.header("consistencylevel"), sent.header("accept")),
            (Some("eventual"), Some("text/plain"))
        );
    }

    #[tokio::test(start_paused = true)]
    async fn the_clock_skew_is_local_minus_server() {
        let (client, _) = FakeGraph::new(|_, _| {
            let late = "Mon, 23 Nov 2026 11:50:00 GMT";
            Ok(HttpResponse::new(200).with_header("date", late).with_json(&json!({ "value": [] })))
        })
        .client();
        assert_eq!(client.clock_skew(), None);
        client.subscribed_skus().await.expect("answered");
        let skew = client.clock_skew().expect("known").as_millis();
        assert!((600_000..602_000).contains(&skew), "{skew} against {EPOCH_DATE}");
    }
}

mod writes {
    use super::*;

    async fn assign(answer: impl Fn(u32) -> Answer + Send + Sync + 'static) -> (WriteResult, usize) {
        let (client, graph) = FakeGraph::new(move |_, call| answer(call)).client();
        let result = client.assign_license(USER, SKU, &BTreeSet::new()).await;
        (result, graph.requests().len())
    }

    #[tokio::test(start_paused = true)]
    async fn an_uncertain_write_is_sent_once() {
        let answers: [fn() -> Answer; 9] = [
            || Err(broken()),
            || Err(TransportError::Timeout(std::time::Duration::from_secs(100))),
            || Err(TransportError::TooLarge { limit_bytes: 1 }),
            || Ok(fault(500, "InternalServerError", "")),
            || Ok(html(502)),
            || Ok(HttpResponse::new(503)),
            || Ok(HttpResponse::new(504)),
            || Ok(html(200)),
            || Ok(HttpResponse::new(200)),
        ];
        for (number, answer) in answers.into_iter().enumerate() {
            let (result, sent) = assign(move |_| answer()).await;
            assert_eq!(
                (result.kind, sent),
                (OutcomeKind::Uncertain, 1),
                "answer {number}: {}",
                result.detail
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn only_what_was_not_applied_is_sent_again_and_rarely() {
        let (result, sent) =
            assign(|call| if call < 2 { Ok(throttled("1")) } else { ok(&json!({ "id": USER.to_string() })) })
                .await;
        assert_eq!((result.kind, sent), (OutcomeKind::Accepted, 3));
        assert_eq!(result.ids.request.as_deref(), Some("r-1"));

        let (result, sent) = assign(|_| Ok(throttled("1"))).await;
        assert_eq!((result.kind, result.refusal, sent), (OutcomeKind::Deferred, Some(Refusal::Throttled), 3));

        let (result, sent) = assign(|_| Ok(throttled("120"))).await;
        assert_eq!((result.kind, sent), (OutcomeKind::Deferred, 1));
        assert_eq!(result.retry_after, Some(std::time::Duration::from_secs(120)));

        let mut cut = fault(400, "Request_BadRequest", "does not have any available licenses");
        cut.body.truncate(40);
        let (result, sent) = assign(move |_| Ok(cut.clone())).await;
        assert_eq!((result.kind, result.refusal, sent), (OutcomeKind::Deferred, Some(Refusal::Garbled), 1));

        // 401 says that nothing was done: once more with another token, then it waits for the next pass.
        let (result, sent) = assign(|_| Ok(fault(401, "InvalidAuthenticationToken", "no"))).await;
        assert_eq!(
            (result.kind, result.refusal, sent),
            (OutcomeKind::Deferred, Some(Refusal::TokenRefused), 2)
        );

        let busy = || fault(503, "ServiceUnavailable", "busy").with_header("retry-after", "5");
        let (result, sent) = assign(move |_| Ok(busy())).await;
        assert_eq!((result.kind, sent), (OutcomeKind::Deferred, 1));
        let (result, sent) = assign(|_| Err(TransportError::Connect("refused".to_owned()))).await;
        assert_eq!((result.kind, sent), (OutcomeKind::Deferred, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn only_what_is_known_as_final_waits_a_day() {
        use OutcomeKind::{Deferred, Refused, Uncertain};
        let empty = HttpResponse::new;
        let moved = HttpResponse::new(307).with_header("location", "https://evil.example/v1.0/users");
        let conflict = |message| fault(409, "Request_BadRequest", message);
        let cases = [
            (html(302), Deferred, Some(Refusal::Redirected)),
            (moved, Deferred, Some(Refusal::Redirected)),
            (empty(409), Deferred, Some(Refusal::Concurrent)),
            (fault(409, "Conflict", "busy"), Deferred, Some(Refusal::Concurrent)),
            (fault(409, "Request_Conflict", ""), Deferred, Some(Refusal::Concurrent)),
            (conflict("service plans a, b are mutually exclusive"), Refused, Some(Refusal::ConflictingPlans)),
            (conflict("UniquenessViolation"), Refused, Some(Refusal::AddressInUse)),
            (empty(412), Deferred, Some(Refusal::Concurrent)),
            (empty(423), Deferred, Some(Refusal::Concurrent)),
            (empty(425), Deferred, Some(Refusal::Unavailable)),
            (empty(499), Uncertain, None),
            (empty(507), Uncertain, None),
            (html(520), Uncertain, None),
            (empty(599), Uncertain, None),
            // These two say that nothing was done, and would say so tomorrow.
            (empty(501), Refused, Some(Refusal::Unknown)),
            (fault(400, "Request_BadRequest", "no"), Refused, Some(Refusal::Unknown)),
        ];
        for (answer, kind, refusal) in cases {
            let status = answer.status;
            let (client, graph) = FakeGraph::new(move |_, _| Ok(answer.clone())).client();
            let result = client.assign_license(USER, SKU, &BTreeSet::new()).await;
            assert_eq!((result.kind, result.refusal), (kind, refusal), "{status}: {}", result.detail);
            assert_eq!(graph.requests().len(), 1, "{status}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn licence_refusals_are_told_apart_by_their_message() {
        let cases = [
            (
                "Subscription with SKU x does not have any available licenses.",
                OutcomeKind::NoSeat,
                Refusal::NoSeat,
            ),
            (
                "License assignment cannot be done for user with invalid usage location.",
                OutcomeKind::Refused,
                Refusal::UsageLocation,
            ),
            (
                "License x does not correspond to a valid company License.",
                OutcomeKind::Refused,
                Refusal::SkuNotOwned,
            ),
            (
                "License assignment failed because service plans a, b are mutually exclusive",
                OutcomeKind::Refused,
                Refusal::ConflictingPlans,
            ),
            (
                "License assignment failed because service plan a depends on the service plan(s) b",
                OutcomeKind::Refused,
                Refusal::MissingDependency,
            ),
            (
                "User license is inherited from a group membership and it cannot be removed directly from the user.",
                OutcomeKind::Refused,
                Refusal::Inherited,
            ),
            ("Something that Microsoft says tomorrow", OutcomeKind::Refused, Refusal::Unknown),
        ];
        for (message, kind, refusal) in cases {
            let (result, sent) = assign(move |_| Ok(fault(400, "Request_BadRequest", message))).await;
            assert_eq!((result.kind, result.refusal, sent), (kind, Some(refusal), 1), "{message}");
            assert!(result.detail.contains("400 Request_BadRequest") && result.detail.contains(message));
            assert_eq!(result.ids.request.as_deref(), Some("r-9"));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_other_writes_end_as_documented() {
        let exists = "One or more added object references already exist for the following modified properties: 'members'.";
        let conflict = "Another object with the same value for property proxyAddresses already exists.";
        let (client, _) = FakeGraph::new(move |request, _| {
            let path = request.url.strip_prefix(ROOT).expect("of the root");
            match path.rsplit('/').next() {
                Some("$ref") => Ok(fault(400, "Request_BadRequest", exists)),
                Some("restore") => Ok(fault(400, "Request_BadRequest", conflict)),
                Some("reprocessLicenseAssignment") => {
                    Ok(fault(403, "Authorization_RequestDenied", "Insufficient"))
                }
                _ => Ok(HttpResponse::new(204)),
            }
        })
        .client();
        let member = client.add_group_member(GroupId::from_u128(1), USER).await;
        assert_eq!(member.kind, OutcomeKind::AlreadyDone);
        let restored = client.restore(USER, &RestoreOptions::PLAIN).await;
        assert_eq!((restored.kind, restored.refusal), (OutcomeKind::Refused, Some(Refusal::AddressInUse)));
        let reprocessed = client.reprocess_licenses(USER).await;
        assert_eq!((reprocessed.kind, reprocessed.refusal), (OutcomeKind::Refused, Some(Refusal::Forbidden)));
        assert_eq!(client.set_usage_location(USER, "NO").await.kind, OutcomeKind::Accepted);
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_token_nothing_is_sent() {
        let refusal = json!({ "error": "invalid_client", "error_description": "AADSTS7000215: no", "error_codes": [7_000_215] });
        let (client, graph) = FakeGraph::new(|_, _| Ok(HttpResponse::new(204)))
            .with_tokens(move |_| Ok(HttpResponse::new(401).with_json(&refusal)))
            .client();
        let result = client.set_usage_location(USER, "NO").await;
        assert_eq!(result.kind, OutcomeKind::NotSent);
        assert!(result.detail.contains("client secret is wrong") && result.detail.contains("AADSTS7000215"));
        assert!(graph.requests().is_empty());
    }
}

mod deltas {
    use super::*;

    async fn round(client: &Client, start: DeltaStart) -> Result<(Vec<DeltaItem>, Option<String>), Error> {
        let mut pager = client.users_delta(&start)?;
        let mut items = Vec::new();
        while let Some(page) = pager.next().await? {
            items.extend(page);
        }
        Ok((items, pager.delta_link().map(str::to_owned)))
    }

    #[tokio::test(start_paused = true)]
    async fn a_round_ends_with_the_link_for_the_next() {
        let (client, graph) = FakeGraph::new(|_, call| match call {
            0 => ok(&json!({ "@odata.nextLink": format!("{ROOT}/users/delta?$skiptoken=a"), "value": [] })),
            _ => ok(&json!({
                "@odata.deltaLink": format!("{ROOT}/users/delta?$deltatoken=b"),
                "value": [user(1), { "id": USER.to_string(), "@removed": { "reason": "changed" } }],
            })),
        })
        .client();
        let (items, link) = round(&client, DeltaStart::Initial).await.expect("a round");
        assert_eq!(link.as_deref(), Some("https://graph.microsoft.com/v1.0/users/delta?$deltatoken=b"));
        assert_eq!(items.len(), 2);
        assert_eq!(items[1], DeltaItem::Removed { id: USER, is_purged: false });
        round(&client, DeltaStart::Link(link.expect("a link"))).await.expect("the next round");
        assert!(graph.requests()[2].url.ends_with("/users/delta?$deltatoken=b"));
    }

    #[tokio::test(start_paused = true)]
    async fn every_way_to_lose_the_token_is_a_reset() {
        let location = "https://evil.example/v1.0/users/delta?$deltatoken=";
        let ways = [
            fault(410, "resyncRequired", "").with_header("location", location),
            HttpResponse::new(410),
            fault(400, "syncStateNotFound", "The sync state generation is not found."),
            fault(404, "syncStateNotFound", ""),
            fault(400, "Request_BadRequest", "Invalid token"),
            fault(404, "", ""),
        ];
        for way in ways {
            let status = way.status;
            let (client, graph) = FakeGraph::new(move |_, _| Ok(way.clone())).client();
            let stored = DeltaStart::Link(format!("{ROOT}/users/delta?$deltatoken=old"));
            let error = round(&client, stored).await.expect_err("reset");
            assert!(matches!(error, Error::DeltaReset(_)), "{status}: {error}");
            assert_eq!(graph.requests().len(), 1);
        }
        // A first request has no token to lose: this is a mistake of ours, and starting again would go on for ever.
        let (client, _) = FakeGraph::new(|_, _| Ok(fault(400, "Request_UnsupportedQuery", ""))).client();
        assert!(matches!(round(&client, DeltaStart::Initial).await, Err(Error::Answer { .. })));
    }

    #[tokio::test(start_paused = true)]
    async fn a_stored_or_returned_link_to_elsewhere_is_refused() {
        let (client, graph) = FakeGraph::new(|_, _| {
            ok(&json!({ "@odata.deltaLink": "https://evil.example/v1.0/users/delta?$deltatoken=b", "value": [] }))
        })
        .client();
        let stored = DeltaStart::Link("https://evil.example/v1.0/users/delta".to_owned());
        assert!(matches!(round(&client, stored).await, Err(Error::HostileLink { .. })));
        assert!(graph.everything_sent().is_empty());
        assert!(matches!(round(&client, DeltaStart::Latest).await, Err(Error::HostileLink { .. })));
    }
}

mod probes;

mod load {
    use super::*;

    /// A server that throttles one request in five at random must cost those requests a second each, and not slow
    /// everything to a crawl.
    #[tokio::test(start_paused = true)]
    async fn random_throttling_does_not_stop_everybody() {
        let (client, graph) = FakeGraph::new(|_, call| {
            // A fixed scramble of the call number stands in for chance.
            let drawn = (u64::from(call) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33;
            if drawn % 5 == 0 { Ok(throttled("1")) } else { ok(&user(1)) }
        })
        .client_with(|config| config.size = TenantSize::Large);
        let started = tokio::time::Instant::now();
        let next = AtomicU64::new(0);
        let worker = || async {
            while next.fetch_add(1, Ordering::Relaxed) < 2_000 {
                assert!(client.user(USER).await.expect("read in the end").is_some());
            }
        };
        futures_util::future::join_all((0..8).map(|_| worker())).await;
        let (sent, took) = (graph.requests().len(), started.elapsed());
        assert!((2_300..2_700).contains(&sent), "{sent} requests");
        assert!(took < Duration::from_secs(120), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_observer_sees_every_request_and_ids_repeat_from_run_to_run() {
        #[derive(Default)]
        struct Seen(Mutex<Vec<RequestSample>>);
        impl RequestObserver for Seen {
            fn observed(&self, sample: &RequestSample) {
                self.0.lock().expect("no panic").push(sample.clone());
            }
        }
        let mut runs = Vec::new();
        for _ in 0..2 {
            let seen = Arc::new(Seen::default());
            let observer = seen.clone();
            let (client, graph) = FakeGraph::new(|_, call| match call {
                0 => Ok(throttled("1")),
                1 => Err(broken()),
                _ => Ok(ok(&json!({ "value": [] }))?.with_header("x-ms-resource-unit", "2")),
            })
            .client_with(move |config| config.observer = observer);
            client.subscribed_skus().await.expect("answered");
            let samples = seen.0.lock().expect("no panic").clone();
            let told: Vec<_> =
                samples.iter().map(|s| (s.endpoint, s.status, s.resource_units, s.is_throttled)).collect();
            assert_eq!(
                told,
                [
                    (Endpoint::Token, Some(200), 0, false),
                    (Endpoint::SubscribedSkus, Some(429), 3, true),
                    (Endpoint::SubscribedSkus, None, 3, false),
                    (Endpoint::SubscribedSkus, Some(200), 2, false),
                ]
            );
            assert!(samples.iter().all(|sample| sample.duration == Duration::from_millis(50)));
            runs.push(graph.everything_sent());
        }
        assert_eq!(runs[0], runs[1]);
    }
}
