//! Licences on users: the paths on which they come, the service plans that follow, and `assignLicense` with Microsoft's
//! texts. Seats are counted in `subscriptions`, mailboxes follow in `mailbox`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::audit::Initiator;
use super::call::{Call, unreadable};
use super::directory::{LicenceFailure, LicencePath, PlanStatus, User};
use super::errors::GraphError;
use super::narrow::{Type, Wanted};
use super::odata::{Entity, Page, json_answer};
use super::properties::Select;
use super::subscriptions::Catalogue;
use super::switches::Switches;
use super::tenant::Tenant;
use super::user_json::{Projection, merged_licences};
use crate::graph::transport::HttpResponse;
use crate::model::{PlanId, SkuId, Timestamp, UserId};

/// The service plans that carry a mailbox: the ten that Microsoft's product list knows. Exchange Online Plan 1 and 2
/// come first.
pub const MAILBOX_PLANS: [PlanId; 10] = [
    PlanId::from_u128(0x9aaf7827_d63c_4b61_89c3_182f06f82e5c),
    PlanId::from_u128(0xefb87545_963c_4e0d_99df_69c6916d9eb0),
    PlanId::from_u128(0x4a82b400_a79f_41a4_b4e2_e94f5787b113),
    PlanId::from_u128(0x1126bef5_da20_4f07_b45e_ad25d2581aa8),
    PlanId::from_u128(0xd42bdbd6_c335_4231_ab3d_c8f348d5aff5),
    PlanId::from_u128(0x90927877_dcff_4af6_b346_2332c0b15bb7),
    PlanId::from_u128(0xfc52cc4b_ed7d_472d_bbe7_b081c23ecc56),
    PlanId::from_u128(0xe9b4930a_925f_45e2_ac2a_3f7788ca6fdd),
    PlanId::from_u128(0x8c3069c0_ccdb_44be_ab77_986203a67df2),
    PlanId::from_u128(0x88f4d7ef_a73b_4246_8047_516022144c9f),
];

/// Rules between service plans: Microsoft's own, and what an administrator of the simulation adds.
#[derive(Debug)]
pub(super) struct PlanRules {
    /// Two plans that one user may not hold together.
    pub exclusive: Vec<(PlanId, PlanId)>,
    /// The first needs the second.
    pub depends: Vec<(PlanId, PlanId)>,
}

impl Default for PlanRules {
    /// Exchange Online Plan 1 and Plan 2 conflict. Source: Entra, "Identify and resolve license assignment problems for
    /// a group", section "Conflicting service plans".
    fn default() -> Self {
        Self { exclusive: vec![(MAILBOX_PLANS[0], MAILBOX_PLANS[1])], depends: Vec::new() }
    }
}

