//! `/users`: single users, creation, update, deletion, and group checks. Lists and counts are in `user_query`, what a
//! body may write in `user_write`.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::json;

use super::administrator::{NewUser, UserKind};
use super::audit::Initiator;
use super::call::Call;
use super::directory::{User, UserType};
use super::errors::GraphError;
use super::expand::Expansion;
use super::odata::{Entity, json_answer};
use super::properties::{Property, Select};
use super::tenant::Tenant;
use super::user_json::Projection;
use super::user_write::Changes;
use crate::graph::transport::HttpResponse;
use crate::model::{GroupId, Timestamp, UserId};

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
        let changes = Changes::read(call)?;
        changes.check_complete()?;
        let name = changes.text(Property::UserPrincipalName).unwrap_or_default();
        let mut new = NewUser::new(name, name, UserKind::WithoutMailbox);
        new.usage_location = None;
        self.check_names(&changes, None)?;
        let id = self.insert_user(now, new, by, |user| changes.apply(user));
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
        let changes = Changes::read(call)?;
        let id = self.live_id(key)?;
        let user = self.directory.live(id).ok_or_else(|| GraphError::not_found(key))?;
        if user.on_premises_synced && changes.touches_more_than_location() {
            return Err(GraphError::bad_request(
                "Unable to update the specified properties for on-premises mastered Directory Sync objects or objects currently undergoing migration.",
            ));
        }
        self.check_names(&changes, Some(id))?;
        let mut user = User::clone(user);
        changes.apply(&mut user);
        self.audit_user(now, by, "Update user", id, &[]);
        self.store_user(now, user);
        Ok(HttpResponse::new(204))
    }

    /// Whether the name and the address that a user is to have are good, and nobody else's.
    fn check_names(&self, changes: &Changes, owner: Option<UserId>) -> Result<(), GraphError> {
        if let Some(name) = changes.text(Property::UserPrincipalName) {
            self.check_new_name(name)?;
            if self.directory.find_upn(name).is_some_and(|other| Some(other) != owner) {
                return Err(GraphError::object_conflict("userPrincipalName"));
            }
        }
        let address = changes.text(Property::Mail).map(str::to_lowercase);
        let taken = address.and_then(|address| self.directory.find_address(&address));
        if taken.is_some_and(|other| Some(other) != owner) {
            return Err(GraphError::object_conflict("proxyAddresses"));
        }
        Ok(())
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
