//! A running `ringpost serve`: its ports, its log, its end.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};

use reqwest::StatusCode;
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::timeout;

use super::home::{Home, command};
use super::{TIMEOUT, eventually, token};

/// The process. It is killed with its owner.
pub(crate) struct Serve {
    child: Child,
    log: watch::Receiver<Vec<String>>,
    client: reqwest::Client,
    pub(crate) intake: SocketAddr,
    pub(crate) admin: SocketAddr,
}

/// What it logs when it has its ports.
const UP: &str = "\"ringpost is up\"";

/// What a request was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Value,
    /// It says when to try again.
    pub(crate) retry_after: bool,
}

/// The process, from its first moment on. Dropped it is killed, wherever it is.
pub(crate) struct Starting {
    child: Child,
    log: watch::Receiver<Vec<String>>,
}

impl Starting {
    /// Runs a command that ends as `ringpost serve`.
    pub(crate) fn spawn(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        let log = read_lines(child.stderr.take().expect("it is piped"));
        Self { child, log }
    }

    /// As a crash does, whatever it is doing.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it has ended");
    }

    /// Until it is ready.
    pub(crate) async fn ready(mut self) -> Serve {
        let up = wait_for_line(&mut self.log, UP).await;
        let serve = self.serve(&up);
        serve.ready().await;
        serve
    }

    /// Until it has ports, ready or not, or has ended: then its exit code and what it said.
    pub(crate) async fn up_or_ended(mut self) -> Result<Serve, (Option<i32>, String)> {
        let find = |lines: &Vec<String>| lines.iter().find(|line| line.contains(UP)).cloned();
        let waited = timeout(TIMEOUT, self.log.wait_for(|lines| find(lines).is_some())).await;
        let is_up = waited.expect("it is up or ends").is_ok();
        let lines = self.log.borrow().clone();
        match find(&lines).filter(|_| is_up) {
            Some(up) => Ok(self.serve(&up)),
            None => Err((self.child.wait().expect("it has ended").code(), lines.join("\n"))),
        }
    }

    fn serve(self, up: &str) -> Serve {
        let Self { child, log } = self;
        let up: Value = serde_json::from_str(up).expect("the log is JSON where nobody looks on");
        let port = |name: &str| up[name].as_str().and_then(|text| text.parse().ok());
        // Without the role there is no intake, and nothing answers at this address.
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let (intake, admin) = (port("intake").unwrap_or(nowhere), port("admin").expect("an address"));
        Serve { child, log, client: client(), intake, admin }
    }
}

impl Answer {
    /// Legs taken in and elements refused.
    pub(crate) fn told(&self) -> (u64, u64) {
        let body = &self.body;
        if self.status == StatusCode::ACCEPTED {
            return (body["legs"].as_u64().expect("a count"), body["rejected"].as_u64().expect("a count"));
        }
        let detail = body["detail"].as_str().unwrap_or_default();
        let refused = detail.split_once(" refused; kept").and_then(|(count, _)| count.parse().ok());
        (0, refused.unwrap_or_default())
    }
}

