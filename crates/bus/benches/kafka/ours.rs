//! The worker, used as `aggregate` uses it.

use std::time::Duration;

use ringpost_bus::{Batch, Commit, Event, Log, Output, Record, StateChange, Subscription, Worker};
use tokio::time::{Instant, timeout_at};

use crate::load::{Filled, make, parse};
use crate::{LEGS, MOST, PER_CALL};

const PATIENCE: Duration = Duration::from_millis(500);

/// Reads all legs; tells how many transactions it took.
pub(crate) async fn run(filled: &Filled, interval: Duration) -> usize {
    let (topics, state) = (vec!["in".to_owned()], Some("state".to_owned()));
    let what = Subscription { group: format!("ours-{}", interval.as_millis()), topics, state };
    let mut worker = filled.log.worker(what).await.expect("a worker");
    let (mut read, mut transactions) = (0, 0);
    while read < LEGS {
        let Ok(Event::Records(first)) = worker.next(PATIENCE).await else { continue };
        let until = Instant::now() + interval;
        let (mut commit, mut gathered) = (Commit::default(), 0);
        let mut output = Vec::new();
        let mut batch = first;
        loop {
            gathered += batch.messages.len();
            handle(&batch, read, &mut output, &mut commit);
            read += batch.messages.len();
            if gathered >= MOST || read >= LEGS || Instant::now() >= until {
                break;
            }
            match timeout_at(until, worker.next(PATIENCE)).await {
                Ok(Ok(Event::Records(next))) => batch = next,
                _ => break,
            }
        }
        commit.outputs.push(Output { topic: "out".to_owned(), records: output });
        worker.commit(commit).await.expect("committed");
        transactions += 1;
    }
    transactions
}

fn handle(batch: &Batch, before: usize, output: &mut Vec<Record>, commit: &mut Commit) {
    for (at, message) in batch.messages.iter().enumerate() {
        let leg = parse(&message.value);
        if (before + at).is_multiple_of(PER_CALL) {
            let made = make(&leg, &message.value);
            output.push(Record { key: made.key.into(), value: made.record.into(), timestamp: 0 });
            let (key, value) = (made.state_key.into(), Some(made.state.into()));
            commit.changes.push(StateChange { partition: batch.partition, key, value });
        }
    }
    commit.positions.retain(|position| position.partition != batch.partition);
    commit.positions.push(batch.position());
}
