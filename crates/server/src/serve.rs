//! The running pipeline: intake, sessions, dispatch in one process, on embedded backends. This is the wiring: the
//! stages do not know each other.
//!
//! Parts start in the order of the stream and stop in it too: first the intake, then sessions, then dispatch, so
//! that what was accepted goes as far as it can. Health and metrics stop last. A part that ends by itself ends the
//! process: a half-dead one would only look alive.

mod aggregate;
mod configured;
mod dead_letters;
mod dispatch;
mod housekeeping;
mod http;
mod intake;
pub(crate) mod logging;
pub(crate) mod mail;
mod notices;
mod parts;
pub(crate) mod sources;
mod stream_time;
mod sums;
mod tables;
mod window;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context;
use ringpost_bus::{Journal, Log, Subscription};
use ringpost_deliver::{Client, ClientConfig, LaneConfig, Lanes, SystemLookup, roots_from_pem};
use ringpost_store::{SessionFilter, Store};
use tokio::net::TcpListener;
use tracing::info;

use crate::admin::{self, AdminState, Board, Readiness};
use crate::clock;
use crate::config::{Backend, Config, Delivery};
use crate::data_folder::{self, Files, Guarded};
use crate::limits;
use crate::log::{self, ServedLog};
use crate::metrics::Metrics;
use crate::open_store::open_store;
use crate::topics;
use crate::trigger_cache::TriggerCache;

pub use aggregate::Aggregate;
use configured::Configured;
pub use dead_letters::DeadLetters;
pub use dispatch::{BacklogLimits, Dispatch, Fire};
use housekeeping::Housekeeping;
pub use intake::LogIntake;
use mail::Mail;
use parts::Parts;
use sources::Sources;
use tables::TableKeeper;
pub use tables::TableReader;

/// Jobs that wait in one lane. A receiver that answers within milliseconds gets through so many in less than
/// `handoff`; what waits longer is owed anyway. Half of what dispatch has in flight: one tenant never fills it alone.
const LANE_QUEUE: usize = 1_024;
/// On top of deadline and hand-over: a lease is always longer than a try (triggers-and-delivery.md 4).
const LEASE_MARGIN: Duration = Duration::from_secs(5);

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
    intake: SocketAddr,
    admin: SocketAddr,
}

