//! The store in PostgreSQL: how it is reached, and what its tables are. Several processes may work on one at a time.
//!
//! What is asked of it is in the modules of the crate, beside what is asked of files.

mod days;
pub(crate) mod locks;
mod migrate;
mod pool;
mod problem;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;

pub(crate) use days::Days;
pub(crate) use pool::{Pool, PostgresTx};
pub(crate) use problem::{Away, running};

use crate::error::OpenError;
use crate::secret::Keyring;

/// Settings of a store in PostgreSQL.
#[derive(Clone)]
pub struct Config {
    /// `postgres://user:password@host:port/database`, with the parameters of libpq that matter (`sslmode`,
    /// `sslrootcert`, …). What it leaves out is taken from `PGUSER`, `PGPASSWORD`, … and `~/.pgpass`.
    pub url: String,
    /// What secrets are sealed with.
    pub keyring: Keyring,
    /// The password, where it is not in the URL.
    pub password: Option<String>,
    /// Connections at a time, at most.
    pub connections: u32,
    /// For how long a statement waits for a free connection.
    pub wait: Duration,
    /// For how long a statement may take; after it its connection is given up.
    pub timeout: Duration,
    /// A pooler stands between that gives each transaction another connection (PgBouncer, `pool_mode =
    /// transaction`): nothing is kept in a connection.
    pub transaction_pooler: bool,
}

impl Config {
    /// With the defaults of `config/default.toml`.
    pub fn new(url: &str, keyring: Keyring) -> Self {
        Self {
            url: url.to_owned(),
            keyring,
            password: None,
            connections: 10,
            wait: Duration::from_secs(10),
            timeout: Duration::from_secs(30),
            transaction_pooler: false,
        }
    }
}

/// The URL may hold a password.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config").field("connections", &self.connections).finish_non_exhaustive()
    }
}

/// Where a URL leads to, for people: without user and password. None = it is no URL of PostgreSQL.
pub fn shown_url(url: &str) -> Option<String> {
    is_url(url).then(|| PgConnectOptions::from_str(url).ok()).flatten().map(|options| shown(&options))
}

fn is_url(url: &str) -> bool {
    url.starts_with("postgres://") || url.starts_with("postgresql://")
}

fn shown(options: &PgConnectOptions) -> String {
    let database = options.get_database().unwrap_or_else(|| options.get_username());
    match options.get_socket() {
        Some(socket) => format!("{database} at {}", socket.display()),
        None => format!("{database} at {}:{}", options.get_host(), options.get_port()),
    }
}

/// A database that is open.
#[derive(Debug)]
pub(crate) struct Server {
    /// Which one, for people.
    shown: String,
    pool: Pool,
    pub(crate) days: Days,
}

impl Server {
    /// Connects, and brings the tables up to date.
    pub(crate) async fn open(config: &Config) -> Result<Self, OpenError> {
        let url = config.url.as_str();
        let options = is_url(url).then(|| PgConnectOptions::from_str(url).ok()).flatten();
        let options = options.ok_or(OpenError::Url)?;
        let options = match &config.password {
            Some(password) => options.password(password),
            None => options,
        };
        let shown = shown(&options);
        let pool = Pool::new(options, config);
        migrate::migrate(&pool, &shown).await?;
        Ok(Self { shown, pool, days: Days::default() })
    }

    pub(crate) async fn begin(&self) -> sqlx::Result<PostgresTx> {
        self.pool.begin().await
    }

    pub(crate) fn pool(&self) -> &Pool {
        &self.pool
    }

    pub(crate) async fn close(&self) {
        self.pool.close().await;
    }

    /// For `map_err` while it is opened.
    pub(crate) fn opening(&self) -> impl Fn(sqlx::Error) -> OpenError + use<> {
        let shown = self.shown.clone();
        move |error| problem::opening(&shown, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_without_its_password() {
        let shown = shown_url("postgres://ringpost:hunter2@db.example:5433/calls?sslmode=require");
        assert_eq!(shown.unwrap(), "calls at db.example:5433");
        assert_eq!(shown_url("mysql://ringpost:hunter2@db.example/calls"), None);
        let config = Config::new(
            "postgres://u:hunter2@db/x",
            Keyring::new(crate::Key::parse(&"a".repeat(64)).unwrap()),
        );
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
