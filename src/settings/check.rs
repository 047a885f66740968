//! From the written settings to [`Settings`]: defaults, variables, paths, and what contradicts something else.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use url::{Host, Url};

use crate::policy::document::Document;
use crate::policy::fault::Complaint;
use crate::policy::scalar;

use super::environment::{Environment, Unexpanded, expanded, put_in};
use super::schema::{
    ApprovalsFile, AuthFile, BatchFile, CloudFile, EndpointsFile, LogFormatFile, ModeFile, SettingsFile,
    TenantFile,
};
use super::{
    Approvals, Auth, CloudName, Credential, CredentialFile, Endpoints, Evidence, Http, Log, LogFormat,
    Metrics, Mode, Settings, TenantSettings,
};

const DEFAULT_SCHEDULE: &str = "0 */10 * * * *";
const DEFAULT_FULL_SCHEDULE: &str = "0 30 2 * * *";
const DEFAULT_STATE: &str = "/var/lib/mailkeeper";
const DEFAULT_CONTROL_SOCKET: &str = "/run/mailkeeper/control.sock";
const DEFAULT_LISTEN: &str = "127.0.0.1:9464";
/// Enough for every mailbox that a person will look at one by one.
const DEFAULT_MAILBOXES: u32 = 500;

type SettingsDocument<'s> = Document<'s, SettingsFile>;

/// `None` when something that has no default is missing; the fault is reported.
pub fn settings(
    document: &mut SettingsDocument<'_>,
    directory: &Path,
    environment: &dyn Environment,
) -> Option<Settings> {
    let file = document.file.clone();
    let metrics = file.metrics.unwrap_or_default();
    let mut paths = Paths { document, directory, environment };
    let state = paths.absolute("state", file.state.as_deref().unwrap_or(DEFAULT_STATE));
    let control_socket =
        paths.absolute("control_socket", file.control_socket.as_deref().unwrap_or(DEFAULT_CONTROL_SOCKET));
    let written = file.tenants.unwrap_or_default();
    let tenants: Option<Vec<_>> = written
        .iter()
        .enumerate()
        .map(|(index, tenant)| paths.tenant(&format!("tenants[{index}]"), tenant))
        .collect::<Vec<_>>()
        .into_iter()
        .collect();
    tenants_twice(document, &written);
    Some(Settings {
        mode: match file.mode {
            Some(ModeFile::Act) => Mode::Act,
            Some(ModeFile::Observe) | None => Mode::Observe,
        },
        schedule: file.schedule.unwrap_or_else(|| DEFAULT_SCHEDULE.to_owned()),
        full_schedule: file.full_schedule.unwrap_or_else(|| DEFAULT_FULL_SCHEDULE.to_owned()),
        state: state?,
        control_socket: control_socket?,
        http: Http { listen: listen(document, file.http.and_then(|http| http.listen).as_deref()) },
        metrics: Metrics {
            mailboxes: metrics.mailboxes.unwrap_or(DEFAULT_MAILBOXES) as usize,
            upn: metrics.upn.unwrap_or_default(),
        },
        log: Log {
            format: match file.log.and_then(|log| log.format) {
                Some(LogFormatFile::Json) => LogFormat::Json,
                Some(LogFormatFile::Text) => LogFormat::Text,
                Some(LogFormatFile::Auto) | None => LogFormat::Auto,
            },
        },
        approvals: approvals(document, file.approvals.unwrap_or_default()),
        tenants: tenants?,
        warnings: Vec::new(),
    })
}

fn approvals(document: &mut SettingsDocument<'_>, written: ApprovalsFile) -> Approvals {
    let ApprovalsFile { four_eyes, people } = written;
    let (four_eyes, people) = (four_eyes.unwrap_or_default(), people.unwrap_or_default());
    if !people.is_empty() && !four_eyes {
        let complaint =
            Complaint::new("nobody is compared without four_eyes", "write `four_eyes: true` beside it");
        document.warning("approvals.people", "", complaint);
    }
    Approvals { four_eyes, people }
}

fn listen(document: &mut SettingsDocument<'_>, written: Option<&str>) -> Option<SocketAddr> {
    let written = written.unwrap_or(DEFAULT_LISTEN);
    let address: SocketAddr = written.parse().ok()?;
    if !address.ip().is_loopback() {
        let hint = "the status page names mailboxes and has no sign-in: prefer 127.0.0.1 behind a proxy";
        let complaint = Complaint::new(format!("{address} can be reached from other machines"), hint);
        document.warning("http.listen", written, complaint);
    }
    Some(address)
}

