//! The log as its users see it: one behaviour suite for every backend, and what only one of them promises.

#![expect(clippy::unwrap_used, reason = "these are tests")]

mod backup;
mod bench;
mod crash;
mod durable;
#[cfg(feature = "kafka")]
mod kafka;
mod model;
mod strace;
mod suite;
