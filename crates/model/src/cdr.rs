//! The record of one call, `CloudSessionCdr` (sessions.md 4, seed 002): its keys, their order, what is left out.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use chrono_tz::Tz;
use rust_decimal::Decimal;
use serde::de::{self, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer, ser::SerializeMap};
use serde_json::value::RawValue;

use crate::{NumberName, SessionId, Text, Timestamp};

/// `dir`: which way the call went, as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[expect(missing_docs, reason = "named and explained in sessions.md 4.1")]
pub enum CallDirection {
    #[default]
    Unknown,
    Internal,
    Incoming,
    Outgoing,
    Both,
}

/// `type`: whether anybody outside took part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[expect(missing_docs, reason = "named and explained in sessions.md 4.1")]
pub enum CallType {
    #[default]
    Unknown,
    Internal,
    External,
}

impl CallDirection {
    /// Every direction, by its code.
    pub const ALL: [Self; 5] = [Self::Unknown, Self::Internal, Self::Incoming, Self::Outgoing, Self::Both];

    /// The code printed.
    pub const fn code(self) -> u8 {
        self as u8
    }
}

impl CallType {
    /// Every type, by its code.
    pub const ALL: [Self; 3] = [Self::Unknown, Self::Internal, Self::External];

    /// The code printed.
    pub const fn code(self) -> u8 {
        self as u8
    }
}

/// The other party: keys `cli…`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cli {
    /// E.164 where valid, else as received.
    pub number: Text,
    /// As received.
    pub name: Text,
    /// Description of the place.
    pub location: Text,
    /// Digits of the geographical area code.
    pub area: Text,
    /// Two letters, US only.
    pub state: Text,
    /// ISO 3166 alpha-2.
    pub country: Text,
}

/// One kind of thing that rings (device, user or agent): who rang and who answered, first and last.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Faces {
    /// Keys `fRng…`.
    pub first_rang: NumberName,
    /// Keys `lRng…`.
    pub last_rang: NumberName,
    /// Keys `ans…`.
    pub answered: NumberName,
    /// Keys `lAns…`.
    pub last_answered: NumberName,
}

/// What the call cost: keys `rate…`. A cost of 0 is a rating too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rate {
    /// Exact.
    pub cost: Decimal,
    /// Name of the band.
    pub band: Text,
    /// Name of the rate applied.
    pub name: Text,
}

/// A contact that the other party's number belongs to (enrichment-and-dialects.md 1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DirectoryMatch {
    /// Name of the directory.
    pub dir_name: Text,
    /// Id of the directory.
    pub dir_id: Text,
    /// Always `DirectoryContactMatch`.
    pub dir_type: Text,
    /// Id of the contact.
    pub contact_id: Text,
    /// The contact's fields that are not empty.
    pub fields: BTreeMap<Text, Text>,
}

/// One finished call. Times are whole seconds; an empty text, a zero and `None` are left out when printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cdr {
    /// Session id.
    pub id: SessionId,
    /// Key of the pbx, or the GUID given to it.
    pub pbx_id: Text,
    /// Configured name of the pbx.
    pub pbx_name: Text,
    /// Zone in which the times are printed.
    pub tz: Tz,
    /// Creation of the root.
    pub start: Timestamp,
    /// First instant of talk.
    pub answer: Option<Timestamp>,
    /// See sessions.md 3.
    pub end: Timestamp,
    /// Seconds from start to end.
    pub dur: u32,
    /// Seconds of ring.
    pub ring: u32,
    /// Seconds of talk.
    pub talk: u32,
    /// Seconds of hold.
    pub hold: u32,
    /// Seconds of park.
    pub park: u32,
    /// Incoming, and nobody talked with the caller.
    pub lost: bool,
    /// The caller left while parked or in the ring-back.
    pub lost_in_park: bool,
    /// Lost after a short ring.
    pub aban: bool,
    /// There was talk.
    pub ans: bool,
    /// Answered, with little talk.
    pub short: bool,
    /// Hang-up cause.
    pub cause: Text,
    /// Key `dir`.
    pub direction: CallDirection,
    /// Key `type`.
    pub call_type: CallType,
    /// Talk between two external legs.
    pub t2t: bool,
    /// The other party.
    pub cli: Cli,
    /// The tenant's own public number.
    pub ddi: NumberName,
    /// Keys `…Dev…`.
    pub devices: Faces,
    /// Keys `…Usr…`.
    pub users: Faces,
    /// Keys `…Agt…`.
    pub agents: Faces,
    /// Prefix number put on while routing.
    pub route_id: Text,
    /// Prefix name put on while routing.
    pub route_name: Text,
    /// Group of the leg that rang first.
    pub first_group: Text,
    /// Group of the leg that rang last.
    pub last_group: Text,
    /// Group of the leg that answered first.
    pub answer_group: Text,
    /// None = not rated.
    pub rate: Option<Rate>,
    /// `hasRec` says whether there are any.
    pub recording_ids: Vec<Text>,
    /// Contacts with the other party's number.
    pub directory_matches: Vec<DirectoryMatch>,
    /// All legs' tags.
    pub tags: BTreeMap<Text, Text>,
    /// Not all of the call was known.
    pub partial: bool,
    /// Revision, from 1; printed from 2 on.
    pub rev: u32,
    /// Sessions that this one absorbed, in byte order of the printed id.
    pub replaces: Vec<SessionId>,
}

