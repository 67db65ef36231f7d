//! The store as its users see it: one behaviour suite for every backend, and what only files promise.

#![expect(clippy::unwrap_used, reason = "these are tests")]

mod attempts;
mod backup;
mod bench;
mod breaker;
mod configuration;
mod crash;
mod damage;
mod dead_letters;
mod debts;
mod files;
mod lanes;
mod migration;
mod notices;
mod order;
mod prepare;
mod rates;
mod server;
mod sessions;
mod shared;
mod spent;
mod tables;
