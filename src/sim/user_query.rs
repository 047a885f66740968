//! Lists and counts of users. What they let themselves be asked is in `user_fields`. Source: Graph user-list.

use std::sync::Arc;

use super::call::Call;
use super::directory::User;
use super::errors::GraphError;
use super::expand::Expansion;
use super::odata::query::{Place, Query};
use super::odata::{Page, SkipToken, count_answer, json_answer, page_size};
use super::properties::Select;
use super::tenant::Tenant;
use super::user_fields::USERS;
use super::user_json::Projection;
use crate::graph::transport::HttpResponse;

/// The order in which users are kept, and listed where no other one is asked for.
const NAME: &str = "userprincipalname";

impl Tenant {
    pub(super) fn list_users(&self, call: &Call) -> Result<HttpResponse, GraphError> {
        let select = Select::parse(call.option("select"))?;
        let size = page_size(call, &self.switches)?;
        let query = Query::read(call, &USERS, Place::Set)?;
        let expansion = Expansion::of_users(call)?;
        let token = SkipToken::read(call)?;
        let is_first = token.is_none();
        let after = token.map(|token| token.after).unwrap_or_default();
        let limit = if call.view.empty_page { 0 } else { size };
        let (users, last) = if query.keeps_order_of(NAME) {
            self.by_name(call, &query, &after, limit)
        } else {
            self.in_order(call, &query, &after, limit)
        };
        let page = Page {
            context: call.context(&select.context("users")),
            count: (is_first && call.is_advanced()).then(|| self.count_matching(&query)),
            next_link: last.map(|last| SkipToken::link(call, &last)),
            delta_link: None,
            value: users
                .iter()
                .map(|user| {
                    let mut projection = Projection::new(user, &select, &self.switches);
                    projection.annotations.extend(expansion.of_user(self, user));
                    projection
                })
                .collect::<Vec<_>>(),
        };
        Ok(json_answer(200, &page))
    }

    /// One page in the order of the names, and where the next one begins, if there is one.
    fn by_name(
        &self,
        call: &Call,
        query: &Query,
        after: &str,
        limit: usize,
    ) -> (Vec<Arc<User>>, Option<String>) {
        let wants = |user: &User| query.wants(user);
        let prefix = query.prefix_of(NAME);
        let mut users = self.directory.page(call.view.as_of, &prefix, after, wants, limit + 1);
        let has_more = users.len() > limit;
        users.truncate(limit);
        let last = users.last().map_or(after.to_owned(), |user| user.user_principal_name.to_lowercase());
        (users, has_more.then_some(last))
    }

    /// The same in another order: everybody is sorted anew for each page, and the next one begins at a number.
    fn in_order(
        &self,
        call: &Call,
        query: &Query,
        after: &str,
        limit: usize,
    ) -> (Vec<Arc<User>>, Option<String>) {
        let wants = |user: &User| query.wants(user);
        let prefix = query.prefix_of(NAME);
        let mut users = self.directory.page(call.view.as_of, &prefix, "", wants, usize::MAX);
        query.sort(&mut users);
        let from = after.parse().unwrap_or(0_usize).min(users.len());
        let until = users.len().min(from + limit);
        let next = (until < users.len()).then(|| until.to_string());
        (users[from..until].to_vec(), next)
    }

    fn count_matching(&self, query: &Query) -> usize {
        if query.is_everything() {
            return self.directory.live_count();
        }
        self.directory.count(&query.prefix_of(NAME), |user| query.wants(user))
    }

    pub(super) fn count_users(&self, call: &Call) -> Result<HttpResponse, GraphError> {
        Ok(count_answer(self.count_matching(&Query::read_count(call, &USERS)?)))
    }
}
