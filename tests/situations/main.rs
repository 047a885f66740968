//! The situations that an administrator is nervous about, played end to end: the real loop over a simulated tenant,
//! hours and days in virtual time, and one right answer each, taken from what Microsoft documents. The situations are
//! data, in `tests/cases/situations`.
//!
//! `MAILKEEPER_SITUATION=name` plays those whose file name contains it, and prints the log.

mod acts;
mod file;
mod judge;
mod lab;
mod play;
mod wire;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use mailkeeper::invariant::{InvariantId, violations};

/// Each part is a test of its own, so that all cores work.
const PARTS: usize = 4;

/// Fewer would mean that files are not found.
const FEWEST: usize = 100;

fn situation_files() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/situations");
    let mut files = Vec::new();
    for family in std::fs::read_dir(&directory).expect("the directory can be listed") {
        let family = family.expect("an entry").path();
        if family.is_dir() {
            let entries = std::fs::read_dir(&family).expect("the directory can be listed");
            files.extend(entries.map(|entry| entry.expect("an entry").path()));
        }
    }
    files.sort();
    files
}

fn name_of(file: &Path) -> String {
    let family = file.parent().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
    let name = file.file_stem().map(|name| name.to_string_lossy().into_owned());
    format!("{}/{}", family.unwrap_or_default(), name.unwrap_or_default())
}

fn play_all(files: &[PathBuf]) {
    let mut failures = String::new();
    let mut passes = 0;
    for file in files {
        let text = std::fs::read_to_string(file).expect("the file can be read");
        let played = std::panic::catch_unwind(|| play::play(&text));
        match played {
            Ok(Ok(made)) => passes += made,
            Ok(Err(failure)) => {
                let _ = writeln!(failures, "\n=== {}\n{failure}", name_of(file));
            }
            Err(_) => {
                let _ = writeln!(failures, "\n=== {}\na panic, see above", name_of(file));
            }
        }
    }
    println!("{} situations, {passes} passes", files.len());
    assert!(failures.is_empty(), "{failures}");
    let broken: Vec<&str> =
        InvariantId::ALL.iter().filter(|id| violations(**id) > 0).map(|id| id.label()).collect();
    assert!(broken.is_empty(), "the product counted broken promises: {broken:?}");
}

fn part(number: usize) {
    let files = situation_files();
    assert!(files.len() >= FEWEST, "only {} situations were found", files.len());
    let of_part = files.into_iter().enumerate().filter(|(index, _)| index % PARTS == number);
    play_all(&of_part.map(|(_, file)| file).collect::<Vec<_>>());
}

#[test]
fn the_first_part_has_the_right_answers() {
    part(0);
}

#[test]
fn the_second_part_has_the_right_answers() {
    part(1);
}

#[test]
fn the_third_part_has_the_right_answers() {
    part(2);
}

#[test]
fn the_fourth_part_has_the_right_answers() {
    part(3);
}

/// Some situations alone, when asked for.
#[test]
fn replay() {
    let Ok(wanted) = std::env::var("MAILKEEPER_SITUATION") else { return };
    let log = tracing_subscriber::fmt().with_max_level(tracing::Level::INFO).without_time().with_ansi(false);
    log.with_writer(std::io::stdout).init();
    let files: Vec<PathBuf> =
        situation_files().into_iter().filter(|file| name_of(file).contains(&wanted)).collect();
    assert!(!files.is_empty(), "no situation is called {wanted}");
    play_all(&files);
}
