//! Good inputs, from which the hostile ones are made. The ones of Graph are reduced from Microsoft's documents.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mailkeeper::model::{KnownUser, MailboxMemory, OutcomeKind, Presence, Timestamp, User, UserId};
use mailkeeper::store::journal::{Entry, Journal, MemoryLog};
use mailkeeper::store::memory::MemoryKv;
use mailkeeper::store::records::Hold;
use mailkeeper::store::{TenantStore, backup};

use super::inputs::CALLS;
use super::script::TENANT;

const AT: Timestamp = Timestamp::from_secs(1_795_000_000);

const USER: &str = r#"{"id":"6ea91a8d-e32e-41a1-b7bd-d2d185eed0e0","userPrincipalName":"adams@contoso.com","displayName":"Adams","mail":null,"proxyAddresses":["SMTP:adams@contoso.com"],"accountEnabled":true,"userType":"Member","usageLocation":"NO","onPremisesSyncEnabled":null,"createdDateTime":"2026-01-05T09:00:00Z","deletedDateTime":"2026-11-20T09:00:00Z","assignedLicenses":[{"disabledPlans":[],"skuId":"c7df2760-2c81-4ef7-b578-5b5392b571df"}],"assignedPlans":[{"assignedDateTime":"2026-01-05T09:00:00.1234567Z","capabilityStatus":"Enabled","service":"exchange","servicePlanId":"efb87545-963c-4e0d-99df-69c6916d9eb0"}],"licenseAssignmentStates":[{"skuId":"c7df2760-2c81-4ef7-b578-5b5392b571df","disabledPlans":[],"assignedByGroup":null,"state":"Active","error":"None","lastUpdatedDateTime":"2026-01-05T09:00:00Z"}],"serviceProvisioningErrors":[{"createdDateTime":"2026-01-05T09:00:00Z","isResolved":false,"serviceInstance":"exchange/X"}]}"#;
const SKU: &str = r#"{"id":"a_b","skuId":"c7df2760-2c81-4ef7-b578-5b5392b571df","skuPartNumber":"SPE_E3","appliesTo":"User","capabilityStatus":"Enabled","consumedUnits":14,"prepaidUnits":{"enabled":25,"suspended":0,"warning":0,"lockedOut":0},"servicePlans":[{"servicePlanId":"efb87545-963c-4e0d-99df-69c6916d9eb0","servicePlanName":"EXCHANGE_S_ENTERPRISE","appliesTo":"User"}]}"#;
const AUDIT: &str = r#"{"activityDisplayName":"Change user license","activityDateTime":"2026-11-20T08:02:00.1234567Z","result":"success","initiatedBy":{"app":null,"user":{"userPrincipalName":"a@b"}},"targetResources":[{"id":"c7df2760-2c81-4ef7-b578-5b5392b571df","modifiedProperties":[{"displayName":"AssignedLicense","oldValue":"[\"c7df2760-2c81-4ef7-b578-5b5392b571df\"]","newValue":"[]"}]}]}"#;
const SUBSCRIPTION: &str = r#"{"skuId":"c7df2760-2c81-4ef7-b578-5b5392b571df","skuPartNumber":"SPE_E3","status":"Enabled","totalLicenses":25,"isTrial":false,"nextLifecycleDateTime":"2027-01-05T09:00:00Z"}"#;
const GROUP: &str = r#"{"id":"5d9b1f3a-70c6-4a3e-8c7e-1f9f0c9b2e01","displayName":"G","assignedLicenses":[{"skuId":"c7df2760-2c81-4ef7-b578-5b5392b571df","disabledPlans":[]}],"onPremisesSyncEnabled":null,"groupTypes":["DynamicMembership"]}"#;
const ORGANIZATION: &str = r#"{"id":"9d1c7f3e-3f43-4a52-9a35-0d2c55f1a001","displayName":"Contoso","verifiedDomains":[{"name":"contoso.com"}]}"#;
const ERROR: &str = r#"{"error":{"code":"Request_BadRequest","message":"Subscription with SKU x does not have any available licenses.","innerError":{"date":"2026-11-23T12:00:00","request-id":"r","client-request-id":"c","innerError":{"code":"MailboxNotEnabledForRESTAPI"}},"details":[{"code":"ObjectConflict","message":"m","target":"t"}]}}"#;
const BATCH: &str = r#"{"responses":[{"id":"probe-0","status":200,"headers":{"Retry-After":"2","a":1},"body":{"value":"shared","primaryMailboxId":"MBX:a@b"}},{"id":"PROBE-1","status":429,"headers":{"Retry-After":3},"body":{"error":{"code":"TooManyRequests"}}}]}"#;
const NEXT: &str = r#""@odata.nextLink":"https://graph.microsoft.com/v1.0/users?$skiptoken=a","#;
const DELTA: &str = r#""@odata.deltaLink":"https://graph.microsoft.com/v1.0/users/delta?$deltatoken=a","#;
const REMOVED: &str = r#"{"id":"7e06b566-15f3-4013-8bf8-79874d52e68a","@removed":{"reason":"changed"}}"#;

