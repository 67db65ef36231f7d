//! The writer: takes what waits, makes one transaction of it, and answers when it is on the disk.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use crate::{Error, Offset, Partition};

use super::job::{Done, Job};
use super::plan::Plan;
use super::{Shared, file};

/// Bytes of one transaction: what waits beyond this waits for the next, so that no answer takes long.
const TRANSACTION_BYTES: usize = 16 << 20;
/// Jobs of one transaction, for the same reason.
const TRANSACTION_JOBS: usize = 2_048;
/// Rows of one statement.
const ROWS: usize = 32;

/// From the begin of one transaction to that of the next, at least: where many small things come one by one, some of
/// them share one. What comes after a rest does not wait.
const PACE: Duration = Duration::from_millis(2);

/// The writer of an embedded log.
pub struct Journal {
    shared: Arc<Shared>,
    /// None after a failure: the next transaction opens the file anew, and starts from what is there.
    connection: Option<SqliteConnection>,
    jobs: mpsc::Receiver<Job>,
    waiting: Arc<AtomicUsize>,
    /// Held as long as we write.
    _lock: File,
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
        lock: File,
    ) -> Self {
        Self { shared, connection: Some(connection), jobs, waiting, _lock: lock }
    }

    /// Writes until the last handle and worker is gone. What was taken in by then is written.
    pub async fn run(mut self) {
        let mut group = Vec::new();
        let mut begun: Option<Instant> = None;
        while self.jobs.recv_many(&mut group, 1).await > 0 {
            if let Some(begun) = begun {
                sleep_until(begun + PACE).await;
            }
            begun = Some(Instant::now());
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
        write_chunks(&mut transaction, ids, plan).await?;
        write_positions(&mut transaction, ids, plan).await?;
        write_state(&mut transaction, ids, plan).await?;
        write_drops(&mut transaction, ids, plan).await?;
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

async fn write_chunks(to: &mut SqliteConnection, ids: &[i64], plan: &Plan) -> sqlx::Result<()> {
    for chunks in plan.chunks.chunks(ROWS) {
        let places = places("(?, ?, ?, ?, ?, ?)", chunks.len());
        let sql = format!("INSERT INTO chunks (topic, partition, base, count, newest, body) VALUES {places}");
        // Made of constants and a count only, here and below.
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for chunk in chunks {
            query = query.bind(ids[chunk.topic]).bind(chunk.partition).bind(chunk.base as i64);
            query = query.bind(chunk.count as i64).bind(chunk.newest).bind(chunk.body.as_slice());
        }
        query.execute(&mut *to).await?;
    }
    Ok(())
}

async fn write_positions(to: &mut SqliteConnection, ids: &[i64], plan: &Plan) -> sqlx::Result<()> {
    let positions: Vec<_> = plan.positions.iter().collect();
    for positions in positions.chunks(ROWS) {
        let places = places("(?, ?, ?, ?)", positions.len());
        let sql = format!(
            "INSERT INTO positions (consumer, topic, partition, next) VALUES {places}
            ON CONFLICT DO UPDATE SET next = excluded.next"
        );
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for ((group, topic, partition), next) in positions {
            query = query.bind(group.as_ref()).bind(ids[*topic]).bind(partition).bind(**next as i64);
        }
        query.execute(&mut *to).await?;
    }
    Ok(())
}

async fn write_state(to: &mut SqliteConnection, ids: &[i64], plan: &mut Plan) -> sqlx::Result<()> {
    let (mut kept, mut gone) = (Vec::new(), Vec::new());
    for ((topic, partition, key), value) in plan.state.drain() {
        match value {
            Some(value) => kept.push((ids[topic], partition, key, value)),
            None => gone.push((ids[topic], partition, key)),
        }
    }
    // Rows go in the order of the table: neighbours share a page.
    kept.sort_unstable();
    for rows in kept.chunks(ROWS) {
        let places = places("(?, ?, ?, ?)", rows.len());
        let sql = format!(
            "INSERT INTO state (topic, partition, key, value) VALUES {places}
            ON CONFLICT DO UPDATE SET value = excluded.value"
        );
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for (topic, partition, key, value) in rows {
            query = query.bind(*topic).bind(*partition).bind(key.as_ref()).bind(value.as_ref());
        }
        query.execute(&mut *to).await?;
    }
    gone.sort_unstable();
    let is_same = |one: &(i64, u32, Bytes), next: &(i64, u32, Bytes)| (one.0, one.1) == (next.0, next.1);
    for rows in gone.chunk_by(is_same).flat_map(|rows| rows.chunks(ROWS)) {
        // Not a list of rows: the database would look at every row of the table for it.
        let places = places("?", rows.len());
        let sql = format!("DELETE FROM state WHERE topic = ? AND partition = ? AND key IN ({places})");
        let mut query = sqlx::query(AssertSqlSafe(sql)).bind(rows[0].0).bind(rows[0].1);
        for (_, _, key) in rows {
            query = query.bind(key.as_ref());
        }
        query.execute(&mut *to).await?;
    }
    Ok(())
}

/// Places for the values of so many rows.
fn places(row: &str, rows: usize) -> String {
    vec![row; rows].join(", ")
}

async fn write_drops(to: &mut SqliteConnection, ids: &[i64], plan: &Plan) -> sqlx::Result<()> {
    let start = "INSERT INTO starts (topic, partition, start) VALUES (?, ?, ?)
        ON CONFLICT DO UPDATE SET start = max(start, excluded.start)";
    for step in &plan.drops {
        let before = step.before as i64;
        let delete = sqlx::query("DELETE FROM chunks WHERE topic = ? AND partition = ? AND base < ?");
        delete.bind(ids[step.topic]).bind(step.partition).bind(before).execute(&mut *to).await?;
        let query = sqlx::query(start).bind(ids[step.topic]).bind(step.partition);
        query.bind(before).execute(&mut *to).await?;
    }
    Ok(())
}

/// A full disk is told apart: there, a person has to do something.
fn explain(error: sqlx::Error) -> Error {
    const FULL: &str = "13";
    let code = error.as_database_error().and_then(|error| error.code());
    if code.is_some_and(|code| code == FULL) { Error::Full } else { Error::Write(Arc::new(error)) }
}
