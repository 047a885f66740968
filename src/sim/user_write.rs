//! What `POST /users` and `PATCH /users/{id}` write: every property is checked before any changes the user. Whether a
//! name is free, and who may write at all, is decided in `users`. Source: Graph's user resource, and user-update.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::call::Call;
use super::directory::{User, UserType};
use super::errors::GraphError;
use super::properties::{Property, Select};
use crate::model::Timestamp;

/// What a property takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// Text that is always there.
    Name,
    /// Two letters.
    Country,
    /// Member or guest.
    Kind,
    /// Text; null takes it away.
    Text,
    /// True or false, always there.
    Switch,
    /// True, false or null.
    Flag,
    Time,
    Texts,
    Object,
}

/// `None`: Graph alone writes it.
fn shape(property: Property) -> Option<Shape> {
    match property {
        Property::UserPrincipalName | Property::DisplayName | Property::MailNickname => Some(Shape::Name),
        Property::UsageLocation => Some(Shape::Country),
        Property::UserType => Some(Shape::Kind),
        Property::AccountEnabled => Some(Shape::Switch),
        Property::ShowInAddressList => Some(Shape::Flag),
        Property::EmployeeHireDate | Property::EmployeeLeaveDateTime => Some(Shape::Time),
        Property::BusinessPhones | Property::OtherMails => Some(Shape::Texts),
        Property::EmployeeOrgData | Property::OnPremisesExtensionAttributes => Some(Shape::Object),
        Property::GivenName
        | Property::Surname
        | Property::Mail
        | Property::Department
        | Property::CompanyName
        | Property::Country
        | Property::JobTitle
        | Property::EmployeeType
        | Property::OnPremisesImmutableId
        | Property::MobilePhone
        | Property::OfficeLocation
        | Property::PreferredLanguage
        | Property::City
        | Property::State
        | Property::StreetAddress
        | Property::PostalCode
        | Property::FaxNumber
        | Property::EmployeeId
        | Property::AgeGroup
        | Property::ConsentProvidedForMinor
        | Property::PasswordPolicies
        | Property::PreferredDataLocation => Some(Shape::Text),
        Property::Id
        | Property::ProxyAddresses
        | Property::OnPremisesSyncEnabled
        | Property::CreatedDateTime
        | Property::DeletedDateTime
        | Property::AssignedLicenses
        | Property::AssignedPlans
        | Property::ProvisionedPlans
        | Property::LicenseAssignmentStates
        | Property::ServiceProvisioningErrors => None,
    }
}

/// Graph takes these; here there is nothing that they could change.
const NOT_MODELLED: [&str; 5] =
    ["authorizationInfo", "customSecurityAttributes", "deviceEnrollmentLimit", "identities", "print"];

/// What a user must be given at its creation, beside a password. Graph: user-post-users.
const REQUIRED: [Property; 4] =
    [Property::AccountEnabled, Property::DisplayName, Property::MailNickname, Property::UserPrincipalName];

/// The properties of a body, all of them fit to be written.
#[derive(Debug)]
pub(super) struct Changes {
    properties: Vec<(Property, Value)>,
    has_password: bool,
}

impl Changes {
    /// What a user does not have, or what only Graph writes, is a 400; what Graph takes and this tenant does not model,
    /// a 501. Nothing is dropped, except annotations; a password is checked for its shape and forgotten.
    pub fn read(call: &Call) -> Result<Self, GraphError> {
        let body: Map<String, Value> = call.json()?;
        let mut changes = Self { properties: Vec::new(), has_password: false };
        for (name, value) in body {
            if name == "passwordProfile" {
                changes.has_password = value.is_object();
                if !changes.has_password && !value.is_null() {
                    return Err(mismatch(&value, "microsoft.graph.passwordProfile"));
                }
            } else if let Some(property) = writable(&name)? {
                check(property, &value)?;
                changes.properties.push((property, value));
            }
        }
        Ok(changes)
    }

