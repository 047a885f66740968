//! From settings to the running parts: state, journal, Graph client, reconciler and desk of each tenant.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::{File, read_to_string};
use std::io::BufReader;
use std::path::Path;
use std::sync::Arc;

use secrecy::SecretString;

use crate::cli::{BackupArgs, Exit, Global};
use crate::clock::Clock;
use crate::control::desk::{Desk, Places, SettingsChanged};
use crate::control::four_eyes::FourEyes;
use crate::errors::chain;
use crate::graph::transport::{ReqwestTransport, Transport, TransportOptions};
use crate::graph::{Client, Cloud, Config, RequestObserver, RequestSample, Roots, SignIn};
use crate::policy::{Format, render};
use crate::reconcile::{Parts, PolicyHolder, Reconciler};
use crate::report::metrics::{GraphRequest, Metrics};
use crate::settings::{
    Auth, CloudName, Credential, CredentialFile, Mode, ProcessEnvironment, Settings, TenantSettings,
};
use crate::store::journal::{FileLog, Journal, JournalError};
use crate::store::kv::Kv;
use crate::store::records::{Approvals, Cursor};
use crate::store::shelf::Shelf;
use crate::store::sled::{Opened, SledKv};
use crate::store::{self, TenantStore, backup};

use super::{backups, owner};

/// Reads the settings; prints everything that is wrong with them.
pub fn settings(global: &Global) -> Result<Settings, Exit> {
    match Settings::load(&global.config, &ProcessEnvironment) {
        Ok(settings) => {
            if !settings.warnings.is_empty() {
                eprint!("{}", render(&settings.warnings, Format::Text));
            }
            Ok(settings)
        }
        Err(faults) => {
            eprint!("{}", render(&faults, Format::Text));
            eprintln!("hint: another settings file is named by --config or MAILKEEPER_CONFIG");
            Err(Exit::Usage)
        }
    }
}

/// Compares the settings file with what this process was started with: settings are read at the start only.
pub fn settings_watch(started: &Settings, file: &Path) -> SettingsChanged {
    let (started, file) = (started.clone(), file.to_owned());
    Arc::new(move || {
        let place = file.display();
        let Ok(newest) = Settings::load(&file, &ProcessEnvironment) else {
            return Some(format!(
                "{place} was changed and has faults, the next start would fail: `mailkeeper check {place}` shows them"
            ));
        };
        let keys = started.changed_in(&newest).join(", ");
        (!keys.is_empty()).then(|| {
            format!(
                "{place} was changed ({keys}), and settings are read at the start only: `systemctl restart mailkeeper` \
                 brings them into use"
            )
        })
    })
}

/// Everything that one tenant's loop works with, and the desk beside it.
pub type Member = (Reconciler, Desk);

/// Why the parts could not be put together; the text says what and where.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the state in {directory} is in use by another mailkeeper that does not answer on {socket}")]
    InUse { directory: String, socket: String },
    #[error("{text}")]
    NotOurs { text: String },
    #[error("the state in {directory} cannot be opened: {text}")]
    State { directory: String, text: String },
    #[error("tenant {tenant}: {text}")]
    Tenant { tenant: String, text: String },
}

/// Whether what is opened is to talk to Microsoft. Who only reads the state needs no secret, and is shown none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    Graph,
    StateAlone,
}

/// Opens the state and builds a member for each tenant of the settings.
pub fn members(
    settings: &Settings,
    access: Access,
    clock: &Arc<dyn Clock>,
    metrics: &Metrics,
) -> Result<Vec<Member>, Error> {
    // Before anything is opened.
    let configs = settings.tenants.iter().map(|tenant| {
        graph_config(tenant, access, metrics)
            .map_err(|text| Error::Tenant { tenant: tenant.name.clone(), text })
    });
    let configs = configs.collect::<Result<Vec<Config>, Error>>()?;
    let state = open_state(settings, clock)?;
    // Tenants share connections, but for those whose servers others vouch for.
    let mut transports: BTreeMap<Option<&Path>, Arc<dyn Transport>> = BTreeMap::new();
    for tenant in &settings.tenants {
        let failed = |text: String| Error::Tenant { tenant: tenant.name.clone(), text };
        if let Entry::Vacant(vacant) = transports.entry(authorities(tenant, access)) {
            vacant.insert(transport(authorities(tenant, access)).map_err(failed)?);
        }
    }
    settings
        .tenants
        .iter()
        .zip(configs)
        .map(|(tenant, config)| {
            metrics.introduce(&tenant.name);
            let transport = Arc::clone(&transports[&authorities(tenant, access)]);
            let graph = Client::new(config, transport, Arc::clone(clock));
            member(settings, tenant, &state, graph, clock, metrics)
        })
        .collect()
}

