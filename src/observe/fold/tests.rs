//! One user through several observations.

use proptest::prelude::*;

use super::*;
use crate::diff::tests::world::{
    E3, E5, ENTERPRISE, GROUP, NOW, TEAMS, context, healed, looks, memberships, shows, sighting, traits,
    world,
};
use crate::model::{
    AssignedPlan, CapabilityStatus, MailboxKind, ProbeAnswer, ProvisioningError, Sku, SkuPlan, Units,
    Unreadable,
};

const ID: UserId = UserId::from_u128(1);
const MINUTES: Span = Span::from_minutes(10);

/// One user of a tenant that owns one product, observed every ten minutes.
struct Story {
    catalog: Catalog,
    known: Option<KnownUser>,
    observed: Timestamp,
}

impl Story {
    fn new() -> Self {
        let plan = |id| SkuPlan { id, name: String::new(), applies_to: "User".to_owned() };
        let sku = |id| Sku {
            id,
            part_number: String::new(),
            capability_status: "Enabled".to_owned(),
            consumed: 0,
            units: Units::default(),
            plans: vec![plan(ENTERPRISE), plan(TEAMS)],
        };
        Self { catalog: [sku(E3), sku(E5)].into_iter().collect(), known: None, observed: NOW }
    }

    /// The next observation; the one before was `MINUTES` ago.
    fn see(&mut self, sighting: Option<Sighting>) -> &KnownUser {
        let previous = self.observed;
        self.observed = previous + MINUTES;
        let mut members = Memberships::default();
        members.insert(GROUP, vec![ID]);
        let context = context(self.observed, Some(previous), &self.catalog, &members);
        self.known = fold(self.known.take(), sighting, &context);
        self.known.as_ref().expect("the user is remembered")
    }

    fn with(&mut self, licenses: &[(crate::model::SkuId, &[crate::model::PlanId])]) -> &KnownUser {
        self.see(Some(Sighting::Live(user(licenses))))
    }

    fn without(&mut self) -> &KnownUser {
        self.with(&[])
    }

    fn deleted(&mut self, licenses: Option<&[(crate::model::SkuId, &[crate::model::PlanId])]>) -> &KnownUser {
        let mut listed = user(licenses.unwrap_or(&[]));
        listed.department = None;
        listed.licenses = listed.licenses.filter(|_| licenses.is_some());
        let since = self.observed + Span::from_minutes(5);
        self.see(Some(Sighting::Deleted { user: listed, since }))
    }
}

fn user(licenses: &[(crate::model::SkuId, &[crate::model::PlanId])]) -> User {
    let mut user = User::new(ID, "anna@contoso.com");
    user.department = Some("Sales".to_owned());
    let license = |(sku, off): &(crate::model::SkuId, &[crate::model::PlanId])| License {
        sku: *sku,
        disabled_plans: off.iter().copied().collect(),
    };
    user.licenses = Some(licenses.iter().map(license).collect());
    let status = if licenses.is_empty() { CapabilityStatus::Deleted } else { CapabilityStatus::Enabled };
    user.plans = vec![AssignedPlan { plan: ENTERPRISE, status, assigned: None }];
    user
}

fn unreadable(is_deleted: bool) -> Sighting {
    Sighting::Unreadable(Unreadable { id: ID, is_deleted, fault: "odd".to_owned() })
}

fn hold(created: Timestamp) -> ProvisioningError {
    let service_instance = "Exchange/eur".to_owned();
    ProvisioningError { service_instance, created: Some(created), is_resolved: false }
}

#[test]
fn a_loss_lies_between_the_last_sight_of_the_licence_and_the_first_without() {
    let mut story = Story::new();
    assert_eq!(story.with(&[(E3, &[TEAMS])]).loss, None);
    let lost = story.without().clone();
    let loss = lost.loss.clone().expect("a loss");
    assert_eq!((loss.last_with, loss.noticed), (Some(NOW + MINUTES), story.observed));
    let remembered = lost.remembered.expect("what is put back");
    assert_eq!(remembered.licenses, [License { sku: E3, disabled_plans: BTreeSet::from([TEAMS]) }]);
    assert_eq!(story.without().loss, Some(loss), "it stays the same loss");
    assert_eq!(story.with(&[(E3, &[])]).loss, None, "found again");
    let second = story.without().loss.clone().expect("another loss");
    assert_eq!(second.last_with, Some(story.observed - MINUTES));
}

