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

/// Those of which Asterisk's tables tell all that the record needs, but hold keys.
const OF_TABLES: [(u64, Scenario); 7] = [
    (560, incoming::incoming),
    (200, outgoing::outgoing),
    (110, internal::internal),
    (20, outgoing::click_to_call),
    (25, outgoing::dialler),
    (15, outgoing::agent_joins_dialler),
    (15, odd::room),
];

/// Those of which Kazoo's messages tell all that the record needs.
const OF_KAZOO: [(u64, Scenario); 9] = [
    (560, incoming::incoming),
    (200, outgoing::outgoing),
    (110, internal::internal),
    (20, outgoing::click_to_call),
    (25, outgoing::dialler),
    (15, outgoing::agent_joins_dialler),
    (15, internal::mobile_twin),
    (10, odd::loopback),
    (20, odd::clocks_apart),
];

/// Those of which call detail records tell the parties: who was called first by the switch seems to have called.
const OF_PATHS: [(u64, Scenario); 4] =
    [(560, incoming::incoming), (200, outgoing::outgoing), (110, internal::internal), (15, odd::room)];

/// A room is shared by this many in 1,000.
const SHARED_ROOMS: u64 = 10;

/// Makes up one call of an Asterisk; `by_paths`: told by call detail records.
pub(crate) fn of_tables(dice: &mut Dice, begin: Micros, tag: &str, by_paths: bool) -> Script {
    let pbx = dice.pick(&PBXS);
    let scenario = if by_paths { dice.weighted(&OF_PATHS) } else { dice.weighted(&OF_TABLES) };
    let mut story = Story::new(dice, pbx, begin, tag);
    story.as_asterisk();
    scenario(&mut story);
    story.script
}

/// Makes up one call of a Kazoo; one that comes to meet in a room is made up anew, for its messages tell no rooms.
pub(crate) fn of_kazoo(dice: &mut Dice, begin: Micros, tag: &str) -> Script {
    loop {
        let pbx = dice.pick(&PBXS);
        let scenario = dice.weighted(&OF_KAZOO);
        let mut story = Story::new(dice, pbx, begin, tag);
        story.as_kazoo();
        scenario(&mut story);
        let script = story.script;
        if script.legs.iter().all(|leg| leg.fields.service.is_none()) {
            return script;
        }
    }
}

/// Makes up one call that begins at `begin`, or up to `room` calls that meet. `tag` makes its ids unique.
pub(crate) fn call(dice: &mut Dice, begin: Micros, tag: &str, room: u64) -> Script {
    let pbx = dice.pick(&PBXS);
    let shared = dice.below(1_000) < SHARED_ROOMS && room >= 3;
    let scenario = if shared { odd::shared_room } else { dice.weighted(&SCENARIOS) };
    let mut story = Story::new(dice, pbx, begin, tag);
    scenario(&mut story);
    story.script
}
