//! Who was connected with whom, and when (sessions.md 3): bridges of two reports, early media, loopbacks, and
//! the bridges inferred where nobody reports any.

use crate::intervals::{Set, Span};
use crate::merge::{BridgeSaid, Interval, intervals};
use crate::parties::{Kind, Parties, Party};

mod loopback;

/// Two nodes and the instants at which they were connected.
#[derive(Debug, Clone)]
pub(crate) struct Joined {
    pub(crate) a: usize,
    pub(crate) b: usize,
    pub(crate) set: Set,
    /// A record of one of the session's own legs says so.
    pub(crate) by_own: bool,
    /// Nobody says so.
    pub(crate) inferred: bool,
}

impl Joined {
    /// The other end, if `node` is one of the two.
    pub(crate) fn other(&self, node: usize) -> Option<usize> {
        if self.a == node {
            Some(self.b)
        } else if self.b == node {
            Some(self.a)
        } else {
            None
        }
    }
}

/// All connections of a session, none of them with a loopback, none empty.
#[derive(Debug, Default)]
pub(crate) struct Bridges {
    pub(crate) joined: Vec<Joined>,
    /// Own legs, by node, that were bridged with anything at all.
    pub(crate) ever: Vec<bool>,
    pub(crate) counts: Counts,
}

/// What is worth counting.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    pub(crate) negative: u64,
    pub(crate) disagreements: u64,
    pub(crate) unknown: u64,
}

/// One thing said of a pair of nodes, the lower first.
type PairSaid = ((usize, usize), u8, Told);

enum Told {
    Interval(i64, Option<i64>),
    Open(i64),
    Close(i64),
}

/// Finds the connections and completes the parties' answer times.
pub(crate) fn connect(parties: &mut Parties<'_>, root: usize) -> Bridges {
    let mut bridges = Bridges { ever: vec![false; parties.own], ..Bridges::default() };
    let said = gather(parties);
    for pair in said.chunk_by(|a, b| a.0 == b.0) {
        let (a, b) = pair[0].0;
        if let Some(joined) = effective(parties, (a, b), pair, &mut bridges.counts) {
            for node in [a, b].into_iter().filter(|node| *node < parties.own) {
                bridges.ever[node] = true;
            }
            bridges.counts.unknown += u64::from(parties.is_unknown(b));
            bridges.joined.push(joined);
        }
    }
    if parties.own().iter().any(|party| party.kind == Kind::Loopback) {
        loopback::pass_on(parties, &mut bridges.joined);
    }
    answer(parties, &bridges.joined);
    if !reported(parties, &bridges.joined) {
        infer(parties, root, &mut bridges);
    }
    bridges
}

/// Everything said of bridges, by pair.
fn gather(parties: &mut Parties<'_>) -> Vec<PairSaid> {
    let mut said: Vec<PairSaid> = Vec::new();
    let mut closes_all: Vec<(usize, i64)> = Vec::new();
    for node in 0..parties.all.len() {
        for at in 0..parties.all[node].merged.bridges.len() {
            let (with, told) = match parties.all[node].merged.bridges[at] {
                BridgeSaid::Interval(with, from, to) => (with, Told::Interval(from, to)),
                BridgeSaid::Open(with, at) => (with, Told::Open(at)),
                BridgeSaid::Close(Some(with), at) => (with, Told::Close(at)),
                BridgeSaid::Close(None, at) => {
                    closes_all.push((node, at));
                    continue;
                }
            };
            if let Some(with) = partner(parties, node, with) {
                said.push(((node.min(with), node.max(with)), if node < with { 1 } else { 2 }, told));
            }
        }
    }
    said.sort_by_key(|one| one.0);
    if !closes_all.is_empty() {
        let mut pairs: Vec<(usize, usize)> = said.iter().map(|one| one.0).collect();
        pairs.dedup();
        for pair in pairs {
            let closing = closes_all.iter().filter(|(node, _)| *node == pair.0 || *node == pair.1);
            said.extend(
                closing.map(|(node, at)| (pair, if *node == pair.0 { 1 } else { 2 }, Told::Close(*at))),
            );
        }
        said.sort_by_key(|one| one.0);
    }
    said
}

/// The node that `node` says it is bridged with, if such a bridge can matter to this session.
fn partner<'a>(parties: &mut Parties<'a>, node: usize, with: &'a str) -> Option<usize> {
    // What a foreign leg says of others than ours must not make them nodes.
    if !parties.is_own(node) {
        return parties.own_node(with);
    }
    let with = parties.node(with);
    // A person of another session is never talked with; a leg is not bridged with itself.
    let foreign = !parties.is_own(with) && !parties.is_unknown(with);
    let stranger = foreign && !matches!(parties.all[with].kind, Kind::Service(_));
    (with != node && !stranger).then_some(with)
}

