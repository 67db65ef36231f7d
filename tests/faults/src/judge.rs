//! Records as readers see them, and the truth beside them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};
use ringpost_simulate::Truth;
use serde_json::{Value, json};

use crate::feed::PARTITIONS;
use crate::odd::{self, Odd};

const WAIT: Duration = Duration::from_secs(30);
const MOMENT: Duration = Duration::from_millis(50);

/// A record, as it lies in the topic.
pub(crate) struct Read {
    pub(crate) partition: i32,
    pub(crate) value: Vec<u8>,
    pub(crate) when: Instant,
}

/// Reads along while a run goes on.
pub(crate) struct Watch {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<anyhow::Result<Vec<Read>>>,
}

impl Watch {
    pub(crate) fn start(bootstrap: &str, topic: &str) -> anyhow::Result<Self> {
        let reader = reader(bootstrap, topic, "read_committed")?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let mut read = Vec::new();
            while !stopped.load(Ordering::Relaxed) {
                take(&reader, &mut read);
            }
            Ok(read)
        });
        Ok(Self { stop, thread })
    }

    pub(crate) fn stop(self) -> anyhow::Result<Vec<Read>> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow::anyhow!("the reader panicked"))?
    }
}

fn reader(bootstrap: &str, topic: &str, isolation: &str) -> anyhow::Result<BaseConsumer> {
    let reader: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", "judge")
        .set("isolation.level", isolation)
        .set("fetch.queue.backoff.ms", "5")
        .set("reconnect.backoff.max.ms", "500")
        .create()?;
    let mut list = TopicPartitionList::new();
    for partition in 0..PARTITIONS as i32 {
        list.add_partition_offset(topic, partition, Offset::Beginning)?;
    }
    reader.assign(&list)?;
    Ok(reader)
}

/// A broker that is away is waited for.
fn take(reader: &BaseConsumer, read: &mut Vec<Read>) {
    if let Some(Ok(message)) = reader.poll(MOMENT) {
        let value = message.payload().unwrap_or_default().to_vec();
        read.push(Read { partition: message.partition(), value, when: Instant::now() });
    }
}

/// All of a topic, up to the end that it has for readers of everything.
pub(crate) fn all(bootstrap: &str, topic: &str, isolation: &str) -> anyhow::Result<Vec<Read>> {
    let ends = reader(bootstrap, topic, "read_uncommitted")?;
    let reader = reader(bootstrap, topic, isolation)?;
    let (mut open, mut read) = (Vec::new(), Vec::new());
    for partition in 0..PARTITIONS as i32 {
        open.push((partition, ends.fetch_watermarks(topic, partition, WAIT)?.1));
    }
    let deadline = Instant::now() + 4 * WAIT;
    while !open.is_empty() {
        anyhow::ensure!(Instant::now() < deadline, "{topic} cannot be read to its end: {open:?} is open");
        for _ in 0..500 {
            let before = read.len();
            take(&reader, &mut read);
            if read.len() == before {
                break;
            }
        }
        let positions = reader.position()?;
        open.retain(|(partition, end)| {
            let found = positions.find_partition(topic, *partition).map(|element| element.offset());
            *end > 0 && !matches!(found, Some(Offset::Offset(next)) if next >= *end)
        });
    }
    Ok(read)
}

/// What is wrong with records.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    pub(crate) records: usize,
    /// Records of the truth that are not there as they should, and revisions that were left out.
    pub(crate) lost: Vec<String>,
    /// Revisions that are there more than once.
    pub(crate) repeated: Vec<String>,
    /// Records that are not of the truth.
    pub(crate) wrong: Vec<String>,
}

impl Verdict {
    pub(crate) fn is_fine(&self) -> bool {
        self.lost.is_empty() && self.repeated.is_empty() && self.wrong.is_empty()
    }
}

