//! Whether a user's licences entitle to a mailbox, read from the directory alone.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{
    AssignedPlan, CapabilityStatus, Catalog, GroupId, License, Loss, PlanId, ProvisioningError, Sku, SkuId,
    Timestamp, User, is_mailbox_plan,
};

/// How a licence reaches a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Path {
    Direct,
    Group(GroupId),
}

/// The state of a user's right to a mailbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Entitlement {
    /// A product with an enabled mailbox plan is assigned. `is_confirmed`: the Exchange plan itself shows as usable.
    Licensed { sku: SkuId, is_confirmed: bool },
    /// The product is assigned, every mailbox plan in it is switched off.
    PlanDisabled { sku: SkuId },
    /// Assigned, but the subscription behind it is suspended, locked out or over: a licence cannot help.
    SubscriptionLapsed { sku: SkuId, status: CapabilityStatus },
    /// A group should give the licence and cannot.
    GroupError { sku: SkuId, group: GroupId, error: String },
    /// No product with a mailbox plan. `lost_hint` is set when a mailbox plan once was there; its date is only a hint.
    None { had_mailbox_plan: bool, lost_hint: Option<Timestamp> },
}

impl Entitlement {
    /// Reads the user's licences against the tenant's products. The best licence counts: usable before not yet usable,
    /// before lapsed, before switched off.
    ///
    /// A product that the catalogue does not list is judged by the user's own plan entries: an enabled mailbox plan
    /// counts, so that an unknown product never looks like a loss.
    pub fn of(user: &User, catalog: &Catalog) -> Self {
        let (mut unconfirmed, mut lapsed, mut disabled) = (None, None, None);
        for license in user.licenses().iter().filter(|license| !user.has_failed(license.sku)) {
            match Self::of_license(user, license, catalog) {
                Some(licensed @ Self::Licensed { is_confirmed: true, .. }) => return licensed,
                Some(licensed @ Self::Licensed { .. }) => unconfirmed = unconfirmed.or(Some(licensed)),
                Some(ended @ Self::SubscriptionLapsed { .. }) => lapsed = lapsed.or(Some(ended)),
                Some(off @ Self::PlanDisabled { .. }) => disabled = disabled.or(Some(off)),
                Some(Self::GroupError { .. } | Self::None { .. }) | None => {}
            }
        }
        let without_license =
            || Self::None { had_mailbox_plan: user.had_mailbox_plan(), lost_hint: user.lost_hint() };
        let found = unconfirmed.or(lapsed).or(disabled).or_else(|| Self::group_error(user, catalog));
        found.unwrap_or_else(without_license)
    }

    /// The only product that gives the user a mailbox; `None` where there is none, or a second one.
    pub fn sole_product(user: &User, catalog: &Catalog) -> Option<SkuId> {
        let of_one = |license| Self::of_license(user, license, catalog).filter(Self::is_licensed);
        let mut carrying = user.licenses().iter().filter(|license| of_one(license).is_some());
        let first = carrying.next()?;
        carrying.next().is_none().then_some(first.sku)
    }

    pub fn is_licensed(&self) -> bool {
        matches!(self, Self::Licensed { .. })
    }

    fn of_license(user: &User, license: &License, catalog: &Catalog) -> Option<Self> {
        let sku = license.sku;
        let Some(product) = catalog.get(sku) else { return Self::of_unlisted(user, license) };
        if !product.carries_mailbox() {
            return None;
        }
        let is_on = |plan: &PlanId| !license.disabled_plans.contains(plan);
        let enabled: BTreeSet<PlanId> = product.mailbox_plans().filter(is_on).collect();
        if enabled.is_empty() {
            return Some(Self::PlanDisabled { sku });
        }
        let is_product_over = has_ended(&product.capability_status);
        Some(match standing(user, &enabled) {
            PlanStanding::Usable => Self::Licensed { sku, is_confirmed: true },
            PlanStanding::Ended(status) => Self::SubscriptionLapsed { sku, status },
            PlanStanding::Open if is_product_over => {
                let status = CapabilityStatus::Other(product.capability_status.clone());
                Self::SubscriptionLapsed { sku, status }
            }
            PlanStanding::Open => Self::Licensed { sku, is_confirmed: false },
        })
    }

