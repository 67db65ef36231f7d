//! The machine and the truth agree on simulated traffic; larger runs by the example `check`.

#[path = "../examples/check/play.rs"]
mod play;

use ringpost_model::Dialect;
use ringpost_simulate::{Params, Run};

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
