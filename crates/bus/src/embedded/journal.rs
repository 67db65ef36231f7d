//! The writer: takes what waits, makes one transaction of it, and answers when it is on the disk.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sqlx::sqlite::SqliteConnection;
use sqlx::{ConnectOptions, Connection};
use tokio::sync::mpsc;

use crate::{Error, Offset, Partition};

use super::job::{Done, Job};
use super::lock::Lock;
use super::plan::Plan;
use super::{Shared, file, rows};

/// Bytes of one transaction: what waits beyond this waits for the next, so that no answer takes long.
const TRANSACTION_BYTES: usize = 16 << 20;
/// Jobs of one transaction, for the same reason.
const TRANSACTION_JOBS: usize = 2_048;

/// The writer of an embedded log.
pub struct Journal {
    shared: Arc<Shared>,
    /// None after a failure: the next transaction opens the file anew, and starts from what is there.
    connection: Option<SqliteConnection>,
    jobs: mpsc::Receiver<Job>,
    waiting: Arc<AtomicUsize>,
    /// Held as long as we write.
    _lock: Lock,
}

/// Who is told what when the transaction is durable.
enum Answer {
    Append(Done<Vec<(Partition, Offset)>>, Vec<(Partition, Offset)>),
    Commit(Done<()>),
    Take(Done<Vec<u64>>, Vec<u64>),
    Drop(Done<u64>, u64),
}

impl Journal {
    pub(super) fn new(
        shared: Arc<Shared>,
        connection: SqliteConnection,
        jobs: mpsc::Receiver<Job>,
        waiting: Arc<AtomicUsize>,
        lock: Lock,
    ) -> Self {
        Self { shared, connection: Some(connection), jobs, waiting, _lock: lock }
    }

    /// Writes until the last handle and worker is gone. What was taken in by then is written.
    pub async fn run(mut self) {
        let mut group = Vec::new();
        while self.jobs.recv_many(&mut group, 1).await > 0 {
            self.gather(&mut group);
            self.write(std::mem::take(&mut group)).await;
        }
        if let Some(connection) = self.connection {
            // Only tidies the file: what matters was synced.
            _ = connection.close().await;
        }
        self.shared.readers.close().await;
    }

    /// Adds what waits already.
    fn gather(&mut self, group: &mut Vec<Job>) {
        let mut bytes: usize = group.iter().map(Job::size).sum();
        while bytes < TRANSACTION_BYTES && group.len() < TRANSACTION_JOBS {
            let Ok(job) = self.jobs.try_recv() else { break };
            bytes += job.size();
            group.push(job);
        }
        let left = self.waiting.fetch_sub(bytes, Ordering::Relaxed) - bytes;
        self.shared.metrics.queue_bytes.set(left as i64);
    }

    async fn write(&mut self, jobs: Vec<Job>) {
        if let Err(error) = self.reopen().await {
            self.shared.metrics.failures.inc();
            jobs.into_iter().for_each(|job| job.fail(error.clone()));
            return;
        }
        let (mut plan, answers) = self.plan(jobs);
        let begun = (self.shared.config.clock)();
        let result = self.execute(&mut plan).await;
        let taken = ((self.shared.config.clock)() - begun).max(0);
        self.shared.metrics.commit_seconds.observe(taken as f64 / 1e6);
        match result {
            Ok(()) => {
                self.count(&plan);
                // Before anybody is told that there is something to read.
                let mut recent = self.shared.recent();
                plan.chunks.iter_mut().for_each(|chunk| recent.push(chunk));
                drop(recent);
                plan.apply(&mut self.shared.heads());
                self.shared.tail.send_replace(());
                answers.into_iter().for_each(Answer::send);
            }
            Err(error) => {
                self.shared.metrics.failures.inc();
                self.connection = None;
                self.shared.recent().clear();
                let error = explain(error);
                answers.into_iter().for_each(|answer| answer.fail(error.clone()));
            }
        }
    }

