//! URLs that may carry the bearer token.
//!
//! A [`GraphUrl`] exists only after its origin was compared with the configured one, and a token can be attached to
//! nothing else. Links that Graph returns (nextLink, deltaLink, Location) are cursors, never addresses to trust. No
//! I/O.

use std::collections::BTreeSet;
use std::fmt;

use sha2::{Digest, Sha256};
use url::Url;

use super::cloud::Roots;

/// Longest link that is followed. Graph's skip and delta tokens reach a few thousand characters.
const MAX_LINK_BYTES: usize = 16 * 1024;

/// Most pages of one listing: 20 million users at 999 a page, 4 million at the 200 of a delta. Beyond that a server
/// is feeding us for ever.
pub const MAX_PAGES: usize = 20_000;

/// Most empty pages in a row. Graph may send some (documented for delta); a thousand says that nothing will come.
pub const MAX_EMPTY_PAGES: usize = 1_000;

/// A URL of the configured origin, below the configured version prefix.
#[derive(Clone, PartialEq, Eq)]
pub struct GraphUrl(Url);

impl GraphUrl {
    /// A URL below the Graph root. `path` starts with a slash and may carry a query.
    pub(super) fn below(roots: &Roots, path: &str) -> Result<Self, LinkFault> {
        Self::follow(roots, &format!("{}{path}", roots.graph()))
    }

    /// A link as Graph returned it, or as it was stored.
    ///
    /// # Errors
    /// When it is not exactly of the configured scheme, host and port, leaves the version prefix, or is written in a
    /// way that two parsers could read differently.
    pub fn follow(roots: &Roots, link: &str) -> Result<Self, LinkFault> {
        let authority = check_spelling(link)?;
        let url = Url::parse(link).map_err(|_| LinkFault::Unreadable)?;
        let root = roots.graph();
        if url.scheme() != root.scheme() {
            return Err(LinkFault::OtherScheme);
        }
        if url.host() != root.host() {
            return Err(LinkFault::OtherHost);
        }
        if url.port_or_known_default() != root.port_or_known_default() {
            return Err(LinkFault::OtherPort);
        }
        if !is_spelt_like(authority, root) {
            return Err(LinkFault::AmbiguousSpelling);
        }
        check_path(&url, root)?;
        Ok(Self(url))
    }

    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Debug for GraphUrl {
    /// Path only: the query holds opaque tokens.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GraphUrl({})", self.0.path())
    }
}

/// Refuses what parsers disagree about, before any parser runs. Returns the authority as it is written.
fn check_spelling(link: &str) -> Result<&str, LinkFault> {
    if link.len() > MAX_LINK_BYTES {
        return Err(LinkFault::TooLong);
    }
    if link.chars().any(|c| c.is_control() || c == '\\' || !c.is_ascii()) || link.trim() != link {
        return Err(LinkFault::AmbiguousSpelling);
    }
    // In a query a blank is sloppy; before it, it may end the URL for somebody.
    if link.split('?').next().is_some_and(|place| place.contains(' ')) {
        return Err(LinkFault::AmbiguousSpelling);
    }
    let (_, rest) = link.split_once("://").ok_or(LinkFault::Unreadable)?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.is_empty() {
        return Err(LinkFault::AmbiguousSpelling);
    }
    if authority.contains('@') {
        return Err(LinkFault::UserInformation);
    }
    let path = rest[authority.len()..].split(['?', '#']).next().unwrap_or_default();
    if !is_plain_path(path) {
        return Err(LinkFault::AmbiguousSpelling);
    }
    Ok(authority)
}

/// True for a path that means the same to everybody: nothing in it is resolved, and decoding it changes no segment.
fn is_plain_path(path: &str) -> bool {
    let has_dots = path.split('/').any(|segment| segment == "." || segment == "..");
    !has_dots && !path.contains("//") && path.split('%').skip(1).all(starts_with_plain_escape)
}

/// True when the authority is written like the configured one, letter case and a default port aside. A host that is the
/// same only after decoding (`%67raph.microsoft.com`, `2130706433` for 127.0.0.1) is one that others may read
/// differently.
fn is_spelt_like(authority: &str, root: &Url) -> bool {
    let host = root.host_str().unwrap_or_default();
    let Some((start, port)) = authority.split_at_checked(host.len()) else { return false };
    let wanted = root.port_or_known_default();
    let is_wanted_port = match port.strip_prefix(':') {
        Some(digits) => wanted.is_some_and(|wanted| digits == wanted.to_string()),
        None => port.is_empty() && root.port().is_none(),
    };
    start.eq_ignore_ascii_case(host) && is_wanted_port
}

fn check_path(url: &Url, root: &Url) -> Result<(), LinkFault> {
    let path = url.path();
    let below = path.strip_prefix(root.path()).ok_or(LinkFault::OtherPath)?;
    if !below.starts_with('/') || url.fragment().is_some() {
        return Err(LinkFault::OtherPath);
    }
    Ok(())
}

