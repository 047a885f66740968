//! Arguments to a command to an exit code.

use std::process::ExitCode;

use clap::Parser as _;
use mailkeeper::cli::{Cli, Exit};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage.into() } else { ExitCode::SUCCESS };
        }
    };
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("mailkeeper: no runtime: {error}");
            return Exit::Failed.into();
        }
    };
    runtime.block_on(mailkeeper::commands::dispatch(cli)).into()
}
