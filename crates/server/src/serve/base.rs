//! What every process has, whatever its roles: configuration, store, log, counters.

use std::sync::Arc;

use anyhow::Context;
use ringpost_bus::{Journal, Log};
use ringpost_store::{SessionFilter, Store};
use tracing::warn;

use super::configured::Configured;
use super::dead_letters::{self, DeadLetters};
use crate::admin::{Readiness, enrich};
use crate::clock;
use crate::config::{Backend, Config, Role};
use crate::data_folder::{self, Files};
use crate::log::{self, ServedLog};
use crate::metrics::Metrics;
use crate::open_store::open_store;
use crate::topics;

/// What the parts of every role are made from.
pub(super) struct Base {
    pub(super) config: Config,
    pub(super) metrics: Arc<Metrics>,
    pub(super) readiness: Arc<Readiness>,
    pub(super) store: Store,
    pub(super) log: ServedLog,
    pub(super) files: Files,
    pub(super) dead_letters: DeadLetters,
    pub(super) configured: Configured,
}

impl Base {
    /// Opens store and log; the journal, where there is one, is for the caller to run.
    ///
    /// # Errors
    /// What is in the way, and of what.
    pub(super) async fn open(config: Config) -> anyhow::Result<(Self, Option<Journal>)> {
        let metrics = Arc::new(Metrics::new().context("register metrics")?);
        let readiness = Arc::new(Readiness::of(&config.serve));
        data_folder::check_logs(&config.data.dir)?;
        let store = open_store(&config).await?;
        let (log, journal) = open_log(&config, &store).await?;
        let files = Files::of(&config).context("look at the files of the data folder")?;
        // Empty until now.
        let _ = readiness.files.set(files.clone());
        metrics.adopt(log.metrics(), store.metrics()).context("register metrics")?;
        let dead_letters = dead_letters(&log, &config.bus.kafka.prefix, &store, Arc::clone(&metrics));
        let configured = Configured::load(store.clone(), config.triggers.poll).await?;
        if config.serve.roles.len() < Role::ALL.len() && !store.is_shared() {
            let folder = config.data.dir.display();
            warn!(%folder, "the store is in a folder: the processes of all other roles have to be on this machine, with the same folder");
        }
        let base = Self { config, metrics, readiness, store, log, files, dead_letters, configured };
        Ok((base, journal))
    }

    /// What has records enriched again.
    pub(super) fn again(&self) -> enrich::Again {
        let log = self.log.clone();
        let append = move |records| {
            let log = log.clone();
            let append = async move {
                log.append(topics::LEGS, records).await?;
                Ok(())
            };
            Box::pin(append) as enrich::Appended
        };
        enrich::Again { store: self.store.clone(), append: Arc::new(append), clock: clock::wall() }
    }
}

/// Into the store, or on Kafka by way of their topic.
fn dead_letters(log: &ServedLog, prefix: &str, store: &Store, metrics: Arc<Metrics>) -> DeadLetters {
    if matches!(log, ServedLog::Embedded(_)) {
        return DeadLetters::new(store.clone(), metrics);
    }
    let log = log.clone();
    let append = move |records| {
        let log = log.clone();
        let append = async move { log.append(topics::DEAD_LETTERS, records).await.map(drop) };
        Box::pin(append) as dead_letters::Appended
    };
    DeadLetters::on_topic(Arc::new(append), prefix, metrics)
}

async fn open_log(config: &Config, store: &Store) -> anyhow::Result<(ServedLog, Option<Journal>)> {
    if config.bus.backend == Backend::Embedded {
        let has_calls = !store.sessions(&SessionFilter::default(), 1).await?.is_empty();
        data_folder::check_journal(config, has_calls)?;
    }
    log::open(config).await
}
