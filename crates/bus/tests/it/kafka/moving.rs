//! To topics with another number of partitions: all that was not read, and the newest state; nothing of the old topics
//! changes, and whatever is in the way is told.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::message::{Header, Headers as _, Message as _, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use ringpost_bus::{
    Kafka, KafkaConfig, Log, Marker, Move, MoveError, OpenError, Partition, Route, Router, Tell, To, Worker,
    carry_out, discard, marker, partition_of, survey,
};

use crate::bench::{PARTITIONS, batches, change, done_with, keeper, output, read_all, record, until_idle};

use super::Brokers;

const WIDER: u32 = PARTITIONS + 4;
const MARKER: &str = "moved";
const PATIENCE: Duration = Duration::from_secs(10);

/// Partition, key, value, milliseconds, headers; in the order of each partition.
type Seen = (u32, String, String, i64, Vec<(String, String)>);

/// State goes where its key goes.
struct ByKey {
    partitions: u32,
    told: Arc<dyn Fn() + Send + Sync>,
}

impl Router for ByKey {
    fn route(&mut self, _: &str, _: Partition, key: &[u8], _: &[u8]) -> Result<Route, String> {
        (self.told)();
        let to = match key {
            b"strange" => return Err("nobody knows it".to_owned()),
            b"everywhere" => To::All,
            _ => To::One(partition_of(key, self.partitions)),
        };
        Ok(Route { kind: "count", key: Bytes::copy_from_slice(key), to })
    }

    fn kind(&self, _: &str, _: &[u8]) -> &'static str {
        "count"
    }

    fn rest(&mut self, _: &str) -> Vec<(Route, Bytes)> {
        Vec::new()
    }
}

fn by_key(told: impl Fn() + Send + Sync + 'static) -> Box<ByKey> {
    Box::new(ByKey { partitions: WIDER, told: Arc::new(told) })
}

fn silent() -> Tell {
    Arc::new(|_| {})
}

fn spec(brokers: &Brokers) -> Move {
    let from = brokers.config("mover");
    let mut to = from.clone();
    to.prefix = format!("{}wider.", from.prefix);
    to.topics.iter_mut().for_each(|topic| topic.partitions = WIDER);
    Move {
        from,
        to,
        replicas: None,
        unread: vec![("counter".to_owned(), "in".to_owned()), ("after".to_owned(), "out".to_owned())],
        states: vec!["state".to_owned()],
        of_others: "ingest-".to_owned(),
        marker: MARKER.to_owned(),
        note: "a note".into(),
    }
}

fn client(config: &KafkaConfig) -> ClientConfig {
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", &config.bootstrap);
    client
}

/// All of a topic that is committed, as it is on the brokers.
fn whole(config: &KafkaConfig, topic: &str, partitions: u32) -> Vec<Seen> {
    let named = format!("{}{topic}", config.prefix);
    let mut settings = client(config);
    settings.set("group.id", "nobody").set("enable.partition.eof", "true");
    let reader: BaseConsumer = settings.create().unwrap();
    let mut list = TopicPartitionList::new();
    for at in 0..partitions {
        list.add_partition_offset(&named, at as i32, Offset::Beginning).unwrap();
    }
    reader.assign(&list).unwrap();
    let (mut seen, mut left) = (Vec::new(), partitions);
    while left > 0 {
        match reader.poll(PATIENCE).expect("it reads to the end") {
            Err(rdkafka::error::KafkaError::PartitionEOF(_)) => left -= 1,
            message => {
                let message = message.unwrap();
                let text =
                    |bytes: Option<&[u8]>| String::from_utf8(bytes.unwrap_or_default().to_vec()).unwrap();
                let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
                let headers = headers.map(|header| (header.key.to_owned(), text(header.value))).collect();
                let millis = message.timestamp().to_millis().unwrap();
                let partition = message.partition() as u32;
                seen.push((partition, text(message.key()), text(message.payload()), millis, headers));
            }
        }
    }
    // Partitions come in any order.
    seen.sort_by_key(|(partition, ..)| *partition);
    seen
}

