//! Runs as a table, one line for each kind of fault.

use clap::ValueEnum;

use crate::fault::Fault;
use crate::outcome::Outcome;

pub(crate) fn of(outcomes: &[Outcome]) -> String {
    let mut text = "| fault | runs | times | legs | records | lost | repeated | wrong | given up | deliveries | lost | repeats \
                    | overtaken | wrong | recovery, at worst |\n|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n"
        .to_owned();
    for fault in Fault::value_variants() {
        let of: Vec<&Outcome> = outcomes.iter().filter(|outcome| outcome.fault == *fault).collect();
        if of.is_empty() {
            continue;
        }
        let sum = |what: fn(&Outcome) -> usize| of.iter().map(|outcome| what(outcome)).sum::<usize>();
        let recovery = of.iter().filter_map(|outcome| outcome.recovery).max();
        let recovery = recovery.map_or("-".to_owned(), |worst| format!("{:.1} s", worst.as_secs_f64()));
        let counts = [
            of.len(),
            sum(|outcome| outcome.times),
            sum(|outcome| outcome.legs),
            sum(|outcome| outcome.verdict.records),
            sum(|outcome| outcome.verdict.lost.len()),
            sum(|outcome| outcome.verdict.repeated.len()),
            sum(|outcome| outcome.verdict.wrong.len()),
            sum(|outcome| outcome.given_up),
            sum(|outcome| outcome.told.deliveries),
            sum(|outcome| outcome.told.lost.len()),
            sum(|outcome| outcome.told.repeats),
            sum(|outcome| outcome.told.overtaken.len()),
            sum(|outcome| outcome.told.wrong.len()),
        ];
        let counts = counts.map(|count| count.to_string()).join(" | ");
        text += &format!("| {fault} | {counts} | {recovery} |\n");
    }
    text
}
