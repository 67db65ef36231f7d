//! Puts the document together from log, store, lanes and counters. What cannot be read is named in it, and keeps
//! nothing else from being shown.

use std::sync::Arc;

use ringpost_deliver::{Stats as LaneStats, shown_text};
use ringpost_model::{Breaker, Timestamp};
use ringpost_store::{LaneRow, Stats, Store};

use super::minute::{Counters, Minute};
use super::{FORMAT, Lane, Lanes, LastMinute, Owed, OwedBy, Queue, Sessions, Stage, Status};
use crate::log::ServedLog;
use crate::metrics::Metrics;

/// Lanes listed: a page of them; the others are counted.
const LANES: usize = 100;
/// Triggers listed, of those with the most that is owed.
const TRIGGERS: usize = 5;

/// What it looks at.
pub(crate) struct Collector {
    log: ServedLog,
    store: Store,
    metrics: Arc<Metrics>,
    started: Timestamp,
    minute: Minute,
}

impl Collector {
    /// Since `started` the process runs.
    pub(crate) fn new(log: ServedLog, store: Store, metrics: Arc<Metrics>, started: Timestamp) -> Self {
        Self { log, store, metrics, started, minute: Minute::default() }
    }

    /// Looks at everything.
    pub(crate) async fn collect(
        &mut self,
        now: Timestamp,
        lanes: &LaneStats,
        stats: Option<&Stats>,
    ) -> Status {
        let mut unknown = Vec::new();
        if stats.is_none() {
            unknown.push("how much is owed: the store cannot be read".to_owned());
        }
        let stats = stats.cloned().unwrap_or_default();
        Status {
            v: FORMAT,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            at: now,
            started: self.started,
            // All three are of the moment of the question.
            roles: Vec::new(),
            readiness: String::new(),
            waiting_for: Vec::new(),
            stages: self.stages(now, &mut unknown).await,
            // Known to those who read them.
            sources: Vec::new(),
            sessions: Sessions {
                live: not_negative(self.metrics.sessions_live.get()),
                kept: not_negative(self.metrics.sessions_kept.get()),
            },
            last_minute: self.last_minute(now),
            lanes: self.lanes(now, lanes, &mut unknown).await,
            owed: self.owed(&stats, &mut unknown).await,
            dead_letters: stats.dead_letters,
            queues: self.queues(),
            unknown,
        }
    }

    async fn stages(&self, now: Timestamp, unknown: &mut Vec<String>) -> Vec<Stage> {
        let mut records = std::collections::BTreeMap::<String, u64>::new();
        for lag in self.log.lags() {
            *records.entry(lag.group).or_default() += lag.records;
        }
        let since = self.log.unread_since().await.unwrap_or_else(|error| {
            unknown.push(format!("how old the oldest unread record is: {error}"));
            Default::default()
        });
        let stage = |(name, lag_records): (String, u64)| {
            let age = since.get(&name).map_or(0, |since| (now.micros() - since).max(0));
            Stage { name, lag_records, lag_seconds: (age / 1_000) as f64 / 1e3 }
        };
        records.into_iter().map(stage).collect()
    }

    fn last_minute(&mut self, now: Timestamp) -> LastMinute {
        let families = self.metrics.families();
        let sum = |name: &str, label: Option<&str>| -> u64 {
            let family = families.iter().filter(|family| family.name() == name);
            let metrics = family.flat_map(|family| family.get_metric());
            let wanted = metrics.filter(|metric| {
                label.is_none_or(|label| metric.get_label().iter().any(|pair| pair.value() == label))
            });
            wanted.map(|metric| metric.get_counter().get_value() as u64).sum()
        };
        let counters = Counters {
            legs: sum("ringpost_ingest_legs_accepted_total", None),
            records: sum("ringpost_session_records_total", None),
            requests: sum("ringpost_deliver_attempts_total", None),
            delivered: sum("ringpost_deliver_attempts_total", Some("success")),
        };
        self.minute.look(now, counters)
    }

