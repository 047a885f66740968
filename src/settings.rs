//! How to run: `mailkeeper.yaml`. Read whole and checked before anything is opened; all faults at once, with places,
//! like a policy. Holds no secrets: it says where they are.

mod changes;
mod check;
mod environment;
mod grammar;
mod schedule;
mod schema;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use url::Url;
use uuid::Uuid;

use crate::model::TenantId;
use crate::policy::Fault;
use crate::policy::document::Document;
use crate::policy::fault::Source;
use crate::policy::source::read_file;

pub use environment::{Environment, ProcessEnvironment};
pub use schedule::check as check_schedule;
pub use schema::settings_schema;

/// How to run. Valid by construction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    pub mode: Mode,
    /// Cron with seconds, UTC: when to make a pass.
    pub schedule: String,
    /// Cron with seconds, UTC: when to list everything, whatever the deltas said.
    pub full_schedule: String,
    /// Absolute; the state directory.
    pub state: PathBuf,
    pub control_socket: PathBuf,
    pub http: Http,
    pub metrics: Metrics,
    pub log: Log,
    pub approvals: Approvals,
    /// At least one; names and ids are unique.
    pub tenants: Vec<TenantSettings>,
    /// What is legal and still deserves a look, such as listening on a public address.
    pub warnings: Vec<Fault>,
}

/// Whether anything may be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Plans, reports and alerts; changes nothing. The default.
    Observe,
    Act,
}

/// The read-only web server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Http {
    /// `None`: no web server (`listen: off`).
    pub listen: Option<SocketAddr>,
}

/// What metrics may say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metrics {
    /// At most so many series of single mailboxes, the most urgent first.
    pub mailboxes: usize,
    /// Whether they name the user.
    pub upn: bool,
}

/// Who may approve.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Approvals {
    /// Not who changed the policy last, where git tells.
    pub four_eyes: bool,
    /// Users of this machine, and the name or address under which git knows them.
    pub people: BTreeMap<String, String>,
}

/// Logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Log {
    pub format: LogFormat,
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// journald under systemd, text on a terminal.
    Auto,
    Json,
    Text,
}

/// One Microsoft Entra tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantSettings {
    pub name: String,
    pub id: TenantId,
    pub cloud: CloudName,
    /// Whether questions about many users may go out as `$batch`.
    pub may_batch: bool,
    /// A file or a directory; relative to the settings file.
    pub policy: PathBuf,
    pub auth: Auth,
    /// Instead of the cloud's own ones.
    pub endpoints: Option<Endpoints>,
    pub evidence: Evidence,
}

/// What is asked beside the observations themselves; each takes a permission of its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Evidence {
    /// Who took a licence or deleted an account, and when.
    pub audit_log: bool,
}

/// Which Microsoft cloud (Graph: national cloud deployments).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloudName {
    Global,
    UsGovHigh,
    UsGovDod,
    China,
}

/// Who mailkeeper is, and how it proves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Auth {
    /// An application with a client id.
    Application { client_id: Uuid, credential: Credential },
    /// The identity of the Azure machine; `None` is the system-assigned one.
    ManagedIdentity { client_id: Option<Uuid> },
}

/// Where the proof is. Never the proof itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    SecretFile(CredentialFile),
    /// Name of an environment variable.
    SecretEnv(String),
    /// PEM files.
    Certificate {
        certificate: CredentialFile,
        key: CredentialFile,
    },
    /// A token of another issuer, as on Kubernetes.
    FederatedTokenFile(CredentialFile),
}

/// A file that is read to sign in. systemd tells the daemon alone where it is, and whoever asks the daemon or only
/// reads the state needs none, so that a variable which is not set is a fault of the reading, not of the settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CredentialFile {
    At(PathBuf),
    /// The path as it is written, and the variable in it that this process does not have.
    Unset {
        written: String,
        variable: String,
    },
}

/// A credential whose path needs a variable that is not set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{written} cannot be read to sign in: the variable {variable} is not set here; the daemon gets it from its unit, a \
     shell does not: start the daemon and ask again, or set {variable} to the directory of the secrets"
)]
pub struct UnsetVariable {
    written: String,
    variable: String,
}

impl CredentialFile {
    /// Where to read.
    ///
    /// # Errors
    /// A variable of the path is not set.
    pub fn path(&self) -> Result<&Path, UnsetVariable> {
        match self {
            Self::At(path) => Ok(path),
            Self::Unset { written, variable } => {
                Err(UnsetVariable { written: written.clone(), variable: variable.clone() })
            }
        }
    }
}

/// Where Graph and sign-in are reached; `None` is the cloud's own address. https, or http on loopback.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoints {
    pub graph: Option<Url>,
    pub login: Option<Url>,
    /// Certificates (PEM) of those who vouch for these addresses, instead of the system's.
    pub ca_file: Option<PathBuf>,
}

impl Settings {
    /// Reads the file; paths inside are relative to its directory.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn load(path: &Path, environment: &dyn Environment) -> Result<Self, Vec<Fault>> {
        let source = read_file(path)?;
        let directory = path.parent().unwrap_or(Path::new("."));
        Self::read(&source, directory, environment)
    }

    /// Reads a text; relative paths are taken from `directory`.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(
        name: &str,
        text: &str,
        directory: &Path,
        environment: &dyn Environment,
    ) -> Result<Self, Vec<Fault>> {
        let source = Source { name: name.to_owned(), text: text.to_owned() };
        Self::read(&source, directory, environment)
    }

    fn read(source: &Source, directory: &Path, environment: &dyn Environment) -> Result<Self, Vec<Fault>> {
        let mut document: Document<'_, schema::SettingsFile> = Document::read(source, &grammar::SETTINGS);
        let settings = check::settings(&mut document, directory, environment);
        let faults = document.faults.into_list();
        match settings {
            Some(settings) if !faults.iter().any(Fault::is_error) => {
                Ok(Self { warnings: faults, ..settings })
            }
            Some(_) | None => Err(faults),
        }
    }
}
