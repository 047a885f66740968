//! Holds a located tree against a table of what may stand where, and reports everything that does not fit. Serves
//! policy and settings; knows neither.

use serde_json::{Map, Value};

use super::fault::{Complaint, Faults, nearest};
use super::locate::{Content, Key, Node, is_null, joined};
use super::scalar;

/// What may stand in a place.
pub enum Shape {
    /// A map with these keys.
    Map(&'static [Field]),
    /// A map whose keys are names that pass the check.
    Table {
        key: Check,
        value: &'static Shape,
    },
    List(&'static Shape),
    /// One value, or a list of them.
    OneOrMany(&'static Shape),
    /// A word, or a map: `assign`.
    WordOr {
        words: &'static [&'static str],
        otherwise: &'static Shape,
    },
    Text(Check),
    /// A text that is not shown when it is wrong: it may be a secret in the wrong place.
    Discreet(Check),
    /// A whole number in this range; the text says what to do instead of a number outside.
    Whole {
        least: i64,
        most: i64,
        hint: &'static str,
    },
    /// One of these whole numbers.
    OneOf {
        numbers: &'static [i64],
        hint: &'static str,
    },
    /// `true` or `false`, nothing else.
    Flag,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Never allowed here, though people try.
    Refused {
        message: &'static str,
        hint: &'static str,
        is_secret: bool,
    },
}

/// Says whether a text will do.
pub type Check = fn(&str) -> Result<(), Complaint>;

/// A key of a map.
pub struct Field {
    pub name: &'static str,
    pub shape: &'static Shape,
    pub is_required: bool,
    /// What people write instead, so that the fault can say the right name.
    pub also_written: &'static [&'static str],
}

impl Field {
    pub const fn optional(name: &'static str, shape: &'static Shape) -> Self {
        Self { name, shape, is_required: false, also_written: &[] }
    }

    pub const fn required(name: &'static str, shape: &'static Shape) -> Self {
        Self { name, shape, is_required: true, also_written: &[] }
    }

    pub const fn also_written(self, also_written: &'static [&'static str]) -> Self {
        Self { also_written, ..self }
    }
}

/// Reports what does not fit, and returns what does: a bad key is left out, a bad text in a list becomes empty, a bad
/// map in a list becomes an empty map, so that later checks still see the rest under the same indices.
pub fn check(node: &Node, shape: &'static Shape, faults: &mut Faults<'_>) -> Option<Value> {
    Walk { faults }.value(node, shape, "")
}

struct Walk<'w, 's> {
    faults: &'w mut Faults<'s>,
}

