//! Answers against the official schema, reduced to the types that matter: every member known, of the right type, null
//! only where null may be. The schema file is named by `MAILKEEPER_GRAPH_SHAPES`.

use serde_json::json;

use super::*;
use crate::sim::administrator::DeletedFrom;
use crate::sim::groups::{Membership, NewGroup};

struct Shapes(Value);

impl Shapes {
    /// Without a file nothing is known, which is said aloud, and no object has faults: statuses and bodies are tried
    /// all the same.
    fn load() -> Self {
        let Ok(path) = std::env::var("MAILKEEPER_GRAPH_SHAPES") else {
            eprintln!(
                "skipped: MAILKEEPER_GRAPH_SHAPES does not name the schema file, types are not compared"
            );
            return Self(Value::Null);
        };
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        Self(serde_json::from_str(&text).expect("the schema file is JSON"))
    }

    /// Faults of `value` as an object of this type.
    fn check_object(&self, kind: &str, value: &Value, place: &str, faults: &mut Vec<String>) {
        if self.0.is_null() {
            return;
        }
        let Some(members) = value.as_object() else { return faults.push(format!("{place}: not an object")) };
        let derived = value["@odata.type"].as_str().and_then(|name| name.strip_prefix("#microsoft.graph."));
        let kind = derived.unwrap_or(kind);
        for (name, member) in members.iter().filter(|(name, _)| !name.starts_with('@')) {
            let place = format!("{place}.{name}");
            match self.property(kind, name) {
                Some((kind, is_nullable)) => self.check(&kind, is_nullable, member, &place, faults),
                None => faults.push(format!("{place}: no such property in {kind}")),
            }
        }
    }

    fn property(&self, kind: &str, name: &str) -> Option<(String, bool)> {
        let declared = &self.0["types"][kind];
        let property = &declared["properties"][name];
        match property["type"].as_str() {
            Some(text) => Some((text.to_owned(), property["nullable"].as_bool().unwrap_or(true))),
            None => self.property(declared["base"].as_str()?, name),
        }
    }

    fn check(&self, kind: &str, is_nullable: bool, value: &Value, place: &str, faults: &mut Vec<String>) {
        if self.0.is_null() {
            return;
        }
        if value.is_null() {
            if !is_nullable {
                faults.push(format!("{place}: null, but {kind} is not nullable"));
            }
            return;
        }
        if let Some(inner) = kind.strip_prefix("Collection(").and_then(|rest| rest.strip_suffix(')')) {
            let Some(items) = value.as_array() else {
                return faults.push(format!("{place}: not a collection"));
            };
            for (index, item) in items.iter().enumerate() {
                self.check(inner, false, item, &format!("{place}[{index}]"), faults);
            }
            return;
        }
        let text = value.as_str();
        let fits = match kind {
            "Edm.String" => text.is_some(),
            "Edm.Boolean" => value.is_boolean(),
            "Edm.Int32" => value.as_i64().is_some_and(|number| i32::try_from(number).is_ok()),
            "Edm.Guid" => text.is_some_and(|text| uuid::Uuid::parse_str(text).is_ok()),
            "Edm.DateTimeOffset" => {
                text.and_then(Timestamp::parse).is_some() && text.is_some_and(|text| text.ends_with('Z'))
            }
            _ => return self.check_named(kind, value, place, faults),
        };
        if !fits {
            faults.push(format!("{place}: {value} is no {kind}"));
        }
    }

    fn check_named(&self, kind: &str, value: &Value, place: &str, faults: &mut Vec<String>) {
        let name = kind.strip_prefix("graph.").unwrap_or(kind);
        if let Some(members) = self.0["enums"][name].as_array() {
            if !members.contains(value) {
                faults.push(format!("{place}: {value} is no {name}"));
            }
        } else if self.0["types"][name].is_object() {
            self.check_object(name, value, place, faults);
        }
    }
}

/// Every operation by its name for counters. The test fails when one of them is not met, or another one is.
const OPERATIONS: [&str; 45] = [
    "add member",
    "assign license",
    "batch",
    "bind members",
    "check member groups",
    "count deleted items",
    "count members",
    "count memberships",
    "count users",
    "create group",
    "create user",
    "delete group",
    "delete user",
    "exchange settings",
    "get audit",
    "get deleted item",
    "get group",
    "get organization",
    "get sku",
    "get subscription",
    "get user",
    "group assign license",
    "license details",
    "list audits",
    "list deleted users",
    "list groups",
    "list members",
    "list memberships",
    "list other deleted items",
    "list skus",
    "list subscriptions",
    "list users",
    "mailbox setting",
    "mailbox settings",
    "members with license errors",
    "organization",
    "purge deleted item",
    "remove member",
    "reprocess licenses",
    "restore deleted item",
    "restore live user",
    "update group",
    "update user",
    "user purpose",
    "users delta",
];

