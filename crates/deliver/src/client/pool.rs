//! The HTTP client as every request uses it: connections to checked addresses, in the clear or by TLS, straight or
//! through the proxy, and a pool of them. ADR 004 says why it is hyper's and not reqwest's.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::Uri;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::SocksV5;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tower::Service;

use super::{ClientError, Config};
use crate::resolve::{Names, Resolver, first_address};
use crate::trace::{Connecting, connecting};

/// How long a connection may be silent before it is asked whether it lives, and between two such questions.
const KEEPALIVE: Duration = Duration::from_secs(15);
/// So many of them without an answer end it.
const KEEPALIVES: u32 = 3;
/// What was sent and is not acknowledged for so long ends it too: one that many requests share is not theirs to end.
#[cfg(target_os = "linux")]
const UNACKNOWLEDGED: Duration = Duration::from_secs(30);

pub(super) type Http = Client<Connector, Full<Bytes>>;
pub(super) type Response = http::Response<Incoming>;

type Failed = Box<dyn Error + Send + Sync>;
type Tcp = TokioIo<TcpStream>;

/// A client with a pool of its own; no connection is made.
pub(super) fn client(
    config: &Config,
    resolver: &Arc<Resolver>,
    tls: ClientConfig,
) -> Result<Http, ClientError> {
    let mut tcp = HttpConnector::new_with_resolver(Names(resolver.clone()));
    // TLS is put on top.
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    // Split among the addresses of a name, so that a dead one leaves time for the next.
    tcp.set_connect_timeout(Some(config.deadline));
    tcp.set_keepalive(Some(KEEPALIVE));
    tcp.set_keepalive_interval(Some(KEEPALIVE));
    tcp.set_keepalive_retries(Some(KEEPALIVES));
    #[cfg(target_os = "linux")]
    tcp.set_tcp_user_timeout(Some(UNACKNOWLEDGED));
    let way = match config.proxy {
        None => Way::Straight(tcp),
        Some(address) => Way::Proxied(resolver.clone(), socks(address, tcp)?),
    };
    let parts = Parts { https: HttpsConnector::from((way, tls)), deadline: config.deadline };
    Ok(Client::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(config.idle_timeout)
        .pool_max_idle_per_host(config.idle_per_origin)
        .build(Connector(Arc::new(parts))))
}

fn socks<C>(proxy: SocketAddr, tcp: C) -> Result<SocksV5<C>, ClientError> {
    let proxy = format!("socks5://{proxy}").parse().map_err(ClientError::Proxy)?;
    Ok(SocksV5::new(proxy, tcp))
}

/// Makes connections. The client clones it for every request, which is why it is one pointer.
#[derive(Clone)]
pub(super) struct Connector(Arc<Parts>);

struct Parts {
    https: HttpsConnector<Way>,
    deadline: Duration,
}

impl Service<Uri> for Connector {
    type Response = MaybeHttpsStream<Tcp>;
    type Error = Failed;
    type Future = Connecting<Self::Response, Failed>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failed>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, target: Uri) -> Self::Future {
        let (mut https, deadline) = (self.0.https.clone(), self.0.deadline);
        // Also one that no request waits for any more ends some time.
        connecting(async move {
            let made = timeout(deadline, https.call(target)).await;
            made.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()))
        })
    }
}

/// The way to a receiver.
#[derive(Clone)]
enum Way {
    Straight(HttpConnector<Names>),
    Proxied(Arc<Resolver>, SocksV5<HttpConnector<Names>>),
}

impl Service<Uri> for Way {
    type Response = Tcp;
    type Error = Failed;
    type Future = BoxFuture<'static, Result<Tcp, Failed>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failed>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, target: Uri) -> Self::Future {
        match self {
            Self::Straight(tcp) => tcp.call(target).map(|made| made.map_err(Into::into)).boxed(),
            Self::Proxied(resolver, socks) => {
                let (resolver, mut socks) = (resolver.clone(), socks.clone());
                Box::pin(async move {
                    let target = resolved(&resolver, &target).await?;
                    socks.call(target).await.map_err(Into::into)
                })
            }
        }
    }
}

/// The same with an address in place of the name: what a proxy is asked for.
async fn resolved(resolver: &Resolver, target: &Uri) -> Result<Uri, Failed> {
    let https = target.scheme_str() == Some("https");
    let port = target.port_u16().unwrap_or(if https { 443 } else { 80 });
    let address = first_address(resolver, target.host().unwrap_or_default()).await?;
    let scheme = if https { "https" } else { "http" };
    Ok(format!("{scheme}://{}", SocketAddr::new(address, port)).parse()?)
}
