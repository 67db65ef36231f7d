//! The machine and the truth agree on simulated traffic; larger runs by the example `check`.

#[path = "../examples/check/play.rs"]
mod play;

use std::sync::Arc;

use ringpost_ingest::{Source, decode};
use ringpost_model::{Dialect, EventReport, Fields, LegEvent, LegRecord, Report};
use ringpost_session::{Config, Machine, Output, Settings, rework};
use ringpost_simulate::{Difference, Message, Params, Run, Simulation, compare};

fn check(dialect: Dialect, run: Run, calls: u64, seed: u64) {
    let params = Params { calls, seed, dialect, ..Params::default() };
    let (report, refused) = play::play(params, run, 5);
    assert!(report.is_equal() && refused.is_empty(), "{report}{}", refused.join("\n"));
    assert!(report.equal as u64 >= calls, "every call has a record");
}

#[test]
fn every_call_of_a_day_comes_out_as_it_happened() {
    check(Dialect::Native, Run::Offline, 1_500, 2026);
}

#[test]
fn the_last_revision_of_a_live_stream_is_what_happened() {
    check(Dialect::Native, Run::Stream, 1_500, 2027);
}

#[test]
fn documents_of_a_freeswitch_come_out_as_it_happened() {
    check(Dialect::FreeswitchCdr, Run::Offline, 500, 2028);
}

#[test]
fn messages_of_a_kazoo_come_out_as_it_happened() {
    check(Dialect::Kazoo, Run::Offline, 1_000, 2032);
    check(Dialect::Kazoo, Run::Stream, 500, 2033);
}

#[test]
fn events_of_a_freeswitch_come_out_as_it_happened() {
    check(Dialect::FreeswitchEvent, Run::Offline, 1_000, 2034);
    check(Dialect::FreeswitchEvent, Run::Stream, 500, 2035);
}

#[test]
fn channel_events_of_an_asterisk_come_out_as_it_happened() {
    check(Dialect::AsteriskCel, Run::Offline, 500, 2029);
}

/// What call detail records do not tell: when a phone rang, so who rang first and last, and parks. Where two desks
/// answer within a second, which was the later one. On internal calls the end is that of the rows, which is up to a
/// second earlier than that of the last leg. Of a call that was parked, the moments of talk before the park was left.
const UNTOLD: [&str; 10] = [
    "ring",
    "park",
    "lostinPark",
    "aban",
    "fRngDevNum",
    "fRngDevName",
    "lRngDevNum",
    "lRngDevName",
    "lAnsDevNum",
    "lAnsDevName",
];
const UNTOLD_INSIDE: [&str; 2] = ["end", "dur"];

#[test]
fn call_detail_records_of_an_asterisk_tell_who_spoke_how_long() {
    let params = Params { calls: 800, seed: 2030, dialect: Dialect::AsteriskCdr, ..Params::default() };
    let (report, refused) = play::play(params, Run::Offline, usize::MAX);
    assert_eq!((report.missing, report.extra, refused.len()), (0, 0, 0), "{report}");
    let is_wrong = |keys: &[Difference]| {
        let parked = keys.iter().any(|difference| difference.key == "park");
        let untold =
            |key: &str| UNTOLD.contains(&key) || UNTOLD_INSIDE.contains(&key) || (parked && key == "talk");
        keys.iter().any(|difference| !untold(&difference.key))
    };
    let wrong: Vec<_> = report.examples.iter().filter(|example| is_wrong(&example.keys)).collect();
    assert!(wrong.is_empty(), "{} of {}: {wrong:#?}", wrong.len(), report.equal + report.different);
}

/// What is not known where every row comes alone (docs/dialects/asterisk-cel.md): queues' names, and what rules for
/// incoming calls made of a number.
const UNTOLD_BY_ROW: [&str; 5] = ["cliNum", "cliName", "fRngGroupName", "lRngGroupName", "ansGroupName"];

