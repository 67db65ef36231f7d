//! Takes out of a script what messages of Kazoo and events of FreeSWITCH do not tell, so that the record to expect
//! says no more than they do.

use ringpost_model::{CallDirection, NumberName, Side, Text};

use crate::script::{Script, ScriptLeg};

/// Leaves what they tell; `names_devices`: also the names of devices.
pub(crate) fn reduce(script: &mut Script, names_devices: bool) {
    script.legs.iter_mut().for_each(|leg| reduce_leg(leg, names_devices));
    for index in 0..script.sessions.len() {
        let x = &script.legs[script.sessions[index].customer.0].fields;
        let number = match script.sessions[index].direction {
            CallDirection::Incoming | CallDirection::Both => x.dialled.clone(),
            CallDirection::Outgoing => x.presented.clone(),
            _ => Text::default(),
        };
        script.sessions[index].ddi = NumberName { number, name: Text::default() };
        let is_internal = |no: usize| script.legs[no].is_internal();
        let rang = script.sessions[index].rang.iter().copied().filter(|(_, no)| is_internal(no.0)).collect();
        script.sessions[index].rang = rang;
    }
}

fn reduce_leg(leg: &mut ScriptLeg, names_devices: bool) {
    let is_in = leg.is_in();
    let fields = &mut leg.fields;
    let is_external = fields.side == Some(Side::External);
    if is_external && !is_in && !fields.dialled.is_empty() {
        fields.party.number = fields.dialled.clone();
    }
    fields.device =
        if fields.side == Some(Side::Internal) { fields.party.clone() } else { NumberName::default() };
    if !names_devices {
        fields.device.name = Text::default();
    }
    (fields.user, fields.agent, fields.ddi) = Default::default();
    (fields.route, fields.tz) = (None, None);
    fields.group = Text::default();
    leg.tags.clear();
}
