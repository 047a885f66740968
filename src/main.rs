//! Arguments to a command to an exit code.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process::ExitCode;

use clap::Parser as _;
use mailkeeper::cli::{Cli, Exit};
use mailkeeper::commands::LEFT_BEHIND;

/// How `println!` fails where whoever reads has seen enough (`| head`): that is an end, and no fault of ours.
fn is_closed_pipe(payload: &(dyn Any + Send)) -> bool {
    let text = payload.downcast_ref::<String>().map_or("", String::as_str);
    text.starts_with("failed printing to std") && text.contains("Broken pipe")
}

/// Says nothing of a closed pipe; what is open is closed as at every end.
fn quietly(work: impl FnOnce() -> ExitCode) -> ExitCode {
    let loud = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !is_closed_pipe(panic.payload()) {
            loud(panic);
        }
    }));
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|payload| match is_closed_pipe(payload.as_ref()) {
        true => ExitCode::SUCCESS,
        false => resume_unwind(payload),
    })
}

fn main() -> ExitCode {
    // State, backups and secrets name people or open doors: whatever the shell's mask, files are for their owner alone.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
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
    quietly(|| {
        let exit = runtime.block_on(mailkeeper::commands::dispatch(cli));
        // A thread that hangs in the disk or in a name server must not hold up the end.
        runtime.shutdown_timeout(LEFT_BEHIND);
        exit.into()
    })
}
