//! Defaults, then the file, then the environment, then the flags: the later wins.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::document::{self, Entry, Given, Place};
use super::environment;
use super::kafka;
use super::mail;
use super::mistake::{Mistake, Wrong};
use super::reader::{Reader, Settled};
use super::roles;
use super::sections::{Breaker, Config};
use super::setting::ByteSize;
use super::source;
use super::store;

/// The documented default.
pub const DEFAULT_TOML: &str = include_str!("../../../../config/default.toml");

/// A configuration that is right, and where each value comes from.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// Ready to use.
    pub config: Config,
    /// Every key, in the order of `config/default.toml`.
    pub settled: Vec<Settled>,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file could not be read.
    #[error("read the configuration {file}")]
    Read {
        /// Which.
        file: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// All that is wrong with it.
    #[error("{}", list(.0))]
    Mistakes(Vec<Mistake>),
}

fn list(mistakes: &[Mistake]) -> String {
    let lines: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

/// What is written in one place.
#[derive(Debug, Clone, Copy, Default)]
pub struct Source<'a> {
    /// Name of the file, for messages, and its text.
    pub file: Option<(&'a str, &'a str)>,
    /// The variables of the environment; others than ours are passed over.
    pub variables: &'a [(String, String)],
    /// What the command line says.
    pub flags: &'a Flags,
}

/// Settings that commands offer as flags: dotted key, flag, value.
#[derive(Debug, Clone, Default)]
pub struct Flags(Vec<(&'static str, &'static str, String)>);

impl Default for &Flags {
    fn default() -> Self {
        static NONE: Flags = Flags(Vec::new());
        &NONE
    }
}

impl Flags {
    /// Adds a flag where it was given.
    #[must_use]
    pub fn with(mut self, key: &'static str, flag: &'static str, value: Option<String>) -> Self {
        self.0.extend(value.map(|value| (key, flag, value)));
        self
    }

    fn entries(&self) -> BTreeMap<String, Entry> {
        let entries = self.0.iter().map(|(key, flag, value)| {
            let place = Place::Flag((*flag).to_owned());
            ((*key).to_owned(), Entry { value: Given::Bare(value.clone()), key_place: place.clone(), place })
        });
        entries.collect()
    }
}

/// Reads the file, if one is named, and resolves.
///
/// # Errors
/// A file that cannot be read, or all mistakes at once.
pub fn load(file: Option<&Path>, variables: &[(String, String)], flags: &Flags) -> Result<Loaded, LoadError> {
    let Some(path) = file else { return parse(Source { file: None, variables, flags }) };
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path);
    let text = text.map_err(|source| LoadError::Read { file: name.clone(), source })?;
    parse(Source { file: Some((&name, &text)), variables, flags })
}

/// Resolves what is written.
///
/// # Errors
/// All mistakes at once.
pub fn parse(source: Source<'_>) -> Result<Loaded, LoadError> {
    let (mut entries, mistakes) =
        source.file.map_or_else(Default::default, |(name, text)| document::read(name, text));
    entries.extend(environment::read(source.variables));
    entries.extend(source.flags.entries());
    let mut reader = Reader::new(entries, mistakes);
    let mut config = Config::default();
    resolve(&mut reader, &mut config);
    let mut outcome = reader.finish();
    let known: Vec<String> = outcome.settled.iter().map(|settled| settled.key.clone()).collect();
    outcome.mistakes.extend(environment::slips(source.variables, &known));
    if outcome.mistakes.is_empty() {
        return Ok(Loaded { config, settled: outcome.settled });
    }
    Err(LoadError::Mistakes(outcome.mistakes))
}

/// Some time at all, and less than what no clock of ours can add.
const SECOND: Duration = Duration::from_secs(1);
const MILLISECOND: Duration = Duration::from_millis(1);
const DAY: Duration = Duration::from_secs(24 * 3600);
const CENTURY: Duration = Duration::from_secs(36_500 * 24 * 3600);

