//! Appends: many records of many callers on their way to the brokers, each caller told when all of its own are there.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message as _;
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};
use rdkafka::{ClientConfig, ClientContext};
use tokio::sync::oneshot;

use crate::{Error, Offset, Partition, Record, partition_of};

use super::context;

/// The writer that all appends of a process share.
pub(super) struct Appender {
    config: ClientConfig,
    /// Another one after a fatal error: of an idempotent writer that is final.
    producer: Mutex<Arc<ThreadedProducer<Receipts>>>,
    waiting: Arc<AtomicUsize>,
}

/// Takes the answers of brokers.
struct Receipts;

/// One call of `append`.
struct Call {
    places: Mutex<Vec<Result<(Partition, Offset), KafkaError>>>,
    left: AtomicUsize,
    done: Mutex<Option<oneshot::Sender<()>>>,
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
    type DeliveryOpaque = Box<(Arc<Call>, usize)>;

    fn delivery(&self, result: &DeliveryResult<'_>, opaque: Box<(Arc<Call>, usize)>) {
        let (call, at) = *opaque;
        let place = match result {
            Ok(message) => Ok((Partition(message.partition() as u32), Offset(message.offset() as u64))),
            Err((error, _)) => Err(error.clone()),
        };
        call.places.lock().unwrap_or_else(PoisonError::into_inner)[at] = place;
        call.answered(1);
    }
}

impl Call {
    fn new(records: usize) -> (Arc<Self>, oneshot::Receiver<()>) {
        let (done, answer) = oneshot::channel();
        let unanswered = Err(KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull));
        let call = Self {
            places: Mutex::new(vec![unanswered; records]),
            left: AtomicUsize::new(records),
            done: Mutex::new(Some(done)),
        };
        (Arc::new(call), answer)
    }

    fn answered(&self, records: usize) {
        if self.left.fetch_sub(records, Ordering::AcqRel) == records
            && let Some(done) = self.done.lock().unwrap_or_else(PoisonError::into_inner).take()
        {
            // Whoever asked may have gone.
            let _ = done.send(());
        }
    }
}

/// Bytes on their way; given back however the call ends.
struct Waiting(Arc<AtomicUsize>, usize);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.fetch_sub(self.1, Ordering::AcqRel);
    }
}

impl Appender {
    pub(super) fn new(config: ClientConfig) -> Result<Self, KafkaError> {
        let producer = Mutex::new(Arc::new(config.create_with_context(Receipts)?));
        Ok(Self { config, producer, waiting: Arc::default() })
    }

    /// Bytes on their way.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Appends to a topic of so many partitions; at most `queue_bytes` are on their way at once.
    pub(super) async fn append(
        &self,
        topic: &str,
        partitions: u32,
        records: &[Record],
        queue_bytes: usize,
    ) -> Result<Vec<(Partition, Offset)>, Error> {
        let size: usize = records.iter().map(Record::size).sum();
        let busy = || Error::Busy { topic: topic.to_owned() };
        let before = self.waiting.fetch_add(size, Ordering::AcqRel);
        let _waiting = Waiting(Arc::clone(&self.waiting), size);
        if before > 0 && before + size > queue_bytes {
            return Err(busy());
        }
        let (call, answer) = Call::new(records.len());
        let producer = Arc::clone(&self.producer());
        for (at, record) in records.iter().enumerate() {
            let sent = BaseRecord::with_opaque_to(topic, Box::new((Arc::clone(&call), at)))
                .partition(partition_of(&record.key, partitions).0 as i32)
                .key(&record.key[..])
                .payload(&record.value[..]);
            if let Err((error, _)) = producer.send(sent) {
                call.places.lock().unwrap_or_else(PoisonError::into_inner)[at] = Err(error);
                call.answered(records.len() - at);
                break;
            }
        }
        answer.await.map_err(|_| Error::Closed)?;
        let places = std::mem::take(&mut *call.places.lock().unwrap_or_else(PoisonError::into_inner));
        let failed = places.iter().find_map(|place| place.as_ref().err());
        match failed {
            None => Ok(places.into_iter().flatten().collect()),
            Some(error) => Err(self.failed(topic, error, &producer)),
        }
    }

    fn failed(&self, topic: &str, error: &KafkaError, failed: &Arc<ThreadedProducer<Receipts>>) -> Error {
        if failed.client().fatal_error().is_some() {
            let mut producer = self.producer();
            if Arc::ptr_eq(&producer, failed)
                && let Ok(fresh) = self.config.create_with_context(Receipts)
            {
                *producer = Arc::new(fresh);
            }
        }
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull) {
            return Error::Busy { topic: topic.to_owned() };
        }
        Error::Broker { what: format!("append to {topic}"), reason: error.to_string() }
    }

    fn producer(&self) -> std::sync::MutexGuard<'_, Arc<ThreadedProducer<Receipts>>> {
        self.producer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
