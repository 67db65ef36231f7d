//! How many live sessions a tenant may have, and what becomes of the legs beyond.

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;
use ringpost_model::{Envelope, LegRecord, Limits, Tenant, TenantId, TenantKey, Timestamp};
use ringpost_session::{Config, Machine, Output, Refusal, Settings};

use crate::build::{at, caller, desk};

fn limited(max_live: usize) -> Machine {
    let config = Config { events: false, max_live, ..Config::default() };
    Machine::new(config, Arc::new(Settings::default()))
}

/// Everybody's limit is another.
fn settings(tenant: &str, max_live: u32) -> Arc<Settings> {
    let tenant = Tenant {
        limits: Limits { max_live: Some(max_live) },
        ..Tenant::new(TenantId(uuid::Uuid::nil()), TenantKey::new(tenant).expect("a key"))
    };
    Arc::new(Settings::new(&[tenant], &[]).expect("no region"))
}

/// A call of two legs that name each other.
fn call(tenant: &str, number: usize) -> [LegRecord; 2] {
    let (x, a) = (format!("x{number}"), format!("a{number}"));
    let legs = [caller(&x, 0., 30.).bridge(&a, 5., 30.), desk(&a, 1., 29.5).rang(2.).answered(5.)];
    let links = vec![format!("call {number}").as_str().into()];
    legs.map(|leg| LegRecord {
        tenant: TenantKey::new(tenant).expect("a key"),
        links: links.clone(),
        ..leg.0
    })
}

/// What came out: records, and legs refused for the limit.
fn drain(machine: &mut Machine) -> (Vec<Envelope>, Vec<LegRecord>) {
    let (mut records, mut refused) = (Vec::new(), Vec::new());
    while let Some(output) = machine.poll() {
        match output {
            Output::Record(envelope) => records.push(*envelope),
            Output::DeadLetter { record, reason } => {
                assert_eq!(reason, Refusal::TooManyLive);
                refused.push(*record);
            }
            Output::Event(_) => {}
        }
    }
    (records, refused)
}

fn printed(envelopes: &[Envelope]) -> BTreeSet<String> {
    let print = |envelope: &Envelope| serde_json::to_string(&envelope.cdr).expect("a record is printed");
    envelopes.iter().map(print).collect()
}

fn live(machine: &Machine) -> u64 {
    machine.stats().live_sessions
}

#[test]
fn a_leg_that_would_begin_one_call_too_many_is_refused_and_those_of_calls_that_live_are_taken() {
    let mut machine = limited(2);
    let [first, second, third] = [call("acme", 1), call("acme", 2), call("acme", 3)];
    for leg in [&first[0], &second[0], &third[0], &third[1], &first[1], &second[1]] {
        machine.handle(at(30.), leg.clone());
    }
    let (records, refused) = drain(&mut machine);
    assert_eq!((records.len(), live(&machine)), (0, 2));
    assert_eq!(refused, third);
    assert_eq!(machine.stats().too_many_live, 2);
    machine.handle_timeout(at(60.));
    assert_eq!((drain(&mut machine).0.len(), live(&machine)), (2, 0));
    // There is room again: what was refused can be sent again.
    third.into_iter().for_each(|leg| machine.handle(at(61.), leg));
    machine.handle_timeout(at(90.));
    let (records, refused) = drain(&mut machine);
    assert_eq!((records.len(), refused.len()), (1, 0));
    assert!(!records[0].cdr.partial);
}

#[test]
fn the_limit_is_of_all_pbxs_of_the_tenant_together() {
    let mut machine = limited(1);
    let [leg, _] = call("acme", 1);
    let other = LegRecord { pbx: ringpost_model::PbxKey::new("other").unwrap(), ..leg.clone() };
    machine.handle(at(30.), leg);
    machine.handle(at(30.), other);
    assert_eq!((drain(&mut machine).1.len(), live(&machine)), (1, 1));
}

#[test]
fn a_tenant_has_its_own_limit_and_a_raised_one_holds_at_once() {
    let mut machine = limited(100);
    machine.set_settings(settings("acme", 1));
    for number in 0..3 {
        machine.handle(at(30.), call("acme", number)[0].clone());
        machine.handle(at(30.), call("rival", number)[0].clone());
    }
    let (_, refused) = drain(&mut machine);
    assert_eq!((refused.len(), live(&machine)), (2, 4));
    assert!(refused.iter().all(|leg| leg.tenant.as_str() == "acme"));
    machine.set_settings(settings("acme", 3));
    refused.into_iter().for_each(|leg| machine.handle(at(30.), leg));
    assert_eq!((drain(&mut machine).1.len(), live(&machine)), (0, 6));
}

