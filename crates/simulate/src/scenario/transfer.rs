//! Attended transfers: the agent asks before it hands the caller on; and three at a time.

use ringpost_model::{LegDirection, Service, Side, State};

use super::story::{Partner, Story};
use crate::script::{LegNo, MS, Micros, S};

/// The agent's call to a colleague while the customer waits.
struct Consultation {
    /// The agent who has the customer.
    agent: Partner,
    /// The agent's leg in the consultation: a second one, or the same.
    asking: LegNo,
    colleague: LegNo,
    /// When the customer was put on hold.
    held: Micros,
    /// Customer and agent stay connected meanwhile.
    joined: bool,
    /// When the colleague's phone began to ring.
    alerted: Micros,
}

impl Story<'_> {
    pub(crate) fn attended_transfer(&mut self) -> bool {
        let consultation = self.consult();
        match self.dice.below(10) {
            0..=4 => {
                let bridge = self.colleague_answers(&consultation);
                self.hand_over(&consultation, bridge)
            }
            5 | 6 => {
                let bridge = self.colleague_answers(&consultation);
                self.take_back(&consultation, Some(bridge))
            }
            7 => self.take_back(&consultation, None),
            _ => self.leave_while_ringing(&consultation),
        }
    }

    /// The agent's one channel leaves the customer alone, asks a colleague, and puts the two together.
    pub(crate) fn asked_transfer(&mut self) -> bool {
        let agent = self.partner.take().expect("they talk");
        self.unbridge(agent.bridge, self.now);
        self.wait(300 * MS, 6 * S);
        self.track(State::Other, self.now);
        let desk = self.pbx.desk(self.dice);
        let now = self.now;
        let colleague = self.place_desk(desk, LegDirection::Out, now, Some(agent.leg));
        self.rings(colleague, now);
        self.wait(200 * MS, 15 * S);
        self.track(State::Ring, self.now);
        let answered = self.now;
        self.leg(colleague).answered = Some(answered);
        let bridge = self.bridge(agent.leg, colleague, answered);
        let internal = self.is_internal_call();
        if internal {
            self.talks_with(colleague, answered);
        }
        self.wait(500 * MS, 60 * S);
        let now = self.now;
        self.track(if internal { State::Talk } else { State::Other }, now);
        self.unbridge(bridge, now);
        let gone = now + self.dice.between(0, 200 * MS);
        self.ends(agent.leg, gone, "ATTENDED_TRANSFER");
        self.connect(colleague, now);
        true
    }

    /// The customer is put on hold, and a colleague's phone rings.
    fn consult(&mut self) -> Consultation {
        let agent = self.partner.take().expect("they talk");
        let held = self.now;
        // Where the agent is the root, two of its own company on its first leg would be talk of the call.
        let second_leg = self.script.leg(self.x).is_internal()
            || self.session().root == agent.leg
            || self.dice.percent(65);
        let joined = second_leg && self.dice.percent(50);
        if !joined {
            let apart = self.soon(80 * MS);
            self.unbridge(agent.bridge, apart);
            self.now = apart;
        }
        self.wait(300 * MS, 6 * S);
        let desk = self.pbx.desk(self.dice);
        let asking = if second_leg { self.second_leg(agent.leg, &desk.number()) } else { agent.leg };
        self.wait(20 * MS, 600 * MS);
        let now = self.now;
        let colleague = self.place_desk(desk, LegDirection::Out, now, Some(asking));
        let alerted = now + self.dice.between(30 * MS, 700 * MS);
        self.rings(colleague, alerted);
        self.now = alerted + self.dice.between(200 * MS, 15 * S);
        // Hold goes before the colleague's ring: it is what the customer hears.
        self.track(State::Hold, self.now);
        Consultation { agent, asking, colleague, held, joined, alerted }
    }

    /// The agent's phone opens its second line.
    fn second_leg(&mut self, agent: LegNo, dialled: &str) -> LegNo {
        let now = self.now;
        let no = self.place(LegDirection::In, Side::Internal, now, Some(agent));
        let from = &self.script.leg(agent).fields;
        let (party, device) = (from.party.clone(), from.device.clone());
        let (user, agent) = (from.user.clone(), from.agent.clone());
        let leg = self.leg(no);
        leg.fields.party = party;
        leg.fields.device = device;
        leg.fields.user = user;
        leg.fields.agent = agent;
        leg.fields.dialled = dialled.into();
        leg.answered = Some(now);
        no
    }

    fn colleague_answers(&mut self, consultation: &Consultation) -> usize {
        let now = self.now;
        self.leg(consultation.colleague).answered = Some(now);
        let bridge = self.bridge(consultation.asking, consultation.colleague, now);
        if self.is_internal_call() {
            // Without a customer outside, any two of the company who talk are talk.
            self.talks_with(consultation.colleague, now);
        }
        self.now += self.dice.between(500 * MS, 60 * S);
        let state = if self.is_internal_call() { State::Talk } else { State::Hold };
        self.track(state, self.now);
        bridge
    }

    /// The agent connects the customer with the colleague and leaves.
    fn hand_over(&mut self, consultation: &Consultation, bridge: usize) -> bool {
        let now = self.now;
        self.rename(now);
        self.unbridge(bridge, now);
        self.agent_goes(consultation, now);
        self.connect(consultation.colleague, now);
        true
    }

    /// Both of the agent's legs end, hold key still down.
    fn agent_goes(&mut self, consultation: &Consultation, now: Micros) -> Micros {
        let agent = consultation.agent;
        if consultation.joined {
            self.unbridge(agent.bridge, now);
        }
        let gone = now + self.dice.between(0, 200 * MS);
        self.leg(agent.leg).holds.push((consultation.held, None));
        self.ends(agent.leg, gone, "ATTENDED_TRANSFER");
        self.quiet_from = self.quiet_from.max(gone);
        if consultation.asking != agent.leg {
            let also = now + self.dice.between(0, 200 * MS);
            self.ends(consultation.asking, also, "ATTENDED_TRANSFER");
        }
        gone
    }

    /// The colleague cannot help, or does not answer: the agent goes back to the customer.
    fn take_back(&mut self, consultation: &Consultation, bridge: Option<usize>) -> bool {
        let now = self.now;
        if let Some(bridge) = bridge {
            self.unbridge(bridge, now);
        }
        let cause = if bridge.is_some() { "NORMAL_CLEARING" } else { "NO_ANSWER" };
        self.ends(consultation.colleague, now, cause);
        if consultation.asking != consultation.agent.leg {
            self.ends(consultation.asking, now, "NORMAL_CLEARING");
        }
        self.now = self.soon(2 * S);
        let resumed = self.now;
        let agent = consultation.agent;
        self.leg(agent.leg).holds.push((consultation.held, Some(resumed)));
        self.track(State::Hold, resumed);
        if consultation.joined {
            self.partner = Some(agent);
            return true;
        }
        self.now = self.soon(100 * MS);
        self.track(State::Other, self.now);
        self.connect(agent.leg, self.now);
        true
    }

    /// The agent hangs up while the colleague's phone still rings; the customer hears it ring.
    fn leave_while_ringing(&mut self, consultation: &Consultation) -> bool {
        let now = self.now;
        self.rename(now);
        let gone = self.agent_goes(consultation, now);
        // The hold key is down until the agent's phone has cleared.
        self.track(State::Hold, gone);
        let colleague = consultation.colleague;
        debug_assert!(consultation.alerted <= now);
        self.now = gone + self.dice.between(300 * MS, 20 * S);
        let picked_up = self.now;
        self.track(State::Ring, picked_up);
        if self.dice.percent(25) {
            self.customer_leaves(picked_up, State::Ring);
            let after = picked_up + self.dice.between(0, 200 * MS);
            self.ends(colleague, after, "ORIGINATOR_CANCEL");
            self.close();
            return false;
        }
        self.leg(colleague).answered = Some(picked_up);
        self.now = self.soon(150 * MS);
        self.track(State::Other, self.now);
        self.connect(colleague, self.now);
        true
    }

    /// The agent brings a colleague in: by a bridge between each two of them, or in a room.
    pub(crate) fn three_way(&mut self) -> bool {
        let agent = self.partner.expect("they talk");
        let mut consultation = self.consult();
        let bridge = self.colleague_answers(&consultation);
        let now = self.now;
        self.leg(agent.leg).holds.push((consultation.held, Some(now)));
        if consultation.asking != agent.leg {
            self.unbridge(bridge, now);
            self.ends(consultation.asking, now, "NORMAL_CLEARING");
        }
        consultation.held = now;
        if self.dice.percent(50) {
            self.meet_in_pairs(&consultation, bridge)
        } else {
            if consultation.asking == agent.leg {
                self.unbridge(bridge, now);
            }
            self.meet_in_room(&consultation)
        }
    }

    /// Customer and agent, customer and colleague are connected; talk is talk as long as one of the two listens.
    fn meet_in_pairs(&mut self, consultation: &Consultation, consult_bridge: usize) -> bool {
        let (agent, colleague, now) = (consultation.agent, consultation.colleague, self.now);
        let agent_bridge = if consultation.joined {
            agent.bridge
        } else {
            self.connect(agent.leg, now);
            self.partner.expect("just connected").bridge
        };
        let joins = now + self.dice.between(1, 50 * MS);
        self.connect(colleague, joins);
        let colleague_bridge = self.partner.expect("just connected").bridge;
        self.talk(2 * S);
        self.one_of_three_holds(agent.leg, colleague);
        let length = self.dice.between(S, 90 * S);
        self.talk(length);
        let now = self.now;
        if consultation.asking == agent.leg {
            self.unbridge(consult_bridge, now);
        }
        let agent_leaves = self.dice.percent(50);
        let (goes, goes_bridge, stays, stays_bridge) = if agent_leaves {
            (agent.leg, agent_bridge, colleague, colleague_bridge)
        } else {
            (colleague, colleague_bridge, agent.leg, agent_bridge)
        };
        self.unbridge(goes_bridge, now);
        let gone = now + self.dice.between(0, 200 * MS);
        self.ends(goes, gone, "NORMAL_CLEARING");
        self.partner = Some(Partner { leg: stays, bridge: stays_bridge });
        true
    }

    fn one_of_three_holds(&mut self, one: LegNo, other: LegNo) {
        let from = self.now;
        let length = self.hold_length();
        if self.dice.percent(60) {
            self.now += length;
            let now = self.now;
            self.leg(one).holds.push((from, Some(now)));
            self.track(State::Talk, now);
        }
        if self.dice.percent(40) {
            let both = self.now + length;
            let back = both + self.hold_length();
            let (from, one_back) = (self.now, back + self.dice.between(0, 3 * S));
            self.leg(one).holds.push((from, Some(one_back)));
            self.leg(other).holds.push((both, Some(back)));
            self.track(State::Talk, both);
            self.track(State::Hold, back);
            self.track(State::Talk, one_back);
            self.now = one_back;
        }
    }

    /// All three move into a room of the switch, the customer first.
    fn meet_in_room(&mut self, consultation: &Consultation) -> bool {
        let (agent, colleague, now, x) = (consultation.agent, consultation.colleague, self.now, self.x);
        if consultation.joined {
            self.unbridge(agent.bridge, now);
        }
        let room = self.place(LegDirection::Out, Side::Service, now, Some(x));
        self.leg(room).fields.service = Some(Service::Conference);
        self.leg(room).answered = Some(now);
        let mut bridges = vec![(x, self.bridge(x, room, now))];
        let caller_last = self.session().root == agent.leg;
        let members = if caller_last { [colleague, agent.leg] } else { [agent.leg, colleague] };
        for member in members {
            self.wait(MS, 300 * MS);
            let at = self.now;
            bridges.push((member, self.bridge(member, room, at)));
            self.talks_with(member, at);
        }
        let length = self.dice.between(S, 120 * S);
        self.talk(length);
        if self.dice.percent(20) {
            // In a room only the customer's own key counts.
            let from = self.now;
            self.now += self.hold_length();
            let (now, agent_holds) = (self.now, self.dice.percent(50));
            self.leg(if agent_holds { agent.leg } else { x }).holds.push((from, Some(now)));
            self.track(if agent_holds { State::Talk } else { State::Hold }, now);
        }
        self.leave_room(room, bridges)
    }

    /// One after the other leaves; the customer may be the last one in it, and still is in a conference.
    fn leave_room(&mut self, room: LegNo, mut bridges: Vec<(LegNo, usize)>) -> bool {
        let x = self.x;
        if self.session().root != x || self.dice.percent(50) {
            bridges.rotate_left(1);
        }
        for (member, bridge) in bridges {
            let now = self.now;
            self.unbridge(bridge, now);
            let gone = if member == x { now } else { now + self.dice.between(0, 100 * MS) };
            self.ends(member, gone, "NORMAL_CLEARING");
            if member == x {
                self.track(State::Talk, now);
            }
            self.wait(100 * MS, 5 * S);
        }
        let now = self.now;
        self.ends(room, now, "");
        self.close();
        false
    }
}