/// The file, where it is needed.
fn authorities(tenant: &TenantSettings, access: Access) -> Option<&Path> {
    match access {
        Access::Graph => tenant.endpoints.as_ref()?.ca_file.as_deref(),
        Access::StateAlone => None,
    }
}

fn transport(authorities: Option<&Path>) -> Result<Arc<dyn Transport>, String> {
    let read = |file: &Path| {
        read_to_string(file).map_err(|error| format!("ca_file {} cannot be read: {error}", file.display()))
    };
    let options =
        TransportOptions { authorities: authorities.map(read).transpose()?, ..TransportOptions::default() };
    let transport = ReqwestTransport::new(options).map_err(|error| match authorities {
        Some(file) => format!("ca_file {}: {}", file.display(), chain(&error)),
        None => chain(&error),
    })?;
    Ok(Arc::new(transport))
}

/// The opened state.
struct State {
    kv: Arc<dyn Kv>,
    /// Whole, but of some time ago: answers of people and the delta link must not be used.
    is_old: bool,
    /// Empty, because the one before could not be opened.
    is_lost: bool,
}

fn open_state(settings: &Settings, clock: &Arc<dyn Clock>) -> Result<State, Error> {
    let directory = settings.state.join("db");
    let path = directory.display().to_string();
    owner::check(&settings.state).map_err(|text| Error::NotOurs { text })?;
    owner::close_to_others(&settings.state);
    match SledKv::open(&directory, clock.now()) {
        Ok((kv, Opened::Good)) => Ok(State { kv: Arc::new(kv), is_old: false, is_lost: false }),
        Ok((kv, Opened::RolledBack { flushes, found })) => {
            tracing::error!(
                flushes,
                found,
                "the state lost its newest part and is used as an old backup would be"
            );
            Ok(State { kv: Arc::new(kv), is_old: true, is_lost: false })
        }
        Ok((kv, Opened::MovedAside { moved_to, reason })) => {
            tracing::error!(
                path = %moved_to.display(),
                reason,
                "the state could not be opened and was moved aside; it is rebuilt from the newest backup and the next \
                 full observation"
            );
            Ok(State { kv: Arc::new(kv), is_old: false, is_lost: true })
        }
        Err(store::Error::InUse { .. }) => {
            Err(Error::InUse { directory: path, socket: settings.control_socket.display().to_string() })
        }
        Err(error) => {
            // The path is named by ours already.
            let text = match &error {
                store::Error::Open { source, .. } => source.to_string(),
                other => chain(other),
            };
            let foreign = owner::foreign(&settings.state).map(|foreign| format!("; {foreign}"));
            Err(Error::State { directory: path, text: text + &foreign.unwrap_or_default() })
        }
    }
}

fn member(
    settings: &Settings,
    tenant: &TenantSettings,
    state: &State,
    graph: Client,
    clock: &Arc<dyn Clock>,
    metrics: &Metrics,
) -> Result<Member, Error> {
    let failed = |text: String| Error::Tenant { tenant: tenant.name.clone(), text };
    let store = TenantStore::new(Arc::clone(&state.kv), tenant.id);
    if state.is_old {
        forget_what_ages(&store).map_err(|error| failed(chain(&error)))?;
    }
    let places = places(settings, &tenant.name);
    let journal = open_journal(&places.journal, tenant).map_err(failed)?;
    // Nobody starts a new tenant with backups of it: somebody or something removed the state.
    let is_removed = store.get::<Cursor>().map_err(|error| failed(chain(&error)))?.is_none()
        && places.shelf.newest().is_some();
    if state.is_lost || is_removed {
        backups::refill(&tenant.name, &places.shelf, &store, &journal, clock.now());
    }
    let parts = Parts {
        name: tenant.name.clone(),
        graph,
        store,
        journal: Arc::new(journal),
        clock: Arc::clone(clock),
        policy: PolicyHolder::new(tenant.policy.clone()),
        may_act: settings.mode == Mode::Act,
        reads_audit_log: tenant.evidence.audit_log,
        metrics: metrics.clone(),
    };
    let (reconciler, desk) = member_of(parts).map_err(|error| failed(chain(&error)))?;
    let people = settings.approvals.people.clone();
    let four_eyes = settings.approvals.four_eyes.then_some(FourEyes { people });
    Ok((reconciler, Desk { places: Some(places), four_eyes, ..desk }))
}

