//! The time line of one session (sessions.md 3): every instant of [start, end) in exactly one state, each with
//! its reason. In microseconds; the cut to whole seconds comes last.

use ringpost_model::{LegId, Reason, Service, State, Stretch, Timestamp};

use crate::connect::{Bridges, Joined};
use crate::intervals::{Set, Span};
use crate::merge::Interval;
use crate::parties::{Parties, Party};

mod hold;

/// Whose call it is seen as.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Roles {
    pub(crate) root: usize,
    pub(crate) customer: usize,
    /// An external leg exists.
    pub(crate) external: bool,
}

/// The instants at which one rule holds, and the legs it was found on.
#[derive(Debug)]
struct Layer {
    state: State,
    rule: &'static str,
    nodes: Vec<usize>,
    set: Set,
}

/// What the record needs of a time line.
#[derive(Debug)]
pub(crate) struct Timeline {
    pub(crate) window: Span,
    /// The first instant of talk, whatever state has priority then.
    pub(crate) answer: Option<i64>,
    /// By time, without gaps; neighbours differ.
    pub(crate) stretches: Vec<(Span, State)>,
    layers: Vec<Layer>,
}

impl Timeline {
    /// Draws the time line.
    pub(crate) fn draw(parties: &Parties<'_>, bridges: &Bridges, roles: Roles) -> Self {
        let window = window(parties, bridges, roles);
        let presence = Presence::new(parties, bridges, roles);
        let mut layers = if roles.external {
            talk_with_customer(parties, bridges, roles, &presence)
        } else {
            talk_inside(parties, bridges, &presence)
        };
        layers.iter_mut().for_each(|layer| layer.set.cut(window));
        let answer = layers.iter().filter_map(|layer| layer.set.first()).min();
        if let Some(answer) = answer {
            let after = (answer.max(window.0), window.1);
            let mut held = if roles.external {
                hold::of_customer(parties, bridges, roles.customer, &presence)
            } else {
                hold::inside(parties, bridges, &presence)
            };
            held.iter_mut().for_each(|layer| layer.set.cut(after));
            layers.append(&mut held);
        }
        parked(parties, bridges, roles, &mut layers);
        alerting(parties, &mut layers);
        layers.iter_mut().for_each(|layer| layer.set.cut(window));
        layers.retain(|layer| !layer.set.is_empty());
        // The first layer that covers an instant gives its state and reason; the sort keeps the order of rules.
        layers.sort_by_key(|layer| layer.state);
        let mut timeline = Self { window, answer, stretches: Vec::new(), layers };
        timeline.stretches = timeline.states();
        timeline
    }

    /// Whole seconds of one state: borders are cut as times are printed.
    pub(crate) fn seconds(&self, state: State) -> u32 {
        let of_state = self.stretches.iter().filter(|(_, of)| *of == state);
        whole_seconds(of_state.map(|(span, _)| *span))
    }

    /// Whole seconds from start to end.
    pub(crate) fn duration(&self) -> u32 {
        whole_seconds(std::iter::once(self.window))
    }

    fn borders(&self) -> Vec<i64> {
        let mut borders = vec![self.window.0, self.window.1];
        let spans = self.layers.iter().flat_map(|layer| layer.set.spans());
        borders.extend(spans.flat_map(|span| [span.0, span.1]));
        borders.sort_unstable();
        borders.dedup();
        borders
    }

    fn states(&self) -> Vec<(Span, State)> {
        let mut stretches: Vec<(Span, State)> = Vec::new();
        for border in self.borders().windows(2) {
            let covering = self.layers.iter().find(|layer| layer.set.covers(border[0]));
            let state = covering.map_or(State::Other, |layer| layer.state);
            match stretches.last_mut() {
                Some((span, last)) if *last == state => span.1 = border[1],
                _ => stretches.push(((border[0], border[1]), state)),
            }
        }
        stretches
    }

