//! What an exchange means: delivered or not, and whether trying again is allowed. Pure.

use std::time::Duration;

use chrono::DateTime;
use ringpost_model::{Method, RetryOn, Success, Timestamp, Trigger};

use crate::breaker::Sign;
use crate::exchange::{Answer, Exchange, FailureKind, Phase};

/// Longest pause that a receiver can ask for (`retry_after_cap`).
pub const RETRY_AFTER_CAP: Duration = Duration::from_secs(60);

/// Pause after a 429 that names none: the distance of the first retry.
const UNNAMED_PAUSE: Duration = Duration::from_secs(2);

/// Shortest pause: `Retry-After: 0` with a 429 would otherwise be a loop without an end or a breath.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);

/// What came of an attempt, as log and metrics name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// Delivered.
    Success,
    /// 3xx: not followed.
    Redirect,
    /// 429, or 503 with `Retry-After`: the receiver asks for a pause.
    Throttled,
    /// 410: the receiver does not want this any more.
    Gone,
    /// Any other status that is no success.
    HttpError,
    /// No complete answer.
    Failed(FailureKind),
}

impl Class {
    /// Every class, in the order of [`Class::index`].
    pub const ALL: [Self; 20] = [
        Self::Success,
        Self::Redirect,
        Self::Throttled,
        Self::Gone,
        Self::HttpError,
        Self::Failed(FailureKind::Unsendable),
        Self::Failed(FailureKind::Timeout(Phase::Token)),
        Self::Failed(FailureKind::Timeout(Phase::Dns)),
        Self::Failed(FailureKind::Timeout(Phase::Connect)),
        Self::Failed(FailureKind::Timeout(Phase::Tls)),
        Self::Failed(FailureKind::Timeout(Phase::Answer)),
        Self::Failed(FailureKind::Timeout(Phase::Body)),
        Self::Failed(FailureKind::Dns),
        Self::Failed(FailureKind::RefusedAddress),
        Self::Failed(FailureKind::Connect),
        Self::Failed(FailureKind::Tls),
        Self::Failed(FailureKind::Broken),
        Self::Failed(FailureKind::BodyBroken),
        Self::Failed(FailureKind::Token),
        Self::Failed(FailureKind::TokenRefused),
    ];

    /// The name in log and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Redirect => "redirect",
            Self::Throttled => "throttled",
            Self::Gone => "gone",
            Self::HttpError => "http_error",
            Self::Failed(FailureKind::Unsendable) => "unsendable",
            Self::Failed(FailureKind::Timeout(Phase::Token)) => "timeout_token",
            Self::Failed(FailureKind::Timeout(Phase::Dns)) => "timeout_dns",
            Self::Failed(FailureKind::Timeout(Phase::Connect)) => "timeout_connect",
            Self::Failed(FailureKind::Timeout(Phase::Tls)) => "timeout_tls",
            Self::Failed(FailureKind::Timeout(Phase::Answer)) => "timeout_answer",
            Self::Failed(FailureKind::Timeout(Phase::Body)) => "timeout_body",
            Self::Failed(FailureKind::Dns) => "dns",
            Self::Failed(FailureKind::RefusedAddress) => "refused_address",
            Self::Failed(FailureKind::Connect) => "connect",
            Self::Failed(FailureKind::Tls) => "tls",
            Self::Failed(FailureKind::Broken) => "broken",
            Self::Failed(FailureKind::BodyBroken) => "body_broken",
            Self::Failed(FailureKind::Token) => "token",
            Self::Failed(FailureKind::TokenRefused) => "token_refused",
        }
    }

    /// The class of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.name() == name)
    }

    /// Place in [`Class::ALL`].
    pub(crate) fn index(self) -> usize {
        Self::ALL.iter().position(|class| *class == self).expect("ALL holds every class, a test says so")
    }
}

/// What an exchange means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// What came of it.
    pub class: Class,
    /// The HTTP status, when an answer came.
    pub status: Option<u16>,
    /// The trigger's `retryOn` allows another try.
    pub may_retry: bool,
    /// How long the whole lane pauses.
    pub pause: Option<Duration>,
}

