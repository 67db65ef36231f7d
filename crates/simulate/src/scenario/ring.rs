//! Phones ring: one, several at once, one after the other, or one that somebody else picks up.

use ringpost_model::{LegDirection, NumberName, Service, State, Text};

use super::story::Story;
use crate::company::Desk;
use crate::script::{LegNo, MS, Micros, S};

/// How ringing shall end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Answered,
    TimedOut,
    /// The customer hangs up while it rings.
    CustomerLeft,
}

/// What came of trying to reach somebody.
pub(crate) enum Reached {
    /// This leg answered; the story's present is the instant of connecting.
    Leg(LegNo),
    Nobody,
    /// The customer is gone.
    Left,
}

impl Story<'_> {
    pub(crate) fn outcome(&mut self) -> Outcome {
        self.dice.weighted(&[(70, Outcome::Answered), (17, Outcome::TimedOut), (13, Outcome::CustomerLeft)])
    }

    /// All these desks ring at once until one wins, all give up, or the customer leaves.
    pub(crate) fn ring(&mut self, desks: &[Desk], group: &Text, outcome: Outcome) -> Reached {
        let begin = self.wait(5 * MS, 600 * MS);
        let legs = self.place_targets(desks, group, begin);
        let alive = self.alert_all(&legs, begin);
        let alerts = || alive.iter().filter_map(|no| self.alert_of(*no));
        let first = alerts().min().expect("at least one phone rings");
        let last = alerts().max().expect("at least one phone rings").max(begin + 800 * MS);
        self.track(State::Other, first);
        let length = if self.dice.percent(6) {
            self.dice.between(20 * MS, 900 * MS)
        } else {
            self.dice.between(S, 25 * S)
        };
        let until = last + length;
        let alive = self.decline_one(alive, last, until);
        match outcome {
            Outcome::Answered => Reached::Leg(self.win(&alive, until)),
            Outcome::TimedOut => self.time_out(&alive, until),
            Outcome::CustomerLeft => {
                self.customer_leaves(until, State::Ring);
                self.end_targets(&alive, until, 300 * MS, "ORIGINATOR_CANCEL");
                Reached::Left
            }
        }
    }

    fn place_targets(&mut self, desks: &[Desk], group: &Text, begin: Micros) -> Vec<LegNo> {
        let mut legs = Vec::new();
        for desk in desks {
            let at = begin + self.dice.between(0, 60 * MS);
            let no = self.place_desk(*desk, LegDirection::Out, at, Some(self.x));
            self.leg(no).fields.group = group.clone();
            legs.push(no);
        }
        legs
    }

    /// Phones begin to ring one by one, or all at the same instant; one may be unplugged. Who rings is returned.
    fn alert_all(&mut self, legs: &[LegNo], begin: Micros) -> Vec<LegNo> {
        let together = self.dice.percent(25);
        let unplugged = legs.len() > 1 && self.alerts && self.dice.percent(10);
        let mut alive = Vec::new();
        for (place, no) in legs.iter().enumerate() {
            let created = self.script.leg(*no).created;
            if unplugged && place == 1 {
                self.ends(*no, created + 30 * MS, "USER_NOT_REGISTERED");
                self.leg(*no).fields.sip = Some(480);
                continue;
            }
            let delay = self.dice.between(20 * MS, 700 * MS);
            self.rings(*no, if together { begin + 700 * MS } else { created + delay });
            alive.push(*no);
        }
        alive
    }

    /// Of several one may press reject; the others ring on.
    fn decline_one(&mut self, mut alive: Vec<LegNo>, from: Micros, until: Micros) -> Vec<LegNo> {
        if alive.len() > 1 && self.dice.percent(12) {
            let no = alive.remove(0);
            let at = self.dice.between(from, until);
            self.ends(no, at, "CALL_REJECTED");
            self.leg(no).fields.sip = Some(603);
        }
        alive
    }

    fn win(&mut self, alive: &[LegNo], picked_up: Micros) -> LegNo {
        let winner = *self.dice.pick(alive);
        let losers: Vec<LegNo> = alive.iter().copied().filter(|no| *no != winner).collect();
        self.now = picked_up;
        let connected = self.connect_time(winner);
        self.leg(winner).answered = Some(picked_up);
        let mut silence = picked_up;
        if self.script.tells_bridges && self.dice.percent(5) {
            // A switch that forgets to say when: the first bridge says it.
            self.leg(winner).answered = None;
            silence = connected;
        }
        let stuck = !losers.is_empty() && self.dice.percent(1);
        let gone = self.end_targets(&losers, picked_up, 400 * MS, "LOSE_RACE");
        if stuck {
            self.leg(losers[0]).ended = None;
            self.leg(losers[0]).fields.cause = Text::default();
            self.session().track.rings_on = true;
            self.session().partial = true;
        }
        self.track(State::Ring, silence.max(gone.min(connected)));
        self.track(State::Other, connected);
        self.now = connected;
        winner
    }

    /// When the two are put together; where bridges are not told it follows from the two answers.
    fn connect_time(&mut self, winner: LegNo) -> Micros {
        let x = self.x;
        let soon = self.soon(250 * MS);
        debug_assert!(self.script.leg(winner).answered.is_none());
        let says = self.script.leg(x).answered.is_none() && self.dice.percent(70);
        if says {
            self.leg(x).answered = Some(soon);
        }
        if self.script.tells_bridges || says { soon } else { self.now }
    }

    fn time_out(&mut self, alive: &[LegNo], until: Micros) -> Reached {
        let gone = self.end_targets(alive, until, 300 * MS, "NO_ANSWER");
        self.track(State::Ring, gone);
        self.now = gone;
        Reached::Nobody
    }

    /// They end shortly after; the last of the ends is returned.
    fn end_targets(&mut self, legs: &[LegNo], from: Micros, most: Micros, cause: &str) -> Micros {
        let mut last = from;
        for no in legs {
            let at = from + self.dice.between(0, most);
            self.ends(*no, at, cause);
            last = last.max(at);
        }
        self.quiet_from = self.quiet_from.max(last);
        last
    }

    /// One desk after the other, until one answers.
    pub(crate) fn hunt(&mut self, desks: &[Desk], group: &Text) -> Reached {
        for (place, desk) in desks.iter().enumerate() {
            let is_last = place + 1 == desks.len();
            let odds: &[(u64, Outcome)] = if is_last {
                &[(60, Outcome::Answered), (25, Outcome::TimedOut), (15, Outcome::CustomerLeft)]
            } else {
                &[(25, Outcome::Answered), (68, Outcome::TimedOut), (7, Outcome::CustomerLeft)]
            };
            let outcome = self.dice.weighted(odds);
            match self.ring(&[*desk], group, outcome) {
                Reached::Nobody => self.now = self.soon(900 * MS),
                reached => return reached,
            }
        }
        Reached::Nobody
    }

    /// Music, and agents tried in turn.
    pub(crate) fn queue(&mut self) -> Reached {
        let name = self.group_name();
        let queue = self.machine_begins(Service::Queue, &name);
        let attempts = 1 + self.dice.below(4);
        for attempt in 0..attempts {
            self.wait(300 * MS, 40 * S);
            self.track(State::Other, self.now);
            if self.dice.percent(6) {
                self.leave_queue(&queue, self.now);
                self.customer_leaves(self.now, State::Other);
                return Reached::Left;
            }
            let many = 1 + self.dice.below(3);
            let agents = self.pbx.desks(self.dice, many);
            let odds = if attempt + 1 == attempts { 70 } else { 30 };
            let answered = self.dice.percent(odds);
            let left = self.dice.percent(8);
            let outcome = match (answered, left) {
                (true, _) => Outcome::Answered,
                (_, true) => Outcome::CustomerLeft,
                _ => Outcome::TimedOut,
            };
            match self.ring(&agents, &name, outcome) {
                Reached::Nobody => (),
                Reached::Left => {
                    self.leave_queue(&queue, self.now);
                    return Reached::Left;
                }
                Reached::Leg(agent) => {
                    self.machine_ends(&queue, self.now, "answered");
                    return Reached::Leg(agent);
                }
            }
        }
        self.machine_ends(&queue, self.now, "timeout");
        Reached::Nobody
    }

    fn leave_queue(&mut self, queue: &super::story::Machine, at: Micros) {
        self.machine_ends(queue, at, "abandoned");
    }

    /// A desk rings, and a colleague takes the call from another phone.
    pub(crate) fn pickup(&mut self, desks: &[Desk], colleague: Desk) -> Reached {
        let begin = self.wait(5 * MS, 600 * MS);
        let group = self.group_name();
        let legs = self.place_targets(desks, &group, begin);
        let alive = self.alert_all(&legs, begin);
        let first = alive.iter().filter_map(|no| self.alert_of(*no)).min().expect("at least one phone rings");
        self.track(State::Other, first);
        self.now = begin + self.dice.between(2 * S, 15 * S);
        let picker = self.place_desk(colleague, LegDirection::In, self.now, Some(alive[0]));
        self.leg(picker).fields.dialled = "*8".into();
        self.wait(30 * MS, 300 * MS);
        self.leg(picker).answered = Some(self.now);
        self.now = self.soon(200 * MS);
        let (x, now) = (self.x, self.now);
        self.leg(x).answered.get_or_insert(now);
        self.track(State::Ring, self.now);
        self.end_targets(&alive, self.now, 300 * MS, "PICKED_OFF");
        Reached::Leg(picker)
    }

    /// On to a number outside; with a desk, by that handset's own forward.
    pub(crate) fn forward(&mut self, to: NumberName, handset: Option<Desk>) -> Reached {
        self.wait(10 * MS, S);
        let y = self.place_outside(LegDirection::Out, to, self.now, Some(self.x));
        let fields = &mut self.script.leg_mut(y).fields;
        fields.dialled = fields.party.number.clone();
        fields.device = handset.map(Desk::device).unwrap_or_default();
        let at = self.now + self.dice.between(200 * MS, 4 * S);
        self.rings(y, at);
        let first = self.alert_of(y).expect("it rings");
        self.track(State::Other, first);
        let until = at + self.dice.between(S, 25 * S);
        match self.outcome() {
            Outcome::Answered => Reached::Leg(self.win(&[y], until)),
            Outcome::TimedOut => self.time_out(&[y], until),
            Outcome::CustomerLeft => {
                self.customer_leaves(until, State::Ring);
                self.end_targets(&[y], until, 300 * MS, "ORIGINATOR_CANCEL");
                Reached::Left
            }
        }
    }
}
