//! Tells a script as leg records, format 1: whole legs, events, or both; and as networks deliver them: late,
//! twice, out of order.

mod arrival;
mod events;
mod report;
mod text_times;

use ringpost_model::{Bridge, LegRecord, PbxKey, TenantKey, Timestamp};

use crate::company::Pbx;
use crate::dice::Dice;
use crate::script::{LegNo, Micros, Script, ScriptBridge, ScriptLeg};

/// A record and when it arrives.
pub(crate) struct Told {
    pub(crate) at: Micros,
    pub(crate) record: LegRecord,
    /// The last word on its leg: may come late without harm.
    last: bool,
}

/// How a leg is told.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Manner {
    Events,
    Report,
    Both,
}

/// A bridge as one of its legs tells it.
pub(crate) struct Seen {
    with: ringpost_model::LegId,
    from: Micros,
    to: Option<Micros>,
}

/// Everything that the switch writes of these calls, by arrival.
pub(crate) fn records(script: &Script, dice: &mut Dice) -> Vec<Told> {
    let whole = dice.weighted(&[(4, Some(Manner::Events)), (3, Some(Manner::Report)), (3, None)]);
    let mut told = Vec::new();
    for index in 0..script.legs.len() {
        let any = [(2, Manner::Events), (2, Manner::Report), (1, Manner::Both)];
        let manner = whole.unwrap_or_else(|| dice.weighted(&any));
        tell_leg(script, LegNo(index), manner, dice, &mut told);
    }
    arrival::disturb(&mut told, dice);
    told.sort_by_key(|told| told.at);
    told
}

fn tell_leg(script: &Script, no: LegNo, manner: Manner, dice: &mut Dice, told: &mut Vec<Told>) {
    let leg = script.leg(no);
    let seen = bridges_of(script, no);
    match manner {
        Manner::Events => events::all(script, leg, &seen, is_bridged_once(script, no), dice, told),
        Manner::Report => {
            if script.tells_begins {
                events::begin(script, leg, dice, told);
            }
            report::report(script, leg, &seen, false, dice, told);
        }
        Manner::Both => {
            events::all(script, leg, &seen, is_bridged_once(script, no), dice, told);
            report::report(script, leg, &seen, true, dice, told);
        }
    }
}

/// Only of a leg with one bridge in its life is it clear which one ends, whoever tells of them.
fn is_bridged_once(script: &Script, no: LegNo) -> bool {
    script.bridges.iter().filter(|bridge| bridge.first == no || bridge.second == no).count() == 1
}

fn bridges_of(script: &Script, no: LegNo) -> Vec<Seen> {
    if !script.tells_bridges {
        return Vec::new();
    }
    let seen = |(bridge, with): (&ScriptBridge, LegNo)| Seen {
        with: script.leg(with).id.clone(),
        from: bridge.from,
        to: bridge.to,
    };
    script.bridges_told_by(no).map(seen).collect()
}

/// The empty record of a leg, to be filled.
fn blank(script: &Script, leg: &ScriptLeg, report: ringpost_model::Report) -> LegRecord {
    LegRecord {
        tenant: TenantKey::new(script.pbx.tenant).expect("the companies have valid keys"),
        pbx: PbxKey::new(script.pbx.key).expect("the platforms have valid keys"),
        leg: leg.id.clone(),
        links: Vec::new(),
        fields: ringpost_model::Fields::default(),
        recordings: Vec::new(),
        tags: std::collections::BTreeMap::new(),
        report,
    }
}

fn time(at: Micros) -> Timestamp {
    Timestamp::from_micros(at)
}

fn as_bridge(seen: &Seen) -> Bridge {
    Bridge { with: seen.with.clone(), from: time(seen.from), to: seen.to.map(time) }
}

/// One record as bytes, times as this platform writes them.
pub(crate) fn print(pbx: &Pbx, record: &LegRecord) -> Vec<u8> {
    let bytes = serde_json::to_vec(record).expect("a leg record is always JSON");
    if pbx.writes_text_times { text_times::in_zone(&bytes, pbx.zone) } else { bytes }
}
