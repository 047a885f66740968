//! `/$metadata`: what the simulated tenant offers, as CSDL 4.0 in XML. Names come from the lists that `$select` reads,
//! types from what a `$filter` compares with, and from the tables here. Source: Microsoft's metadata of Graph v1.0.

use super::audit::AUDIT;
use super::expand::{EMPTY_OF_GROUPS, EMPTY_OF_USERS};
use super::group_query::{GROUP, GROUPS};
use super::licensing::DETAILS;
use super::mailbox_probes::{EXCHANGE, SETTINGS};
use super::narrow::Type;
use super::odata::schema::{Kind, Schema};
use super::properties::Select;
use super::subscriptions::{ORGANIZATION, SKU, SUBSCRIPTION};
use super::user_fields::USERS;

/// Entity sets and what is in them.
pub(super) const SETS: [(&str, &str); 5] = [
    ("directoryObjects", "directoryObject"),
    ("groups", "group"),
    ("organization", "organization"),
    ("subscribedSkus", "subscribedSku"),
    ("users", "user"),
];

/// Types of properties, of whatever they are properties; everything else is a text.
const TYPES: [(&str, &[&str]); 33] = [
    (
        "Collection(Edm.String)",
        &[
            "groupTypes",
            "marketingNotificationEmails",
            "resourceBehaviorOptions",
            "resourceProvisioningOptions",
            "securityComplianceNotificationMails",
            "securityComplianceNotificationPhones",
            "subscriptionIds",
            "technicalNotificationMails",
            "businessPhones",
        ],
    ),
    ("Collection(Edm.Guid)", &["disabledPlans"]),
    (
        "Edm.Boolean",
        &[
            "isDefault",
            "isInitial",
            "isManagementRestricted",
            "isResolved",
            "isTrial",
            "onPremisesSyncEnabled",
            "securityEnabledOnly",
            "autoReconcileProxyConflict",
        ],
    ),
    (
        "Edm.DateTimeOffset",
        &[
            "activityDateTime",
            "assignedDateTime",
            "createdDateTime",
            "deletedDateTime",
            "employeeLeaveDateTime",
            "expirationDateTime",
            "externalUserStateChangeDateTime",
            "lastPasswordChangeDateTime",
            "lastUpdatedDateTime",
            "nextLifecycleDateTime",
            "onPremisesLastSyncDateTime",
            "renewedDateTime",
            "signInSessionsValidFromDateTime",
        ],
    ),
    (
        "Edm.Int32",
        &[
            "consumedUnits",
            "deviceEnrollmentLimit",
            "enabled",
            "lockedOut",
            "suspended",
            "totalLicenses",
            "warning",
        ],
    ),
    ("Edm.Guid", &["skuId", "servicePlanId"]),
    ("Collection(graph.assignedLabel)", &["assignedLabels"]),
    ("Collection(graph.assignedLicense)", &["assignedLicenses"]),
    ("Collection(graph.assignedPlan)", &["assignedPlans"]),
    ("Collection(graph.keyValue)", &["additionalDetails"]),
    ("Collection(graph.licenseAssignmentState)", &["licenseAssignmentStates"]),
    ("Collection(graph.modifiedProperty)", &["modifiedProperties"]),
    ("Collection(graph.objectIdentity)", &["identities"]),
    ("Collection(graph.onPremisesProvisioningError)", &["onPremisesProvisioningErrors"]),
    ("Collection(graph.provisionedPlan)", &["provisionedPlans"]),
    ("Collection(graph.servicePlanInfo)", &["servicePlans", "serviceStatus"]),
    ("Collection(graph.serviceProvisioningError)", &["serviceProvisioningErrors"]),
    ("Collection(graph.targetResource)", &["targetResources"]),
    ("Collection(graph.verifiedDomain)", &["verifiedDomains"]),
    ("graph.auditActivityInitiator", &["initiatedBy"]),
    ("graph.authorizationInfo", &["authorizationInfo"]),
    ("graph.automaticRepliesSetting", &["automaticRepliesSetting"]),
    ("graph.customSecurityAttributeValue", &["customSecurityAttributes"]),
    ("graph.employeeOrgData", &["employeeOrgData"]),
    ("graph.licenseProcessingState", &["licenseProcessingState"]),
    ("graph.licenseUnitsDetail", &["prepaidUnits"]),
    ("graph.localeInfo", &["language"]),
    ("graph.mailboxSettings", &["mailboxSettings"]),
    ("graph.onPremisesExtensionAttributes", &["onPremisesExtensionAttributes"]),
    ("graph.passwordProfile", &["passwordProfile"]),
    ("graph.privacyProfile", &["privacyProfile"]),
    ("graph.signInActivity", &["signInActivity"]),
    ("graph.workingHours", &["workingHours"]),
];