#[test]
fn who_never_had_a_mailbox_has_lost_none() {
    let mut story = Story::new();
    let mut never = user(&[]);
    never.plans.clear();
    assert_eq!(story.see(Some(Sighting::Live(never))).loss, None);
}

#[test]
fn the_first_look_at_a_loss_knows_no_earlier_bound() {
    let mut story = Story::new();
    let loss = story.without().loss.clone().expect("the plan entry speaks of it");
    assert_eq!((loss.last_with, loss.noticed, loss.had_mailbox_plan), (None, story.observed, true));
}

#[test]
fn a_hold_ends_later_than_the_licence_and_the_loss_with_it() {
    let mut story = Story::new();
    story.with(&[(E3, &[])]);
    let mut held = user(&[]);
    held.provisioning_errors = vec![hold(story.observed + Span::from_minutes(1))];
    let first = story.see(Some(Sighting::Live(held.clone()))).loss.clone();
    assert_eq!(
        story.see(Some(Sighting::Live(held.clone()))).loss,
        first,
        "the loss is remembered while held"
    );
    let loss = story.without().loss.clone().expect("the mailbox is disconnected now");
    assert_eq!((loss.last_with, loss.noticed), (Some(story.observed - MINUTES), story.observed));
}

#[test]
fn a_deleted_user_keeps_what_was_known_and_tells_what_became_of_the_licences() {
    let mut story = Story::new();
    story.with(&[(E3, &[])]);
    let kept = story.deleted(Some(&[(E3, &[])])).clone();
    assert_eq!(kept.user.department.as_deref(), Some("Sales"));
    assert_eq!(kept.groups, BTreeSet::from([GROUP]));
    assert_eq!(kept.loss, None);
    let unsaid = story.deleted(None).clone();
    assert_eq!(unsaid.user.licenses, kept.user.licenses, "not said is not none");

    let mut story = Story::new();
    story.with(&[(E3, &[])]);
    let stripped = story.deleted(Some(&[])).clone();
    let loss = stripped.loss.expect("the licence was taken first");
    assert_eq!((loss.last_with, loss.noticed), (Some(NOW + MINUTES), NOW + MINUTES + Span::from_minutes(5)));
}

#[test]
fn a_restore_does_not_move_the_loss_to_the_day_of_the_restore() {
    let mut story = Story::new();
    story.with(&[(E3, &[])]);
    let since = story.observed + Span::from_minutes(5);
    story.deleted(None);
    story.observed = story.observed + Span::from_days(9);
    let loss = story.without().loss.clone().expect("it came back without");
    assert_eq!(loss.last_with, Some(since));
}

#[test]
fn once_absent_is_a_doubt_twice_is_a_fact_and_a_delta_says_nothing() {
    let mut story = Story::new();
    let live = story.with(&[(E3, &[])]).clone();
    let members = Memberships::default();
    let delta = Context {
        kind: ObservationKind::Delta,
        ..context(story.observed + MINUTES, Some(story.observed), &story.catalog, &members)
    };
    assert_eq!(fold(Some(live.clone()), None, &delta), Some(live));
    let noticed = story.observed + MINUTES;
    assert_eq!(story.see(None).presence, Presence::Missing { noticed });
    assert_eq!(story.see(None).presence, Presence::Gone { noticed });
    assert_eq!(story.with(&[(E3, &[])]).presence, Presence::Live, "back after all");
}

#[test]
fn what_became_of_the_licence_while_the_user_was_nowhere_is_not_known() {
    let mut story = Story::new();
    story.with(&[(E3, &[])]);
    story.see(None);
    let loss = story.without().loss.clone().expect("it came back without");
    assert_eq!((loss.last_with, loss.noticed), (None, story.observed));
}

#[test]
fn what_is_not_said_of_licences_is_neither_kept_nor_lost() {
    let silent = || Sighting::Live(User { licenses: None, ..user(&[]) });
    for odd in [unreadable(false), silent()] {
        let mut story = Story::new();
        story.with(&[(E3, &[])]);
        let known = story.see(Some(odd.clone())).clone();
        assert_eq!((&known.presence, &known.user.licenses, &known.loss), (&Presence::Live, &None, &None));
        assert!(known.remembered.is_some() && known.groups.contains(&GROUP), "{known:?}");
        // Lost some time since it was seen last; the look between does not count as one.
        let loss = story.without().loss.clone().expect("lost");
        assert_eq!((loss.last_with, loss.noticed), (None, NOW + MINUTES + MINUTES + MINUTES));
        // A clock that runs is not stopped by silence.
        assert_eq!(story.see(Some(odd.clone())).loss.as_ref(), Some(&loss));
        assert_eq!(story.without().loss.as_ref(), Some(&loss));
        assert_eq!(story.with(&[(E3, &[])]).loss, None);
    }
    let (story, members) = (Story::new(), Memberships::default());
    let context = context(NOW, None, &story.catalog, &members);
    assert_eq!(fold(None, Some(unreadable(false)), &context), None);
}

