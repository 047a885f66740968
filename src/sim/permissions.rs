//! Which application permission allows which operation: the least privileged one first, then the others that Microsoft
//! lists. Source: Graph permissions reference and the operations' own pages.

use super::casts::Bin;
use super::operation::Operation;

pub(super) const READ_USERS: &[&str] =
    &["User.Read.All", "User.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"];

/// Graph: group-list-members, group-list-transitivemembers.
pub(super) const READ_MEMBERS: &[&str] = &[
    "GroupMember.ReadBasic.All",
    "GroupMember.Read.All",
    "GroupMember.ReadWrite.All",
    "Group.Read.All",
    "Group.ReadWrite.All",
    "Directory.Read.All",
];

/// Graph: user-list-memberof, user-list-transitivememberof.
const READ_MEMBERSHIPS: &[&str] = &[
    "User.Read.All",
    "User.ReadWrite.All",
    "GroupMember.Read.All",
    "Group.Read.All",
    "Directory.Read.All",
    "Directory.ReadWrite.All",
];

/// Any one of these suffices. Empty: nobody may, as application.
pub(super) fn accepted(operation: &Operation) -> &'static [&'static str] {
    match operation {
        Operation::ListUsers
        | Operation::CountUsers
        | Operation::UsersDelta
        | Operation::GetUser(_)
        | Operation::GetDeletedItem(..)
        | Operation::ExchangeSettings(_) => READ_USERS,
        Operation::ListDeleted(bin) | Operation::CountDeleted(bin) => of_deleted(*bin),
        Operation::LicenseDetails(_) => {
            &["LicenseAssignment.Read.All", "User.Read.All", "User.ReadWrite.All", "Directory.Read.All"]
        }
        Operation::CreateUser | Operation::UpdateUser(_) | Operation::ReprocessLicenses(_) => {
            &["User.ReadWrite.All", "Directory.ReadWrite.All"]
        }
        Operation::DeleteUser(_) | Operation::RestoreDeletedItem(_) | Operation::RestoreLiveUser(_) => {
            &["User.DeleteRestore.All", "User.ReadWrite.All"]
        }
        Operation::AssignLicense(_) => {
            &["LicenseAssignment.ReadWrite.All", "User.ReadWrite.All", "Directory.ReadWrite.All"]
        }
        Operation::GroupAssignLicense(_) => {
            &["LicenseAssignment.ReadWrite.All", "Group.ReadWrite.All", "Directory.ReadWrite.All"]
        }
        Operation::MailboxSettings(_) | Operation::UserPurpose(_) | Operation::MailboxSetting(..) => {
            &["MailboxSettings.Read", "MailboxSettings.ReadWrite"]
        }
        Operation::CheckMemberGroups(_) | Operation::MembersWithLicenseErrors(_) => {
            &["GroupMember.Read.All", "Group.Read.All", "Directory.Read.All", "Group.ReadWrite.All"]
        }
        Operation::PurgeDeletedItem(_) => &[],
        Operation::ListSkus | Operation::GetSku(_) => &[
            "LicenseAssignment.Read.All",
            "LicenseAssignment.ReadWrite.All",
            "Organization.Read.All",
            "Directory.Read.All",
        ],
        Operation::ListSubscriptions | Operation::GetSubscription(_) => {
            &["Organization.Read.All", "Directory.Read.All"]
        }
        Operation::Organization | Operation::GetOrganization(_) => {
            &["Organization.Read.All", "User.Read.All", "Directory.Read.All"]
        }
        Operation::ListGroups | Operation::CountGroups | Operation::GetGroup(_) => &[
            "Group.ReadBasic.All",
            "GroupMember.Read.All",
            "Group.Read.All",
            "Group.ReadWrite.All",
            "Directory.Read.All",
        ],
        Operation::ListMemberOf { .. } | Operation::CountMemberOf { .. } => READ_MEMBERSHIPS,
        Operation::ListMembers { .. } | Operation::CountMembers { .. } => READ_MEMBERS,
        Operation::AddMember(_) | Operation::RemoveMember(..) | Operation::BindMembers(_) => {
            &["GroupMember.ReadWrite.All", "Group.ReadWrite.All"]
        }
        Operation::CreateGroup => &["Group.Create", "Group.ReadWrite.All", "Directory.ReadWrite.All"],
        Operation::UpdateGroup(_) | Operation::DeleteGroup(_) => {
            &["Group.ReadWrite.All", "Directory.ReadWrite.All"]
        }
        Operation::ListAudits | Operation::GetAudit(_) => &["AuditLog.Read.All", "Directory.Read.All"],
        // A batch needs nothing itself; each item is checked. Which collections there are is no secret.
        Operation::Batch | Operation::Service => &[""],
        Operation::Lookup(lookup) => lookup.accepted(),
    }
}

