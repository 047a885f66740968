//! What a type lets itself be asked: its properties with the operators that each takes, its orders, its searches, and
//! which of them need an advanced query. Source: https://learn.microsoft.com/graph/aad-advanced-queries

use super::filter::{Comparison, Filter, Literal};
use super::search::Search;
use crate::model::Timestamp;
use crate::sim::call::Call;
use crate::sim::errors::GraphError;

/// What a property can be compared by. `ne` and `not` follow from `Equal`, greater and less from their `OrEqual`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sim) enum Operator {
    Equal,
    GreaterOrEqual,
    LessOrEqual,
    In,
    StartsWith,
    EndsWith,
    Null,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sim) enum Kind {
    Text,
    /// Text; an id may stand without quotes, too.
    Id,
    Flag,
    Time,
    Texts,
    /// Objects with these members, in lower case.
    Objects(&'static [&'static str]),
}

/// A property that can be asked for.
#[derive(Debug)]
pub(in crate::sim) struct Field {
    /// In lower case.
    pub name: &'static str,
    pub kind: Kind,
    pub by_default: &'static [Operator],
    /// Only in advanced queries.
    pub advanced: &'static [Operator],
}

/// What a type lets itself be asked. All names are in lower case.
#[derive(Debug)]
pub(in crate::sim) struct Schema {
    /// As Graph's errors call it.
    pub name: &'static str,
    pub fields: &'static [Field],
    pub orders: &'static [&'static str],
    pub advanced_orders: &'static [&'static str],
    pub searched: &'static [&'static str],
    /// Directory objects know advanced queries, and with them `ne` and `not`.
    pub is_directory: bool,
}

/// An order that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Order {
    pub property: &'static str,
    pub is_descending: bool,
}

impl Schema {
    pub(super) fn filter(&self, text: &str, is_advanced: bool) -> Result<Filter, GraphError> {
        let filter = Filter::parse(text).ok_or_else(|| self.no_filter(None))?;
        for leaf in filter.leaves() {
            let needs = self.needs(leaf);
            if needs.is_none() || (needs == Some(Needs::Advanced) && !is_advanced) {
                return Err(self.no_filter(leaf.path().map(|path| as_written(path, text))));
            }
        }
        let is_negated = filter.has_negation();
        if is_negated && !(self.is_directory && is_advanced) { Err(self.no_filter(None)) } else { Ok(filter) }
    }

    fn no_filter(&self, path: Option<&str>) -> GraphError {
        if !self.is_directory {
            return GraphError::new(400, "BadRequest", "Invalid filter clause");
        }
        let property = path.map_or_else(|| "property".to_owned(), |path| format!("property '{path}'"));
        GraphError::unsupported_query(format!(
            "Unsupported or invalid query filter clause specified for {property} of resource '{}'.",
            self.name
        ))
    }

    /// What a property can be compared with; `None` where it cannot.
    pub fn kind(&self, name: &str) -> Option<Kind> {
        self.field(&name.to_ascii_lowercase()).map(|field| field.kind)
    }

    fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// What a leaf needs; `None` where the type does not take it.
    fn needs(&self, leaf: &Filter) -> Option<Needs> {
        match leaf {
            Filter::Compare { path, comparison, value } => match path.strip_suffix("/$count") {
                Some(collection) => self.needs_of_count(collection, *comparison, value),
                None => self.needs_of_comparison(path, *comparison, value),
            },
            Filter::OneOf { path, values } => {
                let field = self.field(path)?;
                values.iter().all(|value| field.kind.takes(value)).then(|| field.needs(Operator::In))?
            }
            Filter::StartsWith { path, .. } => self.text(path)?.needs(Operator::StartsWith),
            Filter::EndsWith { path, .. } => self.text(path)?.needs(Operator::EndsWith),
            Filter::IsNull { path } => self.field(path)?.needs(Operator::Null),
            Filter::Any { path, inner } => self.field(path)?.needs_of_any(inner),
            Filter::And(..) | Filter::Or(..) | Filter::Not(_) => None,
        }
    }

