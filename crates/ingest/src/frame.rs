//! Frames: the lines, elements or documents that a file, a stream or a request consists of.
//!
//! Cutting needs no parsing, so that a broken element takes none of its neighbours with it. Whether a frame is a
//! record is not judged here.

mod cutter;
mod splitter;

use ringpost_model::Dialect;

use crate::decoded::Position;
use cutter::{Cut, Cutter};

pub use splitter::Splitter;

/// One element of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Where it begins.
    pub position: Position,
    /// Its bytes, or the first of them.
    pub bytes: &'a [u8],
    /// Its whole length; greater than that of `bytes` where it was too long to be held.
    pub length: u64,
}

/// A place between two frames of an input, and what has to be known to go on there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resume {
    /// Of the first byte that was not taken.
    pub position: Position,
    /// It stands inside a JSON array.
    pub in_array: bool,
}

impl Resume {
    /// The begin of an input.
    pub const BEGIN: Self = Self { position: Position::FIRST, in_array: false };
}

/// The frames of bytes that are all at hand; see [`frames`].
#[derive(Debug)]
pub struct Frames<'a> {
    cutter: Cutter,
    rest: &'a [u8],
}

/// Cuts bytes into frames: JSON objects one a line, one after the other or spread over lines, the elements of JSON
/// arrays, and (in `freeswitch-cdr`) form bodies one a line. Blank lines and a byte order mark are no frames.
pub fn frames(dialect: Dialect, bytes: &[u8]) -> Frames<'_> {
    Frames { cutter: Cutter::new(dialect), rest: bytes }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Frame<'a>;

    fn next(&mut self) -> Option<Frame<'a>> {
        loop {
            match self.cutter.cut(self.rest, true) {
                Cut::More => return None,
                Cut::Skip(bytes) => self.skip(bytes),
                Cut::Frame { length, next } => {
                    let bytes = &self.rest[..length];
                    let frame = Frame { position: self.cutter.position(), bytes, length: length as u64 };
                    self.skip(next);
                    self.cutter.count_frame();
                    return Some(frame);
                }
            }
        }
    }
}

impl Frames<'_> {
    fn skip(&mut self, bytes: usize) {
        let (gone, rest) = self.rest.split_at(bytes);
        self.cutter.pass(gone);
        self.rest = rest;
    }
}

#[cfg(test)]
mod tests;