/// Holds dead letters against those that there have to be.
pub(crate) fn letters(odd: &Odd, read: &[Read], verdict: &mut Verdict) {
    let mut times: BTreeMap<String, usize> = odd.letters.iter().map(|place| (place.clone(), 0)).collect();
    for one in read {
        let letter = serde_json::from_slice::<Value>(&one.value).unwrap_or_default();
        let place = text(&letter["position"]);
        match times.get_mut(&place) {
            Some(times) => *times += 1,
            None => verdict.wrong.push(format!("dead letter of {place}: {}", letter["reason"])),
        }
    }
    for (place, times) in times {
        match times {
            0 => verdict.lost.push(format!("dead letter of {place}")),
            1 => {}
            _ => verdict.repeated.push(format!("dead letter of {place}: {times} times")),
        }
    }
}

/// Calls that are too large: each has one record, which says that it is not all.
fn large(odd: &Odd, records: &[Value], verdict: &mut Verdict) {
    verdict.lost.extend((records.len()..odd.large).map(|_| "a large call".to_owned()));
    verdict.wrong.extend((odd.large..records.len()).map(|_| "one large call too many".to_owned()));
    let whole = records.iter().filter(|cdr| cdr["partial"].is_null());
    verdict.wrong.extend(whole.map(|cdr| format!("a large call is said to be whole: {cdr}")));
}

/// Holds what is in the topic against the truth.
pub(crate) fn judge(truths: &[Truth], odd: &Odd, read: &[Read]) -> Verdict {
    let mut verdict = Verdict { records: read.len(), ..Verdict::default() };
    let mut times: BTreeMap<String, BTreeMap<u64, usize>> = BTreeMap::new();
    let mut last: HashMap<String, (u64, Value)> = HashMap::new();
    let mut absorbed = BTreeSet::new();
    for one in read {
        let Ok(envelope) = serde_json::from_slice::<Value>(&one.value) else {
            verdict.wrong.push(format!("not JSON: {}", String::from_utf8_lossy(&one.value)));
            continue;
        };
        let (session, rev) = (text(&envelope["session"]), envelope["rev"].as_u64().unwrap_or_default());
        let cdr = envelope["cdr"].clone();
        absorbed.extend(cdr["replaces"].as_array().into_iter().flatten().map(text));
        *times.entry(session.clone()).or_default().entry(rev).or_default() += 1;
        let known = last.entry(session).or_default();
        if rev >= known.0 {
            *known = (rev, cdr);
        }
    }
    for (session, revisions) in &times {
        let most = revisions.keys().max().copied().unwrap_or_default();
        // Two calls that turn out to be one go on with the revisions of one of them.
        let first = revisions.keys().min().copied().unwrap_or_default();
        let gaps = (first..=most).filter(|rev| !revisions.contains_key(rev));
        verdict.lost.extend(gaps.map(|rev| format!("revision {rev} of {session}")));
        let twice = revisions.iter().filter(|(_, times)| **times > 1);
        verdict
            .repeated
            .extend(twice.map(|(rev, times)| format!("revision {rev} of {session}: {times} times")));
    }
    let told = last.into_iter().filter(|(session, _)| !absorbed.contains(session));
    let told = told.map(|(_, (_, cdr))| cdr);
    let (too_large, told): (Vec<_>, Vec<_>) = told.partition(|cdr| cdr["pbxId"] == odd::PBX);
    large(odd, &too_large, &mut verdict);
    let told = plain(told.into_iter());
    let truth = plain(truths.iter().map(|truth| json!(truth.cdr)));
    for (record, count) in &truth {
        let got = told.get(record).copied().unwrap_or_default();
        verdict.lost.extend((got..*count).map(|_| record.clone()));
    }
    for (record, count) in &told {
        let wanted = truth.get(record).copied().unwrap_or_default();
        verdict.wrong.extend((wanted..*count).map(|_| record.clone()));
    }
    verdict
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Records without what tells how often a call was told, and without what tables added, of which the truth knows
/// nothing; and how often each comes. A call that closed early may go on under another id (sessions.md): all else counts.
fn plain(records: impl Iterator<Item = Value>) -> BTreeMap<String, usize> {
    let mut plain = BTreeMap::new();
    for mut record in records {
        if let Some(keys) = record.as_object_mut() {
            for key in ["id", "rev", "replaces", "cliLoc", "cliArea", "cliState", "cliCtry"] {
                keys.remove(key);
            }
        }
        *plain.entry(record.to_string()).or_default() += 1;
    }
    plain
}
