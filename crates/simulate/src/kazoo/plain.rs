//! Takes out of a script what Kazoo's messages do not tell, so that the record to expect says no more than they do.

use ringpost_model::{CallDirection, NumberName, Service, Side, Text};

use crate::script::{Script, ScriptLeg};

/// Leaves what the messages tell.
pub(super) fn reduce(script: &mut Script) {
    script.legs.iter_mut().for_each(reduce_leg);
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

fn reduce_leg(leg: &mut ScriptLeg) {
    let is_in = leg.is_in();
    let fields = &mut leg.fields;
    let is_external = fields.side == Some(Side::External);
    if is_external && !is_in && !fields.dialled.is_empty() {
        fields.party.number = fields.dialled.clone();
    }
    fields.device =
        if fields.side == Some(Side::Internal) { fields.party.clone() } else { NumberName::default() };
    (fields.user, fields.agent, fields.ddi) = Default::default();
    (fields.route, fields.tz) = (None, None);
    fields.group = Text::default();
    leg.tags.clear();
    leg.services.retain(|(service, _)| *service == Service::Fax);
}
