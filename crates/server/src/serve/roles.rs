//! The parts of each role (docs/roles.md says which are whose): made first, since that may fail, and started together.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use ringpost_api::Limits;
use ringpost_bus::{Log, Subscription};
use ringpost_deliver::Lanes;
use tokio::net::TcpListener;

use super::base::Base;
use super::dead_letters::Copy;
use super::dispatch::{BacklogLimits, Dispatch, Fire};
use super::foreign;
use super::intake::LogIntake;
use super::mail::Mail;
use super::parts::Parts;
use super::settings::{self, LEASE_MARGIN};
use super::sources::{SourceStates, Sources};
use super::tables::TableKeeper;
use super::{Aggregate, http};
use crate::admin::Readiness;
use crate::clock;
use crate::config::{Backend, KafkaSource};
use crate::data_folder::Guarded;
use crate::log::{ServedLog, ServedWorker};
use crate::topics;
use crate::trigger_cache::TriggerCache;

/// The role ingest: HTTP, files, and topics of others.
pub(super) struct Ingesting {
    listener: TcpListener,
    router: Router,
    limits: http::Limits,
    sources: Option<Sources<ServedWorker, ServedLog, ringpost_store::Store>>,
    foreign: Vec<KafkaSource>,
    log: ServedLog,
    intake: LogIntake<ServedLog>,
    /// Between two transactions of what is read from topics of others.
    interval: Duration,
}

/// # Errors
/// The log cannot be read.
pub(super) async fn ingesting(base: &Base, listener: TcpListener) -> anyhow::Result<Ingesting> {
    let config = &base.config;
    let intake = LogIntake {
        log: base.log.clone(),
        store: base.store.clone(),
        clock: clock::wall(),
        access: base.configured.access(),
        dead_letters: base.dead_letters.clone(),
        metrics: Arc::clone(&base.metrics),
    };
    let sources = match config.source.files.is_empty() {
        true => None,
        false => {
            let (intake, files) = (intake.clone(), Some(base.files.clone()));
            let access = base.configured.access();
            Some(Sources::new(&config.source, &base.log, intake, access, files).await?)
        }
    };
    let legs = Guarded { intake: intake.clone(), files: base.files.clone() };
    let limits = Limits { body: config.http.max_body.as_usize(), time: config.http.request_timeout };
    let router = ringpost_api::router(base.configured.access(), legs, limits);
    let (foreign, interval) = (config.source.kafka.clone(), config.bus.kafka.commit_interval);
    let (limits, log) = (settings::http_limits(config), base.log.clone());
    Ok(Ingesting { listener, router, limits, sources, foreign, log, intake, interval })
}

impl Ingesting {
    /// Tells how its sources are doing.
    pub(super) fn spawn(self, parts: &mut Parts) -> Arc<SourceStates> {
        let Self { listener, router, limits, sources, foreign, log, intake, interval } = self;
        parts.spawn("intake", |stop| http::serve(listener, router, limits, stop));
        for source in foreign {
            let (log, intake) = (log.clone(), intake.clone());
            parts.spawn("topic", move |stop| foreign::run(log, source, intake, interval, stop));
        }
        // What it holds would keep the log from ending.
        drop((log, intake));
        let Some(sources) = sources else { return Arc::default() };
        let states = sources.states();
        parts.spawn("sources", |stop| sources.run(stop));
        states
    }
}

/// The role aggregate: legs to records, and what they are enriched from.
pub(super) struct Aggregating {
    aggregate: Aggregate<ServedWorker>,
    tables: TableKeeper,
}

/// # Errors
/// The log cannot be read, or the store.
pub(super) async fn aggregating(base: &Base) -> anyhow::Result<Aggregating> {
    let config = &base.config;
    let (poll, memory) = (config.triggers.poll, config.enrich.tables_memory.as_usize());
    let tables = TableKeeper::start(base.store.clone(), poll, memory, Arc::clone(&base.metrics)).await?;
    let aggregate = Aggregate {
        worker: base.log.worker(subscription("aggregate", topics::LEGS, Some(topics::SESSIONS))).await?,
        clock: clock::wall(),
        config: settings::sessions(config),
        settings: base.configured.settings(),
        tables: tables.reader(),
        dead_letters: base.dead_letters.clone(),
        metrics: Arc::clone(&base.metrics),
        readiness: Arc::clone(&base.readiness),
        partitions: base.log.partitions(topics::LEGS).await?,
        interval: match config.bus.backend {
            // A sync of the disk is shared by what is there; nobody waits for more to come.
            Backend::Embedded => Duration::ZERO,
            Backend::Kafka => config.bus.kafka.commit_interval,
        },
    };
    Ok(Aggregating { aggregate, tables })
}

