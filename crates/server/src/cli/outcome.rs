//! How a command ends, and the exit code that says so.

use std::io;

use super::Io;
use crate::config::{LoadError, Mistake};

/// A command that did its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// All is well: 0.
    Fine,
    /// The answer is no, and it has been printed: 1.
    No,
}

/// A command that did not.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Mistakes in a configuration or in resources: 64.
    #[error("{0}")]
    Mistakes(String),
    /// Flags that do not go together: 2.
    #[error("{0}")]
    Usage(String),
    /// Whoever read our output has left: quiet, 0.
    #[error("the reader of the output has left")]
    Left,
    /// Anything else: 1.
    #[error(transparent)]
    Other(#[from] anyhow::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe { Self::Left } else { Self::Other(error.into()) }
    }
}

/// All of them, one a line.
impl From<Vec<Mistake>> for Failure {
    fn from(mistakes: Vec<Mistake>) -> Self {
        Self::Mistakes(mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    }
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Mistakes(mistakes) => mistakes.into(),
            // A file that is named and cannot be read is a mistake of the configuration too.
            LoadError::Read { file, source } => Self::Mistakes(format!("{file}: cannot be read: {source}")),
        }
    }
}

/// Flushes, tells a failure, and gives the exit code.
pub(super) fn finish(done: Result<Outcome, Failure>, io: &mut Io<'_>) -> u8 {
    let flushed = io.stdout.flush().map_err(Failure::from);
    let done = done.and_then(|outcome| flushed.map(|()| outcome));
    let (code, text) = match done {
        Ok(Outcome::Fine) | Err(Failure::Left) => return 0,
        Ok(Outcome::No) => return 1,
        Err(Failure::Mistakes(text)) => (64, text),
        Err(Failure::Usage(text)) => (2, format!("error: {text}")),
        Err(Failure::Other(error)) => (1, format!("error: {error:#}")),
    };
    // When stderr is gone there is nobody to tell; the code still says it.
    let _ = writeln!(io.stderr, "{text}");
    code
}
