//! When sessions close and are forgotten (sessions.md 2, Closing).

use super::{Machine, Place, Wake};
use crate::config::Mode;
use crate::space::{Phase, Standing};

impl Machine {
    /// Sets the timer of an open session by how it stands.
    pub(super) fn schedule(&mut self, place: Place) {
        let here = &self.spaces[place.0 as usize];
        let Phase::Open { due: old, .. } = here.sessions[place.1].phase else { return };
        let standing = here.standing(place.1);
        let due = standing.touched.saturating_add(self.patience(standing));
        if due != old {
            self.timers.remove(&(old, Wake::Close, place));
            self.timers.insert((due, Wake::Close, place));
        }
        let session = &mut self.spaces[place.0 as usize].sessions[place.1];
        session.phase = Phase::Open { due, complete: standing.complete };
        self.touch(place);
    }

    /// How long a session waits after its last change.
    fn patience(&self, standing: Standing) -> i64 {
        if standing.complete {
            self.config.settle
        } else if standing.waits_for_named() {
            self.config.gap
        } else {
            self.config.max_idle
        }
    }

    /// The state of a session must be kept anew.
    pub(super) fn touch(&mut self, place: Place) {
        if self.config.changes && self.config.mode == Mode::Stream {
            self.dirty.insert(place);
        }
    }

    /// A session is about to vanish: its timers and its kept state go.
    pub(super) fn forget_place(&mut self, place: Place) {
        let wake = match self.spaces[place.0 as usize].sessions[place.1].phase {
            Phase::Open { due, .. } => (due, Wake::Close, place),
            Phase::Kept { until, .. } => {
                self.spaces[place.0 as usize].kept -= 1;
                (until, Wake::Forget, place)
            }
        };
        self.timers.remove(&wake);
        self.overdue.remove(&place);
        self.dirty.remove(&place);
        if self.config.changes {
            let key = self.state_key(place);
            self.other_changes.insert(key, None);
        }
    }

    /// Closes and forgets what is due until now.
    pub(super) fn run_timers(&mut self) {
        while let Some(&(at, wake, place)) = self.timers.first() {
            if at > self.now {
                break;
            }
            match wake {
                Wake::Close => {
                    for place in self.due_at(at) {
                        self.close(place, at, false);
                    }
                }
                Wake::Forget => {
                    self.timers.remove(&(at, wake, place));
                    self.forget(place, at);
                }
            }
        }
        self.expire_stubs();
        self.expire_given();
    }

    /// All sessions due at one instant, by id.
    fn due_at(&self, at: i64) -> Vec<Place> {
        let due = self.timers.range((at, Wake::Close, (0, 0))..(at, Wake::Forget, (0, 0)));
        self.by_id(due.map(|(.., place)| *place).collect())
    }

    fn by_id(&self, mut places: Vec<Place>) -> Vec<Place> {
        if places.len() > 1 {
            places.sort_by_cached_key(|place| self.spaces[place.0 as usize].session_id(place.1));
        }
        places
    }

    /// The input of a stream has ended.
    pub(super) fn finish_stream(&mut self) {
        let closings = self.timers.iter().filter(|(_, wake, _)| *wake == Wake::Close);
        let closings: Vec<(i64, Place)> = closings.map(|(at, _, place)| (*at, *place)).collect();
        for due in closings.chunk_by(|a, b| a.0 == b.0) {
            for place in self.by_id(due.iter().map(|(_, place)| *place).collect()) {
                self.close(place, due[0].0, true);
            }
        }
    }

    /// Forgets a kept session, unless an open session's bridges name one of its legs.
    fn forget(&mut self, place: Place, at: i64) {
        let here = &self.spaces[place.0 as usize];
        let is_open = |leg: &u32| {
            let session = here.legs[*leg].session;
            session != place.1 && matches!(here.sessions[session].phase, Phase::Open { .. })
        };
        let named = |leg: &u32| {
            here.namers.get(&*here.legs[*leg].id).is_some_and(|namers| namers.iter().any(is_open))
        };
        if here.sessions[place.1].legs.iter().any(named) {
            self.overdue.insert(place);
            return;
        }
        self.leave_stub(place, at);
        self.forget_place(place);
        let here = &mut self.spaces[place.0 as usize];
        let Some(session) = here.sessions.remove(place.1) else { return };
        session.legs.into_iter().for_each(|leg| here.remove_leg(leg));
    }

    /// These legs are no longer named by some open session: kept sessions that only waited for that can go.
    pub(super) fn recheck_overdue(&mut self, space: u32, names: &[Box<str>]) {
        if self.overdue.is_empty() {
            return;
        }
        let here = &self.spaces[space as usize];
        for name in names {
            let Some(leg) = here.by_id.get(&**name) else { continue };
            let place = (space, here.legs[*leg].session);
            if self.overdue.remove(&place)
                && let Phase::Kept { until, .. } = here.sessions[place.1].phase
            {
                self.timers.insert((until, Wake::Forget, place));
            }
        }
    }
}
