//! `$filter`: a parser for the part of OData that the simulated tenant understands. What a type takes of it is decided
//! in `schema`; what is not understood here is refused there.

use std::iter::Peekable;
use std::str::Chars;

/// Parentheses nest as deep as this at most: far above any real filter, and far below what the stack holds.
const MOST_TOKENS: usize = 1000;

/// A parsed filter. Paths are in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sim) enum Filter {
    And(Box<Filter>, Box<Filter>),
    Or(Box<Filter>, Box<Filter>),
    Not(Box<Filter>),
    Compare {
        path: String,
        comparison: Comparison,
        value: Literal,
    },
    /// `path in ('a','b')`.
    OneOf {
        path: String,
        values: Vec<Literal>,
    },
    /// `startswith(path,'text')`.
    StartsWith {
        path: String,
        text: String,
    },
    /// `endswith(path,'text')`.
    EndsWith {
        path: String,
        text: String,
    },
    /// `path eq null`.
    IsNull {
        path: String,
    },
    /// `path/any(x:x/inner eq value)`; the paths of `inner` begin below `x`, and are empty for `x` itself.
    Any {
        path: String,
        inner: Box<Filter>,
    },
}

/// A value as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sim) struct Literal {
    pub text: String,
    pub is_quoted: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sim) enum Comparison {
    Equal,
    NotEqual,
    GreaterOrEqual,
    LessOrEqual,
    Greater,
    Less,
}

impl Filter {
    /// `None`: not in the understood part.
    pub fn parse(text: &str) -> Option<Self> {
        let tokens = tokenize(text).filter(|tokens| tokens.len() <= MOST_TOKENS)?;
        let mut parser = Parser { tokens, position: 0 };
        let filter = parser.disjunction()?;
        (parser.position == parser.tokens.len()).then_some(filter)
    }

    /// All leaves in order; an `any` is one.
    pub fn leaves(&self) -> Vec<&Filter> {
        match self {
            Filter::And(left, right) | Filter::Or(left, right) => {
                let mut leaves = left.leaves();
                leaves.extend(right.leaves());
                leaves
            }
            Filter::Not(inner) => inner.leaves(),
            Filter::Compare { .. }
            | Filter::OneOf { .. }
            | Filter::StartsWith { .. }
            | Filter::EndsWith { .. }
            | Filter::IsNull { .. }
            | Filter::Any { .. } => vec![self],
        }
    }

    pub fn has_negation(&self) -> bool {
        match self {
            Filter::And(left, right) | Filter::Or(left, right) => left.has_negation() || right.has_negation(),
            Filter::Not(_) => true,
            Filter::Compare { .. }
            | Filter::OneOf { .. }
            | Filter::StartsWith { .. }
            | Filter::EndsWith { .. }
            | Filter::IsNull { .. }
            | Filter::Any { .. } => false,
        }
    }

    /// Evaluates with `leaf` deciding each leaf.
    pub fn holds(&self, leaf: &impl Fn(&Filter) -> bool) -> bool {
        match self {
            Filter::And(left, right) => left.holds(leaf) && right.holds(leaf),
            Filter::Or(left, right) => left.holds(leaf) || right.holds(leaf),
            Filter::Not(inner) => !inner.holds(leaf),
            Filter::Compare { .. }
            | Filter::OneOf { .. }
            | Filter::StartsWith { .. }
            | Filter::EndsWith { .. }
            | Filter::IsNull { .. }
            | Filter::Any { .. } => leaf(self),
        }
    }

    /// The path of a leaf.
    pub fn path(&self) -> Option<&str> {
        match self {
            Filter::Compare { path, .. }
            | Filter::OneOf { path, .. }
            | Filter::StartsWith { path, .. }
            | Filter::EndsWith { path, .. }
            | Filter::IsNull { path }
            | Filter::Any { path, .. } => Some(path),
            Filter::And(..) | Filter::Or(..) | Filter::Not(_) => None,
        }
    }

    /// Cuts the variable of an `any` off every path; `None` where a path begins with something else.
    fn below(self, variable: &str) -> Option<Self> {
        let cut = |path: String| match path.strip_prefix(variable)? {
            "" => Some(String::new()),
            rest => rest.strip_prefix('/').map(str::to_owned),
        };
        let both = |left: Box<Filter>, right: Box<Filter>| {
            Some((Box::new(left.below(variable)?), Box::new(right.below(variable)?)))
        };
        Some(match self {
            Filter::And(left, right) => both(left, right).map(|(left, right)| Filter::And(left, right))?,
            Filter::Or(left, right) => both(left, right).map(|(left, right)| Filter::Or(left, right))?,
            Filter::Compare { path, comparison, value } => {
                Filter::Compare { path: cut(path)?, comparison, value }
            }
            Filter::StartsWith { path, text } => Filter::StartsWith { path: cut(path)?, text },
            Filter::EndsWith { path, text } => Filter::EndsWith { path: cut(path)?, text },
            Filter::Not(_) | Filter::OneOf { .. } | Filter::IsNull { .. } | Filter::Any { .. } => {
                return None;
            }
        })
    }
}

