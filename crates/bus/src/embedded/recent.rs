//! The newest chunks, in memory: whoever keeps up with the writer is handed what was just written, and asks the file
//! only for what is older.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;

use super::chunk::Chunk;

/// Bytes kept: some seconds of a busy intake, and little beside what the page cache of the database takes.
const KEPT_BYTES: usize = 8 << 20;

/// A partition of a topic.
type Place = (usize, u32);

/// Chunks of transactions that succeeded.
#[derive(Debug, Default)]
pub(super) struct Recent {
    /// By partition, in order of their offsets.
    chunks: HashMap<Place, VecDeque<Kept>>,
    /// Whose oldest chunk is the oldest of all, then whose is the next.
    order: VecDeque<Place>,
    bytes: usize,
}

#[derive(Debug)]
struct Kept {
    base: u64,
    end: u64,
    body: Bytes,
}

impl Recent {
    /// Keeps a chunk, and lets the oldest go.
    pub(super) fn push(&mut self, chunk: &mut Chunk) {
        let (base, end) = (chunk.base, chunk.end());
        let mut body = std::mem::take(&mut chunk.body);
        // It has grown by doubling: what is empty of it would count for nothing.
        body.shrink_to_fit();
        self.bytes += body.len();
        let place = (chunk.topic, chunk.partition);
        self.chunks.entry(place).or_default().push_back(Kept { base, end, body: body.into() });
        self.order.push_back(place);
        while self.bytes > KEPT_BYTES {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        let Some(place) = self.order.pop_front() else { return };
        let oldest = self.chunks.get_mut(&place).and_then(VecDeque::pop_front);
        self.bytes -= oldest.map_or(0, |kept| kept.body.len());
    }

    /// Chunks from the one that holds `from` on, without a gap, until these are so many bytes or records. Empty where
    /// that chunk is not kept.
    pub(super) fn read(&self, place: Place, from: u64, bytes: usize, records: usize) -> Vec<(u64, Bytes)> {
        let mut found: Vec<(u64, Bytes)> = Vec::new();
        let Some(chunks) = self.chunks.get(&place) else { return found };
        let first = chunks.partition_point(|kept| kept.end <= from);
        let (mut next, mut read, mut count) = (from, 0, 0);
        for kept in chunks.range(first..) {
            if kept.base > next || read >= bytes || count >= records {
                break;
            }
            read += kept.body.len();
            count += (kept.end - next) as usize;
            next = kept.end;
            found.push((kept.base, kept.body.clone()));
        }
        found
    }

    /// Nothing of it may be what the file holds.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Record;

    fn push(recent: &mut Recent, base: u64, records: u64, size: usize) {
        let mut chunk = Chunk::new(0, 1, base);
        for _ in 0..records {
            let value = vec![7; size].into();
            chunk.push(&Record { key: Bytes::new(), value, timestamp: 0 });
        }
        recent.push(&mut chunk);
    }

    fn bases(recent: &Recent, from: u64, bytes: usize, records: usize) -> Vec<u64> {
        recent.read((0, 1), from, bytes, records).into_iter().map(|(base, _)| base).collect()
    }

    #[test]
    fn a_reader_gets_what_follows_without_a_gap() {
        let mut recent = Recent::default();
        for base in [10, 13, 16, 30] {
            push(&mut recent, base, 3, 100);
        }
        let all = usize::MAX;
        assert_eq!(bases(&recent, 10, all, all), [10, 13, 16]);
        assert_eq!(bases(&recent, 15, all, all), [13, 16]);
        assert_eq!(bases(&recent, 31, all, all), [30]);
        assert_eq!(bases(&recent, 9, all, all), [0; 0]);
        assert_eq!(bases(&recent, 19, all, all), [0; 0]);
        assert_eq!(bases(&recent, 33, all, all), [0; 0]);
        assert_eq!(bases(&recent, 11, all, 3), [10, 13]);
        assert_eq!(bases(&recent, 10, 1, all), [10]);
    }

    #[test]
    fn memory_is_bounded() {
        let mut recent = Recent::default();
        for number in 0..100 {
            push(&mut recent, number, 1, 1 << 20);
        }
        assert!(recent.bytes <= KEPT_BYTES, "{}", recent.bytes);
        assert_eq!(bases(&recent, 99, 1, 1), [99]);
        assert_eq!(bases(&recent, 50, 1, 1), [0; 0]);
    }
}
