//! A worker on Kafka. It is one member of a group, one reader, and one writer of transactions.
//!
//! Nothing blocks here: what does (transactions, state, asking for ends) runs on threads of its own, and is waited for in
//! a way that `next` may be dropped at any point.

mod assign;
mod commit;
mod idle;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use crate::{Batch, Commit, Error, Event, Partition, Subscription, Worker};

use super::Shared;
use super::context::Member;
use super::fetch::Most;
use super::restore::Restored;
use super::slots::Slot;
use super::transaction::{self, Failure, Transactions};

use idle::Asking;

/// The reader is looked at so often even when it has nothing to say: librdkafka takes who is silent for dead.
const KEEP_ALIVE: Duration = Duration::from_secs(1);
/// Before the ends are looked at again.
const A_MOMENT: Duration = Duration::from_millis(1);

/// See [`crate::Kafka`].
pub struct KafkaWorker {
    shared: Arc<Shared>,
    group: Arc<str>,
    slot: Option<Slot>,
    /// As the broker knows them. The group shares out the partitions of the first one.
    topics: Vec<String>,
    state: Option<String>,
    /// What of the state topic is this worker's: keys that begin so.
    key_prefix: Vec<u8>,
    /// None = it only writes.
    reader: Option<Arc<BaseConsumer<Member>>>,
    /// Made at the first commit that needs it, where there is no state.
    writer: Option<transaction::Shared>,
    /// Told to the caller, and not given up.
    owned: BTreeMap<Partition, Owned>,
    /// Ours, and being made ready; each with the turn that does it.
    restoring: BTreeMap<Partition, u64>,
    turns: u64,
    restored: (mpsc::UnboundedSender<Restored>, mpsc::UnboundedReceiver<Restored>),
    /// Given up at the next call of `next`.
    leaving: Option<Vec<Partition>>,
    /// Read, and not handed out.
    ready: VecDeque<Batch>,
    /// The group has let us in.
    has_joined: bool,
    asking: Option<Asking>,
    /// Not before then are the ends asked for again.
    ask_from: Instant,
    /// How long then is.
    ask_again: Duration,
    /// When they were asked for.
    asked: Option<Instant>,
    /// When the last `Idle` or `AtEnd` was told; the clock's microseconds.
    idled: i64,
    /// Records were handed out since: an `AtEnd` never keeps them back.
    has_read: bool,
    committing: bool,
    /// Why it cannot be used any more.
    over: Option<Error>,
    is_gone: Arc<AtomicBool>,
}

/// A partition in use; by topic of the worker.
#[derive(Debug)]
struct Owned {
    /// Where reading began.
    from: Vec<u64>,
    /// What the group has committed, or would begin with.
    committed: Vec<u64>,
    /// A time, and where the partition ended then; none, where it was read up to there.
    goal: Option<(i64, Vec<u64>)>,
    /// Behind the last record that was handed out.
    handed: Vec<u64>,
}

impl KafkaWorker {
    pub(super) async fn join(shared: Arc<Shared>, what: &Subscription) -> Result<Self, Error> {
        let partitions = shared.partitions_of(what)?;
        let slot = shared.slots.take(&what.group).await;
        let member = format!("{}-{}", shared.config.instance, slot.number);
        let topics: Vec<String> = what.topics.iter().map(|topic| shared.named(topic)).collect();
        let state = what.state.as_deref().map(|topic| shared.named(topic));
        // First of all: what a former self has left open is ended, so that its state can be read.
        let writer = match &state {
            Some(_) => Some(writer(&shared, &what.group, &member).await?),
            None => None,
        };
        let reader = match topics.first() {
            Some(lead) => Some(reader(&shared, &what.group, &member, lead)?),
            None => None,
        };
        let key_prefix = match (&reader, &state) {
            // The group says who has a partition; without one each instance has all, and keeps its own state.
            (None, Some(_)) => format!("{}\u{1f}{member}\u{1f}", what.group).into_bytes(),
            _ => Vec::new(),
        };
        let mut worker = Self {
            group: what.group.as_str().into(),
            slot: Some(slot),
            topics,
            state,
            key_prefix,
            has_joined: reader.is_none(),
            reader,
            writer,
            owned: BTreeMap::new(),
            restoring: BTreeMap::new(),
            turns: 0,
            restored: mpsc::unbounded_channel(),
            leaving: None,
            ready: VecDeque::new(),
            asking: None,
            ask_from: Instant::now(),
            ask_again: idle::ASK_AGAIN,
            asked: None,
            idled: 0,
            has_read: false,
            committing: false,
            over: None,
            is_gone: Arc::default(),
            shared,
        };
        if worker.reader.is_none() {
            worker.restore((0..partitions).map(Partition).collect());
        }
        Ok(worker)
    }

