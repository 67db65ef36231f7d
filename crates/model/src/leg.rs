//! A leg: all that is known of one, merged from its records (sessions.md 1), and the parts of it.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::{LegId, Text, Timestamp};

/// Seen from the switch (sessions.md 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LegDirection {
    /// The leg entered the switch.
    In,
    /// The leg was placed by the switch.
    Out,
}

/// Who is at the other end of a leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// A party behind a carrier.
    External,
    /// A device or user of the tenant.
    Internal,
    /// Nobody: a machine of the switch. Without a service it is a loopback.
    Service,
}

/// What a service leg is, or what a leg executes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names are the field's own")]
pub enum Service {
    Ivr,
    Queue,
    Voicemail,
    Conference,
    Park,
    Fax,
    Media,
}

/// A number and a display name: one value, replaced as one.
#[derive(Debug, Clone, PartialEq, Eq, Default, Hash, Serialize, Deserialize)]
pub struct NumberName {
    /// As signalled; empty = not known.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub number: Text,
    /// As signalled; empty = not known.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub name: Text,
}

impl NumberName {
    /// Neither a number nor a name.
    pub fn is_empty(&self) -> bool {
        self.number.is_empty() && self.name.is_empty()
    }
}

/// The prefix put before the caller's number or name while routing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Route {
    /// Put before the number.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub id: Text,
    /// Put before the name.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub name: Text,
}

/// What the switch itself charged for the leg.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rating {
    /// In units of `currency`, exact; written as a decimal in a string.
    #[serde(with = "rust_decimal::serde::str")]
    pub cost: Decimal,
    /// Name of the tariff's band.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub band: Text,
    /// Name of the tariff or of its row.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub name: Text,
    /// ISO 4217; empty = the tenant's.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub currency: Text,
}

/// The scalars that both kinds of record can carry (sessions.md 1). `None` and empty say nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Fields {
    /// Entered or placed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub direction: Option<LegDirection>,
    /// External, internal or nobody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub side: Option<Side>,
    /// What a service leg is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<Service>,
    /// Keys `number` and `name`: the party at the far end, one value.
    #[serde(skip_serializing_if = "NumberName::is_empty")]
    pub party: NumberName,
    /// What was dialled on (in) or to (out) this leg.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub dialled: Text,
    /// The caller number shown to the party of an out leg.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub presented: Text,
    /// The tenant's public number used by this leg.
    #[serde(skip_serializing_if = "NumberName::is_empty")]
    pub ddi: NumberName,
    /// The device it rang at.
    #[serde(skip_serializing_if = "NumberName::is_empty")]
    pub device: NumberName,
    /// The user it rang at.
    #[serde(skip_serializing_if = "NumberName::is_empty")]
    pub user: NumberName,
    /// The agent it rang at.
    #[serde(skip_serializing_if = "NumberName::is_empty")]
    pub agent: NumberName,
    /// Name of the ring group or queue that offered the call to this leg.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub group: Text,
    /// Prefix put on while routing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<Route>,
    /// Hang-up cause, e.g. `NORMAL_CLEARING`.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub cause: Text,
    /// Final SIP status; none = not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sip: Option<u16>,
    /// Already rated by the switch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rating: Option<Rating>,
    /// Where the switch knows better than the tenant's setting.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tz: Option<chrono_tz::Tz>,
}

/// Connected with another leg.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Bridge {
    /// The other leg.
    pub with: LegId,
    /// Begin.
    pub from: Timestamp,
    /// End; none = until the leg ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Timestamp>,
}

/// The leg's party pressed hold.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Hold {
    /// Begin.
    pub from: Timestamp,
    /// End; none = until the leg ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Timestamp>,
}

/// The leg waited in a park slot.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Park {
    /// Begin.
    pub from: Timestamp,
    /// End; none = until the leg ends or is first bridged with a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Timestamp>,
    /// Where it waited.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub slot: Text,
}

/// A service that the leg executed itself, without a leg of its own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ServiceStay {
    /// Which.
    pub service: Service,
    /// Begin.
    pub from: Timestamp,
    /// End; none = until the leg ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Timestamp>,
    /// Of the IVR, queue or room.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub name: Text,
    /// A queue's: `answered`, `timeout` or `abandoned`.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub outcome: Text,
}

/// One leg as merged from all its records: what an envelope carries and a page draws.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leg {
    /// Unique within the pbx.
    pub leg: LegId,
    /// The ids that tie it to others, in byte order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<Text>,
    /// Its scalars.
    pub fields: Fields,
    /// First time known of it.
    pub created: Timestamp,
    /// First alert.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ringing: Option<Timestamp>,
    /// Answer, or its first bridge with a person or conference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered: Option<Timestamp>,
    /// End; none = still alive when the record was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Timestamp>,
    /// By begin.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bridges: Vec<Bridge>,
    /// By begin.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holds: Vec<Hold>,
    /// By begin.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parks: Vec<Park>,
    /// By begin.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<ServiceStay>,
    /// In byte order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recordings: Vec<Text>,
    /// In byte order of the keys.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<Text, Text>,
}