impl PlanRules {
    /// The first rule that this set of plans breaks.
    fn broken(&self, plans: &[PlanId]) -> Option<(LicenceFailure, String)> {
        let both = self.exclusive.iter().find(|(one, other)| plans.contains(one) && plans.contains(other));
        if let Some((one, other)) = both {
            let text = format!(
                "License assignment failed because service plans {one}, {other} are mutually exclusive"
            );
            return Some((LicenceFailure::ExclusivePlans, text));
        }
        let alone =
            self.depends.iter().find(|(plan, needed)| plans.contains(plan) && !plans.contains(needed));
        alone.map(|(plan, needed)| {
            let text = format!("License assignment failed because service plan {plan} depends on the service plan(s) {needed}");
            (LicenceFailure::MissingPlan, text)
        })
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AddLicence {
    pub sku_id: SkuId,
    #[serde(default)]
    pub disabled_plans: Vec<PlanId>,
}

/// The body of `assignLicense`, on users and groups.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AssignBody {
    add_licenses: Option<Vec<Map<String, Value>>>,
    remove_licenses: Option<Vec<SkuId>>,
}

impl AddLicence {
    fn read(licence: Map<String, Value>) -> Result<Self, GraphError> {
        let is_unknown = |name: &&String| !name.contains('@') && *name != "skuId" && *name != "disabledPlans";
        if let Some(name) = licence.keys().find(is_unknown) {
            return Err(GraphError::bad_request(format!(
                "The property '{name}' does not exist on type 'microsoft.graph.assignedLicense'. Make sure to only use \
                 property names that are defined by the type."
            )));
        }
        Self::deserialize(Value::Object(licence)).map_err(|_| unreadable())
    }
}

/// Both arrays are required. Graph: user-assignlicense.
pub(super) fn read_assignment(call: &Call) -> Result<(Vec<AddLicence>, Vec<SkuId>), GraphError> {
    let body: AssignBody = call.parameters("assignLicense", &["addLicenses", "removeLicenses"])?;
    let missing = |name: &str| {
        GraphError::bad_request(format!(
            "One or more parameters of the operation 'assignLicense' are missing from the request payload. The missing parameters are: {name}."
        ))
    };
    let add = body.add_licenses.ok_or_else(|| missing("addLicenses"))?;
    let remove = body.remove_licenses.ok_or_else(|| missing("removeLicenses"))?;
    let add: Vec<AddLicence> = add.into_iter().map(AddLicence::read).collect::<Result<_, _>>()?;
    check_once(&add, &remove)?;
    Ok((add, remove))
}

/// No product twice, neither in one array nor in both. That it is refused is seen of Graph, its text is not.
fn check_once(add: &[AddLicence], remove: &[SkuId]) -> Result<(), GraphError> {
    let mut seen = BTreeSet::new();
    let twice =
        add.iter().map(|licence| licence.sku_id).chain(remove.iter().copied()).find(|sku| !seen.insert(*sku));
    match twice {
        Some(sku) => Err(GraphError::bad_request(format!("License {sku} is specified more than once."))),
        None => Ok(()),
    }
}

/// True while Exchange keeps the mailbox: a usable plan, or one whose data must be preserved.
pub(super) fn keeps_mailbox(user: &User) -> bool {
    user.plans.iter().any(|plan| plan.status != PlanStatus::Deleted && MAILBOX_PLANS.contains(&plan.plan))
}

/// True while the mailbox can be used.
pub(super) fn can_use_mailbox(user: &User) -> bool {
    user.plans.iter().any(|plan| match plan.status {
        PlanStatus::Enabled | PlanStatus::Warning => MAILBOX_PLANS.contains(&plan.plan),
        PlanStatus::Suspended | PlanStatus::Deleted => false,
    })
}

/// Makes `assignedPlans` follow the licences. Removed plans stay listed as `Deleted`. Graph: assignedPlan.
pub(super) fn refresh_plans(now: Timestamp, user: &mut User, catalogue: &Catalogue, switches: &Switches) {
    let mut wanted = wanted_plans(&user.licences, catalogue);
    let mut plans = Vec::clone(&user.plans);
    for entry in &mut plans {
        match wanted.remove(&entry.plan) {
            Some((_, status)) => {
                let returns = entry.status == PlanStatus::Deleted && status != PlanStatus::Deleted;
                entry.status = status;
                if returns {
                    entry.assigned_at = now;
                }
            }
            None if entry.status != PlanStatus::Deleted => {
                entry.status = PlanStatus::Deleted;
                if switches.deleted_plan_dated_at_removal {
                    entry.assigned_at = now;
                }
            }
            None => {}
        }
    }
    for (plan, (service, status)) in wanted {
        plans.push(super::directory::UserPlan { plan, service, status, assigned_at: now });
    }
    plans.shrink_to_fit();
    user.plans = Arc::new(plans);
}

fn wanted_plans(licences: &[LicencePath], catalogue: &Catalogue) -> BTreeMap<PlanId, (Arc<str>, PlanStatus)> {
    let mut wanted: BTreeMap<PlanId, (Arc<str>, PlanStatus)> = BTreeMap::new();
    for licence in merged_licences(licences) {
        let Some(product) = catalogue.get(licence.sku_id) else { continue };
        let status = product.stage.plan_status();
        for plan in product.plans.iter().filter(|plan| !licence.disabled_plans.contains(&plan.id)) {
            let entry = wanted.entry(plan.id).or_insert_with(|| (Arc::clone(&plan.service), status));
            if is_better(status, entry.1) {
                entry.1 = status;
            }
        }
    }
    wanted
}

/// Of two subscriptions with the same plan the livelier one counts.
fn is_better(status: PlanStatus, than: PlanStatus) -> bool {
    let rank = |status| match status {
        PlanStatus::Enabled => 0,
        PlanStatus::Warning => 1,
        PlanStatus::Suspended => 2,
        PlanStatus::Deleted => 3,
    };
    rank(status) < rank(than)
}

/// Graph: licenseDetails.
pub(super) static DETAILS: Type = Type {
    name: "licenseDetails",
    default: &["id", "skuId", "skuPartNumber", "servicePlans"],
    selectable: &[],
    empty: &[],
};

impl Tenant {
    /// Changes a live user's licences; plans, seats and mailbox follow.
    pub(super) fn change_licences(&mut self, now: Timestamp, id: UserId, change: impl FnOnce(&mut User)) {
        let Some(user) = self.directory.live(id) else { return };
        let mut user = User::clone(user);
        change(&mut user);
        refresh_plans(now, &mut user, &self.catalogue, &self.switches);
        self.store_user(now, user);
    }

