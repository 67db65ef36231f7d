//! Which side a leg is on: Kazoo says how it was authorised and over which resource it went.

use ringpost_model::{LegDirection, Side, SideRules};

use super::message::{Message, user_of};

pub(super) fn side(
    message: &Message<'_>,
    direction: Option<LegDirection>,
    rules: &SideRules,
) -> Option<Side> {
    if is_loopback(message) {
        return Some(Side::Service);
    }
    // What the leg itself goes over comes before who brought it about.
    let resource = message.of_leg("resourcetype").unwrap_or_default().to_ascii_lowercase();
    let is_over_resource = match direction {
        Some(LegDirection::In) => resource.ends_with("-origination"),
        Some(LegDirection::Out) => resource.ends_with("-termination"),
        None => false,
    };
    let is_out = direction == Some(LegDirection::Out);
    if is_over_resource || (is_out && message.is_true("emergencyresourceused")) {
        return Some(unless_house(message, rules));
    }
    let authorised = message.of_leg("authorizingtype").map(str::to_ascii_lowercase);
    match authorised.as_deref() {
        Some("resource" | "carrier" | "sys_info" | "outbound_fax" | "gateway") => Some(Side::External),
        Some(_) => Some(Side::Internal),
        None => of_names(message, is_out)
            .or_else(|| of_inception(message, direction))
            .or_else(|| of_rules(message, is_out, rules)),
    }
}

/// A resource is a carrier, unless the platform's rules say that it leads to another house.
fn unless_house(message: &Message<'_>, rules: &SideRules) -> Side {
    let resource = message.of_leg("resourceid").or_else(|| message.of_leg("localresourceid"));
    let ruled = resource.and_then(|name| rules.of_gateway(name));
    ruled.unwrap_or(Side::External)
}

/// Kazoo keeps where a call from outside came in; on its own calls there is nothing to keep.
fn of_inception(message: &Message<'_>, direction: Option<LegDirection>) -> Option<Side> {
    let came_in = message.of_leg("inception").filter(|_| direction == Some(LegDirection::In));
    came_in.map(|_| Side::External)
}

/// A pair of pseudo legs inside the switch.
fn is_loopback(message: &Message<'_>) -> bool {
    let keys = ["channelisloopback", "isloopback", "isinternalleg"];
    let is_named = message.text("channelname").is_some_and(|name| name.starts_with("loopback/"));
    is_named || keys.iter().any(|key| message.is_true(key))
}

/// Devices register with a user name; nothing else has one.
fn of_names(message: &Message<'_>, is_out: bool) -> Option<Side> {
    let own = if is_out { "request" } else { "fromuri" };
    let is_device = |address: &str| user_of(address).is_some_and(|user| user.starts_with("user_"));
    let has_user_name = message.of_leg("username").is_some();
    (has_user_name || message.text(own).is_some_and(is_device)).then_some(Side::Internal)
}

/// Where Kazoo does not say: the SIP profile of the channel, the party's number.
fn of_rules(message: &Message<'_>, is_out: bool, rules: &SideRules) -> Option<Side> {
    let channel = message.text("channelname").and_then(|name| name.strip_prefix("sofia/"));
    let profile = channel.and_then(|rest| rest.split('/').next());
    let number = message.text(if is_out { "calleeidnumber" } else { "calleridnumber" });
    let of_number = || number.and_then(|number| rules.of_number(number));
    profile.and_then(|profile| rules.of_profile(profile)).or_else(of_number)
}
