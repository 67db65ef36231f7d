//! Calls, dead letters, attempts and endings of the simulated store.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ringpost_model::{AttemptId, Delivery, DeliveryId, SessionId, Text, Timestamp, TriggerId};
use ringpost_store::{Attempt, DeadLetter, Ended, Ending, Exchange, NewSession};

const DAY_MICROS: i64 = 86_400_000_000;

/// Calls, and what was refused.
#[derive(Debug, Default)]
pub struct Records {
    /// The newest revision of each.
    sessions: BTreeMap<SessionId, (u32, Vec<u8>)>,
    former: BTreeMap<(SessionId, u32), Vec<u8>>,
    dead_letters: BTreeMap<Text, DeadLetter>,
}

/// The log of attempts and endings, by day.
#[derive(Debug, Default)]
pub struct DayLog {
    attempts: BTreeMap<AttemptId, (Attempt, Duration)>,
    /// Of those, the ones whose batch is settled in the other file too.
    settled: BTreeMap<AttemptId, Duration>,
    endings: BTreeMap<(i64, DeliveryId), Ended>,
}

impl Records {
    /// Each session once, with its newest revision.
    pub fn sessions(&self) -> impl Iterator<Item = (SessionId, u32)> {
        self.sessions.iter().map(|(id, (rev, _))| (*id, *rev))
    }

    /// Dead letters, by position.
    pub fn dead_letters(&self) -> impl Iterator<Item = &DeadLetter> {
        self.dead_letters.values()
    }

    pub(super) fn upsert(&mut self, sessions: &[NewSession]) {
        for NewSession { session, envelope, .. } in sessions {
            let (id, rev) = (session.id, session.rev);
            let Some((known, bytes)) = self.sessions.get(&id) else {
                self.sessions.insert(id, (rev, envelope.clone()));
                continue;
            };
            if rev > *known {
                self.former.entry((id, *known)).or_insert_with(|| bytes.clone());
                self.sessions.insert(id, (rev, envelope.clone()));
            }
        }
    }

    pub(super) fn envelope(&self, id: SessionId, rev: u32) -> Option<Vec<u8>> {
        let newest = self.sessions.get(&id).filter(|(known, _)| *known == rev).map(|(_, bytes)| bytes);
        newest.or_else(|| self.former.get(&(id, rev))).cloned()
    }

    pub(super) fn add_dead_letters(&mut self, letters: &[DeadLetter]) -> u64 {
        let before = self.dead_letters.len();
        for letter in letters {
            self.dead_letters.entry(letter.position.clone()).or_insert_with(|| letter.clone());
        }
        (self.dead_letters.len() - before) as u64
    }
}

impl DayLog {
    /// Every attempt, and when it became durable by the clock that never jumps.
    pub fn attempts(&self) -> impl Iterator<Item = (&Attempt, Duration)> {
        self.attempts.values().map(|(attempt, at)| (attempt, *at))
    }

    /// Deliveries with an attempt that delivered them.
    pub(super) fn delivered(&self) -> BTreeSet<DeliveryId> {
        self.attempts
            .values()
            .filter(|(attempt, _)| attempt.ok)
            .map(|(attempt, _)| attempt.delivery)
            .collect()
    }

    /// All that a batch says is durable, in both files.
    pub(super) fn settle(&mut self, attempts: &[(Attempt, Exchange)], elapsed: Duration) {
        for (attempt, _) in attempts {
            self.settled.entry(attempt.id).or_insert(elapsed);
        }
    }

    /// When all that follows from an attempt was durable: a crash between the two files comes before.
    pub fn settled(&self, attempt: AttemptId) -> Option<Duration> {
        self.settled.get(&attempt).copied()
    }

    /// Every delivery that is over without having been delivered.
    pub fn endings(&self) -> impl Iterator<Item = &Ended> {
        self.endings.values()
    }

    /// Attempts and endings, after what was said of deliveries that came back is taken away.
    pub(super) fn write(
        &mut self,
        attempts: &[(Attempt, Exchange)],
        ended: &[Ended],
        came_back: &[DeliveryId],
        elapsed: Duration,
    ) {
        for (attempt, _) in attempts {
            self.attempts.entry(attempt.id).or_insert_with(|| (attempt.clone(), elapsed));
        }
        self.endings.retain(|(_, delivery), _| !came_back.contains(delivery));
        for one in ended.iter().filter(|one| one.ending != Ending::Delivered) {
            self.endings.insert((day(one.at), one.delivery.id), one.clone());
        }
    }

    /// Tries of a trigger that failed since then.
    pub(super) fn failed_tries(&self, trigger: TriggerId, since: Timestamp) -> u64 {
        let attempts = self.attempts.values().map(|(attempt, _)| attempt);
        let failed = attempts.filter(|one| one.trigger == trigger && !one.ok && one.ended >= since);
        failed.count() as u64
    }

    /// Which of these deliveries are over, as far as the log of the days since then knows.
    pub(super) fn over(&self, deliveries: &[Delivery], since: Timestamp) -> BTreeSet<DeliveryId> {
        let asked: BTreeSet<DeliveryId> = deliveries.iter().map(|delivery| delivery.id).collect();
        let is_seen = |day: i64| (day + 1) * DAY_MICROS > since.micros();
        let last = self
            .attempts
            .values()
            .map(|(one, _)| one)
            .filter(|attempt| attempt.last && is_seen(day_of(attempt.id)));
        let ended = self.endings.keys().filter(|(day, _)| is_seen(*day));
        let over = last.map(|attempt| attempt.delivery).chain(ended.map(|(_, delivery)| *delivery));
        over.filter(|delivery| asked.contains(delivery)).collect()
    }
}

fn day(at: Timestamp) -> i64 {
    at.micros().div_euclid(DAY_MICROS)
}

/// The day in an attempt's id.
fn day_of(attempt: AttemptId) -> i64 {
    let seconds = attempt.0.get_timestamp().map_or(0, |at| at.to_unix().0);
    i64::try_from(seconds).unwrap_or_default().div_euclid(DAY_MICROS / 1_000_000)
}
