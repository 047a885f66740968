//! The policy against its case files below `tests/cases/policy`, and against bytes that nobody would write.

mod matching;

use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::fault::{Severity, Source};
use super::*;

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The policies of a folder, files and directories, by name.
fn cases(folder: &str) -> Vec<PathBuf> {
    let folder = repository().join("tests/cases/policy").join(folder);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("readable").path()).collect();
    paths.retain(|path| path.is_dir() || path.extension().is_some_and(|ending| ending == "yaml"));
    paths.sort();
    assert!(!paths.is_empty(), "no cases in {}", folder.display());
    paths
}

/// Loads a case; files go by their bare names, so that golden texts say nothing about the machine.
fn loaded(case: &Path) -> Result<Policy, Vec<Fault>> {
    let folder = format!("{}/", case.parent().expect("a folder").display());
    let bare = |mut fault: Fault| {
        fault.file = fault.file.replace(&folder, "");
        fault.hint = fault.hint.replace(&folder, "");
        fault
    };
    source::load(case)
        .map(|policy| Policy { warnings: policy.warnings.into_iter().map(bare).collect(), ..policy })
        .map_err(|faults| faults.into_iter().map(bare).collect())
}

/// Compares with the text beside the case. `BLESS=1 cargo test` writes it anew, to be read before it is committed.
fn golden(case: &Path, actual: &str, failures: &mut Vec<String>) {
    let path = case.with_extension("txt");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, actual).expect("writes");
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    if expected != actual {
        failures.push(format!("{}\nexpected:\n{expected}\nactual:\n{actual}", path.display()));
    }
}

#[test]
fn a_pattern_without_quotes_is_told_to_want_them() {
    for line in ["mail: *@contoso.com", "mail: *", "mail: [*@contoso.com]"] {
        let text = format!("version: 1\nkeep:\n  - {{ name: a, match: {{ {line} }}, licenses: [SPE_E3] }}\n");
        let faults = Policy::parse("policy.yaml", &text).expect_err("not YAML");
        assert!(faults.iter().any(|fault| fault.hint.contains("wants quotes")), "{line}: {faults:?}");
    }
}

