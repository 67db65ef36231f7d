//! The binary `ringpost` as a library: configuration, commands, wiring. Only this crate reads a clock, the
//! environment or a signal; what a record is, and where it goes, is decided in the stages.

mod admin;
pub mod cli;
mod clock;
pub mod commands;
pub mod config;
mod data_folder;
mod limits;
mod log;
mod metrics;
mod open_store;
pub mod pipeline;
mod resources;
mod sender;
pub mod serve;
mod topics;
mod trigger_cache;
