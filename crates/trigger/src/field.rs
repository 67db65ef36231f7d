//! The fields that a filter can name: every key of the record as printed, the parts of its objects, and two derived
//! ones. Each has a kind, which says what operators it has, and a source, which says where its value is.

use std::borrow::Cow;
use std::hash::{Hash, Hasher};

use ringpost_model::{Cdr, Timestamp};
use ringpost_numbers::Region;
use rust_decimal::Decimal;

use crate::limits::NAME_BYTES;
use crate::suggest::nearest;

/// Names of the codes of `dir`, by code.
const DIRECTIONS: &[&str] = &["unknown", "internal", "incoming", "outgoing", "both"];
/// Names of the codes of `type`, by code.
const TYPES: &[&str] = &["unknown", "internal", "external"];

const TAG: &str = "tags.";
const MATCH: &str = "directoryMatches.";

/// Keys of a directory match, and of its contact's fields (enrichment-and-dialects.md 1). Those of `phone…` are
/// numbers, all others texts.
const MATCH_KEYS: [&str; 24] = [
    "dirName",
    "dirId",
    "dirType",
    "contactId",
    "title",
    "fullName",
    "companyName",
    "jobTitle",
    "phone1",
    "phone2",
    "phone3",
    "phone4",
    "email",
    "crmId",
    "field1",
    "field2",
    "field3",
    "field4",
    "field5",
    "field6",
    "field7",
    "field8",
    "field9",
    "field10",
];

/// What a field's value is; decides the operators and the form of their values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Phone,
    Number,
    Flag,
    /// With the names of the codes.
    Code(&'static [&'static str]),
    Time,
    TimeOfDay,
    Weekday,
    /// Objects: only whether there are any.
    Objects,
}

/// Where a field's value is in the record.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Source {
    Text(fn(&Cdr) -> &str),
    /// A text that the record holds in another form.
    Printed(fn(&Cdr) -> String),
    Phone(fn(&Cdr) -> &str),
    Number(fn(&Cdr) -> Decimal),
    Flag(fn(&Cdr) -> bool),
    Code(fn(&Cdr) -> u8, &'static [&'static str]),
    Time(fn(&Cdr) -> Option<Timestamp>),
    Texts(fn(&Cdr) -> Vec<Cow<'_, str>>),
    /// How many objects there are.
    Objects(fn(&Cdr) -> usize),
    TimeOfDay,
    Weekday,
    /// One tag; its key is the field's.
    Tag,
    /// One key of all directory matches.
    MatchText,
    MatchPhone,
}

impl Source {
    /// What kind of value comes from here.
    pub(crate) fn kind(self) -> Kind {
        match self {
            Self::Text(_) | Self::Printed(_) | Self::Texts(_) | Self::Tag | Self::MatchText => Kind::Text,
            Self::Phone(_) | Self::MatchPhone => Kind::Phone,
            Self::Number(_) => Kind::Number,
            Self::Flag(_) => Kind::Flag,
            Self::Code(_, names) => Kind::Code(names),
            Self::Time(_) => Kind::Time,
            Self::Objects(_) => Kind::Objects,
            Self::TimeOfDay => Kind::TimeOfDay,
            Self::Weekday => Kind::Weekday,
        }
    }

    /// Has any number of elements, of which any may satisfy an operator.
    pub(crate) fn is_list(self) -> bool {
        matches!(self, Self::Texts(_) | Self::MatchText | Self::MatchPhone)
    }
}

/// One field, as a filter names it. Two are the same if they have the same name and read numbers in the same region.
#[derive(Debug, Clone)]
pub(crate) struct Field {
    name: Box<str>,
    pub(crate) source: Source,
    /// In which numbers are read; always none where the field is no number.
    pub(crate) region: Option<Region>,
}

impl Field {
    /// The field of that name; the error is a proposal, where one is near.
    pub(crate) fn find(name: &str, region: Option<Region>) -> Result<Self, Option<String>> {
        let Some(source) = source_of(name) else { return Err(propose(name)) };
        let region = region.filter(|_| source.kind() == Kind::Phone);
        Ok(Self { name: name.into(), source, region })
    }

    /// As written in the filter.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// What follows the dot in `tags.…` and `directoryMatches.…`.
    pub(crate) fn key(&self) -> &str {
        self.name.strip_prefix(TAG).or_else(|| self.name.strip_prefix(MATCH)).unwrap_or(&self.name)
    }
}

impl PartialEq for Field {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.region == other.region
    }
}

impl Eq for Field {}

