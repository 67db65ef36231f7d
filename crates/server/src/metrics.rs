//! What the process measures of itself, in Prometheus' text form on the admin port.
//!
//! Names are `ringpost_<stage>_<noun>_<unit>[_total]`; labels are few and bounded: never a number, an id or a URL.

use std::sync::OnceLock;

use prometheus::{
    Encoder, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, TextEncoder,
};

/// Request durations reach to the deadline of 10 s.
const REQUEST_BUCKETS: [f64; 12] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 7.5, 10.0];
/// From the record to the first request: milliseconds where all is well.
const DELAY_BUCKETS: [f64; 11] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 60.0];

/// A call is over three seconds after its last leg (`sessions.settle`), one with legs that never come after a quarter of
/// an hour (`sessions.gap`).
const SETTLE_BUCKETS: [f64; 12] = [1.0, 2.0, 3.0, 3.5, 4.0, 5.0, 7.5, 10.0, 30.0, 60.0, 1_200.0, 14_400.0];

/// Every metric of the process.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Registry,
    /// What log and store count, under our prefix.
    adopted: OnceLock<Registry>,
    /// Legs taken in, by dialect.
    pub(crate) legs_accepted: IntCounterVec,
    /// Elements refused, by reason.
    pub(crate) legs_rejected: IntCounterVec,
    /// What switches told beside calls, by event.
    pub(crate) notices: IntCounterVec,
    /// Records that said nothing new.
    pub(crate) legs_repeated: IntCounter,
    /// Records of sessions closed long ago.
    pub(crate) legs_late: IntCounter,
    /// Legs found in a partition that is not their tenant's.
    pub(crate) legs_rekeyed: IntCounter,
    /// Records that sessions refused, by reason; they are among the dead letters.
    pub(crate) legs_refused: IntCounterVec,
    /// Live sessions.
    pub(crate) sessions_live: IntGauge,
    /// Closed sessions kept for late records.
    pub(crate) sessions_kept: IntGauge,
    /// From the end of a call's last leg, by the switch's clock, to its first record.
    pub(crate) settle_seconds: Histogram,
    /// Records emitted, by whether they are the first of their session or a correction.
    pub(crate) records: IntCounterVec,
    /// Records of the log not read yet, by stage.
    pub(crate) lag_records: IntGaugeVec,
    /// Age of the oldest record of the log not read yet, by stage.
    pub(crate) lag_seconds: GaugeVec,
    /// Records of the log that were read, by stage: a stage that is behind and reads nothing is stuck.
    pub(crate) stage_records: IntCounterVec,
    /// Triggers asked about a record.
    pub(crate) evaluations: IntCounter,
    /// Triggers whose filters held.
    pub(crate) matches: IntCounter,
    /// Requests made, by outcome class.
    pub(crate) attempts: IntCounterVec,
    /// Duration of requests, by outcome class.
    pub(crate) request_seconds: HistogramVec,
    /// From a record's arrival in dispatch to the start of its first request.
    pub(crate) first_request_delay_seconds: Histogram,
    /// Deliveries owed.
    pub(crate) debts: IntGauge,
    /// Deliveries that failed, and come back if their receiver turns out to be down.
    pub(crate) spent: IntGauge,
    /// Rows of the store that could not be read and were taken out of the way: somebody should look.
    pub(crate) damaged_rows: IntGauge,
    /// Age of the oldest debt that is due, held ones included, in seconds.
    pub(crate) oldest_due_seconds: IntGauge,
    /// Deliveries that failed because too many waited already.
    pub(crate) backlog_full: IntCounter,
    /// Receivers found to be down.
    pub(crate) breaker_opened: IntCounter,
    /// Lanes, by state: `busy` has something to do, `paused` waits as the receiver asked; of their receivers
    /// `failing` are those whose last tries failed, `down` those that deliveries wait for, `ramping` those that are
    /// back.
    pub(crate) lanes: IntGaugeVec,
    /// Items waiting, by queue.
    pub(crate) queue_depth: IntGaugeVec,
    /// Bounds of the queues.
    pub(crate) queue_capacity: IntGaugeVec,
    /// Dead letters written.
    pub(crate) dead_letters: IntCounter,
    /// Dead letters that were not sent in again.
    pub(crate) dead_letters_waiting: IntGauge,
    /// Letters that were there already.
    pub(crate) dead_letters_repeated: IntCounter,
    /// Bytes of files read, by source.
    pub(crate) source_bytes: IntCounterVec,
    /// Legs taken in from files, by source.
    pub(crate) source_legs: IntCounterVec,
    /// Elements of files refused, by source.
    pub(crate) source_rejected: IntCounterVec,
    /// Bytes of files not read yet, by source.
    pub(crate) source_behind: IntGaugeVec,
    /// Files that are looked at, by source.
    pub(crate) source_files: IntGaugeVec,
    /// Files and folders that cannot be read, by source.
    pub(crate) source_troubles: IntGaugeVec,
    /// Tenants whose tables are in memory.
    pub(crate) tables_loaded: IntGauge,
    /// What they take there, in bytes, about.
    pub(crate) tables_bytes: IntGauge,
    /// When the tables in memory were last known to be those of the store, in seconds since 1970.
    pub(crate) tables_checked: IntGauge,
    /// Contacts that records named.
    pub(crate) directory_matches: IntCounter,
    /// Contacts that were too many for their record.
    pub(crate) directory_matches_cut: IntCounter,
    /// Records that a tariff gave a price.
    pub(crate) records_rated: IntCounter,
    /// Records that wait for their tenant's tables.
    pub(crate) records_held: IntGauge,
    /// Bytes that may still be written to the file system of the data folder.
    pub(crate) data_free_bytes: IntGauge,
    /// Size of that file system, in bytes.
    pub(crate) data_size_bytes: IntGauge,
    /// Mails about triggers, by what came of them: `sent`, `failed` (it is tried again), `given_up`.
    pub(crate) mails: IntCounterVec,
}

