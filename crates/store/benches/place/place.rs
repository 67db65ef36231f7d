//! Where a store is measured: in files, and in PostgreSQL where `RINGPOST_TEST_POSTGRES` names a server
//! (scripts/postgres run cargo bench …). Its processor time counts too, where they are in reach of `/proc`.

use std::path::Path;

use ringpost_store::{Config, Key, Keyring, PostgresConfig, Store};
use sqlx::Connection;
use sqlx::postgres::PgConnection;

/// A store, and what it lies in.
pub(crate) struct Place {
    pub(crate) name: &'static str,
    pub(crate) store: Store,
    folder: Option<tempfile::TempDir>,
    url: String,
}

/// One of each kind that there is.
pub(crate) async fn places() -> Vec<Place> {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(Config { folder: folder.path().to_owned(), keyring: keyring() }).await;
    let mut places = vec![Place {
        name: "files",
        store: store.expect("a store"),
        folder: Some(folder),
        url: String::new(),
    }];
    if let Ok(server) = std::env::var("RINGPOST_TEST_POSTGRES") {
        places.push(Place::on(&server).await);
    }
    places
}

impl Place {
    async fn on(server: &str) -> Self {
        let mut connection = PgConnection::connect(server).await.expect("the server that was named");
        for sql in ["DROP DATABASE IF EXISTS ringpost_bench WITH (FORCE)", "CREATE DATABASE ringpost_bench"] {
            sqlx::raw_sql(sql).execute(&mut connection).await.expect("an empty database");
        }
        let (server, _) = server.rsplit_once('/').expect("a URL with a database");
        let url = format!("{server}/ringpost_bench");
        let store = Store::connect(PostgresConfig::new(&url, keyring())).await.expect("a store");
        Self { name: "PostgreSQL", store, folder: None, url }
    }

    /// Of what it lies in, after it was closed.
    pub(crate) async fn bytes(&self) -> u64 {
        let Some(folder) = &self.folder else {
            let mut connection = PgConnection::connect(&self.url).await.expect("the database");
            let sql = "SELECT pg_database_size('ringpost_bench') - pg_database_size('template1')";
            let size: i64 = sqlx::query_scalar(sql).fetch_one(&mut connection).await.expect("its size");
            return size as u64;
        };
        let files = std::fs::read_dir(folder.path()).expect("the folder");
        files.filter_map(|file| Some(file.ok()?.metadata().ok()?.len())).sum()
    }
}

fn keyring() -> Keyring {
    Keyring::new(Key::parse(&"a".repeat(64)).expect("a key"))
}

/// User and system time of this process, by the kernel's ticks of 10 ms.
pub(crate) fn own_cpu() -> f64 {
    ticks(Path::new("/proc/self"), &[11, 12]) / 100.0
}

/// The same of PostgreSQL: its first process with all that have ended, and those that have not.
pub(crate) fn server_cpu() -> f64 {
    let Ok(dir) = std::env::var("RINGPOST_TEST_POSTGRES_DIR") else { return 0.0 };
    let pids = std::fs::read_to_string(Path::new(&dir).join("data/postmaster.pid")).unwrap_or_default();
    let first = pids.lines().next().unwrap_or_default().to_owned();
    let mut all = ticks(&Path::new("/proc").join(&first), &[11, 12, 13, 14]);
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let parent = field(&entry.path(), 1);
        if parent.is_some_and(|parent| parent.to_string() == first) {
            all += ticks(&entry.path(), &[11, 12]);
        }
    }
    all / 100.0
}

fn ticks(process: &Path, at: &[usize]) -> f64 {
    at.iter().filter_map(|at| field(process, *at)).sum()
}

/// Counted from the state, which follows the name in brackets.
fn field(process: &Path, at: usize) -> Option<f64> {
    let stat = std::fs::read_to_string(process.join("stat")).ok()?;
    stat.rsplit(')').next()?.split_whitespace().nth(at)?.parse().ok()
}
