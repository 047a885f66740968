//! `/users`: lists, counts, single users, creation, update, deletion, and group checks.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};

use super::administrator::{NewUser, UserKind};
use super::audit::Initiator;
use super::call::Call;
use super::directory::{User, UserType};
use super::errors::GraphError;
use super::odata::filter::{Comparison, Filter};
use super::odata::{Entity, Page, SkipToken, count_answer, json_answer, page_size};
use super::properties::Select;
use super::tenant::Tenant;
use super::user_json::{Projection, merged_licences};
use crate::graph::transport::HttpResponse;
use crate::model::{GroupId, Timestamp, UserId};

/// A checked `$filter` on users, with the prefix that lets the name index answer it.
struct UserQuery {
    filter: Option<Filter>,
    prefix: String,
}

impl UserQuery {
    fn read(call: &Call) -> Result<Self, GraphError> {
        let Some(text) = call.option("filter") else {
            return Ok(Self { filter: None, prefix: String::new() });
        };
        let unsupported = || {
            GraphError::unsupported_query(
                "Unsupported or invalid query filter clause specified for property or resource.",
            )
        };
        let filter = Filter::parse(text).ok_or_else(unsupported)?;
        let is_known = filter.leaves().into_iter().all(is_supported);
        if !is_known || (filter.is_advanced() && !call.is_advanced()) {
            return Err(unsupported());
        }
        let prefix = match &filter {
            Filter::StartsWith { text, .. } => text.to_lowercase(),
            Filter::And(..)
            | Filter::Or(..)
            | Filter::Not(_)
            | Filter::Compare { .. }
            | Filter::Any { .. } => String::new(),
        };
        Ok(Self { filter: Some(filter), prefix })
    }

    fn wants(&self, user: &User) -> bool {
        self.filter.as_ref().is_none_or(|filter| filter.holds(&|leaf| user_leaf(leaf, user)))
    }
}

fn is_supported(leaf: &Filter) -> bool {
    match leaf {
        Filter::StartsWith { path, .. } => path == "userprincipalname",
        Filter::Compare { path, comparison, value } => {
            let is_known = match path.as_str() {
                "accountenabled" => value == "true" || value == "false",
                "usertype" | "userprincipalname" | "id" => true,
                "assignedlicenses/$count" => value == "0",
                _ => false,
            };
            is_known && matches!(comparison, Comparison::Equal | Comparison::NotEqual)
        }
        Filter::Any { path, inner, .. } => path == "assignedlicenses" && inner == "skuid",
        Filter::And(..) | Filter::Or(..) | Filter::Not(_) => false,
    }
}

/// Evaluates one leaf of a filter on a user; a leaf that is not understood does not hold.
pub(super) fn user_leaf(leaf: &Filter, user: &User) -> bool {
    match leaf {
        Filter::StartsWith { text, .. } => {
            user.user_principal_name.to_lowercase().starts_with(&text.to_lowercase())
        }
        Filter::Any { value, .. } => merged_licences(&user.licences)
            .iter()
            .any(|licence| licence.sku_id.to_string().eq_ignore_ascii_case(value)),
        Filter::Compare { path, comparison, value } => match path.as_str() {
            "accountenabled" => comparison.holds(&user.account_enabled, &(value == "true")),
            "usertype" => comparison.holds(&user.user_type.as_str().to_lowercase(), &value.to_lowercase()),
            "userprincipalname" => {
                comparison.holds(&user.user_principal_name.to_lowercase(), &value.to_lowercase())
            }
            "id" => comparison.holds(&user.id.to_string(), &value.to_lowercase()),
            "assignedlicenses/$count" => comparison.holds(&merged_licences(&user.licences).len(), &0),
            "deleteddatetime" => match (user.deleted_at, Timestamp::parse(value)) {
                (Some(at), Some(bound)) => comparison.holds(&at, &bound),
                (Some(_), None) | (None, _) => false,
            },
            _ => false,
        },
        Filter::And(..) | Filter::Or(..) | Filter::Not(_) => false,
    }
}

/// What `PATCH /users/{id}` may change.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
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
    pub(super) fn list_users(&self, call: &Call) -> Result<HttpResponse, GraphError> {
        let select = Select::parse(call.option("select"))?;
        let size = page_size(call, &self.switches)?;
        let query = UserQuery::read(call)?;
        let token = SkipToken::read(call)?;
        let is_first = token.is_none();
        let after = token.map(|token| token.after).unwrap_or_default();
        let limit = if call.view.empty_page { 0 } else { size };
        let mut users =
            self.directory.page(call.view.as_of, &query.prefix, &after, |user| query.wants(user), limit + 1);
        let has_more = users.len() > limit;
        users.truncate(limit);
        let last = users.last().map_or(after, |user| user.user_principal_name.to_lowercase());
        let page = Page {
            context: call.context(&select.context("users")),
            count: (is_first && call.is_advanced()).then(|| self.count_matching(&query)),
            next_link: has_more.then(|| SkipToken::link(call, &last)),
            delta_link: None,
            value: users
                .iter()
                .map(|user| Projection::new(user, &select, &self.switches))
                .collect::<Vec<_>>(),
        };
        Ok(json_answer(200, &page))
    }

    fn count_matching(&self, query: &UserQuery) -> usize {
        match &query.filter {
            None => self.directory.live_count(),
            Some(_) => self.directory.count(&query.prefix, |user| query.wants(user)),
        }
    }

    pub(super) fn count_users(&self, call: &Call) -> Result<HttpResponse, GraphError> {
        if !call.is_eventual() {
            return Err(GraphError::bad_request("$count is not currently supported."));
        }
        let Some(text) = call.option("filter") else { return Ok(count_answer(self.directory.live_count())) };
        let filter = Filter::parse(text).filter(|filter| filter.leaves().into_iter().all(is_supported));
        let filter = filter.ok_or_else(|| GraphError::unsupported_query("Unsupported Query."))?;
        let query = UserQuery { filter: Some(filter), prefix: String::new() };
        Ok(count_answer(self.count_matching(&query)))
    }

    pub(super) fn get_user(&self, call: &Call, key: &str) -> Result<HttpResponse, GraphError> {
        let select = call.option("select").unwrap_or_default();
        let (names, wants_settings): (Vec<&str>, bool) = {
            let all: Vec<&str> = select.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
            let is_settings = |name: &&str| name.eq_ignore_ascii_case("mailboxSettings");
            (all.iter().copied().filter(|name| !is_settings(name)).collect(), all.iter().any(is_settings))
        };
        let user = self.visible_user(call, key)?;
        let select = Select::parse(Some(&names.join(",")))?;
        let mut entity = Projection::new(&user, &select, &self.switches);
        if wants_settings {
            let mut settings: Value = serde_json::from_slice(&self.mailbox_settings(call, key)?.body)
                .expect("we wrote this JSON ourselves");
            settings.as_object_mut().map(|members| members.remove("@odata.context"));
            entity.annotations.push(("mailboxSettings", settings));
        }
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
        let patch: UserPatch = call.json()?;
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
        let body: Body = call.json()?;
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
