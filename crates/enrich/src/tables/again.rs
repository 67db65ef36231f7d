//! A record that was enriched is enriched again: first what the tables said goes, and what the legs say stays.

use ringpost_model::{Envelope, Fields, NumberName, Text};

use super::{FACES, Tables};

impl Tables {
    /// Takes out of a record what was not said by its legs. Of a record whose legs were cut off, because it was too
    /// large, nothing is known apart: what it has stays, and tables only fill what is empty.
    pub fn strip(envelope: &mut Envelope) {
        let (cdr, legs) = (&mut envelope.cdr, &envelope.legs);
        cdr.directory_matches.clear();
        if legs.is_empty() {
            return;
        }
        let said = |one: &dyn Fn(&Fields) -> bool| legs.iter().any(|leg| one(&leg.fields));
        if !said(&|fields| fields.rating.is_some()) {
            cdr.rate = None;
        }
        if !said(&|fields| fields.ddi.name == cdr.ddi.name) {
            cdr.ddi.name = Text::default();
        }
        let devices = &mut cdr.devices;
        let groups = [&mut cdr.first_group, &mut cdr.last_group, &mut cdr.answer_group];
        for (group, face) in groups.into_iter().zip(FACES) {
            let number = face(devices).number.clone();
            if !number.is_empty() && !said(&|fields| fields.device.number == number && fields.group == *group)
            {
                *group = Text::default();
            }
        }
        for face in FACES {
            // Nothing is filled in where no device is named.
            let device = face(devices).clone();
            if device.number.is_empty() {
                continue;
            }
            let of_device = |one: &dyn Fn(&Fields) -> bool| {
                said(&|fields| fields.device.number == device.number && one(fields))
            };
            let (user, agent) = (face(&mut cdr.users), face(&mut cdr.agents));
            if !of_device(&|fields| fields.user == *user) {
                *user = NumberName::default();
            }
            if !of_device(&|fields| fields.agent == *agent) {
                *agent = NumberName::default();
            }
            if !of_device(&|fields| fields.device.name == device.name) {
                face(devices).name = Text::default();
            }
        }
    }
}
