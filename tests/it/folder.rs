//! The folder of data cannot be written, belongs to somebody else, or a file of it goes while the server runs.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::harness::{COMPANY, Home, QUICK, Receiver, Reply, Serve, eventually, lost_call, session_of};

/// Nobody's number on every Linux. Root may write everything, so tests of permissions have to be somebody else.
const NOBODY: &str = "65534";

fn company(receiver: &Receiver) -> String {
    let url = receiver.url("/crm");
    format!("{COMPANY}[[trigger]]\ntenant = \"acme\"\nname = \"CRM\"\nurl = \"{url}\"\n")
}

fn mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("it is ours");
}

/// `serve` as somebody who is not root, to its end: exit code and what it said.
fn serve_as_nobody(home: &Home) -> (Option<i32>, String) {
    let serve = Serve::command(home);
    let is_root = Command::new("id").arg("-u").output().is_ok_and(|done| done.stdout.trim_ascii() == b"0");
    let mut command = if is_root {
        // The folder of the build may be closed to others.
        let copy = home.path("ringpost");
        std::fs::copy(serve.get_program(), &copy).expect("a copy of the binary");
        mode(&home.path(""), 0o755);
        let mut command = Command::new("setpriv");
        command.args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"]).arg(copy);
        command
    } else {
        Command::new(serve.get_program())
    };
    command.args(serve.get_args());
    let done = command.output().expect("setpriv is there (package util-linux)");
    (done.status.code(), String::from_utf8_lossy(&done.stderr).into_owned())
}

fn is_refused(home: &Home, what: &str) {
    let (code, told) = serve_as_nobody(home);
    assert_eq!(code, Some(1), "{what}: {told}");
    assert!(told.starts_with("error: ") && told.contains(what), "{what}: {told}");
    assert!(!told.contains("panicked"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_or_file_that_may_not_be_written_is_named_at_the_start() {
    let receiver = Receiver::start(|_| Reply::status(200)).await;
    // A folder that cannot be made.
    let none = Home::new(QUICK);
    mode(&none.path(""), 0o555);
    is_refused(&none, "make the data folder");

    let home = Home::new(QUICK);
    home.apply(&company(&receiver));
    let serve = home.serve().await;
    serve.accept("k1", lost_call("first").to_string()).await;
    receiver.count(1).await;
    serve.stop().await;
    // Somebody else's key.
    mode(&home.data().join("secret.key"), 0o000);
    is_refused(&home, "secret.key");
    mode(&home.data().join("secret.key"), 0o644);
    // A read-only folder with read-only files.
    for file in ["store.db", "journal.db", "journal.lock"] {
        mode(&home.data().join(file), 0o444);
    }
    mode(&home.data(), 0o555);
    is_refused(&home, "store.db");
    // What may be read only in part.
    mode(&home.data().join("store.db"), 0o000);
    is_refused(&home, "store.db");

    // Mended, it goes on.
    mode(&home.data(), 0o755);
    for file in ["store.db", "journal.db", "journal.lock"] {
        mode(&home.data().join(file), 0o644);
    }
    let serve = home.serve().await;
    serve.accept("k1", lost_call("second").to_string()).await;
    receiver.count(2).await;
    serve.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_or_folder_that_goes_while_it_runs_has_legs_refused_until_it_is_back() {
    let receiver = Receiver::start(|_| Reply::status(200)).await;
    let home = Home::new(QUICK);
    home.apply(&company(&receiver));
    let mut serve = home.serve().await;
    serve.accept("k1", lost_call("before").to_string()).await;
    receiver.count(1).await;
    let data = home.data();
    let away = home.path("away");
    let mut told = 1;
    for (number, name) in ["journal.db", "store.db", "journal.db-wal", ""].into_iter().enumerate() {
        let path = if name.is_empty() { data.clone() } else { data.join(name) };
        std::fs::rename(&path, &away).unwrap();
        // At once: a leg that is acknowledged now would be in a file that nobody finds again.
        let answer = serve.post("k1", lost_call(&format!("lost-{number}")).to_string()).await;
        assert_eq!(answer.status, 503, "{name}: {}", answer.body);
        let detail = answer.body["detail"].as_str().unwrap_or_default().to_owned();
        assert!(detail.contains("not stored") && detail.contains(".db"), "{name}: {detail}");
        assert!(answer.retry_after);
        assert_eq!(serve.health("/livez").await, 200);
        std::fs::rename(&away, &path).unwrap();
        // Nobody has to do anything else.
        serve.accept("k1", lost_call(&format!("back-{number}")).to_string()).await;
        told += 1;
        receiver.count(told).await;
    }
    // Who looks at the log only hears of it as well.
    std::fs::rename(data.join("store.db"), &away).unwrap();
    let line = serve.logged("a file of the data folder is gone").await;
    assert!(line.contains("\"ERROR\"") && line.contains("store.db"), "{line}");
    std::fs::rename(&away, data.join("store.db")).unwrap();
    serve.logged("legs are taken again").await;

    // Another file under the name is not it.
    std::fs::rename(data.join("journal.db"), &away).unwrap();
    std::fs::copy(&away, data.join("journal.db")).unwrap();
    assert_eq!(serve.post("k1", lost_call("copy").to_string()).await.status, 503);
    std::fs::rename(&away, data.join("journal.db")).unwrap();
    eventually("legs to be taken again", async || {
        (serve.post("k1", lost_call("end").to_string()).await.status == 202).then_some(())
    })
    .await;
    let sessions = receiver
        .until("the last call", |requests| requests.iter().any(|it| it.session() == session_of("end")))
        .await;
    assert!(!sessions.is_empty());
    let log = serve.stops_well().await;
    assert!(!log.iter().any(|line| line.contains("panicked")), "{}", log.join("\n"));
}
