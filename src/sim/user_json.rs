//! The JSON of a user: the only place that writes one. What is asked for is decided in `properties`.

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::Value;

use super::directory::{LicencePath, User};
use super::properties::{EMPTY, Property, PropertySet, Select};
use super::switches::Switches;
use crate::model::{GroupId, PlanId, SkuId, Timestamp};

/// One entry of `assignedLicenses`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MergedLicence {
    pub disabled_plans: Vec<PlanId>,
    pub sku_id: SkuId,
}

/// Each working product once; a plan is disabled only where every path disables it.
pub(super) fn merged_licences(paths: &[LicencePath]) -> Vec<MergedLicence> {
    merge(paths.iter().filter(|path| path.failure.is_none()))
}

fn merge<'a>(paths: impl Iterator<Item = &'a LicencePath>) -> Vec<MergedLicence> {
    let mut merged: Vec<MergedLicence> = Vec::new();
    for path in paths {
        match merged.iter_mut().find(|licence| licence.sku_id == path.sku) {
            Some(licence) => licence.disabled_plans.retain(|plan| path.disabled_plans.contains(plan)),
            None => {
                merged.push(MergedLicence { disabled_plans: path.disabled_plans.clone(), sku_id: path.sku })
            }
        }
    }
    merged
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AssignedPlanJson<'a> {
    assigned_date_time: Rfc3339,
    capability_status: &'static str,
    service: &'a str,
    service_plan_id: PlanId,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ProvisionedPlanJson<'a> {
    capability_status: &'static str,
    provisioning_status: &'static str,
    service: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AssignmentStateJson<'a> {
    sku_id: SkuId,
    disabled_plans: &'a [PlanId],
    assigned_by_group: Option<GroupId>,
    state: &'static str,
    error: Option<&'static str>,
    last_updated_date_time: Rfc3339,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ProvisioningErrorJson {
    #[serde(rename = "@odata.type")]
    kind: &'static str,
    created_date_time: Rfc3339,
    is_resolved: bool,
    service_instance: &'static str,
    error_detail: &'static str,
}

/// A time as Graph writes it: UTC, whole seconds, `Z`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rfc3339(pub Timestamp);

impl Serialize for Rfc3339 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// What besides the asked-for properties a user's JSON carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Nulls {
    /// Unset properties are written as null.
    Written,
    /// Unset properties are left out, except those in the set: they were set once. Graph: delta-query-overview.
    OnlyThese(PropertySet),
}

/// A user, seen through a selection.
pub(super) struct Projection<'a> {
    pub user: &'a User,
    pub select: &'a Select,
    pub switches: &'a Switches,
    pub nulls: Nulls,
    /// `@odata.type` and the like, before everything else.
    pub annotations: Vec<(&'static str, Value)>,
}

impl<'a> Projection<'a> {
    pub fn new(user: &'a User, select: &'a Select, switches: &'a Switches) -> Self {
        Self { user, select, switches, nulls: Nulls::Written, annotations: Vec::new() }
    }

    fn writes_null(&self, property: Property) -> bool {
        match self.nulls {
            Nulls::Written => true,
            Nulls::OnlyThese(set) => set.has(property),
        }
    }

    fn text<M: SerializeMap>(
        &self,
        map: &mut M,
        property: Property,
        value: Option<&str>,
    ) -> Result<(), M::Error> {
        if value.is_some() || self.writes_null(property) {
            map.serialize_entry(property.name(), &value)?;
        }
        Ok(())
    }

    /// A property that is kept as it was written, or what stands for it as long as nobody wrote one.
    fn kept<M: SerializeMap>(
        &self,
        map: &mut M,
        property: Property,
        unset: Option<&Value>,
    ) -> Result<(), M::Error> {
        let value = self.user.kept(property);
        if value.is_some() || self.writes_null(property) {
            map.serialize_entry(property.name(), &value.or(unset))?;
        }
        Ok(())
    }

