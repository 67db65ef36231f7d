//! A row as read: what happened to which channel when, and what the row says of it.

use std::borrow::Cow;
use std::sync::Arc;

use ringpost_model::{LegId, Text, Timestamp};

use super::extra::Extra;
use super::{APP, CHANNEL, CONTEXT, DATA, EVENT, EXTEN, EXTRA, NAME, NUMBER, PEER, TIME, USER_EVENT};
use crate::asterisk::table::{LINKEDID, Table, UNIQUEID};
use crate::asterisk::{Owner, Source, clock, endpoint};
use crate::decoded::Notes;
use crate::reason::Reason;

/// One event of one channel. Ordered by time; at one instant by what has to be known first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Row {
    pub(super) at: Timestamp,
    pub(super) event: Event,
    /// The channel's uniqueid, which is the leg's id.
    pub(super) channel: Text,
    pub(super) linked: Text,
    /// Name of the channel.
    pub(super) name: Text,
    pub(super) number: Text,
    pub(super) caller: Text,
    /// None = the table has no such column.
    pub(super) exten: Option<Text>,
    pub(super) context: Text,
    /// Names of the channels that were in the bridge.
    pub(super) peer: Text,
    pub(super) owner: Arc<Owner>,
}

/// What happened. What is not listed is kept for its link only.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Event {
    Start,
    /// A call of a carrier (`XIVO_INCALL`).
    Incoming,
    /// The dialled number of a call that came in on `s` (`XIVO_FROM_S`).
    DialledOn,
    /// What this channel dials next is outside (`XIVO_OUTCALL`).
    Outgoing,
    AppEnd {
        app: Text,
    },
    AppStart {
        app: Text,
        data: Text,
    },
    Answer,
    Enter(Meeting),
    Exit(Meeting),
    /// Asterisk before 12: bridged, with nobody named.
    BridgeStart,
    BridgeEnd,
    ParkStart {
        lot: Text,
    },
    ParkEnd {
        /// The parked party hung up.
        gave_up: bool,
    },
    /// Id of the recording.
    Recording(Text),
    /// Ids of other channels that the event names.
    Ties(Vec<Text>),
    Hangup(Option<u16>),
    End,
    Other,
}

/// The bridge that a channel enters or leaves.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Meeting {
    /// None before Asterisk 13.
    pub(super) id: Option<Text>,
    pub(super) technology: Technology,
}

/// How a bridge connects its members.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Technology {
    Unknown,
    /// Of two, or of three that became so.
    Simple,
    /// A conference.
    Softmix,
    /// Nobody hears anybody: music.
    Holding,
    /// A park lot; the park itself is told by rows of its own.
    Lot,
}

impl Row {
    /// None = the row says nothing (`LINKEDID_END` comes before the last events of its channels).
    pub(super) fn read(
        source: &Source<'_>,
        table: &Table,
        owner: Arc<Owner>,
        notes: &mut Notes,
    ) -> Result<Option<Self>, Reason> {
        let mut kind = table.text(EVENT).ok_or_else(|| Reason::missing("eventtype"))?;
        if kind == "USER_DEFINED" {
            kind = table.text(USER_EVENT).unwrap_or(kind);
        }
        let at = table.text(TIME).ok_or_else(|| Reason::missing("eventtime"))?;
        let zone = source.zone;
        let at = clock::read(at, zone, notes)
            .map_err(|error| Reason::Time { path: "eventtime".to_owned(), error })?;
        let channel = id(table.text(UNIQUEID), "uniqueid")?.ok_or_else(|| Reason::missing("uniqueid"))?;
        let linked = id(table.text(LINKEDID), "linkedid")?.unwrap_or(channel);
        if kind.eq_ignore_ascii_case("LINKEDID_END") {
            return Ok(None);
        }
        let text = |column| table.text(column).unwrap_or_default().into();
        let is_start = kind == "CHAN_START";
        let if_start = |column| if is_start { text(column) } else { Text::default() };
        let exten = || Text::from(table.text(EXTEN).unwrap_or_default());
        Ok(Some(Self {
            at,
            event: event(kind, table),
            channel: channel.into(),
            linked: linked.into(),
            name: text(CHANNEL),
            number: text(NUMBER),
            caller: text(NAME),
            exten: table.has(EXTEN).then(exten),
            context: if_start(CONTEXT),
            peer: text(PEER),
            owner,
        }))
    }

