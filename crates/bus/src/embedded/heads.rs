//! Where every partition begins and ends, and where every group stands: the journal's index, in memory.

use std::collections::HashMap;
use std::sync::Arc;

/// A group's place in one partition of one topic.
pub(super) type Place = (Arc<str>, usize, u32);

/// As of the last transaction that succeeded.
#[derive(Debug, Default)]
pub(super) struct Heads {
    /// By topic and partition.
    spans: Vec<Vec<Span>>,
    positions: HashMap<Place, u64>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Span {
    /// Oldest offset kept.
    start: u64,
    /// Offset after the last record.
    end: u64,
    /// Offsets below it are not given out: a restored journal leaves those that the lost one may have used.
    reserved: u64,
}

impl Heads {
    /// Empty partitions.
    pub(super) fn new(partitions: impl Iterator<Item = u32>) -> Self {
        let spans = partitions.map(|count| vec![Span::default(); count as usize]).collect();
        Self { spans, positions: HashMap::new() }
    }

    pub(super) fn start(&self, topic: usize, partition: u32) -> u64 {
        self.spans[topic][partition as usize].start
    }

    pub(super) fn end(&self, topic: usize, partition: u32) -> u64 {
        self.spans[topic][partition as usize].end
    }

    pub(super) fn set_start(&mut self, topic: usize, partition: u32, start: u64) {
        let span = &mut self.spans[topic][partition as usize];
        span.start = start;
        span.end = span.end.max(start);
    }

    pub(super) fn set_end(&mut self, topic: usize, partition: u32, end: u64) {
        self.spans[topic][partition as usize].end = end;
    }

    /// Offset that the next record gets.
    pub(super) fn next(&self, topic: usize, partition: u32) -> u64 {
        let span = self.spans[topic][partition as usize];
        span.end.max(span.reserved)
    }

    pub(super) fn set_reserved(&mut self, topic: usize, partition: u32, reserved: u64) {
        self.spans[topic][partition as usize].reserved = reserved;
    }

    pub(super) fn position(&self, place: &Place) -> Option<u64> {
        self.positions.get(place).copied()
    }

    pub(super) fn set_position(&mut self, place: Place, next: u64) {
        self.positions.insert(place, next);
    }

    pub(super) fn positions(&self) -> impl Iterator<Item = (Place, u64)> {
        self.positions.iter().map(|(place, next)| (place.clone(), *next))
    }

    /// The least position of all groups: what lies before it nobody reads again. None = nobody reads it yet.
    pub(super) fn floor(&self, topic: usize, partition: u32) -> Option<u64> {
        let here = self.positions.iter().filter(|((_, t, p), _)| (*t, *p) == (topic, partition));
        here.map(|(_, next)| *next).min()
    }
}
