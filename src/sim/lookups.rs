//! What is asked of one object besides its lists: a single property, the object itself whatever it is, what it is a
//! member of, who owns it; and two actions on users. Sources: OData 4.0 protocol, sections 11.2.3 to 11.2.7, and the
//! operations' own pages of Graph.

use serde::Deserialize;
use serde_json::{Value, json};

use super::call::Call;
use super::casts::{Cast, Relation};
use super::errors::GraphError;
use super::expand::{EMPTY_OF_GROUPS, EMPTY_OF_USERS};
use super::members::{Object, ObjectSelect};
use super::not_modelled;
use super::odata::{Entity, Page, json_answer};
use super::operation::{get, post};
use super::properties::Select;
use super::tenant::Tenant;
use super::user_json::Projection;
use crate::graph::transport::{HttpResponse, Method};
use crate::model::GroupId;

/// One of them. A user key is an object id or a user principal name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Lookup {
    /// `users/{key}/{property}`; raw with `/$value`.
    UserProperty {
        user: String,
        property: &'static str,
        is_raw: bool,
    },
    MemberReferences(GroupId),
    /// What nobody in this tenant has anything in, such as `directReports` of a user.
    NothingOfUser(String),
    /// The same of groups, such as `owners`.
    NothingOfGroup(GroupId),
    /// `groups/{id}/memberOf`, and `transitiveMemberOf`.
    GroupMemberOf(GroupId, Relation, Cast),
    /// `directoryObjects/{id}`.
    Object(String),
    ObjectsByIds,
    /// `getMemberGroups`, `getMemberObjects`.
    MemberObjects {
        user: String,
        action: &'static str,
    },
    CheckMemberObjects(String),
    RevokeSessions(String),
    RetryProvisioning(String),
}

impl Lookup {
    /// `None` for what is none of them.
    pub fn of_user(method: Method, user: &str, rest: &[&str]) -> Option<Result<Self, GraphError>> {
        let user = user.to_owned();
        let action = match rest {
            [name] => name.strip_prefix("microsoft.graph.").unwrap_or(name).to_ascii_lowercase(),
            _ => String::new(),
        };
        let action = match action.as_str() {
            "getmembergroups" => Some(Self::MemberObjects { user: user.clone(), action: "getMemberGroups" }),
            "getmemberobjects" => {
                Some(Self::MemberObjects { user: user.clone(), action: "getMemberObjects" })
            }
            "checkmemberobjects" => Some(Self::CheckMemberObjects(user.clone())),
            "revokesigninsessions" => Some(Self::RevokeSessions(user.clone())),
            "retryserviceprovisioning" => Some(Self::RetryProvisioning(user.clone())),
            _ => None,
        };
        if let Some(action) = action {
            return Some(post(method, action));
        }
        match rest {
            [name, casts @ ..] if is_among(&EMPTY_OF_USERS, name) && Cast::of_relation(casts).is_some() => {
                Some(get(method, Self::NothingOfUser(user)))
            }
            [name] => {
                let property = Select::find(name)?;
                Some(get(method, Self::UserProperty { user, property, is_raw: false }))
            }
            [name, "$value"] => {
                let property = Select::find(name)?;
                Some(get(method, Self::UserProperty { user, property, is_raw: true }))
            }
            _ => None,
        }
    }

    /// Below a group.
    pub fn of_group(method: Method, group: GroupId, rest: &[&str]) -> Option<Result<Self, GraphError>> {
        let (name, casts) = rest.split_first()?;
        let (cast, is_count) = Cast::of_relation(casts)?;
        let relation = match *name {
            "memberOf" => Relation::Direct,
            "transitiveMemberOf" => Relation::Transitive,
            name if is_among(&EMPTY_OF_GROUPS, name) && !is_count => {
                return Some(get(method, Self::NothingOfGroup(group)));
            }
            _ => return None,
        };
        (!is_count).then(|| get(method, Self::GroupMemberOf(group, relation, cast)))
    }

    /// Below `directoryObjects`.
    pub fn of_objects(method: Method, rest: &[&str]) -> Option<Result<Self, GraphError>> {
        match rest {
            ["getByIds" | "microsoft.graph.getByIds"] => Some(post(method, Self::ObjectsByIds)),
            [action @ ("getAvailableExtensionProperties" | "validateProperties")] => {
                Some(Err(not_modelled::named(action)))
            }
            [id] => Some(get(method, Self::Object((*id).to_owned()))),
            _ => None,
        }
    }

    pub fn is_write(&self) -> bool {
        match self {
            Self::RevokeSessions(_) | Self::RetryProvisioning(_) => true,
            Self::UserProperty { .. }
            | Self::MemberReferences(_)
            | Self::NothingOfUser(_)
            | Self::NothingOfGroup(_)
            | Self::GroupMemberOf(..)
            | Self::Object(_)
            | Self::ObjectsByIds
            | Self::MemberObjects { .. }
            | Self::CheckMemberObjects(_) => false,
        }
    }

