//! Dispatch with a real log and a real store in a folder of its own, and receivers that are no sockets.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use ringpost_bus::{
    Clock as BusClock, Config as BusConfig, Embedded, EmbeddedWorker, Keep, Log, Record, Subscription, Topic,
};
use ringpost_deliver::{Answer, Exchange, LaneConfig, Lanes, Request, Transport};
use ringpost_model::{Cdr, Context, Envelope, PbxKey, SessionId, Tenant, TenantKey, Trigger, TriggerId};
use ringpost_store::{Attempt, AttemptFilter, Debt, DebtFilter, Ended, EndingFilter, Expect, Key, Keyring};
use ringpost_store::{Batch, Config as StoreConfig, Store};
use tempfile::TempDir;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::super::{BacklogLimits, Dispatch, Fire};
use crate::admin::Readiness;
use crate::clock;
use crate::metrics::Metrics;
use crate::resources::tenant_id;
use crate::serve::dead_letters::DeadLetters;
use crate::topics::CDRS;
use crate::trigger_cache::TriggerCache;

pub(super) const TRIGGER: TriggerId = TriggerId(Uuid::from_u128(0x71));
const PARTITIONS: u32 = 2;
/// Longer than anything takes, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the receiver does with a request.
#[derive(Debug, Clone, Copy)]
pub(super) enum Does {
    Answer(u16),
    /// As if the request had ended so many seconds ago, so that a retry need not be waited for.
    AnswerAgo(u16, i64),
    /// 429, `Retry-After: 30`.
    Throttle,
    /// 200, but only when it is released.
    Hold,
    /// The same with another status.
    HoldThen(u16),
}

/// One receiver of everything.
pub(super) struct Receiver {
    script: Mutex<VecDeque<Does>>,
    /// For these paths, always.
    paths: Mutex<HashMap<String, Does>>,
    got: Mutex<Vec<String>>,
    released: Arc<Semaphore>,
    /// How far the wall clock has been put on, or back, in microseconds.
    jumped: Arc<AtomicI64>,
}

/// What outlives a crash: the folder, and the receiver.
pub(super) struct Bench {
    pub(super) folder: TempDir,
    /// After so long in flight a delivery is owed.
    pub(super) handoff: Duration,
    /// How long a debt that was claimed is nobody else's.
    pub(super) lease: Duration,
    pub(super) breaker: ringpost_deliver::Limits,
    pub(super) max_hold: Duration,
    pub(super) backlog: BacklogLimits,
    pub(super) receiver: Arc<Receiver>,
}

/// A dispatcher that runs.
pub(super) struct Running {
    pub(super) store: Store,
    pub(super) log: Embedded,
    stop: CancellationToken,
    task: Option<JoinHandle<anyhow::Result<()>>>,
    journal: JoinHandle<()>,
}

impl Receiver {
    pub(super) fn does(&self, script: impl IntoIterator<Item = Does>) {
        self.script.lock().unwrap().extend(script);
    }

    pub(super) fn always(&self, path: &str, does: Does) {
        self.paths.lock().unwrap().insert(path.to_owned(), does);
    }

    /// All that was held, and all that will be.
    pub(super) fn release(&self) {
        self.released.add_permits(1_000_000);
    }

    /// The wall clock is put on, or back.
    pub(super) fn jump(&self, by: i64) {
        self.jumped.fetch_add(by, Ordering::Relaxed);
    }

    fn clock(&self) -> clock::Clock {
        let jumped = Arc::clone(&self.jumped);
        Arc::new(move || clock::now().plus_micros(jumped.load(Ordering::Relaxed)))
    }

    /// Requests as they came: path, session, revision, and `webhook-id` at the end.
    pub(super) fn got(&self) -> Vec<String> {
        self.got.lock().unwrap().clone()
    }

    /// The same without ids.
    pub(super) fn told(&self) -> Vec<String> {
        let without_id = |line: String| line.rsplit_once(' ').unwrap().0.to_owned();
        self.got().into_iter().map(without_id).collect()
    }
}

