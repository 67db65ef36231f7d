//! The topics of the log (architecture.md, The log): names, what is keyed by what, how long it is kept.

use ringpost_bus::{Keep, Topic};

use crate::config::Config;

/// Leg records, format 1, keyed by tenant.
pub const LEGS: &str = "ringpost.legs";
/// State of live sessions and stubs of closed ones, keyed by birth key.
pub const SESSIONS: &str = "ringpost.sessions";
/// Envelopes, format 1, every revision, keyed by tenant.
pub const CDRS: &str = "ringpost.cdrs";

/// How far files have been read, keyed by source and file.
pub(crate) const SOURCES: &str = "ringpost.sources";

/// All of them, as configured.
pub(crate) fn all(config: &Config) -> Vec<Topic> {
    let retention = &config.bus.retention;
    let topic = |name: &str, keep| Topic { name: name.to_owned(), partitions: config.bus.partitions, keep };
    vec![
        topic(LEGS, Keep::For(retention.legs)),
        topic(SESSIONS, Keep::Latest),
        topic(CDRS, Keep::For(retention.cdrs)),
        topic(SOURCES, Keep::Latest),
    ]
}
