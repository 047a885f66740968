//! The settings file as it is written: its keys, for serde and for the JSON Schema. Nothing here is checked yet.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::policy::schema::json_schema;

/// The JSON Schema of the settings file.
pub fn settings_schema() -> serde_json::Value {
    json_schema::<SettingsFile>()
}

/// mailkeeper settings: how to run.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "mailkeeper settings")]
pub struct SettingsFile {
    /// observe (default) plans, reports and alerts, and changes nothing; act also repairs.
    pub mode: Option<ModeFile>,
    /// When to make a pass: cron with seconds, UTC. Default "0 */10 * * * *".
    pub schedule: Option<String>,
    /// When to list everything, whatever the deltas said: cron with seconds, UTC. Default "0 30 2 * * *".
    pub full_schedule: Option<String>,
    /// Absolute path of the state directory. Default /var/lib/mailkeeper.
    pub state: Option<String>,
    /// Unix socket through which commands reach the daemon. Default /run/mailkeeper/control.sock.
    pub control_socket: Option<String>,
    /// The read-only web server: metrics, health, status page.
    pub http: Option<HttpFile>,
    /// What metrics may say.
    pub metrics: Option<MetricsFile>,
    /// Logs.
    pub log: Option<LogFile>,
    /// Who may approve what mailkeeper asks.
    pub approvals: Option<ApprovalsFile>,
    /// The tenants to watch.
    #[schemars(required, length(min = 1))]
    pub tenants: Option<Vec<TenantFile>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ModeFile {
    Observe,
    Act,
}

/// `http`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpFile {
    /// Address and port, or off. Default 127.0.0.1:9464.
    #[schemars(required)]
    pub listen: Option<String>,
}

/// `approvals`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApprovalsFile {
    /// Whoever approves must not be the author or committer of the last change of the policy, where git tells. Denials
    /// are always allowed. Default false.
    pub four_eyes: Option<bool>,
    /// Users of this machine, and the name or address under which git knows them.
    pub people: Option<BTreeMap<String, String>>,
}

/// `metrics`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MetricsFile {
    /// At most so many series of single mailboxes, the most urgent first. Default 500.
    #[schemars(range(min = 0, max = 100_000))]
    pub mailboxes: Option<u32>,
    /// Whether they name the user. Default false.
    pub upn: Option<bool>,
}

/// `log`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LogFile {
    /// auto (default: journald under systemd, text on a terminal), json or text.
    #[schemars(required)]
    pub format: Option<LogFormatFile>,
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogFormatFile {
    Auto,
    Json,
    Text,
}

/// One tenant.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TenantFile {
    /// What metrics and commands call it. Unique.
    #[schemars(required, regex(pattern = r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,62}$"))]
    pub name: Option<String>,
    /// Directory (tenant) id.
    #[schemars(required, extend("format" = "uuid"))]
    pub id: Option<String>,
    /// Which Microsoft cloud. Default global.
    pub cloud: Option<CloudFile>,
    /// auto (default) puts questions about many users into $batch requests, twenty to one; never asks one by one. A
    /// batch holds reads alone, but is a POST: proxies that let only GET through may need never.
    pub batch: Option<BatchFile>,
    /// Policy file, or directory of policy files; relative to this file. ${NAME} takes a variable of the environment.
    #[schemars(required)]
    pub policy: Option<String>,
    /// Who mailkeeper is, and where the proof lies. Never the proof itself.
    #[schemars(required)]
    pub auth: Option<AuthFile>,
    /// Other addresses than the cloud's own. https, or http on loopback.
    pub endpoints: Option<EndpointsFile>,
    /// What is asked beside the observations themselves; each takes a permission of its own.
    pub evidence: Option<EvidenceFile>,
}

/// `evidence`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EvidenceFile {
    /// Ask the audit log who took a licence or deleted an account, and when: AuditLog.Read.All. Default false.
    pub audit_log: Option<bool>,
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CloudFile {
    Global,
    UsGovHigh,
    UsGovDod,
    China,
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BatchFile {
    Auto,
    Never,
}

/// `auth`: a client id and one credential, or managed_identity.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AuthFile {
    /// Application (client) id.
    #[schemars(extend("format" = "uuid"))]
    pub client_id: Option<String>,
    /// File with the client secret. ${NAME} takes a variable of the environment.
    pub client_secret_file: Option<String>,
    /// Environment variable with the client secret.
    pub client_secret_env: Option<String>,
    /// Certificate as PEM; with key_file.
    pub certificate_file: Option<String>,
    /// Private key as PEM; with certificate_file.
    pub key_file: Option<String>,
    /// Token of another issuer, as on Kubernetes.
    pub federated_token_file: Option<String>,
    /// system, or the client id of a user-assigned identity.
    pub managed_identity: Option<String>,
}

/// `endpoints`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EndpointsFile {
    /// Such as `https://graph.microsoft.com/v1.0`
    pub graph: Option<String>,
    /// Such as `https://login.microsoftonline.com`
    pub login: Option<String>,
    /// Certificates (PEM) of those who vouch for these addresses, instead of the system's: for a simulated tenant.
    pub ca_file: Option<String>,
}
