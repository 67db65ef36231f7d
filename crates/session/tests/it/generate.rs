//! Random legs, hostile ones included: bridges with legs never known, conferences, loopbacks, holds, parks, equal
//! times, ties, clocks apart, editions.

use proptest::prelude::*;
use ringpost_model::{
    Bridge, Fields, Hold, LegDirection, LegEvent, LegId, LegRecord, LegReport, NumberName, Park, Report,
    Service, ServiceStay, Side, Timestamp,
};

use crate::build::{at, event, id, leg};

/// Half seconds and a little, so that equal times are common.
fn time() -> impl Strategy<Value = Timestamp> {
    (0u32..60, prop_oneof![Just(0.), Just(0.5), Just(0.4)])
        .prop_map(|(whole, part)| at(f64::from(whole) + part))
}

fn maybe<T: Clone + std::fmt::Debug + 'static>(
    value: impl Strategy<Value = T> + 'static,
) -> BoxedStrategy<Option<T>> {
    proptest::option::of(value).boxed()
}

fn service() -> impl Strategy<Value = Service> {
    prop_oneof![
        3 => Just(Service::Conference),
        1 => Just(Service::Queue),
        1 => Just(Service::Fax),
        1 => Just(Service::Ivr),
    ]
}

fn partner() -> impl Strategy<Value = LegId> {
    prop_oneof![6 => (0u8..6).prop_map(|n| id(&format!("l{n}"))), 1 => Just(id("ghost"))]
}

fn fields() -> impl Strategy<Value = Fields> {
    let side = prop_oneof![
        4 => Just(Some(Side::External)),
        5 => Just(Some(Side::Internal)),
        2 => Just(Some(Side::Service)),
        1 => Just(None),
    ];
    let direction =
        prop_oneof![4 => Just(Some(LegDirection::In)), 5 => Just(Some(LegDirection::Out)), 1 => Just(None)];
    let service = prop_oneof![4 => Just(None), 1 => service().prop_map(Some)];
    let device = maybe((0u8..4).prop_map(|n| n.to_string()));
    let sip = prop_oneof![4 => Just(None), 1 => Just(Some(200u16)), 1 => Just(Some(486u16))];
    (side, direction, service, device, sip).prop_map(|(side, direction, service, device, sip)| Fields {
        side,
        direction,
        service,
        device: NumberName { number: device.unwrap_or_default().into(), name: "".into() },
        sip,
        ..Fields::default()
    })
}

fn report(hostile: bool) -> impl Strategy<Value = LegReport> {
    let bridges = proptest::collection::vec((partner(), time(), maybe(time())), 0..3);
    let holds = proptest::collection::vec((time(), maybe(time())), 0..2);
    let parks = proptest::collection::vec((time(), maybe(time())), 0..2);
    let stays = proptest::collection::vec((service(), time(), maybe(time())), 0..2);
    let times = (maybe(time()), maybe(time()), maybe(time()), maybe(time()), maybe(time()));
    (times, bridges, holds, parks, stays, 0u64..2).prop_map(
        move |(times, bridges, holds, parks, stays, rev)| {
            let (created, ringing, answered, ended, written) = times;
            let sane = |from: Timestamp, to: Option<Timestamp>| hostile || to.is_none_or(|to| to > from);
            LegReport {
                rev: if hostile { rev } else { 0 },
                at: written.filter(|_| hostile),
                created: created.or(Some(at(0.))),
                ringing,
                answered,
                ended,
                bridges: bridges
                    .into_iter()
                    .filter(|(_, from, to)| sane(*from, *to))
                    .map(|(with, from, to)| Bridge { with, from, to })
                    .collect(),
                holds: holds
                    .into_iter()
                    .filter(|(from, to)| sane(*from, *to))
                    .map(|(from, to)| Hold { from, to })
                    .collect(),
                parks: parks
                    .into_iter()
                    .filter(|(from, to)| sane(*from, *to))
                    .map(|(from, to)| Park { from, to, slot: "".into() })
                    .collect(),
                services: stays
                    .into_iter()
                    .filter(|(_, from, to)| sane(*from, *to))
                    .map(|(service, from, to)| ServiceStay {
                        service,
                        from,
                        to,
                        name: "".into(),
                        outcome: "".into(),
                    })
                    .collect(),
            }
        },
    )
}

fn links() -> impl Strategy<Value = Vec<String>> {
    let link = prop_oneof![2 => Just("i1"), 1 => Just("i2"), 1 => Just("l0"), 1 => Just("l1")];
    proptest::collection::vec(link.prop_map(str::to_owned), 0..3)
}

fn some_event() -> impl Strategy<Value = LegEvent> {
    prop_oneof![
        Just(LegEvent::Created),
        Just(LegEvent::Ringing),
        Just(LegEvent::Answered),
        Just(LegEvent::Ended),
        Just(LegEvent::Updated),
        Just(LegEvent::Held),
        Just(LegEvent::Resumed),
        Just(LegEvent::Parked { slot: "".into() }),
        Just(LegEvent::Retrieved),
        partner().prop_map(|with| LegEvent::Bridged { with }),
        maybe(partner()).prop_map(|with| LegEvent::Unbridged { with }),
        service().prop_map(|service| LegEvent::Service { service, name: "".into(), outcome: "".into() }),
        service().prop_map(|service| LegEvent::ServiceEnd { service, name: "".into(), outcome: "".into() }),
    ]
}

