//! The machines of a worker's partitions: what is read goes in, what has to be made durable comes out. No IO and no
//! clock.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use ringpost_bus::{Assignment, Batch, Commit, Event, Output, Partition, StateChange};
use ringpost_enrich::Places;
use ringpost_ingest::{Source, decode};
use ringpost_model::{Command, CommandError, Dialect, Timestamp};
use ringpost_session::{Config, Machine, Settings};
use ringpost_store::DeadLetter;
use tracing::info;

use super::enriching::{Enrich, Enriched, written};
use super::held::{self, Held, Waiting};
use super::stray::Stray;
use crate::metrics::Metrics;
use crate::serve::dead_letters::{place, unreadable};
use crate::serve::stream_time::StreamTime;
use crate::serve::sums::Sums;
use crate::serve::tables::TableReader;
use crate::topics::CDRS;

/// The longest wait for a record; a call whose time comes meanwhile closes at most so late.
const PATIENCE: Duration = Duration::from_millis(200);
/// The same while a record waits for tables, which may be there any moment.
const PATIENCE_FOR_TABLES: Duration = Duration::from_millis(20);
/// The wait where a due time is past, which needs no spin.
const PAST_DUE: Duration = Duration::from_millis(1);
/// Bytes of records that wait for their tenant's tables; beyond it nothing more is read.
const HELD_BYTES: usize = 64 << 20;

/// What has to be made durable, in this order: dead letters, then the commit.
#[must_use]
#[derive(Debug, Default)]
pub(super) struct Effects {
    pub(super) commit: Commit,
    pub(super) dead_letters: Vec<DeadLetter>,
}

/// The machines of this worker's partitions.
pub(super) struct Core {
    config: Config,
    settings: Arc<Settings>,
    tables: TableReader,
    partitions: BTreeMap<Partition, Owned>,
    stray: Stray,
    /// Before the names of topics in the places of dead letters.
    prefix: Arc<str>,
    /// Counters of machines that were given up since.
    gone: Sums,
    counted: Sums,
    enriched: Enriched,
    /// Records read, until they are counted.
    read: u64,
}

pub(super) struct Owned {
    pub(super) machine: Machine,
    pub(super) places: Places,
    pub(super) time: StreamTime,
    pub(super) held: Held,
}

impl Core {
    pub(super) fn new(
        config: Config,
        settings: Arc<Settings>,
        tables: TableReader,
        stray: Stray,
        prefix: Arc<str>,
    ) -> Self {
        Self {
            config,
            settings,
            tables,
            partitions: BTreeMap::new(),
            stray,
            prefix,
            gone: Sums::default(),
            counted: Sums::default(),
            enriched: Enriched::default(),
            read: 0,
        }
    }

    pub(super) fn set_settings(&mut self, settings: &Arc<Settings>) {
        self.settings = Arc::clone(settings);
        for owned in self.partitions.values_mut() {
            owned.machine.set_settings(Arc::clone(settings));
        }
    }

    pub(super) fn is_assigned(&self) -> bool {
        !self.partitions.is_empty()
    }

    /// Whether so much waits for tables that nothing more can be read.
    pub(super) fn is_full(&self) -> bool {
        self.partitions.values().map(|owned| owned.held.bytes()).sum::<usize>() > HELD_BYTES
    }

    /// Until there are other tables.
    pub(super) async fn tables_changed(&mut self) {
        self.tables.changed().await;
    }

    /// How long to wait for a record before the clock has to be looked at.
    pub(super) fn patience(&self, wall: Timestamp) -> Duration {
        let is_held = self.partitions.values().any(|owned| owned.held.count() > 0);
        let longest = if is_held { PATIENCE_FOR_TABLES } else { PATIENCE };
        let next = self.partitions.values().filter_map(|owned| owned.machine.next_timeout()).min();
        let Some(next) = next else { return longest };
        match u64::try_from(next.micros() - wall.micros()) {
            Ok(left @ 1..) => Duration::from_micros(left).min(longest),
            _ => PAST_DUE,
        }
    }

    /// Lets go of records whose tables are there now. To be called before every commit: nothing overtakes what waits.
    pub(super) fn release(&mut self, effects: &mut Effects) -> anyhow::Result<()> {
        self.tables.refresh();
        let mut enrich =
            Enrich { tables: &self.tables, settings: &self.settings, counts: &mut self.enriched };
        for (partition, owned) in &mut self.partitions {
            let mut records = Vec::new();
            for tenant in owned.held.tenants() {
                while let Some((waiting, change)) =
                    owned.held.take(*partition, &tenant, |one| enrich.is_ready(one))
                {
                    let envelope = match waiting {
                        Waiting::First(envelope) => Some(enrich.all(&mut owned.places, envelope)),
                        Waiting::Again(command) => {
                            let now = owned.time.now();
                            enrich.anew(owned, command, now, &mut effects.dead_letters)
                        }
                    };
                    records.extend(envelope.map(written).transpose()?);
                    effects.commit.changes.push(change);
                }
            }
            if !records.is_empty() {
                effects.commit.outputs.push(Output { topic: CDRS.to_owned(), records });
            }
        }
        Ok(())
    }

