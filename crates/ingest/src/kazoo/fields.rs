//! The scalars of a leg: who is at its end, what was dialled, what became of it.

use ringpost_model::{Fields, LegDirection, NumberName, Rating, Side, SideRules, Text};
use rust_decimal::Decimal;

use super::message::Message;
use super::side;

pub(super) fn direction(message: &Message<'_>) -> Option<LegDirection> {
    of_word(message.first(&["calldirection", "direction"])?)
}

/// Direction of the leg at the other end of the bridge.
pub(super) fn other_direction(message: &Message<'_>) -> Option<LegDirection> {
    let said = message.text("otherlegdirection").and_then(of_word);
    said.or_else(|| {
        Some(match direction(message)? {
            LegDirection::In => LegDirection::Out,
            LegDirection::Out => LegDirection::In,
        })
    })
}

fn of_word(word: &str) -> Option<LegDirection> {
    match word.to_ascii_lowercase().as_str() {
        "inbound" => Some(LegDirection::In),
        "outbound" => Some(LegDirection::Out),
        _ => None,
    }
}

/// Nothing where no direction is said: then nobody knows whose the numbers are.
pub(super) fn fields(message: &Message<'_>, rules: &SideRules) -> Fields {
    let Some(direction) = direction(message) else { return Fields::default() };
    let side = side::side(message, Some(direction), rules);
    let caller = pair(message, "calleridnumber", "calleridname");
    let mut fields = match direction {
        LegDirection::In => incoming(message, caller, side),
        LegDirection::Out => outgoing(message, &caller, side),
    };
    fields.direction = Some(direction);
    fields.side = side;
    fields
}

fn incoming(message: &Message<'_>, caller: NumberName, side: Option<Side>) -> Fields {
    let from = ["from", "fromuri"].iter().find_map(|key| message.user(key));
    let number = if caller.number.is_empty() { text(from) } else { caller.number };
    let party = NumberName { number, name: caller.name };
    let dialled = ["request", "to"].iter().find_map(|key| message.user(key));
    let dialled = dialled.or_else(|| message.of_leg("inception").and_then(super::message::user_of));
    let device = if side == Some(Side::Internal) { device(&party) } else { NumberName::default() };
    Fields { party, dialled: text(dialled), device, ..Fields::default() }
}

fn outgoing(message: &Message<'_>, caller: &NumberName, side: Option<Side>) -> Fields {
    let callee = pair(message, "calleeidnumber", "calleeidname");
    let to = ["to", "request", "touri"].iter().find_map(|key| message.user(key));
    let is_device = side == Some(Side::Internal);
    // A device is called by its extension; what a carrier's far end calls itself is no number that was dialled.
    let to = text(to);
    let wanted = if is_device { [&callee.number, &to] } else { [&to, &callee.number] };
    let number = wanted.into_iter().find(|number| !number.is_empty()).cloned().unwrap_or_default();
    let party = NumberName { number: number.clone(), name: callee.name };
    let device = if is_device { device(&party) } else { NumberName::default() };
    Fields { party, dialled: number, presented: caller.number.clone(), device, ..Fields::default() }
}

/// The name is the person's as long as it is not the number again.
fn device(party: &NumberName) -> NumberName {
    let is_named = party.name != party.number && !is_sip_user(&party.name);
    NumberName {
        number: party.number.clone(),
        name: if is_named { party.name.clone() } else { Text::default() },
    }
}

/// `user_42HqcPrjCA`: what a device registers with, until the call flow puts its extension there.
fn is_sip_user(name: &str) -> bool {
    name.starts_with("user_")
}

/// Cause, SIP status and price, which only the end tells.
pub(super) fn add_end(message: &Message<'_>, fields: &mut Fields) {
    fields.cause = text(message.text("hangupcause"));
    let code = message.text("hangupcode").map(|code| code.trim_start_matches("sip:"));
    fields.sip = code.and_then(|code| code.parse().ok()).filter(|&code| code > 0);
    let cost = message.text("cost").and_then(|cost| cost.parse::<Decimal>().ok());
    fields.rating = cost.map(|cost| Rating {
        cost,
        band: Text::default(),
        name: text(message.of_leg("ratename")),
        currency: Text::default(),
    });
}

fn pair(message: &Message<'_>, number: &str, name: &str) -> NumberName {
    NumberName { number: text(message.text(number)), name: known_name(message.text(name)) }
}

/// What FreeSWITCH writes where there is no name.
fn known_name(name: Option<&str>) -> Text {
    text(name.filter(|name| !matches!(*name, "Outbound Call" | "_undef_")))
}

fn text(text: Option<&str>) -> Text {
    text.map(Into::into).unwrap_or_default()
}
