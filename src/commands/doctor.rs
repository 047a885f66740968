//! `mailkeeper doctor`: what the daemon (or, without one, this process) finds out about tenant and state, and what
//! only this machine shows: the control socket, the web server, the credential's file. Changes nothing.

use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};

use crate::cli::{Exit, Global, OutputFormat};
use crate::control::{Answer, Question};
use crate::report::examination::{Area, Examination, Finding, Level};
use crate::settings::{Auth, Credential, Settings};

use super::{session, setup};

/// A loopback server that takes longer than this is not well.
const PATIENCE: Duration = Duration::from_secs(3);

/// More of an answer than anybody reads here.
const ANSWER_READ: u64 = 16 * 1024;

/// Examines the tenants, or the one that was named.
pub async fn doctor(global: &Global) -> Exit {
    let settings = match setup::settings(global) {
        Ok(settings) => settings,
        Err(exit) => return exit,
    };
    let mut machine = Examination { findings: machine(&settings).await };
    let mut examined: Vec<(String, Examination)> = Vec::new();
    match session::try_ask(&settings, global, Question::Doctor).await {
        Ok(answers) => examined.extend(answers.into_iter().filter_map(|(tenant, answer)| match answer {
            Answer::Examination { examination } => Some((tenant, *examination)),
            Answer::Status { .. }
            | Answer::Explanation { .. }
            | Answer::Pass { .. }
            | Answer::Asks { .. }
            | Answer::History { .. }
            | Answer::Report { .. }
            | Answer::Verification { .. }
            | Answer::Backup { .. }
            | Answer::Said { .. } => None,
        })),
        Err(refusal) if refusal.is_usage => {
            eprintln!("mailkeeper: {refusal}");
            return Exit::Usage;
        }
        Err(refusal) => machine.push(Finding::new(
            Level::Error,
            Area::State,
            refusal.message,
            "without state, journal and credentials nothing can be done; tenant and policy were not looked at",
            "repair what it names, then run doctor again",
        )),
    }
    print(global.output, &examined, &machine);
    let worst = examined.iter().map(|(_, examination)| examination.worst()).chain([machine.worst()]).max();
    if worst == Some(Level::Error) { Exit::Failed } else { Exit::Done }
}

fn print(format: OutputFormat, examined: &[(String, Examination)], machine: &Examination) {
    if format == OutputFormat::Table {
        for (tenant, examination) in examined {
            println!("== {tenant}\n\n{}", examination.to_text());
        }
        print!("== this machine\n\n{}", machine.to_text());
        return;
    }
    let rows: Vec<serde_json::Value> = examined
        .iter()
        .map(|(tenant, examination)| (Some(tenant), examination))
        .chain([(None, machine)])
        .flat_map(|(tenant, examination)| {
            examination.findings.iter().map(move |finding| row(tenant, finding))
        })
        .collect();
    match format {
        OutputFormat::Ndjson => rows.iter().for_each(|row| println!("{row}")),
        OutputFormat::Json | OutputFormat::Table => {
            println!("{}", serde_json::to_string_pretty(&rows).expect("findings are plain data"));
        }
    }
}

fn row(tenant: Option<&String>, finding: &Finding) -> serde_json::Value {
    let mut row = serde_json::to_value(finding).expect("a finding is plain data");
    row["tenant"] = serde_json::json!(tenant);
    row
}

async fn machine(settings: &Settings) -> Vec<Finding> {
    let is_running = UnixStream::connect(&settings.control_socket).await.is_ok();
    let mut findings = vec![socket(&settings.control_socket, is_running)];
    findings.extend(web(settings, is_running).await);
    findings.extend(settings.tenants.iter().filter_map(|tenant| credential(&tenant.auth)));
    findings
}

