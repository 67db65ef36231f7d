//! What all scenarios play with: legs are placed, connected and ended, and the time line is written along.

use ringpost_model::{
    CallDirection, CallType, LegDirection, LegId, NumberName, Route, Service, Side, State, Text,
};

use crate::company::{self, Desk, Detail, Pbx, Ties};
use crate::dice::Dice;
use crate::script::track::Track;
use crate::script::{FIRST, LegNo, MS, Micros, S, Script, ScriptBridge, ScriptLeg, Session, Stay, Teller};

/// Whom the customer is connected with.
#[derive(Clone, Copy)]
pub(crate) struct Partner {
    pub(crate) leg: LegNo,
    /// Place of the open bridge.
    pub(crate) bridge: usize,
}

/// Which legs carry the platform's zone.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ZoneOn {
    Root,
    All,
    SecondLeg,
}

/// How legs are named.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ids {
    Plain,
    Uuid,
    /// System name, second of the begin, and a number.
    Asterisk,
}

/// A call being made up.
pub(crate) struct Story<'a> {
    pub(crate) dice: &'a mut Dice,
    pub(crate) pbx: &'static Pbx,
    pub(crate) script: Script,
    /// The script's present.
    pub(crate) now: Micros,
    /// The customer; on internal calls the party who stays.
    pub(crate) x: LegNo,
    pub(crate) partner: Option<Partner>,
    /// Alerts are told; otherwise ring counts from a leg's begin.
    pub(crate) alerts: bool,
    /// Machines have no legs of their own.
    pub(crate) legless_machines: bool,
    /// Until then phones ring that lost the race.
    pub(crate) quiet_from: Micros,
    /// The session being told.
    current: usize,
    /// Hold keys are told, and machines with whom a customer waits. Otherwise nobody holds.
    pub(crate) holds_are_told: bool,
    ids: Ids,
    tag: String,
    interaction: Text,
    zone_on: ZoneOn,
}

/// A machine that the customer listens to.
pub(crate) enum Machine {
    Executed(usize),
    Leg(LegNo, usize),
}

impl<'a> Story<'a> {
    pub(crate) fn new(dice: &'a mut Dice, pbx: &'static Pbx, begin: Micros, tag: &str) -> Self {
        let zones = [(6, ZoneOn::Root), (3, ZoneOn::All), (1, ZoneOn::SecondLeg)];
        let zone_on = dice.weighted(&zones);
        let alerts = !dice.percent(6);
        let tells_bridges = !dice.percent(6);
        let interaction = format!("i-{tag}").into();
        let script = Script {
            pbx,
            legs: Vec::new(),
            bridges: Vec::new(),
            sessions: Vec::new(),
            tells_bridges,
            tells_begins: false,
        };
        let legless_machines = !tells_bridges;
        let tag = tag.to_owned();
        let x = LegNo(0);
        Self {
            dice,
            pbx,
            script,
            now: begin,
            x,
            partner: None,
            alerts,
            legless_machines,
            quiet_from: begin,
            current: FIRST,
            holds_are_told: true,
            ids: Ids::Plain,
            tag,
            interaction,
            zone_on,
        }
    }

    /// Time passes, from `low` to `high`.
    pub(crate) fn wait(&mut self, low: Micros, high: Micros) -> Micros {
        self.now += self.dice.between(low, high);
        self.now
    }

    /// Now, or a little later.
    pub(crate) fn soon(&mut self, most: Micros) -> Micros {
        let exactly = self.dice.percent(30);
        self.now + if exactly { 0 } else { self.dice.between(1, most) }
    }

    pub(crate) fn session(&mut self) -> &mut Session {
        &mut self.script.sessions[self.current]
    }

    pub(crate) fn track(&mut self, state: State, to: Micros) {
        self.session().track.until(state, to);
    }

    pub(crate) fn leg(&mut self, no: LegNo) -> &mut ScriptLeg {
        self.script.leg_mut(no)
    }

    pub(crate) fn is_internal_call(&self) -> bool {
        self.script.sessions[FIRST].call_type != CallType::External
    }

