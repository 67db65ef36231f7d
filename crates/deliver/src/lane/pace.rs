//! The rate of a lane: how far apart its requests start. Pure.

use std::collections::HashMap;
use std::time::Duration;

use ringpost_model::TriggerId;
use tokio::time::Instant;

/// How far behind its schedule a lane may catch up: timers are late by milliseconds, and without this a high
/// rate would never be reached. Small enough to stay within 1.1 × the rate in any second.
const CATCH_UP: Duration = Duration::from_millis(50);

/// The smallest limit of the lane's triggers, and when the next request may start.
#[derive(Debug, Default)]
pub(super) struct Pace {
    limits: HashMap<TriggerId, u32>,
    next: Option<Instant>,
}

impl Pace {
    /// What a trigger's current limit is, in requests per second.
    pub(super) fn limit(&mut self, trigger: TriggerId, rate: Option<u32>) {
        match rate {
            Some(rate) => self.limits.insert(trigger, rate.max(1)),
            None => self.limits.remove(&trigger),
        };
    }

    /// When the next request may start, if not now.
    pub(super) fn wait(&self, now: Instant) -> Option<Instant> {
        self.interval()?;
        self.next.filter(|next| *next > now)
    }

    /// A request starts.
    pub(super) fn started(&mut self, now: Instant) {
        if let Some(interval) = self.interval() {
            let earliest = now.checked_sub(CATCH_UP).unwrap_or(now);
            self.next = Some(self.next.map_or(now, |next| next.max(earliest)) + interval);
        }
    }

    /// How many requests may start within so long, one at least; none = no limit.
    pub(super) fn fits(&self, within: Duration) -> Option<usize> {
        let interval = self.interval()?.as_nanos().max(1);
        Some(usize::try_from(within.as_nanos() / interval).unwrap_or(usize::MAX).max(1))
    }

    fn interval(&self) -> Option<Duration> {
        self.limits.values().min().map(|rate| Duration::from_secs(1) / *rate)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    /// Starts as often as allowed for 10 s, the clock moving in steps; gives the greatest count in any second.
    fn busiest_second(rate: u32, step: Duration) -> usize {
        let begin = Instant::now();
        let mut pace = Pace::default();
        pace.limit(TriggerId(Uuid::nil()), Some(rate));
        let mut starts = Vec::new();
        let mut now = begin;
        while now < begin + Duration::from_secs(10) {
            while pace.wait(now).is_none() {
                pace.started(now);
                starts.push(now);
            }
            now += step;
        }
        let second = Duration::from_secs(1);
        let within = |from: Instant| starts.iter().filter(|at| (from..from + second).contains(at)).count();
        starts.iter().map(|from| within(*from)).max().unwrap()
    }

    #[test]
    fn the_rate_is_reached_and_not_passed_by_a_tenth_in_any_second() {
        for (rate, step) in [(10, 1), (30, 7), (100, 3), (500, 2), (1_000, 20)] {
            let busiest = busiest_second(rate, Duration::from_millis(step));
            let most = (f64::from(rate) * 1.1).ceil() as usize;
            assert!((rate as usize..=most).contains(&busiest), "{rate}/s, {step} ms: {busiest}");
        }
    }

    #[test]
    fn the_smallest_limit_holds_and_goes_with_its_trigger() {
        let (slow, fast) = (TriggerId(Uuid::from_u128(1)), TriggerId(Uuid::from_u128(2)));
        let mut pace = Pace::default();
        pace.limit(fast, Some(100));
        pace.limit(slow, Some(2));
        assert_eq!(pace.interval(), Some(Duration::from_millis(500)));
        pace.limit(slow, None);
        assert_eq!(pace.interval(), Some(Duration::from_millis(10)));
        pace.limit(fast, None);
        assert_eq!(pace.interval(), None);
    }
}
