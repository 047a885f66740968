//! What happens, in words: people in the tenant, other tools, the network, and the operators of mailkeeper.

use mailkeeper::clock::Clock;
use mailkeeper::control::Question;
use mailkeeper::model::Span;
use mailkeeper::sim::administrator::DeletedFrom;
use mailkeeper::sim::faults::{Faults, Rates};
use mailkeeper::sim::groups::Membership;
use mailkeeper::sim::mailbox::MailboxKind;
use mailkeeper::sim::subscriptions::Stage;
use mailkeeper::sim::switches::Switches;

use super::file;
use super::lab::{Lab, licence, plan, sku};
use super::wire::Fate;

/// Turns one switch of the simulated tenant to what is not its default.
pub fn switch(switches: &mut Switches, name: &str) -> Result<(), String> {
    match name {
        "licences do not return on restore" => switches.licences_return_on_restore = false,
        "restore needs seats" => switches.restore_exceeds_seats = false,
        "deleted licences visible" => switches.deleted_licences_visible = true,
        "delicensing resiliency" => switches.delicensing_resiliency = true,
        "admin centre delete soft-deletes" => switches.admin_centre_delete_soft_deletes = true,
        "restore renews clock" => switches.restore_renews_clock = true,
        "failed group licence listed" => switches.failed_group_licence_listed = true,
        "deleted plan dated at assignment" => switches.deleted_plan_dated_at_removal = false,
        "large top is error" => switches.large_top_is_error = true,
        _ => return Err(format!("no switch is called {name}")),
    }
    Ok(())
}

/// One line of a story. `Ok(false)` when it is not about anything that happens.
pub fn happen(lab: &mut Lab, line: &str) -> Result<bool, String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let Some((verb, rest)) = words.split_first() else { return Ok(true) };
    Ok(to_people(lab, verb, rest)?
        || to_tenant(lab, verb, rest)?
        || to_network(lab, verb, rest)?
        || to_keeper(lab, verb, rest)?)
}

/// Acts on one or more accounts.
fn to_people(lab: &mut Lab, verb: &str, rest: &[&str]) -> Result<bool, String> {
    let Some((who, more)) = rest.split_first() else { return Ok(false) };
    if verb == "hire" {
        for name in file::names(who) {
            lab.hire(&name)?;
        }
        return Ok(true);
    }
    if verb == "twin" {
        // twin NAME of ORIGINAL
        let original = lab.names.user(more.last().copied().unwrap_or_default())?;
        let twin = lab.act(|tenant, now| tenant.add_duplicate(now, original));
        lab.names.users.insert((*who).to_owned(), twin.ok_or("the original is not deleted")?);
        return Ok(true);
    }
    let of_people = [
        "unlicense",
        "license",
        "switch-off",
        "join",
        "leave",
        "delete",
        "restore",
        "purge",
        "enable",
        "disable",
        "type",
        "locate",
        "rename",
        "hold-mailbox",
        "release-mailbox",
        "convert",
    ];
    if !of_people.contains(&verb) {
        return Ok(false);
    }
    for name in file::names(who) {
        to_person(lab, verb, &name, more).map_err(|error| format!("{verb} {name}: {error}"))?;
    }
    Ok(true)
}