impl Hash for Field {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

fn source_of(name: &str) -> Option<Source> {
    if let Some(key) = name.strip_prefix(TAG) {
        return (!key.is_empty() && key.len() <= NAME_BYTES).then_some(Source::Tag);
    }
    if let Some(key) = name.strip_prefix(MATCH) {
        let source = if key.starts_with("phone") { Source::MatchPhone } else { Source::MatchText };
        return MATCH_KEYS.contains(&key).then_some(source);
    }
    known().find(|(known, _)| *known == name).map(|(_, source)| source)
}

fn propose(name: &str) -> Option<String> {
    // As the payload nests them; here they stand side by side.
    let flat = name.replacen("directoryMatches.fields.", MATCH, 1);
    let (object, key) = flat.split_once('.').unwrap_or((&flat, ""));
    let object = nearest(object, known().map(|(name, _)| name).chain(["weekday", "timeOfDay"]));
    match object {
        Some("directoryMatches") if !key.is_empty() => Some(format!("{MATCH}{}", nearest(key, MATCH_KEYS)?)),
        Some("tags") if !key.is_empty() => Some(format!("{TAG}{key}")),
        Some(found) if key.is_empty() => Some(found.to_owned()),
        _ => nearest(key, known().map(|(name, _)| name)).map(str::to_owned),
    }
}

fn known() -> impl Iterator<Item = (&'static str, Source)> {
    [COMMON, &DEVICES, &USERS, &AGENTS].into_iter().flatten().copied()
}

macro_rules! faces {
    ($kind:literal, $who:ident) => {
        [
            (concat!("fRng", $kind, "Num"), Source::Phone(|cdr| &cdr.$who.first_rang.number)),
            (concat!("fRng", $kind, "Name"), Source::Text(|cdr| &cdr.$who.first_rang.name)),
            (concat!("lRng", $kind, "Num"), Source::Phone(|cdr| &cdr.$who.last_rang.number)),
            (concat!("lRng", $kind, "Name"), Source::Text(|cdr| &cdr.$who.last_rang.name)),
            (concat!("ans", $kind, "Num"), Source::Phone(|cdr| &cdr.$who.answered.number)),
            (concat!("ans", $kind, "Name"), Source::Text(|cdr| &cdr.$who.answered.name)),
            (concat!("lAns", $kind, "Num"), Source::Phone(|cdr| &cdr.$who.last_answered.number)),
            (concat!("lAns", $kind, "Name"), Source::Text(|cdr| &cdr.$who.last_answered.name)),
        ]
    };
}

const DEVICES: [(&str, Source); 8] = faces!("Dev", devices);
const USERS: [(&str, Source); 8] = faces!("Usr", users);
const AGENTS: [(&str, Source); 8] = faces!("Agt", agents);

/// Every other key of sessions.md 4.2, in its order, then the derived fields.
const COMMON: &[(&str, Source)] = &[
    ("id", Source::Printed(|cdr| cdr.id.to_string())),
    ("dType", Source::Text(|_| "CloudSessionCdr")),
    ("sVer", Source::Number(|_| Decimal::ONE)),
    ("pbxId", Source::Text(|cdr| &cdr.pbx_id)),
    ("pbxName", Source::Text(|cdr| &cdr.pbx_name)),
    ("tz", Source::Text(|cdr| cdr.tz.name())),
    ("start", Source::Time(|cdr| Some(cdr.start))),
    ("answer", Source::Time(|cdr| cdr.answer)),
    ("end", Source::Time(|cdr| Some(cdr.end))),
    ("dur", Source::Number(|cdr| cdr.dur.into())),
    ("ring", Source::Number(|cdr| cdr.ring.into())),
    ("talk", Source::Number(|cdr| cdr.talk.into())),
    ("hold", Source::Number(|cdr| cdr.hold.into())),
    ("park", Source::Number(|cdr| cdr.park.into())),
    ("lost", Source::Flag(|cdr| cdr.lost)),
    ("lostinPark", Source::Flag(|cdr| cdr.lost_in_park)),
    ("aban", Source::Flag(|cdr| cdr.aban)),
    ("ans", Source::Flag(|cdr| cdr.ans)),
    ("short", Source::Flag(|cdr| cdr.short)),
    ("cause", Source::Text(|cdr| &cdr.cause)),
    ("dir", Source::Code(|cdr| cdr.direction.code(), DIRECTIONS)),
    ("type", Source::Code(|cdr| cdr.call_type.code(), TYPES)),
    ("t2t", Source::Flag(|cdr| cdr.t2t)),
    ("cliNum", Source::Phone(|cdr| &cdr.cli.number)),
    ("cliName", Source::Text(|cdr| &cdr.cli.name)),
    ("cliLoc", Source::Text(|cdr| &cdr.cli.location)),
    ("cliArea", Source::Text(|cdr| &cdr.cli.area)),
    ("cliState", Source::Text(|cdr| &cdr.cli.state)),
    ("cliCtry", Source::Text(|cdr| &cdr.cli.country)),
    ("ddiNum", Source::Phone(|cdr| &cdr.ddi.number)),
    ("ddiName", Source::Text(|cdr| &cdr.ddi.name)),
    ("rteID", Source::Text(|cdr| &cdr.route_id)),
    ("rteName", Source::Text(|cdr| &cdr.route_name)),
    ("fRngGroupName", Source::Text(|cdr| &cdr.first_group)),
    ("lRngGroupName", Source::Text(|cdr| &cdr.last_group)),
    ("ansGroupName", Source::Text(|cdr| &cdr.answer_group)),
    ("hasRec", Source::Flag(|cdr| !cdr.recording_ids.is_empty())),
    ("rate", Source::Flag(|cdr| cdr.rate.is_some())),
    ("rateCost", Source::Number(|cdr| cdr.rate.as_ref().map_or(Decimal::ZERO, |rate| rate.cost))),
    ("rateBand", Source::Text(|cdr| cdr.rate.as_ref().map_or("", |rate| &rate.band))),
    ("rateName", Source::Text(|cdr| cdr.rate.as_ref().map_or("", |rate| &rate.name))),
    ("recordingIds", Source::Texts(|cdr| cdr.recording_ids.iter().map(|id| Cow::Borrowed(&**id)).collect())),
    ("directoryMatches", Source::Objects(|cdr| cdr.directory_matches.len())),
    ("tags", Source::Texts(|cdr| cdr.tags.values().map(|value| Cow::Borrowed(&**value)).collect())),
    ("partial", Source::Flag(|cdr| cdr.partial)),
    // Printed from 2 on, so the first revision has the zero of what is left out.
    ("rev", Source::Number(|cdr| if cdr.rev > 1 { cdr.rev.into() } else { Decimal::ZERO })),
    ("replaces", Source::Texts(|cdr| cdr.replaces.iter().map(|id| Cow::Owned(id.to_string())).collect())),
    ("weekday", Source::Weekday),
    ("timeOfDay", Source::TimeOfDay),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn check_proposal(name: &str, expected: Option<&str>) {
        let error = Field::find(name, None).expect_err("not a field");
        assert_eq!(error.as_deref(), expected, "{name}");
    }

    #[test]
    fn every_key_of_the_record_is_a_field() {
        let order = "id dType sVer pbxId pbxName tz start answer end dur ring talk hold park lost lostinPark aban ans \
            short cause dir type t2t cliNum cliName cliLoc cliArea cliState cliCtry ddiNum ddiName rteID rteName \
            fRngGroupName lRngGroupName ansGroupName hasRec rate rateCost rateBand rateName recordingIds \
            directoryMatches tags partial rev replaces weekday timeOfDay";
        assert_eq!(
            COMMON.iter().map(|(name, _)| *name).collect::<Vec<_>>(),
            order.split_whitespace().collect::<Vec<_>>()
        );
        for who in ["Dev", "Usr", "Agt"] {
            for when in ["fRng", "lRng", "ans", "lAns"] {
                assert!(
                    Field::find(&format!("{when}{who}Num"), None)
                        .is_ok_and(|it| it.source.kind() == Kind::Phone)
                );
                assert!(
                    Field::find(&format!("{when}{who}Name"), None)
                        .is_ok_and(|it| it.source.kind() == Kind::Text)
                );
            }
        }
    }

    #[test]
    fn a_misspelled_field_gets_the_right_one_proposed() {
        check_proposal("ddinum", Some("ddiNum"));
        check_proposal("lRngUserNum", Some("lRngUsrNum"));
        check_proposal("directoryMatches.fields.companyName", Some("directoryMatches.companyName"));
        check_proposal("directorymatches.compnyName", Some("directoryMatches.companyName"));
        check_proposal("Tags.Support", Some("tags.Support"));
        check_proposal("cdr.talk", Some("talk"));
        check_proposal("time_of_day", Some("timeOfDay"));
        check_proposal("customerSatisfaction", None);
        check_proposal("", None);
    }

    #[test]
    fn a_tag_may_have_any_key() {
        assert_eq!(Field::find("tags.a.b/ü", None).map(|it| it.key().to_owned()), Ok("a.b/ü".to_owned()));
        assert!(Field::find("tags.", None).is_err());
    }
}