    /// Any one of these permissions suffices.
    pub fn accepted(&self) -> &'static [&'static str] {
        match self {
            Self::UserProperty { .. } | Self::NothingOfUser(_) => super::permissions::READ_USERS,
            Self::MemberReferences(_) => super::permissions::READ_MEMBERS,
            Self::NothingOfGroup(_) | Self::GroupMemberOf(..) => {
                &["GroupMember.Read.All", "Group.Read.All", "Group.ReadWrite.All", "Directory.Read.All"]
            }
            Self::Object(_) | Self::ObjectsByIds => &["Directory.Read.All", "Directory.ReadWrite.All"],
            Self::MemberObjects { .. } | Self::CheckMemberObjects(_) => {
                &["User.Read.All", "User.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"]
            }
            Self::RevokeSessions(_) => {
                &["User.RevokeSessions.All", "User.ReadWrite.All", "Directory.ReadWrite.All"]
            }
            Self::RetryProvisioning(_) => &["User.ReadWrite.All", "Directory.ReadWrite.All"],
        }
    }

    /// The query options.
    pub fn taken(&self) -> &'static [&'static str] {
        match self {
            Self::Object(_) => &["select"],
            Self::MemberReferences(_)
            | Self::NothingOfUser(_)
            | Self::NothingOfGroup(_)
            | Self::GroupMemberOf(..) => super::query_options::RELATION,
            Self::UserProperty { .. }
            | Self::ObjectsByIds
            | Self::MemberObjects { .. }
            | Self::CheckMemberObjects(_)
            | Self::RevokeSessions(_)
            | Self::RetryProvisioning(_) => &[],
        }
    }
}

impl Tenant {
    pub(super) fn look_up(&self, call: &Call, lookup: &Lookup) -> Result<HttpResponse, GraphError> {
        match lookup {
            Lookup::UserProperty { user, property, is_raw } => {
                self.user_property(call, user, property, *is_raw)
            }
            Lookup::MemberReferences(group) => self.member_references(call, *group),
            Lookup::NothingOfUser(user) => {
                self.visible_user(call, user)?;
                Ok(json_answer(200, &self.page_of_objects(call, Vec::new(), Cast::None)?))
            }
            Lookup::NothingOfGroup(group) => {
                self.group(*group)?;
                Ok(json_answer(200, &self.page_of_objects(call, Vec::new(), Cast::None)?))
            }
            Lookup::GroupMemberOf(group, relation, cast) => {
                self.group(*group)?;
                Ok(json_answer(
                    200,
                    &self.page_of_objects(call, self.groups_around(*group, *relation), *cast)?,
                ))
            }
            Lookup::Object(id) => self.get_object(call, id),
            Lookup::ObjectsByIds => self.objects_by_ids(call),
            Lookup::MemberObjects { user, action } => self.member_objects(call, user, action),
            Lookup::CheckMemberObjects(user) => self.check_member_objects(call, user),
            Lookup::RevokeSessions(user) => {
                self.live_id(user)?;
                let context = call.context("Edm.Boolean");
                Ok(json_answer(200, &json!({"@odata.context": context, "value": true})))
            }
            Lookup::RetryProvisioning(user) => self.live_id(user).map(|_| HttpResponse::new(204)),
        }
    }

