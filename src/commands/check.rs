//! `mailkeeper check`: policies and settings, offline, for git hooks and pull requests; with `--against`, what a
//! policy would do to the users that are known.

mod against;

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufReader, Cursor};
use std::path::{Path, PathBuf};

use crate::cli::{CheckArgs, Exit, FaultFormat, Global};
use crate::control::{Answer, Question};
use crate::errors::chain;
use crate::policy::fault::Fault;
use crate::policy::{Format, Policy, render, source};
use crate::report::impact::Impact;
use crate::report::words;
use crate::settings::{ProcessEnvironment, Settings};
use crate::store;

use super::session;
use against::{Named, compare, in_force};

/// `--against state`: what this machine knows, through the daemon where one runs.
const LOCAL_STATE: &str = "state";

/// Checks the named files, else the settings and every policy that they name.
pub async fn check(global: &Global, arguments: &CheckArgs) -> Exit {
    let mut report = Report::default();
    if arguments.files.is_empty() {
        report.settings_and_policies(&global.config);
    } else {
        arguments.files.iter().for_each(|file| report.file(file));
    }
    let errors = report.faults.iter().filter(|fault| fault.is_error()).count();
    let warnings = report.faults.len() - errors;
    let impact = match &arguments.against {
        Some(against) if errors == 0 => match impact(global, arguments, against, &report).await {
            Ok(impact) => Some(impact),
            Err(exit) => return exit,
        },
        Some(_) | None => None,
    };
    print!("{}", rendered(&report.faults, impact.as_ref(), arguments));
    let [errors_said, warnings_said] = [(errors, "error", "errors"), (warnings, "warning", "warnings")]
        .map(|(count, one, many)| words::how_many(count as u64, one, many));
    eprintln!("checked {}: {errors_said}, {warnings_said}", names(&report.checked));
    if errors == 0 { Exit::Done } else { Exit::Usage }
}

fn rendered(faults: &[Fault], impact: Option<&Impact>, arguments: &CheckArgs) -> String {
    match arguments.format {
        FaultFormat::Text => render(faults, Format::Text) + &spaced(faults, impact.map(Impact::to_text)),
        FaultFormat::Github => {
            render(faults, Format::Github) + &impact.map(Impact::to_text).unwrap_or_default()
        }
        FaultFormat::Markdown => faults_markdown(faults) + &spaced(faults, impact.map(Impact::to_markdown)),
        // A list of faults as it always was, unless more is asked for.
        FaultFormat::Json if arguments.against.is_none() => render(faults, Format::Json),
        FaultFormat::Json => {
            let document = serde_json::json!({ "faults": faults, "impact": impact });
            format!("{}\n", serde_json::to_string_pretty(&document).expect("documents are plain data"))
        }
    }
}

fn spaced(faults: &[Fault], text: Option<String>) -> String {
    let space = if faults.is_empty() { "" } else { "\n" };
    text.map(|text| format!("{space}{text}")).unwrap_or_default()
}

fn faults_markdown(faults: &[Fault]) -> String {
    let mut text = String::new();
    for fault in faults {
        let place = if fault.line == 0 { String::new() } else { format!(":{}:{}", fault.line, fault.column) };
        let [file, message, hint] =
            [&fault.file, &fault.message, &fault.hint].map(|text| words::one_line(text).replace('`', "'"));
        let hint = if hint.is_empty() { hint } else { format!("; `{hint}`") };
        let _ = writeln!(text, "- **{}** `{file}{place}`: `{message}`{hint}", fault.severity.label());
    }
    text
}

async fn impact(
    global: &Global,
    arguments: &CheckArgs,
    against: &Path,
    report: &Report,
) -> Result<Impact, Exit> {
    let usage = |text: &str| {
        eprintln!("mailkeeper: {text}");
        Exit::Usage
    };
    let [(path, policy)] = report.policies.as_slice() else {
        return Err(usage("--against takes one policy: name it, a file or a directory"));
    };
    let name = path.display().to_string();
    let failed = |error: store::Error| {
        eprintln!("mailkeeper: {}: {}", against.display(), chain(&error));
        Exit::Failed
    };
    let base = match &arguments.base {
        Some(path) => Some((path.display().to_string(), load(path)?)),
        None => None,
    };
    if against.as_os_str() != LOCAL_STATE {
        let file = File::open(against)
            .map_err(|error| usage(&format!("{} cannot be read: {error}", against.display())))?;
        let base = base.as_ref().map(|(name, policy)| Named { name, policy });
        return compare(Named { name: &name, policy }, base, &mut BufReader::new(file)).map_err(failed);
    }
    let mut state = Cursor::new(local_state(global).await?);
    let base = match base {
        Some(base) => Some(base),
        // Not the files: a changed policy may wait for a person, or have faults.
        None => in_force(&mut state).map_err(failed)?.map(|policy| {
            let digest = policy.digest.get(..12).unwrap_or_default();
            (format!("the policy in force ({digest})"), policy)
        }),
    };
    let base = base.filter(|(_, base)| {
        let is_same = base.digest == policy.digest;
        if is_same {
            eprintln!("{name} is the policy in force: what follows is what it does; name another with --base to compare");
        }
        !is_same
    });
    let base = base.as_ref().map(|(name, policy)| Named { name, policy });
    compare(Named { name: &name, policy }, base, &mut state).map_err(failed)
}

fn load(path: &Path) -> Result<Policy, Exit> {
    source::load(path).map_err(|faults| {
        eprint!("{}", render(&faults, Format::Text));
        eprintln!("mailkeeper: the policy to compare with, {}, has faults", path.display());
        Exit::Usage
    })
}

async fn local_state(global: &Global) -> Result<String, Exit> {
    let answers = session::ask(global, Question::Backup).await?;
    if answers.len() > 1 {
        eprintln!("mailkeeper: --against state looks at one tenant: name it with --tenant");
        return Err(Exit::Usage);
    }
    match answers.into_iter().next() {
        Some((_, Answer::Backup { text })) => Ok(text),
        Some(_) | None => {
            eprintln!("mailkeeper: the state was not handed out");
            Err(Exit::Failed)
        }
    }
}

#[derive(Default)]
struct Report {
    faults: Vec<Fault>,
    checked: Vec<PathBuf>,
    /// Those without errors.
    policies: Vec<(PathBuf, Policy)>,
}

impl Report {
    fn file(&mut self, path: &Path) {
        let is_settings =
            path.is_file() && source::read_file(path).is_ok_and(|source| looks_like_settings(&source.text));
        if is_settings { self.settings_and_policies(path) } else { self.policy(path) }
    }

    fn settings_and_policies(&mut self, path: &Path) {
        self.checked.push(path.to_owned());
        match Settings::load(path, &ProcessEnvironment) {
            Ok(settings) => {
                self.faults.extend(settings.warnings);
                settings.tenants.iter().for_each(|tenant| self.policy(&tenant.policy));
            }
            Err(faults) => self.faults.extend(faults),
        }
    }

    fn policy(&mut self, path: &Path) {
        if self.checked.iter().any(|checked| checked == path) {
            return;
        }
        self.checked.push(path.to_owned());
        match source::load(path) {
            Ok(policy) => {
                self.faults.extend(policy.warnings.iter().cloned());
                self.policies.push((path.to_owned(), policy));
            }
            Err(faults) => self.faults.extend(faults),
        }
    }
}

/// A settings file names tenants, a policy never does.
fn looks_like_settings(text: &str) -> bool {
    text.lines().any(|line| line.starts_with("tenants:"))
}

fn names(paths: &[PathBuf]) -> String {
    let names: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
    names.join(", ")
}
