//! Prints a record: keys in the order of sessions.md 4.2, what is empty left out.

use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::value::RawValue;

use super::{AGENT_KEYS, Cdr, DEVICE_KEYS, Faces, USER_KEYS};
use crate::NumberName;

/// Prints keys in order and leaves out what is empty (sessions.md 4).
struct Printer<M>(M);

impl<M: SerializeMap> Printer<M> {
    fn text(&mut self, key: &str, value: &str) -> Result<(), M::Error> {
        if value.is_empty() { Ok(()) } else { self.0.serialize_entry(key, value) }
    }

    fn seconds(&mut self, key: &str, value: u32) -> Result<(), M::Error> {
        if value == 0 { Ok(()) } else { self.0.serialize_entry(key, &value) }
    }

    fn flag(&mut self, key: &str, value: bool) -> Result<(), M::Error> {
        if value { self.0.serialize_entry(key, &1) } else { Ok(()) }
    }

    fn pair(&mut self, number: &str, name: &str, value: &NumberName) -> Result<(), M::Error> {
        self.text(number, &value.number)?;
        self.text(name, &value.name)
    }

    fn faces(&mut self, keys: [(&str, &str); 4], faces: &Faces) -> Result<(), M::Error> {
        let values = [&faces.first_rang, &faces.last_rang, &faces.answered, &faces.last_answered];
        for ((number, name), value) in keys.into_iter().zip(values) {
            self.pair(number, name, value)?;
        }
        Ok(())
    }
}

impl Serialize for Cdr {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut print = Printer(serializer.serialize_map(None)?);
        print.0.serialize_entry("id", &self.id)?;
        print.0.serialize_entry("dType", "CloudSessionCdr")?;
        print.0.serialize_entry("sVer", &1)?;
        print.text("pbxId", &self.pbx_id)?;
        print.text("pbxName", &self.pbx_name)?;
        print.0.serialize_entry("tz", self.tz.name())?;
        self.print_times(&mut print)?;
        self.print_outcome(&mut print)?;
        self.print_parties(&mut print)?;
        self.print_additions(&mut print)?;
        print.0.end()
    }
}

impl Cdr {
    fn print_times<M: SerializeMap>(&self, print: &mut Printer<M>) -> Result<(), M::Error> {
        print.0.serialize_entry("start", &self.start.to_rfc3339_in(self.tz))?;
        if let Some(answer) = self.answer {
            print.0.serialize_entry("answer", &answer.to_rfc3339_in(self.tz))?;
        }
        print.0.serialize_entry("end", &self.end.to_rfc3339_in(self.tz))?;
        print.0.serialize_entry("dur", &self.dur)?;
        print.seconds("ring", self.ring)?;
        print.seconds("talk", self.talk)?;
        print.seconds("hold", self.hold)?;
        print.seconds("park", self.park)
    }

    fn print_outcome<M: SerializeMap>(&self, print: &mut Printer<M>) -> Result<(), M::Error> {
        print.flag("lost", self.lost)?;
        print.flag("lostinPark", self.lost_in_park)?;
        print.flag("aban", self.aban)?;
        print.flag("ans", self.ans)?;
        print.flag("short", self.short)?;
        print.text("cause", &self.cause)?;
        print.0.serialize_entry("dir", &self.direction.code())?;
        print.0.serialize_entry("type", &self.call_type.code())?;
        print.flag("t2t", self.t2t)
    }

    fn print_parties<M: SerializeMap>(&self, print: &mut Printer<M>) -> Result<(), M::Error> {
        print.text("cliNum", &self.cli.number)?;
        print.text("cliName", &self.cli.name)?;
        print.text("cliLoc", &self.cli.location)?;
        print.text("cliArea", &self.cli.area)?;
        print.text("cliState", &self.cli.state)?;
        print.text("cliCtry", &self.cli.country)?;
        print.pair("ddiNum", "ddiName", &self.ddi)?;
        print.faces(DEVICE_KEYS, &self.devices)?;
        print.faces(USER_KEYS, &self.users)?;
        print.faces(AGENT_KEYS, &self.agents)?;
        print.text("rteID", &self.route_id)?;
        print.text("rteName", &self.route_name)?;
        print.text("fRngGroupName", &self.first_group)?;
        print.text("lRngGroupName", &self.last_group)?;
        print.text("ansGroupName", &self.answer_group)
    }

    fn print_additions<M: SerializeMap>(&self, print: &mut Printer<M>) -> Result<(), M::Error> {
        print.flag("hasRec", !self.recording_ids.is_empty())?;
        if let Some(rate) = &self.rate {
            print.flag("rate", true)?;
            if !rate.cost.is_zero() {
                // A JSON number with exactly the decimal's digits: it never passes through binary floating point.
                let exact =
                    RawValue::from_string(rate.cost.to_string()).map_err(serde::ser::Error::custom)?;
                print.0.serialize_entry("rateCost", &exact)?;
            }
            print.text("rateBand", &rate.band)?;
            print.text("rateName", &rate.name)?;
        }
        if !self.recording_ids.is_empty() {
            print.0.serialize_entry("recordingIds", &self.recording_ids)?;
        }
        if !self.directory_matches.is_empty() {
            print.0.serialize_entry("directoryMatches", &self.directory_matches)?;
        }
        if !self.tags.is_empty() {
            print.0.serialize_entry("tags", &self.tags)?;
        }
        print.flag("partial", self.partial)?;
        if self.rev > 1 {
            print.0.serialize_entry("rev", &self.rev)?;
        }
        if self.replaces.is_empty() { Ok(()) } else { print.0.serialize_entry("replaces", &self.replaces) }
    }
}
