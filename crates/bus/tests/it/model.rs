//! Random histories of appends, commits and restarts, against a plain list.

use proptest::prelude::*;
use ringpost_bus::{Commit, Event, Log, Worker};

use crate::bench::{
    Backend, Bench, batches, change, done_with, keeper, output, read_all, record, state, texts, until_idle,
};

#[derive(Debug, Clone)]
enum Step {
    Append(Vec<u8>),
    /// Read up to so many batches, and commit them with an output and a state change each.
    Process(usize),
    /// Read so many batches, and forget it.
    Abandon(usize),
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => prop::collection::vec(0..6_u8, 1..8).prop_map(Step::Append),
        2 => (1..4_usize).prop_map(Step::Process),
        1 => (1..4_usize).prop_map(Step::Abandon),
        1 => Just(Step::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever happens, each record of `in` is answered by exactly one of `out`, in the order of its key.
    #[test]
    fn every_record_is_processed_exactly_once(steps in prop::collection::vec(step(), 1..14)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(run(steps));
    }
}

async fn run(steps: Vec<Step>) {
    let mut bench = Bench::with(|config| config.batch_records = 3);
    let mut log = bench.open().await;
    let mut sent: Vec<(u8, String)> = Vec::new();
    for step in steps {
        match step {
            Step::Append(keys) => {
                let first = sent.len();
                sent.extend(keys.into_iter().zip(first..).map(|(key, at)| (key, format!("{key}:{at}"))));
                let records =
                    sent[first..].iter().map(|(key, value)| record(&key.to_string(), value)).collect();
                log.append("in", records).await.unwrap();
            }
            Step::Process(count) => process(&log, count, true).await,
            Step::Abandon(count) => process(&log, count, false).await,
            Step::Restart => {
                drop(log);
                log = bench.open().await;
            }
        }
    }
    process(&log, usize::MAX, true).await;
    let answered = read_all(&log, "check", "out").await;
    for key in 0..6 {
        let of_key = |values: &[String]| -> Vec<String> {
            values.iter().filter(|value| value.starts_with(&format!("{key}:"))).cloned().collect()
        };
        let expected: Vec<String> = sent.iter().map(|(_, value)| value.clone()).collect();
        assert_eq!(of_key(&answered), of_key(&expected), "answers for key {key}");
    }
    let last = state(&log, "g").await;
    let mut keys: Vec<_> = sent.iter().map(|(key, _)| key.to_string()).collect();
    keys.sort();
    keys.dedup();
    assert_eq!(last.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>(), keys);
    for (key, value) in last {
        let newest = sent.iter().rev().find(|(sent_key, _)| sent_key.to_string() == key).unwrap();
        assert_eq!(value, newest.1, "state of key {key}");
    }
}

async fn process(log: &impl Log, count: usize, commit: bool) {
    let mut worker = log.worker(keeper("g", "in")).await.unwrap();
    if !commit {
        for _ in 0..count {
            if let Event::Idle(_) = worker.next(crate::bench::HASTY).await.unwrap() {
                return;
            }
        }
        return;
    }
    for batch in batches(until_idle(&mut worker).await).into_iter().take(count) {
        let records = batch.messages.iter().zip(texts(&batch));
        let key = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let (mut outputs, mut changes) = (Vec::new(), Vec::new());
        for (message, value) in records {
            outputs.push(record(&key(&message.key), &value));
            changes.push(change(batch.partition, &key(&message.key), Some(&value)));
        }
        let outputs = vec![output("out", outputs)];
        worker.commit(Commit { outputs, changes, ..done_with(&batch) }).await.unwrap();
    }
}
