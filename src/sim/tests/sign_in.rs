//! The token endpoint, bearer tokens, and the discovery documents.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use super::*;

const CLIENT: &str = "4b2b8a50-0000-4000-8000-3c2f2d6b7f10";

fn ask(lab: &mut Lab, fields: &[(&str, &str)]) -> Reply {
    let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let url = format!("https://login.microsoftonline.com/{}/oauth2/v2.0/token", lab.tenant.id());
    let request =
        HttpRequest::new(Method::Post, url).with_body("application/x-www-form-urlencoded", form.into_bytes());
    lab.send(request)
}

fn fields<'a>(secret: (&'a str, &'a str)) -> Vec<(&'a str, &'a str)> {
    vec![
        ("client_id", CLIENT),
        ("scope", "https://graph.microsoft.com/.default"),
        ("grant_type", "client_credentials"),
        secret,
    ]
}

#[test]
fn a_secret_buys_a_token_that_works_until_it_expires() {
    let mut lab = Lab::new();
    let reply = ask(&mut lab, &fields(("client_secret", "s3cret")));
    assert_eq!((reply.status, &reply.json["token_type"]), (200, &json!("Bearer")));
    let seconds = reply.json["expires_in"].as_i64().expect("a number");
    assert!((3600..5400).contains(&seconds), "{seconds}");
    lab.token = reply.json["access_token"].as_str().expect("a token").to_owned();
    let claims = lab.token.split('.').nth(1).expect("three parts");
    let claims: Value =
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).expect("base64url")).expect("JSON");
    assert_eq!((&claims["appid"], &claims["idtyp"]), (&json!(CLIENT), &json!("app")));
    assert!(claims["roles"].as_array().expect("roles").contains(&json!("User.Read.All")));
    lab.wait(Span::from_secs(seconds - 1));
    assert_eq!(lab.get("/organization").status, 200);
    lab.wait(Span::from_secs(1));
    let reply = lab.get("/organization");
    assert_eq!((reply.status, reply.code()), (401, "InvalidAuthenticationToken"));
    assert_eq!(reply.message(), "Lifetime validation failed, the token is expired.");
    assert_eq!(lab.tenant.counters().unauthenticated, 1);
}

#[test]
fn an_assertion_is_judged_by_its_shape() {
    let mut lab = Lab::new();
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let tenant = lab.tenant.id();
    let own = format!("https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token");
    let sealed = |header: Value, claims: Value| {
        format!("{}.{}.{}", part(header), part(claims), URL_SAFE_NO_PAD.encode("signed"))
    };
    let assertion = |algorithm: &str, subject: &str, audience: &str, expires_in: i64| {
        let exp = START.as_millis() / 1000 + expires_in;
        let claims = json!({"aud": audience, "iss": subject, "sub": subject, "exp": exp});
        sealed(json!({"alg": algorithm, "typ": "JWT", "x5t#S256": "thumb"}), claims)
    };
    let exp = START.as_millis() / 1000 + 300;
    let foreign = |audience: &str| {
        let claims = json!({"aud": audience, "iss": "https://tokens.example", "sub": "repo:a", "exp": exp});
        sealed(json!({"alg": "RS256"}), claims)
    };
    let unnamed =
        sealed(json!({"alg": "PS256"}), json!({"aud": own, "iss": CLIENT, "sub": CLIENT, "exp": exp}));
    let cases = [
        (assertion("PS256", CLIENT, &own, 300), 200),
        (assertion("RS256", CLIENT, "https://localhost:8443/contoso.com/v2.0", 300), 200),
        (assertion("none", CLIENT, &own, 300), 401),
        (assertion("HS256", CLIENT, &own, 300), 401),
        (assertion("PS256", "someone else", &own, 300), 401),
        (assertion("PS256", CLIENT, &own, -1), 401),
        (assertion("PS256", CLIENT, &own, 2 * 24 * 60 * 60), 401),
        (assertion("PS256", CLIENT, "https://graph.microsoft.com", 300), 401),
        (
            assertion(
                "PS256",
                CLIENT,
                &own.replace(&tenant.to_string(), "11111111-1111-4111-8111-111111111111"),
                300,
            ),
            401,
        ),
        (unnamed, 401),
        (
            sealed(
                json!({"alg": "RS256", "x5t": "t"}),
                json!({"aud": own, "iss": CLIENT, "sub": CLIENT, "exp": exp as f64 + 0.5}),
            ),
            200,
        ),
        (foreign("api://AzureADTokenExchange"), 200),
        (foreign(&own), 401),
        ("nonsense".to_owned(), 401),
    ];
    for (assertion, status) in cases {
        let mut form = fields(("client_assertion", &assertion));
        form.push(("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"));
        assert_eq!(ask(&mut lab, &form).status, status, "{assertion}");
    }
}

