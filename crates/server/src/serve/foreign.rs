//! Topics of others that legs are read from (`[[source.kafka]]`). Legs are keyed by tenant and written to our own topic in
//! one transaction with the position behind what they came from, and with what was refused: each record is taken once,
//! whatever crashes.

mod read;

#[cfg(test)]
mod tests;

use std::time::Duration;

use anyhow::Context;
use ringpost_api::{Delivered, NotStored, SharedAccess};
use ringpost_bus::{Batch, Commit, Event, Log, Subscription, Worker};
use ringpost_store::Ledger;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::intake::LogIntake;
use crate::config::KafkaSource;
use crate::log::{ServedLog, ServedWorker};
use read::Reading;

/// Records of one transaction: it costs the brokers the same however much is in it.
const GATHERED: usize = 20_000;
/// Bytes of them.
const GATHERED_BYTES: usize = 16 << 20;
/// The longest wait for a record.
const PATIENCE: Duration = Duration::from_millis(200);
/// Wait after an error before the same is tried again.
const AFTER_ERROR: Duration = Duration::from_millis(500);
/// Between two looks for a topic that is not there yet.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Reads one topic.
pub(super) struct Foreign<W, L, S> {
    pub(super) worker: W,
    pub(super) source: KafkaSource,
    pub(super) intake: LogIntake<L, S>,
    pub(super) access: SharedAccess,
    /// What is read for so long is made durable together.
    pub(super) interval: Duration,
}

/// Waits until the topic is there, and reads it until told to stop.
///
/// # Errors
/// The log cannot be used any more.
pub(super) async fn run(
    log: ServedLog,
    source: KafkaSource,
    intake: LogIntake<ServedLog>,
    interval: Duration,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    if stop.run_until_cancelled(until_there(&log, &source.topic)).await.is_none() {
        return Ok(());
    }
    let subscription = Subscription {
        // A group of its own: a topic that is added, or read slowly, moves no partition of another one.
        group: format!("ingest-{}", source.topic),
        topics: vec![source.topic.clone()],
        state: None,
    };
    let joined = stop.run_until_cancelled(log.worker(subscription)).await;
    let Some(worker) = joined.transpose().context("join the group of a topic of others")? else {
        return Ok(());
    };
    let access = intake.access.clone();
    let foreign: Foreign<ServedWorker, _, _> = Foreign { worker, source, intake, access, interval };
    foreign.run(stop).await
}

async fn until_there(log: &ServedLog, topic: &str) {
    let mut told = String::new();
    loop {
        let why = match log.partitions(topic).await {
            Ok(Some(partitions)) => {
                return info!(topic, partitions, "a topic of others is read");
            }
            Ok(None) => "it is not there".to_owned(),
            Err(error) => error.to_string(),
        };
        if why != told {
            warn!(topic, why, "a topic of others cannot be read; it is looked for until it is there");
            told = why;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// What is counted once it is durable.
struct Brought {
    delivered: Delivered,
    rejected: usize,
}

/// What is to be made durable together.
#[derive(Default)]
struct Gathered {
    commit: Commit,
    brought: Vec<Brought>,
    records: usize,
    bytes: usize,
}

impl<W: Worker, L: Log, S: Ledger> Foreign<W, L, S> {
    /// Until told to stop; what is not committed is read again.
    ///
    /// # Errors
    /// The log cannot be used any more.
    pub(super) async fn run(mut self, stop: CancellationToken) -> anyhow::Result<()> {
        loop {
            let Some(gathered) = stop.run_until_cancelled(self.gather()).await else { return Ok(()) };
            let gathered = gathered?;
            if gathered.commit.is_empty() {
                continue;
            }
            if self.commit(&gathered.commit).await? {
                gathered.brought.iter().for_each(|brought| self.count(brought));
            }
        }
    }

    /// What comes within the interval, or is about to be given up.
    async fn gather(&mut self) -> anyhow::Result<Gathered> {
        let mut gathered = Gathered::default();
        let mut until = None;
        loop {
            let next = match until {
                None => self.worker.next(PATIENCE).await,
                // Where there is always more at hand, no time-out would ever end it.
                Some(until) if Instant::now() >= until => return Ok(gathered),
                Some(until) => match tokio::time::timeout_at(until, self.worker.next(PATIENCE)).await {
                    Ok(next) => next,
                    Err(_) => return Ok(gathered),
                },
            };
            match next {
                Ok(Event::Records(batch)) => {
                    until = until.or(Some(Instant::now() + self.interval));
                    self.take(&batch, &mut gathered).await;
                    if gathered.records >= GATHERED || gathered.bytes >= GATHERED_BYTES {
                        return Ok(gathered);
                    }
                }
                Ok(Event::Revoked(_)) => return Ok(gathered),
                Ok(Event::Assigned(assignment)) => {
                    info!(topic = self.source.topic, partition = %assignment.partition, "partition assigned");
                }
                Ok(Event::Idle(_) | Event::AtEnd(..)) => {}
                Err(error) if error.is_temporary() => {
                    warn!(%error, topic = self.source.topic, "read of a topic failed, trying again");
                    tokio::time::sleep(AFTER_ERROR).await;
                }
                Err(error) => return Err(error).context("read a topic of others"),
            }
        }
    }

    /// Reads a batch, however long its tenants and letters take to be durable.
    async fn take(&self, batch: &Batch, gathered: &mut Gathered) {
        let access = self.access.get();
        let Reading { delivered, letters } = read::read(&access, &self.source, batch);
        let mut is_told = false;
        loop {
            let mut commit = Commit::default();
            match self.intake.prepare_with(&delivered, letters.clone(), &mut commit).await {
                Ok(()) => {
                    gathered.commit.outputs.append(&mut commit.outputs);
                    break;
                }
                Err(NotStored { reason, .. }) if !is_told => {
                    warn!(
                        reason,
                        topic = self.source.topic,
                        "what was read cannot be stored; it is tried until it can"
                    );
                    is_told = true;
                }
                Err(_) => {}
            }
            tokio::time::sleep(AFTER_ERROR).await;
        }
        gathered.commit.positions.retain(|position| position.partition != batch.partition);
        gathered.commit.positions.push(batch.position());
        gathered.records += batch.messages.len();
        gathered.bytes += batch.messages.iter().map(|message| message.value.len()).sum::<usize>();
        gathered.brought.push(Brought { delivered, rejected: letters.len() });
    }

    /// Makes it durable. False = the partitions were given to others, who read it again.
    async fn commit(&mut self, commit: &Commit) -> anyhow::Result<bool> {
        loop {
            match self.worker.commit(commit.clone()).await {
                Ok(()) => return Ok(true),
                Err(error) if error.wants_new_worker() => {
                    warn!(%error, topic = self.source.topic, "what was read is dropped, and read again");
                    return Ok(false);
                }
                Err(error) if error.is_temporary() => {
                    warn!(%error, topic = self.source.topic, "commit of legs failed, trying again");
                    tokio::time::sleep(AFTER_ERROR).await;
                }
                Err(error) => return Err(error).context("commit legs of a topic of others"),
            }
        }
    }

    fn count(&self, Brought { delivered, rejected }: &Brought) {
        self.intake.count(delivered);
        let (label, metrics) = ([self.source.topic.as_str()], &self.intake.metrics);
        metrics.source_legs.with_label_values(&label).inc_by(delivered.records.len() as u64);
        metrics.source_rejected.with_label_values(&label).inc_by(*rejected as u64);
    }
}
