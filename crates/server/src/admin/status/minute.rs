//! What was done in the last minute, from counters that only grow. No clock of its own.

use std::collections::VecDeque;

use ringpost_model::Timestamp;

use super::LastMinute;

/// Looks come every second.
const SECONDS: i64 = 60;

/// Counters as they were at some moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counters {
    pub(super) legs: u64,
    pub(super) records: u64,
    pub(super) requests: u64,
    pub(super) delivered: u64,
}

/// Looks at the counters, oldest first, as far back as a minute.
#[derive(Debug, Default)]
pub(super) struct Minute(VecDeque<(Timestamp, Counters)>);

impl Minute {
    /// Takes a look in, and says what was done since the one a minute before.
    pub(super) fn look(&mut self, now: Timestamp, counters: Counters) -> LastMinute {
        let since = |at: Timestamp| now.micros() - at.micros();
        // A clock that was set back makes every look older than itself useless.
        self.0.retain(|(at, _)| (0..=SECONDS * 1_000_000 + 500_000).contains(&since(*at)));
        self.0.push_back((now, counters));
        let (from, before) = self.0.front().copied().unwrap_or((now, counters));
        LastMinute {
            seconds: u64::try_from((since(from) + 500_000) / 1_000_000).unwrap_or_default(),
            legs: counters.legs.saturating_sub(before.legs),
            records: counters.records.saturating_sub(before.records),
            requests: counters.requests.saturating_sub(before.requests),
            delivered: counters.delivered.saturating_sub(before.delivered),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_forgets_what_was_before_and_a_clock_set_back_makes_no_nonsense() {
        let mut minute = Minute::default();
        let mut look = |second: i64, legs| {
            let done = minute
                .look(Timestamp::from_micros(second * 1_000_000), Counters { legs, ..Counters::default() });
            (done.seconds, done.legs)
        };
        assert_eq!(look(0, 5), (0, 0));
        assert_eq!(look(1, 7), (1, 2));
        assert_eq!(look(60, 100), (60, 95));
        assert_eq!(look(61, 110), (60, 103));
        assert_eq!(look(200, 500), (0, 0));
        assert_eq!(look(100, 600), (0, 0));
        assert_eq!(look(101, 601), (1, 1));
    }
}
