//! The topics of the log (architecture.md, The log): names, what is keyed by what, how long it is kept.

use ringpost_bus::{Keep, Topic};

use crate::config::{Backend, Config};

/// Leg records, format 1, keyed by tenant.
pub const LEGS: &str = "ringpost.legs";
/// State of live sessions and stubs of closed ones, keyed by birth key.
pub const SESSIONS: &str = "ringpost.sessions";
/// Envelopes, format 1, every revision, keyed by tenant.
pub const CDRS: &str = "ringpost.cdrs";

/// How far files have been read, keyed by source and file.
pub(crate) const SOURCES: &str = "ringpost.sources";

/// What was refused, on its way into the store; keyed by the place it came from. Only on Kafka.
pub(crate) const DEAD_LETTERS: &str = "ringpost.dead-letters";

/// Says of topics that were moved to whether all is there ([`crate::commands::topics`]). Only on Kafka.
pub(crate) const MOVED: &str = "ringpost.moved";

/// What is wrong with topics of a move that was broken off, and what to do.
pub(crate) fn half_moved(prefix: &str) -> String {
    format!(
        "the topics with the prefix {prefix:?} are those of a move that is not whole: set bus.kafka.prefix back to what it was \
         before, or remove them with `ringpost topics repartition --to-prefix {prefix:?} --discard` (bus.kafka.prefix \
         still the old one) and move again"
    )
}

/// All of them, as configured.
pub(crate) fn all(config: &Config) -> Vec<Topic> {
    let retention = &config.bus.retention;
    let topic = |name: &str, keep| Topic { name: name.to_owned(), partitions: config.bus.partitions, keep };
    let mut all = vec![
        topic(LEGS, Keep::For(retention.legs)),
        topic(SESSIONS, Keep::Latest),
        topic(CDRS, Keep::For(retention.cdrs)),
        topic(SOURCES, Keep::Latest),
    ];
    if config.bus.backend == Backend::Kafka {
        all.push(topic(DEAD_LETTERS, Keep::For(retention.dead_letters)));
    }
    all
}
