//! Limits that the system sets to the process.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::{info, warn};

/// Lets the process have as many files open as it may. The soft limit is low for programs that use `select`, which
/// this one does not.
pub(crate) fn raise_open_files() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return;
    }
    match setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        Ok(()) => info!(former = current, now = maximum, "more files may be open"),
        Err(error) => warn!(%error, "the limit of open files could not be raised"),
    }
}
