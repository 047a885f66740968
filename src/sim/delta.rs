//! `/users/delta`: the change log and its tokens. A token carries the selection and a place in the log; it lives seven
//! days. Sources: Graph delta-query-overview, user-delta; what they disagree on is in `switches`.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::call::Call;
use super::directory::User;
use super::errors::GraphError;
use super::odata::filter::{Comparison, Filter};
use super::odata::{Page, json_answer, open_token, seal_token};
use super::properties::{Property, PropertySet, Select};
use super::tenant::Tenant;
use super::user_json::{Nulls, Projection};
use crate::graph::transport::HttpResponse;
use crate::model::{Span, Timestamp, UserId};

/// Graph: delta-query-overview, directory objects.
const TOKEN_LIFE: Span = Span::from_days(7);
/// The server's choice; real pages are of this order.
const DELTA_PAGE: usize = 200;
/// Graph: user-delta, objects in a filter.
const LARGEST_FILTER: usize = 50;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Created,
    Updated,
    Deleted,
    Restored,
    Purged,
}

#[derive(Debug)]
struct Change {
    at: Timestamp,
    user: UserId,
    kind: Kind,
    properties: PropertySet,
}

/// All changes of the last days, in order. `first` is the number of the oldest one kept.
#[derive(Debug, Default)]
pub(super) struct ChangeLog {
    entries: VecDeque<Change>,
    first: u64,
    /// Tokens of an earlier generation are dead.
    generation: u32,
}

impl ChangeLog {
    pub fn record(&mut self, now: Timestamp, before: Option<&User>, after: &User, properties: PropertySet) {
        let was_live = before.map(|user| user.deleted_at.is_none());
        let kind = match (was_live, after.deleted_at.is_none()) {
            (None, _) => Kind::Created,
            (Some(true), true) => Kind::Updated,
            (Some(true), false) => Kind::Deleted,
            (Some(false), true) => Kind::Restored,
            (Some(false), false) => return,
        };
        self.entries.push_back(Change { at: now, user: after.id, kind, properties });
    }

    pub fn record_purge(&mut self, now: Timestamp, user: UserId) {
        self.entries.push_back(Change { at: now, user, kind: Kind::Purged, properties: PropertySet::ALL });
    }

    /// Forgets what no living token can ask for.
    pub fn prune(&mut self, now: Timestamp) {
        while self.entries.front().is_some_and(|change| change.at + TOKEN_LIFE + Span::from_hours(1) < now) {
            self.entries.pop_front();
            self.first += 1;
        }
    }

    /// Kills every token issued so far.
    pub fn reset(&mut self) {
        self.generation += 1;
    }

    /// The number after the last change that a reader at `as_of` sees.
    fn visible_end(&self, as_of: Timestamp) -> u64 {
        let hidden = self.entries.iter().rev().take_while(|change| change.at > as_of).count();
        self.first + (self.entries.len() - hidden) as u64
    }

    fn get(&self, number: u64) -> Option<&Change> {
        self.entries.get(usize::try_from(number.checked_sub(self.first)?).ok()?)
    }
}

/// Where a reader stands.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Cursor {
    /// Names joined by commas; `None`: everything.
    select: Option<String>,
    ids: Vec<UserId>,
    generation: u32,
    issued_ms: i64,
    place: Place,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
enum Place {
    /// Listing live users after this one; the changes from `then` on follow.
    Live { after: Option<UserId>, then: u64 },
    /// Listing the recycle bin.
    Bin { after: Option<UserId>, then: u64 },
    /// Reading changes up to `until`.
    Changes { from: u64, until: u64 },
    /// All read: a delta link.
    Rest { from: u64 },
}

/// What a page found of one user.
#[derive(Default)]
struct Seen {
    changed: PropertySet,
    /// Comes whole: a new user, or one from the recycle bin.
    is_new: bool,
    /// Had a value and has none any more.
    emptied: PropertySet,
}

impl Cursor {
    fn select(&self) -> Result<Select, GraphError> {
        match &self.select {
            Some(names) => Select::parse_of_delta(Some(names)),
            None => Ok(Select::everything()),
        }
    }

    fn wants(&self, id: UserId) -> bool {
        self.ids.is_empty() || self.ids.contains(&id)
    }
}