fn to_person(lab: &Lab, verb: &str, name: &str, more: &[&str]) -> Result<(), String> {
    let user = lab.names.user(name)?;
    let first = more.first().copied().unwrap_or_default();
    let product = || if first.is_empty() { sku("SPE_E3") } else { sku(first) };
    let group = || lab.names.group(first);
    match verb {
        "unlicense" => {
            let product = product()?;
            lab.act(|tenant, now| tenant.remove_licence(now, user, product))?;
        }
        "license" => {
            let text = if more.is_empty() { "SPE_E3".to_owned() } else { more.join(" ") };
            let (product, off) = licence(&text)?;
            lab.act(|tenant, now| tenant.assign_licence(now, user, product, off))?;
        }
        "switch-off" => {
            let (plan, product) = (plan(first)?, sku(more.get(1).copied().unwrap_or("SPE_E3"))?);
            lab.act(|tenant, now| tenant.disable_plan(now, user, product, plan));
        }
        "join" => {
            let group = group()?;
            lab.act(|tenant, now| tenant.add_member(now, group, user));
        }
        "leave" => {
            let group = group()?;
            lab.act(|tenant, now| tenant.remove_member(now, group, user));
        }
        "delete" => {
            let from = if first == "admin-centre" { DeletedFrom::AdminCentre } else { DeletedFrom::Graph };
            lab.act(|tenant, now| tenant.delete_user(now, user, from));
        }
        "restore" => lab.act(|tenant, now| tenant.restore_user(now, user))?,
        "purge" => lab.act(|tenant, now| tenant.hard_delete_user(now, user)),
        "enable" => lab.act(|tenant, now| tenant.set_account_enabled(now, user, true)),
        "disable" => lab.act(|tenant, now| tenant.set_account_enabled(now, user, false)),
        "type" => lab.act(|tenant, now| tenant.set_employee_type(now, user, first)),
        "locate" => {
            let location = (first != "none").then_some(first);
            lab.act(|tenant, now| tenant.set_usage_location(now, user, location));
        }
        "rename" => lab.act(|tenant, now| tenant.set_user_principal_name(now, user, first)),
        "hold-mailbox" => lab.act(|tenant, now| tenant.set_hold(now, user, true)),
        "release-mailbox" => lab.act(|tenant, now| tenant.set_hold(now, user, false)),
        "convert" => {
            let kind = match first {
                "shared" => MailboxKind::Shared,
                "room" => MailboxKind::Room,
                "user" => MailboxKind::User,
                _ => return Err(format!("no kind of mailbox: {first}")),
            };
            lab.act(|tenant, now| tenant.set_mailbox_kind(now, user, kind));
        }
        _ => return Err("not an act on a person".to_owned()),
    }
    Ok(())
}

/// Acts on products and groups.
fn to_tenant(lab: &Lab, verb: &str, rest: &[&str]) -> Result<bool, String> {
    match (verb, rest) {
        ("group-unlicense", [group, product]) => {
            let (group, product) = (lab.names.group(group)?, sku(product)?);
            lab.act(|tenant, now| tenant.remove_group_licence(now, group, product));
        }
        ("group-license", [group, product]) => {
            let (group, product) = (lab.names.group(group)?, sku(product)?);
            lab.act(|tenant, now| tenant.add_group_licence(now, group, product));
        }
        ("group-membership", [group, kind]) => {
            let group = lab.names.group(group)?;
            let membership = match *kind {
                "assigned" => Membership::Assigned,
                "dynamic" => Membership::Dynamic("user.department -eq \"Sales\"".to_owned()),
                "synced" => Membership::Synced,
                _ => return Err(format!("no kind of membership: {kind}")),
            };
            lab.act(|tenant, now| tenant.set_membership(now, group, membership));
        }
        // seats SPE_E3 +2: more or fewer; seats SPE_E3 used: as many as are used
        ("seats", [product, change]) => {
            let product = sku(product)?;
            lab.act(|tenant, now| {
                let seats = tenant.seats(product).ok_or("no such product")?;
                let wanted = match change.parse::<i64>() {
                    Ok(by) => i64::from(seats.seats) + by,
                    Err(_) if *change == "used" => i64::from(seats.consumed),
                    Err(_) => return Err(format!("no number of seats: {change}")),
                };
                tenant.set_seats(now, product, u32::try_from(wanted).unwrap_or(0));
                Ok(())
            })?;
        }
        ("stage", [product, stage]) => {
            let product = sku(product)?;
            let stage = match *stage {
                "enabled" => Stage::Enabled,
                "warning" => Stage::Warning,
                "suspended" => Stage::Suspended,
                "deleted" => Stage::Deleted,
                _ => return Err(format!("no stage: {stage}")),
            };
            lab.act(|tenant, now| tenant.set_subscription_stage(now, product, stage));
        }
        ("reset-delta", []) => lab.act(|tenant, _| tenant.reset_delta()),
        _ => return Ok(false),
    }
    Ok(true)
}

