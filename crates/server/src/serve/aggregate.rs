//! The aggregate role: legs in, records out, durable together with the state and the position. One pure machine
//! per partition; this file is its clock, its reader and its writer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use ringpost_bus::{
    Assignment, Batch, Commit, Event, Message, Output, Partition, Record, StateChange, Worker,
};
use ringpost_enrich::Places;
use ringpost_ingest::{Source, decode};
use ringpost_model::{Dialect, Timestamp};
use ringpost_session::{Config, Machine, Settings};
use ringpost_store::{DeadLetter, Ledger, Store};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::admin::Readiness;
use crate::clock::Clock;
use crate::metrics::Metrics;
use crate::serve::dead_letters::{DeadLetters, refused, unreadable};
use crate::serve::stream_time::StreamTime;
use crate::serve::sums::Sums;
use crate::topics::CDRS;

/// The longest wait for a record; a call whose time comes meanwhile closes at most so late.
const PATIENCE: Duration = Duration::from_millis(200);
/// The shortest wait: a due time that is now or past needs no spin.
const SHORTEST_PATIENCE: Duration = Duration::from_millis(1);
/// Records of one commit, beyond which no further batch is added to it: what is read first waits for the last.
const GATHERED: usize = 2_000;
/// Bytes of their records: the same bound where these are large.
const GATHERED_BYTES: usize = 8 << 20;
/// Wait after a disk error before the same commit is tried again.
const AFTER_ERROR: Duration = Duration::from_millis(500);

/// What the role needs from the process.
pub struct Aggregate<W, S = Store> {
    /// Reads legs, writes records.
    pub worker: W,
    /// Says what time it is.
    pub clock: Clock,
    /// Times and caps of sessions.
    pub config: Config,
    /// Of tenants and pbxs, always as of now.
    pub settings: watch::Receiver<Arc<Settings>>,
    /// Where refused records go.
    pub dead_letters: DeadLetters<S>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Set once partitions are assigned and restored.
    pub readiness: Arc<Readiness>,
}

impl<W: Worker, S: Ledger> Aggregate<W, S> {
    /// Runs until it is told to stop, and leaves nothing half-done: what is not committed is read again.
    ///
    /// # Errors
    /// The log cannot be used any more; the process should end and be started again.
    pub async fn run(mut self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut core = Core::new(self.config.clone(), self.settings.borrow_and_update().clone());
        loop {
            let patience = core.patience((self.clock)());
            let event = tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                event = self.worker.next(patience) => event,
            };
            if self.settings.has_changed().unwrap_or(false) {
                core.set_settings(&self.settings.borrow_and_update().clone());
            }
            let event = match event {
                Ok(event) => event,
                Err(error) if error.is_temporary() => {
                    warn!(%error, "read of legs failed, trying again");
                    tokio::time::sleep(AFTER_ERROR).await;
                    continue;
                }
                Err(error) => return Err(error).context("read legs"),
            };
            let Effects { commit, dead_letters } = self.gather(&mut core, event).await?;
            self.dead_letters.keep(&dead_letters).await;
            self.commit(commit).await?;
            core.count(&self.metrics);
            self.readiness.aggregate.store(core.is_assigned(), Ordering::Release);
        }
    }

    /// Handles an event, and what can be read without waiting: all partitions share a commit, and so a sync of the
    /// disk.
    async fn gather(&mut self, core: &mut Core, first: Event) -> anyhow::Result<Effects> {
        let mut effects = Effects::default();
        let (mut event, mut records, mut bytes) = (first, 0, 0);
        loop {
            // There is nothing more to read; or what is to be given up has to be committed before the next look.
            let is_last = matches!(event, Event::Idle(_) | Event::Revoked(_));
            if let Event::Records(batch) = &event {
                records += batch.messages.len();
                bytes += batch.messages.iter().map(|message| message.value.len()).sum::<usize>();
            }
            core.handle_event(event, (self.clock)(), &mut effects)?;
            if is_last || records >= GATHERED || bytes >= GATHERED_BYTES {
                return Ok(effects);
            }
            // An error comes again at the next look, when what is here is safe.
            let Ok(next) = self.worker.next(Duration::ZERO).await else { return Ok(effects) };
            event = next;
        }
    }

    async fn commit(&mut self, commit: Commit) -> anyhow::Result<()> {
        loop {
            match self.worker.commit(commit.clone()).await {
                Ok(()) => return Ok(()),
                Err(error) if error.is_temporary() => {
                    warn!(%error, "commit of records failed, trying again");
                    tokio::time::sleep(AFTER_ERROR).await;
                }
                Err(error) => return Err(error).context("commit records"),
            }
        }
    }
}

/// What has to be made durable, in this order: dead letters, then the commit.
#[must_use]
#[derive(Debug, Default)]
struct Effects {
    commit: Commit,
    dead_letters: Vec<DeadLetter>,
}

/// The machines of this worker's partitions. No IO and no clock.
struct Core {
    config: Config,
    settings: Arc<Settings>,
    partitions: BTreeMap<Partition, Owned>,
    /// Counters of machines that were given up since.
    gone: Sums,
    counted: Sums,
}

struct Owned {
    machine: Machine,
    places: Places,
    time: StreamTime,
}

impl Core {
    fn new(config: Config, settings: Arc<Settings>) -> Self {
        Self {
            config,
            settings,
            partitions: BTreeMap::new(),
            gone: Sums::default(),
            counted: Sums::default(),
        }
    }