impl Cdr {
    /// A record with nothing in it but its id: the start for whoever fills one, and for tests.
    pub fn empty(id: SessionId) -> Self {
        Self {
            id,
            pbx_id: Text::default(),
            pbx_name: Text::default(),
            tz: Tz::UTC,
            start: Timestamp::default(),
            answer: None,
            end: Timestamp::default(),
            dur: 0,
            ring: 0,
            talk: 0,
            hold: 0,
            park: 0,
            lost: false,
            lost_in_park: false,
            aban: false,
            ans: false,
            short: false,
            cause: Text::default(),
            direction: CallDirection::Unknown,
            call_type: CallType::Unknown,
            t2t: false,
            cli: Cli::default(),
            ddi: NumberName::default(),
            devices: Faces::default(),
            users: Faces::default(),
            agents: Faces::default(),
            route_id: Text::default(),
            route_name: Text::default(),
            first_group: Text::default(),
            last_group: Text::default(),
            answer_group: Text::default(),
            rate: None,
            recording_ids: Vec::new(),
            directory_matches: Vec::new(),
            tags: BTreeMap::new(),
            partial: false,
            rev: 1,
            replaces: Vec::new(),
        }
    }
}

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

macro_rules! face_keys {
    ($kind:literal) => {
        [
            (concat!("fRng", $kind, "Num"), concat!("fRng", $kind, "Name")),
            (concat!("lRng", $kind, "Num"), concat!("lRng", $kind, "Name")),
            (concat!("ans", $kind, "Num"), concat!("ans", $kind, "Name")),
            (concat!("lAns", $kind, "Num"), concat!("lAns", $kind, "Name")),
        ]
    };
}

const DEVICE_KEYS: [(&str, &str); 4] = face_keys!("Dev");
const USER_KEYS: [(&str, &str); 4] = face_keys!("Usr");
const AGENT_KEYS: [(&str, &str); 4] = face_keys!("Agt");

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

/// Reads back a printed record: what is left out is zero.
impl<'de> Deserialize<'de> for Cdr {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(CdrVisitor)
    }
}

struct CdrVisitor;

impl<'de> Visitor<'de> for CdrVisitor {
    type Value = Cdr;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a CloudSessionCdr")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Cdr, A::Error> {
        let mut cdr = Cdr::empty(SessionId(uuid::Uuid::nil()));
        let mut has_id = false;
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            has_id |= key == "id";
            read_entry(&mut cdr, &key, &mut map)?;
        }
        if has_id { Ok(cdr) } else { Err(de::Error::missing_field("id")) }
    }
}

