//! One commit as one transaction: records, state and positions become durable together, or none of them. Everything here
//! blocks; the worker runs it on a thread of its own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};
use rdkafka::{ClientConfig, Offset as KafkaOffset, TopicPartitionList};
use tracing::{debug, warn};

use crate::{Partition, Record, partition_of};

use super::context::{Member, Writer};

/// One call of the broker takes so long at most; what is not done then is given up.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between tries of a call that the broker asks to repeat.
const AGAIN: Duration = Duration::from_millis(20);
/// Between two looks at what came of records: short beside what a broker takes for them.
const A_BREATH: Duration = Duration::from_micros(500);

/// What is to be made durable, with names as the broker knows them.
pub(super) struct Work {
    /// Topic, its number of partitions, records.
    pub(super) outputs: Vec<(String, u32, Vec<Record>)>,
    /// Where state goes.
    pub(super) state: Option<String>,
    /// Partition, key, value; each key once.
    pub(super) changes: Vec<(Partition, Bytes, Option<Bytes>)>,
    /// Where the group goes on. Never empty for a worker of a group: they are what a zombie is told by.
    pub(super) positions: Vec<(String, Partition, u64)>,
}

/// Why a commit did not happen.
#[derive(Debug)]
pub(super) enum Failure {
    /// Nothing of it is stored; the same may succeed later.
    Again(String),
    /// The partitions went to another.
    Lost(String),
    /// A member or writer of the same name came later, or the transaction timed out: brokers say the same of both.
    Fenced(String),
    /// The writer cannot be used any more, and whether this commit holds is for the next one to find out.
    Over(String),
}

/// The writer of a worker's transactions.
pub(super) struct Transactions {
    producer: BaseProducer<Writer>,
}

impl Transactions {
    /// Ends what a former self has left open, and keeps it from ever writing again.
    ///
    /// # Errors
    /// The brokers do not answer, or do not let us.
    pub(super) fn begin(config: &ClientConfig) -> Result<Self, KafkaError> {
        let producer: BaseProducer<Writer> = config.create_with_context(Writer::default())?;
        let transactions = Self { producer };
        let deadline = Instant::now() + PATIENCE;
        transactions.repeat(deadline, |left| transactions.producer.init_transactions(left))?;
        Ok(transactions)
    }

    /// All of it, or nothing.
    pub(super) fn commit(&self, work: &Work, reader: Option<&BaseConsumer<Member>>) -> Result<(), Failure> {
        let deadline = Instant::now() + PATIENCE;
        // Records of an earlier transaction that was given up are told to be gone; that is no failure of this one.
        self.arrive(deadline);
        self.producer.context().take_failure();
        let done = self.producer.begin_transaction().and_then(|()| self.fill(work, deadline));
        let done = done.and_then(|()| match reader {
            Some(reader) => self.send_positions(work, reader, deadline),
            None => Ok(()),
        });
        let error = match done {
            Ok(()) if reader.is_some_and(Consumer::assignment_lost) => {
                self.abort()?;
                return Err(Failure::Lost("this process was silent for too long".to_owned()));
            }
            Ok(()) => match self.repeat(deadline, |left| self.producer.commit_transaction(left)) {
                Ok(()) => return Ok(()),
                Err(error) => error,
            },
            Err(error) => error,
        };
        if let Some(over) = self.is_over(&error) {
            return Err(over);
        }
        let may_have_committed = matches!(&error, KafkaError::Transaction(error) if error.is_retriable());
        if may_have_committed {
            // It was on its way when time was up: neither an abort nor the same again is safe.
            return Err(Failure::Over(format!("it is not known whether it was stored: {}", tell(&error))));
        }
        debug!(%error, "a transaction is given up");
        self.abort()?;
        Err(failed(&error, reader))
    }

    /// Sends every record, and waits until all have arrived.
    fn fill(&self, work: &Work, deadline: Instant) -> Result<(), KafkaError> {
        for (topic, partitions, records) in &work.outputs {
            for record in records {
                let at = partition_of(&record.key, *partitions);
                self.send(topic, at, &record.key, Some(&record.value), deadline)?;
            }
        }
        if let Some(topic) = &work.state {
            for (partition, key, value) in &work.changes {
                self.send(topic, *partition, key, value.as_ref(), deadline)?;
            }
        }
        // `commit_transaction` would wait for them as well, but in steps of 100 ms.
        self.arrive(deadline);
        match self.producer.context().take_failure() {
            // The call that follows says what went wrong with the transaction as a whole.
            Some(error) if !Writer::is_swept(&error) || self.producer.in_flight_count() > 0 => Err(error),
            _ => Ok(()),
        }
    }

    /// Waits until of every record is known what came of it.
    fn arrive(&self, deadline: Instant) {
        while self.producer.in_flight_count() > 0 && Instant::now() < deadline {
            hear(&self.producer);
        }
    }

