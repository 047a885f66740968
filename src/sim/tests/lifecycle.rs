//! What becomes of mailboxes: a table of stories, each a list of acts and of states that must hold.

use super::*;
use crate::model::Span;
use crate::sim::administrator::DeletedFrom;
use crate::sim::mailbox::MailboxKind;
use crate::sim::subscriptions::Stage;
use crate::sim::truth::{LossCause, MailboxState};

#[derive(Debug, Clone, Copy)]
enum Act {
    Unlicense,
    License,
    DisableExchange,
    DeleteKeeping,
    DeleteStripping,
    Restore,
    HardDelete,
    Hold(bool),
    Convert(MailboxKind),
    Subscription(Stage),
    LicenseDuplicate,
}
use Act::*;

/// The day counts from the start; a state is looked at half an hour after the acts of its day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Active,
    /// Since the day given.
    Disconnected(i64),
    SoftDeleted(i64),
    Inactive,
    Purged,
}
use State::{Active, Disconnected, Inactive, Purged, SoftDeleted};

/// A day, what is done, what holds then, and which mailbox it is: 1 is the first.
type Moment = (i64, &'static [Act], State, u32);

fn check(story: &str, switches: Switches, kind: UserKind, moments: &[Moment]) {
    let mut lab = Lab::with(switches);
    let user = lab.add("kari", kind, kind == UserKind::Member);
    let first = lab.tenant.mailbox_truth(user).id;
    for (day, acts, expected, generation) in moments {
        lab.now = START + Span::from_days(*day);
        lab.tenant.advance(lab.now);
        for act in *acts {
            perform(&mut lab, user, *act);
        }
        lab.wait(Span::from_minutes(30));
        let truth = lab.tenant.mailbox_truth(user);
        let since = |at: Timestamp| (at - START).as_millis() / Span::from_days(1).as_millis();
        let state = match truth.state {
            MailboxState::None => panic!("{story}: no mailbox on day {day}"),
            MailboxState::Active => Active,
            MailboxState::Disconnected { since: at } => Disconnected(since(at)),
            MailboxState::SoftDeleted { since: at } => SoftDeleted(since(at)),
            MailboxState::Inactive => Inactive,
            MailboxState::Purged { .. } => Purged,
        };
        assert_eq!((state, truth.generation), (*expected, *generation), "{story}: day {day}");
        assert_eq!(truth.id == first, *generation == 1, "{story}: the id on day {day}");
    }
}

fn perform(lab: &mut Lab, user: UserId, act: Act) {
    let now = lab.now;
    let tenant = &mut lab.tenant;
    match act {
        Unlicense => tenant.remove_licence(now, user, SPE_E3).expect("held"),
        License => tenant.assign_licence(now, user, SPE_E3, Vec::new()).expect("free"),
        DisableExchange => tenant.disable_plan(now, user, SPE_E3, EXCHANGE_S_ENTERPRISE),
        DeleteKeeping => tenant.delete_user(now, user, DeletedFrom::Graph),
        DeleteStripping => tenant.delete_user(now, user, DeletedFrom::AdminCentre),
        Restore => tenant.restore_user(now, user).expect("in the bin"),
        HardDelete => tenant.hard_delete_user(now, user),
        Hold(is_held) => tenant.set_hold(now, user, is_held),
        Convert(kind) => tenant.set_mailbox_kind(now, user, kind),
        Subscription(stage) => tenant.set_subscription_stage(now, SPE_E3, stage),
        LicenseDuplicate => {
            let twin = tenant.add_duplicate(now, user).expect("the original is deleted");
            tenant.assign_licence(now, twin, SPE_E3, Vec::new()).expect("free");
        }
    }
}

#[test]
fn licence_lost_and_back() {
    let stories: [(&str, &[Moment]); 7] = [
        (
            "a licence in time brings the same mailbox back",
            &[
                (1, &[Unlicense], Disconnected(1), 1),
                (29, &[], Disconnected(1), 1),
                (30, &[License], Active, 1),
                (90, &[], Active, 1),
            ],
        ),
        (
            "a licence too late brings a new, empty mailbox",
            &[(1, &[Unlicense], Disconnected(1), 1), (31, &[], Purged, 1), (32, &[License], Active, 2)],
        ),
        (
            "nobody comes",
            &[(1, &[Unlicense], Disconnected(1), 1), (31, &[], Purged, 1), (200, &[], Purged, 1)],
        ),
        (
            "a disabled Exchange plan is a lost licence",
            &[
                (1, &[DisableExchange], Disconnected(1), 1),
                (2, &[License], Active, 1),
                (3, &[DisableExchange], Disconnected(3), 1),
                (33, &[], Purged, 1),
            ],
        ),
        (
            "each loss starts its own clock",
            &[
                (1, &[Unlicense], Disconnected(1), 1),
                (20, &[License], Active, 1),
                (25, &[Unlicense], Disconnected(25), 1),
                (40, &[], Disconnected(25), 1),
                (55, &[], Purged, 1),
            ],
        ),
        (
            "a licence for a moment only does not stop the clock",
            &[
                (1, &[Unlicense], Disconnected(1), 1),
                (10, &[License, Unlicense], Disconnected(1), 1),
                (31, &[], Purged, 1),
            ],
        ),
        (
            "an expired subscription keeps the mailbox until it is gone for good",
            &[
                (1, &[Subscription(Stage::Warning)], Active, 1),
                (40, &[], Active, 1),
                (121, &[], Disconnected(121), 1),
                (151, &[], Purged, 1),
            ],
        ),
    ];
    for (story, moments) in stories {
        check(story, Switches::default(), UserKind::Member, moments);
    }
}

#[test]
fn user_deleted_and_restored() {
    let stories: [(&str, &[Moment]); 7] = [
        (
            "a restore in time brings mailbox and licence back",
            &[(1, &[DeleteKeeping], SoftDeleted(1), 1), (30, &[Restore], Active, 1), (90, &[], Active, 1)],
        ),
        (
            "after the recycle bin Exchange keeps the mailbox thirty days more",
            &[
                (1, &[DeleteKeeping], SoftDeleted(1), 1),
                (31, &[], SoftDeleted(1), 1),
                (60, &[], SoftDeleted(1), 1),
                (61, &[], Purged, 1),
            ],
        ),
        (
            "the admin centre takes the licence first",
            &[
                (1, &[DeleteStripping], Disconnected(1), 1),
                (10, &[Restore], Disconnected(1), 1),
                (20, &[License], Active, 1),
            ],
        ),
        (
            "licence lost, then deleted: the earlier clock counts",
            &[
                (1, &[Unlicense], Disconnected(1), 1),
                (20, &[DeleteKeeping], Disconnected(1), 1),
                (31, &[], Purged, 1),
                (40, &[Restore, License], Active, 2),
            ],
        ),
        (
            "licence lost, then deleted, both undone in time",
            &[
                (1, &[Unlicense], Disconnected(1), 1),
                (20, &[DeleteKeeping], Disconnected(1), 1),
                (29, &[Restore, License], Active, 1),
            ],
        ),
        (
            "hard-deleted after the licence was lost: nothing is left",
            &[(1, &[Unlicense], Disconnected(1), 1), (2, &[HardDelete], Purged, 1)],
        ),
        (
            "a licensed duplicate destroys the original",
            &[(1, &[DeleteKeeping], SoftDeleted(1), 1), (2, &[LicenseDuplicate], Purged, 1)],
        ),
    ];
    for (story, moments) in stories {
        check(story, Switches::default(), UserKind::Member, moments);
    }
}

#[test]
fn shared_rooms_and_conversion() {
    for kind in [UserKind::Shared, UserKind::Room, UserKind::Equipment] {
        check(
            "no licence, no clock",
            Switches::default(),
            kind,
            &[
                (100, &[], Active, 1),
                (101, &[DeleteKeeping], SoftDeleted(101), 1),
                (130, &[Restore], Active, 1),
                (200, &[DeleteStripping], SoftDeleted(200), 1),
                (260, &[], Purged, 1),
            ],
        );
    }
    check(
        "converted to shared the licence can go",
        Switches::default(),
        UserKind::Member,
        &[
            (1, &[Convert(MailboxKind::Shared), Unlicense], Active, 1),
            (60, &[], Active, 1),
            (61, &[Convert(MailboxKind::User)], Disconnected(61), 1),
        ],
    );
    check(
        "converted too late",
        Switches::default(),
        UserKind::Member,
        &[(1, &[Unlicense], Disconnected(1), 1), (31, &[], Purged, 1)],
    );
}

#[test]
fn holds() {
    let stories: [(&str, &[Moment]); 4] = [
        (
            "a hold keeps an unlicensed mailbox active",
            &[
                (1, &[Hold(true), Unlicense], Active, 1),
                (60, &[], Active, 1),
                (61, &[Hold(false)], Disconnected(61), 1),
                (91, &[], Purged, 1),
            ],
        ),
        (
            "a held mailbox of a deleted user is inactive",
            &[(1, &[Hold(true), DeleteKeeping], Inactive, 1), (20, &[Restore], Active, 1)],
        ),
        (
            "an inactive mailbox outlives its user",
            &[
                (1, &[Hold(true), DeleteKeeping], Inactive, 1),
                (300, &[], Inactive, 1),
                (301, &[Hold(false)], SoftDeleted(301), 1),
                (331, &[], Purged, 1),
            ],
        ),
        (
            "a hold taken off while the user is in the bin",
            &[
                (1, &[Hold(true), DeleteKeeping], Inactive, 1),
                (2, &[Hold(false)], SoftDeleted(1), 1),
                (3, &[Restore], Active, 1),
            ],
        ),
    ];
    for (story, moments) in stories {
        check(story, Switches::default(), UserKind::Member, moments);
    }
}

#[test]
fn the_switches_that_move_clocks() {
    let resilient = || Switches { delicensing_resiliency: true, ..Switches::default() };
    check(
        "resiliency gives thirty working days more",
        resilient(),
        UserKind::Member,
        &[
            (1, &[Unlicense], Active, 1),
            (30, &[], Active, 1),
            (31, &[], Disconnected(31), 1),
            (61, &[], Purged, 1),
        ],
    );
    check(
        "a licence in the grace ends it",
        resilient(),
        UserKind::Member,
        &[(1, &[Unlicense], Active, 1), (20, &[License], Active, 1), (100, &[], Active, 1)],
    );
    let soft = Switches { admin_centre_delete_soft_deletes: true, ..Switches::default() };
    check(
        "the admin centre soft-deletes",
        soft.clone(),
        UserKind::Member,
        &[
            (1, &[DeleteStripping], SoftDeleted(1), 1),
            (10, &[Restore], Disconnected(1), 1),
            (31, &[], Purged, 1),
        ],
    );
    let renewing = Switches { restore_renews_clock: true, ..soft };
    check(
        "a restore starts a new clock",
        renewing,
        UserKind::Member,
        &[
            (1, &[DeleteStripping], SoftDeleted(1), 1),
            (10, &[Restore], Disconnected(10), 1),
            (40, &[], Purged, 1),
        ],
    );
    let keeping = Switches { licences_return_on_restore: false, ..Switches::default() };
    check(
        "licences do not return",
        keeping,
        UserKind::Member,
        &[
            (1, &[DeleteKeeping], SoftDeleted(1), 1),
            (10, &[Restore], Disconnected(1), 1),
            (11, &[License], Active, 1),
        ],
    );
}

#[test]
fn a_mailbox_never_licensed_has_its_own_clock() {
    let mut lab = Lab::new();
    let user = lab.add("migrated", UserKind::Member, false);
    lab.wait(Span::from_days(29));
    assert_eq!(lab.tenant.mailbox_truth(user).state, MailboxState::Active);
    lab.wait(Span::from_days(1));
    assert_eq!(lab.tenant.mailbox_truth(user).state, MailboxState::Disconnected { since: lab.now });
    lab.wait(Span::from_days(30));
    assert_eq!(lab.tenant.lost_mailboxes()[0].cause, LossCause::LicenceLost);
}

#[test]
fn a_first_licence_brings_a_mailbox_after_a_while() {
    let mut lab = Lab::new();
    let user = lab.add("new", UserKind::WithoutMailbox, false);
    lab.tenant.assign_licence(lab.now, user, SPE_E3, Vec::new()).expect("free");
    assert_eq!(lab.tenant.mailbox_truth(user).state, MailboxState::None);
    lab.wait(PROVISIONING);
    assert_eq!(lab.tenant.mailbox_truth(user).state, MailboxState::Active);
    assert_eq!(lab.tenant.mailbox_truth(user).generation, 1);
}

#[test]
fn losses_are_listed_once_with_their_cause() {
    let mut lab = Lab::new();
    let [unlicensed, deleted, both] = ["a", "b", "c"].map(|name| lab.member(name));
    lab.tenant.remove_licence(lab.now, unlicensed, SPE_E3).expect("held");
    lab.tenant.delete_user(lab.now, deleted, DeletedFrom::Graph);
    lab.tenant.remove_licence(lab.now, both, SPE_E3).expect("held");
    lab.tenant.hard_delete_user(lab.now, both);
    lab.wait(Span::from_days(100));
    let mut lost: Vec<_> =
        lab.tenant.lost_mailboxes().iter().map(|lost| (lost.user, lost.cause, lost.at)).collect();
    lost.sort_by_key(|(user, ..)| [both, unlicensed, deleted].iter().position(|known| known == user));
    let in_a_month = START + Span::from_days(30);
    assert_eq!(
        lost,
        [
            (both, LossCause::AccountPurgedUnlicensed, START),
            (unlicensed, LossCause::LicenceLost, in_a_month),
            (deleted, LossCause::AccountPurged, in_a_month),
        ]
    );
}

#[test]
fn probes_tell_a_reachable_mailbox_from_none_and_the_same_from_a_new_one() {
    let mut lab = Lab::new();
    let user = lab.member("kari");
    lab.add("room", UserKind::Room, false);
    let purpose = lab.get("/users/room@contoso.com/mailboxSettings/userPurpose");
    assert_eq!(purpose.json["value"], "room");
    let primary =
        |lab: &mut Lab| lab.get(&format!("/users/{user}/settings/exchange")).json["primaryMailboxId"].clone();
    let before = primary(&mut lab);
    let text = before.as_str().expect("a mailbox");
    assert!(text.starts_with("MBX:") && text.ends_with(&format!("@{}", lab.tenant.id())), "{text}");
    lab.tenant.remove_licence(lab.now, user, SPE_E3).expect("held");
    for probe in ["mailboxSettings", "mailboxSettings/userPurpose", "settings/exchange"] {
        let reply = lab.get(&format!("/users/{user}/{probe}"));
        assert_eq!((reply.status, reply.code()), (404, "MailboxNotEnabledForRESTAPI"), "{probe}");
    }
    lab.tenant.assign_licence(lab.now, user, SPE_E3, Vec::new()).expect("free");
    assert_eq!(lab.get(&format!("/users/{user}/mailboxSettings")).status, 404, "still being reconnected");
    lab.wait(PROVISIONING);
    assert_eq!(primary(&mut lab), before);
    lab.tenant.remove_licence(lab.now, user, SPE_E3).expect("held");
    lab.wait(Span::from_days(31));
    lab.tenant.assign_licence(lab.now, user, SPE_E3, Vec::new()).expect("free");
    lab.wait(PROVISIONING);
    assert_ne!(primary(&mut lab), before);
}

#[test]
fn a_blocking_hold_is_reported_on_the_user() {
    let mut lab = Lab::new();
    let user = lab.member("kari");
    let errors = |lab: &mut Lab| {
        let reply = lab.get(&format!("/users/{user}?$select=serviceProvisioningErrors"));
        reply.json["serviceProvisioningErrors"].as_array().expect("a list").len()
    };
    lab.tenant.set_hold(lab.now, user, true);
    lab.tenant.remove_licence(lab.now, user, SPE_E3).expect("held");
    assert_eq!(errors(&mut lab), 1);
    lab.tenant.assign_licence(lab.now, user, SPE_E3, Vec::new()).expect("free");
    assert_eq!(errors(&mut lab), 0);
}

#[test]
fn exchange_settings_without_a_mailbox_may_be_null_instead() {
    let mut lab = Lab::with(Switches { exchange_settings_need_mailbox: false, ..Switches::default() });
    let user = lab.add("guest", UserKind::Guest, false);
    let reply = lab.get(&format!("/users/{user}/settings/exchange"));
    assert_eq!((reply.status, &reply.json["primaryMailboxId"]), (200, &Value::Null));
}
