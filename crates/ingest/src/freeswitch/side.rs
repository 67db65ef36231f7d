//! Which side a leg is on, where the document does not say: by the rules of the platform.

use ringpost_model::{Side, SideRules};

use super::dial::{Way, target};
use super::document::Document;

/// The side that a way leads to.
pub(super) fn of_way(way: Way<'_>, rules: &SideRules) -> Option<Side> {
    match way {
        Way::User => Some(Side::Internal),
        Way::Gateway(name) => rules.of_gateway(name),
        Way::Profile(name) => rules.of_profile(name),
        Way::Loopback => Some(Side::Service),
        Way::Unknown => None,
    }
}

/// The side of the leg whose document it is: who it authenticated as, how it was dialled, where its call came in;
/// the profile's name decides last.
pub(super) fn of_own(
    document: &Document<'_>,
    channel: &str,
    is_out: bool,
    rules: &SideRules,
) -> Option<Side> {
    let variables = &document.variables;
    let way = target(channel).way;
    if way == Way::Loopback {
        return Some(Side::Service);
    }
    let gateway = variables.first(&["sip_gateway_name", "sip_gateway"]);
    let of_gateway = gateway.and_then(|name| rules.of_gateway(name));
    let is_authorised = variables.is_true("sip_authorized") || variables.get("user_name").is_some();
    let is_dialled_user = is_out && variables.get("dialed_user").is_some();
    if is_out && of_gateway.is_some() {
        return of_gateway;
    }
    if is_dialled_user || (!is_out && is_authorised) {
        return Some(Side::Internal);
    }
    let of_profile = || variables.get("sofia_profile_name").and_then(|name| rules.of_profile(name));
    let of_context = || rules.of_context(document.first().caller.context).filter(|_| !is_out);
    of_gateway.or_else(|| of_way(way, rules)).or_else(of_profile).or_else(of_context)
}
