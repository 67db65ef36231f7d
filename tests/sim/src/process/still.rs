//! A process that stands still: its loops do nothing, whatever they wait for has come.

use std::pin::pin;

use tokio::sync::watch;

/// Stops and lets go on what it is given.
#[derive(Debug, Default)]
pub(super) struct Still(watch::Sender<bool>);

impl Still {
    pub(super) fn set(&self, still: bool) {
        self.0.send_replace(still);
    }

    pub(super) fn is(&self) -> bool {
        *self.0.borrow()
    }

    /// The same, but that it is not polled while all stands still.
    pub(super) fn wrap<T, W: Future<Output = T>>(&self, work: W) -> impl Future<Output = T> + use<T, W> {
        let mut still = self.0.subscribe();
        async move {
            let mut work = pin!(work);
            loop {
                let goes_on = still.wait_for(|still| !still).await.is_ok();
                tokio::select! {
                    biased;
                    _ = still.wait_for(|still| *still), if goes_on => {}
                    done = &mut work => return done,
                }
            }
        }
    }
}
