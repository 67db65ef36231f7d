//! How far a long copy is, where somebody looks on.

use std::path::Path;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Between two looks at a file that grows.
const LOOK: Duration = Duration::from_millis(200);

/// A bar, or nothing.
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// Shown only to people.
    pub(crate) fn new(visible: bool) -> Self {
        if !visible {
            return Self(ProgressBar::hidden());
        }
        let style = ProgressStyle::with_template("{msg:10} {bar:40} {bytes}/{total_bytes} {elapsed}");
        let bar = ProgressBar::new(0).with_style(style.expect("the template is the one above"));
        bar.set_draw_target(ProgressDrawTarget::stderr());
        Self(bar)
    }

    /// Shows how a folder grows while work is done in it: who copies a database tells nothing before the end.
    pub(crate) async fn copying<T>(
        &self,
        what: &'static str,
        into: &Path,
        bytes: u64,
        work: impl Future<Output = T>,
    ) -> T {
        let before = size_of(into);
        self.0.set_message(what);
        self.0.set_length(bytes);
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return done,
                () = tokio::time::sleep(LOOK) => {
                    self.0.set_position(size_of(into).saturating_sub(before).min(bytes));
                }
            }
        }
    }

    /// So many bytes more are to be read.
    pub(crate) fn expect(&self, bytes: u64) {
        self.0.set_position(0);
        self.0.set_length(bytes);
    }

    /// So many bytes more were read.
    pub(crate) fn read(&self, what: &'static str, bytes: u64) {
        self.0.set_message(what);
        self.0.inc(bytes);
    }

    /// Leaves nothing on the screen.
    pub(crate) fn done(&self) {
        self.0.finish_and_clear();
    }
}

fn size_of(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.metadata().ok()).map(|metadata| metadata.len()).sum()
}
