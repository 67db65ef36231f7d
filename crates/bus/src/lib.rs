//! A partitioned log with atomic consume-process-produce; knows no domain type.
//!
//! The words are Kafka's: topic, partition, offset, consumer group. The face ([`Log`], [`Worker`]) is the same
//! for every backend; [`Embedded`] keeps the log in one file of this machine, [`Kafka`] on brokers. Keys and values are
//! bytes here.

mod config;
mod embedded;
mod error;
mod face;
#[cfg(feature = "kafka")]
mod kafka;
mod metrics;
mod partitioner;
mod record;

pub use config::{Clock, Config, Keep, Topic};
pub use embedded::{
    Embedded, EmbeddedWorker, Journal, Lag, check_journal, copy_journal, is_in_use, prepare_restored,
};
pub use error::{Error, OpenError};
pub use face::{Event, Log, Subscription, Worker};
#[cfg(feature = "kafka")]
pub use kafka::{
    Doing, GroupSeen, Inspection, Kafka, KafkaConfig, KafkaWorker, Marker, MemberSeen, Move, MoveError,
    MoveStep, Moved, MovedRecords, MovedState, Route, Router, StateSeen, Survey, Tell, To, TopicMade,
    TopicSeen, UnreadSeen, carry_out, check_property, create_topics, discard, inspect, marker, print_topics,
    survey,
};
pub use metrics::Metrics;
pub use partitioner::partition_of;
pub use record::{
    Assignment, Batch, Commit, Message, Offset, Output, Partition, Position, Record, StateChange, StateEntry,
};
