//! Who may import whom. The direction of the loop and the purity of its middle are worth more than any single import,
//! so each one is listed; so is who may name the libraries behind the seams.

use super::report;
use super::source::{Source, sources};

/// What each room may use of ours, beside itself. `a::b` allows that path only.
const MAY_USE: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("errors", &[]),
    ("invariant", &[]),
    ("clock", &["model"]),
    ("policy", &["model"]),
    ("graph", &["model", "clock"]),
    ("store", &["model", "errors"]),
    // The stages.
    ("observe", &["model", "policy", "graph", "store", "clock", "errors"]),
    ("diff", &["model", "policy", "invariant"]),
    // Explaining is judging again, aloud.
    ("plan", &["model", "policy", "invariant", "diff"]),
    ("act", &["model", "plan", "graph", "store", "clock", "invariant", "errors"]),
    ("verify", &["model", "policy", "invariant"]),
    ("report", &["model", "plan", "verify", "invariant"]),
    ("http", &["model", "plan", "verify", "invariant", "report", "clock"]),
    // What puts the stages together.
    (
        "reconcile",
        &[
            "model",
            "policy",
            "observe",
            "diff",
            "plan",
            "act",
            "verify",
            "report",
            "invariant",
            "clock",
            "graph::Client",
            "store",
            "errors",
        ],
    ),
    // Asks on behalf of people; doctor also asks Graph.
    (
        "control",
        &["model", "policy", "plan", "report", "store", "clock", "errors", "reconcile", "fleet", "graph"],
    ),
    ("fleet", &["control", "reconcile", "report", "trigger"]),
    ("trigger", &["clock", "model"]),
    ("settings", &["model", "policy"]),
    // Addresses are shortened where text for people is made.
    ("telemetry", &["report"]),
    ("cli", &[]),
    // A simulator that used our planner, client or policy would prove nothing.
    ("sim", &["model", "clock", "graph::transport", "store::kv"]),
];

/// The commands that may use the simulated tenant.
const MAY_SIMULATE: &[&str] = &["src/commands/demo", "src/commands/simulate", "src/commands/sample"];

/// Libraries behind a seam, and the only files that name them.
const LIBRARIES: &[(&str, &[&str])] = &[
    ("serde_yaml", &["src/policy/schema.rs"]),
    ("serde_saphyr", &["src/policy/locate.rs"]),
    ("reqwest", &["src/graph/transport.rs"]),
    ("sled", &["src/store/sled.rs"]),
    ("tokio_cron_scheduler", &["src/trigger.rs"]),
    ("prometheus", &["src/report/metrics.rs", "src/report/metrics/families.rs"]),
    ("comfy_table", &["src/report/table.rs"]),
    ("tracing_subscriber", &["src/telemetry.rs"]),
    ("tracing_journald", &["src/telemetry.rs"]),
    ("sd_notify", &["src/commands/run.rs"]),
    ("postcard", &["src/store/codec.rs", "src/store/users/block.rs"]),
];

/// Rooms that compute and do nothing else, and the words that would give them away.
const PURE: &[&str] = &["model", "policy", "diff", "plan", "verify"];
const IMPURE: &[&str] =
    &["async", "await", "tokio", "tracing", "std::thread", "std::net", "Mutex", "std::env"];

/// Policy files are read where policies are: `source` reads them, `revision` asks the git work tree beside them.
const PURE_EXCEPT: &[&str] = &["src/policy/source.rs", "src/policy/revision.rs"];

#[test]
fn every_room_uses_only_what_it_may() {
    let mut faults = Vec::new();
    for source in &sources() {
        let room = source.room();
        // These put everything together.
        if ["lib", "main", "commands"].contains(&room) {
            continue;
        }
        let Some((_, may)) = MAY_USE.iter().find(|(name, _)| *name == room) else {
            faults.push(format!("{}: room {room} is not in the table", source.path));
            continue;
        };
        for path in ours(source) {
            if path[0] != room && !may.iter().any(|allowed| is_below(&path, allowed)) {
                faults.push(format!("{} uses {}", source.path, path.join("::")));
            }
        }
    }
    report("imports that the table in this file does not allow", &faults);
}

#[test]
fn the_table_allows_nothing_that_nobody_uses() {
    let sources = sources();
    let is_used = |room: &str, allowed: &str| {
        sources
            .iter()
            .filter(|source| source.room() == room)
            .flat_map(ours)
            .any(|path| is_below(&path, allowed))
    };
    // These are promises about what must stay possible, not a list of what is used today.
    let promised = [("diff", "invariant"), ("verify", "policy"), ("sim", "store::kv")];
    let mut faults = Vec::new();
    for (room, may) in MAY_USE {
        for allowed in *may {
            if !is_used(room, allowed) && !promised.contains(&(*room, *allowed)) && !is_view_of(room, allowed)
            {
                faults.push(format!("{room} no longer uses {allowed}"));
            }
        }
    }
    report("permissions to take back", &faults);
}

