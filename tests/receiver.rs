//! A receiver inside a test: it keeps what it gets, in order, and answers as the test says.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Request as HttpRequest, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde_json::Value;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::TIMEOUT;

/// A port that refuses connections until [`Down::listen`].
pub struct Down(TcpSocket);

/// A running receiver.
pub struct Receiver {
    address: SocketAddr,
    requests: watch::Receiver<Vec<Request>>,
}

/// One request.
#[derive(Debug, Clone)]
pub struct Request {
    /// Of its URL.
    pub path: String,
    /// As it came, without the question mark.
    pub query: String,
    /// All of them.
    pub headers: HeaderMap,
    /// All of it.
    pub body: Bytes,
    /// When all of it had come.
    pub came: Instant,
    fate: Arc<Mutex<Fate>>,
}

/// How far a request is, and since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is not answered yet.
    Open,
    /// With what, and when.
    Answered(StatusCode, Instant),
    /// Its sender did not wait, as one does that is killed.
    Left,
}

/// How a request is answered.
#[derive(Debug, Clone)]
pub struct Reply {
    status: StatusCode,
    headers: Vec<(&'static str, String)>,
    body: String,
    after: Option<Duration>,
}

impl Reply {
    /// At once, without a body.
    pub fn status(status: u16) -> Self {
        let status = StatusCode::from_u16(status).expect("a status");
        Self { status, headers: Vec::new(), body: String::new(), after: Some(Duration::ZERO) }
    }

    /// Never.
    pub fn hang() -> Self {
        Self { after: None, ..Self::status(200) }
    }

    /// A receiver that takes so long.
    pub fn after(self, time: Duration) -> Self {
        Self { after: Some(time), ..self }
    }

    /// With this header.
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// With this text.
    pub fn body(self, text: &str) -> Self {
        Self { body: text.to_owned(), ..self }
    }
}

impl Request {
    /// Value of a header; empty without it.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// It was answered with success.
    pub fn is_delivered(&self) -> bool {
        matches!(self.fate(), Fate::Answered(status, _) if status.is_success())
    }

    /// It was answered before a moment.
    pub fn answered_before(&self, moment: Instant) -> bool {
        matches!(self.fate(), Fate::Answered(_, at) if at < moment)
    }

    /// It is not answered yet.
    pub fn is_open(&self) -> bool {
        self.fate() == Fate::Open
    }

    /// How far it is.
    pub fn fate(&self) -> Fate {
        *self.fate.lock().expect("nobody panics with it")
    }

    /// Its body.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("the body is JSON")
    }

    /// The call that it is about.
    pub fn session(&self) -> String {
        self.json()["cdr"]["id"].as_str().expect("a record has an id").to_owned()
    }
}

type Answer = Arc<dyn Fn(&Request) -> Reply + Send + Sync>;

struct Shared {
    answer: Answer,
    requests: watch::Sender<Vec<Request>>,
}

impl Receiver {
    /// On a free port.
    pub async fn start(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        Self::serve(listener, Arc::new(answer))
    }

    /// A port that is taken, and refuses connections.
    pub fn down() -> Down {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a free port");
        Down(socket)
    }

    fn serve(listener: TcpListener, answer: Answer) -> Self {
        let address = listener.local_addr().expect("it is bound");
        let (sender, requests) = watch::channel(Vec::new());
        let shared = Shared { answer, requests: sender };
        let router = Router::new().fallback(receive).with_state(Arc::new(shared));
        // It ends with the runtime of the test.
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, requests }
    }

    /// Where it is reached.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// On which port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// All that came so far, in order.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.borrow().clone()
    }

    /// Requests that came and are not answered yet.
    pub fn in_flight(&self) -> usize {
        self.requests.borrow().iter().filter(|request| request.is_open()).count()
    }

    /// Until what came is as wanted; returns it.
    ///
    /// # Panics
    /// It never is.
    pub async fn until(&self, what: &str, wanted: impl Fn(&[Request]) -> bool) -> Vec<Request> {
        let mut requests = self.requests.clone();
        let got = timeout(TIMEOUT, requests.wait_for(|requests| wanted(requests))).await;
        match got {
            Ok(Ok(requests)) => requests.clone(),
            _ => panic!("waited in vain for {what}; {} requests came", self.requests.borrow().len()),
        }
    }

    /// Until so many have come.
    pub async fn count(&self, count: usize) -> Vec<Request> {
        self.until(&format!("{count} requests"), |requests| requests.len() >= count).await
    }
}

impl Down {
    /// Where it will be reached.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.0.local_addr().expect("it is bound"))
    }

    /// From now on connections are taken.
    pub fn listen(self, answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Receiver {
        Receiver::serve(self.0.listen(1024).expect("it is bound"), Arc::new(answer))
    }
}

async fn receive(State(shared): State<Arc<Shared>>, request: HttpRequest) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, usize::MAX).await else { return StatusCode::BAD_REQUEST.into_response() };
    let request = Request {
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts.headers,
        body,
        came: Instant::now(),
        fate: Arc::new(Mutex::new(Fate::Open)),
    };
    let mut end = End { fate: Arc::clone(&request.fate), how: Fate::Left };
    let reply = (shared.answer)(&request);
    shared.requests.send_modify(|requests| requests.push(request));
    match reply.after {
        Some(Duration::ZERO) => {}
        Some(time) => tokio::time::sleep(time).await,
        None => std::future::pending().await,
    }
    end.how = Fate::Answered(reply.status, Instant::now());
    let mut response = (reply.status, reply.body).into_response();
    for (name, value) in reply.headers {
        response.headers_mut().insert(name, value.parse().expect("a value"));
    }
    response
}

/// Says how a request has ended, also where it is dropped because its sender has left.
struct End {
    fate: Arc<Mutex<Fate>>,
    how: Fate,
}

impl Drop for End {
    fn drop(&mut self) {
        *self.fate.lock().expect("nobody panics with it") = self.how;
    }
}