    fn set_settings(&mut self, settings: &Arc<Settings>) {
        self.settings = Arc::clone(settings);
        for owned in self.partitions.values_mut() {
            owned.machine.set_settings(Arc::clone(settings));
        }
    }

    fn is_assigned(&self) -> bool {
        !self.partitions.is_empty()
    }

    /// How long to wait for a record before the clock has to be looked at.
    fn patience(&self, wall: Timestamp) -> Duration {
        let next = self.partitions.values().filter_map(|owned| owned.machine.next_timeout()).min();
        let Some(next) = next else { return PATIENCE };
        let left = u64::try_from(next.micros() - wall.micros()).unwrap_or(0);
        Duration::from_micros(left).clamp(SHORTEST_PATIENCE, PATIENCE)
    }

    fn handle_event(&mut self, event: Event, wall: Timestamp, effects: &mut Effects) -> anyhow::Result<()> {
        match event {
            Event::Assigned(assignment) => self.assign(assignment)?,
            Event::Records(batch) => self.handle_records(&batch, wall, effects)?,
            Event::Idle(now) => self.handle_end(now, |_| true, effects)?,
            Event::AtEnd(now, at) => self.handle_end(now, |one| at.contains(&one), effects)?,
            Event::Revoked(partitions) => self.revoke(&partitions),
        }
        Ok(())
    }

    fn assign(&mut self, assignment: Assignment) -> anyhow::Result<()> {
        let partition = assignment.partition;
        let state = assignment.state.into_iter().map(|entry| (entry.key.into(), entry.value.into()));
        let machine = Machine::restore(self.config.clone(), Arc::clone(&self.settings), state)
            .with_context(|| format!("restore the sessions of partition {partition}"))?;
        info!(%partition, live = machine.stats().live_sessions, "partition assigned");
        self.partitions
            .insert(partition, Owned { machine, places: Places::default(), time: StreamTime::default() });
        Ok(())
    }

    fn revoke(&mut self, partitions: &[Partition]) {
        for partition in partitions {
            if let Some(owned) = self.partitions.remove(partition) {
                self.gone.add_gone(&owned.machine.stats());
                info!(%partition, "partition given up");
            }
        }
    }

    fn handle_records(
        &mut self,
        batch: &Batch,
        wall: Timestamp,
        effects: &mut Effects,
    ) -> anyhow::Result<()> {
        let Some(owned) = self.partitions.get_mut(&batch.partition) else { return Ok(()) };
        for message in &batch.messages {
            let now = owned.time.at_record(Timestamp::from_micros(message.timestamp), wall);
            let decoded = decode(Dialect::Native, &Source::default(), &message.value);
            for record in decoded.records {
                owned.machine.handle(now, record);
            }
            let place = place(batch, message);
            for reject in decoded.rejects {
                effects.dead_letters.push(unreadable(&place, Dialect::Native, &reject, now));
            }
            take_outputs(owned, &place, effects)?;
        }
        effects.commit.positions.push(batch.position());
        take_changes(batch.partition, owned, effects);
        Ok(())
    }

    /// Partitions were read to their end: their time goes on with the clock.
    fn handle_end(
        &mut self,
        now: i64,
        is_at_end: impl Fn(Partition) -> bool,
        effects: &mut Effects,
    ) -> anyhow::Result<()> {
        for (partition, owned) in self.partitions.iter_mut().filter(|(partition, _)| is_at_end(**partition)) {
            owned.machine.handle_timeout(owned.time.at_end(Timestamp::from_micros(now)));
            take_outputs(owned, "", effects)?;
            take_changes(*partition, owned, effects);
        }
        Ok(())
    }

    fn count(&mut self, metrics: &Metrics) {
        let mut sums = self.gone;
        for owned in self.partitions.values() {
            sums.add(&owned.machine.stats());
        }
        sums.publish(&self.counted, metrics);
        self.counted = sums;
    }
}

fn place(batch: &Batch, message: &Message) -> String {
    format!("{}/{}@{}", batch.topic, batch.partition, message.offset)
}

/// Takes out of a machine what it has to say. `place` is where the record stood that it was given last.
fn take_outputs(owned: &mut Owned, place: &str, effects: &mut Effects) -> anyhow::Result<()> {
    let mut records = Vec::new();
    while let Some(output) = owned.machine.poll() {
        match output {
            ringpost_session::Output::Record(mut envelope) => {
                owned.places.enrich(&mut envelope.cdr);
                records.push(Record {
                    key: Bytes::copy_from_slice(envelope.tenant.as_str().as_bytes()),
                    value: envelope.to_bytes().context("write a record")?.into(),
                    timestamp: envelope.emitted.micros(),
                });
            }
            ringpost_session::Output::DeadLetter { record, reason } => {
                effects.dead_letters.push(refused(place, &record, &reason.to_string(), owned.time.now()));
            }
            // They are put out from the day that something listens to them.
            ringpost_session::Output::Event(_) => {}
        }
    }
    if !records.is_empty() {
        effects.commit.outputs.push(Output { topic: CDRS.to_owned(), records });
    }
    Ok(())
}

/// Takes out of a machine what it has to remember: once a batch, since a session of it may change many times.
fn take_changes(partition: Partition, owned: &mut Owned, effects: &mut Effects) {
    let changes = owned.machine.take_changes().into_iter();
    effects.commit.changes.extend(changes.map(|change| StateChange {
        partition,
        key: change.key.into(),
        value: change.value.map(Bytes::from),
    }));
}

#[cfg(test)]
mod tests;
