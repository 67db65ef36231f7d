//! A log in memory that keeps the contract of `ringpost_bus`, and has bad days: calls fail, are stored in part, or
//! are stored and not answered; workers are dropped in any wait. What is here survives every crash.

mod disk;
mod group;
mod worker;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ringpost_bus::{Error, Log, Offset, Partition, Record, Subscription, partition_of};
use tokio::sync::watch;

use crate::clock::SimClock;
use crate::dice::Dice;
use crate::trace::Trace;
use crate::weather::{Luck, Weather};

pub use disk::{Disk, SimTopic};
use group::{Groups, Instance};
pub use worker::SimWorker;

/// Largest record, as the embedded log has it by default.
const RECORD_BYTES: usize = 1 << 20;

/// The log; a clone is the same log.
#[derive(Clone)]
pub struct SimLog {
    shared: Arc<Shared>,
    /// Whose hands it is in, where several processes share it.
    instance: Option<Instance>,
}

pub(crate) struct Shared {
    disk: Mutex<Disk>,
    groups: Mutex<Groups>,
    tail: watch::Sender<()>,
    weather: Weather,
    clock: SimClock,
    trace: Trace,
    dice: Mutex<Dice>,
}

impl SimLog {
    /// An empty log with these topics.
    pub fn new(topics: Vec<SimTopic>, weather: Weather, clock: SimClock, trace: Trace, dice: Dice) -> Self {
        let shared = Shared {
            disk: Mutex::new(Disk::new(topics)),
            groups: Mutex::default(),
            tail: watch::Sender::default(),
            weather,
            clock,
            trace,
            dice: Mutex::new(dice),
        };
        Self { shared: Arc::new(shared), instance: None }
    }

    /// The same in the hands of one of several processes.
    #[must_use]
    pub fn of(&self, instance: &str) -> Self {
        Self { shared: Arc::clone(&self.shared), instance: Some(instance.into()) }
    }

    /// The process whose hands it is in stands still, or goes on.
    pub fn stand_still(&self, still: bool) {
        if let Some(instance) = &self.instance {
            let now = self.shared.clock.elapsed();
            self.shared.groups().hear(instance, !still, now);
        }
    }

    /// What is durable.
    pub fn disk(&self) -> MutexGuard<'_, Disk> {
        self.shared.disk()
    }
}

impl Log for SimLog {
    type Worker = SimWorker;

    async fn append(&self, topic: &str, records: Vec<Record>) -> Result<Vec<(Partition, Offset)>, Error> {
        let shared = &*self.shared;
        let partitions = shared.disk().records_topic(topic)?;
        check_sizes(topic, &records)?;
        if records.is_empty() {
            return Ok(Vec::new());
        }
        shared.weather.pause().await;
        let luck = shared.weather.write();
        let stored = match luck {
            Luck::Fine => records.len(),
            Luck::LostAnswer => shared.weather.part(records.len()),
            Luck::Fails | Luck::Full => 0,
        };
        let mut places = Vec::with_capacity(stored);
        for record in records.iter().take(stored) {
            let partition = partition_of(&record.key, partitions);
            places.push((partition, shared.disk().append(topic, partition, record)));
        }
        shared.trace.note(format_args!("log append {topic} {stored}/{} {luck:?}", records.len()));
        if stored > 0 {
            shared.tail.send_replace(());
        }
        shared.weather.pause().await;
        match luck {
            Luck::Fine => Ok(places),
            Luck::Full => Err(Error::Full),
            Luck::Fails | Luck::LostAnswer => Err(write_failed()),
        }
    }

    async fn worker(&self, subscription: Subscription) -> Result<SimWorker, Error> {
        SimWorker::join(Arc::clone(&self.shared), subscription, self.instance.clone())
    }
}

impl Shared {
    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn groups(&self) -> MutexGuard<'_, Groups> {
        let mut groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        groups.miss(self.clock.elapsed());
        groups
    }

    /// A batch is of any size.
    fn batch_size(&self) -> usize {
        let mut dice = self.dice.lock().unwrap_or_else(PoisonError::into_inner);
        let most = *dice.pick(&[1, 2, 3, 7, 20, 100, 1_000]);
        dice.between(1, most) as usize
    }
}

fn check_sizes(topic: &str, records: &[Record]) -> Result<(), Error> {
    let size = |record: &Record| record.key.len() + record.value.len() + 16;
    match records.iter().map(size).max() {
        Some(bytes) if bytes > RECORD_BYTES => {
            Err(Error::TooLarge { topic: topic.to_owned(), bytes, most: RECORD_BYTES })
        }
        _ => Ok(()),
    }
}

fn write_failed() -> Error {
    Error::Write(Arc::new(std::io::Error::other("the simulated disk failed")))
}
