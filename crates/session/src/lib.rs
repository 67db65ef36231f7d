//! Legs to sessions to records: the pure machine.
//!
//! It merges what switches say of legs, finds which legs are one call, and works out the call's record
//! (docs/sessions.md). No IO, no clock: the caller says what time it is. It does not look up names, places or
//! prices, and does not judge bad input.

mod config;
mod connect;
mod faces;
mod hash;
mod intervals;
mod legs;
mod machine;
mod merge;
mod pack;
mod parties;
mod record;
mod roles;
mod settings;
mod slab;
mod space;
mod stats;
mod timeline;

pub use config::{Config, Mode};
pub use machine::{
    Change, Kind, Machine, Output, Refusal, RestoreError, Unworkable, Whose, rework, stream_time,
    stream_time_entry, whose,
};
pub use settings::{PbxSettings, Settings, SettingsError};
pub use stats::Stats;
