//! The one entrance: bytes of a dialect in, records and rejects out.

use ringpost_model::Dialect;

use crate::decoded::{Decoded, Reject, Source};
use crate::frame::{Frame, frames};
use crate::reason::Reason;
use crate::{asterisk, freeswitch, kazoo, native};

/// Decodes the frames of one input, one after the other.
///
/// Tables (Asterisk's) have a line that names their columns, and a call is read out of all its rows: so a decoder
/// remembers, and [`Decoder::finish`] must be called at the end of the input. It holds at most some 20,000 rows.
#[derive(Debug)]
pub struct Decoder {
    dialect: Dialect,
    table: Option<asterisk::Gathering>,
}

impl Decoder {
    /// For one input.
    pub fn new(dialect: Dialect) -> Self {
        Self { dialect, table: asterisk::Gathering::new(dialect) }
    }

    /// Takes a frame, and adds what comes of it: records, at once or later, or one reject.
    pub fn frame(&mut self, source: &Source<'_>, frame: &Frame<'_>, decoded: &mut Decoded) {
        let is_cut = frame.length > frame.bytes.len() as u64;
        let result = if is_cut {
            Err(Reason::TooLarge { length: frame.length, limit: crate::decoded::RECORD_BYTES as u64 })
        } else {
            self.whole(source, frame, decoded)
        };
        match result {
            Ok(accepted) => decoded.accepted += accepted,
            Err(reason) => {
                let whole = if is_cut { None } else { self.table.as_ref() };
                let bytes = whole.map_or_else(|| frame.bytes.to_vec(), |table| table.with_header(frame));
                decoded.rejects.push(Reject { reason, position: frame.position, bytes });
            }
        }
    }

    /// How many elements it was: a line that names columns is none.
    fn whole(
        &mut self,
        source: &Source<'_>,
        frame: &Frame<'_>,
        decoded: &mut Decoded,
    ) -> Result<u64, Reason> {
        if let Some(table) = &mut self.table {
            return match table.line(source, frame.bytes, decoded)? {
                asterisk::Line::Header => {
                    decoded.notes.headers += 1;
                    Ok(0)
                }
                asterisk::Line::Row => {
                    table.settle(decoded);
                    Ok(1)
                }
            };
        }
        match self.dialect {
            Dialect::FreeswitchCdr => freeswitch::decode(source, frame.bytes, decoded),
            Dialect::FreeswitchEvent => freeswitch::event::decode(source, frame.bytes, decoded),
            Dialect::Kazoo => kazoo::decode(source, frame.bytes, decoded),
            _ => native::decode(source, frame.bytes, decoded),
        }?;
        Ok(1)
    }

    /// The input is at its end: what was gathered becomes records.
    pub fn finish(&mut self, decoded: &mut Decoded) {
        if let Some(table) = &mut self.table {
            table.finish(decoded);
        }
    }
}

/// Decodes all of some bytes: a request's body, or a file that is at hand.
pub fn decode(dialect: Dialect, source: &Source<'_>, bytes: &[u8]) -> Decoded {
    let mut decoded = Decoded::default();
    let is_one_body = dialect == Dialect::FreeswitchCdr && freeswitch::is_one_wrapped_body(source, bytes);
    if is_one_body {
        let frame = Frame { position: crate::Position::FIRST, bytes, length: bytes.len() as u64 };
        decode_frame(dialect, source, &frame, &mut decoded);
        return decoded;
    }
    let mut decoder = Decoder::new(dialect);
    for frame in frames(dialect, bytes) {
        decoder.frame(source, &frame, &mut decoded);
    }
    decoder.finish(&mut decoded);
    decoded
}

/// Decodes one frame that stands alone, and adds what comes of it: records, or one reject.
pub fn decode_frame(dialect: Dialect, source: &Source<'_>, frame: &Frame<'_>, decoded: &mut Decoded) {
    let mut decoder = Decoder::new(dialect);
    decoder.frame(source, frame, decoded);
    decoder.finish(decoded);
}
