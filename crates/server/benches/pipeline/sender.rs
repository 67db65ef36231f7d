//! A sender that costs little: HTTP/1.1 by hand, over connections that stay open.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::calls::{PBX, TOKEN};

/// One connection to the intake.
pub(crate) struct Connection {
    stream: TcpStream,
    bytes: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(to: SocketAddr) -> Self {
        let stream = TcpStream::connect(to).await.expect("the intake takes connections");
        stream.set_nodelay(true).expect("a socket of TCP");
        Self { stream, bytes: Vec::with_capacity(1 << 10) }
    }

    /// Posts a body; returns when it is accepted.
    pub(crate) async fn post(&mut self, body: &[u8]) {
        let head = format!(
            "POST /ingest/{PBX} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {TOKEN}\r\n\
            content-type: application/x-ndjson\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let mut request = head.into_bytes();
        request.extend_from_slice(body);
        self.stream.write_all(&request).await.expect("the intake reads");
        self.bytes.clear();
        while !is_whole(&self.bytes) {
            let read = self.stream.read_buf(&mut self.bytes).await.expect("the intake answers");
            assert!(read > 0, "the intake closed the connection");
        }
        let answer = String::from_utf8_lossy(&self.bytes);
        let is_accepted = answer.starts_with("HTTP/1.1 202") && answer.contains("\"rejected\":0");
        assert!(is_accepted, "not accepted: {answer}");
    }
}

/// An answer of the intake has a length.
fn is_whole(bytes: &[u8]) -> bool {
    let Some(head) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { return false };
    let text = String::from_utf8_lossy(&bytes[..head]).to_ascii_lowercase();
    let length =
        text.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
    bytes.len() >= head + 4 + length.unwrap_or(0)
}

/// Posts all bodies over so many connections, as fast as they are accepted.
pub(crate) async fn flat_out(to: SocketAddr, bodies: Vec<Vec<u8>>, connections: usize) {
    let (bodies, next) = (Arc::new(bodies), Arc::new(AtomicUsize::new(0)));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..connections {
        let (bodies, next) = (Arc::clone(&bodies), Arc::clone(&next));
        tasks.spawn(async move {
            let mut connection = Connection::open(to).await;
            while let Some(body) = bodies.get(next.fetch_add(1, Ordering::Relaxed)) {
                connection.post(body).await;
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.expect("a connection posts all it has");
    }
}

/// Idle connections: whoever posts takes one, or opens another, and never waits for one.
#[derive(Clone)]
pub(crate) struct Pool {
    to: SocketAddr,
    idle: Arc<Mutex<Vec<Connection>>>,
}

impl Pool {
    pub(crate) fn new(to: SocketAddr) -> Self {
        Self { to, idle: Arc::default() }
    }

    /// Posts a body; returns when it is accepted.
    pub(crate) async fn post(&self, body: &[u8]) {
        let idle = self.idle.lock().expect("nobody panics with it").pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => Connection::open(self.to).await,
        };
        connection.post(body).await;
        self.idle.lock().expect("nobody panics with it").push(connection);
    }
}
