//! How far an exchange has come: noted by what makes connections, read when the deadline strikes.
//!
//! The HTTP client makes connections inside the future of the request that needs one, so a task-local reaches them.
//! A connection that lost the race against one from the pool goes on in a task of its own and is no longer
//! this request's: it finds no task-local and notes nothing.

use std::fmt;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use rustls::NamedGroup;
use rustls::client::{
    ClientSessionMemoryCache, ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue,
};
use rustls::pki_types::ServerName;

use crate::exchange::Phase;

tokio::task_local! {
    static CURRENT: Trace;
}

const PHASES: [Phase; 6] = [Phase::Token, Phase::Dns, Phase::Connect, Phase::Tls, Phase::Answer, Phase::Body];

/// The notes of one exchange.
#[derive(Debug, Clone)]
pub(crate) struct Trace(Arc<Notes>);

#[derive(Debug)]
struct Notes {
    phase: AtomicU8,
    addresses: Mutex<Vec<IpAddr>>,
    token: Mutex<Option<Trace>>,
}

impl Trace {
    /// A request on a connection from the pool begins with waiting for its answer.
    pub(crate) fn new() -> Self {
        let phase = AtomicU8::new(index(Phase::Answer));
        Self(Arc::new(Notes { phase, addresses: Mutex::default(), token: Mutex::default() }))
    }

    /// Waits for a token, whose request has a trace of its own: others wait for it too.
    pub(crate) fn waits_for(&self, token: Trace) {
        *self.0.token.lock().unwrap_or_else(PoisonError::into_inner) = Some(token);
        self.reached(Phase::Token);
    }

    /// How far the token is that is waited for.
    pub(crate) fn token(&self) -> Option<Trace> {
        self.0.token.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Runs `future` as the exchange of this trace.
    pub(crate) fn of<F: Future>(self, future: F) -> impl Future<Output = F::Output> {
        CURRENT.scope(self, future)
    }

    pub(crate) fn reached(&self, phase: Phase) {
        self.0.phase.store(index(phase), Ordering::Relaxed);
    }

    pub(crate) fn phase(&self) -> Phase {
        PHASES[usize::from(self.0.phase.load(Ordering::Relaxed)) % PHASES.len()]
    }

    /// Connecting begins, to these.
    pub(crate) fn resolved(&self, addresses: &[IpAddr]) {
        self.reached(Phase::Connect);
        *self.0.addresses.lock().unwrap_or_else(PoisonError::into_inner) = addresses.to_vec();
    }

    /// ` to 192.0.2.1, 192.0.2.2` when the name was resolved.
    pub(crate) fn to_addresses(&self) -> String {
        let addresses = self.0.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        let texts: Vec<String> = addresses.iter().map(IpAddr::to_string).collect();
        if texts.is_empty() { String::new() } else { format!(" to {}", texts.join(", ")) }
    }
}

fn index(phase: Phase) -> u8 {
    PHASES.iter().position(|known| *known == phase).map_or(0, |at| at as u8)
}

/// The trace of the exchange that is running; a spare one where the connection is nobody's.
fn current() -> Trace {
    CURRENT.try_with(Clone::clone).unwrap_or_else(|_| Trace::new())
}

pub(crate) fn resolving() -> Trace {
    let trace = current();
    trace.reached(Phase::Dns);
    trace
}

/// Notes when connecting begins, and when it ends.
pub(crate) fn connecting<T, E>(
    future: impl Future<Output = Result<T, E>> + Send + 'static,
) -> Connecting<T, E> {
    let trace = current();
    trace.reached(Phase::Connect);
    Connecting { inner: Box::pin(future), trace }
}

pub(crate) struct Connecting<T, E> {
    inner: Pin<Box<dyn Future<Output = Result<T, E>> + Send>>,
    trace: Trace,
}

impl<T, E> Future for Connecting<T, E> {
    type Output = Result<T, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let lost_the_race = CURRENT.try_with(|_| ()).is_err();
        if lost_the_race {
            self.trace.reached(Phase::Answer);
        }
        let result = self.inner.as_mut().poll(cx);
        if matches!(result, Poll::Ready(Ok(_))) {
            self.trace.reached(Phase::Answer);
        }
        result
    }
}

/// Sessions of TLS to resume. rustls asks for one as it begins to talk to a server, which is how we know that
/// connecting is over and TLS begins.
pub(crate) struct TlsSessions(ClientSessionMemoryCache);

impl TlsSessions {
    pub(crate) fn new(size: usize) -> Self {
        Self(ClientSessionMemoryCache::new(size))
    }
}

impl fmt::Debug for TlsSessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsSessions")
    }
}

impl ClientSessionStore for TlsSessions {
    fn set_kx_hint(&self, server_name: ServerName<'static>, group: NamedGroup) {
        self.0.set_kx_hint(server_name, group);
    }

    fn kx_hint(&self, server_name: &ServerName<'_>) -> Option<NamedGroup> {
        self.0.kx_hint(server_name)
    }

    fn set_tls12_session(&self, server_name: ServerName<'static>, value: Tls12ClientSessionValue) {
        self.0.set_tls12_session(server_name, value);
    }

    fn tls12_session(&self, server_name: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.0.tls12_session(server_name)
    }

    fn remove_tls12_session(&self, server_name: &ServerName<'static>) {
        self.0.remove_tls12_session(server_name);
    }

    fn insert_tls13_ticket(&self, server_name: ServerName<'static>, value: Tls13ClientSessionValue) {
        self.0.insert_tls13_ticket(server_name, value);
    }

    fn take_tls13_ticket(&self, server_name: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        let _ = CURRENT.try_with(|trace| trace.reached(Phase::Tls));
        self.0.take_tls13_ticket(server_name)
    }
}
