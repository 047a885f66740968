//! Which mailbox came back: the one that was lost, or a new, empty one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mailkeeper::model::UserId;
use mailkeeper::sim::scenario::products;

use super::memory::{exchange_catches_up, lose_state, passes, rows, verdicts};
use crate::site::{Site, now};

/// An observed tenant, and the switch after which every mailbox of it is another one.
fn site() -> (Site, Arc<AtomicBool>) {
    let is_another = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&is_another);
    let site = Site::behind(move |tenant, now, request| {
        let mut response = tenant.handle(now, &request);
        let is_about_identity =
            ["/settings/exchange", "/$batch"].iter().any(|path| request.url.contains(path));
        if flag.load(Ordering::SeqCst) && is_about_identity {
            let body = String::from_utf8_lossy(&response.body).replace("MBX:", "MBX:another-");
            response.body = body.into_bytes();
        }
        response
    });
    (site.with_observation(), is_another)
}

#[test]
fn another_mailbox_than_the_one_in_the_journal_is_data_loss() {
    let (site, is_another) = site();
    site.unlicense(1);
    passes(&site, 2);
    assert_eq!(site.licensed().len(), 1);
    lose_state(&site);
    is_another.store(true, Ordering::SeqCst);
    exchange_catches_up(&site);
    passes(&site, 1);
    assert_eq!(verdicts(&site), ["new_empty_mailbox"]);
    assert_eq!(site.licensed().len(), 1, "what was sent is known, and is not sent again");
}

#[test]
fn a_person_who_repairs_too_late_is_told_that_the_mailbox_is_another_one() {
    let (site, is_another) = site();
    let users = site.unlicense(2);
    looks(&site, 1);
    give_back(&site, users[0]);
    looks(&site, 3);
    assert!(verdicts(&site).is_empty(), "the same mailbox is back: {:?}", verdicts(&site));

    is_another.store(true, Ordering::SeqCst);
    give_back(&site, users[1]);
    looks(&site, 3);
    assert_eq!(verdicts(&site), ["new_empty_mailbox"]);
    let report = rows(&site, &["report", "--since", "1d"]);
    assert_eq!(report[0]["lost"]["warned"], 1, "{report:?}");
    assert!(site.writes().is_empty());
    looks(&site, 2);
    assert_eq!(verdicts(&site).len(), 1, "said once");
}

fn looks(site: &Site, count: usize) {
    for _ in 0..count {
        let ran = site.run(&["plan"]);
        assert_eq!(ran.code, Some(0), "{ran}");
    }
}

fn give_back(site: &Site, user: UserId) {
    site.tenant().assign_licence(now(), user, products::SPE_E3, Vec::new()).expect("a seat is free");
    exchange_catches_up(site);
}