/// True when what follows a percent sign stands for a character that changes no path for anybody: not for a slash, a
/// dot, or a percent sign in which a second decoding would find one, and not for half a character or a control one.
fn starts_with_plain_escape(after: &str) -> bool {
    let digits = after.get(..2).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
    let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
    byte.is_some_and(|byte| (b' '..=b'~').contains(&byte) && !b"/\\.%".contains(&byte))
}

/// Why a link was not followed. Carries no part of the link: it may be an attacker's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LinkFault {
    #[error("not an absolute URL")]
    Unreadable,
    #[error("longer than {MAX_LINK_BYTES} bytes")]
    TooLong,
    #[error("written in a way that parsers read differently")]
    AmbiguousSpelling,
    #[error("carries user information")]
    UserInformation,
    #[error("another scheme than the configured Graph endpoint")]
    OtherScheme,
    #[error("another host than the configured Graph endpoint")]
    OtherHost,
    #[error("another port than the configured Graph endpoint")]
    OtherPort,
    #[error("a path outside the configured Graph version")]
    OtherPath,
    #[error("a link that was followed before in the same listing")]
    Loop,
    #[error("more than {MAX_PAGES} pages, or {MAX_EMPTY_PAGES} empty ones in a row")]
    Endless,
}

/// Watches one listing for links that lead nowhere new.
#[derive(Debug, Default)]
pub(super) struct PageGuard {
    /// The first 16 bytes of each link's SHA-256: flat memory whatever the links look like.
    seen: BTreeSet<[u8; 16]>,
    empty_in_a_row: usize,
}

