//! A running `ringpost sink --record`.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Stdio};

use serde_json::Value;

use super::eventually;
use super::home::{Home, command};

/// The process. It is killed with its owner.
pub(crate) struct Sink {
    child: Child,
    record: PathBuf,
    /// `http://127.0.0.1:port`.
    pub(crate) origin: String,
}

impl Sink {
    /// On a free port, with further flags.
    pub(crate) fn start(home: &Home, flags: &[&str]) -> Self {
        let record = home.path("sink.ndjson");
        let mut command = command(&["sink", "--listen", "127.0.0.1:0", "--quiet", "--record"]);
        command.arg(&record).args(flags).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        let mut line = String::new();
        let stderr = child.stderr.take().expect("it is piped");
        BufReader::new(stderr).read_line(&mut line).expect("it says where it listens");
        let origin =
            line.trim().strip_prefix("sink: listening on ").expect("it says where it listens").to_owned();
        Self { child, record, origin }
    }

    /// What has come so far, a line each.
    fn records(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.record).unwrap_or_default();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
    }

    /// Until so many requests have come.
    pub(crate) async fn count(&self, count: usize) -> Vec<Value> {
        eventually(&format!("{count} requests at the sink"), async || {
            let records = self.records();
            (records.len() >= count).then_some(records)
        })
        .await
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