    fn write<M: SerializeMap>(&self, map: &mut M, property: Property) -> Result<(), M::Error> {
        let user = self.user;
        let name = property.name();
        match property {
            Property::Id => map.serialize_entry(name, &user.id),
            Property::UserPrincipalName => map.serialize_entry(name, &user.user_principal_name),
            Property::DisplayName => map.serialize_entry(name, &user.display_name),
            Property::GivenName => self.text(map, property, user.given_name.as_deref()),
            Property::Surname => self.text(map, property, user.surname.as_deref()),
            Property::Mail => self.text(map, property, user.mail.as_deref()),
            Property::MailNickname => map.serialize_entry(name, user.mail_nickname()),
            Property::ProxyAddresses => map.serialize_entry(name, &user.proxy_addresses),
            Property::Department => self.text(map, property, user.department.as_deref()),
            Property::CompanyName => self.text(map, property, user.company_name.as_deref()),
            Property::Country => self.text(map, property, user.country.as_deref()),
            Property::JobTitle => self.text(map, property, user.job_title.as_deref()),
            Property::EmployeeType => self.text(map, property, user.employee_type.as_deref()),
            Property::UserType => map.serialize_entry(name, user.user_type.as_str()),
            Property::UsageLocation => self.text(map, property, user.usage_location.as_deref()),
            Property::AccountEnabled => map.serialize_entry(name, &user.account_enabled),
            Property::OnPremisesSyncEnabled if user.on_premises_synced => map.serialize_entry(name, &true),
            Property::OnPremisesSyncEnabled => self.text(map, property, None),
            Property::OnPremisesImmutableId => {
                self.text(map, property, user.on_premises_immutable_id.as_deref())
            }
            Property::CreatedDateTime => map.serialize_entry(name, &Rfc3339(user.created_at)),
            Property::DeletedDateTime => match user.deleted_at {
                Some(at) => map.serialize_entry(name, &Rfc3339(at)),
                None => self.text(map, property, None),
            },
            Property::AssignedLicenses => map.serialize_entry(name, &self.assigned_licences()),
            Property::AssignedPlans => map.serialize_entry(name, &self.assigned_plans()),
            Property::ProvisionedPlans => map.serialize_entry(name, &self.provisioned_plans()),
            Property::LicenseAssignmentStates => map.serialize_entry(name, &self.assignment_states()),
            Property::ServiceProvisioningErrors => map.serialize_entry(name, &self.provisioning_errors()),
            Property::BusinessPhones | Property::OtherMails => {
                let none = Value::Array(Vec::new());
                self.kept(map, property, Some(&none))
            }
            Property::MobilePhone
            | Property::OfficeLocation
            | Property::PreferredLanguage
            | Property::City
            | Property::State
            | Property::StreetAddress
            | Property::PostalCode
            | Property::FaxNumber
            | Property::EmployeeId
            | Property::EmployeeHireDate
            | Property::EmployeeLeaveDateTime
            | Property::EmployeeOrgData
            | Property::OnPremisesExtensionAttributes
            | Property::AgeGroup
            | Property::ConsentProvidedForMinor
            | Property::PasswordPolicies
            | Property::PreferredDataLocation
            | Property::ShowInAddressList => self.kept(map, property, None),
        }
    }

    fn hides_licences(&self) -> bool {
        self.user.deleted_at.is_some() && !self.switches.deleted_licences_visible
    }

    fn assigned_licences(&self) -> Vec<MergedLicence> {
        if self.hides_licences() {
            return Vec::new();
        }
        let listed =
            |path: &&LicencePath| path.failure.is_none() || self.switches.failed_group_licence_listed;
        merge(self.user.licences.iter().filter(listed))
    }

    fn assigned_plans(&self) -> Vec<AssignedPlanJson<'a>> {
        let plans = self.user.plans.iter();
        plans
            .map(|plan| AssignedPlanJson {
                assigned_date_time: Rfc3339(plan.assigned_at),
                capability_status: plan.status.as_str(),
                service: &plan.service,
                service_plan_id: plan.plan,
            })
            .collect()
    }

    fn provisioned_plans(&self) -> Vec<ProvisionedPlanJson<'a>> {
        let plans = self.user.plans.iter();
        plans
            .map(|plan| ProvisionedPlanJson {
                capability_status: plan.status.as_str(),
                provisioning_status: "Success",
                service: &plan.service,
            })
            .collect()
    }

    fn assignment_states(&self) -> Vec<AssignmentStateJson<'a>> {
        if self.hides_licences() {
            return Vec::new();
        }
        let healthy = self.switches.healthy_error_is_none_text.then_some("None");
        let state = |path: &'a LicencePath| AssignmentStateJson {
            sku_id: path.sku,
            disabled_plans: &path.disabled_plans,
            assigned_by_group: path.group,
            state: if path.failure.is_some() { "Error" } else { "Active" },
            error: path.failure.map(|failure| failure.as_str()).or(healthy),
            last_updated_date_time: Rfc3339(path.updated_at),
        };
        self.user.licences.iter().map(state).collect()
    }

    fn provisioning_errors(&self) -> Vec<ProvisioningErrorJson> {
        let error = |at| ProvisioningErrorJson {
            kind: "#microsoft.graph.serviceProvisioningXmlError",
            created_date_time: Rfc3339(at),
            is_resolved: false,
            service_instance: "exchange/EURPR08-002-01",
            error_detail: "<ServiceInstance><ObjectErrors><ErrorRecord><ErrorCode>ExchangeHold</ErrorCode></ErrorRecord></ObjectErrors></ServiceInstance>",
        };
        self.user.provisioning_error_at.map(error).into_iter().collect()
    }
}

impl Serialize for Projection<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in &self.annotations {
            map.serialize_entry(name, value)?;
        }
        for property in Property::ALL.iter().filter(|property| self.select.properties.has(**property)) {
            self.write(&mut map, *property)?;
        }
        if self.nulls == Nulls::Written {
            for name in &self.select.blank {
                let value = if EMPTY.contains(name) { Value::Array(Vec::new()) } else { Value::Null };
                map.serialize_entry(name, &value)?;
            }
        }
        map.end()
    }
}