impl Tenant {
    pub(super) fn users_delta(&self, now: Timestamp, call: &Call) -> Result<HttpResponse, GraphError> {
        let cursor = self.open_cursor(now, call)?;
        let select = cursor.select()?;
        let is_minimal = call.header("prefer").is_some_and(|prefer| prefer.contains("return=minimal"));
        let wanted = page_wanted(call);
        let limit = if call.view.empty_page { 0 } else { wanted.unwrap_or(DELTA_PAGE).min(DELTA_PAGE) };
        let (mut value, place) = match cursor.place.clone() {
            Place::Live { after, then } => self.live_page(&cursor, &select, after, then, limit),
            Place::Bin { after, then } => self.bin_page(&cursor, after, then, limit),
            Place::Changes { from, until } => {
                self.change_page(&cursor, &select, from, until, limit, is_minimal)
            }
            Place::Rest { from } => (Vec::new(), Place::Rest { from }),
        };
        if self.switches.delta_repeats_objects {
            value.extend(value.first().cloned());
        }
        let (name, is_end) = match place {
            Place::Rest { .. } => ("$deltatoken", true),
            Place::Live { .. } | Place::Bin { .. } | Place::Changes { .. } => ("$skiptoken", false),
        };
        // A page token inherits its age from the round; a delta link starts a new life.
        let issued_ms = if is_end { now.as_millis() } else { cursor.issued_ms };
        let next = Cursor { place, issued_ms, ..cursor };
        let link = format!("{}?{name}={}", call.link("users/delta"), seal_token(&next));
        let page = Page {
            context: call.context(&select.context("users")),
            count: None,
            next_link: (!is_end).then(|| link.clone()),
            delta_link: is_end.then_some(link),
            value,
        };
        let answer = json_answer(200, &page);
        Ok(match wanted {
            Some(size) => answer.with_header("preference-applied", format!("odata.maxpagesize={size}")),
            None => answer,
        })
    }

    fn open_cursor(&self, now: Timestamp, call: &Call) -> Result<Cursor, GraphError> {
        if ["expand", "top", "orderby", "search"].into_iter().any(|name| call.has_option(name)) {
            return Err(GraphError::unsupported_query("Unsupported Query."));
        }
        let end = self.changes.visible_end(call.view.as_of);
        let token = call.option("skiptoken").or(call.option("deltatoken")).filter(|token| !token.is_empty());
        match token {
            Some("latest") => self.first_cursor(now, call, Place::Rest { from: end }),
            Some(token) => self.resume(now, call, token, end),
            None => self.first_cursor(now, call, Place::Live { after: None, then: end }),
        }
    }

    fn first_cursor(&self, now: Timestamp, call: &Call, place: Place) -> Result<Cursor, GraphError> {
        let select = call
            .option("select")
            .map(|text| Select::parse_of_delta(Some(text)).map(|select| select.joined()));
        let ids = call.option("filter").map_or(Ok(Vec::new()), read_ids)?;
        Ok(Cursor {
            select: select.transpose()?,
            ids,
            generation: self.changes.generation,
            issued_ms: now.as_millis(),
            place,
        })
    }

    fn resume(&self, now: Timestamp, call: &Call, token: &str, end: u64) -> Result<Cursor, GraphError> {
        let mut cursor: Cursor =
            open_token(token).ok_or_else(|| GraphError::bad_request("Badly formed token."))?;
        let is_expired = now - Timestamp::from_millis(cursor.issued_ms) > TOKEN_LIFE;
        if is_expired || cursor.generation != self.changes.generation {
            let status = if is_expired { self.switches.delta_expired_status } else { 410 };
            return Err(sync_state_not_found(call, status));
        }
        if let Place::Rest { from } = cursor.place {
            cursor.place = Place::Changes { from, until: end.max(from) };
            if let Some(select) = call.option("select") {
                cursor.select = Some(Select::parse_of_delta(Some(select))?.joined());
            }
        } else if call.has_option("select") {
            return Err(GraphError::bad_request("$select cannot be combined with $skiptoken."));
        }
        Ok(cursor)
    }

    fn live_page(
        &self,
        cursor: &Cursor,
        select: &Select,
        after: Option<UserId>,
        then: u64,
        limit: usize,
    ) -> (Vec<Value>, Place) {
        let users: Vec<&Arc<User>> =
            self.directory.live_after(after).filter(|user| cursor.wants(user.id)).take(limit + 1).collect();
        let shown = &users[..users.len().min(limit)];
        let value = shown
            .iter()
            .map(|user| self.delta_object(user, select, Nulls::OnlyThese(PropertySet::default())))
            .collect();
        let last = shown.last().map(|user| user.id).or(after);
        let place = if users.len() > limit {
            Place::Live { after: last, then }
        } else if self.switches.delta_lists_deleted {
            Place::Bin { after: None, then }
        } else {
            Place::Rest { from: then }
        };
        (value, place)
    }

    fn bin_page(
        &self,
        cursor: &Cursor,
        after: Option<UserId>,
        then: u64,
        limit: usize,
    ) -> (Vec<Value>, Place) {
        let users: Vec<UserId> = self
            .directory
            .deleted_after(after)
            .map(|user| user.id)
            .filter(|id| cursor.wants(*id))
            .take(limit + 1)
            .collect();
        let shown = &users[..users.len().min(limit)];
        let value = shown.iter().map(|id| removed(*id, "changed")).collect();
        let last = shown.last().copied().or(after);
        let place =
            if users.len() > limit { Place::Bin { after: last, then } } else { Place::Rest { from: then } };
        (value, place)
    }

