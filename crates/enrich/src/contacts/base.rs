//! Contacts packed: one run of bytes, and the phone numbers in order beside it. A million of them take less than
//! 200 bytes each, and are never changed.
//!
//! A contact is: its id (16 bytes of a UUID, or a length and a text), 20 bits of which fields it has, and each of
//! these as a length and a text. Lengths are LEB128.

use std::collections::BTreeMap;

use ringpost_model::{Contact, ContactField, Directory, Text};

use super::overlay::Key;

/// First byte of a contact whose id is the usual form of a UUID, and of one whose id is another text.
const UUID: u8 = 0;
const TEXT: u8 = 1;
/// Marks the key of a number that is not E.164: a hash of the text. Those of E.164 are at most 15 digits.
const AS_TYPED: u64 = 1 << 63;

/// More than a table can hold: 4 GiB of texts, or 4 billion contacts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the contacts of one tenant are more than 4 GiB: split them over tenants, or leave fields out")]
pub struct TooLarge;

#[derive(Debug, Default)]
pub(super) struct Base {
    /// By name, then id.
    directories: Vec<Directory>,
    /// The first contact of each directory.
    firsts: Vec<u32>,
    /// Where each contact begins.
    begins: Vec<u32>,
    packed: Vec<u8>,
    /// Numbers in order, and whose they are.
    numbers: Vec<u64>,
    owners: Vec<u32>,
}

/// Packs contacts.
#[derive(Debug)]
pub struct Builder {
    base: Base,
    postings: Vec<(u64, u32)>,
}

impl Builder {
    /// For contacts of these directories.
    pub fn new(mut directories: Vec<Directory>) -> Self {
        directories.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
        Self { base: Base { directories, ..Base::default() }, postings: Vec::new() }
    }

    /// The directories, in the order in which their contacts are to come.
    pub fn directories(&self) -> &[Directory] {
        &self.base.directories
    }

    /// Adds a contact. They come by directory, then by id in byte order.
    ///
    /// # Errors
    /// It is full.
    pub fn push(&mut self, directory: usize, contact: &Contact) -> Result<(), TooLarge> {
        let at = self.base.count();
        while self.base.firsts.len() <= directory {
            self.base.firsts.push(at);
        }
        debug_assert_eq!(self.base.firsts.len(), directory + 1, "contacts come directory by directory");
        self.base.begins.push(u32::try_from(self.base.packed.len()).map_err(|_| TooLarge)?);
        pack(contact, &mut self.base.packed);
        for field in ContactField::PHONES {
            if let Some(number) = contact.fields.get(&field) {
                self.postings.push((number_key(number), at));
            }
        }
        if at == u32::MAX { Err(TooLarge) } else { Ok(()) }
    }

    /// The table.
    pub fn finish(mut self) -> super::Contacts {
        self.postings.sort_unstable();
        self.postings.dedup();
        self.base.numbers = self.postings.iter().map(|posting| posting.0).collect();
        self.base.owners = self.postings.iter().map(|posting| posting.1).collect();
        self.base.packed.shrink_to_fit();
        self.base.begins.shrink_to_fit();
        super::Contacts { base: std::sync::Arc::new(self.base), overlay: super::Overlay::default() }
    }
}

impl Base {
    pub(super) fn count(&self) -> u32 {
        self.begins.len() as u32
    }

    pub(super) fn directories(&self) -> &[Directory] {
        &self.directories
    }

    pub(super) fn directory_at(&self, id: &str) -> Option<u32> {
        self.directories.iter().position(|directory| *directory.id == *id).map(|at| at as u32)
    }

    pub(super) fn directory_of(&self, at: u32) -> u32 {
        self.firsts.partition_point(|first| *first <= at).saturating_sub(1) as u32
    }

    pub(super) fn key(&self, at: u32) -> Key {
        (self.directory_of(at), self.reader(at).id())
    }

