//! A lane's name, and its breaker as it is kept: shared by who decides (`deliver`), who keeps (`store`) and who
//! shows. Which failures count and what follows is not here.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{DeliveryId, Text, Timestamp};

/// A lane (owner of the trigger, scheme, host, port, path), by an id that does not give the path away: it may be a
/// secret. The same in every process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LaneId(pub Uuid);

impl fmt::Display for LaneId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a lane thinks of its receiver (triggers-and-delivery.md 4, Breaker).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "state")]
pub enum Breaker {
    /// All is well: nothing is kept of it.
    #[default]
    Healthy,
    /// The last tries failed, not yet so often that the receiver counts as down.
    Failing {
        /// The failures without a success between.
        run: Run,
    },
    /// The receiver is down: deliveries wait, one probe at a time is sent.
    Open {
        /// Since when.
        since: Timestamp,
        /// The next probe is sent then, at the earliest.
        probe_at: Timestamp,
        /// Distance between the last probe and the next, in microseconds.
        wait: i64,
        /// What the last try came to, for people.
        reason: Text,
    },
    /// It answers again: more and more requests in flight.
    Ramping {
        /// It was down since then.
        since: Timestamp,
        /// Requests in flight at most.
        limit: u32,
        /// Successes at this limit.
        done: u32,
        /// Distance of the last probe, in microseconds: where it goes on if the receiver is down again.
        wait: i64,
    },
}

/// Failures in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    /// How many tries.
    pub failures: u32,
    /// When the first of them ended.
    pub since: Timestamp,
    /// The delivery it was of.
    pub first: DeliveryId,
    /// There were tries of another one as well.
    pub several: bool,
}

impl Breaker {
    /// The name of the state, in metrics and for people.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Failing { .. } => "failing",
            Self::Open { .. } => "open",
            Self::Ramping { .. } => "ramping",
        }
    }

    /// Deliveries wait.
    pub fn is_open(&self) -> bool {
        matches!(self, Self::Open { .. })
    }
}
