//! Who was in which bridge when. A bridge is a leg of its own: a conference, or a loopback that joins its members.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ringpost_model::{Bridge, Hold, LegId, Text, Timestamp};

use super::call::Call;
use super::channel::Channel;
use super::row::{Event, Meeting, Row, Technology};
use crate::asterisk::pairs::pair;
use crate::asterisk::{Owner, endpoint};

mod unnamed;

/// What is told of one channel's bridges.
#[derive(Debug, Default)]
pub(super) struct Stays {
    pub(super) bridges: Vec<Bridge>,
    pub(super) holds: Vec<Hold>,
    /// Bridges left that were entered before the first row; none = whichever it was.
    pub(super) left: Vec<(Timestamp, Option<LegId>)>,
    /// Ends of holds that began before the first row.
    pub(super) resumed: Vec<Timestamp>,
}

/// A leg that stands for a bridge, or for what joins the halves of a Local channel.
#[derive(Debug)]
pub(super) struct Virtual {
    pub(super) owner: Arc<Owner>,
    pub(super) created: Option<Timestamp>,
    pub(super) ended: Option<Timestamp>,
    pub(super) conference: bool,
}

/// All of a call.
#[derive(Debug, Default)]
pub(super) struct Bridges {
    /// By place of the channel in the call.
    pub(super) of: Vec<Stays>,
    pub(super) virtuals: BTreeMap<LegId, Virtual>,
}

impl Bridges {
    pub(super) fn of(call: &Call<'_>) -> Self {
        let mut bridges = Self::default();
        let rows = call.rows();
        let mut unnamed = unnamed::stays(call, &rows);
        for (place, channel) in call.channels.iter().enumerate() {
            let mut stays = unnamed.remove(&place).unwrap_or_default();
            named(channel, &rows, &mut stays);
            before_bridge_ids(call, channel, &mut stays);
            bridges.note(channel, &stays);
            if channel.is_local() {
                bridges.join_halves(call, channel, &mut stays);
            }
            bridges.of.push(stays);
        }
        bridges.name_conferences(&rows);
        bridges
    }

    /// A bridge's leg lives while anybody is in it.
    fn note(&mut self, channel: &Channel<'_>, stays: &Stays) {
        let owner = &channel.first().owner;
        for bridge in stays.bridges.iter().filter(|bridge| is_virtual(&bridge.with)) {
            self.lives(bridge.with.clone(), owner, Some(bridge.from), bridge.to.or(channel.ended));
        }
        for (at, with) in &stays.left {
            // Without a name it is the one that a row alone names.
            if let Some(with) = with.clone().or_else(|| bridge_leg(&channel.first().linked)) {
                self.lives(with, owner, None, Some(*at));
            }
        }
    }

    fn lives(&mut self, leg: LegId, owner: &Arc<Owner>, from: Option<Timestamp>, to: Option<Timestamp>) {
        let new = || Virtual { owner: owner.clone(), created: None, ended: None, conference: false };
        let known = self.virtuals.entry(leg).or_insert_with(new);
        known.created = known.created.into_iter().chain(from).min();
        known.ended = known.ended.max(to);
    }

    /// The halves of a Local channel are joined while both live.
    fn join_halves(&mut self, call: &Call<'_>, channel: &Channel<'_>, stays: &mut Stays) {
        let Some(leg) = pair_leg(call, channel) else { return };
        let (created, ended) = (channel.created(), channel.ended);
        if created.is_some() || ended.is_some() {
            self.lives(leg.clone(), &channel.first().owner, created, ended);
        }
        stays.bridges.extend(created.map(|from| Bridge { with: leg, from, to: None }));
    }

    /// A bridge that was a conference from its first row on is one; another that became one goes on as it was.
    fn name_conferences(&mut self, rows: &[&Row]) {
        let mut seen: BTreeSet<LegId> = BTreeSet::new();
        for meeting in rows.iter().filter_map(|row| meeting(row)) {
            let Some(leg) = meeting.id.as_deref().and_then(bridge_leg) else { continue };
            if meeting.technology == Technology::Unknown || seen.contains(&leg) {
                continue;
            }
            if let Some(known) = self.virtuals.get_mut(&leg) {
                known.conference = meeting.technology == Technology::Softmix;
            }
            seen.insert(leg);
        }
    }
}

fn meeting(row: &Row) -> Option<&Meeting> {
    match &row.event {
        Event::Enter(meeting) | Event::Exit(meeting) => Some(meeting),
        _ => None,
    }
}

/// Id of the leg of a bridge.
fn bridge_leg(id: &str) -> Option<LegId> {
    LegId::new(&format!("{BRIDGE}{id}")).ok()
}

const BRIDGE: &str = "bridge:";
const PAIR: &str = "local:";

fn is_virtual(leg: &LegId) -> bool {
    leg.as_str().starts_with(BRIDGE) || leg.as_str().starts_with(PAIR)
}

