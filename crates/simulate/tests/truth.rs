//! The machine and the truth agree on simulated traffic; larger runs by the example `check`.

#[path = "../examples/check/play.rs"]
mod play;

use ringpost_model::Dialect;
use ringpost_simulate::{Difference, Params, Run};

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
