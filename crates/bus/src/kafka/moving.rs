//! To topics with another number of partitions, under another prefix: what groups have not read, and the newest value of
//! each key of state. What there was stays as it was.
//!
//! Nothing is handled on the way. Records keep key, value, headers and timestamp, and are written in the order of their
//! timestamps over all partitions, so that in a new partition, too, time never goes back. A step is one partition's
//! state, or one topic's records, with a bounded number of them in memory. A topic of its own, the marker, says first
//! that it has begun and last that all is there: what is in between is used by nobody.

mod copy;
mod groups;
mod live;
mod marker;
mod read;
mod sums;
mod survey;
mod write;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rdkafka::error::{KafkaResult, RDKafkaErrorCode};

use crate::{Error, OpenError, Partition};

use super::context::Quiet;
use super::settings::KafkaConfig;
use super::topics;

pub use copy::{Moved, MovedRecords, MovedState};
pub use groups::MemberSeen;
pub use marker::{Marker, marker};
pub use survey::{StateSeen, Survey, UnreadSeen, survey};

/// Between two questions of [`insist`].
const ASK_AGAIN: Duration = Duration::from_millis(200);

/// What is to be moved, and where to.
#[derive(Debug, Clone)]
pub struct Move {
    /// The log as it is.
    pub from: KafkaConfig,
    /// The log as it is to be: another prefix, and topics with their new number of partitions.
    pub to: KafkaConfig,
    /// Copies of each new partition; none = as the brokers do by default.
    pub replicas: Option<u16>,
    /// Groups, each with the topic of records that it reads: what is behind its positions is moved.
    pub unread: Vec<(String, String)>,
    /// Topics of state.
    pub states: Vec<String>,
    /// How groups begin that read topics of others; the rest of their name is the topic's. Their positions are taken over.
    pub of_others: String,
    /// The topic that says how far it has come.
    pub marker: String,
    /// What is written there, for people.
    pub note: Bytes,
}

/// Where an entry of state goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// What it is called in sums.
    pub kind: &'static str,
    /// Its key there.
    pub key: Bytes,
    /// To which partitions.
    pub to: To,
}

/// To which partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum To {
    /// One.
    One(Partition),
    /// Every one of them.
    All,
    /// None: [`Router::rest`] says what becomes of it.
    Nowhere,
}

/// Knows what state means; this crate does not.
pub trait Router: Send + 'static {
    /// Where an entry goes.
    ///
    /// # Errors
    /// It is none that is known: nothing can be moved.
    fn route(&mut self, topic: &str, from: Partition, key: &[u8], value: &[u8]) -> Result<Route, String>;

    /// What an entry is called in sums.
    fn kind(&self, topic: &str, key: &[u8]) -> &'static str;

    /// What is to be written besides, once every entry of a topic was routed.
    fn rest(&mut self, topic: &str) -> Vec<(Route, Bytes)>;
}

/// How far it is.
#[derive(Debug, Clone, Copy)]
pub struct MoveStep<'a> {
    /// What is being done.
    pub doing: Doing,
    /// With which topic, as configured.
    pub topic: &'a str,
    /// Offsets dealt with.
    pub done: u64,
    /// Of so many.
    pub of: u64,
}

/// What is being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doing {
    /// Looks which entries of state are the newest of their keys.
    Looking,
    /// Copies.
    Copying,
    /// Reads again what was copied.
    Checking,
}

