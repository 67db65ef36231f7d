//! Stores that earlier versions wrote go on: a released format stays here as a fixture for ever.

use std::fs;
use std::path::Path;

use ringpost_model::Breaker;
use ringpost_store::{DebtFilter, Store};
use sha2::{Digest, Sha256};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, Connection, Row};

use crate::bench::{
    Bench, at, claim, debt, delivery, lane, names, session_id, settle_debts, tenant, tenant_key, trigger_id,
};

const ROWS_1: &str = include_str!("fixtures/store_1.sql");

/// The folder as version 1 left it.
async fn version_1(bench: &Bench) -> Store {
    let file = bench.folder().join("store.db");
    let options = SqliteConnectOptions::new().filename(&file).create_if_missing(true).foreign_keys(false);
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    let schema = schema("store_1.sql");
    for sql in [&*schema, ROWS_1, "PRAGMA user_version = 1"] {
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.unwrap();
    }
    connection.close().await.unwrap();
    bench.open().await
}

fn schema(file: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/schema").join(file)).unwrap()
}

#[tokio::test]
async fn what_version_1_wrote_is_all_there() {
    let bench = Bench::new();
    let store = version_1(&bench).await;
    assert_eq!(store.tenants().await.unwrap(), [tenant("acme")]);
    let triggers = store.triggers(&tenant_key("acme")).await.unwrap();
    assert_eq!((triggers.len(), triggers.skipped), (4, 0));
    assert_eq!(&*store.trigger(trigger_id(1)).await.unwrap().unwrap().trigger.secrets[0], "whsec_s3cret");
    assert!(store.trigger_version(trigger_id(1), 1).await.unwrap().unwrap().trigger.secrets.is_empty());
    assert!(store.session(session_id(2)).await.unwrap().is_some());
    assert_eq!(store.changes_since(0).await.unwrap().last().unwrap().seq, 6);
    let owed = store.debts(&DebtFilter::default(), 100).await.unwrap();
    assert_eq!((owed.len(), owed.skipped), (6, 0));
    assert_eq!(owed[0].leased_until, None);
    assert_eq!(owed[4].delivery.trigger, trigger_id(3), "in the order it was owed");
    // Counts are made anew, by lane.
    let counts = store.owed_counts().await.unwrap();
    let counts: Vec<_> = counts.iter().map(|count| (count.trigger.0.as_u128(), count.debts)).collect();
    assert_eq!(counts, [(1, 3), (2, 1), (3, 1), (4, 1)]);
    assert_eq!(store.failing_triggers(lane(2)).await.unwrap(), [trigger_id(1)]);
    store.close().await;
    assert_eq!(bench.open().await.debts(&DebtFilter::default(), 100).await.unwrap().len(), 6);
}

#[tokio::test]
async fn what_version_1_owed_is_delivered_and_its_leases_and_pauses_hold() {
    let bench = Bench::new();
    let store = version_1(&bench).await;
    // Session 2 was in flight until 15; trigger 3 is paused; lane 2 waits until 60.
    assert_eq!(claim(&store, "me", at(12)).await, [(2, 1, 1), (4, 1, 1), (1, 1, 1)]);
    assert_eq!(claim(&store, "me", at(15)).await, [(1, 2, 1)]);
    let lanes = store.lanes().await.unwrap();
    assert_eq!(
        (lanes[0].lane, lanes[0].paused_until, &*lanes[0].pause_reason),
        (lane(2), Some(at(60)), "429")
    );
    assert_eq!((lanes[0].owner, &lanes[0].breaker, lanes[0].owed), (None, &Breaker::Healthy, 1));
    assert!(store.claim(lane(2), "me", at(59), 10, at(70)).await.unwrap().is_empty());
    let claimed = store.claim(lane(2), "me", at(60), 10, at(70)).await.unwrap();
    assert_eq!(names(&claimed[0].delivery), (1, 3, 1));
}

/// `whileDown: fail` and `autoDisable` were written by version 1 too.
#[tokio::test]
async fn a_trigger_of_version_1_that_does_not_hold_does_not_wait_for_its_receiver() {
    let bench = Bench::new();
    let store = version_1(&bench).await;
    crate::lanes::open(&store, lane(1), at(20)).await;
    assert_eq!(claim(&store, "me", at(16)).await, [(2, 1, 1), (4, 1, 1)]);
    settle_debts(&store, vec![debt(delivery(4, 2, 1), at(0)), debt(delivery(1, 5, 1), at(0))], at(16)).await;
    assert_eq!(
        claim(&store, "me", at(17)).await,
        [(4, 2, 1)],
        "what is owed from now on is told apart as well"
    );
}

/// Both ways lead to the same tables.
#[tokio::test]
async fn a_store_that_was_migrated_has_the_tables_of_a_new_one() {
    let (old, new) = (Bench::new(), Bench::new());
    version_1(&old).await.close().await;
    new.open().await.close().await;
    let tables = async |bench: &Bench| {
        let url = bench.folder().join("store.db").display().to_string();
        let mut connection = SqliteConnection::connect(&url).await.unwrap();
        let sql = "SELECT coalesce(sql, name) FROM sqlite_schema ORDER BY name";
        let rows = sqlx::query(sql).fetch_all(&mut connection).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect::<Vec<String>>()
    };
    assert_eq!(tables(&old).await, tables(&new).await);
}

/// A step that was released has run somewhere: it is never changed, a new one is added.
#[test]
fn released_migrations_are_never_changed() {
    for (file, expected) in
        [("store_1.sql", STORE_1), ("store_2.sql", STORE_2), ("attempts_1.sql", ATTEMPTS_1)]
    {
        let hash = Sha256::digest(schema(file));
        let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hash, expected, "{file}");
    }
}

const STORE_1: &str = "225f2264e7c1f9328c043e53427f9a276bfe0527093257bafcb8425c500bc030";
const STORE_2: &str = "4c2517fa3cc9a3c6cb954dadff9774ac5b6907e5399996ee5de44fe15828e2dc";
const ATTEMPTS_1: &str = "66d3db0c8a679fede4d85a01e73a1892cdeb79709c23b1e5bf34341d8081adec";