    /// Of its texts.
    pub(super) fn bytes(&self) -> usize {
        let texts =
            [&self.channel, &self.linked, &self.name, &self.number, &self.caller, &self.context, &self.peer];
        let event = match &self.event {
            Event::AppStart { app, data } => app.len() + data.len(),
            Event::Ties(ids) => ids.iter().map(|id| id.len()).sum(),
            Event::Recording(id) => id.len(),
            _ => 0,
        };
        texts.iter().map(|text| text.len()).sum::<usize>() + event
    }

    /// Whether a channel of this name was in the bridge.
    pub(super) fn has_peer(&self, name: &str) -> bool {
        !name.is_empty() && self.peer.split(',').any(|peer| peer.trim() == name)
    }
}

fn id<'a>(text: Option<&'a str>, path: &str) -> Result<Option<&'a str>, Reason> {
    let Some(text) = text else { return Ok(None) };
    match LegId::new(text) {
        Ok(_) => Ok(Some(text)),
        Err(_) => Err(Reason::Invalid {
            path: path.to_owned(),
            rule: "1 to 256 bytes are allowed",
            got: format!("{} bytes", text.len()),
        }),
    }
}

fn event(kind: &str, table: &Table) -> Event {
    let extra = || Extra::read(table.text(EXTRA).unwrap_or_default());
    let text = |column| Text::from(table.text(column).unwrap_or_default());
    match kind {
        "CHAN_START" => Event::Start,
        "CHAN_END" => Event::End,
        "ANSWER" => Event::Answer,
        "HANGUP" => Event::Hangup(extra().cause()),
        "APP_START" => Event::AppStart { app: text(APP), data: text(DATA) },
        "APP_END" => Event::AppEnd { app: text(APP) },
        "BRIDGE_ENTER" => Event::Enter(meeting(&extra(), &text(APP))),
        "BRIDGE_EXIT" => Event::Exit(meeting(&extra(), &text(APP))),
        "BRIDGE_START" => Event::BridgeStart,
        "BRIDGE_END" => Event::BridgeEnd,
        "PARK_START" => Event::ParkStart { lot: extra().text("parking_lot").unwrap_or_default().into() },
        "PARK_END" => {
            Event::ParkEnd { gave_up: extra().text("reason").as_deref() == Some("ParkedCallGiveUp") }
        }
        "MIXMONITOR_START" => {
            endpoint::recording(extra().text("filename")).map_or(Event::Other, Event::Recording)
        }
        "BLINDTRANSFER" | "ATTENDEDTRANSFER" | "PICKUP" | "LOCAL_OPTIMIZE" | "LOCAL_OPTIMIZE_BEGIN" => {
            Event::Ties(extra().ids())
        }
        "XIVO_INCALL" => Event::Incoming,
        "XIVO_FROM_S" => Event::DialledOn,
        "XIVO_OUTCALL" => Event::Outgoing,
        _ => Event::Other,
    }
}

fn meeting(extra: &Extra, app: &str) -> Meeting {
    let technology = match extra.text("bridge_technology").as_deref() {
        None | Some("") => Technology::Unknown,
        Some("softmix") => Technology::Softmix,
        Some(name) if name.starts_with("holding") && app == "Park" => Technology::Lot,
        Some(name) if name.starts_with("holding") => Technology::Holding,
        Some(_) => Technology::Simple,
    };
    let id = extra.text("bridge_id").filter(|id| !id.is_empty());
    Meeting { id: id.map(Cow::into_owned).map(Text::from), technology }
}