/// Is told how far it is.
pub type Tell = Arc<dyn Fn(MoveStep<'_>) + Send + Sync>;

/// Why nothing was moved, or only a part.
#[derive(Debug, thiserror::Error)]
pub enum MoveError {
    /// It may not begin.
    #[error("{}", .0.join("\n"))]
    Refused(Vec<String>),
    /// Another one to the same prefix began first.
    #[error("another move to the prefix {prefix:?} began just now: leave it alone, or choose another prefix")]
    Taken {
        /// Where to.
        prefix: String,
    },
    /// The brokers did not do it.
    #[error("{what}: {reason}")]
    Broker {
        /// What was asked.
        what: String,
        /// What came of it.
        reason: String,
    },
    /// An entry of state that nobody knows.
    #[error("move the entry {topic}/{partition}@{offset}: {reason}")]
    Entry {
        /// Of which topic.
        topic: String,
        /// Of which partition.
        partition: Partition,
        /// At which offset.
        offset: u64,
        /// Why.
        reason: String,
    },
    /// Somebody wrote to the old topics.
    #[error("{topic} was written to meanwhile, by a process that still runs or by another program; stop it")]
    Written {
        /// Which topic.
        topic: String,
    },
    /// What is there is not what was written.
    #[error("{topic}: {found} records are there where {expected} were written, or they are not the same")]
    Differs {
        /// Which topic.
        topic: String,
        /// In the new topic.
        found: u64,
        /// Written to it.
        expected: u64,
    },
}

impl From<OpenError> for MoveError {
    fn from(error: OpenError) -> Self {
        let reason = match error {
            OpenError::Brokers { mistakes } => mistakes.join("; "),
            other => other.to_string(),
        };
        Self::Broker { what: "use the log on Kafka".to_owned(), reason }
    }
}

impl From<Error> for MoveError {
    fn from(error: Error) -> Self {
        Self::Broker { what: "use the log on Kafka".to_owned(), reason: error.to_string() }
    }
}

/// Moves what a survey has found. Whatever ends it half-way leaves topics that nobody uses: [`discard`] removes them.
///
/// # Errors
/// Why it is not whole.
pub async fn carry_out(
    what: &Move,
    survey: Survey,
    router: Box<dyn Router>,
    tell: Tell,
) -> Result<Moved, MoveError> {
    if !survey.refusals.is_empty() {
        return Err(MoveError::Refused(survey.refusals));
    }
    let records: Vec<String> = what.unread.iter().map(|(_, topic)| topic.clone()).collect();
    marker::begin(what).await?;
    topics::make_to_move(&what.to, what.replicas, &records).await?;
    let (spec, places) = (what.clone(), survey.places);
    let copied = blocking(move || copy::copy(&spec, &places, router, &tell)).await?;
    let left = groups::members(what).await?;
    if !left.is_empty() {
        return Err(MoveError::Refused(left.iter().map(MemberSeen::refusal).collect()));
    }
    groups::take_over(what, &survey.others).await?;
    topics::stamp(&what.to, &records, topics::Stamps::Brokers).await?;
    marker::end(what).await?;
    Ok(copied)
}

/// Deletes the new topics of a move that is not whole. Tells their names.
///
/// # Errors
/// It is whole, or there was none; the brokers refused.
pub async fn discard(to: &KafkaConfig, marker: &str) -> Result<Vec<String>, MoveError> {
    let named = format!("{}{marker}", to.prefix);
    match self::marker(to, marker).await? {
        Marker::Made | Marker::Begun(_) => {}
        Marker::None => {
            return Err(MoveError::Refused(vec![format!(
                "there is no topic {named}: no move to this prefix was begun, and nothing is deleted"
            )]));
        }
        Marker::Whole(_) => {
            return Err(MoveError::Refused(vec![format!(
                "{named} says that the move to this prefix is whole: its topics may be in use, and nothing is deleted; \
                 if you are sure that they are not, delete them with Kafka's own tools"
            )]));
        }
    }
    let names: Vec<String> = to.topics.iter().map(|topic| format!("{}{}", to.prefix, topic.name)).collect();
    let mut deleted = topics::delete(to, names).await?;
    // As the last one: what is broken off here can be done again.
    deleted.extend(topics::delete(to, vec![named]).await?);
    Ok(deleted)
}

/// A client that asks, and sees what open transactions have written.
fn probe(config: &KafkaConfig) -> Result<rdkafka::consumer::BaseConsumer<Quiet>, MoveError> {
    config.probe().create_with_context(Quiet).map_err(|error| failed("make a client", &error))
}

fn failed(what: &str, error: &rdkafka::error::KafkaError) -> MoveError {
    MoveError::Broker { what: what.to_owned(), reason: super::settings::what_is_wrong(error) }
}

/// On a thread that may wait.
async fn blocking<T: Send + 'static>(
    call: impl FnOnce() -> Result<T, MoveError> + Send + 'static,
) -> Result<T, MoveError> {
    let done = tokio::task::spawn_blocking(call).await;
    done.unwrap_or_else(|error| {
        Err(MoveError::Broker { what: "move topics".to_owned(), reason: error.to_string() })
    })
}

/// Asks again what passes by itself: a group or a partition changes its broker, as when that was started, or the topic made,
/// just now. Blocks.
fn insist<T>(what: &str, patience: Duration, call: impl Fn() -> KafkaResult<T>) -> Result<T, MoveError> {
    use RDKafkaErrorCode::{
        CoordinatorLoadInProgress, CoordinatorNotAvailable, LeaderNotAvailable, NotCoordinator,
        NotLeaderForPartition,
    };
    let deadline = Instant::now() + patience;
    loop {
        let error = match call() {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        let passes = matches!(
            error.rdkafka_error_code(),
            Some(
                CoordinatorLoadInProgress
                    | CoordinatorNotAvailable
                    | NotCoordinator
                    | LeaderNotAvailable
                    | NotLeaderForPartition
            )
        );
        if !passes || Instant::now() >= deadline {
            return Err(failed(what, &error));
        }
        wait(ASK_AGAIN);
    }
}

#[expect(clippy::disallowed_methods, reason = "a thread of its own, that waits for brokers")]
fn wait(so_long: Duration) {
    std::thread::sleep(so_long);
}
