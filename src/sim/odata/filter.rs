//! `$filter`: a parser for the small part of OData that the simulated tenant understands, and the rules which of it
//! needs an advanced query. What is not understood is refused, never ignored.

use std::iter::Peekable;
use std::str::Chars;

/// A parsed filter. Paths keep their spelling, in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sim) enum Filter {
    And(Box<Filter>, Box<Filter>),
    Or(Box<Filter>, Box<Filter>),
    Not(Box<Filter>),
    Compare {
        path: String,
        comparison: Comparison,
        value: String,
    },
    /// `startswith(path,'text')`.
    StartsWith {
        path: String,
        text: String,
    },
    /// `path/any(x:x/inner eq value)`.
    Any {
        path: String,
        inner: String,
        value: String,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sim) enum Comparison {
    Equal,
    NotEqual,
    GreaterOrEqual,
    LessOrEqual,
}

impl Filter {
    /// `None`: not in the understood part.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parser = Parser { tokens: tokenize(text)?, position: 0 };
        let filter = parser.disjunction()?;
        (parser.position == parser.tokens.len()).then_some(filter)
    }

    /// All leaves in order.
    pub fn leaves(&self) -> Vec<&Filter> {
        match self {
            Filter::And(left, right) | Filter::Or(left, right) => {
                let mut leaves = left.leaves();
                leaves.extend(right.leaves());
                leaves
            }
            Filter::Not(inner) => inner.leaves(),
            Filter::Compare { .. } | Filter::StartsWith { .. } | Filter::Any { .. } => vec![self],
        }
    }

    /// Whether it needs `ConsistencyLevel: eventual` and `$count=true`. Graph: aad-advanced-queries.
    pub fn is_advanced(&self) -> bool {
        match self {
            Filter::And(left, right) | Filter::Or(left, right) => left.is_advanced() || right.is_advanced(),
            Filter::Not(_) => true,
            Filter::Compare { path, comparison, .. } => {
                *comparison == Comparison::NotEqual || path.ends_with("/$count")
            }
            Filter::StartsWith { .. } | Filter::Any { .. } => false,
        }
    }

    /// Evaluates with `leaf` deciding each leaf.
    pub fn holds(&self, leaf: &impl Fn(&Filter) -> bool) -> bool {
        match self {
            Filter::And(left, right) => left.holds(leaf) && right.holds(leaf),
            Filter::Or(left, right) => left.holds(leaf) || right.holds(leaf),
            Filter::Not(inner) => !inner.holds(leaf),
            Filter::Compare { .. } | Filter::StartsWith { .. } | Filter::Any { .. } => leaf(self),
        }
    }
}

impl Comparison {
    pub fn holds<T: PartialOrd>(self, left: &T, right: &T) -> bool {
        match self {
            Comparison::Equal => left == right,
            Comparison::NotEqual => left != right,
            Comparison::GreaterOrEqual => left >= right,
            Comparison::LessOrEqual => left <= right,
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
            Token::Word(word) if word.eq_ignore_ascii_case("startswith") => self.starts_with(),
            Token::Word(word) if self.peek() == Some(&Token::Open) => self.any(&word),
            Token::Word(word) => self.comparison(word.to_ascii_lowercase()),
            Token::Text(_) | Token::Close | Token::Comma | Token::Colon => None,
        }
    }

    fn starts_with(&mut self) -> Option<Filter> {
        self.expect(&Token::Open)?;
        let Token::Word(path) = self.next()? else { return None };
        self.expect(&Token::Comma)?;
        let Token::Text(text) = self.next()? else { return None };
        self.expect(&Token::Close)?;
        Some(Filter::StartsWith { path: path.to_ascii_lowercase(), text })
    }

    fn any(&mut self, word: &str) -> Option<Filter> {
        let path = word.strip_suffix("/any")?.to_ascii_lowercase();
        self.expect(&Token::Open)?;
        let Token::Word(variable) = self.next()? else { return None };
        self.expect(&Token::Colon)?;
        let Token::Word(inner) = self.next()? else { return None };
        let inner = inner.strip_prefix(&format!("{variable}/"))?.to_ascii_lowercase();
        let Token::Word(operator) = self.next()? else { return None };
        let value = self.value()?;
        self.expect(&Token::Close)?;
        (operator.eq_ignore_ascii_case("eq")).then_some(Filter::Any { path, inner, value })
    }

    fn comparison(&mut self, path: String) -> Option<Filter> {
        let Token::Word(operator) = self.next()? else { return None };
        let comparison = match operator.to_ascii_lowercase().as_str() {
            "eq" => Comparison::Equal,
            "ne" => Comparison::NotEqual,
            "ge" => Comparison::GreaterOrEqual,
            "le" => Comparison::LessOrEqual,
            _ => return None,
        };
        Some(Filter::Compare { path, comparison, value: self.value()? })
    }

    fn value(&mut self) -> Option<String> {
        match self.next()? {
            Token::Word(value) | Token::Text(value) => Some(value),
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
            ("startswith(userPrincipalName,'a''b')", false),
            ("accountEnabled eq true and userType eq 'Guest'", false),
            ("assignedLicenses/$count ne 0", true),
            ("not(startswith(userPrincipalName,'a')) and not(startswith(userPrincipalName,'b'))", true),
            ("not (startswith(userPrincipalName,'a') or startswith(userPrincipalName,'b'))", true),
            ("targetResources/any(t:t/id eq '7e06b566-15f3-4013-8bf8-79874d52e68a')", false),
            ("activityDateTime ge 2026-01-01T00:00:00Z", false),
        ];
        for (text, is_advanced) in cases {
            let filter = Filter::parse(text).unwrap_or_else(|| panic!("{text} parses"));
            assert_eq!(filter.is_advanced(), is_advanced, "{text}");
        }
        let Some(Filter::StartsWith { text, .. }) = Filter::parse("startswith(userPrincipalName,'a''b')")
        else {
            panic!("a call")
        };
        assert_eq!(text, "a'b");
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for text in [
            "",
            "accountEnabled",
            "endswith(mail,'x')",
            "a eq 'b' and",
            "a eq 'b' c",
            "a eq 'open",
            "(a eq 1",
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
