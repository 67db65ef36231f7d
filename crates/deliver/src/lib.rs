//! Delivery of webhooks: render, sign, classify, schedule are pure; client and lane do the IO.
//!
//! A [`Job`] is one try of one delivery. [`Lanes`] take it in, send it through a [`Transport`] (the real one is
//! [`Client`]) and report what came of it. What is owed, and until when, is the store's; `server` wires the two.

mod address;
mod breaker;
mod certificate;
mod classify;
mod client;
mod content;
mod exchange;
mod form;
mod greet;
mod headers;
mod job;
mod kept;
mod lane;
mod masked;
mod oauth;
mod ready;
mod render;
mod request;
mod resolve;
#[cfg(test)]
mod samples;
mod schedule;
mod sign;
mod stats;
mod tls;
mod trace;

pub use address::{AddressRules, RefusedAddress};
pub use breaker::{Limits, Sign, Step, Told, tell};
pub use certificate::{CertificateError, certificate_warning, check_certificate};
pub use classify::{Class, Outcome, RETRY_AFTER_CAP, classify};
pub use client::{Client, ClientError, Clock, Config as ClientConfig, Transport};
pub use content::Content;
pub use exchange::{Answer, Exchange, Failure, FailureKind, KEPT_BODY_BYTES, Phase};
pub use greet::{GreetError, greet};
pub use headers::{AGENT, HeaderError, check_header};
pub use job::Job;
pub use lane::{
    Config as LaneConfig, Finished, Gate, LaneKey, Lanes, Origin, Refusal, Refused, Report, Share,
};
pub use masked::{HIDDEN, Secrets, shown, shown_text};
pub use ready::ReadyTrigger;
pub use render::{RenderError, Rendered, URL_BYTES, render};
pub use request::{Request, Unsendable, request};
pub use resolve::{Lookup, ResolveError, SystemLookup};
pub use schedule::{MAX_HOLD, Next, Tried, Tries, schedule};
pub use sign::{SignError, signature};
pub use stats::{DURATION_BUCKETS, Stats};
pub use tls::{TlsError, roots_from_pem};
