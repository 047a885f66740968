//! `/users`: single users, creation, update, deletion, and group checks. Lists and counts are in `user_query`.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::administrator::{NewUser, UserKind};
use super::audit::Initiator;
use super::call::{Call, unreadable};
use super::directory::{User, UserType};
use super::errors::GraphError;
use super::expand::Expansion;
use super::odata::{Entity, json_answer};
use super::properties::Select;
use super::tenant::Tenant;
use super::user_json::Projection;
use crate::graph::transport::HttpResponse;
use crate::model::{GroupId, Timestamp, UserId};

const CHANGEABLE: [&str; 9] = [
    "usageLocation",
    "accountEnabled",
    "displayName",
    "department",
    "companyName",
    "country",
    "jobTitle",
    "employeeType",
    "userPrincipalName",
];

/// What `PATCH /users/{id}` may change: those.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct UserPatch {
    usage_location: Option<String>,
    account_enabled: Option<bool>,
    display_name: Option<String>,
    department: Option<String>,
    company_name: Option<String>,
    country: Option<String>,
    job_title: Option<String>,
    employee_type: Option<String>,
    user_principal_name: Option<String>,
}

impl UserPatch {
    /// What a user does not have is a 400; what is not changed here, a 501.
    fn read(call: &Call) -> Result<Self, GraphError> {
        let body: Map<String, Value> = call.json()?;
        let is_odd = |name: &&String| !name.contains('@') && !CHANGEABLE.contains(&name.as_str());
        match body.keys().find(is_odd) {
            Some(name) if Select::knows(name) => {
                let text = format!("The simulated tenant does not change '{name}' of a user.");
                Err(GraphError::new(501, "NotImplemented", text))
            }
            Some(name) => Err(GraphError::bad_request(format!(
                "Property '{name}' does not exist as a declared property or extension property."
            ))),
            None => Self::deserialize(Value::Object(body)).map_err(|_| unreadable()),
        }
    }

    fn touches_more_than_location(&self) -> bool {
        self.account_enabled.is_some()
            || [
                &self.display_name,
                &self.department,
                &self.company_name,
                &self.country,
                &self.job_title,
                &self.employee_type,
                &self.user_principal_name,
            ]
            .iter()
            .any(|value| value.is_some())
    }

