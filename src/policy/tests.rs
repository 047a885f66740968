//! The policy against its case files.

use std::path::Path;

use super::*;

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_shipped_policy_is_good() {
    let policy = source::load(&repository().join("config/policy.yaml"))
        .unwrap_or_else(|faults| panic!("{}", render(&faults, Format::Text)));
    assert_eq!(policy.warnings, []);
    let names: Vec<&str> = policy.keep.iter().map(|rule| rule.name.as_str()).collect();
    assert_eq!(names, ["executives", "shared mailboxes", "staff"]);
    assert_eq!(policy.keep[2].usage_location.as_deref(), Some("NO"));
    assert_eq!(policy.groups().len(), 3);
    assert!(policy.needs_mailbox_kind());
}
