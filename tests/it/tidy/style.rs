//! How files are written: the sentences of our style that a text search can hold.

use super::report;
use super::source::{Source, all_files, rust_files, sources};

/// Production lines of a file that can still be read in one sitting.
const LONGEST_FILE: usize = 450;

/// Lines of a function that fits a screen.
const LONGEST_FUNCTION: usize = 70;

/// Functions that are longer, and why that reads better.
const LONG_FUNCTIONS: &[(&str, &str)] = &[];

/// Columns of a comment. Code is held by rustfmt, which leaves long literals alone.
const LONGEST_COMMENT: usize = 120;

/// Where time may be read.
const READS_TIME: &[(&str, &str)] = &[
    ("src/clock.rs", "the machine's clock"),
    (
        "src/commands/demo.rs",
        "a film is played at a speed of the watcher's time; the company's time is virtual",
    ),
    ("src/sim/clock.rs", "virtual time rests on the runtime's own clock, which tests pause"),
];

#[test]
fn every_file_says_what_it_is_for() {
    let mute = |source: &Source| !source.text.starts_with("//! ");
    report("files that do not begin with `//! `", &paths(rust_files().iter().filter(|source| mute(source))));
}

#[test]
fn files_can_be_read_in_one_sitting() {
    let sources = sources();
    let long = sources.iter().filter(|source| source.production.len() > LONGEST_FILE);
    report(&format!("more than {LONGEST_FILE} production lines"), &paths(long));
}

#[test]
fn functions_fit_a_screen() {
    let mut faults = Vec::new();
    let mut unused: Vec<&str> = LONG_FUNCTIONS.iter().map(|(name, _)| *name).collect();
    for source in sources() {
        for (name, length) in functions(&source).into_iter().filter(|(_, length)| *length > LONGEST_FUNCTION)
        {
            let name = format!("{}::{name}", source.path);
            if unused.contains(&name.as_str()) {
                unused.retain(|listed| *listed != name);
            } else {
                faults.push(format!("{name} has {length} lines"));
            }
        }
    }
    faults.extend(unused.into_iter().map(|name| format!("{name} is short now: take it from the list")));
    report(&format!("functions of more than {LONGEST_FUNCTION} lines"), &faults);
}

#[test]
fn comments_are_not_wider_than_a_window() {
    let mut faults = Vec::new();
    for source in rust_files() {
        for (index, line) in source.text.lines().enumerate() {
            if line.trim_start().starts_with("//") && line.chars().count() > LONGEST_COMMENT {
                faults.push(format!("{}:{}", source.path, index + 1));
            }
        }
    }
    report(&format!("comments beyond column {LONGEST_COMMENT}"), &faults);
}

#[test]
fn time_is_read_in_one_place() {
    let mut faults = Vec::new();
    for source in sources() {
        let reads = ["SystemTime::now", "Utc::now", "Local::now", "Instant::now"];
        let text = source.production_text();
        let is_listed = READS_TIME.iter().any(|(path, _)| *path == source.path);
        if reads.iter().any(|read| text.contains(read)) != is_listed {
            faults.push(source.path);
        }
    }
    report("files that read time though not listed, or are listed though they do not", &faults);
}

#[test]
fn nothing_is_unordered_unfinished_or_silenced() {
    let banned =
        ["HashMap", "HashSet", "todo!", "unimplemented!", "#[allow", "#![allow", "dbg!", "println!(\"DEBUG"];
    let mut faults = Vec::new();
    for source in sources() {
        for (number, line) in &source.production {
            for word in banned.iter().filter(|word| line.contains(**word)) {
                faults.push(format!("{}:{number} has {word}", source.path));
            }
        }
    }
    report("words that production does not use", &faults);
}

