//! One life of a process: the loops of the pipeline over the simulated log, store and receivers, from its start to
//! its crash or stop. Nothing in memory outlives it.

mod served;
mod still;

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use ringpost::pipeline::{
    Aggregate, BacklogLimits, CDRS, DeadLetters, Dispatch, Fire, LEGS, LogIntake, Metrics, Readiness,
    SESSIONS, TableReader, TriggerCache,
};
use ringpost_api::SharedAccess;
use ringpost_bus::Subscription;
use ringpost_deliver::{LaneConfig, Lanes, Limits};
use ringpost_session::Settings;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::clock::SimClock;
use crate::log::SimLog;
use crate::receiver::Receivers;
use crate::store::SimStore;

use served::Served;
use still::Still;

/// What every life of the process shares.
#[derive(Clone)]
pub(crate) struct Surroundings {
    /// The clock.
    pub clock: SimClock,
    /// The log.
    pub log: SimLog,
    /// The store.
    pub store: SimStore,
    /// The receivers.
    pub receivers: Receivers,
    /// Who may write legs.
    pub access: SharedAccess,
    /// How lanes are set up.
    pub lanes: LaneConfig,
    /// When a receiver counts as down.
    pub breaker: Limits,
    /// How much may be owed.
    pub backlog: BacklogLimits,
    /// When sessions close.
    pub sessions: ringpost_session::Config,
}

/// A running process.
pub(crate) struct Process {
    /// Which life it is.
    pub number: u32,
    /// Its intake.
    pub router: Router,
    /// What it counts.
    pub metrics: Arc<Metrics>,
    /// Its lanes.
    pub lanes: Lanes,
    /// Cancelled when it is no more: who waits for its answer waits no longer.
    pub gone: CancellationToken,
    log: SimLog,
    still: Still,
    stop: CancellationToken,
    parts: JoinSet<(&'static str, anyhow::Result<()>)>,
    /// Ends with the process.
    _settings: watch::Sender<Arc<Settings>>,
}

impl Process {
    /// Starts all parts. `instance` is its name, where it is one of several.
    ///
    /// # Errors
    /// The log refuses a worker: a mistake in the world.
    pub(crate) async fn start(
        number: u32,
        around: &Surroundings,
        instance: Option<&str>,
    ) -> anyhow::Result<Self> {
        let Surroundings { clock, store, receivers, access, .. } = around.clone();
        let log = instance.map_or_else(|| around.log.clone(), |instance| around.log.of(instance));
        let several = instance.is_some();
        let metrics = Arc::new(Metrics::new()?);
        let readiness = Arc::new(Readiness::default());
        let dead_letters = DeadLetters::new(store.clone(), Arc::clone(&metrics));
        let wall = clock.wall();
        let (lanes, reports) =
            Lanes::new(around.lanes.clone(), receivers.wire(number), Arc::new(move || wall()));
        let cache = TriggerCache::new(store.clone(), Duration::from_secs(600));
        let dispatch = Dispatch {
            worker: Served::join(&log, subscription("dispatch", CDRS, None), several).await?,
            store: store.clone(),
            clock: clock.wall(),
            lanes: lanes.clone(),
            reports,
            fire: Fire::new(cache.clone(), store.clone(), Arc::clone(&metrics)),
            dead_letters: dead_letters.clone(),
            metrics: Arc::clone(&metrics),
            readiness: Arc::clone(&readiness),
            owner: format!("life-{number}"),
            lease: Duration::from_secs(16),
            grace: Duration::from_millis(10_500),
            concurrency: around.lanes.concurrency,
            breaker: around.breaker.clone(),
            max_hold: around.lanes.max_hold,
            backlog: around.backlog,
            mailed: Vec::new(),
            shares_rates: around.lanes.shared_rates,
        };
        let settings = watch::Sender::new(Arc::new(Settings::default()));
        let aggregate = Aggregate {
            worker: Served::join(&log, subscription("aggregate", LEGS, Some(SESSIONS)), several).await?,
            clock: clock.wall(),
            config: around.sessions.clone(),
            settings: settings.subscribe(),
            tables: TableReader::nothing(),
            dead_letters: dead_letters.clone(),
            metrics: Arc::clone(&metrics),
            readiness,
            partitions: None,
            interval: std::time::Duration::ZERO,
        };
        let intake = LogIntake {
            log: log.clone(),
            store,
            clock: clock.wall(),
            access: access.clone(),
            dead_letters,
            metrics: Arc::clone(&metrics),
        };
        let limits = ringpost_api::Limits { body: 10 << 20, time: Duration::from_secs(30) };
        let router = ringpost_api::router(access, intake, limits);
        let (stop, gone) = (CancellationToken::new(), CancellationToken::new());
        let (mut parts, still) = (JoinSet::new(), Still::default());
        let token = stop.clone();
        parts.spawn(still.wrap(async move { ("aggregate", aggregate.run(token).await) }));
        let token = stop.clone();
        parts.spawn(still.wrap(async move { ("dispatch", dispatch.run(token).await) }));
        let token = stop.clone();
        parts.spawn(still.wrap(async move {
            cache.run(Duration::from_secs(1), token).await;
            ("triggers", Ok(()))
        }));
        Ok(Self { number, router, metrics, lanes, gone, log, still, stop, parts, _settings: settings })
    }

    /// Ready when a part ends by itself, which none should.
    pub(crate) fn poll_ends(&mut self, context: &mut Context<'_>) -> Poll<String> {
        let told = match self.parts.poll_join_next(context) {
            Poll::Ready(Some(Ok((part, Ok(()))))) => format!("{part} ended by itself"),
            Poll::Ready(Some(Ok((part, Err(error))))) => format!("{part} ended: {error:#}"),
            Poll::Ready(Some(Err(panic))) => format!("a part panicked: {panic}"),
            Poll::Ready(None) | Poll::Pending => return Poll::Pending,
        };
        Poll::Ready(told)
    }

    /// Stands still as on SIGSTOP, or goes on. What its lanes have in hand goes on without it.
    pub(crate) fn stand_still(&self, still: bool) {
        self.still.set(still);
        self.log.stand_still(still);
    }

    /// Whether it stands still.
    pub(crate) fn is_still(&self) -> bool {
        self.still.is()
    }

    /// Dies on the spot: everything is dropped in whatever it waits for.
    pub(crate) async fn crash(mut self) {
        self.gone.cancel();
        self.parts.shutdown().await;
        // Nobody hears what the lanes report any more; this only ends their tasks.
        self.lanes.drain(Duration::ZERO).await;
    }

    /// Ends as on SIGTERM. What it should not have done is returned.
    pub(crate) async fn stop(mut self) -> Option<String> {
        self.gone.cancel();
        self.stop.cancel();
        let mut wrong = None;
        while let Some(ended) = self.parts.join_next().await {
            match ended {
                Ok((_, Ok(()))) => {}
                Ok((part, Err(error))) => wrong = Some(format!("{part} stopped badly: {error:#}")),
                Err(panic) => wrong = Some(format!("a part panicked: {panic}")),
            }
        }
        wrong
    }
}

fn subscription(group: &str, topic: &str, state: Option<&str>) -> Subscription {
    Subscription { group: group.to_owned(), topics: vec![topic.to_owned()], state: state.map(str::to_owned) }
}
