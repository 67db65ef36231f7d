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

/// A kind of call.
struct Kind {
    /// How often it happens in 1,000 calls.
    often: u64,
    scenario: Scenario,
    /// Who else than a switch of ours tells all of it that the record needs.
    told_by: &'static [Teller],
}

/// What tells a call in its own way.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Teller {
    /// Asterisk's tables of events, but for hold keys.
    Tables,
    /// Asterisk's call detail records, which tell the parties: who was called first by the switch seems to have called.
    Paths,
    /// Messages of Kazoo and events of FreeSWITCH.
    Messages,
}

const KINDS: [Kind; 10] = {
    use Teller::{Messages, Paths, Tables};
    [
        Kind { often: 560, scenario: incoming::incoming, told_by: &[Tables, Paths, Messages] },
        Kind { often: 200, scenario: outgoing::outgoing, told_by: &[Tables, Paths, Messages] },
        Kind { often: 110, scenario: internal::internal, told_by: &[Tables, Paths, Messages] },
        Kind { often: 20, scenario: outgoing::click_to_call, told_by: &[Tables, Messages] },
        Kind { often: 25, scenario: outgoing::dialler, told_by: &[Tables, Messages] },
        Kind { often: 15, scenario: outgoing::agent_joins_dialler, told_by: &[Tables, Messages] },
        Kind { often: 15, scenario: internal::mobile_twin, told_by: &[Messages] },
        Kind { often: 15, scenario: odd::room, told_by: &[Tables, Paths] },
        Kind { often: 10, scenario: odd::loopback, told_by: &[Messages] },
        Kind { often: 20, scenario: odd::clocks_apart, told_by: &[Messages] },
    ]
};

/// One of those that a teller tells; of all without one.
fn pick(dice: &mut Dice, teller: Option<Teller>) -> Scenario {
    let is_told = |kind: &&Kind| teller.is_none_or(|teller| kind.told_by.contains(&teller));
    let kinds: Vec<(u64, Scenario)> =
        KINDS.iter().filter(is_told).map(|kind| (kind.often, kind.scenario)).collect();
    dice.weighted(&kinds)
}

/// A room is shared by this many in 1,000.
const SHARED_ROOMS: u64 = 10;

/// Makes up one call of an Asterisk; `by_paths`: told by call detail records.
pub(crate) fn of_tables(dice: &mut Dice, begin: Micros, tag: &str, by_paths: bool) -> Script {
    let pbx = dice.pick(&PBXS);
    let scenario = pick(dice, Some(if by_paths { Teller::Paths } else { Teller::Tables }));
    let mut story = Story::new(dice, pbx, begin, tag);
    story.as_asterisk();
    scenario(&mut story);
    story.script
}

/// Makes up one call of a switch that tells legs only; one that comes to meet in a room is made up anew. `alerts`: it
/// tells that phones ring.
pub(crate) fn of_messages(dice: &mut Dice, begin: Micros, tag: &str, alerts: bool) -> Script {
    loop {
        let pbx = dice.pick(&PBXS);
        let scenario = pick(dice, Some(Teller::Messages));
        let mut story = Story::new(dice, pbx, begin, tag);
        story.as_messages(alerts);
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
    let scenario = if shared { odd::shared_room } else { pick(dice, None) };
    let mut story = Story::new(dice, pbx, begin, tag);
    scenario(&mut story);
    story.script
}
