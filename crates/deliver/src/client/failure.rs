//! Errors of the libraries below as failures: by kind, and as a text without a URL.

use std::error::Error;
use std::io;
use std::time::Duration;

use crate::exchange::{Failure, FailureKind, Phase};
use crate::resolve::ResolveError;
use crate::trace::Trace;

/// The deadline struck.
pub(super) fn timed_out(trace: &Trace, deadline: Duration) -> Failure {
    let phase = trace.phase();
    let doing = match phase {
        Phase::Dns => "resolve the name".to_owned(),
        Phase::Connect => format!("connect{}", trace.to_addresses()),
        Phase::Tls => format!("agree on TLS with the server{}", trace.to_addresses().replace(" to ", " at ")),
        Phase::Answer => "get an answer".to_owned(),
        Phase::Body => "read the body of the answer".to_owned(),
    };
    let text = format!("{doing}: not done within {} s", deadline.as_secs_f64());
    Failure { kind: FailureKind::Timeout(phase), text }
}

/// reqwest's error. `otherwise` is what it is when nothing below says better.
pub(super) fn of(
    error: reqwest::Error,
    trace: &Trace,
    deadline: Duration,
    otherwise: FailureKind,
) -> Failure {
    let connecting = error.is_connect();
    if connecting && error.is_timeout() {
        // Its own limit for connecting is our deadline.
        return timed_out(trace, deadline);
    }
    // The URL is the first thing that reqwest prints.
    let error = error.without_url();
    let chain = chain(&error);
    if let Some(resolve) = chain.iter().find_map(|error| error.downcast_ref::<ResolveError>()) {
        let kind = match resolve {
            ResolveError::Refused { .. } => FailureKind::RefusedAddress,
            ResolveError::Lookup { .. } | ResolveError::Empty(_) => FailureKind::Dns,
        };
        return Failure { kind, text: resolve.to_string() };
    }
    if let Some(tls) = chain.iter().find_map(|error| error.downcast_ref::<rustls::Error>()) {
        return Failure { kind: FailureKind::Tls, text: format!("agree on TLS: {tls}") };
    }
    let deepest = chain.last().map_or_else(|| error.to_string(), ToString::to_string);
    let (kind, doing) = match trace.phase() {
        Phase::Tls if connecting => (FailureKind::Tls, "agree on TLS".to_owned()),
        _ if connecting => (FailureKind::Connect, format!("connect{}", trace.to_addresses())),
        Phase::Body => (otherwise, "read the body of the answer".to_owned()),
        _ => (otherwise, "get an answer".to_owned()),
    };
    Failure { kind, text: format!("{doing}: {deepest}") }
}

/// The error and what it came from. An `io::Error` hides what it wraps from `source`.
fn chain<'a>(error: &'a (dyn Error + 'static)) -> Vec<&'a (dyn Error + 'static)> {
    let mut chain = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        chain.push(error);
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = match wrapped {
            Some(inner) => Some(inner as &(dyn Error + 'static)),
            None => error.source(),
        };
    }
    chain
}
