//! `$expand` on users and groups: one relation, at most twenty objects of it, as Graph gives. Source:
//! https://learn.microsoft.com/graph/query-parameters, where the limit for directory objects is named.

use serde_json::{Value, json};

use super::call::Call;
use super::casts::{Cast, Relation};
use super::directory::User;
use super::errors::GraphError;
use super::groups::Group;
use super::members::{Object, ObjectSelect};
use super::narrow::unknown_property;
use super::tenant::Tenant;

const LARGEST: usize = 20;

/// Relations of users that nobody in this tenant has anything in.
pub(super) const EMPTY_OF_USERS: [&str; 6] = [
    "directReports",
    "ownedObjects",
    "ownedDevices",
    "registeredDevices",
    "createdObjects",
    "transitiveReports",
];

/// The same of groups.
pub(super) const EMPTY_OF_GROUPS: [&str; 2] = ["owners", "appRoleAssignments"];

/// What besides its properties an object comes with.
pub(super) struct Expansion(Option<(Expanded, ObjectSelect)>);

#[derive(Clone, Copy)]
enum Expanded {
    /// Nobody has one, and Graph leaves out what is not there.
    Manager,
    Empty(&'static str),
    MemberOf(Relation),
    Members(Relation),
    MembersWithErrors,
}

impl Expansion {
    pub fn of_users(call: &Call) -> Result<Self, GraphError> {
        Self::read(call, "user", |name| match name.to_ascii_lowercase().as_str() {
            "manager" => Some(Expanded::Manager),
            "memberof" => Some(Expanded::MemberOf(Relation::Direct)),
            "transitivememberof" => Some(Expanded::MemberOf(Relation::Transitive)),
            _ => find(&EMPTY_OF_USERS, name),
        })
    }

    pub fn of_groups(call: &Call) -> Result<Self, GraphError> {
        Self::read(call, "group", |name| match name.to_ascii_lowercase().as_str() {
            "members" => Some(Expanded::Members(Relation::Direct)),
            "transitivemembers" => Some(Expanded::Members(Relation::Transitive)),
            "memberswithlicenseerrors" => Some(Expanded::MembersWithErrors),
            _ => find(&EMPTY_OF_GROUPS, name),
        })
    }

    fn read(call: &Call, kind: &str, known: impl Fn(&str) -> Option<Expanded>) -> Result<Self, GraphError> {
        let Some(text) = call.option("expand") else { return Ok(Self(None)) };
        if call.is_advanced() || call.has_option("search") {
            return Err(GraphError::unsupported_query(
                "$expand is not supported together with advanced queries.",
            ));
        }
        let (name, options) = match text.trim().split_once('(') {
            Some((name, rest)) => (name, rest.strip_suffix(')')),
            None => (text.trim(), Some("")),
        };
        let (Some(options), false) = (options, name.contains(',')) else {
            return Err(GraphError::bad_request("Only one property can be expanded in a single query."));
        };
        let expanded = known(name).ok_or_else(|| unknown_property(name, kind))?;
        let select = match options.split_once('=') {
            None if options.is_empty() => None,
            Some((option, names))
                if option.trim().trim_start_matches('$') == "select" && !names.contains(';') =>
            {
                Some(names)
            }
            Some(_) | None => {
                return Err(GraphError::bad_request(format!(
                    "The options '{options}' are not supported within $expand."
                )));
            }
        };
        Ok(Self(Some((expanded, ObjectSelect::parse(select, Cast::None)?))))
    }

    /// The member to add to a user's JSON.
    pub fn of_user(&self, tenant: &Tenant, user: &User) -> Option<(&'static str, Value)> {
        let (expanded, select) = self.0.as_ref()?;
        let list = |objects: Vec<Object<'_>>| shown(tenant, select, objects);
        match expanded {
            Expanded::Manager | Expanded::Members(_) | Expanded::MembersWithErrors => None,
            Expanded::Empty(name) => Some((name, json!([]))),
            Expanded::MemberOf(Relation::Direct) => {
                Some(("memberOf", list(tenant.groups_of(user, Relation::Direct))))
            }
            Expanded::MemberOf(Relation::Transitive) => {
                Some(("transitiveMemberOf", list(tenant.groups_of(user, Relation::Transitive))))
            }
        }
    }

    pub fn add_of_group(&self, tenant: &Tenant, group: &Group, object: &mut Value) {
        let Some((expanded, select)) = self.0.as_ref() else { return };
        let members = |relation| tenant.members(group.id, relation).unwrap_or_default();
        match expanded {
            Expanded::Manager | Expanded::MemberOf(_) => {}
            Expanded::Empty(name) => object[*name] = json!([]),
            Expanded::MembersWithErrors => {
                object["membersWithLicenseErrors"] = shown(tenant, select, tenant.failed_members(group));
            }
            Expanded::Members(Relation::Direct) => {
                object["members"] = shown(tenant, select, members(Relation::Direct));
            }
            Expanded::Members(Relation::Transitive) => {
                object["transitiveMembers"] = shown(tenant, select, members(Relation::Transitive));
            }
        }
    }
}

fn find(names: &'static [&'static str], name: &str) -> Option<Expanded> {
    let known = names.iter().find(|known| known.eq_ignore_ascii_case(name));
    known.map(|known| Expanded::Empty(known))
}

fn shown(tenant: &Tenant, select: &ObjectSelect, objects: Vec<Object<'_>>) -> Value {
    objects.iter().take(LARGEST).map(|object| select.json(tenant, object)).collect()
}