/// Graph: directory-deleteditems-list.
fn of_deleted(bin: Bin) -> &'static [&'static str] {
    match bin {
        Bin::Users => READ_USERS,
        Bin::Groups => {
            &["Group.Read.All", "Group.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"]
        }
        Bin::Applications => &[
            "Application.Read.All",
            "Application.ReadWrite.All",
            "Directory.Read.All",
            "Directory.ReadWrite.All",
        ],
        Bin::AdministrativeUnits => &[
            "AdministrativeUnit.Read.All",
            "AdministrativeUnit.ReadWrite.All",
            "Directory.Read.All",
            "Directory.ReadWrite.All",
        ],
        Bin::Devices => {
            &["Device.Read.All", "Device.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"]
        }
    }
}

/// Whether a token with these roles may do it.
pub(super) fn allows(roles: &[String], operation: &Operation) -> bool {
    let accepted = accepted(operation);
    accepted.contains(&"") || roles.iter().any(|role| accepted.contains(&role.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::casts::{Cast, Relation};

    #[test]
    fn each_operation_is_allowed_by_its_least_permission_and_not_by_a_stranger() {
        let key = || "someone@contoso.com".to_owned();
        let group = crate::model::GroupId::from_u128(1);
        let cases = [
            (Operation::ListUsers, "User.Read.All"),
            (Operation::UsersDelta, "User.Read.All"),
            (Operation::ListDeleted(Bin::Users), "User.Read.All"),
            (Operation::CountDeleted(Bin::Groups), "Group.Read.All"),
            (Operation::ListDeleted(Bin::Applications), "Application.Read.All"),
            (Operation::RestoreDeletedItem(key()), "User.DeleteRestore.All"),
            (Operation::AssignLicense(key()), "LicenseAssignment.ReadWrite.All"),
            (Operation::ReprocessLicenses(key()), "User.ReadWrite.All"),
            (Operation::UpdateUser(key()), "User.ReadWrite.All"),
            (Operation::ListSkus, "LicenseAssignment.Read.All"),
            (Operation::ListSubscriptions, "Organization.Read.All"),
            (Operation::GetGroup(group), "GroupMember.Read.All"),
            (
                Operation::ListMembers { group, relation: Relation::Direct, cast: Cast::User },
                "GroupMember.Read.All",
            ),
            (Operation::BindMembers(group), "GroupMember.ReadWrite.All"),
            (Operation::UpdateGroup(group), "Group.ReadWrite.All"),
            (Operation::DeleteGroup(group), "Group.ReadWrite.All"),
            (Operation::CreateGroup, "Group.Create"),
            (Operation::MembersWithLicenseErrors(group), "GroupMember.Read.All"),
            (
                Operation::ListMemberOf { user: key(), relation: Relation::Direct, cast: Cast::None },
                "User.Read.All",
            ),
            (Operation::AddMember(group), "GroupMember.ReadWrite.All"),
            (Operation::ListAudits, "AuditLog.Read.All"),
            (Operation::MailboxSettings(key()), "MailboxSettings.Read"),
        ];
        for (operation, permission) in cases {
            assert!(allows(&[permission.to_owned()], &operation), "{operation:?} by {permission}");
            assert!(!allows(&["Sites.Read.All".to_owned()], &operation), "{operation:?} by a stranger");
            assert!(!allows(&[], &operation), "{operation:?} by nobody");
        }
        let everything =
            ["User.ReadWrite.All", "Directory.ReadWrite.All", "User.DeleteRestore.All"].map(str::to_owned);
        assert!(!allows(&everything, &Operation::PurgeDeletedItem(key())));
    }
}
