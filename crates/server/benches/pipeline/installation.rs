//! A temporary installation with tenants and triggers, and the server started on it.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::calls::{PBX, TOKEN, caller, tenant};
use crate::server::Server;

/// Time from the last record of a call to its close. Subtracted from every latency.
pub(crate) const SETTLE_MS: u64 = 200;

/// A folder with a configuration; gone with its owner.
pub(crate) struct Installation {
    folder: TempDir,
}

impl Installation {
    /// One trigger for each URL, each of its own tenant; `settle` in milliseconds.
    pub(crate) fn new(urls: &[String], settle: u64) -> Self {
        let installation = Self { folder: tempfile::tempdir().expect("a temporary folder") };
        let mut resources = format!("[[pbx]]\nkey = \"{PBX}\"\ntokens = [\"{TOKEN}\"]\n");
        for (number, url) in urls.iter().enumerate() {
            let key = tenant(number);
            resources += &format!("[[tenant]]\nkey = \"{key}\"\nregion = \"GB\"\n");
            resources += &format!("[[trigger]]\ntenant = \"{key}\"\nname = \"all\"\nurl = \"{url}\"\n");
        }
        let data = installation.path("data");
        let settings = format!(
            "[data]\ndir = \"{}\"\n[sessions]\nsettle = \"{settle}ms\"\n[delivery]\nallow_http = true\n\
            allow_networks = [\"127.0.0.0/8\"]\n[http]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n",
            data.display()
        );
        installation.write("ringpost.toml", &settings);
        installation.write("resources.toml", &resources);
        let applied =
            installation.command("apply").arg("-f").arg(installation.path("resources.toml")).output();
        let applied = applied.expect("the binary runs");
        assert!(applied.status.success(), "apply: {}", String::from_utf8_lossy(&applied.stderr));
        installation
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
                let done = import.output().expect("the binary runs");
                assert!(done.status.success(), "import: {}", String::from_utf8_lossy(&done.stderr));
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
        command.arg(name).arg("--config").arg(self.path("ringpost.toml")).stdin(Stdio::null());
        command
    }

    /// Starts the server; returns when it is ready.
    pub(crate) async fn serve(&self) -> Server {
        Server::start(self.command("serve")).await
    }
}
