//! Telling that all was read. The clock is read first, then the broker is asked where partitions end: what came later
//! than the time told may follow, what came before it was handed out.
//!
//! The end is that of readers of everything. What is behind an open transaction is not handed out before that is over, and
//! came before the time told all the same: it may have been acknowledged long ago. Where transactions follow each other
//! without a gap a partition is never at the end that was asked for last; so the one asked for before is remembered until
//! it is reached.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use rdkafka::Offset as KafkaOffset;
use rdkafka::error::KafkaError;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tracing::debug;

use crate::kafka::ends::{self, Ends};
use crate::{Event, Partition};

use super::KafkaWorker;

/// Between two questions, where the answer was that there is more.
pub(super) const ASK_AGAIN: Duration = Duration::from_millis(2);
/// A broker that does not answer within so long is asked again later.
const PATIENCE: Duration = Duration::from_secs(5);
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
        if self.reader.is_none() || self.owned.is_empty() {
            // There is nothing to be read.
            let is_idle = waited && self.restoring.is_empty();
            return is_idle.then(|| self.told(now, Event::Idle(now)));
        }
        let busy = patience.max(ASK_BUSY);
        let may_ask = waited || self.asked.is_none_or(|asked| asked.elapsed() >= busy);
        if may_ask && Instant::now() >= self.ask_from {
            self.asked = Some(Instant::now());
            let (places, probe) = (self.places(), Arc::clone(&self.shared.probe));
            let ask = move || ends::ask(&probe, &places, KafkaOffset::End, PATIENCE);
            let task = tokio::task::spawn_blocking(ask);
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
        self.note_lags(&ends, &positions);
        let done = self.at_end(now, &ends, &positions);
        let Some(since) = done.values().copied().min() else {
            self.ask_later();
            return None;
        };
        if done.len() == self.owned.len() && self.restoring.is_empty() {
            return Some(self.told(since, Event::Idle(since)));
        }
        self.ask_later();
        let quiet = i64::try_from(patience.as_micros()).unwrap_or(i64::MAX);
        let is_due = now.saturating_sub(self.idled) >= quiet;
        is_due.then(|| self.told(since, Event::AtEnd(since, done.into_keys().collect())))
    }

    /// The longer there is more, the less it helps to ask.
    fn ask_later(&mut self) {
        self.ask_from = Instant::now() + self.ask_again;
        self.ask_again = (self.ask_again * 2).min(ASK_BUSY);
    }

    fn note_lags(&self, ends: &Ends, positions: &Ends) {
        for (partition, owned) in &self.owned {
            let is_waiting = self.ready.iter().any(|batch| batch.partition == *partition);
            for (at, topic) in self.topics.iter().enumerate() {
                let place = (topic.clone(), *partition);
                let Some(end) = ends.get(&place) else { continue };
                let (committed, read) = (owned.committed[at], positions.get(&place).copied());
                // Behind the last record there may be markers of transactions, which nobody commits past.
                let is_all_committed = !is_waiting && committed >= owned.handed[at];
                let at = read.filter(|_| is_all_committed).unwrap_or(committed).max(committed);
                self.shared.lags.note(
                    &self.group,
                    self.shared.known_as(topic),
                    *partition,
                    end.saturating_sub(at),
                );
            }
        }
    }

    /// The partitions of which everything was handed out that was there at a time, and which time that is.
    fn at_end(&mut self, now: i64, ends: &Ends, positions: &Ends) -> BTreeMap<Partition, i64> {
        let mut done = BTreeMap::new();
        for (partition, owned) in &mut self.owned {
            let place = |topic: &String| (topic.clone(), *partition);
            let Some(ends) = self.topics.iter().map(|topic| ends.get(&place(topic)).copied()).collect()
            else {
                continue;
            };
            let ends: Vec<u64> = ends;
            let from = self.topics.iter().zip(&owned.from);
            let read =
                from.map(|(topic, from)| positions.get(&place(topic)).copied().unwrap_or(0).max(*from));
            let read: Vec<u64> = read.collect();
            let is_reached = |ends: &[u64]| read.iter().zip(ends).all(|(read, end)| read >= end);
            if self.ready.iter().any(|batch| batch.partition == *partition) {
                continue;
            }
            if is_reached(&ends) {
                owned.goal = None;
                done.insert(*partition, now);
            } else if owned.goal.as_ref().is_none_or(|(_, goal)| is_reached(goal)) {
                let before = owned.goal.replace((now, ends));
                done.extend(before.map(|(then, _)| (*partition, then)));
            }
        }
        done
    }

    fn places(&self) -> Vec<(String, Partition)> {
        let of = |partition: &Partition| {
            let partition = *partition;
            self.topics.iter().map(move |topic| (topic.clone(), partition))
        };
        self.owned.keys().flat_map(of).collect()
    }

    fn told(&mut self, now: i64, event: Event) -> Event {
        (self.idled, self.has_read, self.ask_again) = (now, false, ASK_AGAIN);
        event
    }
}
