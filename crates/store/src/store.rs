//! The store: its files, and how it is opened and closed.

use std::path::PathBuf;
use std::sync::Arc;

use sqlx::sqlite::Sqlite;
use sqlx::{Row, Transaction};

use crate::database::Database;
use crate::day::Days;
use crate::error::{Error, OpenError, doing, opening};
use crate::metrics::Metrics;
use crate::secret::{Keyring, Place, SecretError};

/// Migrations of `store.db`, oldest first. A released one is never changed.
const STEPS: [&str; 3] = [
    include_str!("schema/store_1.sql"),
    include_str!("schema/store_2.sql"),
    include_str!("schema/store_3.sql"),
];
/// Readers at a time: pages, the API, and dispatch, which waits for none of them.
const READERS: u32 = 8;
const CHECK: Place<'static> = Place { tenant: b"", row: b"key_check", column: "key_check.sealed" };

/// Settings of the store.
#[derive(Debug, Clone)]
pub struct Config {
    /// The folder that holds its files; made when missing.
    pub folder: PathBuf,
    /// What secrets are sealed with.
    pub keyring: Keyring,
}

/// Handle of the store; cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) folder: PathBuf,
    pub(crate) main: Database,
    pub(crate) days: Days,
    pub(crate) keyring: Keyring,
    pub(crate) metrics: Metrics,
}

impl Store {
    /// Opens the store, or makes it.
    ///
    /// # Errors
    /// The folder cannot be used, a file is damaged or newer, or the key is not the one the secrets are sealed
    /// with.
    pub async fn open(config: Config) -> Result<Self, OpenError> {
        let folder = config.folder.display().to_string();
        let made = std::fs::create_dir_all(&config.folder);
        made.map_err(|source| OpenError::Folder { folder: folder.clone(), source })?;
        let path = config.folder.join("store.db");
        let main = Database::open(&path, READERS, &STEPS).await?;
        check_key(&main, &config.keyring, &path.display().to_string()).await?;
        let days = Days::new(config.folder.clone());
        let inner =
            Inner { folder: config.folder, main, days, keyring: config.keyring, metrics: Metrics::new() };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Closes every file, in order. Whoever still has a handle gets errors.
    pub async fn close(&self) {
        self.inner.days.close().await;
        self.inner.main.close().await;
    }

    /// Its counters.
    pub fn metrics(&self) -> &Metrics {
        &self.inner.metrics
    }

    pub(crate) async fn begin(&self, what: &'static str) -> Result<Transaction<'static, Sqlite>, Error> {
        self.inner.main.begin().await.map_err(doing(what))
    }

    pub(crate) fn readers(&self) -> &sqlx::SqlitePool {
        &self.inner.main.readers
    }

    /// Seals a value of a row.
    pub(crate) fn seal(
        &self,
        what: &'static str,
        place: &Place<'_>,
        row: impl ToString,
        plain: &[u8],
    ) -> Result<Vec<u8>, Error> {
        let sealed = self.inner.keyring.seal(place, plain);
        sealed.map_err(|source| Error::Secret { what, row: row.to_string(), source })
    }

    /// Opens a value of a row.
    pub(crate) fn unseal(
        &self,
        what: &'static str,
        place: &Place<'_>,
        row: impl ToString,
        sealed: &[u8],
    ) -> Result<Vec<u8>, Error> {
        let plain = self.inner.keyring.open(place, sealed);
        plain.map_err(|source| Error::Secret { what, row: row.to_string(), source })
    }
}

/// The first start seals a value; every later one opens it. A former key in the ring opens it
/// too.
async fn check_key(main: &Database, keyring: &Keyring, file: &str) -> Result<(), OpenError> {
    let failed = opening(file);
    let mut transaction = main.begin().await.map_err(failed)?;
    let row = sqlx::query("SELECT sealed FROM key_check").fetch_optional(&mut *transaction).await;
    if let Some(row) = row.map_err(failed)? {
        let sealed: &[u8] = row.try_get(0).map_err(failed)?;
        match keyring.open(&CHECK, sealed) {
            Ok(_) => return Ok(()),
            Err(SecretError::OtherKey { sealed, given }) => {
                return Err(OpenError::WrongKey { sealed, given });
            }
            Err(other) => return Err(OpenError::KeyCheck(other)),
        }
    }
    let sealed = keyring.seal(&CHECK, b"ringpost").map_err(OpenError::KeyCheck)?;
    let insert = sqlx::query("INSERT INTO key_check (one, sealed) VALUES (1, ?)").bind(sealed);
    insert.execute(&mut *transaction).await.map_err(failed)?;
    transaction.commit().await.map_err(failed)
}
