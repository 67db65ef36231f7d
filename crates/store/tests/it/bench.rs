//! A store in a temporary folder, and short words for what tests put into it.

use std::path::Path;

use ringpost_model::{
    AttemptId, Cdr, Context, Delivery, DeliveryId, Envelope, LaneId, PbxKey, SessionId, Tenant, TenantId,
    TenantKey, Timestamp, Trigger, TriggerId,
};
use ringpost_store::{
    Attempt, Batch, Config, Debt, Ended, Ending, Exchange, Expect, Key, Keyring, NewSession, OpenError,
    PostgresConfig, Store,
};
use sqlx::postgres::PgConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, Connection, Row};
use uuid::{NoContext, Uuid};

/// The tests of a module, for each backend.
macro_rules! suite {
    ($($test:ident)*) => {
        mod embedded {
            $(
                #[tokio::test]
                async fn $test() {
                    super::$test(crate::bench::Bench::new()).await;
                }
            )*
        }

        mod postgres {
            $(
                #[tokio::test]
                async fn $test() {
                    if let Some(bench) = crate::bench::Bench::postgres().await {
                        super::$test(bench).await;
                    }
                }
            )*
        }

        /// Behind PgBouncer, which gives each transaction another connection.
        mod pooled {
            $(
                #[tokio::test]
                async fn $test() {
                    if let Some(bench) = crate::bench::Bench::pooled().await {
                        super::$test(bench).await;
                    }
                }
            )*
        }
    };
}
pub(crate) use suite;

/// A store that can be opened again.
pub(crate) struct Bench {
    place: Place,
}

enum Place {
    Folder(tempfile::TempDir),
    Database(Database),
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self { place: Place::Folder(tempfile::tempdir().unwrap()) }
    }

    /// In a database of its own. None = no server was named, and that is said.
    pub(crate) async fn postgres() -> Option<Self> {
        Some(Self { place: Place::Database(Database::new().await?) })
    }

    /// The same by way of PgBouncer.
    pub(crate) async fn pooled() -> Option<Self> {
        let Ok(pooler) = std::env::var("RINGPOST_TEST_PGBOUNCER") else {
            eprintln!("skipped: RINGPOST_TEST_PGBOUNCER names no pooler; see scripts/postgres");
            return None;
        };
        let mut database = Database::new().await?;
        database.pooler = Some(of(&pooler, &database.name));
        Some(Self { place: Place::Database(database) })
    }

    pub(crate) fn is_postgres(&self) -> bool {
        matches!(self.place, Place::Database(_))
    }

    pub(crate) fn folder(&self) -> &Path {
        match &self.place {
            Place::Folder(folder) => folder.path(),
            Place::Database(_) => panic!("this one is in no folder"),
        }
    }

    pub(crate) async fn open(&self) -> Store {
        self.open_with('a').await.unwrap()
    }

    pub(crate) async fn open_with(&self, key: char) -> Result<Store, OpenError> {
        let keyring = Keyring::new(self::key(key));
        match &self.place {
            Place::Folder(folder) => Store::open(Config { folder: folder.path().to_owned(), keyring }).await,
            Place::Database(database) => Store::connect(database.config(keyring)).await,
        }
    }

    /// Changes rows behind the store's back: of `store.db`, or of the database.
    pub(crate) async fn damage(&self, sql: &str) {
        let done = match &self.place {
            Place::Folder(_) => self.damage_file("store.db", sql).await,
            Place::Database(database) => database.execute(&of_ids(sql)).await,
        };
        assert!(done > 0, "{sql}");
    }

    /// Where the two differ.
    pub(crate) async fn damage_each(&self, sqlite: &str, postgres: &str) {
        self.damage(if self.is_postgres() { postgres } else { sqlite }).await;
    }

    /// The same with the attempts of 2026-03-10.
    pub(crate) async fn damage_day(&self, sql: &str) {
        let done = match &self.place {
            Place::Folder(_) => self.damage_file("attempts-2026-03-10.db", sql).await,
            Place::Database(database) => database.execute(sql).await,
        };
        assert!(done > 0, "{sql}");
    }

    async fn damage_file(&self, name: &str, sql: &str) -> u64 {
        let options = SqliteConnectOptions::new().filename(self.folder().join(name));
        let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
        let done = sqlx::query(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        done.rows_affected()
    }

    /// Rows of a table.
    pub(crate) async fn count(&self, table: &str) -> i64 {
        let sql = AssertSqlSafe(format!("SELECT count(*) FROM {table}"));
        match &self.place {
            Place::Folder(folder) => {
                let options = SqliteConnectOptions::new().filename(folder.path().join("store.db"));
                let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
                sqlx::query(sql).fetch_one(&mut connection).await.unwrap().get(0)
            }
            Place::Database(database) => {
                let mut connection = PgConnection::connect(&database.url).await.unwrap();
                sqlx::query(sql).fetch_one(&mut connection).await.unwrap().get(0)
            }
        }
    }

    /// As a process does that starts again.
    pub(crate) async fn reopen(&self, store: Store) -> Store {
        store.close().await;
        self.open().await
    }
}

