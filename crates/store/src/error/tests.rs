//! What the database really says when the disk is full, read-only or damaged, and what we make of it.

use std::fs;
use std::path::Path;

use ringpost_model::{Tenant, TenantId, TenantKey, Timestamp};
use uuid::Uuid;

use crate::store::{Backend, Files};
use crate::{Config, Error, Key, Keyring, OpenError, Store};

async fn open(folder: &Path) -> Result<Store, OpenError> {
    let key = Key::parse(&"a".repeat(64)).unwrap();
    Store::open(Config { folder: folder.to_owned(), keyring: Keyring::new(key) }).await
}

async fn put(store: &Store, n: u128) -> Result<(), Error> {
    let tenant = Tenant {
        name: "x".repeat(500).into(),
        region: "GB".into(),
        ..Tenant::new(TenantId(Uuid::from_u128(n)), TenantKey::new(&format!("tenant-{n}")).unwrap())
    };
    store.put_tenant(&tenant, Timestamp::default()).await.map(drop)
}

fn files(store: &Store) -> &Files {
    match &store.inner.backend {
        Backend::Files(files) => files,
        Backend::Postgres(_) => panic!("it is in files"),
    }
}

/// On the one connection that writes.
async fn pragma(store: &Store, sql: &'static str) {
    let mut writer = files(store).main.begin().await.unwrap();
    sqlx::raw_sql(sql).execute(&mut *writer).await.unwrap();
    writer.commit().await.unwrap();
}

/// The whole chain, as it is logged.
fn told(error: &dyn std::error::Error) -> String {
    let sources = std::iter::successors(Some(error), |error| error.source());
    sources.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[tokio::test]
async fn a_full_disk_says_so_and_goes_on_when_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await.unwrap();
    // Below what there is: no page more.
    pragma(&store, "PRAGMA max_page_count = 1").await;
    let mut n = 0;
    let error = loop {
        n += 1;
        if let Err(error) = put(&store, n).await {
            break error;
        }
    };
    assert!(matches!(error, Error::Full { .. }) && error.is_temporary(), "{error:?}");
    let text = "failed to save a tenant: not stored, the disk is full; make room and try again";
    assert_eq!(told(&error), text);
    pragma(&store, "PRAGMA max_page_count = 100000").await;
    put(&store, n).await.unwrap();
    assert_eq!(store.tenants().await.unwrap().len(), n as usize, "what was refused was not half stored");
}

#[tokio::test]
async fn a_store_that_cannot_be_written_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await.unwrap();
    pragma(&store, "PRAGMA query_only = ON").await;
    let error = put(&store, 1).await.unwrap_err();
    let text = "failed to save a tenant: not stored, the store's files are read-only; make them writable and try again";
    assert_eq!((told(&error), error.is_temporary()), (text.to_owned(), true));
}

#[tokio::test]
async fn a_store_that_another_process_keeps_is_busy() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (open(folder.path()).await.unwrap(), open(folder.path()).await.unwrap());
    pragma(&other, "PRAGMA busy_timeout = 1").await;
    let held = files(&one).main.begin().await.unwrap();
    let error = put(&other, 1).await.unwrap_err();
    assert!(matches!(error, Error::Busy { .. }) && error.is_temporary(), "{error:?}");
    drop(held);
    put(&other, 1).await.unwrap();
}

#[tokio::test]
async fn a_file_that_is_no_database_is_named_when_it_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("store.db");
    fs::write(&file, "x".repeat(9_000)).unwrap();
    let error = open(folder.path()).await.unwrap_err();
    let file = file.display();
    let text = format!(
        "open {file}: failed to open it: {file} is damaged; stop, keep a copy of it, and restore it from a backup"
    );
    assert!(told(&error).starts_with(&text), "{}", told(&error));
}

#[tokio::test]
async fn pages_that_were_overwritten_are_no_reason_to_try_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await.unwrap();
    for n in 1..=100 {
        put(&store, n).await.unwrap();
    }
    store.close().await;
    let file = folder.path().join("store.db");
    let mut bytes = fs::read(&file).unwrap();
    // All but the first page, which has the tables' names.
    bytes[8_192..].fill(0xaa);
    fs::write(&file, bytes).unwrap();
    let error = match open(folder.path()).await {
        Ok(store) => told(&store.tenants().await.unwrap_err()),
        Err(error) => told(&error),
    };
    assert!(error.contains("is damaged; stop, keep a copy of it, and restore it from a backup"), "{error}");
}

#[test]
fn a_closed_store_or_a_mistake_is_no_reason_to_try_again() {
    for error in [sqlx::Error::PoolClosed, sqlx::Error::RowNotFound] {
        assert!(!Error::database("do it", error).is_temporary());
    }
    let full = || std::io::Error::from(std::io::ErrorKind::StorageFull);
    assert!(matches!(Error::database("do it", sqlx::Error::Io(full())), Error::Full { .. }));
    assert!(matches!(Error::io("do it", full()), Error::Full { .. }));
    let gone = std::io::Error::from(std::io::ErrorKind::NotFound);
    assert!(matches!(Error::io("do it", gone), Error::Disk { .. }));
}
