//! Every delivery is settled, with its reason on record; receivers got what they should, in order, and nothing that
//! is known to be delivered twice.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ringpost_model::{AttemptId, DeliveryId, RetryOn, SessionId, TriggerId};
use ringpost_store::{Attempt, Ended, Ending};

use super::expected::{All, Expected};
use crate::receiver::Got;
use crate::store::Disk;
use crate::world::World;

/// So long before the end, in microseconds, is the very end.
const JUST_NOW: i64 = 5_000_000;

/// What waits in a lane for longer than `handoff` goes back, with the sweep that finds it.
const IN_HAND: Duration = Duration::from_millis(1_500);

pub(super) fn check(world: &mut World, expected: &All, wrong: &mut Vec<String>) {
    let got = world.around.receivers.got().clone();
    let disk = world.around.store.disk();
    let book = Book::of(&disk, &got);
    for (id, one) in expected {
        book.is_settled(*id, one, world, wrong);
    }
    for (notice, fired) in disk.owed.notices() {
        // One that was made at the very end is taken up at the next start.
        let is_new = notice.at > world.around.clock.now().plus_micros(-JUST_NOW);
        if !fired && !is_new {
            wrong.push(format!("notice {} was not taken up", notice.event.name()));
        }
    }
    book.nothing_else(expected, wrong);
    book.on_record(world, wrong);
    book.payloads(expected, wrong);
    in_order(&got, expected, wrong);
    let mut endings: BTreeMap<&'static str, u64> = BTreeMap::new();
    for ended in disk.log.endings() {
        *endings.entry(ended.ending.name()).or_default() += 1;
    }
    let delivered = book.attempts.values().filter(|all| all.iter().any(|one| one.ok)).count();
    endings.insert("delivered", delivered as u64);
    let repeats = book.got.values().filter(|all| all.len() > 1).count();
    drop(disk);
    world.counts.endings = endings;
    world.counts.deliveries = expected.len() as u64;
    world.counts.requests = got.len() as u64;
    world.counts.repeats = repeats as u64;
}

/// Everything that is known of deliveries, by delivery.
struct Book<'a> {
    attempts: BTreeMap<DeliveryId, Vec<&'a Attempt>>,
    endings: BTreeMap<DeliveryId, &'a Ended>,
    owed: BTreeSet<DeliveryId>,
    /// Of those, what waits for a paused trigger.
    held: BTreeSet<DeliveryId>,
    got: BTreeMap<DeliveryId, Vec<&'a Got>>,
    /// Attempts on record, with when all that follows from them was durable too.
    durable: BTreeMap<AttemptId, Option<Duration>>,
}

impl<'a> Book<'a> {
    fn of(disk: &'a Disk, got: &'a [Got]) -> Self {
        let mut attempts: BTreeMap<DeliveryId, Vec<&Attempt>> = BTreeMap::new();
        let mut durable = BTreeMap::new();
        for (attempt, _) in disk.log.attempts() {
            attempts.entry(attempt.delivery).or_default().push(attempt);
            durable.insert(attempt.id, disk.log.settled(attempt.id));
        }
        let mut of_delivery: BTreeMap<DeliveryId, Vec<&Got>> = BTreeMap::new();
        for one in got {
            of_delivery.entry(one.delivery).or_default().push(one);
        }
        let endings = disk.log.endings().map(|ended| (ended.delivery.id, ended)).collect();
        let owed = disk.owed.debts.all().into_iter().map(|row| row.debt.delivery.id).collect();
        let held = disk.owed.debts.all().into_iter().filter(|row| row.held);
        let held = held.map(|row| row.debt.delivery.id).collect();
        Self { attempts, endings, owed, held, got: of_delivery, durable }
    }

    fn attempts(&self, id: DeliveryId) -> &[&'a Attempt] {
        self.attempts.get(&id).map_or(&[], Vec::as_slice)
    }

    fn is_settled(&self, id: DeliveryId, one: &Expected, world: &World, wrong: &mut Vec<String>) {
        let attempts = self.attempts(id);
        let last = attempts.iter().find(|attempt| attempt.last);
        let ending = self.endings.get(&id).map(|ended| ended.ending);
        let name = format!("{} {} rev {}", one.trigger, one.session, one.rev);
        if self.owed.contains(&id) {
            let is_held = self.held.contains(&id);
            if !is_held {
                wrong.push(format!("still owed, though all is well: {name}"));
            }
            return;
        }
        match (last, ending) {
            (None, None) if one.must => wrong.push(format!("lost: {name}")),
            (None, Some(Ending::Cancelled)) if one.must => wrong.push(format!("cancelled: {name}")),
            (Some(last), _) if last.ok => {
                let was_told = self.got.get(&id).is_some_and(|all| all.iter().any(|got| got.ok));
                if !was_told {
                    wrong.push(format!("delivered only on paper: {name}"));
                }
            }
            (Some(_), None | Some(Ending::Failed)) => self.used_up(id, one, world, &name, wrong),
            _ => {}
        }
    }

