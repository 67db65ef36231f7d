//! Whom the other party's number belongs to (enrichment-and-dialects.md 1, Directory). A look-up costs no lock: the
//! table is a value, and an edit makes another one that shares all but what was edited.

use std::borrow::Cow;
use std::sync::Arc;

use ringpost_model::{Contact, DirectoryMatch, Text};

mod base;
mod overlay;

use base::Base;
pub use base::{Builder, TooLarge};
use overlay::{Key, Overlay};

/// Contacts that are named in a record; the others are counted. A switchboard's number may belong to thousands.
pub const MOST_MATCHES: usize = 10;

/// All contacts of a tenant.
#[derive(Debug, Clone, Default)]
pub struct Contacts {
    base: Arc<Base>,
    overlay: Overlay,
}

/// A contact as it is from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// Id of the directory. One that the table does not have changes nothing.
    pub directory: Text,
    /// Id of the contact.
    pub contact: Text,
    /// None = it was removed.
    pub now: Option<Contact>,
}

/// Contacts with a number.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Found {
    /// At most [`MOST_MATCHES`], by name of the directory, then id of the contact.
    pub matches: Vec<DirectoryMatch>,
    /// How many more there are.
    pub more: usize,
}

impl Contacts {
    /// Contacts with this number: E.164, or the very text.
    pub fn find(&self, number: &str) -> Found {
        let mut found = Found::default();
        if number.is_empty() {
            return found;
        }
        for one in self.merged(self.base.find(number), self.overlay.find(number)) {
            if found.matches.len() < MOST_MATCHES {
                found.matches.push(one.described(&self.base));
            } else {
                found.more += 1;
            }
        }
        found
    }

    /// The same with some contacts changed, in order. Costs what was edited since it was folded, not what there is.
    #[must_use]
    pub fn edited(&self, edits: impl IntoIterator<Item = Edit>) -> Self {
        let mut next = self.clone();
        for edit in edits {
            if let Some(directory) = self.base.directory_at(&edit.directory) {
                next.overlay.put((directory, edit.contact), edit.now.map(Arc::new));
            }
        }
        next
    }

    /// The same with nothing apart any more: costs a copy of everything.
    ///
    /// # Errors
    /// It has grown beyond what a table can hold.
    pub fn folded(&self) -> Result<Self, TooLarge> {
        let mut builder = Builder::new(self.base.directories().to_vec());
        for one in self.merged(0..self.base.count(), self.overlay.iter()) {
            builder.push(one.directory(&self.base), &one.contact(&self.base))?;
        }
        Ok(builder.finish())
    }

    /// How many were edited since it was folded.
    pub fn edits(&self) -> usize {
        self.overlay.len()
    }

    /// How many contacts it was built of.
    pub fn count(&self) -> usize {
        self.base.count() as usize
    }

    /// What it takes in memory, in bytes, about.
    pub fn bytes(&self) -> usize {
        self.base.bytes() + self.overlay.bytes()
    }

    /// Contacts in order: those of the base that were not edited, and what became of the others.
    fn merged<'a>(
        &'a self,
        of_base: impl Iterator<Item = u32> + 'a,
        edits: impl Iterator<Item = (&'a Key, Option<&'a Contact>)> + 'a,
    ) -> impl Iterator<Item = One<'a>> + 'a {
        let mut base = of_base.filter(|at| !self.overlay.has(|| self.base.key(*at))).peekable();
        let mut edits = edits.filter_map(|(key, now)| now.map(|now| (key, now))).peekable();
        std::iter::from_fn(move || {
            let is_base_first = match (base.peek(), edits.peek()) {
                (Some(at), Some((key, _))) => self.base.key(*at) < **key,
                (at, _) => at.is_some(),
            };
            if is_base_first {
                base.next().map(One::Base)
            } else {
                edits.next().map(|(key, contact)| One::Edited(key.0, contact))
            }
        })
    }
}

/// A contact, wherever it is.
enum One<'a> {
    Base(u32),
    Edited(u32, &'a Contact),
}

impl<'a> One<'a> {
    fn directory(&self, base: &Base) -> usize {
        match self {
            Self::Base(at) => base.directory_of(*at) as usize,
            Self::Edited(directory, _) => *directory as usize,
        }
    }

    fn contact(&self, base: &Base) -> Cow<'a, Contact> {
        match self {
            Self::Base(at) => Cow::Owned(base.contact(*at)),
            Self::Edited(_, contact) => Cow::Borrowed(contact),
        }
    }

    fn described(&self, base: &Base) -> DirectoryMatch {
        let directory = &base.directories()[self.directory(base)];
        let Contact { id, fields } = self.contact(base).into_owned();
        DirectoryMatch {
            dir_name: directory.name.clone(),
            dir_id: directory.id.clone(),
            dir_type: "DirectoryContactMatch".into(),
            contact_id: id,
            fields,
        }
    }
}

#[cfg(test)]
mod tests;