    fn object(&self, call: &Call, id: &str) -> Option<Object<'_>> {
        let group = id.parse().ok().and_then(|id| self.groups.get(id));
        let user = || self.directory.version_at(id.parse().ok()?, call.view.as_of);
        group.map(|group| Object::Group(self.view(group))).or_else(|| user().map(Object::User))
    }

    /// Graph: directoryobject-get.
    fn get_object(&self, call: &Call, id: &str) -> Result<HttpResponse, GraphError> {
        let select = ObjectSelect::parse(call.option("select"), Cast::None)?;
        let object = self.object(call, id).ok_or_else(|| GraphError::not_found(id))?;
        let context = call.context("directoryObjects/$entity");
        Ok(json_answer(200, &Entity { context, entity: select.json(self, &object) }))
    }

    /// What there is of these, in their order. Graph: directoryobject-getbyids.
    fn objects_by_ids(&self, call: &Call) -> Result<HttpResponse, GraphError> {
        #[derive(Deserialize)]
        struct Body {
            ids: Option<Vec<String>>,
            types: Option<Vec<String>>,
        }
        let body: Body = call.parameters("getByIds", &["ids", "types"])?;
        let ids = body.ids.ok_or_else(|| missing("getByIds", "ids"))?;
        if ids.len() > MOST_IDS {
            return Err(GraphError::bad_request(format!(
                "The number of ids exceeds the limit of {MOST_IDS}."
            )));
        }
        let is_wanted = |object: &Object<'_>| {
            let kind = if object.fits(Cast::User) { "user" } else { "group" };
            let names = |name: &String| {
                name.eq_ignore_ascii_case(kind) || name.eq_ignore_ascii_case("directoryObject")
            };
            body.types.as_ref().is_none_or(|types| types.is_empty() || types.iter().any(names))
        };
        let select = ObjectSelect::parse(None, Cast::None)?;
        let objects = ids.iter().filter_map(|id| self.object(call, id)).filter(is_wanted);
        let value: Vec<Value> = objects.map(|object| select.json(self, &object)).collect();
        Ok(json_answer(200, &Page::whole(call.context("directoryObjects"), value)))
    }

    /// Every group here is a security group. Graph: directoryobject-getmembergroups, -getmemberobjects.
    fn member_objects(
        &self,
        call: &Call,
        user: &str,
        action: &'static str,
    ) -> Result<HttpResponse, GraphError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Body {
            security_enabled_only: Option<bool>,
        }
        let body: Body = call.parameters(action, &["securityEnabledOnly"])?;
        body.security_enabled_only.ok_or_else(|| missing(action, "securityEnabledOnly"))?;
        let user = self.visible_user(call, user)?;
        let ids = self.groups_of(&user, Relation::Transitive);
        Ok(collection(call, ids.iter().map(Object::id).collect()))
    }

    /// Graph: directoryobject-checkmemberobjects.
    fn check_member_objects(&self, call: &Call, user: &str) -> Result<HttpResponse, GraphError> {
        #[derive(Deserialize)]
        struct Body {
            ids: Option<Vec<String>>,
        }
        let body: Body = call.parameters("checkMemberObjects", &["ids"])?;
        let ids = body.ids.ok_or_else(|| missing("checkMemberObjects", "ids"))?;
        if ids.len() > MOST_CHECKED {
            let text = format!("The number of ids exceeds the limit of {MOST_CHECKED}.");
            return Err(GraphError::bad_request(text));
        }
        let user = self.visible_user(call, user)?;
        let held: Vec<String> = self.groups_of(&user, Relation::Transitive).iter().map(Object::id).collect();
        let found = ids.into_iter().filter(|id| held.iter().any(|held| held.eq_ignore_ascii_case(id)));
        Ok(collection(call, found.collect()))
    }

    /// A property without a value is no content.
    fn user_property(
        &self,
        call: &Call,
        key: &str,
        property: &'static str,
        is_raw: bool,
    ) -> Result<HttpResponse, GraphError> {
        let user = self.visible_user(call, key)?;
        let select = Select::named(&[property])?;
        let projection = Projection::new(&user, &select, &self.switches);
        let object = serde_json::to_value(projection).expect("a user has text keys");
        let value = object.get(property).cloned().unwrap_or_default();
        let text = match &value {
            Value::Null => return Ok(HttpResponse::new(204)),
            Value::String(text) => Some(text.clone()),
            Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
            Value::Array(_) | Value::Object(_) => None,
        };
        if !is_raw {
            let context = call.context(&format!("users('{}')/{property}", user.id));
            return Ok(json_answer(200, &json!({"@odata.context": context, "value": value})));
        }
        let text = text.ok_or_else(|| {
            GraphError::new(
                400,
                "BadRequest",
                format!("The raw value of '{property}' cannot be had: it is not a primitive property."),
            )
        })?;
        let mut response = HttpResponse::new(200).with_header("content-type", "text/plain");
        response.body = text.into_bytes();
        Ok(response)
    }

    fn member_references(&self, call: &Call, group: GroupId) -> Result<HttpResponse, GraphError> {
        let members = self.members(group, Relation::Direct)?;
        let mut page = self.page_of_objects(call, members, Cast::None)?;
        page.context = call.context("Collection($ref)");
        for member in &mut page.value {
            let id = member["id"].as_str().unwrap_or_default();
            *member = json!({"@odata.id": call.link(&format!("directoryObjects/{id}"))});
        }
        Ok(json_answer(200, &page))
    }
}

fn is_among(names: &[&str], name: &str) -> bool {
    names.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// Graph: directoryobject-getbyids.
const MOST_IDS: usize = 1000;
/// Graph: directoryobject-checkmemberobjects.
const MOST_CHECKED: usize = 20;

fn collection(call: &Call, ids: Vec<String>) -> HttpResponse {
    json_answer(200, &Page::whole(call.context("Collection(Edm.String)"), ids))
}

fn missing(action: &str, parameter: &str) -> GraphError {
    GraphError::bad_request(format!(
        "One or more parameters of the operation '{action}' are missing from the request payload. The missing parameters \
         are: {parameter}."
    ))
}

/// The key in a reference: `https://graph.microsoft.com/v1.0/directoryObjects/{id}`, or `directoryObjects('{id}')`.
pub(super) fn referenced(reference: &str) -> &str {
    let last = reference.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let keyed = last.strip_suffix("')").and_then(|rest| rest.split_once("('"));
    keyed.map_or(last, |(_, key)| key)
}
