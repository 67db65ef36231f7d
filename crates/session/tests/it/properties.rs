//! The promises of sessions.md 5.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;
use ringpost_model::{Envelope, LegRecord, Timestamp};
use ringpost_session::{Config, Machine, Output, Settings};

use crate::build::{at, envelopes, offline};
use crate::generate::{as_events, hostile, tellable};

fn printed(envelopes: &[Envelope]) -> Vec<String> {
    envelopes
        .iter()
        .map(|envelope| serde_json::to_string(&envelope.cdr).expect("a record is printed"))
        .collect()
}

/// A record with what a stream may decide otherwise taken out.
fn essence(envelope: &Envelope) -> String {
    let mut cdr = envelope.cdr.clone();
    cdr.id = ringpost_model::SessionId(Default::default());
    cdr.rev = 1;
    cdr.replaces.clear();
    cdr.partial = false;
    serde_json::to_string(&cdr).expect("a record is printed")
}

fn machine(config: Config) -> Machine {
    Machine::new(config, Arc::new(Settings::default()))
}

fn in_order(mut records: Vec<LegRecord>) -> Vec<LegRecord> {
    records.sort_by_key(LegRecord::stream_time);
    records
}

/// Links every leg to one session, so that nothing known of other sessions can matter.
fn one_call(mut records: Vec<LegRecord>) -> Vec<LegRecord> {
    records.iter_mut().for_each(|record| record.links.push("one".into()));
    records
}

/// Shuffles by a list of positions.
fn shuffled(records: &[LegRecord], order: &[usize]) -> Vec<LegRecord> {
    let mut keyed: Vec<(usize, &LegRecord)> = records
        .iter()
        .enumerate()
        .map(|(at, record)| (order[at % order.len()].wrapping_mul(at + 7) % 31, record))
        .collect();
    keyed.sort_by_key(|(key, _)| *key);
    keyed.into_iter().map(|(_, record)| record.clone()).collect()
}

