//! A YAML text as a tree that knows where everything stands. Refuses what a policy never needs: anchors, aliases, tags,
//! merge keys, several documents, deep nesting, a key written twice. Knows nothing of policies.
//!
//! The only file that names the parser with positions. What the values mean is read elsewhere, by another parser; both
//! must agree before a file counts.

use std::collections::BTreeMap;

use serde_saphyr::granit_parser::{Event, Parser, ScalarStyle, Span, Tag};

use super::fault::{Complaint, Faults, Place, Source};
use super::scalar;

/// A policy or settings file longer than this is refused unread: 100,000 ids fit, and no hand writes more.
pub const LONGEST_FILE: usize = 1024 * 1024;

/// Lists and maps inside each other. The deepest sensible match needs about eight.
const DEEPEST_NESTING: usize = 24;

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    pub place: Place,
    pub content: Content,
}

/// What stands there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// `is_plain`: written without quotes, so that YAML may read a number or a boolean.
    Scalar {
        text: String,
        is_plain: bool,
    },
    List(Vec<Node>),
    /// In the order of the file; every key once.
    Map(Vec<(Key, Node)>),
    /// Something that was refused and reported already.
    Refused,
}

/// A key of a map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    pub text: String,
    pub place: Place,
}

impl Node {
    pub fn get(&self, key: &str) -> Option<&Node> {
        match &self.content {
            Content::Map(entries) => entries.iter().find(|(k, _)| k.text == key).map(|(_, node)| node),
            Content::Scalar { .. } | Content::List(_) | Content::Refused => None,
        }
    }

    /// The place of `keep[2].match.group`, or of the nearest thing above it that exists.
    pub fn place_of(&self, path: &str) -> Place {
        let mut node = self;
        for step in path.split(['.', '[', ']']).filter(|step| !step.is_empty()) {
            let next = match &node.content {
                Content::Map(_) => node.get(step),
                Content::List(items) => step.parse::<usize>().ok().and_then(|index| items.get(index)),
                Content::Scalar { .. } | Content::Refused => None,
            };
            match next {
                Some(child) => node = child,
                None => break,
            }
        }
        node.place
    }

    /// What is written, for faults; empty for lists and maps.
    pub fn written(&self) -> &str {
        match &self.content {
            Content::Scalar { text, .. } => text,
            Content::List(_) | Content::Map(_) | Content::Refused => "",
        }
    }
}

/// Reads the one document in `source`. `None` when there is nothing to go on with; the reason is among the faults.
pub fn locate(source: &Source, faults: &mut Faults<'_>) -> Option<Node> {
    if report_signs(source, faults) {
        return None;
    }
    let mut builder = Builder { parser: Parser::new_from_str(&source.text), faults };
    let root = builder.document()?;
    if is_nothing(&root) {
        faults.error(Place::default(), "", "", Complaint::new("the file is empty", ""));
        return None;
    }
    Some(root)
}

/// Plain text that YAML reads as "no value".
pub fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

fn is_nothing(node: &Node) -> bool {
    matches!(&node.content, Content::Scalar { text, is_plain: true } if is_null(text))
}

/// Signs that a reviewer does not see or a parser reads in its own way. True when there are any.
fn report_signs(source: &Source, faults: &mut Faults<'_>) -> bool {
    // Not `lines()`: it would take a carriage return before a line break away.
    for (index, line) in source.text.split('\n').enumerate() {
        let line = line.strip_suffix('\r').unwrap_or(line);
        let is_indentation =
            |column: usize| line.chars().take(column).all(|sign| sign == ' ' || sign == '\t');
        let is_comment = line.trim_start().starts_with('#');
        for (column, sign) in line.chars().enumerate() {
            let complaint = match sign {
                '\t' if !is_comment && is_indentation(column) && !line.trim().is_empty() => {
                    Complaint::new("a tab in the indentation", "indent with spaces")
                }
                sign if scalar::is_hidden(sign) => Complaint::new(
                    format!("an invisible sign, U+{:04X}", u32::from(sign)),
                    "remove it: what is reviewed must be what is read",
                ),
                _ => continue,
            };
            let place = Place { line: number(index + 1), column: number(column + 1), width: 1 };
            faults.error(place, "", "", complaint);
        }
    }
    faults.has_errors()
}

struct Builder<'b, 's, 'f> {
    parser: Parser<'s, serde_saphyr::granit_parser::StrInput<'s>>,
    faults: &'b mut Faults<'f>,
}

/// Reading cannot go on; the fault is reported.
struct Stop;

impl<'s> Builder<'_, 's, '_> {
    fn document(&mut self) -> Option<Node> {
        let mut root = None;
        loop {
            let (event, span) = self.next().ok()?;
            match event {
                Event::StreamEnd => return Some(root.unwrap_or_else(|| empty(span))),
                Event::StreamStart | Event::DocumentEnd => {}
                Event::DocumentStart(..) if root.is_some() => {
                    let complaint = Complaint::new(
                        "a second document begins here",
                        "one file holds one document: remove the `---`, or use a directory of files",
                    );
                    self.faults.error(place(span), "", "---", complaint);
                    return root;
                }
                Event::DocumentStart(..) => {
                    let (event, span) = self.next().ok()?;
                    root = Some(self.node(event, span, 0, "").ok()?);
                }
                _ => return root,
            }
        }
    }

