//! A worker of the embedded log: reads its partitions in turn, and hands its commits to the writer.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt;
use sqlx::Row;
use tokio::sync::{oneshot, watch};

use crate::{Assignment, Batch, Commit, Error, Event, Message, Partition, StateEntry, Subscription, Worker};

use super::Shared;
use super::chunk;
use super::group::{Member, Shift};
use super::job::{self, Job, Queue};
use super::patience;

/// See [`crate::Embedded`].
pub struct EmbeddedWorker {
    shared: Arc<Shared>,
    queue: Queue,
    member: Member,
    topics: Vec<usize>,
    state: Option<usize>,
    /// By partition, one for each topic.
    cursors: BTreeMap<u32, Vec<Cursor>>,
    /// Told to be let go; happens at the next call of `next`.
    leaving: Vec<u32>,
    /// Where the last batch came from: the next one comes from the next partition that has something.
    turn: usize,
    tail: watch::Receiver<()>,
    /// When the last `Idle` or `AtEnd` was told; the clock's microseconds.
    idled: i64,
    /// Records were handed out since: an `AtEnd` never keeps them back.
    has_read: bool,
    committing: bool,
}

#[derive(Debug)]
struct Cursor {
    topic: usize,
    /// The offset to be read next from the file.
    next: u64,
    /// Read, and not handed out.
    ready: VecDeque<Message>,
}

impl EmbeddedWorker {
    pub(super) fn join(shared: Arc<Shared>, queue: Queue, what: &Subscription) -> Result<Self, Error> {
        let topics = what.topics.iter().map(|name| shared.topic(name)).collect::<Result<Vec<_>, _>>()?;
        let state = what.state.as_deref().map(|name| shared.state_topic(name)).transpose()?;
        let count = |topic: usize| shared.config.topics[topic].partitions;
        // One that reads nothing has the partitions of its state.
        let partitions = topics.first().or(state.as_ref()).map_or(0, |topic| count(*topic));
        if let Some(other) = topics.iter().chain(&state).find(|topic| count(**topic) != partitions) {
            let topic = shared.config.topics[*other].name.clone();
            return Err(Error::Topic {
                topic,
                why: "topics read together need the same number of partitions",
            });
        }
        let member = shared.groups().join(&what.group, &topics, partitions)?;
        let tail = shared.tail.subscribe();
        shared.tail.send_replace(());
        let (cursors, leaving) = Default::default();
        Ok(Self {
            shared,
            queue,
            member,
            topics,
            state,
            cursors,
            leaving,
            turn: 0,
            tail,
            idled: 0,
            has_read: false,
            committing: false,
        })
    }

    /// What the group wants of this worker, one thing at a time.
    async fn rebalance(&mut self) -> Result<Option<Event>, Error> {
        let Shift { leave, take } = self.shared.groups().shift(&self.member);
        let (known, unknown): (Vec<u32>, Vec<u32>) =
            leave.into_iter().partition(|partition| self.cursors.contains_key(partition));
        for partition in unknown {
            // Taken, but never handed out.
            self.let_go(partition);
        }
        if !known.is_empty() {
            self.leaving.clone_from(&known);
            return Ok(Some(Event::Revoked(known.into_iter().map(Partition).collect())));
        }
        for partition in take {
            let is_new = !self.cursors.contains_key(&partition);
            if is_new && self.shared.groups().take(&self.member, partition) {
                return self.assign(partition).await.map(Some);
            }
        }
        Ok(None)
    }

    async fn assign(&mut self, partition: u32) -> Result<Event, Error> {
        let (done, answer) = oneshot::channel();
        let (member, topics) = (self.member.clone(), self.topics.clone());
        self.queue.wait(Job::Take { member, topics, partition, done }).await?;
        let from = answer.await.map_err(|_| Error::Closed)??;
        let state = match self.state {
            Some(topic) => self.read_state(topic, partition).await?,
            None => Vec::new(),
        };
        let cursor = |(topic, next): (&usize, u64)| Cursor { topic: *topic, next, ready: VecDeque::new() };
        self.cursors.insert(partition, self.topics.iter().zip(from).map(cursor).collect());
        Ok(Event::Assigned(Assignment { partition: Partition(partition), state }))
    }

