//! What can be set on the machine: when a session closes, how long it is kept, how large it may grow.

/// When sessions close.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// As the time of the stream passes.
    #[default]
    Stream,
    /// Nothing closes before [`Machine::finish`](crate::Machine::finish); then records come out by id.
    Offline,
}

/// Settings of the machine. Durations are microseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// When sessions close.
    pub mode: Mode,
    /// A complete session is due so long after its last record.
    pub settle: i64,
    /// A session that lacks only legs named in its bridges is due so long after its last record.
    pub gap: i64,
    /// Any other session is due so long after its last record.
    pub max_idle: i64,
    /// A closed session can be re-opened for so long after its due time.
    pub late: i64,
    /// A forgotten session's stub is kept so long for telling repeats from late legs; `None` = no stubs.
    pub dedupe: Option<i64>,
    /// At most so many legs in stubs; the oldest stubs go first.
    pub dedupe_legs: usize,
    /// A session with so many legs closes partial, and further legs go to the dead letters.
    pub max_legs: usize,
    /// The same for the bytes of its records, as packed in memory.
    pub max_session_bytes: usize,
    /// Live sessions of one tenant; a leg that would begin another one goes to the dead letters. For tenants that have no
    /// limit of their own.
    pub max_live: usize,
    /// Whether call events are put out.
    pub events: bool,
    /// Whether changes of the state are collected for `take_changes`; if so, they must be taken.
    pub changes: bool,
}

const SECOND: i64 = 1_000_000;

impl Default for Config {
    /// The values of the contract, for a live partition.
    fn default() -> Self {
        Self {
            mode: Mode::Stream,
            settle: 3 * SECOND,
            gap: 15 * 60 * SECOND,
            max_idle: 4 * 3600 * SECOND,
            late: 10 * 60 * SECOND,
            dedupe: Some(24 * 3600 * SECOND),
            dedupe_legs: 1_000_000,
            max_legs: 500,
            max_session_bytes: 512 * 1024,
            max_live: 100_000,
            events: true,
            changes: true,
        }
    }
}

impl Config {
    /// A whole input at once: nothing closes before its end. No caps, no stubs, no events.
    pub fn offline() -> Self {
        Self { mode: Mode::Offline, ..Self::offline_stream() }
    }

    /// A whole input in order of time, played as a stream. No caps, no stubs, no events.
    pub fn offline_stream() -> Self {
        Self {
            dedupe: None,
            max_legs: usize::MAX,
            max_session_bytes: usize::MAX,
            max_live: usize::MAX,
            events: false,
            changes: false,
            ..Self::default()
        }
    }
}