impl Transport for Receiver {
    fn send(&self, request: Request) -> Pin<Box<dyn Future<Output = Exchange> + Send + 'static>> {
        let path = request.url.path().to_owned();
        let body: serde_json::Value = serde_json::from_slice(&request.payload).unwrap();
        // Of a notice its event stands for the call.
        let of_call =
            body["cdr"]["id"].as_str().map(|id| id.parse::<SessionId>().unwrap().0.as_u128().to_string());
        let session = of_call.unwrap_or_else(|| body["event"].as_str().unwrap().to_owned());
        let matches = if body["matches"] == false { " matches:false" } else { "" };
        let id = request.headers["webhook-id"].to_str().unwrap();
        // Left out of a first one.
        let rev = body["cdr"]["rev"].as_u64().unwrap_or(1);
        let line = format!("{path} {session} rev {rev}{matches} {id}");
        self.got.lock().unwrap().push(line);
        let always = self.paths.lock().unwrap().get(&path).copied();
        let does = always.or_else(|| self.script.lock().unwrap().pop_front()).unwrap_or(Does::Answer(200));
        let (status, ago, headers) = match does {
            Does::Answer(status) => (status, 0, Vec::new()),
            Does::AnswerAgo(status, seconds) => (status, seconds, Vec::new()),
            Does::Throttle => (429, 0, vec![("retry-after".to_owned(), "30".to_owned())]),
            Does::Hold => (200, 0, Vec::new()),
            Does::HoldThen(status) => (status, 0, Vec::new()),
        };
        let now = self.clock();
        let mut exchange = Exchange::of(&request, now().plus_micros(-ago * 1_000_000));
        exchange.answer = Some(Answer { status, headers, body: String::new(), body_cut: false });
        if !matches!(does, Does::Hold | Does::HoldThen(_)) {
            return Box::pin(async { exchange });
        }
        let released = Arc::clone(&self.released);
        Box::pin(async move {
            released.acquire().await.unwrap().forget();
            exchange.ended = now();
            exchange
        })
    }
}

impl Bench {
    pub(super) fn new() -> Self {
        let receiver = Receiver {
            script: Mutex::default(),
            paths: Mutex::default(),
            got: Mutex::default(),
            released: Arc::new(Semaphore::new(0)),
            jumped: Arc::default(),
        };
        Self {
            folder: tempfile::tempdir().unwrap(),
            handoff: Duration::from_millis(100),
            // Short, so that what a crash leaves leased is soon free.
            lease: Duration::from_secs(2),
            breaker: ringpost_deliver::Limits::default(),
            max_hold: ringpost_deliver::MAX_HOLD,
            backlog: BacklogLimits::default(),
            receiver: Arc::new(receiver),
        }
    }

    /// One that finds a receiver down after three failures, and looks again soon.
    pub(super) fn hasty() -> Self {
        let breaker = ringpost_deliver::Limits {
            many: 3,
            many_over: Duration::ZERO,
            first_probe: Duration::from_millis(50),
            longest_probe: Duration::from_millis(200),
            ..ringpost_deliver::Limits::default()
        };
        Self { breaker, ..Self::new() }
    }

    /// A running dispatcher, over what is in the folder.
    pub(super) async fn start(&self) -> Running {
        let (dispatch, mut running) = self.ready().await;
        running.task = Some(tokio::spawn(dispatch.run(running.stop.clone())));
        running
    }

