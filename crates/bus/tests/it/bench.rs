//! The embedded log in a temporary folder, and short words for what tests do with any log.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use ringpost_bus::{
    Assignment, Batch, Clock, Commit, Config, Embedded, Event, Keep, Log, Output, Partition, Record,
    StateChange, Subscription, Topic, Worker,
};
use tokio::task::JoinHandle;

pub(crate) const PARTITIONS: u32 = 3;
/// Long enough for a loaded machine; what is awaited comes at once.
pub(crate) const PATIENT: Duration = Duration::from_secs(60);
pub(crate) const HASTY: Duration = Duration::from_millis(1);

/// What a backend has to offer to be tested.
pub(crate) trait Backend {
    type Log: Log;
    /// Opens the log; a second time: as the process does after a restart. Topics `in` and `out` keep records for
    /// an hour, `state` keeps state; all have [`PARTITIONS`] partitions.
    async fn open(&mut self) -> Self::Log;
    /// Sets the wall clock.
    fn set_clock(&self, now: i64);
    /// Whether the log itself stamps records, whatever time their sender tells.
    fn stamps(&self) -> bool {
        false
    }
}

/// The embedded log. A folder that goes with it.
pub(crate) struct Bench {
    folder: tempfile::TempDir,
    now: Arc<AtomicI64>,
    pub(crate) adjust: fn(&mut Config),
    journal: Option<JoinHandle<()>>,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(adjust: fn(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { folder, now: Arc::default(), adjust, journal: None }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn config(&self, folder: &Path) -> Config {
        let now = Arc::clone(&self.now);
        let mut config = config(folder, Arc::new(move || now.load(Ordering::Relaxed)));
        (self.adjust)(&mut config);
        config
    }
}

impl Backend for Bench {
    type Log = Embedded;

    async fn open(&mut self) -> Embedded {
        if let Some(former) = self.journal.take() {
            // It ends when the last handle is gone, which is what a test has to see to.
            former.await.unwrap();
        }
        let (log, journal) = Embedded::open(self.config(self.folder())).await.unwrap();
        self.journal = Some(tokio::spawn(journal.run()));
        log
    }

    fn set_clock(&self, now: i64) {
        self.now.store(now, Ordering::Relaxed);
    }
}

pub(crate) fn config(folder: &Path, clock: Clock) -> Config {
    let topic = |name: &str, keep| Topic { name: name.to_owned(), partitions: PARTITIONS, keep };
    let hour = Keep::For(Duration::from_secs(3_600));
    let topics = vec![topic("in", hour), topic("out", hour), topic("state", Keep::Latest)];
    Config::new(folder.to_owned(), topics, clock)
}

pub(crate) fn record(key: &str, value: &str) -> Record {
    Record { key: key.to_owned().into(), value: value.to_owned().into(), timestamp: 0 }
}

pub(crate) fn reader(group: &str, topic: &str) -> Subscription {
    Subscription { group: group.to_owned(), topics: vec![topic.to_owned()], state: None }
}

pub(crate) fn keeper(group: &str, topic: &str) -> Subscription {
    Subscription { state: Some("state".to_owned()), ..reader(group, topic) }
}

pub(crate) fn output(topic: &str, records: Vec<Record>) -> Output {
    Output { topic: topic.to_owned(), records }
}

pub(crate) fn change(partition: Partition, key: &str, value: Option<&str>) -> StateChange {
    let value = value.map(|value| value.to_owned().into());
    StateChange { partition, key: key.to_owned().into(), value }
}

pub(crate) fn done_with(batch: &Batch) -> Commit {
    Commit { positions: vec![batch.position()], ..Commit::default() }
}

pub(crate) fn texts(batch: &Batch) -> Vec<String> {
    let text = |value: &[u8]| String::from_utf8(value.to_vec()).unwrap();
    batch.messages.iter().map(|message| text(&message.value)).collect()
}

/// Everything that happens until the worker is idle.
pub(crate) async fn until_idle(worker: &mut impl Worker) -> Vec<Event> {
    let mut events = Vec::new();
    loop {
        match worker.next(HASTY).await.unwrap() {
            Event::Idle(_) => return events,
            event => events.push(event),
        }
    }
}

/// The next so many partitions that a worker is given; groups take their time to agree.
pub(crate) async fn until_assigned(worker: &mut impl Worker, count: usize) -> Vec<Assignment> {
    let mut assigned = Vec::new();
    while assigned.len() < count {
        match worker.next(HASTY).await.unwrap() {
            Event::Assigned(assignment) => assigned.push(assignment),
            Event::Idle(_) | Event::AtEnd(..) => {}
            event => panic!("unexpected {event:?}"),
        }
    }
    assigned
}

/// The next partitions that a worker is told to give up.
pub(crate) async fn until_revoked(worker: &mut impl Worker) -> Vec<Partition> {
    loop {
        match worker.next(HASTY).await.unwrap() {
            Event::Revoked(partitions) => return partitions,
            Event::Idle(_) | Event::AtEnd(..) => {}
            event => panic!("unexpected {event:?}"),
        }
    }
}

/// The batches among events.
pub(crate) fn batches(events: Vec<Event>) -> Vec<Batch> {
    let batch = |event| if let Event::Records(batch) = event { Some(batch) } else { None };
    events.into_iter().filter_map(batch).collect()
}

/// The values that a group reads from a topic, from where it stands to the end, by partition and order.
pub(crate) async fn read_all(log: &impl Log, group: &str, topic: &str) -> Vec<String> {
    let mut worker = log.worker(reader(group, topic)).await.unwrap();
    let mut read = batches(until_idle(&mut worker).await);
    read.sort_by_key(|batch| (batch.partition, batch.messages[0].offset));
    read.iter().flat_map(texts).collect()
}

/// The state that a worker gets, by key.
pub(crate) async fn state(log: &impl Log, group: &str) -> Vec<(String, String)> {
    let mut worker = log.worker(keeper(group, "in")).await.unwrap();
    let mut entries = Vec::new();
    for event in until_idle(&mut worker).await {
        if let Event::Assigned(assignment) = event {
            entries.extend(assignment.state);
        }
    }
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let mut pairs: Vec<_> = entries.iter().map(|entry| (text(&entry.key), text(&entry.value))).collect();
    pairs.sort();
    pairs
}