#[test]
fn a_certificate_that_comes_along_must_have_signed() {
    use base64::engine::general_purpose::STANDARD;
    use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256};
    use rustls::pki_types::PrivatePkcs8KeyDer;

    let mut lab = Lab::new();
    let document = PrivatePkcs8KeyDer::from(crate::sim::signature::document());
    let key = KeyPair::from_pkcs8_der_and_sign_algo(&document, &PKCS_RSA_SHA256).expect("a key");
    let vouched = |key: &KeyPair| {
        let params = CertificateParams::new(Vec::new()).expect("no names");
        params.self_signed(key).expect("a certificate").der().to_vec()
    };
    let (own, other) = (vouched(&key), vouched(&KeyPair::generate().expect("chance")));
    let print =
        |certificate: &[u8]| URL_SAFE_NO_PAD.encode(ring::digest::digest(&ring::digest::SHA256, certificate));
    let exp = START.as_millis() / 1000 + 300;
    let audience = format!("https://login.microsoftonline.com/{}/oauth2/v2.0/token", lab.tenant.id());
    let claims = json!({"aud": audience, "iss": CLIENT, "sub": CLIENT, "exp": exp});
    let assertion = |named: &[u8], chain: Value| {
        let header = json!({"alg": "RS256", "x5t#S256": print(named), "x5c": chain});
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        crate::sim::signature::signed(&format!("{}.{}", part(&header), part(&claims)))
    };
    let encoded = STANDARD.encode(&own);
    let good = assertion(&own, json!([encoded, STANDARD.encode(&other)]));
    let (front, back) = encoded.split_at(64);
    let broken = format!("{front}\n{back}");
    let (content, _) = good.rsplit_once('.').expect("three parts");
    let forged = format!("{content}.{}", URL_SAFE_NO_PAD.encode([7; 256]));
    for (name, assertion, status) in [
        ("good", good.clone(), 200),
        ("the certificate alone", assertion(&own, json!(STANDARD.encode(&own))), 200),
        ("line breaks", assertion(&own, json!([broken])), 200),
        ("forged", forged, 401),
        ("another key", assertion(&other, json!([STANDARD.encode(&other)])), 401),
        ("another thumbprint", assertion(&other, json!([STANDARD.encode(&own)])), 401),
        ("no certificate", assertion(&own, json!(["bm9uZQ=="])), 401),
        ("an empty chain", assertion(&own, json!([])), 401),
    ] {
        let mut form = fields(("client_assertion", &assertion));
        form.push(("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"));
        assert_eq!(ask(&mut lab, &form).status, status, "{name}");
    }
}