impl Server {
    /// Binds the ports, opens the files, starts every part.
    ///
    /// # Errors
    /// What is in the way, and of what.
    pub async fn start(config: Config) -> anyhow::Result<Self> {
        let metrics = Arc::new(Metrics::new().context("register metrics")?);
        let readiness = Arc::new(Readiness::default());
        data_folder::check_logs(&config.data.dir)?;
        let store = open_store(&config).await?;
        let (log, journal) = open_log(&config, &store).await?;
        let files = Files::of(&config.data.dir, config.bus.backend)
            .context("look at the files of the data folder")?;
        // Empty until now.
        let _ = readiness.files.set(files.clone());
        metrics.adopt(log.metrics(), store.metrics()).context("register metrics")?;
        let dead_letters = DeadLetters::new(store.clone(), Arc::clone(&metrics));
        let configured = Configured::load(store.clone(), config.triggers.poll).await?;
        let memory = config.enrich.tables_memory.as_usize();
        let (poll, counted) = (config.triggers.poll, Arc::clone(&metrics));
        let tables = TableKeeper::start(store.clone(), poll, memory, counted).await?;
        let mail = Mail::new(&config.mail, store.clone(), clock::wall(), Arc::clone(&metrics))?;
        let intake_listener = bind(config.http.listen, "http.listen").await?;
        let admin_listener = bind(config.admin.listen, "admin.listen").await?;
        let (intake, admin) = (intake_listener.local_addr()?, admin_listener.local_addr()?);

        let mut parts = Parts::new(config.shutdown.grace, Arc::clone(&readiness));
        if let Some(journal) = journal {
            // It ends with the last handle of the log: when all that could still write have ended.
            parts.spawn_last("journal", |_| async {
                journal.run().await;
                Ok(())
            });
        }
        let board = Arc::new(Board::default());
        let (shown, ready) = (Arc::clone(&metrics), Arc::clone(&readiness));
        let again = Some(again(&store, &log));
        let state = AdminState { metrics: shown, readiness: ready, board: Arc::clone(&board), again };
        parts.spawn_last("admin", |stop| async move {
            let shutdown = stop.cancelled_owned();
            let serve = axum::serve(admin_listener, admin::router(state)).with_graceful_shutdown(shutdown);
            serve.await.context("serve the admin port")
        });

        let (lanes, reports) = lanes(&config.delivery, &metrics)?;
        let cache = TriggerCache::new(store.clone(), config.triggers.cache_ttl);
        let dispatch = Dispatch {
            worker: log.worker(subscription("dispatch", topics::CDRS, None)).await?,
            store: store.clone(),
            clock: clock::wall(),
            lanes: lanes.clone(),
            reports,
            fire: Fire::new(cache.clone(), store.clone(), Arc::clone(&metrics)),
            dead_letters: dead_letters.clone(),
            metrics: Arc::clone(&metrics),
            readiness: Arc::clone(&readiness),
            owner: format!("{}-{}", std::process::id(), clock::now().micros()),
            lease: config.delivery.deadline + config.delivery.handoff + LEASE_MARGIN,
            grace: config.shutdown.grace / 10 * 7,
            concurrency: config.delivery.concurrency,
            breaker: breaker(&config.delivery.breaker),
            max_hold: config.delivery.max_hold,
            backlog: BacklogLimits {
                trigger: config.delivery.max_owed as u64,
                tenant: config.delivery.max_owed_tenant as u64,
            },
            mailed: if mail.is_some() { config.mail.events.clone() } else { Vec::new() },
            // One process holds the journal: its own pace is the whole rate.
            shares_rates: false,
        };
        let aggregate = Aggregate {
            worker: log.worker(subscription("aggregate", topics::LEGS, Some(topics::SESSIONS))).await?,
            clock: clock::wall(),
            config: sessions(&config),
            settings: configured.settings(),
            tables: tables.reader(),
            dead_letters: dead_letters.clone(),
            metrics: Arc::clone(&metrics),
            readiness: Arc::clone(&readiness),
            interval: match config.bus.backend {
                // A sync of the disk is shared by what is there; nobody waits for more to come.
                Backend::Embedded => Duration::ZERO,
                Backend::Kafka => config.bus.kafka.commit_interval,
            },
        };
        let intake_of_log = LogIntake {
            log: log.clone(),
            store: store.clone(),
            clock: clock::wall(),
            access: configured.access(),
            dead_letters,
            metrics: Arc::clone(&metrics),
        };
        let sources = match config.source.files.is_empty() {
            true => None,
            false => {
                let (intake, files) = (intake_of_log.clone(), Some(files.clone()));
                Some(Sources::new(&config.source, &log, intake, configured.access(), files).await?)
            }
        };
        let legs = Guarded { intake: intake_of_log, files: files.clone() };
        let limits =
            ringpost_api::Limits { body: config.http.max_body.as_usize(), time: config.http.request_timeout };
        let router = ringpost_api::router(configured.access(), legs, limits);
        let connections = http_limits(&config);

        // The order in which they stop.
        parts.spawn("intake", |stop| http::serve(intake_listener, router, connections, stop));
        let states = sources.as_ref().map(Sources::states).unwrap_or_default();
        if let Some(sources) = sources {
            parts.spawn("sources", |stop| sources.run(stop));
        }
        parts.spawn("aggregate", |stop| aggregate.run(stop));
        parts.spawn("dispatch", |stop| dispatch.run(stop));
        parts.spawn("files", |stop| files.watch(stop));
        parts.spawn("configuration", |stop| configured.run(stop));
        parts.spawn("tables", |stop| tables.run(stop));
        parts.spawn("triggers", |stop| async move {
            cache.run(config.triggers.poll, stop).await;
            Ok(())
        });
        if let Some(mail) = mail {
            parts.spawn("mail", |stop| mail.run(stop));
        }
        let keep = housekeeping::keep(&config);
        let housekeeping =
            Housekeeping { log, store: store.clone(), lanes, metrics, keep, board, sources: states };
        parts.spawn("housekeeping", |stop| housekeeping.run(stop));
        readiness.intake.store(true, Ordering::Release);
        info!(%intake, %admin, data = %config.data.dir.display(), "ringpost is up");
        Ok(Self { parts, store, intake, admin })
    }

