//! The instants of hold (sessions.md 3), before the cut to what follows the first talk.

use ringpost_model::State;

use super::{Layer, Presence, with_persons};
use crate::connect::Bridges;
use crate::intervals::Set;
use crate::parties::Parties;

/// With an external leg: hold is what the customer hears.
pub(super) fn of_customer(
    parties: &Parties<'_>,
    bridges: &Bridges,
    customer: usize,
    presence: &Presence,
) -> Vec<Layer> {
    let partners: Vec<(usize, &Set)> =
        with_persons(parties, bridges, customer).map(|(other, bridge)| (other, &bridge.set)).collect();
    let layer = |rule, nodes, set| Layer { state: State::Hold, rule, nodes, set };
    let mut held = vec![layer("customer-on-hold", vec![customer], presence.held(customer).clone())];
    let together = Set::union(partners.iter().map(|(_, set)| *set));
    if partners.iter().any(|(node, _)| !presence.held(*node).is_empty()) {
        let listening: Vec<Set> =
            partners.iter().map(|(node, set)| set.minus(presence.held(*node))).collect();
        let all_hold = together.minus(&Set::union(&listening));
        for (node, set) in &partners {
            held.push(layer("partners-on-hold", vec![*node], set.and(&all_hold)));
        }
        held.extend(left_alone(parties, &partners, &together, customer, presence));
    }
    let life = parties.all[customer].life();
    held.iter_mut().for_each(|layer| layer.set.cut(life));
    held
}

/// With nobody, after the last one it was with put it on hold and let the bridge go.
fn left_alone(
    parties: &Parties<'_>,
    partners: &[(usize, &Set)],
    together: &Set,
    customer: usize,
    presence: &Presence,
) -> Vec<Layer> {
    let life = parties.all[customer].life();
    let occupied = Set::union([together, presence.conference(customer)]);
    let alone = Set::one(life.0, life.1).minus(&occupied);
    let mut held = Vec::new();
    for gap in alone.spans() {
        // Nothing begins or ends within the gap: who was last is who left at its begin.
        let left_last = |set: &Set| set.spans().iter().any(|span| span.1 == gap.0);
        for (node, _) in partners.iter().filter(|(_, set)| left_last(set)) {
            let set = presence.held(*node).clip(*gap);
            held.push(Layer { state: State::Hold, rule: "last-partner-on-hold", nodes: vec![*node], set });
        }
    }
    held
}

/// Without an external leg: somebody holds, and no two persons, nor anybody in a conference, are left talking.
pub(super) fn inside(parties: &Parties<'_>, bridges: &Bridges, presence: &Presence) -> Vec<Layer> {
    let persons = || parties.own().iter().enumerate().filter(|(_, party)| party.is_person());
    if persons().all(|(node, _)| presence.held(node).is_empty()) {
        return Vec::new();
    }
    let pairs = bridges
        .joined
        .iter()
        .filter(|bridge| parties.counts_as_person(bridge.a) && parties.counts_as_person(bridge.b));
    let mut talking: Vec<Set> = pairs
        .map(|bridge| bridge.set.minus(presence.held(bridge.a)).minus(presence.held(bridge.b)))
        .collect();
    talking.extend(persons().map(|(node, _)| presence.conference(node).minus(presence.held(node))));
    let talking = Set::union(&talking);
    let layer = |(node, _)| {
        let set = presence.held(node).minus(&talking);
        Layer { state: State::Hold, rule: "on-hold", nodes: vec![node], set }
    };
    persons().map(layer).collect()
}
