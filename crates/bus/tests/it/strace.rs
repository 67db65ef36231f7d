//! A power cut: the disk keeps what was synced, and of the rest any part.
//!
//! A child process works on a journal under `strace`, which records every write and sync with its bytes. From that
//! record we make the disk as a power cut at the moment of an acknowledgement could leave it: all that was synced by
//! then, and of the writes after the last sync a random part. Then we open it and look. Skipped without `strace`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use ringpost_bus::{Commit, Embedded, Event, Log, Worker};

use crate::bench::{HASTY, config, done_with, keeper, output, read_all, record};

const CHILD_FOLDER: &str = "RINGPOST_BUS_TEST_FOLDER";
const APPENDS: usize = 60;

#[test]
fn a_power_cut_costs_nothing_that_was_acknowledged() {
    let is_there = Command::new("strace").args(["-o", "/dev/null", "true"]).status();
    if !is_there.is_ok_and(|status| status.success()) {
        eprintln!("skipped: strace cannot run here");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("journal");
    let trace = folder.path().join("trace");
    let status = Command::new("strace")
        .args([
            "-f",
            "-y",
            "-xx",
            "-s",
            "10000000",
            "-e",
            "trace=pwrite64,write,fsync,fdatasync,ftruncate,?unlink,unlinkat",
        ])
        .arg("-o")
        .arg(&trace)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "strace::child", "--nocapture"])
        .env(CHILD_FOLDER, &journal)
        .status()
        .unwrap();
    assert!(status.success());
    let mut disk = Disk::default();
    let (mut acknowledged, mut cuts) = (0, 0);
    for call in calls(&fs::read_to_string(&trace).unwrap()) {
        if call.file.ends_with("acknowledged") {
            acknowledged += 1;
            // At every acknowledgement three cuts: nothing more than the synced, and twice a part of the rest.
            for seed in 0..3 {
                let cut = tempfile::tempdir().unwrap();
                disk.write_to(cut.path(), acknowledged * 3 + seed);
                check(cut.path(), acknowledged as usize);
                cuts += 1;
            }
            continue;
        }
        if call.file.starts_with(&*journal.to_string_lossy()) {
            disk.apply(call);
        }
    }
    assert_eq!((acknowledged, cuts), (APPENDS as u64, APPENDS * 3));
    // The orderly end of the process moves everything into the main file, and drops the other.
    for seed in 0..3 {
        let cut = tempfile::tempdir().unwrap();
        disk.write_to(cut.path(), seed);
        check(cut.path(), APPENDS);
    }
}

/// Everything that was acknowledged is there, and what was processed is processed exactly once.
fn check(folder: &Path, acknowledged: usize) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (log, journal) = Embedded::open(config(folder, Arc::new(|| 0))).await.unwrap();
        let journal = tokio::spawn(journal.run());
        let appended = read_all(&log, "check", "in").await;
        assert!(appended.len() >= acknowledged, "{} of {acknowledged} are there", appended.len());
        let expected: Vec<_> = (0..appended.len()).map(|i| i.to_string()).collect();
        assert_eq!(appended, expected);
        let answers = read_all(&log, "check", "out").await;
        let left = read_all(&log, "g", "in").await;
        assert_eq!(answers.len() + left.len(), appended.len(), "position and output are of one mind");
        drop(log);
        journal.await.unwrap();
    });
}

/// The process under test. Does nothing when it is run as a test.
#[test]
fn child() {
    let Some(folder) = std::env::var_os(CHILD_FOLDER).map(PathBuf::from) else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (log, journal) = Embedded::open(config(&folder, Arc::new(|| 0))).await.unwrap();
        let journal = tokio::spawn(journal.run());
        let mut worker = log.worker(keeper("g", "in")).await.unwrap();
        for i in 0..APPENDS {
            log.append("in", vec![record("acme", &i.to_string())]).await.unwrap();
            // One small write that strace sees, after the append has returned.
            fs::write(folder.join("acknowledged"), "x").unwrap();
            if i % 3 == 0 {
                process(&mut worker).await;
            }
        }
        drop((worker, log));
        journal.await.unwrap();
    });
}

async fn process(worker: &mut impl Worker) {
    loop {
        match worker.next(HASTY).await.unwrap() {
            Event::Records(batch) => {
                let answers = batch.messages.iter().map(|_| record("acme", "cdr")).collect();
                let commit = Commit { outputs: vec![output("out", answers)], ..done_with(&batch) };
                worker.commit(commit).await.unwrap();
            }
            Event::Idle(_) => return,
            _ => {}
        }
    }
}

/// One system call on one file.
struct Call {
    file: String,
    what: What,
}