fn places(settings: &Settings, tenant: &str) -> Places {
    Places {
        state: settings.state.join("db"),
        journal: settings.state.join("journal").join(tenant),
        shelf: Shelf::new(settings.state.join("backups"), tenant),
    }
}

/// An old state is good for what was observed, not for what people allowed or where the delta stood.
fn forget_what_ages(store: &TenantStore) -> Result<(), store::Error> {
    let answers = store.get_or_default::<Approvals>()?;
    store.put(&answers.denials())?;
    let cursor = store.get_or_default::<Cursor>()?;
    store.put(&Cursor { delta_link: None, ..cursor })
}

/// A reconciler and the desk that shares its state.
pub fn member_of(parts: Parts) -> Result<Member, store::Error> {
    let (store, journal) = (parts.store.clone(), Arc::clone(&parts.journal));
    let (clock, policy) = (Arc::clone(&parts.clock), parts.policy.clone());
    let (tenant, may_act, graph) = (parts.name.clone(), parts.may_act, parts.graph.clone());
    let reads_audit_log = parts.reads_audit_log;
    let reconciler = Reconciler::new(parts)?;
    let desk = Desk {
        tenant,
        store,
        journal,
        shared: reconciler.shared(),
        policy,
        clock,
        may_act,
        reads_audit_log,
        graph,
        four_eyes: None,
        places: None,
        settings_changed: None,
    };
    Ok((reconciler, desk))
}

/// A journal of another tenant is whole: the settings are wrong, or the state directory is.
fn refused(error: &JournalError, tenant: &TenantSettings) -> String {
    match error {
        JournalError::Broken(bad) => match bad.foreign_tenant() {
            Some(owner) => format!("this state belongs to tenant {owner}, the settings say {}", tenant.id),
            None => chain(error),
        },
        JournalError::Io { .. } | JournalError::Poisoned { .. } | JournalError::TooLarge { .. } => {
            chain(error)
        }
    }
}

fn open_journal(directory: &Path, tenant: &TenantSettings) -> Result<Journal, String> {
    let log = FileLog::open(directory).map_err(|error| chain(&error))?;
    let (journal, recovery) =
        Journal::open(Box::new(log), tenant.id).map_err(|error| refused(&error, tenant))?;
    if let Some(torn) = recovery.torn {
        tracing::warn!(
            tenant = tenant.name,
            ?torn,
            "the journal ended in a torn line, which was cut off and kept aside"
        );
    }
    Ok(journal)
}

fn graph_config(tenant: &TenantSettings, access: Access, metrics: &Metrics) -> Result<Config, String> {
    let cloud = match tenant.cloud {
        CloudName::Global => Cloud::Global,
        CloudName::UsGovHigh => Cloud::UsGovHigh,
        CloudName::UsGovDod => Cloud::UsGovDod,
        CloudName::China => Cloud::China,
    };
    let mut roots: Roots = cloud.roots();
    if let Some(endpoints) = &tenant.endpoints {
        let graph = endpoints.graph.as_ref().map_or_else(|| roots.graph().to_string(), ToString::to_string);
        let login = endpoints.login.as_ref().map_or_else(|| roots.login().to_string(), ToString::to_string);
        roots = roots.with_endpoints(&graph, &login).map_err(|error| chain(&error))?;
    }
    let sign_in = match access {
        Access::Graph => sign_in(&tenant.auth)?,
        Access::StateAlone => SignIn::Never,
    };
    let observer = MetricsObserver { tenant: tenant.name.clone(), metrics: metrics.clone() };
    Ok(Config {
        id_seed: uuid::Uuid::new_v4(),
        has_batch: tenant.may_batch,
        observer: Arc::new(observer),
        ..Config::new(tenant.id, roots, sign_in)
    })
}

