//! One run: traffic, a fault over and over, and then the truth.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::brokers::Brokers;
use crate::fault::{Fault, seconds};
use crate::feed::{PARTITIONS, Traffic};
use crate::instance::{Instance, Setting};
use crate::judge::{self, Read, Verdict, Watch};
use crate::pause;
use crate::proxy::{self, Network};

/// After the last leg, for the last record; a busy machine, a zombie and time-outs of brokers included.
const PATIENT: Duration = Duration::from_secs(120);

/// What a run does.
pub(crate) struct Plan {
    pub(crate) fault: Fault,
    pub(crate) seed: u64,
    pub(crate) folder: PathBuf,
    pub(crate) traffic: Duration,
    pub(crate) calls: u64,
    pub(crate) binary: PathBuf,
}

/// What came of it.
pub(crate) struct Outcome {
    pub(crate) fault: Fault,
    pub(crate) seed: u64,
    pub(crate) times: usize,
    pub(crate) legs: usize,
    pub(crate) verdict: Verdict,
    /// Records of transactions that were given up: readers of what is committed never see them.
    pub(crate) given_up: usize,
    /// The longest time from a fault until every partition had records again.
    pub(crate) recovery: Option<Duration>,
}

impl Outcome {
    /// A run without a fault shows nothing.
    pub(crate) fn is_as_promised(&self) -> bool {
        self.times > 0 && self.verdict.is_fine()
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Verdict { records, lost, repeated, wrong } = &self.verdict;
        write!(
            f,
            "seed {} {}: {} times, {} legs, {records} records, {} lost, {} repeated, {} wrong, {} given up: {}",
            self.seed,
            self.fault,
            self.times,
            self.legs,
            lost.len(),
            repeated.len(),
            wrong.len(),
            self.given_up,
            if self.is_as_promised() { "as promised" } else { "NOT as promised" }
        )
    }
}

/// All that a fault may lay hands on.
pub(crate) struct World {
    pub(crate) brokers: Brokers,
    pub(crate) network: Arc<Network>,
    pub(crate) instances: Vec<Instance>,
    setting: Setting,
    twins: usize,
}

impl World {
    fn start(plan: &Plan) -> anyhow::Result<Self> {
        let nodes = plan.fault.nodes();
        let (port, listeners) = proxy::listen(nodes)?;
        let brokers = Brokers::start(&plan.folder, nodes, port)?;
        let network = Arc::new(Network::default());
        for (listener, to) in listeners.into_iter().zip(&brokers.behind) {
            proxy::serve(listener, *to, Arc::clone(&network));
        }
        let by_proxy: Vec<String> = (0..nodes).map(|node| format!("127.0.0.1:{}", port + node)).collect();
        let setting = Setting {
            binary: plan.binary.clone(),
            folder: plan.folder.clone(),
            bootstrap: by_proxy.join(","),
            prefix: "faults.".to_owned(),
        };
        let mut world = Self { brokers, network, instances: Vec::new(), setting, twins: 0 };
        for _ in 0..plan.fault.instances() {
            world.add_instance()?;
        }
        world.instances[0].create_topics(nodes)?;
        for instance in &mut world.instances {
            instance.start()?;
            instance.until_up(0)?;
        }
        Ok(world)
    }

    pub(crate) fn add_instance(&mut self) -> anyhow::Result<()> {
        let name = format!("instance-{}", self.instances.len());
        self.instances.push(Instance::new(&self.setting, &name)?);
        Ok(())
    }

    /// Another one of the same name, with a folder of its own.
    pub(crate) fn twin_of(&mut self, at: usize) -> anyhow::Result<Instance> {
        self.twins += 1;
        let name = &self.instances[at].name;
        Instance::in_folder(&self.setting, name, &format!("{name}-twin-{}", self.twins))
    }

    pub(crate) fn running(&self) -> Vec<usize> {
        let all = self.instances.iter().enumerate();
        all.filter(|(_, instance)| instance.is_running()).map(|(at, _)| at).collect()
    }

    fn topic(&self, name: &str) -> String {
        format!("{}{name}", self.setting.prefix)
    }
}

/// A moment at which something went wrong.
struct Strike {
    when: Instant,
}

