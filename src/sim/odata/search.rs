//! `$search`: quoted `"property:text"` terms with AND, OR and parentheses. Names are taken apart into words; elsewhere
//! the beginning counts. Source: https://learn.microsoft.com/graph/search-query-parameter

/// Parentheses nest as deep as this at most, as in a filter.
const MOST_TOKENS: usize = 1000;

/// A parsed search. Properties are in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Search {
    And(Box<Search>, Box<Search>),
    Or(Box<Search>, Box<Search>),
    Term { property: String, text: String },
}

impl Search {
    /// `None`: not a search.
    pub fn parse(text: &str) -> Option<Self> {
        let tokens = tokenize(text).filter(|tokens| tokens.len() <= MOST_TOKENS)?;
        let mut parser = Parser { tokens, position: 0 };
        let search = parser.disjunction()?;
        (parser.position == parser.tokens.len()).then_some(search)
    }

    pub fn properties(&self) -> Vec<&str> {
        match self {
            Search::And(left, right) | Search::Or(left, right) => {
                let mut all = left.properties();
                all.extend(right.properties());
                all
            }
            Search::Term { property, .. } => vec![property],
        }
    }

    /// Evaluates with `term` deciding each term.
    pub fn holds(&self, term: &impl Fn(&str, &str) -> bool) -> bool {
        match self {
            Search::And(left, right) => left.holds(term) && right.holds(term),
            Search::Or(left, right) => left.holds(term) || right.holds(term),
            Search::Term { property, text } => term(property, text),
        }
    }
}

/// Each word of `wanted` begins a word of `name`, in any order.
pub(super) fn words_match(name: &str, wanted: &str) -> bool {
    let mut known: Vec<String> = words(name).map(str::to_lowercase).collect();
    known.extend(words(name).flat_map(parts));
    let begins = |word: &str| known.iter().any(|known| known.starts_with(word));
    let is_found = |word: &str| {
        let parts = parts(word);
        begins(&word.to_lowercase()) || (parts.len() > 1 && parts.iter().all(|part| begins(part)))
    };
    let mut wanted = words(wanted).peekable();
    wanted.peek().is_some() && wanted.all(is_found)
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|sign: char| !sign.is_alphanumeric()).filter(|word| !word.is_empty())
}

/// `HelloWorld2` is hello, world and 2.
fn parts(word: &str) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    let mut before: Option<char> = None;
    for sign in word.chars() {
        let begins = before.is_none_or(|before| {
            before.is_numeric() != sign.is_numeric() || (before.is_lowercase() && sign.is_uppercase())
        });
        match parts.last_mut() {
            Some(part) if !begins => part.extend(sign.to_lowercase()),
            Some(_) | None => parts.push(sign.to_lowercase().collect()),
        }
        before = Some(sign);
    }
    parts
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Open,
    Close,
    And,
    Or,
    Term { property: String, text: String },
}

fn tokenize(text: &str) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, length) = match first {
            '(' => (Token::Open, 1),
            ')' => (Token::Close, 1),
            '"' => term(rest)?,
            _ if rest.starts_with("AND") => (Token::And, 3),
            _ if rest.starts_with("OR") => (Token::Or, 2),
            _ => return None,
        };
        tokens.push(token);
        rest = rest[length..].trim_start();
    }
    Some(tokens)
}

/// `"property:text"`, with its length; a backslash stands before a quote or another one.
fn term(text: &str) -> Option<(Token, usize)> {
    let mut inside = String::new();
    let mut signs = text.char_indices().skip(1);
    loop {
        match signs.next()? {
            (_, '\\') => inside.push(signs.next()?.1),
            (at, '"') => {
                let (property, text) = inside.split_once(':')?;
                let property = property.trim().to_ascii_lowercase();
                let text = text.trim().to_owned();
                return (!text.is_empty()).then_some((Token::Term { property, text }, at + 1));
            }
            (_, sign) => inside.push(sign),
        }
    }
}

struct Parser {
    tokens: Vec<Token>,
    position: usize,
}

impl Parser {
    fn takes(&mut self, wanted: &Token) -> bool {
        let is_next = self.tokens.get(self.position) == Some(wanted);
        self.position += usize::from(is_next);
        is_next
    }

    fn disjunction(&mut self) -> Option<Search> {
        let mut left = self.conjunction()?;
        while self.takes(&Token::Or) {
            left = Search::Or(Box::new(left), Box::new(self.conjunction()?));
        }
        Some(left)
    }

    fn conjunction(&mut self) -> Option<Search> {
        let mut left = self.group()?;
        while self.takes(&Token::And) {
            left = Search::And(Box::new(left), Box::new(self.group()?));
        }
        Some(left)
    }

    fn group(&mut self) -> Option<Search> {
        if self.takes(&Token::Open) {
            let inner = self.disjunction()?;
            return self.takes(&Token::Close).then_some(inner);
        }
        let Some(Token::Term { property, text }) = self.tokens.get(self.position).cloned() else {
            return None;
        };
        self.position += 1;
        Some(Search::Term { property, text })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_in_any_order_and_by_their_beginning() {
        for (name, wanted, is_found) in [
            ("Amina Björklund", "Amina Björklund", true),
            ("Amina Björklund", "björk ami", true),
            ("Amina Björklund", "mina", false),
            ("Amina Björklund", "Amina Berg", false),
            ("OneWebApp2", "web", true),
            ("OneWebApp2", "WebApp", true),
            ("Sales-Nordic (EU)", "eu nordic", true),
            ("Amina", "-", false),
        ] {
            assert_eq!(words_match(name, wanted), is_found, "{wanted} in {name}");
        }
    }

    #[test]
    fn and_binds_closer_than_or_and_parentheses_closer_still() {
        let holds = |text: &str| {
            let search = Search::parse(text).unwrap_or_else(|| panic!("{text} parses"));
            search.holds(&|_, text| text == "yes")
        };
        assert!(holds(r#""a:yes" OR "a:no" AND "a:no""#));
        assert!(!holds(r#"("a:yes" OR "a:no") AND "a:no""#));
        assert!(!holds(r#""a:say \"yes\"""#));
        let deep = format!("{}\"a:b\"{}", "(".repeat(9999), ")".repeat(9999));
        for text in
            [&deep, "", "a:b", r#""a""#, r#""a:""#, r#""a:b" "a:c""#, r#""a:b" and "a:c""#, r#"("a:b""#]
        {
            assert_eq!(Search::parse(text), None, "{text}");
        }
    }
}
