//! Products, seats and the stages of a subscription; `/subscribedSkus`, `/directory/subscriptions`, `/organization`.
//! One subscription per product. Which user holds what is in `licensing`.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use uuid::Uuid;

use super::call::Call;
use super::directory::PlanStatus;
use super::errors::GraphError;
use super::metadata::SETS;
use super::narrow::{Type, Wanted};
use super::odata::{Entity, Page, json_answer};
use super::tenant::{Job, Tenant};
use crate::graph::transport::HttpResponse;
use crate::model::{PlanId, SkuId, Span, Timestamp};

/// A service plan inside a product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServicePlan {
    pub id: PlanId,
    pub name: Arc<str>,
    /// As `assignedPlans[].service` names it: `exchange`, `SharePoint`.
    pub service: Arc<str>,
}

impl ServicePlan {
    pub fn new(id: PlanId, name: &str, service: &str) -> Self {
        Self { id, name: name.into(), service: service.into() }
    }
}

/// A product to buy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSku {
    pub sku: SkuId,
    pub part_number: String,
    pub plans: Vec<ServicePlan>,
    pub seats: u32,
}

/// The life of a subscription that is not renewed. Source: Microsoft 365 "What happens if my subscription expires",
/// direct channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Paid.
    Enabled,
    /// Expired, 30 days: everything works.
    Warning,
    /// Disabled, 90 days: users are out, data is kept.
    Suspended,
    /// Gone.
    Deleted,
}

impl Stage {
    fn as_str(self) -> &'static str {
        match self {
            Stage::Enabled => "Enabled",
            Stage::Warning => "Warning",
            Stage::Suspended => "Suspended",
            Stage::Deleted => "Deleted",
        }
    }

    /// The next stage and how long this one lasts.
    fn next(self) -> Option<(Stage, Span)> {
        match self {
            Stage::Enabled | Stage::Deleted => None,
            Stage::Warning => Some((Stage::Suspended, Span::from_days(30))),
            Stage::Suspended => Some((Stage::Deleted, Span::from_days(90))),
        }
    }

    pub(super) fn plan_status(self) -> PlanStatus {
        match self {
            Stage::Enabled => PlanStatus::Enabled,
            Stage::Warning => PlanStatus::Warning,
            Stage::Suspended => PlanStatus::Suspended,
            Stage::Deleted => PlanStatus::Deleted,
        }
    }
}

#[derive(Debug)]
pub(super) struct Product {
    pub sku: SkuId,
    pub part_number: String,
    pub plans: Vec<ServicePlan>,
    pub seats: u32,
    pub stage: Stage,
    pub consumed: u32,
    pub stage_ends_at: Option<Timestamp>,
    subscription: Uuid,
    commerce: Uuid,
    created_at: Timestamp,
}

impl Product {
    pub fn has_free_seat(&self) -> bool {
        match self.stage {
            Stage::Enabled | Stage::Warning => self.consumed < self.seats,
            Stage::Suspended | Stage::Deleted => false,
        }
    }

    fn service_plans(&self) -> Vec<Value> {
        let plan = |plan: &ServicePlan| {
            json!({
                "servicePlanId": plan.id.to_string(), "servicePlanName": &*plan.name,
                "provisioningStatus": "Success", "appliesTo": "User",
            })
        };
        self.plans.iter().map(plan).collect()
    }

    fn subscribed_sku(&self, tenant: &Tenant) -> Value {
        let units = |stage: Stage| if self.stage == stage { self.seats } else { 0 };
        let status = match self.stage {
            Stage::Enabled | Stage::Warning | Stage::Suspended => self.stage.as_str(),
            Stage::Deleted => "LockedOut",
        };
        json!({
            "id": self.entity_id(tenant),
            "accountId": tenant.id().to_string(), "accountName": tenant.name(),
            "skuId": self.sku.to_string(), "skuPartNumber": self.part_number,
            "appliesTo": "User", "capabilityStatus": status, "consumedUnits": self.consumed,
            "prepaidUnits": {
                "enabled": units(Stage::Enabled), "warning": units(Stage::Warning),
                "suspended": units(Stage::Suspended), "lockedOut": units(Stage::Deleted),
            },
            "subscriptionIds": [self.commerce.to_string()],
            "servicePlans": self.service_plans(),
        })
    }

    fn entity_id(&self, tenant: &Tenant) -> String {
        format!("{}_{}", tenant.id(), self.sku)
    }

