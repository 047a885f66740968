//! The Rust files of the repository, and what of them is production: not test modules, not comments.

use std::fs;
use std::path::Path;

use crate::site::repository;

/// One Rust file.
pub struct Source {
    /// From the root of the repository, with slashes.
    pub path: String,
    pub text: String,
    /// Line numbers and lines that are compiled into the binary, without comments on lines of their own.
    pub production: Vec<(usize, String)>,
}

impl Source {
    /// All of production as one text.
    pub fn production_text(&self) -> String {
        self.production.iter().map(|(_, line)| format!("{line}\n")).collect()
    }

    /// The module below the root that the file belongs to: `graph` for `src/graph/client.rs`.
    pub fn room(&self) -> &str {
        let inside = self.path.strip_prefix("src/").unwrap_or(&self.path);
        inside.split(['/', '.']).next().unwrap_or(inside)
    }

    /// How many modules deep below the root: 1 for `src/graph.rs`, 2 for `src/graph/client.rs`.
    pub fn depth(&self) -> usize {
        self.path.matches('/').count()
    }
}

/// Everything in `src`, in the order of the paths. Files that only tests compile have no production.
pub fn sources() -> Vec<Source> {
    let mut sources: Vec<Source> = files("src").into_iter().map(read).collect();
    let test_only: Vec<String> = sources.iter().flat_map(test_modules).collect();
    for source in &mut sources {
        let is_test = test_only.iter().any(|path| source.path.starts_with(path));
        if is_test {
            source.production.clear();
        }
    }
    assert!(sources.len() > 100, "only {} files were found", sources.len());
    sources
}

/// Every Rust file, also those of the tests.
pub fn rust_files() -> Vec<Source> {
    ["src", "tests"].into_iter().flat_map(files).map(read).collect()
}

/// Paths of the Rust files below a directory, sorted.
fn files(directory: &str) -> Vec<String> {
    all_files(directory).into_iter().filter(|path| path.ends_with(".rs")).collect()
}

/// Paths of all files below a directory of the repository, sorted.
pub fn all_files(directory: &str) -> Vec<String> {
    let mut found = Vec::new();
    walk(&repository().join(directory), &mut found);
    found.sort();
    found
}

fn walk(directory: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(directory).expect("the repository can be read") {
        let path = entry.expect("the repository can be read").path();
        if path.is_dir() {
            walk(&path, found);
        } else {
            let inside = path.strip_prefix(repository()).expect("it was found there");
            found.push(inside.to_str().expect("paths here are ASCII").to_owned());
        }
    }
}

fn read(path: String) -> Source {
    let text = fs::read_to_string(repository().join(&path)).expect("source is UTF-8");
    let production = if path.starts_with("src/") { production(&text) } else { Vec::new() };
    Source { path, text, production }
}

/// Cuts out comments and what stands under `#[cfg(test)]`. Relies on rustfmt: an item ends with the first line that
/// closes it at its own indentation.
fn production(text: &str) -> Vec<(usize, String)> {
    let mut kept = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((index, line)) = lines.next() {
        let code = line.trim_start();
        if code == "#[cfg(test)]" {
            skip_item(&mut lines, line.len() - code.len());
        } else if !code.starts_with("//") {
            kept.push((index + 1, line.to_owned()));
        }
    }
    kept
}

fn skip_item<'a>(lines: &mut impl Iterator<Item = (usize, &'a str)>, indentation: usize) {
    let ends = |line: &str| {
        let code = line.trim_start();
        let is_at_level = line.len() - code.len() == indentation && !code.starts_with("#[");
        is_at_level && (code.ends_with([';', '}', ',']))
    };
    for (_, line) in lines.by_ref() {
        if ends(line) {
            return;
        }
    }
}

/// Paths, without extension, of modules that are declared under `#[cfg(test)]`.
fn test_modules(source: &Source) -> Vec<String> {
    let parent = match source.path.as_str() {
        "src/lib.rs" | "src/main.rs" => "src",
        path => path.strip_suffix(".rs").expect("it is a Rust file"),
    };
    let mut lines = source.text.lines();
    let mut found = Vec::new();
    while let Some(line) = lines.next() {
        if line != "#[cfg(test)]" {
            continue;
        }
        let declared = lines.next().and_then(|line| line.strip_suffix(';')?.split("mod ").nth(1));
        found.extend(
            declared
                .into_iter()
                .flat_map(|name| [format!("{parent}/{name}.rs"), format!("{parent}/{name}/")]),
        );
    }
    found
}
