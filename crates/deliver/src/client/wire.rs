//! One request and its answer on the wire: what deliveries and token requests have in common. The rules of
//! addresses and schemes hold for both.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use url::{Host, Url};

use super::failure;
use crate::exchange::{Failure, FailureKind, Phase};
use crate::resolve::Resolver;
use crate::trace::Trace;

/// What goes out.
pub(super) struct Outgoing {
    pub(super) method: reqwest::Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Option<Bytes>,
}

/// Sends; a clone is the same.
#[derive(Clone)]
pub(super) struct Wire {
    pub(super) resolver: Arc<Resolver>,
    pub(super) deadline: Duration,
    pub(super) allow_http: bool,
}

impl Wire {
    /// What has to hold before anything is sent. A name is checked where it is resolved.
    pub(super) fn check(&self, url: &Url) -> Result<(), Failure> {
        let scheme = url.scheme();
        let allowed = scheme == "https" || (scheme == "http" && self.allow_http);
        if !allowed {
            let text = format!("send to a URL of scheme {scheme}: only https is allowed");
            return Err(Failure { kind: FailureKind::Unsendable, text });
        }
        let literal = match url.host() {
            Some(Host::Ipv4(address)) => address.into(),
            Some(Host::Ipv6(address)) => address.into(),
            _ => return Ok(()),
        };
        let checked = self.resolver.rules().check(literal);
        checked.map_err(|error| Failure { kind: FailureKind::RefusedAddress, text: error.to_string() })
    }

    /// Checks, sends, and waits for the head of the answer.
    pub(super) async fn head(
        &self,
        http: &reqwest::Client,
        outgoing: Outgoing,
        trace: &Trace,
    ) -> Result<reqwest::Response, Failure> {
        self.check(&outgoing.url)?;
        let Outgoing { method, url, headers, body } = outgoing;
        let mut sending = http.request(method, url);
        if let Some(body) = body {
            sending = sending.body(body);
        }
        let sent = sending.headers(headers).send().await;
        let response = sent.map_err(|error| failure::of(error, trace, self.deadline, FailureKind::Broken))?;
        trace.reached(Phase::Body);
        Ok(response)
    }

    /// The next piece of the body.
    pub(super) async fn chunk(
        &self,
        response: &mut reqwest::Response,
        trace: &Trace,
    ) -> Result<Option<Bytes>, Failure> {
        let chunk = response.chunk().await;
        chunk.map_err(|error| failure::of(error, trace, self.deadline, FailureKind::BodyBroken))
    }
}
