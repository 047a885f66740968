//! The one engine behind all lists: whom a `$filter` or `$search` finds, in which order, and in which pages. A type
//! describes itself by a [`Schema`], an object answers by the names in it; neither is known here.

use std::borrow::Cow;

use super::filter::{Comparison, Filter, Literal};
use super::schema::{Order, Schema};
use super::search::{Search, words_match};
use super::{SkipToken, page_size};
use crate::model::Timestamp;
use crate::sim::call::Call;
use crate::sim::errors::GraphError;
use crate::sim::switches::Switches;

/// Where the list stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sim) enum Place {
    /// A set of its own, like `/users`.
    Set,
    /// Below another object, like members: filters and orders are advanced ones, all of them.
    Relation,
}

/// A property of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sim) enum Value<'a> {
    Null,
    Text(Cow<'a, str>),
    Flag(bool),
    Time(Timestamp),
    Texts(Vec<Cow<'a, str>>),
    /// Each object's members by their lower-case names.
    Objects(Vec<Vec<(&'static str, String)>>),
}

impl<'a> Value<'a> {
    pub fn text(text: &'a str) -> Self {
        Value::Text(Cow::Borrowed(text))
    }

    pub fn optional(text: Option<&'a str>) -> Self {
        text.map_or(Value::Null, Value::text)
    }

    pub fn texts<T: AsRef<str>>(texts: &'a [T]) -> Self {
        Value::Texts(texts.iter().map(|text| Cow::Borrowed(text.as_ref())).collect())
    }
}

/// What a query is asked about.
pub(in crate::sim) trait Entity {
    /// A property by its lower-case name; null where it has none of that name.
    fn value(&self, name: &str) -> Value<'_>;
}

impl<T: Entity + ?Sized> Entity for &T {
    fn value(&self, name: &str) -> Value<'_> {
        (**self).value(name)
    }
}

impl<T: Entity + ?Sized> Entity for std::sync::Arc<T> {
    fn value(&self, name: &str) -> Value<'_> {
        (**self).value(name)
    }
}

/// A query that its type takes.
#[derive(Debug)]
pub(in crate::sim) struct Query {
    filter: Option<Filter>,
    search: Option<Search>,
    order: Option<Order>,
}

/// One page of a list.
#[derive(Debug)]
pub(in crate::sim) struct Shown<E> {
    pub objects: Vec<E>,
    pub count: Option<usize>,
    pub next_link: Option<String>,
}

impl Query {
    pub fn read(call: &Call, schema: &'static Schema, place: Place) -> Result<Self, GraphError> {
        let is_advanced = call.is_advanced();
        if place == Place::Relation
            && !is_advanced
            && (call.has_option("filter") || call.has_option("orderby"))
        {
            return Err(GraphError::unsupported_query("Unsupported Query."));
        }
        Ok(Self {
            filter: call.option("filter").map(|text| schema.filter(text, is_advanced)).transpose()?,
            search: call.option("search").map(|text| schema.search(text, call)).transpose()?,
            order: call.option("orderby").map(|text| schema.order(text, call)).transpose()?,
        })
    }

    /// For a `$count` segment, which is an advanced query by its header alone.
    pub fn read_count(call: &Call, schema: &'static Schema) -> Result<Self, GraphError> {
        if !call.is_eventual() {
            return Err(GraphError::bad_request("$count is not currently supported."));
        }
        Ok(Self {
            filter: call.option("filter").map(|text| schema.filter(text, true)).transpose()?,
            search: call.option("search").map(|text| schema.search(text, call)).transpose()?,
            order: None,
        })
    }

    pub fn wants(&self, entity: &impl Entity) -> bool {
        let is_kept = self.filter.as_ref().is_none_or(|filter| holds(filter, entity));
        let term = |property: &str, text: &str| is_found(&entity.value(property), property, text);
        is_kept && self.search.as_ref().is_none_or(|search| search.holds(&term))
    }

    pub fn is_everything(&self) -> bool {
        self.filter.is_none() && self.search.is_none()
    }

    /// Whether the objects come in this order, or in none that was asked for.
    pub fn keeps_order_of(&self, property: &str) -> bool {
        self.order.is_none_or(|order| order.property == property && !order.is_descending)
    }

    pub fn is_descending(&self) -> bool {
        self.order.is_some_and(|order| order.is_descending)
    }

    /// The beginning that all of `property` share in this query, in lower case.
    pub fn prefix_of(&self, property: &str) -> String {
        match &self.filter {
            Some(Filter::StartsWith { path, text }) if path == property => text.to_lowercase(),
            Some(_) | None => String::new(),
        }
    }

    /// Puts objects into the order that was asked for.
    pub fn sort<E: Entity>(&self, objects: &mut [E]) {
        let Some(order) = self.order else { return };
        objects.sort_by_cached_key(|object| SortKey::of(&object.value(order.property)));
        if order.is_descending {
            objects.reverse();
        }
    }

    /// One page of `all`, which come in the order of their keys. A page after the first begins behind a key, or, in
    /// another order, at a number.
    pub fn page<E: Entity>(
        &self,
        call: &Call,
        switches: &Switches,
        all: impl IntoIterator<Item = E>,
        key: impl Fn(&E) -> String,
    ) -> Result<Shown<E>, GraphError> {
        let size = page_size(call, switches)?;
        let token = SkipToken::read(call)?;
        let is_first = token.is_none();
        let after = token.map(|token| token.after).unwrap_or_default();
        let limit = if call.view.empty_page { 0 } else { size };
        let mut wanted: Vec<E> = all.into_iter().filter(|object| self.wants(object)).collect();
        let count = (is_first && call.is_advanced()).then_some(wanted.len());
        self.sort(&mut wanted);
        let from = match self.order {
            Some(_) => after.parse().unwrap_or(0_usize).min(wanted.len()),
            None => wanted.partition_point(|object| key(object) <= after),
        };
        let until = wanted.len().min(from + limit);
        let has_more = until < wanted.len();
        let last = match self.order {
            Some(_) => until.to_string(),
            None => {
                until.checked_sub(1).filter(|last| *last >= from).map_or(after, |last| key(&wanted[last]))
            }
        };
        let next_link = has_more.then(|| SkipToken::link(call, &last));
        Ok(Shown { objects: wanted.drain(from..until).collect(), count, next_link })
    }
}

fn holds(filter: &Filter, entity: &impl Entity) -> bool {
    filter.holds(&|leaf| match leaf {
        Filter::Any { path, inner } => match entity.value(path) {
            Value::Texts(texts) => {
                texts.into_iter().map(Value::Text).any(|text| inner.holds(&|leaf| leaf_holds(leaf, &text)))
            }
            Value::Objects(objects) => {
                objects.iter().any(|members| inner.holds(&|leaf| member_holds(leaf, members)))
            }
            Value::Null | Value::Text(_) | Value::Flag(_) | Value::Time(_) => false,
        },
        Filter::Compare { path, comparison, value } => match path.strip_suffix("/$count") {
            Some(collection) => {
                let length = match entity.value(collection) {
                    Value::Texts(texts) => texts.len(),
                    Value::Objects(objects) => objects.len(),
                    Value::Null | Value::Text(_) | Value::Flag(_) | Value::Time(_) => 0,
                };
                value.text.parse().is_ok_and(|wanted: usize| comparison.holds(&length, &wanted))
            }
            None => leaf_holds(leaf, &entity.value(path)),
        },
        Filter::OneOf { path, .. }
        | Filter::StartsWith { path, .. }
        | Filter::EndsWith { path, .. }
        | Filter::IsNull { path } => leaf_holds(leaf, &entity.value(path)),
        Filter::And(..) | Filter::Or(..) | Filter::Not(_) => false,
    })
}

fn member_holds(leaf: &Filter, members: &[(&'static str, String)]) -> bool {
    let member = members.iter().find(|(name, _)| leaf.path() == Some(*name));
    leaf_holds(leaf, &member.map_or(Value::Null, |(_, text)| Value::text(text)))
}

/// One leaf on one value. What is null is not equal to anything, and neither more nor less.
fn leaf_holds(leaf: &Filter, value: &Value<'_>) -> bool {
    match leaf {
        Filter::Compare { comparison, value: wanted, .. } => compare(*comparison, value, wanted),
        Filter::OneOf { values, .. } => values.iter().any(|wanted| compare(Comparison::Equal, value, wanted)),
        Filter::StartsWith { text, .. } => {
            lower(value).is_some_and(|is| is.starts_with(&text.to_lowercase()))
        }
        Filter::EndsWith { text, .. } => lower(value).is_some_and(|is| is.ends_with(&text.to_lowercase())),
        Filter::IsNull { .. } => *value == Value::Null,
        Filter::And(..) | Filter::Or(..) | Filter::Not(_) | Filter::Any { .. } => false,
    }
}

fn compare(comparison: Comparison, value: &Value<'_>, wanted: &Literal) -> bool {
    match value {
        Value::Text(text) => comparison.holds(&text.to_lowercase(), &wanted.text.to_lowercase()),
        Value::Flag(flag) => comparison.holds(flag, &(wanted.text == "true")),
        Value::Time(at) => Timestamp::parse(&wanted.text).is_some_and(|wanted| comparison.holds(at, &wanted)),
        Value::Null | Value::Texts(_) | Value::Objects(_) => comparison == Comparison::NotEqual,
    }
}

fn lower(value: &Value<'_>) -> Option<String> {
    match value {
        Value::Text(text) => Some(text.to_lowercase()),
        Value::Null | Value::Flag(_) | Value::Time(_) | Value::Texts(_) | Value::Objects(_) => None,
    }
}

/// In names and descriptions each word counts, elsewhere the beginning.
fn is_found(value: &Value<'_>, property: &str, wanted: &str) -> bool {
    let begins = |text: &str| text.to_lowercase().starts_with(&wanted.to_lowercase());
    match value {
        Value::Text(name) if matches!(property, "displayname" | "description") => words_match(name, wanted),
        Value::Text(text) => begins(text),
        Value::Texts(texts) => texts.iter().any(|text| begins(text)),
        Value::Null | Value::Flag(_) | Value::Time(_) | Value::Objects(_) => false,
    }
}

/// What is not there comes first.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum SortKey {
    Nothing,
    Flag(bool),
    Time(i64),
    Text(String),
}

impl SortKey {
    fn of(value: &Value<'_>) -> Self {
        match value {
            Value::Text(text) => SortKey::Text(text.to_lowercase()),
            Value::Flag(flag) => SortKey::Flag(*flag),
            Value::Time(at) => SortKey::Time(at.as_millis()),
            Value::Null | Value::Texts(_) | Value::Objects(_) => SortKey::Nothing,
        }
    }
}
