//! The rate of a lane: how far apart its requests start. Pure.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use ringpost_model::TriggerId;
use tokio::time::Instant;

use super::gate::Share;

/// How far behind its schedule a lane may catch up: timers are late by milliseconds, and without this a high
/// rate would never be reached. Small enough to stay within 1.1 × the rate in any second …
const CATCH_UP: Duration = Duration::from_millis(50);
/// … from this rate on. Below it one request more would be too many.
const CATCHES_UP_FROM: u64 = 10_000;

/// A share is asked for again so long before it ends.
const RENEW: Duration = Duration::from_millis(300);

/// What rates are of. A shared lane that started something within it is likely to start more.
const SECOND: Duration = Duration::from_secs(1);

/// The smallest limit of the lane's triggers, and when the next request may start.
#[derive(Debug, Default)]
pub(super) struct Pace {
    limits: BTreeMap<TriggerId, u32>,
    /// Several processes send to the lane: each needs a share of the limit.
    is_shared: bool,
    share: Option<Share>,
    next: Option<Instant>,
    /// Starts of the last second, oldest first, where the rate is shared: a share that shrinks holds for what was
    /// started before, too. The processes' shares would add up to more while they move between them.
    recent: VecDeque<Instant>,
}

/// Whether a request may start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    /// Now.
    Not,
    /// Then.
    Until(Instant),
    /// When there is a share of the rate.
    ForShare,
}

impl Pace {
    pub(super) fn new(is_shared: bool) -> Self {
        Self { is_shared, ..Self::default() }
    }

    /// What a trigger's current limit is, in requests per second.
    pub(super) fn limit(&mut self, trigger: TriggerId, rate: Option<u32>) {
        match rate {
            Some(rate) => self.limits.insert(trigger, rate.max(1)),
            None => self.limits.remove(&trigger),
        };
    }

    /// This process's part of the limit. One that follows no other begins after a breath of its own length:
    /// others may just have used the part that they lost to it.
    pub(super) fn share(&mut self, now: Instant, share: Option<Share>, longest_breath: Duration) {
        let had_none = self.valid_share(now).is_none();
        self.share = share;
        if had_none && let Some(interval) = self.interval(now) {
            self.next = self.next.max(Some(now + interval.min(longest_breath)));
        }
    }

    /// When the next request may start.
    pub(super) fn wait(&self, now: Instant) -> Wait {
        if self.limits.is_empty() {
            return Wait::Not;
        }
        if self.milli(now) == 0 {
            return Wait::ForShare;
        }
        match self.next.max(self.below_most(now)) {
            Some(next) if next > now => Wait::Until(next),
            _ => Wait::Not,
        }
    }

    /// A request starts.
    pub(super) fn started(&mut self, now: Instant) {
        let Some(interval) = self.interval(now) else { return };
        let catch_up = if self.milli(now) >= CATCHES_UP_FROM { CATCH_UP } else { Duration::ZERO };
        let earliest = now.checked_sub(catch_up).unwrap_or(now);
        self.next = Some(self.next.map_or(now, |next| next.max(earliest)) + interval);
        if self.is_shared {
            while self.recent.front().is_some_and(|start| *start + SECOND <= now) {
                self.recent.pop_front();
            }
            self.recent.push_back(now);
        }
    }

    /// How many requests may start within so long, one at least; none = no limit.
    pub(super) fn fits(&self, now: Instant, within: Duration) -> Option<usize> {
        if self.limits.is_empty() {
            return None;
        }
        let fits = within.as_millis() * u128::from(self.milli(now)) / 1_000_000;
        Some(usize::try_from(fits).unwrap_or(usize::MAX).max(1))
    }

    /// The limit to share, where a share is missing or ends soon, and the lane has something to do.
    pub(super) fn wants_share(&self, now: Instant, waits: bool) -> Option<u32> {
        let limit = self.limits.values().min().filter(|_| self.is_shared)?;
        let lasts = self.valid_share(now).is_some_and(|share| share.until > now + RENEW);
        let is_recent = self.recent.back().is_some_and(|last| *last + SECOND > now);
        (!lasts && (waits || is_recent)).then_some(*limit)
    }

    /// Nothing of it need be remembered.
    pub(super) fn is_idle(&self, now: Instant) -> bool {
        let is_spaced = matches!(self.wait(now), Wait::Until(_));
        !is_spaced && self.valid_share(now).is_none()
    }

    fn valid_share(&self, now: Instant) -> Option<Share> {
        self.share.filter(|share| share.until > now)
    }

    /// Requests in a thousand seconds. Of a share whole requests a second are used: the parts of several processes
    /// would come to more than a tenth of a small rate.
    fn milli(&self, now: Instant) -> u64 {
        let limit = self.limits.values().min().map_or(0, |rate| u64::from(*rate) * 1_000);
        if !self.is_shared {
            return limit;
        }
        match self.valid_share(now).map_or(0, |share| share.milli_per_second.min(limit)) {
            part @ ..1_000 => part,
            more => more - more % 1_000,
        }
    }

    /// From when on the starts of the last second are fewer than the rate of now allows.
    fn below_most(&self, now: Instant) -> Option<Instant> {
        let milli = self.milli(now);
        let most = if milli >= CATCHES_UP_FROM { milli / 1_000 * 11 / 10 } else { (milli / 1_000).max(1) };
        let over = self.recent.len().checked_sub(usize::try_from(most).unwrap_or(usize::MAX))?;
        self.recent.get(over).map(|start| *start + SECOND)
    }

    fn interval(&self, now: Instant) -> Option<Duration> {
        1_000_000_000_000_u64.checked_div(self.milli(now)).map(Duration::from_nanos)
    }
}

#[cfg(test)]
mod tests;
