//! Legs and rubbish: what was acknowledged is there, and everything is counted.

use std::sync::PoisonError;

use crate::world::World;

pub(super) fn check(world: &World, wrong: &mut Vec<String>) {
    let sent = world.sent.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let counts = &world.counts;
    let accepted = counts.metric("ringpost_ingest_legs_accepted_total");
    if sent.acknowledged > accepted || accepted > counts.legs {
        let (acknowledged, legs) = (sent.acknowledged, counts.legs);
        wrong.push(format!("legs: {acknowledged} acknowledged, {accepted} counted, {legs} in the log"));
    }
    if sent.failed == 0 && !(sent.acknowledged == accepted && accepted == counts.legs) {
        wrong.push(format!("legs: {accepted} counted, {} in the log, none was lost", counts.legs));
    }
    let disk = world.around.store.disk();
    let letters: Vec<_> = disk.records.dead_letters().collect();
    let rubbish = letters.iter().filter(|letter| letter.position.starts_with("http ")).count();
    if rubbish as u64 != sent.rubbish {
        wrong.push(format!("rubbish: {} acknowledged, {rubbish} dead letters", sent.rubbish));
    }
    for letter in letters.iter().filter(|letter| !letter.position.starts_with("http ")) {
        wrong.push(format!("dead letter {}: {}", letter.position, letter.reason));
    }
    let counted = counts.metric("ringpost_dead_letters_total");
    let is_exact = world.crashes.is_empty() && sent.failed == 0;
    if is_exact && counted < letters.len() as u64 {
        wrong.push(format!("dead letters: {} in the store, {counted} counted", letters.len()));
    }
    let emitted = counts.metric("ringpost_session_records_total");
    if world.crashes.is_empty() && emitted != counts.records {
        wrong.push(format!("records: {} in the log, {emitted} counted", counts.records));
    }
}
