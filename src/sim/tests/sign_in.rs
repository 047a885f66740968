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
    let assertion = |algorithm: &str, subject: &str, expires_in: i64| {
        let claims = json!({
            "aud": "https://login.microsoftonline.com/x/oauth2/v2.0/token", "iss": subject, "sub": subject,
            "exp": START.as_millis() / 1000 + expires_in,
        });
        format!(
            "{}.{}.{}",
            part(json!({"alg": algorithm, "typ": "JWT"})),
            part(claims),
            URL_SAFE_NO_PAD.encode("signed")
        )
    };
    let cases = [
        (assertion("PS256", CLIENT, 300), 200),
        (assertion("none", CLIENT, 300), 401),
        (assertion("PS256", "someone else", 300), 401),
        (assertion("PS256", CLIENT, -1), 401),
        ("nonsense".to_owned(), 401),
    ];
    for (assertion, status) in cases {
        let mut form = fields(("client_assertion", &assertion));
        form.push(("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"));
        assert_eq!(ask(&mut lab, &form).status, status, "{assertion}");
    }
}

#[test]
fn wrong_requests_get_oauth_errors() {
    let mut lab = Lab::new();
    let without = |name: &str| -> Vec<(&str, &str)> {
        fields(("client_secret", "x")).into_iter().filter(|(field, _)| *field != name).collect()
    };
    let cases = [
        ("client_secret", 401, "invalid_client", 7_000_215),
        ("grant_type", 400, "unsupported_grant_type", 70_003),
        ("scope", 400, "invalid_scope", 70_011),
        ("client_id", 400, "unauthorized_client", 700_016),
    ];
    for (missing, status, error, number) in cases {
        let reply = ask(&mut lab, &without(missing));
        assert_eq!((reply.status, &reply.json["error"]), (status, &json!(error)), "{missing}");
        assert_eq!(reply.json["error_codes"], json!([number]));
        assert!(
            reply.json["error_description"].as_str().expect("text").starts_with(&format!("AADSTS{number}: "))
        );
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
    assert_eq!(fetch("/nowhere").status, 404);
}