#[test]
fn a_deletion_date_that_cannot_be_is_replaced_by_the_last_sight() {
    let never = Timestamp::LATEST;
    let long_ago = Timestamp::parse("0001-01-01T00:00:00Z").expect("a date");
    let since = |known: &KnownUser| match known.presence {
        Presence::Deleted { since } => since,
        _ => panic!("{known:?}"),
    };
    let deleted = |since| Some(Sighting::Deleted { user: user(&[(E3, &[])]), since });
    for odd in [never, long_ago, NOW - Span::from_days(31), NOW + Span::from_days(3)] {
        let mut story = Story::new();
        story.with(&[(E3, &[])]);
        let seen = story.observed;
        assert_eq!(since(story.see(deleted(odd))), seen, "{odd}");
    }
    // It does not move on with every look, and a date that can be replaces it.
    let mut story = Story::new();
    story.with(&[(E3, &[])]);
    let seen = story.observed;
    story.see(deleted(never));
    assert_eq!(since(story.see(deleted(never))), seen);
    let real = seen + Span::from_minutes(3);
    assert_eq!(since(story.see(deleted(real))), real);
    // A stranger counts from now on; and an early date may be true of who was not seen alive, or was so long before.
    assert_eq!(since(Story::new().see(deleted(never))), NOW + MINUTES);
    assert_eq!(since(Story::new().see(deleted(NOW - Span::from_days(31)))), NOW - Span::from_days(31));
    let mut story = Story::new();
    story.with(&[(E3, &[])]);
    let early = NOW - Span::from_days(20);
    assert_eq!(since(story.see(deleted(early))), early, "earlier than seen, and careful");
}

#[test]
fn who_is_back_but_not_understood_is_no_longer_deleted() {
    let mut story = Story::new();
    story.with(&[(E3, &[])]);
    story.deleted(None);
    let known = story.see(Some(unreadable(false)));
    assert_eq!((&known.presence, &known.user.licenses), (&Presence::Live, &None));
    assert_eq!(known.user.upn, "anna@contoso.com");
}

#[test]
fn who_had_no_mailbox_is_forgotten_and_who_had_one_is_remembered_for_a_while() {
    let mut never = user(&[]);
    never.plans.clear();
    let mut story = Story::new();
    story.see(Some(Sighting::Live(never.clone())));
    story.see(None);
    let members = Memberships::default();
    let next = context(story.observed + MINUTES, Some(story.observed), &story.catalog, &members);
    assert_eq!(fold(story.known.clone(), None, &next), None);
    let purged = fold(story.known.clone(), Some(Sighting::Purged(ID)), &next);
    assert_eq!(purged, None);

    story.with(&[(E3, &[])]);
    let gone = story.see(Some(Sighting::Purged(ID))).clone();
    assert_eq!(gone.presence, Presence::Gone { noticed: story.observed });
    let much_later = context(story.observed + FORGET_AFTER, None, &story.catalog, &members);
    assert_eq!(fold(Some(gone), None, &much_later), None);
    assert_eq!(fold(None, Some(Sighting::Purged(ID)), &much_later), None);
}

#[test]
fn a_shared_mailbox_that_becomes_a_user_mailbox_loses_from_then_on() {
    let mut story = Story::new();
    story.with(&[(E3, &[])]);
    let set_kind = |story: &mut Story, kind| {
        let known = story.known.as_mut().expect("a user");
        known.mailbox.kind = Some(kind);
        known.mailbox.last_probe = Some(crate::model::Probe { at: NOW, answer: ProbeAnswer::NoMailbox });
    };
    set_kind(&mut story, MailboxKind::Shared);
    assert_eq!(story.without().loss, None);
    story.observed = story.observed + Span::from_days(90);
    assert_eq!(story.without().loss, None);
    set_kind(&mut story, MailboxKind::User);
    let loss = story.without().loss.clone().expect("a user mailbox needs its licence");
    assert_eq!(loss.last_with, Some(story.observed - MINUTES));
}

