//! Which deliveries there must be, from the records in the log and the planned triggers alone.

use std::collections::BTreeMap;

use ringpost_model::{DeliveryId, Envelope, EventName, Notice, Revisions, SessionId, TenantKey, TriggerId};

use crate::plan::{Planned, When};
use crate::world::World;

/// A delivery that must, or may, be made.
#[derive(Debug, Clone)]
pub(super) struct Expected {
    pub(super) trigger: TriggerId,
    pub(super) session: SessionId,
    pub(super) rev: u32,
    /// It tells that the record no longer matches.
    pub(super) taken_back: bool,
    /// It must be there: its trigger is never off.
    pub(super) must: bool,
}

pub(super) type All = BTreeMap<DeliveryId, Expected>;

pub(super) fn of(world: &World, envelopes: &[Envelope]) -> All {
    let mut all = All::new();
    for envelope in envelopes {
        for planned in applicable(world, &envelope.tenant) {
            let is_first = envelope.rev == 1;
            if !is_first && planned.trigger.revisions == Revisions::First {
                continue;
            }
            let (trigger, session) = (planned.trigger.id, envelope.session);
            let was_told = |rev| all.contains_key(&DeliveryId::of_record(trigger, session, rev));
            let matches = planned.when.holds(&envelope.cdr);
            if !matches && !(1..envelope.rev).any(was_told) {
                continue;
            }
            let must = planned.is_steady;
            let expected = Expected { trigger, session, rev: envelope.rev, taken_back: !matches, must };
            all.insert(DeliveryId::of_record(trigger, session, envelope.rev), expected);
        }
    }
    for (notice, fired) in world.around.store.disk().owed.notices() {
        of_notice(world, &notice, fired, &mut all);
    }
    all
}

/// For who reads what happened: which delivery is what, and how it is over.
pub(super) fn tell(world: &World, all: &All) {
    let disk = world.around.store.disk();
    for (id, one) in all {
        let planned = world.plan.triggers.iter().find(|planned| planned.trigger.id == one.trigger);
        let name = planned.map(|planned| &*planned.trigger.name).unwrap_or_default();
        world.trace.add(|| format!("delivery {id} = {name} session {} rev {}", one.session, one.rev));
    }
    for ended in disk.log.endings() {
        let (id, how, why) = (ended.delivery.id, ended.ending.name(), &ended.reason);
        world.trace.add(|| format!("ending {id} {how}: {why}"));
    }
    for (attempt, at) in disk.log.attempts() {
        let (id, class, last) = (attempt.delivery, &attempt.class, attempt.last);
        world.trace.add(|| format!("attempt {id} {class} last {last} durable {at:?}"));
    }
    for planned in &world.plan.triggers {
        let text = serde_json::to_string(&planned.trigger).unwrap_or_default();
        world.trace.add(|| format!("trigger of {} {text}", planned.tenant));
    }
    let (lanes, breaker, backlog) = (&world.plan.lanes, &world.plan.breaker, &world.plan.backlog);
    world.trace.add(|| format!("{lanes:?} {breaker:?} {backlog:?}"));
}

/// A notice goes to who listens, but for itself; who is told of notices is not told on.
fn of_notice(world: &World, notice: &Notice, fired: bool, all: &mut All) {
    let is_about = |planned: &&Planned| planned.trigger.id == notice.trigger_id;
    let about = world.plan.triggers.iter().find(is_about);
    let repeats = matches!(notice.event, EventName::TriggerFailing | EventName::TriggerRecovered);
    let listener = about.filter(|about| repeats && about.when == When::Told);
    // One that is off at that moment is told of nothing, so that others are told of it.
    if listener.is_some_and(|listener| listener.is_steady) {
        return;
    }
    for planned in applicable(world, &notice.tenant) {
        let trigger = &planned.trigger;
        if trigger.event != notice.event || trigger.id == notice.trigger_id {
            continue;
        }
        let session = SessionId(notice.id.0);
        // Who listens may have been off when the notice was made.
        let must = fired && planned.is_steady && listener.is_none();
        let expected = Expected { trigger: trigger.id, session, rev: 0, taken_back: false, must };
        all.insert(DeliveryId::of_record(trigger.id, session, 0), expected);
    }
}

/// The triggers of a tenant, and those above that include it.
fn applicable<'a>(world: &'a World, tenant: &'a TenantKey) -> impl Iterator<Item = &'a Planned> {
    let found = world.plan.tenants.iter().find(|known| known.key == *tenant);
    let above = found.and_then(|known| known.parent.as_ref());
    world.plan.triggers.iter().filter(move |planned| {
        let includes = planned.trigger.include_subaccounts && Some(&planned.tenant) == above;
        planned.tenant == *tenant || includes
    })
}
