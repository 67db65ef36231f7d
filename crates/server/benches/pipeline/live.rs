//! Many calls that are going on: what they take, and how soon another process has them after `kill -9`.
//!
//! And how the price of a leg grows: with the rate, with calls going on, with partitions.

use std::time::Instant;

use crate::backing::Spent;
use crate::calls::{self, LEGS};
use crate::feed::Feed;
use crate::figures::{now_micros, tell};
use crate::installation::{Installation, SETTLE_MS, Settings};
use crate::receiver::Receiver;
use crate::server::Server;

const TENANTS: usize = 50;
/// Legs that are kept in mind at a time.
const PART: usize = 20_000;
/// Calls by which a price is measured.
const MEASURED: usize = 25_000;
const RATES: [usize; 3] = [1_000, 10_000, 40_000];
const PARTITIONS: [u32; 3] = [1, 4, 16];
/// Seconds at each rate.
const SECONDS: usize = 10;

/// Calls going on, by `BENCH_LIVE=10000,1000000`.
fn asked() -> Vec<usize> {
    let asked = std::env::var("BENCH_LIVE").unwrap_or_else(|_| "10000,100000".to_owned());
    asked.split(',').map(|count| count.trim().parse().expect("a number of calls")).collect()
}

fn settings(partitions: u32) -> Settings {
    // A call whose caller is still there: nothing may close it.
    let sessions = "gap = \"5h\"\nmax_idle = \"6h\"\nmax_live = 5000000".to_owned();
    Settings { partitions, sessions, ..Settings::default() }
}

/// All but the last leg of so many calls.
async fn begin(feed: &Feed, calls: usize) {
    for first in (0..calls).step_by(PART) {
        let legs = (first..calls.min(first + PART)).flat_map(|call| {
            let tenant = calls::tenant(call % TENANTS);
            let [vain, handed, last, _] = calls::legs(&tenant, call, now_micros());
            [vain, handed, last].map(|leg| (tenant.clone(), leg))
        });
        feed.append(&legs.collect::<Vec<_>>()).await;
    }
}

async fn is_live(server: &Server, calls: usize) {
    server.until("ringpost_session_live", |live| live >= calls as f64).await;
}

/// For each number of calls going on.
pub(crate) async fn measure() {
    for calls in asked() {
        let receiver = Receiver::start(calls + MEASURED).await;
        let urls: Vec<String> = (0..TENANTS).map(|number| receiver.url(&format!("/{number}"))).collect();
        let installation = Installation::with(&urls, &settings(4));
        let feed = Feed::open(installation.topics().expect("brokers")).await;
        let server = installation.serve_as("aggregate").await;
        let before = server.resident_megabytes();
        begin(&feed, calls).await;
        is_live(&server, calls).await;
        let held = server.resident_megabytes();
        price(&feed, &server, calls).await;
        let dispatch = installation.serve_as("dispatch").await;
        receiver.until(MEASURED).await;
        server.kill();
        let killed = Instant::now();
        let server = installation.serve_as("aggregate").await;
        let ready = killed.elapsed();
        is_live(&server, calls).await;
        let restored = killed.elapsed();
        // The caller's leg of one: its record is told of.
        let tenant = calls::tenant(0);
        let [_, _, _, caller] = calls::legs(&tenant, 0, now_micros());
        feed.append(&[(tenant, caller)]).await;
        receiver.until(MEASURED + 1).await;
        tell(
            &format!("{calls} calls going on"),
            &format!(
                "{held:.0} MB ({:.2} KB each), after a start with them {:.0} MB; ready {:.1} s after the start, all there {:.1} s, \
                first record told of {:.1} s ({SETTLE_MS} ms settle in it)",
                (held - before) * 1024.0 / calls as f64,
                server.resident_megabytes(),
                ready.as_secs_f64(),
                restored.as_secs_f64(),
                killed.elapsed().as_secs_f64(),
            ),
        );
        drop(dispatch);
    }
}

/// By rate with four partitions, and by partitions at the middle rate.
pub(crate) async fn grow() {
    for rate in RATES {
        at_rate(rate, 4).await;
    }
    for partitions in PARTITIONS {
        at_rate(RATES[1], partitions).await;
    }
}

async fn at_rate(rate: usize, partitions: u32) {
    let installation = Installation::with(&[], &settings(partitions));
    let feed = Feed::open(installation.topics().expect("brokers")).await;
    let server = installation.serve_as("aggregate").await;
    let calls = rate * SECONDS / LEGS;
    let legs = calls::mixed(0, calls, TENANTS, now_micros());
    let (before, begun) = (server.spent(), Instant::now());
    feed.steady(&legs, rate, |_, _| ()).await;
    server.until("ringpost_session_records_total", |records| records >= calls as f64).await;
    let took = begun.elapsed();
    let Spent { ours, broker, .. } = server.spent().per_thousand(before, legs.len());
    tell(
        &format!("{rate} legs/s, {partitions} partitions"),
        &format!(
            "CPU s per 1,000 legs {ours:.4}, broker {broker:.4}; all records after {:.1} s",
            took.as_secs_f64()
        ),
    );
}

/// What a leg costs while so many calls are going on.
async fn price(feed: &Feed, server: &Server, live: usize) {
    let legs = calls::mixed(live, MEASURED, TENANTS, now_micros());
    let records = server.metric("ringpost_session_records_total").await;
    let (before, begun) = (server.spent(), Instant::now());
    feed.append(&legs).await;
    server.until("ringpost_session_records_total", |now| now >= records + MEASURED as f64).await;
    let Spent { ours, broker, .. } = server.spent().per_thousand(before, legs.len());
    let took = begun.elapsed().as_secs_f64() - SETTLE_MS as f64 / 1_000.0;
    tell(
        &format!("{live} calls going on, a call more"),
        &format!(
            "{:.0} legs/s, CPU s per 1,000 legs {ours:.4}, broker {broker:.4}",
            legs.len() as f64 / took
        ),
    );
}
