//! Days (UTC), by which the log lies; and their files: found, made, and dropped whole.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ringpost_model::{AttemptId, Timestamp};
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::database::Database;
use crate::error::Error;

/// Migrations of a day's file, oldest first. A released one is never changed.
const STEPS: [&str; 1] = [include_str!("schema/attempts_1.sql")];
/// Readers of one day: few look at one day at the same time.
const READERS: u32 = 2;
const DAY_MICROS: i64 = 86_400_000_000;

/// A day in UTC, counted from 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Day(i64);

impl Day {
    pub(crate) fn of(time: Timestamp) -> Self {
        Self(time.micros().div_euclid(DAY_MICROS))
    }

    /// The day that an attempt belongs to: the one in its id, so that a repeated insert meets the first one.
    /// None = not a UUIDv7.
    pub(crate) fn of_attempt(id: AttemptId) -> Option<Self> {
        if id.0.get_version_num() != 7 {
            return None;
        }
        let (seconds, nanos) = id.0.get_timestamp()?.to_unix();
        let micros = i64::try_from(seconds).ok()?.checked_mul(1_000_000)? + i64::from(nanos / 1_000);
        Some(Self::of(Timestamp::from_micros(micros)))
    }

    pub(crate) fn start(self) -> Timestamp {
        Timestamp::from_micros(self.0 * DAY_MICROS)
    }

    pub(crate) fn end(self) -> Timestamp {
        self.start().plus_micros(DAY_MICROS)
    }

    /// The least id of an attempt of that day.
    pub(crate) fn first_id(self) -> Uuid {
        first_id(self.start())
    }

    pub(crate) fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// Days since 1970-01-01.
    pub(crate) fn number(self) -> i64 {
        self.0
    }

    /// How the tables of that day end in PostgreSQL.
    pub(crate) fn partition(self) -> String {
        self.to_string().replace('-', "_")
    }

    /// Of the name of such a table.
    pub(crate) fn of_partition(name: &str) -> Option<Self> {
        let date = name.strip_prefix("attempts_")?.replace('_', "-");
        Timestamp::parse(&format!("{date}T00:00:00Z")).ok().map(Self::of)
    }

    fn parse(name: &str) -> Option<Self> {
        let date = name.strip_prefix("attempts-")?.strip_suffix(".db")?;
        Timestamp::parse(&format!("{date}T00:00:00Z")).ok().map(Self::of)
    }

    pub(crate) fn file(self) -> String {
        format!("attempts-{self}.db")
    }
}

/// The least UUIDv7 of a millisecond: an index of ids is an index of time.
pub(crate) fn first_id(time: Timestamp) -> Uuid {
    let millis = time.micros().div_euclid(1_000).max(0) as u64;
    let mut bytes = [0; 16];
    bytes[..6].copy_from_slice(&millis.to_be_bytes()[2..]);
    Uuid::from_bytes(bytes)
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.start().to_string();
        f.write_str(text.get(..10).unwrap_or(&text))
    }
}

/// Every day's file; open ones stay open.
#[derive(Debug)]
pub(crate) struct Days {
    folder: PathBuf,
    open: Mutex<BTreeMap<Day, Arc<Database>>>,
}

impl Days {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder, open: Mutex::default() }
    }

    /// The file of a day, made where there is none.
    pub(crate) async fn make(&self, what: &'static str, day: Day) -> Result<Arc<Database>, Error> {
        let mut open = self.open.lock().await;
        if let Some(database) = open.get(&day) {
            return Ok(Arc::clone(database));
        }
        let database = Database::open(&self.folder.join(day.file()), READERS, &STEPS).await;
        let database = database.map_err(|source| Error::open(what, source))?;
        let database = Arc::new(database);
        open.insert(day, Arc::clone(&database));
        Ok(database)
    }

    /// The file of a day, where there is one.
    pub(crate) async fn find(&self, what: &'static str, day: Day) -> Result<Option<Arc<Database>>, Error> {
        if !self.folder.join(day.file()).exists() {
            return Ok(None);
        }
        self.make(what, day).await.map(Some)
    }

    /// Every day with a file, oldest first.
    pub(crate) fn list(&self, what: &'static str) -> Result<Vec<Day>, Error> {
        let failed = |error| Error::io(what, error);
        let mut days = Vec::new();
        for entry in std::fs::read_dir(&self.folder).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            days.extend(name.to_str().and_then(Day::parse));
        }
        days.sort_unstable();
        Ok(days)
    }

    /// Gives a damaged file another name, so that its day goes on with a new one. What it held is listed no more; who
    /// asks whether a delivery of it is over hears no, and it may be sent once more.
    pub(crate) async fn set_aside(&self, what: &'static str, day: Day) -> Result<(), Error> {
        let mut open = self.open.lock().await;
        if let Some(database) = open.remove(&day) {
            database.close().await;
        }
        let path = self.folder.join(day.file());
        let aside = |number: u32| self.folder.join(format!("{}.damaged-{number}", day.file()));
        let free =
            (1..).find(|number| !aside(*number).exists()).expect("a folder holds fewer files than numbers");
        // Its log first: alone beside a new file it would be read into that.
        for suffix in ["-wal", "-shm", ""] {
            let name = |path: &Path| {
                let mut name = path.as_os_str().to_owned();
                name.push(suffix);
                name
            };
            match std::fs::rename(name(&path), name(&aside(free))) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::io(what, error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Deletes the file of a day.
    pub(crate) async fn drop(&self, what: &'static str, day: Day) -> Result<(), Error> {
        let mut open = self.open.lock().await;
        if let Some(database) = open.remove(&day) {
            database.close().await;
        }
        let path = self.folder.join(day.file());
        for suffix in ["-wal", "-shm", ""] {
            let mut name = path.clone().into_os_string();
            name.push(suffix);
            match std::fs::remove_file(&name) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::io(what, error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    pub(crate) async fn close(&self) {
        for database in std::mem::take(&mut *self.open.lock().await).into_values() {
            database.close().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_named_by_its_date_and_found_by_its_name() {
        let time = Timestamp::parse("2026-10-25T23:59:59.999999Z").unwrap();
        assert_eq!(Day::of(time).file(), "attempts-2026-10-25.db");
        assert_eq!(Day::parse("attempts-2026-10-25.db"), Some(Day::of(time)));
        assert_ne!(Day::of(time.plus_micros(1)), Day::of(time));
        for other in ["attempts-2026-10-25.db-wal", "store.db", "attempts-x.db"] {
            assert_eq!(Day::parse(other), None, "{other}");
        }
    }
}