    /// Given up only when its tries are used up.
    fn used_up(&self, id: DeliveryId, one: &Expected, world: &World, name: &str, wrong: &mut Vec<String>) {
        let planned = world.plan.triggers.iter().find(|planned| planned.trigger.id == one.trigger);
        let Some(trigger) = planned.map(|planned| &planned.trigger) else { return };
        let attempts = self.attempts(id);
        let is_answered =
            trigger.retry_on == RetryOn::Unanswered && attempts.iter().any(|one| one.status.is_some());
        let has_no_room = self.endings.get(&id).is_some_and(|ended| ended.reason.starts_with("backlog full"));
        let is_held_long = world.plan.lanes.max_hold < Duration::from_secs(3_600);
        let is_gone = attempts.iter().any(|one| &*one.class == "gone");
        if is_answered || has_no_room || is_held_long || is_gone {
            return;
        }
        let tries = attempts.iter().filter(|attempt| &*attempt.class != "throttled").count();
        if tries < 1 + usize::from(trigger.retries) {
            wrong.push(format!("given up after {tries} tries: {name}"));
        }
    }

    /// Nobody was told what nothing has fired.
    fn nothing_else(&self, expected: &All, wrong: &mut Vec<String>) {
        let known = self.attempts.keys().chain(self.endings.keys()).chain(&self.owed).chain(self.got.keys());
        let strangers: BTreeSet<_> = known.filter(|id| !expected.contains_key(id)).collect();
        for id in strangers {
            wrong.push(format!("delivery {id} was fired by nothing"));
        }
    }

    /// Every request is on record, but for what a crash cut off; what is on record as delivered is never sent again.
    fn on_record(&self, world: &World, wrong: &mut Vec<String>) {
        for (id, all) in &self.got {
            for (place, got) in all.iter().enumerate() {
                let crash = world.crashes.iter().find(|(life, _)| *life == got.process).map(|(_, at)| *at);
                match self.durable.get(&got.attempt) {
                    None if crash.is_none() => {
                        wrong.push(format!("a request at {:?} is not on record: {id}", got.sent));
                    }
                    Some(Some(at)) if got.ok => {
                        // Another process may have had it in hand: what waits there for longer goes back.
                        let late = |later: &Got| {
                            let is_others = later.process != got.process && world.plan.instances > 1;
                            later.sent > *at + if is_others { IN_HAND } else { Duration::ZERO }
                        };
                        let again = all[place + 1..].iter().find(|later| late(later));
                        if let Some(again) = again {
                            let (sent, at) = (again.sent, *at);
                            wrong.push(format!("sent again at {sent:?}, delivered since {at:?}: {id}"));
                        }
                    }
                    _ => {}
                }
            }
        }
    }

    /// Every try says the same.
    fn payloads(&self, expected: &All, wrong: &mut Vec<String>) {
        for (id, all) in &self.got {
            if all.windows(2).any(|pair| pair[0].payload != pair[1].payload) {
                wrong.push(format!("two tries say different things: {id}"));
            }
            let is_form = |got: &&&Got| got.is_json;
            let taken_back = all.iter().find(is_form).map(|got| got.taken_back);
            if let (Some(told), Some(expected)) = (taken_back, expected.get(id))
                && told != expected.taken_back
            {
                wrong.push(format!("taken back: told {told}: {id}"));
            }
        }
    }
}

/// Of one trigger and session: one at a time, and never an older revision after a newer one.
fn in_order(got: &[Got], expected: &All, wrong: &mut Vec<String>) {
    let mut strands: BTreeMap<(TriggerId, SessionId), Vec<(&Got, u32)>> = BTreeMap::new();
    for one in got {
        if let Some(expected) = expected.get(&one.delivery) {
            strands.entry((expected.trigger, expected.session)).or_default().push((one, expected.rev));
        }
    }
    for ((trigger, session), all) in strands {
        for pair in all.windows(2) {
            let ((first, rev), (second, next)) = (pair[0], pair[1]);
            if next < rev {
                wrong.push(format!("revision {next} after {rev}: {trigger} {session}"));
            }
            let is_alone = first.process != second.process || first.ended.is_some_and(|at| at <= second.sent);
            if !is_alone {
                wrong.push(format!("two at a time at {:?}: {trigger} {session}", second.sent));
            }
        }
    }
}
