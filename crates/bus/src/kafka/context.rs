//! What librdkafka tells its clients: log lines, and what the group wants of a reader. That is only noted here: the
//! worker acts on it when it is looked at, since what a partition owes has to be committed first.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{DeliveryResult, ProducerContext};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientContext, TopicPartitionList};
use tokio::sync::Notify;
use tracing::{debug, error, info, warn};

use crate::Partition;

/// What the group wants.
#[derive(Debug)]
pub(super) enum Shift {
    /// These partitions are ours.
    Take(TopicPartitionList),
    /// These are to be given up.
    Leave(TopicPartitionList),
    /// These are gone already: we were silent for too long.
    Lost(TopicPartitionList),
}

/// Of a client without a group: only its log.
pub(super) struct Quiet;

impl ClientContext for Quiet {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        note(&error, reason);
    }
}

impl ConsumerContext for Quiet {}

/// Of the reader of a worker.
#[derive(Default)]
pub(super) struct Member {
    shifts: Mutex<VecDeque<Shift>>,
    is_closing: AtomicBool,
    /// There is something to look at.
    pub(super) woken: Arc<Notify>,
}

impl Member {
    pub(super) fn next_shift(&self) -> Option<Shift> {
        self.shifts.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    /// From now on the group gets what it wants at once.
    pub(super) fn close(&self) {
        self.is_closing.store(true, Ordering::Release);
    }
}

impl ClientContext for Member {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        note(&error, reason);
    }
}

impl ConsumerContext for Member {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        kind: RDKafkaRespErr,
        partitions: &mut TopicPartitionList,
    ) {
        let takes = matches!(kind, RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS);
        if self.is_closing.load(Ordering::Acquire) {
            let done = match takes {
                true => consumer.incremental_assign(&TopicPartitionList::new()),
                false => consumer.incremental_unassign(partitions),
            };
            if let Err(error) = done {
                debug!(%error, "partitions could not be given back while closing");
            }
            return;
        }
        let partitions = partitions.clone();
        let shift = match takes {
            true => Shift::Take(partitions),
            false if consumer.assignment_lost() => Shift::Lost(partitions),
            false => Shift::Leave(partitions),
        };
        self.shifts.lock().unwrap_or_else(PoisonError::into_inner).push_back(shift);
        self.woken.notify_one();
    }
}

/// Of the writer of a worker's transactions: the first record that did not arrive.
#[derive(Default)]
pub(super) struct Writer {
    failed: Mutex<Option<KafkaError>>,
}

impl Writer {
    /// Those behind one that failed are only swept away with it.
    pub(super) fn is_swept(error: &KafkaError) -> bool {
        let code = error.rdkafka_error_code();
        matches!(code, Some(RDKafkaErrorCode::PurgeQueue | RDKafkaErrorCode::PurgeInflight))
    }

    pub(super) fn take_failure(&self) -> Option<KafkaError> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl ClientContext for Writer {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        note(&error, reason);
    }
}

impl ProducerContext for Writer {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = result {
            let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
            if failed.as_ref().is_none_or(Self::is_swept) {
                *failed = Some(error.clone());
            }
        }
    }
}

pub(super) fn log(level: RDKafkaLogLevel, facility: &str, message: &str) {
    match level {
        // Each client is given all properties: that one of a reader means nothing to a writer is no news.
        _ if facility == "CONFWARN" => debug!(target: "librdkafka", facility, "{message}"),
        RDKafkaLogLevel::Emerg
        | RDKafkaLogLevel::Alert
        | RDKafkaLogLevel::Critical
        | RDKafkaLogLevel::Error => error!(target: "librdkafka", facility, "{message}"),
        RDKafkaLogLevel::Warning => warn!(target: "librdkafka", facility, "{message}"),
        RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => info!(target: "librdkafka", facility, "{message}"),
        RDKafkaLogLevel::Debug => debug!(target: "librdkafka", facility, "{message}"),
    }
}

/// Errors that librdkafka goes on trying about; the call that fails of one in the end tells it.
pub(super) fn note(error: &KafkaError, reason: &str) {
    if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown) {
        // Every client has its own, and tells it at each turn; of each broker it was told why.
        debug!(target: "librdkafka", %error, "{reason}");
        return;
    }
    warn!(target: "librdkafka", %error, "{reason}");
}

/// The partitions of one topic in a list.
pub(super) fn numbers(list: &TopicPartitionList, topic: &str) -> Vec<Partition> {
    let of_topic = list.elements_for_topic(topic);
    of_topic.iter().filter_map(|element| u32::try_from(element.partition()).ok()).map(Partition).collect()
}
