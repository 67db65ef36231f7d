//! Telling that all was read. The clock is read first, then the broker is asked where partitions end: what came later
//! than the time told may follow, what came before it was handed out.

use std::time::Duration;

use futures_util::FutureExt;
use rdkafka::error::KafkaError;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tracing::debug;

use crate::kafka::ends::{self, Ends};
use crate::{Event, Partition};

use super::KafkaWorker;

/// Between two questions, where the answer was that there is more.
const ASK_AGAIN: Duration = Duration::from_millis(2);
/// Between two questions while records keep coming in: only what is quiet beside them waits for the answer.
const ASK_BUSY: Duration = Duration::from_millis(20);
/// The same, where there was no answer.
const AFTER_ERROR: Duration = Duration::from_millis(500);

/// A question on its way.
pub(super) struct Asking {
    /// The clock before it was put.
    now: i64,
    task: JoinHandle<Result<Ends, KafkaError>>,
    answer: Option<Result<Ends, KafkaError>>,
}

/// Waits for the answer; for ever, where nothing was asked.
pub(super) async fn answered(asking: &mut Option<Asking>) {
    match asking {
        Some(Asking { task, answer: answer @ None, .. }) => {
            *answer = Some(task.await.unwrap_or(Err(KafkaError::Canceled)));
        }
        _ => std::future::pending().await,
    }
}

impl KafkaWorker {
    /// What is to be told of the ends, if anything; asks where it is time to.
    pub(super) fn look_at_ends(&mut self, patience: Duration, waited: bool) -> Option<Event> {
        if !self.has_joined {
            return None;
        }
        if let Some((now, answer)) = self.take_answer()
            && let Some(event) = self.tell(now, answer, patience)
        {
            return Some(event);
        }
        let now = (self.shared.config.clock)();
        let quiet = i64::try_from(patience.as_micros()).unwrap_or(i64::MAX);
        // Told even while records keep coming in, or nothing would ever close beside them.
        let is_due = waited || (self.has_read && now.saturating_sub(self.idled) >= quiet);
        if !is_due || self.asking.is_some() {
            return None;
        }
        let reader = self.reader.clone().filter(|_| !self.owned.is_empty());
        let Some(reader) = reader else {
            // There is nothing to be read.
            let is_idle = waited && self.restoring.is_empty();
            return is_idle.then(|| self.told(now, Event::Idle(now)));
        };
        let busy = patience.max(ASK_BUSY);
        let may_ask = waited || self.asked.is_none_or(|asked| asked.elapsed() >= busy);
        if may_ask && Instant::now() >= self.ask_from {
            self.asked = Some(Instant::now());
            let places = self.places();
            let task = tokio::task::spawn_blocking(move || ends::ask(&reader, &places));
            self.asking = Some(Asking { now, task, answer: None });
        }
        None
    }

    fn take_answer(&mut self) -> Option<(i64, Result<Ends, KafkaError>)> {
        let Asking { task, answer, .. } = self.asking.as_mut()?;
        // Where records are always at hand nobody waits for the answer.
        if answer.is_none() && task.is_finished() {
            *answer = task.now_or_never().map(|done| done.unwrap_or(Err(KafkaError::Canceled)));
        }
        answer.as_ref()?;
        let Asking { now, answer, .. } = self.asking.take()?;
        Some((now, answer?))
    }

    fn tell(&mut self, now: i64, answer: Result<Ends, KafkaError>, patience: Duration) -> Option<Event> {
        let reader = self.reader.as_ref()?;
        let read = answer.and_then(|ends| Ok((ends, ends::positions(reader)?)));
        let (ends, positions) = match read {
            Ok(known) => known,
            Err(error) => {
                debug!(%error, group = %self.group, "the ends of partitions are not known");
                self.ask_from = Instant::now() + AFTER_ERROR;
                return None;
            }
        };
        self.note_lags(&ends);
        let done = self.at_end(&ends, &positions);
        if done.len() == self.owned.len() && self.restoring.is_empty() {
            return Some(self.told(now, Event::Idle(now)));
        }
        self.ask_from = Instant::now() + ASK_AGAIN;
        let quiet = i64::try_from(patience.as_micros()).unwrap_or(i64::MAX);
        let is_due = self.has_read && now.saturating_sub(self.idled) >= quiet;
        (is_due && !done.is_empty()).then(|| self.told(now, Event::AtEnd(now, done)))
    }

    fn note_lags(&self, ends: &Ends) {
        let prefix = self.shared.config.prefix.len();
        for (partition, owned) in &self.owned {
            for (topic, committed) in self.topics.iter().zip(&owned.committed) {
                if let Some(end) = ends.get(&(topic.clone(), *partition)) {
                    let records = end.saturating_sub(*committed);
                    self.shared.lags.note(&self.group, &topic[prefix..], *partition, records);
                }
            }
        }
    }

    /// The partitions of which everything was handed out.
    fn at_end(&self, ends: &Ends, positions: &Ends) -> Vec<Partition> {
        let is_at_end = |partition: Partition, at: usize, from: u64| {
            let place = (self.topics[at].clone(), partition);
            let next = positions.get(&place).copied().unwrap_or(from).max(from);
            ends.get(&place).is_some_and(|end| next >= *end)
        };
        let done = self.owned.iter().filter(|(partition, owned)| {
            let is_waiting = self.ready.iter().any(|batch| batch.partition == **partition);
            !is_waiting && owned.from.iter().enumerate().all(|(at, from)| is_at_end(**partition, at, *from))
        });
        done.map(|(partition, _)| *partition).collect()
    }

    fn places(&self) -> Vec<(String, Partition)> {
        let of = |partition: &Partition| {
            let partition = *partition;
            self.topics.iter().map(move |topic| (topic.clone(), partition))
        };
        self.owned.keys().flat_map(of).collect()
    }

    fn told(&mut self, now: i64, event: Event) -> Event {
        (self.idled, self.has_read) = (now, false);
        event
    }
}