#[test]
fn a_correction_of_a_closed_call_is_taken_at_the_limit() {
    let mut machine = limited(1);
    let [x, a] = call("acme", 1);
    machine.handle(at(30.), x.clone());
    machine.handle(at(30.), a);
    machine.handle_timeout(at(40.));
    machine.handle(at(41.), call("acme", 2)[0].clone());
    let mut late = x;
    late.links.push("said later".into());
    machine.handle(at(42.), late);
    assert_eq!(drain(&mut machine).1, []);
}

#[test]
fn after_a_restart_as_many_live_as_before() {
    let config = Config { events: false, max_live: 2, ..Config::default() };
    let mut machine = limited(2);
    // One of the three is closed, and kept.
    call("acme", 1).into_iter().for_each(|leg| machine.handle(at(30.), leg));
    machine.handle_timeout(at(40.));
    machine.handle(at(41.), call("acme", 2)[0].clone());
    machine.handle(at(41.), call("acme", 3)[0].clone());
    let state = machine.take_changes().into_iter();
    let state: Vec<_> = state.filter_map(|change| Some((change.key, change.value?))).collect();
    let mut machine = Machine::restore(config, Arc::new(Settings::default()), state).unwrap();
    assert_eq!(live(&machine), 2);
    machine.handle(at(42.), call("acme", 4)[0].clone());
    assert_eq!(drain(&mut machine).1.len(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Nothing is lost: what was refused, sent again when there is room, gives the records there would have been.
    #[test]
    fn what_the_limit_refuses_is_whole_once_it_is_sent_again(
        calls in 1_usize..12,
        max_live in 1_usize..6,
        order in prop::collection::vec(0_usize..1000, 24),
    ) {
        let mut legs: Vec<LegRecord> = (0..calls).flat_map(|number| call("acme", number)).collect();
        let mut keys = order.iter().cycle();
        legs.sort_by_cached_key(|_| keys.next().copied());
        let mut machine = limited(max_live);
        for leg in &legs {
            machine.handle(at(30.), leg.clone());
            prop_assert!(live(&machine) <= max_live as u64);
        }
        let (_, refused) = drain(&mut machine);
        prop_assert_eq!(machine.stats().too_many_live, refused.len() as u64);
        prop_assert_eq!(machine.stats().accepted, legs.len() as u64);
        prop_assert_eq!(machine.stats().legs + refused.len() as u64, legs.len() as u64);
        machine.set_settings(settings("acme", 1_000));
        refused.into_iter().for_each(|leg| machine.handle(at(30.), leg));
        machine.handle_timeout(at(60.));
        let mut free = limited(usize::MAX);
        legs.into_iter().for_each(|leg| free.handle(at(30.), leg));
        free.handle_timeout(at(60.));
        prop_assert_eq!(printed(&drain(&mut machine).0), printed(&drain(&mut free).0));
    }

    /// One tenant's flood is nothing to another.
    #[test]
    fn a_flood_of_one_tenant_changes_nothing_for_another(
        flood in prop::collection::vec((0_usize..50, 0_i32..600), 0..60),
        calls in 1_usize..4,
    ) {
        let mut told: Vec<(i32, LegRecord)> = Vec::new();
        for number in 0..calls {
            let when = 30 + 100 * i32::try_from(number).unwrap();
            told.extend(call("quiet", number).map(|leg| (when, leg)));
        }
        let alone = told.clone();
        told.extend(flood.into_iter().map(|(number, when)| (when, call("loud", number)[0].clone())));
        told.sort_by_key(|(when, _)| *when);
        let run = |told: Vec<(i32, LegRecord)>| {
            let mut machine = limited(4);
            for (when, leg) in told {
                machine.handle(at(f64::from(when)), leg);
            }
            machine.handle_timeout(Timestamp::from_micros(at(900.).micros()));
            let (mut records, refused) = drain(&mut machine);
            records.retain(|envelope| envelope.tenant.as_str() == "quiet");
            let is_loud = refused.iter().all(|leg| leg.tenant.as_str() == "loud");
            (printed(&records), is_loud)
        };
        prop_assert_eq!(run(told), run(alone));
    }
}
