//! The binary `ringpost` as a library: configuration, commands, wiring. Only this crate reads a clock, the
//! environment or a signal; what a record is, and where it goes, is decided in the stages.

pub mod cli;
mod clock;
pub mod commands;
pub mod config;
mod open_store;
mod resources;
pub mod serve;