    pub(super) fn assign_license(
        &mut self,
        now: Timestamp,
        call: &Call,
        key: &str,
        by: &Initiator,
    ) -> Result<HttpResponse, GraphError> {
        let (add, remove) = read_assignment(call)?;
        let id = self.live_id(key)?;
        self.assign(now, id, &add, &remove, by)?;
        let user = self.directory.live(id).ok_or_else(|| GraphError::not_found(key))?;
        let select = Select::default_set();
        let entity = Projection::new(user, &select, &self.switches);
        Ok(json_answer(200, &Entity { context: call.context("users/$entity"), entity }))
    }

    /// Applies all or nothing.
    pub(super) fn assign(
        &mut self,
        now: Timestamp,
        id: UserId,
        add: &[AddLicence],
        remove: &[SkuId],
        by: &Initiator,
    ) -> Result<(), GraphError> {
        let user = self.directory.live(id).ok_or_else(|| GraphError::not_found(&id.to_string()))?;
        let mut changed = User::clone(user);
        for sku in remove {
            remove_direct(&mut changed, *sku)?;
        }
        for licence in add {
            self.check_addition(&changed, licence)?;
            add_direct(now, &mut changed, licence);
        }
        let before = merged_licences(&user.licences);
        refresh_plans(now, &mut changed, &self.catalogue, &self.switches);
        let plans: Vec<PlanId> = changed
            .plans
            .iter()
            .filter(|plan| plan.status != PlanStatus::Deleted)
            .map(|plan| plan.plan)
            .collect();
        if let Some((_, text)) = self.plan_rules.broken(&plans) {
            return Err(GraphError::bad_request(text));
        }
        let after = merged_licences(&changed.licences);
        self.audit_user(
            now,
            by,
            "Change user license",
            id,
            &[("AssignedLicense", &json!(before), &json!(after))],
        );
        self.store_user(now, changed);
        Ok(())
    }

