//! Sessions in a stream: when they close, open again, become one, fall apart, are forgotten.

use std::sync::Arc;

use ringpost_model::{CallEventKind, Envelope, LegEvent, LegRecord, Side, TenantKey, Timestamp};
use ringpost_session::{Config, Machine, Output, Refusal, Settings};

use crate::build::{Leg, at, caller, desk, envelopes, event, machine, offline, outside, stream, summary};

fn live(config: Config) -> Machine {
    Machine::new(config, Arc::new(Settings::default()))
}

fn quiet() -> Config {
    Config { events: false, ..Config::default() }
}

fn due(envelope: &Envelope) -> f64 {
    (envelope.emitted.micros() - at(0.).micros()) as f64 / 1e6
}

/// Hands in records at seconds, lets time pass, and says what came out: due time, id's root by number, summary.
fn play(
    machine: &mut Machine,
    records: impl IntoIterator<Item = (f64, LegRecord)>,
    until: f64,
) -> Vec<String> {
    for (when, record) in records {
        machine.handle(at(when), record);
    }
    machine.handle_timeout(at(until));
    let lines = envelopes(machine);
    lines
        .iter()
        .map(|envelope| format!("@{} rev{} {}", due(envelope), envelope.rev, summary(&envelope.cdr)))
        .collect()
}

fn simple_call() -> [Leg; 2] {
    [caller("x", 0., 30.).bridge("a", 5., 30.), desk("a", 1., 29.5).rang(2.).answered(5.)]
}

const SIMPLE: &str = "dir2 0..30 ring 3 talk 24 answer 5 fRng=a lRng=a ans=a lAns=a";

#[test]
fn a_complete_session_closes_settle_after_its_last_record() {
    let [x, a] = simple_call();
    let found = play(&mut live(quiet()), [(29.5, a.0), (30., x.0)], 40.);
    assert_eq!(found, [format!("@33 rev1 {SIMPLE}")]);
}

#[test]
fn a_leg_does_not_go_out_early_for_a_bridge_that_a_correction_took_back() {
    let room = || machine("room", ringpost_model::Service::Conference, 0., 70.).link("i2");
    let a = desk("a", 6., 15.).0;
    let told = [(15., a.clone()), (20., room().bridge("a", 8., 15.).0)];
    let found = play(&mut live(quiet()), told.clone(), 60.);
    assert_eq!(found.len(), 1, "what another session tells makes it complete: {found:?}");
    let mut machine = live(quiet());
    let found = play(&mut machine, told.into_iter().chain([(21., room().rev(1).0)]), 60.);
    assert_eq!(found, [""; 0]);
    let found = play(&mut machine, [], 5. * 3_600.);
    assert_eq!(found.len(), 1, "it goes out in the end: {found:?}");
}

#[test]
fn due_closings_come_before_the_record_of_the_same_instant() {
    let [x, a] = simple_call();
    let mut machine = live(quiet());
    machine.handle(at(30.), a.0);
    machine.handle(at(30.), x.0);
    machine.handle(at(33.), event("x", 33., LegEvent::Updated));
    assert_eq!(envelopes(&mut machine).len(), 1);
}

#[test]
fn a_repeat_does_not_restart_settle_and_is_counted() {
    let [x, a] = simple_call();
    let mut machine = live(quiet());
    let records = [(29.5, a.0), (30., x.0.clone()), (32., x.0), (32.5, event("x", 0., LegEvent::Created))];
    let found = play(&mut machine, records, 40.);
    assert_eq!(found, [format!("@33 rev1 {SIMPLE}")]);
    assert_eq!(machine.stats().repeats, 2);
}

#[test]
fn legs_that_arrive_long_before_the_callers_wait_for_it() {
    let records = [
        (11., desk("a", 0.8, 11.).rang(1.).0),
        (21., desk("b", 11.1, 21.).rang(11.6).0),
        (90., caller("x", 0., 90.).bridge("c", 27., 90.).0),
        (90.5, desk("c", 21.5, 90.).rang(22.).answered(27.).0),
    ];
    let found = play(&mut live(quiet()), records, 20_000.);
    assert_eq!(found, ["@93.5 rev1 dir2 0..90 ring 25 talk 63 answer 27 fRng=a lRng=c ans=c lAns=c"]);
}

