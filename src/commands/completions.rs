//! `mailkeeper completions` and `man`: from the grammar alone.

use std::io::stdout;

use clap::CommandFactory as _;

use crate::cli::{Cli, CompletionsArgs, Exit};

pub fn completions(arguments: &CompletionsArgs) -> Exit {
    clap_complete::generate(arguments.shell, &mut Cli::command(), "mailkeeper", &mut stdout());
    Exit::Done
}

pub fn man() -> Exit {
    match clap_mangen::Man::new(Cli::command()).render(&mut stdout()) {
        Ok(()) => Exit::Done,
        Err(_) => Exit::Failed,
    }
}
