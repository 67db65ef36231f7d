//! Reads partitions of a topic up to where they end, all of them as one stream in the order of timestamps. Within a
//! partition the order is as it is there.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Message as _, OwnedMessage};
use rdkafka::{Offset as KafkaOffset, TopicPartitionList};

use crate::Partition;
use crate::kafka::context::{self, Quiet};
use crate::kafka::settings::KafkaConfig;

use super::{MoveError, failed};

/// A broker that gives nothing for so long is not waited for any more.
const STALLED: Duration = Duration::from_secs(120);
/// One wait for a record.
const A_MOMENT: Duration = Duration::from_millis(20);
/// What all partitions together may have read ahead, in KiB.
const AHEAD: usize = 64 << 10;

/// What of a partition is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) partition: Partition,
    pub(super) from: u64,
    /// The first offset that is not.
    pub(super) end: u64,
}

impl Place {
    /// Offsets in it.
    pub(super) fn length(&self) -> u64 {
        self.end.saturating_sub(self.from)
    }
}

/// The stream.
pub(super) struct Stream {
    topic: String,
    reader: Arc<BaseConsumer<Quiet>>,
    sources: Vec<Source>,
    /// Timestamps of those that have a record at hand.
    ready: BinaryHeap<Reverse<(i64, usize)>>,
    /// Those that have none.
    wanting: Vec<usize>,
    done: u64,
}

struct Source {
    place: Place,
    queue: PartitionQueue<Quiet>,
    next: Option<OwnedMessage>,
    /// Behind the last one handed out.
    at: u64,
}

impl Stream {
    /// `topic`: its name on the broker. It reads as a group that this client may read as, and joins none.
    pub(super) fn open(
        config: &KafkaConfig,
        group: &str,
        topic: &str,
        places: &[Place],
    ) -> Result<Self, MoveError> {
        let what = format!("read {topic}");
        let mut settings = config.consumer(group);
        let ahead = (AHEAD / places.len().max(1)).clamp(64, 8_192);
        settings.set("queued.max.messages.kbytes", ahead.to_string());
        // Compressed: what comes of one answer may be many times as much, and is in memory before it is counted.
        settings.set("fetch.message.max.bytes", (ahead << 10 >> 2).min(1 << 20).to_string());
        settings.set("enable.partition.eof", "true");
        let reader: BaseConsumer<Quiet> =
            settings.create_with_context(Quiet).map_err(|error| failed(&what, &error))?;
        let reader = Arc::new(reader);
        let (mut assigned, mut sources) = (TopicPartitionList::new(), Vec::new());
        for place in places.iter().filter(|place| place.length() > 0) {
            let at = place.partition.0 as i32;
            // Before anything is assigned: what was put into the common queue would be missed.
            let queue = reader.split_partition_queue(topic, at);
            let queue = queue.ok_or_else(|| MoveError::Broker {
                what: what.clone(),
                reason: format!("there is no partition {at}"),
            })?;
            let from = KafkaOffset::Offset(place.from as i64);
            assigned.add_partition_offset(topic, at, from).map_err(|error| failed(&what, &error))?;
            sources.push(Source { place: *place, queue, next: None, at: place.from });
        }
        reader.assign(&assigned).map_err(|error| failed(&what, &error))?;
        let wanting = (0..sources.len()).collect();
        Ok(Self { topic: topic.to_owned(), reader, sources, ready: BinaryHeap::new(), wanting, done: 0 })
    }

    /// The next record, with its partition; none = all are read. Blocks.
    pub(super) fn next(&mut self) -> Result<Option<(Partition, OwnedMessage)>, MoveError> {
        while let Some(at) = self.wanting.pop() {
            if let Some(timestamp) = self.fill(at)? {
                self.ready.push(Reverse((timestamp, at)));
            }
        }
        let Some(Reverse((_, at))) = self.ready.pop() else { return Ok(None) };
        self.wanting.push(at);
        let source = &mut self.sources[at];
        let Some(message) = source.next.take() else { return Ok(None) };
        let behind = message.offset() as u64 + 1;
        self.done += behind - source.at;
        source.at = behind;
        Ok(Some((source.place.partition, message)))
    }

    /// Offsets that were read.
    pub(super) fn done(&self) -> u64 {
        self.done
    }

    /// Waits for a record of a source. None: it has no more.
    fn fill(&mut self, at: usize) -> Result<Option<i64>, MoveError> {
        let (since, mut patience) = (Instant::now(), Duration::ZERO);
        loop {
            let source = &mut self.sources[at];
            match source.queue.poll(patience) {
                Some(Ok(message)) if message.offset() as u64 >= source.place.end => return Ok(None),
                Some(Ok(message)) => {
                    let message = message.detach();
                    let timestamp = millis(&message);
                    source.next = Some(message);
                    return Ok(Some(timestamp));
                }
                // Behind the last record there may be markers of transactions. None is open: that was seen before.
                Some(Err(KafkaError::PartitionEOF(_))) => return Ok(None),
                Some(Err(error)) => self.note(&error)?,
                None => {}
            }
            // What is told to the client as a whole, such as errors of brokers.
            if let Some(Err(error)) = self.reader.poll(Duration::ZERO) {
                self.note(&error)?;
            }
            if since.elapsed() > STALLED {
                let partition = self.sources[at].place.partition;
                let reason = format!("nothing came of partition {partition} for {STALLED:?}");
                return Err(MoveError::Broker { what: format!("read {}", self.topic), reason });
            }
            patience = A_MOMENT;
        }
    }

    /// Most errors pass: librdkafka goes on trying.
    fn note(&self, error: &KafkaError) -> Result<(), MoveError> {
        use RDKafkaErrorCode::{TopicAuthorizationFailed, UnknownTopic, UnknownTopicOrPartition};
        let is_final = matches!(
            error.rdkafka_error_code(),
            Some(TopicAuthorizationFailed | UnknownTopic | UnknownTopicOrPartition)
        );
        if is_final || matches!(error, KafkaError::MessageConsumptionFatal(_)) {
            return Err(failed(&format!("read {}", self.topic), error));
        }
        context::note(error, "read of a topic that is moved failed, trying again");
        Ok(())
    }
}

/// Of a record, in milliseconds.
pub(super) fn millis(message: &OwnedMessage) -> i64 {
    message.timestamp().to_millis().unwrap_or_default()
}
