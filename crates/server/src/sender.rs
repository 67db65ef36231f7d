//! Sends legs to a running server's intake, for commands: waits where it is asked to, and gives up where trying
//! again is no use.

use std::time::Duration;

use anyhow::{Context, bail};
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Client, StatusCode};
use ringpost_model::{Dialect, PbxKey};
use serde::Deserialize;
use url::Url;

/// One request, answer included. The intake answers in milliseconds; a full disk is what takes longer.
const DEADLINE: Duration = Duration::from_secs(30);
/// Wait where the server says that it cannot now, and not for how long.
const PAUSE: Duration = Duration::from_secs(1);
/// Tries of one request.
const TRIES: u32 = 30;

/// To one server.
pub(crate) struct Sender {
    client: Client,
    server: Url,
}

/// What became of the elements of one request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct Sent {
    /// Legs taken in.
    #[serde(default)]
    pub(crate) legs: u64,
    /// Elements refused; they are among the dead letters.
    #[serde(default)]
    pub(crate) rejected: u64,
    /// The first of them.
    #[serde(default)]
    pub(crate) reasons: Vec<Told>,
}

/// One refused element.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct Told {
    /// Where in the request it stood, in words.
    #[serde(default)]
    pub(crate) position: String,
    #[serde(default)]
    pub(crate) reason: String,
}

/// Why it was refused; sending it again is no use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{status}: {detail}")]
pub(crate) struct Refused {
    pub(crate) status: u16,
    pub(crate) detail: String,
    /// How many elements could be looked at, and were refused, all of them; 0 = it was not about the elements.
    pub(crate) refused: u64,
    /// The first of them.
    pub(crate) rejected: Vec<Told>,
}

impl Sender {
    pub(crate) fn new(server: &str) -> anyhow::Result<Self> {
        let server: Url = server.parse().with_context(|| format!("read the address {server}"))?;
        if !matches!(server.scheme(), "http" | "https") {
            bail!("the address of a server begins with http:// or https://, got {}:", server.scheme());
        }
        // Somebody else may have installed it; then it is the same one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder().timeout(DEADLINE).no_proxy().build().context("make an HTTP client")?;
        Ok(Self { client, server })
    }

    /// Posts a body for a pbx, again and again where the server cannot now.
    ///
    /// # Errors
    /// The server cannot be reached. The inner one: it was refused.
    pub(crate) async fn post(
        &self,
        pbx: &PbxKey,
        token: &str,
        dialect: Dialect,
        body: &[u8],
    ) -> anyhow::Result<Result<Sent, Refused>> {
        let mut url = self.server.clone();
        url.path_segments_mut()
            .map_err(|()| anyhow::anyhow!("{} is no address of a server", self.server))?
            .pop_if_empty()
            .extend(["ingest", pbx.as_str()]);
        let kind = match dialect {
            Dialect::Native => "application/x-ndjson",
            Dialect::FreeswitchCdr | Dialect::FreeswitchEvent | Dialect::Kazoo => "application/json",
            Dialect::AsteriskCel | Dialect::AsteriskCdr => "text/csv",
        };
        for _ in 0..TRIES {
            let request = self.client.post(url.clone()).bearer_auth(token).header(CONTENT_TYPE, kind);
            let response = request.body(body.to_vec()).send().await.map_err(reqwest::Error::without_url);
            let response = response.with_context(|| format!("send legs to {}", self.server))?;
            let status = response.status();
            let later = matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS);
            if later {
                let after =
                    response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
                tokio::time::sleep(after.map_or(PAUSE, Duration::from_secs)).await;
                continue;
            }
            let text = response.text().await.unwrap_or_default();
            if status.is_success() {
                return Ok(Ok(serde_json::from_str(&text).unwrap_or_default()));
            }
            return Ok(Err(refused(status, &text)));
        }
        bail!("send legs to {}: it could not store them in {TRIES} tries", self.server)
    }
}

/// What a problem (RFC 9457) says, else the begin of the text.
fn refused(status: StatusCode, text: &str) -> Refused {
    #[derive(Deserialize)]
    struct Problem {
        #[serde(default)]
        title: String,
        #[serde(default)]
        detail: String,
        #[serde(default)]
        refused: u64,
        #[serde(default)]
        rejected: Vec<Told>,
    }
    let status = status.as_u16();
    let Ok(problem) = serde_json::from_str::<Problem>(text) else {
        let detail = text.chars().take(200).collect();
        return Refused { status, detail, refused: 0, rejected: Vec::new() };
    };
    let mut parts = vec![problem.title, problem.detail];
    parts.extend(problem.rejected.iter().map(|told| told.reason.clone()));
    parts.retain(|part| !part.is_empty());
    Refused { status, detail: parts.join("; "), refused: problem.refused, rejected: problem.rejected }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use axum::Router;
    use axum::http::StatusCode as Code;
    use axum::response::IntoResponse;
    use axum::routing::post;

    use super::*;

    /// Answers in turn with these, and then for ever with the last.
    async fn server(answers: Vec<(Code, &'static str)>) -> (String, Arc<AtomicU32>) {
        let count = Arc::new(AtomicU32::new(0));
        let asked = Arc::clone(&count);
        let answer = post(async move || {
            let at = asked.fetch_add(1, Ordering::SeqCst) as usize;
            let (code, body) = answers[at.min(answers.len() - 1)];
            (code, [(RETRY_AFTER, "0")], body).into_response()
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/ingest/k1", answer);
        tokio::spawn(async move { axum::serve(listener, router).await });
        (format!("http://{address}"), count)
    }

    async fn send(answers: Vec<(Code, &'static str)>) -> (anyhow::Result<Result<Sent, Refused>>, u32) {
        let (url, count) = server(answers).await;
        let pbx = PbxKey::new("k1").unwrap();
        let sent = Sender::new(&url).unwrap().post(&pbx, "secret", Dialect::Native, b"{}").await;
        (sent, count.load(Ordering::SeqCst))
    }

    #[tokio::test]
    async fn a_server_that_cannot_store_now_is_asked_again_until_it_can() {
        let busy = (Code::SERVICE_UNAVAILABLE, "{}");
        let done = (Code::ACCEPTED, r#"{"legs":2,"rejected":1,"reasons":[{"position":"p","reason":"r"}]}"#);
        let (sent, asked) = send(vec![busy, busy, done]).await;
        let reasons = vec![Told { position: "p".to_owned(), reason: "r".to_owned() }];
        assert_eq!((sent.unwrap(), asked), (Ok(Sent { legs: 2, rejected: 1, reasons }), 3));
    }

    #[tokio::test]
    async fn one_that_never_can_is_given_up() {
        let (sent, asked) = send(vec![(Code::SERVICE_UNAVAILABLE, "{}")]).await;
        assert!(sent.unwrap_err().to_string().contains("could not store them in 30 tries"));
        assert_eq!(asked, TRIES);
    }

    #[tokio::test]
    async fn what_is_refused_is_not_sent_again() {
        let problem = r#"{"title":"t","detail":"d","refused":3,"rejected":[{"position":"p","reason":"r"}]}"#;
        let (sent, asked) = send(vec![(Code::BAD_REQUEST, problem)]).await;
        let refused = sent.unwrap().unwrap_err();
        assert_eq!((refused.to_string().as_str(), refused.refused, asked), ("400: t; d; r", 3, 1));
    }
}
