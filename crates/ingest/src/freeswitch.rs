//! Dialect `freeswitch-cdr`: documents of FreeSWITCH's `mod_json_cdr`.

use crate::decoded::{Decoded, Source};
use crate::reason::Reason;

pub(crate) fn is_one_wrapped_body(_source: &Source<'_>, _bytes: &[u8]) -> bool {
    false
}

pub(crate) fn decode(_source: &Source<'_>, _bytes: &[u8], _decoded: &mut Decoded) -> Result<(), Reason> {
    Err(Reason::Wrapping("this dialect is being written"))
}
