//! HTTP servers: bounded connections, headers that have to arrive in time, answers finished before the end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

/// Connections of one server at once; more wait to be accepted.
const MOST_CONNECTIONS: usize = 512;
/// Bytes of headers and of reading ahead that a connection may hold.
const MOST_BUFFER: usize = 16 * 1024;
/// What a client may take to send its headers.
const HEADERS_WITHIN: Duration = Duration::from_secs(10);
/// After a failed accept (out of file descriptors, say).
const PAUSE: Duration = Duration::from_millis(100);

/// Serves until `stop`, then finishes the answers that are under way.
pub async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) {
    let (room, graceful) = (Arc::new(Semaphore::new(MOST_CONNECTIONS)), GracefulShutdown::new());
    let mut connections = JoinSet::new();
    while let Some((stream, peer, place)) = next(&listener, &room, &stop).await {
        let service = router.clone().layer(axum::Extension(ConnectInfo(peer)));
        let mut server = Builder::new(TokioExecutor::new());
        server.http1().timer(TokioTimer::new()).header_read_timeout(HEADERS_WITHIN).max_buf_size(MOST_BUFFER);
        server.http2().timer(TokioTimer::new()).max_header_list_size(MOST_BUFFER as u32);
        let connection = server.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service)).into_owned();
        let watched = graceful.watch(connection);
        connections.spawn(async move {
            if let Err(error) = watched.await {
                debug!(%peer, %error, "a connection ended early");
            }
            drop(place);
        });
        while connections.try_join_next().is_some() {}
    }
    drop(listener);
    graceful.shutdown().await;
}

async fn next(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
    stop: &CancellationToken,
) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let accepted = async {
        let place = Arc::clone(room).acquire_owned().await.ok()?;
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => {
                    // Small answers and events go out at once; where that cannot be set they merely go out later.
                    _ = stream.set_nodelay(true);
                    return Some((stream, peer, place));
                }
                Err(error) => {
                    warn!(%error, "a connection was not accepted");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    };
    tokio::select! {
        accepted = accepted => accepted,
        () = stop.cancelled() => None,
    }
}