/// What `$select` may name of a user, here also what the tenant does not fill.
const EVERYTHING: &str = "id,userPrincipalName,displayName,givenName,surname,mail,mailNickname,proxyAddresses,department,companyName,country,jobTitle,employeeType,userType,usageLocation,accountEnabled,onPremisesSyncEnabled,onPremisesImmutableId,createdDateTime,deletedDateTime,assignedLicenses,assignedPlans,provisionedPlans,licenseAssignmentStates,serviceProvisioningErrors,city,businessPhones,imAddresses,otherMails,state";

/// Of the official type, and of nobody here.
const UNSET: &str = "mobilePhone,officeLocation,preferredLanguage,streetAddress,postalCode,faxNumber,employeeId,creationType,externalUserState,onPremisesSamAccountName,onPremisesDistinguishedName,ageGroup,authorizationInfo,consentProvidedForMinor,customSecurityAttributes,employeeHireDate,employeeLeaveDateTime,employeeOrgData,externalUserStateChangeDateTime,identities,identityParentId,isManagementRestricted,isResourceAccount,lastPasswordChangeDateTime,legalAgeGroupClassification,onPremisesDomainName,onPremisesExtensionAttributes,onPremisesLastSyncDateTime,onPremisesProvisioningErrors,onPremisesSecurityIdentifier,onPremisesUserPrincipalName,passwordPolicies,passwordProfile,preferredDataLocation,print,securityIdentifier,showInAddressList,signInActivity,signInSessionsValidFromDateTime";

const GROUP: &str = "id,assignedLicenses,licenseProcessingState,hasMembersWithLicenseErrors,onPremisesSyncEnabled,membershipRule";

/// A tenant with something of each kind.
struct Furnished {
    lab: Lab,
    licensed: UserId,
    bare: UserId,
    deleted: UserId,
    group: crate::model::GroupId,
}

impl Furnished {
    fn new() -> Self {
        let mut lab = Lab::new();
        let licensed = lab.member("kari");
        let held = lab.member("held");
        lab.tenant.set_hold(START, held, true);
        lab.tenant.remove_licence(START, held, SPE_E3).expect("held");
        let deleted = lab.member("deleted");
        lab.tenant.delete_user(START, deleted, DeletedFrom::Graph);
        let bare = lab.add("bare", UserKind::WithoutMailbox, false);
        lab.add("guest", UserKind::Guest, false);
        let licences = vec![(SPE_E3, vec![TEAMS1])];
        let group = lab.tenant.add_group(
            START,
            NewGroup { id: None, name: "G".to_owned(), membership: Membership::Assigned, licences },
        );
        lab.tenant.add_member(START, group, licensed);
        lab.wait(Span::from_hours(1));
        Self { lab, licensed, bare, deleted, group }
    }

