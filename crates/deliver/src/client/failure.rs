//! Errors of the libraries below as failures: by kind, and as a text without a URL.

use std::error::Error;
use std::io;
use std::time::Duration;

use ringpost_model::Timestamp;

use crate::certificate::certificate_warning;
use crate::exchange::{Failure, FailureKind, Phase};
use crate::request::Request;
use crate::resolve::ResolveError;
use crate::trace::Trace;

/// The deadline struck.
pub(super) fn timed_out(trace: &Trace, deadline: Duration) -> Failure {
    let text = format!("{}: not done within {} s", doing(trace), deadline.as_secs_f64());
    Failure { kind: FailureKind::Timeout(trace.phase()), text }
}

fn doing(trace: &Trace) -> String {
    match trace.phase() {
        Phase::Token => {
            let asking = trace.token().map(|token| doing(&token));
            asking.map_or_else(|| "get a token".to_owned(), |asking| format!("get a token: {asking}"))
        }
        Phase::Dns => "resolve the name".to_owned(),
        Phase::Connect => format!("connect{}", trace.to_addresses()),
        Phase::Tls => format!("agree on TLS with the server{}", trace.to_addresses().replace(" to ", " at ")),
        Phase::Answer => "get an answer".to_owned(),
        Phase::Body => "read the body of the answer".to_owned(),
    }
}

/// What failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Connecting,
    /// Sending, or waiting for the head of the answer.
    Answering,
    Body,
}

/// An error of the HTTP client.
pub(super) fn of(error: &(dyn Error + 'static), stage: Stage, trace: &Trace, deadline: Duration) -> Failure {
    let (connecting, chain) = (stage == Stage::Connecting, chain(error));
    if connecting && chain.iter().any(|error| is_timeout(*error)) {
        // Its own limit for connecting is our deadline.
        return timed_out(trace, deadline);
    }
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
        _ if stage == Stage::Body => (FailureKind::BodyBroken, "read the body of the answer".to_owned()),
        _ => (FailureKind::Broken, "get an answer".to_owned()),
    };
    Failure { kind, text: format!("{doing}: {deepest}") }
}

fn is_timeout(error: &(dyn Error + 'static)) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::TimedOut)
}

/// A receiver by HTTP/2 says that it has done nothing with the request: it refuses the stream, or was about to
/// close the connection (RFC 9113, 8.7).
pub(super) fn was_not_looked_at(error: &(dyn Error + 'static)) -> bool {
    let told = chain(error).into_iter().find_map(|error| error.downcast_ref::<h2::Error>());
    told.is_some_and(|told| {
        let goes = told.is_go_away() && told.reason() == Some(h2::Reason::NO_ERROR);
        let refuses = told.is_reset() && told.reason() == Some(h2::Reason::REFUSED_STREAM);
        told.is_remote() && (goes || refuses)
    })
}

/// As the log keeps it: without a secret, and with what we know of our part in it.
pub(super) fn shown(failure: Failure, request: &Request, now: Timestamp) -> Failure {
    let Failure { kind, text } = failure;
    let mut text = request.secrets.hide(&text).into_owned();
    // A server that refuses a certificate says so, or closes.
    if matches!(kind, FailureKind::Tls | FailureKind::Broken)
        && let Some(warning) = certificate_warning(&request.trigger.auth, now)
    {
        text = format!("{text} ({warning})");
    }
    Failure { kind, text }
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
