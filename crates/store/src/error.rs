//! What can go wrong, and whether trying again helps.

use std::sync::Arc;

use crate::KeyId;
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
        /// Why.
        #[source]
        source: Arc<dyn std::error::Error + Send + Sync>,
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
    /// The database failed us.
    #[error("failed to {what}")]
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
    /// Whether the same call can succeed later.
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Database { .. } | Self::Full { .. } | Self::Busy { .. })
    }

    /// From what the database says.
    pub(crate) fn database(what: &'static str, error: sqlx::Error) -> Self {
        let code = error.as_database_error().and_then(|error| error.code());
        match code.as_deref() {
            // SQLITE_FULL; SQLITE_BUSY and its extended codes.
            Some("13") => Self::Full { what },
            Some("5" | "261" | "517") => Self::Busy { what },
            _ if matches!(error, sqlx::Error::PoolTimedOut) => Self::Busy { what },
            _ => Self::Database { what, source: Arc::new(error) },
        }
    }
}

/// For `map_err`: says what was attempted.
pub(crate) fn doing(what: &'static str) -> impl Fn(sqlx::Error) -> Error + Copy {
    move |error| Error::database(what, error)
}
