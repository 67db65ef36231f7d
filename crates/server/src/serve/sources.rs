//! Files that legs are read from (`[[source.file]]`): followed through rotation, truncation and restarts.
//!
//! Nothing counts as read before it is durable: legs and the place up to which a file was read are one transaction of
//! the log. What is read twice nevertheless (a copy of a file) says nothing new, and does no harm.

mod cut;
mod decode;
mod keeper;
mod listing;
mod mark;
mod reader;
mod state;
mod watch;

use std::sync::Arc;

use anyhow::Context;
use ringpost_api::{Grant, SharedAccess};
use ringpost_bus::{Log, Worker};
use ringpost_store::Ledger;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::intake::LogIntake;
use crate::config::{self, FileSource};
use crate::data_folder::Files;
use keeper::Keeper;
use reader::{Reader, Shared};
use watch::{Watch, Watched};

pub(crate) use state::{SourceState, SourceStates};

/// Every source of the process.
pub(crate) struct Sources<W, L, S> {
    readers: Vec<Reader<W, L, S>>,
    states: Arc<SourceStates>,
}

impl<W: Worker, L: Log<Worker = W>, S: Ledger> Sources<W, L, S> {
    /// Reads how far files were read.
    ///
    /// # Errors
    /// The log cannot be read.
    pub(crate) async fn new(
        config: &config::Sources,
        log: &L,
        intake: LogIntake<L, S>,
        access: SharedAccess,
        files: Option<Files>,
    ) -> anyhow::Result<Self> {
        let (keeper, mut kept) = Keeper::open(log).await?;
        let states = config.files.iter().filter_map(state_of).collect();
        let states = Arc::new(SourceStates::new(states));
        let poll = config.poll;
        let shared = Shared { keeper, intake, access, files, states: Arc::clone(&states), poll };
        let shared = Arc::new(shared);
        let mut readers = Vec::new();
        for (at, source) in config.files.iter().enumerate() {
            let Some(grant) = grant(source, &shared.access) else { continue };
            let marks = kept.remove(&source.path).unwrap_or_default();
            let (path, follow, dialect) = (source.path.clone(), source.follow, grant.dialect);
            let watch = Watch::new(Watched { path, follow, dialect }, marks);
            let (shared, source) = (Arc::clone(&shared), source.clone());
            readers.push(Reader { shared, at, source, grant, watch, told: String::new() });
        }
        Ok(Self { readers, states })
    }

    /// How they are doing, as of whenever it is asked.
    pub(crate) fn states(&self) -> Arc<SourceStates> {
        Arc::clone(&self.states)
    }

    /// Until told to stop.
    ///
    /// # Errors
    /// A bug: one of them has panicked.
    pub(crate) async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut running = JoinSet::new();
        for reader in self.readers {
            running.spawn(reader.run(stop.clone()));
        }
        while let Some(ended) = running.join_next().await {
            ended.context("read a source")??;
        }
        // All are done, and none is followed.
        stop.cancelled().await;
        Ok(())
    }
}

fn state_of(source: &FileSource) -> Option<SourceState> {
    let pbx = source.pbx.as_ref()?.to_string();
    Some(SourceState { path: source.path.display().to_string(), pbx, ..SourceState::default() })
}

/// None for a source without a pbx, which the configuration refuses.
fn grant(source: &FileSource, access: &SharedAccess) -> Option<Grant> {
    let pbx = source.pbx.as_ref()?;
    let access = access.get();
    if source.dialect.is_none() && !access.pbxs.contains_key(pbx) {
        let source = source.path.display();
        warn!(%source, %pbx, "the pbx of a source is not declared, and the source says no dialect: its files are read as native");
    }
    Some(access.grant_input(pbx, source.tenant.as_ref(), source.dialect))
}