    /// Single objects, each with its type. The restored user ends in the recycle bin again.
    fn entities(&mut self) -> Vec<(&'static str, Reply)> {
        let Self { lab, licensed, bare, deleted, group } = self;
        let sku = lab.get("/subscribedSkus").ids().remove(0);
        let subscription = lab.get("/directory/subscriptions").ids().remove(0);
        let organization = lab.get("/organization").ids().remove(0);
        let audit = lab.get("/auditLogs/directoryAudits").ids().remove(0);
        let change = json!({"addLicenses": [{"skuId": SPE_E3, "disabledPlans": []}], "removeLicenses": []});
        let creation = json!({
            "accountEnabled": true, "displayName": "New", "mailNickname": "new",
            "userPrincipalName": "new@contoso.com", "passwordProfile": {"password": "x"},
        });
        let restored = lab.post(&format!("/directory/deletedItems/{deleted}/restore"), json!({}));
        lab.delete(&format!("/users/{deleted}"));
        let group_creation = json!({
            "displayName": "Made", "mailEnabled": false, "mailNickname": "made", "securityEnabled": true,
            "description": "By hand",
        });
        let made = lab.post("/groups", group_creation);
        let unmade = format!("/groups/{}", made.json["id"].as_str().unwrap_or_default());
        lab.patch(&unmade, json!({"description": null}));
        assert_eq!(lab.delete(&unmade).status, 204);
        vec![
            ("user", restored),
            ("user", lab.get(&format!("/users/{licensed}?$select={EVERYTHING}"))),
            ("user", lab.get(&format!("/users/{licensed}?$select=id,mailboxSettings"))),
            ("user", lab.get(&format!("/directory/deletedItems/{deleted}"))),
            ("user", lab.post("/users", creation)),
            ("user", lab.post(&format!("/users/{licensed}/reprocessLicenseAssignment"), json!({}))),
            ("mailboxSettings", lab.get(&format!("/users/{licensed}/mailboxSettings"))),
            ("exchangeSettings", lab.get(&format!("/users/{licensed}/settings/exchange"))),
            ("group", lab.get(&format!("/groups/{group}"))),
            ("group", lab.get(&format!("/groups/{group}?$select={GROUP}"))),
            ("group", lab.post(&format!("/groups/{group}/assignLicense"), change.clone())),
            ("group", made),
            ("subscribedSku", lab.get(&format!("/subscribedSkus/{sku}"))),
            ("organization", lab.get(&format!("/organization/{organization}"))),
            ("directoryAudit", lab.get(&format!("/auditLogs/directoryAudits/{audit}"))),
            ("companySubscription", lab.get(&format!("/directory/subscriptions/{subscription}"))),
            ("user", lab.patch(&format!("/users/{bare}"), json!({"usageLocation": "NO"}))),
            ("user", lab.post(&format!("/users/{bare}/assignLicense"), change)),
        ]
    }

    /// Listings, each with the type of its objects. None of them is empty.
    fn collections(&self) -> Vec<(&'static str, String)> {
        let Self { licensed, group, .. } = self;
        vec![
            ("user", format!("/users?$select={EVERYTHING}")),
            ("user", "/users".to_owned()),
            ("user", format!("/users?$select={UNSET}")),
            ("group", format!("/groups?$select={GROUP}")),
            ("group", "/groups".to_owned()),
            ("user", format!("/users/delta?$select={EVERYTHING}")),
            ("user", format!("/directory/deletedItems/microsoft.graph.user?$select={EVERYTHING}")),
            ("user", format!("/groups/{group}/members/microsoft.graph.user")),
            ("user", format!("/groups/{group}/transitiveMembers/microsoft.graph.user")),
            ("directoryObject", format!("/groups/{group}/members")),
            ("directoryObject", format!("/users/{licensed}/memberOf")),
            ("group", format!("/users/{licensed}/memberOf/microsoft.graph.group")),
            ("licenseDetails", format!("/users/{licensed}/licenseDetails")),
            ("subscribedSku", "/subscribedSkus".to_owned()),
            ("companySubscription", "/directory/subscriptions".to_owned()),
            ("organization", "/organization".to_owned()),
            ("directoryAudit", "/auditLogs/directoryAudits".to_owned()),
        ]
    }

    /// Plain values in the member `value`, each with its type.
    fn values(&mut self) -> Vec<(&'static str, Reply)> {
        let Self { lab, licensed, group, .. } = self;
        let groups = json!({"groupIds": [group.to_string()]});
        vec![
            ("graph.userPurpose", lab.get(&format!("/users/{licensed}/mailboxSettings/userPurpose"))),
            ("Edm.String", lab.get(&format!("/users/{licensed}/mailboxSettings/timeZone"))),
            ("Collection(Edm.String)", lab.post(&format!("/users/{licensed}/checkMemberGroups"), groups)),
        ]
    }

    /// Writes that answer with nothing.
    fn silent(&mut self) -> Vec<Reply> {
        let Self { lab, bare, group, .. } = self;
        let reference = json!({"@odata.id": format!("{ROOT}/directoryObjects/{bare}")});
        let bound = json!({"members@odata.bind": [format!("{ROOT}/users/{bare}")]});
        vec![
            lab.post(&format!("/groups/{group}/members/$ref"), reference),
            lab.delete(&format!("/groups/{group}/members/{bare}/$ref")),
            lab.patch(&format!("/groups/{group}"), bound),
            lab.delete(&format!("/users/{bare}")),
        ]
    }

    /// One refusal of each kind.
    fn refusals(&mut self) -> Vec<Reply> {
        let Self { lab, licensed, deleted, .. } = self;
        vec![
            lab.delete(&format!("/directory/deletedItems/{deleted}")),
            lab.post(&format!("/users/{licensed}/restore"), json!({})),
            lab.get("/users/nobody@contoso.com"),
            lab.get("/users/$count"),
            lab.get("/users?$select=mailboxSettings"),
            lab.delete("/users"),
            lab.get("/nonsense"),
            lab.post(&format!("/users/{licensed}/assignLicense"), json!({"addLicenses": []})),
        ]
    }
}

