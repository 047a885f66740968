//! A place to run the real binary in: a simulated tenant on loopback, and a directory with settings, policy, secret and
//! state. The test plays the administrator through [`Site::tenant`] and judges by what the tenant received.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;

use mailkeeper::clock::{Clock, SystemClock};
use mailkeeper::graph::transport::{HttpRequest, HttpResponse};
use mailkeeper::model::{Timestamp, UserId};
use mailkeeper::sim::faults::Faults;
use mailkeeper::sim::network::SimTransport;
use mailkeeper::sim::scenario::{Company, Role, products};
use mailkeeper::sim::serve::serve;
use mailkeeper::sim::tenant::{Tenant, TenantOptions};
use mailkeeper::sim::truth::WriteRecord;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use crate::stand_in::StandIn;
use crate::wait::LONG;

/// Enough that every role occurs several times and a listing is not trivial.
const USERS: usize = 150;

/// Serves the simulated tenants of all tests.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime can be built"));

/// One tenant and one mailkeeper directory.
pub struct Site {
    directory: TempDir,
    pub company: Company,
    tenant: Arc<Mutex<Tenant>>,
    faults: Arc<Mutex<Faults>>,
    origin: String,
    _server: Server,
    /// The test takes permissions away.
    may_be_denied: Cell<bool>,
}

/// The least permissions were enough.
impl Drop for Site {
    fn drop(&mut self) {
        if !thread::panicking() && !self.may_be_denied.get() {
            let counters = self.tenant().counters().clone();
            assert_eq!(counters.denied, 0, "denied for want of a permission: {counters:?}");
        }
    }
}

/// Ends with the site.
enum Server {
    Simulation { _stop: oneshot::Sender<()> },
    StandIn { _listener: StandIn },
}

/// What a finished command left.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// So that a failure shows what was printed.
impl fmt::Display for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exit {:?}\n{}\n{}", self.code, self.stdout, self.stderr)
    }
}

impl Site {
    /// A polite tenant behind `mailkeeper::sim::serve`, and `mode: act`.
    pub fn new() -> Self {
        let (company, tenant) = found();
        let tenant = Arc::new(Mutex::new(tenant));
        let faults = Arc::new(Mutex::new(Faults::none()));
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let transport = SimTransport::shared(Arc::clone(&tenant), clock, Arc::clone(&faults));
        let listener = RUNTIME.block_on(TcpListener::bind("127.0.0.1:0")).expect("loopback has a free port");
        let origin = format!("http://{}", listener.local_addr().expect("it is bound"));
        let (stop, stopped) = oneshot::channel();
        RUNTIME.spawn(serve(listener, None, transport, async {
            let _ = stopped.await;
        }));
        Self::furnished(company, tenant, faults, origin, Server::Simulation { _stop: stop })
    }

    /// The same tenant, but `answer` stands before it and may say something else.
    pub fn behind(
        answer: impl Fn(&mut Tenant, Timestamp, HttpRequest) -> HttpResponse + Send + Sync + 'static,
    ) -> Self {
        let (company, tenant) = found();
        let tenant = Arc::new(Mutex::new(tenant));
        let answering = Arc::clone(&tenant);
        let listener = StandIn::start(move |request| answer(&mut lock(&answering), now(), request));
        let origin = listener.origin();
        let faults = Arc::new(Mutex::new(Faults::none()));
        Self::furnished(company, tenant, faults, origin, Server::StandIn { _listener: listener })
    }

    fn furnished(
        company: Company,
        tenant: Arc<Mutex<Tenant>>,
        faults: Arc<Mutex<Faults>>,
        origin: String,
        server: Server,
    ) -> Self {
        let directory = TempDir::new().expect("a temporary directory can be made");
        let site = Self {
            directory,
            company,
            tenant,
            faults,
            origin,
            _server: server,
            may_be_denied: Cell::new(false),
        };
        fs::write(site.path("secret"), "simulated\n").expect("the directory is writable");
        site.set_policy(&site.policy());
        site.set_mode("act");
        site
    }

    /// A site whose tenant was observed once, with everybody healthy.
    pub fn observed() -> Self {
        Self::new().with_observation()
    }

    pub fn with_observation(self) -> Self {
        let ran = self.run(&["plan", "--detailed-exitcode"]);
        assert_eq!(ran.code, Some(0), "a healthy tenant needs no step: {ran}");
        self
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Do not hold it across a command.
    pub fn tenant(&self) -> MutexGuard<'_, Tenant> {
        lock(&self.tenant)
    }

    /// Leaves the application only these permissions: from here on it may be denied something.
    pub fn leave_permissions(&self, roles: &[&str]) {
        self.may_be_denied.set(true);
        self.tenant().set_roles(roles);
    }

