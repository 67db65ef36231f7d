//! Cuts a stream that comes in pieces, holding no more than one frame of it.

use ringpost_model::Dialect;

use super::cutter::{Cut, Cutter};
use super::{Frame, Resume};
use crate::decoded::{Position, RECORD_BYTES};

/// Longest frame that is held whole: a document as a form body takes up to three bytes for one.
const FRAME_BYTES: usize = 3 * RECORD_BYTES + 1024;

/// What is kept of a longer one: enough to recognise it by.
const HEAD_BYTES: usize = 64 * 1024;

/// Cuts a stream into frames: feed it bytes, take frames until there are none, feed it more.
///
/// It holds one frame and the bytes last fed; of a frame longer than 769 KiB only the first 64 KiB.
#[derive(Debug)]
pub struct Splitter {
    cutter: Cutter,
    buffer: Vec<u8>,
    /// Bytes at the begin of the buffer that have been given out.
    given: usize,
    /// The begin of a frame too long to be held.
    long: Option<Long>,
    last: bool,
}

#[derive(Debug)]
struct Long {
    head: Vec<u8>,
    dropped: usize,
    position: Position,
}

impl Splitter {
    /// For one input.
    pub fn new(dialect: Dialect) -> Self {
        Self { cutter: Cutter::new(dialect), buffer: Vec::new(), given: 0, long: None, last: false }
    }

    /// For an input that goes on behind a place where all before was taken; positions count from its begin.
    pub fn resume(dialect: Dialect, at: Resume) -> Self {
        Self { cutter: Cutter::resume(dialect, at), ..Self::new(dialect) }
    }

    /// Where another splitter can go on, as though this one had never been: behind the last frame that was given
    /// out. None while it is in the middle of a frame that is too long to be held.
    pub fn resume_at(&self) -> Option<Resume> {
        self.long.is_none().then(|| self.cutter.resume_at())
    }

    /// More of the input.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.given);
        self.given = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The input is at its end: what is held is a frame as it is.
    pub const fn finish(&mut self) {
        self.last = true;
    }

    /// The next frame; none = feed more, or the end after [`Splitter::finish`].
    #[expect(
        clippy::should_implement_trait,
        reason = "a frame borrows from the splitter, which Iterator cannot say"
    )]
    pub fn next(&mut self) -> Option<Frame<'_>> {
        loop {
            match self.cutter.cut(&self.buffer[self.given..], self.last) {
                Cut::Skip(bytes) => self.take(bytes),
                Cut::Frame { length, next } => return Some(self.give(length, next)),
                Cut::More => {
                    self.drop_middle();
                    return None;
                }
            }
        }
    }

    fn give(&mut self, length: usize, next: usize) -> Frame<'_> {
        let begin = self.given;
        let position = self.cutter.position();
        self.take(next);
        self.cutter.count_frame();
        match self.long.take() {
            None => Frame { position, bytes: &self.buffer[begin..begin + length], length: length as u64 },
            Some(long) => {
                let length = (long.dropped + length) as u64;
                self.buffer.splice(..begin, long.head.iter().copied());
                self.given = self.given - begin + long.head.len();
                Frame { position: long.position, bytes: &self.buffer[..long.head.len()], length }
            }
        }
    }

    fn take(&mut self, bytes: usize) {
        let end = self.given + bytes;
        self.cutter.pass(&self.buffer[self.given..end]);
        self.given = end;
    }

    /// Drops what is held of a frame that is too long, once its begin is kept.
    fn drop_middle(&mut self) {
        let held = self.buffer.len() - self.given;
        if held <= FRAME_BYTES {
            return;
        }
        let (position, given) = (self.cutter.position(), self.given);
        let head = || self.buffer[given..given + HEAD_BYTES].to_vec();
        let long = self.long.get_or_insert_with(|| Long { head: head(), dropped: 0, position });
        // The last byte stays: what a line end means shows only with the byte behind it.
        let dropped = held - 1;
        long.dropped += dropped;
        self.take(dropped);
        self.cutter.forget(dropped);
    }
}
