//! What came of a run, and what is kept of it.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use ringpost_bus::partition_of;
use ringpost_tests::{Fate, Request};
use serde_json::json;

use crate::fault::Fault;
use crate::feed::{PARTITIONS, Traffic};
use crate::judge::{Read, Verdict};
use crate::told::Told;

/// What came of it.
pub(crate) struct Outcome {
    pub(crate) fault: Fault,
    pub(crate) seed: u64,
    pub(crate) times: usize,
    pub(crate) legs: usize,
    pub(crate) verdict: Verdict,
    pub(crate) told: Told,
    /// Records of transactions that were given up: readers of what is committed never see them.
    pub(crate) given_up: usize,
    /// The longest time from a fault until every partition had records, or deliveries, again.
    pub(crate) recovery: Option<Duration>,
}

impl Outcome {
    /// A run without a fault shows nothing.
    pub(crate) fn is_as_promised(&self) -> bool {
        self.times > 0 && self.verdict.is_fine() && self.told.is_fine()
    }

    /// All that is not as it should be, a line each.
    pub(crate) fn differences(&self) -> String {
        let Verdict { lost, repeated, wrong, .. } = &self.verdict;
        let told = &self.told;
        let lists = [
            ("lost", lost),
            ("repeated", repeated),
            ("wrong", wrong),
            ("delivery lost", &told.lost),
            ("delivery overtaken", &told.overtaken),
            ("delivery wrong", &told.wrong),
        ];
        let lines = |(what, list): (&str, &Vec<String>)| -> String {
            list.iter().map(|line| format!("{what}: {line}\n")).collect()
        };
        lists.map(lines).concat()
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Verdict { records, lost, repeated, wrong } = &self.verdict;
        let told = &self.told;
        write!(
            f,
            "seed {} {}: {} times, {} legs, {records} records, {} lost, {} repeated, {} wrong, {} given up; \
             {} deliveries, {} lost, {} repeats, {} overtaken, {} wrong: {}",
            self.seed,
            self.fault,
            self.times,
            self.legs,
            lost.len(),
            repeated.len(),
            wrong.len(),
            self.given_up,
            told.deliveries,
            told.lost.len(),
            told.repeats,
            told.overtaken.len(),
            told.wrong.len(),
            if self.is_as_promised() { "as promised" } else { "NOT as promised" }
        )
    }
}

/// Partition and moment of each record.
pub(crate) fn seen(watched: &[Read]) -> Vec<(u32, Instant)> {
    watched.iter().map(|read| (read.partition as u32, read.when)).collect()
}

/// Partition and moment of each request that was answered with success.
pub(crate) fn taken(requests: &[Request]) -> Vec<(u32, Instant)> {
    let tenant = |request: &Request| request.path.rsplit('/').next().unwrap_or_default().to_owned();
    let partition = |request: &Request| partition_of(tenant(request).as_bytes(), PARTITIONS).0;
    let delivered = requests.iter().filter(|request| request.is_delivered());
    delivered.map(|request| (partition(request), request.came)).collect()
}

/// How long it took at worst until each partition that has calls showed something again.
pub(crate) fn recovery(
    strikes: &[Instant],
    shown: &[(u32, Instant)],
    busy: &BTreeMap<u32, usize>,
    fed_at: Instant,
) -> Option<Duration> {
    // One with few calls is quiet by itself.
    let all: usize = busy.values().sum();
    let busy = (0..PARTITIONS).filter(|partition| busy.get(partition).is_some_and(|calls| calls * 10 >= all));
    let busy: Vec<u32> = busy.collect();
    let again = |strike: Instant, wanted: u32| {
        let after = shown.iter().filter(|(partition, when)| *partition == wanted && *when > strike);
        after.map(|(_, when)| *when - strike).min()
    };
    let mut worst = None;
    // What began when the traffic was nearly over has nothing left to recover.
    for strike in strikes.iter().filter(|strike| **strike + Duration::from_secs(5) < fed_at) {
        let slowest = busy.iter().filter_map(|partition| again(*strike, *partition)).max();
        worst = worst.max(slowest);
    }
    worst
}

/// Everything that somebody would want to look at. Times of requests are seconds since the run began.
pub(crate) fn keep(
    folder: &Path,
    traffic: &Traffic,
    read: &[Read],
    requests: &[Request],
    begun: Instant,
) -> anyhow::Result<()> {
    let mut records = std::fs::File::create(folder.join("cdrs.ndjson"))?;
    for one in read {
        records.write_all(&one.value)?;
        records.write_all(b"\n")?;
    }
    let truth: Vec<String> =
        traffic.truths.iter().map(|truth| serde_json::to_string(&truth.cdr)).collect::<Result<_, _>>()?;
    std::fs::write(folder.join("truth.ndjson"), truth.join("\n"))?;
    let since = |when: Instant| when.saturating_duration_since(begun).as_secs_f64();
    let line = |request: &Request| {
        let (answer, at) = match request.fate() {
            Fate::Answered(status, at) => (json!(status.as_u16()), json!(since(at))),
            Fate::Open => (json!("open"), json!(null)),
            Fate::Left => (json!("left"), json!(null)),
        };
        let cdr = &serde_json::from_slice::<serde_json::Value>(&request.body).unwrap_or_default()["cdr"];
        let (path, id) = (&request.path, request.header("webhook-id"));
        let line = json!({
            "came": since(request.came), "answer": answer, "at": at, "path": path, "webhook-id": id,
            "session": cdr["id"], "rev": cdr["rev"],
        });
        format!("{line}\n")
    };
    std::fs::write(folder.join("requests.ndjson"), requests.iter().map(line).collect::<String>())?;
    Ok(())
}
