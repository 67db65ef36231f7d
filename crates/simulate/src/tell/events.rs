//! A leg told by events.

use std::collections::BTreeMap;

use ringpost_model::{EventReport, Fields, LegEvent, LegRecord, Report, Text};

use super::{Seen, Told, arrival, blank, time};
use crate::dice::Dice;
use crate::script::{MS, Micros, Script, ScriptLeg};

/// Writes one leg's events.
struct Teller<'a> {
    script: &'a Script,
    leg: &'a ScriptLeg,
    dice: &'a mut Dice,
    told: &'a mut Vec<Told>,
}

/// All that happened to the leg.
pub(super) fn all(
    script: &Script,
    leg: &ScriptLeg,
    seen: &[Seen],
    bridged_once: bool,
    dice: &mut Dice,
    told: &mut Vec<Told>,
) {
    begin(script, leg, dice, told);
    let mut teller = Teller { script, leg, dice, told };
    teller.progress();
    teller.bridges(seen, bridged_once);
    teller.stays();
    teller.additions();
    teller.end();
}

/// Its begin, and what must be known at once.
pub(super) fn begin(script: &Script, leg: &ScriptLeg, dice: &mut Dice, told: &mut Vec<Told>) {
    let mut teller = Teller { script, leg, dice, told };
    let mut first = teller.event(leg.created, LegEvent::Created);
    first.fields = Fields { cause: Text::default(), sip: None, ..leg.fields.clone() };
    if let Some(party) = &leg.first_party {
        first.fields.party = party.clone();
    }
    first.links = leg.links.clone();
    teller.write(leg.created, first);
    if leg.first_party.is_some() {
        // The name comes from a directory, a moment later, and may overtake.
        let at = leg.created + teller.dice.between(MS, 400 * MS);
        let mut correction = teller.event(at, LegEvent::Updated);
        correction.fields.party = leg.fields.party.clone();
        teller.write(at, correction);
    }
    for (at, link) in &leg.later_links {
        let mut renamed = teller.event(*at, LegEvent::Updated);
        renamed.links = vec![link.clone()];
        teller.write(*at, renamed);
    }
}

impl Teller<'_> {
    fn event(&self, at: Micros, event: LegEvent) -> LegRecord {
        blank(self.script, self.leg, Report::Event(EventReport { at: time(at), event }))
    }

    fn write(&mut self, at: Micros, record: LegRecord) {
        let at = at + arrival::delay(self.dice);
        self.told.push(Told { at, record, last: false });
    }

    fn plain(&mut self, at: Micros, event: LegEvent) {
        let record = self.event(at, event);
        self.write(at, record);
    }

    fn progress(&mut self) {
        if let Some(at) = self.leg.ringing {
            self.plain(at, LegEvent::Ringing);
            if self.dice.percent(5) {
                // The far end says again that it rings.
                let again = at + self.dice.between(MS, 900 * MS);
                self.plain(again, LegEvent::Ringing);
            }
        }
        if let Some(at) = self.leg.answered {
            let mut record = self.event(at, LegEvent::Answered);
            if self.dice.percent(20) && self.leg.first_party.is_none() {
                record.fields.party = self.leg.fields.party.clone();
                record.fields.device = self.leg.fields.device.clone();
            }
            self.write(at, record);
        }
    }

    fn bridges(&mut self, seen: &[Seen], bridged_once: bool) {
        for bridge in seen {
            self.plain(bridge.from, LegEvent::Bridged { with: bridge.with.clone() });
            if let Some(to) = bridge.to {
                let named = !bridged_once || self.dice.percent(60);
                let with = named.then(|| bridge.with.clone());
                self.plain(to, LegEvent::Unbridged { with });
            }
        }
    }

    fn stays(&mut self) {
        for (from, to) in &self.leg.holds {
            self.plain(*from, LegEvent::Held);
            if let Some(to) = to {
                self.plain(*to, LegEvent::Resumed);
            }
        }
        for park in &self.leg.parks {
            self.plain(park.from, LegEvent::Parked { slot: park.name.clone() });
            if let Some(to) = park.to {
                self.plain(to, LegEvent::Retrieved);
            }
        }
        for (service, stay) in &self.leg.services {
            let (service, name) = (*service, stay.name.clone());
            let begin = LegEvent::Service { service, name: name.clone(), outcome: Text::default() };
            self.plain(stay.from, begin);
            if let Some(to) = stay.to {
                let outcome = stay.outcome.clone();
                self.plain(to, LegEvent::ServiceEnd { service, name, outcome });
            }
        }
    }

    /// Recordings and tags: told while the leg lives, or when the file is ready.
    fn additions(&mut self) {
        let end = self.leg.ended.unwrap_or(self.leg.created);
        for id in &self.leg.recordings {
            let at = end + self.dice.between(0, 20_000 * MS);
            let mut record = self.event(at, LegEvent::Updated);
            record.recordings = vec![id.clone()];
            self.write(at, record);
        }
        for (key, value) in &self.leg.tags {
            let at = self.dice.between(self.leg.created, end);
            let mut record = self.event(at, LegEvent::Updated);
            record.tags = BTreeMap::from([(key.clone(), value.clone())]);
            self.write(at, record);
        }
    }

    fn end(&mut self) {
        let Some(at) = self.leg.ended else { return };
        let mut record = self.event(at, LegEvent::Ended);
        record.fields.cause = self.leg.fields.cause.clone();
        record.fields.sip = self.leg.fields.sip;
        self.write(at, record);
        if let Some(told) = self.told.last_mut() {
            told.last = true;
        }
    }
}
