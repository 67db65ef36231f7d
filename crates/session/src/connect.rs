//! Who was connected with whom, and when (sessions.md 3): bridges of two reports, early media, loopbacks, and
//! the bridges inferred where nobody reports any.

use crate::intervals::{Set, Span};
use crate::merge::{BridgeSaid, Interval, PairTold, leave_all};
use crate::parties::{Kind, Parties, Party};

mod loopback;

/// Two nodes and the instants at which they were connected.
#[derive(Debug, Clone)]
pub(crate) struct Joined {
    pub(crate) a: usize,
    pub(crate) b: usize,
    pub(crate) set: Set,
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

/// A pair of nodes, the lower first.
type Pair = (usize, usize);

/// Finds the connections and completes the parties' answer times.
pub(crate) fn connect(parties: &mut Parties<'_>, root: usize) -> Bridges {
    let mut bridges = Bridges { ever: vec![false; parties.own], ..Bridges::default() };
    let told = gather(parties);
    for (pair, told) in &told {
        if let Some(joined) = effective(parties, *pair, told, &mut bridges.counts) {
            for node in [pair.0, pair.1].into_iter().filter(|node| *node < parties.own) {
                bridges.ever[node] = true;
            }
            bridges.counts.unknown += u64::from(parties.is_unknown(pair.1));
            bridges.joined.push(joined);
        }
    }
    if parties.own().iter().any(|party| party.kind == Kind::Loopback) {
        loopback::pass_on(parties, &mut bridges.joined);
    }
    answer(parties, &bridges.joined);
    if !reported(parties, &told) {
        let inferred = infer(parties, root, &mut bridges.ever);
        answer(parties, &inferred);
        bridges.joined.extend(inferred);
    }
    bridges
}

/// Everything said of bridges, by pair.
fn gather(parties: &mut Parties<'_>) -> Vec<(Pair, PairTold)> {
    let mut pairs: Vec<(Pair, PairTold)> = Vec::new();
    let mut leaves: Vec<(usize, Vec<i64>)> = Vec::new();
    for node in 0..parties.all.len() {
        let mut leaves_all = Vec::new();
        for at in 0..parties.all[node].merged.bridges.len() {
            let said = parties.all[node].merged.bridges[at];
            let (with, said) = match said {
                BridgeSaid::Interval(with, ..)
                | BridgeSaid::Open(with, _)
                | BridgeSaid::Close(Some(with), _) => (with, said),
                BridgeSaid::Close(None, at) => {
                    leaves_all.push(at);
                    continue;
                }
            };
            let Some(with) = partner(parties, node, with) else { continue };
            let by = if node < with { 1 } else { 2 };
            let told = of_pair(&mut pairs, (node.min(with), node.max(with)));
            match said {
                BridgeSaid::Interval(_, from, to) => told.intervals.push(Interval { from, to, by }),
                BridgeSaid::Open(_, at) => told.opens.push((at, by)),
                BridgeSaid::Close(_, at) => told.closes.push(at),
            }
        }
        if !leaves_all.is_empty() {
            leaves.push((node, leaves_all));
        }
    }
    leave(&mut pairs, leaves);
    pairs
}

/// What is told of a pair; by binary search, for a room may have hundreds.
fn of_pair(pairs: &mut Vec<(Pair, PairTold)>, pair: Pair) -> &mut PairTold {
    let at = match pairs.binary_search_by_key(&pair, |(known, _)| *known) {
        Ok(at) => at,
        Err(at) => {
            pairs.insert(at, (pair, PairTold::default()));
            at
        }
    };
    &mut pairs[at].1
}

/// Ends the bridges of legs that left all of them, in order of time over all legs.
fn leave(pairs: &mut [(Pair, PairTold)], leaves: Vec<(usize, Vec<i64>)>) {
    let mut instants: Vec<(i64, usize)> = leaves
        .into_iter()
        .flat_map(|(node, instants)| instants.into_iter().map(move |at| (at, node)))
        .collect();
    instants.sort_unstable();
    for (at, node) in instants {
        let own = pairs.iter_mut().filter(|(pair, _)| pair.0 == node || pair.1 == node);
        let mut own: Vec<&mut PairTold> = own.map(|(_, told)| told).collect();
        leave_all(&mut own, vec![at]);
    }
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

fn effective(parties: &Parties<'_>, (a, b): Pair, told: &PairTold, counts: &mut Counts) -> Option<Joined> {
    let ends = [parties.all.get(a), parties.all.get(b)];
    let mut spans: Vec<Span> = Vec::new();
    for interval in told.settle() {
        counts.negative += u64::from(interval.to.is_some_and(|to| to < interval.from));
        clip(ends, interval, &mut spans, counts);
    }
    let set = Set::of(spans);
    (!set.is_empty()).then_some(Joined { a, b, set, inferred: false })
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
    if ends.into_iter().flatten().any(failed) {
        return;
    }
    let placed = ends.into_iter().flatten().filter(|end| end.is_out());
    let from = placed.filter_map(|end| end.merged.answered).fold(interval.from.max(both.0), i64::max);
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

/// Whether a record of the session's own legs reports a bridge of two persons, or of a person and a conference,
/// however short: a switch that tells bridges tells all of them. Loopbacks are passed through.
fn reported(parties: &Parties<'_>, told: &[(Pair, PairTold)]) -> bool {
    let own_reports = told.iter().filter(|((a, b), told)| {
        let mut by = told.intervals.iter().map(|one| one.by).chain(told.opens.iter().map(|open| open.1));
        by.any(|by| (by & 1 != 0 && parties.is_own(*a)) || (by & 2 != 0 && parties.is_own(*b)))
    });
    let pairs: Vec<Pair> = own_reports.map(|(pair, _)| *pair).collect();
    let person = |node: usize| parties.counts_as_person(node);
    let talks = |a: usize, b: usize| {
        (person(a) && (person(b) || parties.is_conference(b))) || (person(b) && parties.is_conference(a))
    };
    let (through, direct): (Vec<Pair>, Vec<Pair>) =
        pairs.into_iter().partition(|(a, b)| parties.is_loopback(*a) || parties.is_loopback(*b));
    direct.into_iter().any(|(a, b)| talks(a, b))
        || loopback::groups(parties, through.into_iter())
            .iter()
            .any(|ends| ends.iter().enumerate().any(|(at, a)| ends[at + 1..].iter().any(|b| talks(*a, *b))))
}

/// An answered leg that the switch placed was connected with the root.
fn infer(parties: &Parties<'_>, root: usize, ever: &mut [bool]) -> Vec<Joined> {
    let origin = &parties.all[root];
    if !origin.is_person() || failed(origin) {
        return Vec::new();
    }
    let mut inferred = Vec::new();
    for (node, target) in parties.own().iter().enumerate() {
        let Some(answered) = target.answered.filter(|_| node != root && target.is_target()) else { continue };
        let from = answered.max(origin.answered.unwrap_or(answered));
        let lives = (origin.created().max(target.created()), origin.ended.min(target.ended));
        let set = Set::one(from.max(lives.0), lives.1);
        if !set.is_empty() {
            ever[node] = true;
            ever[root] = true;
            inferred.push(Joined { a: root, b: node, set, inferred: true });
        }
    }
    inferred
}

/// Placed by the switch, never answered, and refused: it was bridged with nobody.
fn failed(party: &Party<'_>) -> bool {
    party.is_out() && party.merged.answered.is_none() && party.merged.sip().is_some_and(|sip| sip >= 300)
}
