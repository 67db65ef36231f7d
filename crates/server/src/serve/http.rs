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
/// Bytes of a head that hyper wants to have room for.
const SMALLEST_HEAD: usize = 8_192;
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
    // HTTP/1 alone: telling it from HTTP/2 would wait without a limit for the first bytes, and hold a seat for it.
    let mut server = Builder::new(TokioExecutor::new()).http1_only();
    server.http1().timer(TokioTimer::new()).header_read_timeout(limits.head_time);
    // hyper panics below its minimum.
    server.http1().max_buf_size(limits.head.max(SMALLEST_HEAD)).max_headers(HEADERS);
    let cut = CancellationToken::new();
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
        let (connection, cut) = (open.watch(connection), cut.clone());
        tokio::spawn(async move {
            if let Some(Err(error)) = cut.run_until_cancelled_owned(connection).await {
                debug!(%error, "connection ended");
            }
            drop(seat);
        });
    }
    drop(listener);
    if tokio::time::timeout(limits.grace, open.shutdown()).await.is_err() {
        warn!("requests of switches were cut off, their senders try again");
    }
    // They hold the log, which ends after all that write to it.
    cut.cancel();
    _ = seats.acquire_many(u32::try_from(limits.connections).unwrap_or(u32::MAX)).await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio::sync::Notify;
    use tokio::task::JoinHandle;

    use super::*;

    const LIMITS: Limits = Limits {
        connections: 1,
        head: 8_192,
        head_time: Duration::from_millis(50),
        grace: Duration::from_millis(50),
    };

    struct Server {
        address: SocketAddr,
        stop: CancellationToken,
        task: JoinHandle<anyhow::Result<()>>,
        /// A request is there that never ends.
        hangs: Arc<Notify>,
    }

    async fn server() -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let hangs = Arc::new(Notify::new());
        let hit = Arc::clone(&hangs);
        let hang = get(async move || {
            hit.notify_one();
            std::future::pending::<()>().await
        });
        let router = Router::new().route("/", get(|| async { "ok" })).route("/hang", hang);
        let stop = CancellationToken::new();
        let task = tokio::spawn(serve(listener, router, LIMITS, stop.clone()));
        Server { address, stop, task, hangs }
    }

    /// Sends, and reads to the end of the connection.
    async fn talk(address: std::net::SocketAddr, bytes: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(bytes.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // A connection that is reset has ended too.
        _ = stream.read_to_end(&mut answer).await;
        String::from_utf8(answer).unwrap()
    }

    const ASK: &str = "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";

    #[tokio::test]
    async fn who_connects_and_says_nothing_loses_the_seat_to_the_next_switch() {
        let Server { address, .. } = server().await;
        assert_eq!(talk(address, "").await, "");
        let _silent = TcpStream::connect(address).await.unwrap();
        assert!(talk(address, ASK).await.starts_with("HTTP/1.1 200 OK"));
    }

    #[tokio::test]
    async fn a_head_over_the_limit_is_refused() {
        let Server { address, .. } = server().await;
        let ask = format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(20_000));
        assert!(!talk(address, &ask).await.starts_with("HTTP/1.1 200"));
        assert!(talk(address, ASK).await.starts_with("HTTP/1.1 200 OK"));
    }

    #[tokio::test]
    async fn a_stop_does_not_wait_for_a_request_that_never_ends() {
        let Server { address, stop, task, hangs } = server().await;
        let asking =
            tokio::spawn(async move { talk(address, "GET /hang HTTP/1.1\r\nhost: a\r\n\r\n").await });
        hangs.notified().await;
        stop.cancel();
        task.await.unwrap().unwrap();
        assert_eq!(asking.await.unwrap(), "");
    }
}
