//! How a command gets its answers: from the running daemon, else from the state itself.

use std::sync::Arc;

use crate::cli::{Exit, Global};
use crate::clock::{Clock, SystemClock};
use crate::control::{Answers, Person, Question, Refusal, Request, client};
use crate::errors::chain;
use crate::fleet::Fleet;
use crate::report::metrics::Metrics;
use crate::settings::Settings;
use crate::telemetry::{self, LogFormat};

use super::setup::{self, Access};

/// Asks, and prints why there is no answer.
pub async fn ask(global: &Global, question: Question) -> Result<Answers, Exit> {
    let settings = setup::settings(global)?;
    try_ask(&settings, global, question).await.map_err(|refusal| {
        eprintln!("mailkeeper: {refusal}");
        if refusal.is_usage { Exit::Usage } else { Exit::Failed }
    })
}

/// Asks.
pub async fn try_ask(settings: &Settings, global: &Global, question: Question) -> Result<Answers, Refusal> {
    let request = Request { tenant: global.tenant.clone(), question };
    match client::ask(&settings.control_socket, &request).await {
        Some(answered) => answered,
        None => ask_state(settings, &request).await,
    }
}

/// No daemon: opens the state, makes a pass where the question needs one, closes it again.
async fn ask_state(settings: &Settings, request: &Request) -> Result<Answers, Refusal> {
    // A failure to log must not keep the answer back.
    let _ = telemetry::init_quiet(LogFormat::Text);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let access = access(&request.question);
    let members = setup::members(settings, access, &clock, &Metrics::new())
        .map_err(|error| Refusal::failed(chain(&error)))?;
    let (fleet, running) = Fleet::start(members);
    let answered = fleet.ask(request, &Person::of_this_process()).await;
    fleet.stop();
    running.finished().await;
    answered
}

/// Only a pass and an examination talk to Microsoft.
fn access(question: &Question) -> Access {
    match question {
        Question::Plan | Question::Apply { .. } | Question::Doctor => Access::Graph,
        Question::Status
        | Question::Explain { .. }
        | Question::Asks
        | Question::Answer { .. }
        | Question::Hold { .. }
        | Question::Resume
        | Question::History { .. }
        | Question::Verify
        | Question::Backup
        | Question::Report { .. } => Access::StateAlone,
    }
}
