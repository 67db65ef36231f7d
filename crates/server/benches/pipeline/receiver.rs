//! A receiver that costs little: HTTP/1.1 by hand. It notes when the request about a call has come whole.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use crate::calls;

/// After this something hangs.
const TIMEOUT: Duration = Duration::from_secs(120);

/// Ports it listens on.
const ORIGINS: usize = 4;
/// As far away as one on another continent.
const SLOW: Duration = Duration::from_millis(50);

/// A running receiver: a path that begins with `/hangs` is never answered, `/endless` is answered for ever, `/slow` after
/// 50 ms, all others at once.
#[derive(Clone)]
pub(crate) struct Receiver {
    /// Origins of their own: what goes to one of them is bounded.
    addresses: [SocketAddr; ORIGINS],
    shared: Arc<Shared>,
}

struct Shared {
    begun: Instant,
    /// By call: when its first request came, in nanoseconds since `begun`, and one more; 0 = not yet.
    came: Vec<AtomicU64>,
    count: AtomicUsize,
    requests: AtomicUsize,
    news: Notify,
}

impl Receiver {
    /// For calls with numbers below this.
    pub(crate) async fn start(calls: usize) -> Self {
        let shared = Arc::new(Shared {
            begun: Instant::now(),
            came: (0..calls).map(|_| AtomicU64::new(0)).collect(),
            count: AtomicUsize::new(0),
            requests: AtomicUsize::new(0),
            news: Notify::new(),
        });
        let mut addresses = [SocketAddr::from(([127, 0, 0, 1], 0)); ORIGINS];
        for address in &mut addresses {
            let listener = TcpListener::bind(*address).await.expect("a free port");
            *address = listener.local_addr().expect("it is bound");
            tokio::spawn(listen(listener, Arc::clone(&shared)));
        }
        Self { addresses, shared }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        self.url_at(0, path)
    }

    /// At one of its origins, in turn.
    pub(crate) fn url_at(&self, number: usize, path: &str) -> String {
        format!("http://{}{path}", self.addresses[number % ORIGINS])
    }

    /// When the request about a call has come.
    pub(crate) fn came(&self, call: usize) -> Option<Instant> {
        let nanos = self.shared.came[call].load(Ordering::Acquire);
        (nanos > 0).then(|| self.shared.begun + Duration::from_nanos(nanos - 1))
    }

    /// All requests, repeats and corrections too.
    pub(crate) fn requests(&self) -> usize {
        self.shared.requests.load(Ordering::Acquire)
    }

    /// Until so many calls were told of.
    pub(crate) async fn until(&self, count: usize) {
        let wait = async {
            loop {
                let news = self.shared.news.notified();
                if self.shared.count.load(Ordering::Acquire) >= count {
                    return;
                }
                news.await;
            }
        };
        let waited = tokio::time::timeout(TIMEOUT, wait).await;
        let came = self.shared.count.load(Ordering::Acquire);
        assert!(waited.is_ok(), "{came} of {count} calls were told of, then nothing more came");
    }
}

impl Shared {
    fn note(&self, body: &[u8]) {
        let nanos = u64::try_from(self.begun.elapsed().as_nanos()).unwrap_or(u64::MAX - 1) + 1;
        self.requests.fetch_add(1, Ordering::AcqRel);
        let Some(call) = calls::number_in(body).and_then(|number| self.came.get(number)) else { return };
        if call.compare_exchange(0, nanos, Ordering::AcqRel, Ordering::Acquire).is_ok() {
            self.count.fetch_add(1, Ordering::AcqRel);
            self.news.notify_waiters();
        }
    }
}

async fn listen(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        // One write a reply: nothing to gather.
        let _ = stream.set_nodelay(true);
        tokio::spawn(serve(stream, Arc::clone(&shared)));
    }
}

async fn serve(mut stream: TcpStream, shared: Arc<Shared>) {
    let mut bytes: Vec<u8> = Vec::with_capacity(16 << 10);
    loop {
        let whole = loop {
            if let Some(whole) = whole_request(&bytes) {
                break whole;
            }
            if !matches!(stream.read_buf(&mut bytes).await, Ok(1..)) {
                return;
            }
        };
        if bytes.starts_with(b"POST /hangs") {
            std::future::pending::<()>().await;
        }
        if bytes.starts_with(b"POST /endless") {
            return endless(stream).await;
        }
        shared.note(&bytes[..whole]);
        if bytes.starts_with(b"POST /slow") {
            tokio::time::sleep(SLOW).await;
        }
        bytes.drain(..whole);
        if stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.is_err() {
            return;
        }
    }
}

/// A body that does not end, slow enough to last as long as it is read.
async fn endless(mut stream: TcpStream) {
    let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let mut alive = stream.write_all(head).await.is_ok();
    while alive {
        alive = stream.write_all(b"4\r\nmore\r\n").await.is_ok();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Length of the request that the bytes begin with, once it is there.
fn whole_request(bytes: &[u8]) -> Option<usize> {
    let head = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&bytes[..head]).ok()?;
    let length = text.lines().filter_map(|line| line.split_once(':')).find_map(|(name, value)| {
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok()).flatten()
    });
    let whole = head + length.unwrap_or(0);
    (bytes.len() >= whole).then_some(whole)
}