impl Outcome {
    /// Delivered.
    pub fn is_success(&self) -> bool {
        self.class == Class::Success
    }

    /// What it says about the receiver: any answer that is not "I cannot" shows that it lives, and our own refusal
    /// to ask shows nothing.
    pub fn sign(&self) -> Sign {
        match self.class {
            Class::Failed(
                FailureKind::Unsendable | FailureKind::RefusedAddress | FailureKind::TokenRefused,
            ) => Sign::Neutral,
            Class::Throttled | Class::Failed(_) => Sign::Down,
            Class::HttpError if self.status.is_some_and(|status| status >= 500) => Sign::Down,
            Class::Success | Class::Redirect | Class::Gone | Class::HttpError => Sign::Up,
        }
    }

    /// The receiver asked for the trigger to be switched off: 410.
    pub fn disables_trigger(&self) -> bool {
        self.class == Class::Gone
    }
}

/// Classifies an exchange by the trigger's current rules.
pub fn classify(trigger: &Trigger, exchange: &Exchange) -> Outcome {
    let status = exchange.status();
    let (class, pause) = match (&exchange.failure, &exchange.answer) {
        (Some(failure), _) => (Class::Failed(failure.kind), None),
        (None, Some(answer)) => class_of_answer(trigger.success, exchange.method, answer, exchange.ended),
        // A transport that says neither is taken for one that broke.
        (None, None) => (Class::Failed(FailureKind::Broken), None),
    };
    Outcome { class, status, may_retry: may_retry(trigger.retry_on, class, status), pause }
}

fn class_of_answer(
    success: Success,
    method: Method,
    answer: &Answer,
    now: Timestamp,
) -> (Class, Option<Duration>) {
    if is_success(success, method, answer.status) {
        return (Class::Success, None);
    }
    match (answer.status, retry_after(answer, now)) {
        (429, asked) => (Class::Throttled, Some(asked.unwrap_or(UNNAMED_PAUSE))),
        (503, Some(asked)) => (Class::Throttled, Some(asked)),
        (410, _) => (Class::Gone, None),
        (300..=399, _) => (Class::Redirect, None),
        _ => (Class::HttpError, None),
    }
}

fn is_success(success: Success, method: Method, status: u16) -> bool {
    match success {
        Success::Any2xx => (200..300).contains(&status),
        Success::Kazoo => status == 200 || (status == 201 && method == Method::Put),
    }
}

fn retry_after(answer: &Answer, now: Timestamp) -> Option<Duration> {
    asked_pause(answer.header("retry-after")?, now)
}

/// `Retry-After` in seconds or as a date, within what we grant.
pub(crate) fn asked_pause(retry_after: &str, now: Timestamp) -> Option<Duration> {
    let text = retry_after.trim();
    let asked = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) => RETRY_AFTER_CAP,
        Err(_) => {
            let date = DateTime::parse_from_rfc2822(text).ok()?;
            let ahead = date.timestamp_micros().saturating_sub(now.micros());
            Duration::from_micros(u64::try_from(ahead).unwrap_or(0))
        }
    };
    Some(asked.clamp(SHORTEST_PAUSE, RETRY_AFTER_CAP))
}

/// The trigger's `retryOn`. Success, 410 and what we could not send are over in any case.
fn may_retry(retry_on: RetryOn, class: Class, status: Option<u16>) -> bool {
    if matches!(class, Class::Success | Class::Gone | Class::Failed(FailureKind::Unsendable)) {
        return false;
    }
    match retry_on {
        RetryOn::Any => true,
        RetryOn::Transient => {
            let status_is_transient = |status| matches!(status, 408 | 425 | 429 | 500..=599);
            // A token server that refuses us will do so again: as a 401 of the receiver.
            let is_refused = class == Class::Failed(FailureKind::TokenRefused);
            (matches!(class, Class::Failed(_)) && !is_refused) || status.is_some_and(status_is_transient)
        }
        RetryOn::Unanswered => status.is_none(),
    }
}

#[cfg(test)]
mod tests;