    fn check_usable(&self) -> Result<(), Error> {
        if self.committing {
            return Err(Error::Interrupted { group: self.group.to_string() });
        }
        self.over.clone().map_or(Ok(()), Err)
    }

    fn ends_with(&mut self, error: Error) -> Error {
        self.over = Some(error.clone());
        error
    }

    /// Looks at what the group wants and what the reader has.
    fn look(&mut self) -> Result<Option<Event>, Error> {
        if self.ready.is_empty()
            && let Some(reader) = &self.reader
        {
            let config = &self.shared.config;
            let headers = self.topics.iter().any(|topic| self.shared.is_foreign(topic));
            let most = Most { records: config.batch_records, bytes: config.batch_bytes, headers };
            let taken = super::fetch::take(reader, &most, &mut self.ready);
            if let Err(error) = taken {
                self.read_failed(&error)?;
            }
            self.name_topics();
        }
        self.shift()
    }

    /// Names as the caller knows them; and nothing of what is not, or not any more, in use.
    fn name_topics(&mut self) {
        for batch in &mut self.ready {
            let known = self.shared.known_as(&batch.topic).len();
            batch.topic.drain(..batch.topic.len() - known);
        }
    }

    fn handed_out(&mut self, batch: &Batch) {
        let at = self.topics.iter().position(|topic| self.shared.known_as(topic) == batch.topic);
        if let (Some(at), Some(owned)) = (at, self.owned.get_mut(&batch.partition)) {
            owned.handed[at] = batch.position().next.0;
        }
    }

    fn read_failed(&mut self, error: &KafkaError) -> Result<(), Error> {
        let group = self.group.to_string();
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::FencedInstanceId) => {
                let instance = self.shared.config.instance.clone();
                Err(self.ends_with(Error::Replaced { group, instance }))
            }
            _ if matches!(error, KafkaError::MessageConsumptionFatal(_)) => {
                Err(self.ends_with(Error::Broken { group, reason: error.to_string() }))
            }
            // librdkafka goes on trying.
            _ => {
                super::context::note(error, "read of records failed, trying again");
                Ok(())
            }
        }
    }
}

impl Worker for KafkaWorker {
    async fn next(&mut self, patience: Duration) -> Result<Event, Error> {
        self.check_usable()?;
        self.let_go();
        let end = Instant::now() + patience;
        loop {
            if let Some(event) = self.look()? {
                return Ok(event);
            }
            if let Some(event) = self.look_at_ends(patience, Instant::now() >= end) {
                return Ok(event);
            }
            if let Some(batch) = self.ready.pop_front() {
                self.has_read = true;
                self.handed_out(&batch);
                return Ok(Event::Records(batch));
            }
            let now = Instant::now();
            let next_look = match self.asking {
                _ if end > now => end,
                None if self.has_joined => self.ask_from.max(now + A_MOMENT),
                _ => now + KEEP_ALIVE,
            };
            let woken = self.reader.as_ref().map(|reader| Arc::clone(&reader.context().woken));
            tokio::select! {
                () = notified(woken) => {}
                () = sleep_until(next_look.min(now + KEEP_ALIVE)) => {}
                Some(restored) = self.restored.1.recv() => {
                    if let Some(event) = self.assigned(restored) {
                        return Ok(event);
                    }
                }
                () = idle::answered(&mut self.asking) => {}
            }
        }
    }

