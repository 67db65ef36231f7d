//! What has to be done now and then: dropping what is old, which one process of all does, and measuring what only a look
//! at the store tells, which each does for its own metrics and status.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ringpost_deliver::Lanes;
use ringpost_store::{Keep, Store};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::admin::status::Collector;
use crate::admin::{Board, Readiness};
use crate::clock;
use crate::config::Config;
use crate::log::ServedLog;
use crate::metrics::Metrics;
use crate::serve::sources::SourceStates;

/// Scrapes come every 15 s or so; a second is fresh enough for all of them and costs next to nothing.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Retention is in days: an hour late is on time.
const DROP_EVERY: Duration = Duration::from_secs(3_600);

/// What it looks after.
pub(super) struct Housekeeping {
    pub(super) log: ServedLog,
    pub(super) store: Store,
    /// Where the process has the role dispatch.
    pub(super) lanes: Option<Lanes>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) readiness: Arc<Readiness>,
    pub(super) keep: Keep,
    /// Where the status of the process is put up.
    pub(super) board: Arc<Board>,
    /// How the sources are doing.
    pub(super) sources: Arc<SourceStates>,
    /// The folder whose file system must not fill up.
    pub(super) data: PathBuf,
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
        let (log, store) = (self.log.clone(), self.store.clone());
        let mut collector = Collector::new(log, store, Arc::clone(&self.metrics), clock::now());
        let mut drop_at = Instant::now() + LOOK_EVERY;
        loop {
            self.measure(&mut collector).await;
            if drop_at <= Instant::now() && self.readiness.leads() {
                self.drop_old().await;
                drop_at = Instant::now() + DROP_EVERY;
            }
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    async fn measure(&self, collector: &mut Collector) {
        let lanes = self.lanes.as_ref().map(Lanes::stats).unwrap_or_default();
        let depth = self.metrics.queue_depth.with_label_values(&["lanes"]);
        depth.set(number(lanes.waiting as u64 + lanes.in_flight as u64));
        let (now, stats) = (clock::now(), self.store.stats().await);
        if let Err(error) = &stats {
            warn!(%error, "what is owed cannot be counted");
        }
        let mut status = collector.collect(now, &lanes, stats.as_ref().ok()).await;
        status.sources = self.sources.all().into_iter().map(Into::into).collect();
        for queue in &status.queues {
            let name = [queue.name.as_str()];
            self.metrics.queue_depth.with_label_values(&name).set(number(queue.depth));
            self.metrics.queue_capacity.with_label_values(&name).set(number(queue.capacity));
        }
        self.measure_disk();
        for stage in &status.stages {
            let name = [stage.name.as_str()];
            self.metrics.lag_records.with_label_values(&name).set(number(stage.lag_records));
            self.metrics.lag_seconds.with_label_values(&name).set(stage.lag_seconds);
        }
        if let Ok(stats) = stats {
            self.metrics.debts.set(number(stats.debts));
            self.metrics.spent.set(number(stats.spent));
            self.metrics.damaged_rows.set(number(stats.damaged));
            self.metrics.dead_letters_waiting.set(number(stats.dead_letters));
            let age = stats.oldest_due.map_or(0, |due| now.seconds() - due.seconds());
            self.metrics.oldest_due_seconds.set(age.max(0));
        }
        self.metrics.lanes.with_label_values(&["busy"]).set(number(status.lanes.busy));
        // Those whose receivers are in trouble are counted by dispatch.
        let paused = status.lanes.troubled.iter().filter(|lane| lane.state == "paused").count() as u64;
        self.metrics.lanes.with_label_values(&["paused"]).set(number(paused));
        for what in &status.unknown {
            warn!(what, "a measure is missing");
        }
        self.board.set(status);
    }

    fn measure_disk(&self) {
        match rustix::fs::statvfs(&self.data) {
            Ok(seen) => {
                self.metrics.data_free_bytes.set(number(seen.f_bavail.saturating_mul(seen.f_frsize)));
                self.metrics.data_size_bytes.set(number(seen.f_blocks.saturating_mul(seen.f_frsize)));
            }
            Err(error) => warn!(%error, "the disk of the data folder cannot be measured"),
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

fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