    /// A new leg, tied to the call as the platform does it.
    pub(crate) fn place(
        &mut self,
        direction: LegDirection,
        side: Side,
        at: Micros,
        parent: Option<LegNo>,
    ) -> LegNo {
        let no = LegNo(self.script.legs.len());
        let id = self.leg_id(no, at);
        let mut leg = ScriptLeg::new(LegId::new(&id).expect("a made-up id is short and not empty"), at);
        leg.fields.direction = Some(direction);
        leg.fields.side = Some(side);
        leg.fields.tz = self.zone_of(no);
        match (self.pbx.ties, parent) {
            (Ties::Shared | Ties::Renamed, _) => leg.links.push(self.interaction.clone()),
            (Ties::Parent, Some(parent)) => leg.links.push(self.script.leg(parent).id.as_str().into()),
            (Ties::Parent, None) => (),
        }
        let is_later_caller = no.0 > 0 && direction == LegDirection::In && side != Side::Service;
        self.script.tells_begins |= is_later_caller;
        self.script.legs.push(leg);
        no
    }

    fn leg_id(&mut self, no: LegNo, at: Micros) -> String {
        match self.ids {
            Ids::Plain => return format!("{:08x}-{}.{}", self.dice.below(1 << 32), self.tag, no.0),
            Ids::Asterisk => return format!("{}-{}.{}", self.tag, at.div_euclid(S), no.0),
            Ids::Uuid => {}
        }
        let (high, low) = (self.dice.bits(), self.dice.bits());
        let (a, b, c) = (high >> 32, high >> 16 & 0xffff, high & 0xfff);
        let (d, e) = (low >> 48 & 0x3fff | 0x8000, low & 0xffff_ffff_ffff);
        format!("{a:08x}-{b:04x}-4{c:03x}-{d:04x}-{e:012x}")
    }

    /// Told by documents of a FreeSWITCH: its own ids, no zone, no machines with legs, alerts and bridges known.
    pub(crate) fn as_switch(&mut self) {
        self.ids = Ids::Uuid;
        self.alerts = true;
        self.script.tells_bridges = true;
    }

    /// Told by tables of an Asterisk: its own ids, every bridge, no alerts, no hold keys, no machines with legs.
    pub(crate) fn as_asterisk(&mut self) {
        self.ids = Ids::Asterisk;
        self.alerts = false;
        self.holds_are_told = false;
        self.legless_machines = true;
        self.script.tells_bridges = true;
    }

    /// Told by messages of a Kazoo or events of a FreeSWITCH: every bridge, no machines with legs.
    pub(crate) fn as_messages(&mut self, alerts: bool) {
        self.alerts = alerts;
        self.legless_machines = true;
        self.script.tells_bridges = true;
    }

    /// All have hung up, and nothing is known but what the documents say.
    pub(crate) fn close_switch(&mut self) {
        self.finish();
        for leg in &mut self.script.legs {
            leg.fields.tz = None;
        }
    }

    fn zone_of(&mut self, no: LegNo) -> Option<chrono_tz::Tz> {
        let zone = self.pbx.zone?;
        match (self.zone_on, no.0) {
            (ZoneOn::Root | ZoneOn::All, 0) | (ZoneOn::SecondLeg, 1) => Some(zone),
            // A leg that came over another site: the root's zone counts all the same.
            (ZoneOn::All, _) => Some(*self.dice.pick(&[zone, chrono_tz::Tz::America__Sao_Paulo])),
            _ => None,
        }
    }

    pub(crate) fn place_desk(
        &mut self,
        desk: Desk,
        direction: LegDirection,
        at: Micros,
        parent: Option<LegNo>,
    ) -> LegNo {
        let no = self.place(direction, Side::Internal, at, parent);
        let detail = self.pbx.detail;
        let fields = &mut self.leg(no).fields;
        fields.party = desk.party();
        fields.device = desk.device();
        if detail != Detail::Device {
            fields.user = desk.user();
        }
        if detail == Detail::Agent {
            fields.agent = desk.agent();
        }
        if direction == LegDirection::Out {
            fields.dialled = desk.number();
        }
        no
    }

    /// A leg to or from outside.
    pub(crate) fn place_outside(
        &mut self,
        direction: LegDirection,
        party: NumberName,
        at: Micros,
        parent: Option<LegNo>,
    ) -> LegNo {
        let no = self.place(direction, Side::External, at, parent);
        let corrected = !party.name.is_empty() && self.dice.percent(8);
        let leg = self.leg(no);
        if corrected {
            leg.first_party =
                Some(NumberName { number: party.number.clone(), name: "WIRELESS CALLER".into() });
        }
        leg.fields.party = party;
        no
    }