    /// The stretches with their reasons, for people.
    pub(crate) fn explain(&self, parties: &Parties<'_>) -> Vec<Stretch> {
        let mut stretches: Vec<Stretch> = Vec::new();
        for border in self.borders().windows(2) {
            let (state, reason) = self.reason(parties, border[0]);
            let (from, to) = (Timestamp::from_micros(border[0]), Timestamp::from_micros(border[1]));
            match stretches.last_mut() {
                Some(last) if last.state == state && last.reason == reason => last.to = to,
                _ => stretches.push(Stretch { from, to, state, reason }),
            }
        }
        stretches
    }

    fn reason(&self, parties: &Parties<'_>, at: i64) -> (State, Reason) {
        let mut covering = self.layers.iter().filter(|layer| layer.set.covers(at));
        let Some(first) = covering.next() else {
            return (State::Other, Reason { rule: "other".into(), legs: Vec::new() });
        };
        let same_rule = covering.filter(|layer| layer.state == first.state && layer.rule == first.rule);
        let mut nodes = first.nodes.clone();
        nodes.extend(same_rule.flat_map(|layer| layer.nodes.iter().copied()));
        let mut legs: Vec<LegId> =
            nodes.into_iter().filter_map(|node| LegId::new(parties.id(node)).ok()).collect();
        legs.sort_unstable();
        legs.dedup();
        (first.state, Reason { rule: first.rule.into(), legs })
    }
}

/// Borders are cut one by one, so that what is printed adds up.
fn whole_seconds(spans: impl Iterator<Item = Span>) -> u32 {
    let cut = |micros: i64| micros.div_euclid(1_000_000);
    let total: i64 = spans.map(|(from, to)| cut(to) - cut(from)).sum();
    u32::try_from(total).unwrap_or(u32::MAX)
}

/// From the root's creation to the end of the session.
fn window(parties: &Parties<'_>, bridges: &Bridges, roles: Roles) -> Span {
    let root = &parties.all[roles.root];
    let end = if roles.external {
        parties.all[roles.customer].ended.max(root.ended)
    } else {
        let bridged =
            parties.own().iter().zip(&bridges.ever).filter(|(party, ever)| party.is_person() && **ever);
        bridged.map(|(party, _)| party.ended).fold(root.ended, i64::max)
    };
    (root.created(), end.max(root.created()))
}

/// An interval of a leg, clipped to its life.
fn lived(party: &Party<'_>, from: i64, to: Option<i64>) -> Span {
    (from.max(party.created()), to.unwrap_or(party.ended).min(party.ended))
}

/// Where each own leg is in a conference or on hold.
pub(crate) struct Presence {
    conference: Vec<Set>,
    held: Vec<Set>,
    /// Only the customer's and the root's ends of a bridge matter where an external leg exists.
    nobody: Set,
}

impl Presence {
    fn new(parties: &Parties<'_>, bridges: &Bridges, _roles: Roles) -> Self {
        let conference = (0..parties.own).map(|node| conference(parties, bridges, node)).collect();
        let held = parties.own().iter().map(|party| {
            let holds = party.merged.holds.iter();
            Set::of(holds.map(|&Interval { from, to, .. }| lived(party, from, to)).collect())
        });
        Self { conference, held: held.collect(), nobody: Set::default() }
    }

    /// Where a node is on hold; a leg never known is not.
    fn held(&self, node: usize) -> &Set {
        self.held.get(node).unwrap_or(&self.nobody)
    }

    fn conference(&self, node: usize) -> &Set {
        self.conference.get(node).unwrap_or(&self.nobody)
    }
}

/// While bridged with a conference leg, or executing a conference.
fn conference(parties: &Parties<'_>, bridges: &Bridges, node: usize) -> Set {
    let met = bridges
        .joined
        .iter()
        .filter(|bridge| bridge.other(node).is_some_and(|other| parties.is_conference(other)));
    let mut spans: Vec<Span> = met.flat_map(|bridge| bridge.set.spans()).copied().collect();
    let party = &parties.all[node];
    let executed = party.merged.stays.iter().filter(|stay| stay.service == Service::Conference);
    spans.extend(executed.map(|stay| lived(party, stay.from, stay.to)));
    Set::of(spans)
}

