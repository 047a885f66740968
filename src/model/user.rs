//! A user as one observation of the directory shows it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{GroupId, PlanId, SkuId, Timestamp, UserId};

/// What Graph says of one user. `None` is "Graph did not say", never "empty".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    pub id: UserId,
    /// For a deleted user without the object-id prefix that the directory puts before it.
    pub upn: String,
    pub display_name: Option<String>,
    pub mail: Option<String>,
    /// `SMTP:` and `smtp:` prefixes kept as Graph gives them.
    pub proxy_addresses: Vec<String>,
    pub account_enabled: Option<bool>,
    pub user_type: UserType,
    pub department: Option<String>,
    pub company: Option<String>,
    pub country: Option<String>,
    pub job_title: Option<String>,
    pub employee_type: Option<String>,
    /// Two letters, ISO 3166.
    pub usage_location: Option<String>,
    /// True when the account comes from an on-premises directory and must be repaired there.
    pub on_premises_synced: bool,
    pub immutable_id: Option<String>,
    pub created: Option<Timestamp>,
    /// `None` when Graph did not return the property (deleted users: undocumented whether it does).
    pub licenses: Option<Vec<License>>,
    pub plans: Vec<AssignedPlan>,
    pub assignments: Vec<LicenseAssignment>,
    pub provisioning_errors: Vec<ProvisioningError>,
}

impl User {
    /// A live member without anything; the start of test data and of decoding.
    pub fn new(id: UserId, upn: impl Into<String>) -> Self {
        Self {
            id,
            upn: upn.into(),
            display_name: None,
            mail: None,
            proxy_addresses: Vec::new(),
            account_enabled: None,
            user_type: UserType::Unknown,
            department: None,
            company: None,
            country: None,
            job_title: None,
            employee_type: None,
            usage_location: None,
            on_premises_synced: false,
            immutable_id: None,
            created: None,
            licenses: None,
            plans: Vec::new(),
            assignments: Vec::new(),
            provisioning_errors: Vec::new(),
        }
    }

    /// Takes over what the recycle bin shows of a deleted user and was not known. What HR wrote in the last minutes
    /// counts, too: a leaver is often marked, renamed, blocked and deleted by one script. The bin may show less than
    /// was known.
    pub fn note_last_words(&mut self, listed: Self) {
        self.upn = listed.upn;
        if listed.account_enabled == Some(false) {
            self.account_enabled = Some(false);
        }
        let pairs = [
            (&mut self.employee_type, listed.employee_type),
            (&mut self.department, listed.department),
            (&mut self.company, listed.company),
            (&mut self.country, listed.country),
            (&mut self.job_title, listed.job_title),
        ];
        for (known, newest) in pairs {
            if newest.is_some() {
                *known = newest;
            }
        }
    }

    /// The licences, none when Graph did not say.
    pub fn licenses(&self) -> &[License] {
        self.licenses.as_deref().unwrap_or(&[])
    }

    /// What the user holds of this product; nothing where every path of it reports an error.
    pub fn license(&self, sku: SkuId) -> Option<&License> {
        self.licenses().iter().find(|license| license.sku == sku && !self.has_failed(sku))
    }

    /// Every path on which the product should come reports an error. It may stand in `assignedLicenses` all the same,
    /// which Microsoft's documents leave open.
    pub fn has_failed(&self, sku: SkuId) -> bool {
        let mut paths = self.assignments.iter().filter(|path| path.sku == sku).peekable();
        paths.peek().is_some() && paths.all(|path| path.state.eq_ignore_ascii_case("error"))
    }

    /// Part after the last `@` of the user principal name, lower case.
    pub fn domain(&self) -> Option<String> {
        self.upn.rsplit_once('@').map(|(_, domain)| domain.to_ascii_lowercase())
    }

    /// Every address the account answers to, lower case, without protocol prefix: mail, user principal name, proxies.
    pub fn addresses(&self) -> BTreeSet<String> {
        let mut addresses = self.mail_addresses();
        addresses.insert(self.upn.to_ascii_lowercase());
        addresses
    }

    /// The same without the user principal name, which is no address by itself.
    pub fn mail_addresses(&self) -> BTreeSet<String> {
        let proxies = self.proxy_addresses.iter().filter_map(|proxy| mail_address(proxy));
        self.mail.iter().map(|address| address.to_ascii_lowercase()).chain(proxies).collect()
    }

    /// Takes these addresses, lower case, from mail and proxies. Addresses that are not of mail stay.
    pub fn drop_mail_addresses(&mut self, addresses: &BTreeSet<String>) {
        self.mail = self.mail.take().filter(|mail| !addresses.contains(&mail.to_ascii_lowercase()));
        self.proxy_addresses
            .retain(|proxy| mail_address(proxy).is_none_or(|address| !addresses.contains(&address)));
    }
}

/// `SMTP:Anna@contoso.com` as `anna@contoso.com`; `None` for the address of another protocol.
fn mail_address(proxy: &str) -> Option<String> {
    let (protocol, address) = proxy.split_once(':')?;
    protocol.eq_ignore_ascii_case("smtp").then(|| address.to_ascii_lowercase())
}

/// `userType`: open set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum UserType {
    Member,
    Guest,
    Other(String),
    /// Graph did not say.
    Unknown,
}

/// An entry of `assignedLicenses`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct License {
    pub sku: SkuId,
    /// Service plans switched off inside the product.
    pub disabled_plans: BTreeSet<PlanId>,
}

/// An entry of `assignedPlans`. Entries of removed licences stay, as `Deleted`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssignedPlan {
    pub plan: PlanId,
    pub status: CapabilityStatus,
    /// "When the plan was assigned"; on a `Deleted` entry its meaning is undocumented, so it is only a hint.
    pub assigned: Option<Timestamp>,
}

/// `capabilityStatus` of an assigned plan (Graph: assignedPlan): open set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum CapabilityStatus {
    Enabled,
    /// The subscription is in its grace period; still usable.
    Warning,
    /// Unusable; data must be preserved.
    Suspended,
    /// Unusable for everyone; data preserved.
    LockedOut,
    /// Unusable; data may be deleted.
    Deleted,
    Other(String),
}

impl CapabilityStatus {
    /// As Graph writes it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Enabled => "Enabled",
            Self::Warning => "Warning",
            Self::Suspended => "Suspended",
            Self::LockedOut => "LockedOut",
            Self::Deleted => "Deleted",
            Self::Other(text) => text,
        }
    }
}

impl From<String> for CapabilityStatus {
    /// Letter case is ignored; what is not known is kept.
    fn from(text: String) -> Self {
        let known = [Self::Enabled, Self::Warning, Self::Suspended, Self::LockedOut, Self::Deleted];
        let found = known.into_iter().find(|status| status.as_str().eq_ignore_ascii_case(&text));
        found.unwrap_or(Self::Other(text))
    }
}

/// An entry of `licenseAssignmentStates`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LicenseAssignment {
    pub sku: SkuId,
    pub disabled_plans: BTreeSet<PlanId>,
    /// The group that gives the licence; `None` for a direct one.
    pub by_group: Option<GroupId>,
    /// `Active`, `ActiveWithError`, `Disabled`, `Error` or something newer.
    pub state: String,
    /// `CountViolation`, ...; `None` when there is none.
    pub error: Option<String>,
    pub updated: Option<Timestamp>,
}

/// An entry of `serviceProvisioningErrors` (a hold that keeps Exchange from disconnecting shows here).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProvisioningError {
    pub service_instance: String,
    pub created: Option<Timestamp>,
    pub is_resolved: bool,
}
