//! From bytes to text that can be parsed: broken characters are replaced and counted, size and depth are checked.

use std::borrow::Cow;

use crate::Reason;
use crate::decoded::{LEVELS, RECORD_BYTES};

/// Text of one element, and how many broken characters were replaced in it.
pub(crate) struct Checked<'a> {
    pub(crate) text: Cow<'a, str>,
    pub(crate) replaced: u64,
}

/// Bounds one element's bytes and makes them text.
pub(crate) fn check(bytes: &[u8]) -> Result<Checked<'_>, Reason> {
    if bytes.len() > RECORD_BYTES {
        return Err(Reason::TooLarge { length: bytes.len() as u64, limit: RECORD_BYTES as u64 });
    }
    if is_too_deep(bytes) {
        return Err(Reason::TooDeep);
    }
    Ok(match std::str::from_utf8(bytes) {
        Ok(text) => Checked { text: Cow::Borrowed(text), replaced: 0 },
        Err(_) => {
            let replaced = bytes.utf8_chunks().filter(|chunk| !chunk.invalid().is_empty()).count();
            Checked { text: String::from_utf8_lossy(bytes), replaced: replaced as u64 }
        }
    })
}

/// Few records have as many brackets as levels are allowed, so counting them spares the exact look.
fn is_too_deep(bytes: &[u8]) -> bool {
    let brackets = bytes.iter().filter(|&&byte| byte == b'{' || byte == b'[').count();
    brackets > LEVELS && deepest(bytes) > LEVELS
}

/// How deep objects and lists are nested, brackets in strings aside.
fn deepest(bytes: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut in_string, mut escaped) = (false, false);
    for &byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' | b'[' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// Replaces escapes of half a character (`\ud83d` alone), which JSON's grammar allows and no text can hold.
/// None where there are none, so that the text is not parsed in vain a second time.
pub(crate) fn replace_half_characters(text: &str) -> Option<(String, u64)> {
    let mut fixed = String::new();
    let (mut done, mut at, mut replaced) = (0, 0, 0);
    while let Some(found) = text.get(at..).and_then(|rest| rest.find('\\')) {
        let escape = at + found;
        let unit = unit_at(text, escape);
        at = escape + if unit.is_some() { 6 } else { 2 };
        let is_high = unit.is_some_and(|unit| (0xD800..0xDC00).contains(&unit));
        let is_low = unit.is_some_and(|unit| (0xDC00..0xE000).contains(&unit));
        if is_high && unit_at(text, at).is_some_and(|next| (0xDC00..0xE000).contains(&next)) {
            at += 6;
        } else if is_high || is_low {
            fixed.push_str(&text[done..escape]);
            fixed.push_str("\\ufffd");
            done = at;
            replaced += 1;
        }
    }
    if replaced == 0 {
        return None;
    }
    fixed.push_str(&text[done..]);
    Some((fixed, replaced))
}

/// The UTF-16 unit of an escape `\uXXXX` that begins at this byte.
fn unit_at(text: &str, at: usize) -> Option<u32> {
    let digits = text.get(at..at + 6)?.strip_prefix("\\u")?;
    let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hex.then(|| u32::from_str_radix(digits, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_counts_brackets_outside_strings() {
        assert_eq!(deepest(br#"{"a":"[[[[\"[[","b":[{}]}"#), 3);
        let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        assert!(check(nested(64).as_bytes()).is_ok());
        assert!(matches!(check(nested(65).as_bytes()), Err(Reason::TooDeep)));
        assert!(check("[],".repeat(500).as_bytes()).is_ok());
    }

    #[test]
    fn broken_bytes_become_replacement_characters_and_are_counted() {
        let checked = check(b"a\xffb\xe9\x20\xf0\x9f").unwrap();
        assert_eq!((checked.text.as_ref(), checked.replaced), ("a\u{fffd}b\u{fffd} \u{fffd}", 3));
    }

    #[test]
    fn half_a_character_is_replaced_a_whole_one_stays() {
        let check = |text: &str, expected: &str, count: u64| {
            let fixed = replace_half_characters(text);
            assert_eq!(fixed, (count > 0).then(|| (expected.to_owned(), count)), "{text}");
        };
        check(r"\ud83d\ude00", "", 0);
        check(r"x\ud83dy", r"x\ufffdy", 1);
        check(r"\ud83d\ud83d\ude00", r"\ufffd\ud83d\ude00", 1);
        check(r"\ude00\udc80", r"\ufffd\ufffd", 2);
        check(r"\\ud83d \", "", 0);
        check("\\é\\ud83", "", 0);
    }
}
