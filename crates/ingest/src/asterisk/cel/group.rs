//! Queues: which one offered a call at an instant, and the services that channels ran.

use ringpost_model::{Service, ServiceStay, Text, Timestamp};

use super::channel::Channel;
use super::row::{Event, Technology};

/// From when to when a channel waited in which queue.
pub(super) type Wait<'a> = (Timestamp, Option<Timestamp>, &'a str);

/// Of overlapping waits so many are looked at.
const TOGETHER: usize = 32;

/// Name of the queue in which a channel of the call waited at an instant; empty = in none.
pub(super) fn at<'a>(waits: &[Wait<'a>], at: Timestamp) -> &'a str {
    let begun = &waits[..waits.partition_point(|(from, ..)| *from <= at)];
    let waiting = begun.iter().rev().take(TOGETHER).find(|(_, to, _)| to.is_none_or(|to| at < to));
    waiting.map(|(.., name)| *name).unwrap_or_default()
}

/// A queue offers calls until its caller is connected, or does something else. By begin.
pub(super) fn waits<'a>(channels: &[Channel<'a>]) -> Vec<Wait<'a>> {
    let mut waits = Vec::new();
    for channel in channels {
        let mut open: Option<(Timestamp, &'a str)> = None;
        for row in &channel.rows {
            if let Some((from, data)) = open.filter(|(_, data)| ends_wait(&row.event, data)) {
                waits.push((from, Some(row.at), argument(data)));
                open = None;
            }
            if let Event::AppStart { app, data } = &row.event
                && app.eq_ignore_ascii_case("Queue")
            {
                open = open.or(Some((row.at, data)));
            }
        }
        waits.extend(open.map(|(from, data)| (from, channel.ended, argument(data))));
    }
    waits.sort_unstable();
    waits
}

fn ends_wait(event: &Event, own: &str) -> bool {
    match event {
        Event::AppStart { data, .. } => **data != *own,
        Event::AppEnd { .. } => true,
        Event::Enter(meeting) => !matches!(meeting.technology, Technology::Holding | Technology::Lot),
        _ => false,
    }
}

/// The first argument of an application.
fn argument(data: &str) -> &str {
    data.split(',').next().unwrap_or_default().trim()
}

/// Services that a channel ran itself, each until the next application, and the ends of those begun elsewhere.
pub(super) fn services(channel: &Channel<'_>) -> (Vec<ServiceStay>, Vec<(Timestamp, Service)>) {
    let mut stays = Vec::new();
    let mut ends = Vec::new();
    let mut open: Option<ServiceStay> = None;
    for row in &channel.rows {
        match &row.event {
            Event::AppStart { app, data } => {
                stays.extend(open.take().map(|stay| ServiceStay { to: Some(row.at), ..stay }));
                open = service(app).map(|service| ServiceStay {
                    service,
                    from: row.at,
                    to: None,
                    name: Text::from(argument(data)),
                    outcome: Text::default(),
                });
            }
            Event::AppEnd { app } => match (open.take(), service(app)) {
                (Some(stay), _) => stays.push(ServiceStay { to: Some(row.at), ..stay }),
                (None, Some(service)) => ends.push((row.at, service)),
                (None, None) => {}
            },
            _ => {}
        }
    }
    stays.extend(open);
    (stays, ends)
}

fn service(app: &str) -> Option<Service> {
    const KNOWN: [(&str, Service); 6] = [
        ("Queue", Service::Queue),
        ("VoiceMail", Service::Voicemail),
        ("VoiceMailMain", Service::Voicemail),
        ("ReceiveFAX", Service::Fax),
        ("SendFAX", Service::Fax),
        ("MeetMe", Service::Conference),
    ];
    KNOWN.iter().find(|(name, _)| app.eq_ignore_ascii_case(name)).map(|(_, service)| *service)
}
