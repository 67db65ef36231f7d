//! What the machine counts. Counters start at 0 with the process; gauges are as of now.

/// Counters and gauges of one machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Records taken, repeats included.
    pub accepted: u64,
    /// Records that said nothing new.
    pub repeats: u64,
    /// Records that changed a session whose record was out already.
    pub late: u64,
    /// Records refused because their session was forgotten.
    pub too_late: u64,
    /// Records refused because their session was full.
    pub session_full: u64,
    /// Records refused because their tenant had as many live sessions as it may.
    pub too_many_live: u64,
    /// Records put out, revisions included.
    pub emitted: u64,
    /// Of these, second and later revisions.
    pub revisions: u64,
    /// Records that were made anew elsewhere and not put out, since a later revision was out already.
    pub stale_amendments: u64,
    /// Re-opened sessions whose record came out as before, so nothing was emitted.
    pub unchanged: u64,
    /// Of the emitted, those marked partial.
    pub partial: u64,
    /// Sessions closed without a person leg, and so not emitted.
    pub without_person: u64,
    /// Sessions absorbed by another after both were emitted.
    pub absorbed: u64,
    /// Intervals that clock skew made negative, counted at closing.
    pub negative_intervals: u64,
    /// Bridges of two legs whose lives do not overlap, counted at closing.
    pub clock_disagreements: u64,
    /// Bridges with a leg that never became known, counted at closing.
    pub unknown_bridges: u64,
    /// Links that more than 1,000 legs carried, since the start.
    pub broken_links: u64,
    /// Closings of sessions with a leg that carries such a link.
    pub broken_sessions: u64,
    /// Sessions closed because they reached a cap.
    pub capped: u64,
    /// Gauge: open sessions.
    pub live_sessions: u64,
    /// Gauge: closed sessions that can still be re-opened.
    pub kept_sessions: u64,
    /// Gauge: legs of open and kept sessions.
    pub legs: u64,
    /// Gauge: legs in stubs of forgotten sessions.
    pub stub_legs: u64,
}
