//! A worker that counts: each record of a key is answered by "key:n" in `out`, and n is its state. So a record lost,
//! repeated, out of order, or state that is not the one committed with it, shows in what `out` holds.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use ringpost_bus::{Batch, Commit, Error, Event, Kafka, Log, Partition, Worker};
use tokio::sync::oneshot;

use crate::bench::{change, done_with, keeper, output, record};

/// Longer than any test takes to look.
const PATIENCE: Duration = Duration::from_millis(200);

type Counts = BTreeMap<Partition, HashMap<String, u64>>;

/// Counts until it is stopped; a worker that has come to its end is followed by a new one. Tells what it does.
pub(crate) async fn count(log: Kafka, mut stop: oneshot::Receiver<()>, told: impl Fn(String)) {
    loop {
        match one_worker(&log, &mut stop, &told).await {
            Ok(()) => return,
            Err(error) if error.wants_new_worker() => told(format!("over {error}")),
            Err(error) => panic!("{error}"),
        }
    }
}

async fn one_worker(
    log: &Kafka,
    stop: &mut oneshot::Receiver<()>,
    told: &impl Fn(String),
) -> Result<(), Error> {
    let mut worker = log.worker(keeper("counter", "in")).await?;
    let mut counts = Counts::new();
    loop {
        let event = tokio::select! {
            biased;
            // Whoever would stop it is gone, or has asked for it.
            _ = &mut *stop => return Ok(()),
            event = worker.next(PATIENCE) => event?,
        };
        match event {
            Event::Assigned(assignment) => {
                let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
                let entries = assignment.state.iter();
                let entries = entries.map(|entry| (text(&entry.key), text(&entry.value).parse().unwrap()));
                counts.insert(assignment.partition, entries.collect());
                told(format!("assigned {}", assignment.partition));
            }
            Event::Revoked(partitions) => {
                partitions.iter().for_each(|partition| drop(counts.remove(partition)));
                told(format!("revoked {}", partitions.len()));
            }
            Event::Records(batch) => {
                let commit = answer(&mut counts, &batch);
                told("committing".to_owned());
                while let Err(error) = worker.commit(commit.clone()).await {
                    if !error.is_temporary() {
                        return Err(error);
                    }
                    told(format!("again {error}"));
                    tokio::task::yield_now().await;
                }
                told(format!("committed {}", batch.messages.len()));
            }
            Event::Idle(_) | Event::AtEnd(..) => {}
        }
    }
}

fn answer(counts: &mut Counts, batch: &Batch) -> Commit {
    let counts = counts.get_mut(&batch.partition).expect("it is assigned");
    let (mut answers, mut changes) = (Vec::new(), Vec::new());
    for message in &batch.messages {
        let key = std::str::from_utf8(&message.key).unwrap();
        let count = counts.entry(key.to_owned()).or_default();
        *count += 1;
        answers.push(record(key, &format!("{key}:{count}")));
        changes.push(change(batch.partition, key, Some(&count.to_string())));
    }
    Commit { outputs: vec![output("out", answers)], changes, ..done_with(batch) }
}

/// What must be in `out` after so many records of each of so many keys.
pub(crate) fn assert_counted(answers: &[String], keys: usize, each: u64) {
    let mut seen: HashMap<&str, u64> = HashMap::new();
    for answer in answers {
        let (key, n) = answer.split_once(':').unwrap();
        let last = seen.entry(key).or_default();
        assert_eq!(n.parse::<u64>().unwrap(), *last + 1, "of {key}, after {last}");
        *last += 1;
    }
    assert_eq!(seen.len(), keys);
    assert!(seen.values().all(|n| *n == each), "{seen:?}");
}
