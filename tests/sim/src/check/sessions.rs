//! Every call's record is the true one, each revision of it once, and the store has the newest.

use std::collections::{BTreeMap, BTreeSet};

use ringpost::pipeline::{CDRS, LEGS};
use ringpost_model::{Cdr, Envelope, SessionId};
use ringpost_simulate::{Run, compare};

use crate::world::World;

/// The envelopes of the log, in its order.
pub(super) fn check(world: &mut World, wrong: &mut Vec<String>) -> Vec<Envelope> {
    let mut envelopes = Vec::new();
    for (_, message) in world.around.log.disk().records(CDRS) {
        match Envelope::from_bytes(&message.value) {
            Ok(envelope) => envelopes.push(envelope),
            Err(error) => wrong.push(format!("a record in the log cannot be read: {error}")),
        }
    }
    revisions(&envelopes, wrong);
    truth(world, &envelopes, wrong);
    stored(world, &envelopes, wrong);
    world.counts.legs = world.around.log.disk().records(LEGS).count() as u64;
    world.counts.records = envelopes.len() as u64;
    world.counts.corrections = envelopes.iter().filter(|envelope| envelope.rev > 1).count() as u64;
    envelopes
}

fn revisions(envelopes: &[Envelope], wrong: &mut Vec<String>) {
    let mut newest: BTreeMap<SessionId, u32> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for envelope in envelopes {
        if !seen.insert((envelope.session, envelope.rev)) {
            wrong.push(format!("session {} revision {} is there twice", envelope.session, envelope.rev));
        }
        let before = newest.insert(envelope.session, envelope.rev).unwrap_or_default();
        if envelope.rev <= before {
            wrong.push(format!("session {}: revision {} after {before}", envelope.session, envelope.rev));
        }
    }
}

fn truth(world: &World, envelopes: &[Envelope], wrong: &mut Vec<String>) {
    let print = |cdr: &Cdr| serde_json::to_string(cdr).expect("a record is always JSON");
    let truth: Vec<String> = world.plan.truths.iter().map(|truth| print(&truth.cdr)).collect();
    let records: Vec<String> = envelopes.iter().map(|envelope| print(&envelope.cdr)).collect();
    let report =
        compare(truth.iter().map(String::as_str), records.iter().map(String::as_str), Run::Stream, 3);
    if !report.is_equal() {
        wrong.push(format!("records are not the true ones: {report}"));
    }
}

fn stored(world: &World, envelopes: &[Envelope], wrong: &mut Vec<String>) {
    let mut newest: BTreeMap<SessionId, u32> = BTreeMap::new();
    for envelope in envelopes {
        let rev = newest.entry(envelope.session).or_default();
        *rev = envelope.rev.max(*rev);
    }
    let stored: BTreeMap<SessionId, u32> = world.around.store.disk().records.sessions().collect();
    if stored != newest {
        let differing = newest.iter().filter(|(id, rev)| stored.get(id) != Some(rev)).count();
        let (in_log, in_store) = (newest.len(), stored.len());
        wrong.push(format!("sessions: {in_log} in the log, {in_store} in the store, {differing} differ"));
    }
}
