//! Times of Kazoo: gregorian seconds, microseconds of FreeSWITCH, durations; as numbers or as text.

use ringpost_model::{InvalidTime, Timestamp};

use super::message::Message;
use crate::node::Node;
use crate::reason::{Reason, clip};

/// Seconds from year 0 to 1970.
const GREGORIAN: i64 = 62_167_219_200;
const SECOND: i64 = 1_000_000;
/// `Timestamp` is the second at or after the event, `Msg-ID` when the event was put out.
const SAME_MICROS: i64 = 2 * SECOND;

/// A time of which the unit shows: gregorian or Unix seconds, milli- or microseconds. Fractions are cut.
pub(super) fn instant(text: &str) -> Option<Result<Timestamp, InvalidTime>> {
    let whole = text.split('.').next().unwrap_or_default();
    let number: i64 = whole.trim().parse().ok()?;
    let micros = match number {
        0 => return None,
        _ if number >= 100_000_000_000_000 => Some(number),
        _ if number >= 100_000_000_000 => number.checked_mul(1_000),
        _ if number >= GREGORIAN => (number - GREGORIAN).checked_mul(SECOND),
        _ => number.checked_mul(SECOND),
    };
    Some(micros.ok_or(InvalidTime::Range(number)).and_then(Timestamp::checked))
}

/// When the event happened. None where the message does not say.
pub(super) fn at(message: &Message<'_>) -> Result<Option<Timestamp>, Reason> {
    let said = match message.text("timestamp") {
        Some(text) => Some(judged("Timestamp", text)?),
        None => None,
    };
    // FreeSWITCH's own time of the event: on the bus only, and of other messages it is a random text.
    let exact = message.text("msgid").filter(|id| id.len() == 16).and_then(|id| instant(id)?.ok());
    let is_same =
        |exact: &Timestamp| said.is_none_or(|said| (said.micros() - exact.micros()).abs() <= SAME_MICROS);
    let stored = || message.text("pvtcreated").and_then(|text| instant(text)?.ok());
    Ok(exact.filter(is_same).or(said).or_else(stored))
}

fn judged(path: &str, text: &str) -> Result<Timestamp, Reason> {
    let Some(time) = instant(text) else {
        let rule = "gregorian seconds are wanted";
        return Err(Reason::Invalid { path: path.to_owned(), rule, got: format!("{:?}", clip(text)) });
    };
    time.map_err(|error| Reason::Time { path: path.to_owned(), error })
}

/// When the leg began, to the microsecond. Nonsense is passed over: other keys tell it less exactly.
pub(super) fn created(message: &Message<'_>) -> Option<Timestamp> {
    instant(message.text("channelcreatedtime")?)?.ok()
}

/// A length in seconds, as microseconds. Kazoo 5 knows it in milliseconds too.
pub(super) fn length(message: &Message<'_>, seconds: &str, millis: &str) -> Option<i64> {
    let number = |key: &str| {
        let text = message.text(key)?;
        let whole = text.split('.').next()?;
        whole.parse::<i64>().ok().filter(|&number| number >= 0)
    };
    let exact = number(millis).and_then(|millis| millis.checked_mul(1_000));
    exact.or_else(|| number(seconds)?.checked_mul(SECOND))
}

/// Times that the switch itself kept of a leg, where they are sent along (`Extended-Data` of a report on the bus).
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub(super) progress: Option<Timestamp>,
    pub(super) answered: Option<Timestamp>,
}

impl Kept {
    pub(super) fn read(message: &Message<'_>) -> Self {
        let extended = message.node("extendeddata").and_then(|data| data.get("Channel-CallFlow"));
        let flow = extended.or_else(|| message.node("channelcallflow")).map(Node::items).unwrap_or_default();
        let earliest = |names: &[&str]| {
            let times = flow.iter().filter_map(|profile| profile.get("times"));
            let texts = times.flat_map(|times| names.iter().filter_map(|name| times.text_of(name)));
            texts.filter_map(|text| instant(text)?.ok()).min()
        };
        Self {
            progress: earliest(&["progress_time", "progress_media_time"]),
            answered: earliest(&["answered_time"]),
        }
    }
}
