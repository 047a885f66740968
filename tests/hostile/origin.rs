//! What "the configured origin" means, read a second time and in another way than the client does: from the text, byte
//! by byte, and as hyper will read it when it opens the connection. Shares no code with `graph::link`.

use axum::http::Uri;
use mailkeeper::graph::transport::HttpRequest;
use mailkeeper::graph::{Cloud, Roots};

/// The configured places of the tests: Microsoft's, and the loopback ones that a simulated tenant has.
pub fn roots() -> [Roots; 5] {
    let local = |graph| Roots::new(graph, "http://127.0.0.1:9999").expect("a good root");
    [
        Cloud::Global.roots(),
        Cloud::China.roots(),
        local("http://127.0.0.1:8443/v1.0"),
        local("http://localhost:8443/v1.0"),
        local("https://[::1]:8443/tenants/a/v1.0"),
    ]
}

/// The origin that the token belongs to, in pieces.
#[derive(Debug, Clone)]
pub struct Origin {
    scheme: String,
    host: String,
    port: u16,
    /// `/v1.0`, or what stands before it too.
    prefix: String,
}

impl Origin {
    pub fn of(roots: &Roots) -> Self {
        let uri: Uri = roots.graph().as_str().parse().expect("a root is a URI");
        let scheme = uri.scheme_str().expect("absolute").to_owned();
        let port = uri.port_u16().unwrap_or(if scheme == "https" { 443 } else { 80 });
        let host = uri.host().expect("absolute").to_owned();
        Self { scheme, host, port, prefix: uri.path().to_owned() }
    }

    /// Panics when this request carries the token to another place.
    pub fn assert_keeps_token(&self, request: &HttpRequest) {
        if let Some(fault) = self.fault_of(request) {
            panic!("{fault}: {}", request.url);
        }
    }

    /// Why this request must not have been sent; `None` when it may.
    pub fn fault_of(&self, request: &HttpRequest) -> Option<String> {
        let is_ours = self.fault(&request.url).is_none();
        let carries_token = request.headers.iter().any(|(_, value)| value.contains(super::script::TOKEN));
        if carries_token && !is_ours {
            return self.fault(&request.url);
        }
        let is_sign_in = super::script::is_sign_in(request);
        (!is_ours && !is_sign_in).then(|| "a request to a foreign place".to_owned())
    }

    /// Panics when `url`, which was accepted for `link`, is not below the origin; or when some reader of `link` would
    /// go to another place than we do. What stands in the query leads nowhere.
    pub fn assert_holds(&self, url: &str, link: &str) {
        let place = link.split('?').next().unwrap_or_default();
        let fault =
            self.fault(url).or_else(|| self.fault_as_text(place)).or_else(|| self.fault_as_reqwest(place));
        if let Some(fault) = fault {
            panic!("{fault}: {link:?} became {url:?}, configured is {self:?}");
        }
    }

    /// What is wrong with this URL, by each of the readings.
    fn fault(&self, url: &str) -> Option<String> {
        let readings = [self.fault_as_text(url), self.fault_as_connection(url), self.fault_as_reqwest(url)];
        readings.into_iter().flatten().next()
    }

    /// By the text alone. No byte that any parser treats in a way of its own may stand before the query.
    fn fault_as_text(&self, url: &str) -> Option<String> {
        let lower = url.to_ascii_lowercase();
        let Some(rest) = lower.strip_prefix(&format!("{}://{}", self.scheme, self.host.to_ascii_lowercase()))
        else {
            return Some("another scheme or host".to_owned());
        };
        let default = if self.scheme == "https" { 443 } else { 80 };
        let path = match rest.strip_prefix(&format!(":{}", self.port)) {
            Some(path) => path,
            None if self.port == default => rest,
            None => return Some("another port".to_owned()),
        };
        if url.bytes().any(|byte| byte <= b' ' || byte >= 0x7f || byte == b'\\' || byte == b'#') {
            return Some("a byte that parsers disagree about".to_owned());
        }
        let path = &url[url.len() - path.len()..];
        let path = path.split('?').next().unwrap_or_default();
        // Once by us, once by a gateway: what is outside after that was outside.
        let decoded = percent_decoded(&percent_decoded(path));
        let is_below = |path: &str| {
            resolved(path).strip_prefix(&self.prefix).is_some_and(|below| below.starts_with('/'))
        };
        (!is_below(path) || !is_below(&decoded)).then(|| "a path outside the version".to_owned())
    }

    /// As hyper reads it, which decides where the socket goes.
    fn fault_as_connection(&self, url: &str) -> Option<String> {
        let Ok(uri) = url.parse::<Uri>() else { return Some("no URI for hyper".to_owned()) };
        let default = if self.scheme == "https" { 443 } else { 80 };
        let fits = uri.scheme_str() == Some(self.scheme.as_str())
            && uri.host().is_some_and(|host| host.eq_ignore_ascii_case(&self.host))
            && uri.port_u16().unwrap_or(default) == self.port
            && uri.authority().is_some_and(|authority| !authority.as_str().contains('@'));
        (!fits).then(|| "a connection to another place".to_owned())
    }

    /// As reqwest reads it, which makes the `Host` header and picks TLS.
    fn fault_as_reqwest(&self, url: &str) -> Option<String> {
        let Ok(read) = reqwest::Url::parse(url) else { return Some("no URL for reqwest".to_owned()) };
        let fits = read.scheme() == self.scheme
            && read.host_str() == Some(self.host.as_str())
            && read.port_or_known_default() == Some(self.port)
            && read.username().is_empty()
            && read.password().is_none();
        (!fits).then(|| "reqwest would go to another place".to_owned())
    }
}

fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let digits = bytes.get(at + 1..at + 3).and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()).filter(|_| bytes[at] == b'%') {
            Some(byte) => {
                decoded.push(byte);
                at += 3;
            }
            None => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

/// The path without `.` and `..`, backslashes taken for slashes, as the most lenient server would.
fn resolved(path: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    let path = path.replace('\\', "/");
    for segment in path.split('/').skip(1) {
        match segment {
            ".." => drop(segments.pop()),
            "." => {}
            other => segments.push(other),
        }
    }
    format!("/{}", segments.join("/"))
}

#[test]
fn the_second_reading_tells_good_from_bad() {
    let origin = Origin::of(&Cloud::Global.roots());
    let good =
        ["https://graph.microsoft.com/v1.0/users?$skiptoken=a%2Fb", "https://GRAPH.microsoft.com:443/v1.0/x"];
    for url in good {
        assert_eq!(origin.fault(url), None, "{url}");
    }
    let bad = [
        "http://graph.microsoft.com/v1.0/users",
        "https://graph.microsoft.com.evil.example/v1.0/users",
        "https://graph.microsoft.com:444/v1.0/users",
        "https://graph.microsoft.com@evil.example/v1.0/users",
        "https://graph.microsoft.com/v1.0/..%2fbeta/users",
        "https://graph.microsoft.com/v1.0/%252e%252e/beta",
        "https://graph.microsoft.com/v1.0x/users",
        "https://graph.microsoft.com/v1.0/users#a",
        "https://graph.microsoft.com/v1.0/us\ters",
    ];
    for url in bad {
        assert!(origin.fault(url).is_some(), "{url}");
    }
}
