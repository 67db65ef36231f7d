//! Many seeds, on all processors. Each world has one thread to itself, so that nothing of another is in it.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;

use crate::counts::Counts;
use crate::world::Outcome;

/// After so many failures no more seeds are begun.
const ENOUGH: usize = 20;

/// How far it is.
#[derive(Debug, Default)]
pub struct Progress {
    /// Seeds that are over.
    pub done: u64,
    /// Those that failed, by seed.
    pub failed: Vec<Outcome>,
    /// How much of what there was.
    pub counts: Counts,
}

/// Runs seeds, each by `run`, and tells of each that is over.
pub fn run_many(
    seeds: Range<u64>,
    run: fn(u64, bool) -> Outcome,
    mut progress: impl FnMut(&Progress),
) -> Progress {
    let next = AtomicU64::new(seeds.start);
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let (told, outcomes) = mpsc::sync_channel(workers);
    let mut end = Progress::default();
    thread::scope(|scope| {
        for _ in 0..workers {
            let (told, next, last) = (told.clone(), &next, seeds.end);
            scope.spawn(move || {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= last || told.send(run(seed, false)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(told);
        for outcome in outcomes {
            end.done += 1;
            end.counts.add(&outcome.counts);
            if !outcome.wrong.is_empty() {
                end.failed.push(outcome);
            }
            progress(&end);
            if end.failed.len() >= ENOUGH {
                next.store(seeds.end, Ordering::Relaxed);
            }
        }
    });
    end.failed.sort_by_key(|outcome| outcome.seed);
    end
}
