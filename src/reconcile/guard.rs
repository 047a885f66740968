//! Whether a changed policy counts. Most changes do at once; one that would release, expose or add many accounts, or
//! loosen the rails, waits for a person, and until then the policy of before judges and nothing is started.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::diff::change::Comparison;
use crate::model::{Ask, GroupId, Plan, Reason, Surroundings, Timestamp};
use crate::plan;
use crate::policy::Policy;
use crate::store::records::{AcceptedPolicy, Approvals, Cursor, Seats};
use crate::store::{self, TenantStore};

use super::policy_holder::{PolicyHolder, Waiting};
use super::preview::{Preview, Unread};
use super::shared::Shared;

/// What a pass works with.
#[derive(Debug)]
pub struct InForce {
    pub policy: Arc<Policy>,
    /// A newer policy waits: nothing may be started.
    pub closed: Option<Reason>,
    /// Open, or denied: then it is there to be taken back.
    pub ask: Option<Ask>,
}

/// A policy that is to be judged.
#[derive(Debug)]
pub struct Newer {
    pub policy: Arc<Policy>,
    /// The groups that it names and nobody has read yet: to be read before.
    pub groups: BTreeSet<GroupId>,
}

/// The policy of the files, where it is another one than the one in force.
///
/// # Errors
/// Only of the store.
pub fn newer(holder: &PolicyHolder, store: &TenantStore) -> Result<Option<Newer>, store::Error> {
    let Some(newest) = holder.newest() else { return Ok(None) };
    let is_newer = store.get::<AcceptedPolicy>()?.is_some_and(|accepted| accepted.digest != newest.digest);
    let read = store.get_or_default::<Cursor>()?.groups_read;
    let groups: BTreeSet<GroupId> = newest.groups().difference(&read).copied().collect();
    Ok(is_newer.then_some(Newer { policy: newest, groups }))
}

/// The policy in force, after a look at what the files say now. `None` before there was a good one.
///
/// # Errors
/// Only of the store.
pub fn in_force(
    holder: &PolicyHolder,
    store: &TenantStore,
    shared: &Shared,
    preview: &Preview,
    now: Timestamp,
) -> Result<Option<InForce>, store::Error> {
    let accepted = store.get::<AcceptedPolicy>()?;
    let Some(newest) = holder.newest() else {
        // The files are bad, and this process read no good ones: what was in force before stands.
        let Some(policy) = accepted.and_then(read).map(Arc::new) else { return Ok(None) };
        holder.fall_back(Arc::clone(&policy));
        return Ok(Some(InForce { policy, closed: None, ask: None }));
    };
    let before = accepted.filter(|accepted| accepted.digest != newest.digest).and_then(read);
    let concerns = match &before {
        Some(before) => concerns(before, &newest, store, preview, now)?,
        None => Vec::new(),
    };
    let Some(before) = before.filter(|_| !concerns.is_empty()) else {
        spend_approvals(store, shared)?;
        return accept(holder, store, newest).map(Some);
    };
    let id = plan::stable_id(&[&Reason::PolicyChange.label(), &before.digest, &newest.digest]);
    let answer = store.get_or_default::<Approvals>()?.0.get(&id).map(|answer| answer.granted);
    if answer == Some(true) {
        spend_approvals(store, shared)?;
        return accept(holder, store, newest).map(Some);
    }
    let plan_before = store.get_or_default::<Plan>()?;
    let asked_before = plan_before.questions().find(|ask| ask.id == id);
    let ask = Ask {
        id,
        reason: Reason::PolicyChange,
        users: Vec::new(),
        question: format!(
            "Put the changed policy {} into force? {}",
            short(&newest.digest),
            concerns.join("; ")
        ),
        opened: asked_before.map_or(now, |ask| ask.opened),
        act_by: None,
    };
    let before = Arc::new(before);
    holder.hold_back(Arc::clone(&before), Waiting { policy: newest, concerns });
    Ok(Some(InForce { policy: before, closed: Some(Reason::PolicyChange), ask: Some(ask) }))
}

/// A yes to a changed policy has its effect once: the same change another time is another question.
fn spend_approvals(store: &TenantStore, shared: &Shared) -> Result<(), store::Error> {
    let _turn = shared.turn();
    let mut approvals = store.get_or_default::<Approvals>()?;
    let before = approvals.0.len();
    approvals.0.retain(|_, answer| !(answer.granted && answer.reason == Reason::PolicyChange));
    if approvals.0.len() < before { store.put(&approvals) } else { Ok(()) }
}

/// `None` when this version cannot read it any more: then there is nothing to compare with.
fn read(accepted: AcceptedPolicy) -> Option<Policy> {
    let policy = Policy::of_sources(&accepted.sources).ok()?;
    Some(Policy { revision: accepted.revision, ..policy })
}

fn accept(holder: &PolicyHolder, store: &TenantStore, policy: Arc<Policy>) -> Result<InForce, store::Error> {
    holder.accept();
    let sources = policy.sources.iter().map(|source| (source.name.clone(), source.text.clone()));
    let accepted = AcceptedPolicy {
        digest: policy.digest.clone(),
        revision: policy.revision.clone(),
        sources: sources.collect(),
    };
    if store.get::<AcceptedPolicy>()?.as_ref() != Some(&accepted) {
        store.put(&accepted)?;
    }
    Ok(InForce { policy, closed: None, ask: None })
}

fn concerns(
    before: &Policy,
    after: &Policy,
    store: &TenantStore,
    preview: &Preview,
    now: Timestamp,
) -> Result<Vec<String>, store::Error> {
    let catalog = store.get::<Seats>()?.map(|seats| seats.catalog).unwrap_or_default();
    let mut comparison = Comparison::new(before, after);
    store.for_each_user(|known| {
        comparison.see(&preview.shown(known), &catalog, &Surroundings::default(), now);
    })?;
    // Of a group that cannot be read whoever says yes should know: every observation would be rejected.
    let unread = preview.unread.iter().map(|(group, why)| {
        let named = after.naming(*group).map(|by| format!(" of {by}")).unwrap_or_default();
        match why {
            Unread::Missing => {
                format!("group {group}{named} does not exist in the tenant: nothing could be observed")
            }
            Unread::Failed(why) => format!("group {group}{named} could not be read: {why}"),
        }
    });
    Ok(unread.chain(comparison.concerns()).collect())
}

fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}