fn said(mut record: LegRecord, mut fields: Fields, links: Vec<String>) -> LegRecord {
    if matches!(&record.report, Report::Event(event) if matches!(event.event, LegEvent::Service { .. } | LegEvent::ServiceEnd { .. }))
    {
        fields.service = None;
    }
    record.fields = fields;
    record.links = links.into_iter().map(Into::into).collect();
    record
}

fn leg_record(hostile: bool) -> impl Strategy<Value = LegRecord> {
    (0u8..6, report(hostile), fields(), links()).prop_map(|(n, report, fields, links)| {
        let mut record = leg(&format!("l{n}"), 0., 0.).0;
        record.report = Report::Leg(report);
        said(record, fields, links)
    })
}

fn event_record() -> impl Strategy<Value = LegRecord> {
    let quiet = prop_oneof![4 => Just(None), 1 => fields().prop_map(Some)];
    (0u8..6, time(), some_event(), quiet, links()).prop_map(|(n, when, what, fields, links)| {
        let mut record = event(&format!("l{n}"), 0., what);
        if let Report::Event(report) = &mut record.report {
            report.at = when;
        }
        said(record, fields.unwrap_or_default(), links)
    })
}

/// Anything, in any order.
pub(crate) fn hostile() -> impl Strategy<Value = Vec<LegRecord>> {
    proptest::collection::vec(prop_oneof![leg_record(true), event_record()], 1..14)
}

/// At most one edition of each leg, with intervals that events can tell: of each pair of legs only one tells of
/// bridges, intervals of one kind do not overlap, and each has a length.
pub(crate) fn tellable() -> impl Strategy<Value = Vec<LegRecord>> {
    proptest::collection::vec(leg_record(false), 1..6).prop_map(|mut records| {
        records.sort_by(|a, b| a.leg.cmp(&b.leg));
        records.dedup_by(|a, b| a.leg == b.leg);
        for record in &mut records {
            make_tellable(record);
        }
        records
    })
}

fn make_tellable(record: &mut LegRecord) {
    let own = record.leg.clone();
    let Report::Leg(report) = &mut record.report else { return };
    // The lower id tells of a pair.
    report.bridges.retain(|bridge| own < bridge.with);
    report.bridges.sort();
    report.bridges.dedup_by(|next, kept| next.with == kept.with && kept.to.is_none_or(|to| next.from <= to));
    report.holds.sort();
    report.holds.dedup_by(|next, kept| kept.to.is_none_or(|to| next.from <= to));
    report.parks.sort();
    report.parks.dedup_by(|next, kept| kept.to.is_none_or(|to| next.from <= to));
    report.services.sort();
    report
        .services
        .dedup_by(|next, kept| next.service == kept.service && kept.to.is_none_or(|to| next.from <= to));
}

/// The same leg told by events.
pub(crate) fn as_events(record: &LegRecord) -> Vec<LegRecord> {
    let Report::Leg(report) = &record.report else { return vec![record.clone()] };
    let name = record.leg.as_str();
    let mut told = Vec::new();
    let mut tell = |when: Timestamp, what: LegEvent| {
        let mut record = event(name, 0., what);
        if let Report::Event(report) = &mut record.report {
            report.at = when;
        }
        told.push(record);
    };
    let single = [
        (report.created, LegEvent::Created),
        (report.ringing, LegEvent::Ringing),
        (report.answered, LegEvent::Answered),
        (report.ended, LegEvent::Ended),
    ];
    for (when, what) in single {
        if let Some(when) = when {
            tell(when, what);
        }
    }
    for bridge in &report.bridges {
        tell(bridge.from, LegEvent::Bridged { with: bridge.with.clone() });
        if let Some(to) = bridge.to {
            tell(to, LegEvent::Unbridged { with: Some(bridge.with.clone()) });
        }
    }
    for hold in &report.holds {
        tell(hold.from, LegEvent::Held);
        hold.to.into_iter().for_each(|to| tell(to, LegEvent::Resumed));
    }
    for park in &report.parks {
        tell(park.from, LegEvent::Parked { slot: "".into() });
        park.to.into_iter().for_each(|to| tell(to, LegEvent::Retrieved));
    }
    for stay in &report.services {
        let service = stay.service;
        tell(stay.from, LegEvent::Service { service, name: "".into(), outcome: "".into() });
        if let Some(to) = stay.to {
            tell(to, LegEvent::ServiceEnd { service, name: "".into(), outcome: "".into() });
        }
    }
    // What the leg is comes with its first event.
    told[0].fields = record.fields.clone();
    told[0].links = record.links.clone();
    told
}
