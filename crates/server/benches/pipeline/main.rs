//! The whole pipeline on one machine, measured from outside: the release binary as a process, a sender, a receiver.
//!
//! `cargo bench -p ringpost --bench pipeline`, all of it; or some: `-- rest limits flat tables idle steady holes`. One line a
//! figure. Rates move with whatever else the machine does; CPU seconds per 1,000 calls, and figures beside those of a
//! bare loop of the same run, repeat.
//!
//! With brokers (`scripts/kafka run …`) and a server of PostgreSQL (`scripts/postgres run …`) all of it stands on these, and
//! there is more: `-- roles curve live grow`.
//!
//! `BENCH_CALLS` says how many calls `flat` and `roles` send, `BENCH_LIVE` how many are going on, `BENCH_KAFKA` what else
//! `[bus.kafka]` says, to see what a setting does. The installations lie in the folder of temporary files, so that
//! `TMPDIR=/dev/shm` measures without the disk. With `BENCH_WATCH` set, `flat` says the process for a profiler, and
//! all metrics at the end.

mod backing;
mod calls;
mod curve;
mod feed;
mod figures;
mod flat;
mod holes;
mod installation;
mod latency;
mod limits;
mod live;
mod receiver;
mod roles;
mod sender;
mod server;

/// What can be asked for, in this order.
const PARTS: [&str; 11] =
    ["rest", "limits", "flat", "tables", "idle", "steady", "holes", "roles", "curve", "live", "grow"];
/// Of these, what there is only with brokers.
const OF_BROKERS: [&str; 4] = ["roles", "curve", "live", "grow"];

/// Calls of each measurement at full speed: so many that it lasts some seconds, unless told otherwise.
fn calls() -> usize {
    std::env::var("BENCH_CALLS").ok().and_then(|calls| calls.parse().ok()).unwrap_or(40_000)
}

#[tokio::main]
async fn main() {
    // Cargo adds `--bench`.
    let asked: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    if let Some(unknown) = asked.iter().find(|word| !PARTS.contains(&word.as_str())) {
        eprintln!("{unknown} is not measured here; choose of {}", PARTS.join(", "));
        std::process::exit(64);
    }
    for part in PARTS {
        let is_asked = asked.iter().any(|word| word == part);
        if OF_BROKERS.contains(&part) && !backing::Backing::has_brokers() {
            if is_asked {
                eprintln!("{part} is measured with brokers: scripts/kafka run cargo bench …");
                std::process::exit(64);
            }
            continue;
        }
        if !asked.is_empty() && !is_asked {
            continue;
        }
        match part {
            "rest" => latency::rest().await,
            "limits" => limits::measure().await,
            "flat" => flat::measure(calls()).await,
            "tables" => flat::with_tables(calls()).await,
            "idle" => latency::idle().await,
            "steady" => latency::steady().await,
            "roles" => roles::measure(calls()).await,
            "curve" => curve::measure().await,
            "live" => live::measure().await,
            "grow" => live::grow().await,
            _ => holes::measure().await,
        }
    }
}
