//! What the worker on Kafka costs beside a bare rdkafka loop that does the same: consumes, parses, and writes the same
//! records and state bytes in transactions of the same size. Turns of both in one run, on the same topic; CPU seconds of this
//! process for 1,000 legs, and the ratio.
//!
//! `scripts/kafka run cargo bench -p ringpost-bus --bench kafka`

mod bare;
mod load;
mod ours;

use std::time::{Duration, Instant};

/// What both do with the legs.
pub(crate) const LEGS: usize = 200_000;
pub(crate) const PARTITIONS: u32 = 4;
/// One record out for so many legs, and one entry of state.
pub(crate) const PER_CALL: usize = 4;
/// Bytes of an entry of state.
pub(crate) const STATE: usize = 400;
/// Of one transaction.
pub(crate) const MOST: usize = 50_000;
const TURNS: usize = 3;

fn main() {
    let Ok(bootstrap) = std::env::var("RINGPOST_TEST_KAFKA") else {
        println!("SKIPPED: it needs a broker: scripts/kafka run cargo bench -p ringpost-bus --bench kafka");
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime");
    for interval in [500, 200, 50].map(Duration::from_millis) {
        let (mut bare, mut ours) = (Vec::new(), Vec::new());
        for turn in 0..TURNS {
            let log = runtime.block_on(load::fill(&bootstrap, turn));
            let group = format!("bare-{turn}");
            bare.push(Measured::of(|| bare::run(&bootstrap, &log.prefix, &group, interval)));
            ours.push(Measured::of(|| runtime.block_on(ours::run(&log, interval))));
        }
        println!("transactions of {interval:?} or {MOST} legs");
        let (bare, ours) = (tell("bare rdkafka loop", bare), tell("worker", ours));
        println!("  ratio {:.2}", ours / bare);
    }
}

/// Prints the median, and returns its CPU seconds.
fn tell(name: &str, mut turns: Vec<Measured>) -> f64 {
    turns.sort_by(|a, b| a.cpu.total_cmp(&b.cpu));
    let median = &turns[turns.len() / 2];
    let thousands = LEGS as f64 / 1_000.0;
    let each: Vec<String> = turns.iter().map(|turn| format!("{:.4}", turn.cpu / thousands)).collect();
    let (rate, transactions) = (LEGS as f64 / median.seconds, median.transactions);
    println!("  {name}: {} CPU s per 1,000, {rate:.0}/s, {transactions} transactions", each.join(" "));
    median.cpu
}

struct Measured {
    seconds: f64,
    cpu: f64,
    transactions: usize,
}

impl Measured {
    fn of(run: impl FnOnce() -> usize) -> Self {
        let (begun, cpu) = (Instant::now(), cpu_seconds());
        let transactions = run();
        Self { seconds: begun.elapsed().as_secs_f64(), cpu: cpu_seconds() - cpu, transactions }
    }
}

/// User and system time of this process, by the kernel's ticks of 10 ms.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok()).unwrap_or_default();
    (ticks(11) + ticks(12)) / 100.0
}
