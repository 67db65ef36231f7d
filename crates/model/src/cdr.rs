//! The record of one call, `CloudSessionCdr` (sessions.md 4, seed 002): its keys, their order, what is left out.

use std::collections::BTreeMap;

use chrono_tz::Tz;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

mod print;
mod read;

use crate::{ContactField, NumberName, SessionId, Text, Timestamp};

/// `dir`: which way the call went, as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[expect(missing_docs, reason = "named and explained in sessions.md 4.1")]
pub enum CallDirection {
    #[default]
    Unknown,
    Internal,
    Incoming,
    Outgoing,
    Both,
}

/// `type`: whether anybody outside took part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[expect(missing_docs, reason = "named and explained in sessions.md 4.1")]
pub enum CallType {
    #[default]
    Unknown,
    Internal,
    External,
}

impl CallDirection {
    /// Every direction, by its code.
    pub const ALL: [Self; 5] = [Self::Unknown, Self::Internal, Self::Incoming, Self::Outgoing, Self::Both];

    /// The code printed.
    pub const fn code(self) -> u8 {
        self as u8
    }
}

impl CallType {
    /// Every type, by its code.
    pub const ALL: [Self; 3] = [Self::Unknown, Self::Internal, Self::External];

    /// The code printed.
    pub const fn code(self) -> u8 {
        self as u8
    }
}

/// The other party: keys `cli…`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cli {
    /// E.164 where valid, else as received.
    pub number: Text,
    /// As received.
    pub name: Text,
    /// Description of the place.
    pub location: Text,
    /// Digits of the geographical area code.
    pub area: Text,
    /// Two letters, US only.
    pub state: Text,
    /// ISO 3166 alpha-2.
    pub country: Text,
}

/// One kind of thing that rings (device, user or agent): who rang and who answered, first and last.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Faces {
    /// Keys `fRng…`.
    pub first_rang: NumberName,
    /// Keys `lRng…`.
    pub last_rang: NumberName,
    /// Keys `ans…`.
    pub answered: NumberName,
    /// Keys `lAns…`.
    pub last_answered: NumberName,
}

/// What the call cost: keys `rate…`. A cost of 0 is a rating too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rate {
    /// Exact.
    pub cost: Decimal,
    /// Name of the band.
    pub band: Text,
    /// Name of the rate applied.
    pub name: Text,
}

/// A contact that the other party's number belongs to (enrichment-and-dialects.md 1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DirectoryMatch {
    /// Name of the directory.
    pub dir_name: Text,
    /// Id of the directory.
    pub dir_id: Text,
    /// Always `DirectoryContactMatch`.
    pub dir_type: Text,
    /// Id of the contact.
    pub contact_id: Text,
    /// The contact's fields that are not empty, in the order of seed 002.
    pub fields: BTreeMap<ContactField, Text>,
}

/// One finished call. Times are whole seconds; an empty text, a zero and `None` are left out when printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cdr {
    /// Session id.
    pub id: SessionId,
    /// Key of the pbx, or the GUID given to it.
    pub pbx_id: Text,
    /// Configured name of the pbx.
    pub pbx_name: Text,
    /// Zone in which the times are printed.
    pub tz: Tz,
    /// Creation of the root.
    pub start: Timestamp,
    /// First instant of talk.
    pub answer: Option<Timestamp>,
    /// See sessions.md 3.
    pub end: Timestamp,
    /// Seconds from start to end.
    pub dur: u32,
    /// Seconds of ring.
    pub ring: u32,
    /// Seconds of talk.
    pub talk: u32,
    /// Seconds of hold.
    pub hold: u32,
    /// Seconds of park.
    pub park: u32,
    /// Incoming, and nobody talked with the caller.
    pub lost: bool,
    /// The caller left while parked or in the ring-back.
    pub lost_in_park: bool,
    /// Lost after a short ring.
    pub aban: bool,
    /// There was talk.
    pub ans: bool,
    /// Answered, with little talk.
    pub short: bool,
    /// Hang-up cause.
    pub cause: Text,
    /// Key `dir`.
    pub direction: CallDirection,
    /// Key `type`.
    pub call_type: CallType,
    /// Talk between two external legs.
    pub t2t: bool,
    /// The other party.
    pub cli: Cli,
    /// The tenant's own public number.
    pub ddi: NumberName,
    /// Keys `…Dev…`.
    pub devices: Faces,
    /// Keys `…Usr…`.
    pub users: Faces,
    /// Keys `…Agt…`.
    pub agents: Faces,
    /// Prefix number put on while routing.
    pub route_id: Text,
    /// Prefix name put on while routing.
    pub route_name: Text,
    /// Group of the leg that rang first.
    pub first_group: Text,
    /// Group of the leg that rang last.
    pub last_group: Text,
    /// Group of the leg that answered first.
    pub answer_group: Text,
    /// None = not rated.
    pub rate: Option<Rate>,
    /// `hasRec` says whether there are any.
    pub recording_ids: Vec<Text>,
    /// Contacts with the other party's number.
    pub directory_matches: Vec<DirectoryMatch>,
    /// All legs' tags.
    pub tags: BTreeMap<Text, Text>,
    /// Not all of the call was known.
    pub partial: bool,
    /// Revision, from 1; printed from 2 on.
    pub rev: u32,
    /// Sessions that this one absorbed, in byte order of the printed id.
    pub replaces: Vec<SessionId>,
}

impl Cdr {
    /// A record with nothing in it but its id: the start for whoever fills one, and for tests.
    pub fn empty(id: SessionId) -> Self {
        Self {
            id,
            pbx_id: Text::default(),
            pbx_name: Text::default(),
            tz: Tz::UTC,
            start: Timestamp::default(),
            answer: None,
            end: Timestamp::default(),
            dur: 0,
            ring: 0,
            talk: 0,
            hold: 0,
            park: 0,
            lost: false,
            lost_in_park: false,
            aban: false,
            ans: false,
            short: false,
            cause: Text::default(),
            direction: CallDirection::Unknown,
            call_type: CallType::Unknown,
            t2t: false,
            cli: Cli::default(),
            ddi: NumberName::default(),
            devices: Faces::default(),
            users: Faces::default(),
            agents: Faces::default(),
            route_id: Text::default(),
            route_name: Text::default(),
            first_group: Text::default(),
            last_group: Text::default(),
            answer_group: Text::default(),
            rate: None,
            recording_ids: Vec::new(),
            directory_matches: Vec::new(),
            tags: BTreeMap::new(),
            partial: false,
            rev: 1,
            replaces: Vec::new(),
        }
    }
}

macro_rules! face_keys {
    ($kind:literal) => {
        [
            (concat!("fRng", $kind, "Num"), concat!("fRng", $kind, "Name")),
            (concat!("lRng", $kind, "Num"), concat!("lRng", $kind, "Name")),
            (concat!("ans", $kind, "Num"), concat!("ans", $kind, "Name")),
            (concat!("lAns", $kind, "Num"), concat!("lAns", $kind, "Name")),
        ]
    };
}

const DEVICE_KEYS: [(&str, &str); 4] = face_keys!("Dev");
const USER_KEYS: [(&str, &str); 4] = face_keys!("Usr");
const AGENT_KEYS: [(&str, &str); 4] = face_keys!("Agt");

#[cfg(test)]
mod tests;