    fn next(&mut self) -> Result<(Event<'s>, Span), Stop> {
        loop {
            match self.parser.next_event() {
                Some(Ok((Event::Comment(..), _))) => {}
                Some(Ok(event)) => return Ok(event),
                Some(Err(error)) => {
                    let marker = error.marker();
                    let place =
                        Place { line: number(marker.line()), column: number(marker.col() + 1), width: 1 };
                    let info = error.info();
                    // The likeliest slip in a file of patterns: YAML takes `*name` for a reference.
                    let hint = match info.contains("anchor") || info.contains("alias") {
                        true => "a text that begins with * wants quotes: \"*@contoso.com\"",
                        false => "look also at the line above",
                    };
                    self.faults.error(
                        place,
                        "",
                        "",
                        Complaint::new(format!("not readable as YAML: {info}"), hint),
                    );
                    return Err(Stop);
                }
                None => return Err(Stop),
            }
        }
    }

    fn node(&mut self, event: Event<'s>, span: Span, depth: usize, path: &str) -> Result<Node, Stop> {
        if depth > DEEPEST_NESTING {
            let message = format!("nested deeper than {DEEPEST_NESTING} levels");
            self.faults.error(place(span), "", "", Complaint::new(message, "flatten it"));
            return Err(Stop);
        }
        let content = match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_properties(span, path, anchor, tag.as_deref());
                Content::Scalar { text: text.into_owned(), is_plain: style == ScalarStyle::Plain }
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.refuse_properties(span, path, anchor, tag.as_deref());
                self.list(depth, path)?
            }
            Event::MappingStart(_, anchor, tag) => {
                self.refuse_properties(span, path, anchor, tag.as_deref());
                self.map(depth, path)?
            }
            Event::Alias(_) | Event::UnresolvedAlias(_) => {
                let complaint =
                    Complaint::new("an alias: it hides what applies here", "write the value out in full");
                self.faults.error(place(span), path, "", complaint);
                Content::Refused
            }
            _ => Content::Refused,
        };
        Ok(Node { place: place(span), content })
    }

    fn list(&mut self, depth: usize, path: &str) -> Result<Content, Stop> {
        let mut items = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::SequenceEnd {
                return Ok(Content::List(items));
            }
            let path = format!("{path}[{}]", items.len());
            items.push(self.node(event, span, depth + 1, &path)?);
        }
    }

    fn map(&mut self, depth: usize, path: &str) -> Result<Content, Stop> {
        let mut entries: Vec<(Key, Node)> = Vec::new();
        let mut seen: BTreeMap<String, u32> = BTreeMap::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::MappingEnd {
                return Ok(Content::Map(entries));
            }
            let key = self.node(event, span, depth + 1, path)?;
            let text = key.written().to_owned();
            let child = joined(path, &text);
            let (event, span) = self.next()?;
            let value = self.node(event, span, depth + 1, &child)?;
            if self.accepts_key(&key, &mut seen, &child) {
                entries.push((Key { text, place: key.place }, value));
            }
        }
    }

    fn accepts_key(&mut self, key: &Node, seen: &mut BTreeMap<String, u32>, path: &str) -> bool {
        let Content::Scalar { text, .. } = &key.content else {
            let complaint = Complaint::new("a list or map as a key", "write a word, a colon and a value");
            self.faults.error(key.place, path, "", complaint);
            return false;
        };
        if text == "<<" {
            let complaint =
                Complaint::new("a merge key: it hides what applies here", "write the values out in full");
            self.faults.error(key.place, path, text, complaint);
            return false;
        }
        if let Some(line) = seen.insert(text.clone(), key.place.line) {
            let complaint = Complaint::new(
                format!("`{text}` is written twice"),
                format!("it stands in line {line} already; only one can be meant"),
            );
            self.faults.error(key.place, path, text, complaint);
            return false;
        }
        true
    }

    fn refuse_properties(&mut self, span: Span, path: &str, anchor: usize, tag: Option<&Tag>) {
        if anchor != 0 {
            let complaint = Complaint::new("an anchor: a policy needs none", "remove the `&name`");
            self.faults.error(place(span), path, "", complaint);
        }
        if let Some(tag) = tag {
            let start = span.tag_start().unwrap_or(span.start);
            let written = tag.original();
            let at = Place {
                line: number(start.line()),
                column: number(start.col() + 1),
                width: number(written.chars().count()),
            };
            let complaint = Complaint::new(format!("a tag `{written}`: none is needed"), "remove it");
            self.faults.error(at, path, "", complaint);
        }
    }
}

/// `keep[2]` and `match` make `keep[2].match`.
pub fn joined(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

fn empty(span: Span) -> Node {
    Node { place: place(span), content: Content::Scalar { text: String::new(), is_plain: true } }
}

fn place(span: Span) -> Place {
    let is_one_line = span.start.line() == span.end.line();
    let width = if is_one_line { span.end.col().saturating_sub(span.start.col()) } else { 1 };
    Place {
        line: number(span.start.line()),
        column: number(span.start.col() + 1),
        width: number(width.max(1)),
    }
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
