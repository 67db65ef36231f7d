//! Sends one request within one deadline, to addresses that were checked, and says all that came of it.
//!
//! One client, and so one pool of connections, for all receivers but those that want a certificate of ours; the
//! pool keeps origins apart. It follows no redirect, keeps no cookie, reads no proxy from the environment, unpacks no body, and never fails: what goes
//! wrong is part of the exchange.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use ipnet::IpNet;
use ringpost_model::{Method, Timestamp};
use rustls::pki_types::CertificateDer;
use tokio::time::{Instant, timeout};

use crate::address::AddressRules;
use crate::exchange::{Exchange, Failure, FailureKind, Phase};
use crate::oauth::{Given, Grant, GrantKey, Tokens};
use crate::request::Request;
use crate::resolve::{Lookup, Resolver};
use crate::tls::TlsError;
use crate::trace::Trace;

mod answer;
mod failure;
mod identities;
mod pool;
mod token;
mod wire;

use self::answer::Received;
use self::identities::Identities;
use self::token::Asking;
use self::wire::{Outgoing, Wire};

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
    /// Certificates of ours whose connections are kept; the least recently used goes. 64: each has a client and
    /// a pool of its own.
    pub certificates: usize,
    /// Tokens of OAuth 2 that are kept, with the same rule. 1,024.
    pub tokens: usize,
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
            certificates: 64,
            tokens: 1_024,
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
    /// The proxy's address makes no URL; none is known that does not.
    #[error("set up the proxy")]
    Proxy(#[source] http::uri::InvalidUri),
}

/// The client; a clone is the same client.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    wire: Wire,
    identities: Identities,
    tokens: Tokens,
    clock: Clock,
    read_body_bytes: usize,
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
        let Config { deadline, read_body_bytes, allow_http, tokens, .. } = config;
        let wire = Wire { resolver: resolver.clone(), deadline, allow_http };
        let identities = Identities::new(config, resolver)?;
        Ok(Self(Arc::new(Inner { wire, identities, tokens: Tokens::new(tokens), clock, read_body_bytes })))
    }

    /// Sends a request.
    pub async fn send(&self, mut request: Request) -> Exchange {
        let inner = &*self.0;
        let begun = Instant::now();
        let started = (inner.clock)();
        let trace = Trace::new();
        let mut received = Received::default();
        let work = trace.clone().of(inner.exchange(&mut request, &trace, &mut received));
        let result = timeout(inner.wire.deadline, work).await;
        let failure = match result {
            Ok(result) => result.err(),
            Err(_) => Some(failure::timed_out(&trace, inner.wire.deadline)),
        };
        let mut exchange = Exchange::of(&request, started);
        exchange.ended = (inner.clock)();
        exchange.took = begun.elapsed();
        exchange.address = received.address();
        exchange.failure = failure.map(|failure| failure::shown(failure, &request, exchange.ended));
        exchange.answer = received.into_answer(&request);
        exchange
    }
}

impl Transport for Client {
    fn send(&self, request: Request) -> BoxFuture<'static, Exchange> {
        let client = self.clone();
        Box::pin(async move { Self::send(&client, request).await })
    }
}

impl Inner {
    /// Fills `received` as far as the exchange comes; what is there stays when the deadline strikes.
    async fn exchange(
        &self,
        request: &mut Request,
        trace: &Trace,
        received: &mut Received,
    ) -> Result<(), Failure> {
        // Before a token is asked for in vain.
        self.wire.check(&request.url)?;
        let trigger = request.trigger.clone();
        match Grant::of(&trigger.auth) {
            Some(grant) => self.with_token(grant.key(), request, trace, received).await,
            None => self.once(request, trace, received).await,
        }
    }

    /// With a token that is kept; where the receiver refuses that one, once more with a new one.
    async fn with_token(
        &self,
        key: GrantKey,
        request: &mut Request,
        trace: &Trace,
        received: &mut Received,
    ) -> Result<(), Failure> {
        let given = self.identified(key, request, trace).await?;
        self.once(request, trace, received).await?;
        if received.status() == Some(401) && self.tokens.refused(key, &given) {
            *received = Received::default();
            self.identified(key, request, trace).await?;
            self.once(request, trace, received).await?;
        }
        Ok(())
    }

    /// Puts a token into the request.
    async fn identified(
        &self,
        key: GrantKey,
        request: &mut Request,
        trace: &Trace,
    ) -> Result<Given, Failure> {
        let ask = |style, trace| {
            let asking = Asking {
                wire: self.wire.clone(),
                http: self.identities.nobody(),
                clock: self.clock.clone(),
                trigger: request.trigger.clone(),
                secrets: request.secrets.clone(),
            };
            asking.ask(style, trace)
        };
        let given = self.tokens.get(key, trace, ask).await?;
        let carried = request.carry(&given.value);
        carried.map_err(|error| Failure { kind: FailureKind::Unsendable, text: error.to_string() })?;
        trace.reached(Phase::Answer);
        Ok(given)
    }

    async fn once(&self, request: &Request, trace: &Trace, received: &mut Received) -> Result<(), Failure> {
        let http = self.identities.of(&request.trigger.auth)?;
        let uri = request.uri().ok_or_else(|| Failure {
            kind: FailureKind::Unsendable,
            text: "send to the URL: HTTP cannot carry it".to_owned(),
        })?;
        let (method, body) = (method(request.method), request.body().unwrap_or_default());
        let outgoing = Outgoing { method, uri: &uri, headers: &request.headers, body };
        let mut response = self.wire.head(&http, outgoing, trace).await?;
        received.head(&response);
        while received.read() < self.read_body_bytes {
            let Some(chunk) = self.wire.chunk(&mut response, trace).await? else { break };
            received.add(&chunk);
        }
        Ok(())
    }
}

fn method(method: Method) -> http::Method {
    match method {
        Method::Get => http::Method::GET,
        Method::Post => http::Method::POST,
        Method::Put => http::Method::PUT,
    }
}

#[cfg(test)]
mod tests;