#[test]
fn a_session_that_lacks_a_named_leg_closes_after_gap_and_is_partial() {
    let records = || [(30., caller("x", 0., 30.).bridge("ghost", 5., 30.).0)];
    assert_eq!(
        play(&mut live(quiet()), records(), 10_000.),
        ["@930 rev1 dir2 0..30 talk 25 answer 5 partial"]
    );
    let at_the_end = stream(records().map(|(_, record)| record));
    assert_eq!(summary(&at_the_end[0].cdr), "dir2 0..30 talk 25 answer 5", "not at the end of an input");
}

#[test]
fn a_leg_that_never_ends_closes_after_max_idle() {
    let [_, a] = simple_call();
    let x = caller("x", 0., 0.).alive().bridge("a", 5., 29.5).written(6.);
    let found = play(&mut live(quiet()), [(6., x.0), (29.5, a.0)], 20_000.);
    assert_eq!(
        found,
        ["@14429.5 rev1 dir2 0..29 ring 3 talk 24 answer 5 partial fRng=a lRng=a ans=a lAns=a"]
    );
}

#[test]
fn an_outgoing_call_needs_a_bridge_between_known_legs() {
    let alone = [(30., outside("x", 0., 30.).rang(2.).answered(5.).0)];
    let found = play(&mut live(quiet()), alone, 20_000.);
    assert_eq!(found, ["@14430 rev1 dir3 0..30 ring 3"]);
    let both = [
        (29., desk("a", 1., 29.).rang(2.).answered(5.).0),
        (30., outside("x", 0., 30.).rang(2.).answered(6.).bridge("a", 6., 29.).0),
    ];
    let found = play(&mut live(quiet()), both, 20_000.);
    assert_eq!(found, ["@33 rev1 dir3 0..30 ring 4 talk 23 answer 6 fRng=a lRng=a ans=a lAns=a"]);
}

#[test]
fn a_late_leg_opens_the_session_again_and_only_a_difference_goes_out() {
    let [x, a] = simple_call();
    let mut machine = live(quiet());
    play(&mut machine, [(29.5, a.0), (30., x.0)], 40.);
    let note = event("x", 29., LegEvent::Updated);
    let mut tagged = note.clone();
    tagged.fields.cause = "NORMAL_CLEARING".into();
    let silent = play(&mut machine, [(50., note), (51., event("x", 41., LegEvent::Updated))], 60.);
    assert_eq!(silent, Vec::<String>::new(), "a later last time changes no key");
    assert_eq!(machine.stats().unchanged, 1);
    let found = play(&mut machine, [(70., tagged)], 80.);
    assert_eq!(found, [format!("@73 rev2 {SIMPLE}")]);
}

