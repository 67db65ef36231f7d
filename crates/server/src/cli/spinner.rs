//! That something goes on, of which nobody knows how long it takes.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::Io;

/// Counts `what` where somebody looks on; elsewhere nothing is shown.
pub(crate) fn spinner(io: &Io<'_>, what: &str) -> ProgressBar {
    if !io.stderr_is_terminal {
        return ProgressBar::hidden();
    }
    let template = format!("{{spinner}} {{human_pos}} {what}, {{per_sec}}, {{elapsed}}");
    let style = ProgressStyle::with_template(&template);
    let bar = ProgressBar::new_spinner().with_style(style.expect("the template is the one above"));
    bar.set_draw_target(ProgressDrawTarget::stderr());
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
