//! `mailkeeper check`: policies and settings, offline, for git hooks and pull requests.

use std::path::{Path, PathBuf};

use crate::cli::{CheckArgs, Exit, FaultFormat, Global};
use crate::policy::fault::Fault;
use crate::policy::{Format, render, source};
use crate::settings::{ProcessEnvironment, Settings};

/// Checks the named files, else the settings and every policy that they name.
pub fn check(global: &Global, arguments: &CheckArgs) -> Exit {
    let mut report = Report::default();
    if arguments.files.is_empty() {
        report.settings_and_policies(&global.config);
    } else {
        arguments.files.iter().for_each(|file| report.file(file));
    }
    let format = match arguments.format {
        FaultFormat::Text => Format::Text,
        FaultFormat::Json => Format::Json,
        FaultFormat::Github => Format::Github,
    };
    print!("{}", render(&report.faults, format));
    let errors = report.faults.iter().filter(|fault| fault.is_error()).count();
    let warnings = report.faults.len() - errors;
    eprintln!("checked {}: {errors} errors, {warnings} warnings", names(&report.checked));
    if errors == 0 { Exit::Done } else { Exit::Usage }
}

#[derive(Default)]
struct Report {
    faults: Vec<Fault>,
    checked: Vec<PathBuf>,
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
            Ok(policy) => self.faults.extend(policy.warnings),
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
