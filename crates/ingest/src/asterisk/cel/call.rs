//! The rows of one call: those of channels that share a linked id, or name each other.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, DefaultHasher};

use ringpost_model::{LegRecord, Timestamp};

use super::bridges::Bridges;
use super::channel::Channel;
use super::row::{Event, Row};
use super::{group, legs};
use crate::asterisk::endpoint;

/// The channels of one call.
#[derive(Debug)]
pub(super) struct Call<'a> {
    /// By first row.
    pub(super) channels: Vec<Channel<'a>>,
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
        if is_done(&call) { done.push(call) } else { rest.push(call) }
    }
    done.sort_unstable();
    rest.sort_unstable();
    (done, rest.concat())
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
    let call = Call::new(rows);
    call.channels.iter().all(|channel| channel.created().is_some() && channel.ended().is_some())
}

/// Tells calls as leg records, by time.
pub(super) fn tell(calls: Vec<Vec<Row>>, records: &mut Vec<LegRecord>) {
    let first = records.len();
    for rows in &calls {
        let call = Call::new(rows);
        let bridges = Bridges::of(&call);
        legs::tell(&call, bridges, records);
    }
    records[first..].sort_by(|a, b| (a.stream_time(), &a.leg).cmp(&(b.stream_time(), &b.leg)));
}

impl<'a> Call<'a> {
    fn new(rows: &'a [Row]) -> Self {
        let mut sorted: Vec<&Row> = rows.iter().collect();
        sorted.sort_by(|a, b| (&a.owner, &a.channel).cmp(&(&b.owner, &b.channel)));
        let of_one = sorted.chunk_by(|a, b| a.owner == b.owner && a.channel == b.channel);
        let mut channels: Vec<Channel<'a>> = of_one.map(|rows| Channel { rows: rows.to_vec() }).collect();
        channels.sort_by_key(|channel| channel.first());
        Self { channels }
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
        let told_outside = |placing: &Channel<'_>, from: Option<Timestamp>| {
            let mut told = placing.rows.iter().filter(|row| row.event == Event::Outgoing);
            told.any(|row| row.at <= created && from.is_none_or(|from| row.at > from))
        };
        let others = || self.channels.iter().filter(|other| other.id() != channel.id());
        if others().all(|other| !other.has(&Event::Outgoing)) {
            return false;
        }
        let placed = |other: &&Channel<'_>| other.apps().map(|(at, ..)| at).filter(|at| *at <= created).max();
        let placing = others().filter_map(|other| Some((placed(&other)?, other))).max_by_key(|(at, _)| *at);
        let Some((at, placing)) = placing else { return others().any(|other| told_outside(other, None)) };
        let before = placing.apps().map(|(at, ..)| at).filter(|before| *before < at).max();
        told_outside(placing, before)
    }

    /// Name of the queue that offered the call to a channel; empty = none did.
    pub(super) fn group(&self, channel: &Channel<'_>) -> &'a str {
        channel.created().map(|created| group::at(self, created)).unwrap_or_default()
    }

    /// The first half of the pair that a Local channel belongs to, itself or the other one.
    pub(super) fn first_half<'b>(&'b self, channel: &'b Channel<'a>) -> &'b Channel<'a> {
        const TOGETHER: i64 = 2_000_000;
        let name = endpoint::pair(channel.name());
        let at = channel.first().at.micros();
        let is_first = |other: &&Channel<'_>| {
            other.name().ends_with(";1")
                && endpoint::pair(other.name()) == name
                && (other.first().at.micros() - at).abs() <= TOGETHER
        };
        self.channels.iter().find(is_first).unwrap_or(channel)
    }
}
