//! Which application permission allows which operation: the least privileged one first, then the others that Microsoft
//! lists. Source: Graph permissions reference and the operations' own pages.

use super::operation::Operation;

/// Any one of these suffices. Empty: nobody may, as application.
pub(super) fn accepted(operation: &Operation) -> &'static [&'static str] {
    match operation {
        Operation::ListUsers
        | Operation::CountUsers
        | Operation::UsersDelta
        | Operation::GetUser(_)
        | Operation::ListDeletedUsers
        | Operation::GetDeletedItem(_)
        | Operation::ExchangeSettings(_) => {
            &["User.Read.All", "User.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"]
        }
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
        Operation::MailboxSettings(_) | Operation::UserPurpose(_) => {
            &["MailboxSettings.Read", "MailboxSettings.ReadWrite"]
        }
        Operation::CheckMemberGroups(_) => {
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
        Operation::Organization => &["Organization.Read.All", "User.Read.All", "Directory.Read.All"],
        Operation::GetGroup(_) => &[
            "Group.ReadBasic.All",
            "GroupMember.Read.All",
            "Group.Read.All",
            "Group.ReadWrite.All",
            "Directory.Read.All",
        ],
        Operation::ListMembers { .. } | Operation::CountMembers { .. } => &[
            "GroupMember.ReadBasic.All",
            "GroupMember.Read.All",
            "GroupMember.ReadWrite.All",
            "Group.Read.All",
            "Group.ReadWrite.All",
            "Directory.Read.All",
        ],
        Operation::AddMember(_) | Operation::RemoveMember(..) => {
            &["GroupMember.ReadWrite.All", "Group.ReadWrite.All"]
        }
        Operation::ListAudits => &["AuditLog.Read.All", "Directory.Read.All"],
        // A batch needs nothing itself; each item is checked.
        Operation::Batch => &[""],
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

    #[test]
    fn each_operation_is_allowed_by_its_least_permission_and_not_by_a_stranger() {
        let key = || "someone@contoso.com".to_owned();
        let group = crate::model::GroupId::from_u128(1);
        let cases = [
            (Operation::ListUsers, "User.Read.All"),
            (Operation::UsersDelta, "User.Read.All"),
            (Operation::ListDeletedUsers, "User.Read.All"),
            (Operation::RestoreDeletedItem(key()), "User.DeleteRestore.All"),
            (Operation::AssignLicense(key()), "LicenseAssignment.ReadWrite.All"),
            (Operation::ReprocessLicenses(key()), "User.ReadWrite.All"),
            (Operation::UpdateUser(key()), "User.ReadWrite.All"),
            (Operation::ListSkus, "LicenseAssignment.Read.All"),
            (Operation::ListSubscriptions, "Organization.Read.All"),
            (Operation::GetGroup(group), "GroupMember.Read.All"),
            (Operation::ListMembers { group, is_transitive: false, is_cast: true }, "GroupMember.Read.All"),
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
