//! What is told of many measurements.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Durations, to be asked for percentiles. Milliseconds.
#[derive(Debug, Default, Clone)]
pub(crate) struct Spread(Vec<f64>);

impl Spread {
    pub(crate) fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        Self(values)
    }

    /// The value below which this share of all lies.
    pub(crate) fn at(&self, share: f64) -> f64 {
        let last = self.0.len().saturating_sub(1);
        self.0.get((share * last as f64).round() as usize).copied().unwrap_or(f64::NAN)
    }

    /// Median, p99 and the longest.
    pub(crate) fn text(&self) -> String {
        let [half, most, all] = [0.5, 0.99, 1.0].map(|share| self.at(share));
        format!("p50 {half:.1} ms, p99 {most:.1} ms, longest {all:.1} ms")
    }
}

/// One line: what it is, what it came to.
pub(crate) fn tell(what: &str, value: &str) {
    println!("{what:<58} {value}");
}

/// Now, in microseconds of the wall clock.
pub(crate) fn now_micros() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// CPU seconds that a process has used so far.
pub(crate) fn cpu_seconds(process: u32) -> f64 {
    ticks(&place(process), &[11, 12])
}

/// The same of a process, its children that have ended, and those that have not.
pub(crate) fn tree_seconds(process: u32) -> f64 {
    let all = std::fs::read_dir("/proc").into_iter().flatten().flatten().map(|entry| entry.path());
    let children = all.filter(|path| field(path, 1).is_some_and(|parent| parent == f64::from(process)));
    ticks(&place(process), &[11, 12, 13, 14]) + children.map(|path| ticks(&path, &[11, 12])).sum::<f64>()
}

fn place(process: u32) -> PathBuf {
    Path::new("/proc").join(process.to_string())
}

/// Seconds of these fields. A tick is a hundredth of a second on every Linux that we know.
fn ticks(process: &Path, fields: &[usize]) -> f64 {
    fields.iter().filter_map(|at| field(process, *at)).sum::<f64>() / 100.0
}

/// Counted from the state, which follows the name in brackets.
fn field(process: &Path, at: usize) -> Option<f64> {
    let stat = std::fs::read_to_string(process.join("stat")).ok()?;
    stat.rsplit(')').next()?.split_whitespace().nth(at)?.parse().ok()
}

/// Megabytes that it holds in memory.
pub(crate) fn resident_megabytes(process: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kilo| kilo.parse::<f64>().ok()).unwrap_or(f64::NAN) / 1024.0
}
