//! What decoding takes and gives: the source, the records, the rejects, and what was noticed on the way.

use std::fmt;

use ringpost_model::{LegRecord, PbxKey, SideRules, SwitchNotice, TenantKey, Timestamp};

use crate::Reason;

/// Largest JSON text of one record or document, in bytes (sessions.md 1, Bad records).
pub(crate) const RECORD_BYTES: usize = 256 * 1024;

/// Deepest nesting of one record or document; the record itself is level 1 (sessions.md 1, Bad records).
pub(crate) const LEVELS: usize = 64;

/// Where the bytes came from. Native records name tenant and pbx themselves; other dialects take them from here.
#[derive(Debug, Clone, Default)]
pub struct Source<'a> {
    /// Whose calls they are; none = the documents must say (a pbx of several tenants).
    pub tenant: Option<TenantKey>,
    /// Which platform wrote them; none = the documents must say.
    pub pbx: Option<PbxKey>,
    /// Both were named beside this very input, as by the key of a record: a native record need not repeat them.
    pub is_named: bool,
    /// `Content-Type` of the request, if there was one. A hint: the body itself decides.
    pub content_type: Option<&'a str>,
    /// Zone of times without an offset; none = UTC.
    pub zone: Option<chrono_tz::Tz>,
    /// Of a table that is read on: the line it began with. It is passed over where it names no columns.
    pub header: Option<&'a [u8]>,
    /// Who is behind a carrier, where a message does not say; by default what fits stock installations.
    pub sides: &'a SideRules,
    /// When the bytes arrived, where they came at once: the time of a message that has none of its own.
    pub received: Option<Timestamp>,
}

/// What became of some bytes: every element of the input is accepted or among the rejects.
#[derive(Debug, Clone, Default)]
pub struct Decoded {
    /// In the order of the input. One document of a switch can give several.
    pub records: Vec<LegRecord>,
    /// What the switch tells beside calls, in the order of the input.
    pub notices: Vec<SwitchNotice>,
    /// What could not be read, in the order of the input.
    pub rejects: Vec<Reject>,
    /// How many elements were read.
    pub accepted: u64,
    /// What was tolerated, of accepted elements.
    pub notes: Notes,
}

/// An element that could not be read. The same bytes will be rejected again: sending them once more is no use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    /// Why.
    pub reason: Reason,
    /// Where in the input it stood.
    pub position: Position,
    /// The element as it came; the first 64 KiB of one too long to be held.
    pub bytes: Vec<u8>,
}

/// Where an element begins in its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Position {
    /// The how manyth element, from 1.
    pub element: u64,
    /// The line it begins on, from 1.
    pub line: u64,
    /// The byte it begins at, from 0.
    pub offset: u64,
}

/// Counts of what was tolerated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Notes {
    /// Keys that the format does not know, at any level. Native only: a switch's document has hundreds.
    pub unknown_keys: u64,
    /// Keys that came twice in one object; the last one counts. Not those that a dialect repeats on purpose.
    pub duplicate_keys: u64,
    /// Zones that nobody knows.
    pub unknown_zones: u64,
    /// Places where bytes were no UTF-8, or an escape half a character; each became U+FFFD.
    pub invalid_utf8: u64,
    /// Times taken from a local stamp without a zone, read in the zone of the platform.
    pub local_times: u64,
    /// Legs read out of another leg's document.
    pub far_legs: u64,
    /// Lines that name the columns of a table; they are no elements.
    pub headers: u64,
    /// Messages of a switch that say nothing of a leg; they were read, and give no record.
    pub passed_over: u64,
}

impl Position {
    /// The first element of an input.
    pub const FIRST: Self = Self { element: 1, line: 1, offset: 0 };
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "element {} (line {}, byte {})", self.element, self.line, self.offset)
    }
}

impl fmt::Display for Reject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.position, self.reason)
    }
}

impl Notes {
    /// Adds another's counts.
    pub fn add(&mut self, other: Self) {
        self.unknown_keys += other.unknown_keys;
        self.duplicate_keys += other.duplicate_keys;
        self.unknown_zones += other.unknown_zones;
        self.invalid_utf8 += other.invalid_utf8;
        self.local_times += other.local_times;
        self.far_legs += other.far_legs;
        self.headers += other.headers;
        self.passed_over += other.passed_over;
    }
}