/// A database of PostgreSQL for one test; it goes with it.
pub(crate) struct Database {
    pub(crate) url: String,
    /// The way that stores take, where it is another.
    pooler: Option<String>,
    server: String,
    name: String,
}

impl Database {
    /// On the server that `RINGPOST_TEST_POSTGRES` names.
    pub(crate) async fn new() -> Option<Self> {
        let Ok(server) = std::env::var("RINGPOST_TEST_POSTGRES") else {
            eprintln!("skipped: RINGPOST_TEST_POSTGRES names no server; see scripts/postgres");
            return None;
        };
        let name = format!("ringpost_test_{}", Uuid::now_v7().simple());
        let mut connection = PgConnection::connect(&server).await.expect("the server that was named");
        let sql = format!("CREATE DATABASE {name} TEMPLATE template0");
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
        let url = of(&server, &name);
        Some(Self { url, pooler: None, server, name })
    }

    /// How stores reach it.
    pub(crate) fn config(&self, keyring: Keyring) -> PostgresConfig {
        let config = PostgresConfig::new(self.pooler.as_ref().unwrap_or(&self.url), keyring);
        PostgresConfig { transaction_pooler: self.pooler.is_some(), ..config }
    }

    async fn execute(&self, sql: &str) -> u64 {
        let mut connection = PgConnection::connect(&self.url).await.unwrap();
        let done = sqlx::query(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.unwrap();
        done.rows_affected()
    }
}

/// A URL, but of this database.
fn of(url: &str, name: &str) -> String {
    let (before, after) = url.rsplit_once('/').expect("the URL ends with a database");
    let after = after.split_once('?').map_or(String::new(), |(_, options)| format!("?{options}"));
    format!("{before}/{name}{after}")
}

impl Drop for Database {
    fn drop(&mut self) {
        let (server, name) = (self.server.clone(), self.name.clone());
        // A test's own runtime may be at its end.
        let done = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                // A test that takes the server away has nothing to drop.
                let Ok(mut connection) = PgConnection::connect(&server).await else { return };
                let sql = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
                let _ = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await;
            });
        });
        let _ = done.join();
    }
}

/// An id in hexadecimal digits is a text there.
fn of_ids(sql: &str) -> String {
    sql.replace("= x'", "= '")
}

pub(crate) fn key(digit: char) -> Key {
    Key::parse(&digit.to_string().repeat(64)).unwrap()
}

/// So many seconds after 2026-03-10 09:00 UTC.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::parse("2026-03-10T09:00:00Z").unwrap().plus_micros(seconds * 1_000_000)
}

pub(crate) fn tenant_key(key: &str) -> TenantKey {
    TenantKey::new(key).unwrap()
}

pub(crate) fn pbx_key(key: &str) -> PbxKey {
    PbxKey::new(key).unwrap()
}

pub(crate) fn tenant(key: &str) -> Tenant {
    Tenant {
        region: "GB".into(),
        ..Tenant::new(TenantId(Uuid::new_v5(&Uuid::NAMESPACE_OID, key.as_bytes())), tenant_key(key))
    }
}

pub(crate) fn trigger_id(n: u128) -> TriggerId {
    TriggerId(Uuid::from_u128(n))
}

pub(crate) fn session_id(n: u128) -> SessionId {
    SessionId(Uuid::from_u128(1_000 + n))
}

