//! Receivers of webhooks: well, slow, flaky, hanging, down, busy, lying, by a schedule. They write down all they got.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use ringpost_deliver::{Answer, Exchange, Failure, FailureKind, LaneKey, Phase, Request, Transport};
use ringpost_model::{AttemptId, DeliveryId, LaneId, TenantId};

use crate::clock::SimClock;
use crate::dice::Dice;
use crate::trace::Trace;

/// The promise to receivers: no request is waited for longer.
const DEADLINE: Duration = Duration::from_secs(10);

/// How a receiver is at some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    /// Answers 200, soon.
    Well,
    /// Answers 200, after up to twelve seconds: sometimes too late.
    Slow,
    /// Answers 500 to some of a hundred.
    Flaky(u64),
    /// Answers with this status.
    Answers(u16),
    /// Takes the request and never answers.
    Hangs,
    /// Does not listen.
    Down,
    /// Answers 429 and names so many seconds.
    Busy(u64),
    /// Takes the request, does its work, and breaks the connection.
    Lies,
}

/// Moods, each from its time on.
pub(crate) type Moods = Vec<(Duration, Mood)>;

/// A request that was made.
#[derive(Debug, Clone)]
pub(crate) struct Got {
    /// By which life of which process.
    pub process: u32,
    /// To which receiver: host and path.
    pub receiver: String,
    /// Its lane.
    pub lane: LaneId,
    /// Header `webhook-id`.
    pub delivery: DeliveryId,
    /// Which request.
    pub attempt: AttemptId,
    /// The payload is JSON.
    pub is_json: bool,
    /// Hash of the payload.
    pub payload: u64,
    /// The payload says that it no longer matches.
    pub taken_back: bool,
    /// When it was sent.
    pub sent: Duration,
    /// When the receiver got it, if it did.
    pub arrived: Option<Duration>,
    /// When the sender had its answer, or its failure; none = the process died before.
    pub ended: Option<Duration>,
    /// The sender was told that it is delivered.
    pub ok: bool,
    /// The status that the sender was told.
    pub status: Option<u16>,
}

/// All receivers; a clone is the same ones.
#[derive(Clone)]
pub(crate) struct Receivers(Arc<Shared>);

struct Shared {
    moods: BTreeMap<String, Moods>,
    got: Mutex<Vec<Got>>,
    dice: Mutex<Dice>,
    clock: SimClock,
    trace: Trace,
}

/// The way from one life of a process to the receivers.
pub(crate) struct Wire {
    receivers: Receivers,
    process: u32,
}

impl Receivers {
    /// Receivers by host.
    pub(crate) fn new(moods: BTreeMap<String, Moods>, clock: SimClock, trace: Trace, dice: Dice) -> Self {
        Self(Arc::new(Shared { moods, got: Mutex::default(), dice: Mutex::new(dice), clock, trace }))
    }

    /// For one life of a process.
    pub(crate) fn wire(&self, process: u32) -> Arc<dyn Transport> {
        Arc::new(Wire { receivers: self.clone(), process })
    }

    /// Every request that was made, in order of being sent.
    pub(crate) fn got(&self) -> MutexGuard<'_, Vec<Got>> {
        self.0.got.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn dice(&self) -> MutexGuard<'_, Dice> {
        self.0.dice.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn mood(&self, host: &str) -> Mood {
        let now = self.0.clock.elapsed();
        let moods = self.0.moods.get(host).into_iter().flatten();
        moods.take_while(|(from, _)| *from <= now).last().map_or(Mood::Well, |(_, mood)| *mood)
    }

    fn note(&self, at: usize, change: impl FnOnce(&mut Got)) {
        if let Some(got) = self.got().get_mut(at) {
            change(got);
        }
    }

