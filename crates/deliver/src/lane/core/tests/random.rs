//! Jobs, gates and shares come and end at random, for lanes, origins and strands that meet.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::*;
use crate::lane::gate::Share;

const URLS: [&str; 4] = [A, B, C, "https://other.example/d"];

/// Random numbers that are the same on every run.
struct Draw(u64);

impl Draw {
    fn below(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }

    fn url(&mut self) -> &'static str {
        URLS[usize::try_from(self.below(4)).unwrap()]
    }

    fn is_one_in(&mut self, many: u64) -> bool {
        self.below(many) == 0
    }
}

struct Run {
    bench: Bench,
    draw: Draw,
    in_flight: Vec<Start>,
    revs: BTreeMap<u128, u32>,
    taken: usize,
    ended: usize,
    given: usize,
    /// All that happened, in order.
    told: String,
}

fn id(url: &str) -> LaneId {
    LaneKey::of(samples::delivery().owner, url).id()
}

impl Run {
    fn of(seed: u64, shared_rates: bool) -> Self {
        Self {
            bench: bench(Config { per_origin: 3, shared_rates, ..config() }),
            draw: Draw(seed),
            in_flight: Vec::new(),
            revs: BTreeMap::new(),
            taken: 0,
            ended: 0,
            given: 0,
            told: String::new(),
        }
    }

    fn step(&mut self) {
        let now = self.bench.now;
        let effects = match self.draw.below(12) {
            0..=4 => self.submit(),
            5..=8 if !self.in_flight.is_empty() => self.finish(),
            9 => {
                let gate = match self.draw.below(6) {
                    0 => Gate::Shut,
                    1 => Gate::Few(1),
                    _ => Gate::Free,
                };
                let url = self.draw.url();
                self.bench.core.set_gate(now, id(url), gate)
            }
            10 => {
                let share = Share { milli_per_second: self.draw.below(6_000), until: now + SECOND };
                let (url, share) = (self.draw.url(), (!self.draw.is_one_in(3)).then_some(share));
                self.bench.core.share(now, id(url), share)
            }
            _ => {
                self.bench.now += Duration::from_millis(self.draw.below(300));
                self.bench.pass()
            }
        };
        for Start { lane, job } in &effects.starts {
            writeln!(self.told, "start {lane} {} {}", job.delivery.session, job.delivery.rev).unwrap();
        }
        for Back { lane, job, pause, superseded } in &effects.back {
            let session = job.delivery.session;
            writeln!(self.told, "back {lane} {session} {} {pause:?} {superseded}", job.delivery.rev).unwrap();
        }
        self.given += effects.back.len();
        self.in_flight.extend(effects.starts);
    }

    fn submit(&mut self) -> Effects {
        let session = u128::from(self.draw.below(12));
        let rev = *self.revs.entry(session).and_modify(|rev| *rev += 1).or_insert(1);
        let mut keys = if self.draw.is_one_in(3) { json!({ "rateLimit": 5 }) } else { json!({}) };
        if self.draw.is_one_in(4) {
            keys["whileDown"] = json!("fail");
        }
        let url = self.draw.url();
        let mut job = Arc::unwrap_or_clone(job(url, 1, session, rev, keys));
        job.owed = self.draw.is_one_in(2);
        (job.probe, job.last) = (self.draw.is_one_in(8), self.draw.is_one_in(8));
        let effects = self.bench.core.submit(self.bench.now, Arc::new(job));
        self.taken += usize::from(effects.is_ok());
        effects.unwrap_or_default()
    }

    fn finish(&mut self) -> Effects {
        let at = usize::try_from(self.draw.below(self.in_flight.len() as u64)).unwrap();
        let Start { lane, job } = self.in_flight.swap_remove(at);
        self.ended += 1;
        let pause = self.draw.is_one_in(50).then_some(SECOND);
        self.bench.core.finished(self.bench.now, lane, &job, pause)
    }

    fn check(&self, step: usize) {
        let [_, flying, waiting] = self.bench.core.sizes();
        assert_eq!(flying, self.in_flight.len());
        assert_eq!(self.taken, self.ended + self.given + flying + waiting, "step {step}");
        let mut lanes = BTreeMap::new();
        let mut origins = HashMap::new();
        let (mut strands, mut probes) = (BTreeSet::new(), BTreeSet::new());
        for Start { lane, job } in &self.in_flight {
            *lanes.entry(*lane).or_insert(0) += 1;
            *origins.entry(job.trigger.lane().origin.clone()).or_insert(0) += 1;
            assert!(strands.insert(strand(job)), "step {step}: two of one strand");
            assert!(!job.probe || probes.insert(*lane), "step {step}: two probes of a lane");
        }
        assert!(lanes.values().all(|count| *count <= 2), "step {step}");
        assert!(origins.values().all(|count| *count <= 3), "step {step}");
        for (id, lane) in &self.bench.core.lanes {
            let gate = self.bench.core.gate(*id);
            assert!(lane.queue.iter().all(|queued| gate.admits(&queued.job)), "step {step}");
            let owed = self.in_flight.iter().filter(|start| start.lane == *id && start.job.owed).count();
            assert_eq!(lane.owed_in_flight, owed, "step {step}");
        }
    }
}

/// Whatever happens, seats and lanes stay within their limits, a strand and a probe are alone in flight, a shut lane
/// holds nothing that is held, and no job is lost or doubled.
#[test]
fn no_job_is_lost_and_no_limit_passed() {
    for (seed, shared) in [(0x2545_f491_4f6c_dd1d, false), (0x9e37_79b9_7f4a_7c15, true)] {
        let mut run = Run::of(seed, shared);
        for step in 0..6_000 {
            run.step();
            run.check(step);
        }
        assert!(run.ended > 500 && run.given > 20, "{} {}", run.ended, run.given);
    }
}

#[test]
fn the_same_inputs_have_the_same_effects_in_the_same_order() {
    let told = |_| {
        let mut run = Run::of(0x9e37_79b9_7f4a_7c15, false);
        (0..6_000).for_each(|_| run.step());
        let left = run.bench.core.close();
        left.iter().for_each(|job| {
            writeln!(run.told, "left {} {}", job.delivery.session, job.delivery.rev).unwrap()
        });
        run.told
    };
    let tellings: Vec<String> = (0..3).map(told).collect();
    let lines = tellings[0].lines().count();
    assert!(lines > 500, "{lines}");
    assert!(tellings.iter().all(|told| *told == tellings[0]));
}
