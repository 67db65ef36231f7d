//! The world of one seed: everything is set up as planned, runs until all is quiet, and is looked at.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use ringpost::pipeline::{CDRS, LEGS, SESSIONS};
use ringpost_api::{Access, PbxAccess, SharedAccess, TokenHash};
use ringpost_model::{Dialect, TriggerId};
use ringpost_store::{Expect, Ledger};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::check;
use crate::clock::SimClock;
use crate::counts::Counts;
use crate::dice::Dice;
use crate::log::{SimLog, SimTopic};
use crate::plan::{Change, Plan, Stop};
use crate::process::{Process, Surroundings};
use crate::receiver::Receivers;
use crate::sender::{Sender, Sent};
use crate::store::SimStore;
use crate::trace::Trace;
use crate::weather::Weather;

/// After the last fault all must be quiet within so long; jumps of the wall clock do not count.
const PATIENCE: Duration = Duration::from_secs(1_200);
/// When nothing is in flight the wall clock is put on by so much: sessions close, what waits comes due.
const LEAP: i64 = 300_000_000;
/// So many leaps bring any session to its end.
const LEAPS: u32 = 80;

/// What came of a seed.
#[derive(Debug)]
pub struct Outcome {
    /// Which seed.
    pub seed: u64,
    /// Everything that is wrong; empty = all is well.
    pub wrong: Vec<String>,
    /// Fingerprint of all that happened, and how many steps.
    pub fingerprint: (u64, u64),
    /// What happened, where it was asked for.
    pub lines: Vec<String>,
    /// How much of what there was.
    pub counts: Counts,
}

/// What the checks look at.
pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) around: Surroundings,
    pub(crate) sent: Arc<Mutex<Sent>>,
    pub(crate) counts: Counts,
    pub(crate) wrong: Vec<String>,
    /// When which life of the process ended without warning.
    pub(crate) crashes: Vec<(u32, Duration)>,
    pub(crate) trace: Trace,
    intake: watch::Sender<Vec<(axum::Router, tokio_util::sync::CancellationToken)>>,
    /// By instance; none = it is away.
    processes: Vec<Option<Process>>,
    /// When those that are away start again.
    back_at: Vec<Duration>,
    lives: u32,
}

/// What is done to one of the processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Halt(Stop, Duration),
    Start,
    GoOn,
}

/// Runs the world of a seed. `keep` = the lines of its trace are wanted.
pub fn run(seed: u64, keep: bool) -> Outcome {
    run_plan(Plan::of(seed), seed, keep)
}

/// Runs the world of a seed with several processes on one log.
pub fn run_several(seed: u64, keep: bool) -> Outcome {
    run_plan(Plan::of_several(seed), seed, keep)
}

/// Runs the world in which a receiver is down for an hour, and a call comes every so often.
pub fn run_down_for_an_hour(every: Duration) -> Outcome {
    run_plan(Plan::down_for_an_hour(every), 0, false)
}

fn run_plan(plan: Plan, seed: u64, keep: bool) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.expect("a runtime of one thread can always be made");
    runtime.block_on(async {
        let mut world = World::new(plan, seed, keep).await;
        world.live().await;
        check::all(&mut world);
        Outcome {
            seed,
            wrong: std::mem::take(&mut world.wrong),
            fingerprint: world.trace.fingerprint(),
            lines: world.trace.lines(),
            counts: world.counts,
        }
    })
}

