//! Where the log of attempts and endings lies: in files one for each day, in PostgreSQL one table in parts.
//! Searches go over it newest first, and stop when they have enough.

use std::sync::Arc;

use ringpost_model::{AttemptId, Timestamp};

use crate::database::Database;
use crate::day::Day;
use crate::error::{Error, doing, doing_on};
use crate::sql::Readers;
use crate::store::{Backend, Store};

/// A part of the log that is searched by itself: a day, or all of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Part(Option<Day>);

/// One that is open.
pub(crate) enum OpenPart<'a> {
    Day(Arc<Database>),
    All(Readers<'a>),
}

impl Part {
    /// All in it is of this time or later.
    pub(crate) fn start(self) -> Timestamp {
        self.0.map_or(Timestamp::from_micros(i64::MIN), Day::start)
    }

    /// All in it is of before this time.
    pub(crate) fn end(self) -> Timestamp {
        self.0.map_or(Timestamp::from_micros(i64::MAX), Day::end)
    }

    /// For `map_err`.
    pub(crate) fn failed(self, what: &'static str) -> impl Fn(sqlx::Error) -> Error + Copy {
        move |error| match self.0 {
            Some(day) => doing_on(what, day)(error),
            None => doing(what)(error),
        }
    }
}

impl OpenPart<'_> {
    pub(crate) fn readers(&self) -> Readers<'_> {
        match self {
            Self::Day(database) => Readers::Sqlite(&database.readers),
            Self::All(readers) => *readers,
        }
    }
}

impl Store {
    /// The parts of the log, newest first.
    pub(crate) fn log_parts(&self, what: &'static str) -> Result<Vec<Part>, Error> {
        Ok(match &self.inner.backend {
            Backend::Files(files) => {
                files.days.list(what)?.into_iter().rev().map(|day| Part(Some(day))).collect()
            }
            Backend::Postgres(_) => vec![Part(None)],
        })
    }

    /// The part that an attempt is in; none = its id is of no day.
    pub(crate) fn log_part_of(&self, id: AttemptId) -> Option<Part> {
        let day = Day::of_attempt(id)?;
        Some(if self.is_shared() { Part(None) } else { Part(Some(day)) })
    }

    /// One of them; none = it was dropped meanwhile.
    pub(crate) async fn log_part(
        &self,
        what: &'static str,
        part: Part,
    ) -> Result<Option<OpenPart<'_>>, Error> {
        match (&self.inner.backend, part.0) {
            (Backend::Files(files), Some(day)) => Ok(files.days.find(what, day).await?.map(OpenPart::Day)),
            (Backend::Files(_), None) => Ok(None),
            (Backend::Postgres(server), _) => Ok(Some(OpenPart::All(Readers::Postgres(server.pool())))),
        }
    }

    /// Gives a part that is damaged another name: its day begins anew. Not for PostgreSQL.
    pub(crate) async fn set_part_aside(&self, what: &'static str, part: Part) -> Result<(), Error> {
        match (&self.inner.backend, part.0) {
            (Backend::Files(files), Some(day)) => files.days.set_aside(what, day).await,
            _ => Ok(()),
        }
    }

    /// In PostgreSQL: days that are written to have to be there before.
    pub(crate) async fn have_days(
        &self,
        what: &'static str,
        days: impl IntoIterator<Item = Day>,
    ) -> Result<(), Error> {
        match &self.inner.backend {
            Backend::Files(_) => Ok(()),
            Backend::Postgres(server) => server.days.make(server.pool(), days).await.map_err(doing(what)),
        }
    }

    pub(crate) fn forget_days(&self) {
        if let Backend::Postgres(server) = &self.inner.backend {
            server.days.forget();
        }
    }
}
