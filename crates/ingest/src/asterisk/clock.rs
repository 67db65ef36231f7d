//! Times as Asterisk writes them: local or with an offset, or seconds since 1970.

use chrono::{NaiveDate, NaiveDateTime, NaiveTime, TimeZone};
use chrono_tz::Tz;
use ringpost_model::{InvalidTime, Timestamp};

use crate::decoded::Notes;
use crate::reason::clip;

/// Reads `2026-03-10 09:00:00.123456-04`, with `T` or a space, up to six digits of fraction (more are cut), and an
/// offset of `Z`, hours, or hours and minutes; or seconds since 1970 with a fraction, or milli- or microseconds.
/// A time without an offset is in `zone`, else UTC, and counted.
pub(super) fn read(text: &str, zone: Option<Tz>, notes: &mut Notes) -> Result<Timestamp, InvalidTime> {
    let syntax = || InvalidTime::Syntax(clip(text));
    let text = text.trim();
    if let Some(micros) = since_1970(text) {
        return Timestamp::checked(micros);
    }
    let (date, rest) = text.split_at_checked(10).ok_or_else(syntax)?;
    let rest = rest.strip_prefix(['T', ' ']).ok_or_else(syntax)?.trim_start();
    let (clock, rest) = rest.split_at_checked(8).ok_or_else(syntax)?;
    let (micros, rest) = fraction(rest).ok_or_else(syntax)?;
    let date = date_of(date).ok_or_else(syntax)?;
    let clock = clock_of(clock).ok_or_else(syntax)?;
    let local = NaiveDateTime::new(date, clock);
    let seconds = match offset(rest.trim()).ok_or_else(syntax)? {
        Some(offset) => local.and_utc().timestamp() - offset,
        None => {
            notes.local_times += 1;
            zone.map_or_else(|| local.and_utc().timestamp(), |zone| in_zone(local, zone))
        }
    };
    Timestamp::checked(seconds * 1_000_000 + micros)
}

/// Digits with or without a fraction; how many tell the unit.
fn since_1970(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.len() < 9 || !is_number(whole) || !is_number(fraction) {
        return None;
    }
    let number: i64 = whole.parse().ok()?;
    match whole.len() {
        9..=11 => number.checked_mul(1_000_000)?.checked_add(self::fraction(&format!(".{fraction}"))?.0),
        12..=14 => number.checked_mul(1_000),
        _ => Some(number),
    }
}

fn date_of(text: &str) -> Option<NaiveDate> {
    let bytes = text.as_bytes();
    if bytes[4] != b'-' || bytes[7] != b'-' {
        return None;
    }
    let number = |from: usize, to: usize| digits(text.get(from..to)?);
    NaiveDate::from_ymd_opt(i32::try_from(number(0, 4)?).ok()?, number(5, 7)?, number(8, 10)?)
}

fn clock_of(text: &str) -> Option<NaiveTime> {
    let bytes = text.as_bytes();
    if bytes[2] != b':' || bytes[5] != b':' {
        return None;
    }
    let number = |from: usize, to: usize| digits(text.get(from..to)?);
    // A leap second is the last of its minute.
    NaiveTime::from_hms_opt(number(0, 2)?, number(3, 5)?, number(6, 8)?.min(59))
}

fn digits(text: &str) -> Option<u32> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

/// Microseconds of a fraction, and what follows it.
fn fraction(text: &str) -> Option<(i64, &str)> {
    let Some(rest) = text.strip_prefix(['.', ',']) else { return Some((0, text)) };
    let end = rest.find(|char: char| !char.is_ascii_digit()).unwrap_or(rest.len());
    let (digits, rest) = rest.split_at(end);
    let mut micros = 0;
    for place in 0..6 {
        let digit = digits.as_bytes().get(place).map_or(0, |digit| i64::from(digit - b'0'));
        micros = micros * 10 + digit;
    }
    Some((micros, rest))
}

