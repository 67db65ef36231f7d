//! The commands. Each takes its arguments and an [`Io`](crate::cli::Io), so that a test runs it in-process.

pub mod aggregate;
pub mod apply;
pub mod backup;
pub mod calls;
pub mod check_config;
pub mod compare;
pub mod completions;
pub mod dead_letters;
pub mod doctor;
pub mod enrich;
pub mod explain;
pub mod import;
mod input;
pub mod log_level;
pub mod mail_test;
mod offline;
pub mod place;
pub mod rate;
pub mod restore;
mod running;
pub mod send;
pub mod serve;
pub mod simulate;
pub mod sink;
pub mod status;
pub mod tables;
pub mod topics;