    async fn read_state(&self, topic: usize, partition: u32) -> Result<Vec<StateEntry>, Error> {
        let sql = "SELECT key, value FROM state WHERE topic = ? AND partition = ? ORDER BY key";
        let query = sqlx::query_as::<_, (Vec<u8>, Vec<u8>)>(sql);
        let rows = query.bind(self.shared.ids[topic]).bind(partition).fetch_all(&self.shared.readers).await;
        let rows = rows.map_err(|source| self.unreadable(topic, partition, source))?;
        Ok(rows.into_iter().map(|(key, value)| StateEntry { key: key.into(), value: value.into() }).collect())
    }

    fn let_go(&mut self, partition: u32) {
        self.cursors.remove(&partition);
        self.shared.groups().leave(&self.member, partition);
        self.shared.tail.send_replace(());
    }

    /// The next records of some partition, each in turn; none = all are read to their end.
    async fn read(&mut self) -> Result<Option<Event>, Error> {
        let places: Vec<(u32, usize)> = self
            .cursors
            .iter()
            .flat_map(|(partition, cursors)| (0..cursors.len()).map(|at| (*partition, at)))
            .collect();
        for step in 1..=places.len() {
            let turn = (self.turn + step) % places.len();
            let (partition, at) = places[turn];
            if let Some(batch) = self.read_one(partition, at).await? {
                self.turn = turn;
                return Ok(Some(Event::Records(batch)));
            }
        }
        Ok(None)
    }

    /// The partitions of which everything was handed out.
    fn at_end(&self) -> Vec<Partition> {
        let heads = self.shared.heads();
        let is_dry = |partition: u32, cursor: &Cursor| {
            cursor.ready.is_empty() && cursor.next >= heads.end(cursor.topic, partition)
        };
        let dry = self.cursors.iter().filter(|(at, cursors)| cursors.iter().all(|one| is_dry(**at, one)));
        dry.map(|(partition, _)| Partition(*partition)).collect()
    }

    async fn read_one(&mut self, partition: u32, at: usize) -> Result<Option<Batch>, Error> {
        let Some(cursor) = self.cursors.get(&partition).map(|cursors| &cursors[at]) else { return Ok(None) };
        let (topic, next, is_dry) = (cursor.topic, cursor.next, cursor.ready.is_empty());
        let mut fresh = Vec::new();
        if is_dry {
            if next >= self.shared.heads().end(topic, partition) {
                return Ok(None);
            }
            fresh = self.fetch(topic, partition, next).await?;
        }
        let config = &self.shared.config;
        let cursor = self.cursors.get_mut(&partition).map(|cursors| &mut cursors[at]);
        let cursor = cursor.expect("only `let_go` removes it, which does not run meanwhile");
        if let Some(last) = fresh.last() {
            cursor.next = last.offset.0 + 1;
        }
        cursor.ready.extend(fresh);
        let messages = take_batch(&mut cursor.ready, config.batch_records, config.batch_bytes);
        let topic = config.topics[topic].name.clone();
        Ok((!messages.is_empty()).then_some(Batch { topic, partition: Partition(partition), messages }))
    }

    /// Reads whole chunks until there is enough for a batch.
    async fn fetch(&self, topic: usize, partition: u32, from: u64) -> Result<Vec<Message>, Error> {
        let limits = &self.shared.config;
        let (most_bytes, most) = (limits.batch_bytes, limits.batch_records);
        let recent = self.shared.recent().read((topic, partition), from, most_bytes, most);
        if recent.is_empty() {
            return self.fetch_from_file(topic, partition, from).await;
        }
        let mut messages = Vec::new();
        for (base, body) in recent {
            let read = chunk::read(base, body, from);
            messages.extend(read.map_err(|source| self.unreadable(topic, partition, source))?);
        }
        Ok(messages)
    }

