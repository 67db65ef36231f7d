//! Legs that come from files.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;

use crate::harness::{COMPANY, Home, Kept, QUICK, eventually, lost_call, run, seed, session_of, token};

const LINES: usize = 3_000;
const KILLS: usize = 8;

fn with_source(home: &Home, pattern: &str, more: &str) {
    let path = home.path(pattern);
    let path = path.to_str().expect("temporary folders have plain names");
    home.write(
        "ringpost.toml",
        &format!(
            "{QUICK}[source]\npoll = \"20ms\"\n[[source.file]]\npath = \"{path}\"\npbx = \"k1\"\n{more}"
        ),
    );
    home.apply(COMPANY);
}

fn line(leg: &str) -> String {
    format!("{}\n", lost_call(leg))
}

fn append(path: &Path, text: &str) {
    let mut file = OpenOptions::new().append(true).create(true).open(path).expect("a log can be written");
    file.write_all(text.as_bytes()).expect("a log can be written");
}

/// Writes as a switch does: lines in two halves, and every now and then the log is rotated, one way or the other.
/// It gets the number of the line that it may write up to.
fn write_log(path: PathBuf, mut random: StdRng, written: &AtomicUsize, may: &Receiver<usize>) {
    let (mut rotations, mut until) = (0, 0);
    for at in 0..LINES {
        while at >= until {
            until = may.recv().expect("the test goes on");
        }
        let line = line(&format!("leg-{at}"));
        let (first, second) = line.split_at(random.random_range(0..line.len()));
        append(&path, first);
        for _ in 0..random.random_range(0..20) {
            std::thread::yield_now();
        }
        append(&path, second);
        written.store(at + 1, Ordering::Release);
        if random.random_range(0..200) == 0 {
            rotations += 1;
            let to = path.with_extension(format!("log.{rotations}"));
            if rotations % 3 == 0 {
                fs::copy(&path, to).expect("a copy");
                OpenOptions::new().write(true).truncate(true).open(&path).expect("it can be cut");
            } else {
                fs::rename(&path, to).expect("it can be renamed");
            }
        }
    }
    println!("{LINES} lines, {rotations} rotations");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crashes_while_a_log_is_followed_and_rotated_lose_no_line_and_double_no_call() {
    let mut random = StdRng::seed_from_u64(seed());
    let home = Home::new(QUICK);
    with_source(&home, "legs.log*", "");
    let written: &'static AtomicUsize = Box::leak(Box::default());
    let (path, seed) = (home.path("legs.log"), random.random());
    let (may, is_allowed) = channel();
    let writer =
        std::thread::spawn(move || write_log(path, StdRng::seed_from_u64(seed), written, &is_allowed));
    for kill in 0..KILLS {
        let serve = home.serve().await;
        let (from, to) = (LINES * kill / KILLS, LINES * (kill + 1) / KILLS);
        may.send(to).expect("the writer goes on");
        let at = random.random_range(from..to);
        eventually("lines to be written", async || (written.load(Ordering::Acquire) > at).then_some(()))
            .await;
        if kill % 2 == 0 {
            // The others die at any moment, before the first one too.
            serve.until("a line to be read", |value| value(&of("source_legs_total", &home)) > 0.0).await;
        }
        serve.kill();
    }
    let serve = home.serve().await;
    eventually("the last line to be written", async || writer.is_finished().then_some(())).await;
    writer.join().expect("the log was written");
    serve
        .until("everything to be read, closed and dispatched", |value| {
            value(&of("source_behind_bytes", &home)) == 0.0
                && value(&of("source_files", &home)) > 0.0
                && value("session_live") == 0.0
                && value("stage_lag_records{stage=\"aggregate\"}") == 0.0
                && value("stage_lag_records{stage=\"dispatch\"}") == 0.0
        })
        .await;
    serve.stop().await;
    let kept = Kept::open(&home).await;
    let envelopes = kept.envelopes().await;
    let found: BTreeSet<String> = envelopes.iter().map(|envelope| envelope.session.to_string()).collect();
    let expected: BTreeSet<String> = (0..LINES).map(|at| session_of(&format!("leg-{at}"))).collect();
    let missing: Vec<_> = expected.difference(&found).collect();
    assert!(missing.is_empty(), "{} of {LINES} calls are lost", missing.len());
    assert_eq!(found.len(), envelopes.len(), "a call has two records");
    assert_eq!(found, expected);
    assert!(envelopes.iter().all(|envelope| envelope.rev == 1), "a repeat changed a call");
    let letters = home.run(&["dead-letters", "list"]);
    assert!(!letters.stdout.contains("not JSON"), "half a line was read: {}", letters.stdout);
}

fn of(metric: &str, home: &Home) -> String {
    format!("{metric}{{source=\"{}\"}}", home.path("legs.log*").display())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_file_says_wrongly_is_kept_with_its_place_and_the_rest_is_read() {
    let home = Home::new(QUICK);
    with_source(&home, "legs.log", "");
    let mut serve = home.serve().await;
    let admin = format!("http://{}", serve.admin);
    let status = async || {
        let done = run(&["status", "--json", "--admin", &admin]);
        let status: Value = serde_json::from_str(&done.stdout).ok()?;
        Some(status["sources"][0].clone())
    };
    eventually("the source to wait for its file", async || {
        status().await.filter(|source| source["state"] == "waiting")
    })
    .await;
    let path = home.path("legs.log");
    append(&path, &line("one"));
    append(&path, "nonsense\n");
    append(&path, &line("two").replace("\"acme\"", "\"rival\""));
    append(&path, &line("three").replace("\"k1\"", "\"k2\""));
    append(&path, &line("four"));
    let source = eventually("the file to be read", async || {
        status().await.filter(|source| source["legs"] == 2 && source["rejected"] == 3)
    })
    .await;
    assert_eq!((&source["state"], &source["files"]), (&"current".into(), &1.into()), "{source}");
    let page = run(&["status", "--admin", &admin]).stdout;
    assert!(page.contains("SOURCE ") && page.contains("legs.log"), "{page}");
    serve.logged("\"file is read\"").await;
    let letters = home.run(&["dead-letters", "list"]);
    let first = line("one").len();
    for (place, why) in [
        (format!("line 2, byte {first}"), "not JSON"),
        (format!("line 3, byte {}", first + 9), "the leg is of tenant rival, pbx k1 may not speak for it"),
        ("line 4, byte".to_owned(), "the leg is of pbx k2, what it came by is of k1"),
    ] {
        let place = format!("file {} {place}", path.display());
        let text = &letters.stdout;
        assert!(text.contains(&place) && text.contains(why), "{place}: {why}\n{text}{}", letters.stderr);
    }
    serve.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_of_documents_is_read_once_and_what_is_in_the_way_stops_nothing_else() {
    let home = Home::new(QUICK);
    with_source(&home, "legs/*.log", "follow = false\n");
    fs::create_dir(home.path("legs")).expect("a folder");
    let other = home.path("legs.log/x");
    let text = fs::read_to_string(home.path("ringpost.toml")).expect("it was written");
    home.write("legs.log", "not a folder");
    let more = format!("[[source.file]]\npath = \"{}\"\npbx = \"k1\"\n", other.display());
    home.write("ringpost.toml", &format!("{text}{more}"));
    for at in 0..300 {
        append(&home.path(&format!("legs/{at}.log")), line(&format!("leg-{at}")).trim_end());
    }
    let mut serve = home.serve().await;
    serve.logged("every file is read to its end").await;
    serve.until("300 calls", |value| value("session_records_total{revision=\"first\"}") == 300.0).await;
    let in_the_way = |log: &[String]| log.iter().filter(|line| line.contains("Not a directory")).count();
    assert_eq!(in_the_way(&serve.log()), 1, "told once, not at each look");
    serve.stop().await;
    append(&home.path("legs/7.log"), &format!("\n{}", line("late")));
    let mut serve = home.serve().await;
    serve.logged("every file is read to its end").await;
    let metrics = serve.metrics().await;
    let legs = metrics.iter().filter(|(name, _)| name.starts_with("ringpost_source_legs_total"));
    assert_eq!(legs.map(|(_, legs)| legs).sum::<f64>(), 0.0, "they are done");
    serve.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_sent_and_what_is_refused_of_it_is_told_with_its_place() {
    let home = Home::new(QUICK);
    home.apply(COMPANY);
    let serve = home.serve().await;
    let to = format!("http://{}", serve.intake);
    let send = |file: &Path| {
        let file = file.to_str().expect("temporary folders have plain names");
        run(&["send", "--pbx", "k1", "--to", &to, "--token", &token("k1"), file])
    };
    // More than one request.
    let legs: String = (0..6_000).map(|at| line(&format!("leg-{at}"))).collect();
    let done =
        send(&home.write("legs.log", &format!("{legs}nonsense\n{}", line("rival").replace("acme", "rival"))));
    assert_eq!((done.code, done.stderr.as_str()), (Some(1), "6000 legs taken in, 2 elements refused\n"));
    let path = home.path("legs.log");
    let place = format!("{} line 6001, byte {}: not JSON", path.display(), legs.len());
    assert!(done.stdout.starts_with(&place), "{}", done.stdout);
    assert!(
        done.stdout.contains("the leg is of tenant rival, pbx k1 may not speak for it"),
        "{}",
        done.stdout
    );
    // Again: it says nothing new.
    let done = send(&home.write("legs.log", &legs));
    assert_eq!((done.code, done.stderr.as_str()), (Some(0), "6000 legs taken in, 0 elements refused\n"));
    serve
        .until("every call once", |value| {
            value("session_records_total{revision=\"first\"}") == 6_000.0
                && value("session_live") == 0.0
                && value("stage_lag_records{stage=\"aggregate\"}") == 0.0
        })
        .await;
    let wrong = run(&["send", "--pbx", "k2", "--to", &to, "--token", "guess", path.to_str().expect("plain")]);
    assert_eq!(wrong.code, Some(1));
    assert!(wrong.stderr.contains("401: token missing or wrong"), "{}", wrong.stderr);
    serve.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_that_cannot_be_stored_is_read_again_when_it_can() {
    let home = Home::new(QUICK);
    with_source(&home, "legs.log", "");
    let mut serve = home.serve().await;
    append(&home.path("legs.log"), &line("before"));
    serve.until("a call", |value| value("session_records_total{revision=\"first\"}") == 1.0).await;
    // What is written now would be in a file that nobody finds again.
    let (journal, aside) = (home.data().join("journal.db"), home.data().join("aside"));
    fs::rename(&journal, &aside).expect("it can be renamed");
    append(&home.path("legs.log"), &line("meanwhile"));
    serve.logged("what was read of files cannot be stored").await;
    let metrics = serve.metrics().await;
    let legs = format!("ringpost_source_legs_total{{source=\"{}\"}}", home.path("legs.log").display());
    assert_eq!(metrics[&legs], 1.0, "nothing is counted as read before it is stored");
    fs::rename(&aside, &journal).expect("it can be renamed");
    serve.logged("what was read of files is stored").await;
    serve.until("the other call", |value| value("session_records_total{revision=\"first\"}") == 2.0).await;
    let told = serve.log().iter().filter(|line| line.contains("cannot be stored")).count();
    assert_eq!(told, 1, "told once, not at each try");
    serve.stop().await;
}
