//! One installation: a temporary folder with a configuration and data, and the binary run on it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::{Serve, Starting};

/// An installation. It is gone with its owner.
pub(crate) struct Home {
    folder: TempDir,
}

/// A command that has ended.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Home {
    /// With these settings, and ports that the system chooses.
    pub(crate) fn new(settings: &str) -> Self {
        let home = Self { folder: tempfile::tempdir().expect("a temporary folder") };
        home.write("ringpost.toml", settings);
        home
    }

    /// A path in it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file in it, and says where.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).expect("a file in a temporary folder");
        path
    }

    /// The folder of data.
    pub(crate) fn data(&self) -> PathBuf {
        self.path("data")
    }

    /// Flags of every command that works on this installation.
    pub(crate) fn flags(&self) -> Vec<String> {
        let path = |path: PathBuf| path.to_str().expect("temporary folders have plain names").to_owned();
        vec!["--config".to_owned(), path(self.path("ringpost.toml")), "--data".to_owned(), path(self.data())]
    }

    /// Runs a command on it to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Done {
        let flags = self.flags();
        let flags = flags.iter().map(String::as_str);
        run(&arguments.iter().copied().chain(flags).collect::<Vec<_>>())
    }

    /// Has the store hold these resources.
    #[track_caller]
    pub(crate) fn apply(&self, resources: &str) {
        let file = self.write("resources.toml", resources);
        let done = self.run(&["apply", "-f", file.to_str().expect("a plain name")]);
        assert_eq!(done.code, Some(0), "apply: {}", done.stderr);
    }

    /// Starts the server on it, and waits until it is ready.
    pub(crate) async fn serve(&self) -> Serve {
        self.start().ready().await
    }

    /// Starts a process on it that has these roles, and waits until it is ready.
    pub(crate) async fn serve_as(&self, roles: &str) -> Serve {
        let mut command = Serve::command(self);
        command.args(["--roles", roles]);
        Starting::spawn(command).ready().await
    }

    /// Starts the server on it.
    pub(crate) fn start(&self) -> Starting {
        Starting::spawn(Serve::command(self))
    }
}

/// Runs the binary to its end.
pub(crate) fn run(arguments: &[&str]) -> Done {
    let output = command(arguments).stdin(Stdio::null()).output().expect("the binary runs");
    Done {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// The binary with arguments, and nothing of ours from the environment.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(binary());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("RINGPOST_") {
            command.env_remove(name);
        }
    }
    command.args(arguments);
    command
}

/// `ringpost` lies two folders above the tests: `target/debug/ringpost`, `target/debug/deps/it-…`.
fn binary() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows where it is");
    let found = test.parent().and_then(Path::parent).map(|folder| folder.join("ringpost"));
    let found = found.expect("tests lie in target/PROFILE/deps");
    assert!(
        found.exists(),
        "{} is missing: run `cargo build -p ringpost` before these tests",
        found.display()
    );
    found
}
