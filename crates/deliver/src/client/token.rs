//! Asks a token server, by the same rules and within the same deadline as a delivery.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use http::header::RETRY_AFTER;
use tokio::time::timeout;
use url::Url;

use super::pool::Http;
use super::wire::{Outgoing, Wire};
use super::{Clock, failure};
use crate::classify::asked_pause;
use crate::exchange::{Failure, FailureKind, Phase};
use crate::masked::Secrets;
use crate::oauth::{ANSWER_BYTES, Grant, Granted, NotGranted, Style, read, wants_other_style};
use crate::ready::ReadyTrigger;
use crate::trace::Trace;

/// All that is needed to ask: it outlives the delivery that began it, since others wait too.
pub(super) struct Asking {
    pub(super) wire: Wire,
    pub(super) http: Http,
    pub(super) clock: Clock,
    /// Whose `auth` it is.
    pub(super) trigger: Arc<ReadyTrigger>,
    pub(super) secrets: Secrets,
}

struct Answered {
    status: u16,
    body: Vec<u8>,
    pause: Option<Duration>,
}

impl Asking {
    /// Asks in this style, and in the other where the server did not see who we are. Says which one it was.
    pub(super) async fn ask(self, style: Style, trace: Trace) -> Result<(Granted, Style), NotGranted> {
        let deadline = self.wire.deadline;
        match timeout(deadline, self.either(style, &trace)).await {
            Ok(result) => result,
            Err(_) => Err(not_granted(of_token(failure::timed_out(&trace, deadline)))),
        }
    }

    async fn either(&self, style: Style, trace: &Trace) -> Result<(Granted, Style), NotGranted> {
        let answered = self.once(style, trace).await.map_err(not_granted)?;
        let first = match self.read(&answered) {
            Ok(granted) => return Ok((granted, style)),
            Err(refused) => refused,
        };
        if !wants_other_style(answered.status, &answered.body) {
            return Err(first);
        }
        let other = style.other();
        let Ok(answered) = self.once(other, trace).await else { return Err(first) };
        self.read(&answered).map(|granted| (granted, other)).map_err(|second| both(first, &second, other))
    }

    fn read(&self, answered: &Answered) -> Result<Granted, NotGranted> {
        let granted = read(answered.status, &answered.body, &self.secrets);
        granted.map_err(|failure| NotGranted { failure, pause: answered.pause })
    }

    async fn once(&self, style: Style, trace: &Trace) -> Result<Answered, Failure> {
        let unsendable = |text: &str| {
            let text = format!("get a token: {text}");
            Failure { kind: FailureKind::Unsendable, text }
        };
        let grant = Grant::of(&self.trigger.auth).ok_or_else(|| unsendable("no grant is configured"))?;
        let url = Url::parse(grant.token_url).map_err(|error| unsendable(&error.to_string()))?;
        self.wire.check(&url).map_err(of_token)?;
        let uri = url.as_str().parse().map_err(|_| unsendable("HTTP cannot carry its URL"))?;
        let (headers, body) = (grant.headers(style), grant.body(style).into());
        let outgoing = Outgoing { method: Method::POST, uri: &uri, headers: &headers, body };
        trace.reached(Phase::Answer);
        self.answer(outgoing, trace).await.map_err(of_token)
    }

    async fn answer(&self, outgoing: Outgoing<'_>, trace: &Trace) -> Result<Answered, Failure> {
        let mut response = self.wire.head(&self.http, outgoing, trace).await?;
        let status = response.status().as_u16();
        let asked = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let pause = asked.filter(|_| matches!(status, 429 | 503));
        let pause = pause.and_then(|text| asked_pause(text, (self.clock)()));
        let mut body = Vec::new();
        // One byte more than is allowed tells that it is too long.
        while body.len() <= ANSWER_BYTES {
            let Some(chunk) = self.wire.chunk(&mut response, trace).await? else { break };
            body.extend_from_slice(&chunk);
        }
        Ok(Answered { status, body, pause })
    }
}

fn not_granted(failure: Failure) -> NotGranted {
    NotGranted { failure, pause: None }
}

/// A failure of a delivery as one of a token. What we refuse ourselves stays what it is.
fn of_token(failure: Failure) -> Failure {
    let kind = match failure.kind {
        FailureKind::Unsendable | FailureKind::RefusedAddress | FailureKind::TokenRefused => failure.kind,
        FailureKind::Timeout(_) => FailureKind::Timeout(Phase::Token),
        _ => FailureKind::Token,
    };
    let begins = failure.text.starts_with("get a token: ");
    let text = if begins { failure.text } else { format!("get a token: {}", failure.text) };
    Failure { kind, text }
}

/// Refused in both styles: which of the two the server understands cannot be told from here.
fn both(first: NotGranted, second: &NotGranted, other: Style) -> NotGranted {
    let again = second.failure.text.trim_start_matches("get a token: ");
    let place = match other {
        Style::Basic => "in the header",
        Style::Body => "in the body",
    };
    let mut failure = first.failure;
    if !failure.text.ends_with(again) {
        failure.text = format!("{}; with the credentials {place}: {again}", failure.text);
    }
    NotGranted { failure, pause: first.pause.or(second.pause) }
}
