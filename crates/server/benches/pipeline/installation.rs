//! A temporary installation with tenants and triggers, and the server started on it.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::backing::{Backing, Topics};
use crate::calls::{PBX, TOKEN, caller, tenant};
use crate::server::Server;

/// Time from the last record of a call to its close. Subtracted from every latency.
pub(crate) const SETTLE_MS: u64 = 200;

/// Partitions where the log is on brokers, unless the number is what is measured.
const PARTITIONS: u32 = 4;

/// A folder with a configuration; gone with its owner.
pub(crate) struct Installation {
    folder: TempDir,
    backing: Backing,
}

/// What one measurement has otherwise than another.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// Milliseconds from the last record of a call to its close.
    pub(crate) settle: u64,
    pub(crate) partitions: u32,
    /// More lines of the sections `sessions` and `bus.kafka`.
    pub(crate) sessions: String,
    pub(crate) kafka: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self { settle: SETTLE_MS, partitions: PARTITIONS, sessions: String::new(), kafka: String::new() }
    }
}

impl Installation {
    /// One trigger for each URL, each of its own tenant; `settle` in milliseconds.
    pub(crate) fn new(urls: &[String], settle: u64) -> Self {
        Self::with(urls, &Settings { settle, ..Settings::default() })
    }

    /// The same, with all that a measurement may have of its own.
    pub(crate) fn with(urls: &[String], settings: &Settings) -> Self {
        let Settings { settle, partitions, sessions, kafka } = settings;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let installation = Self { folder, backing: Backing::new(*partitions) };
        let mut resources = format!("[[pbx]]\nkey = \"{PBX}\"\ntokens = [\"{TOKEN}\"]\n");
        for (number, url) in urls.iter().enumerate() {
            let key = tenant(number);
            resources += &format!("[[tenant]]\nkey = \"{key}\"\nregion = \"GB\"\n");
            resources += &format!("[[trigger]]\ntenant = \"{key}\"\nname = \"all\"\nurl = \"{url}\"\n");
        }
        let data = installation.path("data");
        let settings = format!(
            "[data]\ndir = \"{}\"\n[sessions]\nsettle = \"{settle}ms\"\n{sessions}\n[delivery]\nallow_http = true\n\
            allow_networks = [\"127.0.0.0/8\"]\n[http]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n{}",
            data.display(),
            installation.backing.settings(kafka)
        );
        installation.write("ringpost.toml", &settings);
        installation.write("resources.toml", &resources);
        if installation.backing.topics().is_some() {
            done(installation.command("topics create"));
        }
        let mut apply = installation.command("apply");
        apply.arg("-f").arg(installation.path("resources.toml"));
        done(apply);
        installation
    }

    /// What it stands on.
    pub(crate) fn backing(&self) -> &'static str {
        self.backing.name()
    }

    /// Its topics, where the log is on brokers.
    pub(crate) fn topics(&self) -> Option<&Topics> {
        self.backing.topics()
    }

    /// Tables for every tenant: each of the first `calls` callers is a contact.
    pub(crate) fn import_tables(&self, tenants: usize, calls: usize) {
        let mut contacts = "fullName,companyName,phone1,email,crmId\n".to_owned();
        for number in 0..calls {
            let phone = caller(number);
            contacts +=
                &format!("Caller No {number:08},Company {number},{phone},c{number}@example.com,C-{number}\n");
        }
        self.write("contacts.csv", &contacts);
        self.write("numbers.csv", "number,name\n+441614960000,Main line\n");
        self.write(
            "devices.csv",
            "number,name,groups\ndev201,Desk,Sales\ndev202,Desk,Sales\ndev203,Desk,Sales\n",
        );
        self.write(
            "tariff.csv",
            "prefix,name,band,rate_per_minute,first_increment,next_increment\n44,UK,all,0.04,60,60\n",
        );
        for tenant in (0..tenants).map(tenant) {
            let contacts: &[&str] = &["contacts", "contacts.csv", "--directory", "Customers"];
            let tariff: &[&str] = &["tariff", "tariff.csv", "--name", "Freephone", "--direction", "incoming"];
            for table in [contacts, &["numbers", "numbers.csv"], &["devices", "devices.csv"], tariff] {
                let [kind, file, more @ ..] = table else { continue };
                let mut import = self.command("import");
                import.arg(kind).arg(self.path(file)).args(more).args(["--tenant", &tenant]);
                done(import);
            }
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("a file in a temporary folder");
    }

    /// A command on this installation, with nothing of ours from the environment.
    pub(crate) fn command(&self, name: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ringpost"));
        for (variable, _) in std::env::vars_os() {
            if variable.to_string_lossy().starts_with("RINGPOST_") {
                command.env_remove(variable);
            }
        }
        command.args(name.split(' ')).arg("--config").arg(self.path("ringpost.toml")).stdin(Stdio::null());
        self.backing.environment(&mut command);
        command
    }

    /// Starts the server; returns when it is ready.
    pub(crate) async fn serve(&self) -> Server {
        Server::start(self.command("serve")).await
    }

    /// A process with these roles alone.
    pub(crate) async fn serve_as(&self, roles: &str) -> Server {
        let mut command = self.command("serve");
        command.args(["--roles", roles]);
        Server::start(command).await
    }
}

/// Runs a command to its end.
fn done(mut command: Command) {
    let done = command.output().expect("the binary runs");
    assert!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
}
