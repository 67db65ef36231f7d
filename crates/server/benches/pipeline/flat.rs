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

impl Shape {
    async fn measure(&self, calls: usize) {
        let receiver = Receiver::start(calls).await;
        let urls: Vec<String> = (0..self.tenants).map(|number| receiver.url(&format!("/{number}"))).collect();
        let installation = Installation::new(&urls, SETTLE.as_millis() as u64);
        let server = installation.serve().await;
        let bodies = calls::bodies(0, calls, self.tenants, self.legs_each, now_micros());
        if is_watched() {
            println!("process {}", server.process());
        }
        let (begun, before) = (Instant::now(), server.cpu_seconds());
        flat_out(server.intake, bodies, CONNECTIONS).await;
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
    }
}

/// Somebody puts a profiler on it, or wants to see more than is told.
fn is_watched() -> bool {
    std::env::var_os("BENCH_WATCH").is_some()
}