    fn apply(self, user: &mut User) {
        let set = |slot: &mut Option<Arc<str>>, value: Option<String>| {
            if let Some(value) = value {
                *slot = Some(value.into());
            }
        };
        set(&mut user.usage_location, self.usage_location);
        set(&mut user.department, self.department);
        set(&mut user.company_name, self.company_name);
        set(&mut user.country, self.country);
        set(&mut user.job_title, self.job_title);
        set(&mut user.employee_type, self.employee_type);
        user.account_enabled = self.account_enabled.unwrap_or(user.account_enabled);
        if let Some(name) = self.display_name {
            user.display_name = name.into();
        }
        if let Some(name) = self.user_principal_name {
            user.user_principal_name = name.into();
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct UserCreation {
    account_enabled: bool,
    display_name: String,
    mail_nickname: String,
    user_principal_name: String,
    password_profile: Value,
    usage_location: Option<String>,
}

impl Tenant {
    pub(super) fn get_user(&self, call: &Call, key: &str) -> Result<HttpResponse, GraphError> {
        let user = self.visible_user(call, key)?;
        let (select, wants_settings) = select_of_one(call.option("select"))?;
        let mut entity = Projection::new(&user, &select, &self.switches);
        if wants_settings {
            let settings = self.settings_of(&user)?;
            entity.annotations.push(("mailboxSettings", settings));
        }
        entity.annotations.extend(Expansion::of_users(call)?.of_user(self, &user));
        let context = call.context(&format!("{}/$entity", select.context("users")));
        Ok(json_answer(200, &Entity { context, entity }))
    }

    pub(super) fn create_user(
        &mut self,
        now: Timestamp,
        call: &Call,
        by: &Initiator,
    ) -> Result<HttpResponse, GraphError> {
        let body: UserCreation = call.json()?;
        if !body.password_profile.is_object() || body.mail_nickname.is_empty() {
            return Err(GraphError::bad_request("A password must be specified to create a new user."));
        }
        self.check_new_name(&body.user_principal_name)?;
        if self.directory.find_upn(&body.user_principal_name).is_some() {
            return Err(GraphError::object_conflict("userPrincipalName"));
        }
        let mut new = NewUser::new(&body.user_principal_name, &body.display_name, UserKind::WithoutMailbox);
        new.account_enabled = body.account_enabled;
        new.usage_location = body.usage_location;
        let id = self.insert_user(now, new, by);
        let user = self.directory.live(id).ok_or_else(|| GraphError::not_found(&id.to_string()))?;
        let select = Select::default_set();
        let entity = Projection::new(user, &select, &self.switches);
        Ok(json_answer(201, &Entity { context: call.context("users/$entity"), entity }))
    }

    pub(super) fn update_user(
        &mut self,
        now: Timestamp,
        call: &Call,
        key: &str,
        by: &Initiator,
    ) -> Result<HttpResponse, GraphError> {
        let patch = UserPatch::read(call)?;
        let id = self.live_id(key)?;
        let user = self.directory.live(id).ok_or_else(|| GraphError::not_found(key))?;
        if user.on_premises_synced && patch.touches_more_than_location() {
            return Err(GraphError::bad_request(
                "Unable to update the specified properties for on-premises mastered Directory Sync objects or objects currently undergoing migration.",
            ));
        }
        if patch.usage_location.as_deref().is_some_and(|location| location.len() != 2) {
            return Err(GraphError::bad_request(
                "Invalid value specified for property 'usageLocation' of resource 'User'.",
            ));
        }
        if let Some(name) = &patch.user_principal_name {
            self.check_new_name(name)?;
        }
        let taken = patch.user_principal_name.as_deref().and_then(|name| self.directory.find_upn(name));
        if taken.is_some_and(|owner| owner != id) {
            return Err(GraphError::object_conflict("userPrincipalName"));
        }
        let mut user = User::clone(user);
        patch.apply(&mut user);
        self.audit_user(now, by, "Update user", id, &[]);
        self.store_user(now, user);
        Ok(HttpResponse::new(204))
    }

    pub(super) fn delete_user_call(
        &mut self,
        now: Timestamp,
        key: &str,
        by: &Initiator,
    ) -> Result<HttpResponse, GraphError> {
        let id = self.live_id(key)?;
        self.soft_delete(now, id, by, false);
        Ok(HttpResponse::new(204))
    }

    /// Graph: directoryobject-checkmembergroups, at most 20 groups.
    pub(super) fn check_member_groups(&self, call: &Call, key: &str) -> Result<HttpResponse, GraphError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Body {
            group_ids: Vec<GroupId>,
        }
        let body: Body = call.parameters("checkMemberGroups", &["groupIds"])?;
        if body.group_ids.len() > 20 {
            return Err(GraphError::bad_request("The number of group ids exceeds the limit of 20."));
        }
        let user = self.visible_user(call, key)?;
        let held: Vec<String> = body
            .group_ids
            .iter()
            .filter(|group| self.groups.is_transitive_member(**group, &user.groups))
            .map(|group| group.to_string())
            .collect();
        Ok(json_answer(
            200,
            &json!({"@odata.context": call.context("Collection(Edm.String)"), "value": held}),
        ))
    }

    /// A name that somebody may be given: its signs, its length, and a domain of the tenant. Microsoft: "Prepare for
    /// directory synchronization".
    pub(super) fn check_new_name(&self, name: &str) -> Result<(), GraphError> {
        let is_of_names = |sign: char| sign.is_ascii_alphanumeric() || "'.-_!#^~".contains(sign);
        let is_good = name.split_once('@').is_some_and(|(local, domain)| {
            let has_edge = local.starts_with('.') || local.ends_with('.');
            (1..=64).contains(&local.len())
                && !has_edge
                && local.chars().all(is_of_names)
                && domain.eq_ignore_ascii_case(self.domain())
        });
        if is_good { Ok(()) } else { Err(GraphError::bad_request("Property userPrincipalName is invalid.")) }
    }

    /// The user as this request sees it.
    pub(super) fn visible_user(&self, call: &Call, key: &str) -> Result<Arc<User>, GraphError> {
        let id = key.parse().ok().or_else(|| self.directory.find_upn(key));
        let user = id.and_then(|id: UserId| self.directory.version_at(id, call.view.as_of));
        user.cloned().ok_or_else(|| GraphError::not_found(key))
    }

    /// The live user that a write names.
    pub(super) fn live_id(&self, key: &str) -> Result<UserId, GraphError> {
        let id = key.parse().ok().or_else(|| self.directory.find_upn(key));
        id.filter(|id: &UserId| self.directory.live(*id).is_some()).ok_or_else(|| GraphError::not_found(key))
    }
}

/// The selection of a single user, which may name its mailbox settings; true where it does.
fn select_of_one(text: Option<&str>) -> Result<(Select, bool), GraphError> {
    let is_settings = |name: &&str| name.trim().eq_ignore_ascii_case("mailboxSettings");
    let names: Vec<&str> = text.into_iter().flat_map(|text| text.split(',')).map(str::trim).collect();
    if !names.iter().any(is_settings) {
        return Ok((Select::parse(text)?, false));
    }
    let others: Vec<&str> = names.into_iter().filter(|name| !is_settings(name)).collect();
    let mut select = Select::named(&others)?;
    select.note("mailboxSettings");
    Ok((select, true))
}

impl UserType {
    /// `#EXT#` marks a guest's name.
    pub(super) fn of(kind: UserKind) -> Self {
        match kind {
            UserKind::Guest => UserType::Guest,
            UserKind::Member
            | UserKind::WithoutMailbox
            | UserKind::Shared
            | UserKind::Room
            | UserKind::Equipment => UserType::Member,
        }
    }
}
