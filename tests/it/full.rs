//! The disk is full: nothing that was acknowledged is lost, the sender hears why, and all goes on when there is room.
//!
//! Limits on the size of files work for everybody, and let one file alone be full: the one that the load of the test
//! lets grow. A disk that is really full needs the right to mount one.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::harness::{
    COMPANY, Home, QUICK, Receiver, Reply, Request, Serve, Starting, eventually, lost_call, session_of,
};

/// Bytes of a file at most.
const ROOM: u64 = 1_024 * 1_024;
/// Requests until a disk has to be full.
const MANY: usize = 3_000;

fn company(receiver: &Receiver) -> String {
    let url = receiver.url("/crm");
    format!("{COMPANY}[[trigger]]\ntenant = \"acme\"\nname = \"CRM\"\nurl = \"{url}\"\nretries = 10\n")
}

/// What SIGXFSZ would kill gets an error instead, as from a disk that is full.
fn with_little_room(home: &Home) -> Starting {
    let script = format!("trap '' XFSZ; ulimit -S -f {}; exec \"$@\"", ROOM / 512);
    Starting::spawn(within(&["sh", "-c", &script, "sh"], &Serve::command(home)))
}

/// A command that another one runs.
fn within(outer: &[&str], inner: &Command) -> Command {
    let mut command = Command::new(outer[0]);
    command.args(&outer[1..]).arg(inner.get_program()).args(inner.get_args());
    for (name, _) in inner.get_envs().filter(|(_, value)| value.is_none()) {
        command.env_remove(name);
    }
    command
}

fn give_room(serve: &Serve) {
    let id = serve.id().to_string();
    let done = Command::new("prlimit").args(["--fsize=unlimited:unlimited", "--pid", &id]).status();
    assert!(done.expect("prlimit is there (package util-linux)").success());
}

/// Sends calls until one is refused; returns those that were accepted.
async fn fill(serve: &Serve, name: &str) -> BTreeSet<String> {
    let mut accepted = BTreeSet::new();
    for number in 0..MANY {
        let leg = format!("{name}-{number}");
        let answer = serve.post("k1", lost_call(&leg).to_string()).await;
        if answer.status == 202 {
            accepted.insert(session_of(&leg));
            continue;
        }
        assert!([503, 507].contains(&answer.status.as_u16()), "{}: {}", answer.status, answer.body);
        let detail = answer.body["detail"].as_str().unwrap_or_default();
        assert!(detail.contains("not stored"), "it does not say that it was not stored: {detail}");
        assert!(answer.retry_after, "it does not say when to try again");
        return accepted;
    }
    panic!("{MANY} calls were taken in, and nothing was full");
}

/// From now on calls are taken in again, and every accepted one is told.
async fn goes_on(serve: &Serve, receiver: &Receiver, mut accepted: BTreeSet<String>) {
    eventually("calls to be taken in again", async || {
        (serve.post("k1", lost_call("afterwards").to_string()).await.status == 202).then_some(())
    })
    .await;
    accepted.insert(session_of("afterwards"));
    eventually("every accepted call", async || {
        let requests = receiver.requests();
        let told: BTreeSet<String> =
            requests.iter().filter(|request| request.is_delivered()).map(Request::session).collect();
        accepted.is_subset(&told).then_some(())
    })
    .await;
    serve
        .until("nothing left to do", |value| {
            value("deliver_debts") == 0.0 && value("stage_lag_records{stage=\"dispatch\"}") == 0.0
        })
        .await;
}

async fn stops_well(serve: Serve) {
    let log = serve.stops_well().await;
    assert!(!log.iter().any(|line| line.contains("panicked")), "{}", log.join("\n"));
}