fn read_entry<'de, A: MapAccess<'de>>(cdr: &mut Cdr, key: &str, map: &mut A) -> Result<(), A::Error> {
    match key {
        "id" => cdr.id = map.next_value()?,
        "pbxId" => cdr.pbx_id = map.next_value()?,
        "pbxName" => cdr.pbx_name = map.next_value()?,
        "tz" => cdr.tz = map.next_value()?,
        "start" => cdr.start = read_time(map)?,
        "answer" => cdr.answer = Some(read_time(map)?),
        "end" => cdr.end = read_time(map)?,
        "dur" => cdr.dur = map.next_value()?,
        "ring" => cdr.ring = map.next_value()?,
        "talk" => cdr.talk = map.next_value()?,
        "hold" => cdr.hold = map.next_value()?,
        "park" => cdr.park = map.next_value()?,
        "lost" => cdr.lost = read_flag(map)?,
        "lostinPark" => cdr.lost_in_park = read_flag(map)?,
        "aban" => cdr.aban = read_flag(map)?,
        "ans" => cdr.ans = read_flag(map)?,
        "short" => cdr.short = read_flag(map)?,
        "cause" => cdr.cause = map.next_value()?,
        "dir" => cdr.direction = read_code(map, &CallDirection::ALL)?,
        "type" => cdr.call_type = read_code(map, &CallType::ALL)?,
        "t2t" => cdr.t2t = read_flag(map)?,
        "cliNum" => cdr.cli.number = map.next_value()?,
        "cliName" => cdr.cli.name = map.next_value()?,
        "cliLoc" => cdr.cli.location = map.next_value()?,
        "cliArea" => cdr.cli.area = map.next_value()?,
        "cliState" => cdr.cli.state = map.next_value()?,
        "cliCtry" => cdr.cli.country = map.next_value()?,
        "ddiNum" => cdr.ddi.number = map.next_value()?,
        "ddiName" => cdr.ddi.name = map.next_value()?,
        "rteID" => cdr.route_id = map.next_value()?,
        "rteName" => cdr.route_name = map.next_value()?,
        "fRngGroupName" => cdr.first_group = map.next_value()?,
        "lRngGroupName" => cdr.last_group = map.next_value()?,
        "ansGroupName" => cdr.answer_group = map.next_value()?,
        "rate" => _ = rate_of(cdr, read_flag(map)?),
        "rateCost" => rate_of(cdr, true).cost = read_decimal(map)?,
        "rateBand" => rate_of(cdr, true).band = map.next_value()?,
        "rateName" => rate_of(cdr, true).name = map.next_value()?,
        "recordingIds" => cdr.recording_ids = map.next_value()?,
        "directoryMatches" => cdr.directory_matches = map.next_value()?,
        "tags" => cdr.tags = map.next_value()?,
        "partial" => cdr.partial = read_flag(map)?,
        "rev" => cdr.rev = map.next_value()?,
        "replaces" => cdr.replaces = map.next_value()?,
        _ => match face_slot(cdr, key) {
            Some(slot) => *slot = map.next_value()?,
            None => _ = map.next_value::<IgnoredAny>()?,
        },
    }
    Ok(())
}

/// Where the value of one of the 24 `…Dev…`, `…Usr…`, `…Agt…` keys is kept.
fn face_slot<'a>(cdr: &'a mut Cdr, key: &str) -> Option<&'a mut Text> {
    let kinds = [(DEVICE_KEYS, &mut cdr.devices), (USER_KEYS, &mut cdr.users), (AGENT_KEYS, &mut cdr.agents)];
    for (keys, faces) in kinds {
        let slots =
            [&mut faces.first_rang, &mut faces.last_rang, &mut faces.answered, &mut faces.last_answered];
        for ((number, name), slot) in keys.into_iter().zip(slots) {
            if key == number {
                return Some(&mut slot.number);
            }
            if key == name {
                return Some(&mut slot.name);
            }
        }
    }
    None
}

fn rate_of(cdr: &mut Cdr, rated: bool) -> &mut Rate {
    debug_assert!(rated, "an unrated record prints no rate");
    cdr.rate.get_or_insert_with(|| Rate { cost: Decimal::ZERO, band: Text::default(), name: Text::default() })
}

fn read_time<'de, A: MapAccess<'de>>(map: &mut A) -> Result<Timestamp, A::Error> {
    let text = map.next_value::<Cow<'de, str>>()?;
    Timestamp::parse(&text).map_err(de::Error::custom)
}

fn read_flag<'de, A: MapAccess<'de>>(map: &mut A) -> Result<bool, A::Error> {
    map.next_value::<u8>().map(|value| value != 0)
}

fn read_code<'de, A: MapAccess<'de>, T: Copy>(map: &mut A, all: &[T]) -> Result<T, A::Error> {
    let code: usize = map.next_value()?;
    all.get(code).copied().ok_or_else(|| de::Error::custom(format!("unknown code {code}")))
}