impl Aggregating {
    pub(super) fn spawn(self, parts: &mut Parts) {
        let Self { aggregate, tables } = self;
        parts.spawn("aggregate", |stop| aggregate.run(stop));
        parts.spawn("tables", |stop| tables.run(stop));
    }
}

/// The role dispatch: records to receivers, and mail about what became of that.
pub(super) struct Dispatching {
    dispatch: Dispatch<ServedWorker>,
    cache: TriggerCache,
    poll: Duration,
    mail: Option<Mail>,
    readiness: Arc<Readiness>,
}

/// # Errors
/// The log cannot be read; what deliveries or mail need is not there.
pub(super) async fn dispatching(base: &Base) -> anyhow::Result<Dispatching> {
    let Base { config, store, metrics, .. } = base;
    let delivery = &config.delivery;
    let mail = Mail::new(&config.mail, store.clone(), clock::wall(), Arc::clone(metrics))?;
    let (lanes, reports) = settings::lanes(delivery, metrics)?;
    let cache = TriggerCache::new(store.clone(), config.triggers.cache_ttl);
    let dispatch = Dispatch {
        worker: base.log.worker(subscription("dispatch", topics::CDRS, None)).await?,
        store: store.clone(),
        clock: clock::wall(),
        lanes,
        reports,
        fire: Fire::new(cache.clone(), store.clone(), Arc::clone(metrics)),
        dead_letters: base.dead_letters.clone(),
        metrics: Arc::clone(metrics),
        readiness: Arc::clone(&base.readiness),
        owner: crate::log::process_name(config),
        lease: delivery.deadline + delivery.handoff + LEASE_MARGIN,
        grace: config.shutdown.grace / 10 * 7,
        concurrency: delivery.concurrency,
        breaker: settings::breaker(&delivery.breaker),
        max_hold: delivery.max_hold,
        backlog: BacklogLimits { trigger: delivery.max_owed as u64, tenant: delivery.max_owed_tenant as u64 },
        mailed: if mail.is_some() { config.mail.events.clone() } else { Vec::new() },
        // One process holds a journal: its own pace is the whole rate. On Kafka there may be more.
        shares_rates: config.bus.backend == Backend::Kafka || store.is_shared(),
    };
    let (poll, readiness) = (config.triggers.poll, Arc::clone(&base.readiness));
    Ok(Dispatching { dispatch, cache, poll, mail, readiness })
}

impl Dispatching {
    /// Tells what is measured of its lanes.
    pub(super) fn spawn(self, parts: &mut Parts) -> Lanes {
        let Self { dispatch, cache, poll, mail, readiness } = self;
        let lanes = dispatch.lanes.clone();
        parts.spawn("dispatch", |stop| dispatch.run(stop));
        parts.spawn("triggers", |stop| async move {
            cache.run(poll, stop).await;
            Ok(())
        });
        if let Some(mail) = mail {
            parts.spawn("mail", |stop| mail.run(move || readiness.leads(), stop));
        }
        lanes
    }
}

/// The role api.
pub(super) struct Serving {
    copy: Option<Copy<ServedWorker>>,
}

/// # Errors
/// The log cannot be read.
pub(super) async fn serving(base: &Base) -> anyhow::Result<Serving> {
    let (store, metrics) = (base.store.clone(), Arc::clone(&base.metrics));
    let copy = match base.config.bus.backend {
        Backend::Embedded => None,
        Backend::Kafka => {
            let worker = base.log.worker(subscription("dead-letters", topics::DEAD_LETTERS, None)).await?;
            Some(Copy { worker, store, prefix: base.dead_letters.prefix(), metrics })
        }
    };
    Ok(Serving { copy })
}

impl Serving {
    pub(super) fn spawn(self, parts: &mut Parts) {
        if let Some(copy) = self.copy {
            parts.spawn("dead letters", |stop| copy.run(stop));
        }
    }
}

fn subscription(group: &str, topic: &str, state: Option<&str>) -> Subscription {
    Subscription { group: group.to_owned(), topics: vec![topic.to_owned()], state: state.map(str::to_owned) }
}
