//! Where Microsoft Graph and its sign-in live in each cloud, and what each cloud does not offer.
//!
//! Endpoints are checked here once, so that the rest of the client cannot be pointed at plain http. No I/O.

use std::fmt;
use std::str::FromStr;

use url::{Host, Url};

/// The Microsoft clouds that have an Exchange Online of their own. Source: Graph "national cloud deployments".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cloud {
    /// Worldwide, also GCC.
    Global,
    /// US Government L4, GCC High.
    UsGovHigh,
    /// US Government L5, DoD.
    UsGovDod,
    /// Operated by 21Vianet.
    China,
}

impl Cloud {
    pub const ALL: [Self; 4] = [Self::Global, Self::UsGovHigh, Self::UsGovDod, Self::China];

    /// The name in the settings file.
    pub fn label(self) -> &'static str {
        match self {
            Self::Global => "global",
            Self::UsGovHigh => "us-gov-high",
            Self::UsGovDod => "us-gov-dod",
            Self::China => "china",
        }
    }

    /// The published endpoints of this cloud.
    pub fn roots(self) -> Roots {
        let graph = format!("{}/v1.0", self.graph_origin());
        let base = parse_root(&graph).and_then(|graph| Ok((graph, parse_root(self.login_origin())?)));
        let (graph, login) = base.expect("the published roots are valid https URLs");
        Roots {
            graph,
            login,
            scope: format!("{}/.default", self.graph_origin()),
            features: self.features(),
            is_overridden: false,
        }
    }

    fn graph_origin(self) -> &'static str {
        match self {
            Self::Global => "https://graph.microsoft.com",
            Self::UsGovHigh => "https://graph.microsoft.us",
            Self::UsGovDod => "https://dod-graph.microsoft.us",
            Self::China => "https://microsoftgraph.chinacloudapi.cn",
        }
    }

    fn login_origin(self) -> &'static str {
        match self {
            Self::Global => "https://login.microsoftonline.com",
            Self::UsGovHigh | Self::UsGovDod => "https://login.microsoftonline.us",
            Self::China => "https://login.chinacloudapi.cn",
        }
    }

    fn features(self) -> Features {
        Features { has_mailbox_identity: self == Self::Global }
    }
}

impl fmt::Display for Cloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

impl FromStr for Cloud {
    type Err = RootsError;

    fn from_str(text: &str) -> Result<Self, RootsError> {
        Self::ALL
            .into_iter()
            .find(|cloud| cloud.label() == text)
            .ok_or_else(|| RootsError::UnknownCloud { given: text.to_owned() })
    }
}

/// What a cloud offers beyond the common set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Features {
    /// `GET /users/{id}/settings/exchange` with `primaryMailboxId` (Graph: exchangeSettings; global cloud only).
    pub has_mailbox_identity: bool,
}

/// Checked endpoints of one cloud. `graph` ends in the version, `https://graph.microsoft.com/v1.0`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roots {
    graph: Url,
    login: Url,
    scope: String,
    features: Features,
    is_overridden: bool,
}

impl Roots {
    /// The global cloud reached through other endpoints: a simulated tenant, a proxy.
    ///
    /// # Errors
    /// Anything but https (plain http is accepted on loopback only), user information, query or fragment in either
    /// URL, a Graph root that does not end in `/v1.0`.
    pub fn new(graph: &str, login: &str) -> Result<Self, RootsError> {
        Cloud::Global.roots().with_endpoints(graph, login)
    }

    /// The same cloud, scope and features, reached through other endpoints. Errors as [`Roots::new`].
    pub fn with_endpoints(self, graph: &str, login: &str) -> Result<Self, RootsError> {
        let graph = parse_root(graph)?;
        if graph.path_segments().and_then(Iterator::last) != Some("v1.0") {
            return Err(RootsError::NoVersion { given: graph.to_string() });
        }
        Ok(Self { graph, login: parse_root(login)?, is_overridden: true, ..self })
    }

    /// Root of Graph with its version, without a slash at the end of the path.
    pub fn graph(&self) -> &Url {
        &self.graph
    }

    /// Root of sign-in, without a slash at the end of the path.
    pub fn login(&self) -> &Url {
        &self.login
    }

    /// The scope of a token request, `https://graph.microsoft.com/.default`.
    pub fn scope(&self) -> &str {
        &self.scope
    }