    async fn receive(self, process: u32, request: Request) -> Exchange {
        let (clock, trace) = (&self.0.clock, &self.0.trace);
        let mut exchange = Exchange::of(&request, clock.now());
        let begun = clock.elapsed();
        let host = request.url.host_str().unwrap_or_default().to_owned();
        let mood = self.mood(&host);
        let at = self.begin(process, &host, &request, begun);
        trace.note(format_args!("{host} {mood:?} {}", self.got()[at].delivery));
        let work = self.answer(at, mood);
        let word = tokio::time::timeout(DEADLINE, work).await.unwrap_or(Word::Failed(late()));
        match word {
            Word::Answered(status, headers) => {
                exchange.answer = Some(Answer { status, headers, body: String::new(), body_cut: false });
            }
            Word::Failed(failure) => exchange.failure = Some(failure),
        }
        let ended = clock.elapsed();
        let status = exchange.status();
        let ok = status.is_some_and(|status| (200..300).contains(&status));
        self.note(at, |got| (got.ended, got.ok, got.status) = (Some(ended), ok, status));
        trace.note(format_args!("{host} ended {at} {status:?}"));
        exchange.ended = clock.now();
        exchange.took = ended - begun;
        exchange
    }

    fn begin(&self, process: u32, host: &str, request: &Request, sent: Duration) -> usize {
        let header = |name: &str| {
            request.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
        };
        let delivery = header("webhook-id").parse().expect("every request has the id of its delivery");
        let owner = header("x-account-id").parse().expect("every request says whose it is");
        let text = String::from_utf8_lossy(&request.payload);
        let got = Got {
            process,
            receiver: format!("{host}{}", request.url.path()),
            lane: LaneKey::of(TenantId(owner), request.url.as_str()).id(),
            delivery,
            attempt: request.attempt,
            is_json: text.starts_with('{'),
            payload: hash(&request.payload),
            taken_back: text.contains("\"matches\":false"),
            sent,
            arrived: None,
            ended: None,
            ok: false,
            status: None,
        };
        let mut all = self.got();
        all.push(got);
        all.len() - 1
    }

    /// What the receiver does, and how long it takes.
    async fn answer(&self, at: usize, mood: Mood) -> Word {
        let (way, work, throw) = {
            let mut dice = self.dice();
            (dice.between(1, 40), dice.between(1, 300), dice.below(100))
        };
        tokio::time::sleep(Duration::from_millis(way)).await;
        if mood == Mood::Down {
            return Word::Failed(failure(FailureKind::Connect, "connection refused"));
        }
        let arrived = self.0.clock.elapsed();
        self.note(at, |got| got.arrived = Some(arrived));
        let slow = if mood == Mood::Slow { 40 } else { 1 };
        tokio::time::sleep(Duration::from_millis(work * slow)).await;
        match mood {
            Mood::Well | Mood::Slow | Mood::Down => Word::Answered(200, Vec::new()),
            Mood::Flaky(chance) if throw < chance => Word::Answered(500, Vec::new()),
            Mood::Flaky(_) => Word::Answered(200, Vec::new()),
            Mood::Answers(status) => Word::Answered(status, Vec::new()),
            Mood::Busy(seconds) => Word::Answered(429, vec![("retry-after".to_owned(), seconds.to_string())]),
            Mood::Lies => Word::Failed(failure(FailureKind::Broken, "the connection broke")),
            Mood::Hangs => std::future::pending().await,
        }
    }
}

/// What the sender is told.
enum Word {
    Answered(u16, Vec<(String, String)>),
    Failed(Failure),
}

impl Transport for Wire {
    fn send(&self, request: Request) -> BoxFuture<'static, Exchange> {
        let (receivers, process) = (self.receivers.clone(), self.process);
        Box::pin(receivers.receive(process, request))
    }
}

fn failure(kind: FailureKind, text: &str) -> Failure {
    Failure { kind, text: text.to_owned() }
}

fn late() -> Failure {
    failure(FailureKind::Timeout(Phase::Answer), "no answer in time")
}

fn hash(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