    /// The call begins: `root` is its root, `customer` whose time line is told.
    pub(crate) fn open(&mut self, root: LegNo, customer: LegNo, direction: CallDirection) {
        let begin = self.script.leg(root).created;
        let internal = matches!(direction, CallDirection::Internal | CallDirection::Unknown);
        let own = if self.script.leg(root).is_internal() { vec![root] } else { Vec::new() };
        self.x = customer;
        self.current = self.script.sessions.len();
        self.script.sessions.push(Session {
            root,
            customer,
            track: Track::new(begin),
            answer: None,
            end: begin,
            customer_end: begin,
            direction,
            call_type: if internal { CallType::Internal } else { CallType::External },
            t2t: false,
            cli: NumberName::default(),
            ddi: NumberName::default(),
            rang: Vec::new(),
            own,
            talked: Vec::new(),
            machine: false,
            partial: false,
        });
    }

    /// When a target leg begins to alert, as far as this switch tells.
    pub(crate) fn alert_of(&self, no: LegNo) -> Option<Micros> {
        let leg = self.script.leg(no);
        if self.alerts { leg.ringing } else { Some(leg.created) }
    }

    /// The phone of this leg rings from then on.
    pub(crate) fn rings(&mut self, no: LegNo, at: Micros) {
        if self.alerts {
            self.leg(no).ringing = Some(at);
        }
        let counts = {
            let fields = &self.script.leg(no).fields;
            fields.side != Some(Side::External)
                || !(fields.device.is_empty() && fields.user.is_empty() && fields.agent.is_empty())
        };
        if let (Some(alert), true) = (self.alert_of(no), counts) {
            self.session().rang.push((alert, no));
        }
    }

    pub(crate) fn bridge(&mut self, first: LegNo, second: LegNo, from: Micros) -> usize {
        let teller = self.dice.weighted(&[(4, Teller::First), (3, Teller::Second), (3, Teller::Both)]);
        // Who joins with an id of its own must say itself whom it is with, or it would be a call of its own.
        let joins = self.script.leg(second).is_in() && second != self.session().root;
        let teller = if joins { Teller::Both } else { teller };
        // Two others who are connected could be taken for a call of their own before the root is known.
        let root = self.session().root;
        self.script.tells_begins |= first != root && second != root;
        self.script.bridges.push(ScriptBridge { first, second, from, to: None, teller });
        self.script.bridges.len() - 1
    }

    pub(crate) fn unbridge(&mut self, bridge: usize, to: Micros) {
        self.script.bridges[bridge].to = Some(to);
    }

    /// The customer talks with this leg from then on.
    pub(crate) fn connect(&mut self, with: LegNo, at: Micros) {
        let bridge = self.bridge(self.x, with, at);
        self.partner = Some(Partner { leg: with, bridge });
        self.talks_with(with, at);
        self.now = at;
    }

    /// The customer hears this leg from then on, however they are connected.
    pub(crate) fn talks_with(&mut self, with: LegNo, at: Micros) {
        let side = self.script.leg(with).fields.side;
        let internal_call = self.is_internal_call();
        let session = self.session();
        session.answer.get_or_insert(at);
        if side != Some(Side::External) || internal_call {
            session.talked.push((at, with));
            if !session.own.contains(&with) {
                session.own.push(with);
            }
            return;
        }
        session.t2t = true;
        if session.direction == CallDirection::Incoming {
            session.direction = CallDirection::Both;
        }
    }

    pub(crate) fn talk(&mut self, length: Micros) {
        self.now = (self.now + length).max(self.quiet_from);
        self.track(State::Talk, self.now);
    }

    /// The leg ends at that time, for that reason.
    pub(crate) fn ends(&mut self, no: LegNo, at: Micros, cause: &str) {
        let leg = self.leg(no);
        leg.ended = Some(at);
        leg.fields.cause = cause.into();
    }

    /// The id of the interaction changes, on the platforms that do so; legs placed from now on carry the new one.
    pub(crate) fn rename(&mut self, at: Micros) {
        if self.pbx.ties != Ties::Renamed || self.dice.percent(40) {
            return;
        }
        self.interaction = format!("{}+", self.interaction).into();
        let (x, interaction) = (self.x, self.interaction.clone());
        self.leg(x).later_links.push((at, interaction));
        self.script.tells_begins = true;
    }

    /// Legs placed from now on belong to another call.
    pub(crate) fn new_interaction(&mut self, number: usize) {
        self.interaction = format!("i-{}.{number}", self.tag).into();
    }

