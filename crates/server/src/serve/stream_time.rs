//! Time of the stream, kept per partition (sessions.md 2): what the pure machine is told as "now".

use ringpost_model::Timestamp;

/// A record stamped further ahead of the wall clock than this has a wrong clock (sessions.md 2), in microseconds.
const AHEAD_MICROS: i64 = 60 * 1_000_000;

/// The greatest record timestamp so far; the wall clock while the reader has caught up.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct StreamTime {
    now: Timestamp,
}

impl StreamTime {
    /// Takes in the timestamp that the log gave a record, and tells the time at which it is handled.
    pub(crate) fn at_record(&mut self, stamped: Timestamp, wall: Timestamp) -> Timestamp {
        let is_ahead = stamped.micros() - wall.micros() > AHEAD_MICROS;
        self.now = self.now.max(if is_ahead { wall } else { stamped });
        self.now
    }

    /// The time as last told.
    pub(crate) fn now(&self) -> Timestamp {
        self.now
    }

    /// The reader has read all there is: time goes on with the wall clock.
    pub(crate) fn at_end(&mut self, wall: Timestamp) -> Timestamp {
        self.now = self.now.max(wall);
        self.now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn a_clock_a_century_ahead_moves_no_other_call() {
        let mut time = StreamTime::default();
        assert_eq!(time.at_record(seconds(1_000), seconds(1_001)), seconds(1_000));
        assert_eq!(time.at_record(seconds(3_000_000_000), seconds(1_002)), seconds(1_002));
        assert_eq!(time.at_record(seconds(1_003), seconds(1_003)), seconds(1_003));
    }

    #[test]
    fn time_never_goes_back() {
        let mut time = StreamTime::default();
        assert_eq!(time.at_record(seconds(1_050), seconds(1_000)), seconds(1_050));
        assert_eq!(time.at_record(seconds(900), seconds(1_000)), seconds(1_050));
        assert_eq!(time.at_end(seconds(1_001)), seconds(1_050));
        assert_eq!(time.at_end(seconds(1_100)), seconds(1_100));
    }
}
