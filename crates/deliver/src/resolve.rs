//! Names to addresses: by ourselves, checked, and the connection goes to exactly these.
//!
//! Lookups have a pool of their own and a name is looked up once at a time however many wait for it, so a name
//! whose servers are silent holds one place of the pool and not all.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, WeakShared};
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{LookupIpStrategy, NameServerConfig, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hyper_util::client::legacy::connect::dns::Name;
use tokio::sync::Semaphore;
use tower::Service;

use crate::address::{AddressRules, RefusedAddress};

/// Looks a name up. The edge that tests replace: by a name that hangs, or whose answer changes.
pub trait Lookup: Send + Sync + 'static {
    /// All addresses of a name.
    fn lookup(&self, name: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>>;
}

/// The system's name servers and hosts file, asked without a thread per question.
#[derive(Debug, Clone)]
pub struct SystemLookup(TokioResolver);

impl SystemLookup {
    /// Reads `/etc/resolv.conf` and the hosts file. Where there is no configuration a server on this machine
    /// is asked, as the C library does.
    ///
    /// # Errors
    /// A hosts file that cannot be read.
    pub fn new() -> Result<Self, NetError> {
        let mut builder = TokioResolver::builder_tokio().unwrap_or_else(|_| {
            let local = NameServerConfig::udp_and_tcp(IpAddr::from([127, 0, 0, 1]));
            let config = ResolverConfig::from_parts(None, Vec::new(), vec![local]);
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        });
        // Both families are asked and checked: a private address must not hide behind a public one.
        builder.options_mut().ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        builder.build().map(Self)
    }
}

impl Lookup for SystemLookup {
    fn lookup(&self, name: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let (resolver, name) = (self.0.clone(), name.to_owned());
        Box::pin(async move {
            let answer = resolver.lookup_ip(name).await.map_err(io::Error::other)?;
            Ok(answer.iter().collect())
        })
    }
}

/// Why a name gives no address to connect to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// No answer, or a bad one.
    #[error("resolve {name}: {reason}")]
    Lookup {
        /// The name.
        name: String,
        /// What the resolver says.
        reason: String,
    },
    /// An answer without an address.
    #[error("resolve {0}: it has no address")]
    Empty(String),
    /// One of the addresses may not be connected to, so none is.
    #[error("resolve {name}: {refused}")]
    Refused {
        /// The name.
        name: String,
        /// Which one.
        refused: RefusedAddress,
    },
}

type Answer = Result<Arc<[IpAddr]>, ResolveError>;
type Flight = BoxFuture<'static, Answer>;

/// Resolves and checks.
pub(crate) struct Resolver {
    lookup: Arc<dyn Lookup>,
    rules: AddressRules,
    pool: Arc<Semaphore>,
    flights: Mutex<HashMap<String, WeakShared<Flight>>>,
}

impl Resolver {
    pub(crate) fn new(lookup: Arc<dyn Lookup>, rules: AddressRules, lookups: usize) -> Self {
        let flights = Mutex::new(HashMap::new());
        Self { lookup, rules, pool: Arc::new(Semaphore::new(lookups)), flights }
    }

    pub(crate) fn rules(&self) -> &AddressRules {
        &self.rules
    }

    /// The checked addresses of a host.
    pub(crate) fn addresses(&self, name: &str) -> Flight {
        // A proxy asks for literals too; they are no names.
        let literal = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        let rules = self.rules.clone();
        let asked = name.to_owned();
        let found = literal.map(|address| std::future::ready(Ok([address].into())).boxed());
        let found = found.unwrap_or_else(|_| self.looked_up(name).boxed());
        Box::pin(async move {
            let addresses = found.await?;
            rules.check_all(&addresses).map_err(|refused| ResolveError::Refused { name: asked, refused })?;
            Ok(addresses)
        })
    }

    fn looked_up(&self, name: &str) -> Shared<Flight> {
        let mut flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(flight) = flights.get(name).and_then(WeakShared::upgrade) {
            // One that has its answer is of an earlier attempt: each attempt asks afresh.
            if flight.peek().is_none() {
                return flight;
            }
        }
        flights.retain(|_, flight| flight.upgrade().is_some());
        let flight = look_up(self.lookup.clone(), self.pool.clone(), name.to_owned()).boxed().shared();
        if let Some(weak) = flight.downgrade() {
            flights.insert(name.to_owned(), weak);
        }
        flight
    }
}

async fn look_up(lookup: Arc<dyn Lookup>, pool: Arc<Semaphore>, name: String) -> Answer {
    let _place = pool.acquire().await;
    match lookup.lookup(&name).await {
        Ok(addresses) if addresses.is_empty() => Err(ResolveError::Empty(name)),
        Ok(addresses) => Ok(addresses.into()),
        Err(error) => Err(ResolveError::Lookup { name, reason: error.to_string() }),
    }
}

/// How the HTTP client asks for the addresses of a new connection.
#[derive(Clone)]
pub(crate) struct Names(pub(crate) Arc<Resolver>);

impl Service<Name> for Names {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = ResolveError;
    type Future = BoxFuture<'static, Result<Self::Response, ResolveError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ResolveError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let found = noted(self.0.addresses(name.as_str()));
        Box::pin(async move {
            let sockets: Vec<SocketAddr> = found.await?.iter().map(|ip| SocketAddr::new(*ip, 0)).collect();
            Ok(sockets.into_iter())
        })
    }
}

/// The first checked address of a host, for who connects to no more than one.
pub(crate) async fn first_address(resolver: &Resolver, host: &str) -> Result<IpAddr, ResolveError> {
    let addresses = noted(resolver.addresses(host)).await?;
    addresses.first().copied().ok_or_else(|| ResolveError::Empty(host.to_owned()))
}

/// A look-up that the exchange's trace knows of.
async fn noted(found: Flight) -> Answer {
    let trace = crate::trace::resolving();
    let addresses = found.await?;
    trace.resolved(&addresses);
    Ok(addresses)
}

#[cfg(test)]
mod tests;
