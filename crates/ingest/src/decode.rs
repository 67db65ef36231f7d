//! The one entrance: bytes of a dialect in, records and rejects out.

use ringpost_model::Dialect;

use crate::decoded::{Decoded, Reject, Source};
use crate::frame::{Frame, frames};
use crate::reason::Reason;
use crate::{freeswitch, native};

/// Decodes all of some bytes: a request's body, or a file that is at hand.
pub fn decode(dialect: Dialect, source: &Source<'_>, bytes: &[u8]) -> Decoded {
    let mut decoded = Decoded::default();
    let is_one_body = dialect == Dialect::FreeswitchCdr && freeswitch::is_one_wrapped_body(source, bytes);
    if is_one_body {
        let frame = Frame { position: crate::Position::FIRST, bytes, length: bytes.len() as u64 };
        decode_frame(dialect, source, &frame, &mut decoded);
        return decoded;
    }
    for frame in frames(dialect, bytes) {
        decode_frame(dialect, source, &frame, &mut decoded);
    }
    decoded
}

/// Decodes one frame and adds what comes of it: records, or one reject.
pub fn decode_frame(dialect: Dialect, source: &Source<'_>, frame: &Frame<'_>, decoded: &mut Decoded) {
    let is_cut = frame.length > frame.bytes.len() as u64;
    let result = if is_cut {
        Err(Reason::TooLarge { length: frame.length, limit: crate::decoded::RECORD_BYTES as u64 })
    } else {
        match dialect {
            Dialect::Native => native::decode(frame.bytes, decoded),
            Dialect::FreeswitchCdr => freeswitch::decode(source, frame.bytes, decoded),
        }
    };
    match result {
        Ok(()) => decoded.accepted += 1,
        Err(reason) => {
            let reject = Reject { reason, position: frame.position, bytes: frame.bytes.to_vec() };
            decoded.rejects.push(reject);
        }
    }
}
