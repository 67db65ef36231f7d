//! The scenarios of the switch.

use ringpost_model::{CallDirection, LegDirection, NumberName, Service, State, Text};

use super::{App, Paper, Profile, writes_far_legs};
use crate::company::{self, Desk, Pbx};
use crate::dice::Dice;
use crate::scenario::story::Story;
use crate::script::{LegNo, MS, Micros, S, Script, Stay};

/// A call being made up, with its documents.
pub(super) struct Teller<'a> {
    pub(super) story: Story<'a>,
    pub(super) papers: Vec<Paper>,
    /// Documents of far legs will come.
    all_legs: bool,
}

pub(super) fn call(dice: &mut Dice, pbx: &'static Pbx, begin: Micros, tag: &str) -> (Script, Vec<Paper>) {
    let mut story = Story::new(dice, pbx, begin, tag);
    story.as_switch();
    let mut teller = Teller { story, papers: Vec::new(), all_legs: writes_far_legs(pbx) };
    match teller.story.dice.below(100) {
        0..=39 => teller.incoming(),
        40..=54 => teller.menu(),
        55..=79 => teller.outgoing(),
        80..=89 => teller.internal(),
        90..=94 if teller.all_legs => teller.queue(),
        90..=96 => teller.machine("voicemail", "default pbx.example.org 1002", Service::Voicemail),
        _ => teller.machine("rxfax", "/var/spool/fax/in.tif", Service::Fax),
    }
    (teller.story.script, teller.papers)
}

