//! `$select` on objects that are built as JSON: which names a type knows, and which of them an answer carries. Users
//! have their own, in `properties`.

use serde_json::{Map, Value, json};

use super::call::Call;
use super::errors::GraphError;

/// The properties of a type, as Graph spells them.
#[derive(Debug)]
pub(super) struct Type {
    pub name: &'static str,
    /// Comes without `$select`.
    pub default: &'static [&'static str],
    /// Comes with `$select` only.
    pub selectable: &'static [&'static str],
    /// Collections, which are empty and not null where nothing is known of them.
    pub empty: &'static [&'static str],
}

/// What a request wants to see of a type.
#[derive(Debug)]
pub(super) struct Wanted {
    kind: &'static Type,
    names: Vec<&'static str>,
    is_selected: bool,
}

impl Type {
    /// As Graph spells it.
    pub fn find(&self, name: &str) -> Option<&'static str> {
        let mut all = self.default.iter().chain(self.selectable);
        all.find(|known| known.eq_ignore_ascii_case(name)).copied()
    }

    pub fn knows(&self, name: &str) -> bool {
        self.find(name).is_some()
    }
}

impl Wanted {
    /// An unknown name is a 400, as for users.
    pub fn read(call: &Call, kind: &'static Type) -> Result<Self, GraphError> {
        Self::parse(call.option("select"), kind)
    }

    pub fn parse(text: Option<&str>, kind: &'static Type) -> Result<Self, GraphError> {
        let Some(text) = text.filter(|text| !text.trim().is_empty()) else {
            return Ok(Self { kind, names: kind.default.to_vec(), is_selected: false });
        };
        let names: Result<Vec<&'static str>, GraphError> = text
            .split(',')
            .map(str::trim)
            .map(|name| kind.find(name).ok_or_else(|| unknown_property(name, kind.name)))
            .collect();
        Ok(Self { kind, names: names?, is_selected: true })
    }

    pub fn has(&self, name: &str) -> bool {
        self.names.contains(&name)
    }

    /// The object with the wanted members; those that are not there are null or empty.
    pub fn of(&self, object: Value) -> Value {
        let Value::Object(mut members) = object else { return object };
        let mut kept = Map::new();
        if let Some(id) = members.get("id") {
            kept.insert("id".to_owned(), id.clone());
        }
        for name in &self.names {
            let missing = || if self.kind.empty.contains(name) { json!([]) } else { Value::Null };
            let value = members.remove(*name).unwrap_or_else(missing);
            kept.insert((*name).to_owned(), value);
        }
        Value::Object(kept)
    }

    /// `groups` or `groups(id,displayName)`.
    pub fn context(&self, set: &str) -> String {
        if self.is_selected { format!("{set}({})", self.names.join(",")) } else { set.to_owned() }
    }
}

pub(super) fn unknown_property(name: &str, kind: &str) -> GraphError {
    GraphError::bad_request(format!(
        "Parsing OData Select and Expand failed: Could not find a property named '{name}' on type 'microsoft.graph.{kind}'."
    ))
}
