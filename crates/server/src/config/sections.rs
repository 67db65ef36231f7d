//! The resolved configuration. `config/default.toml` says of every number why it is that one; a test holds the
//! defaults here and there together.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use super::kafka::{Backend, Kafka};
use super::mail::Mail;
use super::roles::Serve;
use super::setting::ByteSize;
use super::source::Sources;
use super::store::Postgres;

const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

const fn minutes(count: u64) -> Duration {
    seconds(count * 60)
}

const fn hours(count: u64) -> Duration {
    minutes(count * 60)
}

const fn days(count: u64) -> Duration {
    hours(count * 24)
}

/// All of it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Config {
    /// `[data]`
    pub data: Data,
    /// `[http]`
    pub http: Http,
    /// `[admin]`
    pub admin: Admin,
    /// `[serve]`
    pub serve: Serve,
    /// `[source]`
    pub source: Sources,
    /// `[sessions]`
    pub sessions: Sessions,
    /// `[bus]`
    pub bus: Bus,
    /// `[delivery]`
    pub delivery: Delivery,
    /// `[mail]`
    pub mail: Mail,
    /// `[enrich]`
    pub enrich: Enrich,
    /// `[triggers]`
    pub triggers: Triggers,
    /// `[store]`
    pub store: Store,
    /// `[log]`
    pub log: Log,
    /// `[shutdown]`
    pub shutdown: Shutdown,
}

/// Where everything is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Data {
    /// Folder of journal and store; made when missing.
    pub dir: PathBuf,
    /// File with the key that secrets are encrypted with; none = `secret.key` in `dir`, made when missing.
    pub key_file: Option<PathBuf>,
    /// The key itself, 64 hexadecimal digits; only from the environment. It wins over the file.
    pub key: Option<Secret>,
}

impl Default for Data {
    fn default() -> Self {
        Self { dir: "ringpost-data".into(), key_file: None, key: None }
    }
}

impl Data {
    /// The file that the key is read from.
    pub fn key_path(&self) -> PathBuf {
        self.key_file.clone().unwrap_or_else(|| self.dir.join("secret.key"))
    }
}

/// A text that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The intake of legs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Http {
    /// Address and port.
    pub listen: SocketAddr,
    /// Largest body of one request.
    pub max_body: ByteSize,
    /// Largest head of one request: request line and headers together.
    pub max_headers: ByteSize,
    /// From the first byte of a request to its answer.
    pub request_timeout: Duration,
    /// Connections open at once; further ones wait.
    pub max_connections: usize,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::UNSPECIFIED, 8080).into(),
            max_body: ByteSize::mib(10),
            max_headers: ByteSize::kib(16),
            request_timeout: seconds(30),
            max_connections: 1024,
        }
    }
}

/// Health and metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admin {
    /// Address and port of `/livez`, `/readyz`, `/metrics`.
    pub listen: SocketAddr,
}

impl Default for Admin {
    fn default() -> Self {
        Self { listen: (Ipv4Addr::LOCALHOST, 8081).into() }
    }
}

/// When a call is over (sessions.md 2), and how much of it is held in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sessions {
    /// Wait after the last record of a complete session.
    pub settle: Duration,
    /// Wait for legs that are only named.
    pub gap: Duration,
    /// Wait for anything else.
    pub max_idle: Duration,
    /// How long a closed session is kept to be corrected.
    pub late: Duration,
    /// How long repeats of a closed session are known.
    pub dedupe: Duration,
    /// Legs of one session.
    pub max_legs: usize,
    /// Memory of one session.
    pub max_session_bytes: ByteSize,
    /// Live sessions of one tenant that has no limit of its own.
    pub max_live: usize,
}

impl Default for Sessions {
    fn default() -> Self {
        Self {
            settle: seconds(3),
            gap: minutes(15),
            max_idle: hours(4),
            late: minutes(10),
            dedupe: hours(24),
            max_legs: 500,
            max_session_bytes: ByteSize::kib(512),
            max_live: 100_000,
        }
    }
}

/// The log between the stages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bus {
    /// Where the log is.
    pub backend: Backend,
    /// `[bus.kafka]`
    pub kafka: Kafka,
    /// Partitions of each topic; fixed once the data folder is made.
    pub partitions: u32,
    /// Records of one transaction.
    pub batch: usize,
    /// `[bus.retention]`
    pub retention: Retention,
}

impl Default for Bus {
    fn default() -> Self {
        Self {
            backend: Backend::default(),
            kafka: Kafka::default(),
            partitions: 8,
            batch: 1_000,
            retention: Retention::default(),
        }
    }
}