    async fn commit(&mut self, commit: Commit) -> Result<(), Error> {
        self.check_usable()?;
        if commit.is_empty() {
            return Ok(());
        }
        let work = self.resolve(commit)?;
        let begun = std::time::Instant::now();
        self.committing = true;
        let (work, done) = self.make_durable(work).await;
        self.committing = false;
        let metrics = &self.shared.metrics;
        metrics.commit_seconds.observe(begun.elapsed().as_secs_f64());
        if let Err(failure) = done {
            metrics.failures.inc();
            if matches!(failure, Failure::Fenced(_)) && self.is_replaced().await {
                let instance = self.shared.config.instance.clone();
                return Err(self.ends_with(Error::Replaced { group: self.group.to_string(), instance }));
            }
            return Err(self.commit_failed(failure));
        }
        metrics.commits.inc();
        let outputs = work.outputs.iter().flat_map(|(_, _, records)| records);
        outputs.for_each(|record| metrics.wrote(record));
        self.follow(&work);
        Ok(())
    }
}

/// The group hears of it at once, but a reader takes its time to say goodbye.
impl Drop for KafkaWorker {
    fn drop(&mut self) {
        self.is_gone.store(true, Ordering::Release);
        self.answer_all();
        self.owned.keys().for_each(|partition| self.shared.lags.forget(&self.group, *partition));
        let (reader, writer, slot) = (self.reader.take(), self.writer.take(), self.slot.take());
        if let Some(slot) = &slot {
            slot.close();
        }
        std::thread::spawn(move || {
            if let Some(reader) = reader {
                reader.context().close();
                close(reader);
            }
            drop(writer);
            drop(slot);
        });
    }
}

/// Waits for the threads that still use it.
#[expect(clippy::disallowed_methods, reason = "a thread of its own, that waits for others")]
fn close(mut reader: Arc<BaseConsumer<Member>>) {
    loop {
        match Arc::try_unwrap(reader) {
            Ok(reader) => return drop(reader),
            Err(shared) => reader = shared,
        }
        std::thread::sleep(A_MOMENT);
    }
}

fn reader(
    shared: &Arc<Shared>,
    group: &str,
    member: &str,
    lead: &str,
) -> Result<Arc<BaseConsumer<Member>>, Error> {
    let mut config = shared.config.consumer(group);
    config.set("group.instance.id", member);
    let unusable = |error: KafkaError| Error::Broker {
        what: format!("join group {group}"),
        reason: super::settings::what_is_wrong(&error),
    };
    let context = Member::default();
    let woken = Arc::clone(&context.woken);
    let mut reader: BaseConsumer<Member> = config.create_with_context(context).map_err(unusable)?;
    reader.set_nonempty_callback(move || woken.notify_one());
    reader.subscribe(&[lead]).map_err(unusable)?;
    Ok(Arc::new(reader))
}

async fn writer(shared: &Arc<Shared>, group: &str, member: &str) -> Result<transaction::Shared, Error> {
    let config = shared.config.transactional(group, member);
    let made = blocking(move || Transactions::begin(&config)).await;
    made.map(Arc::new).map_err(|error| Error::Broker {
        what: format!("begin to write for group {group}"),
        reason: transaction::tell(&error),
    })
}

/// On a thread that may wait.
async fn blocking<T: Send + 'static>(call: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(call).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is being stopped: nobody waits any more.
            Err(_) => std::future::pending().await,
        },
    }
}

async fn notified(woken: Option<Arc<tokio::sync::Notify>>) {
    match woken {
        Some(woken) => woken.notified().await,
        None => std::future::pending().await,
    }
}
