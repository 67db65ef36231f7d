//! The receiver itself: takes any method and path, tells what came, answers as its route wants.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use standardwebhooks::Webhook;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::clock;

use super::behaviour::{Behaviour, Routes};
use super::received::{Received, check};

/// Largest body that is kept; ringpost sends far less.
const MAX_BODY: usize = 32 * 1024 * 1024;
/// Webhook ids remembered to tell repeats. At 16 bytes and the text some 20 MB; then counting starts anew.
const MAX_IDS: usize = 200_000;
/// Between two pieces of a body that never ends: slow enough to fill no memory, never idle.
const DRIP: Duration = Duration::from_millis(50);

/// What the receiver does and knows.
pub(crate) struct Settings {
    routes: Routes,
    secrets: Vec<Webhook>,
}

impl Settings {
    pub(crate) fn new(routes: Routes, secrets: &[String]) -> Result<Self, String> {
        let secrets = secrets.iter().map(|secret| {
            let wrong = || "--secret: write whsec_ and base64, as the trigger shows it".to_owned();
            secret.starts_with("whsec_").then(|| Webhook::new(secret).ok()).flatten().ok_or_else(wrong)
        });
        Ok(Self { routes, secrets: secrets.collect::<Result<_, _>>()? })
    }
}

struct Shared {
    settings: Settings,
    counts: Mutex<Counts>,
    sender: mpsc::Sender<Received>,
}

#[derive(Default)]
struct Counts {
    all: u64,
    by_route: HashMap<String, u64>,
    by_id: HashMap<String, u32>,
}

/// Serves until it is dropped.
pub(crate) async fn serve(
    listener: TcpListener,
    settings: Settings,
    sender: mpsc::Sender<Received>,
) -> std::io::Result<()> {
    let shared = Arc::new(Shared { settings, counts: Mutex::default(), sender });
    axum::serve(listener, Router::new().fallback(receive).with_state(shared)).await
}

async fn receive(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, MAX_BODY).await;
    let body_cut = body.is_err();
    let body = body.unwrap_or_default();
    let path = parts.uri.path();
    let query = parts.uri.query().unwrap_or_default();
    let (route, behaviour) = shared.settings.routes.of(path);
    let (number, of_route, attempt) = count(&shared.counts, route, &parts.headers);
    let status = behaviour.status_of(of_route, attempt);
    let received = Received {
        at: clock::now(),
        method: parts.method.to_string(),
        path: path.to_owned(),
        query: query.to_owned(),
        signature: check(&shared.settings.secrets, &parts.headers, query, &body),
        headers: parts.headers,
        body,
        body_cut,
        number,
        attempt,
        answer: (!behaviour.hang).then_some(status),
    };
    // When nobody prints any more the sink is ending.
    let _ = shared.sender.send(received).await;
    answer(behaviour, status).await
}

fn count(counts: &Mutex<Counts>, route: &str, headers: &HeaderMap) -> (u64, u64, Option<u32>) {
    let mut counts = counts.lock().expect("no holder of this lock panics");
    counts.all += 1;
    let of_route = counts.by_route.entry(route.to_owned()).or_default();
    *of_route += 1;
    let of_route = *of_route;
    if counts.by_id.len() >= MAX_IDS {
        counts.by_id.clear();
    }
    let id = headers.get("webhook-id").and_then(|id| id.to_str().ok());
    let attempt = id.map(|id| {
        let attempt = counts.by_id.entry(id.to_owned()).or_default();
        *attempt += 1;
        *attempt
    });
    (counts.all, of_route, attempt)
}

async fn answer(behaviour: &Behaviour, status: u16) -> Response {
    tokio::time::sleep(behaviour.delay).await;
    if behaviour.hang {
        std::future::pending::<()>().await;
    }
    let status_code = StatusCode::from_u16(status).unwrap_or(StatusCode::ACCEPTED);
    let mut response = if behaviour.endless_body { endless().into_response() } else { short(status) };
    *response.status_mut() = status_code;
    if let Some(seconds) = behaviour.retry_after.filter(|_| !status_code.is_success()) {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

fn short(status: u16) -> Response {
    let body = format!("{{\"sink\":{status}}}\n");
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

fn endless() -> Body {
    let pieces = stream::unfold((), |()| async {
        tokio::time::sleep(DRIP).await;
        Some((Ok::<_, std::convert::Infallible>(Bytes::from_static(&[b'.'; 1024])), ()))
    });
    Body::from_stream(pieces)
}
