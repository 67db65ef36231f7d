//! Sends one request within one deadline, to addresses that were checked, and says all that came of it.
//!
//! One client, and so one pool of connections, for all receivers; the pool keeps origins apart. It follows no
//! redirect, keeps no cookie, reads no proxy from the environment, unpacks no body, and never fails: what goes
//! wrong is part of the exchange.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use ipnet::IpNet;
use ringpost_model::{Method, Timestamp};
use rustls::pki_types::CertificateDer;
use tokio::time::{Instant, timeout};
use url::Host;

use crate::address::AddressRules;
use crate::exchange::{Exchange, Failure, FailureKind, Phase};
use crate::request::Request;
use crate::resolve::{Lookup, ReqwestResolver, Resolver};
use crate::tls::{self, TlsError};
use crate::trace::{ConnectLayer, Trace};

mod answer;
mod failure;

use self::answer::Received;

/// Says what time it is; `server` owns the clock.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Sends requests. The edge that tests replace: by receivers that hang without a socket.
pub trait Transport: Send + Sync + 'static {
    /// Sends; a failure is an exchange too. Must end by itself, within the deadline.
    fn send(&self, request: Request) -> BoxFuture<'static, Exchange>;
}

/// How the client is set up.
#[derive(Debug, Clone)]
pub struct Config {
    /// For DNS, connect, TLS, request and response body together. 10 s.
    pub deadline: Duration,
    /// How much of a body is read; the rest is not waited for. 64 KiB.
    pub read_body_bytes: usize,
    /// Connections per origin that are kept while idle. 256, as many as may be busy.
    pub idle_per_origin: usize,
    /// How long. 4 s: many servers close an idle connection after 5 s, and a request that meets the closing
    /// costs its receiver a try.
    pub idle_timeout: Duration,
    /// Names looked up at the same time. 256.
    pub lookups: usize,
    /// Networks that may be connected to beside the public internet. None.
    pub allowed: Vec<IpNet>,
    /// Whether `http` URLs are sent to. No: only for tests and closed networks.
    pub allow_http: bool,
    /// Root certificates trusted beside the platform's. None.
    pub extra_roots: Vec<CertificateDer<'static>>,
    /// A SOCKS5 proxy through which everything goes. It gets the checked address and never the name, which is
    /// why a proxy that wants names (HTTP CONNECT) cannot be configured. None.
    pub proxy: Option<SocketAddr>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(10),
            read_body_bytes: 64 * 1024,
            idle_per_origin: 256,
            idle_timeout: Duration::from_secs(4),
            lookups: 256,
            allowed: Vec::new(),
            allow_http: false,
            extra_roots: Vec::new(),
            proxy: None,
        }
    }
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// reqwest refuses its settings.
    #[error("set up the HTTP client")]
    Http(#[source] reqwest::Error),
}

/// The client; a clone is the same client.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    http: reqwest::Client,
    resolver: Arc<Resolver>,
    clock: Clock,
    deadline: Duration,
    read_body_bytes: usize,
    allow_http: bool,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Client")
    }
}

impl Client {
    /// Sets the client up; no connection is made.
    ///
    /// # Errors
    /// Roots that cannot be loaded.
    pub fn new(config: Config, lookup: Arc<dyn Lookup>, clock: Clock) -> Result<Self, ClientError> {
        let rules = AddressRules::allowing(config.allowed.clone());
        let resolver = Arc::new(Resolver::new(lookup, rules, config.lookups));
        let http = http_client(&config, resolver.clone())?;
        let Config { deadline, read_body_bytes, allow_http, .. } = config;
        Ok(Self(Arc::new(Inner { http, resolver, clock, deadline, read_body_bytes, allow_http })))
    }

    /// Sends a request.
    pub async fn send(&self, request: Request) -> Exchange {
        let inner = &*self.0;
        let begun = Instant::now();
        let started = (inner.clock)();
        let trace = Trace::new();
        let mut received = Received::default();
        let work = trace.clone().of(inner.exchange(&request, &trace, &mut received));
        let result = timeout(inner.deadline, work).await;
        let mut failure = match result {
            Ok(result) => result.err(),
            Err(_) => Some(failure::timed_out(&trace, inner.deadline)),
        };
        if let Some(failure) = &mut failure {
            failure.text = request.secrets.hide(&failure.text).into_owned();
        }
        let mut exchange = Exchange::of(&request, started);
        exchange.address = received.address();
        exchange.answer = received.into_answer(&request);
        exchange.failure = failure;
        exchange.ended = (inner.clock)();
        exchange.took = begun.elapsed();
        exchange
    }
}

impl Transport for Client {
    fn send(&self, request: Request) -> BoxFuture<'static, Exchange> {
        let client = self.clone();
        Box::pin(async move { Self::send(&client, request).await })
    }
}

fn http_client(config: &Config, resolver: Arc<Resolver>) -> Result<reqwest::Client, ClientError> {
    let mut builder = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .tls_backend_preconfigured(tls::client_config(config.extra_roots.clone())?)
        .dns_resolver(ReqwestResolver(resolver))
        .connector_layer(ConnectLayer)
        // Split among the addresses of a name, so that a dead one leaves time for the next.
        .connect_timeout(config.deadline)
        .pool_idle_timeout(config.idle_timeout)
        .pool_max_idle_per_host(config.idle_per_origin)
        .tcp_nodelay(true);
    if let Some(address) = config.proxy {
        let proxy = reqwest::Proxy::all(format!("socks5://{address}")).map_err(ClientError::Http)?;
        builder = builder.proxy(proxy);
    }
    builder.build().map_err(ClientError::Http)
}

impl Inner {
    /// Fills `received` as far as the exchange comes; what is there stays when the deadline strikes.
    async fn exchange(
        &self,
        request: &Request,
        trace: &Trace,
        received: &mut Received,
    ) -> Result<(), Failure> {
        self.check(request)?;
        let mut sending = self.http.request(method(request.method), request.url.clone());
        if let Some(body) = request.body() {
            sending = sending.body(body);
        }
        let sending = sending.headers(request.headers.clone()).send();
        let failed = |error, kind| failure::of(error, trace, self.deadline, kind);
        let mut response = sending.await.map_err(|error| failed(error, FailureKind::Broken))?;
        trace.reached(Phase::Body);
        received.head(&response);
        while received.read() < self.read_body_bytes {
            let chunk = response.chunk().await;
            let chunk = chunk.map_err(|error| failed(error, FailureKind::BodyBroken))?;
            let Some(chunk) = chunk else { break };
            received.add(&chunk);
        }
        Ok(())
    }

    /// What has to hold before anything is sent. A name is checked where it is resolved.
    fn check(&self, request: &Request) -> Result<(), Failure> {
        let scheme = request.url.scheme();
        let allowed = scheme == "https" || (scheme == "http" && self.allow_http);
        if !allowed {
            let text = format!("send to a URL of scheme {scheme}: only https is allowed");
            return Err(Failure { kind: FailureKind::Unsendable, text });
        }
        let literal = match request.url.host() {
            Some(Host::Ipv4(address)) => address.into(),
            Some(Host::Ipv6(address)) => address.into(),
            _ => return Ok(()),
        };
        let checked = self.resolver.rules().check(literal);
        checked.map_err(|error| Failure { kind: FailureKind::RefusedAddress, text: error.to_string() })
    }
}

fn method(method: Method) -> reqwest::Method {
    match method {
        Method::Get => reqwest::Method::GET,
        Method::Post => reqwest::Method::POST,
        Method::Put => reqwest::Method::PUT,
    }
}

#[cfg(test)]
mod tests;