/// Of which the name alone does not tell: `(type, property)` and what it is.
const SINGULAR: [((&str, &str), &str); 9] = [
    (("companySubscription", "skuId"), "Edm.String"),
    (("auditActivityInitiator", "app"), "graph.appIdentity"),
    (("auditActivityInitiator", "user"), "graph.userIdentity"),
    (("directoryAudit", "result"), "graph.operationResult"),
    (
        ("mailboxSettings", "delegateMeetingMessageDeliveryOptions"),
        "graph.delegateMeetingMessageDeliveryOptions",
    ),
    (("mailboxSettings", "userPurpose"), "graph.userPurpose"),
    (("organization", "partnerTenantType"), "graph.partnerTenantType"),
    (("targetResource", "groupType"), "graph.groupType"),
    (("user", "print"), "graph.userPrint"),
];

/// Parts of objects, with their properties.
const COMPLEX: [(&str, &[&str]); 17] = [
    ("appIdentity", &["appId", "displayName", "servicePrincipalId", "servicePrincipalName"]),
    ("assignedLicense", &["disabledPlans", "skuId"]),
    ("assignedPlan", &["assignedDateTime", "capabilityStatus", "service", "servicePlanId"]),
    ("auditActivityInitiator", &["app", "user"]),
    ("identity", &["displayName", "id"]),
    ("keyValue", &["key", "value"]),
    (
        "licenseAssignmentState",
        &["assignedByGroup", "disabledPlans", "error", "lastUpdatedDateTime", "skuId", "state"],
    ),
    ("licenseProcessingState", &["state"]),
    ("licenseUnitsDetail", &["enabled", "lockedOut", "suspended", "warning"]),
    ("modifiedProperty", &["displayName", "newValue", "oldValue"]),
    ("objectIdentity", &["issuer", "issuerAssignedId", "signInType"]),
    ("provisionedPlan", &["capabilityStatus", "provisioningStatus", "service"]),
    ("servicePlanInfo", &["appliesTo", "provisioningStatus", "servicePlanId", "servicePlanName"]),
    ("serviceProvisioningError", &["createdDateTime", "isResolved", "serviceInstance"]),
    (
        "targetResource",
        &["displayName", "groupType", "id", "modifiedProperties", "type", "userPrincipalName"],
    ),
    ("verifiedDomain", &["capabilities", "isDefault", "isInitial", "name", "type"]),
    ("mailboxSettings", SETTINGS.default),
];

/// With a base: what it has besides.
const DERIVED: [(&str, &str, &[&str]); 2] = [
    ("serviceProvisioningXmlError", "serviceProvisioningError", &["errorDetail"]),
    ("userIdentity", "identity", &["ipAddress", "userPrincipalName"]),
];

/// Of these nothing is ever said here, or nothing that is declared.
const OPAQUE: [&str; 13] = [
    "assignedLabel",
    "authorizationInfo",
    "automaticRepliesSetting",
    "customSecurityAttributeValue",
    "employeeOrgData",
    "localeInfo",
    "onPremisesExtensionAttributes",
    "onPremisesProvisioningError",
    "passwordProfile",
    "privacyProfile",
    "signInActivity",
    "userPrint",
    "workingHours",
];

const ENUMS: [(&str, &[&str]); 5] = [
    (
        "delegateMeetingMessageDeliveryOptions",
        &["sendToDelegateAndInformationToPrincipal", "sendToDelegateAndPrincipal", "sendToDelegateOnly"],
    ),
    ("groupType", &["unifiedGroups", "azureAD", "unknownFutureValue"]),
    ("operationResult", &["success", "failure", "timeout", "unknownFutureValue"]),
    (
        "partnerTenantType",
        &[
            "microsoftSupport",
            "syndicatePartner",
            "breadthPartner",
            "breadthPartnerDelegatedAdmin",
            "resellerPartnerDelegatedAdmin",
            "valueAddedResellerPartnerDelegatedAdmin",
            "unknownFutureValue",
        ],
    ),
    ("userPurpose", &["user", "linked", "shared", "room", "equipment", "others", "unknownFutureValue"]),
];

/// Name, what it is bound to, parameters, what comes back.
type Act = (&'static str, &'static str, &'static [(&'static str, &'static str)], &'static str);

const LICENCES: &[(&str, &str)] =
    &[("addLicenses", "Collection(graph.assignedLicense)"), ("removeLicenses", "Collection(Edm.Guid)")];
const IDS: &str = "Collection(Edm.String)";