impl World {
    async fn new(plan: Plan, seed: u64, keep: bool) -> Self {
        let clock = SimClock::new(plan.start);
        let trace = Trace::new(clock.clone(), keep);
        let dice = |part: &str| Dice::new(seed, part);
        let weather = |forecast, part| Weather::new(clock.clone(), forecast, dice(part));
        let log_weather = weather(plan.log.clone(), "log weather");
        let log =
            SimLog::new(topics(plan.partitions), log_weather, clock.clone(), trace.clone(), dice("log"));
        let store = SimStore::new(weather(plan.store.clone(), "store weather"), trace.clone());
        let receivers = Receivers::new(plan.moods.clone(), clock.clone(), trace.clone(), dice("receivers"));
        let access = SharedAccess::default();
        access.set(who_may_write(&plan));
        let sessions = ringpost_session::Config { events: false, ..ringpost_session::Config::default() };
        let lanes = plan.lanes.clone();
        let (breaker, backlog) = (plan.breaker.clone(), plan.backlog);
        let around = Surroundings { clock, log, store, receivers, access, lanes, breaker, backlog, sessions };
        let (sent, counts, wrong, crashes) = Default::default();
        let (intake, _) = watch::channel(Vec::new());
        let processes = (0..plan.instances).map(|_| None).collect();
        let (back_at, lives) = (vec![Duration::ZERO; plan.instances], 0);
        let world =
            Self { plan, around, sent, counts, wrong, crashes, trace, intake, processes, back_at, lives };
        world.configure();
        world
    }

    /// Puts the configuration in, before the weather turns.
    fn configure(&self) {
        let mut disk = self.around.store.disk();
        disk.owed.several = self.plan.instances > 1;
        for tenant in &self.plan.tenants {
            disk.configure_tenant(tenant);
        }
        for planned in &self.plan.triggers {
            disk.configure_trigger(&planned.tenant, &planned.trigger, self.plan.start);
        }
    }

    /// From the first call until all is quiet.
    async fn live(&mut self) {
        let mut others = JoinSet::new();
        for sender in self.senders() {
            others.spawn(sender.run());
        }
        others.spawn(jumps(self.around.clock.clone(), self.plan.jumps.clone(), self.trace.clone()));
        others.spawn(changes(self.around.clone(), self.plan.changes.clone()));
        for at in 0..self.processes.len() {
            self.start(at).await;
        }
        let mut acts: BTreeMap<(Duration, usize), (usize, Act)> = BTreeMap::new();
        for (number, halt) in self.plan.halts.iter().enumerate() {
            acts.insert((halt.at, number), (halt.instance, Act::Halt(halt.how, halt.away)));
        }
        let mut number = acts.len();
        while let Some(((at, _), (instance, act))) = acts.pop_first() {
            self.until(at).await;
            if let Some((after, next)) = self.act(instance, act).await {
                number += 1;
                acts.insert((self.around.clock.elapsed() + after, number), (instance, next));
            }
        }
        self.until(self.plan.span).await;
        self.trace.note(format_args!("all faults are over"));
        self.quiet(&mut others).await;
        self.end().await;
    }

    fn senders(&self) -> Vec<Sender> {
        let (repeats, rubbish) = self.plan.noise;
        let sender = |(pbx, legs): (&ringpost_model::PbxKey, &Vec<crate::sender::Leg>)| Sender {
            pbx: pbx.clone(),
            legs: VecDeque::from(legs.clone()),
            repeats,
            rubbish,
            intake: self.intake.subscribe(),
            sent: Arc::clone(&self.sent),
            clock: self.around.clock.clone(),
            trace: self.trace.clone(),
            dice: Dice::new(self.plan.start.micros() as u64 ^ legs.len() as u64, pbx.as_str()),
        };
        self.plan.legs.iter().map(sender).collect()
    }

    async fn start(&mut self, at: usize) {
        self.lives += 1;
        self.trace.note(format_args!("life {} begins", self.lives));
        let name = format!("ringpost-{at}");
        let instance = Some(name.as_str()).filter(|_| self.plan.instances > 1);
        let process = Process::start(self.lives, &self.around, instance).await;
        self.processes[at] = Some(process.expect("the log takes every worker"));
        self.tell_who_listens();
    }

    fn tell_who_listens(&self) {
        let listening = self.processes.iter().flatten().filter(|process| !process.is_still());
        self.intake
            .send_replace(listening.map(|process| (process.router.clone(), process.gone.clone())).collect());
    }

