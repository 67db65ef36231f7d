//! What every backend does. Each test is a function over [`Backend`]; a backend takes them all.

use ringpost_bus::{
    Commit, Error, Event, Log, Offset, Partition, Position, Subscription, Worker, partition_of,
};

use crate::bench::{
    Backend, Bench, HASTY, PARTITIONS, PATIENT, batches, change, done_with, keeper, output, read_all, reader,
    record, state, texts, until_assigned, until_idle, until_revoked,
};

macro_rules! suite {
    ($backend:expr => $($test:ident)*) => {
        $(
            #[tokio::test]
            async fn $test() {
                // A backend that is not here was told to be missing.
                if let Some(backend) = $backend {
                    super::$test(backend).await;
                }
            }
        )*
    };
}

/// Every test of the suite, on a backend.
macro_rules! on_every {
    ($backend:expr) => {
        suite! { $backend =>
            records_come_back_as_they_were_in_the_order_of_their_keys
            offsets_have_no_gaps_and_go_on_after_a_restart
            a_worker_goes_on_where_its_group_committed
            what_was_read_but_not_committed_comes_again
            output_state_and_position_appear_together
            a_commit_with_one_bad_part_does_nothing
            state_is_the_newest_value_of_each_key
            one_that_only_writes_keeps_how_far_it_has_come_with_what_it_wrote
            an_append_wakes_a_reader_that_waits
            idle_is_told_only_at_the_end_with_the_time_of_then
            a_quiet_partition_is_told_to_be_at_its_end_while_another_is_busy
            two_workers_share_the_partitions_and_hand_them_over
            a_worker_that_lost_a_partition_cannot_commit_for_it
            a_worker_that_is_gone_leaves_its_partitions_to_the_others
            groups_do_not_see_each_other
            a_position_never_goes_back
            what_cannot_be_stored_is_refused_by_name
        }
    };
}

mod embedded {
    use super::Bench;

    on_every!(Some(Bench::new()));
}

#[cfg(feature = "kafka")]
mod kafka {
    use crate::kafka::Brokers;

    on_every!(Brokers::find());
}

async fn records_come_back_as_they_were_in_the_order_of_their_keys<B: Backend>(mut backend: B) {
    let log = backend.open().await;
    let keys = ["acme", "globex", "initech", "umbrella"];
    let mut sent = Vec::new();
    for turn in 0..5 {
        sent.extend(keys.map(|key| record(key, &format!("{key} {turn}"))));
    }
    sent[0].timestamp = 1_773_133_200_123_456;
    let places = log.append("in", sent.clone()).await.unwrap();
    let mut worker = log.worker(reader("g", "in")).await.unwrap();
    let mut read = Vec::new();
    for batch in batches(until_idle(&mut worker).await) {
        for message in batch.messages {
            let at = places.iter().position(|place| *place == (batch.partition, message.offset)).unwrap();
            assert_eq!(message.key, sent[at].key);
            assert_eq!(message.value, sent[at].value);
            if !backend.stamps() {
                assert_eq!(message.timestamp, sent[at].timestamp);
            }
            assert_eq!(batch.partition, partition_of(&message.key, PARTITIONS), "Java's partitioner");
            read.push(at);
        }
    }
    read.sort_unstable();
    assert_eq!(read, (0..sent.len()).collect::<Vec<_>>(), "each once");
}

async fn offsets_have_no_gaps_and_go_on_after_a_restart<B: Backend>(mut backend: B) {
    let mut offsets = Vec::new();
    for _ in 0..3 {
        let log = backend.open().await;
        for _ in 0..3 {
            let places = log.append("in", vec![record("acme", "x"), record("acme", "y")]).await.unwrap();
            offsets.extend(places.into_iter().map(|(_, offset)| offset.0));
        }
    }
    assert_eq!(offsets, (0..18).collect::<Vec<_>>());
}

