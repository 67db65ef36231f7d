//! Legs in, records out, with a real log and a real store: over restarts, bad input, and busy neighbours.

use std::path::Path;

use bytes::Bytes;
use ringpost_bus::{
    Clock as BusClock, Config as BusConfig, Embedded, Keep, Log, Partition, Record, Subscription, Topic,
};
use ringpost_model::{Command, Contact, ContactField, Envelope, Tenant, TenantKey};
use ringpost_store::{Config as StoreConfig, Key, Keyring, Store};
use tempfile::TempDir;
use tokio::task::JoinHandle;

use super::*;
use crate::clock;
use crate::resources::tenant_id;
use crate::serve::tables::TableKeeper;
use crate::topics::{CDRS, LEGS, SESSIONS};

/// Longer than anything takes, even on a busy machine.
const LONG: Duration = Duration::from_secs(60);
/// Of one look for records.
const PATIENCE: Duration = Duration::from_millis(50);

struct Running {
    store: Store,
    log: Embedded,
    stop: CancellationToken,
    task: JoinHandle<anyhow::Result<()>>,
    journal: JoinHandle<()>,
    metrics: Arc<Metrics>,
    /// Loads no tables until it runs.
    keeper: Option<TableKeeper>,
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
    let poll = Duration::from_millis(10);
    let keeper = TableKeeper::start(store.clone(), poll, 1 << 30, Arc::clone(&metrics)).await.unwrap();
    let aggregate = Aggregate {
        clock: clock::wall(),
        worker: log.worker(subscription(group, LEGS, Some(SESSIONS))).await.unwrap(),
        config: Config { settle: 50_000, events: false, ..Config::default() },
        settings: settings.subscribe(),
        tables: keeper.reader(),
        dead_letters: DeadLetters::new(store.clone(), Arc::clone(&metrics)),
        metrics: Arc::clone(&metrics),
        readiness: Arc::new(Readiness::default()),
        partitions: None,
        interval: std::time::Duration::ZERO,
    };
    let stop = CancellationToken::new();
    let task = tokio::spawn(aggregate.run(stop.clone()));
    Running { store, log, stop, task, journal, metrics, keeper: Some(keeper), _settings: settings }
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
                        let names = envelope.cdr.directory_matches.iter();
                        let names = names.filter_map(|one| one.fields.get(&ContactField::FullName));
                        let names: Vec<_> = names.map(|name| format!(", {name}")).collect();
                        let (tenant, rev, legs) = (&envelope.tenant, envelope.rev, envelope.legs.len());
                        format!("{tenant} rev {rev}: {legs} legs{}", names.concat())
                    }));
                }
            }
        });
        waited.await.expect("records are put out");
        records
    }

    /// From now on tables are loaded.
    fn load_tables(&mut self) {
        tokio::spawn(self.keeper.take().unwrap().run(self.stop.clone()));
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
async fn what_was_read_is_counted_and_the_wait_from_a_calls_end_to_its_record_measured_once() {
    let folder = folder();
    let running = start(folder.path(), "aggregate").await;
    call(&running, "acme", "lost", 1).await;
    assert_eq!(running.records(1).await, ["acme rev 1: 1 legs"]);
    // A leg that comes late corrects the record; the call did not end any later by that.
    let begin = clock::now().micros() - 120_000_000;
    let late = format!(
        r#"{{"v":1,"kind":"leg","tenant":"acme","pbx":"k1","leg":"late","links":["lost"],"direction":"out",
        "side":"internal","number":"201","created":{begin},"answered":{begin},"ended":{},
        "bridges":[{{"with":"lost0","from":{begin},"to":{}}}]}}"#,
        begin + 50_000_000,
        begin + 50_000_000
    );
    running.append("acme", late).await;
    assert_eq!(running.records(2).await, ["acme rev 1: 1 legs", "acme rev 2: 2 legs"]);
    running.until_read("aggregate").await;
    let metrics = Arc::clone(&running.metrics);
    running.stop().await;
    assert_eq!(metrics.stage_records.with_label_values(&["aggregate"]).get(), 2);
    let settled = &metrics.settle_seconds;
    assert_eq!(settled.get_sample_count(), 1);
    // The legs ended a minute ago.
    let seconds = settled.get_sample_sum();
    assert!((59.0..120.0).contains(&seconds), "{seconds}");
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

/// A tenant whose directory knows the other party of [`call`].
async fn with_contacts(folder: &Path, tenant: &str) {
    let keyring = Keyring::new(Key::read_or_make(&folder.join("key")).unwrap());
    let store = Store::open(StoreConfig { folder: folder.to_owned(), keyring }).await.unwrap();
    let key = TenantKey::new(tenant).unwrap();
    let own = Tenant { region: "GB".into(), ..Tenant::new(tenant_id(&key), key.clone()) };
    store.put_tenant(&own, clock::now()).await.unwrap();
    let fields = [(ContactField::FullName, "Ann".into()), (ContactField::Phone1, "+441632960001".into())];
    let contact = Contact { id: "1".into(), fields: fields.into() };
    let mut import = store.begin_contacts(&key, "CRM", clock::now()).await.unwrap();
    store.stage_contacts(&mut import, &[contact]).await.unwrap();
    store.finish_contacts(import, clock::now()).await.unwrap();
    store.close().await;
}

