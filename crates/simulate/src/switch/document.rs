//! The document of one leg, in the shape of `switch_ivr_generate_json_cdr`.

use serde_json::{Value, json};

use super::variables;
use super::{App, Paper, Profile, Shape};
use crate::script::{LegNo, Micros, Script, ScriptLeg};

/// The bytes that the switch posts.
pub(super) fn print(script: &Script, paper: &Paper, shape: Shape) -> Vec<u8> {
    let leg = script.leg(paper.leg);
    let mut head = json!({
        "core-uuid": "0a1ee52c-4b9c-4f0e-9f6c-1c7e39b6a3d2",
        "switchname": script.pbx.key,
        "channel_data": {
            "state": "CS_REPORTING",
            "direction": variables::direction(leg),
            "state_number": "11",
            "flags": "0=1;1=1;3=1;20=1;37=1;38=1;40=1",
            "caps": "1=1;2=1;3=1;4=1;5=1;6=1",
        },
    });
    head["variables"] = variables::of(script, paper, shape.encodes_values);
    head["app_log"] = json!({ "applications": paper.apps.iter().map(application).collect::<Vec<_>>() });
    let flows: Vec<Value> =
        paper.profiles.iter().enumerate().rev().map(|(index, _)| flow(script, paper, index)).collect();
    let text = if shape.repeats_callflow {
        with_repeated_callflow(&head.to_string(), &flows)
    } else {
        head["callflow"] = Value::Array(flows);
        head.to_string()
    };
    if shape.is_form {
        format!("cdr={}", variables::encode(&text, true)).into_bytes()
    } else {
        text.into_bytes()
    }
}

fn with_repeated_callflow(head: &str, flows: &[Value]) -> String {
    let open = head.strip_suffix('}').unwrap_or(head);
    let flows: Vec<String> = flows.iter().map(|flow| format!(",\"callflow\":{flow}")).collect();
    format!("{open}{}}}", flows.concat())
}

fn application(app: &App) -> Value {
    json!({ "app_name": app.name, "app_data": app.data, "app_stamp": app.at.to_string() })
}

fn flow(script: &Script, paper: &Paper, index: usize) -> Value {
    let leg = script.leg(paper.leg);
    let profile = &paper.profiles[index];
    let is_newest = index + 1 == paper.profiles.len();
    let ran: Vec<Value> = paper
        .apps
        .iter()
        .filter(|app| app.at >= profile.begin && profile.transferred.is_none_or(|end| app.at <= end))
        .map(|app| json!({ "app_name": app.name, "app_data": app.data }))
        .collect();
    let mut caller = caller_profile(script, paper.leg, profile.context);
    caller["destination_number"] = profile.destination.clone().into();
    if !profile.originatees.is_empty() {
        let others: Vec<Value> = profile.originatees.iter().map(|no| far_profile(script, *no)).collect();
        caller["originatee"] = json!({ "originatee_caller_profiles": others });
    }
    if let Some(originator) = paper.originator {
        let others = [caller_profile(script, originator, "default")];
        caller["originator"] = json!({ "originator_caller_profiles": others });
    }
    json!({
        "dialplan": "XML",
        "profile_index": (index + 1).to_string(),
        "extension": { "name": "Local_Extension", "number": profile.destination, "applications": ran },
        "caller_profile": caller,
        "times": times(leg, profile, is_newest),
    })
}

fn times(leg: &ScriptLeg, profile: &Profile, is_newest: bool) -> Value {
    let text = |time: Option<Micros>| time.unwrap_or_default().to_string();
    json!({
        "created_time": leg.created.to_string(),
        "profile_created_time": profile.begin.to_string(),
        "progress_time": text(profile.progress),
        "progress_media_time": "0",
        "answered_time": text(profile.answered),
        "bridged_time": text(profile.bridged),
        "last_hold_time": "0",
        "hold_accum_time": "0",
        "hangup_time": text(leg.ended.filter(|_| is_newest)),
        "resurrect_time": "0",
        "transfer_time": text(profile.transferred),
    })
}

/// Who is at the end of a leg that came in, or who called on one that was placed.
fn caller_profile(script: &Script, no: LegNo, context: &str) -> Value {
    let leg = script.leg(no);
    let (number, name) = if leg.is_in() {
        (leg.fields.party.number.clone(), leg.fields.party.name.clone())
    } else {
        (leg.fields.presented.clone(), "".into())
    };
    json!({
        "username": if leg.is_internal() { &*number } else { "" },
        "dialplan": "XML",
        "caller_id_name": name,
        "ani": number,
        "aniii": "",
        "caller_id_number": number,
        "network_addr": "192.0.2.10",
        "rdnis": "",
        "destination_number": leg.fields.dialled,
        "uuid": leg.id,
        "source": "mod_sofia",
        "context": context,
        "chan_name": variables::channel_name(leg),
    })
}

fn far_profile(script: &Script, no: LegNo) -> Value {
    let mut profile = caller_profile(script, no, "default");
    profile["destination_number"] = script.leg(no).fields.dialled.to_string().into();
    profile
}
