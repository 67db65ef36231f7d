//! What can go wrong, and whether trying again helps.

use std::io;
use std::sync::Arc;

use sqlx::postgres::PgDatabaseError;

use crate::KeyId;
use crate::day::Day;
use crate::postgres::{self, Away};
use crate::secret::SecretError;

/// Why the store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder cannot be made or read.
    #[error("open the store in {folder}")]
    Folder {
        /// Which folder.
        folder: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file is damaged, or cannot be used.
    #[error("open {file}")]
    File {
        /// Which file.
        file: String,
        /// Why, and what to do.
        #[source]
        source: Box<Error>,
    },
    /// The URL of the store is none of PostgreSQL.
    #[error("open the store: store.url is not of the form postgres://user@host:5432/database")]
    Url,
    /// PostgreSQL cannot be reached or used.
    #[error("open the store in PostgreSQL ({server}): {advice}")]
    Server {
        /// Which database, without user and password.
        server: String,
        /// What to do.
        advice: &'static str,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// PostgreSQL is there, but not as the store needs it.
    #[error("open the store in PostgreSQL ({server}): {why}")]
    Unfit {
        /// Which database.
        server: String,
        /// What is wrong with it, and what to do.
        why: &'static str,
    },
    /// Written by a later version.
    #[error("open {file}: its format is {found}, this version knows {known}; start the newer version again")]
    Newer {
        /// Which file.
        file: String,
        /// In the file.
        found: i64,
        /// By this version.
        known: i64,
    },
    /// The store's secrets are sealed with another key.
    #[error(
        "open the store: its secrets are sealed with key {sealed}, the key given is {given}; give that key"
    )]
    WrongKey {
        /// In the store.
        sealed: KeyId,
        /// Given.
        given: KeyId,
    },
    /// The value that tells a wrong key is damaged.
    #[error("check the key of the store")]
    KeyCheck(#[source] SecretError),
}

/// Why the store did not do what was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The database refuses what was asked: a mistake of this program, or the store is closed.
    #[error("failed to {what}: the database refuses it")]
    Database {
        /// What was attempted.
        what: &'static str,
        /// Why.
        #[source]
        source: Arc<dyn std::error::Error + Send + Sync>,
    },
    /// The disk is full.
    #[error("failed to {what}: not stored, the disk is full; make room and try again")]
    Full {
        /// What was attempted.
        what: &'static str,
    },
    /// The disk, or what stands in its place, gives an error.
    #[error("failed to {what}: the disk gives an error; look at the system's log, and try again")]
    Disk {
        /// What was attempted.
        what: &'static str,
        /// Why.
        #[source]
        source: Arc<dyn std::error::Error + Send + Sync>,
    },
    /// The files, or the disk that they are on, cannot be written.
    #[error(
        "failed to {what}: not stored, the store's files are read-only; make them writable and try again"
    )]
    ReadOnly {
        /// What was attempted.
        what: &'static str,
    },
    /// A file is no longer what was written to it.
    #[error("failed to {what}: {file} is damaged; stop, keep a copy of it, and restore it from a backup")]
    Corrupt {
        /// What was attempted.
        what: &'static str,
        /// Which file, as far as it is known.
        file: String,
        /// Why.
        #[source]
        source: Arc<dyn std::error::Error + Send + Sync>,
    },
    /// PostgreSQL cannot be reached.
    #[error("failed to {what}: the database cannot be reached; check that it runs")]
    Away {
        /// What was attempted.
        what: &'static str,
        /// Why.
        #[source]
        source: Arc<dyn std::error::Error + Send + Sync>,
    },
    /// Another process writes for too long.
    #[error("failed to {what}: not stored, the store is busy; try again")]
    Busy {
        /// What was attempted.
        what: &'static str,
    },
    /// A row is not what we write.
    #[error("failed to {what}: {row} is damaged")]
    Damaged {
        /// What was attempted.
        what: &'static str,
        /// Which row.
        row: String,
        /// Why.
        #[source]
        source: Arc<dyn std::error::Error + Send + Sync>,
    },
    /// A sealed value does not open, or cannot be sealed.
    #[error("failed to {what}: a secret of {row}")]
    Secret {
        /// What was attempted.
        what: &'static str,
        /// Which row.
        row: String,
        /// Why.
        #[source]
        source: SecretError,
    },
    /// It is not there.
    #[error("there is no {kind} {key}")]
    NotFound {
        /// Of which kind.
        kind: &'static str,
        /// Its key or id.
        key: String,
    },
    /// Somebody else has changed it meanwhile.
    #[error("{kind} {key} was changed meanwhile: it has version {found}")]
    Conflict {
        /// Of which kind.
        kind: &'static str,
        /// Its key or id.
        key: String,
        /// The version it has; 0 = it does not exist.
        found: u64,
    },
    /// It would not hold together.
    #[error("{kind} {key}: {why}")]
    Refused {
        /// Of which kind.
        kind: &'static str,
        /// Its key or id.
        key: String,
        /// The rule.
        why: &'static str,
    },
}

