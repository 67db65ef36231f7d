//! Lanes, breaker and gates together, with a dispatcher that keeps its debts in a map: a receiver that is down for
//! an hour. Calls go on; nothing is lost, one probe at a time is sent, and it is trusted again step by step.

use std::collections::{BTreeMap, BTreeSet};

use ringpost_model::Breaker;

use super::*;
use crate::breaker::{Limits, Step, Told, tell};

const HOUR: Duration = Duration::from_secs(3_600);

/// A try that has started: when, how many were in flight with it, and how many might have been.
struct Started {
    at: Duration,
    session: u128,
    flying: usize,
    gate: Gate,
}

struct Dispatcher {
    world: Arc<World>,
    lanes: Lanes,
    reports: mpsc::Receiver<Report>,
    breaker: Breaker,
    gate: Gate,
    /// Due times, oldest call first.
    debts: BTreeMap<u128, (Timestamp, Job)>,
    spent: Vec<Job>,
    calls: u128,
    steps: Vec<(Duration, Step)>,
    started: Vec<Started>,
    delivered: BTreeSet<u128>,
    lost: usize,
}

impl Dispatcher {
    /// A call every `every`, for two hours; then all that is owed.
    async fn run(every: Duration) -> Self {
        let world = World::of(&[(A, Does::DownFor(HOUR))]);
        let (lanes, reports) = world.lanes(Config::default());
        let mut this = Self {
            world,
            lanes,
            reports,
            breaker: Breaker::Healthy,
            gate: Gate::Free,
            debts: BTreeMap::new(),
            spent: Vec::new(),
            calls: 0,
            steps: Vec::new(),
            started: Vec::new(),
            delivered: BTreeSet::new(),
            lost: 0,
        };
        let (mut call_at, mut turn_at) = (this.world.begin, this.world.begin);
        let end = this.world.begin + HOUR * 2;
        while call_at < end || !this.debts.is_empty() || this.lanes.stats().in_flight > 0 {
            tokio::select! {
                biased;
                Some(report) = this.reports.recv() => this.handle(report),
                () = tokio::time::sleep_until(call_at), if call_at < end => {
                    call_at += every;
                    this.calls += 1;
                    this.submit(call(A, this.calls, json!({})));
                }
                () = tokio::time::sleep_until(turn_at) => {
                    turn_at += SECOND / 2;
                    this.turn();
                }
            }
            assert!(this.world.begin.elapsed() < HOUR * 3, "what is owed is never delivered");
        }
        this
    }

    fn submit(&mut self, job: Job) {
        if let Err(refused) = self.lanes.submit(job) {
            assert!(matches!(refused.why, Refusal::Open | Refusal::Full), "{refused}");
            self.owe((*refused.job).clone(), (self.world.clock)());
        }
    }

    fn owe(&mut self, job: Job, due: Timestamp) {
        let job = Job { owed: true, probe: false, ..job };
        self.debts.insert(job.delivery.session.0.as_u128(), (due, job));
    }

    /// What a claim turn does: a probe of an open lane, or what is due as far as there is room.
    fn turn(&mut self) {
        let now = (self.world.clock)();
        if let Breaker::Open { probe_at, .. } = &self.breaker {
            if *probe_at <= now
                && self.world.flying() == 0
                && let Some((_, (_, job))) = self.debts.pop_first()
            {
                self.submit(Job { probe: true, ..job });
            }
            return;
        }
        let room = self.lanes.room(lane_of(A));
        let due = self.debts.iter().filter(|(_, (due, _))| *due <= now).map(|(id, _)| *id);
        for session in due.take(room).collect::<Vec<_>>() {
            let (_, job) = self.debts.remove(&session).unwrap();
            self.submit(job);
        }
    }

    fn handle(&mut self, report: Report) {
        match report {
            Report::Started { job, .. } => self.started.push(Started {
                at: self.world.begin.elapsed(),
                session: job.delivery.session.0.as_u128(),
                flying: self.world.flying(),
                gate: self.gate,
            }),
            Report::Back { job, next: Next::Wait { until, .. }, .. } => self.owe((*job).clone(), until),
            Report::Finished(finished) => self.finished(&finished),
            other => panic!("{other:?}"),
        }
    }

