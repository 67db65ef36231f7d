//! Legs in, records out, with a real log and a real store: over restarts, bad input, and busy neighbours.

use std::path::Path;

use ringpost_bus::{Clock as BusClock, Config as BusConfig, Embedded, Keep, Log, Subscription, Topic};
use ringpost_model::Envelope;
use ringpost_store::{Config as StoreConfig, Key, Keyring, Store};
use tempfile::TempDir;
use tokio::task::JoinHandle;

use super::*;
use crate::clock;
use crate::topics::{LEGS, SESSIONS};

/// Longer than anything takes, even on a busy machine.
const LONG: Duration = Duration::from_secs(60);

struct Running {
    store: Store,
    log: Embedded,
    stop: CancellationToken,
    task: JoinHandle<anyhow::Result<()>>,
    journal: JoinHandle<()>,
    /// Of the settings, which ends with its sender.
    _settings: watch::Sender<Arc<Settings>>,
}

async fn start(folder: &Path, group: &str) -> Running {
    let key = Key::read_or_make(&folder.join("key")).unwrap();
    let keyring = Keyring::new(key);
    let store = Store::open(StoreConfig { folder: folder.to_owned(), keyring }).await.unwrap();
    let clock: BusClock = Arc::new(|| clock::now().micros());
    let topic = |name: &str, keep| Topic { name: name.to_owned(), partitions: 2, keep };
    let day = Keep::For(Duration::from_secs(86_400));
    let topics = vec![topic(LEGS, day), topic(SESSIONS, Keep::Latest), topic(CDRS, day)];
    let (log, journal) = Embedded::open(BusConfig::new(folder.to_owned(), topics, clock)).await.unwrap();
    let journal = tokio::spawn(journal.run());
    let metrics = Arc::new(Metrics::new().unwrap());
    let settings = watch::Sender::new(Arc::new(Settings::default()));
    let aggregate = Aggregate {
        clock: clock::wall(),
        worker: log.worker(subscription(group, LEGS, Some(SESSIONS))).await.unwrap(),
        config: Config { settle: 50_000, events: false, ..Config::default() },
        settings: settings.subscribe(),
        dead_letters: DeadLetters::new(store.clone(), Arc::clone(&metrics)),
        metrics,
        readiness: Arc::new(Readiness::default()),
    };
    let stop = CancellationToken::new();
    let task = tokio::spawn(aggregate.run(stop.clone()));
    Running { store, log, stop, task, journal, _settings: settings }
}

fn subscription(group: &str, topic: &str, state: Option<&str>) -> Subscription {
    Subscription { group: group.to_owned(), topics: vec![topic.to_owned()], state: state.map(str::to_owned) }
}

/// A leg that ended a minute ago and talked with another one.
fn leg(tenant: &str, leg: &str, with: &str) -> String {
    let begin = clock::now().micros() / 1_000_000 * 1_000_000 - 120_000_000;
    let end = begin + 60_000_000;
    format!(
        r#"{{"v":1,"kind":"leg","tenant":"{tenant}","pbx":"k1","leg":"{leg}",
        "created":{begin},"answered":{begin},"ended":{end},
        "bridges":[{{"with":"{with}","from":{begin},"to":{end}}}]}}"#
    )
}

impl Running {
    async fn append(&self, tenant: &str, value: String) -> Partition {
        let (key, value) = (Bytes::copy_from_slice(tenant.as_bytes()), value.into());
        let record = Record { key, value, timestamp: clock::now().micros() };
        self.log.append(LEGS, vec![record]).await.unwrap()[0].0
    }

    /// Until every leg is read, and what follows from it is durable.
    async fn until_read(&self, group: &str) {
        let lag =
            || self.log.lags().iter().filter(|lag| lag.group == group).map(|lag| lag.records).sum::<u64>();
        let mut looks = tokio::time::interval(Duration::from_millis(5));
        let waited = tokio::time::timeout(LONG, async {
            // Until its partitions are known there is no lag either.
            while self.log.lags().iter().filter(|lag| lag.group == group).count() < 2 || lag() > 0 {
                looks.tick().await;
            }
        });
        waited.await.expect("legs are read");
    }

