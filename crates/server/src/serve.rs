//! The running pipeline: intake, sessions, dispatch, in one process or each role in its own. This is the wiring: the
//! stages do not know each other.
//!
//! Parts start in the order of the stream and stop in it too: first the intake, then sessions, then dispatch, so
//! that what was accepted goes as far as it can. Health and metrics stop last. A part that ends by itself ends the
//! process: a half-dead one would only look alive.

pub(crate) mod aggregate;
mod base;
mod configured;
mod dead_letters;
mod dispatch;
mod foreign;
mod housekeeping;
mod http;
mod intake;
pub(crate) mod logging;
mod lookout;
pub(crate) mod mail;
mod notices;
mod parts;
mod roles;
mod settings;
pub(crate) mod sources;
mod stream_time;
mod sums;
mod tables;
mod window;

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use ringpost_store::Store;
use tokio::net::TcpListener;
use tracing::info;

use crate::admin::{self, AdminState, Board};
use crate::config::{Config, Role};
use crate::limits;

pub use aggregate::Aggregate;
use base::Base;
pub use dead_letters::DeadLetters;
pub use dispatch::{BacklogLimits, Dispatch, Fire};
use housekeeping::Housekeeping;
pub use intake::LogIntake;
use lookout::Lookout;
use parts::Parts;
pub(crate) use settings::extra_roots;
pub use tables::TableReader;

/// Runs until SIGTERM or SIGINT asks to stop, and then at most `shutdown.grace`.
///
/// # Errors
/// What kept it from starting, or ended it.
pub async fn run(config: Config) -> anyhow::Result<()> {
    logging::start(&config.log)?;
    limits::raise_open_files();
    let server = Server::start(config).await?;
    let signal = parts::signal()?;
    server.run(signal).await
}

/// A started server: ports bound, files open, every part running.
pub struct Server {
    parts: Parts,
    store: Store,
    intake: Option<SocketAddr>,
    admin: SocketAddr,
}

impl Server {
    /// Binds the ports, opens the files, starts every part of its roles.
    ///
    /// # Errors
    /// What is in the way, and of what.
    pub async fn start(config: Config) -> anyhow::Result<Self> {
        let (base, journal) = Base::open(config).await?;
        let has = |role| base.config.serve.has(role);
        // Everything that can fail is made before anything runs.
        let intake_listener = match has(Role::Ingest) {
            true => Some(bind(base.config.http.listen, "http.listen").await?),
            false => None,
        };
        let admin_listener = bind(base.config.admin.listen, "admin.listen").await?;
        let intake = intake_listener.as_ref().map(TcpListener::local_addr).transpose()?;
        let admin = admin_listener.local_addr()?;

        let mut parts = Parts::new(base.config.shutdown.grace, Arc::clone(&base.readiness));
        if let Some(journal) = journal {
            // It ends with the last handle of the log: when all that could still write have ended.
            parts.spawn_last("journal", |_| async {
                journal.run().await;
                Ok(())
            });
        }
        let board = Arc::new(Board::default());
        let (metrics, readiness) = (Arc::clone(&base.metrics), Arc::clone(&base.readiness));
        let again = has(Role::Api).then(|| base.again());
        let state = AdminState { metrics, readiness, board: Arc::clone(&board), again };
        parts.spawn_last("admin", |stop| async move {
            let shutdown = stop.cancelled_owned();
            let serve = axum::serve(admin_listener, admin::router(state)).with_graceful_shutdown(shutdown);
            serve.await.context("serve the admin port")
        });

        let dispatching = if has(Role::Dispatch) { Some(roles::dispatching(&base).await?) } else { None };
        let aggregating = if has(Role::Aggregate) { Some(roles::aggregating(&base).await?) } else { None };
        let ingesting = match intake_listener {
            Some(listener) => Some(roles::ingesting(&base, listener).await?),
            None => None,
        };

        let serving = if has(Role::Api) { Some(roles::serving(&base).await?) } else { None };

        // The order in which they stop.
        let sources = ingesting.map(|ingesting| ingesting.spawn(&mut parts)).unwrap_or_default();
        if let Some(aggregating) = aggregating {
            aggregating.spawn(&mut parts);
        }
        let lanes = dispatching.map(|dispatching| dispatching.spawn(&mut parts));
        if let Some(serving) = serving {
            serving.spawn(&mut parts);
        }
        let Base { config, metrics, readiness, store, log, files, configured, .. } = base;
        parts.spawn("files", |stop| files.watch(stop));
        parts.spawn("configuration", |stop| configured.run(stop));
        let lookout = Lookout::new(log.clone(), store.clone(), Arc::clone(&readiness), &config.serve);
        parts.spawn("lookout", |stop| lookout.run(stop));
        let (keep, data) = (housekeeping::keep(&config), config.data.dir.clone());
        let housekeeping =
            Housekeeping { log, store: store.clone(), lanes, metrics, readiness, keep, board, sources, data };
        parts.spawn("housekeeping", |stop| housekeeping.run(stop));
        let roles = config.serve.roles.iter().map(|role| role.name()).collect::<Vec<_>>().join(",");
        let intake_shown = intake.map(|address| address.to_string());
        info!(intake = intake_shown, %admin, roles, data = %config.data.dir.display(), "ringpost is up");
        Ok(Self { parts, store, intake, admin })
    }

    /// Where legs are taken in; none without the role.
    pub fn intake_address(&self) -> Option<SocketAddr> {
        self.intake
    }

    /// Where health and metrics are.
    pub fn admin_address(&self) -> SocketAddr {
        self.admin
    }

    /// Runs until `stop` ends, or a part does.
    ///
    /// # Errors
    /// The part that ended by itself, and why.
    pub async fn run(self, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
        let ended = self.parts.run(stop).await;
        self.store.close().await;
        info!("ringpost is down");
        ended
    }
}

async fn bind(address: SocketAddr, key: &str) -> anyhow::Result<TcpListener> {
    let bound = TcpListener::bind(address).await;
    bound.with_context(|| format!("listen on {address} ({key}): set another address, or stop what uses it"))
}
