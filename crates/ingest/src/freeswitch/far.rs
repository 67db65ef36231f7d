//! The legs that the document's leg placed, or was bridged with, read out of its document.

use ringpost_model::{
    Bridge, Fields, LegDirection, LegId, LegRecord, LegReport, NumberName, PbxKey, Report, Service, Side,
    TenantKey, Timestamp,
};

use super::apps::{is_injected, service_named};
use super::dial::{self, Target, Way};
use super::document::{App, Caller, Document};
use super::meetings::Meeting;
use super::own::{Own, before_at, known_name, non_empty, number_only, sip_status};
use super::side;

/// Causes of legs that never rang.
const NEVER_RANG: [&str; 12] = [
    "USER_BUSY",
    "UNALLOCATED_NUMBER",
    "NO_ROUTE_DESTINATION",
    "USER_NOT_REGISTERED",
    "INVALID_NUMBER_FORMAT",
    "SUBSCRIBER_ABSENT",
    "DESTINATION_OUT_OF_ORDER",
    "NETWORK_OUT_OF_ORDER",
    "INCOMPATIBLE_DESTINATION",
    "NORMAL_TEMPORARY_FAILURE",
    "RECOVERY_ON_TIMER_EXPIRE",
    "CHAN_NOT_IMPLEMENTED",
];

/// A leg at the other end of the document's leg.
#[derive(Debug)]
pub(super) struct Far<'a> {
    uuid: &'a str,
    caller: Caller<'a>,
    /// Its profile of the document's leg.
    profile: usize,
    /// Display name and number, as in `originated_legs`.
    name: &'a str,
    number: &'a str,
    /// `NONE` where it was answered.
    cause: &'a str,
    /// The document's leg placed it, by this application.
    is_placed: bool,
    app: Option<usize>,
    target: Option<Target<'a>>,
    meeting: Option<Meeting<'a>>,
}

/// Ids of all far legs, each once, in the order they are named.
pub(super) fn uuids<'a>(document: &'a Document<'a>) -> Vec<&'a str> {
    let variables = &document.variables;
    let id = |element: &'a str| element.split(';').next().unwrap_or_default();
    let listed = variables.list("originated_legs").chain(variables.list("originate_causes")).map(id);
    let profiles = document.profiles.iter().flat_map(|profile| profile.originatees.iter().rev());
    let mut found: Vec<&'a str> = Vec::new();
    for uuid in listed.chain(profiles.map(|caller| caller.uuid)) {
        if !uuid.is_empty() && !found.contains(&uuid) {
            found.push(uuid);
        }
    }
    let is_originatee = variables.get("last_bridge_role") == Some("originatee");
    let has_originator = document.profiles.iter().any(|profile| !profile.originators.is_empty());
    if found.is_empty() && !is_originatee && !has_originator && can_place(document) {
        // Without lists, the leg it was bridged with is the one it placed: switches before 2012. One that it did
        // not place, a parked call it took or a ringing one it picked up, has a document of its own.
        found.extend(variables.first(&["bridge_uuid", "last_bridge_to"]));
    }
    found
}

/// All far legs.
pub(super) fn legs<'a>(own: &Own<'a>) -> Vec<Far<'a>> {
    let ids =
        uuids(own.document).into_iter().filter(|uuid| *uuid != own.id.as_str() && LegId::new(uuid).is_ok());
    let mut legs: Vec<Far<'a>> = ids.map(|uuid| find(own, uuid)).collect();
    for index in 0..legs.len() {
        let number = legs[index].number;
        let before = legs[..index].iter().filter(|leg| leg.number == number && leg.is_placed).count();
        let (app, target) = placing(own.document, &legs[index], before);
        (legs[index].app, legs[index].target) = (app, target);
        if legs[index].caller.uuid.is_empty() {
            legs[index].profile = profile_of(own, app);
        }
    }
    legs
}

/// When the application that placed a leg began.
pub(super) fn placed_at(own: &Own<'_>, uuid: &str) -> Option<Timestamp> {
    let leg = find(own, uuid);
    let (app, _) = placing(own.document, &leg, 0);
    own.document.apps.get(app?)?.stamp
}

