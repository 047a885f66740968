//! One file per command. A command asks, prints and chooses the exit code; what it shows is made elsewhere.

mod answers;
mod backups;
mod check;
mod completions;
mod demo;
mod doctor;
mod owner;
mod private;
pub mod run;
mod sample;
mod schema;
mod session;
pub mod setup;
mod simulate;

use std::time::Duration;

use crate::cli::{Cli, Command, Exit};
use crate::control::Question;

/// How long the end of the process waits for threads that still do something when everything is said and done.
pub const LEFT_BEHIND: Duration = Duration::from_secs(5);

/// Runs one command.
pub async fn dispatch(cli: Cli) -> Exit {
    let global = &cli.global;
    match cli.command {
        Command::Run => run::run(global).await,
        Command::Plan(arguments) => answers::plan(global, &arguments).await,
        Command::Apply(arguments) => answers::apply(global, arguments).await,
        Command::Status => answers::ask(global, Question::Status).await,
        Command::Explain(arguments) => answers::ask(global, Question::Explain { user: arguments.user }).await,
        Command::Asks => answers::ask(global, Question::Asks).await,
        Command::Approve(arguments) => answers::answer(global, arguments.ask, true).await,
        Command::Deny(arguments) => answers::answer(global, arguments.ask, false).await,
        Command::Hold(arguments) => answers::hold(global, &arguments).await,
        Command::Resume => answers::ask(global, Question::Resume).await,
        Command::History(arguments) => answers::history(global, arguments).await,
        Command::Report(arguments) => answers::report(global, &arguments).await,
        Command::Doctor => doctor::doctor(global).await,
        Command::Check(arguments) => check::check(global, &arguments).await,
        Command::Schema(arguments) => schema::schema(&arguments),
        Command::Backup(arguments) => answers::backup(global, &arguments).await,
        Command::RestoreState(arguments) => setup::restore_state(global, &arguments),
        Command::Simulate(arguments) => simulate::simulate(&arguments).await,
        Command::Demo(arguments) => demo::demo(&arguments).await,
        Command::Completions(arguments) => completions::completions(&arguments),
        Command::Man => completions::man(),
    }
}