/// With something that came too late, and says nothing.
fn reworked(envelope: &Envelope) -> Result<Envelope, ringpost_session::Unworkable> {
    let mut late = crate::build::event("a", 0., ringpost_model::LegEvent::Updated);
    (late.tenant, late.pbx) = (envelope.tenant.clone(), envelope.pbx.clone());
    late.leg = envelope.legs[0].leg.clone();
    if let ringpost_model::Report::Event(report) = &mut late.report {
        report.at = envelope.legs[0].created;
    }
    ringpost_session::rework(&Arc::new(Settings::default()), envelope, &[late])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn order_and_duplication_of_an_offline_input_change_nothing(
        records in hostile(),
        order in proptest::collection::vec(0usize..1000, 8),
        twice in proptest::collection::vec(any::<bool>(), 14),
    ) {
        let once = offline(records.clone());
        let again = records.iter().zip(&twice).filter(|(_, twice)| **twice).map(|(record, _)| record.clone());
        let more: Vec<LegRecord> = records.iter().cloned().chain(again).collect();
        let found = offline(shuffled(&more, &order));
        prop_assert_eq!(printed(&once), printed(&found));
        prop_assert_eq!(&once, &found, "legs and time lines too");
    }

    #[test]
    fn the_last_revision_of_a_stream_is_the_record_of_the_whole(records in hostile()) {
        let records = in_order(one_call(records));
        let whole: Vec<String> = offline(records.clone()).iter().map(essence).collect();
        let mut stream = machine(Config::offline_stream());
        let mut out = Vec::new();
        for record in records {
            stream.handle(record.stream_time(), record);
            out.extend(envelopes(&mut stream));
        }
        stream.finish();
        out.extend(envelopes(&mut stream));
        let last: Vec<String> = out.last().map(essence).into_iter().collect();
        // A correction may leave a call that went out without any person: then there is nothing to put out.
        if !whole.is_empty() {
            prop_assert_eq!(last, whole);
        }
    }

    #[test]
    fn a_stream_without_late_records_gives_the_offline_records(records in hostile()) {
        let records = in_order(one_call(records));
        let mut stream = machine(Config { gap: i64::MAX / 4, max_idle: i64::MAX / 4, ..Config::offline_stream() });
        for record in records.clone() {
            stream.handle(record.stream_time(), record);
        }
        stream.finish();
        if stream.stats().late == 0 {
            prop_assert_eq!(printed(&envelopes(&mut stream)), printed(&offline(records)));
        }
    }

    #[test]
    fn a_record_that_is_worked_out_from_the_legs_it_carries_is_as_it_was(records in hostile()) {
        for envelope in offline(one_call(records)) {
            // What is lost in them is noticed, and nothing is guessed.
            if let Ok(again) = reworked(&envelope) {
                prop_assert_eq!(essence(&again), essence(&envelope));
            }
        }
    }

    #[test]
    fn seconds_add_up_and_flags_agree(records in hostile()) {
        for envelope in offline(records) {
            let cdr = &envelope.cdr;
            prop_assert!(u64::from(cdr.ring) + u64::from(cdr.talk) + u64::from(cdr.hold) + u64::from(cdr.park) <= u64::from(cdr.dur));
            prop_assert_eq!(cdr.end.seconds() - cdr.start.seconds(), i64::from(cdr.dur));
            prop_assert_eq!(cdr.ans, cdr.answer.is_some());
            prop_assert!(!(cdr.ans && cdr.lost));
            prop_assert!(!cdr.short || cdr.ans);
            prop_assert!(!cdr.aban || cdr.lost);
            let ends = envelope.timeline.windows(2).all(|pair| pair[0].to == pair[1].from);
            prop_assert!(ends, "no gap in the time line");
        }
    }

    #[test]
    fn no_leg_is_lost(records in hostile(), as_stream in any::<bool>()) {
        let legs: BTreeSet<String> = records.iter().map(|record| record.leg.to_string()).collect();
        let config = if as_stream { Config::offline_stream() } else { Config::offline() };
        let mut machine = machine(config);
        for record in in_order(records) {
            machine.handle(record.stream_time(), record);
        }
        machine.finish();
        // Of each session only what stands at the end: later revisions, and those that absorbed others, replace.
        let mut standing: BTreeMap<_, Envelope> = BTreeMap::new();
        for envelope in envelopes(&mut machine) {
            envelope.cdr.replaces.iter().for_each(|id| drop(standing.remove(id)));
            standing.insert(envelope.cdr.id, envelope);
        }
        let mut found = BTreeSet::new();
        for leg in standing.values().flat_map(|envelope| &envelope.legs) {
            prop_assert!(found.insert(leg.leg.to_string()), "{} is in two records", leg.leg);
        }
        if machine.stats().without_person == 0 && machine.stats().unchanged == 0 {
            prop_assert_eq!(found, legs);
        }
    }

    #[test]
    fn events_and_leg_records_tell_the_same(legs in tellable()) {
        let told: Vec<LegRecord> = legs.iter().flat_map(as_events).collect();
        prop_assert_eq!(printed(&offline(legs)), printed(&offline(told)));
    }

    #[test]
    fn a_restart_anywhere_changes_nothing(
        records in hostile(),
        restarts in proptest::collection::btree_set(0usize..16, 1..4),
        caps in prop_oneof![Just((500, 1 << 19)), Just((2, 1 << 19)), Just((500, 250))],
        wait in prop_oneof![Just(0i64), Just(700), Just(20_000)],
    ) {
        let config = || Config {
            max_legs: caps.0,
            max_session_bytes: caps.1,
            late: 5_000_000,
            ..Config::default()
        };
        let (mut steady, mut restarted) = (machine(config()), machine(config()));
        let mut kept: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
        let (mut expected, mut found) = (Vec::new(), Vec::new());
        for (step, record) in in_order(records).into_iter().enumerate() {
            let gap = if step > 5 { wait * 1_000_000 } else { 0 };
            let now = record.stream_time().plus_micros(gap);
            for (machine, out) in [(&mut steady, &mut expected), (&mut restarted, &mut found)] {
                machine.handle(now, record.clone());
                drain(machine, out);
            }
            keep(&mut restarted, &mut kept);
            if restarts.contains(&step) {
                restarted = Machine::restore(config(), Arc::new(Settings::default()), kept.clone()).unwrap();
            }
        }
        let end = at(60. + 200_000.);
        for (machine, out) in [(&mut steady, &mut expected), (&mut restarted, &mut found)] {
            machine.handle_timeout(end);
            drain(machine, out);
        }
        prop_assert_eq!(expected, found);
    }

    #[test]
    fn everything_is_forgotten_in_the_end(records in hostile()) {
        let mut machine = machine(Config::default());
        let mut kept = BTreeMap::new();
        for record in in_order(records) {
            machine.handle(record.stream_time(), record);
            keep(&mut machine, &mut kept);
        }
        machine.handle_timeout(at(200_000.));
        keep(&mut machine, &mut kept);
        let stats = machine.stats();
        prop_assert_eq!((stats.live_sessions, stats.kept_sessions, stats.legs, stats.stub_legs), (0, 0, 0, 0));
        let keys: Vec<Vec<u8>> = kept.into_keys().collect();
        prop_assert_eq!(keys, vec![b"m".to_vec()], "only the time of the stream is left in the state");
        prop_assert_eq!(machine.next_timeout(), None);
    }
}

fn drain(machine: &mut Machine, out: &mut Vec<Output>) {
    out.extend(std::iter::from_fn(|| machine.poll()));
}

fn keep(machine: &mut Machine, kept: &mut BTreeMap<Vec<u8>, Vec<u8>>) {
    for change in machine.take_changes() {
        match change.value {
            Some(value) => kept.insert(change.key, value),
            None => kept.remove(&change.key),
        };
    }
}

#[test]
fn a_state_of_another_version_is_an_error_that_says_what_to_do() {
    let mut machine = machine(Config::default());
    machine.handle(Timestamp::from_micros(1), crate::build::caller("x", 0., 1.).0);
    let mut state: Vec<(Vec<u8>, Vec<u8>)> =
        machine.take_changes().into_iter().filter_map(|change| Some((change.key, change.value?))).collect();
    state.iter_mut().for_each(|(_, value)| value[0] = 9);
    let error = Machine::restore(Config::default(), Arc::new(Settings::default()), state).unwrap_err();
    assert!(error.to_string().contains("format 9"), "{error}");
}
