//! The listener: how many connections, how long, how much; and an orderly end. Knows no page.
//!
//! `axum::serve` sets none of these limits, and waits for the slowest client when it stops, so hyper is driven here.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::{HttpState, router};
use crate::clock::Clock;

/// One or two Prometheus servers, a few people with the page open, and room.
const CONNECTIONS: usize = 64;

/// Request line and headers of an honest client have less than two kilobytes.
const HEAD_BYTES: usize = 16 * 1024;

/// For one request's head, also after an earlier one on the same connection.
const HEAD_TIME: Duration = Duration::from_secs(30);

/// A client that does not read must not hold its place for ever; Prometheus connects again.
const CONNECTION_TIME: Duration = Duration::from_secs(300);

/// Between being told to stop and dropping who is still connected. systemd gives us 90 seconds for everything.
const GRACE: Duration = Duration::from_secs(5);

/// After an error of `accept`, such as no file descriptors: trying at once again would only burn the processor.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

#[derive(Debug, Error)]
pub enum ServerError {
    #[error(
        "cannot listen on {address} (another program may: stop it, or choose another `http.listen` in mailkeeper.yaml)"
    )]
    Bind { address: SocketAddr, source: std::io::Error },
}

/// A listener that is open but not served yet, so that a taken port is an error before anything is started.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
}

impl Server {
    /// # Errors
    /// When the address is taken or not ours.
    pub async fn bind(address: SocketAddr) -> Result<Self, ServerError> {
        let failed = |source| ServerError::Bind { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address })
    }

    /// With the port that the system chose where port 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown` is ready, then finishes the requests that are under way.
    pub async fn serve(self, state: HttpState, shutdown: impl Future<Output = ()>) {
        let clock = Arc::clone(&state.clock);
        let service = TowerToHyperService::new(router(state));
        let connections = Arc::new(Semaphore::new(CONNECTIONS));
        let graceful = GracefulShutdown::new();
        tokio::pin!(shutdown);
        loop {
            let place = Arc::clone(&connections).acquire_owned();
            let accepted = async {
                let place = place.await.expect("the semaphore is never closed");
                (place, self.listener.accept().await)
            };
            let (place, accepted) = tokio::select! {
                () = &mut shutdown => break,
                accepted = accepted => accepted,
            };
            match accepted {
                Ok((stream, _)) => {
                    let (watcher, clock, service) = (graceful.watcher(), Arc::clone(&clock), service.clone());
                    tokio::spawn(async move {
                        talk(stream, service, watcher, clock).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(error = %error, "cannot accept a connection");
                    clock.sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        drop(self.listener);
        tokio::select! {
            () = graceful.shutdown() => {}
            () = clock.sleep(GRACE) => tracing::debug!("a client was still connected at the end"),
        }
    }
}

/// One connection, from its first byte to its last.
async fn talk(
    stream: TcpStream,
    service: TowerToHyperService<axum::Router>,
    watcher: Watcher,
    clock: Arc<dyn Clock>,
) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        ended = watcher.watch(connection) => if let Err(error) = ended {
            tracing::debug!(error = %error, "a connection ended badly");
        },
        () = clock.sleep(CONNECTION_TIME) => {}
    }
}