const ACTIONS: [Act; 11] = [
    ("assignLicense", "graph.user", LICENCES, "graph.user"),
    ("assignLicense", "graph.group", LICENCES, "graph.group"),
    ("checkMemberGroups", "graph.user", &[("groupIds", IDS)], IDS),
    ("checkMemberObjects", "graph.user", &[("ids", IDS)], IDS),
    (
        "getByIds",
        "Collection(graph.directoryObject)",
        &[("ids", IDS), ("types", IDS)],
        "Collection(graph.directoryObject)",
    ),
    ("getMemberGroups", "graph.user", &[("securityEnabledOnly", "Edm.Boolean")], IDS),
    ("getMemberObjects", "graph.user", &[("securityEnabledOnly", "Edm.Boolean")], IDS),
    ("reprocessLicenseAssignment", "graph.user", &[], "graph.user"),
    (
        "restore",
        "graph.directoryObject",
        &[("autoReconcileProxyConflict", "Edm.Boolean"), ("newUserPrincipalName", "Edm.String")],
        "graph.directoryObject",
    ),
    ("retryServiceProvisioning", "graph.user", &[], ""),
    ("revokeSignInSessions", "graph.user", &[], "Edm.Boolean"),
];

/// The document.
pub(super) fn document() -> String {
    let mut xml = Xml::default();
    xml.0.push_str("<?xml version=\"1.0\" encoding=\"utf-8\"?>");
    xml.open("edmx:Edmx", &[("Version", "4.0"), ("xmlns:edmx", "http://docs.oasis-open.org/odata/ns/edmx")]);
    xml.open("edmx:DataServices", &[]);
    let namespace = "http://docs.oasis-open.org/odata/ns/edm";
    xml.open("Schema", &[("Namespace", "microsoft.graph"), ("Alias", "graph"), ("xmlns", namespace)]);
    for (name, members) in ENUMS {
        xml.open("EnumType", &[("Name", name)]);
        for (value, member) in members.iter().enumerate() {
            xml.empty("Member", &[("Name", member), ("Value", &value.to_string())]);
        }
        xml.close("EnumType");
    }
    for (name, properties) in COMPLEX {
        xml.open("ComplexType", &[("Name", name)]);
        xml.properties(name, None, properties.iter().copied());
        xml.close("ComplexType");
    }
    for (name, base, properties) in DERIVED {
        xml.open("ComplexType", &[("Name", name), ("BaseType", &format!("graph.{base}"))]);
        xml.properties(name, None, properties.iter().copied());
        xml.close("ComplexType");
    }
    for name in OPAQUE {
        xml.empty("ComplexType", &[("Name", name), ("OpenType", "true")]);
    }
    xml.entities();
    ACTIONS.iter().for_each(|act| xml.act("Action", act));
    xml.act("Function", &("delta", "Collection(graph.user)", &[], "Collection(graph.user)"));
    xml.open("EntityContainer", &[("Name", "GraphService")]);
    for (name, kind) in SETS {
        xml.empty("EntitySet", &[("Name", name), ("EntityType", &format!("microsoft.graph.{kind}"))]);
    }
    for (name, kind) in [("directory", "directory"), ("auditLogs", "auditLogRoot")] {
        xml.empty("Singleton", &[("Name", name), ("Type", &format!("microsoft.graph.{kind}"))]);
    }
    ["EntityContainer", "Schema", "edmx:DataServices", "edmx:Edmx"].iter().for_each(|name| xml.close(name));
    xml.0
}

#[derive(Default)]
struct Xml(String);

impl Xml {
    /// No name or type holds a sign that would have to be escaped.
    fn tag(&mut self, name: &str, attributes: &[(&str, &str)], end: &str) {
        self.0.push('<');
        self.0.push_str(name);
        for (name, value) in attributes {
            self.0.push_str(&format!(" {name}=\"{value}\""));
        }
        self.0.push_str(end);
    }

    fn open(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.tag(name, attributes, ">");
    }

    fn empty(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.tag(name, attributes, "/>");
    }

    fn close(&mut self, name: &str) {
        self.0.push_str(&format!("</{name}>"));
    }

    fn properties(&mut self, kind: &str, schema: Option<&Schema>, names: impl Iterator<Item = &'static str>) {
        for name in names {
            self.empty("Property", &[("Name", name), ("Type", edm(kind, schema, name))]);
        }
    }

