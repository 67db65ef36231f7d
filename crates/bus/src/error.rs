//! What can go wrong, and whether trying again helps.

use std::sync::Arc;

use crate::Partition;

/// Why the log cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder or a file in it cannot be made.
    #[error("open the journal in {folder}")]
    Folder {
        /// Which folder.
        folder: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Another process has it.
    #[error("open the journal in {folder}: another process of ringpost uses it")]
    InUse {
        /// Which folder.
        folder: String,
    },
    /// The file is damaged, or no journal.
    #[error("read {folder}/journal.db{}", advice(.source.as_ref()))]
    Read {
        /// Which folder.
        folder: String,
        /// Why.
        #[source]
        source: Arc<dyn std::error::Error + Send + Sync>,
    },
    /// Written by a later version.
    #[error(
        "open the journal: its format is {found}, this version knows {known}; start the newer version again"
    )]
    Format {
        /// In the file.
        found: i64,
        /// By this version.
        known: i64,
    },
    /// The number of partitions is fixed when a topic is first seen.
    #[error("open the journal: topic {topic} has {stored} partitions, the configuration says {configured}")]
    Partitions {
        /// Which topic.
        topic: String,
        /// In the file.
        stored: u32,
        /// In the configuration.
        configured: u32,
    },
    /// The configuration cannot hold.
    #[error("open the journal: {0}")]
    Config(String),
    /// Settings, topics or brokers are not as they have to be.
    #[error("use the log on Kafka: {}", .mistakes.join("; "))]
    Brokers {
        /// All that is wrong, each with what to do about it.
        mistakes: Vec<String>,
    },
}

/// Why the log did not do what was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// No such topic, or not of the kind needed.
    #[error("use topic {topic}: {why}")]
    Topic {
        /// Its name.
        topic: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// One record is larger than the log takes.
    #[error("append to {topic}: a record of {bytes} bytes, at most {most} are taken")]
    TooLarge {
        /// Where to.
        topic: String,
        /// Its size.
        bytes: usize,
        /// The limit.
        most: usize,
    },
    /// More is waiting than may wait.
    #[error("append to {topic}: not stored, the queue of the journal is full; try again")]
    Busy {
        /// Where to.
        topic: String,
    },
    /// The disk, or the room that the journal may take, is full.
    #[error("write the journal: not stored, no room is left; make room and try again")]
    Full,
    /// The disk failed us.
    #[error("write the journal: not stored, {}", trouble(.0.as_ref()))]
    Write(#[source] Arc<dyn std::error::Error + Send + Sync>),
    /// The disk failed us, or the journal is damaged.
    #[error("read topic {topic}, partition {partition}")]
    Read {
        /// Which topic.
        topic: String,
        /// Which partition.
        partition: Partition,
        /// Why.
        #[source]
        source: Arc<dyn std::error::Error + Send + Sync>,
    },
    /// The partition is another worker's now: forget what is in memory of it.
    #[error("commit for group {group}: partition {partition} is not this worker's")]
    Fenced {
        /// Of which group.
        group: String,
        /// Which partition.
        partition: Partition,
    },
    /// A position behind the committed one.
    #[error("commit for group {group}: position {asked} of partition {partition} is behind {committed}")]
    Backwards {
        /// Of which group.
        group: String,
        /// Which partition.
        partition: Partition,
        /// The position asked for.
        asked: u64,
        /// The position committed.
        committed: u64,
    },
    /// A commit was dropped half-way: whether it holds is unknown to this worker. Make a new one.
    #[error("use a worker of group {group}: an earlier commit was abandoned half-way")]
    Interrupted {
        /// Of which group.
        group: String,
    },
    /// The brokers did not do it, or did not say so in time.
    #[error("{what}: not done, {reason}; try again")]
    Broker {
        /// What was asked.
        what: String,
        /// What came of it.
        reason: String,
    },
    /// The group has given this worker's partitions to others. Nothing it has in memory counts any more.
    #[error("use a worker of group {group}: its partitions were given to others, {reason}")]
    Lost {
        /// Of which group.
        group: String,
        /// Why.
        reason: String,
    },
    /// Another process goes by the same name.
    #[error(
        "use a worker of group {group}: another process goes by the name {instance} and has taken over; \
         stop one of the two, or give each an instance name of its own"
    )]
    Replaced {
        /// Of which group.
        group: String,
        /// The name.
        instance: String,
    },
    /// Its writer was fenced or has failed for good.
    #[error("use a worker of group {group}: it cannot write any more, {reason}")]
    Broken {
        /// Of which group.
        group: String,
        /// Why.
        reason: String,
    },
    /// The journal's task has ended.
    #[error("use the journal: it is closed")]
    Closed,
}

impl Error {
    /// Whether the same call can succeed later.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Busy { .. } | Self::Full | Self::Write(_) | Self::Read { .. } | Self::Broker { .. } => true,
            Self::Topic { .. }
            | Self::TooLarge { .. }
            | Self::Fenced { .. }
            | Self::Backwards { .. }
            | Self::Interrupted { .. }
            | Self::Lost { .. }
            | Self::Replaced { .. }
            | Self::Broken { .. }
            | Self::Closed => false,
        }
    }

    /// Whether only this worker has come to its end: a new one of the same subscription goes on where the group has
    /// committed, with the state as of then.
    pub fn wants_new_worker(&self) -> bool {
        matches!(
            self,
            Self::Fenced { .. } | Self::Interrupted { .. } | Self::Lost { .. } | Self::Broken { .. }
        )
    }
}

type Source = dyn std::error::Error + Send + Sync;

/// The plain result code of SQLite: extended ones have it in their lowest byte.
fn code(source: &Source) -> Option<u32> {
    let error = source.downcast_ref::<sqlx::Error>()?.as_database_error()?;
    error.code()?.parse::<u32>().ok().map(|code| code & 0xff)
}

/// What to do about a file that cannot be opened.
fn advice(source: &Source) -> &'static str {
    match code(source) {
        // SQLITE_CORRUPT, _NOTADB.
        Some(11 | 26) => ": it is damaged; keep a copy of it, and restore the folder from a backup",
        Some(8) => ": it is read-only; make the folder and its files writable for this user",
        // SQLITE_CANTOPEN.
        Some(14) => ": make the folder and its files readable and writable for this user",
        Some(13) => ": the disk is full; make room and start again",
        _ => "",
    }
}

/// What is wrong with a file that cannot be written, and what to do.
fn trouble(source: &Source) -> &'static str {
    match code(source) {
        Some(11 | 26) => "journal.db is damaged; stop, keep a copy of it, and restore it from a backup",
        Some(8) => "its files are read-only; make them writable and try again",
        // SQLITE_NOMEM, _IOERR, _CANTOPEN.
        Some(7 | 10 | 14) => "the disk gives an error; look at the system's log, and try again",
        _ => "try again",
    }
}
