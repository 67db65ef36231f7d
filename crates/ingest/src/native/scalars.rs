//! Values of one piece: texts, ids, enumerations, integers, times, zones, decimals.

use std::fmt;

use ringpost_model::{InvalidTime, LegDirection, LegId, PbxKey, Service, Side, TenantKey, Text, Timestamp};
use rust_decimal::Decimal;

use super::value::{Slot, Tally, Value};
use crate::reason::{Reason, clip};

/// `kind`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Leg,
    Event,
}

/// `event`, without what belongs to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EventName {
    Created,
    Ringing,
    Answered,
    Bridged,
    Unbridged,
    Held,
    Resumed,
    Parked,
    Retrieved,
    Service,
    ServiceEnd,
    Updated,
    Ended,
}

impl<'de> Value<'de> for Text {
    const EXPECTED: &'static str = "a string";
    const SKIPPED_IN_LISTS: bool = true;

    fn of_text(text: &str, _: &Tally) -> Slot<Self> {
        Slot::Said(text.into())
    }
}

/// An integer; what range is allowed is its key's business.
impl<'de> Value<'de> for i128 {
    const EXPECTED: &'static str = "an integer";

    fn of_integer(number: i128) -> Slot<Self> {
        Slot::Said(number)
    }
}

impl<'de> Value<'de> for Timestamp {
    const EXPECTED: &'static str = "a time (RFC 3339 with an offset, or integer microseconds)";

    fn of_text(text: &str, _: &Tally) -> Slot<Self> {
        Self::parse(text).map_or_else(wrong_time, Slot::Said)
    }

    fn of_integer(number: i128) -> Slot<Self> {
        match i64::try_from(number) {
            Ok(micros) => Self::checked(micros).map_or_else(wrong_time, Slot::Said),
            Err(_) => wrong_time(InvalidTime::Range(if number < 0 { i64::MIN } else { i64::MAX })),
        }
    }
}

fn wrong_time(error: InvalidTime) -> Slot<Timestamp> {
    Slot::wrong(Reason::Time { path: String::new(), error })
}

macro_rules! ids {
    ($($name:ident: $rule:literal),+) => {$(
        impl<'de> Value<'de> for $name {
            const EXPECTED: &'static str = "a string";

            fn of_text(text: &str, _: &Tally) -> Slot<Self> {
                Self::new(text).map_or_else(|_| invalid($rule, format_args!("{:?}", clip(text))), Slot::Said)
            }
        }
    )+};
}

ids! {
    TenantKey: "1 to 64 of A-Z a-z 0-9 . _ - are allowed",
    PbxKey: "1 to 64 of A-Z a-z 0-9 . _ - are allowed",
    LegId: "1 to 256 bytes are allowed"
}

macro_rules! enums {
    ($($name:ty, $known:literal: $($text:literal => $value:ident),+;)+) => {$(
        impl<'de> Value<'de> for $name {
            const EXPECTED: &'static str = "a string";

            fn of_text(text: &str, _: &Tally) -> Slot<Self> {
                match text {
                    $($text => Slot::Said(Self::$value),)+
                    _ => Slot::wrong(Reason::UnknownValue { path: String::new(), got: clip(text), known: $known }),
                }
            }
        }
    )+};
}

enums! {
    Kind, "leg, event": "leg" => Leg, "event" => Event;
    LegDirection, "in, out": "in" => In, "out" => Out;
    Side, "external, internal, service": "external" => External, "internal" => Internal, "service" => Service;
    Service, "ivr, queue, voicemail, conference, park, fax, media":
        "ivr" => Ivr, "queue" => Queue, "voicemail" => Voicemail, "conference" => Conference, "park" => Park,
        "fax" => Fax, "media" => Media;
    EventName, "created, ringing, answered, bridged, unbridged, held, resumed, parked, retrieved, service, \
        service_end, updated, ended":
        "created" => Created, "ringing" => Ringing, "answered" => Answered, "bridged" => Bridged,
        "unbridged" => Unbridged, "held" => Held, "resumed" => Resumed, "parked" => Parked,
        "retrieved" => Retrieved, "service" => Service, "service_end" => ServiceEnd, "updated" => Updated,
        "ended" => Ended;
}

/// Nobody's zone is ignored and counted.
impl<'de> Value<'de> for chrono_tz::Tz {
    const EXPECTED: &'static str = "a string";

    fn of_text(text: &str, tally: &Tally) -> Slot<Self> {
        if let Ok(zone) = text.parse() {
            return Slot::Said(zone);
        }
        Tally::add(&tally.unknown_zones, 1);
        Slot::Nothing
    }
}

pub(super) fn invalid<T>(rule: &'static str, got: impl fmt::Display) -> Slot<T> {
    Slot::wrong(Reason::Invalid { path: String::new(), rule, got: got.to_string() })
}

/// A decimal from its digits, a JSON number's or a string's; none where it is no number or cannot be kept exactly.
pub(super) fn decimal(text: &str) -> Option<Decimal> {
    let is_number =
        text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'+' | b'e' | b'E'));
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    if !is_number || digits == 0 || digits > 64 {
        return None;
    }
    match text.split_once(['e', 'E']) {
        None => Decimal::from_str_exact(text).ok(),
        Some((mantissa, exponent)) => shifted(mantissa, exponent.parse().ok()?),
    }
}

/// A mantissa times a power of ten, exactly.
fn shifted(mantissa: &str, exponent: i32) -> Option<Decimal> {
    let value = Decimal::from_str_exact(mantissa).ok()?;
    let scale = i64::from(value.scale()) - i64::from(exponent);
    if let Ok(scale) = u32::try_from(scale) {
        return Decimal::try_from_i128_with_scale(value.mantissa(), scale).ok();
    }
    let power = u32::try_from(-scale).ok().and_then(|power| 10_i128.checked_pow(power))?;
    Decimal::try_from_i128_with_scale(value.mantissa().checked_mul(power)?, 0).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decimal_keeps_its_digits_and_is_exact_or_none() {
        let check = |text: &str, expected: &str| {
            let got = decimal(text).map_or_else(|| "none".to_owned(), |value| value.to_string());
            assert_eq!(got, expected, "{text}");
        };
        check("0.10", "0.10");
        check("-12", "-12");
        check("1.5e-3", "0.0015");
        check("12E2", "1200");
        check("0.1234567890123456789012345678", "0.1234567890123456789012345678");
        for bad in [
            "",
            "1_000",
            " 1",
            "1,5",
            "0x1",
            "NaN",
            "1e999999999999",
            "1e40",
            "e5",
            "0.12345678901234567890123456789",
        ] {
            check(bad, "none");
        }
    }
}