    async fn lanes(&self, now: Timestamp, stats: &LaneStats, unknown: &mut Vec<String>) -> Lanes {
        let rows = match self.store.lanes().await {
            Ok(rows) => rows,
            Err(error) => {
                unknown.push(format!("which lanes are in trouble: {error}"));
                return sizes(stats);
            }
        };
        if rows.skipped > 0 {
            unknown.push(format!("{} lanes: their rows cannot be read", rows.skipped));
        }
        let mut troubled: Vec<Lane> = rows.iter().filter_map(|row| lane(row, now)).collect();
        troubled.sort_by(|a, b| b.owed.cmp(&a.owed).then_with(|| a.lane.cmp(&b.lane)));
        let more = troubled.len().saturating_sub(LANES) as u64;
        troubled.truncate(LANES);
        Lanes { troubled, more, ..sizes(stats) }
    }

    async fn owed(&self, stats: &Stats, unknown: &mut Vec<String>) -> Owed {
        let (deliveries, held, spent) = (stats.debts, stats.held, stats.spent);
        let mut owed = Owed { deliveries, held, spent, oldest_due: stats.oldest_due, most: Vec::new() };
        if deliveries == 0 {
            return owed;
        }
        let mut counts = self.store.owed_counts().await.unwrap_or_else(|error| {
            unknown.push(format!("for which triggers deliveries are owed: {error}"));
            Vec::new()
        });
        counts.retain(|count| count.debts > 0);
        counts.sort_by(|a, b| b.debts.cmp(&a.debts).then_with(|| a.trigger.cmp(&b.trigger)));
        counts.truncate(TRIGGERS);
        for count in counts {
            let stored = self.store.trigger(count.trigger).await.ok().flatten();
            let (tenant, name, url, rate) = stored.map_or_else(
                || (String::new(), "(removed)".to_owned(), String::new(), None),
                |stored| {
                    let trigger = stored.trigger;
                    let url = shown_text(&trigger.url);
                    (stored.tenant.to_string(), trigger.name.to_string(), url, trigger.rate_limit)
                },
            );
            let (trigger, deliveries) = (count.trigger.to_string(), count.debts);
            owed.most.push(OwedBy { trigger, tenant, name, url, deliveries, rate });
        }
        owed
    }

    fn queues(&self) -> Vec<Queue> {
        let gauge = |gauges: &prometheus::IntGaugeVec, name: &str| {
            not_negative(gauges.with_label_values(&[name]).get())
        };
        let lanes = Queue {
            name: "lanes".to_owned(),
            depth: gauge(&self.metrics.queue_depth, "lanes"),
            capacity: gauge(&self.metrics.queue_capacity, "lanes"),
            unit: "deliveries".to_owned(),
        };
        let journal = Queue {
            name: "journal".to_owned(),
            depth: not_negative(self.log.metrics().queue_bytes.get()),
            capacity: self.log.queue_bytes() as u64,
            unit: "bytes".to_owned(),
        };
        vec![journal, lanes]
    }
}

fn sizes(stats: &LaneStats) -> Lanes {
    let (busy, in_flight, waiting) = (stats.lanes as u64, stats.in_flight as u64, stats.waiting as u64);
    Lanes { busy, in_flight, waiting, ..Lanes::default() }
}

fn not_negative(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

/// None for one that is plain again.
fn lane(row: &LaneRow, now: Timestamp) -> Option<Lane> {
    let paused = row.paused_until.filter(|until| *until > now);
    let (state, since, next, reason) = match &row.breaker {
        Breaker::Open { since, probe_at, reason, .. } => {
            ("open", Some(*since), Some(*probe_at), reason.to_string())
        }
        Breaker::Ramping { since, limit, .. } => {
            ("ramping", Some(*since), None, format!("answers again; {limit} at a time"))
        }
        _ if paused.is_some() => ("paused", None, paused, row.pause_reason.to_string()),
        Breaker::Failing { run } => {
            ("failing", Some(run.since), None, format!("{} failures in a row", run.failures))
        }
        Breaker::Healthy => return None,
    };
    let (lane, url) = (row.lane.to_string(), row.shown.to_string());
    Some(Lane { lane, url, state: state.to_owned(), since, next, owed: row.owed, reason })
}
