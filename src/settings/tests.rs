//! Settings as operators write them, well and badly.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::*;
use crate::policy::{Format, render};

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn environment() -> BTreeMap<String, String> {
    BTreeMap::from([("CREDENTIALS_DIRECTORY".to_owned(), "/run/credentials/mailkeeper".to_owned())])
}

fn parsed(text: &str) -> Result<Settings, Vec<Fault>> {
    Settings::parse("mailkeeper.yaml", text, Path::new("/etc/mailkeeper"), &environment())
}

fn good(text: &str) -> Settings {
    parsed(text).unwrap_or_else(|faults| panic!("{}", render(&faults, Format::Text)))
}

const ID: &str = "9d1c7f3e-3f43-4a52-9a35-0d2c55f1a001";
const CLIENT: &str = "client_id: 4b2b8a50-0000-4000-8000-3c2f2d6b7f10";

/// One tenant with these keys in `auth`, and these lines before `tenants`.
fn with(before: &str, auth: &str) -> String {
    format!(
        "{before}\ntenants:\n  - {{ name: contoso, id: {ID}, policy: policy.yaml, auth: {{ {auth} }} }}\n"
    )
}

#[test]
fn the_shipped_settings_are_good_and_observe() {
    let settings = Settings::load(&repository().join("config/mailkeeper.yaml"), &environment())
        .unwrap_or_else(|faults| panic!("{}", render(&faults, Format::Text)));
    assert_eq!(settings.mode, Mode::Observe);
    assert_eq!(settings.warnings, []);
    assert_eq!(settings.http.listen, Some("127.0.0.1:9464".parse().expect("an address")));
    let secret = PathBuf::from("/run/credentials/mailkeeper/contoso-secret");
    let Auth::Application { credential, .. } = &settings.tenants[0].auth else { panic!("an application") };
    assert_eq!(*credential, Credential::SecretFile(CredentialFile::At(secret)));
}

#[test]
fn what_is_not_written_is_careful_and_local() {
    let settings = good(&with("", "managed_identity: system"));
    let expected = Settings {
        mode: Mode::Observe,
        schedule: "0 */10 * * * *".to_owned(),
        full_schedule: "0 30 2 * * *".to_owned(),
        state: PathBuf::from("/var/lib/mailkeeper"),
        control_socket: PathBuf::from("/run/mailkeeper/control.sock"),
        http: Http { listen: Some("127.0.0.1:9464".parse().expect("an address")) },
        metrics: Metrics { mailboxes: 500, upn: false },
        log: Log { format: LogFormat::Auto },
        approvals: Approvals::default(),
        tenants: vec![TenantSettings {
            name: "contoso".to_owned(),
            id: ID.parse().expect("an id"),
            cloud: CloudName::Global,
            may_batch: true,
            policy: PathBuf::from("/etc/mailkeeper/policy.yaml"),
            auth: Auth::ManagedIdentity { client_id: None },
            endpoints: None,
            evidence: Evidence { audit_log: false },
        }],
        warnings: Vec::new(),
    };
    assert_eq!(settings, expected);
}

#[test]
fn the_audit_log_is_asked_only_where_somebody_wants_it() {
    let with = |evidence: &str| {
        let text = with("", "managed_identity: system")
            .replace("policy: policy.yaml", &format!("policy: policy.yaml, {evidence}"));
        good(&text).tenants.remove(0).evidence.audit_log
    };
    assert!(with("evidence: { audit_log: true }"));
    assert!(!with("evidence: { audit_log: false }"));
}

#[test]
fn four_eyes_are_wanted_where_somebody_says_so() {
    let with = |approvals: &str| good(&with(approvals, "managed_identity: system"));
    let approvals = with("approvals: { four_eyes: true, people: { anna: anna@contoso.com } }").approvals;
    assert!(approvals.four_eyes);
    assert_eq!(approvals.people.get("anna").map(String::as_str), Some("anna@contoso.com"));
    let people_alone = with("approvals: { people: { anna: anna@contoso.com } }");
    assert_eq!(people_alone.warnings.len(), 1, "{:?}", people_alone.warnings);
}

#[test]
fn every_way_to_sign_in_is_read() {
    let credential = |auth: &str| match good(&with("", auth)).tenants.remove(0).auth {
        Auth::Application { credential, .. } => credential,
        Auth::ManagedIdentity { .. } => panic!("an application"),
    };
    assert_eq!(
        credential(&format!("{CLIENT}, client_secret_env: CONTOSO_SECRET")),
        Credential::SecretEnv("CONTOSO_SECRET".to_owned())
    );
    assert_eq!(
        credential(&format!(
            "{CLIENT}, certificate_file: \"${{CREDENTIALS_DIRECTORY}}/c.pem\", key_file: /k.pem"
        )),
        Credential::Certificate {
            certificate: CredentialFile::At(PathBuf::from("/run/credentials/mailkeeper/c.pem")),
            key: CredentialFile::At(PathBuf::from("/k.pem"))
        }
    );
    assert_eq!(
        credential(&format!("{CLIENT}, federated_token_file: /var/run/token")),
        Credential::FederatedTokenFile(CredentialFile::At(PathBuf::from("/var/run/token")))
    );
    let identity = good(&with("", "managed_identity: 4b2b8a50-0000-4000-8000-3c2f2d6b7f10"));
    assert!(matches!(identity.tenants[0].auth, Auth::ManagedIdentity { client_id: Some(_) }));
}

