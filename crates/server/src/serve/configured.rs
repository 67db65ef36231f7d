//! What the store configures, taken over while the process runs: settings of sessions, and who may write legs.
//! `changes` is looked at every second (architecture.md, Change of configuration).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use ringpost_api::{Access, PbxAccess, SharedAccess, TokenHash};
use ringpost_session::Settings;
use ringpost_store::{Kind, Store};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

/// Keeps settings and access as the store says.
pub(crate) struct Configured {
    store: Store,
    access: SharedAccess,
    settings: watch::Sender<Arc<Settings>>,
    seq: u64,
    poll: Duration,
}

impl Configured {
    /// Reads everything once.
    ///
    /// # Errors
    /// The store cannot be read, or holds a region that does not exist.
    pub(crate) async fn load(store: Store, poll: Duration) -> anyhow::Result<Self> {
        let settings = watch::Sender::new(Arc::new(Settings::default()));
        let mut configured = Self { store, access: SharedAccess::default(), settings, seq: 0, poll };
        configured.refresh().await?;
        Ok(configured)
    }

    /// Who may write legs, always as of now.
    pub(crate) fn access(&self) -> SharedAccess {
        self.access.clone()
    }

    /// Settings of sessions, always as of now.
    pub(crate) fn settings(&self) -> watch::Receiver<Arc<Settings>> {
        self.settings.subscribe()
    }

    /// Looks for changes until told to stop. With the store away what is loaded goes on.
    ///
    /// # Errors
    /// None; the shape of all tasks.
    pub(crate) async fn run(mut self, stop: CancellationToken) -> anyhow::Result<()> {
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(self.poll) => {}
            }
            if let Err(error) = self.refresh().await {
                warn!(
                    error = format!("{error:#}"),
                    "changes of configuration cannot be read, the former holds"
                );
            }
        }
    }

    async fn refresh(&mut self) -> anyhow::Result<()> {
        let changes = self.store.changes_since(self.seq).await.context("look for changes")?;
        let Some(last) = changes.last() else { return Ok(()) };
        if changes.iter().any(|change| change.kind != Kind::Trigger && !change.kind.is_table()) {
            self.reload().await?;
        }
        self.seq = last.seq;
        Ok(())
    }

    async fn reload(&mut self) -> anyhow::Result<()> {
        let tenants = self.store.tenants().await.context("read tenants")?;
        let pbxs = self.store.pbxs().await.context("read pbxs")?;
        let tokens = self.store.ingest_tokens().await.context("read tokens")?;
        for unreadable in tenants.unreadable.iter().chain(&pbxs.unreadable) {
            error!(row = unreadable.row, error = %unreadable.error, "a part of the configuration cannot be read: apply it again");
        }
        let settings = Settings::new(&tenants, &pbxs).context("use the configured tenants and pbxs")?;
        let mut access = Access::default();
        access.tenants.extend(tenants.into_iter().map(|tenant| (tenant.key, tenant.parent)));
        let mut of_pbx: HashMap<_, Vec<_>> = HashMap::new();
        for token in tokens.into_iter().filter(|token| token.revoked.is_none()) {
            of_pbx.entry(token.pbx).or_default().push((TokenHash(token.id.0.into_bytes()), token.tenant));
        }
        for pbx in pbxs {
            let tokens = of_pbx.remove(&pbx.key).unwrap_or_default();
            let sides = Arc::new(pbx.sides);
            let of = PbxAccess { dialect: pbx.dialect, tenant: pbx.tenant, zone: pbx.zone, sides, tokens };
            access.pbxs.insert(pbx.key, of);
        }
        info!(tenants = access.tenants.len(), pbxs = access.pbxs.len(), "configuration taken over");
        self.access.set(access);
        self.settings.send_replace(Arc::new(settings));
        Ok(())
    }
}
