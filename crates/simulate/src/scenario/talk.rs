//! Two have each other: they talk, hold, and hang up; and what may follow.

use ringpost_model::{State, Text};

use super::ring::{Outcome, Reached};
use super::story::Story;
use crate::company;
use crate::script::{LegNo, MS, Micros, S};

/// What happens next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Move {
    HangUp,
    HangUpOnHold,
    Blind,
    BlindOutside,
    Attended,
    Park,
    ThreeWay,
    /// Attended, by the switch's own feature: one channel, and the customer waits alone.
    Asked,
}

impl Story<'_> {
    /// From the first word to the last, through all that the agent does with the call.
    pub(crate) fn conversation(&mut self, first: LegNo) {
        self.connect(first, self.now);
        self.connected_conversation();
    }

    /// The same from where they are connected.
    pub(crate) fn connected_conversation(&mut self) {
        for turn in 0..4 {
            let length = self.talk_length();
            self.talk(length);
            self.holds();
            let go_on = match self.next_move(turn) {
                Move::HangUp => self.hang_up(),
                Move::HangUpOnHold => self.hang_up_on_hold(),
                Move::Blind => self.blind_transfer(),
                Move::BlindOutside => self.blind_outside(),
                Move::Attended => self.attended_transfer(),
                Move::Park => self.park(),
                Move::ThreeWay => self.three_way(),
                Move::Asked => self.asked_transfer(),
            };
            if !go_on {
                return;
            }
        }
        self.hang_up();
    }

    /// Alone with somebody outside: nothing but words can follow.
    pub(crate) fn plain_conversation(&mut self, first: LegNo) {
        self.connect(first, self.now);
        let length = self.talk_length();
        self.talk(length);
        self.hang_up();
    }

    fn talk_length(&mut self) -> Micros {
        match self.dice.below(100) {
            0..=3 => self.dice.between(MS, 900 * MS),
            4..=15 => self.dice.between(S, 11 * S),
            16..=97 => self.dice.between(5 * S, 300 * S),
            _ => self.dice.between(600 * S, 2_400 * S),
        }
    }

    fn next_move(&mut self, turn: u32) -> Move {
        let partner = self.partner.expect("they talk").leg;
        let free = self.script.tells_bridges
            && self.script.leg(partner).is_internal()
            && self.may_enter()
            && !self.session().track.rings_on;
        if !free || turn == 3 {
            return Move::HangUp;
        }
        let outside = !self.is_internal_call();
        // A second park would close the first one, whose end was not told: openings and closings pair by time.
        let parked = self.script.leg(self.x).parks.iter().any(|park| park.to.is_none());
        let weight = |weight| if outside { weight } else { 0 };
        let held = |weight| if self.holds_are_told { weight } else { 0 };
        // Where the agent is the root, what it asks of its own company would be talk of the call.
        let asks = !self.holds_are_told && self.script.sessions[0].root != partner;
        self.dice.weighted(&[
            (58, Move::HangUp),
            (held(5), Move::HangUpOnHold),
            (11, Move::Blind),
            (weight(3), Move::BlindOutside),
            (held(10), Move::Attended),
            (if parked { 0 } else { 8 }, Move::Park),
            (held(weight(5)), Move::ThreeWay),
            (if asks { 10 } else { 0 }, Move::Asked),
        ])
    }

    /// None, one or several holds, by either side.
    fn holds(&mut self) {
        if !self.holds_are_told {
            return;
        }
        let count = self.dice.weighted(&[(70, 0), (18, 1), (8, 2), (4, 3)]);
        for _ in 0..count {
            match self.dice.below(4) {
                0 | 1 if self.script.tells_bridges && self.dice.percent(40) => self.hold_apart(),
                0 | 1 => self.hold_joined(),
                2 => self.customer_holds(),
                _ => self.both_hold(),
            }
            let length = self.dice.between(200 * MS, 60 * S);
            self.talk(length);
        }
    }

    pub(crate) fn hold_length(&mut self) -> Micros {
        if self.dice.percent(10) {
            self.dice.between(50 * MS, 900 * MS)
        } else {
            self.dice.between(S, 90 * S)
        }
    }

    /// The partner presses hold and the two stay connected.
    fn hold_joined(&mut self) {
        let (partner, from) = (self.partner.expect("they talk").leg, self.now);
        self.now += self.hold_length();
        let now = self.now;
        self.leg(partner).holds.push((from, Some(now)));
        self.track(State::Hold, now);
    }

    /// The partner presses hold and the switch takes the two apart, and puts them together again.
    fn hold_apart(&mut self) {
        let partner = self.partner.expect("they talk");
        let from = self.now;
        let apart = self.soon(100 * MS);
        self.unbridge(partner.bridge, apart);
        self.now = apart + self.hold_length();
        let resumed = self.now;
        self.leg(partner.leg).holds.push((from, Some(resumed)));
        self.track(State::Hold, resumed);
        self.now = self.soon(150 * MS);
        self.track(State::Other, self.now);
        self.connect(partner.leg, self.now);
    }

    fn customer_holds(&mut self) {
        let (x, from) = (self.x, self.now);
        self.now += self.hold_length();
        let now = self.now;
        self.leg(x).holds.push((from, Some(now)));
        self.track(State::Hold, now);
    }

    /// The one holds while the other does: hold lasts from the first key to the last.
    fn both_hold(&mut self) {
        let (x, partner, from) = (self.x, self.partner.expect("they talk").leg, self.now);
        let second = from + self.dice.between(100 * MS, 5 * S);
        let first_back = second + self.dice.between(100 * MS, 20 * S);
        let second_back = self.dice.between(second + MS, first_back + 20 * S);
        let (first, other) = if self.dice.percent(50) { (x, partner) } else { (partner, x) };
        self.leg(first).holds.push((from, Some(first_back)));
        self.leg(other).holds.push((second, Some(second_back)));
        self.now = first_back.max(second_back);
        self.track(State::Hold, self.now);
    }

    /// One of them hangs up; the other's leg clears a moment later.
    pub(crate) fn hang_up(&mut self) -> bool {
        let partner = self.partner.expect("they talk");
        let (own_end, partner_end) = self.ends_of_both();
        let told = self.script.tells_bridges && self.dice.percent(75);
        let over = if told { self.now } else { own_end.min(partner_end) };
        if told {
            self.unbridge(partner.bridge, over);
        }
        self.track(State::Talk, over);
        self.all_end(own_end, partner.leg, partner_end)
    }

    /// When the customer's leg and the partner's end. A caller may stay on the line after the far end left.
    fn ends_of_both(&mut self) -> (Micros, Micros) {
        let mine = self.soon(400 * MS);
        let theirs = self.soon(400 * MS);
        let is_caller = self.partner.is_some_and(|partner| self.script.sessions[0].root == partner.leg);
        let rest = if is_caller && self.dice.percent(20) { self.dice.between(0, 5 * S) } else { 0 };
        (mine, theirs + rest)
    }

    /// The last keys are pressed: nobody is left.
    pub(crate) fn all_end(&mut self, own_end: Micros, partner: LegNo, partner_end: Micros) -> bool {
        let cause = *self.dice.pick(&["NORMAL_CLEARING", "NORMAL_CLEARING", "NORMAL_UNSPECIFIED", ""]);
        let x = self.x;
        self.ends(x, own_end, cause);
        self.ends(partner, partner_end, "NORMAL_CLEARING");
        self.partner = None;
        self.close();
        false
    }

    /// Hang-up in the middle of a hold: nobody ever resumes.
    fn hang_up_on_hold(&mut self) -> bool {
        let partner = self.partner.expect("they talk");
        let (x, from) = (self.x, self.now);
        let customer_side = self.dice.percent(35);
        self.leg(if customer_side { x } else { partner.leg }).holds.push((from, None));
        self.now += self.hold_length();
        let (own_end, partner_end) = self.ends_of_both();
        if self.dice.percent(50) {
            let now = self.now;
            self.unbridge(partner.bridge, now);
        }
        // Who holds is on hold as long as its leg lives, connected or not; and no longer than the customer's.
        let holder_end = if customer_side { own_end } else { partner_end };
        let heard = if self.is_internal_call() { holder_end } else { holder_end.min(own_end) };
        self.track(State::Hold, heard);
        self.all_end(own_end, partner.leg, partner_end)
    }

    /// The agent sends the caller on without a word to the target.
    fn blind_transfer(&mut self) -> bool {
        let transferrer = self.let_go();
        let many = 1 + u64::from(self.dice.percent(20)) * 2;
        let desks = self.pbx.desks(self.dice, many);
        let outcome = self.outcome();
        match self.ring(&desks, &Text::default(), outcome) {
            Reached::Leg(target) => {
                self.connect(target, self.now);
                true
            }
            Reached::Left => self.over(),
            Reached::Nobody => self.after_failed_transfer(transferrer),
        }
    }

    /// The partner gives the customer away: pressed hold before, or not.
    fn let_go(&mut self) -> LegNo {
        let partner = self.partner.take().expect("they talk");
        let pressed = (self.holds_are_told && self.dice.percent(50)).then_some(self.now);
        if pressed.is_some() {
            self.now += self.hold_length();
            self.track(State::Hold, self.now);
        }
        let now = self.now;
        self.rename(now);
        self.unbridge(partner.bridge, now);
        let gone = now + self.dice.between(0, 300 * MS);
        self.ends(partner.leg, gone, "BLIND_TRANSFER");
        if let Some(from) = pressed {
            let told = self.dice.percent(50).then_some(now);
            self.leg(partner.leg).holds.push((from, told));
            if told.is_none() {
                // Its hold key stays down until its phone has cleared.
                self.track(State::Hold, gone);
            }
        }
        self.now = gone;
        partner.leg
    }

    fn after_failed_transfer(&mut self, transferrer: LegNo) -> bool {
        let number = self.script.leg(transferrer).fields.party.number.clone();
        if self.dice.percent(50) {
            self.now = self.soon(900 * MS);
            // Back to the one who sent the caller on.
            let back = self.pbx.desk_of(&number);
            let outcome = self.outcome();
            if let Some(desk) = back {
                match self.ring(&[desk], &Text::default(), outcome) {
                    Reached::Leg(target) => {
                        self.connect(target, self.now);
                        return true;
                    }
                    Reached::Left => return self.over(),
                    Reached::Nobody => (),
                }
            }
        }
        self.voicemail_or_nothing();
        self.over()
    }

    fn blind_outside(&mut self) -> bool {
        self.let_go();
        let to = company::reachable(self.dice);
        match self.forward(to, None) {
            Reached::Leg(outside) => self.plain_conversation(outside),
            Reached::Left => self.close(),
            Reached::Nobody => {
                self.voicemail_or_nothing();
                self.close();
            }
        }
        false
    }

    fn over(&mut self) -> bool {
        self.close();
        false
    }

    /// The customer waits in a slot until somebody fetches it.
    fn park(&mut self) -> bool {
        let partner = self.partner.take().expect("they talk");
        if self.holds_are_told && self.dice.percent(40) {
            let from = self.now;
            self.now += self.hold_length();
            self.track(State::Hold, self.now);
            let told = self.dice.percent(50).then_some(self.now);
            self.leg(partner.leg).holds.push((from, told));
        }
        let parked = self.now;
        let slot = format!("70{}", self.dice.below(9));
        let late = self.soon(60 * MS);
        self.unbridge(partner.bridge, late);
        let gone = late + self.dice.between(0, 400 * MS);
        self.ends(partner.leg, gone, "NORMAL_CLEARING");
        self.rename(parked);
        self.now = parked + self.dice.between(S, 120 * S);
        let home = self.script.leg(partner.leg).fields.party.number.clone();
        match self.dice.below(10) {
            0..=4 => self.retrieve(parked, &slot),
            5..=7 => self.ring_back(parked, &slot, &home),
            _ => {
                let told = self.dice.percent(30);
                let (x, now) = (self.x, self.now);
                let trailing = if told { self.dice.between(0, 3_500 * MS) } else { 0 };
                self.parked(parked, told.then_some(now), &slot);
                self.track(State::Park, now);
                self.ends(x, now + trailing, "NORMAL_CLEARING");
                self.over()
            }
        }
    }

    fn parked(&mut self, from: Micros, to: Option<Micros>, slot: &str) {
        let x = self.x;
        let stay = crate::script::Stay { from, to, name: slot.into(), outcome: Text::default() };
        self.leg(x).parks.push(stay);
    }

    /// Another desk dials the slot, as a call of its own.
    fn retrieve(&mut self, parked: Micros, slot: &str) -> bool {
        let desk = self.pbx.desk(self.dice);
        let dialled_at = self.now - self.dice.between(100 * MS, 800 * MS);
        let x = self.x;
        let fetcher = self.place_desk(desk, ringpost_model::LegDirection::In, dialled_at, Some(x));
        let foreign = self.dice.percent(50);
        let own = format!("own-{}", self.script.leg(fetcher).id).into();
        let answered = self.now - self.dice.between(0, 50 * MS);
        let leg = self.leg(fetcher);
        leg.fields.dialled = slot.into();
        leg.answered = Some(answered);
        if foreign {
            leg.links = vec![own];
        }
        let fetched = self.now;
        let told = self.dice.percent(60);
        let together = self.soon(300 * MS);
        self.parked(parked, told.then_some(fetched), slot);
        if told {
            self.track(State::Park, fetched);
            self.track(State::Other, together);
        } else {
            // The slot does not say when it was left: when somebody has the caller, at the latest.
            self.track(State::Park, together);
        }
        self.connect(fetcher, together);
        true
    }

    /// Nobody fetches it: the desk that parked it rings again.
    fn ring_back(&mut self, parked: Micros, slot: &str, home: &str) -> bool {
        let back = self.now;
        self.parked(parked, Some(back), slot);
        self.track(State::Park, back);
        let patient = self.dice.percent(30);
        if patient {
            self.wait(2 * S, 5 * S);
        }
        let Some(desk) = self.pbx.desk_of(home) else { unreachable!("only desks park") };
        let outcome = self.dice.weighted(&[
            (45, Outcome::Answered),
            (20, Outcome::TimedOut),
            (35, Outcome::CustomerLeft),
        ]);
        match self.ring(&[desk], &Text::default(), outcome) {
            Reached::Leg(leg) => {
                self.connect(leg, self.now);
                true
            }
            Reached::Left => self.over(),
            Reached::Nobody => {
                if self.dice.percent(50) {
                    let again = self.now;
                    self.now += self.dice.between(S, 40 * S);
                    let (x, now) = (self.x, self.now);
                    self.parked(again, None, slot);
                    self.track(State::Park, now);
                    self.ends(x, now, "NORMAL_CLEARING");
                } else {
                    self.voicemail_or_nothing();
                }
                self.over()
            }
        }
    }
}
