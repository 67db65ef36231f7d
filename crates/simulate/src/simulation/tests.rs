//! The stream of messages, without any machine: what holds of it by itself.

use std::collections::BTreeSet;

use super::*;

fn day(calls: u64, seed: u64, dialect: Dialect) -> (Vec<Message>, Vec<Truth>) {
    let mut simulation = Simulation::new(Params { calls, seed, dialect, ..Params::default() });
    let (mut messages, mut truths) = (Vec::new(), Vec::new());
    while let Some(message) = simulation.next() {
        messages.push(message);
        truths.extend(std::iter::from_fn(|| simulation.next_truth()));
    }
    (messages, truths)
}

/// FNV-1a, so that this test needs no library.
fn fingerprint(messages: &[Message]) -> u64 {
    let bytes = messages.iter().flat_map(|message| &message.body);
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    for dialect in Dialect::ALL {
        let (first, first_truth) = day(300, 5, dialect);
        let (second, second_truth) = day(300, 5, dialect);
        assert_eq!(fingerprint(&first), fingerprint(&second), "{dialect}");
        assert_eq!(first_truth, second_truth);
        assert_ne!(fingerprint(&first), fingerprint(&day(300, 6, dialect).0), "{dialect}");
    }
}

#[test]
fn messages_come_in_order_of_arrival_and_every_call_has_its_truth() {
    for dialect in Dialect::ALL {
        let (messages, truths) = day(1_000, 9, dialect);
        assert!(messages.windows(2).all(|pair| pair[0].at <= pair[1].at), "{dialect}");
        assert_eq!(truths.len(), 1_000, "{dialect}");
        let ids: BTreeSet<_> = truths.iter().map(|truth| truth.cdr.id).collect();
        assert_eq!(ids.len(), 1_000, "{dialect}: no two calls collide");
    }
}

#[test]
fn the_expected_records_keep_the_promises_of_every_record() {
    for truth in day(4_000, 11, Dialect::Native).1 {
        let cdr = truth.cdr;
        assert!(cdr.ring + cdr.talk + cdr.hold + cdr.park <= cdr.dur, "{cdr:?}");
        assert_eq!(cdr.end.seconds() - cdr.start.seconds(), i64::from(cdr.dur), "{cdr:?}");
        assert_eq!(cdr.ans, cdr.answer.is_some(), "{cdr:?}");
        assert!(!(cdr.ans && cdr.lost) && (cdr.lost || !cdr.aban) && (cdr.ans || !cdr.short), "{cdr:?}");
    }
}

#[test]
fn what_companies_see_in_a_day_is_all_there() {
    let truths = day(6_000, 13, Dialect::Native).1;
    let cdrs: Vec<&Cdr> = truths.iter().map(|truth| &truth.cdr).collect();
    let some = |what: &str, holds: &dyn Fn(&Cdr) -> bool| {
        assert!(cdrs.iter().any(|cdr| holds(cdr)), "no call with {what}");
    };
    for code in 0..5 {
        some("each direction", &|cdr| cdr.direction.code() == code);
    }
    some("abandoned", &|cdr| cdr.aban);
    some("lost in park", &|cdr| cdr.lost_in_park);
    some("short talk", &|cdr| cdr.short);
    some("trunk to trunk", &|cdr| cdr.t2t);
    some("no second at all", &|cdr| cdr.dur == 0);
    some("talk of less than a second", &|cdr| cdr.ans && cdr.talk == 0);
    some("a leg that never ended", &|cdr| cdr.partial);
    some("hold longer than talk", &|cdr| cdr.hold > cdr.talk);
    some("another who answers than rang", &|cdr| cdr.devices.answered != cdr.devices.first_rang && cdr.ans);
    some("recordings", &|cdr| cdr.recording_ids.len() > 1);
    some("tags", &|cdr| cdr.tags.len() > 1);
    some("a route", &|cdr| !cdr.route_id.is_empty());
    some("a clock that was put back", &|cdr| {
        let offset = |at: Timestamp| at.to_rfc3339_in(cdr.tz).split_off(19);
        offset(cdr.start) != offset(cdr.end)
    });
}

#[test]
fn only_calls_that_are_alive_are_kept() {
    let params = Params { calls: 5_000, seed: 3, ..Params::default() };
    let mut simulation = Simulation::new(params);
    let mut most = 0;
    while simulation.next().is_some() {
        while simulation.next_truth().is_some() {}
        most = most.max(simulation.pending.len());
    }
    assert!(most < 5_000 * 11 / 20, "{most} records waited at once");
}
