//! Entries of the directory's audit log (Graph: directoryAudit).

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::model::{Actor, ActorKind, SkuId, Timestamp};

use super::super::error::tame;
use super::{Decoded, Entries, Page, page};

/// One entry, as far as it concerns licences and accounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audit {
    pub at: Timestamp,
    pub activity: String,
    pub has_succeeded: bool,
    pub by: Option<Actor>,
    pub targets: Vec<AuditTarget>,
}

/// What it was done to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditTarget {
    pub id: String,
    /// Ids that stood in the licences before and do not stand there after, where the entry shows them: products, and
    /// whatever else is written there.
    pub removed: BTreeSet<SkuId>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AuditWire {
    activity_date_time: String,
    activity_display_name: Option<String>,
    result: Option<String>,
    initiated_by: Option<InitiatorWire>,
    target_resources: Option<Entries<TargetWire>>,
}

#[derive(Deserialize)]
struct InitiatorWire {
    user: Option<PersonWire>,
    app: Option<ApplicationWire>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PersonWire {
    id: Option<String>,
    user_principal_name: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ApplicationWire {
    app_id: Option<String>,
    display_name: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TargetWire {
    id: Option<String>,
    modified_properties: Option<Entries<ModifiedWire>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ModifiedWire {
    display_name: Option<String>,
    old_value: Option<String>,
    new_value: Option<String>,
}

pub(in super::super) fn decode_audits(body: &[u8]) -> Decoded<Page<Audit>> {
    page(body, |wire: AuditWire| {
        let at = Timestamp::parse(&wire.activity_date_time);
        Ok(Audit {
            at: at.ok_or_else(|| "an entry without a readable time".to_owned())?,
            activity: tame(&wire.activity_display_name.unwrap_or_default()),
            has_succeeded: wire.result.is_none_or(|result| result.eq_ignore_ascii_case("success")),
            by: wire.initiated_by.and_then(InitiatorWire::into_actor),
            targets: wire
                .target_resources
                .into_iter()
                .flatten()
                .filter_map(TargetWire::into_target)
                .collect(),
        })
    })
}

impl InitiatorWire {
    fn into_actor(self) -> Option<Actor> {
        let person = self.user.and_then(|user| user.user_principal_name.or(user.id));
        let application = || self.app.and_then(|app| app.display_name.or(app.app_id));
        let (kind, name) = match person {
            Some(name) => (ActorKind::User, name),
            None => (ActorKind::Application, application()?),
        };
        Some(Actor { kind, name: tame(&name) })
    }
}

impl TargetWire {
    fn into_target(self) -> Option<AuditTarget> {
        let licences = self.modified_properties.into_iter().flatten();
        let licences = licences.filter(|property| {
            let name = property.display_name.as_deref().unwrap_or_default();
            name.to_ascii_lowercase().contains("assignedlicense")
        });
        let mut removed = BTreeSet::new();
        for property in licences {
            let [before, after] = [property.old_value, property.new_value].map(|value| ids(value.as_deref()));
            removed.extend(before.difference(&after));
        }
        Some(AuditTarget { id: self.id?, removed })
    }
}

/// Every GUID in the text. Its form varies (JSON in a string, `[SkuName=.., SkuId=..]` in a string), the ids do not.
fn ids(text: Option<&str>) -> BTreeSet<SkuId> {
    let text = text.unwrap_or_default();
    let words = text.split(|char: char| !char.is_ascii_hexdigit() && char != '-');
    words.filter(|word| word.len() == 36).filter_map(|word| word.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const E3: &str = "05e9a617-0261-4cee-bb44-138d3ef5d965";
    const OTHER: &str = "f30db892-07e9-47e9-837c-80727f46fd3d";

    fn decoded(properties: &str, by: &str) -> Audit {
        let body = format!(
            r#"{{"value":[{{"id":"Directory_1","category":"UserManagement","result":"success",
            "activityDisplayName":"Change user license","activityDateTime":"2026-11-20T08:02:00.1234567Z",
            "initiatedBy":{by},"targetResources":[{{"id":"7","type":"User","modifiedProperties":[{properties}]}}]}}]}}"#
        );
        decode_audits(body.as_bytes()).expect("decoded").items.remove(0)
    }

    #[test]
    fn what_was_taken_away_is_what_stood_there_before_and_not_after() {
        let entra = format!(
            r#"{{"displayName":"AssignedLicense",
            "oldValue":"[\"[SkuName=SPE_E3, AccountId=9d1c7f3e-3f43-4a52-9a35-0d2c55f1a001, SkuId={E3}, DisabledPlans=[]]\",\"[SkuName=FLOW_FREE, AccountId=9d1c7f3e-3f43-4a52-9a35-0d2c55f1a001, SkuId={OTHER}, DisabledPlans=[]]\"]",
            "newValue":"[\"[SkuName=FLOW_FREE, AccountId=9d1c7f3e-3f43-4a52-9a35-0d2c55f1a001, SkuId={OTHER}, DisabledPlans=[]]\"]"}}"#
        );
        let audit = decoded(&entra, r#"{"user":{"userPrincipalName":"admin@contoso.com"},"app":null}"#);
        assert_eq!(audit.targets[0].removed, BTreeSet::from([E3.parse().expect("an id")]));
        let by = audit.by.expect("somebody");
        assert_eq!((by.kind, by.name.as_str()), (ActorKind::User, "admin@contoso.com"));
        assert!(audit.has_succeeded);
        let same = entra.replace("\"newValue\":\"[", &format!("\"newValue\":\"[\\\"{E3}\\\","));
        assert!(decoded(&same, "null").targets[0].removed.is_empty(), "the same products before and after");
    }

    #[test]
    fn whoever_is_not_named_is_nobody_and_long_names_are_cut() {
        assert_eq!(decoded("", "null").by, None);
        assert_eq!(decoded("", r#"{"user":null,"app":{"appId":null}}"#).by, None);
        let long = format!(r#"{{"app":{{"displayName":"{}\u001b[31m"}}}}"#, "x".repeat(5_000));
        let name = decoded("", &long).by.expect("an application").name;
        assert!(name.chars().count() <= 501 && !name.contains('\u{1b}'), "{}", name.len());
    }
}
