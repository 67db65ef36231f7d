//! The filter language of triggers: compile, index, match, explain (triggers-and-delivery.md 1 and 2).
//!
//! Pure: no IO, no clock, no logging. Whether a trigger's deliveries are wanted (enabled, paused, revisions) is the
//! caller's business; here is only whether its filters hold, and whether it may be saved. docs/filters.md is the
//! user's side of it.

mod check;
mod compile;
mod compiled;
mod condition;
mod decimal;
mod error;
mod explain;
mod expression;
mod field;
mod fold;
mod limits;
mod operator;
mod phone;
mod range;
mod set;
mod suggest;
mod text_test;
mod view;

pub use check::{Policy, check};
pub use compiled::Compiled;
pub use error::FilterError;
pub use explain::Explained;
pub use limits::{ERRORS, EXPRESSION_BYTES, FILTERS, LIST_ENTRIES, TEXT_BYTES};
pub use set::Set;