    fn text(&self, path: &str) -> Option<&'static Field> {
        self.field(path).filter(|field| matches!(field.kind, Kind::Text | Kind::Id))
    }

    fn needs_of_comparison(&self, path: &str, comparison: Comparison, value: &Literal) -> Option<Needs> {
        let field = self.field(path).filter(|field| field.kind.takes(value))?;
        let is_time = field.kind == Kind::Time;
        match comparison {
            Comparison::Equal => field.needs(Operator::Equal),
            Comparison::NotEqual => {
                field.needs(Operator::Equal).filter(|_| self.is_directory).map(|_| Needs::Advanced)
            }
            Comparison::GreaterOrEqual => field.needs(Operator::GreaterOrEqual),
            Comparison::LessOrEqual => field.needs(Operator::LessOrEqual),
            Comparison::Greater => field.needs(Operator::GreaterOrEqual).filter(|_| is_time),
            Comparison::Less => field.needs(Operator::LessOrEqual).filter(|_| is_time),
        }
    }

    /// Empty or not, one or not.
    fn needs_of_count(&self, collection: &str, comparison: Comparison, value: &Literal) -> Option<Needs> {
        let field = self.field(collection)?;
        let is_collection = matches!(field.kind, Kind::Texts | Kind::Objects(_));
        let is_equality = matches!(comparison, Comparison::Equal | Comparison::NotEqual);
        let is_small = !value.is_quoted && matches!(value.text.as_str(), "0" | "1");
        (is_collection && is_equality && is_small).then_some(Needs::Advanced)
    }

    pub(super) fn search(&self, text: &str, call: &Call) -> Result<Search, GraphError> {
        if !call.is_eventual() {
            return Err(GraphError::unsupported_query(
                "Request with $search query parameter only works through MSGraph with a special request header: \
                 'ConsistencyLevel: eventual'",
            ));
        }
        let search = Search::parse(text)
            .filter(|search| search.properties().iter().all(|property| self.searched.contains(property)));
        search.ok_or_else(|| {
            GraphError::bad_request(format!(
                "Syntax error: character ':' is not valid at position 0 in '{text}'."
            ))
        })
    }

    pub(super) fn order(&self, text: &str, call: &Call) -> Result<Order, GraphError> {
        let unsupported = || {
            GraphError::unsupported_query(format!("Unsupported sort property '{text}' for '{}'.", self.name))
        };
        let mut words = text.split_whitespace();
        let name = words.next().unwrap_or_default().to_ascii_lowercase();
        let is_descending = match words.next() {
            None => false,
            Some(word) if word.eq_ignore_ascii_case("asc") => false,
            Some(word) if word.eq_ignore_ascii_case("desc") => true,
            Some(_) => return Err(unsupported()),
        };
        let find = |names: &'static [&'static str]| names.iter().find(|known| **known == name).copied();
        let plain = find(self.orders);
        let property = plain.or_else(|| find(self.advanced_orders)).ok_or_else(unsupported)?;
        let is_combined = call.has_option("filter") || call.has_option("search");
        if self.is_directory && !call.is_advanced() && (plain.is_none() || is_combined) {
            return Err(GraphError::unsupported_query("Sorting not supported for current query."));
        }
        if words.next().is_some() { Err(unsupported()) } else { Ok(Order { property, is_descending }) }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Needs {
    Nothing,
    Advanced,
}

fn is_id(value: &Literal) -> bool {
    uuid::Uuid::parse_str(&value.text).is_ok()
}

/// A lower-case path in the letters of the filter that it stands in.
fn as_written<'t>(path: &'t str, text: &'t str) -> &'t str {
    let at = text.to_ascii_lowercase().find(path);
    at.and_then(|at| text.get(at..at + path.len())).unwrap_or(path)
}

impl Field {
    pub const fn new(
        name: &'static str,
        kind: Kind,
        by_default: &'static [Operator],
        advanced: &'static [Operator],
    ) -> Self {
        Self { name, kind, by_default, advanced }
    }

    fn needs(&self, operator: Operator) -> Option<Needs> {
        if self.by_default.contains(&operator) {
            return Some(Needs::Nothing);
        }
        self.advanced.contains(&operator).then_some(Needs::Advanced)
    }

    /// Of the elements of a collection.
    fn needs_of_any(&self, inner: &Filter) -> Option<Needs> {
        let mut needs = Needs::Nothing;
        for leaf in inner.leaves() {
            let operator = match leaf {
                Filter::Compare { comparison: Comparison::Equal, .. } => Operator::Equal,
                Filter::Compare { comparison: Comparison::GreaterOrEqual, .. } => Operator::GreaterOrEqual,
                Filter::Compare { comparison: Comparison::LessOrEqual, .. } => Operator::LessOrEqual,
                Filter::StartsWith { .. } => Operator::StartsWith,
                Filter::EndsWith { .. } => Operator::EndsWith,
                Filter::And(..)
                | Filter::Or(..)
                | Filter::Not(_)
                | Filter::Compare { .. }
                | Filter::OneOf { .. }
                | Filter::IsNull { .. }
                | Filter::Any { .. } => return None,
            };
            let path = leaf.path()?;
            let is_text = !matches!(leaf, Filter::Compare { value, .. } if !value.is_quoted);
            let is_plain_id = matches!(leaf, Filter::Compare { value, .. } if is_id(value));
            let is_known = match self.kind {
                Kind::Texts => path.is_empty() && is_text,
                Kind::Objects(members) => members.contains(&path) && (is_text || is_plain_id),
                Kind::Text | Kind::Id | Kind::Flag | Kind::Time => false,
            };
            match self.needs(operator).filter(|_| is_known)? {
                Needs::Advanced => needs = Needs::Advanced,
                Needs::Nothing => {}
            }
        }
        Some(needs)
    }
}

impl Kind {
    fn takes(self, value: &Literal) -> bool {
        match self {
            Kind::Text => value.is_quoted,
            Kind::Id => value.is_quoted || is_id(value),
            Kind::Flag => !value.is_quoted && matches!(value.text.as_str(), "true" | "false"),
            Kind::Time => !value.is_quoted && Timestamp::parse(&value.text).is_some(),
            Kind::Texts | Kind::Objects(_) => false,
        }
    }
}
