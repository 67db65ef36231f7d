//! Calls with their truth, from `ringpost_simulate`: those of one to three tenants, each call squeezed, and told
//! within minutes of the others.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ringpost::pipeline::tenant_id;
use ringpost_model::{Dialect, PbxKey, Tenant, TenantKey, Timestamp};
use ringpost_simulate::{Message, Params, Simulation, Truth};

use crate::dice::Dice;
use crate::sender::Leg;

/// The tenants of the simulation.
const TENANTS: [&str; 6] = ["acme", "globex", "initech", "umbrella", "hooli", "wayne.au_1"];
/// All calls are over when the world begins.
const LATER: i64 = 40 * 3_600 * 1_000_000;

pub(super) struct Traffic {
    pub(super) start: Timestamp,
    pub(super) tenants: Vec<Tenant>,
    pub(super) legs: BTreeMap<PbxKey, Vec<Leg>>,
    pub(super) truths: Vec<Truth>,
}

pub(super) fn make_up(within: Duration, dice: &mut Dice) -> Traffic {
    let chosen: BTreeSet<TenantKey> = (0..dice.between(1, 3))
        .map(|_| *dice.pick(&TENANTS))
        .map(|key| TenantKey::new(key).expect("the keys of the simulation are valid"))
        .collect();
    // What follows after longer than it takes a session to close corrects its record.
    let longest_gap = Duration::from_millis(*dice.pick(&[200, 1_000, 5_000, 20_000]));
    let calls = dice.between(6, 40);
    let mut legs: BTreeMap<PbxKey, Vec<Leg>> = BTreeMap::new();
    let mut truths = Vec::new();
    for _ in 0..calls {
        let (messages, of_call) = call(&chosen, dice);
        let begin = Duration::from_millis(dice.below(within.as_millis() as u64));
        for (at, message) in squeezed(messages, longest_gap) {
            legs.entry(message.pbx).or_default().push(Leg { at: begin + at, body: message.body });
        }
        truths.extend(of_call);
    }
    legs.values_mut().for_each(|legs| legs.sort_by_key(|leg| leg.at));
    let start = Params::default().start.plus_micros(LATER);
    Traffic { start, tenants: tenants(&chosen, dice), legs, truths }
}

/// One call every so often, of one tenant, each told at once.
pub(super) fn evenly(within: Duration, every: Duration, dice: &mut Dice) -> Traffic {
    let chosen = BTreeSet::from([TenantKey::new("acme").expect("the keys of the simulation are valid")]);
    let mut legs: BTreeMap<PbxKey, Vec<Leg>> = BTreeMap::new();
    let (mut truths, mut begin) = (Vec::new(), Duration::ZERO);
    while begin < within {
        let (messages, of_call) = call(&chosen, dice);
        for (at, message) in squeezed(messages, Duration::from_millis(200)) {
            legs.entry(message.pbx).or_default().push(Leg { at: begin + at, body: message.body });
        }
        truths.extend(of_call);
        begin += every;
    }
    legs.values_mut().for_each(|legs| legs.sort_by_key(|leg| leg.at));
    let start = Params::default().start.plus_micros(LATER);
    Traffic { start, tenants: tenants(&chosen, dice), legs, truths }
}

/// A call, or some that meet, of one of the tenants.
fn call(chosen: &BTreeSet<TenantKey>, dice: &mut Dice) -> (Vec<Message>, Vec<Truth>) {
    loop {
        let calls = if dice.percent(10) { 3 } else { 1 };
        // Ids hold the seed: no two calls of a world are the same.
        let params = Params { calls, seed: dice.draw(), dialect: Dialect::Native, ..Params::default() };
        let mut simulation = Simulation::new(params);
        let (mut messages, mut truths) = (Vec::new(), Vec::new());
        while let Some(message) = simulation.next() {
            truths.extend(std::iter::from_fn(|| simulation.next_truth()));
            messages.push(message);
        }
        if truths.iter().all(|truth| chosen.contains(&truth.tenant)) {
            return (messages, truths);
        }
    }
}

/// The time between two messages is made shorter, never longer: nothing comes later than it may.
fn squeezed(messages: Vec<Message>, longest: Duration) -> Vec<(Duration, Message)> {
    let mut at = Duration::ZERO;
    let mut before = messages.first().map(|message| message.at.micros()).unwrap_or_default();
    let mut squeezed = Vec::with_capacity(messages.len());
    for message in messages {
        let gap = u64::try_from(message.at.micros() - before).unwrap_or_default();
        before = message.at.micros();
        at += Duration::from_micros(gap).min(longest);
        squeezed.push((at, message));
    }
    squeezed
}

/// The first may be the reseller of the others.
fn tenants(chosen: &BTreeSet<TenantKey>, dice: &mut Dice) -> Vec<Tenant> {
    let is_tree = dice.percent(40);
    let above = chosen.first().cloned();
    let tenant = |key: &TenantKey| Tenant {
        parent: above.clone().filter(|above| is_tree && above != key),
        ..Tenant::new(tenant_id(key), key.clone())
    };
    chosen.iter().map(tenant).collect()
}
