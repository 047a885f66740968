//! Answers against the official schema, reduced to the types that matter: every member known, of the right type, null
//! only where null may be. The schema file is named by `MAILKEEPER_GRAPH_SHAPES`.

use serde_json::json;

use super::*;
use crate::sim::administrator::DeletedFrom;
use crate::sim::groups::{Membership, NewGroup};

struct Shapes(Value);

impl Shapes {
    /// `None`, said aloud, when no file is named.
    fn load() -> Option<Self> {
        let Ok(path) = std::env::var("MAILKEEPER_GRAPH_SHAPES") else {
            eprintln!("skipped: MAILKEEPER_GRAPH_SHAPES does not name the schema file");
            return None;
        };
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        Some(Self(serde_json::from_str(&text).expect("the schema file is JSON")))
    }

    /// Faults of `value` as an object of this type.
    fn check_object(&self, kind: &str, value: &Value, place: &str, faults: &mut Vec<String>) {
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

#[test]
fn answers_have_the_official_shape() {
    let Some(shapes) = Shapes::load() else { return };
    let mut lab = Lab::new();
    let licensed = lab.member("kari");
    let held = lab.member("held");
    lab.tenant.set_hold(START, held, true);
    lab.tenant.remove_licence(START, held, SPE_E3).expect("held");
    let deleted = lab.member("deleted");
    lab.tenant.delete_user(START, deleted, DeletedFrom::Graph);
    lab.add("guest", UserKind::Guest, false);
    let licences = vec![(SPE_E3, vec![TEAMS1])];
    let group = lab.tenant.add_group(
        START,
        NewGroup { id: None, name: "G".to_owned(), membership: Membership::Assigned, licences },
    );
    lab.tenant.add_member(START, group, licensed);
    lab.wait(Span::from_hours(1));
    let everything = "id,userPrincipalName,displayName,givenName,surname,mail,mailNickname,proxyAddresses,department,companyName,country,jobTitle,employeeType,userType,usageLocation,accountEnabled,onPremisesSyncEnabled,onPremisesImmutableId,createdDateTime,deletedDateTime,assignedLicenses,assignedPlans,provisionedPlans,licenseAssignmentStates,serviceProvisioningErrors,city,businessPhones,imAddresses,otherMails,state";
    let restore = lab.post(&format!("/directory/deletedItems/{deleted}/restore"), json!({}));
    lab.tenant.delete_user(lab.now, deleted, DeletedFrom::Graph);
    let entities = [
        ("user", restore.json),
        ("user", lab.get(&format!("/users/{licensed}?$select={everything}")).json),
        ("user", lab.get(&format!("/directory/deletedItems/{deleted}")).json),
        ("mailboxSettings", lab.get(&format!("/users/{licensed}/mailboxSettings")).json),
        ("exchangeSettings", lab.get(&format!("/users/{licensed}/settings/exchange")).json),
        ("group", lab.get(&format!("/groups/{group}")).json),
        ("group", lab.get(&format!("/groups/{group}?$select=id,assignedLicenses,licenseProcessingState,hasMembersWithLicenseErrors,onPremisesSyncEnabled,membershipRule")).json),
    ];
    let collections = [
        ("user", format!("/users?$select={everything}")),
        ("user", format!("/users/delta?$select={everything}")),
        ("user", format!("/directory/deletedItems/microsoft.graph.user?$select={everything}")),
        ("user", format!("/groups/{group}/members/microsoft.graph.user")),
        ("licenseDetails", format!("/users/{licensed}/licenseDetails")),
        ("subscribedSku", "/subscribedSkus".to_owned()),
        ("companySubscription", "/directory/subscriptions".to_owned()),
        ("organization", "/organization".to_owned()),
        ("directoryAudit", "/auditLogs/directoryAudits".to_owned()),
    ];
    let mut faults = Vec::new();
    for (kind, entity) in entities {
        assert!(entity.get("error").is_none(), "{kind}: {entity}");
        shapes.check_object(kind, &entity, kind, &mut faults);
    }
    for (kind, target) in collections {
        let objects = lab.walk(&target);
        assert!(!objects.is_empty(), "{target} shows something");
        for object in objects {
            shapes.check_object(kind, &object, &target, &mut faults);
        }
    }
    assert_eq!(faults, Vec::<String>::new());
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
