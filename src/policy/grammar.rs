//! What may stand where in a policy file, as tables for the shape check. The types in `schema` say the same to serde; a
//! test holds the two against each other.

use crate::model::Span;

use super::fault::Complaint;
use super::restore::NamePattern;
use super::scalar;
use super::shape::{Field, Shape};
use super::skus;

/// A policy file.
pub static POLICY: Shape = Shape::Map(&[
    Field::required("version", &VERSION),
    Field::optional("retention", &RETENTION),
    Field::optional("offboarded", &EXCLUSIONS).also_written(&["off_boarded", "leavers", "never"]),
    Field::optional("protected", &EXCLUSIONS),
    Field::optional("keep", &RULES).also_written(&["rules"]),
    Field::optional("limits", &LIMITS),
    Field::optional("unanswered_asks", &UNANSWERED),
]);

static VERSION: Shape = Shape::OneOf { numbers: &[1], hint: "write `version: 1`, the only one there is" };

static RETENTION: Shape = Shape::Map(&[Field::optional("days", &DAYS), Field::optional("margin", &DURATION)]);

static DAYS: Shape = Shape::OneOf {
    numbers: &[30, 60],
    hint: "Microsoft keeps a mailbox for 30 days; 60 only where Delicensing Resiliency is switched on for the tenant",
};

static EXCLUSIONS: Shape = Shape::List(&EXCLUSION);

static EXCLUSION: Shape = Shape::Map(&[
    Field::optional("id", &ID),
    Field::optional("match", &MATCH),
    Field::required("reason", &FILLED).also_written(&["because", "why"]),
]);

static RULES: Shape = Shape::List(&RULE);

static RULE: Shape = Shape::Map(&[
    Field::required("name", &FILLED),
    Field::required("match", &MATCH),
    Field::optional("licenses", &SKUS).also_written(&["licences", "license", "licence", "skus"]),
    Field::optional("assign", &ASSIGN),
    Field::optional("usage_location", &COUNTRY).also_written(&["usageLocation"]),
    Field::optional("on_license_lost", &RESPONSE).also_written(&["on_licence_lost", "on_unlicensed"]),
    Field::optional("on_deleted", &RESPONSE).also_written(&["on_delete"]),
    Field::optional("restore", &RESTORE),
    Field::optional("settle", &DURATION),
    Field::optional("priority", &PRIORITY),
    Field::optional("adopt", &Shape::Flag),
]);

static PRIORITY: Shape =
    Shape::Whole { least: -1000, most: 1000, hint: "write a whole number from -1000 to 1000" };

static SKUS: Shape = Shape::List(&Shape::Text(skus::check));

static ASSIGN: Shape = Shape::WordOr { words: &["direct"], otherwise: &ASSIGN_GROUP };

static ASSIGN_GROUP: Shape = Shape::Map(&[
    Field::required("group", &ID),
    Field::optional(
        "direct",
        &Shape::Refused {
            message: "direct and by a group at once",
            hint: "write `assign: direct`, or `assign: { group: .. }` alone",
            is_secret: false,
        },
    ),
]);

static RESTORE: Shape = Shape::Map(&[
    Field::optional("drop_taken_addresses", &Shape::Flag)
        .also_written(&["autoReconcileProxyConflict", "auto_reconcile_proxy_conflict"]),
    Field::optional("upn_if_taken", &NEW_NAME).also_written(&[
        "newUserPrincipalName",
        "new_user_principal_name",
        "new_upn",
    ]),
]);

static NEW_NAME: Shape = Shape::Text(|text| NamePattern::parse(text).map(drop));

static RESPONSE: Shape = Shape::Choice(&["act", "ask", "report"]);

static UNANSWERED: Shape = Shape::Choice(&["report", "act"]);

static MATCH: Shape = Shape::Map(&[
    Field::optional("id", &IDS).also_written(&["ids", "user"]),
    Field::optional("upn", &PATTERNS).also_written(&["userPrincipalName", "user_principal_name"]),
    Field::optional("mail", &PATTERNS).also_written(&["email", "address"]),
    Field::optional("domain", &PATTERNS),
    Field::optional("department", &PATTERNS),
    Field::optional("company", &PATTERNS).also_written(&["companyName", "company_name"]),
    Field::optional("country", &PATTERNS),
    Field::optional("job_title", &PATTERNS).also_written(&["jobTitle", "title"]),
    Field::optional("employee_type", &PATTERNS).also_written(&["employeeType"]),
    Field::optional("user_type", &USER_TYPES).also_written(&["userType"]),
    Field::optional("account_enabled", &FLAGS).also_written(&["accountEnabled", "enabled"]),
    Field::optional("on_premises_synced", &Shape::Flag).also_written(&["onPremisesSyncEnabled", "synced"]),
    Field::optional("group", &IDS).also_written(&["groups", "member_of"]),
    Field::optional("mailbox", &MAILBOXES).also_written(&["kind", "mailbox_kind"]),
    Field::optional("all", &MATCHES),
    Field::optional("any", &MATCHES),
    Field::optional("not", &MATCH).also_written(&["none"]),
]);

static MATCHES: Shape = Shape::List(&MATCH);
static IDS: Shape = Shape::OneOrMany(&ID);
static ID: Shape = Shape::Text(|text| scalar::guid(text).map(drop));
static PATTERNS: Shape = Shape::OneOrMany(&Shape::Text(scalar::pattern));
static USER_TYPES: Shape = Shape::OneOrMany(&Shape::Choice(&["member", "guest"]));
static FLAGS: Shape = Shape::OneOrMany(&Shape::Flag);
static MAILBOXES: Shape = Shape::OneOrMany(&Shape::Choice(&["user", "shared", "room", "equipment"]));

static LIMITS: Shape = Shape::Map(&[
    Field::optional("per_pass", &COUNT),
    Field::optional("per_day", &COUNT),
    Field::optional("share", &Shape::Text(|text| scalar::share(text).map(drop))),
    Field::optional("floor", &COUNT_OR_NONE),
    Field::optional("policy_age", &AGE),
    Field::optional("seats_reserved", &RESERVES),
]);

static COUNT: Shape = Shape::Whole {
    least: 1,
    most: 1_000_000,
    hint: "write a whole number from 1; to change nothing, set `mode: observe` in the settings or use `mailkeeper hold`",
};

static COUNT_OR_NONE: Shape = Shape::Whole { least: 0, most: 1_000_000, hint: "write a whole number" };

static RESERVES: Shape = Shape::Table { key: skus::check, value: &COUNT_OR_NONE };

static FILLED: Shape = Shape::Text(scalar::filled);
static COUNTRY: Shape = Shape::Text(scalar::country);
static DURATION: Shape = Shape::Text(|text| scalar::duration(text).map(drop));

/// Below a week people approve what they do not read.
static AGE: Shape = Shape::Text(|text| {
    let age = scalar::duration(text)?;
    if age >= Span::from_days(7) {
        return Ok(());
    }
    Err(Complaint::new(format!("a policy of {text} is not old"), "write 7d or more, such as 180d"))
});