    fn check_addition(&self, user: &User, licence: &AddLicence) -> Result<(), GraphError> {
        let sku = licence.sku_id;
        let Some(product) = self.catalogue.get(sku) else {
            return Err(GraphError::bad_request(format!(
                "License {sku} does not correspond to a valid company License."
            )));
        };
        if let Some(foreign) =
            licence.disabled_plans.iter().find(|plan| !product.plans.iter().any(|known| known.id == **plan))
        {
            return Err(GraphError::bad_request(format!(
                "Service plan {foreign} does not belong to license {sku}."
            )));
        }
        if user.usage_location.is_none() {
            return Err(GraphError::bad_request(
                "License assignment cannot be done for user with invalid usage location.",
            ));
        }
        let is_held = user.working_skus().contains(&sku);
        if !is_held && !product.has_free_seat() {
            return Err(GraphError::bad_request(format!(
                "Subscription with SKU {sku} does not have any available licenses."
            )));
        }
        let taken = user
            .addresses()
            .any(|address| self.directory.find_address(&address).is_some_and(|owner| owner != user.id));
        if taken {
            return Err(GraphError::bad_request(
                "License assignment failed. Proxy address is already being used.",
            ));
        }
        Ok(())
    }

    /// Whether a group's licence can reach this user, and if not, why.
    pub(super) fn inherited_failure(
        &self,
        user: &User,
        sku: SkuId,
        disabled: &[PlanId],
    ) -> Option<LicenceFailure> {
        let product = self.catalogue.get(sku)?;
        if !user.working_skus().contains(&sku) && !product.has_free_seat() {
            return Some(LicenceFailure::NoSeat);
        }
        let held = user.plans.iter().filter(|plan| plan.status != PlanStatus::Deleted).map(|plan| plan.plan);
        let added = product.plans.iter().map(|plan| plan.id).filter(|plan| !disabled.contains(plan));
        let plans: Vec<PlanId> = held.chain(added).collect();
        self.plan_rules.broken(&plans).map(|(failure, _)| failure)
    }

    pub(super) fn license_details(&self, call: &Call, key: &str) -> Result<HttpResponse, GraphError> {
        let user = self.visible_user(call, key)?;
        let detail = |sku: SkuId| -> Option<Value> {
            let product = self.catalogue.get(sku)?;
            let plans = product.plans.iter().map(|plan| {
                let assigned = user.plans.iter().find(|entry| entry.plan == plan.id);
                let works = assigned.is_some_and(|entry| entry.status != PlanStatus::Deleted);
                json!({
                    "servicePlanId": plan.id.to_string(), "servicePlanName": &*plan.name,
                    "provisioningStatus": if works { "Success" } else { "Disabled" }, "appliesTo": "User",
                })
            });
            Some(json!({
                "id": format!("{}_{}", user.id.simple(), sku.simple()), "skuId": sku.to_string(),
                "skuPartNumber": product.part_number, "servicePlans": plans.collect::<Vec<_>>(),
            }))
        };
        let wanted = Wanted::read(call, &DETAILS)?;
        let details = user.working_skus().into_iter().filter_map(detail).map(|detail| wanted.of(detail));
        let context = call.context(&format!("users('{}')/licenseDetails", user.id));
        Ok(json_answer(200, &Page::<Value>::whole(context, details.collect())))
    }
}

fn remove_direct(user: &mut User, sku: SkuId) -> Result<(), GraphError> {
    let before = user.licences.len();
    user.licences.retain(|path| path.sku != sku || path.group.is_some());
    if user.licences.len() < before {
        return Ok(());
    }
    let is_inherited = user.licences.iter().any(|path| path.sku == sku);
    Err(GraphError::bad_request(if is_inherited {
        "User license is inherited from a group membership and it cannot be removed directly from the user."
    } else {
        "User does not have a corresponding license."
    }))
}

/// A product that the user has directly already gets its disabled plans replaced.
fn add_direct(now: Timestamp, user: &mut User, licence: &AddLicence) {
    user.licences.retain(|path| path.sku != licence.sku_id || path.group.is_some());
    user.licences.push(LicencePath {
        sku: licence.sku_id,
        disabled_plans: licence.disabled_plans.clone(),
        group: None,
        failure: None,
        updated_at: now,
    });
}