fn resolve(reader: &mut Reader, config: &mut Config) {
    intake(reader, config);
    source::resolve(reader, &mut config.source);
    sessions(reader, config);
    bus(reader, config);
    source::kafka::resolve(reader, config.bus.backend, &config.bus.kafka, &mut config.source);
    roles::resolve(reader, config.bus.backend, &mut config.serve);
    delivery(reader, config);
    mail::resolve(reader, &mut config.mail);
    rest(reader, config);
}

fn intake(reader: &mut Reader, config: &mut Config) {
    reader.set("data.dir", &mut config.data.dir);
    reader.set("data.key_file", &mut config.data.key_file);
    reader.set("data.key", &mut config.data.key);
    let http = &mut config.http;
    reader.set("http.listen", &mut http.listen);
    reader.set_within("http.max_body", &mut http.max_body, ByteSize::kib(1)..=ByteSize::mib(1024));
    reader.set_within("http.max_headers", &mut http.max_headers, ByteSize::kib(8)..=ByteSize::mib(1));
    reader.set_within("http.request_timeout", &mut http.request_timeout, SECOND..=DAY);
    reader.set_within("http.max_connections", &mut http.max_connections, 1..=1_000_000);
    reader.set("admin.listen", &mut config.admin.listen);
    let same = config.admin.listen == config.http.listen && config.http.listen.port() != 0;
    if same {
        let wrong = format!("{} is http.listen too", config.admin.listen);
        reader.contradiction("admin.listen", wrong, "give each its own port");
    }
}

fn sessions(reader: &mut Reader, config: &mut Config) {
    let sessions = &mut config.sessions;
    reader.set_within("sessions.settle", &mut sessions.settle, Duration::ZERO..=DAY);
    reader.set_within("sessions.gap", &mut sessions.gap, Duration::ZERO..=DAY * 30);
    reader.set_within("sessions.max_idle", &mut sessions.max_idle, SECOND..=DAY * 30);
    reader.set_within("sessions.late", &mut sessions.late, Duration::ZERO..=DAY * 30);
    reader.set_within("sessions.dedupe", &mut sessions.dedupe, Duration::ZERO..=DAY * 30);
    reader.set_within("sessions.max_legs", &mut sessions.max_legs, 2..=100_000);
    let memory = ByteSize::kib(16)..=ByteSize::mib(64);
    reader.set_within("sessions.max_session_bytes", &mut sessions.max_session_bytes, memory);
    reader.set_within("sessions.max_live", &mut sessions.max_live, 1..=100_000_000);
    if sessions.gap > sessions.max_idle {
        let wrong = "longer than sessions.max_idle, which is the longest wait of all";
        reader.contradiction("sessions.gap", wrong, "make it shorter, or max_idle longer");
    }
}

fn bus(reader: &mut Reader, config: &mut Config) {
    let bus = &mut config.bus;
    reader.set("bus.backend", &mut bus.backend);
    reader.set_within("bus.partitions", &mut bus.partitions, 1..=1024);
    reader.set_within("bus.batch", &mut bus.batch, 1..=100_000);
    kafka::resolve(reader, bus.backend, &mut bus.kafka);
    let retention = &mut bus.retention;
    reader.set_within("bus.retention.legs", &mut retention.legs, SECOND..=CENTURY);
    reader.set_within("bus.retention.cdrs", &mut retention.cdrs, SECOND..=CENTURY);
    reader.set_within("bus.retention.events", &mut retention.events, SECOND..=CENTURY);
    reader.set_within("bus.retention.dead_letters", &mut retention.dead_letters, SECOND..=CENTURY);
}