fn sign_in(auth: &Auth) -> Result<SignIn, String> {
    let (client_id, credential) = match auth {
        Auth::ManagedIdentity { client_id } => {
            return Ok(SignIn::ManagedIdentity {
                client_id: client_id.map(|id| id.to_string()),
                endpoint: None,
            });
        }
        Auth::Application { client_id, credential } => (client_id.to_string(), credential),
    };
    Ok(match credential {
        Credential::SecretFile(path) => SignIn::ClientSecret { client_id, secret: secret_file(path)? },
        Credential::SecretEnv(name) => {
            let secret =
                std::env::var(name).map_err(|_| format!("the environment variable {name} is not set"))?;
            SignIn::ClientSecret { client_id, secret: SecretString::from(secret.trim().to_owned()) }
        }
        Credential::Certificate { certificate, key } => SignIn::Certificate {
            client_id,
            certificate_pem: text_file(certificate)?,
            key_pem: SecretString::from(text_file(key)?),
        },
        Credential::FederatedTokenFile(path) => {
            let path = path.path().map_err(|error| error.to_string())?;
            SignIn::FederatedToken { client_id, token_file: path.to_owned() }
        }
    })
}

fn secret_file(file: &CredentialFile) -> Result<SecretString, String> {
    let text = text_file(file)?;
    let secret = text.trim();
    if secret.is_empty() {
        let path = file.path().map(|path| path.display().to_string()).unwrap_or_default();
        return Err(format!("the secret file {path} is empty"));
    }
    Ok(SecretString::from(secret.to_owned()))
}

fn text_file(file: &CredentialFile) -> Result<String, String> {
    let path = file.path().map_err(|error| error.to_string())?;
    read_to_string(path).map_err(|error| format!("{} cannot be read: {error}", path.display()))
}

/// Counts Graph requests.
pub struct MetricsObserver {
    pub tenant: String,
    pub metrics: Metrics,
}

impl RequestObserver for MetricsObserver {
    fn observed(&self, sample: &RequestSample) {
        let request = GraphRequest {
            endpoint: sample.endpoint.label(),
            status: sample.status,
            duration: sample.duration,
            resource_units: u64::from(sample.resource_units),
            is_throttled: sample.is_throttled,
        };
        self.metrics.graph_request(&self.tenant, request);
    }
}

/// `mailkeeper restore-state`: a backup into the state of its tenant, which must be empty.
pub fn restore_state(global: &Global, arguments: &BackupArgs) -> Exit {
    match try_restore(global, arguments) {
        Ok(message) => {
            println!("{message}");
            Exit::Done
        }
        Err(exit) => exit,
    }
}

fn try_restore(global: &Global, arguments: &BackupArgs) -> Result<String, Exit> {
    let settings = settings(global)?;
    let failed = |text: String| {
        eprintln!("mailkeeper: {text}");
        Exit::Failed
    };
    let clock: Arc<dyn Clock> = Arc::new(crate::clock::SystemClock::new());
    let opened = open_state(&settings, &clock);
    let State { kv, .. } = opened.map_err(|error| match error {
        Error::InUse { directory, .. } => failed(format!(
            "the state in {directory} is in use: stop the daemon first (systemctl stop mailkeeper), and start it afterwards"
        )),
        Error::NotOurs { .. } | Error::State { .. } | Error::Tenant { .. } => failed(chain(&error)),
    })?;
    let file = File::open(&arguments.file)
        .map_err(|error| failed(format!("{} cannot be read: {error}", arguments.file.display())))?;
    let tenant =
        settings.tenants.iter().find(|tenant| global.tenant.as_ref().is_none_or(|name| *name == tenant.name));
    let Some(tenant) = tenant else { return Err(failed("no such tenant in the settings".to_owned())) };
    let store = TenantStore::new(kv, tenant.id);
    if store.count_users().map_err(|error| failed(chain(&error)))? > 0 {
        return Err(failed(format!(
            "the state of {} is not empty; move {} aside first",
            tenant.name,
            settings.state.display()
        )));
    }
    backup::import(&store, &mut BufReader::new(file)).map_err(|error| failed(chain(&error)))?;
    store.flush().map_err(|error| failed(chain(&error)))?;
    Ok(format!(
        "restored the state of {} from {}; the next start reads what happened since from the journal, where there is \
         one, and observes everybody",
        tenant.name,
        arguments.file.display()
    ))
}