    fn of_unlisted(user: &User, license: &License) -> Option<Self> {
        let sku = license.sku;
        let plans = user.plans.iter().map(|entry| entry.plan);
        let is_on = |plan: &PlanId| is_mailbox_plan(*plan) && !license.disabled_plans.contains(plan);
        match standing(user, &plans.filter(is_on).collect()) {
            PlanStanding::Usable => Some(Self::Licensed { sku, is_confirmed: true }),
            PlanStanding::Ended(status) => Some(Self::SubscriptionLapsed { sku, status }),
            PlanStanding::Open => None,
        }
    }

    fn group_error(user: &User, catalog: &Catalog) -> Option<Self> {
        user.assignments.iter().find_map(|assignment| {
            let group = assignment.by_group?;
            let carries = catalog.get(assignment.sku).is_some_and(super::Sku::carries_mailbox);
            (carries && assignment.state.eq_ignore_ascii_case("error")).then(|| Self::GroupError {
                sku: assignment.sku,
                group,
                error: assignment.error.clone().unwrap_or_else(|| "Other".to_owned()),
            })
        })
    }
}

/// What the user's own entries say of some plans.
enum PlanStanding {
    Usable,
    /// The subscription is suspended or locked out; Microsoft preserves the data.
    Ended(CapabilityStatus),
    /// No entry yet, one of an earlier licence, or a status that is not known.
    Open,
}

fn standing(user: &User, plans: &BTreeSet<PlanId>) -> PlanStanding {
    let mut ended = None;
    for entry in user.plans.iter().filter(|entry| plans.contains(&entry.plan)) {
        match &entry.status {
            CapabilityStatus::Enabled | CapabilityStatus::Warning => return PlanStanding::Usable,
            CapabilityStatus::Suspended | CapabilityStatus::LockedOut => ended = Some(entry.status.clone()),
            CapabilityStatus::Deleted | CapabilityStatus::Other(_) => {}
        }
    }
    ended.map_or(PlanStanding::Open, PlanStanding::Ended)
}

/// True for the states of a product in which nothing of it works (Graph: subscribedSku, capabilityStatus).
fn has_ended(capability_status: &str) -> bool {
    ["suspended", "lockedout", "deleted"].iter().any(|ended| ended.eq_ignore_ascii_case(capability_status))
}

impl Sku {
    /// False when the subscription has ended: what is left of its seats cannot be given out.
    pub fn is_assignable(&self) -> bool {
        !has_ended(&self.capability_status)
    }
}

/// What the directory keeps of a mailbox when the licence is gone.
impl User {
    /// A mailbox plan stands in `assignedPlans`, in whatever state: entries of removed licences stay.
    pub fn had_mailbox_plan(&self) -> bool {
        self.plans.iter().any(|entry| is_mailbox_plan(entry.plan))
    }

    /// A mailbox plan stands in `assignedPlans` and works, whatever the list of licences says.
    pub fn has_usable_mailbox_plan(&self) -> bool {
        self.plans.iter().any(|entry| {
            is_mailbox_plan(entry.plan)
                && matches!(entry.status, CapabilityStatus::Enabled | CapabilityStatus::Warning)
        })
    }

    /// The newest date on a mailbox plan that is gone. Undocumented there, so only a hint; the date of an entry in any
    /// other state is that of the assignment, and says nothing.
    pub fn lost_hint(&self) -> Option<Timestamp> {
        let is_lost =
            |entry: &&AssignedPlan| is_mailbox_plan(entry.plan) && entry.status == CapabilityStatus::Deleted;
        self.plans.iter().filter(is_lost).filter_map(|entry| entry.assigned).max()
    }

    /// Exchange's complaints that it may not disconnect the mailbox: a hold keeps it (Microsoft: "Mailboxes on
    /// litigation hold do not become inactive when the license is removed"). An older or undated complaint is about
    /// something else.
    pub fn holds(&self, loss: &Loss) -> impl Iterator<Item = &ProvisioningError> {
        let earliest = loss.last_with.or(loss.hint);
        self.provisioning_errors.iter().filter(move |error| {
            let is_exchange = error.service_instance.to_ascii_lowercase().starts_with("exchange");
            let is_later = error.created.is_some_and(|created| earliest.is_none_or(|at| created >= at));
            is_exchange && !error.is_resolved && is_later
        })
    }
}