    /// Graph: user-post-users.
    pub fn check_complete(&self) -> Result<(), GraphError> {
        if let Some(missing) = REQUIRED.iter().find(|required| self.get(**required).is_none()) {
            let name = missing.name();
            return Err(GraphError::bad_request(format!(
                "A value is required for property '{name}' of resource 'User'."
            )));
        }
        if self.has_password {
            return Ok(());
        }
        Err(GraphError::bad_request("A password must be specified to create a new user."))
    }

    fn get(&self, property: Property) -> Option<&Value> {
        self.properties.iter().find(|(changed, _)| *changed == property).map(|(_, value)| value)
    }

    pub fn text(&self, property: Property) -> Option<&str> {
        self.get(property).and_then(Value::as_str)
    }

    /// Whose account comes from on premises has little else that may be written here.
    pub fn touches_more_than_location(&self) -> bool {
        self.has_password || self.properties.iter().any(|(property, _)| *property != Property::UsageLocation)
    }

    pub fn apply(self, user: &mut User) {
        for (property, value) in self.properties {
            write(user, property, value);
        }
    }
}

/// `None` for annotations.
fn writable(name: &str) -> Result<Option<Property>, GraphError> {
    if name.contains('@') && !name.ends_with("@odata.bind") {
        return Ok(None);
    }
    let property = Property::ALL.iter().copied().find(|property| property.name() == name);
    if let Some(property) = property.filter(|property| shape(*property).is_some()) {
        return Ok(Some(property));
    }
    if name.ends_with("@odata.bind") || NOT_MODELLED.contains(&name) || Select::is_outside_store(name) {
        let text = format!("The simulated tenant does not change '{name}' of a user.");
        return Err(GraphError::new(501, "NotImplemented", text));
    }
    Err(GraphError::bad_request(if Select::knows(name) {
        format!("Property '{name}' is read-only and cannot be set.")
    } else {
        format!("Property '{name}' does not exist as a declared property or extension property.")
    }))
}

fn check(property: Property, value: &Value) -> Result<(), GraphError> {
    let Some(shape) = shape(property) else { return Ok(()) };
    let (fits_type, expected) = match shape {
        Shape::Name | Shape::Country | Shape::Kind | Shape::Text => (value.is_string(), "Edm.String"),
        Shape::Switch | Shape::Flag => (value.is_boolean(), "Edm.Boolean"),
        Shape::Time => (value.as_str().and_then(Timestamp::parse).is_some(), "Edm.DateTimeOffset"),
        Shape::Texts => {
            let is_text = |values: &Vec<Value>| values.iter().all(Value::is_string);
            (value.as_array().is_some_and(is_text), "Collection(Edm.String)")
        }
        Shape::Object => (value.is_object(), "Edm.ComplexType"),
    };
    if !fits_type && !value.is_null() {
        return Err(mismatch(value, expected));
    }
    let text = value.as_str();
    let is_good = match shape {
        Shape::Country => text.is_some_and(|text| text.len() == 2),
        Shape::Kind => matches!(text, Some("Member" | "Guest")),
        Shape::Name | Shape::Switch | Shape::Texts => !value.is_null() && text != Some(""),
        Shape::Text | Shape::Flag | Shape::Time | Shape::Object => text != Some(""),
    };
    if is_good && !is_too_long(property, value) && !is_no_address(property, text) {
        return Ok(());
    }
    Err(invalid(property.name()))
}

/// The longest texts, in characters. Graph: user resource.
const LONGEST: [(Property, usize); 8] = [
    (Property::DisplayName, 256),
    (Property::JobTitle, 128),
    (Property::City, 128),
    (Property::Country, 128),
    (Property::State, 128),
    (Property::MailNickname, 64),
    (Property::Department, 64),
    (Property::CompanyName, 64),
];

