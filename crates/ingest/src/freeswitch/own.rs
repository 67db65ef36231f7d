//! The leg whose document it is.

use ringpost_model::{
    Bridge, Fields, Hold, LegDirection, LegId, LegRecord, LegReport, NumberName, PbxKey, Report, Side,
    SideRules, TenantKey, Text, Timestamp,
};

use super::apps;
use super::dial::target;
use super::document::Document;
use super::far::{self, Far};
use super::meetings::{Meeting, meetings};
use super::side;
use crate::decoded::Notes;
use crate::reason::Reason;

/// A leg's own document counts before what other documents say of the leg.
const OWN_REV: u64 = 1;

/// What is known of the leg itself; far legs are measured by it.
#[derive(Debug)]
pub(super) struct Own<'a> {
    pub(super) document: &'a Document<'a>,
    pub(super) sides: &'a SideRules,
    pub(super) id: LegId,
    pub(super) created: Option<Timestamp>,
    pub(super) answered: Option<Timestamp>,
    pub(super) ended: Option<Timestamp>,
    pub(super) bridged: Option<Timestamp>,
    pub(super) direction: Option<LegDirection>,
    pub(super) meetings: Vec<Meeting<'a>>,
}

impl<'a> Own<'a> {
    pub(super) fn read(
        document: &'a Document<'a>,
        sides: &'a SideRules,
        notes: &mut Notes,
    ) -> Result<Self, Reason> {
        let variables = &document.variables;
        let uuid = variables.get("uuid").or(non_empty(document.last().caller.uuid));
        let Some(uuid) = uuid else { return Err(Reason::missing("variables.uuid")) };
        let id = LegId::new(uuid).map_err(|_| Reason::Invalid {
            path: "variables.uuid".to_owned(),
            rule: "1 to 256 bytes are allowed",
            got: format!("{} bytes", uuid.len()),
        })?;
        let times = || document.profiles.iter().map(|profile| profile.times);
        let created = times().filter_map(|times| times.created.or(times.profile_created)).min();
        let answered = times().filter_map(|times| times.answered).min();
        let hangup = times().filter_map(|times| times.hangup).max();
        let mut own = Self {
            document,
            sides,
            id,
            created: instant(document, "start", created, notes)?,
            answered: instant(document, "answer", answered, notes)?,
            ended: instant(document, "end", hangup, notes)?,
            bridged: instant(document, "bridge", document.last().times.bridged, notes)?,
            direction: direction(document),
            meetings: Vec::new(),
        };
        if own.created.or(own.answered).or(own.ended).is_none() {
            return Err(Reason::NoTime);
        }
        own.meetings = meetings(&own);
        Ok(own)
    }

    /// Where a profile of the leg begins.
    pub(super) fn begin_of(&self, profile: usize) -> Option<Timestamp> {
        self.document.profiles[profile].times.profile_created.or(self.created)
    }

    pub(super) fn is_out(&self) -> bool {
        self.direction == Some(LegDirection::Out)
    }