impl Error {
    /// Whether the same call can succeed later: when there is room again, the other process is done, the disk is back
    /// or writable. A damaged file or row, and a mistake, stay what they are.
    pub fn is_temporary(&self) -> bool {
        matches!(
            self,
            Self::Full { .. }
                | Self::Busy { .. }
                | Self::Disk { .. }
                | Self::ReadOnly { .. }
                | Self::Away { .. }
        )
    }

    /// From what the database says.
    pub(crate) fn database(what: &'static str, error: sqlx::Error) -> Self {
        if Away::is(&error) {
            return Self::Away { what, source: Arc::new(error) };
        }
        let of_server =
            error.as_database_error().and_then(|error| error.try_downcast_ref::<PgDatabaseError>());
        if let Some(code) = of_server.map(|error| error.code().to_owned()) {
            return postgres::running(what, &code, error);
        }
        let code = match &error {
            sqlx::Error::Database(error) => error.code().and_then(|code| code.parse::<u32>().ok()),
            sqlx::Error::PoolTimedOut => return Self::Busy { what },
            sqlx::Error::Io(inner) => return Self::io(what, io::Error::new(inner.kind(), error)),
            _ => None,
        };
        // Extended codes have the plain one in their lowest byte.
        match code.map(|code| code & 0xff) {
            // SQLITE_BUSY, _LOCKED, _PROTOCOL (somebody recovers the file).
            Some(5 | 6 | 15) => Self::Busy { what },
            Some(8) => Self::ReadOnly { what },
            Some(13) => Self::Full { what },
            // SQLITE_NOMEM, _IOERR, _CANTOPEN.
            Some(7 | 10 | 14) => Self::Disk { what, source: Arc::new(error) },
            // SQLITE_CORRUPT, _NOTADB.
            Some(11 | 26) => Self::Corrupt { what, file: "store.db".to_owned(), source: Arc::new(error) },
            _ => Self::Database { what, source: Arc::new(error) },
        }
    }

    /// Of another file than `store.db`.
    pub(crate) fn in_file(mut self, name: &str) -> Self {
        if let Self::Corrupt { file, .. } = &mut self {
            name.clone_into(file);
        }
        self
    }

    /// From what the system says of a file.
    pub(crate) fn io(what: &'static str, error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full { what },
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => Self::ReadOnly { what },
            _ => Self::Disk { what, source: Arc::new(error) },
        }
    }

    /// A file that is opened while the store runs.
    pub(crate) fn open(what: &'static str, error: OpenError) -> Self {
        match error {
            OpenError::File { file, source } => match *source {
                Self::Corrupt { ref source, .. } => Self::Corrupt { what, file, source: Arc::clone(source) },
                ref other => other.clone(),
            },
            other => Self::Database { what, source: Arc::new(other) },
        }
    }
}

/// For `map_err`: a file cannot be opened.
pub(crate) fn opening(file: &str) -> impl Fn(sqlx::Error) -> OpenError + Copy {
    move |error| {
        let source = Error::database("open it", error).in_file(file);
        OpenError::File { file: file.to_owned(), source: Box::new(source) }
    }
}

/// For `map_err`: the same, in the file of a day.
pub(crate) fn doing_on(what: &'static str, day: Day) -> impl Fn(sqlx::Error) -> Error + Copy {
    move |error| Error::database(what, error).in_file(&day.file())
}

/// For `map_err`: says what was attempted, in `store.db`.
pub(crate) fn doing(what: &'static str) -> impl Fn(sqlx::Error) -> Error + Copy {
    move |error| Error::database(what, error)
}

/// For `map_err`: the same, of a row that belongs to another one. Where that is not there, the database refuses it.
pub(crate) fn doing_under(
    what: &'static str,
    kind: &'static str,
    key: impl std::fmt::Display,
) -> impl FnOnce(sqlx::Error) -> Error {
    move |error| match error.as_database_error() {
        Some(database) if database.is_foreign_key_violation() => {
            Error::NotFound { kind, key: key.to_string() }
        }
        _ => Error::database(what, error),
    }
}

#[cfg(test)]
mod tests;
