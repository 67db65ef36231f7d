//! Processes that tests start, stop, continue and kill: this very binary, told by its environment to be a counter.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use ringpost_bus::Kafka;
use tokio::sync::oneshot;

use super::bench::{Brokers, config};
use super::counter::count;

/// A machine that is busy with other tests.
const PATIENT: Duration = Duration::from_secs(60);

/// A counter in a process of its own; killed when dropped.
pub(crate) struct Process {
    child: Child,
    lines: Receiver<String>,
}

impl Process {
    pub(crate) fn start(brokers: &Brokers, instance: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["kafka::process::be_a_counter", "--exact", "--nocapture"])
            .env("RINGPOST_TEST_COUNTER", instance)
            .env("RINGPOST_TEST_PREFIX", &brokers.prefix)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (told, lines) = channel();
        let output = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            // It ends when the process does, or the test.
            output.lines().map_while(Result::ok).take_while(|line| told.send(line.clone()).is_ok()).count()
        });
        Self { child, lines }
    }

    /// Waits until it tells something that begins so; the whole line.
    pub(crate) fn until(&self, beginning: &str) -> String {
        loop {
            let line = self.lines.recv_timeout(PATIENT).expect("it goes on telling");
            if line.starts_with(beginning) {
                return line;
            }
        }
    }

    /// Whether it has come to its end by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits until it has come to its end by itself.
    pub(crate) fn until_ended(&mut self) {
        while self.lines.recv_timeout(PATIENT) != Err(RecvTimeoutError::Disconnected) {
            assert!(self.child.try_wait().is_ok(), "it was started");
        }
        self.child.wait().unwrap();
    }

    pub(crate) fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Nothing by itself: what the processes run.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn be_a_counter() {
    let (Ok(instance), Ok(prefix)) =
        (std::env::var("RINGPOST_TEST_COUNTER"), std::env::var("RINGPOST_TEST_PREFIX"))
    else {
        return;
    };
    let bootstrap = std::env::var("RINGPOST_TEST_KAFKA").unwrap();
    let log = Kafka::open(config(&bootstrap, &prefix, &instance, Arc::new(|| 0))).await.unwrap();
    let (_never, stop) = oneshot::channel();
    count(log, stop, |line| {
        let mut out = std::io::stdout().lock();
        // The test that would read it may be over.
        let _ = writeln!(out, "{line}").and_then(|()| out.flush());
    })
    .await;
}