    /// Lets the processes run until then. A part that ends by itself is wrong; its process is started again.
    async fn until(&mut self, at: Duration) {
        let wait = at.saturating_sub(self.around.clock.elapsed());
        let deadline = Instant::now() + wait;
        loop {
            let (at, ended) = tokio::select! {
                biased;
                ended = first_end(&mut self.processes) => ended,
                () = tokio::time::sleep_until(deadline) => return,
            };
            self.trace.note(format_args!("{ended}"));
            self.wrong.push(ended);
            self.crash(at).await;
            self.start(at).await;
        }
    }

    /// Does it; says what is to follow, and after how long.
    async fn act(&mut self, at: usize, act: Act) -> Option<(Duration, Act)> {
        let Act::Halt(how, away) = act else {
            if act == Act::Start {
                self.start(at).await;
            } else if let Some(process) = &self.processes[at] {
                self.trace.note(format_args!("life {} goes on", process.number));
                process.stand_still(false);
                self.tell_who_listens();
            }
            return None;
        };
        let Some(process) = &self.processes[at] else {
            // Whoever is away is halted as soon as it is back.
            let back = self.back_at[at].saturating_sub(self.around.clock.elapsed());
            return Some((back, act));
        };
        if process.is_still() {
            return None;
        }
        self.trace.note(format_args!("{how:?} of life {}", process.number));
        match how {
            Stop::Still => {
                process.stand_still(true);
                self.tell_who_listens();
                return Some((away, Act::GoOn));
            }
            Stop::Crash => self.crash(at).await,
            Stop::Term => self.stop(at).await,
        }
        self.back_at[at] = self.around.clock.elapsed() + away;
        Some((away, Act::Start))
    }

    async fn crash(&mut self, at: usize) {
        let Some(process) = self.processes[at].take() else { return };
        self.tell_who_listens();
        self.crashes.push((process.number, self.around.clock.elapsed()));
        self.counts.add_life(&process.metrics);
        process.crash().await;
    }

    async fn stop(&mut self, at: usize) {
        let Some(process) = self.processes[at].take() else { return };
        self.tell_who_listens();
        let (number, metrics) = (process.number, Arc::clone(&process.metrics));
        match process.stop().await {
            // Nothing could be written until the end: it is as good as a crash.
            Some(why) if why.contains("before the stop") && self.nobody_can_write() => {
                self.crashes.push((number, self.around.clock.elapsed()));
            }
            other => self.wrong.extend(other),
        }
        self.counts.add_life(&metrics);
    }

    /// The disk is away, or one that stands still is in the middle of a write.
    fn nobody_can_write(&self) -> bool {
        self.around.store.is_away() || self.processes.iter().flatten().any(Process::is_still)
    }

    /// Until every leg is sent, every record dispatched, every session closed, and nothing is owed.
    async fn quiet(&mut self, others: &mut JoinSet<()>) {
        let deadline = self.around.clock.elapsed() + PATIENCE;
        let mut leaps = 0;
        loop {
            self.until(self.around.clock.elapsed() + Duration::from_secs(1)).await;
            while others.try_join_next().is_some() {}
            let in_lanes = |process: &Process| {
                let stats = process.lanes.stats();
                stats.in_flight + stats.waiting
            };
            let in_lanes: usize = self.processes.iter().flatten().map(in_lanes).sum();
            let is_still = others.is_empty() && self.lags() == (0, 0) && in_lanes == 0;
            let live = |process: &Process| Counts::gauge(&process.metrics, "ringpost_session_live");
            let live: u64 = self.processes.iter().flatten().map(live).sum();
            let (owed, untold) = self.waits();
            if is_still && live == 0 && owed + untold == 0 && leaps > 0 {
                return;
            }
            if self.around.clock.elapsed() > deadline || leaps > LEAPS {
                let lags = self.lags();
                let left = others.len();
                self.wrong.push(format!(
                    "never quiet: {left} senders, lags {lags:?}, {live} sessions, {owed} owed, {untold} notices, {in_lanes} in lanes"
                ));
                return;
            }
            if is_still {
                leaps += 1;
                self.trace.note(format_args!("leap"));
                self.around.clock.jump(LEAP);
            }
        }
    }