enum What {
    Write { at: usize, bytes: Vec<u8> },
    Truncate(usize),
    Sync,
    Unlink,
}

/// What the disk holds, and what was only said to the system.
#[derive(Default)]
struct Disk {
    /// Files with what was synced, and what was written since.
    files: BTreeMap<String, (Vec<u8>, Vec<What>)>,
    /// Files that are gone once their folder is synced.
    unlinked: Vec<String>,
}

impl Disk {
    fn apply(&mut self, call: Call) {
        let name = Path::new(&call.file).file_name().unwrap().to_string_lossy().into_owned();
        let is_folder = !name.starts_with("journal.db");
        let (synced, pending) = match call.what {
            What::Unlink => return self.unlinked.push(name),
            What::Sync if is_folder => {
                return self.unlinked.drain(..).for_each(|name| _ = self.files.remove(&name));
            }
            _ => self.files.entry(name).or_default(),
        };
        match call.what {
            What::Sync => pending.drain(..).for_each(|what| put(synced, &what)),
            what => pending.push(what),
        }
    }

    /// Seeds divisible by three leave out all that was not synced.
    fn write_to(&self, folder: &Path, seed: u64) {
        let mut random = seed;
        // What is shared between processes is memory, and gone.
        for (name, (synced, pending)) in self.files.iter().filter(|(name, _)| !name.ends_with("-shm")) {
            let mut bytes = synced.clone();
            for what in pending {
                // A plain generator is enough to pick a part.
                random =
                    random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                if !seed.is_multiple_of(3) && random >> 63 == 1 {
                    put(&mut bytes, what);
                }
            }
            fs::write(folder.join(name), bytes).unwrap();
        }
    }
}

fn put(file: &mut Vec<u8>, what: &What) {
    match what {
        What::Write { at, bytes } => {
            file.resize(file.len().max(at + bytes.len()), 0);
            file[*at..at + bytes.len()].copy_from_slice(bytes);
        }
        What::Truncate(length) => file.resize(*length, 0),
        What::Sync | What::Unlink => {}
    }
}

/// Reads lines like `12 pwrite64(9</tmp/j/journal.db-wal>, "\x00…", 24, 0) = 24`. A call that another thread
/// interrupts is printed in two lines; a write counts from its first, a sync from its last.
fn calls(trace: &str) -> Vec<Call> {
    let mut unfinished: BTreeMap<&str, String> = BTreeMap::new();
    let mut calls = Vec::new();
    for line in trace.lines() {
        let Some((process, rest)) = line.split_once(' ') else { continue };
        let rest = rest.trim_start();
        if let Some((call, _)) = rest.split_once(" <unfinished ...>") {
            if call.starts_with("fsync") || call.starts_with("fdatasync") {
                unfinished.insert(process, call.to_owned());
            } else {
                calls.extend(parse(call));
            }
        } else if rest.starts_with("<... ") {
            calls.extend(unfinished.remove(process).as_deref().and_then(parse));
        } else {
            calls.extend(parse(rest));
        }
    }
    calls
}

fn parse(call: &str) -> Option<Call> {
    let (name, rest) = call.split_once('(')?;
    if name.starts_with("unlink") {
        let file = unescape(rest.split('"').nth(1)?);
        return rest.ends_with("= 0").then_some(Call { file, what: What::Unlink });
    }
    let (_, rest) = rest.split_once('<')?;
    let (file, rest) = rest.split_once('>')?;
    let file = unescape(file);
    let what = match name {
        "fsync" | "fdatasync" => What::Sync,
        "ftruncate" => What::Truncate(numbers(rest).first().copied()?),
        "pwrite64" | "write" => {
            let (_, rest) = rest.split_once('"')?;
            let (data, rest) = rest.split_once('"')?;
            let at = if name == "write" { 0 } else { *numbers(rest).get(1)? };
            What::Write { at, bytes: unescape_bytes(data) }
        }
        _ => return None,
    };
    Some(Call { file, what })
}

fn numbers(text: &str) -> Vec<usize> {
    let args = text.split_once(')').map_or(text, |(args, _)| args);
    args.split(',').filter_map(|part| part.trim().parse().ok()).collect()
}

fn unescape_bytes(hex: &str) -> Vec<u8> {
    hex.split("\\x").skip(1).map(|byte| u8::from_str_radix(&byte[..2], 16).unwrap()).collect()
}

/// Paths are escaped too, by some versions of strace.
fn unescape(path: &str) -> String {
    if path.starts_with("\\x") { String::from_utf8(unescape_bytes(path)).unwrap() } else { path.to_owned() }
}