/// The bridges of a node with persons, and the other ends.
fn with_persons<'a>(
    parties: &'a Parties<'_>,
    bridges: &'a Bridges,
    node: usize,
) -> impl Iterator<Item = (usize, &'a Joined)> {
    let ends = bridges.joined.iter().filter_map(move |bridge| Some((bridge.other(node)?, bridge)));
    ends.filter(|(other, _)| parties.counts_as_person(*other))
}

fn bridge_rule(bridge: &Joined) -> &'static str {
    if bridge.inferred { "bridge-inferred" } else { "bridged" }
}

fn talk_with_customer(
    parties: &Parties<'_>,
    bridges: &Bridges,
    roles: Roles,
    presence: &Presence,
) -> Vec<Layer> {
    let mut talk = Vec::new();
    let mut add =
        |rule, nodes, set: &Set| talk.push(Layer { state: State::Talk, rule, nodes, set: set.clone() });
    for (other, bridge) in with_persons(parties, bridges, roles.customer) {
        add(bridge_rule(bridge), vec![roles.customer, other], &bridge.set);
    }
    add("in-conference", vec![roles.customer], presence.conference(roles.customer));
    if !parties.all[roles.root].is_external() && roles.root != roles.customer {
        for (other, bridge) in with_persons(parties, bridges, roles.root) {
            add("root-bridged", vec![roles.root, other], &bridge.set);
        }
    }
    talk
}

fn talk_inside(parties: &Parties<'_>, bridges: &Bridges, presence: &Presence) -> Vec<Layer> {
    let persons = |bridge: &&Joined| parties.counts_as_person(bridge.a) && parties.counts_as_person(bridge.b);
    let mut talk: Vec<Layer> = Vec::new();
    for bridge in bridges.joined.iter().filter(persons) {
        let (rule, nodes) = (bridge_rule(bridge), vec![bridge.a, bridge.b]);
        talk.push(Layer { state: State::Talk, rule, nodes, set: bridge.set.clone() });
    }
    for (node, _) in parties.own().iter().enumerate().filter(|(_, party)| party.is_person()) {
        let set = presence.conference(node).clone();
        talk.push(Layer { state: State::Talk, rule: "in-conference", nodes: vec![node], set });
    }
    talk
}

fn parked(parties: &Parties<'_>, bridges: &Bridges, roles: Roles, layers: &mut Vec<Layer>) {
    for (node, party) in parties.own().iter().enumerate() {
        let counts = if roles.external { node == roles.customer } else { party.is_person() };
        if !counts || party.merged.parks.is_empty() {
            continue;
        }
        let spans = party.merged.parks.iter().map(|park| {
            let retrieved = || first_bridge_after(parties, bridges, node, park.from);
            lived(party, park.from, park.to.or_else(retrieved))
        });
        let set = Set::of(spans.collect());
        layers.push(Layer { state: State::Park, rule: "parked", nodes: vec![node], set });
    }
}

/// Begin of the first bridge of a leg with a person that begins after `after`.
fn first_bridge_after(parties: &Parties<'_>, bridges: &Bridges, node: usize, after: i64) -> Option<i64> {
    let begins = with_persons(parties, bridges, node).flat_map(|(_, bridge)| bridge.set.spans());
    begins.map(|span| span.0).filter(|begin| *begin > after).min()
}

/// When a target leg begins to alert: at its `ringing`; only where no leg of the session has one, at creation.
pub(crate) fn alert_begin(parties: &Parties<'_>, party: &Party<'_>) -> Option<i64> {
    let anybody_rang = || parties.own().iter().any(|other| other.merged.ringing.is_some());
    party.merged.ringing.or_else(|| (!anybody_rang()).then_some(party.created()))
}

fn alerting(parties: &Parties<'_>, layers: &mut Vec<Layer>) {
    for (node, party) in parties.own().iter().enumerate().filter(|(_, party)| party.is_target()) {
        let Some(begin) = alert_begin(parties, party) else { continue };
        let set = Set::of(vec![lived(party, begin, party.answered)]);
        layers.push(Layer { state: State::Ring, rule: "alerting", nodes: vec![node], set });
    }
}
