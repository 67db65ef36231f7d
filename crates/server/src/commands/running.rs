//! Asks the admin port of a running server, for commands.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use reqwest::{Client, Method, Response};
use url::Url;

use crate::cli::{Failure, Io, harmless};
use crate::config::{self, Flags};

/// The admin port answers from memory.
const DEADLINE: Duration = Duration::from_secs(5);
/// What is told line by line may take all night.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);

/// Which server.
#[derive(Debug, Args)]
pub(crate) struct Which {
    /// Admin port of the server; without it the one of the configuration, on this machine
    #[arg(long, value_name = "URL")]
    pub(crate) admin: Option<String>,
    /// Configuration file; without it the defaults hold. Environment: RINGPOST_CONFIG
    #[arg(long, short, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

/// A running server.
pub(crate) struct Running {
    client: Client,
    base: Url,
}

impl Running {
    /// Where it is; nothing is asked yet.
    pub(crate) fn find(which: &Which, io: &Io<'_>) -> Result<Self, Failure> {
        let listen = match &which.admin {
            Some(_) => SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            None => {
                let file = which.config.clone();
                let file = file.or_else(|| io.variable("RINGPOST_CONFIG").map(PathBuf::from));
                config::load(file.as_deref(), &io.variables, &Flags::default())?.config.admin.listen
            }
        };
        Self::at(which.admin.as_deref(), listen)
    }

    /// At this URL; without one where `admin.listen` says.
    pub(crate) fn at(admin: Option<&str>, listen: SocketAddr) -> Result<Self, Failure> {
        let base = match admin {
            Some(text) => {
                let url = text.parse::<Url>().ok().filter(|url| matches!(url.scheme(), "http" | "https"));
                url.ok_or_else(|| Failure::Usage(format!("--admin {text}: write http://127.0.0.1:8081")))?
            }
            None => {
                let address = reachable(listen);
                format!("http://{address}").parse().context("make an address of admin.listen")?
            }
        };
        // Somebody else may have installed it; then it is the same one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder().no_proxy().build().context("make an HTTP client")?;
        Ok(Self { client, base })
    }

    /// One question. What the server refuses is an error with its own words.
    pub(crate) async fn ask(&self, method: Method, path: &str, body: Option<&str>) -> anyhow::Result<String> {
        let answer = self.send(method, path, body, DEADLINE).await?;
        answer.text().await.map_err(reqwest::Error::without_url).context("read the answer")
    }

    /// One question with an answer that comes line by line, for as long as it takes.
    pub(crate) async fn follow(
        &self,
        path: &str,
        body: &str,
        mut each: impl FnMut(&str) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let mut answer = self.send(Method::POST, path, Some(body), LONGEST).await?;
        let mut rest = Vec::new();
        while let Some(chunk) =
            answer.chunk().await.map_err(reqwest::Error::without_url).context("read the answer")?
        {
            rest.extend_from_slice(&chunk);
            while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = rest.drain(..=end).collect();
                each(String::from_utf8_lossy(&line).trim())?;
            }
        }
        Ok(())
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&str>,
        deadline: Duration,
    ) -> anyhow::Result<Response> {
        let url = self.base.join(path).context("make an address")?;
        let mut request = self.client.request(method, url).timeout(deadline);
        if let Some(body) = body {
            request = request.body(body.to_owned());
        }
        let answer = request.send().await.map_err(reqwest::Error::without_url);
        let answer = answer.with_context(|| {
            let base = self.base.as_str().trim_end_matches('/');
            format!("no server answers at {base}: is it running, and is that its admin port (--admin)?")
        })?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let text = answer.text().await.map_err(reqwest::Error::without_url).context("read the answer")?;
        if status == 404 && path != "/log-level" {
            anyhow::bail!("{} knows no {path}: it is an older version, or not its admin port", self.base);
        }
        anyhow::bail!("{}", harmless(text.trim()))
    }
}

/// An address to listen on is not always one to ask.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}
