//! Limits: requests in flight of a lane and of an origin, rates.

use std::collections::BTreeMap;
use std::time::Duration;

use ringpost_model::TriggerId;

use super::expected::All;
use crate::receiver::Got;
use crate::world::World;

pub(super) fn check(world: &World, expected: &All, wrong: &mut Vec<String>) {
    let got = world.around.receivers.got();
    let lanes = &world.plan.lanes;
    for ((life, lane), most) in busiest(&got, |one| (one.process, one.lane)) {
        if most > lanes.concurrency {
            wrong.push(format!("{most} in flight in lane {lane} in life {life}"));
        }
    }
    let origin = |one: &Got| (one.process, one.receiver.split('/').next().unwrap_or_default().to_owned());
    for ((life, origin), most) in busiest(&got, origin) {
        if most > lanes.per_origin {
            wrong.push(format!("{most} in flight to {origin} in life {life}"));
        }
    }
    rates(world, &got, expected, wrong);
}

/// The most that were in flight at once, by some key.
fn busiest<K: Ord>(got: &[Got], key: impl Fn(&Got) -> K) -> BTreeMap<K, usize> {
    let mut changes: BTreeMap<K, Vec<(Duration, i64)>> = BTreeMap::new();
    for one in got {
        // What a crash cut off says nothing of its end.
        let Some(ended) = one.ended else { continue };
        changes.entry(key(one)).or_default().extend([(one.sent, 1), (ended, -1)]);
    }
    let most = |mut changes: Vec<(Duration, i64)>| {
        changes.sort_unstable();
        let (mut now, mut most) = (0, 0);
        for (_, change) in changes {
            now += change;
            most = most.max(now);
        }
        usize::try_from(most).unwrap_or_default()
    };
    changes.into_iter().map(|(key, changes)| (key, most(changes))).collect()
}

/// In any second at most 1.1 times as many requests of a trigger start as its limit says.
fn rates(world: &World, got: &[Got], expected: &All, wrong: &mut Vec<String>) {
    let mut starts: BTreeMap<(u32, TriggerId), Vec<Duration>> = BTreeMap::new();
    for one in got {
        if let Some(expected) = expected.get(&one.delivery) {
            starts.entry((one.process, expected.trigger)).or_default().push(one.sent);
        }
    }
    for ((life, trigger), starts) in starts {
        let planned = world.plan.triggers.iter().find(|planned| planned.trigger.id == trigger);
        let Some(rate) = planned.and_then(|planned| planned.trigger.rate_limit) else { continue };
        let most = (f64::from(rate) * 1.1).ceil() as usize;
        let second = Duration::from_secs(1);
        let within = |from: Duration| starts.iter().filter(|at| (from..from + second).contains(*at)).count();
        if let Some((from, count)) =
            starts.iter().map(|from| (*from, within(*from))).find(|(_, count)| *count > most)
        {
            wrong.push(format!(
                "{count} starts in the second from {from:?} of {trigger} in life {life}, at most {rate}"
            ));
        }
    }
}