async fn a_worker_goes_on_where_its_group_committed<B: Backend>(mut backend: B) {
    let log = backend.open().await;
    log.append("in", (0..6).map(|i| record("acme", &i.to_string())).collect()).await.unwrap();
    let mut worker = log.worker(reader("g", "in")).await.unwrap();
    let batch = batches(until_idle(&mut worker).await).remove(0);
    // Only the first four are dealt with: a position may be in the middle of what was written at once.
    let position = Position { next: Offset(4), ..batch.position() };
    worker.commit(Commit { positions: vec![position], ..Commit::default() }).await.unwrap();
    drop((worker, log));
    let log = backend.open().await;
    assert_eq!(read_all(&log, "g", "in").await, ["4", "5"]);
}

async fn what_was_read_but_not_committed_comes_again<B: Backend>(mut backend: B) {
    let log = backend.open().await;
    log.append("in", vec![record("acme", "1")]).await.unwrap();
    for _ in 0..3 {
        assert_eq!(read_all(&log, "g", "in").await, ["1"]);
    }
}

async fn output_state_and_position_appear_together<B: Backend>(mut backend: B) {
    let log = backend.open().await;
    log.append("in", vec![record("acme", "leg")]).await.unwrap();
    let mut worker = log.worker(keeper("g", "in")).await.unwrap();
    let batch = batches(until_idle(&mut worker).await).remove(0);
    let commit = Commit {
        outputs: vec![output("out", vec![record("acme", "cdr")])],
        changes: vec![change(batch.partition, "call", Some("closed"))],
        ..done_with(&batch)
    };
    worker.commit(commit).await.unwrap();
    drop((worker, log));
    let log = backend.open().await;
    assert_eq!(read_all(&log, "other", "out").await, ["cdr"]);
    assert_eq!(state(&log, "g").await, [("call".to_owned(), "closed".to_owned())]);
    assert!(read_all(&log, "g", "in").await.is_empty());
}

async fn a_commit_with_one_bad_part_does_nothing<B: Backend>(mut backend: B) {
    let log = backend.open().await;
    log.append("in", vec![record("acme", "leg")]).await.unwrap();
    let mut worker = log.worker(keeper("g", "in")).await.unwrap();
    let batch = batches(until_idle(&mut worker).await).remove(0);
    let good = Commit {
        outputs: vec![output("out", vec![record("acme", "cdr")])],
        changes: vec![change(batch.partition, "call", Some("closed"))],
        ..done_with(&batch)
    };
    let bad_topic = output("nowhere", vec![record("acme", "x")]);
    let too_large = output("out", vec![record("acme", &"x".repeat(2 << 20))]);
    for bad in [bad_topic, too_large] {
        let mut commit = good.clone();
        commit.outputs.push(bad);
        assert!(!worker.commit(commit).await.unwrap_err().is_temporary());
    }
    let mut foreign = good.clone();
    foreign.changes.push(change(Partition(PARTITIONS), "call", None));
    assert!(matches!(worker.commit(foreign).await, Err(Error::Fenced { .. })));
    drop(worker);
    assert!(read_all(&log, "other", "out").await.is_empty());
    assert!(state(&log, "g").await.is_empty());
    assert_eq!(read_all(&log, "g", "in").await, ["leg"], "the position has not moved");
}

async fn state_is_the_newest_value_of_each_key<B: Backend>(mut backend: B) {
    let log = backend.open().await;
    let mut worker = log.worker(keeper("g", "in")).await.unwrap();
    until_idle(&mut worker).await;
    let steps = [
        vec![change(Partition(0), "a", Some("1")), change(Partition(1), "a", Some("other partition"))],
        vec![change(Partition(0), "b", Some("1")), change(Partition(0), "a", Some("2"))],
        // Of several changes of one key in one commit the last holds.
        vec![
            change(Partition(0), "b", None),
            change(Partition(0), "a", None),
            change(Partition(0), "a", Some("3")),
        ],
    ];
    for changes in steps {
        worker.commit(Commit { changes, ..Commit::default() }).await.unwrap();
    }
    drop((worker, log));
    let log = backend.open().await;
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    assert_eq!(state(&log, "g").await, [pair("a", "3"), pair("a", "other partition")]);
}