    fn send(
        &self,
        topic: &str,
        partition: Partition,
        key: &Bytes,
        value: Option<&Bytes>,
        deadline: Instant,
    ) -> Result<(), KafkaError> {
        let mut record = BaseRecord::to(topic).partition(partition.0 as i32).key(&key[..]);
        if let Some(value) = value {
            record = record.payload(&value[..]);
        }
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((error, unsent)) => {
                    let is_full = error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull);
                    if !is_full || Instant::now() >= deadline {
                        return Err(error);
                    }
                    record = unsent;
                    hear(&self.producer);
                }
            }
        }
    }

    /// The broker takes them only from a member of the group as it is now: this is what fences a zombie.
    fn send_positions(
        &self,
        work: &Work,
        reader: &BaseConsumer<Member>,
        deadline: Instant,
    ) -> Result<(), KafkaError> {
        let positions = list(&work.positions)?;
        self.repeat(deadline, |left| {
            // Each time anew: the group may have met again meanwhile.
            let member = reader.group_metadata().ok_or(KafkaError::Canceled)?;
            self.producer.send_offsets_to_transaction(&positions, &member, left)
        })
    }

    /// Nothing of the transaction is there.
    fn abort(&self) -> Result<(), Failure> {
        let deadline = Instant::now() + PATIENCE;
        self.repeat(deadline, |left| self.producer.abort_transaction(left)).map_err(|error| {
            warn!(%error, "a transaction could not be given up");
            Failure::Over(tell(&error))
        })
    }

    /// Calls until it succeeds, fails for good, or time is up.
    fn repeat(
        &self,
        deadline: Instant,
        call: impl Fn(Duration) -> Result<(), KafkaError>,
    ) -> Result<(), KafkaError> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match call(left.max(AGAIN)) {
                Err(KafkaError::Transaction(error)) if error.is_retriable() && !left.is_zero() => {
                    self.producer.poll(AGAIN);
                }
                other => return other,
            }
        }
    }

    /// Why the writer is of no use any more.
    fn is_over(&self, error: &KafkaError) -> Option<Failure> {
        match (self.producer.client().fatal_error(), error) {
            (Some((RDKafkaErrorCode::Fenced | RDKafkaErrorCode::ProducerFenced, reason)), _) => {
                let why = "it was fenced: a worker of the same name came later, or a transaction timed out";
                Some(Failure::Fenced(format!("{why} ({reason})")))
            }
            (Some((_, reason)), _) => Some(Failure::Over(reason)),
            (None, KafkaError::Transaction(error)) if error.is_fatal() => Some(Failure::Over(error.string())),
            (None, _) => None,
        }
    }
}

/// Takes in what came of some records, or waits for a moment. Not by a poll that waits: of its last millisecond it makes a
/// loop that asks without end, which was a tenth of what a worker cost.
#[expect(clippy::disallowed_methods, reason = "a thread of its own, that waits for the broker")]
pub(super) fn hear<C: ProducerContext>(producer: &BaseProducer<C>) {
    let before = producer.in_flight_count();
    producer.poll(Duration::ZERO);
    if producer.in_flight_count() == before {
        std::thread::sleep(A_BREATH);
    }
}

/// Positions alone need no transaction: the broker takes them from a member of the group, or not at all.
pub(super) fn commit_positions(work: &Work, reader: &BaseConsumer<Member>) -> Result<(), Failure> {
    let positions = list(&work.positions).map_err(|error| Failure::Again(tell(&error)))?;
    let Err(error) = reader.commit(&positions, CommitMode::Sync) else { return Ok(()) };
    Err(failed(&error, Some(reader)))
}

fn list(positions: &[(String, Partition, u64)]) -> Result<TopicPartitionList, KafkaError> {
    let mut list = TopicPartitionList::with_capacity(positions.len());
    for (topic, partition, next) in positions {
        list.add_partition_offset(topic, partition.0 as i32, KafkaOffset::Offset(*next as i64))?;
    }
    Ok(list)
}

/// What it means that nothing was stored. A generation that is too old alone says nothing: the group may have met again,
/// and what is ours may still be ours.
fn failed(error: &KafkaError, reader: Option<&BaseConsumer<Member>>) -> Failure {
    let code = match error {
        KafkaError::Transaction(error) => Some(error.code()),
        other => other.rdkafka_error_code(),
    };
    match (code, reader) {
        // Another of the same name has joined the group.
        (Some(RDKafkaErrorCode::FencedInstanceId), _) => Failure::Fenced(tell(error)),
        (Some(RDKafkaErrorCode::UnknownMemberId), _) => Failure::Lost(tell(error)),
        (_, Some(reader)) if reader.assignment_lost() => Failure::Lost(tell(error)),
        _ => Failure::Again(tell(error)),
    }
}

/// In words, with librdkafka's own reason.
pub(super) fn tell(error: &KafkaError) -> String {
    match error {
        KafkaError::Transaction(error) => format!("{} ({})", error.string(), error.name()),
        other => other.to_string(),
    }
}

/// So that a blocking call can hold it.
pub(super) type Shared = Arc<Transactions>;
