//! The time line as the script plays it: one state after the other, each until a given instant. It is written
//! while the call is made up, never found from its legs.

use ringpost_model::State;

use super::Micros;

/// A call is in exactly one state at each instant from its begin.
pub(crate) struct Track {
    begin: Micros,
    /// State and where it ends; equal neighbours joined, none empty.
    parts: Vec<(State, Micros)>,
    /// A forgotten phone rings on and on: what would be silence is ring.
    pub(crate) rings_on: bool,
}

/// Whole seconds of the record.
#[derive(Default)]
pub(crate) struct Seconds {
    pub(crate) ring: i64,
    pub(crate) talk: i64,
    pub(crate) hold: i64,
    pub(crate) park: i64,
}

/// Shorter silence does not part a park from what follows (sessions.md 4.1, `lostinPark`).
const SHORT_SILENCE: Micros = 2_000_000;

impl Track {
    pub(crate) fn new(begin: Micros) -> Self {
        Self { begin, parts: Vec::new(), rings_on: false }
    }

    pub(crate) fn begin(&self) -> Micros {
        self.begin
    }

    /// Where it has been written to.
    pub(crate) fn cursor(&self) -> Micros {
        self.parts.last().map_or(self.begin, |(_, to)| *to)
    }

    /// The call stays in this state until then. An instant already written is left as it is.
    pub(crate) fn until(&mut self, state: State, to: Micros) {
        if to <= self.cursor() {
            return;
        }
        let state = if self.rings_on && state == State::Other { State::Ring } else { state };
        match self.parts.last_mut() {
            Some((last, end)) if *last == state => *end = to,
            _ => self.parts.push((state, to)),
        }
    }

    /// Seconds in each state: each border is cut to its second (sessions.md 3).
    pub(crate) fn seconds(&self) -> Seconds {
        let mut seconds = Seconds::default();
        let mut from = whole(self.begin);
        for (state, to) in &self.parts {
            let length = whole(*to) - from;
            from = whole(*to);
            match state {
                State::Ring => seconds.ring += length,
                State::Talk => seconds.talk += length,
                State::Hold => seconds.hold += length,
                State::Park => seconds.park += length,
                State::Other => (),
            }
        }
        seconds
    }

    /// The caller was left in a park slot, or in the ring-back after one.
    pub(crate) fn left_in_park(&self, at: Micros) -> bool {
        let mut heard: Vec<State> = Vec::new();
        let mut from = self.begin;
        for (state, to) in &self.parts {
            let length = (*to).min(at) - from;
            from = *to;
            let skipped = length <= 0 || (*state == State::Other && length < SHORT_SILENCE);
            if !skipped && heard.last() != Some(state) {
                heard.push(*state);
            }
        }
        matches!(heard.as_slice(), [.., State::Park] | [.., State::Park, State::Ring])
    }
}

pub(crate) fn whole(at: Micros) -> i64 {
    at.div_euclid(1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn borders_are_cut_not_lengths() {
        let mut track = Track::new(400_000);
        track.until(State::Other, 1_900_000);
        track.until(State::Ring, 8_600_000);
        track.until(State::Talk, 65_000_000);
        let seconds = track.seconds();
        assert_eq!((seconds.ring, seconds.talk, seconds.hold), (7, 57, 0));
    }

    #[test]
    fn ring_back_is_left_in_park_only_directly_after_it() {
        let mut track = Track::new(0);
        track.until(State::Park, 10_000_000);
        track.until(State::Other, 11_000_000);
        track.until(State::Ring, 20_000_000);
        assert!(track.left_in_park(20_000_000));
        track.until(State::Other, 23_000_000);
        assert!(!track.left_in_park(23_000_000));
        assert!(track.left_in_park(21_000_000), "the silence after the customer's end is not heard by it");
    }
}