/// Does it.
///
/// # Errors
/// Something that is not under test failed, or a process ended that should not.
pub(crate) fn run(plan: &Plan) -> anyhow::Result<Outcome> {
    std::fs::create_dir_all(&plan.folder)?;
    let mut events = std::fs::File::create(plan.folder.join("events.log"))?;
    let traffic = Arc::new(Traffic::new(plan.calls, plan.seed, plan.traffic));
    let mut world = World::start(plan)?;
    let (bootstrap, legs, cdrs) =
        (world.brokers.bootstrap.clone(), world.topic("ringpost.legs"), world.topic("ringpost.cdrs"));
    let watch = Watch::start(&bootstrap, &cdrs)?;
    let fed = Arc::new(AtomicBool::new(false));
    let feeding = {
        let (traffic, bootstrap, fed) = (Arc::clone(&traffic), bootstrap.clone(), Arc::clone(&fed));
        thread::spawn(move || {
            let sent = traffic.send(&bootstrap, &legs);
            fed.store(true, Ordering::Release);
            sent
        })
    };
    let mut dice = StdRng::seed_from_u64(plan.seed);
    let (begun, mut strikes) = (Instant::now(), Vec::new());
    loop {
        pause(seconds(&mut dice, 2.0, 6.0));
        if fed.load(Ordering::Acquire) {
            break;
        }
        if strikes.is_empty() || plan.fault.again() {
            let when = Instant::now();
            let what = plan.fault.strike(&mut world, &mut dice)?;
            strikes.push(Strike { when });
            let (at, until) = ((when - begun).as_secs_f64(), begun.elapsed().as_secs_f64());
            writeln!(events, "{at:.1} s to {until:.1} s: {what}")?;
        }
        for instance in &mut world.instances {
            instance.check()?;
        }
    }
    feeding.join().map_err(|_| anyhow::anyhow!("the feed panicked"))??;
    writeln!(events, "{:.1} s: all legs are acknowledged", begun.elapsed().as_secs_f64())?;
    let fed_at = Instant::now();
    let read = settle(&mut world, &traffic, &cdrs)?;
    let given_up = judge::all(&bootstrap, &cdrs, "read_uncommitted")?.len() - read.len();
    writeln!(events, "{:.1} s: judged", begun.elapsed().as_secs_f64())?;
    let watched = watch.stop()?;
    for at in world.running() {
        world.instances[at].stop()?;
    }
    let verdict = judge::judge(&traffic.truths, &read);
    keep(&plan.folder, &traffic, &read, &verdict)?;
    let recovery = recovery(&strikes, &watched, &traffic.busy(), fed_at);
    let (fault, seed, times) = (plan.fault, plan.seed, strikes.len());
    Ok(Outcome { fault, seed, times, legs: traffic.legs(), verdict, given_up, recovery })
}

/// Waits until every call has closed, or nothing changes any more.
fn settle(world: &mut World, traffic: &Traffic, cdrs: &str) -> anyhow::Result<Vec<Read>> {
    let bootstrap = world.brokers.bootstrap.clone();
    let deadline = Instant::now() + PATIENT;
    loop {
        for instance in &mut world.instances {
            instance.check()?;
        }
        let read = judge::all(&bootstrap, cdrs, "read_committed").context("read what came of it")?;
        if judge::judge(&traffic.truths, &read).is_fine() || Instant::now() >= deadline {
            return Ok(read);
        }
        pause(Duration::from_secs(1));
    }
}

/// How long it took at worst until each partition that has calls had records again.
fn recovery(
    strikes: &[Strike],
    watched: &[Read],
    busy: &BTreeMap<u32, usize>,
    fed_at: Instant,
) -> Option<Duration> {
    // One with few calls is quiet by itself.
    let all: usize = busy.values().sum();
    let busy = (0..PARTITIONS).filter(|partition| busy.get(partition).is_some_and(|calls| calls * 10 >= all));
    let busy: Vec<u32> = busy.collect();
    let again = |strike: &Strike, partition: u32| {
        let of_it =
            watched.iter().filter(|read| read.partition == partition as i32 && read.when > strike.when);
        of_it.map(|read| read.when - strike.when).min()
    };
    let mut worst = None;
    // What began when the traffic was nearly over has nothing left to recover.
    for strike in strikes.iter().filter(|strike| strike.when + Duration::from_secs(5) < fed_at) {
        let slowest = busy.iter().filter_map(|partition| again(strike, *partition)).max();
        worst = worst.max(slowest);
    }
    worst
}

/// Everything that somebody would want to look at.
fn keep(folder: &Path, traffic: &Traffic, read: &[Read], verdict: &Verdict) -> anyhow::Result<()> {
    let mut records = std::fs::File::create(folder.join("cdrs.ndjson"))?;
    for one in read {
        records.write_all(&one.value)?;
        records.write_all(b"\n")?;
    }
    let truth: Vec<String> =
        traffic.truths.iter().map(|truth| serde_json::to_string(&truth.cdr)).collect::<Result<_, _>>()?;
    std::fs::write(folder.join("truth.ndjson"), truth.join("\n"))?;
    let lines = |what: &str, list: &[String]| -> String {
        list.iter().map(|line| format!("{what}: {line}\n")).collect()
    };
    let text = lines("lost", &verdict.lost) + &lines("repeated", &verdict.repeated);
    std::fs::write(folder.join("verdict"), text + &lines("wrong", &verdict.wrong))?;
    Ok(())
}
