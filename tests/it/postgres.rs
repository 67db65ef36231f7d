//! The whole with its store in PostgreSQL. `make test-postgres`; without it these tests say so and do nothing. Each
//! starts a server of its own: it is killed, and taken away.

use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Once;

use crate::harness::{Home, Kept, QUICK, Receiver, Reply, Traffic, judge, settle_down};

static TOLD: Once = Once::new();

/// What the script sets.
const PASSWORD: &str = "ringpost";

/// A server of PostgreSQL; it goes with its owner.
struct Server {
    dir: String,
    url: String,
}

impl Server {
    /// None, and told loudly, where there is none.
    fn start() -> Option<Self> {
        if std::env::var_os("RINGPOST_TEST_POSTGRES").is_none() {
            // Not by a macro: what those print of a test that passes is not shown.
            TOLD.call_once(|| {
                let text =
                    "SKIPPED: the tests of the whole on PostgreSQL. They need it: make test-postgres\n";
                std::io::stderr().write_all(text.as_bytes()).expect("there is a standard error");
            });
            return None;
        }
        let said = script(&["start", "--no-fsync", "yes"]);
        let word = |name: &str| {
            let line = said.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap_or_else(|| panic!("no {name}in {said}")).to_owned()
        };
        Some(Self { dir: word("dir "), url: word("url ") })
    }

    fn kill(&self) {
        script(&["kill", &self.dir]);
    }

    fn away(&self) {
        script(&["away", &self.dir]);
    }

    fn again(&self) {
        script(&["again", &self.dir]);
    }

    /// An installation with its store here. The password is in a file of its own.
    fn home(&self) -> Home {
        let home = Home::new("");
        let password = home.write("password", &format!("{PASSWORD}\n"));
        let url = self.url.replace(&format!(":{PASSWORD}@"), "@");
        let store =
            format!("[store]\nurl = \"{url}\"\npassword_file = \"{}\"\nwait = \"2s\"\n", password.display());
        home.write("ringpost.toml", &format!("{QUICK}{store}"));
        home
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        script(&["stop", &self.dir]);
    }
}

fn script(arguments: &[&str]) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../scripts/postgres");
    let output = Command::new(path).args(arguments).output().expect("the script runs");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_postgresql_a_process_that_is_killed_sends_every_call() {
    let Some(server) = Server::start() else { return };
    let home = server.home();
    let receiver = Receiver::start(|_| Reply::status(200)).await;
    let traffic = Traffic::new(60, 4);
    home.apply(&traffic.resources(&receiver));
    let mut sending = traffic.send();
    let serve = home.serve().await;
    sending.to(Some(serve.intake));
    sending.accepted(sending.requests / 2).await;
    sending.to(None);
    serve.kill();
    let serve = home.serve().await;
    sending.to(Some(serve.intake));
    sending.done().await;
    settle_down(&serve, &traffic, &receiver).await;
    serve.stops_well().await;
    judge(&traffic, &Kept::on_postgres(&home, &server.url).await, &receiver.requests()).await;
}

/// Killed with what it was writing, and away for a while: what was accepted is sent all the same, without a restart of
/// ours.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgresql_that_is_killed_and_taken_away_costs_no_call() {
    let Some(server) = Server::start() else { return };
    let home = server.home();
    let receiver = Receiver::start(|_| Reply::status(200)).await;
    let traffic = Traffic::new(60, 4);
    home.apply(&traffic.resources(&receiver));
    let mut sending = traffic.send();
    let serve = home.serve().await;
    sending.to(Some(serve.intake));
    sending.accepted(sending.requests / 4).await;
    server.kill();
    server.again();
    sending.accepted(sending.requests / 2).await;
    server.away();
    // Legs are taken in meanwhile: the log is not there.
    sending.accepted(sending.requests * 5 / 8).await;
    server.again();
    sending.done().await;
    settle_down(&serve, &traffic, &receiver).await;
    serve.stops_well().await;
    judge(&traffic, &Kept::on_postgres(&home, &server.url).await, &receiver.requests()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_work_on_postgresql_and_never_print_its_password() {
    let Some(server) = Server::start() else { return };
    let home = server.home();
    let receiver = Receiver::start(|_| Reply::status(200)).await;
    let traffic = Traffic::new(5, 1);
    home.apply(&traffic.resources(&receiver));
    let mut sending = traffic.send();
    let serve = home.serve().await;
    sending.to(Some(serve.intake));
    sending.done().await;
    settle_down(&serve, &traffic, &receiver).await;
    serve.stop().await;
    let mut printed = String::new();
    for command in
        [&["calls", "list"][..], &["dead-letters", "list"], &["tables", "list"], &["doctor", "--deep"]]
    {
        let done = home.run(command);
        assert_eq!(done.code, Some(0), "{command:?}: {} {}", done.stdout, done.stderr);
        printed += &done.stdout;
        printed += &done.stderr;
    }
    assert!(printed.contains("postgres at 127.0.0.1"), "{printed}");
    let backup = home.run(&["backup", home.path("copy").to_str().expect("a plain name")]);
    assert!(backup.stderr.contains("copy it with pg_dump"), "{}", backup.stderr);
    home.write("password", "wrong horse");
    let done = home.run(&["calls", "list"]);
    assert_ne!(done.code, Some(0));
    assert!(done.stderr.contains("it does not take this user and password"), "{}", done.stderr);
    printed += &done.stderr;
    assert!(!printed.contains("wrong horse") && !printed.contains(&format!(":{PASSWORD}@")), "{printed}");
}