    /// The resource of a managed identity request, `https://graph.microsoft.com/`.
    pub fn resource(&self) -> &str {
        self.scope.strip_suffix(".default").unwrap_or(&self.scope)
    }

    pub fn features(&self) -> Features {
        self.features
    }

    /// Where tokens of a tenant are asked for; also the audience of a certificate assertion.
    pub fn token_url(&self, tenant: crate::model::TenantId) -> String {
        format!("{}/{tenant}/oauth2/v2.0/token", self.login.as_str().trim_end_matches('/'))
    }

    /// True when the endpoints are not the published ones.
    pub fn is_overridden(&self) -> bool {
        self.is_overridden
    }
}

/// Why an endpoint of the settings is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RootsError {
    #[error("{given:?} is no cloud; expected global, us-gov-high, us-gov-dod or china")]
    UnknownCloud { given: String },
    #[error("endpoint {given:?} is no absolute URL: {detail}")]
    NotAUrl { given: String, detail: String },
    #[error("endpoint {given:?} must be https; plain http is accepted on loopback only")]
    NotHttps { given: String },
    #[error("endpoint {given:?} must not carry user information, a query or a fragment")]
    Superfluous { given: String },
    #[error("Graph endpoint {given:?} must end in /v1.0")]
    NoVersion { given: String },
}

fn parse_root(given: &str) -> Result<Url, RootsError> {
    let mut root = Url::parse(given.trim())
        .map_err(|fault| RootsError::NotAUrl { given: given.to_owned(), detail: fault.to_string() })?;
    let is_secure = root.scheme() == "https" || (root.scheme() == "http" && is_loopback(&root));
    if !is_secure {
        return Err(RootsError::NotHttps { given: given.to_owned() });
    }
    let has_more = !root.username().is_empty()
        || root.password().is_some()
        || root.query().is_some()
        || root.fragment().is_some();
    if has_more {
        return Err(RootsError::Superfluous { given: given.to_owned() });
    }
    let path = root.path().trim_end_matches('/').to_owned();
    root.set_path(&path);
    Ok(root)
}

/// True for `localhost` and loopback addresses, the only hosts that plain http may reach.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cloud_has_its_own_graph_and_its_own_scope() {
        for cloud in Cloud::ALL {
            let roots = cloud.roots();
            assert_eq!(cloud.label().parse::<Cloud>(), Ok(cloud));
            assert!(roots.graph().as_str().ends_with("/v1.0"), "{cloud}");
            assert!(roots.scope().starts_with("https://"), "{cloud}");
            assert_eq!(roots.features().has_mailbox_identity, cloud == Cloud::Global);
        }
        assert_eq!(Cloud::Global.roots().resource(), "https://graph.microsoft.com/");
    }

    #[test]
    fn plain_http_is_for_loopback_only() {
        for good in ["http://127.0.0.1:8080/v1.0", "http://localhost/v1.0/", "http://[::1]:9/a/v1.0"] {
            assert!(Roots::new(good, "http://127.0.0.1:1").is_ok(), "{good}");
        }
        for bad in
            ["http://graph.microsoft.com/v1.0", "http://127.0.0.1.example.com/v1.0", "ftp://localhost/v1.0"]
        {
            assert!(matches!(Roots::new(bad, "https://l"), Err(RootsError::NotHttps { .. })), "{bad}");
        }
        assert!(matches!(Roots::new("https://u:p@g/v1.0", "https://l"), Err(RootsError::Superfluous { .. })));
        assert!(matches!(Roots::new("https://g/beta", "https://l"), Err(RootsError::NoVersion { .. })));
        assert!(matches!(Roots::new("graph", "https://l"), Err(RootsError::NotAUrl { .. })));
    }

    #[test]
    fn an_override_keeps_scope_and_features_of_the_cloud() {
        let roots = Cloud::China.roots().with_endpoints("http://127.0.0.1:1/v1.0", "http://127.0.0.1:2/");
        let roots = roots.expect("valid");
        assert_eq!(roots.scope(), "https://microsoftgraph.chinacloudapi.cn/.default");
        assert!(roots.is_overridden() && !roots.features().has_mailbox_identity);
        let tenant = crate::model::TenantId::from_u128(1);
        let url = roots.token_url(tenant);
        assert_eq!(url, "http://127.0.0.1:2/00000000-0000-0000-0000-000000000001/oauth2/v2.0/token");
    }
}