/// Each call with a body that fits it, and with an error; a header that could matter in front.
pub fn graph_answers() -> Vec<Vec<u8>> {
    let page = |link: &str, item: &str| format!("{{{link}\"value\":[{item}]}}");
    let bodies = [
        page("", ORGANIZATION),
        page(NEXT, USER),
        "\u{feff}12345".to_owned(),
        page(DELTA, &format!("{USER},{REMOVED}")),
        page(DELTA, ""),
        page("", USER),
        USER.to_owned(),
        USER.to_owned(),
        page("", SKU),
        page("", SUBSCRIPTION),
        GROUP.to_owned(),
        page(NEXT, USER),
        "{\"value\":\"shared\"}".to_owned(),
        "{\"primaryMailboxId\":\"MBX:a@b\"}".to_owned(),
        BATCH.to_owned(),
        USER.to_owned(),
        USER.to_owned(),
        String::new(),
        page("", AUDIT),
    ];
    let headers = [
        "2",
        "Bearer realm=\"\", error=\"insufficient_claims\", claims=\"eyJhIjp7fX0=\"",
        "Mon, 23 Nov 2026 12:00:00 GMT",
        "0.9",
    ];
    let mut seeds = Vec::new();
    for (call, body) in (0..CALLS).zip(&bodies) {
        // 200, 401, 429, 503, 400 by their places in the list of statuses.
        for (status, header) in [(0, 2), (7, 1), (14, 0), (17, 0), (6, 3), (10, 6)] {
            let value = headers.get(usize::from(header)).copied().unwrap_or_default();
            let body = if status == 0 { body } else { ERROR };
            seeds.push([&[call, status, header], value.as_bytes(), b"\n", body.as_bytes()].concat());
        }
    }
    seeds
}

pub fn token_answers() -> Vec<Vec<u8>> {
    let bodies = [
        r#"{"token_type":"Bearer","expires_in":3599,"ext_expires_in":3599,"access_token":"eyJhIjoxfQ.eyJyb2xlcyI6WyJVc2VyLlJlYWQuQWxsIl19.c2ln"}"#,
        r#"{"access_token":"a.b.c","expires_in":"3599","expires_on":"1795440000","not_before":"1795435200","token_type":"Bearer"}"#,
        r#"{"access_token":"t","expires_on":1795440000}"#,
        r#"{"access_token":"t","expires_on":"-9223372036854775808"}"#,
        r#"{"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret provided.","error_codes":[7000215],"timestamp":"2026-11-23 12:00:00Z","trace_id":"t","correlation_id":"c"}"#,
        r#"{"error":"temporarily_unavailable","error_description":"AADSTS90033: later","error_codes":["90033"]}"#,
    ];
    let heads: [&[u8]; 4] = [&[0, 0], &[6, 2], &[7, 0], &[14, 0]];
    let one = |head: &[u8], body: &str| [head, b"2\n", body.as_bytes()].concat();
    heads.iter().flat_map(|head| bodies.iter().map(move |body| one(head, body))).collect()
}

