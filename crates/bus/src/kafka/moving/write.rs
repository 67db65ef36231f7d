//! Writes to the new topics: idempotent, each record acknowledged by all copies in sync, a bounded number on their way.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::OwnedHeaders;
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};

use crate::Partition;
use crate::kafka::context;
use crate::kafka::settings::KafkaConfig;
use crate::kafka::transaction::hear;

use super::{MoveError, failed};

/// A record that is not there after so long never comes, in milliseconds: brokers may be restarted meanwhile.
const TIMEOUT: &str = "120000";
/// The same, for who waits for all of them.
const PATIENCE: Duration = Duration::from_secs(150);
/// What is on its way at once, in KiB.
const QUEUE: &str = "32768";

/// A record to be written.
pub(super) struct Written<'a> {
    pub(super) topic: &'a str,
    pub(super) partition: Partition,
    pub(super) key: Option<&'a [u8]>,
    pub(super) value: Option<&'a [u8]>,
    /// Milliseconds; none = the broker's.
    pub(super) timestamp: Option<i64>,
    pub(super) headers: Option<OwnedHeaders>,
}

/// The writer.
pub(super) struct Writer {
    producer: BaseProducer<Receipts>,
    sent: u64,
}

#[derive(Default)]
struct Receipts {
    arrived: AtomicU64,
    failed: Mutex<Option<KafkaError>>,
}

impl ClientContext for Receipts {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        context::log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        context::note(&error, reason);
    }
}

impl ProducerContext for Receipts {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        match result {
            Ok(_) => {
                self.arrived.fetch_add(1, Ordering::AcqRel);
            }
            Err((error, _)) => {
                let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
                failed.get_or_insert_with(|| error.clone());
            }
        }
    }
}

impl Writer {
    pub(super) fn new(config: &KafkaConfig) -> Result<Self, MoveError> {
        let mut settings = config.appender();
        settings.set("message.timeout.ms", TIMEOUT);
        settings.set("queue.buffering.max.kbytes", QUEUE);
        let producer = settings.create_with_context(Receipts::default());
        Ok(Self { producer: producer.map_err(|error| failed("make a writer", &error))?, sent: 0 })
    }

    /// Puts it on its way; waits while too many are.
    pub(super) fn send(&mut self, what: Written<'_>) -> Result<(), MoveError> {
        let Written { topic, partition, key, value, timestamp, headers } = what;
        let mut record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(topic).partition(partition.0 as i32);
        (record.key, record.payload, record.timestamp, record.headers) = (key, value, timestamp, headers);
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.producer.send(record) {
                Ok(()) => break,
                Err((error, unsent)) => {
                    let is_full = error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull);
                    if !is_full || Instant::now() >= deadline {
                        return Err(failed(&format!("write to {topic}"), &error));
                    }
                    record = unsent;
                    hear(&self.producer);
                    self.check()?;
                }
            }
        }
        self.sent += 1;
        if self.sent.is_multiple_of(1_000) {
            self.producer.poll(Duration::ZERO);
            self.check()?;
        }
        Ok(())
    }

    /// Waits until all are there.
    pub(super) fn finish(&mut self) -> Result<(), MoveError> {
        self.producer.flush(PATIENCE).map_err(|error| failed("write to the new topics", &error))?;
        self.check()?;
        let arrived = self.producer.context().arrived.load(Ordering::Acquire);
        if arrived == self.sent {
            return Ok(());
        }
        let reason = format!("{} were sent, {arrived} arrived", self.sent);
        Err(MoveError::Broker { what: "write to the new topics".to_owned(), reason })
    }

    fn check(&self) -> Result<(), MoveError> {
        let failure = self.producer.context().failed.lock().unwrap_or_else(PoisonError::into_inner);
        failure.as_ref().map_or(Ok(()), |error| Err(failed("write to the new topics", error)))
    }
}