/// A whole call from outside, of one leg; the second number tells calls apart by their number of legs.
async fn call(running: &Running, tenant: &str, name: &str, legs: usize) {
    for n in 0..legs {
        let begin = clock::now().micros() / 1_000_000 * 1_000_000 - 120_000_000;
        let leg = format!(
            r#"{{"v":1,"kind":"leg","tenant":"{tenant}","pbx":"k1","leg":"{name}{n}","links":["{name}"],
            "direction":"in","side":"external","number":"+441632960001","created":{begin},"ended":{}}}"#,
            begin + 60_000_000
        );
        running.append(tenant, leg).await;
    }
}

#[tokio::test]
async fn a_record_waits_for_its_tenants_tables_and_nobody_elses_does() {
    let folder = folder();
    with_contacts(folder.path(), "acme").await;
    let mut running = start(folder.path(), "aggregate").await;
    for (name, legs) in [("first", 1), ("second", 2), ("third", 3)] {
        call(&running, "acme", name, legs).await;
        running.until_read("aggregate").await;
        call(&running, "other", name, legs).await;
        // The other tenant's record is out: so the former one of this tenant was due.
        let others = running.records(legs).await;
        assert!(others.iter().all(|record| record.starts_with("other")), "{others:?}");
    }
    running.load_tables();
    let mut all = running.records(6).await;
    all.retain(|record| record.starts_with("acme"));
    let expected = ["1 legs, Ann", "2 legs, Ann", "3 legs, Ann"].map(|rest| format!("acme rev 1: {rest}"));
    assert_eq!(all, expected, "in the order of their calls");
    call(&running, "acme", "fourth", 4).await;
    assert!(running.records(7).await.contains(&"acme rev 1: 4 legs, Ann".to_owned()));
    running.stop().await;
}

/// The envelopes put out, in order, when there are so many.
async fn envelopes(running: &Running, count: usize) -> Vec<Envelope> {
    let mut worker = running.log.worker(subscription("envelopes", CDRS, None)).await.unwrap();
    let mut found = Vec::new();
    let waited = tokio::time::timeout(LONG, async {
        while found.len() < count {
            if let Event::Records(batch) = worker.next(PATIENCE).await.unwrap() {
                let read = |message: &ringpost_bus::Message| Envelope::from_bytes(&message.value).unwrap();
                found.extend(batch.messages.iter().map(read));
            }
        }
    });
    waited.await.expect("records are put out");
    found
}

async fn again(running: &Running, envelope: &Envelope, fire: bool) {
    let newest = running.store.table_versions(&envelope.tenant).await.unwrap().newest();
    let command = Command::enrich(envelope.clone(), newest, fire).to_bytes().unwrap();
    running.append(envelope.tenant.as_str(), String::from_utf8(command).unwrap()).await;
}

#[tokio::test]
async fn a_record_is_enriched_again_on_request_and_only_where_it_differs() {
    let folder = folder();
    let mut running = start(folder.path(), "aggregate").await;
    running.load_tables();
    call(&running, "acme", "first", 1).await;
    let first = envelopes(&running, 1).await.remove(0);
    assert!(first.cdr.directory_matches.is_empty() && first.tables.is_empty());
    again(&running, &first, false).await;
    running.until_read("aggregate").await;
    with_contacts(folder.path(), "acme").await;
    // Whoever keeps the tables has not seen the first one of this tenant yet, or has.
    for _ in 0..3 {
        again(&running, &first, false).await;
    }
    call(&running, "acme", "second", 2).await;
    let mut all = envelopes(&running, 3).await;
    all.retain(|envelope| envelope.session == first.session);
    let [before, after] = &*all else { panic!("one revision however often it was asked for: {all:?}") };
    assert_eq!(before, &first);
    assert_eq!((after.rev, after.cdr.rev, after.quiet), (2, 2, true));
    assert_eq!(after.cdr.directory_matches.len(), 1);
    assert!(after.tables.contains_key("contacts"));
    // Who knows the last revision may ask again; nothing differs.
    again(&running, after, true).await;
    call(&running, "acme", "third", 3).await;
    assert_eq!(envelopes(&running, 4).await.len(), 4);
    running.stop().await;
}

#[tokio::test]
async fn a_command_that_cannot_be_read_is_a_dead_letter() {
    let folder = folder();
    let running = start(folder.path(), "aggregate").await;
    running.append("acme", r#"{"command":"explode","v":1}"#.to_owned()).await;
    running.until_read("aggregate").await;
    assert_eq!(running.store.stats().await.unwrap().dead_letters, 1);
    running.stop().await;
}

#[tokio::test]
async fn a_record_that_waits_survives_a_crash() {
    let folder = folder();
    with_contacts(folder.path(), "acme").await;
    let running = start(folder.path(), "aggregate").await;
    call(&running, "acme", "first", 1).await;
    call(&running, "other", "first", 1).await;
    assert_eq!(running.records(1).await, ["other rev 1: 1 legs"]);
    let waiting = || running.metrics.records_held.get();
    let waited = tokio::time::timeout(LONG, async {
        while waiting() == 0 {
            tokio::task::yield_now().await;
        }
    });
    waited.await.expect("the record waits");
    running.crash().await;
    let mut running = start(folder.path(), "aggregate").await;
    running.load_tables();
    let mut all = running.records(2).await;
    all.sort();
    assert_eq!(all, ["acme rev 1: 1 legs, Ann", "other rev 1: 1 legs"]);
    running.stop().await;
}
