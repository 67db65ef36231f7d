//! What the tests in `it` share with the harness of faults: a receiver. All else is in `it`.

mod receiver;

use std::time::Duration;

pub use receiver::{Down, Fate, Receiver, Reply, Request};

/// After this a test has failed, however slow the machine is.
pub const TIMEOUT: Duration = Duration::from_secs(120);
