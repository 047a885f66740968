//! https for the served tenant, because sign-in libraries accept nothing else: an authority made anew at each start,
//! which vouches for loopback alone, and a listener that ends TLS.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::serve::Listener;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// The names under which a client on this machine may reach the tenant.
const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// A client that says nothing for so long is given up.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// What the server shows, and the authority that vouches for it.
pub struct Identity {
    /// The certificate of the authority, PEM: what clients must trust.
    pub authority: String,
    config: Arc<ServerConfig>,
}

/// The keys or certificates could not be made.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    #[error("the certificate could not be made")]
    Certificate(#[from] rcgen::Error),
    #[error("the certificate cannot be used")]
    Tls(#[from] rustls::Error),
}

impl Identity {
    /// # Errors
    /// When the machine's source of chance fails, mostly.
    pub fn generate() -> Result<Self, IdentityError> {
        let mut authority = CertificateParams::default();
        authority.distinguished_name.push(DnType::CommonName, "mailkeeper simulated tenant");
        authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let authority_key = KeyPair::generate()?;
        let authority_pem = authority.self_signed(&authority_key)?.pem();
        let issuer = Issuer::new(authority, authority_key);

        let mut leaf = CertificateParams::new(NAMES.map(str::to_owned))?;
        leaf.distinguished_name.push(DnType::CommonName, "localhost");
        leaf.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        let certificate = leaf.signed_by(&key, &issuer)?;
        let key = PrivateKeyDer::try_from(key.serialize_der())
            .map_err(|text| rustls::Error::General(text.to_owned()))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { authority: authority_pem, config: Arc::new(config) })
    }
}

/// Accepts TCP and hands out what has become TLS; a slow handshake holds nobody up.
pub(super) struct TlsListener {
    tcp: TcpListener,
    acceptor: TlsAcceptor,
    shaking: FuturesUnordered<Handshake>,
}

type Secured = (TlsStream<TcpStream>, SocketAddr);
type Handshake = BoxFuture<'static, Option<Secured>>;

impl TlsListener {
    pub fn new(tcp: TcpListener, identity: &Identity) -> Self {
        let acceptor = TlsAcceptor::from(Arc::clone(&identity.config));
        Self { tcp, acceptor, shaking: FuturesUnordered::new() }
    }
}

async fn handshake(acceptor: TlsAcceptor, stream: TcpStream, from: SocketAddr) -> Option<Secured> {
    match tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => Some((stream, from)),
        Ok(Err(error)) => {
            tracing::debug!(%error, "a client did not finish the handshake");
            None
        }
        Err(_) => None,
    }
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> Secured {
        loop {
            tokio::select! {
                (stream, from) = Listener::accept(&mut self.tcp) => {
                    self.shaking.push(Box::pin(handshake(self.acceptor.clone(), stream, from)));
                }
                Some(secured) = self.shaking.next() => {
                    if let Some(secured) = secured {
                        return secured;
                    }
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}
