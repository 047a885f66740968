//! What may stand where in a settings file, as tables for the shape check. `schema` says the same to serde.

use crate::policy::fault::Complaint;
use crate::policy::scalar;
use crate::policy::shape::{Field, Shape};

use super::{environment, schedule};

/// A settings file.
pub static SETTINGS: Shape = Shape::Map(&[
    Field::optional("mode", &Shape::Choice(&["observe", "act"])),
    Field::optional("schedule", &SCHEDULE),
    Field::optional("full_schedule", &SCHEDULE),
    Field::optional("state", &FILLED),
    Field::optional("control_socket", &FILLED),
    Field::optional("http", &HTTP),
    Field::optional("metrics", &METRICS),
    Field::optional("log", &LOG),
    Field::optional("approvals", &APPROVALS),
    Field::required("tenants", &Shape::List(&TENANT)),
]);

static SCHEDULE: Shape = Shape::Text(schedule::check);
static FILLED: Shape = Shape::Text(scalar::filled);
static ID: Shape = Shape::Text(|text| scalar::guid(text).map(drop));

static HTTP: Shape = Shape::Map(&[Field::required("listen", &LISTEN)]);

static LISTEN: Shape = Shape::Text(|text| match text {
    "off" => Ok(()),
    _ => text.parse::<std::net::SocketAddr>().map(drop).map_err(|_| {
        Complaint::new(
            format!("`{text}` is not an address with a port"),
            "write 127.0.0.1:9464, \"[::1]:9464\", or off",
        )
    }),
});

static METRICS: Shape = Shape::Map(&[
    Field::optional(
        "mailboxes",
        // More series than this cost Prometheus more than they tell a person.
        &Shape::Whole { least: 0, most: 100_000, hint: "write a whole number from 0 to 100000" },
    ),
    Field::optional("upn", &Shape::Flag),
]);

static APPROVALS: Shape = Shape::Map(&[
    Field::optional("four_eyes", &Shape::Flag),
    Field::optional("people", &Shape::Table { key: scalar::filled, value: &FILLED }),
]);

static LOG: Shape = Shape::Map(&[Field::required("format", &Shape::Choice(&["auto", "json", "text"]))]);

static TENANT: Shape = Shape::Map(&[
    Field::required("name", &Shape::Text(label)),
    Field::required("id", &ID).also_written(&["tenant_id"]),
    Field::optional("cloud", &Shape::Choice(&["global", "us-gov-high", "us-gov-dod", "china"])),
    Field::optional("batch", &Shape::Choice(&["auto", "never"])),
    Field::required("policy", &FILLED),
    Field::required("auth", &AUTH),
    Field::optional("endpoints", &ENDPOINTS),
    Field::optional("evidence", &EVIDENCE),
]);

static EVIDENCE: Shape = Shape::Map(&[Field::optional("audit_log", &Shape::Flag)]);

static AUTH: Shape = Shape::Map(&[
    Field::optional("client_id", &ID),
    Field::optional("client_secret_file", &FILLED),
    Field::optional("client_secret_env", &Shape::Discreet(variable)),
    Field::optional("certificate_file", &FILLED),
    Field::optional("key_file", &FILLED),
    Field::optional("federated_token_file", &FILLED),
    Field::optional("managed_identity", &Shape::Text(managed_identity)),
    Field::optional("client_secret", &SECRET),
    Field::optional("secret", &SECRET),
    Field::optional("password", &SECRET),
    Field::optional("certificate", &KEY),
    Field::optional("key", &KEY),
    Field::optional("token", &SECRET),
]);

static SECRET: Shape = secret(
    "put it into a file and write client_secret_file, or into the environment and write client_secret_env; \
     what stood here should be replaced in Entra",
);

static KEY: Shape =
    secret("write certificate_file and key_file; what stood here should be replaced in Entra");

const fn secret(hint: &'static str) -> Shape {
    Shape::Refused { message: "a secret does not belong here", hint, is_secret: true }
}

static ENDPOINTS: Shape = Shape::Map(&[
    Field::optional("graph", &Shape::Text(|text| super::check::endpoint(text).map(drop))),
    Field::optional("login", &Shape::Text(|text| super::check::endpoint(text).map(drop))),
    Field::optional("ca_file", &FILLED),
]);

/// A tenant's name is a metric label, a file name and a command-line argument.
fn label(text: &str) -> Result<(), Complaint> {
    // As long as a DNS label.
    const LONGEST_NAME: usize = 63;
    let is_plain =
        text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
    if !text.is_empty() && text.len() <= LONGEST_NAME && is_plain && !text.starts_with(['.', '-']) {
        return Ok(());
    }
    Err(Complaint::new(
        format!("`{text}` cannot be the name of a tenant"),
        "up to 63 letters, digits, dots, dashes and underscores",
    ))
}

fn variable(text: &str) -> Result<(), Complaint> {
    if environment::is_name(text) {
        return Ok(());
    }
    Err(Complaint::new("not the name of an environment variable", "write the name, never the secret itself"))
}

fn managed_identity(text: &str) -> Result<(), Complaint> {
    if text == "system" {
        return Ok(());
    }
    scalar::guid(text).map(drop).map_err(|complaint| {
        Complaint::new(complaint.message, "write system, or the client id of the user-assigned identity")
    })
}
