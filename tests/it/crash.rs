//! The process dies without a word, again and again, while calls come in and requests are under way.

use std::collections::HashSet;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::harness::{Home, Kept, Receiver, Reply, Traffic, judge, settle_down};

const CALLS: u64 = 250;
/// While legs are sent; one more comes after.
const KILLS: usize = 6;

/// Leases are short, so that what was in flight at a crash comes again while we wait; few requests at a time, so that
/// some wait when it comes.
const SETTINGS: &str = r#"
[sessions]
settle = "300ms"
gap = "1s"
max_idle = "3s"
[delivery]
allow_http = true
allow_networks = ["127.0.0.0/8"]
deadline = "3s"
handoff = "300ms"
concurrency = 4
"#;

/// Printed; the variable sets it, to see a failure again.
fn seed() -> u64 {
    let given = std::env::var("RINGPOST_TEST_SEED").ok().and_then(|text| text.parse().ok());
    let seed = given.unwrap_or_else(rand::random);
    println!("RINGPOST_TEST_SEED={seed}");
    seed
}

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
async fn a_crash_at_any_moment_loses_no_call_doubles_none_and_repeats_only_what_a_receiver_can_tell() {
    let mut random = StdRng::seed_from_u64(seed());
    let home = Home::new(SETTINGS);
    let receiver = Receiver::start(slow_and_moody()).await;
    let traffic = Traffic::new(CALLS, random.random());
    home.apply(&traffic.resources(&receiver));

    let began = Instant::now();
    let mut sending = traffic.send();
    let mut cut_off = 0;
    for kill in 0..KILLS {
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
        tokio::time::sleep(Duration::from_millis(random.random_range(0..80))).await;
        cut_off += receiver.in_flight();
        serve.kill();
        sending.to(None);
    }
    let serve = home.serve().await;
    sending.to(Some(serve.intake));
    sending.done().await;
    // Once more when all is taken in: what is under way, or owed, is known to nobody but us.
    receiver.count(receiver.requests().len() + 1).await;
    cut_off += receiver.in_flight();
    serve.kill();
    let serve = home.serve().await;
    let sent = began.elapsed();
    settle_down(&serve, &traffic, &receiver).await;
    serve.stop().await;

    let requests = receiver.requests();
    let ids: HashSet<&str> = requests.iter().map(|request| request.header("webhook-id")).collect();
    let (repeats, again) = (requests.len() - ids.len(), sending.progress().again);
    println!(
        "{CALLS} calls, {} requests of legs ({again} sent again), {} kills with {cut_off} webhooks in flight; \
         {} webhooks for {} deliveries; taken in after {sent:.1?}, done after {:.1?}",
        sending.requests,
        KILLS + 1,
        requests.len(),
        ids.len(),
        began.elapsed()
    );
    assert!(cut_off > 0 && repeats > 0 && again > 0, "the crashes met nothing: this run has shown nothing");
    judge(&traffic, &Kept::open(&home).await, &requests).await;
}
