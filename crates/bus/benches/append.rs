//! What it costs to append, and to consume, process and produce: CPU seconds for 1,000 records, which repeat, and the
//! rate, which the disk and the neighbours decide.
//!
//! `cargo bench -p ringpost-bus`

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ringpost_bus::{
    Commit, Config, Embedded, Event, Keep, Log, Output, Record, StateChange, Subscription, Topic, Worker,
};

const RECORDS: usize = 100_000;
const PARTITIONS: u32 = 8;
/// Connections of a busy intake.
const APPENDERS: usize = 64;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let folder = tempfile::tempdir().expect("a folder");
    runtime.block_on(async {
        let (log, journal) = Embedded::open(config(folder.path())).await.expect("a journal");
        let journal = tokio::spawn(journal.run());
        for (name, many) in [("one record a call", 1), ("20 records a call", 20)] {
            let (records, measured) = (RECORDS / 2, Measured::begin());
            append(&log, records, many).await;
            let commits = log.metrics().commits.get();
            measured.tell(&format!("append, {APPENDERS} at a time, {name}"), records);
            println!("  {commits} transactions so far");
        }
        let measured = Measured::begin();
        let read = process(&log, false).await;
        measured.tell("read", read);
        let measured = Measured::begin();
        let read = process(&log, true).await;
        measured.tell("read, write one output for four, keep state", read);
        drop(log);
        journal.await.expect("an orderly end");
    });
}

fn config(folder: &Path) -> Config {
    let topic = |name: &str, keep| Topic { name: name.to_owned(), partitions: PARTITIONS, keep };
    let day = Keep::For(Duration::from_secs(86_400));
    let topics = vec![topic("in", day), topic("out", day), topic("state", Keep::Latest)];
    Config::new(folder.to_owned(), topics, Arc::new(|| 0))
}

fn record(n: usize) -> Record {
    Record { key: format!("tenant-{}", n % 50).into(), value: vec![b'x'; 1_000].into(), timestamp: 0 }
}

async fn append(log: &Embedded, records: usize, many: usize) {
    let mut tasks = Vec::new();
    for appender in 0..APPENDERS {
        let log = log.clone();
        tasks.push(tokio::spawn(async move {
            for call in 0..records / APPENDERS / many {
                let some = (0..many).map(|n| record(appender * 7 + call * many + n)).collect();
                log.append("in", some).await.expect("appended");
            }
        }));
    }
    for task in tasks {
        task.await.expect("an appender");
    }
}

async fn process(log: &Embedded, writes: bool) -> usize {
    let state = writes.then(|| "state".to_owned());
    let subscription =
        Subscription { group: format!("writes {writes}"), topics: vec!["in".to_owned()], state };
    let mut worker = log.worker(subscription).await.expect("a worker");
    let mut read = 0;
    loop {
        let batch = match worker.next(Duration::from_millis(1)).await.expect("an event") {
            Event::Records(batch) => batch,
            Event::Idle(_) => return read,
            _ => continue,
        };
        read += batch.messages.len();
        if !writes {
            continue;
        }
        let every_fourth = batch.messages.iter().step_by(4);
        let records = every_fourth.map(|message| Record {
            key: message.key.clone(),
            value: message.value.clone(),
            timestamp: 0,
        });
        let outputs = vec![Output { topic: "out".to_owned(), records: records.collect() }];
        let changes = batch.messages.iter().step_by(4).map(|message| StateChange {
            partition: batch.partition,
            key: message.offset.0.to_be_bytes().to_vec().into(),
            value: Some(message.value.slice(..300)),
        });
        let changes = changes.collect();
        let commit = Commit { positions: vec![batch.position()], outputs, changes };
        worker.commit(commit).await.expect("committed");
    }
}

struct Measured {
    begun: Instant,
    cpu: f64,
}

impl Measured {
    fn begin() -> Self {
        Self { begun: Instant::now(), cpu: cpu_seconds() }
    }

    fn tell(self, name: &str, records: usize) {
        let (took, used) = (self.begun.elapsed().as_secs_f64(), cpu_seconds() - self.cpu);
        let thousands = records as f64 / 1_000.0;
        println!("{name}: {:.0}/s, {:.4} CPU s per 1,000", records as f64 / took, used / thousands);
    }
}

/// User and system time of this process, by the kernel's ticks of 10 ms.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok()).unwrap_or_default();
    (ticks(11) + ticks(12)) / 100.0
}