impl Walk<'_, '_> {
    fn value(&mut self, node: &Node, shape: &'static Shape, path: &str) -> Option<Value> {
        if node.content == Content::Refused {
            return None;
        }
        if let Shape::Refused { message, hint, is_secret } = shape {
            if *is_secret {
                self.faults.hide(node.place, node.written());
            }
            return self.refuse(node, path, Complaint::new(*message, *hint));
        }
        if let Content::Scalar { text, is_plain: true } = &node.content
            && is_null(text)
        {
            let complaint =
                Complaint::new("no value", format!("write {}, or leave the key out", wanted(shape)));
            return self.refuse(node, path, complaint);
        }
        match shape {
            Shape::Map(fields) => self.map(node, fields, path),
            Shape::Table { key, value } => self.table(node, *key, value, path),
            Shape::List(item) => match &node.content {
                Content::List(items) => self.list(node, items, item, path),
                _ => self.wrong_type(node, shape, path),
            },
            Shape::OneOrMany(item) => match &node.content {
                Content::List(items) => self.list(node, items, item, path),
                _ => self.value(node, item, path),
            },
            Shape::WordOr { words, otherwise } => match &node.content {
                Content::Map(_) => self.value(node, otherwise, path),
                _ => self.scalar(node, shape, path, |text, _| {
                    let hint = format!("write {}, or {}", words.join(" or "), wanted(otherwise));
                    choice(text, words).map_err(|complaint| Complaint { hint, ..complaint })
                }),
            },
            Shape::Text(check) => self.scalar(node, shape, path, |text, is_plain| {
                if is_plain && !scalar::reads_as_text(text) && check(text).is_ok() {
                    return Err(Complaint::new(
                        format!("`{text}` without quotes is not a text"),
                        format!("write \"{text}\""),
                    ));
                }
                check(text).map(|()| Value::from(text))
            }),
            Shape::Discreet(check) => {
                if check(node.written()).is_err() {
                    self.faults.hide(node.place, node.written());
                }
                self.scalar(node, shape, path, |text, _| check(text).map(|()| Value::from(text)))
            }
            Shape::Whole { least, most, hint } => {
                self.scalar(node, shape, path, |text, is_plain| whole(text, is_plain, *least, *most, hint))
            }
            Shape::OneOf { numbers, hint } => self.scalar(node, shape, path, |text, is_plain| {
                let number = whole(text, is_plain, i64::MIN, i64::MAX, hint)?;
                let is_listed = number.as_i64().is_some_and(|number| numbers.contains(&number));
                if is_listed {
                    Ok(number)
                } else {
                    Err(Complaint::new(format!("{text} is not possible"), *hint))
                }
            }),
            Shape::Flag => self.scalar(node, shape, path, flag),
            Shape::Choice(words) => self.scalar(node, shape, path, |text, _| choice(text, words)),
            Shape::Refused { .. } => None,
        }
    }

    fn map(&mut self, node: &Node, fields: &'static [Field], path: &str) -> Option<Value> {
        let Content::Map(entries) = &node.content else {
            return self.wrong_type(node, &Shape::Map(fields), path);
        };
        if entries.is_empty() {
            let complaint =
                Complaint::new("an empty map", format!("write at least one of {}", names(fields)));
            self.refuse(node, path, complaint);
            return Some(Value::Object(Map::new()));
        }
        let mut fitting = Map::new();
        for (key, value) in entries {
            let child = joined(path, &key.text);
            match fields.iter().find(|field| field.name == key.text) {
                Some(field) => {
                    if let Some(value) = self.value(value, field.shape, &child) {
                        fitting.insert(field.name.to_owned(), value);
                    }
                }
                None => self.unknown_key(key, value, fields, &child),
            }
        }
        for field in fields.iter().filter(|field| field.is_required) {
            if !entries.iter().any(|(key, _)| key.text == field.name) {
                let complaint = Complaint::new(
                    format!("`{}` is missing", field.name),
                    format!("write `{}:` and {}", field.name, wanted(field.shape)),
                );
                let start = entries.first().map_or(node.place, |(key, _)| key.place);
                self.faults.error(start, path, "", complaint);
            }
        }
        Some(Value::Object(fitting))
    }

    fn unknown_key(&mut self, key: &Key, value: &Node, fields: &'static [Field], path: &str) {
        if sounds_secret(&key.text) {
            self.faults.hide(value.place, value.written());
        }
        let meant = fields.iter().find(|field| {
            field.also_written.contains(&key.text.as_str()) || field.name.eq_ignore_ascii_case(&key.text)
        });
        let visible = fields.iter().filter(|field| !matches!(field.shape, Shape::Refused { .. }));
        let near =
            meant.map(|field| field.name).or_else(|| nearest(&key.text, visible.map(|field| field.name)));
        let hint = match near {
            Some(name) => format!("did you mean `{name}`?"),
            None => format!("known here: {}", names(fields)),
        };
        let complaint = Complaint::new(format!("unknown key `{}`", key.text), hint);
        self.faults.error(key.place, path, &key.text, complaint);
    }

    fn table(&mut self, node: &Node, check: Check, shape: &'static Shape, path: &str) -> Option<Value> {
        let Content::Map(entries) = &node.content else {
            return self.wrong_type(node, &Shape::Table { key: check, value: shape }, path);
        };
        let mut fitting = Map::new();
        for (key, value) in entries {
            let child = joined(path, &key.text);
            if let Err(complaint) = check(&key.text) {
                self.faults.error(key.place, &child, &key.text, complaint);
            }
            if let Some(value) = self.value(value, shape, &child) {
                fitting.insert(key.text.clone(), value);
            }
        }
        Some(Value::Object(fitting))
    }

