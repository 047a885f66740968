//! One function for each place where bytes of others come in. Each takes any bytes and ends: it answers, or it says
//! what is wrong. Called with mutated inputs by `cargo test`, with inputs chosen by coverage by the targets in `fuzz/`.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt;
use mailkeeper::graph::transport::HttpResponse;
use mailkeeper::graph::{Client, Cloud, DeltaStart, Error, GraphUrl};
use mailkeeper::model::{Catalog, GroupId, RestoreOptions, SkuId, Timestamp, UserId};
use mailkeeper::policy::{Format, Policy, render};
use mailkeeper::settings::Settings;
use mailkeeper::store::journal::{Entry, Journal, JournalError, LogFile, MemoryLog};
use mailkeeper::store::memory::MemoryKv;
use mailkeeper::store::{TenantStore, backup};
use serde_json::json;

use super::origin::Origin;
use super::script::{Answer, TENANT, client, finish, granted, is_sign_in};

const USER: UserId = UserId::from_u128(0x6ea9_1a8d_e32e_41a1_b7bd_d2d1_85ee_d0e0);
const OTHER_USER: UserId = UserId::from_u128(0x7e06_b566_15f3_4013_8bf8_7987_4d52_e68a);
const GROUP: GroupId = GroupId::from_u128(0x5d9b_1f3a_70c6_4a3e_8c7e_1f9f_0c9b_2e01);
const SKU: SkuId = SkuId::from_u128(0xc7df_2760_2c81_4ef7_b578_5b53_92b5_71df);

/// Most requests that one call may make of a server that always answers the same, whatever it is: seven attempts, each
/// with one repetition after a 401, for a page and its successor; and as many for both rounds of a batch, and one by
/// one after it.
const MAX_REQUESTS: u32 = 150;

/// Longest that one call may wait in all, by the clock of the test: several reads, each at most five minutes between
/// its attempts and as long at the gate.
const MAX_WAIT: Duration = Duration::from_secs(3 * 3600);

/// How many calls of the client [`graph_answer`] knows.
pub const CALLS: u8 = 19;

const STATUSES: [u16; 20] =
    [200, 201, 202, 204, 206, 302, 400, 401, 403, 404, 409, 410, 412, 424, 429, 500, 502, 503, 504, 509];

const HEADERS: [&str; 8] = [
    "retry-after",
    "www-authenticate",
    "date",
    "x-ms-throttle-limit-percentage",
    "x-ms-resource-unit",
    "request-id",
    "location",
    "content-type",
];

/// Any answer to any call: byte 0 chooses the call, 1 the status, 2 a header; the header's value is the first line of
/// the rest, the body what follows it.
pub fn graph_answer(input: &[u8]) {
    let [call, status, header, rest @ ..] = input else { return };
    let response = response(*status, *header, rest);
    let requests = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&requests);
    let origin = Origin::of(&Cloud::Global.roots());
    let (client, clock) = client(Cloud::Global.roots(), move |request| {
        assert!(counted.fetch_add(1, Ordering::Relaxed) < MAX_REQUESTS, "a call that does not stop asking");
        origin.assert_keeps_token(request);
        if is_sign_in(request) { Ok(granted()) } else { Ok(response.clone()) }
    });
    finish(make(&client, *call));
    assert!(clock.slept() <= MAX_WAIT, "waited for {:?}", clock.slept());
}

fn response(status: u8, header: u8, rest: &[u8]) -> HttpResponse {
    let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
    let value = String::from_utf8_lossy(&rest[..end]);
    let mut response = HttpResponse::new(STATUSES[usize::from(status) % STATUSES.len()])
        .with_header(HEADERS[usize::from(header) % HEADERS.len()], value);
    response.body = rest.get(end + 1..).unwrap_or_default().to_vec();
    response
}

/// Makes one call and looks at everything that it returns, as the callers do.
async fn make(client: &Client, call: u8) {
    match call % CALLS {
        0 => readable(client.organization().await),
        1 => drain(client.users(None)).await,
        2 => readable(client.users_count().await),
        3 => delta(client, &DeltaStart::Initial).await,
        4 => delta(client, &DeltaStart::Latest).await,
        5 => drain(client.deleted_users()).await,
        6 => readable(client.user(USER).await),
        7 => readable(client.deleted_user(USER).await),
        8 => readable(client.subscribed_skus().await.map(free_seats)),
        9 => readable(client.subscriptions().await),
        10 => readable(client.group(GROUP).await),
        11 => drain(client.group_members(GROUP)).await,
        12 => readable(client.mailbox_kind(USER).await),
        13 => readable(client.mailbox_identity(USER).await),
        14 => {
            for (_, answer) in client.probe_mailboxes(vec![USER, OTHER_USER, USER]).collect::<Vec<_>>().await
            {
                readable(answer);
            }
        }
        15 => tame(&client.assign_license(USER, SKU, &[].into()).await.detail),
        16 => tame(&client.restore(USER, &RestoreOptions::PLAIN).await.detail),
        17 => tame(&client.add_group_member(GROUP, USER).await.detail),
        _ => readable(client.directory_audits(USER, None).await),
    }
}