fn find<'a>(own: &Own<'a>, uuid: &'a str) -> Far<'a> {
    let document = own.document;
    let fields = |name: &str| {
        let mut list = document.variables.list(name);
        list.find_map(|element| element.strip_prefix(uuid)?.strip_prefix(';'))
    };
    let listed = fields("originated_legs");
    let (name, number) = listed.and_then(|fields| fields.split_once(';')).unwrap_or_default();
    let cause = fields("originate_causes").unwrap_or_default();
    let newest = document.profiles.len() - 1;
    let held = document.profiles.iter().enumerate().find_map(|(index, profile)| {
        let caller = profile.originatees.iter().find(|caller| caller.uuid == uuid)?;
        Some((index, *caller))
    });
    let (profile, caller) = held.unwrap_or((newest, Caller::default()));
    let number = non_empty(number).or(non_empty(caller.destination)).unwrap_or_default();
    let has_list = document.variables.get("originated_legs").is_some();
    let meeting = own.meetings.iter().find(|meeting| meeting.with == uuid).copied();
    let is_placed = listed.is_some() || !cause.is_empty() || (!has_list && can_place(document));
    Far { uuid, caller, profile, name, number, cause, is_placed, app: None, target: None, meeting }
}

/// The application that placed a leg, and the target of its dial string: by number, the how manyth such leg it is;
/// where no number fits, the only target there is.
fn placing<'a>(document: &Document<'a>, leg: &Far<'a>, before: usize) -> (Option<usize>, Option<Target<'a>>) {
    if !leg.is_placed {
        return (None, None);
    }
    let bridges = document.apps.iter().enumerate().filter(|(_, app)| is_placing(app));
    let targets: Vec<(usize, Target<'a>)> =
        bridges.flat_map(|(index, app)| dial::targets(app.data).map(move |target| (index, target))).collect();
    let fitting: Vec<_> =
        targets.iter().filter(|(_, target)| !leg.number.is_empty() && target.number == leg.number).collect();
    if let Some((app, target)) = fitting.get(before).or(fitting.last()) {
        return (Some(*app), Some(*target));
    }
    match targets.as_slice() {
        [(app, target)] => (Some(*app), Some(*target)),
        _ => (targets.last().map(|(app, _)| *app), None),
    }
}

/// Whether the leg may have placed others at all. Where the log of applications is missing, it may.
fn can_place(document: &Document<'_>) -> bool {
    document.apps.is_empty() || document.apps.iter().any(is_placing)
}

fn is_placing(app: &App<'_>) -> bool {
    matches!(app.name, "bridge" | "originate" | "enterprise_originate")
}

/// The profile in which an application ran.
fn profile_of(own: &Own<'_>, app: Option<usize>) -> usize {
    let newest = own.document.profiles.len() - 1;
    let Some(stamp) = app.and_then(|app| own.document.apps[app].stamp) else { return newest };
    let begins = |profile: &usize| own.begin_of(*profile).is_some_and(|begin| begin <= stamp);
    (0..=newest).rev().find(begins).unwrap_or(0)
}

/// `loopback/app=voicemail:default …`, as the stock dialplan sends calls to voicemail: no loopback, but the service.
fn service_behind(target: &Target<'_>) -> Option<Service> {
    let app = target.number.strip_prefix("app=").filter(|_| target.way == Way::Loopback)?;
    let (name, data) = app.split_once(':').unwrap_or((app, ""));
    service_named(&App { name, data, stamp: None }).map(|(service, _)| service)
}

impl<'a> Far<'a> {
    pub(super) fn record(&self, own: &Own<'a>, tenant: &TenantKey, pbx: &PbxKey) -> LegRecord {
        let created = self.created(own);
        let answered = self.answered(own);
        let bridges = self.meeting.map(|meeting| {
            let from = answered.map_or(meeting.from, |answered| answered.max(meeting.from));
            Bridge { with: own.id.clone(), from, to: meeting.to }
        });
        let report = LegReport {
            created,
            ringing: self.ringing(own, created),
            answered,
            ended: self.ended(own, created),
            bridges: bridges.into_iter().collect(),
            ..LegReport::default()
        };
        LegRecord {
            tenant: tenant.clone(),
            pbx: pbx.clone(),
            leg: LegId::new(self.uuid).expect("ids that are none were left out"),
            links: vec![own.id.as_str().into()],
            fields: self.fields(own),
            recordings: Vec::new(),
            tags: Default::default(),
            report: Report::Leg(report),
        }
    }

    /// When it was placed, in any case after the leg that placed it.
    fn created(&self, own: &Own<'a>) -> Option<Timestamp> {
        let placed = self.app.and_then(|app| own.document.apps[app].stamp);
        let met = self.meeting.map(|meeting| meeting.from).filter(|_| !self.is_placed);
        let created = placed.or(met).or(own.begin_of(self.profile));
        let after_own = own.created.map(|created| created.plus_micros(1));
        let created = created.into_iter().chain(after_own).max();
        // A leg that has met somebody existed by then, whatever the stamp says.
        created.into_iter().chain(self.meeting.map(|meeting| meeting.from)).min().or(own.ended)
    }

    /// Progress of the placing leg within the profile. Times from before it are copies; on a leg that was answered
    /// before (by an IVR, or transferred) progress is not seen, so there it rings from the begin.
    fn ringing(&self, own: &Own<'a>, created: Option<Timestamp>) -> Option<Timestamp> {
        if !self.is_placed || NEVER_RANG.contains(&self.cause) {
            return None;
        }
        let times = own.document.profiles[self.profile].times;
        let begin = own.begin_of(self.profile);
        let progress = times.progress.into_iter().chain(times.progress_media);
        let progress = progress.filter(|&progress| begin.is_none_or(|begin| progress >= begin)).min();
        let was_answered =
            own.answered.is_some_and(|answered| created.is_some_and(|created| answered < created));
        if was_answered {
            return created;
        }
        progress.map(|progress| created.map_or(progress, |created| progress.max(created)))
    }

    fn answered(&self, own: &Own<'a>) -> Option<Timestamp> {
        let met = self.meeting?.from;
        own.answered.map(|_| met)
    }

    /// A leg that was bridged ends with the bridge, one that lost the race with the answer of another, one that was
    /// tried in vain when the next application ran; else the placing leg's end is the last that is known.
    fn ended(&self, own: &Own<'a>, created: Option<Timestamp>) -> Option<Timestamp> {
        if let Some(meeting) = self.meeting {
            return meeting.to.or(own.ended);
        }
        let later = |time: &Timestamp| created.is_none_or(|created| *time >= created);
        let met =
            own.meetings.iter().filter(|meeting| meeting.profile == self.profile).map(|meeting| meeting.from);
        let lost = met.min().filter(|_| self.cause == "LOSE_RACE");
        let after = self.app.map_or(&[][..], |app| &own.document.apps[app + 1..]);
        let next = after.iter().filter(|app| !is_injected(app)).find_map(|app| app.stamp);
        let ends = [lost, next, own.document.end_of(self.profile), own.ended];
        ends.into_iter().flatten().find(later).or(created)
    }

    fn fields(&self, own: &Own<'a>) -> Fields {
        let variables = &own.document.variables;
        let is_last = variables.first(&["last_bridge_to", "bridge_uuid"]) == Some(self.uuid);
        let bridge_channel = variables.get("bridge_channel").filter(|_| is_last).unwrap_or_default();
        let channel = dial::target(non_empty(self.caller.channel).unwrap_or(bridge_channel));
        let way = self.target.map(|target| target.way).filter(|way| *way != Way::Unknown);
        let of_way = |way| side::of_way(way, own.sides);
        let number = non_empty(self.number).unwrap_or(channel.number);
        let side = way.and_then(of_way).or(of_way(channel.way)).or(own.sides.of_number(number));
        let has_device = !matches!(side, Some(Side::External | Side::Service)) && !number.is_empty();
        let own_number = own.document.first().caller.number;
        let presented = non_empty(self.caller.number).or(variables.get("effective_caller_id_number"));
        let is_agent = variables.get("cc_side") == Some("member") && is_last;
        let agent = variables.get("cc_agent").filter(|_| is_agent).map_or("", before_at);
        let queue = variables.get("cc_queue").filter(|_| is_agent).map(before_at);
        let group = queue.or(self.target.map(|target| target.group)).unwrap_or_default();
        Fields {
            // Whoever met the leg in the switch may have come in by itself; an agent of a queue is always called.
            direction: (self.is_placed || is_agent).then_some(LegDirection::Out),
            side,
            service: self.target.and_then(|target| service_behind(&target)),
            party: NumberName { number: number.into(), name: known_name(self.name) },
            dialled: number.into(),
            presented: presented.unwrap_or(own_number).into(),
            device: number_only(if has_device { number } else { "" }),
            agent: number_only(agent),
            group: group.into(),
            cause: self.cause(own, is_last).into(),
            sip: variables
                .get("last_bridge_proto_specific_hangup_cause")
                .filter(|_| is_last)
                .and_then(sip_status),
            ..Fields::default()
        }
    }

    fn cause(&self, own: &Own<'a>, is_last: bool) -> &'a str {
        let failed = non_empty(self.cause).filter(|cause| *cause != "NONE");
        let names = ["last_bridge_hangup_cause", "bridge_hangup_cause"];
        let of_bridge = own.document.variables.first(&names).filter(|_| is_last);
        failed.or(of_bridge).or(own.document.variables.get("hangup_cause")).unwrap_or_default()
    }
}
