//! Segments that Graph v1.0 has and the simulated tenant does not model: a client that names one is not wrong, and is
//! told so. Source: Graph's v1.0 metadata.

use super::errors::GraphError;

const ROOTS: &[&str] = &[
    "admin",
    "agreementAcceptances",
    "agreements",
    "appCatalogs",
    "applicationTemplates",
    "applications",
    "authenticationMethodConfigurations",
    "authenticationMethodsPolicy",
    "certificateBasedAuthConfiguration",
    "chats",
    "communications",
    "compliance",
    "connections",
    "contacts",
    "contracts",
    "copilot",
    "dataPolicyOperations",
    "deviceAppManagement",
    "deviceManagement",
    "devices",
    "directoryRoleTemplates",
    "directoryRoles",
    "domainDnsRecords",
    "domains",
    "drives",
    "education",
    "employeeExperience",
    "external",
    "filterOperators",
    "functions",
    "groupLifecyclePolicies",
    "groupSettingTemplates",
    "groupSettings",
    "identity",
    "identityGovernance",
    "identityProtection",
    "identityProviders",
    "informationProtection",
    "invitations",
    "oauth2PermissionGrants",
    "permissionGrants",
    "places",
    "planner",
    "policies",
    "print",
    "privacy",
    "reports",
    "roleManagement",
    "schemaExtensions",
    "scopedRoleMemberships",
    "search",
    "security",
    "servicePrincipals",
    "shares",
    "sites",
    "solutions",
    "storage",
    "subscriptions",
    "teams",
    "teamsTemplates",
    "teamwork",
    "tenantRelationships",
    "threatSubmission",
    "workbooks",
    "drive",
];

const OF_USERS: &[&str] = &[
    "activities",
    "agreementAcceptances",
    "appRoleAssignments",
    "authentication",
    "calendar",
    "calendarGroups",
    "calendarView",
    "calendars",
    "changePassword",
    "chats",
    "cloudClipboard",
    "cloudPCs",
    "contactFolders",
    "contacts",
    "deviceManagementTroubleshootingEvents",
    "drive",
    "drives",
    "employeeExperience",
    "events",
    "exportPersonalData",
    "extensions",
    "findMeetingTimes",
    "followedSites",
    "getMailTips",
    "getManagedAppDiagnosticStatuses",
    "getManagedAppPolicies",
    "inferenceClassification",
    "insights",
    "joinedTeams",
    "mailFolders",
    "managedAppRegistrations",
    "managedDevices",
    "manager",
    "messages",
    "oauth2PermissionGrants",
    "onenote",
    "onlineMeetings",
    "outlook",
    "people",
    "permissionGrants",
    "photo",
    "photos",
    "planner",
    "presence",
    "print",
    "reminderView",
    "removeAllDevicesFromManagement",
    "scopedRoleMemberOf",
    "sendMail",
    "settings",
    "solutions",
    "sponsors",
    "teamwork",
    "todo",
    "translateExchangeIds",
    "wipeManagedAppRegistrationsByDeviceTag",
    "aboutMe",
    "birthday",
    "interests",
    "mySite",
    "schools",
    "skills",
];

const OF_GROUPS: &[&str] = &[
    "acceptedSenders",
    "addFavorite",
    "calendar",
    "calendarView",
    "checkGrantedPermissionsForApp",
    "checkMemberGroups",
    "checkMemberObjects",
    "conversations",
    "createdOnBehalfOf",
    "drive",
    "drives",
    "events",
    "extensions",
    "getMemberGroups",
    "getMemberObjects",
    "groupLifecyclePolicies",
    "onenote",
    "permissionGrants",
    "photo",
    "photos",
    "planner",
    "rejectedSenders",
    "removeFavorite",
    "renew",
    "retryServiceProvisioning",
    "settings",
    "sites",
    "subscribeByMail",
    "team",
    "threads",
    "unsubscribeByMail",
    "validateProperties",
    "resetUnseenCount",
];

const OF_AUDIT_LOGS: &[&str] = &["signIns", "provisioning", "directoryProvisioning"];

const OF_DIRECTORY: &[&str] = &[
    "administrativeUnits",
    "attributeSets",
    "customSecurityAttributeDefinitions",
    "deviceLocalCredentials",
    "federationConfigurations",
    "onPremisesSynchronization",
    "publicKeyInfrastructure",
    "recommendations",
    "recovery",
];

/// What can be read here, and in Graph also written.
pub(super) fn change(segment: &str) -> GraphError {
    GraphError::new(501, "NotImplemented", format!("The simulated tenant does not change '{segment}'."))
}

/// `None` for what Graph does not have either.
pub(super) fn at_the_root(segment: &str) -> Option<GraphError> {
    of(ROOTS, segment)
}

/// Below `auditLogs` or `directory`.
pub(super) fn below(root: &str, segment: &str) -> Option<GraphError> {
    if root == "auditLogs" { of(OF_AUDIT_LOGS, segment) } else { of(OF_DIRECTORY, segment) }
}

pub(super) fn below_a_user(rest: &[&str]) -> Option<GraphError> {
    of(OF_USERS, rest.first()?)
}

pub(super) fn below_a_group(rest: &[&str]) -> Option<GraphError> {
    of(OF_GROUPS, rest.first()?)
}

fn of(names: &[&str], segment: &str) -> Option<GraphError> {
    let bare = segment.strip_prefix("microsoft.graph.").unwrap_or(segment);
    names.iter().any(|name| name.eq_ignore_ascii_case(bare)).then(|| named(segment))
}

pub(super) fn named(segment: &str) -> GraphError {
    GraphError::new(501, "NotImplemented", format!("The simulated tenant does not model '{segment}'."))
}