/// Counts of keys a to f, some of them changed and one deleted; half of the legs read, all stops.
async fn half_read(brokers: &mut Brokers) -> (Kafka, Vec<String>) {
    let log = brokers.start("a").await;
    let keys: Vec<String> = (0..12).map(|key| format!("key-{key}")).collect();
    let round = |number: u32| keys.iter().map(|key| record(key, &format!("{number}"))).collect::<Vec<_>>();
    for number in 0..3 {
        log.append("in", round(number)).await.unwrap();
    }
    let mut worker = log.worker(keeper("counter", "in")).await.unwrap();
    for batch in batches(until_idle(&mut worker).await) {
        let text = |bytes: &Bytes| String::from_utf8(bytes.to_vec()).unwrap();
        for message in &batch.messages {
            let (key, value) = (text(&message.key), text(&message.value));
            let kept = (key != "key-3").then(|| format!("{value} read"));
            let mut commit = done_with(&batch);
            commit.positions.clear();
            commit.outputs = vec![output("out", vec![record(&key, &format!("{key} {value}"))])];
            commit.changes = vec![change(batch.partition, &key, kept.as_deref())];
            worker.commit(commit).await.unwrap();
        }
        worker.commit(done_with(&batch)).await.unwrap();
    }
    drop(worker);
    // What nobody reads before the move: at another time, so that the order of times shows.
    for number in 3..6 {
        log.append("in", round(number)).await.unwrap();
    }
    (log, keys)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_not_read_and_the_newest_state_move_as_old_as_they_were_and_the_old_topics_stay() {
    let Some(mut brokers) = Brokers::find() else { return };
    let (log, keys) = half_read(&mut brokers).await;
    let what = spec(&brokers);
    let (from, to) = (what.from.clone(), what.to.clone());
    // One with headers, from another program.
    let producer: FutureProducer = client(&from).create().unwrap();
    let headers = OwnedHeaders::new().insert(Header { key: "pbx", value: Some("k1") });
    let named = format!("{}in", from.prefix);
    let sent = FutureRecord::to(&named).key("key-0").payload("with headers").partition(0).headers(headers);
    producer.send(sent, PATIENCE).await.unwrap();
    // A group that reads a topic of others, which is another one's whose name begins the same way.
    let group = |config: &KafkaConfig| format!("{}ingest-{}out", config.prefix, from.prefix);
    let others = format!("{}out", from.prefix);
    let of_others = |config: &KafkaConfig| -> BaseConsumer {
        client(config).set("group.id", group(config)).create().unwrap()
    };
    let mut position = TopicPartitionList::new();
    position.add_partition_offset(&others, 1, Offset::Offset(2)).unwrap();
    of_others(&from).commit(&position, CommitMode::Sync).unwrap();
    drop(log);

    let before = (whole(&from, "in", PARTITIONS), whole(&from, "state", PARTITIONS));
    let survey = survey(&what, PATIENCE).await.unwrap();
    assert_eq!((survey.partitions, &survey.refusals[..]), (PARTITIONS, &[][..]));
    let steps = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&steps);
    let tell: Tell =
        Arc::new(move |step| told.lock().unwrap().push((step.topic.to_owned(), step.done == step.of)));
    let moved = carry_out(&what, survey, by_key(|| {}), tell).await.unwrap();
    let counts: Vec<_> = moved.records.iter().map(|one| (one.topic.as_str(), one.old, one.new)).collect();
    assert_eq!(counts, [("in", 37, 37), ("out", 36, 36)]);
    assert_eq!(moved.states.iter().map(|one| (one.old, one.new)).collect::<Vec<_>>(), [(11, 11)]);
    assert!(steps.lock().unwrap().contains(&("in".to_owned(), true)), "it tells how far it is");

    // The old ones.
    assert_eq!((whole(&from, "in", PARTITIONS), whole(&from, "state", PARTITIONS)), before);
    // The new ones: the same records, each where its key belongs, in order, as old as they were.
    let moved = whole(&to, "in", WIDER);
    let unread = |seen: &Seen| seen.2.parse().map_or(true, |number: u32| number >= 3);
    let placed = |(_, key, value, millis, headers): Seen| {
        (partition_of(key.as_bytes(), WIDER).0, key, value, millis, headers)
    };
    let mut expected: Vec<Seen> = before.0.into_iter().filter(unread).map(placed).collect();
    let mut found = moved.clone();
    expected.sort();
    found.sort();
    assert_eq!(found, expected);
    let mut of_partition = BTreeMap::<u32, Vec<i64>>::new();
    let mut of_key = BTreeMap::<&String, Vec<&String>>::new();
    for (partition, key, value, millis, headers) in &moved {
        of_partition.entry(*partition).or_default().push(*millis);
        if headers.is_empty() {
            of_key.entry(key).or_default().push(value);
        }
    }
    assert!(of_partition.values().all(|times| times.is_sorted()), "time never goes back: {of_partition:?}");
    assert!(of_key.values().all(|values| *values == ["3", "4", "5"]), "{of_key:?}");

    // Whoever starts there goes on.
    let whole_again = Kafka::open(to.clone()).await.unwrap();
    let mut worker = whole_again.worker(keeper("counter", "in")).await.unwrap();
    let mut state = BTreeMap::new();
    let mut read = 0;
    for event in until_idle(&mut worker).await {
        match event {
            ringpost_bus::Event::Assigned(assignment) => {
                for entry in assignment.state {
                    assert_eq!(partition_of(&entry.key, WIDER), assignment.partition);
                    state.insert(entry.key, entry.value);
                }
            }
            ringpost_bus::Event::Records(batch) => read += batch.messages.len(),
            _ => {}
        }
    }
    assert_eq!(read, 37);
    let kept = keys.iter().filter(|key| *key != "key-3");
    let kept: BTreeMap<Bytes, Bytes> = kept.map(|key| (key.clone().into(), "2 read".into())).collect();
    assert_eq!(state, kept);
    let named = format!("{}in", to.prefix);
    let sent = FutureRecord::to(&named).key("key-0").payload("new").partition(0).timestamp(7);
    producer.send(sent, PATIENCE).await.unwrap();
    let stamped = whole(&to, "in", WIDER).into_iter().find(|seen| seen.2 == "new").unwrap();
    assert!(stamped.3 > 1_000_000_000_000, "from now on brokers say how old a record is: {stamped:?}");
    let mut asked = TopicPartitionList::new();
    for at in 0..3 {
        asked.add_partition(&others, at);
    }
    let goes_on = of_others(&to).committed_offsets(asked, PATIENCE).unwrap();
    let goes_on: Vec<Offset> = goes_on.elements().iter().map(|element| element.offset()).collect();
    assert_eq!(goes_on, [Offset::Invalid, Offset::Offset(2), Offset::Invalid]);
    assert_eq!(marker(&to, MARKER).await.unwrap(), Marker::Whole("a note".into()));
    let error = discard(&to, MARKER).await.unwrap_err();
    assert!(error.to_string().contains("may be in use"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_move_beside_which_somebody_writes_is_not_whole_and_can_be_discarded_and_begun_again() {
    let Some(mut brokers) = Brokers::find() else { return };
    let (log, _) = half_read(&mut brokers).await;
    let what = spec(&brokers);
    let found = survey(&what, PATIENCE).await.unwrap();
    let (runtime, late) = (tokio::runtime::Handle::current(), log.clone());
    let write = move || {
        runtime.block_on(late.append("in", vec![record("late", "late")])).unwrap();
    };
    let error = carry_out(&what, found, by_key(write), silent()).await.unwrap_err();
    assert!(matches!(&error, MoveError::Written { topic } if topic.ends_with(".in")), "{error}");

    // Nothing starts on what it has left, even where the marker may not be seen.
    assert_eq!(marker(&what.to, MARKER).await.unwrap(), Marker::Begun("a note".into()));
    let Err(OpenError::Brokers { mistakes }) = Kafka::open(what.to.clone()).await else {
        panic!("it opened")
    };
    assert!(mistakes[0].contains("message.timestamp.type=CreateTime"), "{mistakes:?}");
    let again = survey(&what, PATIENCE).await.unwrap();
    let [refusal] = &again.refusals[..] else { panic!("{:?}", again.refusals) };
    assert!(refusal.contains("was broken off") && refusal.contains("--discard"), "{refusal}");
    let error = carry_out(&what, again, by_key(|| {}), silent()).await.unwrap_err();
    assert!(matches!(error, MoveError::Refused(_)), "{error}");

    let deleted = discard(&what.to, MARKER).await.unwrap();
    assert_eq!(deleted.len(), 4, "{deleted:?}");
    assert_eq!(marker(&what.to, MARKER).await.unwrap(), Marker::None);
    let error = discard(&what.to, MARKER).await.unwrap_err();
    assert!(error.to_string().contains("nothing is deleted"), "{error}");
    let found = survey(&what, PATIENCE).await.unwrap();
    carry_out(&what, found, by_key(|| {}), silent()).await.unwrap();
    let copied = read_all(&Kafka::open(what.to.clone()).await.unwrap(), "counter", "in").await;
    assert!(copied.contains(&"late".to_owned()), "what was written meanwhile is there now: {copied:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_moved_while_a_group_has_members_or_onto_what_is_there() {
    let Some(mut brokers) = Brokers::find() else { return };
    let log = brokers.start("a").await;
    let what = spec(&brokers);
    let mut worker = log.worker(keeper("counter", "in")).await.unwrap();
    until_idle(&mut worker).await;
    let refusals = survey(&what, Duration::ZERO).await.unwrap().refusals;
    assert!(refusals.len() == 1 && refusals[0].contains("ringpost-a"), "{refusals:?}");
    drop(worker);

    let mut same = what.clone();
    same.to.topics.iter_mut().for_each(|topic| topic.partitions = PARTITIONS);
    let refusals = survey(&same, PATIENCE).await.unwrap().refusals;
    assert!(refusals.len() == 1 && refusals[0].contains("already"), "{refusals:?}");

    // Topics that an administrator has made are taken while they are empty, and as wide as they have to be.
    ringpost_bus::create_topics(&what.to, None).await.unwrap();
    assert_eq!(survey(&what, PATIENCE).await.unwrap().refusals, [""; 0]);
    let mut wider = what.clone();
    wider.to.topics.iter_mut().for_each(|topic| topic.partitions = WIDER + 1);
    let refusals = survey(&wider, PATIENCE).await.unwrap().refusals;
    assert!(refusals.len() == 3 && refusals[0].contains("has 7 partitions, not 8"), "{refusals:?}");
    log.append("in", vec![record("acme", "unread")]).await.unwrap();
    let mut strange = log.worker(keeper("counter", "in")).await.unwrap();
    let batch = batches(until_idle(&mut strange).await).remove(0);
    let changes = vec![change(batch.partition, "strange", Some("1"))];
    strange.commit(ringpost_bus::Commit { changes, ..Default::default() }).await.unwrap();
    drop(strange);
    let found = survey(&what, PATIENCE).await.unwrap();
    let error = carry_out(&what, found, by_key(|| {}), silent()).await.unwrap_err();
    assert!(matches!(&error, MoveError::Entry { reason, .. } if reason == "nobody knows it"), "{error}");
    discard(&what.to, MARKER).await.unwrap();

    // Into topics that others made, as old as they were.
    let mut worker = log.worker(keeper("counter", "in")).await.unwrap();
    until_idle(&mut worker).await;
    let changes =
        vec![change(batch.partition, "strange", None), change(batch.partition, "everywhere", Some("1"))];
    worker.commit(ringpost_bus::Commit { changes, ..Default::default() }).await.unwrap();
    drop(worker);
    ringpost_bus::create_topics(&what.to, None).await.unwrap();
    let found = survey(&what, PATIENCE).await.unwrap();
    let late = found.clone();
    let moved = carry_out(&what, found, by_key(|| {}), silent()).await.unwrap();
    let error = carry_out(&what, late, by_key(|| {}), silent()).await.unwrap_err();
    assert!(
        matches!(error, MoveError::Taken { .. }),
        "of two at once one is told to leave it alone: {error}"
    );
    assert_eq!((moved.states[0].old, moved.states[0].new), (1, u64::from(WIDER)));
    let (old, new) = (whole(&what.from, "in", PARTITIONS), whole(&what.to, "in", WIDER));
    assert_eq!(
        old.iter().map(|seen| seen.3).collect::<Vec<_>>(),
        new.iter().map(|seen| seen.3).collect::<Vec<_>>()
    );
    let refusals = survey(&what, PATIENCE).await.unwrap().refusals;
    assert!(refusals.len() == 1 && refusals[0].contains("whole already (a note)"), "{refusals:?}");
}
