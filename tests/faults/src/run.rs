//! One run: traffic, a fault over and over, and then the truth.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use rand::SeedableRng;
use rand::rngs::StdRng;
use ringpost_tests::Request;

use crate::fault::{Fault, Layout};
use crate::feed::Traffic;
use crate::judge::{self, Read, Verdict, Watch};
use crate::outcome::{self, Outcome};
use crate::pause;
use crate::strike::seconds;
use crate::told::{self, Told};
use crate::world::World;

/// After the last leg, for the last record and delivery; a busy machine, a zombie and time-outs of brokers included.
const PATIENT: Duration = Duration::from_secs(120);
/// What was owed while a receiver was down may come by so much out of order: what had been tried before it was known to be
/// down comes when it is due.
const DISORDER: Duration = Duration::from_secs(8);

/// What a run does.
pub(crate) struct Plan {
    pub(crate) fault: Fault,
    pub(crate) seed: u64,
    pub(crate) folder: PathBuf,
    pub(crate) traffic: Duration,
    pub(crate) calls: u64,
    pub(crate) binary: PathBuf,
}

/// Does it.
///
/// # Errors
/// Something that is not under test failed, or a process ended that should not.
pub(crate) fn run(plan: &Plan) -> anyhow::Result<Outcome> {
    if plan.folder.exists() {
        // What an earlier run of this seed delivered would not be delivered again.
        std::fs::remove_dir_all(&plan.folder)?;
    }
    std::fs::create_dir_all(&plan.folder)?;
    let mut events = std::fs::File::create(plan.folder.join("events.log"))?;
    let traffic = Arc::new(Traffic::new(
        plan.calls * u64::from(plan.fault.length()),
        plan.seed,
        plan.traffic * plan.fault.length(),
        plan.fault.flood(),
    ));
    let mut world = World::start(plan, &traffic.truths)?;
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
    let begun = Instant::now();
    let strikes = strike(plan, &mut world, &fed, &mut events)?;
    feeding.join().map_err(|_| anyhow::anyhow!("the feed panicked"))??;
    writeln!(events, "{:.1} s: all legs are acknowledged", begun.elapsed().as_secs_f64())?;
    let fed_at = Instant::now();
    let Judged { read, requests, verdict, mut told } = settle(&mut world, &traffic)?;
    let given_up = judge::all(&bootstrap, &cdrs, "read_uncommitted")?.len() - read.len();
    writeln!(events, "{:.1} s: judged", begun.elapsed().as_secs_f64())?;
    let watched = watch.stop()?;
    world.stop()?;
    if let Some((from, until)) = world.was_down.filter(|_| plan.fault == Fault::ReceiverDown) {
        let disorder = told::disorder(&watched, &requests, from, until);
        writeln!(events, "what was owed came by {:.1} s out of order at most", disorder.as_secs_f64())?;
        if disorder > DISORDER {
            told.wrong.push(format!("what was owed came out of order by {disorder:?}"));
        }
    }
    outcome::keep(&plan.folder, &traffic, &read, &requests, begun)?;
    let (fault, seed, times) = (plan.fault, plan.seed, strikes.len());
    // Where only deliveries are disturbed, they show when that is over.
    let shown =
        if fault.layout() == Layout::Split { outcome::taken(&requests) } else { outcome::seen(&watched) };
    let recovery = outcome::recovery(&strikes, &shown, &traffic.busy(), fed_at);
    let outcome = Outcome { fault, seed, times, legs: traffic.legs(), verdict, told, given_up, recovery };
    std::fs::write(plan.folder.join("verdict"), outcome.differences())?;
    Ok(outcome)
}

/// Lets the fault happen until all legs are sent. Returns when.
fn strike(
    plan: &Plan,
    world: &mut World,
    fed: &AtomicBool,
    events: &mut std::fs::File,
) -> anyhow::Result<Vec<Instant>> {
    let mut dice = StdRng::seed_from_u64(plan.seed);
    let (kinds, is_endless) = plan.fault.strikes(&mut dice);
    let (begun, mut strikes) = (Instant::now(), Vec::new());
    loop {
        pause(seconds(&mut dice, 2.0, 6.0));
        if fed.load(Ordering::Acquire) {
            return Ok(strikes);
        }
        if is_endless || strikes.len() < kinds.len() {
            let when = Instant::now();
            let what = kinds[strikes.len() % kinds.len()].strike(world, &mut dice)?;
            strikes.push(when);
            let (at, until) = ((when - begun).as_secs_f64(), begun.elapsed().as_secs_f64());
            writeln!(events, "{at:.1} s to {until:.1} s: {what}")?;
        }
        world.check()?;
    }
}

/// What there is, and what is wrong with it.
struct Judged {
    read: Vec<Read>,
    requests: Vec<Request>,
    verdict: Verdict,
    told: Told,
}

/// Waits until every call has closed and was told, or nothing changes any more.
fn settle(world: &mut World, traffic: &Traffic) -> anyhow::Result<Judged> {
    let deadline = Instant::now() + PATIENT;
    loop {
        world.check()?;
        let judged = judge(world, traffic).context("read what came of it")?;
        if judged.verdict.is_fine() && judged.told.is_fine() || Instant::now() >= deadline {
            ensure!(!judged.requests.is_empty(), "nobody was told of anything");
            return Ok(judged);
        }
        pause(Duration::from_secs(1));
    }
}

fn judge(world: &World, traffic: &Traffic) -> anyhow::Result<Judged> {
    let all = |topic: &str| judge::all(&world.brokers.bootstrap, &world.topic(topic), "read_committed");
    let (read, letters) = (all("ringpost.cdrs")?, all("ringpost.dead-letters")?);
    let requests = world.receiving.requests();
    let mut verdict = judge::judge(&traffic.truths, &world.odd, &read);
    judge::letters(&world.odd, &letters, &mut verdict);
    let told = told::judge(&read, &requests);
    Ok(Judged { read, requests, verdict, told })
}