pub fn delays() -> Vec<Vec<u8>> {
    let texts = [
        "2",
        "0.249",
        "120",
        "1000000000",
        "-5",
        "1e308",
        "inf",
        "NaN",
        "soon",
        "Mon, 23 Nov 2026 12:00:30 GMT\nMon, 23 Nov 2026 12:00:00 GMT",
        "Fri, 31 Dec 9999 23:59:59 GMT\nThu, 01 Jan 1970 00:00:00 GMT",
        "99999999999999999999",
        "2, 3",
        "",
    ];
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

pub fn links() -> Vec<Vec<u8>> {
    let texts = [
        "https://graph.microsoft.com/v1.0/users?$skiptoken=RFNwdAIAAQ",
        "https://graph.microsoft.com:443/v1.0/users/delta?$deltatoken=",
        "http://127.0.0.1:8443/v1.0/users",
        "https://[::1]:8443/tenants/a/v1.0/users",
        "http://localhost:8443/v1.0/users/a%2eb",
        "https://graph.microsoft.com@evil.example/v1.0/users",
    ];
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// The policies of the case files, good and bad.
pub fn policies() -> Vec<Vec<u8>> {
    let mut files = Vec::new();
    collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/policy"), &mut files);
    files.sort();
    let seeds: Vec<Vec<u8>> = files.iter().map(|file| std::fs::read(file).expect("a case file")).collect();
    assert!(seeds.len() > 50, "the case files have moved");
    seeds
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).expect("a directory of case files") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|ending| ending == "yaml") {
            files.push(path);
        }
    }
}

pub fn settings() -> Vec<Vec<u8>> {
    let full = r#"mode: observe
schedule: "0 */10 * * * *"
full_schedule: "0 30 2 * * *"
state: /var/lib/mailkeeper
control_socket: /run/mailkeeper/control.sock
http: { listen: 127.0.0.1:9464 }
metrics: { mailboxes: 500, upn: false }
log: { format: auto }
tenants:
  - name: contoso
    id: 9d1c7f3e-3f43-4a52-9a35-0d2c55f1a001
    cloud: global
    policy: /etc/mailkeeper/policy.yaml
    auth:
      client_id: 4b2b8a50-0000-4000-8000-3c2f2d6b7f10
      client_secret_file: ${HOME}/secret
    endpoints: { graph: "https://graph.microsoft.com/v1.0", login: "https://login.microsoftonline.com" }
"#;
    let identity = "tenants: [{ name: a, id: 9d1c7f3e-3f43-4a52-9a35-0d2c55f1a001, policy: p, auth: { managed_identity: system } }]\n";
    vec![full.into(), identity.into()]
}

pub fn journals() -> Vec<Vec<u8>> {
    let log = MemoryLog::new();
    let (journal, _) = Journal::open(Box::new(log.clone()), TENANT).expect("a new journal");
    let user = UserId::from_u128(1);
    journal.append(&Entry::Started { version: "1".to_owned() }, AT).expect("memory");
    let outcome = Entry::Outcome {
        step_id: "s".to_owned(),
        user,
        kind: OutcomeKind::Accepted,
        detail: "a line break\nand \"quotes\"".to_owned(),
        request_id: None,
    };
    let clock = Entry::ClockStopped { user, reason: "licensed again".to_owned() };
    journal.append_all(&[outcome, clock, Entry::Stopped], AT).expect("memory");
    let whole = log.bytes();
    let torn = whole[..whole.len() - 40].to_vec();
    vec![whole, torn, Vec::new(), b"\n".to_vec()]
}

pub fn backups() -> Vec<Vec<u8>> {
    let store = TenantStore::new(Arc::new(MemoryKv::new()), TENANT);
    let known = |number| KnownUser {
        user: User::new(UserId::from_u128(number), format!("user{number}@contoso.com")),
        presence: Presence::Live,
        groups: [].into(),
        groups_read: [].into(),
        mailbox: MailboxMemory::default(),
        remembered: None,
        loss: None,
    };
    store.put_users((1..4).map(known)).expect("memory");
    store.put(&Hold { by: "ops".to_owned(), reason: None, since: AT, until: None }).expect("memory");
    let mut bytes = Vec::new();
    backup::export(&store, AT, None, &mut bytes).expect("memory");
    bytes.flush().expect("memory");
    vec![bytes]
}
