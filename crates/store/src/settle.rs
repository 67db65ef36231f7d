//! What dispatch makes durable before it moves on: calls, attempts, what is owed, what is over.

use std::collections::BTreeMap;

use ringpost_model::{DeliveryId, LaneId, Notice, NoticeId, Timestamp};
use sqlx::sqlite::SqliteConnection;

use crate::attempt::{Attempt, Exchange};
use crate::day::Day;
use crate::debt::{self, Debt};
use crate::ending::{self, Ended, Ending};
use crate::error::{Error, doing, doing_on};
use crate::lane::{self, LaneWord};
use crate::notice;
use crate::session::{self, NewSession};
use crate::spent;
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
    /// What became of lanes, in the order in which it became true. Comes after what is owed and over.
    pub lanes: Vec<LaneWord>,
    /// What is to be told. Told twice it is one.
    pub notices: Vec<Notice>,
    /// Notices that have led to what is owed in this batch, or to nothing.
    pub fired: Vec<NoticeId>,
}

/// What else a batch led to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settled {
    /// Owed deliveries whose place a newer revision took. Logged as such.
    pub superseded: Vec<Ended>,
    /// Came back by [`LaneWord::Revive`].
    pub revived: Vec<DeliveryId>,
    /// Lanes that another process has opened meanwhile: what was said of their breaker was not taken. Read
    /// [`Store::lanes`].
    pub stale: Vec<LaneId>,
}

/// Of one day.
#[derive(Default)]
struct DayLog<'a> {
    attempts: Vec<&'a (Attempt, Exchange)>,
    ended: Vec<&'a Ended>,
    came_back: Vec<DeliveryId>,
}

impl Batch {
    /// There is more in it than attempts.
    fn touches_main(&self) -> bool {
        let is_empty = self.sessions.is_empty() && self.debts.is_empty() && self.ended.is_empty();
        !(is_empty && self.lanes.is_empty() && self.notices.is_empty() && self.fired.is_empty())
    }
}

/// Returns what a newer revision took the place of.
async fn put_debts(
    to: &mut SqliteConnection,
    debts: &[Debt],
    owner: &str,
    now: Timestamp,
) -> sqlx::Result<Vec<Ended>> {
    let mut all = Vec::new();
    if debts.is_empty() {
        return Ok(all);
    }
    let may_come_back = spent::is_any(to).await?;
    for debt in debts {
        if may_come_back {
            spent::forget_overtaken(to, &debt.delivery).await?;
        }
        let superseded = debt::put(to, debt, owner, now).await?;
        for ended in &superseded {
            debt::delete(to, &ended.delivery, owner, now).await?;
        }
        all.extend(superseded);
    }
    Ok(all)
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
        let settled = if batch.touches_main() {
            self.settle_main(WHAT, batch, owner, now).await?
        } else {
            self.write_log(WHAT, &batch.attempts, &[], &[]).await?;
            Settled::default()
        };
        timer.observe_duration();
        let metrics = &self.inner.metrics;
        metrics.count("sessions", batch.sessions.len());
        metrics.count("attempts", batch.attempts.len());
        metrics.count("debts", batch.debts.len());
        Ok(settled)
    }

    async fn settle_main(
        &self,
        what: &'static str,
        batch: &Batch,
        owner: &str,
        now: Timestamp,
    ) -> Result<Settled, Error> {
        let mut write = self.begin(what).await?;
        let failed = doing(what);
        session::upsert(&mut write, &batch.sessions).await.map_err(failed)?;
        let mut came_back = Vec::new();
        for ended in &batch.ended {
            let had_failed = debt::delete(&mut write, &ended.delivery, owner, now).await.map_err(failed)?;
            came_back.extend(had_failed.map(|at| (ended.delivery.id, at)));
        }
        let mut superseded = put_debts(&mut write, &batch.debts, owner, now).await.map_err(failed)?;
        let told = lane::apply(&mut write, &batch.lanes, now).await.map_err(failed)?;
        superseded.extend(told.superseded);
        notice::put(&mut write, &batch.notices, &batch.fired).await.map_err(failed)?;
        let ended: Vec<Ended> = batch.ended.iter().chain(&superseded).cloned().collect();
        // Committed before the transaction around it is.
        self.write_log(what, &batch.attempts, &ended, &came_back).await?;
        write.commit().await.map_err(failed)?;
        // Only now: a failure that is on record by mistake is seen to, one that is not may be forgotten. Should this
        // go wrong it is done when the delivery is over.
        let _ = self.write_log(what, &[], &[], &told.revived).await;
        let revived = told.revived.into_iter().map(|(delivery, _)| delivery).collect();
        Ok(Settled { superseded, revived, stale: told.stale })
    }

    /// Writes attempts and endings into the files of their days, after taking away what these days say of deliveries
    /// that came back.
    pub(crate) async fn write_log(
        &self,
        what: &'static str,
        attempts: &[(Attempt, Exchange)],
        ended: &[Ended],
        came_back: &[(DeliveryId, Timestamp)],
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
        for (delivery, failed) in came_back {
            days.entry(Day::of(*failed)).or_default().came_back.push(*delivery);
        }
        for (day, log) in days {
            // A log that is damaged does not stop what it is a log of.
            match self.write_day(what, day, &log).await {
                Err(Error::Corrupt { .. }) => {
                    self.inner.days.set_aside(what, day).await?;
                    self.write_day(what, day, &log).await?;
                }
                written => written?,
            }
        }
        Ok(())
    }

    async fn write_day(&self, what: &'static str, day: Day, log: &DayLog<'_>) -> Result<(), Error> {
        let failed = doing_on(what, day);
        let database = self.inner.days.make(what, day).await?;
        let mut write = database.begin().await.map_err(failed)?;
        self.insert_attempts(&mut write, day, &log.attempts).await?;
        ending::take_back(&mut write, &log.came_back).await.map_err(failed)?;
        ending::insert(&mut write, &log.ended).await.map_err(failed)?;
        write.commit().await.map_err(failed)
    }
}
