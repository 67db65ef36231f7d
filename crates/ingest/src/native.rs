//! Dialect `native`: leg records, format 1 (sessions.md 1), with every reason for which one is bad.

mod key;
mod lists;
mod objects;
mod raw;
mod record;
mod scalars;
mod value;

use crate::decoded::{Decoded, Source};
use crate::reason::Reason;
use crate::text;
use raw::Raw;
use value::Tally;

/// Decodes one record and adds it.
pub(crate) fn decode(source: &Source<'_>, bytes: &[u8], decoded: &mut Decoded) -> Result<(), Reason> {
    let checked = text::check(bytes)?;
    let tally = Tally::default();
    let (mut raw, halves) = parse(&checked.text, &tally)?;
    if source.is_named {
        raw.tenant.fill(source.tenant.as_ref());
        raw.pbx.fill(source.pbx.as_ref());
    }
    let record = record::build(raw, &tally)?;
    let mut notes = tally.notes();
    notes.invalid_utf8 = checked.replaced + halves;
    decoded.notes.add(notes);
    decoded.records.push(record);
    Ok(())
}

/// Parses the text, if need be a second time without its half characters, of which it tells the number.
fn parse(text: &str, tally: &Tally) -> Result<(Raw, u64), Reason> {
    let error = match raw::parse(text, tally) {
        Ok(raw) => return Ok((raw?, 0)),
        Err(error) => error,
    };
    let Some((fixed, halves)) = text::replace_half_characters(text) else {
        return Err(Reason::NotJson(error.to_string()));
    };
    tally.reset();
    let raw = raw::parse(&fixed, tally).map_err(|error| Reason::NotJson(error.to_string()))??;
    Ok((raw, halves))
}

#[cfg(test)]
mod tests;
