//! A document as written: variables, applications that ran, caller profiles with their times.

use ringpost_model::Timestamp;

use super::event::headers::Headers;
use super::variables::Variables;
use crate::decoded::Notes;
use crate::node::Node;
use crate::reason::Reason;

const SWITCH: &str = "FreeSWITCH's mod_json_cdr";

#[derive(Debug)]
pub(super) struct Document<'a> {
    pub(super) switch: Option<&'a str>,
    pub(super) channel_direction: Option<&'a str>,
    pub(super) variables: Variables<'a>,
    /// Applications that ran, in order.
    pub(super) apps: Vec<App<'a>>,
    /// At least one; the oldest first.
    pub(super) profiles: Vec<Profile<'a>>,
}

/// An application that ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct App<'a> {
    pub(super) name: &'a str,
    pub(super) data: &'a str,
    /// When it began; switches before 2014 do not say.
    pub(super) stamp: Option<Timestamp>,
}

/// One stay of the leg in the dialplan; a transfer begins another.
#[derive(Debug, Default)]
pub(super) struct Profile<'a> {
    index: Option<u32>,
    pub(super) caller: Caller<'a>,
    /// The newest first, as written.
    pub(super) originators: Vec<Caller<'a>>,
    /// The newest first, as written; often twice.
    pub(super) originatees: Vec<Caller<'a>>,
    pub(super) times: Times,
}

/// A caller profile: who called whom on which channel.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Caller<'a> {
    pub(super) uuid: &'a str,
    pub(super) number: &'a str,
    pub(super) name: &'a str,
    pub(super) destination: &'a str,
    pub(super) channel: &'a str,
    pub(super) context: &'a str,
    pub(super) username: &'a str,
}

#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Times {
    pub(super) created: Option<Timestamp>,
    pub(super) profile_created: Option<Timestamp>,
    pub(super) progress: Option<Timestamp>,
    pub(super) progress_media: Option<Timestamp>,
    pub(super) answered: Option<Timestamp>,
    pub(super) bridged: Option<Timestamp>,
    pub(super) hangup: Option<Timestamp>,
    pub(super) transferred: Option<Timestamp>,
}

impl<'a> Document<'a> {
    pub(super) fn read(node: &'a Node<'a>, notes: &mut Notes) -> Result<Self, Reason> {
        if !matches!(node, Node::Object(_)) {
            return Err(Reason::NotAnObject("something else"));
        }
        let variables = node.get("variables").filter(|variables| matches!(variables, Node::Object(_)));
        let callflow: Vec<&Node<'_>> = node.all("callflow").flat_map(Node::items).collect();
        let Some(variables) = variables else {
            let why = if callflow.is_empty() {
                "it has neither variables nor callflow"
            } else {
                "it has no variables"
            };
            return Err(Reason::NotOfDialect { switch: SWITCH, why });
        };
        let app_log = node.get("app_log").and_then(|log| log.get("applications"));
        Ok(Self {
            switch: node.text_of("switchname"),
            channel_direction: node.get("channel_data").and_then(|data| data.text_of("direction")),
            variables: Variables::read(variables, notes),
            apps: app_log.map(Node::items).unwrap_or_default().iter().filter_map(app).collect(),
            profiles: profiles(&callflow),
        })
    }

    /// What an event says: variables, and the caller profile of the moment.
    pub(super) fn of_event(headers: &'a Headers<'a>) -> Self {
        let variables =
            headers.iter().filter_map(|(name, value)| Some((name.strip_prefix("variable_")?, value)));
        let names = ["FreeSWITCH-Switchname", "FreeSWITCH-Hostname"];
        let directions = ["Call-Direction", "Caller-Direction"];
        Self {
            switch: names.iter().find_map(|name| headers.get(name)),
            channel_direction: directions.iter().find_map(|name| headers.get(name)),
            variables: Variables::of_event(variables),
            apps: Vec::new(),
            profiles: vec![profile_of_event(headers)],
        }
    }

    /// The newest profile.
    pub(super) fn last(&self) -> &Profile<'a> {
        self.profiles.last().expect("profiles has at least one")
    }

    /// The oldest profile: what the leg came with.
    pub(super) fn first(&self) -> &Profile<'a> {
        &self.profiles[0]
    }

    /// Where a profile ends: when the next one began.
    pub(super) fn end_of(&self, index: usize) -> Option<Timestamp> {
        let next = self.profiles.get(index + 1)?;
        self.profiles[index].times.transferred.or(next.times.profile_created)
    }
}

