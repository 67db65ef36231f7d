//! Checks entries against the resolved configuration, one key at a time, and keeps every mistake it meets.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::RangeInclusive;

use super::document::{Entry, Given, Place};
use super::environment::variable;
use super::mistake::{Mistake, Wrong};
use super::setting::{Setting, elements, shown};
use super::similar::nearest;

/// A key as it came out: for `check-config`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// Dotted path.
    pub key: String,
    /// The value as TOML; `none` where a key without default was left out.
    pub value: String,
    /// Where it comes from.
    pub place: Place,
}

/// Entries of all layers, and what was found so far.
pub(crate) struct Reader {
    /// By path; the strongest layer's.
    entries: BTreeMap<String, Entry>,
    settled: Vec<Settled>,
    mistakes: Vec<Mistake>,
}

/// What came out.
pub(crate) struct Outcome {
    pub(crate) settled: Vec<Settled>,
    pub(crate) mistakes: Vec<Mistake>,
}

impl Reader {
    pub(crate) fn new(entries: BTreeMap<String, Entry>, mistakes: Vec<Mistake>) -> Self {
        Self { entries, settled: Vec::new(), mistakes }
    }

    /// Sets one value when somebody wrote it.
    pub(crate) fn set<T: Setting>(&mut self, key: &str, into: &mut T) {
        self.set_checked(key, into, |_| Ok(()));
    }

    /// Sets one value that has limits.
    pub(crate) fn set_within<T>(&mut self, key: &str, into: &mut T, range: RangeInclusive<T>)
    where
        T: Setting + PartialOrd,
    {
        self.set_checked(key, into, |value| {
            if range.contains(value) {
                return Ok(());
            }
            let bounds = format!("write something from {} to {}", range.start().show(), range.end().show());
            Err(Wrong::new(format!("{} is out of range", value.show()), bounds))
        });
    }

    /// Sets one value that has a rule of its own.
    pub(crate) fn set_checked<T: Setting>(
        &mut self,
        key: &str,
        into: &mut T,
        check: impl Fn(&T) -> Result<(), Wrong>,
    ) {
        let entry = self.entries.remove(key);
        let mut place = Place::Default;
        if let Some(entry) = entry {
            let read = T::read(&entry.value).and_then(|value| check(&value).map(|()| value));
            match read {
                Ok(value) => *into = value,
                Err(wrong) => self.wrong(key, entry.place.clone(), wrong),
            }
            place = entry.place;
        }
        self.settled.push(Settled { key: key.to_owned(), value: into.show(), place });
    }

    /// Sets a list; each element has its own place in a file.
    pub(crate) fn set_list<T: Setting>(&mut self, key: &str, into: &mut Vec<T>) {
        let entry = self.entries.remove(key);
        let place = entry.as_ref().map_or(Place::Default, |entry| entry.place.clone());
        if let Some(entry) = entry {
            self.read_list(key, &entry, into);
        }
        let value = format!("[{}]", into.iter().map(T::show).collect::<Vec<_>>().join(", "));
        self.settled.push(Settled { key: key.to_owned(), value, place });
    }

    fn read_list<T: Setting>(&mut self, key: &str, entry: &Entry, into: &mut Vec<T>) {
        let Some(values) = elements(&entry.value) else {
            let wrong = Wrong::new("not a list", "write it in brackets: [\"…\", \"…\"]");
            return self.wrong(key, entry.place.clone(), wrong);
        };
        into.clear();
        for (index, value) in values.iter().enumerate() {
            let place = match &entry.value {
                Given::List(entries) => entries[index].place.clone(),
                _ => entry.place.clone(),
            };
            match T::read(value) {
                Ok(value) => into.push(value),
                Err(wrong) => self.wrong(&format!("{key}[{index}]"), place, wrong),
            }
        }
    }

    /// Sets what is written below a section, whatever its keys are. What may be secret is shown nowhere.
    pub(crate) fn set_map(
        &mut self,
        section: &str,
        into: &mut BTreeMap<String, String>,
        check: impl Fn(&str, &str) -> Result<(), Wrong>,
    ) {
        let below = format!("{section}.");
        // Nothing is written below it.
        self.entries.remove(section);
        let keys: Vec<String> = self.entries.keys().filter(|key| key.starts_with(&below)).cloned().collect();
        for key in keys {
            let Some(entry) = self.entries.remove(&key) else { continue };
            let name = key[below.len()..].to_owned();
            let value = plain(&entry.value).and_then(|value| check(&name, &value).map(|()| value));
            match value {
                Ok(value) => {
                    let shown = if is_secret(&name) { "\"…\"".to_owned() } else { value.show() };
                    self.settled.push(Settled { key, value: shown, place: entry.place });
                    into.insert(name, value);
                }
                Err(wrong) => self.wrong(&key, entry.place, wrong),
            }
        }
    }

    /// The sections of this name, by where they begin: `[[source.file]]`, each once.
    pub(crate) fn sections(&mut self, name: &str) -> Vec<Place> {
        let mut places = Vec::new();
        while let Some(entry) = self.entries.remove(&format!("{name}[{}]", places.len())) {
            places.push(entry.place);
        }
        places
    }

    /// Where a key of a section that may come several times was written as though there were only one.
    pub(crate) fn single(&mut self, name: &str) {
        let below = format!("{name}.");
        let is_of = |key: &str| key == name || key.starts_with(&below);
        let keys: Vec<String> = self.entries.keys().filter(|key| is_of(key)).cloned().collect();
        let entries: Vec<Entry> = keys.iter().filter_map(|key| self.entries.remove(key)).collect();
        if let Some(entry) = entries.into_iter().next() {
            let instead = format!("write [[{name}]] above it, with two brackets: there may be several");
            self.wrong(name, entry.key_place, Wrong::new("one of several", instead));
        }
    }

