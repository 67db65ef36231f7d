//! From the last leg on its topic to the request at the receiver, `settle` aside, and what it costs to commit more often.

use std::time::Instant;

use crate::backing::Spent;
use crate::calls::{self, LEGS};
use crate::feed::Feed;
use crate::figures::{Spread, now_micros, tell};
use crate::installation::{Installation, SETTLE_MS, Settings};
use crate::receiver::Receiver;

const TENANTS: usize = 20;
/// Calls a second.
const RATE: usize = 1_000;
const SECONDS: usize = 20;
/// Until all is as it stays.
const WARM: usize = RATE * 3;
/// Milliseconds between commits; the fourth is what holds unless it is set.
const INTERVALS: [u64; 5] = [20, 50, 100, 200, 500];

pub(crate) async fn measure() {
    for interval in INTERVALS {
        at(interval).await;
    }
}

async fn at(interval: u64) {
    let calls = RATE * SECONDS;
    let receiver = Receiver::start(calls).await;
    let urls: Vec<String> = (0..TENANTS).map(|number| receiver.url(&format!("/{number}"))).collect();
    let settings = Settings { kafka: format!("commit_interval = \"{interval}ms\""), ..Settings::default() };
    let installation = Installation::with(&urls, &settings);
    let feed = Feed::open(installation.topics().expect("brokers")).await;
    let server = installation.serve_as("aggregate,dispatch").await;
    let legs = calls::mixed(0, calls, TENANTS, now_micros());
    // Where the last leg of each call is: its name is in that one.
    let lasts: Vec<Option<usize>> = legs.iter().map(|(_, leg)| calls::number_in(leg.as_bytes())).collect();
    let mut posted: Vec<Option<Instant>> = vec![None; calls];
    let (before, mut told) = (server.spent(), 0);
    feed.steady(&legs, RATE * LEGS, |at, until| {
        for call in lasts[told..until].iter().flatten() {
            posted[*call] = Some(at);
        }
        told = until;
    })
    .await;
    receiver.until(calls).await;
    let Spent { ours, postgres, broker } = server.spent().per_thousand(before, calls);
    let waited = (WARM..calls).filter_map(|call| {
        let waited = receiver.came(call)?.saturating_duration_since(posted[call]?);
        Some(waited.as_secs_f64() * 1_000.0 - SETTLE_MS as f64)
    });
    tell(
        &format!("{RATE} calls/s, a commit every {interval} ms: last leg to request"),
        &format!(
            "{}; CPU s per 1,000 calls {ours:.3}, PostgreSQL {postgres:.3}, broker {broker:.3}",
            Spread::of(waited.collect()).text()
        ),
    );
}