    fn finished(&mut self, finished: &Finished) {
        let job = &*finished.job;
        let (sign, now) = (finished.outcome.sign(), finished.exchange.ended);
        let told = Told {
            now,
            delivery: job.delivery.id,
            sign,
            probe: job.probe,
            counts: true,
            reason: "answered 500",
        };
        let (breaker, step) = tell(&self.breaker, &told, 16, &Limits::default());
        self.gate = match &breaker {
            Breaker::Healthy | Breaker::Failing { .. } => Gate::Free,
            Breaker::Open { .. } => Gate::Shut,
            Breaker::Ramping { limit, .. } => Gate::Few(*limit),
        };
        self.breaker = breaker;
        self.lanes.gate(lane_of(A), self.gate);
        let first = job.tries.first.or(Some(finished.exchange.started));
        let again = |used| Job { tries: Tries { used, first }, attempt: job.attempt + 1, ..job.clone() };
        match finished.next {
            Next::Done => {
                self.delivered.insert(job.delivery.session.0.as_u128());
            }
            Next::Failed if self.breaker.is_open() => self.owe(again(job.tries.used), now),
            Next::Failed => self.spent.push(again(job.tries.used)),
            Next::Retry { at, used } => self.owe(again(used), at),
            other => panic!("{other:?}"),
        }
        match step {
            Step::Opened => {
                for job in std::mem::take(&mut self.spent) {
                    self.owe(job, now);
                }
            }
            Step::RunBroken => self.lost += self.spent.len(),
            _ => {}
        }
        if !matches!(step, Step::Nothing | Step::Noted) {
            self.steps.push((self.world.begin.elapsed(), step));
        }
    }

    fn at(&self, wanted: Step) -> Duration {
        self.steps.iter().find(|(_, step)| *step == wanted).map(|(at, _)| *at).unwrap()
    }
}

async fn check(every: Duration) -> Dispatcher {
    let story = Dispatcher::run(every).await;
    assert_eq!((story.lost, story.delivered.len() as u128), (0, story.calls), "nothing is lost");
    let (opened, ramps) = (story.at(Step::Opened), story.at(Step::Ramps));
    let down = story.started.iter().filter(|start| start.gate == Gate::Shut).collect::<Vec<_>>();
    assert!(down.iter().all(|start| start.flying <= 1), "one probe at a time");
    assert!((10..=18).contains(&down.len()), "{} probes in an hour", down.len());
    let probed = down.iter().map(|start| start.at.as_secs()).collect::<Vec<_>>();
    assert!(opened < down[0].at && down.last().unwrap().at < ramps, "{probed:?}");
    assert!(ramps < HOUR + SECOND * 301, "it is found back within the longest wait: {ramps:?}");
    for start in &story.started {
        if let Gate::Few(limit) = start.gate {
            assert!(start.flying <= limit as usize, "{} of {limit} in flight", start.flying);
        }
    }
    assert_eq!(story.steps.iter().filter(|(_, step)| *step == Step::Opened).count(), 1);
    story
}

#[tokio::test(start_paused = true)]
async fn an_hour_without_its_receiver_at_a_thousand_calls_an_hour() {
    let every = Duration::from_millis(3_600);
    let story = check(every).await;
    assert!(story.at(Step::Opened) < SECOND * 40);
    // Of the calls of the first hour the oldest go first, those of the second between them.
    let (ramps, calls_of_hour) = (story.at(Step::Ramps), 1_000);
    let after = story.started.iter().filter(|start| start.at >= ramps && start.session <= calls_of_hour);
    let order: Vec<u128> = after.map(|start| start.session).collect();
    assert!(order.len() > 900 && order.is_sorted(), "{order:?}");
    let caught_up = story.started.iter().rfind(|start| start.session <= calls_of_hour).unwrap().at;
    assert!(caught_up < ramps + SECOND * 120, "{caught_up:?}");
    let made = |session: u128| every * u32::try_from(session - 1).unwrap();
    let meanwhile = story.started.iter().filter(|start| made(start.session) > ramps && start.at < caught_up);
    let waited: Vec<Duration> = meanwhile.map(|start| start.at - made(start.session)).collect();
    assert!(waited.len() >= 2, "some calls of now fall into the time of catching up");
    assert!(
        waited.iter().all(|waited| *waited < SECOND),
        "they do not wait for those of the night: {waited:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_hour_without_its_receiver_at_a_call_in_ten_minutes() {
    let story = check(Duration::from_secs(600)).await;
    assert_eq!(story.at(Step::Opened).as_secs(), 602);
}
