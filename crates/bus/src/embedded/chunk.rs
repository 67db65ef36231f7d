//! How records lie in the file: those of one partition and one transaction together, as one value. A row for
//! each record would cost the journal most of its time.
//!
//! Format 1: the byte 1, then for each record timestamp (i64), length of key (u32), length of value (u32), all
//! little-endian, key, value.

use bytes::{Buf, Bytes};

use crate::{Message, Offset, Record};

const FORMAT: u8 = 1;
/// A chunk takes no further record beyond this, so that a reader's memory is bounded. Large enough that the
/// cost of a row is nothing beside that of its bytes.
const CHUNK_BYTES: usize = 256 << 10;

/// A value that is no chunk.
#[derive(Debug, thiserror::Error)]
#[error("a chunk of records is damaged at byte {at}")]
pub(super) struct Damaged {
    at: usize,
}

/// Records of one partition, to be written.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Chunk {
    pub(super) topic: usize,
    pub(super) partition: u32,
    /// Offset of the first.
    pub(super) base: u64,
    pub(super) count: u64,
    /// The latest timestamp.
    pub(super) newest: i64,
    pub(super) body: Vec<u8>,
}

impl Chunk {
    pub(super) fn new(topic: usize, partition: u32, base: u64) -> Self {
        Self { topic, partition, base, count: 0, newest: i64::MIN, body: vec![FORMAT] }
    }

    /// Offset after the last.
    pub(super) fn end(&self) -> u64 {
        self.base + self.count
    }

    pub(super) fn has_room_for(&self, record: &Record) -> bool {
        self.count == 0 || self.body.len() + record.size() <= CHUNK_BYTES
    }

    pub(super) fn push(&mut self, record: &Record) {
        self.body.extend_from_slice(&record.timestamp.to_le_bytes());
        self.body.extend_from_slice(&length(&record.key).to_le_bytes());
        self.body.extend_from_slice(&length(&record.value).to_le_bytes());
        self.body.extend_from_slice(&record.key);
        self.body.extend_from_slice(&record.value);
        self.newest = self.newest.max(record.timestamp);
        self.count += 1;
    }
}

fn length(bytes: &Bytes) -> u32 {
    u32::try_from(bytes.len()).expect("a record is checked to be under record_bytes")
}

/// The records of a chunk's body from `from` on; they share its memory.
pub(super) fn read(base: u64, body: Bytes, from: u64) -> Result<Vec<Message>, Damaged> {
    let whole = body.len();
    let mut rest = body;
    if rest.is_empty() || rest.get_u8() != FORMAT {
        return Err(Damaged { at: 0 });
    }
    let mut messages = Vec::new();
    let mut offset = base;
    while !rest.is_empty() {
        let damaged = || Damaged { at: whole - rest.len() };
        if rest.len() < 16 {
            return Err(damaged());
        }
        let timestamp = rest.get_i64_le();
        let (key, value) = (rest.get_u32_le() as usize, rest.get_u32_le() as usize);
        if rest.len() < key + value {
            return Err(Damaged { at: whole - rest.len() });
        }
        let (key, value) = (rest.split_to(key), rest.split_to(value));
        if offset >= from {
            messages.push(Message { offset: Offset(offset), key, value, timestamp, headers: Vec::new() });
        }
        offset += 1;
    }
    Ok(messages)
}