    /// Keeps the mistake that a key which has to be written was not, where it was not.
    pub(crate) fn requires(&mut self, key: &str, section: &Place, instead: &str) {
        let is_there = |one: &Settled| one.key == key && one.place != Place::Default;
        if !self.settled.iter().any(is_there) {
            self.wrong(key, section.clone(), Wrong::new("missing", instead));
        }
    }

    /// Keeps a mistake that concerns a key already read, such as one setting that contradicts another.
    pub(crate) fn contradiction(&mut self, key: &str, wrong: impl fmt::Display, instead: impl fmt::Display) {
        let settled = self.settled.iter().find(|settled| settled.key == key);
        let place = settled.map_or(Place::Default, |settled| settled.place.clone());
        self.wrong(key, place, Wrong::new(wrong.to_string(), instead.to_string()));
    }

    /// Something is wrong with this key, or an element of it, and has been told.
    pub(crate) fn has_mistake(&self, key: &str) -> bool {
        let is_of = |found: &str| {
            found.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with('['))
        };
        self.mistakes.iter().any(|mistake| is_of(&mistake.key))
    }

    /// What is left over is unknown.
    pub(crate) fn finish(mut self) -> Outcome {
        let known: Vec<String> = self.settled.iter().map(|settled| settled.key.clone()).collect();
        let sections: BTreeSet<&str> =
            known.iter().filter_map(|key| key.rsplit_once('.')).map(|(section, _)| section).collect();
        let mut unknown_sections = BTreeSet::new();
        for (key, entry) in std::mem::take(&mut self.entries) {
            let section = key.split('.').next().unwrap_or_default().to_owned();
            let known_section = sections.contains(section.as_str());
            let empty_section = sections.contains(key.as_str()) && entry.value == Given::Table;
            if empty_section || (!known_section && !unknown_sections.insert(section.clone())) {
                continue;
            }
            let mistake = if known_section {
                unknown_key(&key, entry, &known, &sections)
            } else {
                unknown_section(&section, entry, &sections)
            };
            self.mistakes.push(mistake);
        }
        self.mistakes.sort_by_key(order);
        Outcome { settled: self.settled, mistakes: self.mistakes }
    }

    fn wrong(&mut self, key: &str, place: Place, wrong: Wrong) {
        self.mistakes.push(Mistake {
            place,
            key: key.to_owned(),
            wrong: wrong.wrong,
            instead: wrong.instead,
        });
    }
}

/// A value of any plain type, as text.
fn plain(given: &Given) -> Result<String, Wrong> {
    match given {
        Given::Text(text) | Given::Bare(text) | Given::Integer(text) | Given::Float(text) => Ok(text.clone()),
        Given::Bool(flag) => Ok(flag.to_string()),
        other => Err(Wrong::new(
            format!("{} is no single value", shown(other)),
            "write a text, a number, true or false",
        )),
    }
}

fn is_secret(name: &str) -> bool {
    ["password", "secret", "pem", "oauthbearer.config", "token"].iter().any(|word| name.contains(word))
}

/// As a person goes through it: the file from top to bottom, then the rest by key.
fn order(mistake: &Mistake) -> (u8, usize, usize, String) {
    match &mistake.place {
        Place::File { line, column, .. } => (0, *line, *column, mistake.key.clone()),
        Place::Environment(_) => (1, 0, 0, mistake.key.clone()),
        Place::Flag(_) | Place::Default => (2, 0, 0, mistake.key.clone()),
    }
}

fn unknown_key(key: &str, entry: Entry, known: &[String], sections: &BTreeSet<&str>) -> Mistake {
    let is_section = sections.contains(key);
    let (section, _) = key.rsplit_once('.').unwrap_or((key, ""));
    let near = nearest(key, known.iter().map(String::as_str));
    let (wrong, instead) = match near {
        _ if is_section => ("a section, not a value".to_owned(), format!("write its keys below [{key}]")),
        Some(near) => {
            ("no such setting".to_owned(), format!("did you mean {}?", spelled(near, &entry.place)))
        }
        None => ("no such setting".to_owned(), format!("[{section}] has {}", keys_of(section, known))),
    };
    Mistake { place: entry.key_place, key: key.to_owned(), wrong, instead }
}

fn unknown_section(section: &str, entry: Entry, sections: &BTreeSet<&str>) -> Mistake {
    let top: BTreeSet<&str> = sections.iter().filter_map(|section| section.split('.').next()).collect();
    let near = nearest(section, top.iter().copied());
    let all: Vec<&str> = top.iter().copied().collect();
    let instead = near.map_or_else(
        || format!("the sections are {}", all.join(", ")),
        |near| format!("did you mean [{near}]?"),
    );
    Mistake { place: entry.key_place, key: section.to_owned(), wrong: "no such section".to_owned(), instead }
}

/// A key in the spelling of the place it is to be written in.
fn spelled(key: &str, place: &Place) -> String {
    if matches!(place, Place::Environment(_)) { variable(key) } else { key.to_owned() }
}

fn keys_of(section: &str, known: &[String]) -> String {
    let keys = known.iter().filter_map(|key| key.strip_prefix(section)?.strip_prefix('.'));
    keys.filter(|key| !key.contains('.')).collect::<Vec<_>>().join(", ")
}
