//! The registry's listener: connections with or without TLS, each with the names of its client. Slow handshakes and slow
//! headers end a connection; a stop finishes what has begun.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tower::ServiceExt as _;

use super::super::tls::{ServerTls, peer_certificate};
use super::access::PeerNames;
use super::gate::Peer;

/// Longest time for a TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Longest time for the headers of a request, and between two requests of one connection.
const HEADERS: Duration = Duration::from_secs(30);
/// Most connections; others wait to be accepted.
const MAX_CONNECTIONS: usize = 4_096;
/// How long after an accept that failed the next one is tried.
const ACCEPT_AGAIN: Duration = Duration::from_millis(200);

/// The registry cannot listen.
#[derive(Debug, thiserror::Error)]
#[error("the schema registry cannot listen on {address}: choose another address or stop what listens there")]
pub struct ServeError {
    address: String,
    source: std::io::Error,
}

/// A listener that does not answer yet.
pub struct Listener {
    tcp: TcpListener,
    local: SocketAddr,
    tls: Option<ServerTls>,
}

impl Listener {
    /// Listens on `address` (`host:port`); port 0 takes a free one.
    ///
    /// # Errors
    /// The address is taken, not ours or not allowed.
    pub async fn bind(address: &str, tls: Option<ServerTls>) -> Result<Self, ServeError> {
        let failed = |source| ServeError { address: address.to_owned(), source };
        let tcp = TcpListener::bind(address).await.map_err(failed)?;
        let local = tcp.local_addr().map_err(failed)?;
        Ok(Self { tcp, local, tls })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// How clients begin its URL.
    pub fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    /// Answers until `shutdown` resolves, then finishes what has begun.
    pub async fn serve(self, router: Router, shutdown: impl Future<Output = ()>) {
        let connections = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let graceful = GracefulShutdown::new();
        let mut shutdown = std::pin::pin!(shutdown);
        loop {
            let next = async {
                let permit = connections.clone().acquire_owned().await;
                (self.tcp.accept().await, permit)
            };
            let (accepted, permit) = tokio::select! { next = next => next, () = &mut shutdown => break };
            let (stream, address) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // A client that has gone, or no file descriptors: neither ends the listener.
                    tracing::debug!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_AGAIN).await;
                    continue;
                }
            };
            let (tls, router, watcher) = (self.tls.clone(), router.clone(), graceful.watcher());
            tokio::spawn(async move {
                connect(stream, address, tls, router, watcher).await;
                drop(permit);
            });
        }
        drop(self.tcp);
        graceful.shutdown().await;
    }
}

async fn connect(stream: TcpStream, address: SocketAddr, tls: Option<ServerTls>, router: Router, watcher: Watcher) {
    // Answers are small and waited for.
    let _ = stream.set_nodelay(true);
    let address = address.ip();
    let Some(tls) = tls else { return answer(stream, Peer { address, names: None }, router, watcher).await };
    match tokio::time::timeout(HANDSHAKE, tls.accept(stream)).await {
        Ok(Ok(stream)) => {
            let names = peer_certificate(&stream).and_then(PeerNames::of_der).map(Arc::new);
            answer(stream, Peer { address, names }, router, watcher).await;
        }
        Ok(Err(error)) => tracing::debug!(peer = %address, %error, "no TLS"),
        Err(_) => tracing::debug!(peer = %address, "no TLS in time"),
    }
}

async fn answer(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: Peer,
    router: Router,
    watcher: Watcher,
) {
    let service = service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(peer.clone());
        router.clone().oneshot(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%error, "a connection ended early");
    }
}