fn read_decimal<'de, A: MapAccess<'de>>(map: &mut A) -> Result<Decimal, A::Error> {
    let raw = map.next_value::<&'de RawValue>()?;
    let parsed = raw.get().parse().or_else(|_| Decimal::from_scientific(raw.get()));
    parsed.map_err(de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> Cdr {
        let pair = |text: &str| NumberName { number: text.into(), name: format!("{text} name").into() };
        let faces = |text: &str| Faces {
            first_rang: pair(&format!("{text}1")),
            last_rang: pair(&format!("{text}2")),
            answered: pair(&format!("{text}3")),
            last_answered: pair(&format!("{text}4")),
        };
        let id = SessionId(uuid::Uuid::from_u128(7));
        let mut cdr = Cdr::empty(id);
        cdr.pbx_id = "k1".into();
        cdr.pbx_name = "Main".into();
        cdr.tz = Tz::Europe__London;
        cdr.start = Timestamp::from_micros(1_792_889_970_000_000);
        cdr.answer = Some(Timestamp::from_micros(1_792_889_980_000_000));
        cdr.end = Timestamp::from_micros(1_792_890_045_000_000);
        (cdr.dur, cdr.ring, cdr.talk, cdr.hold, cdr.park) = (75, 7, 65, 1, 2);
        (cdr.ans, cdr.short, cdr.t2t, cdr.partial) = (true, true, true, true);
        cdr.direction = CallDirection::Incoming;
        cdr.call_type = CallType::External;
        cdr.cli.number = "+441632960101".into();
        cdr.cli.name = "O\"Neill\u{1}é".into();
        cdr.ddi = pair("+441614960000");
        cdr.devices = faces("d");
        cdr.users = faces("u");
        cdr.agents = faces("a");
        cdr.rate = Some(Rate { cost: "0.10".parse().unwrap(), band: "peak".into(), name: "UK".into() });
        cdr.recording_ids = vec!["r1".into()];
        cdr.tags = BTreeMap::from([("Support".into(), "step1".into())]);
        cdr.rev = 2;
        cdr.replaces = vec![id];
        cdr
    }

    /// The order of sessions.md 4.2, without the keys that `full` leaves empty.
    const ORDER: &str = "id dType sVer pbxId pbxName tz start answer end dur ring talk hold park ans short dir \
        type t2t cliNum cliName ddiNum ddiName fRngDevNum fRngDevName lRngDevNum lRngDevName ansDevNum ansDevName \
        lAnsDevNum lAnsDevName fRngUsrNum fRngUsrName lRngUsrNum lRngUsrName ansUsrNum ansUsrName lAnsUsrNum \
        lAnsUsrName fRngAgtNum fRngAgtName lRngAgtNum lRngAgtName ansAgtNum ansAgtName lAnsAgtNum lAnsAgtName \
        hasRec rate rateCost rateBand rateName recordingIds tags partial rev replaces";

    #[test]
    fn keys_come_in_the_order_of_the_contract() {
        let text = serde_json::to_string(&full()).unwrap();
        let mut at = 0;
        for key in ORDER.split_whitespace() {
            let quoted = format!("\"{key}\":");
            at += text[at..]
                .find(&quoted)
                .unwrap_or_else(|| panic!("{key} is missing or out of order in {text}"));
        }
        assert!(text.contains(r#""rateCost":0.10,"#), "a decimal keeps its digits: {text}");
        assert!(text.contains("\"cliName\":\"O\\\"Neill\\u0001é\""), "{text}");
    }

    #[test]
    fn a_printed_record_reads_back_the_same() {
        let cdr = full();
        let text = serde_json::to_string(&cdr).unwrap();
        assert_eq!(serde_json::from_str::<Cdr>(&text).unwrap(), cdr);
    }

    #[test]
    fn an_empty_record_prints_what_is_never_left_out() {
        let text = serde_json::to_string(&Cdr::empty(SessionId(uuid::Uuid::nil()))).unwrap();
        insta::assert_snapshot!(text, @r#"{"id":"00000000-0000-0000-0000-000000000000","dType":"CloudSessionCdr","sVer":1,"tz":"UTC","start":"1970-01-01T00:00:00+00:00","end":"1970-01-01T00:00:00+00:00","dur":0,"dir":0,"type":0}"#);
    }
}