    pub(super) fn channel(&self) -> &'a str {
        let channel = non_empty(self.document.last().caller.channel);
        channel.or(self.document.variables.get("channel_name")).unwrap_or_default()
    }

    pub(super) fn far_legs(&self) -> impl Iterator<Item = Far<'a>> {
        far::legs(self).into_iter()
    }

    pub(super) fn record(&self, tenant: &TenantKey, pbx: &PbxKey) -> LegRecord {
        let stays = apps::stays(self);
        let report = LegReport {
            rev: OWN_REV,
            at: None,
            created: self.created,
            ringing: self.ringing(),
            answered: self.answered,
            ended: self.ended,
            bridges: self.bridges(),
            holds: self.holds(),
            parks: stays.parks,
            services: stays.services,
        };
        LegRecord {
            tenant: tenant.clone(),
            pbx: pbx.clone(),
            leg: self.id.clone(),
            links: self.links(),
            fields: self.fields(),
            recordings: stays.recordings,
            tags: Default::default(),
            report: Report::Leg(report),
        }
    }

    /// A caller's leg does not alert: its progress is that of the legs it placed.
    fn ringing(&self) -> Option<Timestamp> {
        if !self.is_out() {
            return None;
        }
        let times = self.document.first().times;
        times.progress.into_iter().chain(times.progress_media).min()
    }

    fn fields(&self) -> Fields {
        let variables = &self.document.variables;
        let caller = &self.document.first().caller;
        let destination = non_empty(caller.destination).or(variables.first(&["sip_req_user", "sip_to_user"]));
        let destination = destination.unwrap_or_default();
        let calling = non_empty(caller.number).or(variables.get("sip_from_user")).unwrap_or_default();
        let party = if self.is_out() {
            let name = variables.get("callee_id_name").unwrap_or_default();
            NumberName { number: destination.into(), name: known_name(name) }
        } else {
            NumberName { number: calling.into(), name: known_name(caller.name) }
        };
        let side = side::of_own(self.document, self.channel(), self.is_out(), self.sides);
        let side = side.or_else(|| self.sides.of_number(&party.number));
        let presented = if self.is_out() { calling } else { "" };
        let device = if side == Some(Side::Internal) { self.device(destination) } else { "" };
        let is_agent = variables.get("cc_side") == Some("agent");
        let queue = variables.get("cc_queue").filter(|_| is_agent).map_or("", before_at);
        let agent = variables.get("cc_agent").filter(|_| is_agent).map_or("", before_at);
        Fields {
            direction: self.direction,
            side,
            party,
            dialled: destination.into(),
            presented: presented.into(),
            device: number_only(device),
            agent: number_only(agent),
            group: queue.into(),
            cause: variables.get("hangup_cause").unwrap_or_default().into(),
            sip: self.sip(),
            ..Fields::default()
        }
    }

    /// Number of the device at the end of an internal leg.
    fn device(&self, destination: &'a str) -> &'a str {
        let variables = &self.document.variables;
        if self.is_out() {
            return variables
                .get("dialed_user")
                .or(non_empty(destination))
                .unwrap_or(target(self.channel()).number);
        }
        let names = ["user_name", "sip_auth_username", "sip_from_user_stripped", "sip_from_user"];
        variables.first(&names).or(non_empty(self.document.first().caller.username)).unwrap_or_default()
    }

    fn sip(&self) -> Option<u16> {
        let variables = &self.document.variables;
        let specific = variables.get("proto_specific_hangup_cause").and_then(sip_status);
        let names = ["sip_term_status", "sip_invite_failure_status"];
        specific
            .or_else(|| names.iter().find_map(|name| variables.get(name)?.parse().ok()))
            .filter(|&code| code > 0)
    }

    fn bridges(&self) -> Vec<Bridge> {
        let bridge = |meeting: &Meeting<'_>| {
            let with = LegId::new(meeting.with).ok()?;
            Some(Bridge { with, from: meeting.from, to: meeting.to })
        };
        self.meetings.iter().filter_map(bridge).collect()
    }

    /// `{{on,off},{on,off}}`; what is still on, or goes on after the leg has ended, ends with it.
    fn holds(&self) -> Vec<Hold> {
        let text = self.document.variables.get("hold_events").unwrap_or_default();
        let mut holds: Vec<Hold> = text.split('}').filter_map(|pair| self.hold(pair)).collect();
        holds.sort();
        holds
    }

    fn hold(&self, pair: &str) -> Option<Hold> {
        let mut times = pair.trim_start_matches(['{', ',', ' ']).split(',').map(|time| {
            let micros = time.trim().parse().ok()?;
            Timestamp::checked(micros).ok()
        });
        let from = times.next()??;
        let to = times.next().flatten().into_iter().chain(self.ended).min();
        let is_after_the_end = self.ended.is_some_and(|ended| from >= ended);
        (!is_after_the_end).then_some(Hold { from, to })
    }

    /// Ids of other legs that the document names. Not those of transfers: they name the transfer.
    fn links(&self) -> Vec<Text> {
        const NAMES: [&str; 15] = [
            "last_bridge_to",
            "bridge_uuid",
            "signal_bond",
            "originating_leg_uuid",
            "originator",
            "call_uuid",
            "ent_originate_aleg_uuid",
            "cc_member_uuid",
            "cc_member_session_uuid",
            "cc_agent_uuid",
            "fifo_bridge_uuid",
            "fifo_target",
            "other_loopback_leg_uuid",
            "other_loopback_from_uuid",
            "loopback_from_uuid",
        ];
        let variables = NAMES.iter().filter_map(|name| self.document.variables.get(name));
        let profiles = self.document.profiles.iter();
        let originators = profiles.flat_map(|profile| &profile.originators).map(|caller| caller.uuid);
        let far = far::uuids(self.document).into_iter();
        let mut links: Vec<Text> = Vec::new();
        for id in far.chain(originators).chain(variables) {
            let is_new = id != self.id.as_str() && !links.iter().any(|link| &**link == id);
            if is_new && LegId::new(id).is_ok() {
                links.push(id.into());
            }
        }
        links
    }
}

/// The most exact source that has the time: microseconds, the profile's, seconds, and at last local time.
fn instant(
    document: &Document<'_>,
    name: &str,
    of_profile: Option<Timestamp>,
    notes: &mut Notes,
) -> Result<Option<Timestamp>, Reason> {
    let variables = &document.variables;
    let exact = variables.micros(name)?.or(of_profile);
    if let Some(time) = exact.or(variables.seconds(name)?) {
        return Ok(Some(time));
    }
    let is_known_to_be_none = variables.get(&format!("{name}_uepoch")).is_some();
    let local = variables.stamp(name).filter(|_| !is_known_to_be_none);
    notes.local_times += u64::from(local.is_some());
    Ok(local)
}

fn direction(document: &Document<'_>) -> Option<LegDirection> {
    let said = document.variables.get("direction").or(document.channel_direction);
    match said {
        Some("inbound") => return Some(LegDirection::In),
        Some("outbound") => return Some(LegDirection::Out),
        _ => {}
    }
    let has_originator = document.profiles.iter().any(|profile| !profile.originators.is_empty());
    let has_originatee = document.profiles.iter().any(|profile| !profile.originatees.is_empty());
    match document.variables.get("last_bridge_role") {
        Some("originator") => Some(LegDirection::In),
        _ if has_originatee && !has_originator => Some(LegDirection::In),
        Some("originatee") => Some(LegDirection::Out),
        _ if has_originator => Some(LegDirection::Out),
        _ => None,
    }
}

/// `sip:486` → 486.
pub(super) fn sip_status(cause: &str) -> Option<u16> {
    cause.strip_prefix("sip:")?.parse().ok()
}

/// What FreeSWITCH writes where there is no name.
pub(super) fn known_name(name: &str) -> Text {
    let is_none = matches!(name, "Outbound Call" | "_undef_");
    if is_none { Text::default() } else { name.into() }
}

pub(super) fn number_only(number: &str) -> NumberName {
    NumberName { number: number.into(), name: Text::default() }
}

/// `support@default` → `support`.
pub(super) fn before_at(name: &str) -> &str {
    name.split('@').next().unwrap_or_default()
}

pub(super) fn non_empty(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}