/// An operator's shell has no credentials, and need not have any to read the settings.
#[test]
fn a_credential_whose_variable_is_not_set_fails_when_it_is_read() {
    let path = repository().join("config/mailkeeper.yaml");
    let settings = Settings::load(&path, &BTreeMap::new())
        .unwrap_or_else(|faults| panic!("{}", render(&faults, Format::Text)));
    let Auth::Application { credential: Credential::SecretFile(file), .. } = &settings.tenants[0].auth else {
        panic!("a secret file")
    };
    let error = file.path().expect_err("nothing says where it is").to_string();
    assert!(error.starts_with("${CREDENTIALS_DIRECTORY}/contoso-secret cannot be read"), "{error}");
    assert!(error.contains("the variable CREDENTIALS_DIRECTORY is not set here"), "{error}");
}

/// Each text has exactly these faults: `line:column path: message`.
#[test]
fn faults_say_where_and_what() {
    let secret_env = format!("{CLIENT}, client_secret_env: A");
    let tenant = |keys: &str| with("", &secret_env).replace("policy: policy.yaml", keys);
    let cases: &[(String, &[&str])] = &[
        ("mode: observe".to_owned(), &["1:1 : `tenants` is missing"]),
        (with("mode: dry-run", &secret_env), &["1:7 mode: `dry-run` is not one of observe, act"]),
        (
            with("schedule: \"*/10 * * * *\"", &secret_env),
            &["1:11 schedule: `*/10 * * * *` has 5 fields, not six"],
        ),
        (
            with("full_schedule: 0 0 0 31 2 *", &secret_env),
            &["1:16 full_schedule: `0 0 0 31 2 *` never fires"],
        ),
        (with("state: var/lib", &secret_env), &["1:8 state: not an absolute path"]),
        (with("state: ${NOWHERE}/x", &secret_env), &["1:8 state: the variable NOWHERE is not set"]),
        (
            with("http: { listen: 9464 }", &secret_env),
            &["1:17 http.listen: `9464` is not an address with a port"],
        ),
        (
            with("metrics: { mailboxes: -1, upn: no }", &secret_env),
            &[
                "1:23 metrics.mailboxes: -1 is out of range",
                "1:32 metrics.upn: `no` is neither true nor false",
            ],
        ),
        (
            with("log: { level: debug }", &secret_env),
            &["1:8 log.level: unknown key `level`", "1:8 log: `format` is missing"],
        ),
        (with("tenant: []", &secret_env), &["1:1 tenant: unknown key `tenant`"]),
        (with("", ""), &["3:91 tenants[0].auth: an empty map"]),
        (with("", CLIENT), &["3:91 tenants[0].auth: no credential"]),
        (with("", "client_secret_env: A"), &["3:91 tenants[0].auth: `client_id` is missing"]),
        (
            with("", &format!("{CLIENT}, client_secret_env: A, federated_token_file: /t")),
            &["3:91 tenants[0].auth: more than one credential"],
        ),
        (
            with("", &format!("{CLIENT}, managed_identity: system")),
            &["3:91 tenants[0].auth: `client_id` beside `managed_identity`"],
        ),
        (
            with("", &format!("{CLIENT}, key_file: /k")),
            &["3:152 tenants[0].auth.key_file: `key_file` without `certificate_file`"],
        ),
        (
            with("", &format!("{CLIENT}, client_secret_file: \"${{HOME_OF_SECRETS/s\"")),
            &["3:162 tenants[0].auth.client_secret_file: `${` without `}`"],
        ),
        (
            tenant("policy: p, endpoints: { graph: \"http://graph.example\" }"),
            &["3:95 tenants[0].endpoints.graph: plain http to another machine would show tokens to it"],
        ),
        (
            tenant("policy: p, endpoints: { login: \"https://u:p@login.example\" }"),
            &["3:95 tenants[0].endpoints.login: a user name or password inside the URL"],
        ),
        (
            tenant("policy: p, endpoints: { graph: \"https://127.0.0.1:9/v1.0\", ca_file: ca.pem }"),
            &["3:132 tenants[0].endpoints.ca_file: `ca_file` without `graph` and `login`"],
        ),
        (tenant("policy: p, batch: always"), &["3:82 tenants[0].batch: `always` is not one of auto, never"]),
        (
            tenant("policy: p, cloud: germany"),
            &["3:82 tenants[0].cloud: `germany` is not one of global, us-gov-high, us-gov-dod, china"],
        ),
        (
            format!("{0}{1}", with("", &secret_env), with("", &secret_env).replace("\ntenants:\n", "")),
            &[
                "4:13 tenants[1].name: two tenants have the name contoso",
                "4:26 tenants[1].id: two tenants have the id 9d1c7f3e-3f43-4a52-9a35-0d2c55f1a001",
            ],
        ),
        (
            with("", &secret_env).replace("name: contoso", "name: \"con toso\""),
            &["3:13 tenants[0].name: `con toso` cannot be the name of a tenant"],
        ),
    ];
    let mut failures = Vec::new();
    for (text, expected) in cases {
        let found: Vec<String> = match parsed(text) {
            Ok(_) => vec!["accepted".to_owned()],
            Err(faults) => faults
                .iter()
                .map(|fault| format!("{}:{} {}: {}", fault.line, fault.column, fault.path, fault.message))
                .collect(),
        };
        if found != *expected {
            failures.push(format!("{text}\n  found {found:#?}\n  expected {expected:#?}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn a_secret_in_the_file_is_refused_and_never_shown() {
    let secret = "hunter2-Q8~xyz";
    let auths = [
        format!("{CLIENT}, client_secret: {secret}"),
        format!("client_id: broken, secret: \"{secret}\""),
        format!("{CLIENT}, clientSecret: {secret}"),
        format!("client_id: broken, api_key: {secret}"),
        format!("{CLIENT}, client_secret: {secret} ]"),
        format!("{CLIENT}, client_secret: {secret}, client_secret: {secret}"),
        format!("{CLIENT}, client_secret: \"\\x68unter2-Q8~xyz\""),
        format!("{CLIENT}, client_secret_env: \"{secret}\""),
    ];
    for auth in auths {
        let faults = parsed(&with("", &auth)).expect_err("a secret");
        for format in [Format::Text, Format::Json, Format::Github] {
            let text = render(&faults, format);
            assert!(!text.contains(&secret[1..]), "{text}");
        }
    }
    let faults = parsed(&with("", &format!("{CLIENT}, client_secret: {secret}"))).expect_err("a secret");
    assert!(faults[0].hint.contains("client_secret_file"), "{}", faults[0].hint);
}

#[test]
fn plain_http_is_for_loopback() {
    let url = |text: &str| check::endpoint(text).map(String::from).map_err(|complaint| complaint.message);
    for good in [
        "https://graph.microsoft.com/v1.0",
        "http://127.0.0.1:8080/v1.0",
        "http://[::1]:1/",
        "http://localhost:1/",
    ] {
        assert_eq!(url(good).as_deref(), Ok(good));
    }
    for bad in [
        "http://10.0.0.1/",
        "http://127.0.0.1.evil.example/",
        "ftp://127.0.0.1/",
        "graph",
        "https://a/?b",
        "https://a/#b",
    ] {
        assert!(url(bad).is_err(), "{bad}");
    }
}

#[test]
fn other_endpoints_are_read_one_by_one() {
    let endpoints = |written: &str| {
        let text = with("", "managed_identity: system")
            .replace("policy: policy.yaml", &format!("policy: p, endpoints: {written}"));
        good(&text).tenants.remove(0).endpoints.expect("written")
    };
    let both = endpoints(
        "{ graph: \"https://graph.microsoft.com/v1.0\", login: \"https://login.microsoftonline.com\" }",
    );
    assert_eq!(both.graph.map(String::from).as_deref(), Some("https://graph.microsoft.com/v1.0"));
    assert_eq!(both.login.map(String::from).as_deref(), Some("https://login.microsoftonline.com/"));
    let one = endpoints("{ graph: \"http://127.0.0.1:9/v1.0\" }");
    assert!(one.graph.is_some() && one.login.is_none());
    assert_eq!(one.ca_file, None);
    let vouched = endpoints("{ graph: \"https://a.org/v1.0\", login: \"https://a.org\", ca_file: ca.pem }");
    assert!(vouched.ca_file.is_some_and(|file| file.is_absolute() && file.ends_with("ca.pem")));
}

#[test]
fn listening_to_others_is_a_warning_and_off_is_possible() {
    let open = good(&with("http: { listen: \"0.0.0.0:9464\" }", "managed_identity: system"));
    assert_eq!(open.warnings[0].message, "0.0.0.0:9464 can be reached from other machines");
    assert_eq!(good(&with("http: { listen: off }", "managed_identity: system")).http.listen, None);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_settings_never_panic(edits in prop::collection::vec((any::<prop::sample::Index>(), any::<char>()), 1..8)) {
        let mut text: Vec<char> = include_str!("../../config/mailkeeper.yaml").chars().collect();
        for (at, sign) in edits {
            let at = at.index(text.len());
            text[at] = sign;
        }
        let text: String = text.into_iter().collect();
        if let Err(faults) = parsed(&text) {
            prop_assert!(faults.iter().any(Fault::is_error));
        }
    }
}

#[test]
fn the_shipped_schema_is_current() {
    let written =
        std::fs::read_to_string(repository().join("config/mailkeeper.schema.json")).unwrap_or_default();
    let current = serde_json::to_string_pretty(&settings_schema()).expect("serialises") + "\n";
    assert!(written == current, "run: mailkeeper schema settings > config/mailkeeper.schema.json\n{current}");
}

#[test]
fn table_and_types_name_the_same_keys() {
    crate::policy::shape::tests_support::assert_same_keys(&grammar::SETTINGS, &settings_schema());
}