pub(crate) fn trigger(n: u128) -> Trigger {
    let id = trigger_id(n);
    let text = format!(r#"{{"id":"{id}","name":"CRM {n}","url":"https://crm.example/hooks/{n}"}}"#);
    serde_json::from_str(&text).unwrap()
}

/// A store with tenant `acme` and triggers 1 to 3 of it.
pub(crate) async fn with_triggers(bench: &Bench) -> Store {
    let store = bench.open().await;
    store.put_tenant(&tenant("acme"), at(0)).await.unwrap();
    for n in 1..=3 {
        store.put_trigger(&tenant_key("acme"), &trigger(n), Expect::Anything, at(0)).await.unwrap();
    }
    store
}

pub(crate) fn lane(n: u128) -> LaneId {
    LaneId(Uuid::from_u128(7_000 + n))
}

pub(crate) fn delivery(trigger: u128, session: u128, rev: u32) -> Delivery {
    let (trigger, session) = (trigger_id(trigger), session_id(session));
    Delivery {
        id: DeliveryId::of_record(trigger, session, rev),
        owner: tenant("acme").id,
        tenant_id: tenant("acme").id,
        tenant: tenant_key("acme"),
        trigger,
        trigger_version: 1,
        session,
        rev,
        matches: true,
    }
}

/// Of lane 1, due at `due`.
pub(crate) fn debt(delivery: Delivery, due: Timestamp) -> Debt {
    Debt {
        delivery,
        lane: lane(1),
        due,
        attempts: 1,
        tries: 1,
        queued: at(0),
        first_try: Some(at(0)),
        reason: "503".into(),
        leased_until: None,
    }
}

pub(crate) fn ended(delivery: Delivery, ending: Ending, at: Timestamp) -> Ended {
    Ended { delivery, ending, reason: "".into(), at }
}

pub(crate) fn attempt_id(started: Timestamp, n: u64) -> AttemptId {
    let micros = started.micros() as u64;
    let time = uuid::Timestamp::from_unix(NoContext, micros / 1_000_000, (micros % 1_000_000) as u32 * 1_000);
    let mut bytes = *Uuid::new_v7(time).as_bytes();
    // What is random in it is the test's number.
    bytes[6] = 0x70;
    bytes[7] = 0;
    bytes[8..].copy_from_slice(&(0x8000_0000_0000_0000 | n).to_be_bytes());
    AttemptId(Uuid::from_bytes(bytes))
}

/// The last one of its delivery: delivered.
pub(crate) fn attempt(delivery: &Delivery, started: Timestamp, n: u64) -> (Attempt, Exchange) {
    let attempt = Attempt {
        id: attempt_id(started, n),
        delivery: delivery.id,
        owner: delivery.owner,
        trigger: delivery.trigger,
        session: delivery.session,
        rev: delivery.rev,
        number: 1,
        queued: started,
        started,
        ended: started.plus_micros(200_000),
        class: "success".into(),
        ok: true,
        last: true,
        status: Some(200),
        error: "".into(),
        address: "203.0.113.7:443".into(),
    };
    let exchange = Exchange {
        request_line: "POST https://crm.example/hooks/…".into(),
        request_headers: vec![("webhook-id".to_owned(), delivery.id.to_string())],
        request_body: format!(r#"{{"cdr":{{"rev":{}}}}}"#, delivery.rev).into_bytes(),
        response_headers: vec![("content-type".to_owned(), "text/plain".to_owned())],
        response_body: b"thank you \xff\x00".to_vec(),
        response_cut: false,
    };
    (attempt, exchange)
}

/// The same, but it failed, and something follows.
pub(crate) fn failure(delivery: &Delivery, started: Timestamp, n: u64) -> (Attempt, Exchange) {
    let (attempt, exchange) = attempt(delivery, started, n);
    let failed = Attempt { class: "http_error".into(), ok: false, last: false, status: Some(500), ..attempt };
    (failed, exchange)
}

pub(crate) fn envelope(session: u128, rev: u32, fill: impl FnOnce(&mut Cdr)) -> Envelope {
    let mut cdr = Cdr::empty(session_id(session));
    cdr.rev = rev;
    cdr.start = at(session as i64);
    cdr.end = at(session as i64 + 60);
    fill(&mut cdr);
    Envelope {
        v: 1,
        tenant: tenant_key("acme"),
        pbx: pbx_key("k1"),
        session: cdr.id,
        rev,
        emitted: cdr.end,
        cdr,
        context: Context::default(),
        legs: Vec::new(),
        timeline: Vec::new(),
        tables: Default::default(),
        cut: Vec::new(),
        quiet: false,
    }
}

pub(crate) fn sessions(envelopes: &[Envelope]) -> Batch {
    let new = |envelope: &Envelope| NewSession::of(envelope, envelope.to_bytes().unwrap());
    Batch { sessions: envelopes.iter().map(new).collect(), ..Batch::default() }
}

pub(crate) async fn settle_debts(store: &Store, debts: Vec<Debt>, now: Timestamp) -> Vec<Ended> {
    store.settle(&Batch { debts, ..Batch::default() }, "me", now).await.unwrap().superseded
}

pub(crate) async fn settle_ended(store: &Store, ended: Vec<Ended>, now: Timestamp) {
    store.settle(&Batch { ended, ..Batch::default() }, "me", now).await.unwrap();
}

/// Claims of lane 1 for ten seconds, as (trigger, session, rev).
pub(crate) async fn claim(store: &Store, owner: &str, now: Timestamp) -> Vec<(u128, u128, u32)> {
    let until = now.plus_micros(10_000_000);
    let claimed = store.claim(lane(1), owner, now, 100, until).await.unwrap();
    claimed.iter().map(|debt| names(&debt.delivery)).collect()
}

pub(crate) fn names(delivery: &Delivery) -> (u128, u128, u32) {
    (delivery.trigger.0.as_u128(), delivery.session.0.as_u128() - 1_000, delivery.rev)
}
