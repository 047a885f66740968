//! Who is in a group, and in which groups somebody is: `members`, `memberOf` and what is transitive of them, cast or
//! not. Source: Graph group-list-members, group-list-memberswithlicenseerrors, user-list-memberof.

use std::sync::Arc;

use serde_json::Value as Json;

use super::call::Call;
use super::casts::{Cast, Relation};
use super::directory::User;
use super::errors::GraphError;
use super::group_query::{GROUP, GROUPS, GroupView};
use super::groups::Group;
use super::narrow::{Wanted, unknown_property};
use super::odata::query::{Entity, Place, Query, Value};
use super::odata::schema::Operator::{EndsWith, Equal, GreaterOrEqual, In, LessOrEqual, StartsWith};
use super::odata::schema::{Field, Kind, Operator, Schema};
use super::odata::{Page, count_answer, json_answer};
use super::properties::Select;
use super::tenant::Tenant;
use super::user_fields::USERS;
use super::user_json::Projection;
use crate::graph::transport::HttpResponse;
use crate::model::GroupId;

const NAMES: &[Operator] = &[Equal, GreaterOrEqual, LessOrEqual, In, StartsWith, EndsWith];

/// What a list of different things can be asked: what they have in common.
static OBJECTS: Schema = Schema {
    name: "DirectoryObject",
    fields: &[
        Field::new("id", Kind::Id, &[], &[Equal, In]),
        Field::new("displayname", Kind::Text, &[], NAMES),
        Field::new("mail", Kind::Text, &[], NAMES),
        Field::new("mailnickname", Kind::Text, &[], NAMES),
        Field::new("userprincipalname", Kind::Text, &[], NAMES),
    ],
    orders: &["displayname"],
    advanced_orders: &[],
    searched: &["displayname", "mail", "mailnickname", "userprincipalname"],
    is_directory: true,
};

/// A member of a group, or a group that somebody is a member of.
#[derive(Clone)]
pub(super) enum Object<'a> {
    User(&'a Arc<User>),
    Group(GroupView<'a>),
}

impl Object<'_> {
    /// Users come first, both in the order of their ids.
    fn key(&self) -> String {
        match self {
            Object::User(user) => format!("0{}", user.id),
            Object::Group(view) => format!("1{}", view.group.id),
        }
    }

    pub fn id(&self) -> String {
        match self {
            Object::User(user) => user.id.to_string(),
            Object::Group(view) => view.group.id.to_string(),
        }
    }

    pub fn fits(&self, cast: Cast) -> bool {
        match (self, cast) {
            (_, Cast::None) | (Object::User(_), Cast::User) | (Object::Group(_), Cast::Group) => true,
            (Object::User(_), Cast::Group | Cast::Other) | (Object::Group(_), Cast::User | Cast::Other) => {
                false
            }
        }
    }
}

impl Entity for Object<'_> {
    fn value(&self, name: &str) -> Value<'_> {
        match self {
            Object::User(user) => user.value(name),
            Object::Group(view) => view.value(name),
        }
    }
}

/// What a request wants to see of users and groups in one list.
pub(super) struct ObjectSelect {
    users: Select,
    groups: Wanted,
    cast: Cast,
}

impl ObjectSelect {
    /// A name that neither users nor groups know is a 400; with a cast that type alone decides.
    pub fn parse(text: Option<&str>, cast: Cast) -> Result<Self, GraphError> {
        let text = text.filter(|text| !text.trim().is_empty());
        let names: Vec<&str> = text.into_iter().flat_map(|text| text.split(',')).map(str::trim).collect();
        let for_users: Vec<&str> = match cast {
            Cast::None => names.iter().copied().filter(|name| Select::knows(name)).collect(),
            Cast::User => names.clone(),
            Cast::Group | Cast::Other => Vec::new(),
        };
        let for_groups: Vec<&str> = match cast {
            Cast::None => names.iter().copied().filter(|name| GROUP.knows(name)).collect(),
            Cast::Group => names.clone(),
            Cast::User | Cast::Other => Vec::new(),
        };
        let is_unknown = |name: &&&str| !for_users.contains(*name) && !for_groups.contains(*name);
        if let Some(name) = names.iter().find(is_unknown).filter(|_| cast == Cast::None) {
            return Err(unknown_property(name, "directoryObject"));
        }
        let groups = if text.is_some() && for_groups.is_empty() { vec!["id"] } else { for_groups };
        let users = if text.is_some() { Select::named(&for_users)? } else { Select::default_set() };
        Ok(Self { users, groups: Wanted::parse(Some(&groups.join(",")), &GROUP)?, cast })
    }

    pub fn json(&self, tenant: &Tenant, object: &Object<'_>) -> Json {
        let (kind, mut json) = match object {
            Object::User(user) => {
                let projection = Projection::new(user, &self.users, &tenant.switches);
                ("#microsoft.graph.user", serde_json::to_value(projection).expect("a user has text keys"))
            }
            Object::Group(view) => ("#microsoft.graph.group", tenant.group_json(view.group, &self.groups)),
        };
        if self.cast == Cast::None {
            json["@odata.type"] = kind.into();
        }
        json
    }

