//! Times as RFC 3339 texts with an offset, in place of microseconds: some switches write them so.

use chrono::{DateTime, SecondsFormat};
use chrono_tz::Tz;

/// Digits of a time in microseconds, from 2001 to 2286.
const DIGITS: usize = 16;

/// The same JSON with every time written as text. Only times have numbers of so many digits.
pub(super) fn in_zone(json: &[u8], zone: Option<Tz>) -> Vec<u8> {
    let zone = zone.unwrap_or(Tz::UTC);
    let mut text = Vec::with_capacity(json.len() * 3 / 2);
    let mut at = 0;
    while let Some(byte) = json.get(at) {
        text.push(*byte);
        at += 1;
        let number = json.get(at..at + DIGITS).filter(|digits| digits.iter().all(u8::is_ascii_digit));
        if *byte != b':' || json.get(at - 2) != Some(&b'"') {
            continue;
        }
        if let Some(micros) = number.and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok()) {
            let instant = DateTime::from_timestamp_micros(micros).unwrap_or_default().with_timezone(&zone);
            let written = instant.to_rfc3339_opts(SecondsFormat::Micros, true);
            text.push(b'"');
            text.extend_from_slice(written.as_bytes());
            text.push(b'"');
            at += DIGITS;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_times_become_texts_and_nothing_else_changes() {
        let json = br#"{"at":1773133200400001,"name":"a:1773133200400001","rev":2}"#;
        let text = String::from_utf8(in_zone(json, Some(Tz::Europe__Berlin))).unwrap();
        assert_eq!(text, r#"{"at":"2026-03-10T10:00:00.400001+01:00","name":"a:1773133200400001","rev":2}"#);
    }
}