    fn list(&mut self, node: &Node, items: &[Node], shape: &'static Shape, path: &str) -> Option<Value> {
        if items.is_empty() {
            let complaint = Complaint::new("an empty list", "write at least one entry, or leave the key out");
            return self.refuse(node, path, complaint);
        }
        // Only texts and maps are looked at again by index; a bad word, number or flag can be left out.
        let placeholder = match shape {
            Shape::Map(_) | Shape::Table { .. } => Some(Value::Object(Map::new())),
            Shape::Text(_) | Shape::Discreet(_) => Some(Value::from("")),
            _ => None,
        };
        let values = items.iter().enumerate().filter_map(|(index, item)| {
            let child = format!("{path}[{index}]");
            self.value(item, shape, &child).or_else(|| placeholder.clone())
        });
        Some(Value::Array(values.collect()))
    }

    fn scalar(
        &mut self,
        node: &Node,
        shape: &'static Shape,
        path: &str,
        read: impl FnOnce(&str, bool) -> Result<Value, Complaint>,
    ) -> Option<Value> {
        let Content::Scalar { text, is_plain } = &node.content else {
            return self.wrong_type(node, shape, path);
        };
        match read(text, *is_plain) {
            Ok(value) => Some(value),
            Err(complaint) => self.refuse(node, path, complaint),
        }
    }

    fn wrong_type(&mut self, node: &Node, shape: &Shape, path: &str) -> Option<Value> {
        let found = match &node.content {
            Content::Scalar { .. } => "a single value",
            Content::List(_) => "a list",
            Content::Map(_) => "a map",
            Content::Refused => return None,
        };
        let complaint = Complaint::new(
            format!("{found} where {} is expected", wanted(shape)),
            if matches!(shape, Shape::List(_)) { "put `- ` before each entry" } else { "" },
        );
        self.refuse(node, path, complaint)
    }

    fn refuse(&mut self, node: &Node, path: &str, complaint: Complaint) -> Option<Value> {
        self.faults.error(node.place, path, node.written(), complaint);
        None
    }
}

fn whole(text: &str, is_plain: bool, least: i64, most: i64, hint: &str) -> Result<Value, Complaint> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let is_canonical = is_digits && (text == "0" || !digits.starts_with('0'));
    if !is_canonical {
        return Err(Complaint::new(format!("`{text}` is not a whole number"), hint));
    }
    if !is_plain {
        return Err(Complaint::new(
            format!("\"{text}\" in quotes is a text"),
            format!("write {text} without quotes"),
        ));
    }
    match text.parse::<i64>() {
        Ok(number) if (least..=most).contains(&number) => Ok(Value::from(number)),
        Ok(_) | Err(_) => Err(Complaint::new(format!("{text} is out of range"), hint)),
    }
}

fn flag(text: &str, is_plain: bool) -> Result<Value, Complaint> {
    match text {
        "true" if is_plain => Ok(Value::Bool(true)),
        "false" if is_plain => Ok(Value::Bool(false)),
        _ => {
            let hint = match text.to_ascii_lowercase().as_str() {
                "yes" | "on" | "y" | "true" | "1" => "write true",
                "no" | "off" | "n" | "false" | "0" => "write false",
                _ => "write true or false",
            };
            Err(Complaint::new(format!("`{text}` is neither true nor false"), hint))
        }
    }
}