impl Teller<'_> {
    fn paper(&mut self, leg: LegNo, destination: &str, context: &'static str) -> usize {
        let begin = self.story.script.leg(leg).created;
        let profile = Profile {
            begin,
            transferred: None,
            destination: destination.to_owned(),
            context,
            progress: None,
            answered: None,
            bridged: None,
            originatees: Vec::new(),
        };
        self.papers.push(Paper {
            leg,
            profiles: vec![profile],
            apps: Vec::new(),
            variables: Vec::new(),
            originator: None,
            bridged: None,
            last_bridge: None,
            placed: Vec::new(),
        });
        self.papers.len() - 1
    }

    pub(super) fn root(&mut self) -> &mut Paper {
        &mut self.papers[0]
    }

    pub(super) fn profile(&mut self) -> &mut Profile {
        self.root().profiles.last_mut().expect("a leg has a profile")
    }

    pub(super) fn app(&mut self, name: &'static str, data: String) {
        let at = self.story.now;
        self.root().apps.push(App { name, data, at });
    }

    pub(super) fn arrive(&mut self) -> LegNo {
        let caller = company::outsider(self.story.dice);
        let public = self.story.pbx.public_number(self.story.dice);
        let now = self.story.now;
        let x = self.story.place_outside(LegDirection::In, caller.clone(), now, None);
        self.story.leg(x).fields.dialled = public.clone();
        self.story.leg(x).first_party = None;
        self.story.open(x, x, CallDirection::Incoming);
        self.story.session().cli = caller;
        self.story.session().ddi = NumberName { number: public.clone(), name: Text::default() };
        self.paper(x, &public, "public");
        self.story.wait(2 * MS, 20 * MS);
        if self.story.dice.percent(40) {
            // The stock dialplan sends a public number on to an extension: that is a second profile.
            let desk = self.story.pbx.desk(self.story.dice).number();
            self.app("transfer", format!("{desk} XML default"));
            self.transfer(&desk);
        }
        x
    }

    /// The leg goes on in another profile, which inherits what the leg had.
    fn transfer(&mut self, to: &str) {
        let at = self.story.now;
        let old = self.profile();
        old.transferred = Some(at);
        let (progress, answered) = (old.progress, old.answered);
        let destination = to.to_owned();
        self.root().profiles.push(Profile {
            begin: at,
            transferred: None,
            destination,
            context: "default",
            progress,
            answered,
            bridged: None,
            originatees: Vec::new(),
        });
        self.story.wait(MS, 10 * MS);
    }

    /// `bridge user/…`: so many desks ring at once. The far legs, and whether any can be heard ringing.
    fn dial_desks(&mut self, desks: &[Desk]) -> Vec<LegNo> {
        let dial: Vec<String> =
            desks.iter().map(|desk| format!("user/{}@pbx.example.org", desk.number())).collect();
        self.app("bridge", dial.join(","));
        let x = self.story.x;
        let shown = self.story.script.leg(x).fields.party.number.clone();
        let mut legs = Vec::new();
        for desk in desks {
            let later = if self.all_legs { self.story.dice.between(MS, 40 * MS) } else { 0 };
            let at = (self.story.now + later).max(self.story.script.leg(x).created + 1);
            let no = self.story.place_desk(*desk, LegDirection::Out, at, Some(x));
            let fields = &mut self.story.leg(no).fields;
            fields.device = NumberName { number: desk.number(), name: Text::default() };
            (fields.user, fields.agent) = (NumberName::default(), NumberName::default());
            fields.presented = shown.clone();
            legs.push(no);
        }
        self.profile().originatees.extend(legs.iter().rev());
        legs
    }

    /// All begin to ring; on a stock switch the only time known is the A leg's progress.
    fn ring_desks(&mut self, legs: &[LegNo], heard: bool) {
        let progress = self.story.now + self.story.dice.between(60 * MS, 900 * MS);
        for no in legs {
            let at = if self.all_legs { progress + self.story.dice.between(0, 50 * MS) } else { progress };
            let begins = self.story.script.leg(*no).created;
            // Where nothing is heard, the leg is said to ring from its begin.
            self.story.rings(*no, if heard || self.all_legs { at } else { begins });
        }
        let first = legs.iter().filter_map(|no| self.story.alert_of(*no)).min().expect("somebody rings");
        if heard {
            self.profile().progress = Some(if self.all_legs { first } else { progress });
        }
        self.story.track(State::Other, first);
        self.story.now = progress + 60 * MS;
    }

    /// One answers and is bridged.
    fn connect(&mut self, winner: LegNo, legs: &[LegNo]) {
        let answered = self.story.now;
        let bridged = if self.all_legs { self.story.soon(60 * MS) } else { answered };
        let x = self.story.x;
        let root = self.story.session().root;
        self.story.leg(winner).answered = Some(answered);
        self.story.leg(root).answered.get_or_insert(bridged);
        let mut quiet = answered;
        for no in legs.iter().filter(|no| **no != winner) {
            let at = if self.all_legs { answered + self.story.dice.between(0, 50 * MS) } else { answered };
            self.story.ends(*no, at, "LOSE_RACE");
            quiet = quiet.max(at);
            self.root().placed.push((*no, "LOSE_RACE"));
        }
        self.root().placed.push((winner, "NONE"));
        // Once more when it is bridged, as the newest.
        self.profile().originatees.insert(0, winner);
        self.story.bridge(root, winner, bridged);
        self.story.track(State::Ring, quiet.min(bridged).max(answered));
        self.story.track(State::Other, bridged);
        let is_root_external = root == x;
        self.story.talks_with(if is_root_external { winner } else { root }, bridged);
        let first_answer = self.story.script.leg(root).answered;
        let profile = self.profile();
        profile.bridged = Some(bridged);
        profile.answered = first_answer;
        self.root().bridged = Some(bridged);
        self.root().last_bridge = Some(winner);
        self.far_paper(winner, Some(bridged));
        for no in legs.iter().filter(|no| **no != winner) {
            self.far_paper(*no, None);
        }
        self.story.now = bridged.max(quiet);
        self.story.track(State::Talk, self.story.now);
    }

    pub(super) fn far_paper(&mut self, leg: LegNo, bridged: Option<Micros>) {
        let root = self.story.session().root;
        let destination = self.story.script.leg(leg).fields.dialled.to_string();
        let paper = self.paper(leg, &destination, "default");
        let (ringing, answered) = (self.story.script.leg(leg).ringing, self.story.script.leg(leg).answered);
        let paper = &mut self.papers[paper];
        paper.originator = Some(root);
        paper.bridged = bridged;
        paper.last_bridge = bridged.map(|_| root);
        paper.profiles[0].progress = ringing;
        paper.profiles[0].answered = answered;
        paper.profiles[0].bridged = bridged;
    }

    /// Words and holds, of the root or (where it writes a document) of the far leg.
    pub(super) fn talk(&mut self, far: LegNo) {
        let length = self.story.dice.between(200 * MS, 240 * S);
        self.story.talk(length);
        let root = self.story.session().root;
        let holds = self.story.dice.weighted(&[(70, 0), (20, 1), (10, 2)]);
        for _ in 0..holds {
            let who = if self.all_legs && self.story.dice.percent(60) { far } else { root };
            let from = self.story.now;
            self.story.now += self.story.hold_length();
            let now = self.story.now;
            self.story.leg(who).holds.push((from, Some(now)));
            self.story.track(State::Hold, now);
            let length = self.story.dice.between(300 * MS, 60 * S);
            self.story.talk(length);
        }
        if self.story.dice.percent(8) {
            let from = self.story.now;
            self.story.leg(root).holds.push((from, None));
            self.story.now += self.story.hold_length();
            let now = self.story.now;
            self.story.track(State::Hold, now);
        }
    }

    /// Both hang up; a hold of the root that was never taken back lasts as long as its leg.
    pub(super) fn hang_up(&mut self, far: LegNo) {
        let root = self.story.session().root;
        let external = self.story.x;
        let (mine, theirs) = if self.all_legs {
            (self.story.soon(200 * MS), self.story.soon(200 * MS))
        } else {
            (self.story.now, self.story.now)
        };
        self.story.ends(root, mine, "NORMAL_CLEARING");
        self.story.ends(far, theirs, "NORMAL_CLEARING");
        let held = self.story.script.leg(root).holds.last().is_some_and(|(_, to)| to.is_none());
        let customer_end = self.story.script.leg(external).ended.unwrap_or(mine);
        let state = if held { State::Hold } else { State::Talk };
        let until = if held && self.story.is_internal_call() { mine } else { mine.min(customer_end) };
        self.story.track(state, if held { until } else { mine.min(theirs) });
        self.story.close_switch();
    }

    fn incoming(&mut self) {
        self.arrive();
        let many = 1 + self.story.dice.below(3);
        let desks = self.story.pbx.desks(self.story.dice, many);
        self.desks_ring(&desks, true);
    }

    fn desks_ring(&mut self, desks: &[Desk], heard: bool) {
        let legs = self.dial_desks(desks);
        self.ring_desks(&legs, heard);
        self.story.wait(300 * MS, 20 * S);
        match self.story.dice.below(10) {
            0..=6 => {
                let winner = *self.story.dice.pick(&legs);
                self.connect(winner, &legs);
                self.talk(winner);
                let root = self.story.session().root;
                let held = self.story.script.leg(root).holds.last();
                let free = held.is_none_or(|(_, to)| to.is_some()) && heard;
                let may = self.all_legs && free && !self.story.is_internal_call();
                if may && self.story.dice.percent(25) {
                    self.blind_transfer(winner);
                } else {
                    self.hang_up(winner);
                }
            }
            7 if self.all_legs => self.give_up(&legs, "NO_ANSWER", true),
            _ => self.give_up(&legs, "ORIGINATOR_CANCEL", false),
        }
    }

    /// Nobody answers: the caller leaves, or is put to the mailbox.
    fn give_up(&mut self, legs: &[LegNo], cause: &'static str, mailbox: bool) {
        let now = self.story.now;
        let mut last = now;
        for no in legs {
            let at = if self.all_legs { now + self.story.dice.between(0, 40 * MS) } else { now };
            self.story.ends(*no, at, cause);
            last = last.max(at);
            self.root().placed.push((*no, cause));
            self.far_paper(*no, None);
        }
        let root = self.story.session().root;
        if mailbox {
            self.story.track(State::Ring, last);
            self.story.now = last + MS;
            self.app("voicemail", "default pbx.example.org 1002".to_owned());
            let from = self.story.now;
            self.story.leg(root).answered.get_or_insert(from);
            let answered = self.story.script.leg(root).answered;
            self.profile().answered = answered;
            let stay = Stay { from, to: None, name: Text::default(), outcome: Text::default() };
            self.story.leg(root).services.push((Service::Voicemail, stay));
            self.story.wait(S, 60 * S);
            let end = self.story.now;
            self.story.ends(root, end, "NORMAL_CLEARING");
            self.story.track(State::Other, end);
        } else {
            // A caller inside hears nothing after its own end, but the far leg belongs to the call.
            let outgoing = self.story.session().direction == CallDirection::Outgoing;
            self.story.track(State::Ring, if outgoing { last } else { now });
            self.story.ends(root, now, cause);
        }
        self.story.close_switch();
    }

    /// The desk sends the caller on with its transfer key.
    fn blind_transfer(&mut self, from: LegNo) {
        let now = self.story.now;
        self.story.ends(from, now, "BLIND_TRANSFER");
        let desk = self.story.pbx.desk(self.story.dice);
        self.transfer(&desk.number());
        let legs = self.dial_desks(&[desk]);
        self.ring_desks(&legs, false);
        self.story.wait(300 * MS, 20 * S);
        if self.story.dice.percent(75) {
            self.connect(legs[0], &legs);
            self.talk(legs[0]);
            self.hang_up(legs[0]);
        } else {
            self.root().bridged = None;
            self.give_up(&legs, "NO_ANSWER", false);
        }
    }

    /// A menu speaks; the caller leaves in it, or is put through to a desk.
    fn menu(&mut self) {
        let x = self.arrive();
        let answered = self.story.now;
        self.story.leg(x).answered = Some(answered);
        self.profile().answered = Some(answered);
        self.app("answer", String::new());
        self.app("ivr", "welcome".to_owned());
        self.story.wait(S, 30 * S);
        let now = self.story.now;
        self.story.track(State::Other, now);
        if self.story.dice.percent(35) {
            self.story.ends(x, now, "NORMAL_CLEARING");
            self.story.close_switch();
            return;
        }
        let desk = self.story.pbx.desk(self.story.dice);
        self.desks_ring(&[desk], false);
    }

    fn machine(&mut self, app: &'static str, data: &str, service: Service) {
        let x = self.arrive();
        let now = self.story.now;
        self.story.leg(x).answered = Some(now);
        self.profile().answered = Some(now);
        self.app(app, data.to_owned());
        self.story.session().machine = service == Service::Fax;
        self.story.wait(S, 60 * S);
        let now = self.story.now;
        self.story.ends(x, now, "NORMAL_CLEARING");
        self.story.track(State::Other, now);
        self.story.close_switch();
    }

    fn caller_desk(&mut self, dialled: &Text) -> (Desk, LegNo) {
        let desk = self.story.pbx.desk(self.story.dice);
        let now = self.story.now;
        let caller = self.story.place_desk(desk, LegDirection::In, now, None);
        let fields = &mut self.story.leg(caller).fields;
        fields.device = NumberName { number: desk.number(), name: Text::default() };
        (fields.user, fields.agent) = (NumberName::default(), NumberName::default());
        fields.dialled = dialled.clone();
        self.paper(caller, dialled, "default");
        self.story.wait(2 * MS, 30 * MS);
        (desk, caller)
    }

    fn internal(&mut self) {
        let called = self.story.pbx.desk(self.story.dice);
        let (desk, caller) = self.caller_desk(&called.number());
        self.story.open(caller, caller, CallDirection::Internal);
        self.story.session().cli = desk.party();
        self.desks_ring(&[called], true);
    }

    fn outgoing(&mut self) {
        let far = company::reachable(self.story.dice);
        let (_, caller) = self.caller_desk(&far.number);
        let shown = self.story.pbx.public_number(self.story.dice);
        self.app("set", format!("effective_caller_id_number={shown}"));
        self.app("bridge", format!("sofia/gateway/carrier/{}", far.number));
        let later = if self.all_legs { self.story.dice.between(MS, 40 * MS) } else { 0 };
        let at = self.story.now + later;
        let party = NumberName { number: far.number.clone(), name: Text::default() };
        let x = self.story.place_outside(LegDirection::Out, party.clone(), at, Some(caller));
        let leg = self.story.leg(x);
        leg.first_party = None;
        leg.fields.dialled = far.number.clone();
        leg.fields.presented = shown.clone();
        self.story.open(caller, x, CallDirection::Outgoing);
        self.story.session().cli = party;
        self.story.session().ddi = NumberName { number: shown, name: Text::default() };
        self.profile().originatees.push(x);
        if self.story.dice.percent(20) {
            self.refused(caller, x);
            return;
        }
        self.ring_desks(&[x], true);
        self.story.wait(500 * MS, 30 * S);
        if self.story.dice.percent(75) {
            self.connect(x, &[x]);
            self.talk(x);
            self.hang_up(x);
        } else {
            self.give_up(&[x], "ORIGINATOR_CANCEL", false);
        }
    }

    /// Busy at once: nothing rang, so ring counts from the far leg's begin.
    fn refused(&mut self, caller: LegNo, x: LegNo) {
        self.story.alerts = false;
        let created = self.story.script.leg(x).created;
        self.story.track(State::Other, created);
        self.story.now = created;
        self.story.wait(100 * MS, 3 * S);
        let now = self.story.now;
        self.story.ends(x, now, "USER_BUSY");
        self.story.ends(caller, now, "USER_BUSY");
        self.root().placed.push((x, "USER_BUSY"));
        self.far_paper(x, None);
        self.story.track(State::Ring, now);
        self.story.close_switch();
    }
}
