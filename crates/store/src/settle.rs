//! What dispatch makes durable before it moves on: calls, attempts, what is owed, what is over.

use std::collections::{BTreeMap, BTreeSet};

use ringpost_model::{DeliveryId, LaneId, Notice, NoticeId, Timestamp};

use crate::attempt::{Attempt, Exchange};
use crate::day::Day;
use crate::debt::{self, Debt};
use crate::ending::{self, Ended, Ending};
use crate::error::{Error, doing, doing_on};
use crate::lane::{self, LaneWord};
use crate::notice;
use crate::postgres::locks::Touched;
use crate::session::{self, NewSession};
use crate::spent;
use crate::sql::{Dialect, Tx};
use crate::store::{Backend, Files, Store};

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

/// What goes into the log.
#[derive(Default)]
pub(crate) struct Log<'a> {
    pub(crate) attempts: &'a [(Attempt, Exchange)],
    pub(crate) ended: &'a [Ended],
    /// With when it had failed.
    pub(crate) came_back: &'a [(DeliveryId, Timestamp)],
}

/// Of one day.
#[derive(Default)]
struct DayLog<'a> {
    attempts: Vec<&'a (Attempt, Exchange)>,
    ended: Vec<&'a Ended>,
    came_back: Vec<(DeliveryId, Timestamp)>,
}

impl<'a> Log<'a> {
    /// What was delivered is told by its last attempt.
    fn logged_endings(&self) -> impl Iterator<Item = &'a Ended> {
        self.ended.iter().filter(|ended| ended.ending != Ending::Delivered)
    }
}