impl Serve {
    /// What starts the server on an installation.
    pub(crate) fn command(home: &Home) -> Command {
        let mut command = command(&["serve"]);
        command.args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]).args(home.flags());
        command
    }

    /// Until it says that it is ready.
    async fn ready(&self) {
        eventually("/readyz", async || {
            let answer = self.client.get(format!("http://{}/readyz", self.admin)).send().await;
            answer.is_ok_and(|answer| answer.status() == StatusCode::OK).then_some(())
        })
        .await;
    }

    /// Posts a body for a pbx, as a switch does.
    pub(crate) async fn post(&self, pbx: &str, body: impl Into<Vec<u8>>) -> Answer {
        self.post_with(pbx, &token(pbx), body).await
    }

    pub(crate) async fn post_with(&self, pbx: &str, token: &str, body: impl Into<Vec<u8>>) -> Answer {
        let url = format!("http://{}/ingest/{pbx}", self.intake);
        let request = self.client.post(url).bearer_auth(token).body(body.into());
        let answer = request.send().await.expect("the intake answers");
        let (status, retry_after) = (answer.status(), answer.headers().contains_key("retry-after"));
        let text = answer.text().await.unwrap_or_default();
        Answer { status, body: serde_json::from_str(&text).unwrap_or(Value::Null), retry_after }
    }

    /// Posts what has to be taken in.
    #[track_caller]
    pub(crate) fn accept(&self, pbx: &str, body: impl Into<Vec<u8>>) -> impl Future<Output = ()> {
        let body = body.into();
        async move {
            let answer = self.post(pbx, body).await;
            assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.body);
        }
    }

    /// Number of its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Status of a page of the admin port.
    pub(crate) async fn health(&self, path: &str) -> u16 {
        let answer = self.client.get(format!("http://{}{path}", self.admin)).send().await.expect("health");
        answer.status().as_u16()
    }

    /// What a page of the admin port says.
    pub(crate) async fn page(&self, path: &str) -> String {
        let answer = self.client.get(format!("http://{}{path}", self.admin)).send().await.expect("a page");
        answer.text().await.expect("it is text")
    }

    /// Every metric by its name, labels as printed.
    pub(crate) async fn metrics(&self) -> BTreeMap<String, f64> {
        let text = self.metrics_text().await;
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines
            .filter_map(|line| line.rsplit_once(' '))
            .map(|(name, value)| (name.to_owned(), value.parse().expect("a number")))
            .collect()
    }

    pub(crate) async fn metrics_text(&self) -> String {
        let answer = self.client.get(format!("http://{}/metrics", self.admin)).send().await.expect("metrics");
        answer.text().await.expect("metrics are text")
    }

    /// Until metrics are as wanted.
    pub(crate) async fn until(&self, what: &str, wanted: impl Fn(&dyn Fn(&str) -> f64) -> bool) {
        eventually(what, async || {
            let metrics = self.metrics().await;
            let value = |name: &str| metrics.get(&format!("ringpost_{name}")).copied().unwrap_or_default();
            wanted(&value).then_some(())
        })
        .await;
    }

    /// Everything logged so far, a line each.
    pub(crate) fn log(&self) -> Vec<String> {
        self.log.borrow().clone()
    }

    /// Until a line of the log holds this.
    pub(crate) async fn logged(&mut self, text: &str) -> String {
        wait_for_line(&mut self.log, text).await
    }

    /// As a crash does.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it has ended");
    }

    /// As an operator does; waits for the end, and returns what was logged.
    pub(crate) async fn stop(self) -> (ExitStatus, Vec<String>) {
        self.terminate();
        self.ended().await
    }

    /// The same of one that has to end as it should.
    pub(crate) async fn stops_well(self) -> Vec<String> {
        let (status, log) = self.stop().await;
        assert_eq!(status.code(), Some(0), "{}", log.join("\n"));
        log
    }

    /// Asks it to stop.
    pub(crate) fn terminate(&self) {
        // The shell's own `kill`: that of a package may be missing.
        let kill = format!("kill -TERM {}", self.child.id());
        let sent = Command::new("sh").args(["-c", &kill]).status().expect("a shell");
        assert!(sent.success(), "the process is gone already");
    }

    /// Until it has ended.
    pub(crate) async fn ended(mut self) -> (ExitStatus, Vec<String>) {
        // Its end closes the log.
        let closed = async { while self.log.changed().await.is_ok() {} };
        timeout(TIMEOUT, closed).await.expect("it ends when it is asked to");
        let status = self.child.wait().expect("it has ended");
        (status, self.log())
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        // It has ended already where the test has asked it to.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("log of serve:\n{}", self.log().join("\n"));
        }
    }
}

/// A client that keeps no connection of a killed server.
pub(crate) fn client() -> reqwest::Client {
    // Another test may have done it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().timeout(TIMEOUT).build().expect("a client")
}

async fn wait_for_line(log: &mut watch::Receiver<Vec<String>>, text: &str) -> String {
    let find = |lines: &Vec<String>| lines.iter().find(|line| line.contains(text)).cloned();
    let waited =
        timeout(TIMEOUT, log.wait_for(|lines| find(lines).is_some())).await.map(|lines| lines.is_ok());
    let lines = log.borrow();
    let found = waited.is_ok_and(|is_there| is_there).then(|| find(&lines)).flatten();
    found.unwrap_or_else(|| panic!("the log ended, or went silent, without {text}:\n{}", lines.join("\n")))
}

/// Lines as they are written, until the process ends.
fn read_lines(stderr: ChildStderr) -> watch::Receiver<Vec<String>> {
    let (sender, receiver) = watch::channel(Vec::new());
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            sender.send_modify(|lines| lines.push(line));
        }
    });
    receiver
}
