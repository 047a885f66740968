//! Links that try to lead the token astray: by every trick that made a client leak one, mixed. All go through the real
//! pagers; the transport notes where each request goes and what it carries.
//!
//! `MAILKEEPER_HOSTILE_LINKS` sets how many; 20,000 without it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use mailkeeper::graph::transport::{HttpRequest, HttpResponse};
use mailkeeper::graph::{DeltaStart, Error, GraphUrl, LinkFault, Roots};
use mailkeeper::model::GroupId;
use mailkeeper::sim::rng::Rng;
use serde_json::json;

use super::mutate::index;
use super::origin::{Origin, roots};
use super::script::{Answer, client, finish, granted, is_sign_in};

const GROUP: GroupId = GroupId::from_u128(7);

/// Hosts that are not ours, and spellings that a parser may take for ours or for loopback.
const HOSTS: &[&str] = &[
    "evil.example",
    "graph.microsoft.com.evil.example",
    "evil-graph.microsoft.com",
    "graph.microsoft.com-evil.example",
    "graphmicrosoft.com",
    "graph.microsoft.co",
    "xn--grph-5na.microsoft.com",
    "gr\u{e4}ph.microsoft.com",
    "graph\u{3002}microsoft\u{ff0e}com",
    "\u{ff47}raph.microsoft.com",
    "graph.microsoft.com.",
    ".graph.microsoft.com",
    "graph..microsoft.com",
    "%67raph.microsoft.com",
    "graph%2emicrosoft.com",
    "graph.microsoft.com%00.evil.example",
    "graph.microsoft.com%2f.evil.example",
    "gr\u{ad}aph.microsoft.com",
    "graph.microsoft.us",
    "GRAPH.MICROSOFT.COM",
    "127.0.0.1",
    "127.1",
    "0x7f.0.0.1",
    "0177.0.0.1",
    "2130706433",
    "0x7f000001",
    "127.0.0.1.",
    "127.0.0.01",
    "0.0.0.0",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "[0:0:0:0:0:0:0:1]",
    "[::1%25lo]",
    "[::7f00:1]",
    "localhost",
    "localhost.",
    "LOCALHOST",
    "localhost.evil.example",
    "169.254.169.254",
    "",
    "*",
    "-",
    "_",
    "a:b@c",
    "[",
    "[]",
];

const PATHS: &[&str] = &[
    "/v1.0/users",
    "/v1.0/users?$skiptoken=x",
    "/v1.0",
    "/v1.0/",
    "/v1.0x/users",
    "/V1.0/users",
    "/beta/users",
    "/",
    "",
    "/v1.0/../beta/users",
    "/v1.0/./users",
    "/v1.0/%2e%2e/beta/users",
    "/v1.0/%252e%252e/beta",
    "/v1.0/..%2fbeta",
    "/v1.0/%2e%2e%2fbeta",
    "/v1.0/..%5cbeta",
    "/v1.0/..\\beta",
    "/v1.0//evil.example/x",
    "/v1.0/;/../../x",
    "/v1.0/a%2Fb",
    "/v1.0/a%00b",
    "/v1.0/\u{2025}/beta",
    "/v1.0/users/../../../",
    "/x/../v1.0/users",
    "//v1.0/users",
    "/v1.0/users#@evil.example",
    "/v1.0?x=/v1.0/users",
    "/v1.0/%c0%ae%c0%ae/beta",
    "/tenants/a/v1.0/users",
];

const MARKS: &[&str] = &[
    "/",
    "//",
    "\\",
    "@",
    ":",
    "?",
    "#",
    "%",
    ".",
    "..",
    "%2f",
    "%5c",
    "%2e",
    "%40",
    "%00",
    "%0d%0a",
    "%252f",
    "\t",
    "\n",
    "\r",
    "\r\n",
    " ",
    "\u{0}",
    "\u{b}",
    "\u{a0}",
    "\u{3002}",
    "\u{ff0f}",
    "\u{2044}",
    "\u{200b}",
    "\u{202e}",
    "\u{feff}",
    "\u{1f4a9}",
    "a",
    "user:pass@",
    "evil.example",
    "[",
    "]",
    "|",
    "^",
    "`",
    "{",
    "}",
    "<",
    ">",
    "\"",
    "'",
    "\r\nHost: evil.example",
    " HTTP/1.1\r\nX: y",
];

const SCHEMES: &[&str] = &[
    "https",
    "http",
    "HTTPS",
    "hTTp",
    "ftp",
    "file",
    "javascript",
    "ws",
    "wss",
    "https:https",
    "",
    "blob:https",
    "data",
    " https",
    "https\t",
    "h\nttps",
    "//",
];

const PORTS: &[&str] = &[
    "",
    ":443",
    ":80",
    ":8443",
    ":08443",
    ":0443",
    ":8443a",
    ":65536",
    ":0",
    ":-1",
    ":",
    "::8443",
    ":\u{661}\u{662}",
    ":9999",
];