    /// The same before it runs, for a test that takes the steps itself.
    pub(super) async fn ready(&self) -> (Dispatch<EmbeddedWorker>, Running) {
        let store = self.store().await;
        let metrics = Arc::new(Metrics::new().unwrap());
        let (log, journal) = self.log().await;
        let journal = tokio::spawn(journal.run());
        let lanes = LaneConfig { handoff: self.handoff, ..LaneConfig::default() };
        let (lanes, reports) = Lanes::new(lanes, self.receiver.clone(), self.receiver.clock());
        let cache = TriggerCache::new(store.clone(), Duration::from_secs(600));
        let subscription =
            Subscription { group: "dispatch".to_owned(), topics: vec![CDRS.to_owned()], state: None };
        let dispatch = Dispatch {
            worker: log.worker(subscription).await.unwrap(),
            store: store.clone(),
            clock: self.receiver.clock(),
            lanes,
            reports,
            fire: Fire::new(cache, store.clone(), Arc::clone(&metrics)),
            dead_letters: DeadLetters::new(store.clone(), Arc::clone(&metrics)),
            metrics,
            readiness: Arc::new(Readiness::default()),
            owner: format!("test-{}", Uuid::now_v7()),
            lease: self.lease,
            grace: Duration::from_millis(200),
            concurrency: LaneConfig::default().concurrency,
            breaker: self.breaker.clone(),
            max_hold: self.max_hold,
            backlog: self.backlog,
            mailed: vec![ringpost_model::EventName::DeliveryExhausted],
            shares_rates: false,
        };
        (dispatch, Running { store, log, stop: CancellationToken::new(), task: None, journal })
    }

    /// Only the store, with no dispatcher that changes it.
    pub(super) async fn store(&self) -> Store {
        let key = Key::read_or_make(&self.folder.path().join("key")).unwrap();
        let keyring = Keyring::new(key);
        Store::open(StoreConfig { folder: self.folder.path().to_owned(), keyring }).await.unwrap()
    }

    /// A trigger whose secrets are sealed with a key that is not there any more.
    pub(super) async fn add_unreadable(&self, id: TriggerId, keys: &str) {
        self.store().await.close().await;
        let former = Key::read_or_make(&self.folder.path().join("key")).unwrap();
        let keyring = Keyring::new(Key::parse(&"b".repeat(64)).unwrap()).with_former(former);
        let config = StoreConfig { folder: self.folder.path().to_owned(), keyring };
        let store = Store::open(config).await.unwrap();
        store.put_tenant(&tenant(), clock::now()).await.unwrap();
        store.put_trigger(&acme(), &trigger(id, keys), Expect::Anything, clock::now()).await.unwrap();
        store.close().await;
    }

    async fn log(&self) -> (Embedded, ringpost_bus::Journal) {
        let clock: BusClock = Arc::new(|| clock::now().micros());
        let keep = Keep::For(Duration::from_secs(86_400));
        let topics = vec![Topic { name: CDRS.to_owned(), partitions: PARTITIONS, keep }];
        Embedded::open(BusConfig::new(self.folder.path().to_owned(), topics, clock)).await.unwrap()
    }
}

impl Running {
    /// Tenant `acme`, and its trigger with these keys.
    pub(super) async fn configure(&self, keys: &str) {
        self.store.put_tenant(&tenant(), clock::now()).await.unwrap();
        self.add_trigger(TRIGGER, keys).await;
    }

    pub(super) async fn add_trigger(&self, id: TriggerId, keys: &str) {
        self.store.put_trigger(&acme(), &trigger(id, keys), Expect::Anything, clock::now()).await.unwrap();
    }

    /// Puts the record of a call into the log.
    pub(super) async fn emit(&self, session: u128, rev: u32) {
        self.emit_all([(session, rev, false)]).await;
    }

    /// Records in one go: session, revision, and whether the call was lost.
    pub(super) async fn emit_all(&self, records: impl IntoIterator<Item = (u128, u32, bool)>) {
        let now = clock::now();
        let records = records.into_iter().map(|(session, rev, lost)| Record {
            key: Bytes::from_static(b"acme"),
            value: envelope(session, rev, lost).to_bytes().unwrap().into(),
            timestamp: now.micros(),
        });
        self.log.append(CDRS, records.collect()).await.unwrap();
    }

    /// Puts anything into the log.
    /// A revision that was made anew without being asked to fire.
    pub(super) async fn emit_quiet(&self, n: u128, rev: u32) {
        let envelope = Envelope { quiet: true, ..envelope(n, rev, true) };
        self.append(envelope.to_bytes().unwrap().leak()).await;
    }

