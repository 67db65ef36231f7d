//! The merged legs as the envelope carries them: what a page draws.

use std::collections::BTreeMap;

use ringpost_model::{
    Bridge, Fields, Hold, Leg, NumberName, Park, Rating, Route, ServiceStay, Text, Timestamp,
};

use crate::merge::{BridgeSaid, Interval, Merged, PairTold, leave_all};
use crate::pack::key;
use crate::parties::{Parties, Party};
use crate::record::leg_id;

/// The session's own legs, by creation.
pub(crate) fn of(parties: &Parties<'_>) -> Vec<Leg> {
    parties.own().iter().map(leg).collect()
}

fn leg(party: &Party<'_>) -> Leg {
    let merged = &party.merged;
    let holds = merged.holds.iter().map(|hold| Hold { from: time(hold.from), to: hold.to.map(time) });
    let parks = merged.parks.iter().map(|park| Park {
        from: time(park.from),
        to: park.to.map(time),
        slot: park.slot.into(),
    });
    let services = merged.stays.iter().map(|stay| ServiceStay {
        service: stay.service,
        from: time(stay.from),
        to: stay.to.map(time),
        name: stay.name.into(),
        outcome: stay.outcome.into(),
    });
    Leg {
        leg: leg_id(party.id),
        links: merged.links.iter().copied().map(Text::from).collect(),
        fields: fields(merged),
        created: time(merged.created),
        ringing: merged.ringing.map(time),
        answered: party.answered.map(time),
        ended: merged.ended.map(time),
        bridges: bridges(merged),
        holds: holds.collect(),
        parks: parks.collect(),
        services: services.collect(),
        recordings: merged.recordings.iter().copied().map(Text::from).collect(),
        tags: merged.tags().map(|(tag, value)| (tag.into(), value.into())).collect::<BTreeMap<_, _>>(),
    }
}

fn time(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros)
}

fn fields(merged: &Merged<'_>) -> Fields {
    let pair = |key| {
        let (number, name) = merged.pair(key);
        NumberName { number: number.into(), name: name.into() }
    };
    let (route_id, route_name) = merged.pair(key::ROUTE);
    let route = (!route_id.is_empty() || !route_name.is_empty())
        .then(|| Route { id: route_id.into(), name: route_name.into() });
    let rating = merged.rating().map(|(cost, band, name, currency)| Rating {
        cost,
        band: band.into(),
        name: name.into(),
        currency: currency.into(),
    });
    Fields {
        direction: merged.direction(),
        side: merged.side(),
        service: merged.service(),
        party: pair(key::PARTY),
        dialled: merged.text(key::DIALLED).into(),
        presented: merged.text(key::PRESENTED).into(),
        ddi: pair(key::DDI),
        device: pair(key::DEVICE),
        user: pair(key::USER),
        agent: pair(key::AGENT),
        group: merged.text(key::GROUP).into(),
        route,
        cause: merged.text(key::CAUSE).into(),
        sip: merged.sip(),
        rating,
        tz: merged.text(key::ZONE).parse().ok(),
    }
}

/// The bridges that the leg's own records tell.
fn bridges(merged: &Merged<'_>) -> Vec<Bridge> {
    let named = merged.bridges.iter().filter_map(|said| match said {
        BridgeSaid::Interval(with, ..) | BridgeSaid::Open(with, _) => Some(*with),
        BridgeSaid::Close(..) => None,
    });
    let mut partners: Vec<&str> = named.collect();
    partners.sort_unstable();
    partners.dedup();
    let mut told: Vec<PairTold> = partners.iter().map(|_| PairTold::default()).collect();
    for (partner, told) in partners.iter().zip(&mut told) {
        told.add(&merged.bridges, partner, 1);
    }
    let leaves = merged.bridges.iter().filter_map(|said| match said {
        BridgeSaid::Close(None, at) => Some(*at),
        _ => None,
    });
    leave_all(&mut told.iter_mut().collect::<Vec<_>>(), leaves.collect());
    let of_partner = partners.into_iter().zip(&told);
    let mut bridges: Vec<Bridge> = of_partner.flat_map(|(partner, told)| with(partner, told)).collect();
    bridges.sort_by_key(|bridge| bridge.from);
    bridges
}

fn with(partner: &str, told: &PairTold) -> Vec<Bridge> {
    let with = leg_id(partner);
    let bridge = |one: Interval| Bridge { with: with.clone(), from: time(one.from), to: one.to.map(time) };
    told.settle().into_iter().map(bridge).collect()
}