/// Report and the pages may look at every document of the loop's end, whether they do today or not.
fn is_view_of(room: &str, allowed: &str) -> bool {
    ["report", "http"].contains(&room) && ["plan", "verify"].contains(&allowed)
}

#[test]
fn the_simulated_tenant_is_used_by_the_commands_for_it_only() {
    let users: Vec<String> = sources()
        .iter()
        .filter(|source| {
            source.room() != "sim" && !MAY_SIMULATE.iter().any(|may| source.path.starts_with(may))
        })
        .filter(|source| ours(source).iter().any(|path| path[0] == "sim"))
        .map(|source| source.path.clone())
        .collect();
    report("production that uses the simulated tenant", &users);
}

#[test]
fn libraries_behind_a_seam_are_named_in_one_place() {
    let mut faults = Vec::new();
    for (library, homes) in LIBRARIES {
        for source in &sources() {
            let is_named = words(&source.production_text(), library).any(|rest| rest.starts_with("::"));
            if is_named != homes.contains(&source.path.as_str()) && source.room() != *library {
                let verb = if is_named { "names" } else { "no longer names" };
                faults.push(format!("{} {verb} {library}", source.path));
            }
        }
    }
    report("libraries outside their files", &faults);
}

#[test]
fn what_decides_is_pure() {
    let mut faults = Vec::new();
    for source in sources().iter().filter(|source| PURE.contains(&source.room())) {
        if PURE_EXCEPT.contains(&source.path.as_str()) {
            continue;
        }
        for (number, line) in &source.production {
            for word in IMPURE.iter().filter(|word| words(line, word).next().is_some()) {
                faults.push(format!("{}:{number} has {word}: {}", source.path, line.trim()));
            }
        }
    }
    report("impure code in a pure room", &faults);
}

/// Paths of this crate that production names, without the leading `crate`.
fn ours(source: &Source) -> Vec<Vec<String>> {
    let text = source.production_text();
    let climb = "super::".repeat(source.depth());
    let mut found = Vec::new();
    for start in words(&text, "crate").filter_map(|rest| rest.strip_prefix("::")) {
        collect(start, &mut Vec::new(), &mut found);
    }
    for (at, _) in text.match_indices(&climb) {
        let is_longer = text[..at].ends_with("super::") || text[at + climb.len()..].starts_with("super::");
        if !is_longer && source.path != "src/lib.rs" {
            collect(&text[at + climb.len()..], &mut Vec::new(), &mut found);
        }
    }
    found
}

/// Follows `a::{b, c::d}` to `a::b` and `a::c::d`. Returns what is left behind the path.
fn collect<'a>(text: &'a str, before: &mut Vec<String>, found: &mut Vec<Vec<String>>) -> &'a str {
    let text = text.trim_start();
    if let Some(mut inside) = text.strip_prefix('{') {
        loop {
            inside = inside.trim_start_matches([',', ' ', '\n']);
            match inside.strip_prefix('}') {
                Some(rest) => return rest,
                None => inside = collect(inside, before, found),
            }
        }
    }
    let end =
        text.find(|character: char| !character.is_alphanumeric() && character != '_').unwrap_or(text.len());
    let (name, rest) = text.split_at(end.max(1).min(text.len()));
    before.push(name.to_owned());
    let rest = match rest.strip_prefix("::") {
        Some(deeper) if !deeper.starts_with('<') => collect(deeper, before, found),
        Some(_) | None => {
            found.push(before.clone());
            // `use a as b`: the other name is none of ours.
            let end = rest.find([',', '}', ';', '\n']).unwrap_or(rest.len());
            if rest.starts_with(" as ") { &rest[end..] } else { rest }
        }
    };
    before.pop();
    rest
}

fn is_below(path: &[String], allowed: &str) -> bool {
    let mut path = path.iter();
    allowed.split("::").all(|name| path.next().is_some_and(|part| part == name))
}

/// What follows each place where `word` stands by itself.
fn words<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = &'a str> {
    let is_part = |character: char| character.is_alphanumeric() || character == '_';
    text.match_indices(word).filter_map(move |(at, _)| {
        let rest = &text[at + word.len()..];
        let before = &text[..at];
        // In `store::sled` it is a module of ours; `::sled` is the library.
        let is_inner = before.strip_suffix("::").is_some_and(|path| path.ends_with(is_part));
        let is_alone = !before.ends_with(is_part) && !is_inner && !rest.starts_with(is_part);
        is_alone.then_some(rest)
    })
}

#[test]
fn paths_are_found_in_groups_and_behind_super() {
    let source = Source {
        path: "src/graph/client.rs".to_owned(),
        text: String::new(),
        production: vec![(
            1,
            "use crate::a::{B, c::{D, e as f}};\nuse super::super::g::H; crate::i::j(k)".to_owned(),
        )],
    };
    let paths: Vec<String> = ours(&source).iter().map(|path| path.join("::")).collect();
    assert_eq!(paths, ["a::B", "a::c::D", "a::c::e", "i::j", "g::H"]);
}
