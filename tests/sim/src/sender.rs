//! A switch's side: legs wait in a spool, in order, and are sent again until they are acknowledged. Sometimes
//! what was acknowledged long ago is sent once more, and sometimes rubbish.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use ringpost_model::PbxKey;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::clock::SimClock;
use crate::dice::Dice;
use crate::trace::Trace;

/// After this a sender looks again for a process that takes its legs.
const AGAIN: Duration = Duration::from_secs(1);

/// Where legs are taken at this moment; empty = nobody listens.
pub(crate) type Intake = watch::Receiver<Vec<(Router, CancellationToken)>>;

/// A leg to be sent.
#[derive(Debug, Clone)]
pub(crate) struct Leg {
    /// When the switch writes it.
    pub at: Duration,
    /// Its record, as a line.
    pub body: Vec<u8>,
}

/// What was sent, by all senders.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sent {
    /// Legs in acknowledged requests, repeats among them.
    pub acknowledged: u64,
    /// Refused elements in acknowledged requests.
    pub rubbish: u64,
    /// Requests that were not acknowledged.
    pub failed: u64,
    /// Answers that are neither "accepted" nor "try again".
    pub wrong: Vec<String>,
}

/// One platform's spool.
pub(crate) struct Sender {
    /// Whose.
    pub pbx: PbxKey,
    /// Legs by time.
    pub legs: VecDeque<Leg>,
    /// So many requests of a hundred are sent once more, later.
    pub repeats: u64,
    /// So many requests of a hundred carry rubbish beside their legs.
    pub rubbish: u64,
    /// Who listens.
    pub intake: Intake,
    /// What was sent, by all senders.
    pub sent: Arc<Mutex<Sent>>,
    /// The clock.
    pub clock: SimClock,
    /// Notes every request.
    pub trace: Trace,
    /// How many at once, and what again.
    pub dice: Dice,
}

impl Sender {
    /// Sends everything.
    pub(crate) async fn run(mut self) {
        let mut again: Vec<(Duration, Vec<u8>, u64)> = Vec::new();
        let mut number = 0;
        while let Some(first) = self.legs.front() {
            self.sleep_until(first.at).await;
            let (body, legs) = self.batch();
            number += 1;
            let rubbish = if self.dice.percent(self.rubbish) { self.dice.between(1, 2) } else { 0 };
            let mut whole = body.clone();
            for piece in 0..rubbish {
                whole.extend_from_slice(format!("{{\"v\":1,\"rubbish\":\"{number}.{piece}\"}}\n").as_bytes());
            }
            self.deliver(&whole, legs, rubbish).await;
            if self.dice.percent(self.repeats) {
                let later = self.clock.elapsed() + Duration::from_secs(self.dice.between(0, 90));
                again.push((later, body, legs));
            }
            if let Some(at) = again.iter().position(|(at, ..)| *at <= self.clock.elapsed()) {
                let (_, body, legs) = again.swap_remove(at);
                self.deliver(&body, legs, 0).await;
            }
        }
        for (at, body, legs) in again {
            self.sleep_until(at).await;
            self.deliver(&body, legs, 0).await;
        }
    }

    async fn sleep_until(&self, at: Duration) {
        tokio::time::sleep(at.saturating_sub(self.clock.elapsed())).await;
    }

    /// Some of the legs that are there by now, in order.
    fn batch(&mut self) -> (Vec<u8>, u64) {
        let most = self.dice.between(1, 8);
        let (mut body, mut legs) = (Vec::new(), 0);
        while legs < most
            && let Some(leg) = self.legs.pop_front_if(|leg| leg.at <= self.clock.elapsed() || legs == 0)
        {
            body.extend_from_slice(&leg.body);
            body.push(b'\n');
            legs += 1;
        }
        (body, legs)
    }

    /// Again and again, until it is acknowledged.
    async fn deliver(&mut self, body: &[u8], legs: u64, rubbish: u64) {
        loop {
            let status = self.try_once(body).await;
            self.trace.note(format_args!("{} sent {legs}+{rubbish} {status:?}", self.pbx));
            match status {
                Some(StatusCode::ACCEPTED) => {
                    self.sent().acknowledged += legs;
                    self.sent().rubbish += rubbish;
                    return;
                }
                Some(StatusCode::SERVICE_UNAVAILABLE) | None => self.sent().failed += 1,
                Some(other) => {
                    self.sent().wrong.push(format!("{} was answered {other}", self.pbx));
                    return;
                }
            }
            let wait = AGAIN + Duration::from_millis(self.dice.between(0, 1_500));
            tokio::time::sleep(wait).await;
        }
    }

    /// None = no answer.
    async fn try_once(&mut self, body: &[u8]) -> Option<StatusCode> {
        let listeners = self.intake.borrow().len() as u64;
        let which = if listeners > 1 { self.dice.below(listeners) as usize } else { 0 };
        let (router, gone) = self.intake.borrow().get(which).cloned()?;
        let request =
            Request::post(format!("/ingest/{}/{}", self.pbx, self.pbx)).body(Body::from(body.to_vec()));
        let request = request.expect("a path of plain characters");
        let answer = tokio::select! {
            biased;
            () = gone.cancelled() => return None,
            answer = router.oneshot(request) => answer,
        };
        let status = answer.map(|answer| answer.status()).unwrap_or_else(|never| match never {});
        // The answer may be lost on its way.
        (!self.dice.percent(2)).then_some(status)
    }

    fn sent(&self) -> MutexGuard<'_, Sent> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