async fn is_alive(serve: &Serve) {
    assert_eq!(serve.health("/livez").await, 200);
    assert!(serve.metrics_text().await.contains("ringpost_ingest_legs_accepted_total"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_journal_refuses_legs_and_takes_them_again_when_there_is_room() {
    // What is open stays open, so that nothing but the journal grows.
    let home = Home::new(&QUICK.replace("100ms", "5s"));
    let receiver = Receiver::start(|_| Reply::status(200)).await;
    home.apply(&company(&receiver));
    let serve = with_little_room(&home).ready().await;
    let accepted = fill(&serve, "journal").await;
    assert!(!accepted.is_empty());
    is_alive(&serve).await;
    assert!(
        home.data().join("journal.db-wal").metadata().unwrap().len() >= ROOM - 8_192,
        "it was not the journal"
    );
    give_room(&serve);
    goes_on(&serve, &receiver, accepted).await;
    stops_well(serve).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_store_refuses_what_it_would_have_to_keep_and_forgets_no_call() {
    let home = Home::new(QUICK);
    let receiver = Receiver::start(|_| Reply::status(200)).await;
    home.apply(&company(&receiver));
    let serve = with_little_room(&home).ready().await;
    // Dead letters grow the store, and nothing else: large ones, then small ones into what room they leave.
    let mut kept = 0;
    let mut refused = None;
    for length in [60_000, 100] {
        refused = loop {
            let garbage = format!("{kept} {}", "x".repeat(length));
            let answer = serve.post("k1", garbage).await;
            if answer.status != 400 {
                break Some(answer);
            }
            kept += 1;
            assert!(kept < MANY, "nothing was full");
        };
    }
    let refused = refused.expect("both loops end with one");
    assert!([503, 507].contains(&refused.status.as_u16()), "{}: {}", refused.status, refused.body);
    assert!(refused.body.to_string().contains("not stored"), "{}", refused.body);
    is_alive(&serve).await;
    // Good calls need only the journal; they are told when it is possible.
    let mut accepted = BTreeSet::new();
    for leg in ["store-1", "store-2", "store-3"] {
        serve.accept("k1", lost_call(leg).to_string()).await;
        accepted.insert(session_of(leg));
    }
    // They are on record nowhere else yet: the write that failed is made again, on whatever the failure left behind.
    eventually("the second write to fail", async || {
        let fails = |line: &&String| line.contains("write of deliveries failed");
        (serve.log().iter().filter(fails).count() >= 2).then_some(())
    })
    .await;
    give_room(&serve);
    goes_on(&serve, &receiver, accepted).await;
    stops_well(serve).await;
    assert!(kept > 0, "there was no room for any");
    let letters = home.run(&["dead-letters", "list", "--limit", "1000"]).stdout;
    assert_eq!(
        letters.lines().count(),
        kept,
        "a dead letter that was acknowledged is gone, or one too many is there"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_log_of_attempts_loses_no_delivery_and_no_leg() {
    let home = Home::new(QUICK);
    // An answer that is kept makes the log grow by 16 KB.
    let receiver = Receiver::start(|_| Reply::status(200).body(&"y".repeat(20_000))).await;
    home.apply(&company(&receiver));
    let mut serve = with_little_room(&home).ready().await;
    let mut accepted = BTreeSet::new();
    // In one request, so that the journal grows little.
    let legs: Vec<String> = (0..90).map(|number| format!("log-{number}")).collect();
    accepted.extend(legs.iter().map(|leg| session_of(leg)));
    let calls: Vec<String> = legs.iter().map(|leg| lost_call(leg).to_string()).collect();
    serve.accept("k1", calls.join("\n")).await;
    serve.logged("write of deliveries failed, trying again").await;
    is_alive(&serve).await;
    give_room(&serve);
    goes_on(&serve, &receiver, accepted).await;
    stops_well(serve).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_is_really_full_loses_nothing_either() {
    let home = Home::new(QUICK);
    let receiver = Receiver::start(|_| Reply::status(200)).await;
    let resources = home.write("resources.toml", &company(&receiver));
    let Some(mount) = mount_namespace() else {
        println!("this user may not mount a disk: only the limits of files were tested");
        return;
    };
    std::fs::create_dir_all(home.data()).unwrap();
    let serve = Serve::command(&home);
    let script = "mount -t tmpfs -o size=6m tmpfs \"$1\" && \"$4\" apply -f \"$2\" --config \"$3\" --data \"$1\" >/dev/null; shift 3; exec \"$@\"";
    let data = home.data();
    let config = home.path("ringpost.toml");
    let [data_of, config] = [&data, &config].map(|path| path.to_str().unwrap());
    let arguments = ["sh", "-c", script, "sh", data_of, resources.to_str().unwrap(), config];
    let outer: Vec<&str> = mount.iter().copied().chain(arguments).collect();
    let serve = Starting::spawn(within(&outer, &serve)).ready().await;

    let accepted_before = session_of("before");
    serve.accept("k1", lost_call("before").to_string()).await;
    receiver.count(1).await;
    // Its disk, as it sees it.
    let disk = PathBuf::from(format!("/proc/{}/root{}", serve.id(), data.display()));
    let filler = disk.join("filler");
    let mut file = File::create(&filler).expect("its folder can be seen");
    for bytes in [65_536, 4_096, 512] {
        while file.write_all(&vec![1; bytes]).is_ok() {}
    }
    let mut accepted = fill(&serve, "disk").await;
    accepted.insert(accepted_before);
    is_alive(&serve).await;
    drop(file);
    std::fs::remove_file(&filler).unwrap();
    goes_on(&serve, &receiver, accepted).await;
    stops_well(serve).await;
}

/// What gives a process mounts of its own.
fn mount_namespace() -> Option<&'static [&'static str]> {
    const WAYS: [&[&str]; 2] = [&["unshare", "-m"], &["unshare", "-Urm"]];
    WAYS.into_iter().find(|way| {
        let target = tempfile::tempdir().expect("a temporary folder");
        let mut command = Command::new(way[0]);
        command.args(&way[1..]).args(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(target.path());
        command.output().is_ok_and(|done| done.status.success())
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_on_a_full_disk_says_so_and_a_later_one_finds_everything() {
    let home = Home::new(QUICK);
    let receiver = Receiver::start(|_| Reply::status(200)).await;
    home.apply(&company(&receiver));
    let serve = home.serve().await;
    serve.accept("k1", lost_call("early").to_string()).await;
    receiver.count(1).await;
    serve.kill();
    // Nothing can be written at all.
    let script = "trap '' XFSZ; ulimit -f 0; exec \"$@\"";
    let done = within(&["sh", "-c", script, "sh"], &Serve::command(&home)).output().expect("a shell");
    let told = String::from_utf8_lossy(&done.stderr).into_owned();
    assert_eq!(done.status.code(), Some(1), "{told}");
    assert!(told.contains("error: ") && told.contains(".db"), "it does not say which file: {told}");
    assert!(!told.contains("panicked"), "{told}");
    let serve = tokio::time::timeout(Duration::from_secs(60), home.serve()).await.expect("it starts again");
    serve.accept("k1", lost_call("late").to_string()).await;
    let wanted = BTreeSet::from(["early", "late"].map(session_of));
    receiver
        .until("both calls", |requests| {
            wanted == requests.iter().map(Request::session).collect::<BTreeSet<_>>()
        })
        .await;
    stops_well(serve).await;
}
