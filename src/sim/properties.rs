//! User properties: their names, which of them a `$select` asks for, which differ between two versions, and the JSON of
//! a user. The only place that writes a user.

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::Value;

use super::directory::{LicencePath, User};
use super::errors::GraphError;
use super::switches::Switches;
use crate::model::{GroupId, PlanId, SkuId, Timestamp};

macro_rules! properties {
    ($($variant:ident $name:literal),+ $(,)?) => {
        /// The properties that the simulator models.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Property {
            $($variant,)+
        }

        impl Property {
            pub const ALL: &'static [Property] = &[$(Property::$variant,)+];

            pub fn name(self) -> &'static str {
                match self {
                    $(Property::$variant => $name,)+
                }
            }
        }
    };
}

properties! {
    Id "id",
    UserPrincipalName "userPrincipalName",
    DisplayName "displayName",
    GivenName "givenName",
    Surname "surname",
    Mail "mail",
    MailNickname "mailNickname",
    ProxyAddresses "proxyAddresses",
    Department "department",
    CompanyName "companyName",
    Country "country",
    JobTitle "jobTitle",
    EmployeeType "employeeType",
    UserType "userType",
    UsageLocation "usageLocation",
    AccountEnabled "accountEnabled",
    OnPremisesSyncEnabled "onPremisesSyncEnabled",
    OnPremisesImmutableId "onPremisesImmutableId",
    CreatedDateTime "createdDateTime",
    DeletedDateTime "deletedDateTime",
    AssignedLicenses "assignedLicenses",
    AssignedPlans "assignedPlans",
    ProvisionedPlans "provisionedPlans",
    LicenseAssignmentStates "licenseAssignmentStates",
    ServiceProvisioningErrors "serviceProvisioningErrors",
}

/// Properties of the official type that every simulated user leaves unset.
const UNSET: [&str; 13] = [
    "mobilePhone",
    "officeLocation",
    "preferredLanguage",
    "city",
    "state",
    "streetAddress",
    "postalCode",
    "faxNumber",
    "employeeId",
    "creationType",
    "externalUserState",
    "onPremisesSamAccountName",
    "onPremisesDistinguishedName",
];

/// Collections of the official type that are empty for every simulated user.
const EMPTY: [&str; 3] = ["businessPhones", "otherMails", "imAddresses"];

/// Properties outside the main store: not available in a collection. Graph: user-list.
const OUTSIDE_STORE: [&str; 11] = [
    "mailboxSettings",
    "aboutMe",
    "birthday",
    "hireDate",
    "interests",
    "mySite",
    "pastProjects",
    "preferredName",
    "responsibilities",
    "schools",
    "skills",
];

/// A set of modelled properties, one bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct PropertySet(u64);

impl PropertySet {
    pub const ALL: PropertySet = PropertySet(u64::MAX);

    pub fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    pub fn bits(self) -> u64 {
        self.0
    }

    pub fn with(self, property: Property) -> Self {
        Self(self.0 | 1 << property as u32)
    }

    pub fn without(self, property: Property) -> Self {
        Self(self.0 & !(1 << property as u32))
    }

    pub fn has(self, property: Property) -> bool {
        self.0 & (1 << property as u32) != 0
    }

    pub fn intersection(self, other: PropertySet) -> Self {
        Self(self.0 & other.0)
    }

    pub fn union(self, other: PropertySet) -> Self {
        Self(self.0 | other.0)
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// What a request wants to see of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Select {
    pub properties: PropertySet,
    /// Unmodelled properties: always null or empty.
    blank: Vec<&'static str>,
    /// The names as asked for, for `@odata.context`; empty without `$select`.
    names: Vec<String>,
}

impl Select {
    /// The set that Graph returns without `$select`. Graph: user resource.
    pub fn default_set() -> Self {
        let modelled = [
            Property::Id,
            Property::UserPrincipalName,
            Property::DisplayName,
            Property::GivenName,
            Property::Surname,
            Property::Mail,
            Property::JobTitle,
        ];
        Self {
            properties: modelled.iter().fold(PropertySet::default(), |set, property| set.with(*property)),
            blank: vec!["businessPhones", "mobilePhone", "officeLocation", "preferredLanguage"],
            names: Vec::new(),
        }
    }

    /// Everything; what a delta without `$select` tracks.
    pub fn everything() -> Self {
        Self { properties: PropertySet::ALL, blank: Vec::new(), names: Vec::new() }
    }

