//! How a deleted account can come back although live ones hold its name or its addresses: as the rule allows it, and
//! only in a way in which the rule keeps it afterwards, too.

use std::collections::BTreeSet;

use crate::model::{KnownUser, RestoreOptions, Surroundings, Taken};
use crate::policy::{KeepRule, NamePattern, Policy, Ruling};

/// # Errors
/// What is taken and not allowed for.
pub fn options(
    policy: &Policy,
    rule: &KeepRule,
    known: &KnownUser,
    surroundings: &Surroundings,
) -> Result<RestoreOptions, String> {
    let (name, addresses) = match surroundings.rivals.get(&known.id()).map(|rival| &rival.taken) {
        None | Some(Taken::Nothing) => return Ok(RestoreOptions::PLAIN),
        Some(Taken::Unknown) => {
            return Err("another account holds an address that this one had once".to_owned());
        }
        Some(Taken::Of { name, addresses }) => (*name, addresses),
    };
    let missing = missing(rule, name, addresses);
    if !missing.is_empty() {
        return Err(format!(
            "others hold its {} by now; to restore it all the same the rule would need `restore` with {}",
            what(name, addresses.len()),
            missing.join(" and ")
        ));
    }
    let pattern = rule.restore.upn_if_taken.as_ref().filter(|_| name);
    let new_upn = pattern.map(|pattern| new_name(pattern, known, surroundings)).transpose()?;
    let options = RestoreOptions { new_upn, drops_taken_addresses: !addresses.is_empty() };
    match policy.ruling(&restored(known, &options, addresses)) {
        Ruling::Keep(again) if again.name == rule.name => Ok(options),
        Ruling::Keep(_)
        | Ruling::Offboarded(_)
        | Ruling::Protected(_)
        | Ruling::NoRule
        | Ruling::Undetermined { .. } => {
            Err("restored without what others hold, the account would not fall under this rule any more"
                .to_owned())
        }
    }
}

fn missing(rule: &KeepRule, name: bool, addresses: &BTreeSet<String>) -> Vec<&'static str> {
    let drop = !addresses.is_empty() && !rule.restore.drop_taken_addresses;
    let name = name && rule.restore.upn_if_taken.is_none();
    [(drop, "`drop_taken_addresses: true`"), (name, "`upn_if_taken`")]
        .into_iter()
        .filter(|(is_missing, _)| *is_missing)
        .map(|(_, key)| key)
        .collect()
}

fn new_name(pattern: &NamePattern, known: &KnownUser, surroundings: &Surroundings) -> Result<String, String> {
    let name = pattern
        .name(&known.user.upn)
        .ok_or("its name is taken, and the rule makes no possible name of it")?;
    if surroundings.names_in_use.contains(&name) {
        return Err(format!("its name is taken, and {name} is in use as well"));
    }
    Ok(name)
}

fn what(name: bool, addresses: usize) -> &'static str {
    match (name, addresses) {
        (true, 0) => "name",
        (true, 1) => "name and address",
        (true, _) => "name and addresses",
        (false, 1) => "address",
        (false, _) => "addresses",
    }
}

/// The account as it would come back.
fn restored(known: &KnownUser, options: &RestoreOptions, taken: &BTreeSet<String>) -> KnownUser {
    let mut after = known.clone();
    if let Some(name) = &options.new_upn {
        after.user.upn.clone_from(name);
    }
    after.user.drop_mail_addresses(taken);
    after
}