/// What is wrong on the way.
fn to_network(lab: &Lab, verb: &str, rest: &[&str]) -> Result<bool, String> {
    match (verb, rest) {
        ("refuse", [path]) => lab.wire.refuse(path),
        ("halve-listings", []) => lab.wire.halve_listings(false),
        ("halve-listings-and-counts", []) => lab.wire.halve_listings(true),
        ("remove-in-deltas", [who]) => {
            let users = file::names(who).iter().map(|name| lab.names.user(name)).collect::<Result<_, _>>()?;
            lab.wire.remove_in_deltas(users);
        }
        ("multiply-seats", [factor]) => {
            lab.wire.multiply_seats(factor.parse().map_err(|_| format!("not a number: {factor}"))?);
        }
        ("behave", []) => {
            lab.wire.behave();
            lab.wire.network.faults().heal();
        }
        ("storm", []) => lab.wire.network.faults().set_storm(true),
        // before-repeat lost disable anna: the next write is lost, and anna is disabled before it can be repeated
        ("before-repeat", [fate, verb, name, more @ ..]) => {
            let (user, clock) = (lab.names.user(name)?, lab.tenant_clock.clone());
            let first = more.first().copied().unwrap_or("SPE_E3").to_owned();
            let product = sku(&first);
            let verb = (*verb).to_owned();
            lab.wire.interrupt(Fate::named(fate)?, move |network| {
                let (mut tenant, now) = (network.tenant(), clock.now());
                match verb.as_str() {
                    "license" => {
                        let product = product.expect("a product");
                        tenant.assign_licence(now, user, product, Vec::new()).expect("a seat is free");
                    }
                    "disable" => tenant.set_account_enabled(now, user, false),
                    "type" => tenant.set_employee_type(now, user, &first),
                    _ => panic!("{verb} cannot happen before a repeat"),
                }
            });
        }
        ("stale-reads", []) => lab.wire.network.faults().rates.stale = 0.5,
        ("lose-replies", []) => {
            lab.wire.network.faults().rates = Rates { lost_reply: 0.3, ..Faults::none().rates };
        }
        _ => return Ok(false),
    }
    Ok(true)
}

/// What the operators of mailkeeper do.
fn to_keeper(lab: &mut Lab, verb: &str, rest: &[&str]) -> Result<bool, String> {
    match (verb, rest) {
        ("hold", duration) => {
            let duration = duration.first().map(|text| file::span(text)).transpose()?;
            lab.ask(&Question::Hold { duration, reason: "for the story".to_owned() })?;
        }
        ("resume", []) => lab.ask(&Question::Resume)?,
        ("approve", [reason]) => answer(lab, reason, true)?,
        ("deny", [reason]) => answer(lab, reason, false)?,
        ("stop", []) => lab.stop(),
        ("start" | "restart", []) => lab.restart()?,
        ("observe", []) => lab.start(false)?,
        ("act", []) => lab.start(true)?,
        ("list-all", []) => lab.want_full_listing(),
        ("clock", [by]) => {
            let (sign, by) = match by.strip_prefix('-') {
                Some(by) => (-1, by),
                None => (1, *by),
            };
            lab.clock.set_offset(Span::from_millis(sign * file::span(by)?.as_millis()));
        }
        _ => return Ok(false),
    }
    Ok(true)
}

/// Answers every open question of this kind.
fn answer(lab: &Lab, reason: &str, granted: bool) -> Result<(), String> {
    let view = lab.desk().view().map_err(|refusal| format!("{refusal:?}"))?;
    let asked: Vec<_> = view.asks.iter().filter(|ask| ask.reason.label() == reason).collect();
    if asked.is_empty() {
        return Err(format!("nothing is asked because of {reason}: {:?}", view.asks));
    }
    for ask in asked {
        lab.ask(&Question::Answer { ask: ask.id.clone(), granted })?;
    }
    Ok(())
}
