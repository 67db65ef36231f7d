//! A process of `ringpost serve`, with its own name and data folder.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use crate::feed::PARTITIONS;
use crate::pause;

/// A machine that is busy with everything else.
const PATIENT: Duration = Duration::from_secs(90);
const MOMENT: Duration = Duration::from_millis(50);
/// What all machines seal secrets with.
const KEY: &str = "6b65792d6f662d7468652d6661756c74732d6f6e2d616c6c2d6d616368696e65";

/// What all instances of a run have in common.
pub(crate) struct Setting {
    pub(crate) binary: PathBuf,
    pub(crate) folder: PathBuf,
    pub(crate) bootstrap: String,
    pub(crate) prefix: String,
    /// The database with the store, password and all; none: it is in a folder that all share.
    pub(crate) store: Option<String>,
}

/// One of them; killed with its owner.
pub(crate) struct Instance {
    pub(crate) name: String,
    /// Separated by commas; empty: all.
    pub(crate) roles: &'static str,
    binary: PathBuf,
    folder: PathBuf,
    data: PathBuf,
    store: Option<String>,
    child: Option<Child>,
}

impl Instance {
    pub(crate) fn new(setting: &Setting, name: &str, roles: &'static str) -> anyhow::Result<Self> {
        Self::in_folder(setting, name, name, roles)
    }

    /// In a folder of another name: one name may be given twice.
    pub(crate) fn in_folder(
        setting: &Setting,
        name: &str,
        folder: &str,
        roles: &'static str,
    ) -> anyhow::Result<Self> {
        let folder = setting.folder.join(folder);
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join("ringpost.toml"), settings(setting, name))?;
        // Machines of their own share a database; processes of one machine share its folder.
        let data = if setting.store.is_some() { folder.join("data") } else { setting.folder.join("data") };
        let (name, binary, store) = (name.to_owned(), setting.binary.clone(), setting.store.clone());
        Ok(Self { name, roles, binary, folder, data, store, child: None })
    }

    fn command(&self, what: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(what).arg("--config").arg(self.folder.join("ringpost.toml"));
        command.arg("--data").arg(&self.data).env("RINGPOST_LOG__LEVEL", "info").stdin(Stdio::null());
        if let Some(url) = &self.store {
            command.env("RINGPOST_STORE__URL", url).env("RINGPOST_DATA__KEY", KEY);
        }
        command
    }

    fn log(&self) -> PathBuf {
        self.folder.join("log")
    }

    /// Has the brokers hold the topics.
    pub(crate) fn create_topics(&self, replicas: u16) -> anyhow::Result<()> {
        let mut command = Command::new(&self.binary);
        command.args(["topics", "create", "--replicas", &replicas.to_string(), "--config"]);
        done(command.arg(self.folder.join("ringpost.toml")))
    }

    /// Has the store hold companies and triggers.
    pub(crate) fn apply(&self, resources: &str) -> anyhow::Result<()> {
        let file = self.folder.join("resources.toml");
        std::fs::write(&file, resources)?;
        done(self.command(&["apply"]).arg("-f").arg(file))
    }

    pub(crate) fn has_role(&self, role: &str) -> bool {
        self.roles.is_empty() || self.roles.split(',').any(|mine| mine == role)
    }

    pub(crate) fn is_running(&self) -> bool {
        self.child.is_some()
    }

    /// Starts it, and does not wait.
    pub(crate) fn start(&mut self) -> anyhow::Result<()> {
        let log = || OpenOptions::new().create(true).append(true).open(self.log());
        let mut command = self.command(&["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
        if !self.roles.is_empty() {
            command.args(["--roles", self.roles]);
        }
        command.stdout(log()?).stderr(log()?);
        self.child = Some(command.spawn().with_context(|| format!("start {}", self.name))?);
        Ok(())
    }

    /// Until it has said once more that it is up.
    pub(crate) fn until_up(&mut self, since: usize) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENT;
        while ups(&self.log()) <= since {
            let child = self.child.as_mut().context("it was started")?;
            let ended = child.try_wait()?;
            ensure!(ended.is_none(), "{} ended at its start: {ended:?}", self.name);
            ensure!(Instant::now() < deadline, "{} does not come up", self.name);
            pause(MOMENT);
        }
        Ok(())
    }

    /// How often it came up so far.
    pub(crate) fn ups(&self) -> usize {
        ups(&self.log())
    }

    pub(crate) fn kill(&mut self) -> anyhow::Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// `TERM`, `STOP`, `CONT`.
    pub(crate) fn signal(&self, signal: &str) -> anyhow::Result<()> {
        let id = self.child.as_ref().context("it runs")?.id().to_string();
        let done = Command::new("kill").args([&format!("-{signal}"), &id]).status()?;
        ensure!(done.success(), "kill -{signal} {id}");
        Ok(())
    }

    /// SIGTERM, and waits for its end.
    pub(crate) fn stop(&mut self) -> anyhow::Result<()> {
        self.signal("TERM")?;
        let mut child = self.child.take().context("it runs")?;
        let deadline = Instant::now() + PATIENT;
        loop {
            if let Some(status) = child.try_wait()? {
                ensure!(status.success(), "{} stopped with {status}", self.name);
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "{} does not stop", self.name);
            pause(MOMENT);
        }
    }

    pub(crate) fn has_ended(&mut self) -> anyhow::Result<bool> {
        Ok(self.child.as_mut().map(Child::try_wait).transpose()?.flatten().is_some())
    }

    /// A process that ended by itself, which none may.
    pub(crate) fn check(&mut self) -> anyhow::Result<()> {
        let ended = self.child.as_mut().map(Child::try_wait).transpose()?.flatten();
        ensure!(ended.is_none(), "{} ended by itself: {ended:?}, see {}", self.name, self.log().display());
        Ok(())
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        _ = self.kill();
    }
}

/// Calls close soon; a receiver that is down is noticed soon, and asked often.
fn settings(setting: &Setting, name: &str) -> String {
    let Setting { bootstrap, prefix, .. } = setting;
    format!(
        r#"
[bus]
backend = "kafka"
partitions = {PARTITIONS}
[bus.kafka]
bootstrap = "{bootstrap}"
prefix = "{prefix}"
instance = "{name}"
[sessions]
settle = "1s"
gap = "3s"
max_idle = "8s"
[delivery]
allow_http = true
allow_networks = ["127.0.0.0/8"]
[delivery.breaker]
many = 8
many_over = "2s"
few = 3
few_over = "3s"
first_probe = "1s"
longest_probe = "5s"
"#
    )
}

fn done(command: &mut Command) -> anyhow::Result<()> {
    let done = command.output().with_context(|| format!("run {command:?}"))?;
    ensure!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
    Ok(())
}

fn ups(log: &Path) -> usize {
    let text = File::open(log).and_then(std::io::read_to_string).unwrap_or_default();
    text.matches("ringpost is up").count()
}