    fn entities(&mut self) {
        self.open("EntityType", &[("Name", "entity"), ("Abstract", "true")]);
        self.open("Key", &[]);
        self.empty("PropertyRef", &[("Name", "id")]);
        self.close("Key");
        self.empty("Property", &[("Name", "id"), ("Type", "Edm.String"), ("Nullable", "false")]);
        self.close("EntityType");
        self.directory_object("directoryObject", "entity", None, &["deletedDateTime"], &[]);
        let one = |name, kind: &str| (name, format!("graph.{kind}"), false);
        let many = |name, kind: &str| (name, format!("Collection(graph.{kind})"), false);
        let own = |name, kind: &str| (name, kind.to_owned(), true);
        let mut of_users = vec![
            own("licenseDetails", "Collection(graph.licenseDetails)"),
            one("manager", "directoryObject"),
            many("memberOf", "directoryObject"),
            own("settings", "graph.userSettings"),
            many("transitiveMemberOf", "directoryObject"),
        ];
        of_users.extend(EMPTY_OF_USERS.map(|name| many(name, "directoryObject")));
        let mut of_groups: Vec<Navigation> = ["members", "membersWithLicenseErrors", "transitiveMembers"]
            .map(|name| many(name, "directoryObject"))
            .into();
        of_groups.extend(EMPTY_OF_GROUPS.map(|name| match name {
            "appRoleAssignments" => many(name, "appRoleAssignment"),
            _ => many(name, "directoryObject"),
        }));
        let users: Vec<&'static str> = Select::all().chain(["mailboxSettings"]).collect();
        self.directory_object("user", "directoryObject", Some(&USERS), &users, &of_users);
        let groups: Vec<&'static str> = GROUP.default.iter().chain(GROUP.selectable).copied().collect();
        self.directory_object("group", "directoryObject", Some(&GROUPS), &groups, &of_groups);
        self.directory_object("organization", "directoryObject", None, ORGANIZATION.default, &[]);
        self.directory_object("appRoleAssignment", "directoryObject", None, &[], &[]);
        for kind in [&AUDIT, &DETAILS, &EXCHANGE, &SKU, &SUBSCRIPTION] {
            self.plain(kind, &[]);
        }
        let bare = |name| Type { name, default: &[], selectable: &[], empty: &[] };
        self.plain(&bare("userSettings"), &[own("exchange", "graph.exchangeSettings")]);
        self.plain(&bare("auditLogRoot"), &[own("directoryAudits", "Collection(graph.directoryAudit)")]);
        let of_directory = [
            own("deletedItems", "Collection(graph.directoryObject)"),
            own("subscriptions", "Collection(graph.companySubscription)"),
        ];
        self.plain(&bare("directory"), &of_directory);
    }

    /// These may hold more than is declared, as Graph says of them.
    fn directory_object(
        &mut self,
        name: &str,
        base: &str,
        schema: Option<&Schema>,
        properties: &[&'static str],
        navigation: &[Navigation],
    ) {
        self.open(
            "EntityType",
            &[("Name", name), ("BaseType", &format!("graph.{base}")), ("OpenType", "true")],
        );
        let inherited =
            |property: &&str| *property == "id" || (base != "entity" && *property == "deletedDateTime");
        let own = properties.iter().copied().filter(|property| !inherited(property));
        self.properties(name, schema, own);
        self.navigation(navigation);
        self.close("EntityType");
    }

    fn plain(&mut self, kind: &Type, navigation: &[Navigation]) {
        self.open("EntityType", &[("Name", kind.name), ("BaseType", "graph.entity")]);
        let own = kind.default.iter().copied().filter(|property| *property != "id");
        self.properties(kind.name, None, own);
        self.navigation(navigation);
        self.close("EntityType");
    }

    fn navigation(&mut self, navigation: &[Navigation]) {
        for (name, kind, is_contained) in navigation {
            let contained: &[(&str, &str)] = if *is_contained { &[("ContainsTarget", "true")] } else { &[] };
            self.empty("NavigationProperty", &[&[("Name", *name), ("Type", kind)], contained].concat());
        }
    }

    fn act(&mut self, element: &str, (name, bound_to, parameters, returned): &Act) {
        self.open(element, &[("Name", name), ("IsBound", "true")]);
        self.empty("Parameter", &[("Name", "bindingParameter"), ("Type", bound_to)]);
        for (name, kind) in *parameters {
            self.empty("Parameter", &[("Name", name), ("Type", kind)]);
        }
        if !returned.is_empty() {
            self.empty("ReturnType", &[("Type", returned)]);
        }
        self.close(element);
    }
}

/// Name, type, and whether the target lives in this object alone.
type Navigation = (&'static str, String, bool);

fn edm(kind: &str, schema: Option<&Schema>, name: &str) -> &'static str {
    let compared = schema.and_then(|schema| schema.kind(name)).and_then(|kind| match kind {
        Kind::Flag => Some("Edm.Boolean"),
        Kind::Time => Some("Edm.DateTimeOffset"),
        Kind::Texts => Some("Collection(Edm.String)"),
        Kind::Text | Kind::Id | Kind::Objects(_) => None,
    });
    let singular = || SINGULAR.iter().find(|(place, _)| *place == (kind, name)).map(|(_, edm)| *edm);
    let named = || TYPES.iter().find(|(_, names)| names.contains(&name)).map(|(edm, _)| *edm);
    compared.or_else(singular).or_else(named).unwrap_or("Edm.String")
}