#[test]
fn log_messages_are_half_sentences() {
    let mut faults = Vec::new();
    let mut checked = 0;
    for source in sources() {
        let text = source.production_text();
        for level in ["error", "warn", "info", "debug", "trace"] {
            for (at, call) in text.match_indices(&format!("tracing::{level}!(")) {
                let Some(message) = message(&text[at + call.len()..]) else {
                    faults.push(format!("{}: a {level} line without a message", source.path));
                    continue;
                };
                checked += 1;
                let first_word: String = message.chars().take_while(|c| c.is_alphanumeric()).collect();
                let is_name = ["Graph", "Microsoft", "SIGHUP", "SIGTERM"].contains(&first_word.as_str());
                if message.starts_with(char::is_uppercase) && !is_name {
                    faults.push(format!("{}: begins in upper case: {message:?}", source.path));
                }
                if message.ends_with(['.', '!', '\n']) {
                    faults.push(format!("{}: ends like a sentence: {message:?}", source.path));
                }
            }
        }
    }
    assert!(checked > 20, "only {checked} log lines were found");
    report("log messages", &faults);
}

#[test]
fn the_repository_names_no_path_of_a_machine() {
    // Put together here, so that this file is not the first to be found.
    let private = ["work", "root", "Users"].map(|name| format!("/{name}/"));
    let places = [".ci", "config", "deploy", "src", "systemd", "tests"];
    let mut faults = Vec::new();
    for path in places.into_iter().flat_map(all_files).chain(top_files()) {
        let bytes = std::fs::read(crate::site::repository().join(&path)).expect("the repository can be read");
        let text = String::from_utf8_lossy(&bytes);
        let is_production = path.starts_with("src/") && !path.contains("test");
        for (index, line) in text.lines().enumerate() {
            let is_private =
                private.iter().any(|place| line.contains(place.as_str()) && !line.contains("://"));
            if is_private || is_production && line.contains("/tmp/") {
                faults.push(format!("{path}:{}: {}", index + 1, line.trim()));
            }
        }
    }
    report("paths of a machine", &faults);
}

fn top_files() -> Vec<String> {
    ["README.md", "CHANGELOG.md", "Cargo.toml", "clippy.toml", "deny.toml", "rustfmt.toml"]
        .map(str::to_owned)
        .into()
}

fn paths<'a>(sources: impl Iterator<Item = &'a Source>) -> Vec<String> {
    sources.map(|source| format!("{} ({})", source.path, source.production.len())).collect()
}

/// Name and length of every function of production.
fn functions(source: &Source) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    for (at, (_, line)) in source.production.iter().enumerate() {
        let code = line.trim_start();
        let Some((head, rest)) = code.split_once("fn ") else { continue };
        let is_declared =
            head.split_whitespace().all(|word| word.starts_with("pub") || QUALIFIERS.contains(&word));
        if !is_declared {
            continue;
        }
        let indentation = line.len() - code.len();
        let closing = format!("{}}}", " ".repeat(indentation));
        let length = source.production[at..].iter().position(|(_, line)| *line == closing);
        let name = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        found.push((name, length.map_or(0, |lines| lines + 1)));
    }
    found
}

const QUALIFIERS: &[&str] = &["async", "const", "in", "crate)", "super)"];

/// The message of a log call: its first literal that is no field's value.
fn message(call: &str) -> Option<String> {
    let mut depth = 0_usize;
    let mut before = ' ';
    let mut characters = call.chars();
    while let Some(character) = characters.next() {
        match character {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' if depth == 0 => return None,
            ')' | ']' | '}' => depth -= 1,
            '"' => {
                let literal = literal(&mut characters);
                if depth == 0 && before != '=' {
                    return Some(literal);
                }
            }
            _ => {}
        }
        if !character.is_whitespace() {
            before = character;
        }
    }
    None
}

/// Up to the closing quotation mark; escapes stay, but for a line break.
fn literal(characters: &mut std::str::Chars<'_>) -> String {
    let mut text = String::new();
    while let Some(character) = characters.next() {
        match character {
            '"' => break,
            '\\' => match characters.next() {
                Some('n') => text.push('\n'),
                Some(other) => text.push(other),
                None => break,
            },
            _ => text.push(character),
        }
    }
    text
}

#[test]
fn the_message_of_a_log_call_is_found() {
    let call = r#"tenant = name("x"), why = "A field", %error, "the pass failed", more)"#;
    assert_eq!(message(call).as_deref(), Some("the pass failed"));
    assert_eq!(message("%error)"), None);
}
