//! A whole input at once: sessions are found and closed when it has ended, whatever the order it came in.

use super::{Machine, Output, Place};
use crate::space::Phase;

impl Machine {
    /// Closes everything, by id.
    pub(super) fn finish_offline(&mut self) {
        let mut places: Vec<Place> = Vec::new();
        for (space, here) in self.spaces.iter_mut().enumerate() {
            // By age, so that sessions do not depend on the order of the input in any way.
            let mut legs: Vec<u32> = here
                .legs
                .iter()
                .filter(|(_, known)| known.session == crate::space::NONE)
                .map(|(leg, _)| leg)
                .collect();
            legs.sort_unstable_by(|a, b| {
                let age = |leg: u32| (here.legs[leg].created, &*here.legs[leg].id);
                age(*a).cmp(&age(*b))
            });
            for part in here.components(&legs) {
                let birth = part[0];
                let phase = Phase::Open { due: i64::MAX, complete: false };
                places.push((space as u32, here.add_session(part, birth, phase)));
            }
        }
        places.sort_by_cached_key(|place| self.spaces[place.0 as usize].session_id(place.1));
        for place in places {
            self.close_offline(place);
        }
    }

    fn close_offline(&mut self, place: Place) {
        let here = &self.spaces[place.0 as usize];
        let standing = here.standing(place.1);
        let last = here.sessions[place.1].legs.iter().map(|leg| here.legs[*leg].merged().last).max();
        let at = last.unwrap_or_default().saturating_add(self.config.settle);
        if let Some(envelope) = self.record(place, at, standing, true) {
            self.outputs.push_back(Output::Record(Box::new(envelope)));
        }
        self.spaces[place.0 as usize].sessions[place.1].phase = Phase::Kept { due: at, until: i64::MAX };
        self.spaces[place.0 as usize].kept += 1;
    }
}