fn socket(path: &Path, is_running: bool) -> Finding {
    let place = path.display();
    let Ok(metadata) = std::fs::symlink_metadata(path) else {
        return Finding::new(
            Level::Note,
            Area::Machine,
            format!("no daemon runs: there is no control socket {place}"),
            "nothing is watched between two commands",
            "systemctl enable --now mailkeeper",
        );
    };
    if !metadata.file_type().is_socket() {
        let what = format!("{place} is not a socket");
        return Finding::new(
            Level::Error,
            Area::Machine,
            what,
            "the daemon cannot start",
            "move that file away",
        );
    }
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o007 != 0 {
        return Finding::new(
            Level::Error,
            Area::Machine,
            format!("every user of this machine may use the control socket {place} (mode {mode:03o})"),
            "whoever can open it can approve, hold and apply",
            format!("chmod o= {place}; restart the daemon and see whether it comes back"),
        );
    }
    if !is_running {
        return Finding::new(
            Level::Warning,
            Area::Machine,
            format!("nobody answers on the control socket {place}, or this user may not open it"),
            "either the daemon ended without tidying up, or you do not belong to its group",
            "systemctl status mailkeeper; adduser $USER mailkeeper",
        );
    }
    Finding::ok(Area::Machine, format!("the daemon answers on {place} (mode {mode:03o})"))
}

async fn web(settings: &Settings, is_running: bool) -> Option<Finding> {
    let Some(address) = settings.http.listen else {
        return Some(Finding::new(
            Level::Note,
            Area::Machine,
            "the web server is off",
            "nothing can scrape the metrics, so nobody is alerted",
            "http: { listen: 127.0.0.1:9464 }",
        ));
    };
    // Port 0 is any: only the daemon's log says which.
    if !is_running || address.port() == 0 {
        return None;
    }
    let answer = tokio::time::timeout(PATIENCE, get(address, "/readyz")).await;
    let broken = |what: String| {
        let to_do = "journalctl -u mailkeeper; is the address taken by another program?";
        Some(Finding::new(
            Level::Error,
            Area::Machine,
            what,
            "metrics cannot be scraped, so nobody is alerted",
            to_do,
        ))
    };
    match answer {
        Err(_) => broken(format!("http://{address}/readyz does not answer within {}s", PATIENCE.as_secs())),
        Ok(Err(error)) => broken(format!("http://{address}/readyz cannot be reached: {error}")),
        Ok(Ok((200, _))) => Some(Finding::ok(Area::Machine, format!("http://{address}/readyz says ready"))),
        Ok(Ok((status, body))) => Some(Finding::new(
            Level::Warning,
            Area::Machine,
            format!("http://{address}/readyz says {status}: {}", body.trim()),
            "the daemon runs and cannot do its work at the moment",
            "see the findings above",
        )),
    }
}

/// One question over plain HTTP: status and body. Not the client for Graph, which sends tokens.
async fn get(address: std::net::SocketAddr, path: &str) -> std::io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut bytes = Vec::new();
    stream.take(ANSWER_READ).read_to_end(&mut bytes).await?;
    let text = String::from_utf8_lossy(&bytes);
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
    let body = text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default();
    Ok((status, body))
}

/// A secret that others may read is no secret.
fn credential(auth: &Auth) -> Option<Finding> {
    let path = match auth {
        Auth::Application { credential: Credential::SecretFile(path), .. } => path,
        Auth::Application { credential: Credential::Certificate { key, .. }, .. } => key,
        Auth::Application {
            credential: Credential::SecretEnv(_) | Credential::FederatedTokenFile(_),
            ..
        }
        | Auth::ManagedIdentity { .. } => return None,
    };
    let path = path.path().ok()?;
    let mode = std::fs::metadata(path).ok()?.permissions().mode() & 0o777;
    (mode & 0o004 != 0).then(|| {
        Finding::new(
            Level::Warning,
            Area::Machine,
            format!(
                "every user of this machine who gets to {} may read it (mode {mode:03o})",
                path.display()
            ),
            "whoever reads it is mailkeeper",
            format!(
                "chmod 0600 {}, and renew the credential unless its directory was closed",
                path.display()
            ),
        )
    })
}
