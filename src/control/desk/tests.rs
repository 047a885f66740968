//! Questions and their answers over the real loop and a simulated tenant.

use futures_util::FutureExt as _;

use super::*;
use crate::control::testing::Office;
use crate::model::Presence;
use crate::report::status::NextMove;
use crate::sim::administrator::DeletedFrom;
use crate::sim::scenario::{Company, Role};

/// Staff are restored once a person has said yes.
fn policy(company: &Company) -> String {
    format!(
        "version: 1\nkeep:\n  - name: staff\n    match: {{ mail: \"*@{}\" }}\n    licenses: [SPE_E3]\n    \
         on_license_lost: act\n    on_deleted: ask\n    settle: 10m\nlimits: {{ floor: 10 }}\n",
        company.domain
    )
}

/// An office where one of the staff was deleted and a question is open; the question's id and the user.
async fn asked(may_act: bool) -> (Office, String, UserId) {
    let mut office = Office::open(may_act, policy);
    office.pass_after(Span::from_minutes(10)).await;
    office.pass_after(Span::from_minutes(10)).await;
    let victim = office.company.of(Role::Staff).next().expect("there is staff").id;
    let now = office.now();
    office.tenant().delete_user(now, victim, DeletedFrom::Graph);
    for _ in 0..4 {
        office.pass_after(Span::from_minutes(10)).await;
    }
    let asks = office.desk.open_asks().expect("a pass was made");
    assert_eq!(asks.len(), 1, "one question about one user");
    assert_eq!(asks[0].users, [victim]);
    (office, asks[0].id.clone(), victim)
}

fn person() -> Person {
    Person { name: "carl (uid 1000)".to_owned() }
}

