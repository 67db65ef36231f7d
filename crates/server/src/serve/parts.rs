//! The parts of the process: started, watched, and stopped one after the other in the order they were started.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal as on_signal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::admin::Readiness;

/// Tasks with names, each with its own stop.
pub(super) struct Parts {
    parts: Vec<Part>,
    /// Stop after all others, the first one last.
    last: Vec<Part>,
    grace: Duration,
    readiness: Arc<Readiness>,
}

struct Part {
    name: &'static str,
    stop: CancellationToken,
    /// None once its end was looked at.
    task: Option<JoinHandle<anyhow::Result<()>>>,
}

impl Parts {
    /// No part yet. `grace` is for all of them together; `readiness` is taken back when they begin to stop.
    pub(super) fn new(grace: Duration, readiness: Arc<Readiness>) -> Self {
        Self { parts: Vec::new(), last: Vec::new(), grace, readiness }
    }

    /// Starts a part; it stops after those started before.
    pub(super) fn spawn<F>(&mut self, name: &'static str, run: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        self.parts.push(Part::start(name, run));
    }

    /// Starts a part that serves the others to their end.
    pub(super) fn spawn_last<F>(&mut self, name: &'static str, run: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        self.last.push(Part::start(name, run));
    }

    /// Until `stop` ends or a part does; then stops them all.
    pub(super) async fn run(mut self, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
        let ended = tokio::select! {
            () = stop => None,
            ended = first_to_end(&mut self.parts, &mut self.last) => Some(ended),
        };
        let result = match ended {
            None => Ok(()),
            Some((name, Err(cause))) => Err(cause).with_context(|| format!("{name} ended")),
            Some((name, Ok(()))) => Err(anyhow::anyhow!("{name} ended by itself")),
        };
        if let Err(cause) = &result {
            error!(error = format!("{cause:#}"), "a part ended, stopping the others");
        }
        // Before the intake closes: whoever asks meanwhile sends no more here.
        self.readiness.stopping.store(true, Ordering::Release);
        let grace = self.grace;
        if tokio::time::timeout(grace, self.stop()).await.is_err() {
            warn!(?grace, "the grace time is over; what is left is done at the next start");
        }
        result
    }

    async fn stop(self) {
        for part in self.parts.into_iter().chain(self.last.into_iter().rev()) {
            part.stop.cancel();
            let Some(task) = part.task else { continue };
            match task.await {
                Ok(Ok(())) => info!(part = part.name, "stopped"),
                Ok(Err(cause)) => error!(part = part.name, error = format!("{cause:#}"), "stopped badly"),
                Err(cause) => error!(part = part.name, error = %cause, "stopped badly"),
            }
        }
    }
}

impl Part {
    fn start<F>(name: &'static str, run: impl FnOnce(CancellationToken) -> F) -> Self
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let stop = CancellationToken::new();
        let task = Some(tokio::spawn(run(stop.clone())));
        Self { name, stop, task }
    }
}

async fn first_to_end(parts: &mut [Part], last: &mut [Part]) -> (&'static str, anyhow::Result<()>) {
    let all = parts.iter_mut().chain(last.iter_mut()).filter_map(|part| {
        let Part { name, task, .. } = part;
        task.as_mut().map(|handle| Box::pin(async move { (*name, handle.await) }))
    });
    let ((name, result), _, _) = futures_util::future::select_all(all).await;
    if let Some(part) = parts.iter_mut().chain(last).find(|part| part.name == name) {
        part.task = None;
    }
    (name, result.unwrap_or_else(|panic| Err(panic.into())))
}

/// Ends at the first SIGTERM or SIGINT.
///
/// # Errors
/// The system does not let us listen for them.
pub(super) fn signal() -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = on_signal(SignalKind::terminate()).context("listen for SIGTERM")?;
    let mut interrupt = on_signal(SignalKind::interrupt()).context("listen for SIGINT")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => info!("SIGTERM: stopping"),
            _ = interrupt.recv() => info!("SIGINT: stopping"),
        }
    })
}