fn choice(text: &str, words: &[&'static str]) -> Result<Value, Complaint> {
    if words.contains(&text) {
        return Ok(Value::from(text));
    }
    let hint = match nearest(text, words.iter().copied()) {
        Some(near) => format!("did you mean {near}?"),
        None => format!("write {}", words.join(" or ")),
    };
    Err(Complaint::new(format!("`{text}` is not one of {}", words.join(", ")), hint))
}

fn sounds_secret(key: &str) -> bool {
    let lowered = key.to_ascii_lowercase();
    ["secret", "password", "passwd", "token", "credential", "key"].iter().any(|word| lowered.contains(word))
}

fn names(fields: &[Field]) -> String {
    let visible = fields.iter().filter(|field| !matches!(field.shape, Shape::Refused { .. }));
    visible.map(|field| field.name).collect::<Vec<_>>().join(", ")
}

fn wanted(shape: &Shape) -> String {
    match shape {
        Shape::Map(fields) => format!("a map of {}", names(fields)),
        Shape::Table { .. } => "a map of names and values".to_owned(),
        Shape::List(_) => "a list".to_owned(),
        Shape::OneOrMany(item) => format!("{} or a list of them", wanted(item)),
        Shape::WordOr { words, otherwise } => format!("{} or {}", words.join(", "), wanted(otherwise)),
        Shape::Text(_) | Shape::Discreet(_) => "a text".to_owned(),
        Shape::Whole { .. } | Shape::OneOf { .. } => "a whole number".to_owned(),
        Shape::Flag => "true or false".to_owned(),
        Shape::Choice(words) => words.join(" or "),
        Shape::Refused { .. } => "nothing".to_owned(),
    }
}

#[cfg(test)]
pub mod tests_support {
    //! For policy and settings: the table must name the keys that the types name.

    use std::collections::BTreeSet;

    use super::*;

    /// The keys of every map in the table, followed along with the JSON Schema that is made from the types.
    pub fn assert_same_keys(shape: &'static Shape, schema: &Value) {
        let count = compare(shape, schema, schema, "", &mut BTreeSet::new());
        assert!(count >= 5, "only {count} maps were compared");
    }

    fn compare(
        shape: &'static Shape,
        schema: &Value,
        root: &Value,
        path: &str,
        seen: &mut BTreeSet<usize>,
    ) -> usize {
        let schema = resolved(schema, root);
        match shape {
            Shape::Map(fields) => {
                if !seen.insert(fields.as_ptr() as usize) {
                    return 0;
                }
                let properties =
                    schema["properties"].as_object().unwrap_or_else(|| panic!("{path}: {schema}"));
                let visible = || fields.iter().filter(|field| !matches!(field.shape, Shape::Refused { .. }));
                let ours: BTreeSet<&str> = visible().map(|field| field.name).collect();
                let theirs: BTreeSet<&str> = properties.keys().map(String::as_str).collect();
                assert_eq!(ours, theirs, "{path}");
                let required: BTreeSet<&str> =
                    visible().filter(|field| field.is_required).map(|field| field.name).collect();
                let demanded = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
                assert_eq!(required, demanded.collect(), "required at {path}");
                let below = visible().map(|field| {
                    compare(field.shape, &properties[field.name], root, &joined(path, field.name), seen)
                });
                1 + below.sum::<usize>()
            }
            Shape::List(item) => compare(item, &schema["items"], root, path, seen),
            Shape::WordOr { otherwise, .. } => {
                let options = schema["anyOf"].as_array().into_iter().flatten();
                let map = options
                    .map(|option| resolved(option, root))
                    .find(|option| option["properties"].is_object());
                compare(otherwise, map.unwrap_or_else(|| panic!("{path}: {schema}")), root, path, seen)
            }
            Shape::Table { .. }
            | Shape::OneOrMany(_)
            | Shape::Text(_)
            | Shape::Discreet(_)
            | Shape::Whole { .. }
            | Shape::OneOf { .. }
            | Shape::Flag
            | Shape::Choice(_)
            | Shape::Refused { .. } => 0,
        }
    }

    fn resolved<'v>(schema: &'v Value, root: &'v Value) -> &'v Value {
        match schema["$ref"].as_str() {
            Some(name) => resolved(root.pointer(&name[1..]).expect("a definition"), root),
            None => schema,
        }
    }
}
