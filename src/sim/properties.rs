//! User properties: their names, which of them a `$select` asks for, and which differ between two versions. How a user
//! is written is in `user_json`.

use super::directory::User;
use super::errors::GraphError;
use super::narrow::unknown_property;
use super::user_json::merged_licences;

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
    BusinessPhones "businessPhones",
    MobilePhone "mobilePhone",
    OfficeLocation "officeLocation",
    PreferredLanguage "preferredLanguage",
    City "city",
    State "state",
    StreetAddress "streetAddress",
    PostalCode "postalCode",
    FaxNumber "faxNumber",
    OtherMails "otherMails",
    EmployeeId "employeeId",
    EmployeeHireDate "employeeHireDate",
    EmployeeLeaveDateTime "employeeLeaveDateTime",
    EmployeeOrgData "employeeOrgData",
    OnPremisesExtensionAttributes "onPremisesExtensionAttributes",
    AgeGroup "ageGroup",
    ConsentProvidedForMinor "consentProvidedForMinor",
    PasswordPolicies "passwordPolicies",
    PreferredDataLocation "preferredDataLocation",
    ShowInAddressList "showInAddressList",
}

/// Properties of the official type that every simulated user leaves unset.
const UNSET: [&str; 22] = [
    "creationType",
    "externalUserState",
    "onPremisesSamAccountName",
    "onPremisesDistinguishedName",
    "authorizationInfo",
    "customSecurityAttributes",
    "deviceEnrollmentLimit",
    "externalUserStateChangeDateTime",
    "identityParentId",
    "isManagementRestricted",
    "isResourceAccount",
    "lastPasswordChangeDateTime",
    "legalAgeGroupClassification",
    "onPremisesDomainName",
    "onPremisesLastSyncDateTime",
    "onPremisesSecurityIdentifier",
    "onPremisesUserPrincipalName",
    "passwordProfile",
    "print",
    "securityIdentifier",
    "signInActivity",
    "signInSessionsValidFromDateTime",
];

/// Collections of the official type that are empty for every simulated user.
pub(super) const EMPTY: [&str; 3] = ["imAddresses", "identities", "onPremisesProvisioningErrors"];

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
    pub blank: Vec<&'static str>,
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
            Property::BusinessPhones,
            Property::MobilePhone,
            Property::OfficeLocation,
            Property::PreferredLanguage,
        ];
        Self {
            properties: modelled.iter().fold(PropertySet::default(), |set, property| set.with(*property)),
            blank: Vec::new(),
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
        Self::named(&text.split(',').map(str::trim).collect::<Vec<_>>())
    }

    /// As [`Select::parse`] for a delta, which also takes the relation `manager`. Nobody here has one, so nothing comes
    /// of it. Graph: user-delta.
    pub fn parse_of_delta(text: Option<&str>) -> Result<Self, GraphError> {
        let is_manager = |name: &&str| name.eq_ignore_ascii_case("manager");
        let names: Vec<&str> = text.into_iter().flat_map(|text| text.split(',')).map(str::trim).collect();
        if !names.iter().any(is_manager) {
            return Self::parse(text);
        }
        let mut select =
            Self::named(&names.into_iter().filter(|name| !is_manager(name)).collect::<Vec<_>>())?;
        select.note("manager");
        Ok(select)
    }

    /// These and the id; of no names the id alone.
    pub fn named(names: &[&str]) -> Result<Self, GraphError> {
        let mut select = Self {
            properties: PropertySet::default().with(Property::Id),
            blank: Vec::new(),
            names: Vec::new(),
        };
        for name in names {
            select.add(name)?;
        }
        Ok(select)
    }

    /// All properties that users have.
    pub fn all() -> impl Iterator<Item = &'static str> {
        Property::ALL.iter().map(|property| property.name()).chain(UNSET).chain(EMPTY)
    }

    /// A property of users as Graph spells it.
    pub fn find(name: &str) -> Option<&'static str> {
        Self::all().find(|known| known.eq_ignore_ascii_case(name))
    }

    /// Whether Graph keeps this one elsewhere: in SharePoint, or in the mailbox.
    pub fn is_outside_store(name: &str) -> bool {
        OUTSIDE_STORE.contains(&name)
    }

    /// Whether users have a property of this name.
    pub fn knows(name: &str) -> bool {
        Self::find(name).is_some()
    }

    /// Adds a name that the answer carries beside the properties.
    pub fn note(&mut self, name: &str) {
        self.names.push(name.to_owned());
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
            return Err(unknown_property(name, "user"));
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
        Property::UserPrincipalName => before.user_principal_name != after.user_principal_name,
        Property::MailNickname => before.mail_nickname() != after.mail_nickname(),
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
        Property::BusinessPhones
        | Property::MobilePhone
        | Property::OfficeLocation
        | Property::PreferredLanguage
        | Property::City
        | Property::State
        | Property::StreetAddress
        | Property::PostalCode
        | Property::FaxNumber
        | Property::OtherMails
        | Property::EmployeeId
        | Property::EmployeeHireDate
        | Property::EmployeeLeaveDateTime
        | Property::EmployeeOrgData
        | Property::OnPremisesExtensionAttributes
        | Property::AgeGroup
        | Property::ConsentProvidedForMinor
        | Property::PasswordPolicies
        | Property::PreferredDataLocation
        | Property::ShowInAddressList => before.kept(property) != after.kept(property),
    }
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