impl Metrics {
    /// Registers all of them.
    ///
    /// # Errors
    /// Two metrics of one name: a bug.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let make = Maker { registry: &registry };
        let metrics = Self {
            legs_accepted: make.counters("ingest_legs_accepted_total", "Legs taken in.", "dialect")?,
            legs_rejected: make.counters("ingest_legs_rejected_total", "Elements refused.", "reason")?,
            notices: make.counters(
                "ingest_notices_total",
                "Faxes, messages, changed documents and other notices of switches.",
                "event",
            )?,
            legs_repeated: make.counter("session_legs_repeated_total", "Records that said nothing new.")?,
            legs_late: make.counter("session_legs_late_total", "Records of sessions closed long ago.")?,
            legs_rekeyed: make.counter(
                "session_legs_rekeyed_total",
                "Legs found in a partition that is not their tenant's, and written to the right one.",
            )?,
            legs_refused: make.counters(
                "session_legs_refused_total",
                "Records that sessions refused; they are among the dead letters.",
                "reason",
            )?,
            sessions_live: make.gauge("session_live", "Sessions that are not closed.")?,
            sessions_kept: make.gauge("session_kept", "Closed sessions kept for late records.")?,
            settle_seconds: make.histogram(
                "session_settle_seconds",
                "From the end of a call's last leg, by the switch's clock, to its first record.",
                &SETTLE_BUCKETS,
            )?,
            records: make.counters("session_records_total", "Records emitted.", "revision")?,
            lag_seconds: make.seconds(
                "stage_lag_seconds",
                "Age of the oldest record of the log not read yet.",
                "stage",
            )?,
            stage_records: make.counters(
                "stage_records_total",
                "Records of the log that were read.",
                "stage",
            )?,
            lag_records: make.gauges("stage_lag_records", "Records of the log not read yet.", "stage")?,
            evaluations: make.counter("trigger_evaluations_total", "Triggers asked about a record.")?,
            matches: make.counter("trigger_matches_total", "Triggers whose filters held.")?,
            attempts: make.counters("deliver_attempts_total", "Requests made.", "outcome")?,
            request_seconds: make.histograms(
                "deliver_request_seconds",
                "Duration of requests.",
                "outcome",
                &REQUEST_BUCKETS,
            )?,
            first_request_delay_seconds: make.histogram(
                "deliver_first_request_delay_seconds",
                "From a record's arrival in dispatch to its first request.",
                &DELAY_BUCKETS,
            )?,
            debts: make.gauge("deliver_debts", "Deliveries owed.")?,
            spent: make.gauge(
                "deliver_spent",
                "Deliveries that failed, and come back if their receiver turns out to be down.",
            )?,
            damaged_rows: make
                .gauge("store_damaged_rows", "Rows that could not be read and were taken out of the way.")?,
            oldest_due_seconds: make.gauge(
                "deliver_oldest_due_seconds",
                "Age of the oldest debt that is due, held ones included.",
            )?,
            backlog_full: make.counter(
                "deliver_backlog_full_total",
                "Deliveries that failed because too many waited already.",
            )?,
            breaker_opened: make.counter("deliver_breaker_opened_total", "Receivers found to be down.")?,
            lanes: make.gauges("deliver_lanes", "Lanes to receivers.", "state")?,
            queue_depth: make.gauges("queue_depth", "Items that wait in a queue.", "queue")?,
            queue_capacity: make.gauges("queue_capacity", "Items that a queue takes at most.", "queue")?,
            source_bytes: make.counters("source_read_bytes_total", "Bytes of files read.", "source")?,
            source_legs: make.counters("source_legs_total", "Legs taken in from files.", "source")?,
            source_rejected: make.counters(
                "source_rejected_total",
                "Elements of files refused.",
                "source",
            )?,
            source_behind: make.gauges("source_behind_bytes", "Bytes of files not read yet.", "source")?,
            source_files: make.gauges("source_files", "Files that are looked at.", "source")?,
            source_troubles: make.gauges(
                "source_troubles",
                "Files and folders of a source that cannot be read.",
                "source",
            )?,
            tables_loaded: make.gauge("enrich_tables_loaded", "Tenants whose tables are in memory.")?,
            tables_bytes: make.gauge("enrich_tables_bytes", "What they take there.")?,
            tables_checked: make.gauge(
                "enrich_tables_checked_timestamp_seconds",
                "When the tables in memory were last known to be those of the store.",
            )?,
            directory_matches: make
                .counter("enrich_directory_matches_total", "Contacts that records named.")?,
            directory_matches_cut: make.counter(
                "enrich_directory_matches_cut_total",
                "Contacts that were too many for their record.",
            )?,
            records_rated: make
                .counter("enrich_records_rated_total", "Records that a tariff gave a price.")?,
            records_held: make
                .gauge("enrich_records_held", "Records that wait for their tenant's tables.")?,
            data_free_bytes: make.gauge(
                "data_free_bytes",
                "Bytes that may still be written to the file system of the data folder.",
            )?,
            data_size_bytes: make.gauge("data_size_bytes", "Size of the file system of the data folder.")?,
            mails: make.counters("mail_mails_total", "Mails about triggers.", "outcome")?,
            dead_letters: make.counter("dead_letters_total", "Dead letters written.")?,
            dead_letters_waiting: make
                .gauge("dead_letters_waiting", "Dead letters that were not sent in again.")?,
            dead_letters_repeated: make.counter(
                "dead_letters_repeated_total",
                "Elements refused again, byte for byte, that are among the dead letters already.",
            )?,
            adopted: OnceLock::new(),
            registry: registry.clone(),
        };
        let build = make.gauges("build_info", "Always 1; says which version runs.", "version")?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        // CPU, memory, open files, under the names that every Prometheus client has for them.
        #[cfg(target_os = "linux")]
        registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
        Ok(metrics)
    }

    /// Takes in what log and store count themselves.
    ///
    /// # Errors
    /// Two metrics of one name: a bug.
    pub(crate) fn adopt(
        &self,
        bus: &ringpost_bus::Metrics,
        store: &ringpost_store::Metrics,
    ) -> Result<(), prometheus::Error> {
        let prefixed = Registry::new_custom(Some("ringpost".to_owned()), None)?;
        bus.register(&prefixed)?;
        store.register(&prefixed)?;
        self.adopted.set(prefixed).map_err(|_| prometheus::Error::AlreadyReg)
    }

    /// Our own, as data.
    pub(crate) fn families(&self) -> Vec<prometheus::proto::MetricFamily> {
        self.registry.gather()
    }

    /// All of them in the text form that Prometheus scrapes.
    ///
    /// # Errors
    /// Only what the encoder reports, which no metric of ours causes.
    pub fn render(&self) -> Result<String, prometheus::Error> {
        let mut text = Vec::new();
        let mut families = self.families();
        families.extend(self.adopted.get().map(Registry::gather).unwrap_or_default());
        TextEncoder::new().encode(&families, &mut text)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}

