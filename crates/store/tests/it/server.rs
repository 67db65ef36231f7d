//! What a server of PostgreSQL may do to us: refuse, restart, be of a later version. Where one is taken away, the test
//! starts its own.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use ringpost_store::{AttemptFilter, Batch, Error, Keyring, OpenError, PostgresConfig, Store};
use sqlx::Connection;
use sqlx::postgres::PgConnection;

use crate::bench::{Bench, Database, at, attempt, debt, delivery, key, tenant, trigger_id, with_triggers};

fn keyring() -> Keyring {
    Keyring::new(key('a'))
}

/// The whole chain, as it is logged.
fn told(error: &dyn std::error::Error) -> String {
    let sources = std::iter::successors(Some(error), |error| error.source());
    sources.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// With another user, password, or database in the URL; the place is blotted out.
async fn refused(url: &str) -> String {
    let config = PostgresConfig { wait: Duration::from_secs(1), ..PostgresConfig::new(url, keyring()) };
    let text = told(&Store::connect(config).await.unwrap_err());
    assert!(!text.contains("horse"), "{text}");
    let (before, after) = text.split_once('(').unwrap_or((&text, ")"));
    let (_, after) = after.split_once(')').unwrap_or(("", ""));
    format!("{before}(…){after}")
}

#[tokio::test]
async fn who_cannot_open_it_is_told_what_to_do() {
    let Some(database) = Database::new().await else { return };
    let (_, place) = database.url.rsplit_once('@').unwrap();
    let (host, _) = place.split_once('/').unwrap();
    let wrong = refused(&format!("postgres://ringpost:horse@{place}")).await;
    assert_eq!(
        wrong,
        "open the store in PostgreSQL (…): it does not take this user and password: check store.url, or \
        RINGPOST_STORE__URL, and pg_hba.conf: password authentication failed for user \
        \"ringpost\""
    );
    let nowhere = refused(&database.url.replace("ringpost_test_", "no_such_")).await;
    assert!(
        nowhere.contains("there is no such database: make it (createdb), or correct store.url"),
        "{nowhere}"
    );
    let nobody = refused("postgres://ringpost:horse@127.0.0.1:1/x").await;
    assert!(
        nobody.contains("check that it runs and that host, port and TLS of store.url are right"),
        "{nobody}"
    );
    let no_tls = refused(&format!("postgres://ringpost:ringpost@{host}/x?sslmode=require")).await;
    assert!(no_tls.contains("TLS"), "{no_tls}");
    assert!(matches!(
        Store::connect(PostgresConfig::new("mysql://a:horse@b/c", keyring())).await,
        Err(OpenError::Url)
    ));
}

#[tokio::test]
async fn tables_of_a_later_version_are_left_alone() {
    let Some(bench) = Bench::postgres().await else { return };
    bench.open().await.close().await;
    bench.damage("UPDATE ringpost_schema SET version = 99").await;
    let error = bench.open_with('a').await.unwrap_err();
    assert!(matches!(error, OpenError::Newer { found: 99, .. }), "{error}");
    assert!(error.to_string().contains("start the newer version again"));
}

#[tokio::test]
async fn a_wrong_key_is_told_at_start() {
    let Some(bench) = Bench::postgres().await else { return };
    bench.open().await.close().await;
    assert!(matches!(bench.open_with('b').await, Err(OpenError::WrongKey { .. })));
}

#[tokio::test]
async fn a_server_that_may_forget_what_it_acknowledged_is_not_begun_with() {
    let Some(database) = Database::new().await else { return };
    let separator = if database.url.contains('?') { '&' } else { '?' };
    let url = format!("{}{separator}options=-csynchronous_commit%3Doff", database.url);
    let error = Store::connect(PostgresConfig::new(&url, keyring())).await.unwrap_err();
    assert!(error.to_string().contains("synchronous_commit is off"), "{error}");
}

/// A name that a switch sends may have any character.
#[tokio::test]
async fn a_text_with_a_nul_is_stored_and_stops_nothing() {
    let Some(bench) = Bench::postgres().await else { return };
    let store = with_triggers(&bench).await;
    let envelope = crate::bench::envelope(1, 1, |cdr| cdr.cli.number = "+44\u{0}16".into());
    store.settle(&crate::bench::sessions(&[envelope]), "me", at(0)).await.unwrap();
    let stored = store.session(crate::bench::session_id(1)).await.unwrap().unwrap();
    assert_eq!(&*stored.session.cli, "+44\u{fffd}16");
}

#[tokio::test]
async fn a_day_that_another_process_has_dropped_is_made_again() {
    let Some(bench) = Bench::postgres().await else { return };
    let (store, other) = (with_triggers(&bench).await, bench.open().await);
    let batch = |n: u64| Batch {
        attempts: vec![attempt(&delivery(1, u128::from(n), 1), at(0), n)],
        ..Batch::default()
    };
    store.settle(&batch(1), "me", at(0)).await.unwrap();
    let keep = ringpost_store::Keep { attempts: Duration::ZERO, ..ringpost_store::Keep::default() };
    assert_eq!(other.retain(keep, at(86_400)).await.unwrap().days, 1);
    let error = store.settle(&batch(2), "me", at(0)).await.unwrap_err();
    assert!(error.is_temporary(), "{error}");
    store.settle(&batch(2), "me", at(0)).await.unwrap();
    assert_eq!(store.attempts(&AttemptFilter::default(), 10).await.unwrap().len(), 1);
}

/// A server of its own.
struct Server {
    dir: String,
    url: String,
}

impl Server {
    fn start() -> Option<Self> {
        std::env::var_os("RINGPOST_TEST_POSTGRES")?;
        let said = script(&["start", "--no-fsync", "yes"]);
        let word = |name| said.lines().find_map(|line| line.strip_prefix(name)).unwrap().to_owned();
        Some(Self { dir: word("dir "), url: word("url ") })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        script(&["stop", &self.dir]);
    }
}

fn script(arguments: &[&str]) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../scripts/postgres");
    let output = Command::new(path).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Killed in the middle of everything, and taken away: what was acknowledged is there, the rest is told as temporary,
/// and the same store goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_outlives_the_server() {
    let Some(server) = Server::start() else { return };
    let config =
        PostgresConfig { wait: Duration::from_secs(1), ..PostgresConfig::new(&server.url, keyring()) };
    let store = Store::connect(config).await.unwrap();
    store.put_tenant(&tenant("acme"), at(0)).await.unwrap();
    let (sender, mut acknowledged) = tokio::sync::watch::channel(0_u64);
    let writing = tokio::spawn(write_on(store.clone(), sender));
    for what in ["kill", "away"] {
        let seen = *acknowledged.borrow();
        acknowledged.wait_for(|count| *count > seen + 20).await.unwrap();
        script(&[what, &server.dir]);
        script(&["again", &server.dir]);
    }
    let seen = *acknowledged.borrow();
    acknowledged.wait_for(|count| *count > seen + 20).await.unwrap();
    drop(acknowledged);
    let (count, failures) = writing.await.unwrap();
    assert!(failures > 0, "nothing was in the way");
    let attempts = store.attempts(&AttemptFilter::default(), 100_000).await.unwrap();
    assert_eq!(attempts.len() as u64, count, "each once");
    assert_eq!(store.owed_counts().await.unwrap().iter().map(|owed| owed.debts).sum::<u64>(), count);
    let mut connection = PgConnection::connect(&server.url).await.unwrap();
    let left: i64 =
        sqlx::query_scalar("SELECT count(*) FROM debts").fetch_one(&mut connection).await.unwrap();
    assert_eq!(left as u64, count);
}