    async fn fetch_from_file(&self, topic: usize, partition: u32, from: u64) -> Result<Vec<Message>, Error> {
        // The first chunk may begin before `from`: a group may stop in the middle of one.
        let sql = "SELECT base, body FROM chunks WHERE topic = ?1 AND partition = ?2 AND base >= coalesce(
            (SELECT max(base) FROM chunks WHERE topic = ?1 AND partition = ?2 AND base <= ?3), 0) ORDER BY base";
        let query = sqlx::query(sql).bind(self.shared.ids[topic]).bind(partition).bind(from as i64);
        let mut rows = query.fetch(&self.shared.readers);
        let (mut messages, mut bytes) = (Vec::new(), 0);
        let limits = &self.shared.config;
        while bytes < limits.batch_bytes && messages.len() < limits.batch_records {
            let row = rows.try_next().await.map_err(|source| self.unreadable(topic, partition, source))?;
            let Some(row) = row else { break };
            let body: Vec<u8> = row.get(1);
            bytes += body.len();
            let read = chunk::read(row.get::<i64, _>(0) as u64, body.into(), from);
            messages.extend(read.map_err(|source| self.unreadable(topic, partition, source))?);
        }
        Ok(messages)
    }

    fn unreadable<E: std::error::Error + Send + Sync + 'static>(
        &self,
        topic: usize,
        partition: u32,
        source: E,
    ) -> Error {
        let topic = self.shared.config.topics[topic].name.clone();
        Error::Read { topic, partition: Partition(partition), source: Arc::new(source) }
    }

    /// Looks the topics up, and refuses what can never be stored.
    fn resolve(&self, commit: Commit) -> Result<job::Commit, Error> {
        let size = commit.size();
        let positions = commit.positions.into_iter();
        let positions = positions.map(|position| Ok((self.shared.topic(&position.topic)?, position)));
        let positions = positions.collect::<Result<Vec<_>, Error>>()?;
        let mut outputs = Vec::with_capacity(commit.outputs.len());
        for output in commit.outputs {
            self.shared.check_records(&output.topic, &output.records)?;
            outputs.push((self.shared.topic(&output.topic)?, output.records));
        }
        if !commit.changes.is_empty() && self.state.is_none() {
            let topic = self.member.group.to_string();
            return Err(Error::Topic { topic, why: "this worker has subscribed to no topic of state" });
        }
        let (member, state, changes) = (self.member.clone(), self.state, commit.changes);
        Ok(job::Commit { member, positions, outputs, state, changes, size })
    }

    fn check_uninterrupted(&self) -> Result<(), Error> {
        if self.committing {
            return Err(Error::Interrupted { group: self.member.group.to_string() });
        }
        Ok(())
    }
}

impl Worker for EmbeddedWorker {
    async fn next(&mut self, patience: Duration) -> Result<Event, Error> {
        self.check_uninterrupted()?;
        for partition in std::mem::take(&mut self.leaving) {
            self.let_go(partition);
        }
        let mut waited = false;
        // One for the whole call: what is appended to other topics meanwhile does not make it longer.
        let patient = patience::wait(patience);
        tokio::pin!(patient);
        loop {
            // Marked as seen before looking, so that what comes while we look is not missed.
            self.tail.borrow_and_update();
            if let Some(event) = self.rebalance().await? {
                return Ok(event);
            }
            // The clock is read before the last look at the end: what came later than `now` may follow.
            let now = (self.shared.config.clock)();
            let quiet = i64::try_from(patience.as_micros()).unwrap_or(i64::MAX);
            if self.has_read && now.saturating_sub(self.idled) >= quiet {
                let partitions = self.at_end();
                if !partitions.is_empty() && partitions.len() < self.cursors.len() {
                    (self.idled, self.has_read) = (now, false);
                    return Ok(Event::AtEnd(now, partitions));
                }
            }
            if let Some(event) = self.read().await? {
                self.has_read = true;
                return Ok(event);
            }
            // Told even while records keep coming in, or nothing would ever close beside them.
            if waited || now.saturating_sub(self.idled) >= quiet {
                (self.idled, self.has_read) = (now, false);
                return Ok(Event::Idle(now));
            }
            tokio::select! {
                biased;
                () = &mut patient => waited = true,
                changed = self.tail.changed() => changed.map_err(|_| Error::Closed)?,
            }
        }
    }

    async fn commit(&mut self, commit: Commit) -> Result<(), Error> {
        self.check_uninterrupted()?;
        if commit.is_empty() {
            return Ok(());
        }
        let work = self.resolve(commit)?;
        let (done, answer) = oneshot::channel();
        self.committing = true;
        let result = match self.queue.wait(Job::Commit { work, done }).await {
            Ok(()) => answer.await.unwrap_or(Err(Error::Closed)),
            Err(closed) => Err(closed),
        };
        self.committing = false;
        result
    }
}

/// Its partitions are free for the others of its group.
impl Drop for EmbeddedWorker {
    fn drop(&mut self) {
        self.shared.groups().part(&self.member);
        self.shared.tail.send_replace(());
    }
}

/// Takes so many messages, but always one.
fn take_batch(ready: &mut VecDeque<Message>, most: usize, most_bytes: usize) -> Vec<Message> {
    let mut bytes = 0;
    let fits = ready.iter().take(most).take_while(|message| {
        bytes += message.key.len() + message.value.len();
        bytes <= most_bytes
    });
    let count = fits.count().max(1).min(ready.len());
    ready.drain(..count).collect()
}
