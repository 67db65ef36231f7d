//! What a seed stands for: who calls, which triggers there are, and what goes wrong when. Worked out before anything
//! runs; nothing in here depends on what the pipeline does.

mod faults;
mod traffic;
mod triggers;

use std::collections::BTreeMap;
use std::time::Duration;

use ringpost::pipeline::BacklogLimits;
use ringpost_deliver::{LaneConfig, Limits};
use ringpost_model::{PbxKey, Tenant, Timestamp};
use ringpost_simulate::Truth;

use crate::dice::Dice;
use crate::receiver::{Mood, Moods};
use crate::sender::Leg;
use crate::weather::Forecast;

pub(crate) use faults::{Halt, Stop};
pub(crate) use triggers::{Change, Planned, When};

/// A whole schedule.
pub(crate) struct Plan {
    /// The wall clock at the beginning: calls lie before it.
    pub start: Timestamp,
    /// Everything that goes wrong is over by then.
    pub span: Duration,
    /// Whose calls.
    pub tenants: Vec<Tenant>,
    /// What each platform sends.
    pub legs: BTreeMap<PbxKey, Vec<Leg>>,
    /// The records to expect.
    pub truths: Vec<Truth>,
    /// Triggers, as they are at the beginning.
    pub triggers: Vec<Planned>,
    /// Changes of triggers, by time.
    pub changes: Vec<(Duration, Change)>,
    /// Receivers by host.
    pub moods: BTreeMap<String, Moods>,
    /// How lanes are set up.
    pub lanes: LaneConfig,
    /// When a receiver counts as down.
    pub breaker: Limits,
    /// How much may be owed.
    pub backlog: BacklogLimits,
    /// The weather over the log.
    pub log: Forecast,
    /// The weather over the store.
    pub store: Forecast,
    /// Crashes and stops, by time.
    pub halts: Vec<Halt>,
    /// Jumps of the wall clock, in microseconds.
    pub jumps: Vec<(Duration, i64)>,
    /// Of a hundred requests of a sender: how many are repeated, how many carry rubbish.
    pub noise: (u64, u64),
    /// Partitions of every topic.
    pub partitions: u32,
    /// How many processes share the work, as on Kafka; 1 = one, with the log in a file.
    pub instances: usize,
}

impl Plan {
    /// A receiver that is down for an hour, from the second minute on, with a call every so often, before, meanwhile and
    /// after; all else is as it is by default, and nothing else goes wrong.
    pub(crate) fn down_for_an_hour(every: Duration) -> Self {
        let mut dice = Dice::new(0, "down");
        let (down, up) = (Duration::from_secs(60), Duration::from_secs(3_660));
        let span = up + Duration::from_secs(1_200);
        let traffic = traffic::evenly(span, every, &mut dice);
        let moods = vec![(Duration::ZERO, Mood::Well), (down, Mood::Down), (up, Mood::Well)];
        Self {
            start: traffic.start,
            span,
            triggers: vec![triggers::plain(&traffic.tenants[0], "r0.example")],
            tenants: traffic.tenants,
            legs: traffic.legs,
            truths: traffic.truths,
            changes: Vec::new(),
            moods: BTreeMap::from([("r0.example".to_owned(), moods)]),
            lanes: LaneConfig::default(),
            breaker: Limits::default(),
            backlog: BacklogLimits::default(),
            log: Forecast::default(),
            store: Forecast::default(),
            halts: Vec::new(),
            jumps: Vec::new(),
            noise: (0, 0),
            partitions: 8,
            instances: 1,
        }
    }

    /// The schedule of a seed.
    pub(crate) fn of(seed: u64) -> Self {
        let mut dice = Dice::new(seed, "plan");
        let span = Duration::from_secs(dice.between(30, 300));
        let traffic = traffic::make_up(span * 2 / 3, &mut dice);
        let hosts: Vec<String> = (0..dice.between(1, 4)).map(|at| format!("r{at}.example")).collect();
        let moods = faults::moods(&hosts, span, &mut dice);
        let triggers = triggers::make_up(&traffic.tenants, &moods, &mut dice);
        let changes = triggers::changes(&triggers, span, &mut dice);
        let is_bad = dice.percent(70);
        Self {
            start: traffic.start,
            span,
            tenants: traffic.tenants,
            legs: traffic.legs,
            truths: traffic.truths,
            triggers,
            changes,
            moods,
            lanes: faults::lanes(&mut dice),
            breaker: faults::breaker(&mut dice),
            backlog: faults::backlog(&mut dice),
            log: faults::forecast(is_bad, span, &mut dice),
            store: faults::forecast(is_bad, span, &mut dice),
            halts: faults::halts(span, &mut dice),
            jumps: faults::jumps(span, &mut dice),
            noise: (*dice.pick(&[0, 5, 30]), *dice.pick(&[0, 0, 10])),
            partitions: *dice.pick(&[1, 2, 8]),
            instances: 1,
        }
    }

    /// The same with several processes, which come and go.
    pub(crate) fn of_several(seed: u64) -> Self {
        let mut dice = Dice::new(seed, "several");
        let plan = Self::of(seed);
        let instances = dice.between(2, 3) as usize;
        let halts = faults::halts_of(instances, plan.span, &mut dice);
        Self { instances, halts, partitions: *dice.pick(&[2, 4, 8]), ..plan }
    }
}
