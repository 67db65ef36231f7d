//! Finds the call that a leg belongs to, in the store, where calls are by time and not by leg.

use std::ops::Range;

use anyhow::Context;
use ringpost_model::{Bridge, Envelope, LegEvent, LegRecord, Report, Timestamp};
use ringpost_store::{SessionCursor, SessionFilter, Store};

/// Calls listed at once.
const PAGE: usize = 500;
const SECOND: i64 = 1_000_000;
/// Clocks of a switch's nodes differ by so much at most.
const SLACK: i64 = 60 * SECOND;
/// How long before a leg its call may have begun: looked at one after the other, since hardly any call is long.
const BEFORE: [i64; 3] = [0, 3_600 * SECOND, 24 * 3_600 * SECOND];

/// The newest record of the call; none = it is not there, or began more than a day before the leg.
///
/// # Errors
/// The store cannot be read.
pub(super) async fn call_of(store: &Store, late: &LegRecord) -> anyhow::Result<Option<Envelope>> {
    let (first, last) = times(late);
    let mut to = last.plus_micros(SLACK);
    for before in BEFORE {
        let from = first.plus_micros(-SLACK - before);
        if let Some(found) = within(store, late, from..to, first).await? {
            return Ok(Some(found));
        }
        to = from;
    }
    Ok(None)
}

/// Of calls that began in this span of time, and lasted until `first`.
async fn within(
    store: &Store,
    late: &LegRecord,
    begin: Range<Timestamp>,
    first: Timestamp,
) -> anyhow::Result<Option<Envelope>> {
    let mut before: Option<SessionCursor> = None;
    let mut linked = None;
    loop {
        let filter = SessionFilter {
            tenants: vec![late.tenant.clone()],
            from: Some(begin.start),
            to: Some(begin.end),
            before,
            ..SessionFilter::default()
        };
        let sessions = store.sessions(&filter, PAGE).await.context("list calls")?;
        let Some(last) = sessions.last() else { return Ok(linked) };
        before = Some(last.cursor());
        let is_last = sessions.len() < PAGE;
        let lasted = sessions
            .into_iter()
            .filter(|session| session.pbx == late.pbx && session.end.plus_micros(SLACK) >= first);
        for session in lasted {
            let stored = store.session(session.id).await.context("read a call")?;
            let envelope = stored.and_then(|stored| Envelope::from_bytes(&stored.envelope).ok());
            let Some(envelope) = envelope else { continue };
            if envelope.legs.iter().any(|leg| leg.leg == late.leg) {
                return Ok(Some(envelope));
            }
            if linked.is_none() && is_tied(&envelope, late) {
                linked = Some(envelope);
            }
        }
        if is_last {
            return Ok(linked);
        }
    }
}

/// Whether a leg that is not one of the call's is tied to it by a link or a bridge.
fn is_tied(envelope: &Envelope, late: &LegRecord) -> bool {
    let bridges: &[Bridge] = match &late.report {
        Report::Leg(report) => &report.bridges,
        Report::Event(_) => &[],
    };
    let bridged = match &late.report {
        Report::Event(report) => match &report.event {
            LegEvent::Bridged { with } => Some(with),
            _ => None,
        },
        Report::Leg(_) => None,
    };
    envelope.legs.iter().any(|leg| {
        let id = leg.leg.as_str();
        late.links.iter().any(|link| &**link == id || leg.links.contains(link))
            || leg.links.iter().any(|link| &**link == late.leg.as_str())
            || bridges.iter().any(|bridge| bridge.with == leg.leg)
            || bridged == Some(&leg.leg)
            || leg.bridges.iter().any(|bridge| bridge.with == late.leg)
    })
}

/// The first and the last time that a record tells of.
fn times(record: &LegRecord) -> (Timestamp, Timestamp) {
    match &record.report {
        Report::Event(report) => (report.at, report.at),
        Report::Leg(report) => {
            let last = report.latest().unwrap_or_default();
            (report.earliest().unwrap_or(last), last)
        }
    }
}