    pub(super) async fn append(&self, value: &'static [u8]) {
        let (key, value) = (Bytes::from_static(b"acme"), Bytes::from_static(value));
        self.log.append(CDRS, vec![Record { key, value, timestamp: clock::now().micros() }]).await.unwrap();
    }

    pub(super) async fn attempts(&self) -> Vec<Attempt> {
        let mut attempts = self.store.attempts(&AttemptFilter::default(), 10_000).await.unwrap().found;
        attempts.reverse();
        attempts
    }

    pub(super) async fn debts(&self) -> Vec<Debt> {
        self.store.debts(&DebtFilter::default(), 10_000).await.unwrap().found
    }

    /// Writes down more that is owed, as another dispatcher would.
    pub(super) async fn owe(&self, debts: Vec<Debt>) {
        let batch = Batch { debts, ..Batch::default() };
        self.store.settle(&batch, "test", clock::now()).await.unwrap();
    }

    pub(super) async fn endings(&self) -> Vec<Ended> {
        self.store.endings(&EndingFilter::default(), 10_000).await.unwrap().found
    }

    /// Records that dispatch has not moved past.
    pub(super) fn lag(&self) -> u64 {
        let lags: Vec<u64> =
            self.log.lags().iter().filter(|lag| lag.group == "dispatch").map(|lag| lag.records).collect();
        // Until its partitions are known there is no lag either.
        if lags.len() < PARTITIONS as usize { u64::MAX } else { lags.iter().sum() }
    }

    /// Waits until it is so. The test fails where it never is.
    pub(super) async fn until(&self, what: &str, is_so: impl AsyncFn() -> bool) {
        let mut looks = tokio::time::interval(Duration::from_millis(10));
        let waited = tokio::time::timeout(PATIENCE, async {
            while !is_so().await {
                looks.tick().await;
            }
        });
        assert!(waited.await.is_ok(), "never: {what}; {:?} {:?}", self.debts().await, self.attempts().await);
    }

    /// Until nothing is owed, and every record is passed.
    pub(super) async fn until_settled(&self) {
        self.until("all settled", async || self.lag() == 0 && self.debts().await.is_empty()).await;
    }

    /// Dies on the spot.
    pub(super) async fn crash(self) {
        let task = self.task.unwrap();
        task.abort();
        _ = task.await;
        drop(self.log);
        self.journal.await.unwrap();
        self.store.close().await;
    }

    /// Ends as on SIGTERM.
    pub(super) async fn stop(self) {
        self.stop.cancel();
        self.task.unwrap().await.unwrap().unwrap();
        drop(self.log);
        self.journal.await.unwrap();
        self.store.close().await;
    }
}

fn trigger(id: TriggerId, keys: &str) -> Trigger {
    let url = if keys.contains("\"url\"") { "" } else { r#""url":"https://crm.example/hook","# };
    serde_json::from_str(&format!(r#"{{"id":"{id}","name":"CRM",{url}{keys}}}"#)).unwrap()
}

fn acme() -> TenantKey {
    TenantKey::new("acme").unwrap()
}

fn tenant() -> Tenant {
    Tenant { name: "Acme".into(), ..Tenant::new(tenant_id(&acme()), acme()) }
}

pub(super) fn session(n: u128) -> SessionId {
    SessionId(Uuid::from_u128(n))
}

fn envelope(n: u128, rev: u32, lost: bool) -> Envelope {
    let now = clock::now();
    let mut cdr = Cdr::empty(session(n));
    (cdr.rev, cdr.lost, cdr.start, cdr.end) = (rev, lost, now, now);
    // What a filter can tell calls apart by.
    cdr.dur = (n % 16) as u32;
    Envelope {
        v: 1,
        tenant: acme(),
        pbx: PbxKey::new("k1").unwrap(),
        session: cdr.id,
        rev,
        emitted: now,
        cdr,
        context: Context::default(),
        legs: Vec::new(),
        timeline: Vec::new(),
        tables: Default::default(),
        cut: Vec::new(),
        quiet: false,
    }
}
