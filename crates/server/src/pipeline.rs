//! The loops of the pipeline with their seams: log, store, receivers and clock are arguments. `serve` wires them to
//! the real ones; a simulated world, in which a seed is a schedule of crashes and delays, to its own.

pub use crate::admin::Readiness;
pub use crate::clock::{Clock, wall};
pub use crate::log::Renewed;
pub use crate::metrics::Metrics;
pub use crate::resources::tenant_id;
pub use crate::serve::{Aggregate, BacklogLimits, DeadLetters, Dispatch, Fire, LogIntake, TableReader};
pub use crate::topics::{CDRS, LEGS, SESSIONS};
pub use crate::trigger_cache::{TriggerCache, TriggerSource};