#[test]
fn every_endpoint_answers_in_the_official_shape() {
    let shapes = Shapes::load();
    let mut all = Furnished::new();
    let mut faults = Vec::new();
    for (kind, target) in all.collections() {
        let objects = all.lab.walk(&target);
        assert!(!objects.is_empty(), "{target} shows something");
        for object in objects {
            shapes.check_object(kind, &object, &target, &mut faults);
        }
    }
    for (kind, reply) in all.entities() {
        assert!((200..300).contains(&reply.status), "{kind}: {} {}", reply.status, reply.json);
        match reply.status {
            204 => assert!(reply.response.body.is_empty(), "a 204 says nothing"),
            _ => shapes.check_object(kind, &reply.json, kind, &mut faults),
        }
    }
    for (kind, reply) in all.values() {
        shapes.check(kind, false, &reply.json["value"], kind, &mut faults);
    }
    let errors = format!("/groups/{}/membersWithLicenseErrors", all.group);
    for target in ["/directory/deletedItems/microsoft.graph.group", &errors] {
        assert_eq!(all.lab.get(target).json["value"], json!([]), "{target}");
    }
    for target in [
        "/users/$count".to_owned(),
        "/directory/deletedItems/graph.user/$count".to_owned(),
        format!("/groups/{}/members/$count", all.group),
        format!("/users/{}/memberOf/$count", all.licensed),
    ] {
        let reply = all.lab.get_eventual(&target);
        assert!(reply.json.is_number(), "{target}: {:?}", reply.response);
    }
    for reply in all.silent() {
        assert_eq!((reply.status, reply.response.body.len()), (204, 0), "{}", reply.json);
    }
    check_batch(&shapes, &mut all, &mut faults);
    for reply in all.refusals() {
        check_refusal(&reply, &mut faults);
    }
    assert_eq!(faults, Vec::<String>::new());
    let met: Vec<&str> = all.lab.tenant.counters().by_operation.keys().copied().collect();
    assert_eq!(met, OPERATIONS);
}

/// A part of a batch has the shape of the same answer alone.
fn check_batch(shapes: &Shapes, all: &mut Furnished, faults: &mut Vec<String>) {
    let target = format!("/users/{}", all.licensed);
    let requests = json!([{"id": "1", "method": "GET", "url": target}]);
    let reply = all.lab.post("/$batch", json!({ "requests": requests }));
    let part = &reply.json["responses"][0];
    assert_eq!(
        (reply.status, &part["status"], &part["id"]),
        (200, &json!(200), &json!("1")),
        "{}",
        reply.json
    );
    assert!(part["headers"]["Content-Type"].is_string(), "clients look for this spelling: {part}");
    shapes.check_object("user", &part["body"], "batch", faults);
}

/// The error envelope, and the ids that support asks for.
fn check_refusal(reply: &Reply, faults: &mut Vec<String>) {
    let error = &reply.json["error"];
    let inner = &error["innerError"];
    let texts = [&error["code"], &error["message"], &inner["date"], &inner["client-request-id"]];
    let is_whole = texts.iter().all(|text| text.as_str().is_some_and(|text| !text.is_empty()));
    let same_id = inner["request-id"].as_str() == reply.response.header("request-id");
    if reply.status < 400 || !is_whole || !same_id {
        faults.push(format!("{}: {}", reply.status, reply.json));
    }
}

#[test]
fn the_checker_finds_wrong_shapes() {
    let shapes = Shapes(json!({
        "types": {"thing": {"base": null, "properties": {
            "id": {"type": "Edm.Guid", "nullable": false},
            "names": {"type": "Collection(Edm.String)", "nullable": false},
        }}},
        "enums": {},
    }));
    let check = |value: Value| {
        let mut faults = Vec::new();
        shapes.check_object("thing", &value, "thing", &mut faults);
        faults.len()
    };
    assert_eq!(
        check(json!({"id": "7e06b566-15f3-4013-8bf8-79874d52e68a", "names": ["a"], "@odata.type": "x"})),
        0
    );
    assert_eq!(check(json!({"id": null, "names": null})), 2);
    assert_eq!(check(json!({"id": "x", "names": [1], "more": 1})), 3);
}