/// Seconds east of UTC; the inner none = not said.
#[expect(clippy::option_option, reason = "no offset is said, and what is no offset, are two things")]
fn offset(text: &str) -> Option<Option<i64>> {
    if text.is_empty() {
        return Some(None);
    }
    if matches!(text, "Z" | "z" | "UTC" | "GMT") {
        return Some(Some(0));
    }
    let (sign, rest) = match text.as_bytes()[0] {
        b'+' => (1, &text[1..]),
        b'-' => (-1, &text[1..]),
        _ => return None,
    };
    let (hours, minutes) = rest.split_at_checked(2)?;
    let minutes = minutes.strip_prefix(':').unwrap_or(minutes);
    let minutes = if minutes.is_empty() { 0 } else { digits(minutes).filter(|_| minutes.len() == 2)? };
    let hours = digits(hours).filter(|hours| *hours < 24)?;
    (minutes < 60).then_some(Some(sign * i64::from(hours * 3600 + minutes * 60)))
}

/// An hour that comes twice is the first of the two; one that is left out is read as if the clock had not changed.
fn in_zone(local: NaiveDateTime, zone: Tz) -> i64 {
    if let Some(found) = zone.from_local_datetime(&local).earliest() {
        return found.timestamp();
    }
    let hour = chrono::TimeDelta::hours(1);
    let before = zone.from_local_datetime(&(local - hour)).latest();
    before.map_or_else(|| local.and_utc().timestamp(), |before| before.timestamp() + 3600)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, zone: Option<Tz>, expected: &str) {
        let found = read(text, zone, &mut Notes::default());
        let found = found.map_or_else(|error| error.to_string(), |time| time.to_string());
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn times_of_every_backend_are_read() {
        check("2013-01-01 11:02:38.0", None, "2013-01-01T11:02:38.000000Z");
        check("2024-09-24 09:37:44.351668-04", None, "2024-09-24T13:37:44.351668Z");
        check("2023-05-31 15:11:10.05+00", None, "2023-05-31T15:11:10.050000Z");
        check("2026-03-10T09:00:00.1234567+05:30", None, "2026-03-10T03:30:00.123456Z");
        check("2026-03-10 09:00:00 +0100", None, "2026-03-10T08:00:00.000000Z");
        check("2026-03-10T09:00:00Z", None, "2026-03-10T09:00:00.000000Z");
        check("1773133200.5", None, "2026-03-10T09:00:00.500000Z");
        check("1773133200", None, "2026-03-10T09:00:00.000000Z");
        check("1773133200123", None, "2026-03-10T09:00:00.123000Z");
        check("1773133200123456", None, "2026-03-10T09:00:00.123456Z");
    }

    #[test]
    fn a_time_without_an_offset_is_in_the_zone_of_the_platform() {
        let zone = Some(chrono_tz::Tz::Europe__London);
        check("2026-07-01 09:00:00", zone, "2026-07-01T08:00:00.000000Z");
        check("2026-07-01 09:00:00+00", zone, "2026-07-01T09:00:00.000000Z");
        check("2026-10-25 01:30:00", zone, "2026-10-25T00:30:00.000000Z");
        check("2026-03-29 01:30:00", zone, "2026-03-29T01:30:00.000000Z");
    }

    #[test]
    fn what_is_no_time_is_told() {
        for text in
            ["", "now", "2026-03-10", "2026-13-10 09:00:00", "2026-03-10 09:00:00*", "2026-03-10 09:00:00-4"]
        {
            assert!(matches!(read(text, None, &mut Notes::default()), Err(InvalidTime::Syntax(_))), "{text}");
        }
        check("1999-03-10 09:00:00", None, "time before 2000 or after 2100: 921056400000000");
        check("2026-é3-10 09:00:00", None, "not an RFC 3339 time with an offset: \"2026-é3-10 09:00:00\"");
    }
}
