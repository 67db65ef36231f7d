//! What dispatch makes durable before it moves on: calls, attempts, what is owed, what is over.

use std::collections::BTreeMap;

use ringpost_model::Timestamp;

use crate::attempt::{Attempt, Exchange};
use crate::day::Day;
use crate::debt::{self, Debt};
use crate::ending::{self, Ended, Ending};
use crate::error::{Error, doing};
use crate::session::{self, NewSession};
use crate::store::Store;

/// What one step of dispatch came to.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// Records seen.
    pub sessions: Vec<NewSession>,
    /// Requests made.
    pub attempts: Vec<(Attempt, Exchange)>,
    /// What is owed from now on, or still, with its next due time.
    pub debts: Vec<Debt>,
    /// What is over. Of a delivery that was never owed only if it ended without a last attempt.
    pub ended: Vec<Ended>,
}

/// What else a batch led to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settled {
    /// Owed deliveries whose place a newer revision took. Logged as such.
    pub superseded: Vec<Ended>,
}

/// Of one day.
#[derive(Default)]
struct DayLog<'a> {
    attempts: Vec<&'a (Attempt, Exchange)>,
    ended: Vec<&'a Ended>,
}

impl Store {
    /// Makes a batch durable. `owner` is the dispatcher that holds the leases. The attempts' day is on the disk
    /// before anything else, so a crash in between repeats a request at worst, and never forgets one; the same batch
    /// again changes nothing.
    ///
    /// # Errors
    /// The store cannot be written: try the same batch again.
    pub async fn settle(&self, batch: &Batch, owner: &str, now: Timestamp) -> Result<Settled, Error> {
        const WHAT: &str = "settle a batch";
        let timer = self.inner.metrics.write_seconds.with_label_values(&["settle"]).start_timer();
        let touches_main = !(batch.sessions.is_empty() && batch.debts.is_empty() && batch.ended.is_empty());
        let mut settled = Settled::default();
        if touches_main {
            let mut write = self.begin(WHAT).await?;
            session::upsert(&mut write, &batch.sessions).await.map_err(doing(WHAT))?;
            for ended in &batch.ended {
                debt::delete(&mut write, &ended.delivery, owner, now).await.map_err(doing(WHAT))?;
            }
            for debt in &batch.debts {
                let superseded = debt::put(&mut write, debt, owner, now).await.map_err(doing(WHAT))?;
                for ended in &superseded {
                    debt::delete(&mut write, &ended.delivery, owner, now).await.map_err(doing(WHAT))?;
                }
                settled.superseded.extend(superseded);
            }
            let ended: Vec<Ended> = batch.ended.iter().chain(&settled.superseded).cloned().collect();
            // Committed before the transaction around it is.
            self.write_log(WHAT, &batch.attempts, &ended).await?;
            write.commit().await.map_err(doing(WHAT))?;
        } else {
            self.write_log(WHAT, &batch.attempts, &[]).await?;
        }
        timer.observe_duration();
        let metrics = &self.inner.metrics;
        metrics.count("sessions", batch.sessions.len());
        metrics.count("attempts", batch.attempts.len());
        metrics.count("debts", batch.debts.len());
        Ok(settled)
    }

    /// Writes attempts and endings into the files of their days.
    pub(crate) async fn write_log(
        &self,
        what: &'static str,
        attempts: &[(Attempt, Exchange)],
        ended: &[Ended],
    ) -> Result<(), Error> {
        let mut days: BTreeMap<Day, DayLog<'_>> = BTreeMap::new();
        for attempt in attempts {
            let id = attempt.0.id;
            let day = Day::of_attempt(id).ok_or_else(|| {
                let why = "its id is no UUIDv7";
                Error::Refused { kind: "attempt", key: id.to_string(), why }
            })?;
            days.entry(day).or_default().attempts.push(attempt);
        }
        // What was delivered is told by its last attempt.
        for ended in ended.iter().filter(|ended| ended.ending != Ending::Delivered) {
            days.entry(Day::of(ended.at)).or_default().ended.push(ended);
        }
        for (day, log) in days {
            let database = self.inner.days.make(what, day).await?;
            let mut write = database.begin().await.map_err(doing(what))?;
            self.insert_attempts(&mut write, &log.attempts).await?;
            ending::insert(&mut write, &log.ended).await.map_err(doing(what))?;
            write.commit().await.map_err(doing(what))?;
        }
        Ok(())
    }
}
