//! The store as its users see it: one behaviour suite for every backend, and what only files promise.

#![expect(clippy::unwrap_used, reason = "these are tests")]

mod attempts;
mod bench;
mod configuration;
mod crash;
mod dead_letters;
mod debts;
mod files;
mod order;
mod sessions;
