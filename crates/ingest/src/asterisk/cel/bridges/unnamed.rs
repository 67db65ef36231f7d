//! Bridges of rows that do not name them: an entering channel joins the one that waits alone, by order of time.

use std::collections::BTreeMap;

use ringpost_model::{Bridge, LegId, Text, Timestamp};

use super::{Stays, bridge_leg};
use crate::asterisk::cel::call::Call;
use crate::asterisk::cel::channel::Channel;
use crate::asterisk::cel::row::{Event, Row, Technology};
use crate::asterisk::endpoint;

/// A bridge that somebody is in.
struct Live {
    leg: LegId,
    /// Places of the channels in it, and when each entered.
    members: Vec<(usize, Timestamp)>,
}

struct Walk<'c, 'a> {
    call: &'c Call<'a>,
    places: BTreeMap<&'a str, usize>,
    live: Vec<Live>,
    /// Bridges of each linked id so far.
    counts: BTreeMap<Text, u32>,
    stays: BTreeMap<usize, Stays>,
}

/// What is told of each channel's bridges, by its place in the call.
pub(super) fn stays(call: &Call<'_>, rows: &[&Row]) -> BTreeMap<usize, Stays> {
    let unnamed: Vec<&Row> = rows.iter().copied().filter(|row| is_unnamed(row)).collect();
    if unnamed.is_empty() {
        return BTreeMap::new();
    }
    let places = call.channels.iter().enumerate().map(|(place, channel)| (channel.id(), place)).collect();
    let mut walk = Walk { call, places, live: Vec::new(), counts: BTreeMap::new(), stays: BTreeMap::new() };
    for instant in unnamed.chunk_by(|a, b| a.at == b.at) {
        walk.instant(instant);
    }
    walk.close();
    walk.stays
}

fn is_unnamed(row: &Row) -> bool {
    match &row.event {
        Event::Enter(meeting) | Event::Exit(meeting) => {
            let is_talk = !matches!(meeting.technology, Technology::Holding | Technology::Lot);
            meeting.id.is_none() && is_talk
        }
        _ => false,
    }
}

impl<'a> Walk<'_, 'a> {
    /// At one instant channels leave what they were in, then enter, real ones first; then leave what they entered.
    fn instant(&mut self, rows: &[&'a Row]) {
        let place = |walk: &Self, row: &Row| walk.places[&*row.channel];
        let exits = || rows.iter().filter(|row| matches!(row.event, Event::Exit(_)));
        let mut late = Vec::new();
        for row in exits() {
            let place = place(self, row);
            if self.is_in(place) { self.leave(place, row.at) } else { late.push((place, row.at)) }
        }
        let mut enters: Vec<&&Row> = rows.iter().filter(|row| matches!(row.event, Event::Enter(_))).collect();
        enters.sort_by_key(|row| endpoint::is_local(&row.name));
        for row in enters {
            self.enter(place(self, row), row);
        }
        for (place, at) in late {
            self.leave(place, at);
        }
    }

    fn is_in(&self, place: usize) -> bool {
        self.live.iter().any(|live| live.members.iter().any(|member| member.0 == place))
    }

    fn enter(&mut self, place: usize, row: &Row) {
        if self.is_in(place) {
            self.leave(place, row.at);
        }
        let waiting = self.live.iter().enumerate().filter_map(|(at, live)| match live.members.as_slice() {
            [alone] if !self.are_halves(alone.0, place) => {
                let channel = &self.call.channels[alone.0];
                let lives = channel.ended.is_none_or(|ended| ended > row.at);
                lives.then_some((!channel.is_local(), alone.1, at))
            }
            _ => None,
        });
        match waiting.max() {
            Some((.., at)) => self.live[at].members.push((place, row.at)),
            None => self.open(place, row),
        }
    }

    fn are_halves(&self, a: usize, b: usize) -> bool {
        let (a, b): (&Channel<'_>, &Channel<'_>) = (&self.call.channels[a], &self.call.channels[b]);
        a.is_local() && b.is_local() && endpoint::pair(a.name) == endpoint::pair(b.name)
    }

    /// The first bridge of a linked id has the name that a row alone gives it; others that live beside it a number.
    fn open(&mut self, place: usize, row: &Row) {
        let is_free = |leg: &LegId| self.live.iter().all(|live| live.leg != *leg);
        let first = bridge_leg(&row.linked).filter(is_free);
        let leg = first.or_else(|| {
            let count = self.counts.entry(row.linked.clone()).or_insert(1);
            *count += 1;
            bridge_leg(&format!("{}#{count}", row.linked))
        });
        if let Some(leg) = leg {
            self.live.push(Live { leg, members: vec![(place, row.at)] });
        }
    }

    fn leave(&mut self, place: usize, at: Timestamp) {
        let stays = self.stays.entry(place).or_default();
        let position = self.live.iter().position(|live| live.members.iter().any(|member| member.0 == place));
        let Some(position) = position else {
            stays.left.push((at, None));
            return;
        };
        let live = &mut self.live[position];
        for (_, from) in live.members.iter().filter(|member| member.0 == place) {
            stays.bridges.push(Bridge { with: live.leg.clone(), from: *from, to: Some(at) });
        }
        live.members.retain(|member| member.0 != place);
        if live.members.is_empty() {
            self.live.remove(position);
        }
    }

    /// Who never left stays until its end.
    fn close(&mut self) {
        for live in std::mem::take(&mut self.live) {
            for (place, from) in live.members {
                let bridge = Bridge { with: live.leg.clone(), from, to: None };
                self.stays.entry(place).or_default().bridges.push(bridge);
            }
        }
    }
}