    /// After a failure we trust neither the connection nor our memory of the file.
    async fn reopen(&mut self) -> Result<(), Error> {
        if self.connection.is_some() {
            return Ok(());
        }
        let mut connection = file::writer_options(&self.shared.config).connect().await.map_err(explain)?;
        let loaded = file::load(&mut connection, &self.shared.config, &self.shared.ids).await;
        *self.shared.heads() = loaded.map_err(explain)?;
        self.connection = Some(connection);
        Ok(())
    }

    /// Works out one transaction. Who asks for what cannot be is told so at once, and harms no neighbour.
    fn plan(&self, jobs: Vec<Job>) -> (Plan, Vec<Answer>) {
        let (heads, groups) = (self.shared.heads(), self.shared.groups());
        let config = &self.shared.config;
        let mut plan = Plan::default();
        let mut answers = Vec::with_capacity(jobs.len());
        for job in jobs {
            match job {
                Job::Append { topic, records, done } => {
                    let places = plan.append(&heads, config, topic, &records);
                    answers.push(Answer::Append(done, places));
                }
                Job::Commit { work, done } => {
                    let positions = work.positions.iter().map(|(_, position)| position.partition);
                    let mut used = positions.chain(work.changes.iter().map(|change| change.partition));
                    let result = match used.find(|partition| !groups.owns(&work.member, partition.0)) {
                        Some(partition) => {
                            Err(Error::Fenced { group: work.member.group.to_string(), partition })
                        }
                        None => plan.commit(&heads, config, work),
                    };
                    match result {
                        Ok(()) => answers.push(Answer::Commit(done)),
                        Err(error) => _ = done.send(Err(error)),
                    }
                }
                Job::Take { member, topics, partition, done } => {
                    let place = |topic| (Arc::clone(&member.group), topic, partition);
                    let from = topics.into_iter().map(|topic| plan.take(&heads, place(topic))).collect();
                    answers.push(Answer::Take(done, from));
                }
                Job::Drop { step, done } => {
                    plan.drops.push(step);
                    answers.push(Answer::Drop(done, step.records));
                }
            }
        }
        (plan, answers)
    }

    async fn execute(&mut self, plan: &mut Plan) -> sqlx::Result<()> {
        if plan.is_empty() {
            return Ok(());
        }
        let connection = self.connection.as_mut().expect("it was opened before the plan was made");
        let ids = &self.shared.ids;
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
        rows::write_chunks(&mut transaction, ids, plan).await?;
        rows::write_positions(&mut transaction, ids, plan).await?;
        rows::write_state(&mut transaction, ids, plan).await?;
        rows::write_drops(&mut transaction, ids, plan).await?;
        transaction.commit().await
    }

    fn count(&self, plan: &Plan) {
        let metrics = &self.shared.metrics;
        if !plan.is_empty() {
            metrics.commits.inc();
        }
        metrics.records.inc_by(plan.records);
        metrics.bytes.inc_by(plan.bytes);
    }
}

impl Answer {
    fn send(self) {
        // Nobody may be waiting any more; the work is done nevertheless.
        match self {
            Self::Append(done, places) => _ = done.send(Ok(places)),
            Self::Commit(done) => _ = done.send(Ok(())),
            Self::Take(done, from) => _ = done.send(Ok(from)),
            Self::Drop(done, records) => _ = done.send(Ok(records)),
        }
    }

    fn fail(self, error: Error) {
        match self {
            Self::Append(done, _) => _ = done.send(Err(error)),
            Self::Commit(done) => _ = done.send(Err(error)),
            Self::Take(done, _) => _ = done.send(Err(error)),
            Self::Drop(done, _) => _ = done.send(Err(error)),
        }
    }
}

/// A full disk is told apart: there, a person has to do something.
fn explain(error: sqlx::Error) -> Error {
    const FULL: &str = "13";
    let code = error.as_database_error().and_then(|error| error.code());
    if code.is_some_and(|code| code == FULL) { Error::Full } else { Error::Write(Arc::new(error)) }
}
