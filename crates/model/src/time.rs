//! Instants: integer microseconds since 1970-01-01 UTC, the only form of time inside.

use std::fmt;

use chrono::{DateTime, Datelike, SecondsFormat, TimeZone, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

const MICROS_PER_SECOND: i64 = 1_000_000;

/// Why a text or number is no time of a call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTime {
    /// Not RFC 3339 with an offset.
    #[error("not an RFC 3339 time with an offset: {0:?}")]
    Syntax(String),
    /// Outside 2000–2100 (sessions.md 1, Bad records).
    #[error("time before 2000 or after 2100: {0}")]
    Range(i64),
}

/// An instant in microseconds since 1970-01-01 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From microseconds; any value, for arithmetic and for time that we made ourselves.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// From microseconds that somebody sent: between 2000 and 2100.
    ///
    /// # Errors
    /// A time outside that range.
    pub fn checked(micros: i64) -> Result<Self, InvalidTime> {
        let in_range =
            (946_684_800 * MICROS_PER_SECOND..=4_102_444_800 * MICROS_PER_SECOND).contains(&micros);
        if in_range { Ok(Self(micros)) } else { Err(InvalidTime::Range(micros)) }
    }

    /// From an RFC 3339 text with an offset; digits beyond microseconds are cut.
    ///
    /// # Errors
    /// Another syntax, or a time outside 2000–2100.
    pub fn parse(text: &str) -> Result<Self, InvalidTime> {
        let parsed = DateTime::parse_from_rfc3339(text);
        let parsed = parsed.map_err(|_| InvalidTime::Syntax(text.chars().take(64).collect()))?;
        Self::checked(parsed.timestamp_micros())
    }

    /// Microseconds since 1970-01-01 UTC.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since 1970-01-01 UTC, cut towards the past.
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(MICROS_PER_SECOND)
    }

    /// The begin of its second, as times are printed (sessions.md 3, Whole seconds).
    pub const fn whole_second(self) -> Self {
        Self(self.seconds() * MICROS_PER_SECOND)
    }

    /// This instant plus so many microseconds; saturates.
    #[must_use]
    pub const fn plus_micros(self, micros: i64) -> Self {
        Self(self.0.saturating_add(micros))
    }

    /// Local time in a zone.
    pub fn in_zone(self, zone: Tz) -> DateTime<Tz> {
        zone.from_utc_datetime(&self.utc().naive_utc())
    }

    /// RFC 3339 in whole seconds with the zone's numeric offset at this very instant.
    pub fn to_rfc3339_in(self, zone: Tz) -> String {
        let local = self.in_zone(zone);
        // A year of other than four digits cannot come from a checked time; chrono would print a sign.
        debug_assert!((1970..=2200).contains(&local.year()));
        local.to_rfc3339_opts(SecondsFormat::Secs, false)
    }

    fn utc(self) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(self.0).unwrap_or_default()
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.utc().to_rfc3339_opts(SecondsFormat::Micros, true))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(self.0)
    }
}

/// Reads back what we wrote: an integer of microseconds. The edge has its own, lenient reader (`ingest`).
impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        i64::deserialize(deserializer).map(Self).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_beyond_microseconds_are_cut() {
        let time = Timestamp::parse("2026-03-10T09:00:00.1234569+00:00").unwrap();
        assert_eq!(time.micros(), 1_773_133_200_123_456);
    }

    #[test]
    fn offset_is_that_of_the_instant() {
        let london = Tz::Europe__London;
        assert_eq!(
            Timestamp::from_micros(1_792_889_970_200_000).to_rfc3339_in(london),
            "2026-10-25T01:59:30+01:00"
        );
        assert_eq!(
            Timestamp::from_micros(1_792_890_045_900_000).to_rfc3339_in(london),
            "2026-10-25T01:00:45+00:00"
        );
        assert_eq!(
            Timestamp::from_micros(1_773_133_200_400_000).to_rfc3339_in(Tz::UTC),
            "2026-03-10T09:00:00+00:00"
        );
    }

    #[test]
    fn a_clock_a_century_ahead_is_refused() {
        assert!(Timestamp::parse("2126-03-10T09:00:00Z").is_err());
        assert!(Timestamp::parse("2026-03-10T09:00:00").is_err());
        assert!(Timestamp::checked(0).is_err());
    }
}