#[test]
fn wrong_requests_get_oauth_errors() {
    let mut lab = Lab::new();
    let without = |name: &str| -> Vec<(&str, &str)> {
        fields(("client_secret", "x")).into_iter().filter(|(field, _)| *field != name).collect()
    };
    let cases = [
        ("client_secret", 401, "invalid_client", 7_000_218),
        ("grant_type", 400, "invalid_request", 900_144),
        ("scope", 400, "invalid_request", 900_144),
        ("client_id", 400, "invalid_request", 900_144),
    ];
    for (missing, status, error, number) in cases {
        let reply = ask(&mut lab, &without(missing));
        assert_eq!((reply.status, &reply.json["error"]), (status, &json!(error)), "{missing}");
        assert_eq!(reply.json["error_codes"], json!([number]));
        assert!(
            reply.json["error_description"].as_str().expect("text").starts_with(&format!("AADSTS{number}: "))
        );
    }
    let with = |name: &str, value: &'static str| -> Vec<(&str, &str)> {
        let changed = |(field, old)| if field == name { (field, value) } else { (field, old) };
        fields(("client_secret", "x")).into_iter().map(changed).collect()
    };
    for (field, value, number) in [
        ("grant_type", "password", 70_003),
        ("scope", "https://graph.microsoft.com/User.Read.All", 1_002_012),
        ("scope", "https://graph.microsoft.com/.default offline_access", 1_002_012),
        ("scope", "https://management.azure.com/.default", 500_011),
        ("client_secret", "", 7_000_218),
    ] {
        let reply = ask(&mut lab, &with(field, value));
        assert_eq!(reply.json["error_codes"], json!([number]), "{value}");
    }
    for scope in ["https://graph.microsoft.us/.default", "00000003-0000-0000-c000-000000000000/.default"] {
        assert_eq!(ask(&mut lab, &with("scope", scope)).status, 200, "{scope}");
    }
}

#[test]
fn a_registered_application_is_checked() {
    let mut options = TenantOptions::new(1);
    options.application.client_id = Some(CLIENT.to_owned());
    options.application.client_secret = Some("right".to_owned());
    let mut lab = Lab::new();
    lab.tenant = Tenant::new(options);
    assert_eq!(ask(&mut lab, &fields(("client_secret", "right"))).status, 200);
    assert_eq!(ask(&mut lab, &fields(("client_secret", "wrong"))).status, 401);
    let mut foreign = fields(("client_secret", "right"));
    foreign[0].1 = "another";
    assert_eq!(ask(&mut lab, &foreign).status, 400);
    let codes = |reply: Reply| reply.json["error_codes"].clone();
    assert_eq!(codes(ask(&mut lab, &foreign)), json!([700_016]));
    assert_eq!(codes(ask(&mut lab, &fields(("client_secret", "wrong")))), json!([7_000_215]));
    // The secret in the header, as OAuth libraries send it by default.
    let header = base64::engine::general_purpose::STANDARD.encode(format!("{CLIENT}:right"));
    let url = format!("https://login.microsoftonline.com/{}/oauth2/v2.0/token", lab.tenant.id());
    let body = b"grant_type=client_credentials&scope=https%3A%2F%2Fgraph.microsoft.com%2F.default";
    for (scheme, status) in [("Basic", 200), ("basic", 200), ("Bearer", 400)] {
        let request = HttpRequest::new(Method::Post, url.clone())
            .with_header("authorization", format!("{scheme} {header}"))
            .with_body("application/x-www-form-urlencoded", body.to_vec());
        assert_eq!(lab.send(request).status, status, "{scheme}");
    }
}

#[test]
fn the_letter_case_of_the_scheme_does_not_count() {
    let mut lab = Lab::new();
    let token = lab.token.clone();
    for (header, status) in [
        (format!("bearer {token}"), 200),
        (format!("BEARER  {token}"), 200),
        (format!("Basic {token}"), 401),
        (token.clone(), 401),
    ] {
        let request = HttpRequest::new(Method::Get, format!("{ROOT}/organization"))
            .with_header("authorization", &*header);
        assert_eq!(lab.send(request).status, status, "{header}");
    }
}

