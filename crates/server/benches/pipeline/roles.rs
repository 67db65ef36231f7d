//! What each role makes of work that waits for it on the topics, alone in a process of its own.

use std::time::{Duration, Instant};

use crate::backing::Spent;
use crate::calls::{self, LEGS};
use crate::feed::Feed;
use crate::figures::{now_micros, tell};
use crate::installation::{Installation, Settings};
use crate::receiver::Receiver;
use crate::server::Server;

/// Each with a lane, ten of them at each origin.
const TENANTS: usize = 40;
const SETTLE: Duration = Duration::from_millis(1_000);

/// Legs to records, then records to receivers that answer at once, and to some that are 50 ms away.
pub(crate) async fn measure(calls: usize) {
    for path in ["/at-once", "/slow"] {
        let receiver = Receiver::start(calls).await;
        let url = |number| receiver.url_at(number, &format!("{path}/{number}"));
        let urls: Vec<String> = (0..TENANTS).map(url).collect();
        let settings = Settings { settle: SETTLE.as_millis() as u64, ..Settings::default() };
        let installation = Installation::with(&urls, &settings);
        let feed = Feed::open(installation.topics().expect("brokers")).await;
        feed.append(&calls::mixed(0, calls, TENANTS, now_micros())).await;
        aggregate(&installation, calls).await;
        dispatch(&installation, &receiver, path, calls).await;
    }
}

/// Per second, and CPU seconds per 1,000: ours, the server's, the broker's. `since`: before the process was started.
fn tell_of(what: &str, unit: &str, count: usize, took: Duration, since: Spent, server: &Server) {
    let Spent { ours, postgres, broker } = server.spent().per_thousand(since, count);
    let rate = count as f64 / took.as_secs_f64();
    tell(
        what,
        &format!(
            "{rate:.0} {unit}/s, CPU s per 1,000: {ours:.4}, PostgreSQL {postgres:.4}, broker {broker:.4}; {:.0} MB",
            server.resident_megabytes()
        ),
    );
}

/// The start is in it, `settle` is not.
async fn aggregate(installation: &Installation, calls: usize) {
    let (begun, since) = (Instant::now(), Spent::so_far(0.0));
    let server = installation.serve_as("aggregate").await;
    server.until("ringpost_session_records_total", |records| records >= calls as f64).await;
    let what = format!("aggregate ({})", installation.backing());
    tell_of(&what, "legs", calls * LEGS, begun.elapsed() - SETTLE, since, &server);
}

/// From the start of the process to the last request.
async fn dispatch(installation: &Installation, receiver: &Receiver, path: &str, calls: usize) {
    let (begun, since) = (Instant::now(), Spent::so_far(0.0));
    let server = installation.serve_as("dispatch").await;
    receiver.until(calls).await;
    let took = begun.elapsed();
    // What came of each is in the store before the position moves.
    server.until("ringpost_stage_lag_records", |behind| behind == 0.0).await;
    let what = format!("dispatch {path} ({})", installation.backing());
    tell_of(&what, "deliveries", calls, took, since, &server);
    let owed = server.metric("ringpost_store_rows_total{table=\"debts\"}").await;
    let extra = receiver.requests().saturating_sub(calls);
    if extra > 0 || owed > 0.0 {
        tell("  … of these", &format!("{extra} requests more than calls, {owed:.0} owed for a full lane"));
    }
}
