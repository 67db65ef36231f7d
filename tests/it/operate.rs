//! What an operator asks a running server, and what he is told.

use std::process::Command;

use serde_json::Value;

use crate::harness::{COMPANY, Home, QUICK, Receiver, Reply, eventually, lost_call, run, session_of};

fn with_trigger(url: &str) -> String {
    format!("{COMPANY}[[trigger]]\ntenant = \"acme\"\nname = \"CRM\"\nurl = \"{url}\"\n")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn status_tells_of_calls_and_of_what_is_owed_and_the_log_level_changes_while_it_runs() {
    let home = Home::new(QUICK);
    let receiver = Receiver::start(|_| Reply::status(503)).await;
    home.apply(&with_trigger(&receiver.url("/hook/secret-path")));
    let mut serve = home.serve().await;
    let admin = format!("http://{}", serve.admin);
    serve.accept("k1", lost_call("one").to_string()).await;
    receiver.count(1).await;

    let status = eventually("a status with what is owed", async || {
        let done = run(&["status", "--json", "--admin", &admin]);
        assert_eq!(done.code, Some(0), "{}", done.stderr);
        let status: Value = serde_json::from_str(&done.stdout).expect("a document");
        (status["owed"]["deliveries"] == 1 && status["lastMinute"]["requests"] != 0).then_some(status)
    })
    .await;
    assert_eq!(status["v"], 1);
    assert_eq!(status["readiness"], "ready");
    assert_eq!(status["owed"]["most"][0]["name"], "CRM");
    assert_eq!(status["lastMinute"]["legs"], 1);
    assert!(!status.to_string().contains("secret-path"), "{status}");
    let stages: Vec<&str> =
        status["stages"].as_array().expect("a list").iter().filter_map(|one| one["name"].as_str()).collect();
    assert_eq!(stages, ["aggregate", "dispatch"]);
    let page = run(&["status", "--admin", &admin]);
    assert_eq!(page.code, Some(0));
    assert!(page.stdout.contains("ready") && page.stdout.contains("1 deliveries"), "{}", page.stdout);
    assert!(page.stdout.lines().all(|line| line.chars().count() <= 80), "{}", page.stdout);

    let level = |arguments: &[&str]| run(&[&["log-level", "--admin", &admin], arguments].concat());
    assert_eq!(level(&[]).stdout, "info (as configured)\n");
    let bad = level(&["degub"]);
    assert_eq!(bad.code, Some(1));
    assert!(bad.stderr.contains("\"degub\" is no level"), "{}", bad.stderr);
    assert_eq!(level(&["ringpost=debug,warn"]).stdout, "ringpost=debug,warn (configured: info)\n");
    serve.logged("the log level was changed").await;
    assert_eq!(level(&["--reset"]).stdout, "info (as configured)\n");

    let doctor = home.run(&["doctor", "--deep", "--receivers", "--json"]);
    let found: Value = serde_json::from_str(&doctor.stdout).expect("a list");
    let of = |what: &str| found.as_array().expect("a list").iter().find(|one| one["what"] == what).cloned();
    for what in ["data folder", "secret key", "disk", "clock", "store", "journal", "store files", "receiver"]
    {
        let one = of(what).unwrap_or_else(|| panic!("nothing of {what}: {found}"));
        assert_ne!(one["state"], "problem", "{one}");
    }
    serve.stop().await;
    let gone = run(&["status", "--admin", &admin]);
    assert_eq!(gone.code, Some(1));
    assert!(gone.stderr.contains("no server answers"), "{}", gone.stderr);
    std::fs::write(home.data().join("secret.key"), "").expect("it can be written");
    let broken = home.run(&["doctor"]);
    assert_eq!(broken.code, Some(1), "{}", broken.stdout);
    assert!(broken.stdout.contains("problem  store"), "{}", broken.stdout);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readiness_is_taken_back_while_the_server_stops() {
    let home = Home::new(QUICK);
    let receiver = Receiver::start(|_| Reply::hang()).await;
    home.apply(&with_trigger(&receiver.url("/hook")));
    let serve = home.serve().await;
    serve.accept("k1", lost_call("hangs").to_string()).await;
    let requests = receiver.count(1).await;
    assert_eq!(requests[0].session(), session_of("hangs"));
    let url = format!("http://{}/readyz", serve.admin);
    serve.terminate();
    // The request in flight keeps it from ending for some seconds.
    eventually("503 stopping", async || {
        let answer = reqwest::get(&url).await.ok()?;
        let status = answer.status().as_u16();
        (status == 503 && answer.text().await.ok()? == "stopping\n").then_some(())
    })
    .await;
    serve.ended().await;
}

/// Whoever watches from a script gets pages, without cursor movements.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_that_nobody_looks_at_moves_no_cursor() {
    let home = Home::new(QUICK);
    let serve = home.serve().await;
    let admin = format!("http://{}", serve.admin);
    let flags = ["status", "--watch", "--admin", &admin];
    let binary = std::env::current_exe()
        .expect("a path")
        .parent()
        .and_then(|one| one.parent())
        .expect("a folder")
        .join("ringpost");
    let mut child =
        Command::new(binary).args(flags).stdout(std::process::Stdio::piped()).spawn().expect("it runs");
    let out = child.stdout.take().expect("it is piped");
    let read = tokio::task::spawn_blocking(move || {
        let lines = std::io::BufRead::lines(std::io::BufReader::new(out));
        let mut heads = 0;
        let mut text = String::new();
        for line in lines.map_while(Result::ok) {
            heads += usize::from(line.starts_with("ringpost "));
            text.push_str(&line);
            if heads == 2 {
                break;
            }
        }
        text
    });
    let text =
        tokio::time::timeout(crate::harness::TIMEOUT, read).await.expect("two pages").expect("no panic");
    child.kill().expect("it can be killed");
    child.wait().expect("it has ended");
    assert!(!text.contains('\u{1b}'), "{text}");
}