    fn company_subscription(&self, tenant: &Tenant) -> Value {
        json!({
            "id": self.subscription.to_string(), "commerceSubscriptionId": self.commerce.to_string(),
            "createdDateTime": self.created_at.to_string(), "isTrial": false,
            "nextLifecycleDateTime": self.stage_ends_at.map(|at| at.to_string()),
            "ownerId": null, "ownerTenantId": tenant.id().to_string(), "ownerType": null,
            "serviceStatus": self.service_plans(),
            "skuId": self.sku.to_string(), "skuPartNumber": self.part_number,
            "status": self.stage.as_str(), "totalLicenses": self.seats,
        })
    }
}

/// All products of the tenant.
#[derive(Debug, Default)]
pub(super) struct Catalogue {
    products: BTreeMap<SkuId, Product>,
}

impl Catalogue {
    pub fn get(&self, sku: SkuId) -> Option<&Product> {
        self.products.get(&sku)
    }

    pub fn get_mut(&mut self, sku: SkuId) -> Option<&mut Product> {
        self.products.get_mut(&sku)
    }

    pub fn occupy(&mut self, sku: SkuId) {
        if let Some(product) = self.products.get_mut(&sku) {
            product.consumed += 1;
        }
    }

    pub fn free(&mut self, sku: SkuId) {
        if let Some(product) = self.products.get_mut(&sku) {
            product.consumed = product.consumed.saturating_sub(1);
        }
    }
}

impl Tenant {
    pub(super) fn insert_product(&mut self, now: Timestamp, new: NewSku) {
        let product = Product {
            sku: new.sku,
            part_number: new.part_number,
            plans: new.plans,
            seats: new.seats,
            stage: Stage::Enabled,
            consumed: 0,
            stage_ends_at: Some(now + Span::from_days(365)),
            subscription: self.ids.uuid(),
            commerce: self.ids.uuid(),
            created_at: now,
        };
        self.catalogue.products.insert(product.sku, product);
    }

    /// Moves a subscription to a stage and plans the next one. Every holder's service plans follow.
    pub(super) fn enter_stage(&mut self, now: Timestamp, sku: SkuId, stage: Stage) {
        let Some(product) = self.catalogue.get_mut(sku) else { return };
        product.stage = stage;
        product.stage_ends_at = match stage.next() {
            Some((_, lasts)) => Some(now + lasts),
            None => (stage == Stage::Enabled).then(|| now + Span::from_days(365)),
        };
        if let (Some(_), Some(at)) = (stage.next(), product.stage_ends_at) {
            self.schedule(at, Job::NextStage(sku));
        }
        let holders: Vec<_> = self
            .directory
            .live_after(None)
            .filter(|user| user.licences.iter().any(|path| path.sku == sku))
            .map(|user| user.id)
            .collect();
        for id in holders {
            self.change_licences(now, id, |_| ());
        }
    }

    /// Runs when a stage ends; a subscription renewed in between has another end.
    pub(super) fn end_stage(&mut self, now: Timestamp, sku: SkuId) {
        let Some(product) = self.catalogue.get(sku) else { return };
        if product.stage_ends_at != Some(now) {
            return;
        }
        if let Some((next, _)) = product.stage.next() {
            self.enter_stage(now, sku, next);
        }
    }

    pub(super) fn list_skus(&self, call: &Call) -> Result<HttpResponse, GraphError> {
        let wanted = Wanted::read(call, &SKU)?;
        let skus = self.catalogue.products.values().map(|product| wanted.of(product.subscribed_sku(self)));
        let context = call.context(&wanted.context("subscribedSkus"));
        Ok(json_answer(200, &Page::whole(context, skus.collect())))
    }

    pub(super) fn get_sku(&self, call: &Call, id: &str) -> Result<HttpResponse, GraphError> {
        let wanted = Wanted::read(call, &SKU)?;
        let product = self.catalogue.products.values().find(|product| product.entity_id(self) == id);
        let entity = product.ok_or_else(|| GraphError::not_found(id))?.subscribed_sku(self);
        let context = call.context(&format!("{}/$entity", wanted.context("subscribedSkus")));
        Ok(json_answer(200, &Entity { context, entity: wanted.of(entity) }))
    }

    pub(super) fn list_subscriptions(&self, call: &Call) -> Result<HttpResponse, GraphError> {
        let wanted = Wanted::read(call, &SUBSCRIPTION)?;
        let all =
            self.catalogue.products.values().map(|product| wanted.of(product.company_subscription(self)));
        let context = call.context(&wanted.context("directory/subscriptions"));
        Ok(json_answer(200, &Page::whole(context, all.collect())))
    }

