//! What a command sees of the process. A test hands in its own.

use std::io::{self, BufWriter, IsTerminal, Read, Write};

/// How much is collected before it goes to stdout: large enough that the system call is no cost.
const STDOUT_BUFFER: usize = 256 * 1024;

/// Streams and environment of a command.
pub struct Io<'a> {
    /// Standard input.
    pub stdin: &'a mut dyn Read,
    /// Standard output, buffered: flush before waiting.
    pub stdout: &'a mut dyn Write,
    /// Standard error.
    pub stderr: &'a mut dyn Write,
    /// Colours and tables are for people only.
    pub stdout_is_terminal: bool,
    /// Progress is for people only.
    pub stderr_is_terminal: bool,
    /// The environment.
    pub variables: Vec<(String, String)>,
}

impl Io<'_> {
    /// Runs with the streams and the environment of this process.
    pub(super) fn with_process<T>(body: impl FnOnce(&mut Io<'_>) -> T) -> T {
        let stdout = io::stdout();
        let mut io = Io {
            stdin: &mut io::stdin().lock(),
            stdout_is_terminal: stdout.is_terminal(),
            stdout: &mut BufWriter::with_capacity(STDOUT_BUFFER, stdout),
            stderr_is_terminal: io::stderr().is_terminal(),
            stderr: &mut io::stderr(),
            variables: std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
                .collect(),
        };
        body(&mut io)
    }

    /// A variable of the environment, when it is set and not empty.
    pub fn variable(&self, name: &str) -> Option<&str> {
        let found = self.variables.iter().find(|(key, value)| key == name && !value.is_empty());
        found.map(|(_, value)| value.as_str())
    }

    /// A runtime for the commands that wait for sockets or the store.
    ///
    /// # Errors
    /// The system gives no threads.
    pub fn runtime(&self) -> io::Result<tokio::runtime::Runtime> {
        tokio::runtime::Builder::new_multi_thread().enable_all().build()
    }
}
