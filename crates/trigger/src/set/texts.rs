//! Which triggers ask for a text, or for a part of it. All keys are folded.

use std::borrow::Cow;
use std::collections::HashMap;

use aho_corasick::AhoCorasick;

use super::Position;
use crate::text_test::Element;

type Keys = HashMap<Box<str>, Vec<Position>>;

/// Collects what triggers ask of one field.
#[derive(Debug, Default)]
pub(super) struct TextIndexBuilder {
    whole: Keys,
    starts: Keys,
    ends: Keys,
    within: Keys,
    filled: Vec<Position>,
    empty: Vec<Position>,
}

impl TextIndexBuilder {
    pub(super) fn whole(&mut self, position: Position, keys: Vec<Cow<'_, str>>) {
        add(&mut self.whole, position, keys);
    }

    pub(super) fn starts(&mut self, position: Position, parts: Vec<Cow<'_, str>>) {
        add(&mut self.starts, position, parts);
    }

    pub(super) fn ends(&mut self, position: Position, parts: Vec<Cow<'_, str>>) {
        add(&mut self.ends, position, parts);
    }

    pub(super) fn within(&mut self, position: Position, parts: Vec<Cow<'_, str>>) {
        add(&mut self.within, position, parts);
    }

    pub(super) fn filled(&mut self, position: Position, filled: bool) {
        if filled { self.filled.push(position) } else { self.empty.push(position) }
    }

    pub(super) fn build(self) -> TextIndex {
        TextIndex {
            whole: self.whole,
            starts: Edges::new(self.starts),
            ends: Edges::new(self.ends),
            within: Parts::new(self.within),
            filled: self.filled,
            empty: self.empty,
        }
    }
}

fn add(keys: &mut Keys, position: Position, texts: Vec<Cow<'_, str>>) {
    for text in texts {
        keys.entry(text.into()).or_default().push(position);
    }
}

/// What triggers ask of one field.
#[derive(Debug)]
pub(super) struct TextIndex {
    whole: Keys,
    starts: Edges,
    ends: Edges,
    within: Parts,
    filled: Vec<Position>,
    empty: Vec<Position>,
}

impl TextIndex {
    /// Adds all triggers that may hold for these elements.
    pub(super) fn find(&self, elements: &[Element<'_>], found: &mut Vec<Position>) {
        for element in elements {
            found.extend(self.whole.get(&*element.folded).into_iter().flatten());
            let searched = element.searched(true);
            self.starts.find(searched, |text, length| text.get(..length), found);
            self.ends.find(searched, |text, length| text.get(text.len() - length..), found);
            self.within.find(searched, found);
        }
        let is_filled = elements.iter().any(|element| !element.exact.is_empty());
        found.extend_from_slice(if is_filled { &self.filled } else { &self.empty });
    }
}

/// Begins, or ends, of texts: one look-up for each length that occurs.
#[derive(Debug)]
struct Edges {
    keys: Keys,
    lengths: Vec<usize>,
}

impl Edges {
    fn new(keys: Keys) -> Self {
        let mut lengths: Vec<usize> = keys.keys().map(|key| key.len()).collect();
        lengths.sort_unstable();
        lengths.dedup();
        Self { keys, lengths }
    }

    fn find(&self, text: &str, edge: fn(&str, usize) -> Option<&str>, found: &mut Vec<Position>) {
        for length in self.lengths.iter().take_while(|length| **length <= text.len()) {
            // None: the length ends within a character, so no key can be there.
            if let Some(positions) = edge(text, *length).and_then(|key| self.keys.get(key)) {
                found.extend_from_slice(positions);
            }
        }
    }
}

/// Parts anywhere in texts: one pass over the text for all of them.
#[derive(Debug)]
struct Parts {
    /// None: there are no parts, or too many for one automaton.
    automaton: Option<AhoCorasick>,
    /// By number of the pattern.
    positions: Vec<Vec<Position>>,
}

impl Parts {
    fn new(keys: Keys) -> Self {
        let (patterns, positions): (Vec<Box<str>>, Vec<_>) = keys.into_iter().unzip();
        let automaton =
            if patterns.is_empty() { None } else { AhoCorasick::new(patterns.iter().map(|it| &**it)).ok() };
        Self { automaton, positions }
    }

    fn find(&self, text: &str, found: &mut Vec<Position>) {
        match &self.automaton {
            Some(automaton) => {
                for part in automaton.find_overlapping_iter(text) {
                    found.extend_from_slice(&self.positions[part.pattern().as_usize()]);
                }
            }
            None => self.positions.iter().for_each(|positions| found.extend_from_slice(positions)),
        }
    }
}
