//! From a record as written to one that is valid, or to the first reason why it is not.

use ringpost_model::{
    EventReport, Fields, LegEvent, LegRecord, LegReport, NumberName, Report, Service, Text,
};

use super::key::{Key, Keys};
use super::objects::check_outcome;
use super::raw::Raw;
use super::scalars::{EventName, Kind};
use super::value::{Slot, Tally};
use crate::reason::Reason;

/// Keys that only a `leg` record has.
const OF_LEGS: Keys = Keys::of(&[
    Key::Rev,
    Key::Created,
    Key::Ringing,
    Key::Answered,
    Key::Ended,
    Key::Bridges,
    Key::Holds,
    Key::Parks,
    Key::Services,
]);

/// Keys that only events have, and only some of them.
const OF_EVENTS: Keys = Keys::of(&[Key::Event, Key::With, Key::Slot, Key::Outcome]);

pub(super) fn build(mut raw: Raw, tally: &Tally) -> Result<LegRecord, Reason> {
    let format = raw.v.need("v")?;
    if format != 1 {
        return Err(invalid("v", "only format 1 is known", format));
    }
    let kind = raw.kind.need("kind")?;
    let tenant = raw.tenant.need("tenant")?;
    let pbx = raw.pbx.need("pbx")?;
    let leg = raw.leg.need("leg")?;
    let report = match kind {
        Kind::Leg => Report::Leg(leg_report(&mut raw, tally)?),
        Kind::Event => Report::Event(event_report(&mut raw, tally)?),
    };
    let links = raw.links.take("links")?.unwrap_or_default();
    let fields = fields(&mut raw)?;
    let recordings = raw.recordings.take("recordings")?.unwrap_or_default();
    let tags = raw.tags.take("tags")?.unwrap_or_default();
    Ok(LegRecord { tenant, pbx, leg, links, fields, recordings, tags, report })
}

fn leg_report(raw: &mut Raw, tally: &Tally) -> Result<LegReport, Reason> {
    Tally::add(&tally.unknown_keys, raw.seen.shared(OF_EVENTS));
    let report = LegReport {
        rev: rev(&mut raw.rev)?,
        at: raw.at.take("at")?,
        created: raw.created.take("created")?,
        ringing: raw.ringing.take("ringing")?,
        answered: raw.answered.take("answered")?,
        ended: raw.ended.take("ended")?,
        bridges: raw.bridges.take("bridges")?.unwrap_or_default(),
        holds: raw.holds.take("holds")?.unwrap_or_default(),
        parks: raw.parks.take("parks")?.unwrap_or_default(),
        services: raw.services.take("services")?.unwrap_or_default(),
    };
    if report.latest().is_none() { Err(Reason::NoTime) } else { Ok(report) }
}

fn rev(slot: &mut Slot<i128>) -> Result<u64, Reason> {
    let rev = slot.take("rev")?.unwrap_or_default();
    u64::try_from(rev).map_err(|_| invalid("rev", "an integer from 0 to 18446744073709551615 is wanted", rev))
}

fn event_report(raw: &mut Raw, tally: &Tally) -> Result<EventReport, Reason> {
    let name = raw.event.need("event")?;
    let at = raw.at.need("at")?;
    let (event, used) = match name {
        EventName::Created => (LegEvent::Created, &[][..]),
        EventName::Ringing => (LegEvent::Ringing, &[][..]),
        EventName::Answered => (LegEvent::Answered, &[][..]),
        EventName::Bridged => (LegEvent::Bridged { with: raw.with.need("with")? }, &[Key::With][..]),
        EventName::Unbridged => (LegEvent::Unbridged { with: raw.with.take("with")? }, &[Key::With][..]),
        EventName::Held => (LegEvent::Held, &[][..]),
        EventName::Resumed => (LegEvent::Resumed, &[][..]),
        EventName::Parked => {
            (LegEvent::Parked { slot: raw.slot.take("slot")?.unwrap_or_default() }, &[Key::Slot][..])
        }
        EventName::Retrieved => (LegEvent::Retrieved, &[][..]),
        EventName::Service => {
            let (service, name, outcome) = executed(raw)?;
            (LegEvent::Service { service, name, outcome }, &[Key::Outcome][..])
        }
        EventName::ServiceEnd => {
            let (service, name, outcome) = executed(raw)?;
            (LegEvent::ServiceEnd { service, name, outcome }, &[Key::Outcome][..])
        }
        EventName::Updated => (LegEvent::Updated, &[][..]),
        EventName::Ended => (LegEvent::Ended, &[][..]),
    };
    let foreign = OF_EVENTS.without(Keys::of(&[Key::Event])).without(Keys::of(used));
    Tally::add(&tally.unknown_keys, raw.seen.shared(OF_LEGS) + raw.seen.shared(foreign));
    Ok(EventReport { at, event })
}

/// In a service event `service` and `name` are what is executed, not what the leg is.
fn executed(raw: &mut Raw) -> Result<(Service, Text, Text), Reason> {
    let service = raw.service.need("service")?;
    let name = raw.name.take("name")?.unwrap_or_default();
    let outcome = raw.outcome.take("outcome")?.unwrap_or_default();
    check_outcome(service, &outcome)?;
    Ok((service, name, outcome))
}

fn fields(raw: &mut Raw) -> Result<Fields, Reason> {
    let number = raw.number.take("number")?.unwrap_or_default();
    let name = raw.name.take("name")?.unwrap_or_default();
    Ok(Fields {
        direction: raw.direction.take("direction")?,
        side: raw.side.take("side")?,
        service: raw.service.take("service")?,
        party: NumberName { number, name },
        dialled: raw.dialled.take("dialled")?.unwrap_or_default(),
        presented: raw.presented.take("presented")?.unwrap_or_default(),
        ddi: raw.ddi.take("ddi")?.unwrap_or_default(),
        device: raw.device.take("device")?.unwrap_or_default(),
        user: raw.user.take("user")?.unwrap_or_default(),
        agent: raw.agent.take("agent")?.unwrap_or_default(),
        group: raw.group.take("group")?.map(|group| group.0).unwrap_or_default(),
        route: raw.route.take("route")?,
        cause: raw.cause.take("cause")?.unwrap_or_default(),
        sip: sip(&mut raw.sip)?,
        rating: raw.rating.take("rating")?,
        tz: raw.tz.take("tz")?,
    })
}

fn sip(slot: &mut Slot<i128>) -> Result<Option<u16>, Reason> {
    let Some(status) = slot.take("sip")? else { return Ok(None) };
    let known =
        u16::try_from(status).map_err(|_| invalid("sip", "an integer from 0 to 65535 is wanted", status))?;
    Ok(Some(known))
}

fn invalid(path: &str, rule: &'static str, got: i128) -> Reason {
    Reason::Invalid { path: path.to_owned(), rule, got: got.to_string() }
}
