//! How lanes are set up.

use std::time::Duration;

use crate::schedule::MAX_HOLD;

/// How lanes are set up.
#[derive(Debug, Clone)]
pub struct Config {
    /// Requests of one lane in flight. 16.
    pub concurrency: usize,
    /// Requests to one origin in flight, of all its lanes together. 256.
    pub per_origin: usize,
    /// Jobs that wait in one lane. 256: what a lane gets through within `handoff` at 16 × 60 ms; what waits
    /// longer is owed anyway.
    pub queue: usize,
    /// Jobs of all lanes together, in flight or waiting: bounds memory. 100,000.
    pub jobs: usize,
    /// After this long in flight, or waiting, a delivery is owed. 1 s.
    pub handoff: Duration,
    /// How long a debt of a try in flight is leased: the deadline and 5 s. 15 s.
    pub lease: Duration,
    /// Reports that wait to be taken; a full channel slows the lanes. 1,024.
    pub reports: usize,
    /// A try that ends so long after the delivery's first one is its last. 24 h.
    pub max_hold: Duration,
    /// Other processes send to the same lanes: one with a rate starts nothing without a share of it, see
    /// [`super::Lanes::share`]. Otherwise the rate is of this process. No.
    pub shared_rates: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            concurrency: 16,
            per_origin: 256,
            queue: 256,
            jobs: 100_000,
            handoff: Duration::from_secs(1),
            lease: Duration::from_secs(15),
            reports: 1_024,
            max_hold: MAX_HOLD,
            shared_rates: false,
        }
    }
}
