//! Files that are no longer what was written to them: either everything that was synced is there, or the start says
//! which file it is and what to do. Never a panic, and never a server that starts as if nothing had been.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::harness::{COMPANY, Home, QUICK, Receiver, Reply, Request, eventually, lost_call, session_of};

const CALLS: usize = 40;

/// An installation that was killed in the middle of its life: everything is told, and much is only in the logs of SQLite.
async fn killed(receiver: &Receiver) -> Home {
    let home = Home::new(QUICK);
    let url = receiver.url("/crm");
    home.apply(&format!("{COMPANY}[[trigger]]\ntenant = \"acme\"\nname = \"CRM\"\nurl = \"{url}\"\n"));
    let serve = home.serve().await;
    for number in 0..CALLS {
        serve.accept("k1", lost_call(&format!("call-{number}")).to_string()).await;
    }
    receiver.count(CALLS).await;
    serve
        .until("all is on record", |value| {
            value("stage_lag_records{stage=\"dispatch\"}") == 0.0
                && value("store_rows_total{table=\"attempts\"}") >= CALLS as f64
        })
        .await;
    serve.kill();
    home
}

/// The same, and then stopped: everything is in the files themselves.
async fn stopped(receiver: &Receiver) -> Home {
    let home = killed(receiver).await;
    let serve = home.serve().await;
    // It opens the day's file, whose log goes into it at the end.
    serve.accept("k1", lost_call("last").to_string()).await;
    receiver.count(CALLS + 1).await;
    let (status, _) = serve.stop().await;
    assert_eq!(status.code(), Some(0));
    home
}

/// Another installation with a copy of its files.
fn copy(home: &Home) -> Home {
    let other = Home::new(QUICK);
    std::fs::create_dir(other.data()).expect("a file of a temporary folder");
    for entry in std::fs::read_dir(home.data()).expect("a file of a temporary folder") {
        let path = entry.expect("a file of a temporary folder").path();
        std::fs::copy(&path, other.data().join(path.file_name().expect("a file of a temporary folder")))
            .expect("a file of a temporary folder");
    }
    other
}

fn overwrite(path: &Path, at: u64, bytes: &[u8]) {
    let mut file = OpenOptions::new().write(true).open(path).expect("a file of a temporary folder");
    file.seek(SeekFrom::Start(at)).expect("a file of a temporary folder");
    file.write_all(bytes).expect("a file of a temporary folder");
}

fn length(path: &Path) -> u64 {
    path.metadata().expect("a file of a temporary folder").len()
}

fn shorten(path: &Path, to: u64) {
    OpenOptions::new()
        .write(true)
        .open(path)
        .expect("a file of a temporary folder")
        .set_len(to)
        .expect("a file of a temporary folder");
}

/// It starts, takes a call, tells it, and has lost none before.
async fn starts_with_everything(home: &Home, receiver: &Receiver, name: &str) {
    let serve = home.serve().await;
    let before = receiver.requests().len();
    serve.accept("k1", lost_call(name).to_string()).await;
    receiver
        .until("the new call", |requests| {
            requests[before..].iter().any(|it| it.session() == session_of(name))
        })
        .await;
    let log = serve.stops_well().await;
    assert!(!log.iter().any(|line| line.contains("panicked")), "{}", log.join("\n"));
    let listed = home.run(&["calls", "list", "--limit", "1000"]);
    assert_eq!(listed.code, Some(0), "{}", listed.stderr);
    for number in 0..CALLS {
        let id = session_of(&format!("call-{number}"));
        assert!(listed.stdout.contains(&id), "{name}: call {number} is lost\n{}", listed.stdout);
    }
}