fn effective(
    parties: &Parties<'_>,
    (a, b): (usize, usize),
    said: &[PairSaid],
    counts: &mut Counts,
) -> Option<Joined> {
    let (mut told, mut opens, mut closes) = (Vec::new(), Vec::new(), Vec::new());
    for (_, by, one) in said {
        match one {
            Told::Interval(from, to) => told.push(Interval { from: *from, to: *to, by: *by }),
            Told::Open(at) => opens.push((*at, *by)),
            Told::Close(at) => closes.push(*at),
        }
    }
    let ends = [parties.all.get(a), parties.all.get(b)];
    let mut spans: Vec<Span> = Vec::new();
    let mut by_own = false;
    for interval in intervals(told, opens, closes) {
        counts.negative += u64::from(interval.to.is_some_and(|to| to < interval.from));
        let before = spans.len();
        clip(ends, interval, &mut spans, counts);
        let holds_instants = spans[before..].iter().any(|span| span.0 < span.1);
        let own_report =
            (interval.by & 1 != 0 && parties.is_own(a)) || (interval.by & 2 != 0 && parties.is_own(b));
        by_own |= holds_instants && own_report;
    }
    let set = Set::of(spans);
    (!set.is_empty()).then_some(Joined { a, b, set, by_own, inferred: false })
}

/// Clips one reported bridge to the lives of both ends, and to the answer of those that were placed.
fn clip(ends: [Option<&Party<'_>>; 2], interval: Interval, spans: &mut Vec<Span>, counts: &mut Counts) {
    let lives = ends.map(|end| end.map_or((i64::MIN, i64::MAX), Party::life));
    let both = (lives[0].0.max(lives[1].0), lives[0].1.min(lives[1].1));
    let known = ends.iter().all(Option::is_some);
    if known && both.0 >= both.1 {
        // Two clocks disagree: each report is believed on its own leg.
        counts.disagreements += 1;
        for (at, life) in lives.iter().enumerate().filter(|(at, _)| interval.by & (1 << at) != 0) {
            debug_assert!(at < 2, "two ends");
            spans.push((interval.from.max(life.0), interval.to.unwrap_or(life.1).min(life.1)));
        }
        return;
    }
    let mut from = interval.from.max(both.0);
    for end in ends.into_iter().flatten().filter(|end| end.is_out()) {
        match end.merged.answered {
            Some(answered) => from = from.max(answered),
            None if end.merged.sip().is_some_and(|sip| sip >= 300) => return,
            None => {}
        }
    }
    spans.push((from, interval.to.unwrap_or(both.1).min(both.1)));
}

/// A leg is answered at its first bridge with a person or conference at the latest.
fn answer(parties: &mut Parties<'_>, joined: &[Joined]) {
    for bridge in joined {
        let Some(first) = bridge.set.first() else { continue };
        for (node, other) in [(bridge.a, bridge.b), (bridge.b, bridge.a)] {
            if parties.is_own(node) && (parties.counts_as_person(other) || parties.is_conference(other)) {
                let party = &mut parties.all[node];
                party.answered = Some(party.answered.map_or(first, |answered| answered.min(first)));
            }
        }
    }
}

/// Whether a record of the session's own legs reports a bridge of two persons or with a conference.
fn reported(parties: &Parties<'_>, joined: &[Joined]) -> bool {
    joined.iter().filter(|bridge| bridge.by_own).any(|bridge| {
        let (a, b) = (bridge.a, bridge.b);
        let person = |node| parties.counts_as_person(node);
        (person(a) && (person(b) || parties.is_conference(b))) || (person(b) && parties.is_conference(a))
    })
}

/// An answered leg that the switch placed was connected with the root.
fn infer(parties: &Parties<'_>, root: usize, bridges: &mut Bridges) {
    let origin = &parties.all[root];
    if !origin.is_person() {
        return;
    }
    for (node, target) in parties.own().iter().enumerate() {
        let Some(answered) = target.answered.filter(|_| node != root && target.is_target()) else { continue };
        let from = answered.max(origin.answered.unwrap_or(answered));
        let lives = (origin.created().max(target.created()), origin.ended.min(target.ended));
        let set = Set::one(from.max(lives.0), lives.1);
        if set.is_empty() {
            continue;
        }
        bridges.ever[node] = true;
        bridges.ever[root] = true;
        bridges.joined.push(Joined { a: root, b: node, set, by_own: false, inferred: true });
    }
}
