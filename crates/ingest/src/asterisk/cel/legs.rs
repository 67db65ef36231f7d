//! Leg records of a call: one a channel, one a bridge, and events for what ends without having begun.

use std::collections::BTreeMap;

use ringpost_model::{
    EventReport, Fields, LegEvent, LegId, LegRecord, LegReport, Park, Report, Service, Side, Text, Timestamp,
};

use super::bridges::{Bridges, Stays, Virtual};
use super::call::Call;
use super::channel::Channel;
use super::group;
use super::row::Event;
use crate::asterisk::Owner;
use crate::asterisk::pairs::pair;

/// Adds the records of a call.
pub(super) fn tell(call: &Call<'_>, bridges: Bridges, records: &mut Vec<LegRecord>) {
    for (channel, stays) in call.channels.iter().zip(bridges.of) {
        of_channel(call, channel, stays, records);
    }
    for (leg, of) in bridges.virtuals {
        records.push(of_bridge(leg, &of));
    }
}

fn record(owner: &Owner, leg: LegId, report: Report) -> LegRecord {
    LegRecord {
        tenant: owner.tenant.clone(),
        pbx: owner.pbx.clone(),
        leg,
        links: Vec::new(),
        fields: Fields::default(),
        recordings: Vec::new(),
        tags: Default::default(),
        report,
    }
}

fn of_bridge(leg: LegId, of: &Virtual) -> LegRecord {
    let report = LegReport { created: of.created, ended: of.ended, ..LegReport::default() };
    let service = of.conference.then_some(Service::Conference);
    let fields = Fields { side: Some(Side::Service), service, ..Fields::default() };
    LegRecord { fields, ..record(&of.owner, leg, Report::Leg(report)) }
}

fn of_channel(call: &Call<'_>, channel: &Channel<'_>, stays: Stays, records: &mut Vec<LegRecord>) {
    let Ok(leg) = LegId::new(channel.id()) else { return };
    let owner = &*channel.first().owner;
    let (parks, retrieved) = parks(channel);
    let (services, service_ends) = group::services(channel);
    let unbridged = stays.left.into_iter().map(|(at, with)| (at, LegEvent::Unbridged { with }));
    let resumed = stays.resumed.into_iter().map(|at| (at, LegEvent::Resumed));
    let retrieved = retrieved.into_iter().map(|at| (at, LegEvent::Retrieved));
    let service_ends = service_ends.into_iter().map(|(at, service)| {
        (at, LegEvent::ServiceEnd { service, name: Text::default(), outcome: Text::default() })
    });
    for (at, event) in unbridged.chain(resumed).chain(retrieved).chain(service_ends) {
        records.push(record(owner, leg.clone(), Report::Event(EventReport { at, event })));
    }
    if let Some((at, fields)) = channel.guess() {
        let report = Report::Event(EventReport { at, event: LegEvent::Updated });
        records.push(LegRecord { fields, ..record(owner, leg.clone(), report) });
    }
    let report = LegReport {
        rev: 0,
        at: Some(channel.last()),
        created: channel.created(),
        ringing: None,
        answered: channel.answered,
        ended: channel.ended,
        bridges: stays.bridges,
        holds: stays.holds,
        parks,
        services,
    };
    records.push(LegRecord {
        links: channel.links(),
        fields: channel.fields(call.is_dialled_outside(channel), call.group(channel)),
        recordings: channel.recordings(),
        ..record(owner, leg, Report::Leg(report))
    });
}

/// Who hangs up in a park was in it to its end.
fn parks(channel: &Channel<'_>) -> (Vec<Park>, Vec<Timestamp>) {
    let starts = channel.rows.iter().filter_map(|row| match &row.event {
        Event::ParkStart { lot } => Some((row.at, lot)),
        _ => None,
    });
    let starts: BTreeMap<Timestamp, &Text> = starts.collect();
    let ends = channel.rows.iter().filter(|row| row.event == Event::ParkEnd { gave_up: false });
    let paired = pair(starts.keys().copied().collect(), ends.map(|row| row.at).collect());
    let slot = |from: Timestamp| starts.get(&from).map(|slot| (*slot).clone()).unwrap_or_default();
    let parks = paired.stays.into_iter().map(|(from, to)| Park { from, to, slot: slot(from) });
    (parks.collect(), paired.closings)
}