/// It ends by itself, and says that this file is the matter, and this; returns all that it says.
async fn does_not_start(home: &Home, file: &str, advice: &str) -> String {
    match home.start().up_or_ended().await {
        Ok(serve) => panic!("it is up though {file} is damaged:\n{}", serve.log().join("\n")),
        Err((code, told)) => {
            assert_eq!(code, Some(1), "{file}: {told}");
            assert!(told.contains(file) && told.contains(advice), "{file}, {advice}: {told}");
            assert!(!told.contains("panicked"), "{told}");
            told
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_crash_leaves_at_the_end_of_a_log_costs_nothing_and_rot_before_it_is_told() {
    let receiver = Receiver::start(|_| Reply::status(200)).await;
    let home = killed(&receiver).await;
    for log in ["journal.db-wal", "store.db-wal"] {
        // A transaction that was not acknowledged: a frame of this log that does not fit, behind what was.
        let torn = copy(&home);
        let path = torn.data().join(log);
        let mut head = [0; 12];
        let mut file = std::fs::File::open(&path).unwrap();
        file.read_exact(&mut head).unwrap();
        let page = u32::from_be_bytes(head[8..].try_into().unwrap());
        let mut frame = vec![0; 24 + page as usize];
        file.seek(SeekFrom::Start(32)).unwrap();
        file.read_exact(&mut frame).unwrap();
        overwrite(&path, length(&path), &frame);
        starts_with_everything(&torn, &receiver, &format!("torn {log}")).await;

        // SQLite would take the first frame that does not fit for the end, and drop what was acknowledged after it.
        let rotten = copy(&home);
        let path = rotten.data().join(log);
        overwrite(&path, length(&path) / 3, b"rotten");
        does_not_start(&rotten, log, "is damaged at byte").await;
        // The way on that is offered works, for who has no backup.
        let told = does_not_start(&rotten, log, "restore it from a backup").await;
        let at = told.split_once("truncate -s ").and_then(|(_, rest)| rest.split(' ').next()?.parse().ok());
        shorten(&path, at.expect("it says where"));
        rotten.serve().await.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_cut_overwritten_empty_or_gone_is_named_with_what_to_do() {
    let receiver = Receiver::start(|_| Reply::status(200)).await;
    let home = stopped(&receiver).await;
    for file in ["journal.db", "store.db"] {
        let damaged = |how: &dyn Fn(PathBuf)| {
            let damaged = copy(&home);
            how(damaged.data().join(file));
            damaged
        };
        does_not_start(&damaged(&|path| shorten(&path, 5_000)), file, "is damaged").await;
        does_not_start(&damaged(&|path| overwrite(&path, 0, &[0x5a; 4_096])), file, "is damaged").await;
        does_not_start(&damaged(&|path| shorten(&path, 0)), file, "restore the folder from a backup").await;
        does_not_start(
            &damaged(&|path| std::fs::remove_file(path).unwrap()),
            file,
            "restore the folder from a backup",
        )
        .await;
    }
    let keyless = copy(&home);
    std::fs::remove_file(keyless.data().join("secret.key")).unwrap();
    does_not_start(&keyless, "secret.key", "copy the key back").await;
    assert!(!keyless.data().join("secret.key").exists(), "a new key was made, which opens nothing");

    // Rot in the middle of a file is met when it is read: then it is told, and nothing panics.
    for file in ["journal.db", "store.db"] {
        let rotten = copy(&home);
        let path = rotten.data().join(file);
        let third = length(&path) / 3;
        overwrite(&path, third, &vec![0x5a; third as usize]);
        let done = rotten.run(&["calls", "list", "--limit", "1000"]);
        assert!(!done.stderr.contains("panicked"), "{}", done.stderr);
        if done.code != Some(0) {
            assert!(done.stderr.contains("damaged"), "{file}: {}", done.stderr);
        }
        // A server that finds it at start says so; else it is up, and a call is answered one way or the other.
        match rotten.start().up_or_ended().await {
            Ok(serve) => {
                let answer = serve.post("k1", lost_call("rotten").to_string()).await;
                assert!(
                    [202, 503].contains(&answer.status.as_u16()),
                    "{file}: {} {}",
                    answer.status,
                    answer.body
                );
                assert!(!serve.log().iter().any(|line| line.contains("panicked")), "{:#?}", serve.log());
            }
            Err((_, log)) => assert!(log.contains("damaged") && !log.contains("panicked"), "{file}: {log}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_day_of_attempts_is_set_aside_and_stops_nothing() {
    let receiver = Receiver::start(|_| Reply::status(200)).await;
    let home = stopped(&receiver).await;
    let day_of = |home: &Home| {
        let names = std::fs::read_dir(home.data()).unwrap().map(|entry| entry.unwrap().path());
        names.into_iter().find(|path| {
            path.to_string_lossy().ends_with(".db") && path.to_string_lossy().contains("attempts-")
        })
    };
    let whole = length(&day_of(&home).expect("a day"));
    for (name, from, bytes) in [("head", 0, 4_096), ("middle", 8_192, whole - 8_192)] {
        let damaged = copy(&home);
        let path = day_of(&damaged).expect("a day");
        overwrite(&path, from, &vec![0x5a; bytes as usize]);
        let serve = damaged.serve().await;
        let before = receiver.requests().len();
        for call in ["a", "b", "c"] {
            serve.accept("k1", lost_call(&format!("{name}-{call}")).to_string()).await;
        }
        let wanted: BTreeSet<String> =
            ["a", "b", "c"].map(|call| session_of(&format!("{name}-{call}"))).into();
        receiver
            .until("three calls", |requests| {
                wanted.is_subset(&requests[before..].iter().map(Request::session).collect::<BTreeSet<_>>())
            })
            .await;
        eventually("the file to be told of", async || {
            let is_told = |line: &String| line.contains("set aside") && line.contains("\"ERROR\"");
            serve.log().iter().any(is_told).then_some(())
        })
        .await;
        serve
            .until("nothing owed", |value| {
                value("deliver_debts") == 0.0 && value("stage_lag_records{stage=\"dispatch\"}") == 0.0
            })
            .await;
        serve.stops_well().await;
        let aside = path.with_extension("db.damaged-1");
        assert!(aside.exists(), "{name}: it was not kept");
        assert!(path.exists(), "{name}: no new one was made");
    }
}
