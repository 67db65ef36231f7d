//! A queue of `mod_callcenter`: it places the agents' legs itself, so they write documents of their own.

use ringpost_model::{LegDirection, NumberName, State, Text};

use super::calls::Teller;
use crate::script::{LegNo, MS, Micros, S};

impl Teller<'_> {
    /// `mod_callcenter` finds an agent; its legs are placed by the queue, not by the caller's leg.
    pub(super) fn queue(&mut self) {
        let x = self.arrive();
        let now = self.story.now;
        self.story.leg(x).answered = Some(now);
        self.profile().answered = Some(now);
        self.app("answer", String::new());
        self.app("callcenter", "support@default".to_owned());
        self.root().variables.push(("cc_side", "member".to_owned()));
        self.root().variables.push(("cc_queue", "support@default".to_owned()));
        let attempts = 1 + self.story.dice.below(3);
        for attempt in 0..attempts {
            let agent = self.ring_agent();
            if attempt + 1 < attempts {
                let now = self.story.now;
                self.story.ends(agent, now, "NO_ANSWER");
                self.story.track(State::Ring, now);
                self.agent_paper(agent, None);
                continue;
            }
            if self.story.dice.percent(25) {
                let now = self.story.now;
                self.story.ends(agent, now, "ORIGINATOR_CANCEL");
                self.story.ends(x, now, "ORIGINATOR_CANCEL");
                self.story.track(State::Ring, now);
                self.agent_paper(agent, None);
                self.root().variables.push(("cc_cause", "cancel".to_owned()));
                self.story.close_switch();
                return;
            }
            self.agent_answers(x, agent);
        }
    }

    fn ring_agent(&mut self) -> LegNo {
        self.story.wait(500 * MS, 20 * S);
        let desk = self.story.pbx.desk(self.story.dice);
        let (x, now) = (self.story.x, self.story.now);
        self.story.track(State::Other, now);
        let agent = self.story.place_desk(desk, LegDirection::Out, now, Some(x));
        let shown = self.story.script.leg(x).fields.party.number.clone();
        let fields = &mut self.story.leg(agent).fields;
        fields.device = NumberName { number: desk.number(), name: Text::default() };
        fields.agent = fields.device.clone();
        fields.user = NumberName::default();
        fields.group = "support".into();
        fields.presented = shown;
        let at = now + self.story.dice.between(50 * MS, 700 * MS);
        self.story.rings(agent, at);
        self.story.track(State::Other, at);
        self.story.now = at + self.story.dice.between(S, 15 * S);
        agent
    }

    fn agent_answers(&mut self, x: LegNo, agent: LegNo) {
        let answered = self.story.now;
        self.story.leg(agent).answered = Some(answered);
        self.story.track(State::Ring, answered);
        let bridged = self.story.soon(80 * MS);
        self.story.track(State::Other, bridged);
        self.story.talks_with(agent, bridged);
        self.profile().bridged = Some(bridged);
        self.root().bridged = Some(bridged);
        self.root().last_bridge = Some(agent);
        let number = self.story.script.leg(agent).fields.device.number.to_string();
        let id = self.story.script.leg(agent).id.to_string();
        for (name, value) in [
            ("cc_cause", "answered".to_owned()),
            ("cc_agent", format!("{number}@default")),
            ("cc_agent_uuid", id),
            ("cc_queue_answered_epoch", (bridged / S).to_string()),
        ] {
            self.root().variables.push((name, value));
        }
        self.agent_paper(agent, Some(bridged));
        self.papers.last_mut().expect("just written").last_bridge = Some(x);
        self.story.now = bridged;
        self.talk(agent);
        self.hang_up(agent);
    }

    fn agent_paper(&mut self, agent: LegNo, bridged: Option<Micros>) {
        let root = self.story.session().root;
        self.far_paper(agent, bridged);
        let member = self.story.script.leg(root).id.to_string();
        let number = self.story.script.leg(agent).fields.device.number.to_string();
        let paper = self.papers.last_mut().expect("just written");
        paper.originator = None;
        for (name, value) in [
            ("cc_side", "agent".to_owned()),
            ("cc_queue", "support@default".to_owned()),
            ("cc_agent", format!("{number}@default")),
            // The queue's own id of the waiting caller, which is no leg's.
            ("cc_member_uuid", format!("{}-member", member)),
            ("cc_member_session_uuid", member),
        ] {
            paper.variables.push((name, value));
        }
    }
}
