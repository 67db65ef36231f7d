//! One request and its answer on the wire: what deliveries and token requests have in common. The rules of
//! addresses and schemes hold for both.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Uri};
use http_body_util::{BodyExt, Full};
use url::{Host, Url};

use super::failure::{self, Stage};
use super::pool::{Http, Response};
use crate::exchange::{Failure, FailureKind, Phase};
use crate::resolve::Resolver;
use crate::trace::Trace;

/// A request that a receiver by HTTP/2 has refused to look at is sent so often again, within its deadline.
const SENT_AGAIN: usize = 2;

/// What goes out.
pub(super) struct Outgoing<'a> {
    pub(super) method: Method,
    pub(super) uri: &'a Uri,
    pub(super) headers: &'a HeaderMap,
    /// Empty = none.
    pub(super) body: Bytes,
}

impl Outgoing<'_> {
    fn request(&self) -> http::Request<Full<Bytes>> {
        let mut request = http::Request::new(Full::new(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        request
    }
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

    /// Sends what was checked, and waits for the head of the answer.
    pub(super) async fn head(
        &self,
        http: &Http,
        outgoing: Outgoing<'_>,
        trace: &Trace,
    ) -> Result<Response, Failure> {
        let mut again = SENT_AGAIN;
        loop {
            match http.request(outgoing.request()).await {
                Ok(response) => {
                    trace.reached(Phase::Body);
                    return Ok(response);
                }
                Err(error) if again > 0 && failure::was_not_looked_at(&error) => again -= 1,
                Err(error) => {
                    let stage = if error.is_connect() { Stage::Connecting } else { Stage::Answering };
                    return Err(failure::of(&error, stage, trace, self.deadline));
                }
            }
        }
    }

    /// The next piece of the body.
    pub(super) async fn chunk(
        &self,
        response: &mut Response,
        trace: &Trace,
    ) -> Result<Option<Bytes>, Failure> {
        while let Some(frame) = response.body_mut().frame().await {
            let frame = frame.map_err(|error| failure::of(&error, Stage::Body, trace, self.deadline))?;
            // Trailers tell nothing that is kept.
            if let Ok(chunk) = frame.into_data() {
                return Ok(Some(chunk));
            }
        }
        Ok(None)
    }
}