/// Names of Local channels come again after a restart; with the time in the channel's id they do not. Both halves
/// are made at once.
fn pair_leg(call: &Call<'_>, channel: &Channel<'_>) -> Option<LegId> {
    let first = call.first_half(channel);
    let id = first.id();
    let epoch = id.rsplit_once('.').map_or(&*first.first().linked, |(epoch, _)| epoch);
    LegId::new(&format!("{PAIR}{}@{epoch}", endpoint::pair(first.name))).ok()
}

/// Bridges and holds of rows that name the bridge.
fn named(channel: &Channel<'_>, rows: &[&Row], stays: &mut Stays) {
    let mut by_id: BTreeMap<&Text, (Vec<Timestamp>, Vec<Timestamp>, Technology)> = BTreeMap::new();
    for row in &channel.rows {
        let (Some(meeting), is_enter) = (meeting(row), matches!(row.event, Event::Enter(_))) else {
            continue;
        };
        let Some(id) = &meeting.id else { continue };
        let told = by_id.entry(id).or_insert((Vec::new(), Vec::new(), Technology::Unknown));
        if is_enter {
            told.0.push(row.at)
        } else {
            told.1.push(row.at)
        }
        told.2 = told.2.max(meeting.technology);
    }
    for (id, (enters, exits, technology)) in by_id {
        match technology {
            Technology::Lot => {}
            Technology::Holding => held(channel, enters, exits, stays),
            _ => bridged(channel, rows, id, (enters, exits), stays),
        }
    }
}

fn bridged(
    channel: &Channel<'_>,
    rows: &[&Row],
    id: &Text,
    (mut enters, exits): (Vec<Timestamp>, Vec<Timestamp>),
    stays: &mut Stays,
) {
    let Some(with) = bridge_leg(id) else { return };
    let first_exit = exits.iter().min().copied();
    let enters_late = enters.iter().min().copied() > first_exit || enters.is_empty();
    if let Some(exit) = first_exit.filter(|_| enters_late) {
        enters.extend(seen_by_others(channel, rows, id, exit));
    }
    let paired = pair(enters, exits);
    stays.bridges.extend(paired.stays.into_iter().map(|(from, to)| Bridge { with: with.clone(), from, to }));
    stays.left.extend(paired.closings.into_iter().map(|at| (at, Some(with.clone()))));
}

/// When another member of a bridge first says that the channel is in it; for one whose entering was not told.
fn seen_by_others(channel: &Channel<'_>, rows: &[&Row], id: &Text, before: Timestamp) -> Option<Timestamp> {
    let is_there = |row: &&&Row| {
        let here = meeting(row).is_some_and(|meeting| meeting.id.as_ref() == Some(id));
        here && row.at < before && row.has_peer(channel.name)
    };
    rows.iter().find(is_there).map(|row| row.at)
}

/// A bridge in which nobody hears anybody is hold, unless the channel was parked meanwhile.
fn held(channel: &Channel<'_>, enters: Vec<Timestamp>, exits: Vec<Timestamp>, stays: &mut Stays) {
    let paired = pair(enters, exits);
    let is_park = |row: &&&Row| matches!(row.event, Event::ParkStart { .. } | Event::ParkEnd { .. });
    // By time, as rows are.
    let parks: Vec<Timestamp> = channel.rows.iter().filter(is_park).map(|row| row.at).collect();
    let is_parked = |from: Timestamp, to: Option<Timestamp>| {
        let next = parks.partition_point(|at| at.plus_micros(NEAR) < from);
        parks.get(next).is_some_and(|at| to.is_none_or(|to| *at <= to.plus_micros(NEAR)))
    };
    let holds = paired.stays.into_iter().filter(|(from, to)| !is_parked(*from, *to));
    stays.holds.extend(holds.map(|(from, to)| Hold { from, to }));
    // Whether what was entered before the first row was told as hold is not known here.
    stays.resumed.extend(paired.closings);
}

/// Rows of one happening are written within so many microseconds.
const NEAR: i64 = 500_000;

/// Asterisk before 12 tells a bridge on one of its channels, and not with whom: the other answered one.
fn before_bridge_ids(call: &Call<'_>, channel: &Channel<'_>, stays: &mut Stays) {
    let times = |wanted: &Event| {
        let rows = channel.rows.iter().filter(|row| row.event == *wanted);
        rows.map(|row| row.at).collect::<Vec<_>>()
    };
    let starts = channel.rows.iter().filter(|row| row.event == Event::BridgeStart);
    let starts: BTreeMap<Timestamp, &Row> = starts.map(|row| (row.at, *row)).collect();
    let paired = pair(starts.keys().copied().collect(), times(&Event::BridgeEnd));
    for (from, to) in paired.stays {
        let is_there = |other: &&Channel<'_>| {
            let lives = other.ended.is_none_or(|ended| ended > from);
            other.id() != channel.id() && lives && other.answered.is_some_and(|answered| answered <= from)
        };
        let is_peer = |other: &Channel<'_>| starts.get(&from).is_some_and(|row| row.has_peer(other.name));
        let others = call.channels.iter().filter(is_there);
        let other = others.max_by_key(|other| (is_peer(other), !other.is_local(), other.answered));
        if let Some(with) = other.and_then(|other| LegId::new(other.id()).ok()) {
            stays.bridges.push(Bridge { with, from, to });
        }
    }
}