impl Comparison {
    pub fn holds<T: PartialOrd>(self, left: &T, right: &T) -> bool {
        match self {
            Comparison::Equal => left == right,
            Comparison::NotEqual => left != right,
            Comparison::GreaterOrEqual => left >= right,
            Comparison::LessOrEqual => left <= right,
            Comparison::Greater => left > right,
            Comparison::Less => left < right,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word(String),
    Text(String),
    Open,
    Close,
    Comma,
    Colon,
}

fn tokenize(text: &str) -> Option<Vec<Token>> {
    let mut chars = text.chars().peekable();
    let mut tokens = Vec::new();
    while let Some(&next) = chars.peek() {
        match next {
            ' ' => {
                chars.next();
                continue;
            }
            '\'' => tokens.push(Token::Text(quoted(&mut chars)?)),
            _ => {
                let single = match next {
                    '(' => Some(Token::Open),
                    ')' => Some(Token::Close),
                    ',' => Some(Token::Comma),
                    _ => None,
                };
                match single {
                    Some(token) => {
                        chars.next();
                        tokens.push(token);
                    }
                    None => word(&mut chars, &mut tokens),
                }
            }
        }
    }
    Some(tokens)
}

/// A quoted text; a doubled quote stands for one.
fn quoted(chars: &mut Peekable<Chars<'_>>) -> Option<String> {
    chars.next();
    let mut text = String::new();
    loop {
        match chars.next()? {
            '\'' if chars.peek() == Some(&'\'') => {
                chars.next();
                text.push('\'');
            }
            '\'' => return Some(text),
            other => text.push(other),
        }
    }
}

/// A name, number, time or identifier. A colon ends it only after a lone variable name, as in `any(x:x/id ..)`: times
/// contain colons too.
fn word(chars: &mut Peekable<Chars<'_>>, tokens: &mut Vec<Token>) {
    let mut text = String::new();
    while let Some(&next) = chars.peek() {
        let ends_variable = next == ':' && text.chars().all(char::is_alphabetic);
        if matches!(next, ' ' | '(' | ')' | ',' | '\'') || ends_variable {
            break;
        }
        text.push(next);
        chars.next();
    }
    tokens.push(Token::Word(text));
    if chars.peek() == Some(&':') {
        chars.next();
        tokens.push(Token::Colon);
    }
}

struct Parser {
    tokens: Vec<Token>,
    position: usize,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.position)
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.position).cloned();
        self.position += 1;
        token
    }

    fn expect(&mut self, wanted: &Token) -> Option<()> {
        (self.next().as_ref() == Some(wanted)).then_some(())
    }

    fn peek_word(&self, wanted: &str) -> bool {
        matches!(self.peek(), Some(Token::Word(word)) if word.eq_ignore_ascii_case(wanted))
    }

    fn disjunction(&mut self) -> Option<Filter> {
        let mut left = self.conjunction()?;
        while self.peek_word("or") {
            self.next();
            left = Filter::Or(Box::new(left), Box::new(self.conjunction()?));
        }
        Some(left)
    }

    fn conjunction(&mut self) -> Option<Filter> {
        let mut left = self.term()?;
        while self.peek_word("and") {
            self.next();
            left = Filter::And(Box::new(left), Box::new(self.term()?));
        }
        Some(left)
    }

    fn term(&mut self) -> Option<Filter> {
        match self.next()? {
            Token::Open => {
                let inner = self.disjunction()?;
                self.expect(&Token::Close)?;
                Some(inner)
            }
            Token::Word(word) if word.eq_ignore_ascii_case("not") => {
                Some(Filter::Not(Box::new(self.term()?)))
            }
            Token::Word(word) if word.eq_ignore_ascii_case("startswith") => {
                let (path, text) = self.path_and_text()?;
                Some(Filter::StartsWith { path, text })
            }
            Token::Word(word) if word.eq_ignore_ascii_case("endswith") => {
                let (path, text) = self.path_and_text()?;
                Some(Filter::EndsWith { path, text })
            }
            Token::Word(word) if self.peek() == Some(&Token::Open) => self.any(&word),
            Token::Word(word) => self.comparison(word.to_ascii_lowercase()),
            Token::Text(_) | Token::Close | Token::Comma | Token::Colon => None,
        }
    }

    /// `(path,'text')`.
    fn path_and_text(&mut self) -> Option<(String, String)> {
        self.expect(&Token::Open)?;
        let Token::Word(path) = self.next()? else { return None };
        self.expect(&Token::Comma)?;
        let Token::Text(text) = self.next()? else { return None };
        self.expect(&Token::Close)?;
        Some((path.to_ascii_lowercase(), text))
    }

    fn any(&mut self, word: &str) -> Option<Filter> {
        let path = word.to_ascii_lowercase().strip_suffix("/any")?.to_owned();
        self.expect(&Token::Open)?;
        let Token::Word(variable) = self.next()? else { return None };
        self.expect(&Token::Colon)?;
        let inner = self.disjunction()?.below(&variable.to_ascii_lowercase())?;
        self.expect(&Token::Close)?;
        Some(Filter::Any { path, inner: Box::new(inner) })
    }

    fn comparison(&mut self, path: String) -> Option<Filter> {
        let Token::Word(operator) = self.next()? else { return None };
        let comparison = match operator.to_ascii_lowercase().as_str() {
            "eq" => Comparison::Equal,
            "ne" => Comparison::NotEqual,
            "ge" => Comparison::GreaterOrEqual,
            "le" => Comparison::LessOrEqual,
            "gt" => Comparison::Greater,
            "lt" => Comparison::Less,
            "in" => return self.one_of(path),
            _ => return None,
        };
        if self.peek_word("null") {
            self.next();
            let is_null = Filter::IsNull { path };
            return match comparison {
                Comparison::Equal => Some(is_null),
                Comparison::NotEqual => Some(Filter::Not(Box::new(is_null))),
                Comparison::GreaterOrEqual
                | Comparison::LessOrEqual
                | Comparison::Greater
                | Comparison::Less => None,
            };
        }
        Some(Filter::Compare { path, comparison, value: self.value()? })
    }

    /// `('a','b')` after `in`.
    fn one_of(&mut self, path: String) -> Option<Filter> {
        self.expect(&Token::Open)?;
        let mut values = Vec::new();
        loop {
            values.push(self.value()?);
            match self.next()? {
                Token::Comma => {}
                Token::Close => return Some(Filter::OneOf { path, values }),
                Token::Word(_) | Token::Text(_) | Token::Open | Token::Colon => return None,
            }
        }
    }

    fn value(&mut self) -> Option<Literal> {
        match self.next()? {
            Token::Word(text) => Some(Literal { text, is_quoted: false }),
            Token::Text(text) => Some(Literal { text, is_quoted: true }),
            Token::Open | Token::Close | Token::Comma | Token::Colon => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_understood_parses() {
        let cases = [
            "startswith(userPrincipalName,'a''b')",
            "accountEnabled eq true and userType eq 'Guest'",
            "assignedLicenses/$count ne 0",
            "not(startswith(userPrincipalName,'a')) and not(startswith(userPrincipalName,'b'))",
            "not (startswith(userPrincipalName,'a') or startswith(userPrincipalName,'b'))",
            "NOT startsWith(displayName, 'Conf')",
            "targetResources/any(t:t/id eq '7e06b566-15f3-4013-8bf8-79874d52e68a')",
            "assignedPlans/any(p:p/servicePlanId eq 7e06b566-15f3-4013-8bf8-79874d52e68a and p/service eq 'x')",
            "activityDateTime ge 2026-01-01T00:00:00Z",
            "endswith(mail,'@contoso.com')",
            "department eq null",
            "id in ('a', 'b') or createdDateTime lt 2026-01-01T00:00:00Z",
            "proxyAddresses/any (p:p eq 'SMTP:a@contoso.com')",
            "proxyAddresses/any(p:startswith(p,'smtp:'))",
        ];
        for text in cases {
            assert!(Filter::parse(text).is_some(), "{text}");
        }
        let Some(Filter::StartsWith { text, .. }) = Filter::parse("startswith(userPrincipalName,'a''b')")
        else {
            panic!("a call")
        };
        assert_eq!(text, "a'b");
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        let deep = format!("{}a eq 1{}", "(".repeat(9999), ")".repeat(9999));
        for text in [
            &deep,
            "",
            "accountEnabled",
            "a eq 'b' and",
            "a eq 'b' c",
            "a eq 'open",
            "(a eq 1",
            "contains(a,'b')",
            "a/any(x:y eq 'b')",
            "a/any(x:not(x eq 'b'))",
            "a/any()",
        ] {
            assert_eq!(Filter::parse(text), None, "{text}");
        }
    }

    #[test]
    fn and_binds_closer_than_or() {
        let filter = Filter::parse("a eq 1 or b eq 1 and c eq 1").expect("parses");
        let only_a = |leaf: &Filter| matches!(leaf, Filter::Compare { path, .. } if path == "a");
        assert!(filter.holds(&only_a));
        let only_b = |leaf: &Filter| matches!(leaf, Filter::Compare { path, .. } if path == "b");
        assert!(!filter.holds(&only_b));
    }
}