/// What it reads is not in the log: a file, a device.
async fn one_that_only_writes_keeps_how_far_it_has_come_with_what_it_wrote<B: Backend>(mut backend: B) {
    let log = backend.open().await;
    let subscription = || Subscription { topics: Vec::new(), ..keeper("files", "in") };
    let mut worker = log.worker(subscription()).await.unwrap();
    let assigned = until_idle(&mut worker).await;
    assert_eq!(assigned.len(), PARTITIONS as usize, "{assigned:?}");
    let outputs = vec![output("in", vec![record("acme", "line 1")])];
    let changes = vec![change(Partition(0), "a.log", Some("7"))];
    worker.commit(Commit { outputs, changes, ..Commit::default() }).await.unwrap();
    drop((worker, log));
    let log = backend.open().await;
    assert_eq!(read_all(&log, "g", "in").await, ["line 1"]);
    let mut worker = log.worker(subscription()).await.unwrap();
    let kept = until_idle(&mut worker).await.into_iter().find_map(|event| match event {
        Event::Assigned(one) if one.partition == Partition(0) => Some(one.state),
        _ => None,
    });
    let kept = kept.unwrap();
    assert_eq!((&kept[0].key[..], &kept[0].value[..]), (&b"a.log"[..], &b"7"[..]));
}

async fn an_append_wakes_a_reader_that_waits<B: Backend>(mut backend: B) {
    let log = backend.open().await;
    let mut worker = log.worker(reader("g", "in")).await.unwrap();
    until_idle(&mut worker).await;
    let waiting = tokio::spawn(async move { worker.next(PATIENT).await });
    tokio::task::yield_now().await;
    log.append("in", vec![record("acme", "1")]).await.unwrap();
    let Event::Records(batch) = waiting.await.unwrap().unwrap() else { panic!("it waited for nothing") };
    assert_eq!(texts(&batch), ["1"]);
}

async fn idle_is_told_only_at_the_end_with_the_time_of_then<B: Backend>(mut backend: B) {
    backend.set_clock(1_000);
    let log = backend.open().await;
    log.append("in", (0..50).map(|i| record(&i.to_string(), "x")).collect()).await.unwrap();
    let mut worker = log.worker(reader("g", "in")).await.unwrap();
    let mut read = 0;
    backend.set_clock(2_000);
    while read < 50 {
        match worker.next(HASTY).await.unwrap() {
            Event::Records(batch) => read += batch.messages.len(),
            Event::Idle(_) => panic!("idle with {read} of 50 read"),
            _ => {}
        }
    }
    assert_eq!(worker.next(HASTY).await.unwrap(), Event::Idle(2_000));
    backend.set_clock(3_000);
    assert_eq!(worker.next(HASTY).await.unwrap(), Event::Idle(3_000));
}

async fn a_quiet_partition_is_told_to_be_at_its_end_while_another_is_busy<B: Backend>(mut backend: B) {
    backend.set_clock(1_000);
    let log = backend.open().await;
    let mut worker = log.worker(reader("g", "in")).await.unwrap();
    until_idle(&mut worker).await;
    let at = log.append("in", vec![record("busy", "x")]).await.unwrap()[0].0;
    let mut told = 1_000;
    for step in 1..=if backend.stamps() { 200 } else { 10 } {
        backend.set_clock(1_000 + step * 500);
        log.append("in", vec![record("busy", "x")]).await.unwrap();
        match worker.next(HASTY).await.unwrap() {
            Event::AtEnd(now, partitions) => {
                assert!(!partitions.is_empty() && !partitions.contains(&at), "{partitions:?}");
                told = now;
            }
            // A broker may be so quick that even the busy one was read to its end, at a moment that is over.
            Event::Idle(now) if backend.stamps() => told = now,
            event => assert!(matches!(event, Event::Records(_)), "{event:?}"),
        }
    }
    assert!(told >= 2_000, "time of the quiet ones goes on, and is not left at {told}");
}