impl PageGuard {
    /// Checks the link that a page of `items` items points to.
    pub(super) fn admit(&mut self, link: &GraphUrl, items: usize) -> Result<(), LinkFault> {
        self.empty_in_a_row = if items == 0 { self.empty_in_a_row + 1 } else { 0 };
        if self.empty_in_a_row >= MAX_EMPTY_PAGES || self.seen.len() >= MAX_PAGES {
            return Err(LinkFault::Endless);
        }
        let mut digest = [0; 16];
        digest.copy_from_slice(&Sha256::digest(link.as_str().as_bytes())[..16]);
        if self.seen.insert(digest) { Ok(()) } else { Err(LinkFault::Loop) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::cloud::Cloud;
    use super::*;

    #[test]
    fn only_the_configured_origin_and_prefix_are_followed() {
        let roots = Cloud::Global.roots();
        let good = [
            "https://graph.microsoft.com/v1.0/users?$skiptoken=RFNwdAIAAQ",
            "https://graph.microsoft.com:443/v1.0/users/delta?$deltatoken=",
            "https://GRAPH.microsoft.com/v1.0/users?$filter=startswith(userPrincipalName,'a')",
            "https://graph.microsoft.com/v1.0/users/a%40contoso.com/memberOf?$skiptoken=a%2Fb%25",
        ];
        for link in good {
            assert!(GraphUrl::follow(&roots, link).is_ok(), "{link}");
        }
        let bad = [
            ("http://graph.microsoft.com/v1.0/users", LinkFault::OtherScheme),
            ("https://graph.microsoft.com.evil.example/v1.0/users", LinkFault::OtherHost),
            ("https://xn--grph-5na.microsoft.com/v1.0/users", LinkFault::OtherHost),
            ("https://13.107.6.156/v1.0/users", LinkFault::OtherHost),
            ("https://gr\u{e4}ph.microsoft.com/v1.0/users", LinkFault::AmbiguousSpelling),
            ("https://graph.microsoft.com:8443/v1.0/users", LinkFault::OtherPort),
            ("https://u:p@graph.microsoft.com/v1.0/users", LinkFault::UserInformation),
            ("https://@graph.microsoft.com/v1.0/users", LinkFault::UserInformation),
            ("https://graph.microsoft.com@evil.example/v1.0/users", LinkFault::UserInformation),
            ("https://graph.microsoft.com\\@evil.example/v1.0/users", LinkFault::AmbiguousSpelling),
            ("https://graph.microsoft.com/beta/users", LinkFault::OtherPath),
            ("https://graph.microsoft.com/v1.0/../beta/users", LinkFault::AmbiguousSpelling),
            ("https://graph.microsoft.com/v1.0/%2e%2e/beta/users", LinkFault::AmbiguousSpelling),
            ("https://graph.microsoft.com/x/.%2e/v1.0/users", LinkFault::AmbiguousSpelling),
            ("https://graph.microsoft.com/v1.0evil/users", LinkFault::OtherPath),
            ("https://graph.microsoft.com/v1.0//evil.example", LinkFault::AmbiguousSpelling),
            ("https://graph.microsoft.com/v1.0/a%2Fb", LinkFault::AmbiguousSpelling),
            ("https:///graph.microsoft.com/v1.0/users", LinkFault::AmbiguousSpelling),
            ("https:graph.microsoft.com/v1.0/users", LinkFault::Unreadable),
            ("//evil.example/v1.0/users", LinkFault::Unreadable),
            ("/v1.0/users", LinkFault::Unreadable),
            ("https://graph.microsoft.com/v1.0/users\r\nX: y", LinkFault::AmbiguousSpelling),
            ("https://graph.microsoft.com/v1.0/us\ters", LinkFault::AmbiguousSpelling),
            (" https://graph.microsoft.com/v1.0/users", LinkFault::AmbiguousSpelling),
            ("https://graph.microsoft.com/v1.0/users#x", LinkFault::OtherPath),
            ("https://%67raph.microsoft.com/v1.0/users", LinkFault::AmbiguousSpelling),
            ("https://graph.microsoft.com:0443/v1.0/users", LinkFault::AmbiguousSpelling),
            ("https://graph.microsoft.com:/v1.0/users", LinkFault::AmbiguousSpelling),
            ("https://graph.microsoft.com/v1.0/us ers", LinkFault::AmbiguousSpelling),
            ("https://graph.microsoft.com/v1.0/%252e%252e/beta", LinkFault::AmbiguousSpelling),
            ("https://graph.microsoft.com/v1.0/..%5%63beta", LinkFault::AmbiguousSpelling),
            ("https://graph.microsoft.com/v1.0/%c0%ae%c0%ae/beta", LinkFault::AmbiguousSpelling),
        ];
        for (link, fault) in bad {
            assert_eq!(GraphUrl::follow(&roots, link), Err(fault), "{link}");
        }
        let long =
            format!("https://graph.microsoft.com/v1.0/users?$skiptoken={}", "a".repeat(MAX_LINK_BYTES));
        assert_eq!(GraphUrl::follow(&roots, &long), Err(LinkFault::TooLong));
    }

    #[test]
    fn a_listing_that_goes_round_or_never_ends_is_stopped() {
        let roots = Cloud::Global.roots();
        let link = |page: usize| GraphUrl::below(&roots, &format!("/users?$skiptoken={page}")).expect("ours");
        let mut guard = PageGuard::default();
        assert_eq!(guard.admit(&link(1), 5), Ok(()));
        assert_eq!(guard.admit(&link(2), 5), Ok(()));
        assert_eq!(guard.admit(&link(1), 5), Err(LinkFault::Loop));

        let mut empty = PageGuard::default();
        let stopped = (0..MAX_EMPTY_PAGES + 1).find(|page| empty.admit(&link(*page), 0).is_err());
        assert_eq!(stopped, Some(MAX_EMPTY_PAGES - 1));
        let mut full = PageGuard::default();
        assert_eq!((0..=MAX_PAGES).find(|page| full.admit(&link(*page), 1).is_err()), Some(MAX_PAGES));
    }

    #[test]
    fn debug_shows_no_token_of_the_query() {
        let url = GraphUrl::below(&Cloud::Global.roots(), "/users/delta?$deltatoken=secret").expect("ours");
        assert_eq!(format!("{url:?}"), "GraphUrl(/v1.0/users/delta)");
    }

    mod properties {
        use proptest::prelude::*;

        use super::*;

        /// Pieces that an attacker would build a link from.
        fn piece() -> impl Strategy<Value = String> {
            let known = [
                "https://",
                "http://",
                "HTTPS://",
                "https:",
                "//",
                "/",
                "\\",
                "@",
                ":",
                "?",
                "#",
                "%2f",
                "%5c",
                "..",
                "/..",
                "%2e",
                "graph.microsoft.com",
                "GRAPH.MICROSOFT.COM",
                "graph.microsoft.com.",
                ".evil.example",
                "evil.example",
                ":443",
                ":80",
                "/v1.0",
                "/v1.0/users",
                "/beta",
                "\t",
                "\n",
                "\r",
                " ",
                "\u{0}",
                "\u{3002}",
                "user:pass",
            ];
            prop_oneof![4 => proptest::sample::select(known.to_vec()).prop_map(str::to_owned), 1 => "\\PC{0,3}"]
        }

        proptest! {
            #![proptest_config(ProptestConfig::with_cases(2_000))]

            #[test]
            fn whatever_is_followed_is_of_our_origin(pieces in proptest::collection::vec(piece(), 1..8)) {
                let link = pieces.concat();
                for candidate in [link.clone(), format!("https://graph.microsoft.com{link}"), format!("https://{link}")] {
                    if let Ok(url) = GraphUrl::follow(&Cloud::Global.roots(), &candidate) {
                        prop_assert!(url.as_str().starts_with("https://graph.microsoft.com/v1.0/"), "{candidate} -> {url:?}");
                    }
                }
            }
        }
    }
}
