//! Listening and answering until told to stop.

use std::future::Future;
use std::net::SocketAddr;

use axum::Router;
use tokio::net::TcpListener;

/// The API cannot listen or stopped listening.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address is taken, not ours or not allowed.
    #[error("cannot listen on {address}: choose another address or stop what listens there")]
    Bind {
        /// The address asked for.
        address: String,
        /// Why.
        source: std::io::Error,
    },
    /// The listener broke.
    #[error("the listener stopped")]
    Serve(#[source] std::io::Error),
}

/// Listens on `address` (`host:port`); port 0 takes a free one, told by the second value.
pub async fn bind(address: &str) -> Result<(TcpListener, SocketAddr), ServeError> {
    let failed = |source| ServeError::Bind { address: address.to_owned(), source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let local = listener.local_addr().map_err(failed)?;
    Ok((listener, local))
}

/// Answers until `shutdown` resolves, then finishes what has begun.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServeError> {
    axum::serve(listener, router).with_graceful_shutdown(shutdown).await.map_err(ServeError::Serve)
}
