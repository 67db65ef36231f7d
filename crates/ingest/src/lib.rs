//! Dialects of switches: bytes in, leg records and rejects out.
//!
//! Pure: no IO, no clock, no logging; the same bytes give the same records. Bad input is a value, not a failure:
//! one bad element never loses its neighbours. What the records mean is `session`'s business; whether a sender may
//! speak for a tenant is `api`'s. The choices where the contract is silent: docs/dialects.md.

mod asterisk;
mod decode;
mod decoded;
mod frame;
mod freeswitch;
mod kazoo;
mod native;
mod node;
mod reason;
mod recognise;
mod text;

pub use asterisk::looks_like as looks_like_table;
pub use decode::{Decoder, decode, decode_frame};
pub use decoded::{Decoded, Notes, Position, Reject, Source};
pub use frame::{Frame, Frames, Resume, Splitter, frames};
pub use reason::Reason;
pub use recognise::recognise;
