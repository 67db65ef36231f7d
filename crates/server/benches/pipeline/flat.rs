//! As many calls as the machine takes: what came of them in a second, and what one costs.

use std::time::{Duration, Instant};

use crate::calls::{self, LEGS};
use crate::figures::{now_micros, tell};
use crate::installation::Installation;
use crate::receiver::Receiver;
use crate::sender::flat_out;

/// Longer than a busy machine takes between two legs of one call.
const SETTLE: Duration = Duration::from_millis(1_000);
/// Connections of the sender: legs that come one by one share a sync of the disk with those of the others.
const CONNECTIONS: usize = 64;

/// How the same calls are sent.
#[derive(Clone, Copy)]
struct Shape {
    name: &'static str,
    tenants: usize,
    /// Legs in one request to the intake.
    legs_each: usize,
}

const SHAPES: [Shape; 3] = [
    Shape { name: "flat out, 100 legs a request, 20 tenants", tenants: 20, legs_each: 100 },
    Shape { name: "flat out, one leg a request, 20 tenants", tenants: 20, legs_each: 1 },
    Shape { name: "flat out, 100 legs a request, one tenant", tenants: 1, legs_each: 100 },
];

/// `calls` of each shape.
pub(crate) async fn measure(calls: usize) {
    for shape in SHAPES {
        shape.measure(calls).await;
    }
}

/// Pairs of runs without and with tables.
const PAIRS: usize = 3;

/// The same calls without tables, and with all of them: every caller is a contact, the public number and the desks have
/// names, and incoming calls have a price. In turns, so that what else the machine does is in both.
pub(crate) async fn with_tables(calls: usize) {
    let shape = Shape { name: "flat out, without tables", ..SHAPES[2] };
    let full = Shape { name: "flat out, with contacts, numbers, devices, tariff", ..SHAPES[2] };
    let mut ratios = Vec::new();
    for _ in 0..PAIRS {
        let (plain, plain_cpu) = shape.measured(calls, false).await;
        let (rate, cpu) = full.measured(calls, true).await;
        ratios.push((rate / plain, cpu / plain_cpu));
    }
    ratios.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (rate, _) = ratios[PAIRS / 2];
    ratios.sort_by(|a, b| a.1.total_cmp(&b.1));
    let (_, cpu) = ratios[PAIRS / 2];
    tell("with tables beside without, median of pairs", &format!("{rate:.2} × the rate, {cpu:.2} × the CPU"));
}

impl Shape {
    async fn measure(&self, calls: usize) {
        self.measured(calls, false).await;
    }

    /// Calls a second, and CPU seconds per 1,000 calls.
    async fn measured(&self, calls: usize, has_tables: bool) -> (f64, f64) {
        let receiver = Receiver::start(calls).await;
        let urls: Vec<String> = (0..self.tenants).map(|number| receiver.url(&format!("/{number}"))).collect();
        let installation = Installation::new(&urls, SETTLE.as_millis() as u64);
        if has_tables {
            installation.import_tables(self.tenants, calls);
        }
        let server = installation.serve().await;
        let bodies = calls::bodies(0, calls, self.tenants, self.legs_each, now_micros());
        if is_watched() {
            println!("process {}", server.process());
        }
        let (begun, before) = (Instant::now(), server.cpu_seconds());
        flat_out(server.intake(), bodies, CONNECTIONS).await;
        let sent = begun.elapsed().as_secs_f64();
        receiver.until(calls).await;
        let took = (begun.elapsed() - SETTLE).as_secs_f64();
        let (used, resident) = (server.cpu_seconds() - before, server.resident_megabytes());
        let extra = receiver.requests().saturating_sub(calls);
        let calls = calls as f64;
        let owed = server.metric("ringpost_store_rows_total{table=\"debts\"}").await;
        tell(
            self.name,
            &format!(
                "{:.0} calls/s ({:.0} legs/s), {:.3} CPU s per 1,000 calls of serve, {resident:.0} MB at the end",
                calls / took,
                calls / took * LEGS as f64,
                used / calls * 1_000.0,
            ),
        );
        tell("  … taken in", &format!("{:.0} legs/s", calls * LEGS as f64 / sent));
        if extra > 0 || owed > 0.0 {
            tell(
                "  … of these",
                &format!("{extra} requests more than calls, {owed:.0} owed for a full lane"),
            );
        }
        if is_watched() {
            println!("{}", server.metrics().await);
        }
        if has_tables {
            let matches = server.metric("ringpost_enrich_directory_matches_total").await;
            let rated = server.metric("ringpost_enrich_records_rated_total").await;
            assert!(matches >= calls && rated >= calls, "{matches} callers known, {rated} calls rated");
        }
        (calls / took, used / calls * 1_000.0)
    }
}

/// Somebody puts a profiler on it, or wants to see more than is told.
fn is_watched() -> bool {
    std::env::var_os("BENCH_WATCH").is_some()
}
