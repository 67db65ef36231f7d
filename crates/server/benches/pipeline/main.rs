//! The whole pipeline on one machine, measured from outside: the release binary as a process, a sender, a receiver.
//!
//! `cargo bench -p ringpost --bench pipeline`, all of it; or some: `-- rest limits flat tables idle steady holes`. One line a
//! figure. Rates move with whatever else the machine does; CPU seconds per 1,000 calls, and figures beside those of a
//! bare loop of the same run, repeat.
//!
//! `BENCH_CALLS` says how many calls `flat` sends. The installations lie in the folder of temporary files, so that
//! `TMPDIR=/dev/shm` measures without the disk. With `BENCH_WATCH` set, `flat` says the process for a profiler, and
//! all metrics at the end.

mod calls;
mod figures;
mod flat;
mod holes;
mod installation;
mod latency;
mod limits;
mod receiver;
mod sender;
mod server;

/// What can be asked for, in this order.
const PARTS: [&str; 7] = ["rest", "limits", "flat", "tables", "idle", "steady", "holes"];

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
        if !asked.is_empty() && asked.iter().all(|word| word != part) {
            continue;
        }
        match part {
            "rest" => latency::rest().await,
            "limits" => limits::measure().await,
            "flat" => flat::measure(calls()).await,
            "tables" => flat::with_tables(calls()).await,
            "idle" => latency::idle().await,
            "steady" => latency::steady().await,
            _ => holes::measure().await,
        }
    }
}