fn free_seats(skus: Vec<mailkeeper::model::Sku>) -> Vec<i64> {
    Catalog::from_iter(skus).iter().map(mailkeeper::model::Sku::free).collect()
}

async fn drain<T: std::fmt::Debug>(mut pager: mailkeeper::graph::Pager<T>) {
    while let Some(items) = match pager.next().await {
        Ok(page) => page,
        Err(error) => return readable::<()>(Err(error)),
    } {
        readable(Ok(items));
    }
}

async fn delta(client: &Client, start: &DeltaStart) {
    let mut pager = match client.users_delta(start) {
        Ok(pager) => pager,
        Err(error) => return readable::<()>(Err(error)),
    };
    loop {
        match pager.next().await {
            Ok(Some(items)) => readable(Ok(items)),
            Ok(None) => break,
            Err(error) => return readable::<()>(Err(error)),
        }
    }
    let link = pager.delta_link().expect("a round that ended has a link");
    assert!(
        GraphUrl::follow(&Cloud::Global.roots(), link).is_ok(),
        "a link was kept that may not be followed"
    );
}

/// Values are printable, errors fit into one line of a log.
fn readable<T: std::fmt::Debug>(answer: Result<T, Error>) {
    match answer {
        Ok(value) => drop(format!("{value:?}")),
        Err(error) => {
            let _ = error.problem_kind();
            tame(&error.to_string());
        }
    }
}

fn tame(text: &str) {
    assert!(!text.chars().any(char::is_control), "control characters for the log: {text:?}");
    assert!(text.len() < 8 * 1024, "{} bytes for the log", text.len());
}

/// Any answer to the token request: byte 0 chooses the status, 1 a header, as in [`graph_answer`].
pub fn token_answer(input: &[u8]) {
    let [status, header, rest @ ..] = input else { return };
    let response = response(*status, *header, rest);
    let requests = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&requests);
    let (client, clock) = client(Cloud::Global.roots(), move |request| {
        assert!(counted.fetch_add(1, Ordering::Relaxed) < MAX_REQUESTS, "a call that does not stop asking");
        if is_sign_in(request) {
            return Ok(response.clone());
        }
        let bearer = request.header("authorization").expect("nothing leaves without a token");
        assert!(bearer.starts_with("Bearer ") && bearer.len() > 7, "an empty token was used");
        assert!(bearer.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "a token that is no header value");
        Ok(HttpResponse::new(200).with_json(&json!({ "value": [{ "id": TENANT.to_string() }] })))
    });
    for _ in 0..3 {
        match finish(client.organization()) {
            Ok(_) => drop(finish(client.roles())),
            Err(Error::SignIn(fault)) => tame(&fault.to_string()),
            Err(error) => tame(&error.to_string()),
        }
    }
    assert!(clock.slept() <= MAX_WAIT, "waited for {:?}", clock.slept());
}

/// Any `Retry-After` (before a line break) against any `Date` (after it): nobody waits longer than the limits say, and
/// a readable delay is not cut short.
pub fn retry_after(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let (delay, date) = text.split_once('\n').unwrap_or((&text, ""));
    let throttled = HttpResponse::new(429).with_header("retry-after", delay).with_header("date", date);
    for is_write in [false, true] {
        let answers = Arc::new(Mutex::new(vec![throttled.clone()]));
        let (client, clock) = client(Cloud::Global.roots(), move |request| -> Answer {
            if is_sign_in(request) {
                return Ok(granted());
            }
            let next = answers.lock().expect("no panic while locked").pop();
            let organization = json!({ "value": [{ "id": TENANT.to_string() }] });
            Ok(next.unwrap_or_else(|| HttpResponse::new(200).with_json(&organization)))
        });
        if is_write {
            let result = finish(client.add_group_member(GROUP, USER));
            assert!(clock.slept() <= Duration::from_secs(31), "a write waited for {:?}", clock.slept());
            tame(&result.detail);
        } else {
            let organization = finish(client.organization());
            assert!(organization.is_ok(), "{organization:?}");
            assert!(clock.slept() <= Duration::from_secs(181), "a read waited for {:?}", clock.slept());
            if let Ok(seconds @ 0..=180) = delay.trim().parse::<u64>() {
                assert!(clock.slept() >= Duration::from_secs(seconds), "came back early: {delay:?}");
            }
        }
    }
}

