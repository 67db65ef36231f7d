//! The process dies without a word, again and again, while calls come in and requests are under way.

use std::collections::HashSet;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::harness::{Disk, Home, Kept, Life, Receiver, Repeats, Reply, Traffic, judge, seed, settle_down};

const CALLS: u64 = 300;
/// While legs are sent; one more comes after.
const KILLS: usize = 49;

/// Leases are short, so that what was in flight at a crash comes again while we wait; few requests at a time, so that
/// some wait when it comes. A call waits for legs that it names for longer than a busy machine takes to start: what comes after
/// that, and changes nothing of its record, is in none.
const SETTINGS: &str = r#"
[sessions]
settle = "300ms"
gap = "4s"
max_idle = "20s"
[delivery]
allow_http = true
allow_networks = ["127.0.0.0/8"]
deadline = "3s"
handoff = "300ms"
concurrency = 4
"#;

/// Slow, so that many requests are in flight at a kill; some fail at first, so that much is owed.
fn slow_and_moody() -> impl Fn(&crate::harness::Request) -> Reply + Send + Sync {
    let known = Mutex::new(HashSet::new());
    move |request| {
        let id = request.header("webhook-id").to_owned();
        // Random digits of a UUID: the same for every try.
        let dice = u32::from_str_radix(&id[..4], 16).unwrap_or_default();
        let is_first = known.lock().expect("nobody panics with it").insert(id);
        match dice % 16 {
            0 if is_first => Reply::status(500),
            1 => Reply::status(200).after(Duration::from_millis(900)),
            _ => Reply::status(200).after(Duration::from_millis(u64::from(dice % 250))),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_crashes_at_any_moment_lose_no_call_double_none_and_repeat_only_what_was_in_flight() {
    let mut random = StdRng::seed_from_u64(seed());
    let home = Home::new(SETTINGS);
    let receiver = Receiver::start(slow_and_moody()).await;
    let traffic = Traffic::new(CALLS, random.random());
    home.apply(&traffic.resources(&receiver));

    let began = Instant::now();
    let mut sending = traffic.send();
    let (mut lives, mut cut_off) = (Vec::new(), 0);
    let disk = Disk::watch(&home.path(""));
    for kill in 0..KILLS {
        let began = Instant::now();
        if kill % 5 == 4 {
            // While it starts: it reads what the last one left, and may write already.
            let starting = home.start();
            tokio::time::sleep(Duration::from_millis(random.random_range(0..200))).await;
            lives.push(Life { began, killed: Instant::now() });
            starting.kill();
            continue;
        }
        let serve = home.serve().await;
        sending.to(Some(serve.intake));
        let from = sending.requests * kill / KILLS;
        let to = sending.requests * (kill + 1) / KILLS;
        sending.accepted(random.random_range(from..to)).await;
        let seen = receiver.requests().len();
        // Every other kill is when a request has just come; the others are at any moment.
        if kill % 2 == 1 {
            receiver.count(seen + 1).await;
        }
        // Some lives are longer: what is answered then has to be on the disk at the end.
        let pause =
            if kill % 10 == 0 { random.random_range(1_000..3_000) } else { random.random_range(0..80) };
        if kill % 10 == 0 {
            // The traffic is for all of the lives.
            sending.to(None);
        }
        tokio::time::sleep(Duration::from_millis(pause)).await;
        cut_off += receiver.in_flight();
        lives.push(Life { began, killed: Instant::now() });
        serve.kill();
        sending.to(None);
    }
    let last = Instant::now();
    let serve = home.serve().await;
    sending.to(Some(serve.intake));
    sending.done().await;
    // Once more when all is taken in: what is under way, or owed, is known to nobody but us.
    receiver.count(receiver.requests().len() + 1).await;
    cut_off += receiver.in_flight();
    lives.push(Life { began: last, killed: Instant::now() });
    serve.kill();
    let serve = home.serve().await;
    let sent = began.elapsed();
    settle_down(&serve, &traffic, &receiver).await;
    serve.stop().await;

    let requests = receiver.requests();
    let ids: HashSet<&str> = requests.iter().map(|request| request.header("webhook-id")).collect();
    let again = sending.progress().again;
    let repeats = Repeats::of(&requests, &lives, &disk);
    println!(
        "{CALLS} calls, {} requests of legs ({again} sent again), {} kills with {cut_off} webhooks in flight; \
         {} webhooks for {} deliveries: {} retries, {} repeated that were in flight, {} that were answered up to {:.0?} \
         before (at most {:.0?} allowed); {} answered earlier, none of them repeated; taken in after {sent:.1?}, done after {:.1?}",
        sending.requests,
        lives.len(),
        requests.len(),
        ids.len(),
        repeats.retries,
        repeats.in_flight,
        repeats.unwritten.len(),
        repeats.longest(),
        repeats.window,
        repeats.safe,
        began.elapsed()
    );
    assert!(repeats.violations.is_empty(), "{:#?}", repeats.violations);
    // Whether a request of legs is cut off is luck: they take milliseconds.
    let has_shown = cut_off > 0 && repeats.by_crash() > 0 && repeats.safe > 0;
    assert!(has_shown, "the crashes met nothing: this run has shown nothing");
    let kept = Kept::open(&home).await;
    judge(&traffic, &kept, &requests).await;
    nothing_on_record_was_sent_again(&kept).await;
}

/// Exact, without a clock: what is in the log as delivered was never sent after that, or it would be there twice.
async fn nothing_on_record_was_sent_again(kept: &Kept) {
    let mut delivered = HashSet::new();
    for attempt in kept.attempts().await.into_iter().filter(|attempt| attempt.ok) {
        assert!(delivered.insert(attempt.delivery), "{} is on record as delivered twice", attempt.delivery);
    }
}