async fn two_workers_share_the_partitions_and_hand_them_over<B: Backend>(mut backend: B) {
    let log = backend.open().await;
    let mut first = log.worker(keeper("g", "in")).await.unwrap();
    // Alone it has all.
    until_assigned(&mut first, PARTITIONS as usize).await;
    let mut second = log.worker(keeper("g", "in")).await.unwrap();
    assert!(until_idle(&mut second).await.is_empty(), "nothing is free before the first lets go");
    let leaving = until_revoked(&mut first).await;
    // It still may, and must, commit what it has.
    let changes = leaving.iter().map(|partition| change(*partition, "mine", Some("1"))).collect();
    first.commit(Commit { changes, ..Commit::default() }).await.unwrap();
    assert!(until_idle(&mut first).await.is_empty());
    let mut moved = Vec::new();
    for assignment in until_assigned(&mut second, leaving.len()).await {
        assert_eq!(assignment.state.len(), 1, "it gets what the first has committed");
        moved.push(assignment.partition);
    }
    moved.sort_unstable();
    assert_eq!(moved, leaving);
}

async fn a_worker_that_lost_a_partition_cannot_commit_for_it<B: Backend>(mut backend: B) {
    let log = backend.open().await;
    let mut first = log.worker(keeper("g", "in")).await.unwrap();
    until_assigned(&mut first, PARTITIONS as usize).await;
    let _second = log.worker(keeper("g", "in")).await.unwrap();
    let leaving = until_revoked(&mut first).await;
    until_idle(&mut first).await;
    let changes = vec![change(leaving[0], "late", Some("1"))];
    let error = first.commit(Commit { changes, ..Commit::default() }).await.unwrap_err();
    assert!(matches!(&error, Error::Fenced { partition, .. } if *partition == leaving[0]), "{error}");
}

async fn a_worker_that_is_gone_leaves_its_partitions_to_the_others<B: Backend>(mut backend: B) {
    let log = backend.open().await;
    let mut first = log.worker(reader("g", "in")).await.unwrap();
    until_assigned(&mut first, PARTITIONS as usize).await;
    let mut second = log.worker(reader("g", "in")).await.unwrap();
    until_idle(&mut second).await;
    drop(first);
    until_assigned(&mut second, PARTITIONS as usize).await;
}

async fn groups_do_not_see_each_other<B: Backend>(mut backend: B) {
    let log = backend.open().await;
    log.append("in", vec![record("acme", "1")]).await.unwrap();
    let mut one = log.worker(reader("one", "in")).await.unwrap();
    let batch = batches(until_idle(&mut one).await).remove(0);
    one.commit(done_with(&batch)).await.unwrap();
    assert_eq!(read_all(&log, "two", "in").await, ["1"]);
}

async fn a_position_never_goes_back<B: Backend>(mut backend: B) {
    let log = backend.open().await;
    log.append("in", vec![record("acme", "1"), record("acme", "2")]).await.unwrap();
    let mut worker = log.worker(reader("g", "in")).await.unwrap();
    let batch = batches(until_idle(&mut worker).await).remove(0);
    worker.commit(done_with(&batch)).await.unwrap();
    // The same again is no mistake: an answer may have been lost.
    worker.commit(done_with(&batch)).await.unwrap();
    let back = Position { next: Offset(1), ..batch.position() };
    let error = worker.commit(Commit { positions: vec![back], ..Commit::default() }).await.unwrap_err();
    assert!(matches!(error, Error::Backwards { asked: 1, committed: 2, .. }), "{error}");
}

async fn what_cannot_be_stored_is_refused_by_name<B: Backend>(mut backend: B) {
    let log = backend.open().await;
    let error = log.append("nowhere", vec![record("a", "b")]).await.unwrap_err();
    assert_eq!(error.to_string(), "use topic nowhere: there is no such topic");
    let error = log.append("state", vec![record("a", "b")]).await.unwrap_err();
    assert!(error.to_string().contains("it keeps state"), "{error}");
    let error = log.append("in", vec![record("a", &"x".repeat(2 << 20))]).await.unwrap_err();
    assert!(error.to_string().contains("at most 1048576 are taken"), "{error}");
    assert!(!error.is_temporary(), "the same record will never fit");
    assert!(log.append("in", Vec::new()).await.unwrap().is_empty());
}
