//! Which side a leg is on, by defaults that fit stock installations.

use ringpost_model::Side;

use super::dial::{Way, target};
use super::document::Document;

/// Names of sofia profiles beyond `internal` and `external` that say what they are for.
const OUTSIDE: [&str; 8] = ["external", "trunk", "gateway", "carrier", "provider", "pstn", "public", "wan"];
const INSIDE: [&str; 5] = ["internal", "lan", "phones", "users", "wss"];

/// The side that a way leads to.
pub(super) fn of_way(way: Way<'_>) -> Option<Side> {
    match way {
        Way::User => Some(Side::Internal),
        Way::Gateway(_) => Some(Side::External),
        Way::Profile(name) => of_profile(name),
        Way::Loopback => Some(Side::Service),
        Way::Unknown => None,
    }
}

fn of_profile(name: &str) -> Option<Side> {
    let name = name.to_ascii_lowercase();
    let mut words = name.split(|char: char| !char.is_ascii_alphabetic());
    words.find_map(|word| match word {
        _ if OUTSIDE.contains(&word) => Some(Side::External),
        _ if INSIDE.contains(&word) => Some(Side::Internal),
        _ => None,
    })
}

/// The side of the leg whose document it is: who it authenticated as, how it was dialled, where its call came in;
/// the profile's name decides last.
pub(super) fn of_own(document: &Document<'_>, channel: &str, is_out: bool) -> Option<Side> {
    let variables = &document.variables;
    let way = target(channel).way;
    if way == Way::Loopback {
        return Some(Side::Service);
    }
    let has_gateway = variables.first(&["sip_gateway_name", "sip_gateway"]).is_some();
    let is_authorised = variables.is_true("sip_authorized") || variables.get("user_name").is_some();
    let is_dialled_user = is_out && variables.get("dialed_user").is_some();
    if is_out && has_gateway {
        return Some(Side::External);
    }
    if is_dialled_user || (!is_out && is_authorised) {
        return Some(Side::Internal);
    }
    if has_gateway {
        return Some(Side::External);
    }
    let profile = variables.get("sofia_profile_name").and_then(of_profile);
    of_way(way).or(profile).or_else(|| of_context(document.first().caller.context, is_out))
}

/// The stock dialplan's contexts: `public` takes calls from outside, `default` those of users.
fn of_context(context: &str, is_out: bool) -> Option<Side> {
    match context {
        _ if is_out => None,
        "public" => Some(Side::External),
        "default" => Some(Side::Internal),
        _ => None,
    }
}