/// Of phones there may be one.
fn is_too_long(property: Property, value: &Value) -> bool {
    if property == Property::BusinessPhones {
        return value.as_array().is_some_and(|phones| phones.len() > 1);
    }
    let longest = LONGEST.iter().find(|(limited, _)| *limited == property).map(|(_, longest)| *longest);
    let length = value.as_str().map_or(0, |text| text.chars().count());
    longest.is_some_and(|longest| length > longest)
}

fn is_no_address(property: Property, text: Option<&str>) -> bool {
    let is_address = |text: &str| {
        let is_odd = |sign: char| sign.is_whitespace() || sign == ':';
        !text.contains(is_odd)
            && text.split_once('@').is_some_and(|(name, host)| !name.is_empty() && host.contains('.'))
    };
    property == Property::Mail && text.is_some_and(|text| !is_address(text))
}

fn invalid(name: &str) -> GraphError {
    GraphError::bad_request(format!("Invalid value specified for property '{name}' of resource 'User'."))
}

fn mismatch(value: &Value, expected: &str) -> GraphError {
    let literal = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    GraphError::bad_request(format!(
        "Cannot convert the literal '{literal}' to the expected type '{expected}'."
    ))
}

fn write(user: &mut User, property: Property, value: Value) {
    let text = value.as_str();
    let shared = || text.map(Arc::from);
    match property {
        Property::UserPrincipalName => {
            user.user_principal_name = text.unwrap_or(&user.user_principal_name).into();
        }
        Property::DisplayName => user.display_name = text.unwrap_or(&user.display_name).into(),
        Property::GivenName => user.given_name = shared(),
        Property::Surname => user.surname = shared(),
        Property::Mail => write_mail(user, text),
        Property::Department => user.department = shared(),
        Property::CompanyName => user.company_name = shared(),
        Property::Country => user.country = shared(),
        Property::JobTitle => user.job_title = shared(),
        Property::EmployeeType => user.employee_type = shared(),
        Property::UsageLocation => user.usage_location = shared(),
        Property::OnPremisesImmutableId => user.on_premises_immutable_id = text.map(Into::into),
        Property::AccountEnabled => user.account_enabled = value.as_bool().unwrap_or(user.account_enabled),
        Property::UserType => {
            user.user_type = if text == Some("Guest") { UserType::Guest } else { UserType::Member };
        }
        // As Graph writes times, whatever way they were written.
        Property::EmployeeHireDate | Property::EmployeeLeaveDateTime => {
            let at = text.and_then(Timestamp::parse).map(|at| at.to_string());
            user.keep(property, at.map_or(Value::Null, Value::String));
        }
        Property::MailNickname
        | Property::BusinessPhones
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
        | Property::EmployeeOrgData
        | Property::OnPremisesExtensionAttributes
        | Property::AgeGroup
        | Property::ConsentProvidedForMinor
        | Property::PasswordPolicies
        | Property::PreferredDataLocation
        | Property::ShowInAddressList => user.keep(property, value),
        // They have no shape, so no body gets this far with them.
        Property::Id
        | Property::ProxyAddresses
        | Property::OnPremisesSyncEnabled
        | Property::CreatedDateTime
        | Property::DeletedDateTime
        | Property::AssignedLicenses
        | Property::AssignedPlans
        | Property::ProvisionedPlans
        | Property::LicenseAssignmentStates
        | Property::ServiceProvisioningErrors => {}
    }
}

/// A new address becomes the primary one; the old one stays as another. Graph: user resource, `mail`.
fn write_mail(user: &mut User, address: Option<&str>) {
    user.mail = address.map(Into::into);
    let Some(address) = address else { return };
    let is_other =
        |proxy: &str| proxy.split_once(':').is_none_or(|(_, owned)| !owned.eq_ignore_ascii_case(address));
    let others = user.proxy_addresses.iter().filter(|proxy| is_other(proxy));
    let others = others.map(|proxy| proxy.replacen("SMTP:", "smtp:", 1).into_boxed_str());
    user.proxy_addresses =
        std::iter::once(format!("SMTP:{address}").into_boxed_str()).chain(others).collect();
}
