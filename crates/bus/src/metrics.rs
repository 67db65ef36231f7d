//! What the log counts.

use prometheus::{Histogram, HistogramOpts, IntCounter, IntGauge, Registry};

/// Counters of one log; register them under the prefix of the caller.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Transactions of the writer: each is one sync of the disk.
    pub commits: IntCounter,
    /// Records written, appended or put out by commits.
    pub records: IntCounter,
    /// Bytes of keys and values of those.
    pub bytes: IntCounter,
    /// Transactions that failed; nothing of them is stored.
    pub failures: IntCounter,
    /// Appends refused because too much waits.
    pub refused: IntCounter,
    /// Seconds that a transaction takes, the sync included.
    pub commit_seconds: Histogram,
    /// Bytes that wait for the writer.
    pub queue_bytes: IntGauge,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let counter = |name: &str, help: &str| IntCounter::new(name, help).expect("a valid name");
        let buckets = vec![0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5];
        let seconds = HistogramOpts::new(
            "bus_commit_seconds",
            "Time of a transaction of the log, until it is durable.",
        );
        Self {
            commits: counter("bus_commits_total", "Transactions of the log."),
            records: counter("bus_records_total", "Records written."),
            bytes: counter("bus_record_bytes_total", "Bytes of the records written."),
            failures: counter("bus_commit_failures_total", "Transactions of the log that failed."),
            refused: counter("bus_appends_refused_total", "Appends refused because the queue was full."),
            commit_seconds: Histogram::with_opts(seconds.buckets(buckets)).expect("a valid name"),
            queue_bytes: IntGauge::new("bus_queue_bytes", "Bytes that wait for the log.")
                .expect("a valid name"),
        }
    }

    #[cfg(feature = "kafka")]
    pub(crate) fn wrote(&self, record: &crate::Record) {
        self.records.inc();
        self.bytes.inc_by((record.key.len() + record.value.len()) as u64);
    }

    /// Adds all to a registry.
    ///
    /// # Errors
    /// A name is taken already.
    pub fn register(&self, registry: &Registry) -> Result<(), prometheus::Error> {
        registry.register(Box::new(self.commits.clone()))?;
        registry.register(Box::new(self.records.clone()))?;
        registry.register(Box::new(self.bytes.clone()))?;
        registry.register(Box::new(self.failures.clone()))?;
        registry.register(Box::new(self.refused.clone()))?;
        registry.register(Box::new(self.commit_seconds.clone()))?;
        registry.register(Box::new(self.queue_bytes.clone()))
    }
}
