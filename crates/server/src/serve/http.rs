//! The HTTP server of the intake: connections counted, heads sized, slow ones cut off, and on a stop the requests
//! that are being answered may end.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

/// Headers of one request at most; a switch sends ten.
const HEADERS: usize = 64;
/// After an error of `accept`, such as no file descriptor left, so long nothing is accepted.
const AFTER_ERROR: Duration = Duration::from_millis(100);

/// Bounds of connections.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Open at once; further ones wait in the system's queue.
    pub(crate) connections: usize,
    /// Bytes of a request's head.
    pub(crate) head: usize,
    /// From the first byte of a head to its last.
    pub(crate) head_time: Duration,
    /// For requests in flight after a stop.
    pub(crate) grace: Duration,
}

/// Serves until told to stop, then lets requests in flight end.
///
/// # Errors
/// None; the shape of all tasks.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let seats = Arc::new(Semaphore::new(limits.connections));
    let open = GracefulShutdown::new();
    let mut server = Builder::new(TokioExecutor::new());
    server.http1().timer(TokioTimer::new()).header_read_timeout(limits.head_time);
    server.http1().max_buf_size(limits.head).max_headers(HEADERS);
    server
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(limits.head).unwrap_or(u32::MAX));
    loop {
        let seat = Arc::clone(&seats).acquire_owned();
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = async { (seat.await, listener.accept().await) } => accepted,
        };
        let (Ok(seat), accepted) = accepted else { break };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                warn!(%error, "connection not accepted");
                tokio::time::sleep(AFTER_ERROR).await;
                continue;
            }
        };
        let service = TowerToHyperService::new(router.clone());
        let connection = server.serve_connection(TokioIo::new(stream), service).into_owned();
        let connection = open.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                debug!(%error, "connection ended");
            }
            drop(seat);
        });
    }
    drop(listener);
    if tokio::time::timeout(limits.grace, open.shutdown()).await.is_err() {
        warn!("requests of switches were cut off, their senders try again");
    }
    Ok(())
}