#[test]
fn discovery_has_what_openid_connect_requires() {
    let mut lab = Lab::new();
    let tenant = lab.tenant.id();
    for version in ["/v2.0", ""] {
        let url = format!("http://127.0.0.1:8080/{tenant}{version}/.well-known/openid-configuration");
        let document = lab.send(HttpRequest::new(Method::Get, url)).json;
        assert_eq!(document["subject_types_supported"], json!(["pairwise"]));
        assert_eq!(document["id_token_signing_alg_values_supported"], json!(["RS256"]));
        assert_eq!(document["request_uri_parameter_supported"], json!(false));
        for list in
            ["response_types_supported", "response_modes_supported", "scopes_supported", "claims_supported"]
        {
            assert!(document[list].as_array().is_some_and(|list| !list.is_empty()), "{list}");
        }
        for endpoint in [
            "authorization_endpoint",
            "token_endpoint",
            "device_authorization_endpoint",
            "userinfo_endpoint",
            "end_session_endpoint",
            "jwks_uri",
        ] {
            let address = document[endpoint].as_str().unwrap_or_default();
            assert!(address.starts_with("http://127.0.0.1:8080/"), "{endpoint}: {address}");
        }
    }
}

#[test]
fn no_token_a_foreign_one_and_a_revoked_one_are_refused() {
    let mut lab = Lab::new();
    let reply = lab.send(HttpRequest::new(Method::Get, format!("{ROOT}/users")));
    assert_eq!((reply.status, reply.message()), (401, "Access token is empty."));
    assert!(reply.response.header("www-authenticate").is_some());
    lab.tenant.revoke_tokens();
    assert_eq!(lab.get("/users").code(), "InvalidAuthenticationToken");
}

#[test]
fn a_claims_challenge_is_answered_by_a_token_with_claims() {
    let mut lab = Lab::new();
    lab.tenant.demand_claims();
    let reply = lab.get("/users");
    let challenge = reply.response.header("www-authenticate").expect("a challenge").to_owned();
    assert!(reply.status == 401 && challenge.contains("error=\"insufficient_claims\""), "{challenge}");
    let mut form = fields(("client_secret", "x"));
    form.push(("claims", "{}"));
    lab.token = ask(&mut lab, &form).json["access_token"].as_str().expect("a token").to_owned();
    assert_eq!(lab.get("/users").status, 200);
}

#[test]
fn discovery_points_to_the_same_origin() {
    let mut lab = Lab::new();
    let tenant = lab.tenant.id();
    let mut fetch =
        |path: &str| lab.send(HttpRequest::new(Method::Get, format!("http://127.0.0.1:8080{path}")));
    let configuration = fetch(&format!("/{tenant}/v2.0/.well-known/openid-configuration"));
    assert_eq!(
        configuration.json["token_endpoint"],
        format!("http://127.0.0.1:8080/{tenant}/oauth2/v2.0/token")
    );
    let keys = fetch(&format!("/{tenant}/discovery/v2.0/keys"));
    assert_eq!(keys.json["keys"][0]["kty"], "RSA");
    assert_eq!(fetch("/common/discovery/instance?api-version=1.1").status, 200);
}

#[test]
fn the_tenant_is_found_by_id_and_domain_and_no_other_is() {
    let mut lab = Lab::new();
    let id = lab.tenant.id();
    let mut fetch =
        |path: &str| lab.send(HttpRequest::new(Method::Get, format!("http://127.0.0.1:8080{path}")));
    let issuer = format!("http://127.0.0.1:8080/{id}/v2.0");
    for name in [id.to_string(), "contoso.com".to_owned(), "contoso.onmicrosoft.com".to_owned()] {
        let document = fetch(&format!("/{name}/v2.0/.well-known/openid-configuration"));
        assert_eq!(document.json["issuer"], issuer, "{name}");
    }
    let open = fetch("/organizations/v2.0/.well-known/openid-configuration");
    assert_eq!(open.json["issuer"], "http://127.0.0.1:8080/{tenantid}/v2.0");
    let old = fetch(&format!("/{id}/.well-known/openid-configuration"));
    assert_eq!(old.json["issuer"], format!("https://sts.windows.net/{id}/"));
    let other = fetch("/11111111-1111-4111-8111-111111111111/v2.0/.well-known/openid-configuration");
    assert_eq!((other.status, &other.json["error_codes"]), (400, &json!([90_002])));
    let other = fetch("/nonsense.com/v2.0/.well-known/openid-configuration");
    assert_eq!((other.status, &other.json["error"]), (400, &json!("invalid_tenant")));
    let wrong = fetch(&format!("/{id}/oauth2/v2.0/token"));
    assert_eq!((wrong.status, &wrong.json["error_codes"]), (400, &json!([900_561])));
}