/// How long each topic is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retention {
    /// Legs as accepted.
    pub legs: Duration,
    /// Records, every revision.
    pub cdrs: Duration,
    /// Call events.
    pub events: Duration,
    /// What was rejected.
    pub dead_letters: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        Self { legs: days(7), cdrs: days(7), events: days(1), dead_letters: days(30) }
    }
}

/// Requests to receivers (triggers-and-delivery.md 4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// DNS, connect, TLS, request and response body together.
    pub deadline: Duration,
    /// In flight for longer: written down as a debt.
    pub handoff: Duration,
    /// Requests in flight of one lane.
    pub concurrency: usize,
    /// Connections to one origin, shared by its lanes.
    pub connections_per_origin: usize,
    /// How much of a response is read.
    pub max_response: ByteSize,
    /// Networks that receivers may be in although they are not public.
    pub allow_networks: Vec<IpNet>,
    /// Whether a trigger's URL may be `http`.
    pub allow_http: bool,
    /// SOCKS5 proxy for all requests; none = direct. It gets the checked address, never the name.
    pub proxy: Option<SocketAddr>,
    /// PEM files of roots that are trusted beside the platform's.
    pub extra_roots: Vec<PathBuf>,
    /// From the first try of a delivery to its last one, however long its receiver is down.
    pub max_hold: Duration,
    /// Deliveries owed for one trigger; what fires beyond fails at once.
    pub max_owed: usize,
    /// Deliveries owed for all triggers of one tenant.
    pub max_owed_tenant: usize,
    /// `[delivery.breaker]`
    pub breaker: Breaker,
}

/// When a receiver counts as down, and how it is found to be back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breaker {
    /// So many failures in a row …
    pub many: u32,
    /// … for as long as this: down.
    pub many_over: Duration,
    /// Or so many, of two deliveries at least …
    pub few: u32,
    /// … with no success for as long as this.
    pub few_over: Duration,
    /// From going down to the first probe; each next one after twice as long.
    pub first_probe: Duration,
    /// The longest time between two probes.
    pub longest_probe: Duration,
}

impl Default for Breaker {
    fn default() -> Self {
        Self {
            many: 20,
            many_over: seconds(30),
            few: 4,
            few_over: seconds(60),
            first_probe: seconds(5),
            longest_probe: minutes(5),
        }
    }
}

impl Default for Delivery {
    fn default() -> Self {
        Self {
            deadline: seconds(10),
            handoff: seconds(1),
            concurrency: 16,
            connections_per_origin: 256,
            max_response: ByteSize::kib(64),
            allow_networks: Vec::new(),
            allow_http: false,
            proxy: None,
            extra_roots: Vec::new(),
            max_hold: hours(24),
            max_owed: 100_000,
            max_owed_tenant: 1_000_000,
            breaker: Breaker::default(),
        }
    }
}

/// How fast a changed trigger works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Triggers {
    /// Oldest compiled triggers that are used, whatever happens.
    pub cache_ttl: Duration,
    /// How often `changes` is looked at.
    pub poll: Duration,
}

impl Default for Triggers {
    fn default() -> Self {
        Self { cache_ttl: minutes(10), poll: seconds(1) }
    }
}

/// What is added to records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrich {
    /// Memory for contacts, numbers, devices and tariffs of all tenants.
    pub tables_memory: ByteSize,
}

impl Default for Enrich {
    fn default() -> Self {
        Self { tables_memory: ByteSize::mib(1024) }
    }
}

/// How long durable state is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    /// Where it is, if not in files.
    pub postgres: Postgres,
    /// Sessions and their legs.
    pub keep_sessions: Duration,
    /// The log of attempts.
    pub keep_attempts: Duration,
}

impl Default for Store {
    fn default() -> Self {
        Self { postgres: Postgres::default(), keep_sessions: days(400), keep_attempts: days(14) }
    }
}

/// The log on stderr.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// How a line looks.
    pub format: LogFormat,
    /// `error`, `warn`, `info`, `debug`, `trace`, or per module: `info,ringpost_deliver=debug`.
    pub level: String,
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Auto, level: "info".to_owned() }
    }
}

/// How a line of the log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    Auto,
    /// For people.
    Text,
    /// One object a line.
    Json,
}

/// How the process ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shutdown {
    /// How long what is in flight may take after a signal.
    pub grace: Duration,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self { grace: seconds(15) }
    }
}