/// Any text as a link of Graph's.
pub fn link(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    for roots in super::origin::roots() {
        if let Ok(url) = GraphUrl::follow(&roots, &text) {
            Origin::of(&roots).assert_holds(url.as_str(), &text);
        }
    }
}

/// Any bytes as a policy file.
pub fn policy(input: &[u8]) {
    let source = match mailkeeper::policy::source::decoded("policy.yaml".to_owned(), input.to_vec()) {
        Ok(source) => source,
        Err(faults) => return shown(&faults),
    };
    match Policy::parse(&source.name, &source.text) {
        Ok(policy) => {
            assert!(!policy.keep.is_empty(), "an empty policy was accepted");
            assert!(policy.limits.per_pass >= 1 && policy.limits.per_pass <= policy.limits.per_day);
            assert!(policy.limits.share > 0.0 && policy.limits.share <= 1.0, "{}", policy.limits.share);
            assert!(policy.retention.margin < policy.retention.days);
            drop(policy.groups());
            shown(&policy.faults_against(&Catalog::default()));
            shown(&policy.warnings);
        }
        Err(faults) => {
            assert!(!faults.is_empty(), "refused without a reason");
            shown(&faults);
        }
    }
}

fn shown(faults: &[mailkeeper::policy::Fault]) {
    for format in [Format::Text, Format::Json, Format::Github] {
        drop(render(faults, format));
    }
}

/// Any bytes as a settings file.
pub fn settings(input: &[u8]) {
    let source = match mailkeeper::policy::source::decoded("mailkeeper.yaml".to_owned(), input.to_vec()) {
        Ok(source) => source,
        Err(faults) => return shown(&faults),
    };
    let environment = BTreeMap::from([("HOME".to_owned(), "/home/keeper".to_owned())]);
    match Settings::parse(&source.name, &source.text, Path::new("/etc/mailkeeper"), &environment) {
        Ok(settings) => {
            assert!(!settings.tenants.is_empty() && settings.state.is_absolute());
            shown(&settings.warnings);
        }
        Err(faults) => {
            assert!(!faults.is_empty(), "refused without a reason");
            shown(&faults);
        }
    }
}

/// Any bytes as a journal: opened, it can be written to, read, and opened again; else nothing was changed.
pub fn journal(input: &[u8]) {
    let log = MemoryLog::new();
    let mut disk = log.clone();
    disk.create(1).expect("memory does not fail");
    log.damage(1, |bytes| *bytes = input.to_vec());
    let (journal, recovery) = match Journal::open(Box::new(log.clone()), TENANT) {
        Ok(opened) => opened,
        Err(JournalError::Broken(bad)) => {
            assert!(!bad.reason.is_empty());
            assert_eq!(log.bytes(), input, "a broken journal was changed");
            return;
        }
        Err(error) => panic!("{error}"),
    };
    let torn = log.aside().concat();
    assert_eq!([log.bytes(), torn].concat(), input, "bytes were lost");
    let entry = Entry::Started { version: "1".to_owned() };
    journal.append(&entry, Timestamp::from_secs(1_795_000_000)).expect("memory does not fail");
    assert_eq!(
        journal.history(None, 10).expect("readable").first().map(|line| line.seq),
        Some(recovery.entries + 1)
    );
    let (again, recovery) = Journal::open(Box::new(log), TENANT).expect("what was opened once opens again");
    assert_eq!(recovery.torn, None);
    assert_eq!(again.head(), journal.head());
    drop(again.open_intents());
}

/// Any bytes as a backup: imported whole, or nothing is changed.
pub fn backup(input: &[u8]) {
    let store = TenantStore::new(Arc::new(MemoryKv::new()), TENANT);
    match backup::import(&store, &mut Cursor::new(input)) {
        Ok((_, counts)) => {
            assert_eq!(store.count_users().expect("readable"), counts.users);
            assert!(store.users().all(|user| user.is_ok()), "an imported user cannot be read");
        }
        Err(error) => {
            drop(error.to_string());
            assert_eq!(store.count_users().expect("readable"), 0, "a bad backup left something behind");
        }
    }
}