#[test]
fn the_first_version_of_the_endpoint_takes_a_resource_and_answers_in_texts() {
    let mut lab = Lab::new();
    let url = format!("https://login.microsoftonline.com/{}/oauth2/token", lab.tenant.id());
    let body = format!(
        "grant_type=client_credentials&client_id={CLIENT}&client_secret=x&resource=https%3A%2F%2Fgraph.microsoft.com"
    );
    let request =
        HttpRequest::new(Method::Post, url).with_body("application/x-www-form-urlencoded", body.into_bytes());
    let reply = lab.send(request);
    assert_eq!((reply.status, &reply.json["resource"]), (200, &json!("https://graph.microsoft.com")));
    assert!(reply.json["expires_in"].is_string() && reply.json["expires_on"].is_string());
    lab.token = reply.json["access_token"].as_str().expect("a token").to_owned();
    assert_eq!(lab.get("/organization").status, 200);
}

#[test]
fn a_token_verifies_by_the_published_key_and_says_whose_it_is() {
    use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
    let mut lab = Lab::new();
    let keys = format!("https://login.microsoftonline.com/{}/discovery/v2.0/keys", lab.tenant.id());
    let keys = lab.send(HttpRequest::new(Method::Get, keys)).json;
    let part = |text: &str| URL_SAFE_NO_PAD.decode(text).expect("base64url");
    let number = |name: &str| part(keys["keys"][0][name].as_str().expect("a number"));
    let key = RsaPublicKeyComponents { n: number("n"), e: number("e") };
    let (content, signature) = lab.token.rsplit_once('.').expect("three parts");
    let verified =
        |content: &str| key.verify(&RSA_PKCS1_2048_8192_SHA256, content.as_bytes(), &part(signature));
    assert!(verified(content).is_ok() && verified(&format!("{content}x")).is_err());
    let (header, claims) = content.split_once('.').expect("two parts");
    let header: Value = serde_json::from_slice(&part(header)).expect("JSON");
    assert_eq!(header["kid"], keys["keys"][0]["kid"]);
    let claims: Value = serde_json::from_slice(&part(claims)).expect("JSON");
    assert_eq!((&claims["ver"], &claims["oid"]), (&json!("1.0"), &claims["sub"]));
    assert!(claims["app_displayname"].is_string() && claims["oid"].is_string());
}

#[test]
fn answers_of_the_sign_in_endpoints_can_be_traced() {
    let mut lab = Lab::new();
    for (secret, status) in [("s3cret", 200), ("", 401)] {
        let form = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields(("client_secret", secret)))
            .finish();
        let url = format!("https://login.microsoftonline.com/{}/oauth2/v2.0/token", lab.tenant.id());
        let request = HttpRequest::new(Method::Post, url)
            .with_body("application/x-www-form-urlencoded", form.into_bytes())
            .with_header("client-request-id", CLIENT);
        let reply = lab.send(request);
        let header = |name: &str| reply.response.header(name);
        assert_eq!((reply.status, header("client-request-id")), (status, Some(CLIENT)));
        assert_eq!(header("content-type"), Some("application/json; charset=utf-8"));
        assert!(header("x-ms-request-id").is_some());
    }
}
