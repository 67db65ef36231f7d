//! A number in E.164, and the judgement whether a text is one.

use std::fmt;

use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumberFormat};

use crate::Region;

/// Longest text that is looked at, in bytes. libphonenumber's own limit is 250 characters; a number with all
/// its punctuation, or as a SIP or tel URI, is far shorter.
const TEXT_BYTES: usize = 250;

/// A valid number: `+`, country code, national number.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct E164(Box<str>);

impl E164 {
    /// `+` and digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text itself, for a field of a record.
    pub fn into_text(self) -> Box<str> {
        self.0
    }
}

impl fmt::Display for E164 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The number that a text is, read in a region; none where it is no *valid* number there or elsewhere.
///
/// Extensions of a switch (`201`), `anonymous`, SIP user names and short codes are none. So is a number with an
/// extension behind it (`…;ext=12`, `… x12`): E.164 has no place for the extension, and without it it would be
/// the number of somebody else, the switchboard. So is a number spelt in letters (`0800 FLOWERS`).
pub fn normalise(text: &str, region: Region) -> Option<E164> {
    let may_be_number =
        text.len() <= TEXT_BYTES && text.bytes().filter(|byte| !byte.is_ascii()).count() <= 64;
    if !may_be_number || has_letters(text) {
        return None;
    }
    let number = PHONE_NUMBER_UTIL.parse(text, Some(region.inner())).ok()?;
    let has_extension = number.extension.as_deref().is_some_and(|extension| !extension.is_empty());
    if has_extension || !PHONE_NUMBER_UTIL.is_valid_number(&number) {
        return None;
    }
    Some(E164(PHONE_NUMBER_UTIL.format(&number, PhoneNumberFormat::E164).into()))
}

/// Letters beyond those of a URI's frame: libphonenumber would read them as the digits on a telephone's keys,
/// or skip them, and a device called `alice07700900123` is no subscriber.
fn has_letters(text: &str) -> bool {
    let number = text.strip_prefix("tel:").unwrap_or(text);
    number.split(';').next().unwrap_or_default().chars().any(char::is_alphabetic)
}

#[cfg(test)]
mod tests;