/// A link made from a good one. The name of the trick is for the count.
fn hostile_link(rng: &mut Rng, root: &str) -> (&'static str, String) {
    let (scheme, rest) = root.split_once("://").expect("a root has a scheme");
    let (authority, prefix) = rest.split_at(rest.find('/').expect("a root has a path"));
    let good = format!("{root}/users?$skiptoken={}", rng.below(1_000_000));
    let mut pick = |from: &[&'static str]| rng.pick(from).copied().unwrap_or_default();
    let path = format!("{prefix}/users");
    let (trick, link) = match pick(&["h", "p", "s", "o", "u", "c", "l", "r", "d", "g", "m", "m", "m", "m"]) {
        "h" => ("another host", format!("{scheme}://{}{}{path}", pick(HOSTS), pick(PORTS))),
        "p" => ("another path", format!("{scheme}://{authority}{}", pick(PATHS))),
        "s" => ("another scheme", format!("{}://{authority}{path}", pick(SCHEMES))),
        "o" => (
            "another port",
            format!("{scheme}://{}{}{path}", authority.split(':').next().unwrap_or_default(), pick(PORTS)),
        ),
        "u" => (
            "user information",
            format!(
                "{scheme}://{authority}{}{}{path}",
                pick(&["@", "%40", ":@", ":x@", "\\@", "#@", "?@", "/@"]),
                pick(HOSTS)
            ),
        ),
        "c" => ("user information before", format!("{scheme}://{}@{authority}{path}", pick(HOSTS))),
        "l" => ("very long", format!("{good}{}", pick(MARKS).repeat(20_000))),
        "r" => (
            "relative",
            format!("{}{}{path}", pick(&["", "/", "//", "\\\\", "///", "?", "#", ".", ".."]), pick(HOSTS)),
        ),
        "d" => ("encoded twice", good.replace('/', pick(&["%252f", "%2f", "%255c", "/%252e%252e/"]))),
        "g" => ("good", good),
        _ => ("characters", good),
    };
    let spoils = if trick == "characters" { rng.between(1, 4) } else { i64::from(rng.chance(0.25)) };
    (trick, (0..spoils).fold(link, |link, _| spoilt(rng, &link)))
}

/// One character or piece more, less, or different.
fn spoilt(rng: &mut Rng, link: &str) -> String {
    let mut characters: Vec<char> = link.chars().take(20_000).collect();
    // Early characters decide where a link leads.
    let reach = if rng.chance(0.7) { characters.len().min(48) } else { characters.len() };
    let at = index(rng, reach + 1).min(characters.len());
    let mark = rng.pick(MARKS).copied().unwrap_or_default();
    match rng.below(5) {
        0 => drop(characters.splice(at..at, mark.chars())),
        1 => drop(characters.splice(at..(at + 1).min(characters.len()), mark.chars())),
        2 => drop(characters.drain(at..(at + 1).min(characters.len()))),
        3 => {
            for character in characters.iter_mut().skip(at).take(1) {
                let other = if character.is_ascii_lowercase() {
                    character.to_ascii_uppercase()
                } else {
                    character.to_ascii_lowercase()
                };
                *character = other;
            }
        }
        _ => {
            let encoded =
                characters.get(at).map(|c| format!("%{:02x}", u32::from(*c) & 0xff)).unwrap_or_default();
            drop(characters.splice(at..(at + 1).min(characters.len()), encoded.chars()));
        }
    }
    characters.into_iter().collect()
}

/// Where a link of the server stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    NextLink,
    DeltaNextLink,
    DeltaLink,
    StoredDeltaLink,
    Redirect,
    ResetLocation,
}

const PLACES: [Place; 6] = [
    Place::NextLink,
    Place::DeltaNextLink,
    Place::DeltaLink,
    Place::StoredDeltaLink,
    Place::Redirect,
    Place::ResetLocation,
];

/// What a server says that wants the client to go to `link`. Everything asked afterwards gets an empty, last page.
fn lure(place: Place, link: &str) -> HttpResponse {
    let page = |name: &str| HttpResponse::new(200).with_json(&json!({ "value": [], name: link }));
    match place {
        Place::NextLink | Place::DeltaNextLink => page("@odata.nextLink"),
        Place::DeltaLink => page("@odata.deltaLink"),
        Place::StoredDeltaLink => last_page(),
        Place::Redirect => HttpResponse::new(302).with_header("location", link),
        Place::ResetLocation => HttpResponse::new(410).with_header("location", link),
    }
}

fn last_page() -> HttpResponse {
    let link = "https://graph.microsoft.com/v1.0/users/delta?$deltatoken=z";
    HttpResponse::new(200).with_json(&json!({ "value": [], "@odata.deltaLink": link }))
}

/// One configured Graph, its client, and what the client sent.
struct Bait {
    roots: Roots,
    origin: Origin,
    client: mailkeeper::graph::Client,
    answers: Arc<Mutex<Vec<HttpResponse>>>,
    sent: Arc<Mutex<Vec<HttpRequest>>>,
}

