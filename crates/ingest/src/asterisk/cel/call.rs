//! The rows of one call: those of channels that share a linked id, or name each other.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, DefaultHasher};

use ringpost_model::{LegRecord, SideRules, Timestamp};

use super::bridges::Bridges;
use super::channel::Channel;
use super::row::{Event, Row};
use super::{group, legs};
use crate::asterisk::{endpoint, sort_by_time};

/// The channels of one call.
#[derive(Debug)]
pub(super) struct Call<'a> {
    /// By first row.
    pub(super) channels: Vec<Channel<'a>>,
    /// Applications that began, by time.
    placings: Vec<Placing>,
    /// Which channels were told that they dial out of the house, by time.
    outgoing: Vec<(Timestamp, usize)>,
    /// In which queue somebody waited, by begin.
    waits: Vec<group::Wait<'a>>,
}

/// An application begins: it may place channels.
#[derive(Debug)]
struct Placing {
    at: Timestamp,
    place: usize,
    /// When its channel's application before began.
    before: Option<Timestamp>,
}

/// Splits rows into calls: those that `is_done`, by time, and the rows of the others.
pub(super) fn split(rows: Vec<Row>, is_done: fn(&[Row]) -> bool) -> (Vec<Vec<Row>>, Vec<Row>) {
    let numbers = number(&rows);
    let mut calls: HashMap<usize, Vec<Row>, BuildHasherDefault<DefaultHasher>> = HashMap::default();
    for (row, number) in rows.into_iter().zip(numbers) {
        calls.entry(number).or_default().push(row);
    }
    let (mut done, mut rest) = (Vec::new(), Vec::new());
    for mut call in calls.into_values() {
        call.sort_unstable();
        call.dedup();
        if !is_done(&call) {
            rest.push(call);
        } else if is_a_crowd(&call) {
            done.extend(apart(call));
        } else {
            done.push(call);
        }
    }
    done.sort_unstable();
    rest.sort_unstable();
    (done, rest.concat())
}

/// More channels than are ever one session (sessions.md 2: a link that more legs carry ties nobody).
const CROWD: usize = 1_000;

fn is_a_crowd(call: &[Row]) -> bool {
    if call.len() <= CROWD {
        return false;
    }
    let mut channels: Vec<&str> = call.iter().map(|row| &*row.channel).collect();
    channels.sort_unstable();
    channels.dedup();
    channels.len() > CROWD
}

/// Each channel for itself: what rows of others tell of it would take too long to find.
fn apart(mut call: Vec<Row>) -> Vec<Vec<Row>> {
    call.sort_by(|a, b| a.channel.cmp(&b.channel));
    call.chunk_by(|a, b| a.channel == b.channel).map(<[Row]>::to_vec).collect()
}

/// The number of the call of each row (union-find over the ids that rows carry).
fn number(rows: &[Row]) -> Vec<usize> {
    let mut numbers: HashMap<&str, usize, BuildHasherDefault<DefaultHasher>> = HashMap::default();
    let mut parents: Vec<usize> = Vec::new();
    let mut of = |id| {
        let next = numbers.len();
        *numbers.entry(id).or_insert(next)
    };
    let mut own = Vec::with_capacity(rows.len());
    for row in rows {
        let tied: &[_] = if let Event::Ties(ids) = &row.event { ids } else { &[] };
        let channel = of(&row.channel);
        own.push(channel);
        for id in std::iter::once(&row.linked).chain(tied) {
            let other = of(id);
            while parents.len() <= other.max(channel) {
                parents.push(parents.len());
            }
            let (a, b) = (root(&mut parents, channel), root(&mut parents, other));
            parents[a.max(b)] = a.min(b);
        }
    }
    own.into_iter().map(|number| root(&mut parents, number)).collect()
}

fn root(parents: &mut [usize], mut at: usize) -> usize {
    while parents[at] != at {
        parents[at] = parents[parents[at]];
        at = parents[at];
    }
    at
}

