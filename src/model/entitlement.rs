//! Whether a user's licences entitle to a mailbox, read from the directory alone.

use serde::{Deserialize, Serialize};

use super::{CapabilityStatus, Catalog, GroupId, License, SkuId, Timestamp, User, is_mailbox_plan};

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
    /// Assigned, but the subscription behind it is suspended or locked out: a licence cannot help.
    SubscriptionLapsed { sku: SkuId, status: CapabilityStatus },
    /// A group should give the licence and cannot.
    GroupError { sku: SkuId, group: GroupId, error: String },
    /// No product with a mailbox plan. `lost_hint` is set when a mailbox plan once was there; its date is only a hint.
    None { had_mailbox_plan: bool, lost_hint: Option<Timestamp> },
}

impl Entitlement {
    /// Reads the user's licences against the tenant's products.
    ///
    /// A product that the catalogue does not list is judged by the user's own plan entries: an enabled mailbox plan
    /// counts, so that an unknown product never looks like a loss.
    pub fn of(user: &User, catalog: &Catalog) -> Self {
        let mut disabled = None;
        let mut lapsed = None;
        for license in user.licenses() {
            match Self::of_license(user, license, catalog) {
                Some(Self::PlanDisabled { sku }) => disabled = disabled.or(Some(sku)),
                Some(Self::SubscriptionLapsed { sku, status }) => lapsed = lapsed.or(Some((sku, status))),
                Some(licensed) => return licensed,
                None => {}
            }
        }
        if let Some((sku, status)) = lapsed {
            return Self::SubscriptionLapsed { sku, status };
        }
        if let Some(sku) = disabled {
            return Self::PlanDisabled { sku };
        }
        if let Some(error) = Self::group_error(user, catalog) {
            return error;
        }
        let lost: Vec<_> = user.plans.iter().filter(|plan| is_mailbox_plan(plan.plan)).collect();
        Self::None {
            had_mailbox_plan: !lost.is_empty(),
            lost_hint: lost.iter().filter_map(|plan| plan.assigned).max(),
        }
    }

    pub fn is_licensed(&self) -> bool {
        matches!(self, Self::Licensed { .. })
    }

    fn of_license(user: &User, license: &License, catalog: &Catalog) -> Option<Self> {
        let sku = license.sku;
        let Some(product) = catalog.get(sku) else {
            let is_enabled = user.plans.iter().any(|plan| {
                is_mailbox_plan(plan.plan)
                    && is_usable(&plan.status)
                    && !license.disabled_plans.contains(&plan.plan)
            });
            return is_enabled.then_some(Self::Licensed { sku, is_confirmed: true });
        };
        if !product.carries_mailbox() {
            return None;
        }
        let mut enabled =
            product.mailbox_plans().filter(|plan| !license.disabled_plans.contains(plan)).peekable();
        if enabled.peek().is_none() {
            return Some(Self::PlanDisabled { sku });
        }
        let statuses: Vec<&CapabilityStatus> = enabled
            .flat_map(|plan| {
                user.plans.iter().filter(move |entry| entry.plan == plan).map(|entry| &entry.status)
            })
            .collect();
        if statuses.iter().any(|status| is_usable(status)) {
            return Some(Self::Licensed { sku, is_confirmed: true });
        }
        let lapsed = statuses
            .iter()
            .find(|status| matches!(status, CapabilityStatus::Suspended | CapabilityStatus::LockedOut));
        Some(match lapsed {
            Some(status) => Self::SubscriptionLapsed { sku, status: (*status).clone() },
            None => Self::Licensed { sku, is_confirmed: false },
        })
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

fn is_usable(status: &CapabilityStatus) -> bool {
    matches!(status, CapabilityStatus::Enabled | CapabilityStatus::Warning)
}