    pub(super) fn get_subscription(&self, call: &Call, id: &str) -> Result<HttpResponse, GraphError> {
        let wanted = Wanted::read(call, &SUBSCRIPTION)?;
        let matches =
            |product: &&Product| product.subscription.to_string() == id || product.commerce.to_string() == id;
        let product =
            self.catalogue.products.values().find(matches).ok_or_else(|| GraphError::not_found(id))?;
        let context = call.context(&format!("{}/$entity", wanted.context("directory/subscriptions")));
        Ok(json_answer(200, &Entity { context, entity: wanted.of(product.company_subscription(self)) }))
    }

    /// Which collections there are.
    pub(super) fn service_document(&self, call: &Call) -> HttpResponse {
        let set = |(name, _): &(&str, &str)| json!({"name": name, "kind": "EntitySet", "url": name});
        let value: Vec<Value> = SETS.iter().map(set).collect();
        let context = format!("{}/v1.0/$metadata", call.origin);
        json_answer(200, &json!({"@odata.context": context, "value": value}))
    }

    pub(super) fn organization(&self, call: &Call) -> Result<HttpResponse, GraphError> {
        let wanted = Wanted::read(call, &ORGANIZATION)?;
        let context = call.context(&wanted.context("organization"));
        Ok(json_answer(200, &Page::whole(context, vec![wanted.of(self.organization_json())])))
    }

    pub(super) fn get_organization(&self, call: &Call, id: &str) -> Result<HttpResponse, GraphError> {
        let wanted = Wanted::read(call, &ORGANIZATION)?;
        if !self.id().to_string().eq_ignore_ascii_case(id) {
            return Err(GraphError::not_found(id));
        }
        let context = call.context(&format!("{}/$entity", wanted.context("organization")));
        Ok(json_answer(200, &Entity { context, entity: wanted.of(self.organization_json()) }))
    }

    fn organization_json(&self) -> Value {
        json!({
            "id": self.id().to_string(), "displayName": self.name(),
            "tenantType": "AAD", "countryLetterCode": self.location(),
            "verifiedDomains": [{
                "name": self.domain(), "isDefault": true, "isInitial": false,
                "type": "Managed", "capabilities": "Email, OfficeCommunicationsOnline",
            }],
        })
    }
}

/// Graph: subscribedSku.
pub(super) static SKU: Type = Type {
    name: "subscribedSku",
    default: &[
        "id",
        "accountId",
        "accountName",
        "appliesTo",
        "capabilityStatus",
        "consumedUnits",
        "prepaidUnits",
        "servicePlans",
        "skuId",
        "skuPartNumber",
        "subscriptionIds",
    ],
    selectable: &[],
    empty: &[],
};

/// Graph: companySubscription.
pub(super) static SUBSCRIPTION: Type = Type {
    name: "companySubscription",
    default: &[
        "id",
        "commerceSubscriptionId",
        "createdDateTime",
        "isTrial",
        "nextLifecycleDateTime",
        "ownerId",
        "ownerTenantId",
        "ownerType",
        "serviceStatus",
        "skuId",
        "skuPartNumber",
        "status",
        "totalLicenses",
    ],
    selectable: &[],
    empty: &[],
};

const COLLECTIONS: &[&str] = &[
    "assignedPlans",
    "businessPhones",
    "marketingNotificationEmails",
    "provisionedPlans",
    "securityComplianceNotificationMails",
    "securityComplianceNotificationPhones",
    "technicalNotificationMails",
];

/// Graph: organization.
pub(super) static ORGANIZATION: Type = Type {
    name: "organization",
    default: &[
        "id",
        "deletedDateTime",
        "assignedPlans",
        "businessPhones",
        "city",
        "country",
        "countryLetterCode",
        "createdDateTime",
        "defaultUsageLocation",
        "displayName",
        "marketingNotificationEmails",
        "onPremisesLastSyncDateTime",
        "onPremisesSyncEnabled",
        "partnerTenantType",
        "postalCode",
        "preferredLanguage",
        "privacyProfile",
        "provisionedPlans",
        "securityComplianceNotificationMails",
        "securityComplianceNotificationPhones",
        "state",
        "street",
        "technicalNotificationMails",
        "tenantType",
        "verifiedDomains",
    ],
    selectable: &[],
    empty: COLLECTIONS,
};
