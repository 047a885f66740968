//! `/groups`: lists, counts and single groups, what they let themselves be asked, and their JSON. Source: Graph's group
//! resource.

use serde_json::{Value as Json, json};

use super::call::Call;
use super::errors::GraphError;
use super::expand::Expansion;
use super::groups::{Group, Membership};
use super::narrow::{Type, Wanted};
use super::odata::query::{Entity, Place, Query, Value};
use super::odata::schema::Operator::{EndsWith, Equal, GreaterOrEqual, In, LessOrEqual, Null, StartsWith};
use super::odata::schema::{Field, Kind, Operator, Schema};
use super::odata::{Entity as Single, Page, count_answer, json_answer};
use super::tenant::Tenant;
use crate::graph::transport::HttpResponse;
use crate::model::GroupId;

const NONE: &[Operator] = &[];
const NULL: &[Operator] = &[Null];
const NAMES: &[Operator] = &[Equal, GreaterOrEqual, LessOrEqual, In, StartsWith];

const FIELDS: &[Field] = &[
    Field::new("id", Kind::Id, &[Equal, In], NONE),
    Field::new("displayname", Kind::Text, NAMES, NULL),
    Field::new("description", Kind::Text, &[Equal, GreaterOrEqual, LessOrEqual, StartsWith], NONE),
    Field::new("mail", Kind::Text, NAMES, &[Null]),
    Field::new("mailnickname", Kind::Text, NAMES, NONE),
    Field::new("mailenabled", Kind::Flag, &[Equal], NONE),
    Field::new("securityenabled", Kind::Flag, &[Equal, In], NONE),
    Field::new("membershiprule", Kind::Text, &[Equal, GreaterOrEqual, LessOrEqual, StartsWith], NONE),
    Field::new("membershipruleprocessingstate", Kind::Text, &[Equal, In], NONE),
    Field::new("onpremisessyncenabled", Kind::Flag, &[Equal, In], NULL),
    Field::new("isassignabletorole", Kind::Flag, &[Equal], NONE),
    Field::new("hasmemberswithlicenseerrors", Kind::Flag, &[Equal], NONE),
    Field::new("createddatetime", Kind::Time, &[Equal, GreaterOrEqual, LessOrEqual], &[In]),
    Field::new("deleteddatetime", Kind::Time, &[Equal, GreaterOrEqual, LessOrEqual], &[In]),
    Field::new("grouptypes", Kind::Texts, &[Equal], NONE),
    Field::new("assignedlicenses", Kind::Objects(&["skuid"]), &[Equal], NONE),
    Field::new("proxyaddresses", Kind::Texts, &[Equal, GreaterOrEqual, LessOrEqual, StartsWith], &[EndsWith]),
];

pub(super) static GROUPS: Schema = Schema {
    name: "Group",
    fields: FIELDS,
    orders: &["displayname"],
    advanced_orders: &["createddatetime", "deleteddatetime"],
    searched: &["displayname", "description", "mail", "mailnickname", "proxyaddresses"],
    is_directory: true,
};

/// What comes unasked, and what else can be selected. Graph: group resource.
pub(super) const GROUP: Type = Type {
    name: "group",
    default: &[
        "id",
        "deletedDateTime",
        "classification",
        "createdDateTime",
        "description",
        "displayName",
        "expirationDateTime",
        "groupTypes",
        "isAssignableToRole",
        "mail",
        "mailEnabled",
        "mailNickname",
        "membershipRule",
        "membershipRuleProcessingState",
        "onPremisesDomainName",
        "onPremisesLastSyncDateTime",
        "onPremisesNetBiosName",
        "onPremisesSamAccountName",
        "onPremisesSecurityIdentifier",
        "onPremisesSyncEnabled",
        "preferredDataLocation",
        "preferredLanguage",
        "proxyAddresses",
        "renewedDateTime",
        "resourceBehaviorOptions",
        "resourceProvisioningOptions",
        "securityEnabled",
        "securityIdentifier",
        "theme",
        "uniqueName",
        "visibility",
        "onPremisesProvisioningErrors",
        "serviceProvisioningErrors",
    ],
    selectable: &[
        "assignedLabels",
        "assignedLicenses",
        "hasMembersWithLicenseErrors",
        "isManagementRestricted",
        "licenseProcessingState",
    ],
    empty: &[
        "assignedLabels",
        "onPremisesProvisioningErrors",
        "proxyAddresses",
        "resourceBehaviorOptions",
        "resourceProvisioningOptions",
        "serviceProvisioningErrors",
    ],
};

/// A group with the tenant around it: whether members have errors is a question to the members.
#[derive(Clone, Copy)]
pub(super) struct GroupView<'a> {
    pub group: &'a Group,
    pub tenant: &'a Tenant,
}

