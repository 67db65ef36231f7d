//! Zones by their IANA names. In the configuration an unknown one is an error at save time, with a proposal.

use chrono_tz::{TZ_VARIANTS, Tz};

/// A name that is no IANA zone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown zone {name:?}{}", .proposal.map(|zone| format!("; write {:?}", zone.name())).unwrap_or_default())]
pub struct UnknownZone {
    /// As written.
    pub name: String,
    /// The zone that was probably meant: same letters in another case, or the same city.
    pub proposal: Option<Tz>,
}

/// Finds a zone by its IANA name, exactly as written.
///
/// # Errors
/// Any other text; names the zone that was probably meant.
pub fn zone(name: &str) -> Result<Tz, UnknownZone> {
    name.parse().map_err(|_| UnknownZone { name: name.chars().take(64).collect(), proposal: proposal(name) })
}

fn proposal(name: &str) -> Option<Tz> {
    let letters = |text: &str| text.replace([' ', '-'], "_").to_ascii_lowercase();
    let wanted = letters(name.trim());
    let by_name = TZ_VARIANTS.iter().find(|zone| letters(zone.name()) == wanted);
    let by_city = || TZ_VARIANTS.iter().find(|zone| letters(city(zone.name())) == city(&wanted));
    by_name.or_else(by_city).copied()
}

fn city(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, expected: &str) {
        let found = zone(name).map_or_else(|error| error.to_string(), |zone| zone.name().to_owned());
        assert_eq!(found, expected);
    }

    #[test]
    fn a_misspelled_zone_is_refused_with_the_one_that_was_meant() {
        check("Europe/London", "Europe/London");
        check("europe/london", "unknown zone \"europe/london\"; write \"Europe/London\"");
        check("America/London", "unknown zone \"America/London\"; write \"Europe/London\"");
        check("New York", "unknown zone \"New York\"; write \"America/New_York\"");
        check("Mars/Base", "unknown zone \"Mars/Base\"");
    }
}
