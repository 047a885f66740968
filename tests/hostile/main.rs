//! Hostile input: whatever a server, a file or a disk says, mailkeeper answers or says what is wrong; it does not
//! panic, hang, grow, or send its token to another place.
//!
//! Each place where bytes come in is a function of [`inputs`]. Here they are fed with mutations of good inputs, the
//! same ones in every run; `fuzz/` feeds the same functions with inputs chosen by coverage.
//! `MAILKEEPER_HOSTILE_SECONDS=20` goes on for so long with each function instead of a fixed number of inputs.
//! `MAILKEEPER_HOSTILE_CORPUS=fuzz/corpus` writes the good inputs where `cargo fuzz` begins from them.

mod inputs;
mod links;
mod mutate;
mod origin;
mod script;
mod seeds;
mod sockets;

use std::panic::catch_unwind;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use mailkeeper::sim::rng::Rng;

/// Inputs to each function in a plain `cargo test`.
const INPUTS: u64 = 2_000;

/// An input of at most 64 KiB that takes this long, in a test build on a busy machine, is taken for one that never
/// ends.
const SLOWEST: Duration = Duration::from_secs(10);

/// The whole test process with all its threads. Idle it has some 20 MiB.
const MOST_MEMORY_KIB: u64 = 512 * 1024;

#[test]
fn any_answer_of_graph() {
    feed("graph_answer", inputs::graph_answer, &seeds::graph_answers());
}

#[test]
fn any_answer_to_a_token_request() {
    feed("token_answer", inputs::token_answer, &seeds::token_answers());
}

#[test]
fn any_retry_after() {
    feed("retry_after", inputs::retry_after, &seeds::delays());
}

#[test]
fn any_text_as_a_link() {
    feed("link", inputs::link, &seeds::links());
}

#[test]
fn any_policy() {
    feed("policy", inputs::policy, &seeds::policies());
}

#[test]
fn any_settings() {
    feed("settings", inputs::settings, &seeds::settings());
}

#[test]
fn any_journal() {
    feed("journal", inputs::journal, &seeds::journals());
}

#[test]
fn any_backup() {
    feed("backup", inputs::backup, &seeds::backups());
}

/// Feeds a function its seeds and then their mutations. An input that it does not survive is kept in a file.
fn feed(name: &str, function: fn(&[u8]), seeds: &[Vec<u8>]) {
    let time = std::env::var("MAILKEEPER_HOSTILE_SECONDS").ok();
    let time = time.map(|seconds| Duration::from_secs(seconds.parse().expect("a number of seconds")));
    let mut rng = Rng::stream(1, name);
    let started = Instant::now();
    let mut count = 0;
    let mut slowest = Duration::ZERO;
    keep_corpus(name, seeds);
    for seed in seeds {
        try_one(name, function, seed);
    }
    while time.map_or(count < INPUTS, |time| started.elapsed() < time) {
        let input = mutate::bytes(&mut rng, seeds);
        slowest = slowest.max(try_one(name, function, &input));
        count += 1;
    }
    let rate = count as f64 / started.elapsed().as_secs_f64();
    let memory = most_memory_kib();
    eprintln!(
        "{name}: {count} inputs, {rate:.0} a second, slowest {slowest:?}, process at most {} MiB",
        memory / 1024
    );
    assert!(memory < MOST_MEMORY_KIB, "{memory} KiB");
}

fn keep_corpus(name: &str, seeds: &[Vec<u8>]) {
    let Ok(corpus) = std::env::var("MAILKEEPER_HOSTILE_CORPUS") else { return };
    let directory = PathBuf::from(corpus).join(name);
    std::fs::create_dir_all(&directory).expect("a directory for the corpus");
    for (number, seed) in seeds.iter().enumerate() {
        std::fs::write(directory.join(format!("seed-{number}")), seed).expect("a file of the corpus");
    }
}

fn try_one(name: &str, function: fn(&[u8]), input: &[u8]) -> Duration {
    let started = Instant::now();
    let outcome = catch_unwind(|| function(input));
    let took = started.elapsed();
    if outcome.is_err() || took > SLOWEST {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("hostile-{name}"));
        std::fs::write(&path, input).expect("the input can be kept");
        panic!(
            "{name} took {took:?} for, or did not survive, {}: {:?}",
            path.display(),
            String::from_utf8_lossy(input)
        );
    }
    took
}

/// The largest resident size so far, as Linux counts it; 0 elsewhere.
fn most_memory_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    line.and_then(|line| line.split_whitespace().nth(1)).and_then(|number| number.parse().ok()).unwrap_or(0)
}