    /// Reads the log until `limit` users are found. What is shown of them is their present state.
    fn change_page(
        &self,
        cursor: &Cursor,
        select: &Select,
        from: u64,
        until: u64,
        limit: usize,
        is_minimal: bool,
    ) -> (Vec<Value>, Place) {
        let mut found: BTreeMap<UserId, Seen> = BTreeMap::new();
        let mut number = from;
        while number < until && limit > 0 {
            let Some(change) = self.changes.get(number) else { break };
            let is_wanted = cursor.wants(change.user) && self.shows(change, select);
            if is_wanted && found.len() >= limit && !found.contains_key(&change.user) {
                break;
            }
            if is_wanted {
                let entry = found.entry(change.user).or_default();
                entry.changed = entry.changed.union(change.properties);
                entry.is_new |= matches!(change.kind, Kind::Created | Kind::Restored);
                // A date that was there and is gone is said.
                if change.kind == Kind::Restored {
                    entry.emptied = entry.emptied.with(Property::DeletedDateTime);
                }
            }
            number += 1;
        }
        let show = |(id, seen): (&UserId, &Seen)| match self.directory.live(*id) {
            Some(user) if seen.is_new => self.delta_object(user, select, Nulls::OnlyThese(seen.emptied)),
            Some(user) if is_minimal => self.minimal_object(user, select, seen.changed),
            Some(user) => self.delta_object(user, select, Nulls::OnlyThese(seen.changed)),
            None if self.directory.deleted(*id).is_some() => removed(*id, "changed"),
            None => removed(*id, "deleted"),
        };
        let value = found.iter().map(show).collect();
        let is_read = number >= until || self.changes.get(number).is_none();
        (value, if is_read { Place::Rest { from: until } } else { Place::Changes { from: number, until } })
    }

    /// `licenseAssignmentStates` is not tracked. Graph: user-delta.
    fn shows(&self, change: &Change, select: &Select) -> bool {
        let tracked = select.properties.without(Property::LicenseAssignmentStates).without(Property::Id);
        match change.kind {
            Kind::Created | Kind::Deleted | Kind::Purged => true,
            Kind::Restored => {
                !self.switches.delta_hides_restores || select.properties.has(Property::DeletedDateTime)
            }
            Kind::Updated => !change.properties.intersection(tracked).is_empty(),
        }
    }

    fn delta_object(&self, user: &User, select: &Select, nulls: Nulls) -> Value {
        let mut projection = Projection::new(user, select, &self.switches);
        projection.nulls = nulls;
        serde_json::to_value(projection).expect("a user has text keys")
    }

    fn minimal_object(&self, user: &User, select: &Select, changed: PropertySet) -> Value {
        let mut narrow = select.clone();
        narrow.properties =
            PropertySet::from_bits(select.properties.intersection(changed).bits()).with(Property::Id);
        self.delta_object(user, &narrow, Nulls::OnlyThese(changed))
    }
}

/// `Prefer: odata.maxpagesize=2`. Graph: delta-query-overview.
fn page_wanted(call: &Call) -> Option<usize> {
    let preferences = call.header("prefer")?.split(',');
    let mut sizes = preferences.filter_map(|preference| preference.trim().strip_prefix("odata.maxpagesize="));
    sizes.next()?.parse().ok().filter(|size| *size > 0)
}

fn removed(id: UserId, reason: &str) -> Value {
    json!({"id": id.to_string(), "@removed": {"reason": reason}})
}

/// `id eq 'a' or id eq 'b'`, at most 50.
fn read_ids(text: &str) -> Result<Vec<UserId>, GraphError> {
    let unsupported = || GraphError::unsupported_query("Unsupported Query.");
    let filter = Filter::parse(text).filter(|filter| !filter.has_negation()).ok_or_else(unsupported)?;
    let mut ids = Vec::new();
    for leaf in filter.leaves() {
        let Filter::Compare { path, comparison: Comparison::Equal, value } = leaf else {
            return Err(unsupported());
        };
        if path != "id" {
            return Err(unsupported());
        }
        ids.push(value.text.parse().map_err(|_| unsupported())?);
    }
    if ids.len() > LARGEST_FILTER { Err(unsupported()) } else { Ok(ids) }
}

/// Graph: delta-query-overview; only the 410 carries a `Location` to start again from.
fn sync_state_not_found(call: &Call, status: u16) -> GraphError {
    let error = GraphError::new(
        status,
        "syncStateNotFound",
        "The sync state generation is not found. The delta token is expired and data must be synchronized again.",
    );
    if status == 410 { error.with_header("location", call.link("users/delta?$deltatoken=")) } else { error }
}
