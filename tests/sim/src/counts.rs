//! What the pipeline counts of itself, over all lives of the process, and what the world counts of a run.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use ringpost::pipeline::Metrics;

/// Sums of a run.
#[derive(Debug, Clone, Default)]
pub struct Counts {
    /// Lives of the process.
    pub lives: u32,
    /// Counters of all lives, by name, their labels summed up.
    pub metrics: BTreeMap<String, u64>,
    /// Legs in the log.
    pub legs: u64,
    /// Records in the log.
    pub records: u64,
    /// Corrections among them.
    pub corrections: u64,
    /// Deliveries that had to be made.
    pub deliveries: u64,
    /// Requests made.
    pub requests: u64,
    /// Deliveries that a receiver got more than once.
    pub repeats: u64,
    /// Endings by kind.
    pub endings: BTreeMap<&'static str, u64>,
}

impl Counts {
    /// Adds what a life of the process has counted.
    pub(crate) fn add_life(&mut self, metrics: &Arc<Metrics>) {
        let text = metrics.render().unwrap_or_default();
        for (name, value) in samples(&text).filter(|(name, _)| name.ends_with("_total")) {
            *self.metrics.entry(name.to_owned()).or_default() += value;
        }
    }

    /// A counter of all lives.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        self.metrics.get(name).copied().unwrap_or_default()
    }

    /// A gauge of one life.
    pub(crate) fn gauge(metrics: &Arc<Metrics>, name: &str) -> u64 {
        let text = metrics.render().unwrap_or_default();
        samples(&text).filter(|(found, _)| *found == name).map(|(_, value)| value).sum()
    }

    /// Adds another run.
    pub fn add(&mut self, other: &Self) {
        self.lives += other.lives;
        self.legs += other.legs;
        self.records += other.records;
        self.corrections += other.corrections;
        self.deliveries += other.deliveries;
        self.requests += other.requests;
        self.repeats += other.repeats;
        for (ending, count) in &other.endings {
            *self.endings.entry(ending).or_default() += count;
        }
        for (name, value) in &other.metrics {
            *self.metrics.entry(name.clone()).or_default() += value;
        }
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { lives, legs, records, corrections, deliveries, requests, repeats, .. } = self;
        write!(f, "{lives} lives, {legs} legs, {records} records ({corrections} corrections), ")?;
        write!(f, "{deliveries} deliveries, {requests} requests ({repeats} deliveries more than once)")?;
        self.endings.iter().try_for_each(|(ending, count)| write!(f, ", {count} {ending}"))
    }
}

fn samples(text: &str) -> impl Iterator<Item = (&str, u64)> {
    text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
        let (name, value) = line.rsplit_once(' ')?;
        let name = name.split('{').next().unwrap_or(name);
        Some((name, value.parse::<f64>().ok()? as u64))
    })
}
