//! Whole passes while the entry of one user is not understood: nothing is decided about that user, and nothing that was
//! known, asked or sent before is forgotten.

use std::sync::Arc;

use mailkeeper::clock::Clock;
use mailkeeper::model::{Answer, Certainty, KnownUser, Reason, SkuId, Span, UserId, Verdict};
use mailkeeper::reconcile::{Parts, PassReport, PolicyHolder, Purpose, Reconciler};
use mailkeeper::report::metrics::Metrics;
use mailkeeper::sim::administrator::DeletedFrom;
use mailkeeper::sim::scenario::Role;
use mailkeeper::sim::scenario::products::SPE_E3;
use mailkeeper::store::TenantStore;
use mailkeeper::store::journal::{Journal, MemoryLog};
use mailkeeper::store::memory::MemoryKv;
use mailkeeper::store::records::Approvals;
use serde_json::{Value, json};

use super::lab::Lab;

const LICENSES: &str = "assignedLicenses";

const ACT: &str = "
version: 1
keep:
  - name: everybody
    match: { user_type: member }
    licenses: [SPE_E3]
    on_license_lost: act
    on_deleted: act
    settle: 1m
limits: { per_pass: 50, per_day: 100, share: 100%, floor: 500 }
";

fn by_group(licenses: &str) -> String {
    ACT.replace("licenses: [SPE_E3]", &format!("licenses: [{licenses}]\n    assign: {{ group: GROUP }}"))
        .replace("per_pass: 50", "per_pass: 1")
}

/// The whole loop over the tenant of a [`Lab`].
struct Keeper {
    lab: Lab,
    store: TenantStore,
    reconciler: Reconciler,
    _directory: tempfile::TempDir,
}

impl Keeper {
    /// After some quiet passes.
    async fn new(seed: u64, policy: &str) -> Self {
        let lab = Lab::new(60, seed);
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("policy.yaml");
        let policy = policy
            .replace("GROUP", &lab.company.licensing_group.to_string())
            .replace("EXECUTIVES", &lab.company.executives.to_string());
        std::fs::write(&file, policy).expect("the directory is ours");
        let tenant = lab.store.tenant();
        let clock: Arc<dyn Clock> = lab.clock.clone();
        let (journal, _) = Journal::open(Box::new(MemoryLog::default()), tenant).expect("an empty journal");
        let store = TenantStore::new(Arc::new(MemoryKv::new()), tenant);
        let parts = Parts {
            name: "contoso".to_owned(),
            graph: lab.client.clone(),
            store: store.clone(),
            journal: Arc::new(journal),
            clock,
            policy: PolicyHolder::new(file),
            may_act: true,
            reads_audit_log: false,
            metrics: Metrics::new(),
        };
        let reconciler = Reconciler::new(parts).expect("an empty state");
        let mut keeper = Self { lab, store, reconciler, _directory: directory };
        keeper.passes(4, 10).await;
        keeper
    }

    async fn pass(&mut self, minutes: i64) -> PassReport {
        self.lab.clock.sleep(Span::from_minutes(minutes).to_duration()).await;
        self.reconciler.pass(&Purpose::Act { digest: None }).await
    }

    /// So many passes; the requests that they sent.
    async fn passes(&mut self, count: usize, minutes: i64) -> Vec<(UserId, &'static str)> {
        let mut sent = Vec::new();
        for _ in 0..count {
            let report = self.pass(minutes).await;
            sent.extend(report.done.iter().map(|done| (done.step.user, done.step.action.label())));
        }
        sent
    }

    fn staff(&self, number: usize) -> UserId {
        let mut staff = self.lab.company.of(Role::Staff).filter(|person| !person.user.on_premises_synced);
        staff.nth(number).expect("enough staff").id
    }

    fn unlicense(&self, user: UserId) {
        self.lab.act(|tenant, now| tenant.remove_licence(now, user, SPE_E3).expect("had one"));
    }

    fn delete(&self, user: UserId) {
        self.lab.act(|tenant, now| tenant.delete_user(now, user, DeletedFrom::Graph));
    }

