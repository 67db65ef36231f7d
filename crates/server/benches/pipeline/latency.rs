//! How long a call waits: from the moment its last leg is posted to the moment its request has come, without `settle`.
//!
//! The intake, three syncs of the disk and the network are in it; so is whatever the timer of `settle` is late.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::calls::{self, LEGS};
use crate::figures::{Spread, now_micros, tell};
use crate::installation::{Installation, SETTLE_MS};
use crate::limits::Probe;
use crate::receiver::Receiver;
use crate::sender::Pool;

/// Tenants, each with its trigger.
const TENANTS: usize = 20;
/// Between two legs of a call.
const BETWEEN_LEGS: Duration = Duration::from_millis(20);

/// What a freshly started server holds, twenty tenants configured.
pub(crate) async fn rest() {
    let receiver = Receiver::start(0).await;
    let urls: Vec<String> = (0..TENANTS).map(|number| receiver.url(&format!("/{number}"))).collect();
    let installation = Installation::new(&urls, SETTLE_MS);
    let server = installation.serve().await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = server.cpu_seconds();
    tokio::time::sleep(Duration::from_secs(5)).await;
    let used = (server.cpu_seconds() - before) / 5.0 * 100.0;
    tell("at rest", &format!("{:.0} MB resident, {used:.1} % of one core", server.resident_megabytes()));
}

/// One call now and then.
pub(crate) async fn idle() {
    const CALLS: usize = 40;
    let run = Run::start(CALLS, urls).await;
    let (mut probe, mut syncs) = (Probe::new(), Vec::new());
    for call in 0..CALLS {
        // Not in step with any timer of the server.
        tokio::time::sleep(Duration::from_millis(150 + (call as u64 * 37) % 100)).await;
        run.call(call, call % TENANTS).await;
        run.receiver.until(call + 1).await;
        syncs.push(probe.sync());
    }
    let (latency, taken) = run.spreads(0, CALLS);
    tell("idle: last leg to request, settle aside", &latency.text());
    tell("  … last leg to its 202", &taken.text());
    tell("  … one write and sync of the disk, between the calls", &Spread::of(syncs).text());
}

/// At a steady rate.
pub(crate) async fn steady() {
    const RATE: usize = 500;
    const SECONDS: usize = 20;
    const WARM: usize = RATE * 2;
    let calls = RATE * SECONDS;
    let run = Run::start(calls, urls).await;
    let before = run.server.cpu_seconds();
    run.steady(0, calls, RATE, |call| call % TENANTS).await;
    run.receiver.until(calls).await;
    let used = run.server.cpu_seconds() - before;
    let (latency, taken) = run.spreads(WARM, calls);
    tell(
        &format!("{RATE} calls/s, a leg a request: last leg to request"),
        &format!("{}; {:.3} CPU s per 1,000 calls", latency.text(), used / calls as f64 * 1_000.0),
    );
    tell("  … last leg to its 202", &taken.text());
    let extra = run.receiver.requests().saturating_sub(calls);
    if extra > 0 {
        tell("  … of these", &format!("{extra} requests more than calls"));
    }
}

fn urls(receiver: &Receiver) -> Vec<String> {
    (0..TENANTS).map(|number| receiver.url(&format!("/{number}"))).collect()
}

/// Calls of which it is noted when their last leg was posted.
pub(crate) struct Run {
    pub(crate) server: crate::server::Server,
    pub(crate) receiver: Receiver,
    pool: Pool,
    posted: Arc<Mutex<Vec<Option<Posted>>>>,
    _installation: Installation,
}

#[derive(Clone, Copy)]
struct Posted {
    at: Instant,
    accepted: Instant,
}

impl Run {
    pub(crate) async fn start(calls: usize, urls: impl Fn(&Receiver) -> Vec<String>) -> Self {
        let receiver = Receiver::start(calls).await;
        let installation = Installation::new(&urls(&receiver), SETTLE_MS);
        let server = installation.serve().await;
        let pool = Pool::new(server.intake());
        let posted = Arc::new(Mutex::new(vec![None; calls]));
        Self { server, receiver, pool, posted, _installation: installation }
    }

    /// Posts the legs of a call, one after the other; returns when they are taken in.
    pub(crate) async fn call(&self, call: usize, tenant: usize) {
        post(&self.pool, &self.posted, call, tenant).await;
    }

    /// Posts calls at a steady rate, whatever becomes of them.
    pub(crate) async fn steady(&self, from: usize, to: usize, rate: usize, tenant: impl Fn(usize) -> usize) {
        let begun = Instant::now();
        let mut tasks = tokio::task::JoinSet::new();
        for call in from..to {
            let at = begun + Duration::from_secs_f64((call - from) as f64 / rate as f64);
            tokio::time::sleep_until(at.into()).await;
            let (pool, posted, tenant) = (self.pool.clone(), Arc::clone(&self.posted), tenant(call));
            tasks.spawn(async move { post(&pool, &posted, call, tenant).await });
        }
        while let Some(done) = tasks.join_next().await {
            done.expect("a call is posted whole");
        }
    }

    /// From last leg to request, of these calls.
    pub(crate) fn spread_of(&self, calls: impl Iterator<Item = usize>) -> Spread {
        let posted = self.posted.lock().expect("nobody panics with it");
        let waited = calls.filter_map(|call| Some(waited(posted[call]?, self.receiver.came(call)?)));
        Spread::of(waited.collect())
    }

    /// From last leg to request, and from last leg to its 202, of calls that came.
    pub(crate) fn spreads(&self, from: usize, to: usize) -> (Spread, Spread) {
        let posted = self.posted.lock().expect("nobody panics with it");
        let taken =
            posted[from..to].iter().flatten().map(|posted| (posted.accepted - posted.at).as_secs_f64());
        let taken = Spread::of(taken.map(|seconds| seconds * 1_000.0).collect());
        drop(posted);
        (self.spread_of(from..to), taken)
    }
}

/// Milliseconds, without the time that a call has to wait.
fn waited(posted: Posted, came: Instant) -> f64 {
    let waited = came.saturating_duration_since(posted.at).as_secs_f64();
    waited * 1_000.0 - SETTLE_MS as f64
}

async fn post(pool: &Pool, posted: &Mutex<Vec<Option<Posted>>>, call: usize, tenant: usize) {
    let legs = calls::legs(&calls::tenant(tenant), call, now_micros());
    for leg in &legs[..LEGS - 1] {
        pool.post(leg.as_bytes()).await;
        tokio::time::sleep(BETWEEN_LEGS).await;
    }
    let at = Instant::now();
    pool.post(legs[LEGS - 1].as_bytes()).await;
    let accepted = Instant::now();
    posted.lock().expect("nobody panics with it")[call] = Some(Posted { at, accepted });
}