impl Batch {
    /// There is more in it than attempts.
    fn touches_main(&self) -> bool {
        let is_empty = self.sessions.is_empty() && self.debts.is_empty() && self.ended.is_empty();
        !(is_empty && self.lanes.is_empty() && self.notices.is_empty() && self.fired.is_empty())
    }
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
            self.settle_main(WHAT, batch, owner, now).await
        } else {
            self.settle_attempts(WHAT, &batch.attempts).await.map(|()| Settled::default())
        };
        if matches!(settled, Err(Error::Busy { .. })) {
            // Another process may have dropped a day that this one believes to be there.
            self.forget_days();
        }
        let settled = settled?;
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
        self.make_days(what, &batch.attempts, &batch.ended, now).await?;
        let mut write = self.begin(what).await?;
        let failed = doing(what);
        session::upsert(&mut write, &batch.sessions).await.map_err(failed)?;
        lock(&mut write, batch).await.map_err(failed)?;
        let over = batch.ended.iter().map(|ended| &ended.delivery);
        let came_back = debt::delete(&mut write, over, owner, now).await.map_err(failed)?;
        let mut superseded = debt::put(&mut write, &batch.debts, owner, now).await.map_err(failed)?;
        let told = lane::apply(&mut write, &batch.lanes, now).await.map_err(failed)?;
        superseded.extend(told.superseded);
        notice::put(&mut write, &batch.notices, &batch.fired).await.map_err(failed)?;
        let ended: Vec<Ended> = batch.ended.iter().chain(&superseded).cloned().collect();
        let log = Log { attempts: &batch.attempts, ended: &ended, came_back: &came_back };
        // In files committed before the transaction around it is; in PostgreSQL with it.
        self.write_log(what, &mut write, &log).await?;
        let revived = Log { came_back: &told.revived, ..Log::default() };
        if self.is_shared() {
            self.write_log(what, &mut write, &revived).await?;
            write.commit().await.map_err(failed)?;
        } else {
            write.commit().await.map_err(failed)?;
            // Only now: a failure that is on record by mistake is seen to, one that is not may be forgotten. Should
            // this go wrong it is done when the delivery is over.
            let _ = self.write_files(what, &revived).await;
        }
        let revived = told.revived.into_iter().map(|(delivery, _)| delivery).collect();
        Ok(Settled { superseded, revived, stale: told.stale })
    }

    /// Attempts, and nothing else: most of what is settled when all is well.
    async fn settle_attempts(
        &self,
        what: &'static str,
        attempts: &[(Attempt, Exchange)],
    ) -> Result<(), Error> {
        if !self.is_shared() {
            return self.write_files(what, &Log { attempts, ..Log::default() }).await;
        }
        self.make_days(what, attempts, &[], Timestamp::default()).await?;
        let rows: Vec<_> = attempts.iter().collect();
        // One statement is a transaction by itself.
        self.insert_lists(&rows)?.execute(self.readers()).await.map_err(doing(what))?;
        Ok(())
    }

    /// In PostgreSQL the days that a batch writes to have to be there before.
    async fn make_days(
        &self,
        what: &'static str,
        attempts: &[(Attempt, Exchange)],
        ended: &[Ended],
        now: Timestamp,
    ) -> Result<(), Error> {
        if !self.is_shared() {
            return Ok(());
        }
        let mut days = BTreeSet::new();
        for (attempt, _) in attempts {
            days.insert(day_of(attempt)?);
        }
        days.extend(ended.iter().map(|ended| Day::of(ended.at)));
        // What is superseded ends now.
        days.extend((now != Timestamp::default()).then(|| Day::of(now)));
        self.have_days(what, days).await
    }

    /// Writes attempts and endings into the log, after taking away what it says of deliveries that came back.
    pub(crate) async fn write_log(
        &self,
        what: &'static str,
        to: &mut Tx,
        log: &Log<'_>,
    ) -> Result<(), Error> {
        if !self.is_shared() {
            return self.write_files(what, log).await;
        }
        let attempts: Vec<_> = log.attempts.iter().collect();
        if !attempts.is_empty() {
            self.insert_attempts(to, &attempts, doing(what)).await?;
        }
        ending::take_back(to, log.came_back).await.map_err(doing(what))?;
        ending::insert(to, &log.logged_endings().collect::<Vec<_>>()).await.map_err(doing(what))
    }

    /// The same into the files of their days.
    async fn write_files(&self, what: &'static str, log: &Log<'_>) -> Result<(), Error> {
        let mut days: BTreeMap<Day, DayLog<'_>> = BTreeMap::new();
        for attempt in log.attempts {
            days.entry(day_of(&attempt.0)?).or_default().attempts.push(attempt);
        }
        for ended in log.logged_endings() {
            days.entry(Day::of(ended.at)).or_default().ended.push(ended);
        }
        for came_back in log.came_back {
            days.entry(Day::of(came_back.1)).or_default().came_back.push(*came_back);
        }
        let Backend::Files(files) = &self.inner.backend else { return Ok(()) };
        for (day, log) in days {
            // A log that is damaged does not stop what it is a log of.
            match self.write_day(what, files, day, &log).await {
                Err(Error::Corrupt { .. }) => {
                    files.days.set_aside(what, day).await?;
                    self.write_day(what, files, day, &log).await?;
                }
                written => written?,
            }
        }
        Ok(())
    }

    async fn write_day(
        &self,
        what: &'static str,
        files: &Files,
        day: Day,
        log: &DayLog<'_>,
    ) -> Result<(), Error> {
        let failed = doing_on(what, day);
        let database = files.days.make(what, day).await?;
        let mut write = Tx::Sqlite(database.begin().await.map_err(failed)?);
        self.insert_attempts(&mut write, &log.attempts, failed).await?;
        ending::take_back(&mut write, &log.came_back).await.map_err(failed)?;
        ending::insert(&mut write, &log.ended).await.map_err(failed)?;
        write.commit().await.map_err(failed)
    }
}

fn day_of(attempt: &Attempt) -> Result<Day, Error> {
    let why = "its id is no UUIDv7";
    let refused = || Error::Refused { kind: "attempt", key: attempt.id.to_string(), why };
    Day::of_attempt(attempt.id).ok_or_else(refused)
}

/// Nobody else changes the lanes of a batch, and its deliveries and those that stand in line with them, until it is
/// committed.
async fn lock(to: &mut Tx, batch: &Batch) -> sqlx::Result<()> {
    if to.dialect() == Dialect::Sqlite {
        return Ok(());
    }
    let mut touched = Touched::default();
    let owed = batch.debts.iter().map(|debt| &debt.delivery);
    for delivery in owed.chain(batch.ended.iter().map(|ended| &ended.delivery)) {
        touched.strand(delivery.trigger, delivery.session);
    }
    let mut lanes = Touched::default();
    for word in &batch.lanes {
        lanes.lane(word.lane());
        if let LaneWord::Spent { debt, .. } = word {
            touched.strand(debt.delivery.trigger, debt.delivery.session);
        }
    }
    // First the lanes: only then is it certain what comes back.
    lanes.lock(to).await?;
    for word in &batch.lanes {
        if let LaneWord::Revive { lane, .. } = word {
            spent::touch(to, *lane, &mut touched).await?;
        }
    }
    touched.lock(to).await
}
