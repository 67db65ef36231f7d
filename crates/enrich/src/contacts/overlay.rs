//! Single edits on top of a base: few, and copied with every further edit.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ringpost_model::{Contact, ContactField, Text};

/// Place of the directory in the base, id of the contact.
pub(super) type Key = (u32, Text);

/// What was edited since the base was built.
#[derive(Debug, Clone, Default)]
pub(super) struct Overlay {
    /// None = it was removed.
    edits: BTreeMap<Key, Option<Arc<Contact>>>,
    by_number: BTreeMap<Text, BTreeSet<Key>>,
}

impl Overlay {
    pub(super) fn put(&mut self, key: Key, now: Option<Arc<Contact>>) {
        if let Some(Some(before)) = self.edits.get(&key) {
            for number in numbers(before) {
                if let Some(keys) = self.by_number.get_mut(number) {
                    keys.remove(&key);
                    if keys.is_empty() {
                        self.by_number.remove(number);
                    }
                }
            }
        }
        for number in now.iter().flat_map(|contact| numbers(contact)) {
            self.by_number.entry(number.clone()).or_default().insert(key.clone());
        }
        self.edits.insert(key, now);
    }

    /// Whether a contact of the base does not count any more.
    pub(super) fn has(&self, key: impl FnOnce() -> Key) -> bool {
        !self.edits.is_empty() && self.edits.contains_key(&key())
    }

    pub(super) fn find(&self, number: &str) -> impl Iterator<Item = (&Key, Option<&Contact>)> {
        self.by_number.get(number).into_iter().flatten().map(|key| (key, self.get(key)))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Key, Option<&Contact>)> {
        self.edits.iter().map(|(key, now)| (key, now.as_deref()))
    }

    pub(super) fn len(&self) -> usize {
        self.edits.len()
    }

    pub(super) fn bytes(&self) -> usize {
        // Nodes, keys, counters: about as much again as the texts of a contact.
        let contact = |now: &Option<Arc<Contact>>| {
            now.as_ref().map_or(0, |now| now.fields.values().map(|text| text.len() + 40).sum::<usize>())
        };
        self.edits.values().map(|now| 200 + contact(now)).sum()
    }

    fn get(&self, key: &Key) -> Option<&Contact> {
        self.edits.get(key).and_then(Option::as_deref)
    }
}

fn numbers(contact: &Contact) -> impl Iterator<Item = &Text> {
    ContactField::PHONES.iter().filter_map(|field| contact.fields.get(field))
}