struct Maker<'a> {
    registry: &'a Registry,
}

impl Maker<'_> {
    fn options(name: &str, help: &str) -> Opts {
        Opts::new(name, help).namespace("ringpost")
    }

    fn register<M: prometheus::core::Collector + Clone + 'static>(
        &self,
        metric: M,
    ) -> Result<M, prometheus::Error> {
        self.registry.register(Box::new(metric.clone()))?;
        Ok(metric)
    }

    fn counter(&self, name: &str, help: &str) -> Result<IntCounter, prometheus::Error> {
        self.register(IntCounter::with_opts(Self::options(name, help))?)
    }

    fn counters(&self, name: &str, help: &str, label: &str) -> Result<IntCounterVec, prometheus::Error> {
        self.register(IntCounterVec::new(Self::options(name, help), &[label])?)
    }

    fn gauge(&self, name: &str, help: &str) -> Result<IntGauge, prometheus::Error> {
        self.register(IntGauge::with_opts(Self::options(name, help))?)
    }

    fn gauges(&self, name: &str, help: &str, label: &str) -> Result<IntGaugeVec, prometheus::Error> {
        self.register(IntGaugeVec::new(Self::options(name, help), &[label])?)
    }

    fn seconds(&self, name: &str, help: &str, label: &str) -> Result<GaugeVec, prometheus::Error> {
        self.register(GaugeVec::new(Self::options(name, help), &[label])?)
    }

    fn histogram(&self, name: &str, help: &str, buckets: &[f64]) -> Result<Histogram, prometheus::Error> {
        let options = HistogramOpts::from(Self::options(name, help)).buckets(buckets.to_vec());
        self.register(Histogram::with_opts(options)?)
    }

    fn histograms(
        &self,
        name: &str,
        help: &str,
        label: &str,
        buckets: &[f64],
    ) -> Result<HistogramVec, prometheus::Error> {
        let options = HistogramOpts::from(Self::options(name, help)).buckets(buckets.to_vec());
        self.register(HistogramVec::new(options, &[label])?)
    }
}