/// Every channel's first and last rows are there.
pub(super) fn is_whole(rows: &[Row]) -> bool {
    let call = Call::new(rows, Default::default());
    call.channels.iter().all(|channel| channel.start.is_some() && channel.ended.is_some())
}

/// Tells calls as leg records, by time.
pub(super) fn tell(calls: Vec<Vec<Row>>, sides: &SideRules, records: &mut Vec<LegRecord>) {
    let first = records.len();
    for rows in &calls {
        let call = Call::new(rows, sides);
        let bridges = Bridges::of(&call);
        legs::tell(&call, bridges, records);
    }
    sort_by_time(&mut records[first..]);
}

impl<'a> Call<'a> {
    fn new(rows: &'a [Row], sides: &'a SideRules) -> Self {
        let mut sorted: Vec<&Row> = rows.iter().collect();
        sorted.sort_by(|a, b| (&a.owner, &a.channel).cmp(&(&b.owner, &b.channel)));
        let of_one = sorted.chunk_by(|a, b| a.owner == b.owner && a.channel == b.channel);
        let mut channels: Vec<Channel<'a>> = of_one.map(|rows| Channel::new(rows.to_vec(), sides)).collect();
        channels.sort_by_key(|channel| channel.first());
        let mut placings = Vec::new();
        let mut outgoing = Vec::new();
        for (place, channel) in channels.iter().enumerate() {
            let mut before = None;
            for row in &channel.rows {
                match &row.event {
                    Event::AppStart { .. } => {
                        placings.push(Placing { at: row.at, place, before });
                        before = Some(row.at);
                    }
                    Event::Outgoing => outgoing.push((row.at, place)),
                    _ => {}
                }
            }
        }
        placings.sort_by_key(|placing| (placing.at, placing.place));
        outgoing.sort_unstable();
        let waits = group::waits(&channels);
        Self { channels, placings, outgoing, waits }
    }

    /// Rows of all channels, by time.
    pub(super) fn rows(&self) -> Vec<&'a Row> {
        let mut rows: Vec<&'a Row> =
            self.channels.iter().flat_map(|channel| channel.rows.iter().copied()).collect();
        rows.sort_unstable();
        rows
    }

    /// Whether a channel was dialled out of the house: the application that placed it belongs to a channel that had
    /// been told so since its application before. Where applications are not told, any channel told so.
    pub(super) fn is_dialled_outside(&self, channel: &Channel<'_>) -> bool {
        let Some(created) = channel.created() else { return false };
        let told = &self.outgoing[..self.outgoing.partition_point(|(at, _)| *at <= created)];
        if told.is_empty() {
            return false;
        }
        let earlier = self.placings.partition_point(|placing| placing.at <= created);
        let is_other = |place: usize| self.channels[place].id() != channel.id();
        let placing = self.placings[..earlier].iter().rev().find(|placing| is_other(placing.place));
        let Some(placing) = placing else { return told.iter().any(|(_, place)| is_other(*place)) };
        let since = |at: Timestamp| placing.before.is_none_or(|before| at > before);
        told.iter().rev().take_while(|(at, _)| since(*at)).any(|(_, place)| *place == placing.place)
    }

    /// Name of the queue that offered the call to a channel; empty = none did.
    pub(super) fn group(&self, channel: &Channel<'_>) -> &'a str {
        channel.created().map(|created| group::at(&self.waits, created)).unwrap_or_default()
    }

    /// The first half of the pair that a Local channel belongs to, itself or the other one.
    pub(super) fn first_half<'b>(&'b self, channel: &'b Channel<'a>) -> &'b Channel<'a> {
        const TOGETHER: i64 = 2_000_000;
        let name = endpoint::pair(channel.name);
        let at = channel.first().at.micros();
        let is_first = |other: &&Channel<'_>| {
            other.name.ends_with(";1")
                && endpoint::pair(other.name) == name
                && (other.first().at.micros() - at).abs() <= TOGETHER
        };
        self.channels.iter().find(is_first).unwrap_or(channel)
    }
}