fn tenants_twice(document: &mut SettingsDocument<'_>, tenants: &[TenantFile]) {
    let of_all = |read: fn(&TenantFile) -> Option<&String>| tenants.iter().map(read).collect::<Vec<_>>();
    for (key, values) in
        [("name", of_all(|tenant| tenant.name.as_ref())), ("id", of_all(|tenant| tenant.id.as_ref()))]
    {
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        for (index, value) in values.into_iter().enumerate() {
            let Some(value) = value else { continue };
            if let Some(first) = seen.insert(value.to_lowercase(), index) {
                let line = document.place(&format!("tenants[{first}].{key}")).line;
                let complaint = Complaint::new(
                    format!("two tenants have the {key} {value}"),
                    format!("the other stands in line {line}"),
                );
                document.error(&format!("tenants[{index}].{key}"), value, complaint);
            }
        }
    }
}

/// An address of Graph or sign-in: https, or http on loopback; nothing in it but host, port and path.
pub fn endpoint(text: &str) -> Result<Url, Complaint> {
    let hint = "such as https://graph.microsoft.com/v1.0";
    let url =
        Url::parse(text).map_err(|error| Complaint::new(format!("`{text}` is not a URL: {error}"), hint))?;
    let is_loopback = match url.host() {
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Complaint::new("a user name or password inside the URL", "remove it"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(Complaint::new("a query or fragment inside the URL", "end it with the path"));
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback => Ok(url),
        "http" => Err(Complaint::new("plain http to another machine would show tokens to it", "write https")),
        other => Err(Complaint::new(format!("`{other}` is neither https nor http"), hint)),
    }
}

struct Paths<'p, 's> {
    document: &'p mut SettingsDocument<'s>,
    directory: &'p Path,
    environment: &'p dyn Environment,
}

impl Paths<'_, '_> {
    fn tenant(&mut self, path: &str, tenant: &TenantFile) -> Option<TenantSettings> {
        let auth = match &tenant.auth {
            Some(auth) if !self.document.faults.touches(&format!("{path}.auth")) => {
                self.auth(&format!("{path}.auth"), auth)
            }
            Some(_) | None => None,
        };
        let policy = self.optional(&format!("{path}.policy"), tenant.policy.as_deref());
        Some(TenantSettings {
            name: tenant.name.clone()?,
            id: tenant.id.as_deref()?.parse().ok()?,
            cloud: match tenant.cloud {
                Some(CloudFile::UsGovHigh) => CloudName::UsGovHigh,
                Some(CloudFile::UsGovDod) => CloudName::UsGovDod,
                Some(CloudFile::China) => CloudName::China,
                Some(CloudFile::Global) | None => CloudName::Global,
            },
            may_batch: match tenant.batch {
                Some(BatchFile::Never) => false,
                Some(BatchFile::Auto) | None => true,
            },
            policy: policy?,
            auth: auth?,
            endpoints: tenant
                .endpoints
                .as_ref()
                .map(|written| self.endpoints(&format!("{path}.endpoints"), written)),
            evidence: Evidence {
                audit_log: tenant
                    .evidence
                    .as_ref()
                    .and_then(|evidence| evidence.audit_log)
                    .unwrap_or_default(),
            },
        })
    }

    fn endpoints(&mut self, path: &str, written: &EndpointsFile) -> Endpoints {
        let read = |text: &Option<String>| text.as_deref().and_then(|text| endpoint(text).ok());
        let ca_file = self.optional(&format!("{path}.ca_file"), written.ca_file.as_deref());
        if ca_file.is_some() && (written.graph.is_none() || written.login.is_none()) {
            let complaint = Complaint::new(
                "`ca_file` without `graph` and `login`",
                "it vouches for both addresses, and Microsoft's own are vouched for by the system: write both, or leave it out",
            );
            self.document.error(&format!("{path}.ca_file"), "", complaint);
        }
        Endpoints { graph: read(&written.graph), login: read(&written.login), ca_file }
    }

    /// `None` with a fault reported.
    fn auth(&mut self, path: &str, auth: &AuthFile) -> Option<Auth> {
        let credentials = self.credentials(path, auth);
        let hint = "write one of client_secret_file, client_secret_env, certificate_file with key_file, \
                    federated_token_file, managed_identity";
        let complaint = match (credentials.as_slice(), &auth.managed_identity) {
            ([], Some(identity)) if auth.client_id.is_none() => {
                return Some(Auth::ManagedIdentity { client_id: scalar::guid(identity).ok() });
            }
            ([], Some(_)) => Complaint::new(
                "`client_id` beside `managed_identity`",
                "remove it; for a user-assigned identity write its client id as managed_identity",
            ),
            ([credential], None) => match (&auth.client_id, credential) {
                (Some(id), Some(credential)) => {
                    let client_id = scalar::guid(id).ok()?;
                    return Some(Auth::Application { client_id, credential: credential.clone() });
                }
                (Some(_), None) => return None,
                (None, _) => Complaint::new("`client_id` is missing", "write the application (client) id"),
            },
            ([], None) => Complaint::new("no credential", hint),
            _ => Complaint::new("more than one credential", hint),
        };
        self.document.error(path, "", complaint);
        None
    }

    /// Every credential that is written; `None` for one whose path has a fault.
    fn credentials(&mut self, path: &str, auth: &AuthFile) -> Vec<Option<Credential>> {
        let mut found = Vec::new();
        if let Some(file) = &auth.client_secret_file {
            let secret = self.credential(&format!("{path}.client_secret_file"), file);
            found.push(secret.map(Credential::SecretFile));
        }
        if let Some(name) = &auth.client_secret_env {
            found.push(Some(Credential::SecretEnv(name.clone())));
        }
        if let Some(file) = &auth.federated_token_file {
            let token = self.credential(&format!("{path}.federated_token_file"), file);
            found.push(token.map(Credential::FederatedTokenFile));
        }
        match (&auth.certificate_file, &auth.key_file) {
            (Some(certificate), Some(key)) => {
                let certificate = self.credential(&format!("{path}.certificate_file"), certificate);
                let key = self.credential(&format!("{path}.key_file"), key);
                let pair = certificate.zip(key);
                found.push(pair.map(|(certificate, key)| Credential::Certificate { certificate, key }));
            }
            (Some(_), None) => found.push(self.lonely(path, "certificate_file", "key_file")),
            (None, Some(_)) => found.push(self.lonely(path, "key_file", "certificate_file")),
            (None, None) => {}
        }
        found
    }

    /// A variable that is not set is found out by whoever reads the file.
    fn credential(&mut self, path: &str, written: &str) -> Option<CredentialFile> {
        match put_in(written, self.environment) {
            Ok(text) => Some(CredentialFile::At(self.directory.join(text))),
            Err(Unexpanded::Unset(variable)) => {
                Some(CredentialFile::Unset { written: written.to_owned(), variable })
            }
            Err(Unexpanded::Malformed(complaint)) => {
                self.document.error(path, written, complaint);
                None
            }
        }
    }

    fn lonely(&mut self, path: &str, written: &str, missing: &str) -> Option<Credential> {
        let complaint = Complaint::new(format!("`{written}` without `{missing}`"), "write both");
        self.document.error(&format!("{path}.{written}"), "", complaint);
        None
    }

    fn optional(&mut self, path: &str, written: Option<&str>) -> Option<PathBuf> {
        self.expand(path, written?)
    }

    fn absolute(&mut self, path: &str, written: &str) -> Option<PathBuf> {
        let expanded = self.variables(path, written)?;
        if expanded.is_absolute() {
            return Some(expanded);
        }
        let complaint = Complaint::new(
            "not an absolute path",
            "the working directory of a service is not where you think: begin with /",
        );
        self.document.error(path, written, complaint);
        None
    }

    /// Variables put in, relative paths taken from the directory of the settings file.
    fn expand(&mut self, path: &str, written: &str) -> Option<PathBuf> {
        self.variables(path, written).map(|expanded| self.directory.join(expanded))
    }

    fn variables(&mut self, path: &str, written: &str) -> Option<PathBuf> {
        match expanded(written, self.environment) {
            Ok(text) => Some(PathBuf::from(text)),
            Err(complaint) => {
                self.document.error(path, written, complaint);
                None
            }
        }
    }
}
