//! The wall clock: the one place of the process that reads it. The stages get it as a value, so that a simulated
//! world can have its own.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use ringpost_model::Timestamp;

/// Says what time it is.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The clock of the machine.
pub fn wall() -> Clock {
    Arc::new(now)
}

/// What time it is.
pub(crate) fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX))
}