#[test]
fn plans_that_were_switched_off_with_the_mailbox_are_remembered() {
    let mut story = Story::new();
    story.with(&[(E3, &[])]);
    story.with(&[(E3, &[ENTERPRISE, TEAMS])]);
    let remembered = story.without().remembered.clone().expect("what is put back");
    assert!(remembered.licenses[0].disabled_plans.contains(&TEAMS));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn the_same_observation_twice_changes_nothing(
        world in world(), traits in traits(), shows in shows(), hours in 0_i64..50,
    ) {
        for known in world.users.values() {
            let observed = NOW + Span::from_hours(hours);
            let members = memberships(known.id(), &traits);
            let context = context(observed, Some(NOW), &world.catalog, &members);
            let sighting = sighting(known.id(), &traits, &shows, observed);
            let once = fold(Some(known.clone()), sighting.clone(), &context);
            prop_assert_eq!(fold(once.clone(), sighting, &context), once);
        }
    }

    #[test]
    fn a_loss_never_starts_after_it_is_noticed_and_never_before_the_last_sight(
        world in world(), traits in traits(), looks in looks(),
    ) {
        for known in world.users.values() {
            let mut known = Some(known.clone());
            let mut previous = NOW;
            for (hours, shows) in &looks {
                let observed = NOW + Span::from_hours(1500 - hours);
                let Some(before) = known.clone() else { break };
                let members = memberships(before.id(), &traits);
                let context = context(observed, Some(previous), &world.catalog, &members);
                known = fold(known, sighting(before.id(), &traits, shows, observed), &context);
                if let Some(loss) = known.as_ref().and_then(|known| known.loss.as_ref()) {
                    prop_assert!(loss.noticed <= observed);
                    prop_assert!(loss.last_with.is_none_or(|with| with <= loss.noticed), "{loss:?}");
                }
                previous = observed;
            }
        }
    }

    #[test]
    fn a_healthy_look_ends_every_loss(world in world()) {
        for known in world.users.values() {
            let healed = healed(known, &world.catalog, NOW + MINUTES);
            prop_assert_eq!(healed.loss, None);
            prop_assert_eq!(healed.presence, Presence::Live);
            prop_assert!(healed.remembered.is_some());
        }
    }
}

/// A user of whom the journal tells that this was known when the loss was noticed.
fn told(memory: &crate::model::Memory) -> Story {
    let mut recalled = KnownUser::recalled(ID);
    recalled.recall(memory);
    Story { known: Some(recalled), ..Story::new() }
}

#[test]
fn what_the_journal_tells_goes_on_at_the_first_sight() {
    let mut before = Story::new();
    before.with(&[(E3, &[TEAMS])]);
    let lost = before.without().clone();
    let mut after = told(&lost.memory());
    let seen = after.without();
    assert_eq!((&seen.loss, &seen.remembered), (&lost.loss, &lost.remembered), "neither later nor unknown");
    assert_eq!((seen.presence.clone(), seen.groups.len()), (Presence::Live, 1));

    let mut healed = told(&lost.memory());
    assert_eq!(healed.with(&[(E3, &[])]).loss, None);
}

#[test]
fn nobody_is_kept_of_whom_only_the_journal_tells() {
    let mut story = Story::new();
    let known = KnownUser {
        mailbox: MailboxMemory { primary_id: Some("MBX:1".into()), ..Default::default() },
        ..KnownUser::recalled(ID)
    };
    let members = Memberships::default();
    for sighting in [None, Some(Sighting::Purged(ID))] {
        let seen = fold(Some(known.clone()), sighting, &context(NOW, None, &story.catalog, &members));
        assert_eq!(seen, None);
    }
    story.known = Some(known);
    assert_eq!(story.with(&[(E3, &[])]).mailbox.primary_id.as_deref(), Some("MBX:1"), "but the identity is");
}

#[test]
fn groups_come_back_for_the_deletion_that_they_were_known_before() {
    let mut before = Story::new();
    before.with(&[(E3, &[])]);
    let deleted = before.deleted(None).clone();
    assert_eq!(deleted.groups.len(), 1);
    let Presence::Deleted { since } = deleted.presence else { panic!("deleted") };
    let listed = |since| Some(Sighting::Deleted { user: user(&[]), since });
    let mut same = told(&deleted.memory());
    assert_eq!(same.see(listed(since)).groups, deleted.groups);
    let mut another = told(&deleted.memory());
    let seen = another.see(listed(since + Span::from_hours(1)));
    assert_eq!(
        (seen.groups.len(), seen.groups_read.len()),
        (0, 0),
        "somebody may have protected the account"
    );
}
