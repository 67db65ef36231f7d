//! With whom the leg was bridged, and when: one document says it in five places, none of them complete.

use ringpost_model::Timestamp;

use super::document::Caller;
use super::own::Own;

/// A bridge of the leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Meeting<'a> {
    pub(super) with: &'a str,
    pub(super) from: Timestamp,
    pub(super) to: Option<Timestamp>,
    /// In which profile of the leg.
    pub(super) profile: usize,
}

/// The bridges of a leg in order. One that was never answered has none: it only heard early media.
pub(super) fn meetings<'a>(own: &Own<'a>) -> Vec<Meeting<'a>> {
    let Some(answered) = own.answered else { return Vec::new() };
    let mut meetings = Vec::new();
    for profile in 0..own.document.profiles.len() {
        of_profile(own, profile, answered, &mut meetings);
    }
    meetings
}

fn of_profile<'a>(own: &Own<'a>, profile: usize, answered: Timestamp, meetings: &mut Vec<Meeting<'a>>) {
    let partners = partners(own, profile);
    let Some(begin) = own.begin_of(profile) else { return };
    let is_newest = profile + 1 == own.document.profiles.len();
    let times = own.document.profiles[profile].times;
    let bridged = if is_newest { own.bridged.or(times.bridged) } else { times.bridged };
    let answered_here = (answered >= begin).then_some(answered);
    // Switches before 2014 tell the bridge time only of the newest profile.
    let last = bridged.filter(|&bridged| bridged >= begin).or(answered_here.filter(|_| !partners.is_empty()));
    let Some(last) = last else { return };
    // A bridge may begin with early media; it is one from the answer on.
    let last = last.max(answered_here.unwrap_or(last));
    let end = own.document.end_of(profile).or(own.ended);
    let mut next = end;
    let mut found = Vec::new();
    for (back, with) in partners.iter().rev().enumerate() {
        let from = if back == 0 { Some(last) } else { earlier(own, with, answered_here) };
        let Some(from) = from.filter(|&from| next.is_none_or(|next| from <= next)) else { continue };
        found.push(Meeting { with, from, to: next, profile });
        next = Some(from);
    }
    meetings.extend(found.into_iter().rev());
}

/// When the leg was first bridged with somebody whom it was bridged with before the last one: its answer, if the
/// answer came in this profile, else not before the application that placed the leg.
fn earlier(own: &Own<'_>, with: &str, answered_here: Option<Timestamp>) -> Option<Timestamp> {
    let placed = super::far::placed_at(own, with);
    answered_here.into_iter().chain(placed).max()
}

/// Whom the leg met in a profile, the last one last.
fn partners<'a>(own: &Own<'a>, profile: usize) -> Vec<&'a str> {
    let found = &own.document.profiles[profile];
    let callers: &'a [Caller<'a>] =
        if found.originatees.is_empty() { &found.originators } else { &found.originatees };
    let mut partners: Vec<&'a str> = Vec::new();
    for caller in callers.iter().rev().filter(|caller| !caller.uuid.is_empty()) {
        if !partners.contains(&caller.uuid) {
            partners.push(caller.uuid);
        }
    }
    let is_newest = profile + 1 == own.document.profiles.len();
    let last = own.document.variables.first(&["last_bridge_to", "bridge_uuid", "signal_bond"]);
    if let Some(last) = last.filter(|_| is_newest && own.bridged.is_some()) {
        partners.retain(|partner| *partner != last);
        partners.push(last);
    }
    partners.retain(|partner| *partner != own.id.as_str() && !was_tried_in_vain(own, partner));
    partners
}

/// Placed by the leg, and never connected with it. An originatee's profile is there from the placing on.
fn was_tried_in_vain(own: &Own<'_>, uuid: &str) -> bool {
    let cause = |element: &str| Some(element.strip_prefix(uuid)?.strip_prefix(';')? != "NONE");
    own.document.variables.list("originate_causes").find_map(cause).unwrap_or(false)
}
