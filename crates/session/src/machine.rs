//! The machine of one partition: pulled, without clock and without IO. `handle` takes a record, `handle_timeout`
//! lets time pass, `poll` gives what comes out, `take_changes` what must be kept together with it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use crate::hash;
use ringpost_model::{CallEvent, Envelope, LegRecord, PbxKey, TenantKey, Timestamp};

use crate::config::{Config, Mode};
use crate::settings::Settings;
use crate::space::Space;
use crate::stats::Stats;

mod apply;
mod close;
mod events;
mod offline;
mod revisions;
mod rework;
mod state;
mod stubs;
mod timers;
mod whose;

pub use rework::{Unworkable, rework};
pub use state::{Change, RestoreError};
pub use whose::{Kind, Whose, stream_time, stream_time_entry, whose};

/// Why a record was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// Its session was closed and forgotten; `replay --reopen` may make the next revision of it.
    TooLate,
    /// Its session reached a cap and closed.
    SessionFull,
    /// It would begin a session, and its tenant has as many live ones as it may.
    TooManyLive,
}

impl Refusal {
    /// The reason as dead letters name it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::TooLate => "too_late",
            Self::SessionFull => "session_full",
            Self::TooManyLive => "too_many_live",
        }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// What comes out.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// A finished or corrected record.
    Record(Box<Envelope>),
    /// Something happened during a call.
    Event(CallEvent),
    /// A record that could not be taken: it belongs with the dead letters.
    DeadLetter {
        /// As it was handed in.
        record: Box<LegRecord>,
        /// Why.
        reason: Refusal,
    },
}

/// One session: which space, which number in it.
type Place = (u32, u32);

/// What a timer is for, in the order in which those of one instant go off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Wake {
    Close,
    Forget,
}

/// Legs to sessions to records, for one partition.
#[derive(Debug)]
pub struct Machine {
    config: Config,
    settings: Arc<Settings>,
    /// The time of the stream: never goes back.
    now: i64,
    spaces: Vec<Space>,
    space_of: hash::Map<TenantKey, hash::Map<PbxKey, u32>>,
    timers: BTreeSet<(i64, Wake, Place)>,
    outputs: VecDeque<Output>,
    stats: Stats,
    stubs: stubs::Stubs,
    revisions: revisions::Revisions,
    /// Kept sessions whose time is over, but that an open session's bridges name.
    overdue: hash::Set<Place>,
    dirty: hash::Set<Place>,
    /// Where records are packed.
    scratch: Vec<u8>,
    /// Values to keep of what is no session, by key; none = delete.
    other_changes: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
}

impl Machine {
    /// A machine that knows nothing yet.
    pub fn new(config: Config, settings: Arc<Settings>) -> Self {
        Self {
            config,
            settings,
            now: i64::MIN,
            spaces: Vec::new(),
            space_of: hash::Map::default(),
            timers: BTreeSet::new(),
            outputs: VecDeque::new(),
            stats: Stats::default(),
            stubs: stubs::Stubs::default(),
            revisions: revisions::Revisions::default(),
            overdue: hash::Set::default(),
            dirty: hash::Set::default(),
            scratch: Vec::new(),
            other_changes: BTreeMap::new(),
        }
    }

    /// Uses another configuration of tenants and pbxs from now on; sessions are closed by what holds then.
    pub fn set_settings(&mut self, settings: Arc<Settings>) {
        for space in &mut self.spaces {
            space.settings = settings.resolve(&space.tenant, &space.pbx);
        }
        self.settings = settings;
    }

    /// Takes a record at a time of the stream. What is due until then closes before.
    pub fn handle(&mut self, now: Timestamp, record: LegRecord) {
        self.handle_timeout(now);
        self.stats.accepted += 1;
        self.apply(record);
    }

    /// Lets time pass: what is due closes, what was kept long enough is forgotten. Harmless when nothing is due.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        self.now = self.now.max(now.micros());
        if self.config.mode == Mode::Stream {
            self.run_timers();
        }
    }

    /// When [`Machine::handle_timeout`] will next have something to do.
    pub fn next_timeout(&self) -> Option<Timestamp> {
        self.timers.first().map(|(at, ..)| Timestamp::from_micros(*at))
    }

    /// The input has ended: everything open closes. Offline records come out by id; of a stream in order of due
    /// time, then id.
    pub fn finish(&mut self) {
        match self.config.mode {
            Mode::Offline => self.finish_offline(),
            Mode::Stream => self.finish_stream(),
        }
    }

    /// The next thing that came out.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Counters since the start, and gauges as of now.
    pub fn stats(&self) -> Stats {
        let legs = self.spaces.iter().map(|space| space.legs.len() as u64).sum();
        let live_sessions = self.spaces.iter().map(|space| space.live() as u64).sum();
        let kept_sessions = self.spaces.iter().map(|space| space.kept as u64).sum();
        let stub_legs = self.stubs.legs() as u64;
        Stats { live_sessions, kept_sessions, legs, stub_legs, ..self.stats }
    }

    /// The space of a tenant's pbx, made at its first leg.
    fn space(&mut self, tenant: &TenantKey, pbx: &PbxKey) -> u32 {
        if let Some(space) = self.space_of.get(tenant).and_then(|of_tenant| of_tenant.get(pbx)) {
            return *space;
        }
        let at = u32::try_from(self.spaces.len()).expect("memory ends before four billion pbxs do");
        self.spaces.push(Space::new(tenant.clone(), pbx.clone(), self.settings.resolve(tenant, pbx)));
        self.space_of.entry(tenant.clone()).or_default().insert(pbx.clone(), at);
        at
    }
}