fn delivery(reader: &mut Reader, config: &mut Config) {
    let delivery = &mut config.delivery;
    reader.set_within("delivery.deadline", &mut delivery.deadline, MILLISECOND..=Duration::from_secs(300));
    reader.set_within("delivery.handoff", &mut delivery.handoff, MILLISECOND..=Duration::from_secs(300));
    reader.set_within("delivery.concurrency", &mut delivery.concurrency, 1..=10_000);
    reader.set_within("delivery.connections_per_origin", &mut delivery.connections_per_origin, 1..=100_000);
    let body = ByteSize::bytes(0)..=ByteSize::mib(16);
    reader.set_within("delivery.max_response", &mut delivery.max_response, body);
    reader.set_list("delivery.allow_networks", &mut delivery.allow_networks);
    reader.set("delivery.allow_http", &mut delivery.allow_http);
    reader.set("delivery.proxy", &mut delivery.proxy);
    reader.set_list("delivery.extra_roots", &mut delivery.extra_roots);
    reader.set_within("delivery.max_hold", &mut delivery.max_hold, SECOND..=DAY * 30);
    reader.set_within("delivery.max_owed", &mut delivery.max_owed, 1..=1_000_000_000);
    reader.set_within("delivery.max_owed_tenant", &mut delivery.max_owed_tenant, 1..=1_000_000_000);
    breaker(reader, &mut delivery.breaker);
    if delivery.handoff >= delivery.deadline {
        let wrong = "not shorter than delivery.deadline, so no slow delivery would be written down in time";
        reader.contradiction("delivery.handoff", wrong, "make it shorter, such as \"1s\"");
    }
}

fn breaker(reader: &mut Reader, breaker: &mut Breaker) {
    reader.set_within("delivery.breaker.many", &mut breaker.many, 2..=1_000_000);
    reader.set_within("delivery.breaker.many_over", &mut breaker.many_over, Duration::ZERO..=DAY);
    reader.set_within("delivery.breaker.few", &mut breaker.few, 2..=1_000_000);
    reader.set_within("delivery.breaker.few_over", &mut breaker.few_over, Duration::ZERO..=DAY);
    reader.set_within("delivery.breaker.first_probe", &mut breaker.first_probe, MILLISECOND * 10..=DAY);
    reader.set_within("delivery.breaker.longest_probe", &mut breaker.longest_probe, MILLISECOND * 10..=DAY);
    if breaker.longest_probe < breaker.first_probe {
        let wrong = "shorter than delivery.breaker.first_probe";
        reader.contradiction("delivery.breaker.longest_probe", wrong, "make it longer, such as \"5m\"");
    }
}

fn rest(reader: &mut Reader, config: &mut Config) {
    let memory = ByteSize::mib(1)..=ByteSize::mib(1 << 20);
    reader.set_within("enrich.tables_memory", &mut config.enrich.tables_memory, memory);
    reader.set_within(
        "triggers.cache_ttl",
        &mut config.triggers.cache_ttl,
        SECOND..=Duration::from_secs(600),
    );
    reader.set_within("triggers.poll", &mut config.triggers.poll, MILLISECOND * 10..=Duration::from_secs(60));
    store::resolve(reader, &mut config.store.postgres);
    reader.set_within("store.keep_sessions", &mut config.store.keep_sessions, DAY..=CENTURY);
    reader.set_within("store.keep_attempts", &mut config.store.keep_attempts, DAY..=CENTURY);
    reader.set("log.format", &mut config.log.format);
    reader.set_checked("log.level", &mut config.log.level, level);
    let grace = Duration::ZERO..=Duration::from_secs(3600);
    reader.set_within("shutdown.grace", &mut config.shutdown.grace, grace);
}

fn level(text: &String) -> Result<(), Wrong> {
    let instead = "write error, warn, info, debug or trace, or per module: \"info,ringpost_deliver=debug\"";
    let words = text.split(',').map(|part| part.rsplit_once('=').map_or(part, |(_, word)| word).trim());
    let known = ["error", "warn", "info", "debug", "trace", "off"];
    for word in words {
        if !known.contains(&word) {
            return Err(Wrong::new(format!("{word:?} is no level"), instead));
        }
    }
    tracing_subscriber::EnvFilter::try_new(text)
        .map(drop)
        .map_err(|_| Wrong::new("not a filter of the log", instead))
}