fn answer(office: &Office, ask: &str, granted: bool) -> Result<String, Refusal> {
    let question = Question::Answer { ask: ask.to_owned(), granted };
    match office.desk.answer(&question, &person()).expect("needs no pass")? {
        Answer::Said { message } => Ok(message),
        other => panic!("an answer is said: {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn an_approval_is_recorded_once_and_then_carried_out() {
    let (mut office, ask, victim) = asked(true).await;
    let said = answer(&office, &ask, true).expect("taken");
    assert!(said.contains("the next pass acts on it"), "{said}");
    assert_eq!(office.desk.open_asks().expect("readable"), [], "an answered question is open no more");
    let again = answer(&office, &ask, true).expect("harmless");
    assert!(again.contains("was approved by carl (uid 1000)"), "{again}");
    let approvals =
        |line: &crate::store::journal::Line| matches!(line.entry.known(), Some(Entry::Approved { .. }));
    let lines = office.desk.journal.history(None, 1000).expect("readable");
    assert_eq!(lines.iter().filter(|line| approvals(line)).count(), 1);
    office.pass_after(Span::from_minutes(10)).await;
    office.pass_after(Span::from_minutes(10)).await;
    let known = office.desk.store.user(victim).expect("readable").expect("known");
    assert_eq!(known.presence, Presence::Live, "restored");
    let refusal = answer(&office, &ask, false).expect_err("the question is closed");
    assert!(refusal.is_usage && refusal.message.contains("the question is closed"), "{}", refusal.message);
}

#[tokio::test(start_paused = true)]
async fn before_the_first_pass_no_name_is_misspelt() {
    let office = Office::open(true, policy);
    for question in [
        Question::Explain { user: "anna@contoso.com".to_owned() },
        Question::History { user: Some("anna@contoso.com".to_owned()), limit: 9 },
        Question::History { user: None, limit: 9 },
        Question::Report { since: Span::from_days(30) },
    ] {
        let refusal =
            office.desk.answer(&question, &person()).expect("needs no pass").expect_err("nobody is known");
        assert!(refusal.message.contains("no pass was made for contoso yet"), "{}", refusal.message);
    }
}

#[tokio::test(start_paused = true)]
async fn a_denial_is_told_and_taken_back_as_long_as_its_drift_stands() {
    let (mut office, ask, victim) = asked(true).await;
    answer(&office, &ask, false).expect("taken");
    for _ in 0..3 {
        office.pass_after(Span::from_minutes(10)).await;
    }
    let upn = office.desk.store.user(victim).expect("readable").expect("known").user.upn;
    let Answer::Asks { asks, denied, .. } = office.desk.asks().expect("readable") else {
        panic!("questions")
    };
    assert_eq!((asks.len(), denied.len()), (0, 1));
    assert_eq!((denied[0].ask.id.as_str(), denied[0].by.as_str()), (ask.as_str(), "carl (uid 1000)"));
    let explained = office.desk.explain(&upn).expect("known").to_text();
    assert!(explained.contains(&format!("taken back with: mailkeeper approve {ask}")), "{explained}");
    for told in ["asks a person (question", "denied by carl (uid 1000)"] {
        assert!(explained.contains(told), "{told} is not in {explained}");
    }
    let Answer::History { lines, names } = office.desk.history(Some(&upn), 100).expect("readable") else {
        panic!("lines")
    };
    let history = chronicle::text(lines.iter().rev(), &names);
    assert!(history.contains("denied by carl (uid 1000)") && history.contains(&upn), "{history}");

    answer(&office, &ask, true).expect("passes later the answer is taken back");
    let next = office.desk.view().expect("a pass was made").at_risk[0].next.clone();
    assert!(matches!(next, NextMove::Approved { .. }), "{next:?}");
    office.pass_after(Span::from_minutes(10)).await;
    office.pass_after(Span::from_minutes(10)).await;
    let known = office.desk.store.user(victim).expect("readable").expect("known");
    assert_eq!(known.presence, Presence::Live, "restored");
    let refusal = answer(&office, &ask, false).expect_err("the drift is over");
    assert!(refusal.message.contains("the question is closed"), "{}", refusal.message);
}

/// More are deleted at once than the policy lets pass, all under a rule that asks.
#[tokio::test(start_paused = true)]
async fn a_denied_mass_event_is_taken_back_and_a_yes_to_many_is_none_to_the_rules_own_question() {
    let mut office = Office::open(true, |company| policy(company).replace("floor: 10", "floor: 1"));
    office.pass_after(Span::from_minutes(10)).await;
    office.pass_after(Span::from_minutes(10)).await;
    let is_ours = |person: &&crate::sim::scenario::Person| !person.user.on_premises_synced;
    let staff = office.company.of(Role::Staff).filter(is_ours);
    let victims: Vec<UserId> = staff.take(3).map(|person| person.id).collect();
    let now = office.now();
    for victim in &victims {
        office.tenant().delete_user(now, *victim, DeletedFrom::Graph);
    }
    for _ in 0..4 {
        office.pass_after(Span::from_minutes(10)).await;
    }
    let asks = office.desk.open_asks().expect("a pass was made");
    let mass = asks.iter().find(|ask| ask.reason == Reason::MassEvent).expect("many at once").id.clone();
    answer(&office, &mass, false).expect("taken");
    office.pass_after(Span::from_minutes(10)).await;
    let Answer::Asks { denied, .. } = office.desk.asks().expect("readable") else { panic!("questions") };
    let denied = denied.iter().find(|denied| denied.ask.id == mass).expect("the same question");
    assert_eq!(denied.ask.users.len(), 3);
    answer(&office, &mass, true).expect("taken back");
    office.pass_after(Span::from_minutes(10)).await;
    let view = office.desk.view().expect("a pass was made");
    assert!(
        view.at_risk.iter().all(|row| matches!(row.next, NextMove::Waiting { reason: Reason::Ask, .. })),
        "{:?}",
        view.at_risk
    );
    let explained = office.desk.explain(&victims[0].to_string()).expect("known").next;
    let own = view.asks.iter().find(|ask| ask.users == [victims[0]]).expect("the rule asks");
    assert!(explained.contains(&format!("mailkeeper approve {}", own.id)), "{explained}");
}

#[tokio::test(start_paused = true)]
async fn an_approval_of_a_question_that_is_gone_is_refused_with_what_is_open() {
    let (mut office, ask, victim) = asked(true).await;
    let misspelt = format!("{}x", &ask[..ask.len() - 1]);
    let refusal = answer(&office, &misspelt, true).expect_err("no such question");
    assert!(refusal.message.contains(&format!("Did you mean {ask}?")), "{}", refusal.message);
    let now = office.now();
    office.tenant().restore_user(now, victim).expect("among the deleted");
    office.pass_after(Span::from_minutes(10)).await;
    let refusal = answer(&office, &ask, true).expect_err("somebody else restored the account");
    assert!(refusal.is_usage);
    assert!(refusal.message.contains("nothing was recorded"), "{}", refusal.message);
    assert!(refusal.message.contains("No question is open at the moment."), "{}", refusal.message);
    assert!(office.desk.store.get::<Approvals>().expect("readable").is_none());
}

#[tokio::test(start_paused = true)]
async fn an_approval_in_observe_mode_says_that_nothing_is_sent() {
    let (office, ask, _) = asked(false).await;
    let said = answer(&office, &ask, true).expect("taken");
    assert!(said.contains("nothing is sent yet: mode is observe"), "{said}");
}

#[tokio::test(start_paused = true)]
async fn explain_says_what_the_plan_says_also_of_an_address_that_was_taken() {
    let (mut office, _, victim) = asked(true).await;
    let now = office.now();
    office.tenant().add_duplicate(now, victim).expect("a live account takes the address");
    office.pass_after(Span::from_minutes(10)).await;
    let plan = office.desk.store.get::<Plan>().expect("readable").expect("planned");
    let waiting = plan.waiting.iter().find(|waiting| waiting.user == victim).expect("it waits");
    assert_eq!(waiting.reason, Reason::Duplicate);
    let explanation = office.desk.explain(&victim.to_string()).expect("known");
    assert!(explanation.same_address.is_some());
    assert!(explanation.next.contains(Reason::Duplicate.sentence()), "{}", explanation.next);
    assert!(!explanation.past.is_empty(), "the journal knows of the deletion");
}

#[tokio::test(start_paused = true)]
async fn the_month_of_the_desk_is_told_from_its_own_journal() {
    let (mut office, ask, _) = asked(true).await;
    answer(&office, &ask, true).expect("taken");
    for _ in 0..6 {
        office.pass_after(Span::from_minutes(30)).await;
    }
    let question = Question::Report { since: Span::from_days(30) };
    let answer = office.desk.answer(&question, &person()).expect("needs no pass").expect("readable");
    let Answer::Report { summary } = answer else { panic!("a report") };
    assert_eq!((summary.asks.opened, summary.asks.approved), (1, 1));
    assert_eq!(summary.kept.verified + summary.kept.unverified, 1, "{}", summary.to_text());
    assert_eq!(summary.kept.by_cause.keys().collect::<Vec<_>>(), ["account_deleted"]);
    assert_eq!(summary.kept.by_rule.keys().collect::<Vec<_>>(), ["staff"]);
    assert!(summary.kept.least_left.is_some_and(|left| left > Span::from_days(29)));
}

#[tokio::test(start_paused = true)]
async fn a_question_says_what_yes_does_and_until_when() {
    let (office, _, victim) = asked(true).await;
    let asks = office.desk.open_asks().expect("a pass was made");
    let upn = office.desk.store.user(victim).expect("readable").expect("known").user.upn;
    let question = &asks[0].question;
    assert!(question.starts_with(&format!("Restore the deleted account {upn}? ")), "{question}");
    assert!(question.contains("lost for good on "), "{question}");
}

#[tokio::test(start_paused = true)]
async fn answers_and_holds_show_before_the_next_pass() {
    let (office, ask, victim) = asked(true).await;
    let status = || office.desk.view().expect("a pass was made");
    let next =
        |view: &TenantView| view.at_risk.iter().find(|row| row.user == victim).expect("at risk").next.clone();
    answer(&office, &ask, true).expect("taken");
    assert_eq!(status().asks, []);
    assert!(matches!(next(&status()), NextMove::Approved { .. }), "{:?}", next(&status()));
    answer(&office, &ask, false).expect("taken back");
    assert!(matches!(next(&status()), NextMove::Waiting { reason: Reason::Denied, .. }));

    let hold = |hours| {
        let question =
            Question::Hold { duration: Some(Span::from_hours(hours)), reason: "a look".to_owned() };
        match office.desk.answer(&question, &person()).expect("needs no pass").expect("taken") {
            Answer::Said { message } => message,
            other => panic!("a hold is said: {other:?}"),
        }
    };
    office.desk.shared.published().await;
    let said = hold(1);
    assert!(office.desk.shared.published().now_or_never().is_some(), "page and metrics are told");
    assert!(!said.contains("replaces"), "{said}");
    let held = status().hold.expect("shown at once");
    assert_eq!((held.by.as_str(), held.reason.as_str()), ("carl (uid 1000)", "a look"));
    let said = hold(4);
    assert!(said.contains("replaces the hold of carl (uid 1000) until "), "{said}");
}

#[tokio::test(start_paused = true)]
async fn an_old_policy_starts_nothing_until_a_person_says_that_it_is_meant() {
    let mut office =
        Office::open(true, |company| policy(company).replace("floor: 10", "floor: 10, policy_age: 10d"));
    let now = office.now();
    office.date_policy(now - Span::from_days(9));
    office.pass_after(Span::from_minutes(10)).await;
    office.pass_after(Span::from_minutes(10)).await;
    let victim = office.company.of(Role::Staff).next().expect("there is staff").id;
    let now = office.now();
    office.tenant().delete_user(now, victim, DeletedFrom::Graph);
    office.pass_after(Span::from_minutes(10)).await;
    let reason_of = |office: &Office| {
        let plan = office.desk.store.get::<Plan>().expect("readable").expect("planned");
        plan.waiting.iter().find(|waiting| waiting.user == victim).map(|waiting| waiting.reason)
    };
    assert_eq!(reason_of(&office), Some(Reason::Confirming), "nine days are not ten");
    office.pass_after(Span::from_days(1)).await;
    office.pass_after(Span::from_minutes(10)).await;
    assert_eq!(reason_of(&office), Some(Reason::PolicyOld));
    let asks = office.desk.open_asks().expect("a pass was made");
    assert_eq!(asks.len(), 1, "one question, whatever else would be asked: {asks:?}");
    assert_eq!(asks[0].question, "the policy is 10 days old: is it still what you want?");
    let said = answer(&office, &asks[0].id, true).expect("taken");
    assert!(said.contains("the policy as a whole"), "{said}");
    office.pass_after(Span::from_minutes(10)).await;
    assert_eq!(reason_of(&office), Some(Reason::Ask), "the rule's own question is next");
    assert_eq!(office.desk.open_asks().expect("a pass was made").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_same_users_another_time_are_another_mass_event() {
    let mut office = Office::open(true, |company| {
        policy(company).replace("floor: 10", "floor: 1").replace("on_deleted: ask", "on_deleted: act")
    });
    office.pass_after(Span::from_minutes(10)).await;
    office.pass_after(Span::from_minutes(10)).await;
    let is_ours = |person: &&crate::sim::scenario::Person| !person.user.on_premises_synced;
    let staff = office.company.of(Role::Staff).filter(is_ours);
    let victims: Vec<UserId> = staff.take(3).map(|person| person.id).collect();
    let presences = |office: &Office| -> Vec<Presence> {
        victims
            .iter()
            .map(|id| office.desk.store.user(*id).expect("readable").expect("known").presence)
            .collect()
    };
    for round in 1..=2 {
        let now = office.now();
        for victim in &victims {
            office.tenant().delete_user(now, *victim, DeletedFrom::Graph);
        }
        for _ in 0..4 {
            office.pass_after(Span::from_minutes(10)).await;
        }
        let asks = office.desk.open_asks().expect("a pass was made");
        let mass = asks.iter().find(|ask| ask.reason == Reason::MassEvent).map(|ask| ask.id.clone());
        let mass = mass.unwrap_or_else(|| panic!("round {round}: nobody was asked"));
        answer(&office, &mass, true).expect("taken");
        for _ in 0..6 {
            office.pass_after(Span::from_minutes(60)).await;
        }
        assert!(
            presences(&office).iter().all(|presence| *presence == Presence::Live),
            "{:?}",
            presences(&office)
        );
        for _ in 0..40 {
            office.pass_after(Span::from_hours(24)).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn answers_given_at_the_same_time_are_all_kept() {
    let mut office = Office::open(true, policy);
    office.pass_after(Span::from_minutes(10)).await;
    office.pass_after(Span::from_minutes(10)).await;
    let is_ours = |person: &&crate::sim::scenario::Person| !person.user.on_premises_synced;
    let victims: Vec<UserId> =
        office.company.of(Role::Staff).filter(is_ours).take(8).map(|person| person.id).collect();
    let now = office.now();
    for victim in &victims {
        office.tenant().delete_user(now, *victim, DeletedFrom::Graph);
    }
    for _ in 0..4 {
        office.pass_after(Span::from_minutes(10)).await;
    }
    let asks: Vec<String> =
        office.desk.open_asks().expect("a pass was made").into_iter().map(|ask| ask.id).collect();
    assert_eq!(asks.len(), 8);
    let barrier = std::sync::Barrier::new(asks.len());
    std::thread::scope(|scope| {
        for ask in &asks {
            let (desk, barrier) = (office.desk.clone(), &barrier);
            scope.spawn(move || {
                barrier.wait();
                let question = Question::Answer { ask: ask.clone(), granted: false };
                desk.answer(&question, &person()).expect("no pass").expect("taken");
            });
        }
    });
    let kept = office.desk.store.get_or_default::<Approvals>().expect("readable").0.len();
    let lines = office.desk.journal.history(None, 1000).expect("readable");
    let told = lines.iter().filter(|line| matches!(line.entry.known(), Some(Entry::Denied { .. }))).count();
    assert_eq!((told, kept), (8, 8), "denials in the journal, in the state");
}

#[tokio::test(start_paused = true)]
async fn a_yes_to_a_policy_change_does_not_count_months_later() {
    let mut office = Office::open(true, policy);
    office.pass_after(Span::from_minutes(10)).await;
    office.pass_after(Span::from_minutes(10)).await;
    let good = policy(&office.company);
    let bad = good.replace("mail: \"*@", "mail: \"nobody-*@");
    office.rewrite_policy(&bad);
    office.pass_after(Span::from_minutes(10)).await;
    let asks = office.desk.open_asks().expect("a pass was made");
    assert_eq!(asks[0].reason, Reason::PolicyChange);
    answer(&office, &asks[0].id.clone(), true).expect("taken");
    office.pass_after(Span::from_minutes(10)).await;
    assert_eq!(office.desk.view().expect("a view").kept, 0, "in force, as was said");
    // A mistake: taken back (which keeps many more than before, and is asked about, too).
    office.rewrite_policy(&good);
    office.pass_after(Span::from_minutes(10)).await;
    for ask in office.desk.open_asks().expect("a pass was made") {
        answer(&office, &ask.id, true).expect("taken");
    }
    office.pass_after(Span::from_minutes(10)).await;
    assert!(office.desk.view().expect("a view").kept > 30);
    for _ in 0..100 {
        office.pass_after(Span::from_hours(24)).await;
    }
    office.rewrite_policy(&bad);
    office.pass_after(Span::from_minutes(10)).await;
    assert!(
        office.desk.view().expect("a view").kept > 30,
        "the same slip, months later, and nobody was asked"
    );
}

#[tokio::test(start_paused = true)]
async fn off_boarding_many_by_a_pattern_is_asked_about() {
    let mut office = Office::open(true, policy);
    office.pass_after(Span::from_minutes(10)).await;
    office.pass_after(Span::from_minutes(10)).await;
    let before = office.desk.view().expect("a view").kept;
    let good = policy(&office.company);
    let wide = format!("{good}offboarded:\n  - {{ match: {{ upn: \"*e*\" }}, reason: leavers }}\n");
    office.rewrite_policy(&wide);
    office.pass_after(Span::from_minutes(10)).await;
    let view = office.desk.view().expect("a view");
    assert_eq!((view.kept, view.asks[0].reason), (before, Reason::PolicyChange));
    assert!(view.asks[0].question.contains("off-boarded or protected by a pattern"), "{:?}", view.asks);
}

#[tokio::test(start_paused = true)]
async fn an_answer_without_a_tenant_reaches_the_one_that_asks() {
    let (one, ask, _) = asked(true).await;
    let (two, _, _) = asked(true).await;
    let mut other = Office::open(true, policy);
    other.pass_after(Span::from_minutes(10)).await;
    drop(two);
    let desk = one.desk.clone();
    let (fleet, _running) =
        crate::fleet::Fleet::start(vec![(one.reconciler, one.desk), (other.reconciler, other.desk)]);
    let request = crate::control::Request { tenant: None, question: Question::Answer { ask, granted: true } };
    let said = fleet.ask(&request, &person()).await;
    let recorded = desk.store.get_or_default::<Approvals>().expect("readable").0.len();
    assert!(said.is_ok() || recorded == 0, "recorded {recorded}, and said: {}", said.expect_err("").message);
}

#[tokio::test(start_paused = true)]
async fn a_question_stays_as_old_as_it_is_over_a_pass_that_plans_nothing() {
    let (mut office, ask, _) = asked(true).await;
    let opened = office.desk.open_asks().expect("a pass was made")[0].opened;
    let told = |office: &Office| {
        let lines = office.desk.journal.history(None, 1000).expect("readable");
        lines.iter().filter(|line| matches!(line.entry.known(), Some(Entry::Asked { .. }))).count()
    };
    assert_eq!(told(&office), 1);
    let good = policy(&office.company);
    for _ in 0..3 {
        office.rewrite_policy("version: 1\nkeep: nonsense\n");
        office.pass_after(Span::from_hours(12)).await;
        office.rewrite_policy(&good);
        office.pass_after(Span::from_minutes(10)).await;
    }
    let again = office.desk.open_asks().expect("a pass was made");
    assert_eq!(again[0].id, ask, "the same question");
    assert_eq!(
        (told(&office), (again[0].opened - opened).as_millis() / 3_600_000),
        (1, 0),
        "lines, hours younger"
    );
}

#[tokio::test(start_paused = true)]
async fn a_no_holds_when_the_name_is_given_to_another_afterwards() {
    let mut office = Office::open(true, |company| {
        let domain = &company.domain;
        format!(
            "version: 1\nunanswered_asks: act\nkeep:\n  - name: staff\n    match: {{ upn: \"*@{domain}\" }}\n    licenses: [SPE_E3]\n    \
             on_license_lost: report\n    on_deleted: ask\n    settle: 10m\n    restore: {{ drop_taken_addresses: true, \
             upn_if_taken: \"*-restored@{domain}\" }}\nlimits: {{ floor: 10 }}\n"
        )
    });
    office.pass_after(Span::from_minutes(10)).await;
    office.pass_after(Span::from_minutes(10)).await;
    let is_ours = |person: &&crate::sim::scenario::Person| !person.user.on_premises_synced;
    let victim = office.company.of(Role::Staff).find(is_ours).expect("there is staff").id;
    let now = office.now();
    office.tenant().delete_user(now, victim, DeletedFrom::Graph);
    for _ in 0..4 {
        office.pass_after(Span::from_minutes(10)).await;
    }
    let asks = office.desk.open_asks().expect("a pass was made");
    assert_eq!(asks.len(), 1, "{asks:?}");
    answer(&office, &asks[0].id.clone(), false).expect("a leaver: no");
    for _ in 0..5 {
        office.pass_after(Span::from_hours(24)).await;
    }
    let now = office.now();
    office.tenant().add_duplicate(now, victim).expect("the successor gets the name");
    for days in 6..32 {
        office.pass_after(Span::from_hours(23)).await;
        office.pass_after(Span::from_minutes(60)).await;
        let known = office.desk.store.user(victim).expect("readable").expect("known");
        assert_eq!(office.desk.open_asks().expect("a view"), [], "day {days}: asked again");
        assert_ne!(
            known.presence,
            Presence::Live,
            "day {days}: {} was restored, and a person had said no",
            known.user.upn
        );
    }
}