#[test]
fn every_bad_policy_says_what_is_wrong() {
    let mut failures = Vec::new();
    let cases = cases("bad");
    assert!(cases.len() >= 40);
    for case in &cases {
        match loaded(case) {
            Ok(_) => failures.push(format!("{} was accepted", case.display())),
            Err(faults) => golden(case, &render(&faults, Format::Text), &mut failures),
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn every_good_policy_is_accepted() {
    let mut failures = Vec::new();
    for case in cases("good") {
        match loaded(&case) {
            Ok(policy) if policy.warnings.is_empty() => {
                assert!(!case.with_extension("txt").exists(), "{}: no warnings any more", case.display());
            }
            Ok(policy) => golden(&case, &render(&policy.warnings, Format::Text), &mut failures),
            Err(faults) => failures.push(render(&faults, Format::Text)),
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn every_case_says_what_it_shows() {
    for case in ["bad", "good", "match"].into_iter().flat_map(cases).filter(|case| case.is_file()) {
        let bytes = std::fs::read(&case).expect("readable");
        let text = String::from_utf8_lossy(&bytes);
        let first = text.lines().next().unwrap_or_default().trim_start_matches('\u{feff}');
        assert!(first.starts_with("# ") && first.len() > 20, "{}: a sentence, please", case.display());
    }
}

#[test]
fn the_shipped_policy_is_good() {
    let policy = source::load(&repository().join("config/policy.yaml"))
        .unwrap_or_else(|faults| panic!("{}", render(&faults, Format::Text)));
    assert_eq!(policy.warnings, []);
    let names: Vec<&str> = policy.keep.iter().map(|rule| rule.name.as_str()).collect();
    assert_eq!(names, ["executives", "shared mailboxes", "staff"]);
    let staff = &policy.keep[2];
    assert_eq!(staff.usage_location.as_deref(), Some("NO"));
    assert_eq!(staff.settle, Span::from_hours(2));
    assert_eq!(staff.on_license_lost, Response::Act);
    assert_eq!(policy.limits.seats_reserved.get("SPE_E3"), Some(&5));
    assert_eq!(policy.groups().len(), 3, "two that are matched, one that gives licences");
    assert!(policy.needs_mailbox_kind());
}

#[test]
fn defaults_are_the_careful_ones() {
    let policy = loaded(&repository().join("tests/cases/policy/good/minimal.yaml")).expect("good");
    let rule = &policy.keep[0];
    assert_eq!((rule.on_license_lost, rule.on_deleted), (Response::Report, Response::Report));
    assert_eq!((rule.settle, rule.priority, rule.adopt), (Span::from_hours(2), 0, false));
    assert_eq!(rule.assign, Assign::Direct);
    assert_eq!(policy.retention, Retention { days: Span::from_days(30), margin: Span::from_days(2) });
    let (share, seats_reserved) = (0.05, BTreeMap::new());
    let limits = Limits { per_pass: 25, per_day: 100, share, floor: 10, policy_age: None, seats_reserved };
    assert_eq!(policy.limits, limits);
    assert_eq!(policy.unanswered_asks, Unanswered::Report);
}

#[test]
fn a_low_limit_per_day_lowers_the_limit_per_pass() {
    let text = "version: 1\nlimits: { per_day: 7 }\nkeep:\n  - name: a\n    match: { domain: d }\n";
    let limits = Policy::parse("policy.yaml", text).expect("good").limits;
    assert_eq!((limits.per_pass, limits.per_day), (7, 7));
}

/// The only policy with a rule of this match.
fn with_match(written: &str) -> Policy {
    let text = format!("version: 1\nkeep:\n  - name: rule\n    match: {written}\n");
    Policy::parse("policy.yaml", &text).unwrap_or_else(|faults| panic!("{}", render(&faults, Format::Text)))
}

#[test]
fn only_a_rule_that_accepts_false_may_license_a_disabled_account() {
    for (written, is_accepted) in [
        ("{ domain: contoso.com }", false),
        ("{ account_enabled: true }", false),
        ("{ account_enabled: false }", true),
        ("{ account_enabled: [true, false] }", true),
        ("{ not: { account_enabled: true } }", true),
        ("{ not: { account_enabled: false } }", false),
        ("{ any: [{ domain: contoso.com }, { account_enabled: false }] }", true),
    ] {
        assert_eq!(with_match(written).keep[0].names_account_enabled(), is_accepted, "{written}");
    }
}

#[test]
fn exchange_is_asked_only_where_a_kind_is_named() {
    assert!(!with_match("{ domain: contoso.com }").needs_mailbox_kind());
    assert!(with_match("{ not: { any: [{ mailbox: shared }] } }").needs_mailbox_kind());
}

#[test]
fn groups_are_found_wherever_they_stand() {
    let (a, b) = ("8a2f5d5c-6f0b-4f0e-8a53-5d1b6d5f2c10", "0c0f0a52-3f0e-4d3b-9b8a-0f5e1f3f7a77");
    let policy = with_match(&format!(
        "{{ domain: contoso.com, not: {{ any: [{{ group: {a} }}, {{ group: [{b}] }}] }} }}"
    ));
    let expected = BTreeSet::from([a, b].map(|id| id.parse::<GroupId>().expect("an id")));
    assert_eq!(policy.groups(), expected);
}

/// Texts of a megabyte that could cost minutes: many faults, many keys, many rules, deep nesting.
#[test]
fn hostile_texts_end_in_few_faults() {
    let rule = |number: usize| format!("  - {{ name: r{number}, match: {{ department: d{number} }} }}\n");
    let rules: String = (0..20_000).map(rule).collect();
    let keys: String = (0..60_000).map(|number| format!("k{number}: 1\n")).collect();
    let ids: String = (0..80_000).map(|number| format!("- x{number}\n")).collect();
    let texts = [
        format!("version: 1\nkeep:\n{rules}"),
        keys,
        format!("version: 1\noffboarded:\n{ids}"),
        "[".repeat(400_000),
        format!("version: 1\nkeep: {}", "{ a: ".repeat(150_000)),
        "a: b\n".repeat(150_000),
    ];
    for text in texts {
        assert!(text.len() <= locate::LONGEST_FILE, "{}", text.len());
        let faults = Policy::parse("hostile.yaml", &text).expect_err("hostile");
        assert!(faults.len() <= 202, "{}", faults.len());
    }
}

#[test]
fn the_digest_follows_the_content_and_the_names() {
    let folder = tempfile::tempdir().expect("a directory");
    let file = folder.path().join("policy.yaml");
    std::fs::write(&file, "abc").expect("writes");
    // SHA-256 of "abc", FIPS 180-2, appendix B.1.
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(source::digest(&file).as_deref(), Ok(abc));
    let alone = source::digest(folder.path()).expect("readable");
    std::fs::write(folder.path().join("second.yaml"), "abc").expect("writes");
    std::fs::write(folder.path().join(".hidden.yaml"), "abc").expect("writes");
    std::fs::write(folder.path().join("policy.schema.json"), "{}").expect("writes");
    let both = source::digest(folder.path()).expect("readable");
    assert_ne!(alone, both);
    std::fs::rename(folder.path().join("second.yaml"), folder.path().join("third.yaml")).expect("renames");
    assert_ne!(source::digest(folder.path()).expect("readable"), both);
}

#[test]
fn files_that_are_no_policy_are_refused_unread() {
    let long = source::decoded("long.yaml".to_owned(), vec![b'#'; locate::LONGEST_FILE + 1]);
    assert_eq!(long.expect_err("too long")[0].message, "longer than 1 MiB");
    let folder = tempfile::tempdir().expect("a directory");
    assert_eq!(source::load(folder.path()).expect_err("empty")[0].message, "no policy files here");
    let missing = source::load(&folder.path().join("missing.yaml")).expect_err("missing");
    assert!(missing[0].message.starts_with("cannot be read: "), "{}", missing[0].message);
}

#[test]
fn the_shipped_schema_is_current() {
    let written = std::fs::read_to_string(repository().join("config/policy.schema.json")).unwrap_or_default();
    let current = serde_json::to_string_pretty(&policy_schema()).expect("serialises") + "\n";
    assert!(written == current, "run: mailkeeper schema policy > config/policy.schema.json\n{current}");
}

/// The table for the shape check and the types for serde must name the same keys. The schema is made from the types.
#[test]
fn table_and_types_name_the_same_keys() {
    shape::tests_support::assert_same_keys(&grammar::POLICY, &policy_schema());
}

#[test]
fn faults_are_also_json_and_workflow_commands() {
    let faults = Policy::parse("a,b.yaml", "version: 1\nkepp: 50%\n").expect_err("bad");
    let github = render(&faults, Format::Github);
    assert_eq!(
        github.lines().next(),
        Some("::error file=a%2Cb.yaml,line=2,col=1::unknown key `kepp` (did you mean `keep`?)")
    );
    let json: serde_json::Value = serde_json::from_str(&render(&faults, Format::Json)).expect("JSON");
    let first = &json[0];
    assert_eq!(
        (&first["line"], &first["path"], &first["severity"]),
        (&2.into(), &"kepp".into(), &"error".into())
    );
}

/// Texts that two parsers could read differently; where they do, the file is refused.
#[test]
fn both_parsers_read_the_good_cases_alike() {
    let mut count = 0;
    for path in cases("good").into_iter().filter(|path| path.is_file()) {
        let source = source::read_file(&path).expect("readable");
        let document: document::Document<'_, schema::PolicyFile> =
            document::Document::read(&source, &grammar::POLICY);
        let other: schema::PolicyFile = schema::read(&source.text).expect("readable");
        assert_eq!(document.file, other, "{}", path.display());
        count += 1;
    }
    assert!(count >= 8);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    /// Bytes replaced, removed, doubled: the answer is a policy or faults, each with a place inside the file.
    #[test]
    fn damaged_policies_never_panic(
        pick in any::<prop::sample::Index>(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0..3u8, any::<u8>()), 1..12),
    ) {
        let mut files: Vec<PathBuf> = cases("good").into_iter().filter(|path| path.is_file()).collect();
        files.push(repository().join("config/policy.yaml"));
        let mut bytes = std::fs::read(&files[pick.index(files.len())]).expect("readable");
        for (at, kind, byte) in edits {
            if bytes.is_empty() {
                break;
            }
            let at = at.index(bytes.len());
            match kind {
                0 => bytes[at] = byte,
                1 => drop(bytes.remove(at)),
                _ => {
                    let tail = bytes[at..(at + 40).min(bytes.len())].to_vec();
                    bytes.splice(at..at, tail);
                }
            }
        }
        let Ok(Source { name, text }) = source::decoded("damaged.yaml".to_owned(), bytes) else { return Ok(()) };
        if let Err(faults) = Policy::parse(&name, &text) {
            prop_assert!(faults.iter().any(|fault| fault.severity == Severity::Error));
            let lines = text.lines().count() as u32 + 1;
            for fault in &faults {
                prop_assert!(fault.line <= lines, "{fault:?}");
            }
            render(&faults, Format::Text);
        }
    }

    /// The same with texts made of the signs that mean something in YAML.
    #[test]
    fn yaml_soup_never_panics(soup in "(version: 1\n)?(keep:\n  - )?[-\\[\\]{}:,&*!|>'\"%@`#?~ \na0<\t]{0,200}") {
        if let Err(faults) = Policy::parse("soup.yaml", &soup) {
            prop_assert!(!render(&faults, Format::Text).is_empty());
        }
    }
}