    fn garble(&self, user: UserId) {
        self.lab.odd.garble([user].into_iter(), LICENSES, json!("odd"));
    }

    fn settle(&self) {
        self.lab.odd.garble(std::iter::empty(), LICENSES, Value::Null);
    }

    fn known(&self, user: UserId) -> KnownUser {
        self.store.user(user).expect("readable").expect("known")
    }

    /// One seat more of the product than is used.
    fn leave_one_seat(&self, sku: SkuId) {
        self.lab.act(|tenant, now| {
            let used = tenant.seats(sku).expect("bought").consumed;
            tenant.set_seats(now, sku, used + 1);
        });
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_empty_mailbox_is_told_all_the_same() {
    for is_odd in [false, true] {
        let mut keeper = Keeper::new(21, ACT).await;
        let user = keeper.staff(0);
        // Another one than the one that will answer.
        let mut known = keeper.known(user);
        known.mailbox.primary_id = Some("MBX:old".to_owned());
        keeper.store.put_users([known]).expect("written");
        keeper.unlicense(user);
        assert_eq!(keeper.passes(3, 10).await, [(user, "assign_license")]);
        if is_odd {
            keeper.garble(user);
        }
        keeper.passes(2, 10).await;
        keeper.settle();
        keeper.passes(6, 10).await;
        keeper.passes(5, 600).await;
        let entry = keeper.store.ledger(user).expect("readable").expect("there");
        assert_eq!(entry.last_verdict, Some(Verdict::NewEmptyMailbox), "odd: {is_odd}");
        assert!(entry.counted_lost && entry.undone.is_empty(), "odd: {is_odd}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_person_denied_stays_denied() {
    let policy = ACT.replace("on_license_lost: act", "on_license_lost: ask") + "unanswered_asks: act\n";
    let mut keeper = Keeper::new(22, &policy).await;
    let user = keeper.staff(0);
    keeper.unlicense(user);
    keeper.passes(2, 10).await;
    let ask = keeper.pass(10).await.plan().asks.first().cloned().expect("a question");
    let answer = Answer {
        granted: false,
        at: keeper.lab.clock.now(),
        by: "an operator".into(),
        digest: String::new(),
        reason: ask.reason,
        users: ask.users.iter().copied().collect(),
    };
    keeper.store.put(&Approvals([(ask.id, answer)].into())).expect("written");
    keeper.garble(user);
    keeper.passes(2, 10).await;
    keeper.settle();
    let report = keeper.pass(10).await;
    assert!(report.plan().waiting.iter().any(|waiting| waiting.reason == Reason::Denied));
    assert_eq!(keeper.passes(29 * 4, 360).await, []);
}

#[tokio::test(start_paused = true)]
async fn who_can_be_read_now_and_then_is_repaired() {
    let mut keeper = Keeper::new(23, ACT).await;
    let user = keeper.staff(0);
    keeper.unlicense(user);
    let mut sent = Vec::new();
    for number in 0..10 {
        if number % 2 == 0 {
            keeper.settle()
        } else {
            keeper.garble(user)
        }
        sent.extend(keeper.passes(1, 60).await);
    }
    assert_eq!(sent, [(user, "assign_license")]);
}

#[tokio::test(start_paused = true)]
async fn a_seat_is_not_promised_twice() {
    for (licenses, is_odd) in [("SPE_E3", false), ("SPE_E3", true), ("EXCHANGESTANDARD, SPE_E3", false)] {
        let mut keeper = Keeper::new(26, &by_group(licenses)).await;
        let users = [keeper.staff(0), keeper.staff(1)];
        users.iter().for_each(|user| keeper.unlicense(*user));
        keeper.leave_one_seat(SPE_E3);
        let mut sent = Vec::new();
        for _ in 0..6 {
            let report = keeper.pass(2).await;
            sent.extend(report.done.iter().map(|done| done.step.user));
            if let Some(user) = sent.first().filter(|_| is_odd) {
                keeper.garble(*user);
            }
        }
        assert_eq!(sent.len(), 1, "{licenses}, odd: {is_odd}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_group_that_does_not_say_what_it_gives_blocks_nothing() {
    let mut keeper = Keeper::new(28, &by_group("SPE_E3")).await;
    let user = keeper.staff(0);
    let group: UserId = keeper.lab.company.licensing_group.to_string().parse().expect("an id");
    keeper.lab.odd.garble([group].into_iter(), LICENSES, Value::Null);
    keeper.passes(7, 10).await;
    keeper.unlicense(user);
    assert_eq!(keeper.passes(4, 10).await, [(user, "add_to_group")]);
}

#[tokio::test(start_paused = true)]
async fn a_licence_without_an_id_is_not_a_licence_lost() {
    let mut keeper = Keeper::new(33, ACT).await;
    let user = keeper.lab.company.of(Role::Executive).next().expect("an executive").id;
    let odd = json!([{ "skuId": null, "disabledPlans": [] }]);
    keeper.lab.odd.garble([user].into_iter(), LICENSES, odd);
    keeper.reconciler.want_full_listing();
    assert_eq!(keeper.passes(4, 10).await, []);
    assert!(keeper.known(user).is_unread());
}

/// Renamed to what the policy calls off-boarded while nobody could read it, and deleted days later.
#[tokio::test(start_paused = true)]
async fn a_leaver_is_known_by_the_newest_name() {
    for is_odd in [false, true] {
        let offboarded = "offboarded:\n  - { match: { upn: \"left.*\" }, reason: renamed by HR }\n";
        let mut keeper = Keeper::new(35, &(ACT.to_owned() + offboarded)).await;
        let user = keeper.staff(0);
        if is_odd {
            keeper.garble(user);
        }
        keeper.passes(1, 10).await;
        keeper.lab.act(|tenant, now| {
            tenant.set_user_principal_name(now, user, "left.anna@contoso.com");
        });
        if is_odd {
            keeper.passes(3, 24 * 60).await;
        }
        keeper.delete(user);
        keeper.settle();
        assert_eq!(keeper.passes(5, 10).await, [], "odd: {is_odd}");
    }
}

/// In the bin and not understood: everybody else is seen, and nobody takes it out.
#[tokio::test(start_paused = true)]
async fn a_deleted_user_who_is_not_understood_hides_nobody() {
    let mut keeper = Keeper::new(27, ACT).await;
    let (odd, early, other) = (keeper.staff(0), keeper.staff(1), keeper.staff(2));
    keeper.delete(early);
    keeper.pass(1).await;
    let since = keeper.known(early).presence;
    keeper.lab.odd.garble([odd, early].into_iter(), LICENSES, json!("odd"));
    keeper.delete(odd);
    keeper.unlicense(other);
    keeper.reconciler.want_full_listing();
    let sent = keeper.passes(4, 10).await;
    assert!(
        sent.contains(&(other, "assign_license")) && sent.iter().all(|(user, _)| *user != odd),
        "{sent:?}"
    );
    assert!(keeper.known(odd).is_unread());
    // Known to be deleted, and repaired by what was known.
    assert!(sent.contains(&(early, "restore")), "{sent:?} {since:?}");
    keeper.settle();
    assert!(keeper.passes(4, 10).await.contains(&(odd, "restore")));
}

/// Silent, unlicensed meanwhile, deleted, and the bin says nothing of licences.
#[tokio::test(start_paused = true)]
async fn no_deadline_is_certain_that_nobody_saw_begin() {
    let mut keeper = Keeper::new(31, &ACT.replace("on_deleted: act", "on_deleted: report")).await;
    let user = keeper.staff(0);
    keeper.lab.odd.garble([user].into_iter(), LICENSES, Value::Null);
    keeper.pass(10).await;
    keeper.unlicense(user);
    keeper.passes(10, 24 * 60).await;
    keeper.delete(user);
    keeper.passes(1, 10).await;
    let report = keeper.pass(10).await;
    let row = report.view.at_risk.iter().find(|row| row.user == user).expect("at risk");
    assert_eq!(row.certainty, Certainty::Unknown, "{row:?}");
}

/// Another account holds the name of the deleted one, and its entry becomes odd.
#[tokio::test(start_paused = true)]
async fn whoever_holds_a_name_holds_it_unread() {
    let mut keeper = Keeper::new(32, ACT).await;
    let user = keeper.staff(0);
    keeper.delete(user);
    let twin = keeper.lab.act(|tenant, now| tenant.add_duplicate(now, user)).expect("it is deleted");
    keeper.passes(3, 10).await;
    keeper.garble(twin);
    keeper.reconciler.want_full_listing();
    assert_eq!(keeper.passes(5, 10).await, []);
}

/// Kept by a group, deleted, and odd in the bin for one pass: no list of members has a deleted user.
#[tokio::test(start_paused = true)]
async fn a_group_is_not_forgotten_with_an_odd_entry_of_the_bin() {
    let policy = ACT.replace("match: { user_type: member }", "match: { group: \"EXECUTIVES\" }");
    for is_full in [false, true] {
        let mut keeper = Keeper::new(50, &policy).await;
        let user = keeper.lab.company.of(Role::Executive).next().expect("an executive").id;
        keeper.garble(user);
        keeper.delete(user);
        if is_full {
            keeper.reconciler.want_full_listing();
        }
        let view = keeper.pass(10).await.view;
        let row = view.unjudged().into_iter().find(|row| row.user == user).expect("named in the status");
        let deadline = row.deadline.expect("a date to act by");
        assert!(deadline <= keeper.lab.clock.now() + Span::from_days(30), "{row:?}");
        keeper.settle();
        assert_eq!(keeper.passes(6, 30).await, [(user, "restore")], "full: {is_full}");
    }
}

/// A shared mailbox needs no licence, so that it is missed only by its account.
#[tokio::test(start_paused = true)]
async fn a_deleted_shared_mailbox_is_missed_unread_too() {
    let mut keeper = Keeper::new(51, ACT).await;
    let user = keeper.lab.company.of(Role::SharedMailbox).next().expect("one").id;
    assert!(!keeper.known(user).needs_license(), "its kind is known");
    keeper.garble(user);
    keeper.delete(user);
    let view = keeper.pass(10).await.view;
    assert!(view.unjudged().iter().any(|row| row.user == user && row.deadline.is_some()), "{:?}", view.plan);
    keeper.settle();
    assert!(keeper.passes(4, 30).await.contains(&(user, "restore")));
    keeper.passes(6, 60).await;
    let view = keeper.pass(10).await.view;
    assert!(view.at_risk.iter().all(|row| row.user != user), "{:?}", view.at_risk);
}

/// The deleted account is odd, and another one holds its name: neither is touched.
#[tokio::test(start_paused = true)]
async fn whose_name_is_taken_is_not_forgotten_unread() {
    let mut keeper = Keeper::new(32, &ACT.replace("on_deleted: act", "on_deleted: report")).await;
    let user = keeper.staff(0);
    keeper.delete(user);
    let twin = keeper.lab.act(|tenant, now| tenant.add_duplicate(now, user)).expect("it is deleted");
    keeper
        .lab
        .act(|tenant, now| tenant.assign_licence(now, twin, SPE_E3, Vec::new()))
        .expect("a seat is free");
    keeper.passes(4, 30).await;
    keeper.unlicense(twin);
    keeper.garble(user);
    keeper.reconciler.want_full_listing();
    assert_eq!(keeper.passes(6, 10).await, []);
}

/// Nobody can read the first again; the seat of its request is counted by Graph long before.
#[tokio::test(start_paused = true)]
async fn a_seat_is_not_held_for_ever() {
    let mut keeper = Keeper::new(62, ACT).await;
    let (first, second) = (keeper.staff(0), keeper.staff(1));
    keeper.unlicense(first);
    while keeper.passes(1, 10).await.is_empty() {}
    keeper.garble(first);
    keeper.passes(1, 10).await;
    keeper.unlicense(second);
    keeper.leave_one_seat(SPE_E3);
    assert_eq!(keeper.passes(12, 6 * 60).await, [(second, "assign_license")]);
}