impl Entity for GroupView<'_> {
    fn value(&self, name: &str) -> Value<'_> {
        let group = self.group;
        match name {
            "id" => Value::Text(group.id.to_string().into()),
            "displayname" => Value::text(&group.name),
            "mailnickname" => Value::Text(group.mail_nickname().into()),
            "description" => Value::optional(group.kept.get("description").and_then(Json::as_str)),
            "mailenabled" => Value::Flag(false),
            "securityenabled" => Value::Flag(true),
            "membershiprule" => Value::optional(group.rule()),
            "membershipruleprocessingstate" => Value::optional(group.rule().map(|_| "On")),
            "onpremisessyncenabled" if group.membership == Membership::Synced => Value::Flag(true),
            "hasmemberswithlicenseerrors" => Value::Flag(self.tenant.has_licence_errors(group)),
            "createddatetime" => Value::Time(group.created_at),
            "grouptypes" => Value::texts(group.types()),
            "assignedlicenses" => {
                let held = group.licences.iter();
                Value::Objects(held.map(|(sku, _)| vec![("skuid", sku.to_string())]).collect())
            }
            "proxyaddresses" => Value::Texts(Vec::new()),
            _ => Value::Null,
        }
    }
}

impl Group {
    /// As it was written, or the id.
    fn mail_nickname(&self) -> String {
        let written = self.kept.get("mailNickname").and_then(Json::as_str);
        written.map_or_else(|| self.id.simple(), str::to_owned)
    }

    fn rule(&self) -> Option<&str> {
        match &self.membership {
            Membership::Dynamic(rule) => Some(rule),
            Membership::Assigned | Membership::Synced => None,
        }
    }

    fn types(&self) -> &'static [&'static str] {
        match self.membership {
            Membership::Dynamic(_) => &["DynamicMembership"],
            Membership::Assigned | Membership::Synced => &[],
        }
    }

    /// `S-1-12-1-` and the object id as four numbers.
    fn security_identifier(&self) -> String {
        let id = uuid::Uuid::parse_str(&self.id.to_string()).map(|id| id.to_bytes_le()).unwrap_or_default();
        let numbers = id
            .chunks_exact(4)
            .map(|part| part.iter().rev().fold(0_u32, |all, byte| all << 8 | u32::from(*byte)));
        numbers.fold("S-1-12-1".to_owned(), |text, number| format!("{text}-{number}"))
    }
}

impl Tenant {
    pub(super) fn view<'a>(&'a self, group: &'a Group) -> GroupView<'a> {
        GroupView { group, tenant: self }
    }

    /// Members for whom a licence failed on its way through this group.
    pub(super) fn has_licence_errors(&self, group: &Group) -> bool {
        let mut members = group.members.iter().filter_map(|id| self.directory.live(*id));
        members.any(|user| user.has_failed_through(group.id))
    }

    /// A group with what is wanted of it.
    pub(super) fn group_json(&self, group: &Group, wanted: &Wanted) -> Json {
        let licence = |(sku, disabled): &(crate::model::SkuId, Vec<crate::model::PlanId>)| json!({"skuId": sku.to_string(), "disabledPlans": disabled});
        let state = if group.is_processing { "QueuedForProcessing" } else { "ProcessingComplete" };
        // All members are asked for this one.
        let has_errors = wanted.has("hasMembersWithLicenseErrors").then(|| self.has_licence_errors(group));
        let mut object = json!({
            "id": group.id.to_string(), "displayName": group.name,
            "groupTypes": group.types(), "mailEnabled": false,
            "mailNickname": group.mail_nickname(), "securityEnabled": true,
            "assignedLicenses": group.licences.iter().map(licence).collect::<Vec<_>>(),
            "hasMembersWithLicenseErrors": has_errors,
            "licenseProcessingState": {"state": state},
            "onPremisesSyncEnabled": (group.membership == Membership::Synced).then_some(true),
            "membershipRule": group.rule(), "membershipRuleProcessingState": group.rule().map(|_| "On"),
            "createdDateTime": group.created_at.to_string(), "securityIdentifier": group.security_identifier(),
        });
        for (name, value) in &group.kept {
            object[name] = value.clone();
        }
        wanted.of(object)
    }

    pub(super) fn list_groups(&self, call: &Call) -> Result<HttpResponse, GraphError> {
        let wanted = Wanted::read(call, &GROUP)?;
        let expansion = Expansion::of_groups(call)?;
        let query = Query::read(call, &GROUPS, Place::Set)?;
        let all = self.groups.by_id.values().map(|group| self.view(group));
        let shown = query.page(call, &self.switches, all, |view| view.group.id.to_string())?;
        let object = |view: &GroupView<'_>| {
            let mut object = self.group_json(view.group, &wanted);
            expansion.add_of_group(self, view.group, &mut object);
            object
        };
        let page = Page {
            context: call.context(&wanted.context("groups")),
            count: shown.count,
            next_link: shown.next_link,
            delta_link: None,
            value: shown.objects.iter().map(object).collect::<Vec<_>>(),
        };
        Ok(json_answer(200, &page))
    }

    pub(super) fn count_groups(&self, call: &Call) -> Result<HttpResponse, GraphError> {
        let query = Query::read_count(call, &GROUPS)?;
        let all = self.groups.by_id.values().map(|group| self.view(group));
        Ok(count_answer(all.filter(|view| query.wants(view)).count()))
    }

    pub(super) fn get_group(&self, call: &Call, id: GroupId) -> Result<HttpResponse, GraphError> {
        let group = self.group(id)?;
        let wanted = Wanted::read(call, &GROUP)?;
        let mut entity = self.group_json(group, &wanted);
        Expansion::of_groups(call)?.add_of_group(self, group, &mut entity);
        let context = call.context(&format!("{}/$entity", wanted.context("groups")));
        Ok(json_answer(200, &Single { context, entity }))
    }
}
