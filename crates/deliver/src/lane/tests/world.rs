//! Receivers that are no sockets, in a runtime whose time is paused, and reports as text.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::BoxFuture;
use ringpost_model::Timestamp;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use crate::client::{Clock, Transport};
use crate::exchange::{Answer, Exchange, Failure, FailureKind, Phase};
use crate::job::Job;
use crate::lane::{Config, Lanes, Report, plus};
use crate::request::Request;
use crate::samples;
use crate::schedule::Next;

pub(super) const MS: Duration = Duration::from_millis(1);
pub(super) const SECOND: Duration = Duration::from_secs(1);

/// What a receiver does with every request.
#[derive(Debug, Clone, Copy)]
pub(super) enum Does {
    Answer(u16, Duration),
    Throttle(&'static str),
    /// Until the deadline.
    Hang,
    /// Answers 500 until so long after the begin, then 200, each after 20 ms.
    DownFor(Duration),
}

/// Receivers by path, and when each got its requests.
pub(super) struct World {
    pub(super) does: HashMap<&'static str, Does>,
    pub(super) clock: Clock,
    pub(super) begin: Instant,
    pub(super) got: Mutex<Vec<(String, Duration)>>,
    /// Requests in flight, of all receivers.
    flying: Arc<AtomicUsize>,
}

impl World {
    pub(super) fn of(does: &[(&'static str, Does)]) -> Arc<Self> {
        let begin = Instant::now();
        let clock: Clock = Arc::new(move || plus(samples::now(), begin.elapsed()));
        Arc::new(Self {
            does: does.iter().copied().collect(),
            clock,
            begin,
            got: Mutex::default(),
            flying: Arc::default(),
        })
    }

    pub(super) fn lanes(self: &Arc<Self>, config: Config) -> (Lanes, mpsc::Receiver<Report>) {
        Lanes::new(config, self.clone(), self.clock.clone())
    }

    pub(super) fn flying(&self) -> usize {
        self.flying.load(Ordering::Relaxed)
    }

    /// When the receiver of this path got its requests.
    pub(super) fn got(&self, path: &str) -> Vec<u128> {
        let got = self.got.lock().unwrap();
        got.iter().filter(|(to, _)| to == path).map(|(_, at)| at.as_millis()).collect()
    }
}

impl Transport for World {
    fn send(&self, request: Request) -> BoxFuture<'static, Exchange> {
        let path = request.url.path().to_owned();
        self.got.lock().unwrap().push((path.clone(), self.begin.elapsed()));
        let (does, clock) = (self.does[path.as_str()], self.clock.clone());
        let (flying, now) = (self.flying.clone(), self.begin.elapsed());
        flying.fetch_add(1, Ordering::Relaxed);
        Box::pin(async move {
            let begun = Instant::now();
            let mut exchange = Exchange::of(&request, clock());
            let (status, latency, header) = match does {
                Does::Answer(status, latency) => (Some(status), latency, None),
                Does::Throttle(after) => (Some(429), MS, Some(("retry-after".to_owned(), after.to_owned()))),
                Does::Hang => (None, SECOND * 10, None),
                Does::DownFor(time) => (Some(if now < time { 500 } else { 200 }), MS * 20, None),
            };
            sleep(latency).await;
            let headers = header.into_iter().collect();
            exchange.answer =
                status.map(|status| Answer { status, headers, body: String::new(), body_cut: false });
            let late = Failure { kind: FailureKind::Timeout(Phase::Answer), text: String::new() };
            exchange.failure = status.is_none().then_some(late);
            exchange.ended = clock();
            exchange.took = begun.elapsed();
            flying.fetch_sub(1, Ordering::Relaxed);
            exchange
        })
    }
}

pub(super) fn call(path: &str, session: u128, keys: Value) -> Job {
    let url = format!("https://h.example{path}");
    samples::job_of(samples::trigger(&url, keys), samples::delivery_of(session))
}

/// A report in one line: what, of which session, and when it is told.
pub(super) fn line(world: &World, report: &Report) -> String {
    let at = world.begin.elapsed().as_millis();
    let of = |job: &Job| job.delivery.session.0.as_u128();
    match report {
        Report::Started { job, .. } => format!("{at} started {}", of(job)),
        Report::Overdue { job, until, .. } => {
            format!("{at} overdue {} until {}", of(job), millis(*until))
        }
        Report::Back { job, next, .. } => format!("{at} back {} {}", of(job), told(*next)),
        Report::Finished(finished) => {
            let overdue = if finished.overdue { " overdue" } else { "" };
            let class = finished.outcome.class.name();
            format!("{at} finished {} {class} {}{overdue}", of(&finished.job), told(finished.next))
        }
    }
}

pub(super) fn told(next: Next) -> String {
    match next {
        Next::Retry { at, used } => format!("retry at {} used {used}", millis(at)),
        Next::Wait { until, used } => format!("wait until {} used {used}", millis(until)),
        other => format!("{other:?}").to_lowercase(),
    }
}

/// Milliseconds since the begin.
pub(super) fn millis(time: Timestamp) -> i64 {
    (time.micros() - samples::now().micros()) / 1_000
}

/// Takes reports for so long.
pub(super) async fn take(world: &World, reports: &mut mpsc::Receiver<Report>, time: Duration) -> Vec<String> {
    let end = Instant::now() + time;
    let mut lines = Vec::new();
    while let Ok(Some(report)) = tokio::time::timeout_at(end, reports.recv()).await {
        lines.push(line(world, &report));
    }
    lines
}
