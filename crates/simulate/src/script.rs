//! The script of a call: what happened, as its author knows it. From it are told both what the switch writes
//! (`tell`, `freeswitch`) and the record to expect (`truth`).

pub(crate) mod track;
pub(crate) mod truth;

use ringpost_model::{CallDirection, CallType, Fields, LegDirection, LegId, NumberName, Service, Side, Text};

use crate::company::Pbx;
use track::Track;

/// Microseconds since 1970, or so many of them.
pub(crate) type Micros = i64;
pub(crate) const MS: Micros = 1_000;
pub(crate) const S: Micros = 1_000_000;

/// A leg by its place in the script.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LegNo(pub(crate) usize);

/// A session by its place in the script: nearly always the only one.
pub(crate) const FIRST: usize = 0;

/// What happened to one leg.
pub(crate) struct ScriptLeg {
    pub(crate) id: LegId,
    /// Whose session it belongs to; none = a machine that several calls share.
    pub(crate) session: Option<usize>,
    pub(crate) links: Vec<Text>,
    /// Ids that the leg gets in mid-call.
    pub(crate) later_links: Vec<(Micros, Text)>,
    pub(crate) fields: Fields,
    /// The party as first signalled, where it is corrected later.
    pub(crate) first_party: Option<NumberName>,
    pub(crate) created: Micros,
    pub(crate) ringing: Option<Micros>,
    pub(crate) answered: Option<Micros>,
    /// None = its end was never told.
    pub(crate) ended: Option<Micros>,
    pub(crate) holds: Vec<(Micros, Option<Micros>)>,
    pub(crate) parks: Vec<Stay>,
    pub(crate) services: Vec<(Service, Stay)>,
    pub(crate) recordings: Vec<Text>,
    pub(crate) tags: Vec<(Text, Text)>,
}

/// An interval with a name: of the slot, the queue, the menu.
pub(crate) struct Stay {
    pub(crate) from: Micros,
    pub(crate) to: Option<Micros>,
    pub(crate) name: Text,
    pub(crate) outcome: Text,
}

/// Who tells of a bridge.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Teller {
    First,
    Second,
    Both,
}

/// Two legs connected.
pub(crate) struct ScriptBridge {
    pub(crate) first: LegNo,
    pub(crate) second: LegNo,
    pub(crate) from: Micros,
    /// None = its end is not told: it ends with the leg that ends first.
    pub(crate) to: Option<Micros>,
    pub(crate) teller: Teller,
}

/// What the record of one session has to say.
pub(crate) struct Session {
    pub(crate) root: LegNo,
    /// Whose cause is printed.
    pub(crate) customer: LegNo,
    pub(crate) track: Track,
    pub(crate) answer: Option<Micros>,
    pub(crate) end: Micros,
    /// When the customer was gone; the end, where there is no customer.
    pub(crate) customer_end: Micros,
    pub(crate) direction: CallDirection,
    pub(crate) call_type: CallType,
    pub(crate) t2t: bool,
    pub(crate) cli: NumberName,
    pub(crate) ddi: NumberName,
    /// When which desk began to alert.
    pub(crate) rang: Vec<(Micros, LegNo)>,
    /// Outgoing: the desks that were root or had the customer.
    pub(crate) own: Vec<LegNo>,
    /// When whom the customer began to talk with.
    pub(crate) talked: Vec<(Micros, LegNo)>,
    /// A fax or a conference took the call: nobody lost it.
    pub(crate) machine: bool,
    pub(crate) partial: bool,
}

/// A whole call, or several that meet in a room.
pub(crate) struct Script {
    pub(crate) pbx: &'static Pbx,
    pub(crate) legs: Vec<ScriptLeg>,
    pub(crate) bridges: Vec<ScriptBridge>,
    pub(crate) sessions: Vec<Session>,
    /// This switch tells of bridges; otherwise they follow from the answers.
    pub(crate) tells_bridges: bool,
    /// Every leg's begin is told at once, so that no part of the call is taken for a call of its own.
    pub(crate) tells_begins: bool,
}

impl ScriptLeg {
    /// The party as the leg's first message tells it. Of a leg that ends at the instant of its begin all messages have
    /// one time, and none is the later one.
    pub(crate) fn party_at_begin(&self) -> &NumberName {
        self.first_party.as_ref().filter(|_| self.ended != Some(self.created)).unwrap_or(&self.fields.party)
    }

    pub(crate) fn new(id: LegId, created: Micros) -> Self {
        Self {
            id,
            session: Some(FIRST),
            links: Vec::new(),
            later_links: Vec::new(),
            fields: Fields::default(),
            first_party: None,
            created,
            ringing: None,
            answered: None,
            ended: None,
            holds: Vec::new(),
            parks: Vec::new(),
            services: Vec::new(),
            recordings: Vec::new(),
            tags: Vec::new(),
        }
    }

    pub(crate) fn is_internal(&self) -> bool {
        self.fields.side == Some(Side::Internal)
    }

    pub(crate) fn is_in(&self) -> bool {
        self.fields.direction == Some(LegDirection::In)
    }
}

impl Script {
    pub(crate) fn leg(&self, no: LegNo) -> &ScriptLeg {
        &self.legs[no.0]
    }

    pub(crate) fn leg_mut(&mut self, no: LegNo) -> &mut ScriptLeg {
        &mut self.legs[no.0]
    }

    /// The bridges that this leg tells of, each with the leg at its other end: one of the two tells of both ends, or both
    /// do.
    pub(crate) fn bridges_told_by(&self, no: LegNo) -> impl Iterator<Item = (&ScriptBridge, LegNo)> {
        self.bridges.iter().filter_map(move |bridge| {
            if bridge.first == no {
                (bridge.teller != Teller::Second).then_some((bridge, bridge.second))
            } else {
                (bridge.second == no && bridge.teller != Teller::First).then_some((bridge, bridge.first))
            }
        })
    }
}