    pub(super) fn contact(&self, at: u32) -> Contact {
        let mut reader = self.reader(at);
        Contact { id: reader.id(), fields: reader.fields() }
    }

    /// Contacts with a number, in order.
    pub(super) fn find<'a>(&'a self, number: &'a str) -> impl Iterator<Item = u32> + 'a {
        let key = number_key(number);
        let begin = self.numbers.partition_point(|known| *known < key);
        let count = self.numbers[begin..].partition_point(|known| *known == key);
        let owners = self.owners[begin..begin + count].iter().copied();
        owners.filter(move |at| key & AS_TYPED == 0 || self.has_number(*at, number))
    }

    pub(super) fn bytes(&self) -> usize {
        self.packed.capacity()
            + 4 * (self.begins.capacity() + self.owners.capacity())
            + 8 * self.numbers.capacity()
    }

    /// Two texts can have one hash.
    fn has_number(&self, at: u32, number: &str) -> bool {
        let contact = self.contact(at);
        ContactField::PHONES.iter().any(|field| contact.fields.get(field).is_some_and(|own| **own == *number))
    }

    fn reader(&self, at: u32) -> Reader<'_> {
        let begin = self.begins.get(at as usize).map_or(self.packed.len(), |begin| *begin as usize);
        Reader { rest: self.packed.get(begin..).unwrap_or_default() }
    }
}

/// A number to look up: the digits of E.164, or a hash of anything else.
fn number_key(number: &str) -> u64 {
    let digits = number.strip_prefix('+').filter(|digits| {
        (1..=15).contains(&digits.len())
            && digits.bytes().all(|byte| byte.is_ascii_digit())
            && !digits.starts_with('0')
    });
    match digits.and_then(|digits| digits.parse().ok()) {
        Some(value) => value,
        None => AS_TYPED | fnv(number),
    }
}

fn fnv(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

fn pack(contact: &Contact, out: &mut Vec<u8>) {
    match usual_uuid(&contact.id) {
        Some(id) => {
            out.push(UUID);
            out.extend_from_slice(id.as_bytes());
        }
        None => {
            out.push(TEXT);
            text(&contact.id, out);
        }
    }
    let bits = contact.fields.keys().fold(0_u32, |bits, field| bits | 1 << *field as u32);
    out.extend_from_slice(&bits.to_le_bytes()[..3]);
    contact.fields.values().for_each(|value| text(value, out));
}

/// Only what is printed again as it was.
fn usual_uuid(id: &str) -> Option<uuid::Uuid> {
    let parsed = uuid::Uuid::try_parse(id).ok()?;
    let mut buffer = [0; uuid::fmt::Hyphenated::LENGTH];
    (parsed.hyphenated().encode_lower(&mut buffer) == id).then_some(parsed)
}

fn text(text: &str, out: &mut Vec<u8>) {
    let mut length = text.len();
    while length >= 0x80 {
        out.push(length as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend_from_slice(text.as_bytes());
}

/// Reads what [`pack`] wrote.
struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn id(&mut self) -> Text {
        match self.take(1) {
            [UUID] => match uuid::Uuid::from_slice(self.take(16)) {
                Ok(id) => id.to_string().into(),
                Err(_) => Text::default(),
            },
            _ => self.text(),
        }
    }

    fn fields(&mut self) -> BTreeMap<ContactField, Text> {
        let bits = self.take(3).iter().rev().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        let has = |field: &ContactField| bits & (1 << *field as u32) != 0;
        ContactField::ALL.into_iter().filter(has).map(|field| (field, self.text())).collect()
    }

    fn text(&mut self) -> Text {
        let (mut length, mut shift) = (0, 0);
        loop {
            let byte = self.take(1).first().copied().unwrap_or(0);
            length |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 || shift > 28 {
                break;
            }
        }
        std::str::from_utf8(self.take(length)).unwrap_or_default().into()
    }

    fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at_checked(length).unwrap_or((self.rest, &[]));
        self.rest = rest;
        taken
    }
}