impl Bait {
    fn new(roots: Roots) -> Self {
        let answers: Arc<Mutex<Vec<HttpResponse>>> = Arc::default();
        let sent: Arc<Mutex<Vec<HttpRequest>>> = Arc::default();
        let (script, log) = (Arc::clone(&answers), Arc::clone(&sent));
        let (client, _) = client(roots.clone(), move |request| -> Answer {
            log.lock().expect("no panic while locked").push(request.clone());
            if is_sign_in(request) {
                return Ok(granted());
            }
            let answer = script.lock().expect("no panic while locked").pop();
            Ok(answer.unwrap_or_else(last_page))
        });
        Self { origin: Origin::of(&roots), roots, client, answers, sent }
    }

    /// Lets the server offer the link in this place. Returns how the client judged it, and whether it went there.
    fn offer(&self, place: Place, link: &str) -> (Result<(), Error>, bool) {
        *self.answers.lock().expect("no panic while locked") = vec![lure(place, link)];
        self.sent.lock().expect("no panic while locked").clear();
        let outcome = finish(async {
            match place {
                Place::NextLink | Place::Redirect => {
                    let mut pager = self.client.group_members(GROUP);
                    while pager.next().await?.is_some() {}
                }
                Place::DeltaNextLink | Place::DeltaLink | Place::ResetLocation => {
                    let mut pager = self.client.users_delta(&DeltaStart::Initial)?;
                    while pager.next().await?.is_some() {}
                }
                Place::StoredDeltaLink => {
                    let mut pager = self.client.users_delta(&DeltaStart::Link(link.to_owned()))?;
                    while pager.next().await?.is_some() {}
                }
            }
            Ok(())
        });
        let sent = self.sent.lock().expect("no panic while locked");
        for request in sent.iter() {
            self.origin.assert_keeps_token(request);
        }
        let to_graph = sent.iter().filter(|request| !is_sign_in(request)).count();
        let expected = usize::from(place != Place::StoredDeltaLink);
        (outcome, to_graph > expected)
    }
}

#[derive(Debug, Default)]
struct Tally {
    offered: u64,
    followed: u64,
}

#[test]
fn no_link_leads_the_token_to_another_place() {
    let links: u64 =
        std::env::var("MAILKEEPER_HOSTILE_LINKS").map_or(20_000, |count| count.parse().expect("a number"));
    let baits: Vec<Bait> = roots().into_iter().map(Bait::new).collect();
    let mut rng = Rng::stream(1, "hostile links");
    let mut tallies: BTreeMap<&str, Tally> = BTreeMap::new();
    for number in 0..links {
        let bait = rng.pick(&baits).expect("there are some");
        let place = *rng.pick(&PLACES).expect("there are some");
        let (trick, link) = hostile_link(&mut rng, bait.roots.graph().as_str());
        let accepted = GraphUrl::follow(&bait.roots, &link);
        if let Ok(url) = &accepted {
            bait.origin.assert_holds(url.as_str(), &link);
        }
        let (outcome, went_on) = bait.offer(place, &link);
        check(place, &accepted, &outcome, went_on)
            .unwrap_or_else(|fault| panic!("link {number}: {fault}: {place:?} {link:?}: {outcome:?}"));
        let tally = tallies.entry(trick).or_default();
        tally.offered += 1;
        tally.followed += u64::from(went_on);
    }
    eprintln!("{links} links: {tallies:#?}");
    // The test would show nothing if no link were ever followed, or a trick never tried.
    assert!(tallies.len() == 11 && tallies["good"].followed > tallies["good"].offered / 3, "{tallies:?}");
    assert!(tallies.values().map(|tally| tally.followed).sum::<u64>() < links / 2, "{tallies:?}");
}

/// What follows from the verdict on the link, for each place that it can stand in.
fn check(
    place: Place,
    accepted: &Result<GraphUrl, LinkFault>,
    outcome: &Result<(), Error>,
    went_on: bool,
) -> Result<(), &'static str> {
    match place {
        Place::NextLink | Place::DeltaNextLink | Place::StoredDeltaLink => match (accepted, outcome) {
            (Ok(_), _) if went_on => Ok(()),
            (Err(fault), Err(Error::HostileLink { fault: seen, .. })) if fault == seen && !went_on => Ok(()),
            _ => Err("judged in two ways"),
        },
        Place::DeltaLink => match (accepted, outcome) {
            (_, _) if went_on => Err("a delta link is for the next round"),
            (Ok(_), Ok(())) | (Err(_), Err(Error::HostileLink { .. })) => Ok(()),
            _ => Err("judged in two ways"),
        },
        Place::Redirect | Place::ResetLocation if went_on => Err("a Location was followed"),
        Place::Redirect | Place::ResetLocation => {
            outcome.as_ref().err().map(|_| ()).ok_or("taken for a success")
        }
    }
}
