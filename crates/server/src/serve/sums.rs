//! Counters of all machines of a process, as metrics see them: they only grow, whatever partitions come and go.

use ringpost_session::{Refusal, Stats};

use crate::metrics::Metrics;

/// Sums over machines.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sums {
    repeats: u64,
    late: u64,
    emitted: u64,
    revisions: u64,
    too_late: u64,
    session_full: u64,
    too_many_live: u64,
    live: u64,
    kept: u64,
}

impl Sums {
    /// Adds the counts of one machine.
    pub(crate) fn add(&mut self, stats: &Stats) {
        self.repeats += stats.repeats;
        self.late += stats.late + stats.too_late;
        self.emitted += stats.emitted;
        self.revisions += stats.revisions;
        self.too_late += stats.too_late;
        self.session_full += stats.session_full;
        self.too_many_live += stats.too_many_live;
        self.live += stats.live_sessions;
        self.kept += stats.kept_sessions;
    }

    /// Keeps the counts of a machine that is given up: what it held is another's now.
    pub(crate) fn add_gone(&mut self, stats: &Stats) {
        self.add(&Stats { live_sessions: 0, kept_sessions: 0, ..*stats });
    }

    /// Adds what grew since `before` to the counters, and sets the gauges.
    pub(crate) fn publish(&self, before: &Self, metrics: &Metrics) {
        metrics.legs_repeated.inc_by(self.repeats.saturating_sub(before.repeats));
        metrics.legs_late.inc_by(self.late.saturating_sub(before.late));
        let corrections = self.revisions.saturating_sub(before.revisions);
        let emitted = self.emitted.saturating_sub(before.emitted);
        metrics.records.with_label_values(&["correction"]).inc_by(corrections);
        metrics.records.with_label_values(&["first"]).inc_by(emitted.saturating_sub(corrections));
        let refused = [
            (Refusal::TooLate, self.too_late, before.too_late),
            (Refusal::SessionFull, self.session_full, before.session_full),
            (Refusal::TooManyLive, self.too_many_live, before.too_many_live),
        ];
        for (reason, now, before) in refused {
            metrics.legs_refused.with_label_values(&[reason.name()]).inc_by(now.saturating_sub(before));
        }
        metrics.sessions_live.set(i64::try_from(self.live).unwrap_or(i64::MAX));
        metrics.sessions_kept.set(i64::try_from(self.kept).unwrap_or(i64::MAX));
    }
}