    pub fn faults(&self) -> MutexGuard<'_, Faults> {
        lock(&self.faults)
    }

    /// The policy that these tests start from: what stands still for one observation is acted on.
    pub fn policy(&self) -> String {
        let administrators = self.company.administrators;
        format!(
            r#"version: 1
offboarded:
  - match: {{ employee_type: leaver }}
    reason: leavers are released by HR
protected:
  - match: {{ group: {administrators} }}
    reason: holders of directory roles
keep:
  - name: shared mailboxes
    match: {{ mailbox: [shared, room] }}
    on_deleted: act
    settle: 0s
  - name: staff
    match: {{ user_type: member, mail: "*@contoso.com" }}
    licenses: [SPE_E3, EXCHANGESTANDARD]
    on_license_lost: act
    on_deleted: act
    settle: 0s
limits: {{ per_pass: 25, per_day: 100, share: 50%, floor: 20 }}
"#
        )
    }

    /// Replaces the file in one move, as `git checkout` does.
    pub fn set_policy(&self, text: &str) {
        let fresh = self.path("policy.new");
        let mut file = fs::File::create(&fresh).expect("the directory is writable");
        file.write_all(text.as_bytes()).expect("the directory is writable");
        fs::rename(fresh, self.path("policy.yaml")).expect("the directory is writable");
    }

    /// `observe` or `act`. Passes come when they are asked for: the schedule fires on New Year's Day.
    pub fn set_mode(&self, mode: &str) {
        let (origin, tenant, here) = (&self.origin, self.tenant().id(), self.directory.path().display());
        let text = format!(
            r#"mode: {mode}
schedule: "0 0 0 1 1 *"
full_schedule: "0 0 0 1 1 *"
state: {here}/state
control_socket: {here}/control.sock
http: {{ listen: 127.0.0.1:0 }}
log: {{ format: json }}
tenants:
  - name: contoso
    id: {tenant}
    policy: {here}/policy.yaml
    auth:
      client_id: 4b2b8a50-0000-4000-8000-3c2f2d6b7f10
      client_secret_file: {here}/secret
    endpoints: {{ graph: "{origin}/v1.0", login: "{origin}" }}
"#
        );
        fs::write(self.path("mailkeeper.yaml"), text).expect("the directory is writable");
    }

    /// A command with the settings of this site, to its end.
    pub fn run(&self, arguments: &[&str]) -> Ran {
        let mut command = binary();
        command.arg("--config").arg(self.path("mailkeeper.yaml")).args(arguments);
        run(command)
    }

    /// Takes the direct licences of the first `count` of the staff; who they are.
    pub fn unlicense(&self, count: usize) -> Vec<UserId> {
        let users: Vec<UserId> = self.staff().take(count).collect();
        let mut tenant = self.tenant();
        for user in &users {
            tenant.remove_licence(now(), *user, products::SPE_E3).expect("the licence is held directly");
        }
        users
    }

    /// People with a direct licence whom the policy keeps.
    pub fn staff(&self) -> impl Iterator<Item = UserId> {
        self.company.of(Role::Staff).map(|person| person.id)
    }

    /// Who got a licence from mailkeeper.
    ///
    /// # Panics
    /// When somebody got two, one was refused, or anything else was changed.
    pub fn licensed(&self) -> BTreeSet<UserId> {
        let mut users = BTreeSet::new();
        for write in self.writes() {
            assert_eq!((write.operation, write.applied), ("assign license", true), "{write:?}");
            assert!(users.insert(write.user.expect("a licence is assigned to a user")), "twice: {write:?}");
        }
        users
    }

    /// Every state-changing request that the tenant received, in order.
    pub fn writes(&self) -> Vec<WriteRecord> {
        self.tenant().writes().to_vec()
    }
}

/// The binary under test, without anything that the surroundings would add.
pub fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mailkeeper"));
    for name in ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "JOURNAL_STREAM", "MAILKEEPER_LOG"] {
        command.env_remove(name);
    }
    command.env_remove("MAILKEEPER_CONFIG").stdin(Stdio::null());
    command
}

/// Runs to the end.
///
/// # Panics
/// When the command hangs.
pub fn run(mut command: Command) -> Ran {
    let shown = format!("{command:?}");
    let (finished, wait) = mpsc::channel();
    thread::spawn(move || finished.send(command.output()));
    let output = wait.recv_timeout(LONG).unwrap_or_else(|_| panic!("hangs: {shown}"));
    let output = output.unwrap_or_else(|error| panic!("{shown}: {error}"));
    let text = |bytes| String::from_utf8(bytes).expect("the output is UTF-8");
    Ran { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// Where the files of the repository lie.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub fn now() -> Timestamp {
    SystemClock::new().now()
}

fn found() -> (Company, Tenant) {
    let company = Company::build(USERS, 7);
    let mut tenant = Tenant::new(TenantOptions::new(7));
    company.move_in(&mut tenant, now());
    (company, tenant)
}

/// A failed assertion of another thread must not hide behind a poisoned lock.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
