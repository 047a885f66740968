//! The simulation of the whole loop: mailkeeper itself over a simulated tenant, a hostile network, a disk that loses
//! what was not flushed, people who undo things, and crashes at any await. One seed is one life; the same seed is the
//! same life.
//!
//! `MAILKEEPER_SIM_SEEDS=N` runs so many more seeds, `MAILKEEPER_SIM_SEED=S` replays one and prints what happens.

mod acts;
mod checker;
mod eye;
mod keeper;
mod people;
mod planted;
mod request;
mod run;
mod shape;
mod trace;
mod wire;
mod world;

use std::collections::BTreeMap;

use mailkeeper::invariant::{InvariantId, violations};

use run::{Summary, run};

/// Seeds of every test run; each quarter is a test of its own, so that all cores work.
const SEEDS: u64 = 96;
const QUARTERS: u64 = 4;

/// What every quarter of the seeds must have met: a simulation in which nothing happens finds nothing.
const MET: [&str; 11] = [
    "answer Accepted",
    "answer Nothing",
    "journal observation_rejected",
    "journal verdict verified",
    "waiting ask",
    "waiting mass_event",
    "waiting offboarded",
    "waiting protected",
    "write assign_license",
    "write restore",
    "write restore under another name",
];

/// Lives the seeds, and tells what they met.
fn live(seeds: impl Iterator<Item = u64>) -> BTreeMap<String, u32> {
    let mut failures = Vec::new();
    let mut lives: Vec<Summary> = Vec::new();
    for seed in seeds {
        match run(seed, None, false) {
            Ok(summary) => lives.push(summary),
            Err(failure) => {
                eprintln!("{failure}\n");
                failures.push(format!("{seed} {}", failure.broken.promise));
            }
        }
    }
    let passes: u32 = lives.iter().map(|life| life.passes).sum();
    let believed: u32 = lives.iter().map(|life| life.believed).sum();
    let crashes: u32 = lives.iter().map(|life| life.crashes).sum();
    let writes: usize = lives.iter().map(|life| life.writes).sum();
    let saved: usize = lives.iter().map(|life| life.demanded).sum();
    println!(
        "{} lives, {passes} passes, {believed} believed, {crashes} crashes, {writes} writes, {saved} mailboxes had to be saved",
        lives.len()
    );
    let mut met: BTreeMap<String, u32> = BTreeMap::new();
    for (what, count) in lives.iter().flat_map(|life| &life.met) {
        *met.entry(what.clone()).or_default() += count;
    }
    for (what, count) in &met {
        println!("{count:7} {what}");
    }
    let counted: Vec<&str> =
        InvariantId::ALL.iter().filter(|id| violations(**id) > 0).map(|id| id.label()).collect();
    assert!(counted.is_empty(), "the product counted broken promises: {counted:?}");
    assert!(failures.is_empty(), "seeds that broke a promise: {failures:?}");
    met
}

fn quarter(number: u64) {
    let met = live((0..SEEDS).filter(|seed| seed % QUARTERS == number));
    let missed: Vec<&str> = MET.into_iter().filter(|what| !met.contains_key(*what)).collect();
    assert!(missed.is_empty(), "nothing of this happened in {} seeds: {missed:?}", SEEDS / QUARTERS);
}

#[test]
fn the_first_quarter_of_the_seeds_lives() {
    quarter(0);
}

#[test]
fn the_second_quarter_of_the_seeds_lives() {
    quarter(1);
}

#[test]
fn the_third_quarter_of_the_seeds_lives() {
    quarter(2);
}

#[test]
fn the_fourth_quarter_of_the_seeds_lives() {
    quarter(3);
}

/// More seeds, when asked for.
#[test]
fn more_seeds_live() {
    let Ok(wanted) = std::env::var("MAILKEEPER_SIM_SEEDS") else { return };
    let wanted: u64 = wanted.parse().expect("MAILKEEPER_SIM_SEEDS is a number");
    live(SEEDS..SEEDS + wanted);
}

/// One seed with everything that happens in it, when asked for.
#[test]
fn replay() {
    let Ok(seed) = std::env::var("MAILKEEPER_SIM_SEED") else { return };
    let seed: u64 = seed.parse().expect("MAILKEEPER_SIM_SEED is a number");
    let log = tracing_subscriber::fmt().with_max_level(tracing::Level::WARN).without_time().with_ansi(false);
    log.with_writer(std::io::stdout).init();
    match run(seed, None, true) {
        Ok(summary) => println!("{summary:?}"),
        Err(failure) => panic!("{failure}"),
    }
}

/// Without this no seed would be worth printing.
#[test]
fn the_same_seed_is_the_same_life() {
    for seed in [3, 11] {
        let first = run(seed, None, false).map_err(|failure| failure.to_string());
        let second = run(seed, None, false).map_err(|failure| failure.to_string());
        assert_eq!(first, second);
    }
}
