//! What the store counts.

use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry};
use ringpost_model::Timestamp;

use crate::error::{Error, doing};
use crate::sql::{self, Row};
use crate::store::{Backend, Store};

/// Counters of one store; register them under the prefix of the caller.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Seconds that a durable write takes, by what it does: `settle`, `claim`.
    pub write_seconds: HistogramVec,
    /// Rows written, by table.
    pub rows: IntCounterVec,
    /// Connections to PostgreSQL, by state: `used`, `idle`. As many `used` as `store.connections` allows: others wait.
    pub connections: IntGaugeVec,
}

/// How much is owed, as of now.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stats {
    /// Deliveries owed.
    pub debts: u64,
    /// The earliest due time of all, held ones included.
    pub oldest_due: Option<Timestamp>,
    /// Debts of triggers that are paused.
    pub held: u64,
    /// Dead letters that were not replayed.
    pub dead_letters: u64,
    /// Deliveries that failed, and come back if their receiver turns out to be down.
    pub spent: u64,
    /// Rows that could not be read and were taken out of the way.
    pub damaged: u64,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let buckets = vec![0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5];
        let seconds = HistogramOpts::new("store_operation_seconds", "Time of a write, syncs included.");
        let rows = Opts::new("store_rows_total", "Rows written.");
        let connections = Opts::new("store_connections", "Connections to PostgreSQL.");
        Self {
            write_seconds: HistogramVec::new(seconds.buckets(buckets), &["operation"]).expect("a valid name"),
            rows: IntCounterVec::new(rows, &["table"]).expect("a valid name"),
            connections: IntGaugeVec::new(connections, &["state"]).expect("a valid name"),
        }
    }

    /// Adds all to a registry.
    ///
    /// # Errors
    /// A name is taken already.
    pub fn register(&self, registry: &Registry) -> Result<(), prometheus::Error> {
        registry.register(Box::new(self.write_seconds.clone()))?;
        registry.register(Box::new(self.connections.clone()))?;
        registry.register(Box::new(self.rows.clone()))
    }

    pub(crate) fn count(&self, table: &str, rows: usize) {
        self.rows.with_label_values(&[table]).inc_by(rows as u64);
    }
}

impl Store {
    /// How much is owed. Cheap enough to be asked at every scrape.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn stats(&self) -> Result<Stats, Error> {
        let sql = "SELECT (SELECT CAST(coalesce(sum(count), 0) AS BIGINT) FROM owed), (SELECT min(due) FROM debts),
            (SELECT CAST(coalesce(sum(count), 0) AS BIGINT) FROM owed o JOIN triggers t ON t.id = o.trigger_id WHERE t.held = 1),
            (SELECT count(*) FROM dead_letters WHERE replayed IS NULL), (SELECT count(*) FROM spent),
            (SELECT count(*) FROM damaged)";
        if let Backend::Postgres(server) = &self.inner.backend {
            let (used, idle) = server.pool().connections();
            self.inner.metrics.connections.with_label_values(&["used"]).set(used);
            self.inner.metrics.connections.with_label_values(&["idle"]).set(idle);
        }
        let row = sql::query(sql).fetch_one(self.readers()).await.map_err(doing("count what is owed"))?;
        stats(&row).map_err(doing("count what is owed"))
    }
}

fn stats(row: &Row) -> sqlx::Result<Stats> {
    let count = |at: usize| Ok::<_, sqlx::Error>(row.try_get::<i64>(at)? as u64);
    Ok(Stats {
        debts: count(0)?,
        oldest_due: row.try_get::<Option<i64>>(1)?.map(Timestamp::from_micros),
        held: count(2)?,
        dead_letters: count(3)?,
        spent: count(4)?,
        damaged: count(5)?,
    })
}
