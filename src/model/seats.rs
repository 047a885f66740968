//! Products of the tenant and their seats.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Outlook, PlanId, SkuId, Subscription, is_mailbox_plan, outlook};

/// One product of the tenant (Graph: subscribedSku).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sku {
    pub id: SkuId,
    /// `SPE_E3`.
    pub part_number: String,
    /// `Enabled`, `Warning`, `Suspended`, `Deleted`, `LockedOut` or something newer.
    pub capability_status: String,
    pub consumed: i64,
    pub units: Units,
    pub plans: Vec<SkuPlan>,
}

/// `prepaidUnits` (Graph: licenseUnitsDetail).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Units {
    /// Usable.
    pub enabled: i64,
    /// Expired, in grace, still usable.
    pub warning: i64,
    /// Cancelled; cannot be assigned.
    pub suspended: i64,
    pub locked_out: i64,
}

/// A service plan inside a product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkuPlan {
    pub id: PlanId,
    pub name: String,
    /// `User` or `Company`.
    pub applies_to: String,
}

impl Sku {
    /// Seats that can be given out now; negative when the tenant is over-assigned.
    pub fn free(&self) -> i64 {
        self.units.enabled.saturating_add(self.units.warning).saturating_sub(self.consumed)
    }

    /// The mailbox-carrying plans inside, in the order that Graph lists them.
    pub fn mailbox_plans(&self) -> impl Iterator<Item = PlanId> {
        self.plans.iter().map(|plan| plan.id).filter(|plan| is_mailbox_plan(*plan))
    }

    pub fn carries_mailbox(&self) -> bool {
        self.mailbox_plans().next().is_some()
    }
}

/// The products of the tenant as one observation shows them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Catalog {
    skus: BTreeMap<SkuId, Sku>,
    /// `None`: not known. Reading them takes a permission that nothing else needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subscriptions: Option<Vec<Subscription>>,
}

impl Catalog {
    /// With the subscriptions behind the products, where they are known.
    pub fn backed_by(self, subscriptions: Option<Vec<Subscription>>) -> Self {
        Self { subscriptions, ..self }
    }

    pub fn subscriptions(&self) -> Option<&[Subscription]> {
        self.subscriptions.as_deref()
    }

    /// What is to be expected of the product's seats; `None` where nothing is known of them.
    pub fn outlook(&self, sku: SkuId) -> Option<Outlook> {
        outlook(self.get(sku)?, self.subscriptions())
    }

    pub fn get(&self, sku: SkuId) -> Option<&Sku> {
        self.skus.get(&sku)
    }

    /// By part number, letter case ignored, or by id written as a GUID.
    pub fn find(&self, name: &str) -> Option<&Sku> {
        if let Ok(id) = name.parse::<SkuId>() {
            return self.get(id);
        }
        self.skus.values().find(|sku| sku.part_number.eq_ignore_ascii_case(name.trim()))
    }

    pub fn iter(&self) -> impl Iterator<Item = &Sku> {
        self.skus.values()
    }

    pub fn is_empty(&self) -> bool {
        self.skus.is_empty()
    }

    /// The part number where known, else the id.
    pub fn name(&self, sku: SkuId) -> String {
        self.get(sku).map_or_else(|| sku.to_string(), |known| known.part_number.clone())
    }
}

impl FromIterator<Sku> for Catalog {
    fn from_iter<T: IntoIterator<Item = Sku>>(skus: T) -> Self {
        Self { skus: skus.into_iter().map(|sku| (sku.id, sku)).collect(), subscriptions: None }
    }
}
