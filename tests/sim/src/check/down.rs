//! Receivers that are down: one probe at a time, and what failed while they were down all along has not failed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ringpost_model::{DeliveryId, LaneId, RetryOn, Trigger, TriggerId};
use ringpost_store::{Ended, Ending};

use super::expected::All;
use crate::receiver::Got;
use crate::world::World;

/// Every dispatcher looks once a second what others have said of lanes.
const LOOK: Duration = Duration::from_secs(2);

pub(super) fn check(world: &World, expected: &All, wrong: &mut Vec<String>) {
    let got = world.around.receivers.got();
    let triggers: BTreeMap<TriggerId, &Trigger> =
        world.plan.triggers.iter().map(|planned| (planned.trigger.id, &planned.trigger)).collect();
    let waits = |one: &Got| {
        let trigger = expected.get(&one.delivery).and_then(|expected| triggers.get(&expected.trigger));
        trigger.is_some_and(|trigger| trigger.holds())
    };
    probes(world, &got, waits, wrong);
    if world.crashes.is_empty() {
        let is_held = |one: &Got| {
            let Some(told) = expected.get(&one.delivery) else { return false };
            let trigger = triggers.get(&told.trigger);
            // In place of one that was given up its correction goes, once there is one.
            let next = DeliveryId::of_record(told.trigger, told.session, told.rev + 1);
            let is_held = |trigger: &&Trigger| trigger.holds() && trigger.retry_on == RetryOn::Any;
            trigger.is_some_and(is_held) && !expected.contains_key(&next)
        };
        down_all_along(world, &got, is_held, wrong);
    }
}

/// While a lane is open, at most one request of what waits is in flight that was sent since it opened.
fn probes(world: &World, got: &[Got], waits: impl Fn(&Got) -> bool, wrong: &mut Vec<String>) {
    for (lane, opened, to) in open_times(world) {
        // Others hear of it when they look next.
        let from = opened + if world.plan.instances > 1 { LOOK } else { Duration::ZERO };
        let is_sent_then = |one: &&Got| one.lane == lane && from < one.sent && one.sent < to && waits(one);
        let sent: Vec<&Got> = got.iter().filter(is_sent_then).collect();
        for pair in sent.windows(2) {
            let is_alone =
                pair[0].process != pair[1].process || pair[0].ended.is_some_and(|at| at <= pair[1].sent);
            if !is_alone && world.plan.lanes.max_hold > Duration::from_secs(3_600) {
                wrong.push(format!("two probes at {:?} in lane {lane}", pair[1].sent));
            }
        }
    }
}

/// From when to when which lane was open.
fn open_times(world: &World) -> Vec<(LaneId, Duration, Duration)> {
    let mut open: BTreeMap<LaneId, Duration> = BTreeMap::new();
    let mut times = Vec::new();
    for (at, lane, is_open) in &world.around.store.disk().opened {
        match (is_open, open.remove(lane)) {
            (true, _) => _ = open.insert(*lane, *at),
            (false, Some(from)) => times.push((*lane, from, *at)),
            (false, None) => {}
        }
    }
    times
}

/// A run of failures twice as long as it takes to count as down: nothing that failed in it has failed for good.
fn down_all_along(world: &World, got: &[Got], is_held: impl Fn(&Got) -> bool, wrong: &mut Vec<String>) {
    let limits = &world.plan.breaker;
    for run in runs(got) {
        let (Some(first), Some(last)) = (run.first(), run.last()) else { continue };
        let lasted = last.ended.unwrap_or_default().saturating_sub(first.ended.unwrap_or_default());
        let is_long = run.len() as u32 >= 2 * limits.many && lasted >= 2 * limits.many_over;
        // How long a run lasts is told by the wall clock.
        let jumps = |at: &Duration| first.ended <= Some(*at) && Some(*at) <= last.ended;
        let is_put_back = world.plan.jumps.iter().any(|(at, _)| jumps(at));
        if !is_long || is_put_back || world.plan.lanes.max_hold < Duration::from_secs(3_600) {
            continue;
        }
        let held: BTreeSet<DeliveryId> =
            run.iter().filter(|one| is_held(one)).map(|one| one.delivery).collect();
        for delivery in held {
            let is_last_here = got.iter().rev().find(|one| one.delivery == delivery);
            let is_of_run =
                is_last_here.is_some_and(|one| run.iter().any(|other| other.attempt == one.attempt));
            if is_of_run && has_failed(world, delivery) {
                wrong.push(format!("failed for good while its receiver was down: {delivery}"));
            }
        }
    }
}

/// Failures without a success between, by lane.
fn runs(got: &[Got]) -> Vec<Vec<&Got>> {
    let mut lanes: BTreeMap<LaneId, Vec<&Got>> = BTreeMap::new();
    for one in got.iter().filter(|one| one.ended.is_some()) {
        lanes.entry(one.lane).or_default().push(one);
    }
    let mut runs = Vec::new();
    for mut all in lanes.into_values() {
        all.sort_by_key(|one| one.ended);
        let is_down = |one: &&Got| one.status.is_none_or(|status| status >= 500 || status == 429);
        runs.extend(all.split(|one| !is_down(one)).map(<[&Got]>::to_vec));
    }
    runs
}

fn has_failed(world: &World, delivery: DeliveryId) -> bool {
    let disk = world.around.store.disk();
    // What there is no room for is over at once, whatever its receiver does.
    let has_no_room = |one: &Ended| one.reason.starts_with("backlog full");
    if disk.log.endings().any(|one| one.delivery.id == delivery && has_no_room(one)) {
        return false;
    }
    let by_ending = disk.log.endings().any(|one| one.delivery.id == delivery && one.ending == Ending::Failed);
    let by_attempt = disk.log.attempts().any(|(one, _)| one.delivery == delivery && one.last && !one.ok);
    let is_owed = disk.owed.debts.holds(delivery);
    let was_delivered = disk.log.attempts().any(|(one, _)| one.delivery == delivery && one.ok);
    let has_another_end =
        disk.log.endings().any(|one| one.delivery.id == delivery && one.ending != Ending::Failed);
    by_ending || (by_attempt && !is_owed && !was_delivered && !has_another_end)
}
