//! A backup in the middle of the day, a dead machine, and a new one from the backup.

use std::collections::HashSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;

use crate::harness::{COMPANY, Home, Kept, QUICK, Receiver, Reply, eventually, lost_call, run, session_of};

fn trigger(name: &str, url: &str) -> String {
    format!("[[trigger]]\ntenant = \"acme\"\nname = \"{name}\"\nurl = \"{url}\"\nretries = 10\n")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("temporary folders have plain names")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_taken_in_the_middle_of_traffic_gives_back_all_that_was_accepted_before_it() {
    let home = Home::new(QUICK);
    let is_well = std::sync::Arc::new(AtomicBool::new(false));
    let well = std::sync::Arc::clone(&is_well);
    let good = Receiver::start(|_| Reply::status(200).after(Duration::from_millis(20))).await;
    let bad =
        Receiver::start(move |_| Reply::status(if well.load(Ordering::SeqCst) { 200 } else { 503 })).await;
    home.apply(&format!("{COMPANY}{}{}", trigger("good", &good.url("/g")), trigger("bad", &bad.url("/b"))));
    let serve = home.serve().await;
    // Some are over by the time of the backup, some are owed, some are in progress.
    for call in 0..20 {
        serve.accept("k1", lost_call(&format!("early-{call}")).to_string()).await;
    }
    good.count(20).await;
    serve.until("what the bad receiver refused is owed", |value| value("deliver_debts") > 0.0).await;
    for call in 0..20 {
        serve.accept("k1", lost_call(&format!("late-{call}")).to_string()).await;
    }

    let into = home.path("backup");
    let (flags, target) = (home.flags(), into.clone());
    let backup = tokio::task::spawn_blocking(move || {
        let flags = flags.iter().map(String::as_str);
        run(&["backup", text(&target), "--json"].into_iter().chain(flags).collect::<Vec<_>>())
    });
    let mut after = 0;
    while !backup.is_finished() {
        serve.accept("k1", lost_call(&format!("meanwhile-{after}")).to_string()).await;
        after += 1;
    }
    let done = backup.await.expect("it does not panic");
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    let summary: Value = serde_json::from_str(&done.stdout).expect("one JSON object");
    assert_eq!(summary["withKey"], false);
    assert!(!into.join("secret.key").exists(), "the key is in nobody's backup unasked");
    serve.kill();
    let before: HashSet<String> =
        good.requests().iter().map(|request| request.header("webhook-id").to_owned()).collect();

    let fresh = Home::new(QUICK);
    let refused = fresh.run(&["restore", text(&into)]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("the key of the secrets is missing"), "{}", refused.stderr);
    std::fs::create_dir_all(fresh.data()).expect("a folder");
    std::fs::copy(home.data().join("secret.key"), fresh.data().join("secret.key")).expect("the key");
    let restored = fresh.run(&["restore", text(&into)]);
    assert_eq!(restored.code, Some(0), "{}", restored.stderr);
    let again = fresh.run(&["restore", text(&into)]);
    assert!(again.stderr.contains("is not empty"), "{}", again.stderr);

    is_well.store(true, Ordering::SeqCst);
    let serve = fresh.serve().await;
    let wanted: HashSet<String> = (0..20)
        .flat_map(|call| [session_of(&format!("early-{call}")), session_of(&format!("late-{call}"))])
        .collect();
    for receiver in [&good, &bad] {
        eventually("every call that was accepted before", async || {
            let told = receiver.requests().into_iter().filter(|request| request.is_delivered());
            let told: HashSet<String> = told.map(|request| request.session()).collect();
            wanted.is_subset(&told).then_some(())
        })
        .await;
    }
    serve.accept("k1", lost_call("afterwards").to_string()).await;
    good.until("a new call", |requests| requests.iter().any(|one| one.session() == session_of("afterwards")))
        .await;
    serve.until("nothing owed", |value| value("deliver_debts") == 0.0).await;
    serve.stop().await;
    // What comes again has the id it had.
    let repeated = good.requests().into_iter().filter(|one| wanted.contains(&one.session()));
    let ids: HashSet<String> = repeated.map(|one| one.header("webhook-id").to_owned()).collect();
    assert_eq!(ids.len(), 40, "a delivery came under two ids");
    assert!(before.len() >= 20);
    let kept = Kept::open(&fresh).await;
    let calls: HashSet<String> = kept.envelopes().await.iter().map(|one| one.cdr.id.to_string()).collect();
    assert!(wanted.is_subset(&calls), "a call is missing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flipped_byte_is_found_before_anything_is_touched_and_what_was_there_is_moved_aside_on_request() {
    let home = Home::new(QUICK);
    let receiver = Receiver::start(|_| Reply::status(200)).await;
    home.apply(&format!("{COMPANY}{}", trigger("good", &receiver.url("/g"))));
    let serve = home.serve().await;
    serve.accept("k1", lost_call("one").to_string()).await;
    receiver.count(1).await;
    let into = home.path("backup");
    let done = home.run(&["backup", text(&into), "--with-key"]);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert!(done.stdout.contains("The key of the secrets is in it"), "{}", done.stdout);
    let running = home.run(&["restore", text(&into), "--force"]);
    assert!(running.stderr.contains("a server runs on"), "{}", running.stderr);
    serve.stop().await;

    let mut files: Vec<_> =
        std::fs::read_dir(&into).expect("a folder").map(|one| one.expect("a file").path()).collect();
    files.sort();
    assert!(files.len() >= 4, "{files:?}");
    for file in &files {
        let good = std::fs::read(file).expect("a file");
        let mut bad = good.clone();
        let middle = bad.len() / 2;
        bad[middle] ^= 0x40;
        std::fs::write(file, bad).expect("it can be written");
        let fresh = Home::new(QUICK);
        let refused = fresh.run(&["restore", text(&into)]);
        assert_eq!(refused.code, Some(1), "{}: {}", file.display(), refused.stdout);
        assert!(!fresh.data().join("store.db").exists() && !fresh.data().join("journal.db").exists());
        std::fs::write(file, good).expect("it can be written");
    }
    let forced = home.run(&["restore", text(&into), "--force"]);
    assert_eq!(forced.code, Some(0), "{}", forced.stderr);
    assert!(forced.stdout.contains("before-restore-"), "{}", forced.stdout);
    let fresh = Home::new(QUICK);
    let restored = fresh.run(&["restore", text(&into), "--json"]);
    assert_eq!(restored.code, Some(0), "{}", restored.stderr);
    for (wanted, home) in [(2, &home), (3, &fresh)] {
        let serve = home.serve().await;
        serve.accept("k1", lost_call(&format!("two-{}", home.data().display())).to_string()).await;
        receiver.until("the new call", |requests| requests.len() >= wanted).await;
        serve.stop().await;
    }
}
