//! Golden tables at the usual widths, and what machines read.

use serde_json::Value;

use super::*;
use crate::model::Span;
use crate::report::sample::{self, NOW};

const NARROW: Style = Style { width: 80, has_colour: false };
const WIDE: Style = Style { width: 120, has_colour: false };

/// The text, checked to fit and to carry neither colour nor trailing blanks.
#[track_caller]
fn fitting(text: String, style: Style) -> String {
    for line in text.lines() {
        assert!(line.chars().count() <= usize::from(style.width), "{line}");
        assert_eq!(line.trim_end(), line);
    }
    assert!(!text.contains('\u{1b}'));
    text
}

#[test]
fn status_at_80_columns() {
    insta::assert_snapshot!(fitting(status(&sample::troubled(), NOW, NARROW), NARROW));
}

#[test]
fn status_at_120_columns() {
    insta::assert_snapshot!(fitting(status(&sample::troubled(), NOW, WIDE), WIDE));
}

#[test]
fn plan_at_80_columns() {
    insta::assert_snapshot!(fitting(plan(&sample::troubled().plan, NOW, NARROW), NARROW));
}

#[test]
fn plan_at_120_columns() {
    insta::assert_snapshot!(fitting(plan(&sample::troubled().plan, NOW, WIDE), WIDE));
}

#[test]
fn an_empty_status_says_that_all_is_well_only_where_it_was_seen() {
    let mut view = sample::healthy();
    assert!(status(&view, NOW, NARROW).ends_with("\nEvery kept mailbox is where it should be.\n"));
    view.last_complete_observation = None;
    assert!(status(&view, NOW, NARROW).ends_with("there has been no complete observation.\n"));
    assert!(plan(&Plan::default(), NOW, NARROW).starts_with("No steps.\n"));
}

#[test]
fn who_is_left_alone_in_danger_is_named() {
    let mut view = sample::healthy();
    view.plan.waiting = (0..4)
        .map(|number| Waiting {
            user: UserId::from_u128(number),
            upn: format!("admin{number}@contoso.com"),
            drift: DriftKind::Unlicensed,
            rule: None,
            reason: Reason::Protected,
            until: None,
            deadline: Some(NOW + Span::from_days(12)),
            act_by: None,
            detail: None,
        })
        .collect();
    let text = status(&view, NOW, WIDE);
    let (_, line) = text.split_once("left alone with a mailbox in danger: ").expect("a line of its own");
    let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
    let named = [0, 1, 2].map(|number| {
        format!("admin{number}@contoso.com, licence lost, lost for good on 2026-12-05 12:00 UTC, in 12d")
    });
    assert_eq!(line, format!("4 accounts, protected ({}; ..)", named.join("; ")));
}

#[test]
fn long_groups_are_bounded_and_counted() {
    let text = plan(&sample::crowded(500).plan, NOW, NARROW);
    assert!(text.contains("500 waiting, no seat: "), "{text}");
    assert!(text.contains("\nand 480 more\n"));
    assert!(text.contains("user019@contoso.com") && !text.contains("user020@contoso.com"));
}

#[test]
fn terminal_sequences_from_the_tenant_do_not_reach_the_terminal() {
    let view = sample::hostile();
    let text = status(&view, NOW, NARROW) + &plan(&view.plan, NOW, NARROW);
    assert!(text.contains("<script>"));
    assert!(!text.contains(['\u{1b}', '\u{202e}', '\r']), "{text:?}");
}

#[test]
fn colour_repeats_what_the_words_say() {
    let coloured = status(&sample::troubled(), NOW, Style { width: 120, has_colour: true });
    assert!(coloured.contains("\u{1b}["));
    let mut plain = String::new();
    let mut rest = coloured.as_str();
    while let Some((before, after)) = rest.split_once('\u{1b}') {
        plain += before;
        rest = after.split_once('m').expect("a colour ends").1;
    }
    plain += rest;
    assert_eq!(plain, status(&sample::troubled(), NOW, WIDE));
}

#[test]
fn width_and_colour_come_from_the_terminal_and_no_color() {
    let cases = [
        ((Some(120), true, None), (120, true)),
        ((Some(120), true, Some("")), (120, true)),
        ((Some(120), true, Some("1")), (120, false)),
        ((Some(20), true, None), (LEAST_WIDTH, true)),
        ((Some(200), false, None), (80, false)),
        ((None, false, None), (80, false)),
    ];
    for ((width, is_terminal, no_color), (expected, has_colour)) in cases {
        let style = Style::choose(width, is_terminal, no_color.map(OsStr::new));
        assert_eq!(style, Style { width: expected, has_colour }, "{width:?} {is_terminal} {no_color:?}");
    }
}

#[test]
fn machines_get_one_array_of_objects_with_id_and_upn() {
    let view = sample::troubled();
    let status = json(&status_rows(&view, NOW)).expect("JSON");
    let plan = json(&plan_rows(&view.plan)).expect("JSON");
    for text in [&status, &plan] {
        let Ok(Value::Array(rows)) = serde_json::from_str(text) else { panic!("not an array: {text}") };
        assert_eq!(rows.len(), 6);
        assert!(rows.iter().all(|row| row["id"].is_string() && row["upn"].is_string()), "{text}");
    }
    let rows: Vec<Value> = serde_json::from_str(&status).expect("JSON");
    assert_eq!(rows[0]["upn"], "anna.berg@contoso.com");
    assert_eq!(rows[0]["tenant"], "contoso");
    assert_eq!(rows[5]["upn"], "frida@contoso.com", "what is lost comes last");
    let rows: Vec<Value> = serde_json::from_str(&plan).expect("JSON");
    assert_eq!(
        (&rows[0]["decision"], &rows[0]["step"]["action"]),
        (&"step".into(), &"assign_license".into())
    );
    assert_eq!((&rows[2]["decision"], &rows[2]["reason"]), (&"waiting".into(), &"ask".into()));
}

#[test]
fn ndjson_is_one_object_a_line() {
    let view = sample::hostile();
    let text = ndjson(&status_rows(&view, NOW + Span::from_days(1))).expect("JSON");
    assert_eq!(text.lines().count(), 6);
    assert!(text.lines().all(|line| serde_json::from_str::<Value>(line).is_ok_and(|row| row.is_object())));
    assert_eq!(ndjson::<u8>(&[]).expect("JSON"), "");
    assert_eq!(json::<u8>(&[]).expect("JSON"), "[]\n");
}