#[test]
fn channel_events_that_come_row_by_row_tell_the_same_but_for_names() {
    let params = Params { calls: 500, seed: 2031, dialect: Dialect::AsteriskCel, ..Params::default() };
    let mut simulation = Simulation::new(params);
    let mut machine = Machine::new(Config::offline(), Arc::new(Settings::default()));
    let mut truth = Vec::new();
    while let Some(message) = simulation.next() {
        while let Some(expected) = simulation.next_truth() {
            // Rows that do not name their bridges are put together by their order, which one row does not have.
            if expected.pbx.as_str() != "pune" {
                truth.push(serde_json::to_string(&expected.cdr).unwrap());
            }
        }
        if message.pbx.as_str() != "pune" {
            by_row(&message, &mut machine);
        }
    }
    machine.finish();
    let mut records = Vec::new();
    while let Some(output) = machine.poll() {
        if let Output::Record(envelope) = output {
            records.push(serde_json::to_string(&envelope.cdr).unwrap());
        }
    }
    let truth = truth.iter().map(String::as_str);
    let report = compare(truth, records.iter().map(String::as_str), Run::Offline, usize::MAX);
    let is_told = |difference: &Difference| !UNTOLD_BY_ROW.contains(&&*difference.key);
    let wrong: Vec<_> = report.examples.iter().filter(|call| call.keys.iter().any(is_told)).collect();
    assert!(
        wrong.is_empty() && report.missing + report.extra == 0,
        "{wrong:#?} {} {}",
        report.missing,
        report.extra
    );
}

fn by_row(message: &Message, machine: &mut Machine) {
    let source =
        Source { tenant: Some(message.tenant.clone()), pbx: Some(message.pbx.clone()), ..Source::default() };
    let mut rows: Vec<&[u8]> = message.body.split(|byte| *byte == b'\n').collect();
    let header = rows[0].starts_with(b"eventtype,").then(|| rows.remove(0));
    for row in rows {
        let decoded = decode(Dialect::AsteriskCel, &Source { header, ..source.clone() }, row);
        assert_eq!(decoded.rejects, []);
        for record in decoded.records {
            machine.handle(message.at, record);
        }
    }
}

/// A call that was forgotten is worked out again from its record alone, with what came too late for it.
#[test]
fn a_record_comes_out_of_the_legs_that_it_carries_whichever_switch_told_them() {
    let dialects = [Dialect::Native, Dialect::FreeswitchCdr, Dialect::Kazoo, Dialect::FreeswitchEvent];
    for (seed, dialect) in (2040..).zip(dialects) {
        let simulation = Simulation::new(Params { calls: 300, seed, dialect, ..Params::default() });
        let settings = Arc::new(Settings::default());
        let mut machine = Machine::new(Config::offline(), Arc::clone(&settings));
        for Message { tenant, pbx, body, .. } in simulation {
            let source = Source { tenant: Some(tenant), pbx: Some(pbx), ..Source::default() };
            for record in decode(dialect, &source, &body).records {
                machine.handle(record.stream_time(), record);
            }
        }
        machine.finish();
        let mut differ = Vec::new();
        let mut count = 0;
        while let Some(output) = machine.poll() {
            let Output::Record(before) = output else { continue };
            count += 1;
            let late = LegRecord {
                tenant: before.tenant.clone(),
                pbx: before.pbx.clone(),
                leg: before.legs[0].leg.clone(),
                links: Vec::new(),
                fields: Fields::default(),
                recordings: Vec::new(),
                tags: std::iter::once(("disposition".into(), "sale".into())).collect(),
                report: Report::Event(EventReport { at: before.legs[0].created, event: LegEvent::Updated }),
            };
            let mut expected = before.cdr.clone();
            expected.tags.insert("disposition".into(), "sale".into());
            match rework(&settings, &before, &[late]) {
                Ok(again) if again.cdr == expected => {}
                other => differ.push(format!("{:?}\n{expected:?}", other.map(|again| again.cdr))),
            }
        }
        assert!(count >= 300, "{dialect:?}: {count} records");
        assert!(differ.is_empty(), "{dialect:?}: {} of {count} differ:\n{}", differ.len(), differ[0]);
    }
}