#[test]
fn a_leg_that_comes_after_late_is_refused_by_the_stub_and_a_repeat_dropped() {
    let [x, a] = simple_call();
    let mut machine = live(quiet());
    play(&mut machine, [(29.5, a.0), (30., x.0.clone())], 633.1);
    assert_eq!((machine.stats().kept_sessions, machine.stats().stub_legs), (0, 2));
    machine.handle(at(700.), x.0);
    assert_eq!(machine.poll(), None, "said before: dropped");
    let mut changed = event("x", 699., LegEvent::Updated);
    changed.fields.cause = "OTHER".into();
    machine.handle(at(700.), changed);
    machine.handle(at(700.), caller("n", 20., 30.).link("a").0);
    let reasons: Vec<Refusal> = std::iter::from_fn(|| machine.poll())
        .map(|output| match output {
            Output::DeadLetter { reason, .. } => reason,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(reasons, [Refusal::TooLate, Refusal::TooLate]);
    machine.handle_timeout(at(633. + 86_400.));
    assert_eq!(machine.stats().stub_legs, 0);
}

#[test]
fn a_leg_that_came_too_late_makes_the_record_that_it_would_have_made_and_is_a_repeat_from_then_on() {
    let [x, a] = simple_call();
    let late = desk("n", 12., 30.).link("a").answered(21.).bridge("x", 21., 29.).0;
    let mut machine = live(quiet());
    machine.handle(at(29.5), a.0.clone());
    machine.handle(at(30.), x.0.clone());
    machine.handle_timeout(at(33.1));
    let before = envelopes(&mut machine).remove(0);
    machine.handle_timeout(at(633.1));
    machine.handle(at(700.), late.clone());
    assert!(matches!(machine.poll(), Some(Output::DeadLetter { reason: Refusal::TooLate, .. })));
    let settings = Arc::new(Settings::default());
    let again = ringpost_session::rework(&settings, &before, std::slice::from_ref(&late)).unwrap();
    let [whole] = &offline([a.0, x.0, late.clone()])[..] else { panic!("one call") };
    assert_eq!(
        (&again.session, &again.legs, &again.timeline),
        (&before.session, &whole.legs, &whole.timeline)
    );
    assert_eq!(summary(&again.cdr), summary(&whole.cdr));
    assert_eq!(machine.amend(at(701.), &before.tenant, before.session, before.rev), Some(2));
    machine.learn(&before, std::slice::from_ref(&late));
    machine.handle(at(702.), late);
    assert_eq!(machine.poll(), None, "a repeat");
}

#[test]
fn a_record_that_does_not_come_out_of_its_legs_is_left_as_it_is() {
    let [x, a] = simple_call();
    let late = desk("n", 12., 30.).link("a").0;
    let mut before = stream([a.0, x.0]).remove(0);
    let settings = Arc::new(Settings::default());
    let reworked =
        |before: &Envelope| ringpost_session::rework(&settings, before, std::slice::from_ref(&late));
    assert!(reworked(&before).is_ok());
    before.cdr.talk += 1;
    assert_eq!(reworked(&before), Err(ringpost_session::Unworkable::NotOfItsLegs));
    before.legs.clear();
    assert_eq!(reworked(&before), Err(ringpost_session::Unworkable::NoLegs));
}

#[test]
fn without_stubs_a_leg_after_late_is_a_session_of_its_own() {
    let [x, a] = simple_call();
    let records = [a.0, x.0, caller("n", 700., 710.).link("i1").0];
    assert_eq!(stream(records).len(), 2);
}

#[test]
fn a_session_is_kept_while_an_open_one_names_its_leg() {
    // The room ends early and is known before; the caller stays for long and names it.
    let mut machine = live(quiet());
    let room = machine_leg();
    machine.handle(at(1.), caller("x", 0., 0.).alive().written(1.).link("p").bridge("c", 1., 20.).0);
    machine.handle(at(20.), room);
    machine.handle(at(30.), caller("y", 1., 30.).link("c").0);
    machine.handle_timeout(at(34.));
    assert_eq!(envelopes(&mut machine).len(), 1, "y's session, with the room");
    machine.handle_timeout(at(5_000.));
    assert_eq!(machine.stats().kept_sessions, 1, "named by the open session of x");
    machine.handle_timeout(at(20_000.));
    assert_eq!((machine.stats().kept_sessions, machine.stats().live_sessions), (0, 0));
}

fn machine_leg() -> LegRecord {
    machine("c", ringpost_model::Service::Conference, 1., 20.).link("c2").0
}

#[test]
fn three_emitted_sessions_become_one_under_the_earliest() {
    let legs = ["p", "q", "r"].map(|link| caller(link, if link == "q" { 0. } else { 1. }, 10.).link(link).0);
    let mut tie = event("p", 20., LegEvent::Updated);
    tie.links = vec!["q".into(), "r".into()];
    let records = stream(legs.into_iter().chain([tie]));
    assert_eq!(records.len(), 4);
    let last = &records[3].cdr;
    let ids: Vec<_> = records[..3].iter().map(|envelope| envelope.cdr.id).collect();
    let q = records.iter().find(|envelope| envelope.legs[0].leg.as_str() == "q").unwrap().cdr.id;
    assert_eq!((last.id, last.rev), (q, 2));
    let mut others: Vec<_> = ids.into_iter().filter(|id| *id != q).collect();
    others.sort_unstable();
    assert_eq!(last.replaces, others);
}

#[test]
fn a_link_of_too_many_legs_ties_nobody_and_marks_them_partial() {
    let legs = |count: usize| {
        (0..count).map(|at| caller(&format!("x{at:04}"), at as f64, at as f64 + 0.5).link("everybody").0)
    };
    assert_eq!(offline(legs(1_000)).len(), 1);
    let broken = offline(legs(1_001));
    assert_eq!(broken.len(), 1_001);
    assert!(broken.iter().all(|envelope| envelope.cdr.partial));
    // In a stream the open session falls apart when the link breaks; the parts close by their own last records.
    let played = stream(legs(1_010));
    assert_eq!(played.len(), 1_010);
    assert!(played.iter().all(|envelope| envelope.cdr.partial));
}

#[test]
fn what_closed_as_one_session_stays_one_when_its_link_breaks() {
    // A thousand legs close together; the next one breaks their link and is a call of its own.
    let leg = |at: u32, begin: f64| caller(&format!("x{at:04}"), begin, begin + 0.5).link("everybody").0;
    let together = (0..1_000).map(|at| leg(at, f64::from(at)));
    let after = (1_000..1_003).map(|at| leg(at, f64::from(at) + 10.));
    let mut correction = event("x0000", 1_100., LegEvent::Updated);
    correction.fields.cause = "NORMAL_CLEARING".into();
    let played = stream(together.chain(after).chain([correction]));
    let sizes: Vec<usize> = played.iter().map(|envelope| envelope.legs.len()).collect();
    assert_eq!(sizes, [1_000, 1, 1, 1, 1_000]);
    assert!(!played[0].cdr.partial && played[4].cdr.partial && played[4].rev == 2);
}

#[test]
fn a_full_session_closes_partial_and_further_legs_go_to_the_dead_letters() {
    let mut machine = live(Config { max_legs: 3, ..quiet() });
    for n in 0..5 {
        machine.handle(at(30.), caller(&format!("x{n}"), f64::from(n), 30.).0);
    }
    let mut records = 0;
    let mut refused = Vec::new();
    while let Some(output) = machine.poll() {
        match output {
            Output::Record(envelope) => {
                records += 1;
                assert!(envelope.cdr.partial);
                assert_eq!(envelope.legs.len(), 3);
            }
            Output::DeadLetter { record, reason } => refused.push((record.leg.to_string(), reason)),
            Output::Event(_) => {}
        }
    }
    assert_eq!(records, 1);
    assert_eq!(refused, [("x3".to_owned(), Refusal::SessionFull), ("x4".to_owned(), Refusal::SessionFull)]);
}

#[test]
fn a_full_session_by_bytes_refuses_more_of_its_own_legs_too() {
    let mut machine = live(Config { max_session_bytes: 300, ..quiet() });
    machine.handle(at(1.), caller("x", 0., 0.).alive().written(1.).0);
    for n in 0..20 {
        let mut more = event("x", 2. + f64::from(n), LegEvent::Updated);
        more.fields.cause = "A_LONG_CAUSE_THAT_FILLS_THE_SESSION".into();
        machine.handle(at(2. + f64::from(n)), more);
    }
    let stats = machine.stats();
    assert_eq!(stats.capped, 1);
    assert!(stats.session_full > 10, "{stats:?}");
}

#[test]
fn a_leg_that_turns_out_to_be_a_machine_no_longer_ties_those_it_met() {
    let mut machine = live(quiet());
    machine.handle(at(1.), caller("x", 0., 0.).alive().written(1.).link("p").bridge("c", 1., 20.).0);
    machine.handle(at(2.), caller("y", 0., 0.).alive().written(2.).link("q").bridge("c", 2., 20.).0);
    machine.handle(at(2.), event("c", 1., LegEvent::Created));
    assert_eq!(machine.stats().live_sessions, 1);
    let mut told = event("c", 3., LegEvent::Updated);
    told.fields.side = Some(Side::Service);
    told.fields.service = Some(ringpost_model::Service::Conference);
    machine.handle(at(3.), told);
    assert_eq!(machine.stats().live_sessions, 3);
}

#[test]
fn a_session_without_a_person_is_counted_and_not_emitted() {
    let mut machine = live(quiet());
    let found = play(&mut machine, [(20., machine_leg())], 20_000.);
    assert_eq!(found, Vec::<String>::new());
    assert_eq!(machine.stats().without_person, 1);
}

#[test]
fn tenants_and_pbxs_never_meet() {
    let mut other = caller("y", 0., 30.).0;
    other.pbx = ringpost_model::PbxKey::new("k2").unwrap();
    assert_eq!(offline([caller("x", 0., 30.).0, other]).len(), 2);
}

#[test]
fn call_events_tell_each_thing_once_and_at_once() {
    let mut machine = live(Config::default());
    let mut told = Vec::new();
    let mut ring = event("a", 2., LegEvent::Ringing);
    ring.fields = desk("a", 1., 2.).0.fields;
    ring.links = vec!["i1".into()];
    let mut begin = event("x", 0., LegEvent::Created);
    begin.fields = caller("x", 0., 1.).0.fields;
    begin.links = vec!["i1".into()];
    let bridged = LegEvent::Bridged { with: crate::build::id("a") };
    let records = [
        begin,
        ring.clone(),
        ring,
        event("a", 5., LegEvent::Answered),
        event("x", 5., bridged),
        event("a", 20., LegEvent::Held),
        event("a", 25., LegEvent::Resumed),
        event("x", 30., LegEvent::Ended),
        event("a", 30., LegEvent::Ended),
    ];
    for record in records {
        let now = record.stream_time();
        machine.handle(now, record);
        while let Some(output) = machine.poll() {
            if let Output::Event(event) = output {
                let kind = match event.event {
                    CallEventKind::LegBridged { with } => format!("bridged with {with}"),
                    other => format!("{other:?}").split([' ', '{']).next().unwrap().to_owned(),
                };
                told.push(format!("{} {kind}", event.leg));
            }
        }
    }
    machine.handle_timeout(Timestamp::from_micros(at(40.).micros()));
    let last = std::iter::from_fn(|| machine.poll()).last();
    assert!(matches!(last, Some(Output::Event(event)) if event.event == CallEventKind::CallHangup));
    let expected = [
        "x LegCreated",
        "a LegCreated",
        "a LegRinging",
        "a CallRinging",
        "a LegAnswered",
        "x bridged with a",
        "x CallAnswered",
        "a LegHeld",
        "a LegResumed",
        "x LegEnded",
        "a LegEnded",
    ];
    // The answer of the desk is the first talk already: nobody has reported a bridge yet.
    let expected: Vec<String> = expected.iter().map(|line| (*line).to_owned()).collect();
    assert_eq!(told.len(), expected.len(), "{told:?}");
    for line in &expected {
        let same = |other: &&String| other.split(' ').nth(1) == line.split(' ').nth(1);
        assert!(told.iter().any(|other| same(&other)), "{line} is missing in {told:?}");
    }
}

/// The id that the first record of the simple call has, put out at 33.
fn emitted(machine: &mut Machine) -> ringpost_model::SessionId {
    let [x, a] = simple_call();
    machine.handle(at(29.5), a.0);
    machine.handle(at(30.), x.0);
    machine.handle_timeout(at(40.));
    envelopes(machine)[0].session
}

fn acme() -> TenantKey {
    TenantKey::new("acme").expect("a key")
}

/// As after a restart.
fn restored(machine: &mut Machine, kept: &mut std::collections::BTreeMap<Vec<u8>, Vec<u8>>) -> Machine {
    for change in machine.take_changes() {
        match change.value {
            Some(value) => kept.insert(change.key, value),
            None => kept.remove(&change.key),
        };
    }
    Machine::restore(quiet(), Arc::new(Settings::default()), kept.clone()).expect("the state that was kept")
}

#[test]
fn a_record_that_is_made_anew_gets_the_next_revision_and_a_correction_the_one_after() {
    let mut machine = live(quiet());
    let id = emitted(&mut machine);
    assert_eq!(machine.amend(at(50.), &acme(), id, 1), Some(2));
    assert_eq!(machine.amend(at(51.), &acme(), id, 1), None, "it was made from what is no longer the last");
    assert_eq!(machine.stats().stale_amendments, 1);
    let mut machine = restored(&mut machine, &mut Default::default());
    assert_eq!(machine.amend(at(52.), &acme(), id, 1), None, "a restart forgets nothing");
    let late = desk("b", 1., 29.5).rang(2.);
    let found = play(&mut machine, [(60., late.0)], 70.);
    assert_eq!(found.len(), 1);
    assert!(found[0].starts_with("@63 rev3 "), "{found:?}");
    assert_eq!(machine.amend(at(71.), &acme(), id, 2), None);
    assert_eq!(machine.amend(at(71.), &acme(), id, 3), Some(4));
}

#[test]
fn a_record_that_says_the_same_stays_out_after_one_that_was_made_anew() {
    let mut machine = live(quiet());
    let id = emitted(&mut machine);
    assert_eq!(machine.amend(at(50.), &acme(), id, 1), Some(2));
    // Re-opened by what changes nothing in the record.
    let found = play(&mut machine, [(60., caller("x", 0., 30.).bridge("a", 5., 30.).link("again").0)], 70.);
    assert_eq!(found, [""; 0]);
}

#[test]
fn a_forgotten_calls_record_is_made_anew_once() {
    let mut machine = live(quiet());
    let id = emitted(&mut machine);
    let mut kept = Default::default();
    let hour = 3_600.;
    machine.handle_timeout(at(2. * hour));
    assert_eq!(machine.stats().kept_sessions, 0);
    let mut machine = restored(&mut machine, &mut kept);
    assert_eq!(machine.amend(at(2. * hour), &acme(), id, 1), Some(2));
    assert_eq!(machine.amend(at(2. * hour), &acme(), id, 1), None);
    // After a day nothing is known of it but what its record says.
    machine.handle_timeout(at(30. * hour));
    let mut machine = restored(&mut machine, &mut kept);
    assert_eq!(kept.len(), 1, "only the time of the stream is kept: {kept:?}");
    assert_eq!(machine.amend(at(31. * hour), &acme(), id, 2), Some(3));
}

#[test]
fn everything_that_is_kept_of_a_call_names_its_tenant_so_that_it_can_move_with_it() {
    let mut machine = live(quiet());
    let id = emitted(&mut machine);
    let mut kept = Default::default();
    assert_eq!(machine.amend(at(50.), &acme(), id, 1), Some(2));
    let mut machine = restored(&mut machine, &mut kept);
    let mut seen: Vec<String> = Vec::new();
    for when in [50., 7_200.] {
        machine.handle_timeout(at(when));
        machine = restored(&mut machine, &mut kept);
        seen.extend(kept.keys().map(|key| {
            let whose = ringpost_session::whose(key).expect("an entry");
            format!("@{when} {:?} {:?}", whose.kind, whose.tenant)
        }));
    }
    assert_eq!(
        seen,
        [
            "@50 Time None",
            "@50 Revision Some(\"acme\")",
            "@50 Session Some(\"acme\")",
            "@7200 Stub Some(\"acme\")",
            "@7200 Time None",
            "@7200 Revision Some(\"acme\")",
        ]
    );
}

#[test]
fn what_an_older_version_kept_without_its_tenant_is_known_and_forgotten_like_the_rest() {
    let mut machine = live(quiet());
    let id = emitted(&mut machine);
    assert_eq!(machine.amend(at(50.), &acme(), id, 1), Some(2));
    machine.handle_timeout(at(7_200.));
    let mut kept = Default::default();
    restored(&mut machine, &mut kept);
    let unnamed = |key: &[u8]| if key[0] == b'm' { key.to_vec() } else { key[..17].to_vec() };
    let mut kept = kept.into_iter().map(|(key, value)| (unnamed(&key), value)).collect();
    let mut machine = restored(&mut live(quiet()), &mut kept);
    // A repeat, and the revision after the one that was given.
    machine.handle(at(7_201.), simple_call()[1].0.clone());
    assert_eq!(machine.poll(), None);
    assert_eq!(machine.amend(at(7_202.), &acme(), id, 2), Some(3));
    let mut machine = restored(&mut machine, &mut kept);
    assert_eq!(kept.keys().filter(|key| key[0] == b'r').count(), 1, "{kept:?}");
    machine.handle_timeout(at(40. * 3_600.));
    restored(&mut machine, &mut kept);
    assert_eq!(kept.len(), 1, "only the time of the stream is kept: {kept:?}");
}
