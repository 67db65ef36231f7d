//! The scenarios: what kinds of calls a company has, and how often.

mod incoming;
mod internal;
mod odd;
mod outgoing;
mod ring;
pub(crate) mod story;
mod talk;
mod transfer;

use crate::company::PBXS;
use crate::dice::Dice;
use crate::script::{Micros, Script};
use story::Story;

type Scenario = fn(&mut Story<'_>);

/// By how often they happen in 1,000 calls.
const SCENARIOS: [(u64, Scenario); 10] = [
    (560, incoming::incoming),
    (200, outgoing::outgoing),
    (110, internal::internal),
    (20, outgoing::click_to_call),
    (25, outgoing::dialler),
    (15, outgoing::agent_joins_dialler),
    (15, internal::mobile_twin),
    (15, odd::room),
    (10, odd::loopback),
    (20, odd::clocks_apart),
];

/// A room is shared by this many in 1,000.
const SHARED_ROOMS: u64 = 10;

/// Makes up one call that begins at `begin`, or up to `room` calls that meet. `tag` makes its ids unique.
pub(crate) fn call(dice: &mut Dice, begin: Micros, tag: &str, room: u64) -> Script {
    let pbx = dice.pick(&PBXS);
    let shared = dice.below(1_000) < SHARED_ROOMS && room >= 3;
    let scenario = if shared { odd::shared_room } else { dice.weighted(&SCENARIOS) };
    let mut story = Story::new(dice, pbx, begin, tag);
    scenario(&mut story);
    story.script
}
