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
    /// Elements refused.
    #[serde(default)]
    pub(crate) rejected: u64,
}

/// Why it was refused; sending it again is no use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{status}: {detail}")]
pub(crate) struct Refused {
    pub(crate) status: u16,
    pub(crate) detail: String,
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
            Dialect::FreeswitchCdr => "application/json",
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
            return Ok(Err(Refused { status: status.as_u16(), detail: detail(&text) }));
        }
        bail!("send legs to {}: it could not store them in {TRIES} tries", self.server)
    }
}

/// What a problem (RFC 9457) says, else the begin of the text.
fn detail(text: &str) -> String {
    #[derive(Deserialize)]
    struct Problem {
        #[serde(default)]
        title: String,
        #[serde(default)]
        detail: String,
        #[serde(default)]
        rejected: Vec<Told>,
    }
    #[derive(Deserialize)]
    struct Told {
        #[serde(default)]
        reason: String,
    }
    let Ok(problem) = serde_json::from_str::<Problem>(text) else {
        return text.chars().take(200).collect();
    };
    let mut parts = vec![problem.title, problem.detail];
    parts.extend(problem.rejected.into_iter().map(|told| told.reason));
    parts.retain(|part| !part.is_empty());
    parts.join("; ")
}