/// As dispatch does: the same batch again, until it is stored or nobody listens any more.
async fn write_on(store: Store, acknowledged: tokio::sync::watch::Sender<u64>) -> (u64, u64) {
    let (mut count, mut failures) = (0, 0);
    while !acknowledged.is_closed() {
        let delivery = delivery(1, u128::from(count), 1);
        assert_eq!(delivery.trigger, trigger_id(1));
        let batch = Batch {
            attempts: vec![attempt(&delivery, at(0), count)],
            debts: vec![debt(delivery, at(0))],
            ..Batch::default()
        };
        loop {
            match store.settle(&batch, "me", at(0)).await {
                Ok(_) => break,
                Err(error @ (Error::Away { .. } | Error::Busy { .. } | Error::ReadOnly { .. })) => {
                    assert!(error.is_temporary());
                    failures += 1;
                }
                Err(other) => panic!("{}", told(&other)),
            }
        }
        count += 1;
        acknowledged.send_replace(count);
    }
    (count, failures)
}

/// A way to the server that can go silent: what is sent then arrives nowhere, and nobody is told.
struct Way {
    url: String,
    silent: tokio::sync::watch::Sender<u32>,
}

impl Way {
    async fn to(url: &str) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (before, after) = url.rsplit_once('@').unwrap();
        let (server, database) = after.split_once('/').unwrap();
        let url = format!("{before}@{}/{database}", listener.local_addr().unwrap());
        let (silent, state) = tokio::sync::watch::channel(0);
        let server = server.to_owned();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, server.clone(), state.clone()));
            }
        });
        Self { url, silent }
    }
}

/// Until it is told to be silent; then it holds both ends open for ever. One that begins in silence is never carried.
async fn carry(
    mut client: tokio::net::TcpStream,
    server: String,
    mut silent: tokio::sync::watch::Receiver<u32>,
) {
    let since = *silent.borrow_and_update();
    let mut server = tokio::net::TcpStream::connect(server).await.unwrap();
    if since.is_multiple_of(2) {
        tokio::select! {
            _ = tokio::io::copy_bidirectional(&mut client, &mut server) => return,
            _ = silent.changed() => {}
        }
    }
    std::future::pending::<()>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_goes_silent_is_given_up_and_another_one_made() {
    let Some(database) = Database::new().await else { return };
    let way = Way::to(&database.url).await;
    let limits = PostgresConfig {
        wait: Duration::from_secs(1),
        timeout: Duration::from_secs(1),
        ..database.config(keyring())
    };
    let store = Store::connect(PostgresConfig { url: way.url.clone(), ..limits }).await.unwrap();
    store.put_tenant(&tenant("acme"), at(0)).await.unwrap();
    // Odd = silent, also for new ones.
    way.silent.send_replace(1);
    let error = store.put_tenant(&tenant("globex"), at(0)).await.unwrap_err();
    assert!(matches!(error, Error::Away { .. }), "{}", told(&error));
    let error = store.tenants().await.unwrap_err();
    assert!(error.is_temporary(), "{}", told(&error));
    // New ones are carried again; the old ones stay as they are.
    way.silent.send_replace(2);
    store.put_tenant(&tenant("globex"), at(0)).await.unwrap();
    assert_eq!(store.tenants().await.unwrap().len(), 2);
}