fn app<'a>(node: &'a Node<'a>) -> Option<App<'a>> {
    let name = node.text_of("app_name")?;
    let data = node.text_of("app_data").unwrap_or_default();
    Some(App { name, data, stamp: time(node, "app_stamp") })
}

/// The oldest first: by index where all have one, else as written, which is the newest first.
fn profiles<'a>(callflow: &[&'a Node<'a>]) -> Vec<Profile<'a>> {
    let mut profiles: Vec<Profile<'a>> = callflow.iter().rev().map(|node| profile(node)).collect();
    if profiles.iter().all(|profile| profile.index.is_some()) {
        profiles.sort_by_key(|profile| profile.index);
    }
    if profiles.is_empty() {
        profiles.push(Profile::default());
    }
    profiles
}

fn profile<'a>(node: &'a Node<'a>) -> Profile<'a> {
    let caller = node.get("caller_profile").unwrap_or(&Node::Nothing);
    let others = |outer: &str, inner: &str| -> Vec<Caller<'a>> {
        let list = caller.get(outer).and_then(|outer| outer.get(inner));
        list.map(Node::items).unwrap_or_default().iter().map(read_caller).collect()
    };
    Profile {
        index: node.text_of("profile_index").and_then(|index| index.parse().ok()),
        caller: read_caller(caller),
        originators: others("originator", "originator_caller_profiles"),
        originatees: others("originatee", "originatee_caller_profiles"),
        times: node.get("times").map(read_times).unwrap_or_default(),
    }
}

fn read_caller<'a>(node: &'a Node<'a>) -> Caller<'a> {
    let text = |key: &str| node.text_of(key).unwrap_or_default();
    Caller {
        uuid: text("uuid"),
        number: text("caller_id_number"),
        name: text("caller_id_name"),
        destination: text("destination_number"),
        channel: text("chan_name"),
        context: text("context"),
        username: text("username"),
    }
}

fn read_times(node: &Node<'_>) -> Times {
    Times {
        created: time(node, "created_time"),
        profile_created: time(node, "profile_created_time"),
        progress: time(node, "progress_time"),
        progress_media: time(node, "progress_media_time"),
        answered: time(node, "answered_time"),
        bridged: time(node, "bridged_time"),
        hangup: time(node, "hangup_time"),
        transferred: time(node, "transfer_time"),
    }
}

/// A time in microseconds. Zero is none, and so is nonsense: what matters is in the variables, and judged there.
fn time(node: &Node<'_>, key: &str) -> Option<Timestamp> {
    let micros = node.text_of(key)?.trim().parse().ok()?;
    Timestamp::checked(micros).ok()
}

fn profile_of_event<'a>(headers: &'a Headers<'a>) -> Profile<'a> {
    let time = |name: &str| headers.time(&format!("Caller-{name}-Time"));
    let mut caller = caller_of_event(headers, "Caller");
    caller.uuid = headers.get("Unique-ID").unwrap_or(caller.uuid);
    let other = [caller_of_event(headers, "Other-Leg")].into_iter().filter(|other| !other.uuid.is_empty());
    let is_originator = headers.get("Other-Type") == Some("originator");
    let (originators, originatees) = other.partition(|_| is_originator);
    let times = Times {
        created: time("Channel-Created").or(headers.at()),
        profile_created: time("Profile-Created"),
        progress: time("Channel-Progress"),
        progress_media: time("Channel-Progress-Media"),
        answered: time("Channel-Answered"),
        bridged: time("Channel-Bridged"),
        hangup: time("Channel-Hangup"),
        transferred: time("Channel-Transfer"),
    };
    Profile { index: None, caller, originators, originatees, times }
}

/// `who`: `Caller`, or `Other-Leg`.
fn caller_of_event<'a>(headers: &'a Headers<'a>, who: &str) -> Caller<'a> {
    let text = |name: &str| headers.get(&format!("{who}-{name}")).unwrap_or_default();
    Caller {
        uuid: text("Unique-ID"),
        number: text("Caller-ID-Number"),
        name: text("Caller-ID-Name"),
        destination: text("Destination-Number"),
        channel: text("Channel-Name"),
        context: text("Context"),
        username: text("Username"),
    }
}