    /// The first `count` records put out, as `tenant: number of legs`.
    async fn records(&self, count: usize) -> Vec<String> {
        let mut worker = self.log.worker(subscription("test", CDRS, None)).await.unwrap();
        let mut records = Vec::new();
        let waited = tokio::time::timeout(LONG, async {
            while records.len() < count {
                if let Event::Records(batch) = worker.next(PATIENCE).await.unwrap() {
                    records.extend(batch.messages.iter().map(|message| {
                        let envelope = Envelope::from_bytes(&message.value).unwrap();
                        format!("{} rev {}: {} legs", envelope.tenant, envelope.rev, envelope.legs.len())
                    }));
                }
            }
        });
        waited.await.expect("records are put out");
        records
    }

    async fn crash(self) {
        self.task.abort();
        _ = self.task.await;
        drop(self.log);
        self.journal.await.unwrap();
        self.store.close().await;
    }

    async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap().unwrap();
        drop(self.log);
        self.journal.await.unwrap();
        self.store.close().await;
    }
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

#[tokio::test]
async fn a_call_whose_legs_come_before_and_after_a_crash_is_one_record() {
    let folder = folder();
    let (a, b) = (leg("acme", "a", "b"), leg("acme", "b", "a"));
    let running = start(folder.path(), "aggregate").await;
    running.append("acme", a).await;
    running.until_read("aggregate").await;
    running.crash().await;
    let running = start(folder.path(), "aggregate").await;
    running.append("acme", b.clone()).await;
    assert_eq!(running.records(1).await, ["acme rev 1: 2 legs"]);
    // The repeat of a leg after the next start makes no second record.
    running.stop().await;
    let running = start(folder.path(), "aggregate").await;
    running.append("acme", b).await;
    running.until_read("aggregate").await;
    running.append("next", leg("next", "c", "d")).await;
    running.append("next", leg("next", "d", "c")).await;
    let mut records = running.records(2).await;
    records.sort();
    assert_eq!(records, ["acme rev 1: 2 legs", "next rev 1: 2 legs"]);
}

#[tokio::test]
async fn what_cannot_be_read_is_one_dead_letter_however_often_it_is_read() {
    let folder = folder();
    let running = start(folder.path(), "aggregate").await;
    running.append("acme", r#"{"v":1,"kind":"leg"}"#.to_owned()).await;
    running.append("acme", "not even JSON".to_owned()).await;
    running.until_read("aggregate").await;
    assert_eq!(running.store.stats().await.unwrap().dead_letters, 2);
    running.stop().await;
    // As after a crash between the letters and the position: everything is read again.
    let running = start(folder.path(), "again").await;
    running.until_read("again").await;
    assert_eq!(running.store.stats().await.unwrap().dead_letters, 2);
    running.append("acme", leg("acme", "a", "b")).await;
    running.append("acme", leg("acme", "b", "a")).await;
    assert_eq!(running.records(1).await, ["acme rev 1: 2 legs"], "it did not stop the next call");
}

#[tokio::test]
async fn a_quiet_partition_closes_its_calls_while_another_is_busy() {
    let folder = folder();
    let running = start(folder.path(), "aggregate").await;
    let quiet = running.append("acme", leg("acme", "a", "b")).await;
    let mut busy = None;
    for n in 0..20 {
        let tenant = format!("busy{n}");
        if running.append(&tenant, leg(&tenant, "x", "missing")).await != quiet {
            busy = Some(tenant);
            break;
        }
    }
    let busy = busy.expect("of 20 keys one is on the other partition");
    let is_over = CancellationToken::new();
    let feed = async {
        let mut n = 0;
        while !is_over.is_cancelled() {
            n += 1;
            running.append(&busy, leg(&busy, &format!("x{n}"), &format!("missing{n}"))).await;
        }
        n
    };
    let read = async {
        running.append("acme", leg("acme", "b", "a")).await;
        let records = running.records(1).await;
        is_over.cancel();
        records
    };
    let (fed, records) = tokio::join!(feed, read);
    assert_eq!(records, ["acme rev 1: 2 legs"]);
    assert!(fed > 1, "the other partition was busy all the time");
}