    /// The customer is with a machine from now on.
    pub(crate) fn machine_begins(&mut self, service: Service, name: &str) -> Machine {
        let (x, now) = (self.x, self.now);
        self.leg(x).answered.get_or_insert(now);
        if self.legless_machines || self.dice.percent(50) {
            let stay = Stay { from: now, to: None, name: name.into(), outcome: Text::default() };
            let services = &mut self.leg(x).services;
            services.push((service, stay));
            return Machine::Executed(services.len() - 1);
        }
        let no = self.place(LegDirection::Out, Side::Service, now, Some(x));
        let leg = self.leg(no);
        leg.fields.service = Some(service);
        leg.fields.party.name = name.into();
        leg.answered = Some(now);
        let bridge = self.bridge(x, no, now);
        Machine::Leg(no, bridge)
    }

    /// The machine lets the customer go.
    pub(crate) fn machine_ends(&mut self, machine: &Machine, at: Micros, outcome: &str) {
        let x = self.x;
        match machine {
            Machine::Executed(index) => {
                let stay = &mut self.leg(x).services[*index].1;
                stay.to = Some(at);
                stay.outcome = outcome.into();
            }
            Machine::Leg(no, bridge) => {
                self.unbridge(*bridge, at);
                let slack = self.dice.between(0, 200 * MS);
                self.ends(*no, at + slack, "");
            }
        }
    }

    /// The customer hangs up in the middle of it.
    pub(crate) fn customer_leaves(&mut self, at: Micros, state: State) {
        let cause = *self.dice.pick(&["NORMAL_CLEARING", "ORIGINATOR_CANCEL", ""]);
        let x = self.x;
        self.ends(x, at, cause);
        self.track(state, at);
        self.now = at;
    }

    /// All have hung up: the end follows.
    pub(crate) fn close(&mut self) {
        self.finish();
        self.decorate();
    }

    fn finish(&mut self) {
        let (root, customer) = (self.session().root, self.session().customer);
        let ended = |no: LegNo| self.script.leg(no).ended.expect("a script ends its root and its customer");
        let mut end = ended(root).max(ended(customer));
        let mut customer_end = ended(customer);
        if self.is_internal_call() {
            for bridge in &self.script.bridges {
                for no in [bridge.first, bridge.second] {
                    let leg = self.script.leg(no);
                    if leg.fields.service.is_none() {
                        end = end.max(leg.ended.unwrap_or(end));
                    }
                }
            }
            customer_end = end;
        }
        let session = self.session();
        session.end = end.max(session.track.begin());
        session.customer_end = customer_end;
        session.track.until(State::Other, session.end);
    }

    /// Recordings, tags and routes, which any leg may bring.
    fn decorate(&mut self) {
        for index in 0..self.script.legs.len() {
            if self.dice.percent(7) {
                let count = 1 + self.dice.below(2);
                for _ in 0..count {
                    let id = format!("rec-{:08x}", self.dice.below(1 << 32)).into();
                    self.script.legs[index].recordings.push(id);
                }
            }
            if self.dice.percent(6) {
                let key = *self.dice.pick(&["campaign", "Support", "été"]);
                let value = format!("v{}", self.dice.below(5));
                self.script.legs[index].tags.push((key.into(), value.into()));
            }
        }
        if self.dice.percent(8) {
            let count = u64::try_from(self.script.legs.len()).expect("few legs");
            let index = usize::try_from(self.dice.below(count)).expect("few legs");
            let route = Route { id: "77".into(), name: "VIP ".into() };
            self.script.legs[index].fields.route = Some(route.clone());
            let other = Route { id: "78".into(), name: Text::default() };
            if index > 0 && self.dice.percent(50) {
                let root = self.session().root;
                self.leg(root).fields.route = Some(other);
            }
        }
    }

    /// A queue's or a ring group's name, if it has one.
    pub(crate) fn group_name(&mut self) -> Text {
        if self.dice.percent(20) { Text::default() } else { company::group(self.dice) }
    }

    /// Long enough after the begin that a leg which enters now cannot be taken for the root.
    pub(crate) fn may_enter(&mut self) -> bool {
        let root = self.session().root;
        let begin = self.script.legs.iter().map(|leg| leg.created).min().unwrap_or(self.now);
        self.script.leg(root).is_in() || self.now > begin + 11 * S
    }
}
