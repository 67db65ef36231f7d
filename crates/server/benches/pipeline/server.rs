//! The server as a process: where its ports are, and what it has used.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::backing::Spent;
use crate::figures::{cpu_seconds, resident_megabytes};

/// Ready within this, or never.
const TIMEOUT: Duration = Duration::from_secs(60);
/// For what takes as long as there is much of it.
const PATIENT: Duration = Duration::from_secs(600);

/// The process. It is killed with its owner.
pub(crate) struct Server {
    child: Child,
    intake: Option<SocketAddr>,
    admin: SocketAddr,
}

impl Server {
    pub(crate) async fn start(mut command: Command) -> Self {
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        let mut lines =
            BufReader::new(child.stderr.take().expect("it is piped")).lines().map_while(Result::ok);
        let up = lines.find(|line| line.contains("\"ringpost is up\"")).expect("it starts");
        // Warnings are worth a look: figures beside them mean little.
        std::thread::spawn(move || {
            lines.filter(|line| line.contains("WARN") || line.contains("ERROR")).take(10).for_each(|line| {
                eprintln!("serve: {line}");
            });
        });
        let up: Value = serde_json::from_str(&up).expect("the log is JSON where nobody looks on");
        let port = |name: &str| up[name].as_str().and_then(|text| text.parse().ok());
        let admin = port("admin").expect("every process has it");
        let server = Self { child, intake: port("intake"), admin };
        server.ready().await;
        server
    }

    /// Where legs are posted.
    pub(crate) fn intake(&self) -> SocketAddr {
        self.intake.expect("a process with the role ingest")
    }

    async fn ready(&self) {
        let begun = Instant::now();
        while !self.get("readyz").await.is_some_and(|answer| answer.status().is_success()) {
            assert!(begun.elapsed() < TIMEOUT, "the server does not get ready");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn get(&self, path: &str) -> Option<reqwest::Response> {
        crate::limits::client().get(format!("http://{}/{path}", self.admin)).send().await.ok()
    }

    /// All metrics, as printed, and what the process has read and written.
    pub(crate) async fn metrics(&self) -> String {
        let Some(answer) = self.get("metrics").await else { return String::new() };
        let text = answer.text().await.unwrap_or_default();
        let process = self.child.id();
        let io = std::fs::read_to_string(format!("/proc/{process}/io")).unwrap_or_default();
        format!("{text}{io}")
    }

    /// Sum of a metric over its labels.
    pub(crate) async fn metric(&self, name: &str) -> f64 {
        let text = self.metrics().await;
        let is_it = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']));
        let value = |line: &str| line.rsplit_once(' ').and_then(|(_, value)| value.parse::<f64>().ok());
        text.lines().filter(is_it).filter_map(value).sum()
    }

    /// Waits until the sum of a metric is what it is to be.
    pub(crate) async fn until(&self, name: &str, is_there: impl Fn(f64) -> bool) {
        let begun = Instant::now();
        loop {
            let value = self.metric(name).await;
            if is_there(value) {
                return;
            }
            assert!(begun.elapsed() < PATIENT, "{name} stays at {value}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// `kill -9`.
    pub(crate) fn kill(mut self) {
        self.child.kill().and_then(|()| self.child.wait()).expect("it runs");
    }

    pub(crate) fn cpu_seconds(&self) -> f64 {
        cpu_seconds(self.child.id())
    }

    /// What it, PostgreSQL and the broker have used so far.
    pub(crate) fn spent(&self) -> Spent {
        Spent::so_far(self.cpu_seconds())
    }

    pub(crate) fn resident_megabytes(&self) -> f64 {
        resident_megabytes(self.child.id())
    }

    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has ended already only if it has failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
