//! `cargo bench --bench write_quota`: ten thousand repairs against Microsoft's quota of writes. Virtual time, so that
//! the figures are the same on every machine. Ends with an error when a bound is broken.

mod repairs;

use std::process::ExitCode;

use repairs::{HEAD, run, stories};

const REPAIRS: usize = 10_000;

fn main() -> ExitCode {
    println!("{REPAIRS} repairs against 3,000 writes in 150 s, virtual time");
    println!("{HEAD}");
    let mut broken = Vec::new();
    for story in stories(REPAIRS) {
        let figures = run(story);
        println!("{}", figures.row());
        broken.extend(figures.broken());
    }
    for sentence in &broken {
        eprintln!("error: {sentence}");
    }
    if broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
