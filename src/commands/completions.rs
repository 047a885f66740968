//! `mailkeeper completions` and `man`: from the grammar alone.

use clap::CommandFactory as _;

use crate::cli::{Cli, CompletionsArgs, Exit};

pub fn completions(arguments: &CompletionsArgs) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), "mailkeeper", &mut script);
    print!("{}", String::from_utf8_lossy(&script));
    Exit::Done
}

pub fn man() -> Exit {
    let mut page = Vec::new();
    match clap_mangen::Man::new(Cli::command()).render(&mut page) {
        Ok(()) => {
            print!("{}", String::from_utf8_lossy(&page));
            Exit::Done
        }
        Err(_) => Exit::Failed,
    }
}
