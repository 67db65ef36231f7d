//! What has to be done now and then: dropping what is old, and measuring what only a look at the store tells.

use std::sync::Arc;
use std::time::Duration;

use ringpost_bus::Embedded;
use ringpost_deliver::Lanes;
use ringpost_store::{Keep, Store};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::clock;
use crate::config::Config;
use crate::metrics::Metrics;

/// Scrapes come every 15 s or so; a second is fresh enough for all of them and costs next to nothing.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Retention is in days: an hour late is on time.
const DROP_EVERY: Duration = Duration::from_secs(3_600);

/// What it looks after.
pub(super) struct Housekeeping {
    pub(super) log: Embedded,
    pub(super) store: Store,
    pub(super) lanes: Lanes,
    pub(super) metrics: Arc<Metrics>,
    pub(super) keep: Keep,
}

/// How long what is kept, as configured.
pub(super) fn keep(config: &Config) -> Keep {
    Keep {
        attempts: config.store.keep_attempts,
        sessions: config.store.keep_sessions,
        dead_letters: config.bus.retention.dead_letters,
        spent: config.delivery.max_hold,
    }
}

impl Housekeeping {
    /// Until told to stop.
    ///
    /// # Errors
    /// None; the shape of all parts.
    pub(super) async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut drop_at = Instant::now() + LOOK_EVERY;
        loop {
            self.measure().await;
            if drop_at <= Instant::now() {
                self.drop_old().await;
                drop_at = Instant::now() + DROP_EVERY;
            }
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    async fn measure(&self) {
        let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        let mut lags = std::collections::BTreeMap::<String, u64>::new();
        for lag in self.log.lags() {
            *lags.entry(lag.group).or_default() += lag.records;
        }
        for (stage, records) in lags {
            let records = i64::try_from(records).unwrap_or(i64::MAX);
            self.metrics.lag_records.with_label_values(&[&stage]).set(records);
        }
        let lanes = self.lanes.stats();
        self.metrics.lanes.with_label_values(&["open"]).set(count(lanes.lanes));
        self.metrics.queue_depth.with_label_values(&["lanes"]).set(count(lanes.waiting + lanes.in_flight));
        match self.store.paused_lanes(clock::now()).await {
            Ok(paused) => self.metrics.lanes.with_label_values(&["paused"]).set(count(paused.len())),
            Err(error) => warn!(%error, "lanes that are paused cannot be counted"),
        }
        match self.store.stats().await {
            Ok(stats) => {
                self.metrics.debts.set(i64::try_from(stats.debts).unwrap_or(i64::MAX));
                let now = clock::now();
                let age = stats.oldest_due.map_or(0, |due| now.seconds() - due.seconds());
                self.metrics.oldest_due_seconds.set(age.max(0));
            }
            Err(error) => warn!(%error, "what is owed cannot be counted"),
        }
    }

    async fn drop_old(&self) {
        let now = clock::now();
        match self.store.retain(self.keep, now).await {
            Ok(dropped) if dropped == ringpost_store::Dropped::default() => {}
            Ok(dropped) => info!(?dropped, "what is old was dropped from the store"),
            Err(error) => warn!(%error, "what is old could not be dropped from the store"),
        }
        match self.log.retain(now.micros()).await {
            Ok(0) => {}
            Ok(records) => info!(records, "what is old was dropped from the log"),
            Err(error) => warn!(%error, "what is old could not be dropped from the log"),
        }
    }
}