    /// Debts that nothing holds, and notices that no trigger was asked about.
    fn waits(&self) -> (usize, usize) {
        let disk = self.around.store.disk();
        let owed = disk.owed.debts.all().iter().filter(|row| !row.held).count();
        (owed, disk.owed.notices().iter().filter(|(_, fired)| !fired).count())
    }

    fn lags(&self) -> (u64, u64) {
        let disk = self.around.log.disk();
        (disk.lag("aggregate", LEGS), disk.lag("dispatch", CDRS))
    }

    async fn end(&mut self) {
        for at in 0..self.processes.len() {
            self.stop(at).await;
        }
        let sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner).wrong.clone();
        self.wrong.extend(sent);
        self.counts.lives = self.lives;
    }
}

/// The first process of which a part ends by itself.
async fn first_end(processes: &mut [Option<Process>]) -> (usize, String) {
    std::future::poll_fn(|context| {
        for (at, process) in processes.iter_mut().enumerate() {
            if let Some(Poll::Ready(told)) = process.as_mut().map(|process| process.poll_ends(context)) {
                return Poll::Ready((at, told));
            }
        }
        Poll::Pending
    })
    .await
}

fn topics(partitions: u32) -> Vec<SimTopic> {
    let topic = |name: &str, keeps_state| SimTopic { name: name.to_owned(), partitions, keeps_state };
    vec![topic(LEGS, false), topic(CDRS, false), topic(SESSIONS, true)]
}

/// Each platform with its key as its token.
fn who_may_write(plan: &Plan) -> Access {
    let mut access = Access::default();
    for pbx in plan.legs.keys() {
        let tokens = vec![(TokenHash::of(pbx.as_str()), None)];
        access.pbxs.insert(
            pbx.clone(),
            PbxAccess { dialect: Dialect::Native, tenant: None, zone: None, sides: Arc::default(), tokens },
        );
    }
    for tenant in &plan.tenants {
        access.tenants.insert(tenant.key.clone(), tenant.parent.clone());
    }
    access
}

async fn jumps(clock: SimClock, jumps: Vec<(Duration, i64)>, trace: Trace) {
    for (at, micros) in jumps {
        tokio::time::sleep(at.saturating_sub(clock.elapsed())).await;
        trace.note(format_args!("the wall clock jumps by {micros}"));
        clock.jump(micros);
    }
}

/// People change triggers, and try again until it is saved.
async fn changes(around: Surroundings, changes: Vec<(Duration, Change)>) {
    for (at, change) in changes {
        tokio::time::sleep(at.saturating_sub(around.clock.elapsed())).await;
        while save(&around, change).await.is_err() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}

async fn save(around: &Surroundings, change: Change) -> Result<(), ringpost_store::Error> {
    let found = around.store.trigger(change.trigger()).await?;
    let Some(mut stored) = found else { return Ok(()) };
    match change {
        Change::Pause(_, paused) => stored.trigger.paused = paused,
        Change::Enable(_, enabled) => {
            stored.trigger.enabled = enabled;
            stored.trigger.disabled_reason = "".into();
        }
        Change::Rename(_) => stored.trigger.name = format!("{} again", stored.trigger.name).into(),
    }
    let expect = Expect::Version(stored.version);
    around.store.put_trigger(&stored.tenant, &stored.trigger, expect, around.clock.now()).await?;
    Ok(())
}

impl Change {
    fn trigger(self) -> TriggerId {
        match self {
            Self::Pause(id, _) | Self::Enable(id, _) | Self::Rename(id) => id,
        }
    }
}
