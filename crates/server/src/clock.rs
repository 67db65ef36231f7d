//! The wall clock: the one place of the process that reads it.

use std::time::{SystemTime, UNIX_EPOCH};

use ringpost_model::Timestamp;

/// What time it is.
pub(crate) fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX))
}
