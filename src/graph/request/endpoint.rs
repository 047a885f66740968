//! What can be asked of Graph, what it costs of the budget, and which service answers.

use std::fmt;

/// What a request is for: the `endpoint` label of the request metrics. A closed set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Endpoint {
    Token,
    Organization,
    Users,
    UsersCount,
    UsersDelta,
    DeletedUsers,
    User,
    DeletedUser,
    SubscribedSkus,
    Subscriptions,
    DirectoryAudits,
    Group,
    GroupMembers,
    MailboxKind,
    MailboxIdentity,
    CheckMemberGroups,
    Batch,
    AssignLicense,
    RestoreUser,
    AddGroupMember,
    SetUsageLocation,
    ReprocessLicenses,
}

impl Endpoint {
    pub const ALL: [Self; 22] = [
        Self::Token,
        Self::Organization,
        Self::Users,
        Self::UsersCount,
        Self::UsersDelta,
        Self::DeletedUsers,
        Self::User,
        Self::DeletedUser,
        Self::SubscribedSkus,
        Self::Subscriptions,
        Self::DirectoryAudits,
        Self::Group,
        Self::GroupMembers,
        Self::MailboxKind,
        Self::MailboxIdentity,
        Self::CheckMemberGroups,
        Self::Batch,
        Self::AssignLicense,
        Self::RestoreUser,
        Self::AddGroupMember,
        Self::SetUsageLocation,
        Self::ReprocessLicenses,
    ];

    pub fn label(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Organization => "organization",
            Self::Users => "users",
            Self::UsersCount => "users_count",
            Self::UsersDelta => "users_delta",
            Self::DeletedUsers => "deleted_users",
            Self::User => "user",
            Self::DeletedUser => "deleted_user",
            Self::SubscribedSkus => "subscribed_skus",
            Self::Subscriptions => "subscriptions",
            Self::DirectoryAudits => "directory_audits",
            Self::Group => "group",
            Self::GroupMembers => "group_members",
            Self::MailboxKind => "mailbox_kind",
            Self::MailboxIdentity => "mailbox_identity",
            Self::CheckMemberGroups => "check_member_groups",
            Self::Batch => "batch",
            Self::AssignLicense => "assign_license",
            Self::RestoreUser => "restore_user",
            Self::AddGroupMember => "add_group_member",
            Self::SetUsageLocation => "set_usage_location",
            Self::ReprocessLicenses => "reprocess_licenses",
        }
    }

    /// Resource units that one request costs the tenant's budget. Source: Graph throttling limits, identity and
    /// access; `$select` already taken off, unlisted endpoints count 1.
    pub(in crate::graph) fn resource_units(self) -> u32 {
        match self {
            Self::SubscribedSkus => 3,
            Self::GroupMembers => 4,
            // Sign-in has a budget of its own; the parts of a batch are counted one by one.
            Self::Token | Self::Batch => 0,
            Self::Organization
            | Self::Users
            | Self::UsersCount
            | Self::UsersDelta
            | Self::DeletedUsers
            | Self::User
            | Self::DeletedUser
            | Self::Subscriptions
            | Self::DirectoryAudits
            | Self::Group
            | Self::MailboxKind
            | Self::MailboxIdentity
            | Self::CheckMemberGroups
            | Self::AssignLicense
            | Self::RestoreUser
            | Self::AddGroupMember
            | Self::SetUsageLocation
            | Self::ReprocessLicenses => 1,
        }
    }
}

impl Endpoint {
    pub(super) fn workload(self) -> Workload {
        match self {
            Self::MailboxKind | Self::MailboxIdentity => Workload::Exchange,
            Self::DirectoryAudits => Workload::AuditLog,
            // The parts of a batch say what it is about.
            Self::Batch
            | Self::Token
            | Self::Organization
            | Self::Users
            | Self::UsersCount
            | Self::UsersDelta
            | Self::DeletedUsers
            | Self::User
            | Self::DeletedUser
            | Self::SubscribedSkus
            | Self::Subscriptions
            | Self::Group
            | Self::GroupMembers
            | Self::CheckMemberGroups
            | Self::AssignLicense
            | Self::RestoreUser
            | Self::AddGroupMember
            | Self::SetUsageLocation
            | Self::ReprocessLicenses => Workload::Directory,
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

/// The services behind Graph, each of which throttles by itself: a busy Exchange says nothing about the directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::graph) enum Workload {
    Directory,
    Exchange,
    AuditLog,
}

impl Workload {
    pub(in crate::graph) const COUNT: usize = 3;
}
