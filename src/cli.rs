//! The command line: grammar and exit codes. What a command does stands in its file under `commands/`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Keeps Microsoft 365 mailboxes from passing the 30-day limit.
#[derive(Debug, Parser)]
#[command(name = "mailkeeper", version, max_term_width = 100, arg_required_else_help = true)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// Settings file
    #[arg(
        long,
        short,
        global = true,
        env = "MAILKEEPER_CONFIG",
        default_value = "/etc/mailkeeper/mailkeeper.yaml"
    )]
    pub config: PathBuf,

    /// Only this tenant of the settings
    #[arg(long, short, global = true)]
    pub tenant: Option<String>,

    /// How listings are printed
    #[arg(long, short, global = true, value_enum, default_value_t = OutputFormat::Table)]
    pub output: OutputFormat,
}

/// How listings are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// For people
    Table,
    /// One array of objects
    Json,
    /// One object a line
    Ndjson,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the daemon
    Run,
    /// Observe and plan; print what would be done; change nothing
    Plan(PlanArgs),
    /// Make one pass that acts
    Apply(ApplyArgs),
    /// Mailboxes at risk, soonest first
    Status,
    /// Why mailkeeper does what it does for one user
    Explain(ExplainArgs),
    /// What waits for a person
    Asks,
    /// Say yes to what was asked
    Approve(AnswerArgs),
    /// Say no to what was asked
    Deny(AnswerArgs),
    /// Stop acting at once (the big red button)
    Hold(HoldArgs),
    /// Act again after a hold
    Resume,
    /// The journal: what was intended, what came of it, who decided
    History(HistoryArgs),
    /// What came of it: mailboxes kept and lost, for those who pay
    Report(ReportArgs),
    /// Is everything in place? Sign-in, permissions, licences, policy against tenant, state
    Doctor,
    /// Check policy and settings, offline; say what a change of the policy would do
    Check(CheckArgs),
    /// Print a JSON Schema
    Schema(SchemaArgs),
    /// Write the state to a portable file, readable by you alone; an older backup is replaced, another file is not
    Backup(BackupArgs),
    /// Read a backup into an empty state
    RestoreState(BackupArgs),
    /// Serve a simulated tenant on loopback; it prints how to cause an accident there
    Simulate(SimulateArgs),
    /// A month of a simulated tenant in about a minute
    Demo(DemoArgs),
    /// Print shell completions
    Completions(CompletionsArgs),
    /// Print the manual page
    Man,
}

#[derive(Debug, Args)]
pub struct PlanArgs {
    /// Exit with 2 when there are steps
    #[arg(long)]
    pub detailed_exitcode: bool,
}

#[derive(Debug, Args)]
pub struct ApplyArgs {
    /// Act only if the plan still has this digest (or starts with it)
    #[arg(long)]
    pub digest: Option<String>,
}

#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// User principal name, mail address or object id
    pub user: String,
}

#[derive(Debug, Args)]
pub struct AnswerArgs {
    /// Id of the ask, as `mailkeeper asks` shows it
    pub ask: String,
}

#[derive(Debug, Args)]
pub struct HoldArgs {
    /// End the hold by itself after this time: 30m, 4h, 2d
    #[arg(long = "for", value_name = "TIME")]
    pub duration: Option<String>,
    /// Why, for those who find it
    #[arg(default_value = "no reason given")]
    pub reason: String,
}

#[derive(Debug, Args)]
pub struct HistoryArgs {
    /// Only entries about this user
    pub user: Option<String>,
    /// Check the hash chain from the first entry to the last
    #[arg(long)]
    pub verify: bool,
    /// At most so many entries, the newest
    #[arg(long, default_value_t = 100)]
    pub limit: usize,
}

#[derive(Debug, Args)]
pub struct ReportArgs {
    /// How far back: 24h, 30d
    #[arg(long, default_value = "30d", value_name = "TIME")]
    pub since: String,
}

#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Policy files, directories or settings files; default: the settings and what they name
    pub files: Vec<PathBuf>,
    /// How faults are printed
    #[arg(long, value_enum, default_value_t = FaultFormat::Text)]
    pub format: FaultFormat,
    /// Also say what the policy would do: to the users in this backup, or in the `state` of this machine
    #[arg(long, value_name = "BACKUP|state")]
    pub against: Option<PathBuf>,
    /// The policy to compare with; default with `--against state`: the one in force
    #[arg(long, value_name = "POLICY", requires = "against")]
    pub base: Option<PathBuf>,
}

/// How faults are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FaultFormat {
    Text,
    Json,
    /// Workflow commands that GitHub shows beside the line
    Github,
    /// For a comment on a pull request
    Markdown,
}

#[derive(Debug, Args)]
pub struct SchemaArgs {
    #[arg(value_enum)]
    pub document: SchemaDocument,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SchemaDocument {
    Policy,
    Settings,
}

#[derive(Debug, Args)]
pub struct BackupArgs {
    /// The backup, a text file
    pub file: PathBuf,
}

#[derive(Debug, Args)]
pub struct SimulateArgs {
    /// Loopback address to listen on
    #[arg(long, default_value = "127.0.0.1:8443")]
    pub listen: std::net::SocketAddr,
    /// Users in the simulated company
    #[arg(long, default_value_t = 1000)]
    pub users: usize,
    /// The same seed makes the same company and the same accidents
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// No throttling, no stale reads, no lost replies
    #[arg(long)]
    pub polite: bool,
    /// Grant the applications one more permission, such as User.ReadWrite.All for changing users by hand
    #[arg(long, value_name = "PERMISSION")]
    pub grant: Vec<String>,
    /// The only client secret that is taken, instead of any
    #[arg(long, value_name = "SECRET")]
    pub client_secret: Option<String>,
    /// Serve https, and write the certificate of the authority that vouches for it, made anew at each start, into FILE
    #[arg(long, value_name = "FILE")]
    pub tls: Option<PathBuf>,
    /// Write settings, a policy and a secret for the simulated tenant into this directory; files that differ are not
    /// replaced
    #[arg(long)]
    pub write_config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct DemoArgs {
    /// The same seed makes the same company and the same accidents
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Users in the simulated company
    #[arg(long, default_value_t = 3000)]
    pub users: usize,
    /// Virtual days a second, or `max`
    #[arg(long, default_value = "0.6")]
    pub speed: String,
    /// End when the month is over instead of leaving metrics and status page up
    #[arg(long)]
    pub exit: bool,
    /// Where metrics and status page are served meanwhile
    #[arg(long, default_value = "127.0.0.1:9464")]
    pub listen: std::net::SocketAddr,
}

#[derive(Debug, Args)]
pub struct CompletionsArgs {
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// 0
    Done,
    /// 1
    Failed,
    /// 2: there are steps (`plan --detailed-exitcode`)
    Steps,
    /// 64: wrong usage or configuration (BSD `EX_USAGE`)
    Usage,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Steps => 2,
            Exit::Usage => 64,
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_grammar_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