    /// Reads `$select`. A property outside the main store is a 501, an unknown one a 400.
    pub fn parse(text: Option<&str>) -> Result<Self, GraphError> {
        let Some(text) = text.filter(|text| !text.trim().is_empty()) else { return Ok(Self::default_set()) };
        let mut select = Self {
            properties: PropertySet::default().with(Property::Id),
            blank: Vec::new(),
            names: Vec::new(),
        };
        for name in text.split(',').map(str::trim) {
            select.add(name)?;
        }
        Ok(select)
    }

    fn add(&mut self, name: &str) -> Result<(), GraphError> {
        let same = |candidate: &str| candidate.eq_ignore_ascii_case(name);
        if let Some(property) = Property::ALL.iter().find(|property| same(property.name())) {
            self.properties = self.properties.with(*property);
        } else if let Some(blank) = UNSET.iter().chain(&EMPTY).find(|candidate| same(candidate)) {
            self.blank.push(blank);
        } else if OUTSIDE_STORE.iter().any(|candidate| same(candidate)) {
            return Err(GraphError::new(
                501,
                "NotImplemented",
                "This operation target is not yet supported.",
            ));
        } else {
            return Err(GraphError::bad_request(format!(
                "Parsing OData Select and Expand failed: Could not find a property named '{name}' on type 'microsoft.graph.user'."
            )));
        }
        self.names.push(name.to_owned());
        Ok(())
    }

    /// `users` or `users(id,mail)`.
    pub fn context(&self, set: &str) -> String {
        if self.names.is_empty() { set.to_owned() } else { format!("{set}({})", self.names.join(",")) }
    }

    /// The names joined by commas, for a token that must rebuild this selection.
    pub fn joined(&self) -> String {
        self.names.join(",")
    }
}

/// Which properties differ between two versions.
pub(super) fn difference(before: &User, after: &User) -> PropertySet {
    Property::ALL
        .iter()
        .filter(|property| differs(**property, before, after))
        .fold(PropertySet::default(), |set, property| set.with(*property))
}

fn differs(property: Property, before: &User, after: &User) -> bool {
    match property {
        Property::Id => before.id != after.id,
        Property::UserPrincipalName | Property::MailNickname => {
            before.user_principal_name != after.user_principal_name
        }
        Property::DisplayName => before.display_name != after.display_name,
        Property::GivenName => before.given_name != after.given_name,
        Property::Surname => before.surname != after.surname,
        Property::Mail => before.mail != after.mail,
        Property::ProxyAddresses => before.proxy_addresses != after.proxy_addresses,
        Property::Department => before.department != after.department,
        Property::CompanyName => before.company_name != after.company_name,
        Property::Country => before.country != after.country,
        Property::JobTitle => before.job_title != after.job_title,
        Property::EmployeeType => before.employee_type != after.employee_type,
        Property::UserType => before.user_type != after.user_type,
        Property::UsageLocation => before.usage_location != after.usage_location,
        Property::AccountEnabled => before.account_enabled != after.account_enabled,
        Property::OnPremisesSyncEnabled => before.on_premises_synced != after.on_premises_synced,
        Property::OnPremisesImmutableId => before.on_premises_immutable_id != after.on_premises_immutable_id,
        Property::CreatedDateTime => before.created_at != after.created_at,
        Property::DeletedDateTime => before.deleted_at != after.deleted_at,
        Property::AssignedLicenses => merged_licences(&before.licences) != merged_licences(&after.licences),
        Property::AssignedPlans | Property::ProvisionedPlans => before.plans != after.plans,
        Property::LicenseAssignmentStates => before.licences != after.licences,
        Property::ServiceProvisioningErrors => before.provisioning_error_at != after.provisioning_error_at,
    }
}

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
            Property::MailNickname => map.serialize_entry(name, mail_nickname(&user.user_principal_name)),
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

fn mail_nickname(upn: &str) -> &str {
    upn.split('@').next().unwrap_or(upn)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selection_keeps_its_names_and_always_the_id() {
        let select = Select::parse(Some("mail, city")).expect("both exist");
        assert!(select.properties.has(Property::Id) && select.properties.has(Property::Mail));
        assert_eq!(select.context("users"), "users(mail,city)");
        assert_eq!(select.joined(), "mail,city");
        assert!(!Select::default_set().properties.has(Property::AssignedLicenses));
    }

    #[test]
    fn unknown_and_unlisted_properties_are_told_apart() {
        assert_eq!(Select::parse(Some("mailboxSettings")).map_err(|error| error.status), Err(501));
        assert_eq!(Select::parse(Some("shoeSize")).map_err(|error| error.status), Err(400));
    }
}
