//! Tokens of OAuth 2 (RFC 6749, 4.4: client credentials): kept while they last, asked for once however many wait
//! for one. How a token server is asked and what its answer means is `oauth::grant`; sending is the client's.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, WeakShared};
use tokio::time::{Instant, timeout};

use crate::exchange::Failure;
use crate::kept::Kept;
use crate::trace::Trace;

mod grant;

pub(crate) use self::grant::{ANSWER_BYTES, Grant, GrantKey, Granted, Style, read, wants_other_style};

/// Life of a token whose server does not say how long it lives: short, since its end shows only when a receiver
/// refuses it.
const UNSAID_LIFE: Duration = Duration::from_secs(5 * 60);
/// Longest life that is believed.
const LONGEST_LIFE: Duration = Duration::from_secs(24 * 60 * 60);
/// A token is renewed so long before it ends, or when four fifths of its life are over, whichever is later.
const RENEWED_BEFORE: Duration = Duration::from_secs(60);
/// How long a delivery waits for a new token while the old one is still good.
const RENEWAL_PATIENCE: Duration = Duration::from_secs(2);
/// A token server that failed is asked again after this long: later than the other deliveries that are under way
/// by now, sooner than the first retry (2 s).
const PAUSE: Duration = Duration::from_secs(1);
/// A receiver's 401 takes a token away once in so long: one that refuses every token must not turn each delivery
/// into a request to the token server.
const REFUSED_ONCE_IN: Duration = Duration::from_secs(10);

/// A token, and whether this very delivery had it made.
#[derive(Clone)]
pub(crate) struct Given {
    pub(crate) value: Arc<str>,
    pub(crate) fresh: bool,
}

/// Why a token server gave none, and how long it asks to be left alone.
#[derive(Debug, Clone)]
pub(crate) struct NotGranted {
    pub(crate) failure: Failure,
    pub(crate) pause: Option<Duration>,
}

type Answer = Result<Token, Failure>;
type Flight = BoxFuture<'static, Answer>;

#[derive(Clone)]
struct Token {
    value: Arc<str>,
    renew: Instant,
    ends: Instant,
}

impl Token {
    fn new(granted: Granted, now: Instant) -> Self {
        let life = granted.life.unwrap_or(UNSAID_LIFE).min(LONGEST_LIFE);
        let until_renewal = (life * 4 / 5).max(life.saturating_sub(RENEWED_BEFORE));
        Self { value: granted.token.into(), renew: now + until_renewal, ends: now + life }
    }

    fn given(&self, fresh: bool) -> Given {
        Given { value: self.value.clone(), fresh }
    }
}

/// What is known of one grant.
#[derive(Default)]
struct Known {
    token: Option<Token>,
    flight: Option<(WeakShared<Flight>, Trace)>,
    failed: Option<(Failure, Instant)>,
    style: Style,
    taken_away: Option<Instant>,
}

/// The tokens of a process. A clone is the same tokens.
#[derive(Clone)]
pub(crate) struct Tokens(Arc<Mutex<Kept<GrantKey, Known>>>);

/// What to do for a token.
enum Step {
    Take(Given),
    Fail(Failure),
    Wait { flight: Shared<Flight>, old: Option<Given> },
}

impl Tokens {
    /// Of so many grants at most.
    pub(crate) fn new(most: usize) -> Self {
        Self(Arc::new(Mutex::new(Kept::new(most))))
    }

    /// A token of a grant. Where one has to be asked for, `ask` does it, in the style that the server is known to
    /// understand, and noting its progress; it must end by itself.
    pub(crate) async fn get<F>(
        &self,
        key: GrantKey,
        waiting: &Trace,
        ask: impl FnOnce(Style, Trace) -> F,
    ) -> Result<Given, Failure>
    where
        F: Future<Output = Result<(Granted, Style), NotGranted>> + Send + 'static,
    {
        match self.step(key, waiting, ask) {
            Step::Take(given) => Ok(given),
            Step::Fail(failure) => Err(failure),
            Step::Wait { flight, old: None } => Ok(flight.await?.given(true)),
            Step::Wait { flight, old: Some(old) } => match timeout(RENEWAL_PATIENCE, flight).await {
                Ok(Ok(token)) => Ok(token.given(true)),
                _ => Ok(old),
            },
        }
    }

    fn step<F>(&self, key: GrantKey, waiting: &Trace, ask: impl FnOnce(Style, Trace) -> F) -> Step
    where
        F: Future<Output = Result<(Granted, Style), NotGranted>> + Send + 'static,
    {
        let now = Instant::now();
        let mut all = self.all();
        let known = all.get_or(key, Known::default);
        let good = known.token.as_ref().filter(|token| now < token.ends);
        let old = good.map(|token| token.given(false));
        if let (Some(token), Some(old)) = (good, &old)
            && now < token.renew
        {
            return Step::Take(old.clone());
        }
        if let Some((failure, until)) = &known.failed
            && now < *until
        {
            return old.map_or_else(|| Step::Fail(failure.clone()), Step::Take);
        }
        let flying = known.flight.as_ref().and_then(|(flight, trace)| Some((flight.upgrade()?, trace)));
        if let Some((flight, trace)) = flying.filter(|(flight, _)| flight.peek().is_none()) {
            waiting.waits_for(trace.clone());
            return Step::Wait { flight, old };
        }
        let trace = Trace::new();
        waiting.waits_for(trace.clone());
        let asked = ask(known.style, trace.clone());
        let flight = self.clone().fetch(key, trace.clone().of(asked)).boxed().shared();
        known.flight = flight.downgrade().map(|flight| (flight, trace));
        Step::Wait { flight, old }
    }

    /// Notes what comes of asking.
    async fn fetch(
        self,
        key: GrantKey,
        asked: impl Future<Output = Result<(Granted, Style), NotGranted>>,
    ) -> Answer {
        let result = asked.await;
        let now = Instant::now();
        let mut all = self.all();
        let known = all.get_or(key, Known::default);
        match result {
            Ok((granted, style)) => {
                let token = Token::new(granted, now);
                known.token = Some(token.clone());
                known.failed = None;
                known.style = style;
                Ok(token)
            }
            Err(NotGranted { failure, pause }) => {
                known.failed = Some((failure.clone(), now + pause.unwrap_or(PAUSE)));
                Err(failure)
            }
        }
    }

    /// A receiver answered 401 to this token. True where another one may be had: it is taken away, or has been
    /// replaced already.
    pub(crate) fn refused(&self, key: GrantKey, given: &Given) -> bool {
        let now = Instant::now();
        let mut all = self.all();
        let Some(known) = all.get(&key) else { return false };
        let is_current = known.token.as_ref().is_some_and(|token| token.value == given.value);
        if !is_current {
            return true;
        }
        let lately = known.taken_away.is_some_and(|at| now < at + REFUSED_ONCE_IN);
        if given.fresh || lately {
            return false;
        }
        known.taken_away = Some(now);
        known.token = None;
        true
    }

    fn all(&self) -> MutexGuard<'_, Kept<GrantKey, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