    fn context(&self) -> String {
        match self.cast {
            Cast::None => self.users.context("directoryObjects"),
            Cast::User => self.users.context("users"),
            Cast::Group => self.groups.context("groups"),
            Cast::Other => "directoryObjects".to_owned(),
        }
    }
}

/// What objects of this cast let themselves be asked.
fn schema(cast: Cast) -> &'static Schema {
    match cast {
        Cast::User => &USERS,
        Cast::Group => &GROUPS,
        Cast::None | Cast::Other => &OBJECTS,
    }
}

impl Tenant {
    pub(super) fn list_members(
        &self,
        call: &Call,
        id: GroupId,
        relation: Relation,
        cast: Cast,
    ) -> Result<HttpResponse, GraphError> {
        self.list_objects(call, self.members(id, relation)?, cast)
    }

    pub(super) fn count_members(
        &self,
        call: &Call,
        id: GroupId,
        relation: Relation,
        cast: Cast,
    ) -> Result<HttpResponse, GraphError> {
        count_objects(call, self.members(id, relation)?, cast)
    }

    pub(super) fn list_members_with_errors(
        &self,
        call: &Call,
        id: GroupId,
    ) -> Result<HttpResponse, GraphError> {
        self.list_objects(call, self.failed_members(self.group(id)?), Cast::None)
    }

    /// For whom a licence failed on its way through this group.
    pub(super) fn failed_members(&self, group: &Group) -> Vec<Object<'_>> {
        let members = group.members.iter().filter_map(|user| self.directory.live(*user));
        members.filter(|user| user.has_failed_through(group.id)).map(Object::User).collect()
    }

    pub(super) fn list_member_of(
        &self,
        call: &Call,
        user: &str,
        relation: Relation,
        cast: Cast,
    ) -> Result<HttpResponse, GraphError> {
        let user = self.visible_user(call, user)?;
        self.list_objects(call, self.groups_of(&user, relation), cast)
    }

    pub(super) fn count_member_of(
        &self,
        call: &Call,
        user: &str,
        relation: Relation,
        cast: Cast,
    ) -> Result<HttpResponse, GraphError> {
        let user = self.visible_user(call, user)?;
        count_objects(call, self.groups_of(&user, relation), cast)
    }

    /// In the order of their keys.
    pub(super) fn members(&self, id: GroupId, relation: Relation) -> Result<Vec<Object<'_>>, GraphError> {
        let group = self.group(id)?;
        let (users, groups) = match relation {
            Relation::Direct => (group.members.clone(), group.nested.clone()),
            Relation::Transitive => (self.groups.transitive_members(id), self.groups.below(id)),
        };
        let users = users.iter().filter_map(|user| self.directory.live(*user)).map(Object::User);
        let nested = groups.iter().filter(|inner| **inner != id).filter_map(|inner| self.groups.get(*inner));
        Ok(users.chain(nested.map(|inner| Object::Group(self.view(inner)))).collect())
    }

    /// The groups that a live user is in, in the order of their ids.
    pub(super) fn groups_of(&self, user: &User, relation: Relation) -> Vec<Object<'_>> {
        if user.deleted_at.is_some() {
            return Vec::new();
        }
        let is_in = |id: GroupId| match relation {
            Relation::Direct => user.groups.contains(&id),
            Relation::Transitive => self.groups.is_transitive_member(id, &user.groups),
        };
        let groups = self.groups.by_id.values().filter(|group| is_in(group.id));
        groups.map(|group| Object::Group(self.view(group))).collect()
    }

    /// The groups that a group is in, in the order of their ids.
    pub(super) fn groups_around(&self, inner: GroupId, relation: Relation) -> Vec<Object<'_>> {
        let is_around = |group: &&Group| match relation {
            Relation::Direct => group.nested.contains(&inner),
            Relation::Transitive => group.id != inner && self.groups.below(group.id).contains(&inner),
        };
        let groups = self.groups.by_id.values().filter(is_around);
        groups.map(|group| Object::Group(self.view(group))).collect()
    }

    fn list_objects(
        &self,
        call: &Call,
        objects: Vec<Object<'_>>,
        cast: Cast,
    ) -> Result<HttpResponse, GraphError> {
        Ok(json_answer(200, &self.page_of_objects(call, objects, cast)?))
    }

    pub(super) fn page_of_objects(
        &self,
        call: &Call,
        objects: Vec<Object<'_>>,
        cast: Cast,
    ) -> Result<Page<Json>, GraphError> {
        let select = ObjectSelect::parse(call.option("select"), cast)?;
        let query = Query::read(call, schema(cast), Place::Relation)?;
        let all = objects.into_iter().filter(|object| object.fits(cast));
        let shown = query.page(call, &self.switches, all, Object::key)?;
        Ok(Page {
            context: call.context(&select.context()),
            count: shown.count,
            next_link: shown.next_link,
            delta_link: None,
            value: shown.objects.iter().map(|object| select.json(self, object)).collect(),
        })
    }
}

fn count_objects(call: &Call, objects: Vec<Object<'_>>, cast: Cast) -> Result<HttpResponse, GraphError> {
    let query = Query::read_count(call, schema(cast))?;
    let all = objects.into_iter().filter(|object| object.fits(cast));
    Ok(count_answer(all.filter(|object| query.wants(object)).count()))
}