    pub(super) fn handle_event(
        &mut self,
        event: Event,
        wall: Timestamp,
        effects: &mut Effects,
    ) -> anyhow::Result<()> {
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
        let (waiting, state): (Vec<_>, Vec<_>) =
            assignment.state.into_iter().partition(|entry| held::is_held(&entry.key));
        let held = Held::restore(waiting.into_iter().map(|entry| (entry.key, entry.value)).collect())
            .with_context(|| format!("restore the records that wait in partition {partition}"))?;
        let state = state.into_iter().map(|entry| (entry.key.into(), entry.value.into()));
        let machine = Machine::restore(self.config.clone(), Arc::clone(&self.settings), state)
            .with_context(|| format!("restore the sessions of partition {partition}"))?;
        info!(%partition, live = machine.stats().live_sessions, "partition assigned");
        let (places, time) = (Places::default(), StreamTime::default());
        self.partitions.insert(partition, Owned { machine, places, time, held });
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
        self.read += batch.messages.len() as u64;
        let mut enrich =
            Enrich { tables: &self.tables, settings: &self.settings, counts: &mut self.enriched };
        for message in &batch.messages {
            let now = owned.time.at_record(Timestamp::from_micros(message.timestamp), wall);
            let place = place(&self.prefix, batch, message);
            if Command::is_one(&message.value) {
                let command = match Command::from_bytes(&message.value) {
                    Ok(command) => command,
                    Err(error) => {
                        effects.dead_letters.push(no_command(&place, error, &message.value, now));
                        continue;
                    }
                };
                if self.stray.is_one(&command.envelope.tenant, batch.partition) {
                    self.stray.take(&command.envelope.tenant, message.value.clone(), now);
                    continue;
                }
                enrich.again(batch.partition, owned, command, now, effects)?;
                continue;
            }
            let decoded = decode(Dialect::Native, &Source::default(), &message.value);
            for record in decoded.records {
                if self.stray.is_one(&record.tenant, batch.partition) {
                    let value = serde_json::to_vec(&record).context("write a leg")?;
                    self.stray.take(&record.tenant, value.into(), now);
                    continue;
                }
                owned.machine.handle(now, record);
            }
            for reject in decoded.rejects {
                effects.dead_letters.push(unreadable(&place, Dialect::Native, &reject, now));
            }
            enrich.take_outputs(batch.partition, owned, &place, effects)?;
        }
        effects.commit.outputs.extend(self.stray.output());
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
        let mut enrich =
            Enrich { tables: &self.tables, settings: &self.settings, counts: &mut self.enriched };
        for (partition, owned) in self.partitions.iter_mut().filter(|(partition, _)| is_at_end(**partition)) {
            owned.machine.handle_timeout(owned.time.at_end(Timestamp::from_micros(now)));
            enrich.take_outputs(*partition, owned, "", effects)?;
            take_changes(*partition, owned, effects);
        }
        Ok(())
    }

    pub(super) fn count(&mut self, metrics: &Metrics) {
        let mut sums = self.gone;
        for owned in self.partitions.values() {
            sums.add(&owned.machine.stats());
        }
        sums.publish(&self.counted, metrics);
        self.counted = sums;
        metrics.stage_records.with_label_values(&["aggregate"]).inc_by(std::mem::take(&mut self.read));
        let Enriched { matches, more_matches, rated, settled } = std::mem::take(&mut self.enriched);
        settled.into_iter().for_each(|micros| metrics.settle_seconds.observe(micros as f64 / 1e6));
        metrics.directory_matches.inc_by(matches as u64);
        metrics.directory_matches_cut.inc_by(more_matches as u64);
        metrics.records_rated.inc_by(rated);
        let held: usize = self.partitions.values().map(|owned| owned.held.count()).sum();
        metrics.records_held.set(i64::try_from(held).unwrap_or(i64::MAX));
    }
}

fn no_command(place: &str, error: CommandError, bytes: &[u8], now: Timestamp) -> DeadLetter {
    let reason = format!("{:#}", anyhow::Error::new(error));
    DeadLetter::new(place, now, &reason, Dialect::Native.name(), bytes)
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