    /// Where legs are taken in.
    pub fn intake_address(&self) -> SocketAddr {
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

fn again(store: &Store, log: &ServedLog) -> admin::enrich::Again {
    let log = log.clone();
    let append = move |records| {
        let log = log.clone();
        let append = async move {
            log.append(topics::LEGS, records).await?;
            Ok(())
        };
        Box::pin(append) as admin::enrich::Appended
    };
    admin::enrich::Again { store: store.clone(), append: Arc::new(append), clock: clock::wall() }
}

async fn open_log(config: &Config, store: &Store) -> anyhow::Result<(ServedLog, Option<Journal>)> {
    if config.bus.backend == Backend::Embedded {
        let has_calls = !store.sessions(&SessionFilter::default(), 1).await?.is_empty();
        data_folder::check_journal(config, has_calls)?;
    }
    log::open(config).await
}

fn subscription(group: &str, topic: &str, state: Option<&str>) -> Subscription {
    Subscription { group: group.to_owned(), topics: vec![topic.to_owned()], state: state.map(str::to_owned) }
}

async fn bind(address: SocketAddr, key: &str) -> anyhow::Result<TcpListener> {
    let bound = TcpListener::bind(address).await;
    bound.with_context(|| format!("listen on {address} ({key}): set another address, or stop what uses it"))
}

/// The roots trusted beside the platform's.
///
/// # Errors
/// A file that cannot be read, or holds no certificate.
pub(crate) fn extra_roots(
    delivery: &Delivery,
) -> anyhow::Result<Vec<rustls::pki_types::CertificateDer<'static>>> {
    let mut extra_roots = Vec::new();
    for path in &delivery.extra_roots {
        let pem = std::fs::read(path).with_context(|| format!("read roots from {}", path.display()))?;
        extra_roots
            .extend(roots_from_pem(&pem).with_context(|| format!("read roots from {}", path.display()))?);
    }
    Ok(extra_roots)
}

fn lanes(
    delivery: &Delivery,
    metrics: &Metrics,
) -> anyhow::Result<(Lanes, tokio::sync::mpsc::Receiver<ringpost_deliver::Report>)> {
    let extra_roots = extra_roots(delivery)?;
    let client = ClientConfig {
        deadline: delivery.deadline,
        read_body_bytes: delivery.max_response.as_usize(),
        idle_per_origin: delivery.connections_per_origin,
        allowed: delivery.allow_networks.clone(),
        allow_http: delivery.allow_http,
        proxy: delivery.proxy,
        extra_roots,
        ..ClientConfig::default()
    };
    let lane = LaneConfig {
        concurrency: delivery.concurrency,
        per_origin: delivery.connections_per_origin,
        handoff: delivery.handoff,
        lease: delivery.deadline + LEASE_MARGIN,
        max_hold: delivery.max_hold,
        queue: LANE_QUEUE,
        ..LaneConfig::default()
    };
    let capacity = i64::try_from(lane.jobs).unwrap_or(i64::MAX);
    metrics.queue_capacity.with_label_values(&["lanes"]).set(capacity);
    let clock: ringpost_deliver::Clock = Arc::new(clock::now);
    let lookup = SystemLookup::new().context("set up the look-up of names")?;
    let client = Client::new(client, Arc::new(lookup), Arc::clone(&clock))?;
    Ok(Lanes::new(lane, Arc::new(client), clock))
}

fn breaker(breaker: &crate::config::Breaker) -> ringpost_deliver::Limits {
    ringpost_deliver::Limits {
        many: breaker.many,
        many_over: breaker.many_over,
        few: breaker.few,
        few_over: breaker.few_over,
        first_probe: breaker.first_probe,
        longest_probe: breaker.longest_probe,
    }
}

fn sessions(config: &Config) -> ringpost_session::Config {
    let sessions = &config.sessions;
    let micros = |duration: Duration| i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
    ringpost_session::Config {
        settle: micros(sessions.settle),
        gap: micros(sessions.gap),
        max_idle: micros(sessions.max_idle),
        late: micros(sessions.late),
        dedupe: Some(micros(sessions.dedupe)),
        max_legs: sessions.max_legs,
        max_session_bytes: sessions.max_session_bytes.as_usize(),
        max_live: sessions.max_live,
        // They are put out from the day that something listens to them.
        events: false,
        ..ringpost_session::Config::default()
    }
}

fn http_limits(config: &Config) -> http::Limits {
    http::Limits {
        connections: config.http.max_connections,
        head: config.http.max_headers.as_usize(),
        head_time: config.http.request_timeout,
        grace: config.shutdown.grace / 5,
    }
}
