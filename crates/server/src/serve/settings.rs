//! From the configuration to what each stage is told.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use ringpost_deliver::{Client, ClientConfig, LaneConfig, Lanes, SystemLookup, roots_from_pem};

use super::http;
use crate::clock;
use crate::config::{Config, Delivery};
use crate::metrics::Metrics;

/// Jobs that wait in one lane. A receiver that answers within milliseconds gets through so many in less than
/// `handoff`; what waits longer is owed anyway. Half of what dispatch has in flight: one tenant never fills it alone.
const LANE_QUEUE: usize = 1_024;
/// On top of deadline and hand-over: a lease is always longer than a try (triggers-and-delivery.md 4).
pub(super) const LEASE_MARGIN: Duration = Duration::from_secs(5);

/// The roots trusted beside the platform's.
///
/// # Errors
/// A file that cannot be read, or holds no certificate.
pub(crate) fn extra_roots(
    delivery: &Delivery,
) -> anyhow::Result<Vec<rustls::pki_types::CertificateDer<'static>>> {
    let mut extra_roots = Vec::new();
    for path in &delivery.extra_roots {
        let pem = std::fs::read(path).with_context(|| format!("read roots from {}", path.display()))?;
        extra_roots
            .extend(roots_from_pem(&pem).with_context(|| format!("read roots from {}", path.display()))?);
    }
    Ok(extra_roots)
}

pub(super) fn lanes(
    delivery: &Delivery,
    metrics: &Metrics,
) -> anyhow::Result<(Lanes, tokio::sync::mpsc::Receiver<ringpost_deliver::Report>)> {
    let extra_roots = extra_roots(delivery)?;
    let client = ClientConfig {
        deadline: delivery.deadline,
        read_body_bytes: delivery.max_response.as_usize(),
        idle_per_origin: delivery.connections_per_origin,
        allowed: delivery.allow_networks.clone(),
        allow_http: delivery.allow_http,
        proxy: delivery.proxy,
        extra_roots,
        ..ClientConfig::default()
    };
    let lane = LaneConfig {
        concurrency: delivery.concurrency,
        per_origin: delivery.connections_per_origin,
        handoff: delivery.handoff,
        lease: delivery.deadline + LEASE_MARGIN,
        max_hold: delivery.max_hold,
        queue: LANE_QUEUE,
        ..LaneConfig::default()
    };
    let capacity = i64::try_from(lane.jobs).unwrap_or(i64::MAX);
    metrics.queue_capacity.with_label_values(&["lanes"]).set(capacity);
    let clock: ringpost_deliver::Clock = Arc::new(clock::now);
    let lookup = SystemLookup::new().context("set up the look-up of names")?;
    let client = Client::new(client, Arc::new(lookup), Arc::clone(&clock))?;
    Ok(Lanes::new(lane, Arc::new(client), clock))
}

pub(super) fn breaker(breaker: &crate::config::Breaker) -> ringpost_deliver::Limits {
    ringpost_deliver::Limits {
        many: breaker.many,
        many_over: breaker.many_over,
        few: breaker.few,
        few_over: breaker.few_over,
        first_probe: breaker.first_probe,
        longest_probe: breaker.longest_probe,
    }
}

pub(super) fn sessions(config: &Config) -> ringpost_session::Config {
    let sessions = &config.sessions;
    let micros = |duration: Duration| i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
    ringpost_session::Config {
        settle: micros(sessions.settle),
        gap: micros(sessions.gap),
        max_idle: micros(sessions.max_idle),
        late: micros(sessions.late),
        dedupe: Some(micros(sessions.dedupe)),
        max_legs: sessions.max_legs,
        max_session_bytes: sessions.max_session_bytes.as_usize(),
        max_live: sessions.max_live,
        // They are put out from the day that something listens to them.
        events: false,
        ..ringpost_session::Config::default()
    }
}

pub(super) fn http_limits(config: &Config) -> http::Limits {
    http::Limits {
        connections: config.http.max_connections,
        head: config.http.max_headers.as_usize(),
        head_time: config.http.request_timeout,
        grace: config.shutdown.grace / 5,
    }
}
