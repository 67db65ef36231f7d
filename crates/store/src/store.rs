//! The store: where it lies, and how it is opened and closed.

use std::path::PathBuf;
use std::sync::Arc;

use crate::database::Database;
use crate::day::Days;
use crate::error::{Error, OpenError, doing, opening};
use crate::metrics::Metrics;
use crate::postgres::{self, Server};
use crate::secret::{Keyring, Place, SecretError};
use crate::sql::{self, Dialect, Readers, Tx};

/// Migrations of `store.db`, oldest first. A released one is never changed.
const STEPS: [&str; 3] = [
    include_str!("schema/store_1.sql"),
    include_str!("schema/store_2.sql"),
    include_str!("schema/store_3.sql"),
];
/// Readers at a time: pages, the API, and dispatch, which waits for none of them.
const READERS: u32 = 8;
const CHECK: Place<'static> = Place { tenant: b"", row: b"key_check", column: "key_check.sealed" };

/// Settings of a store in files.
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
    pub(crate) backend: Backend,
    pub(crate) keyring: Keyring,
    pub(crate) metrics: Metrics,
}

/// Where it all lies.
#[derive(Debug)]
pub(crate) enum Backend {
    Files(Files),
    Postgres(Server),
}

/// On one machine: a file for all but the log, and one a day for that.
#[derive(Debug)]
pub(crate) struct Files {
    pub(crate) folder: PathBuf,
    pub(crate) main: Database,
    pub(crate) days: Days,
}

impl Store {
    /// Opens the store in files, or makes it.
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
        let days = Days::new(config.folder.clone());
        let store = Self::of(Backend::Files(Files { folder: config.folder, main, days }), config.keyring);
        store.check_key(opening(&path.display().to_string())).await?;
        Ok(store)
    }

    /// Opens the store in PostgreSQL, and makes or updates its tables there.
    ///
    /// # Errors
    /// The database cannot be reached or used, its tables are of a later version, or the key is not the one the
    /// secrets are sealed with.
    pub async fn connect(config: postgres::Config) -> Result<Self, OpenError> {
        let server = Server::open(&config).await?;
        let failed = server.opening();
        let store = Self::of(Backend::Postgres(server), config.keyring);
        store.check_key(failed).await?;
        Ok(store)
    }

    fn of(backend: Backend, keyring: Keyring) -> Self {
        Self { inner: Arc::new(Inner { backend, keyring, metrics: Metrics::new() }) }
    }

    /// Closes every file or connection, in order. Whoever still has a handle gets errors.
    pub async fn close(&self) {
        match &self.inner.backend {
            Backend::Files(files) => {
                files.days.close().await;
                files.main.close().await;
            }
            Backend::Postgres(server) => server.close().await,
        }
    }

    /// Its counters.
    pub fn metrics(&self) -> &Metrics {
        &self.inner.metrics
    }

    /// Whether several machines may work on it.
    pub fn is_shared(&self) -> bool {
        matches!(self.inner.backend, Backend::Postgres(_))
    }

    pub(crate) fn dialect(&self) -> Dialect {
        self.readers().dialect()
    }

    pub(crate) async fn begin(&self, what: &'static str) -> Result<Tx, Error> {
        match &self.inner.backend {
            Backend::Files(files) => files.main.begin().await.map(Tx::Sqlite).map_err(doing(what)),
            Backend::Postgres(server) => server.begin().await.map(Tx::Postgres).map_err(doing(what)),
        }
    }

    pub(crate) fn readers(&self) -> Readers<'_> {
        match &self.inner.backend {
            Backend::Files(files) => Readers::Sqlite(&files.main.readers),
            Backend::Postgres(server) => Readers::Postgres(server.pool()),
        }
    }

    /// The first start seals a value; every later one opens it. A former key in the ring opens it too.
    async fn check_key(&self, failed: impl Fn(sqlx::Error) -> OpenError) -> Result<(), OpenError> {
        let begun = match &self.inner.backend {
            Backend::Files(files) => files.main.begin().await.map(Tx::Sqlite),
            Backend::Postgres(server) => server.begin().await.map(Tx::Postgres),
        };
        let mut write = begun.map_err(&failed)?;
        postgres::locks::configuration(&mut write).await.map_err(&failed)?;
        let row = sql::query("SELECT sealed FROM key_check").fetch_optional(&mut write).await;
        if let Some(row) = row.map_err(&failed)? {
            let sealed: &[u8] = row.try_get(0).map_err(&failed)?;
            match self.inner.keyring.open(&CHECK, sealed) {
                Ok(_) => return Ok(()),
                Err(SecretError::OtherKey { sealed, given }) => {
                    return Err(OpenError::WrongKey { sealed, given });
                }
                Err(other) => return Err(OpenError::KeyCheck(other)),
            }
        }
        let sealed = self.inner.keyring.seal(&CHECK, b"ringpost").map_err(OpenError::KeyCheck)?;
        let insert = sql::query("INSERT INTO key_check (one, sealed) VALUES (1, $1)").bind(sealed);
        insert.execute(&mut write).await.map_err(&failed)?;
        write.commit().await.map_err(&failed)
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
