//! Contacts out of the rows of a file: which column is which field, numbers made E.164, an id for each.

use std::collections::{BTreeMap, HashMap};

use ringpost_model::{Contact, ContactField, Text};
use ringpost_numbers::{Region, normalise};
use uuid::Uuid;

use super::csv_rows::CsvRows;
use super::json_rows::json_rows;
use super::vcards::Vcards;
use super::{FIELD_BYTES, FileFormat, RawRow, mistake, simple};
use crate::Mistake;

/// Longest id, in bytes.
const ID_BYTES: usize = 64;
/// Ids are made in this namespace from what a contact says.
const NAMESPACE: Uuid = Uuid::from_u128(0x5d0e_3d1a_91b0_4a2e_8a3b_35c2_7c1b_7d11);

/// Reads contacts one by one.
pub struct ContactReader<'a> {
    rows: Box<dyn Iterator<Item = Result<RawRow, Mistake>> + 'a>,
    region: Option<Region>,
    /// Columns that are no field of a contact.
    ignored: Vec<String>,
    /// Where each id was.
    seen: HashMap<u128, u64>,
    notes: ContactNotes,
}

/// What was noticed of contacts that are good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ContactNotes {
    /// Numbers that became E.164, or were.
    pub numbers: u64,
    /// Numbers that are none: kept as typed, they match only themselves.
    pub as_typed: u64,
    /// Contacts without a number: nobody finds them.
    pub without_number: u64,
    /// Contacts that were in the file before, word for word: left out.
    pub repeated: u64,
}

impl<'a> ContactReader<'a> {
    /// Reads the beginning of a file. Numbers without a country code are read in `region`.
    ///
    /// # Errors
    /// A header that cannot be used.
    pub fn new(text: &'a str, format: FileFormat, region: Option<Region>) -> Result<Self, Mistake> {
        let mut ignored = Vec::new();
        let rows: Box<dyn Iterator<Item = _>> = match format {
            FileFormat::Csv => {
                let rows = CsvRows::new(text)?;
                let unknown = rows.headers.iter().filter(|header| Column::of(&simple(header)).is_none());
                ignored.extend(unknown.filter(|header| !header.is_empty()).cloned());
                if ignored.len() == rows.headers.len() {
                    let wrong =
                        "no column is known: the first line must name them, such as fullName,phone1,email";
                    return Err(mistake(1, "", wrong));
                }
                Box::new(rows)
            }
            FileFormat::Vcard => Box::new(Vcards::new(text)),
            FileFormat::Json => Box::new(json_rows(text).into_iter()),
        };
        Ok(Self { rows, region, ignored, seen: HashMap::new(), notes: ContactNotes::default() })
    }

    /// Columns of a CSV file that are no field of a contact, as they are written.
    pub fn ignored(&self) -> &[String] {
        &self.ignored
    }

    /// What was noticed so far.
    pub fn notes(&self) -> ContactNotes {
        self.notes
    }

    /// None: the contact was in the file before.
    fn contact(&mut self, row: RawRow) -> Result<Option<Contact>, Mistake> {
        let line = row.line;
        let (id, fields) = self.fields(row)?;
        if fields.is_empty() {
            return Err(mistake(line, "", "the contact says nothing"));
        }
        let content =
            || fields.iter().map(|(field, text)| format!("{field}={text}\u{1f}")).collect::<String>();
        let has_id = !id.is_empty();
        let by_crm = fields.get(&ContactField::CrmId).map(|crm| format!("crm\u{1f}{crm}"));
        let named = if has_id { Some(format!("id\u{1f}{id}")) } else { by_crm };
        let of = |text: &str| Uuid::new_v5(&NAMESPACE, text.as_bytes());
        let mut own = named.as_deref().map_or_else(|| of(&content()), of);
        let whole = of(&format!("{}{}", id, content())).as_u128();
        if let Some(before) = self.seen.get(&own.as_u128()) {
            // The same word for word; or another one with the CRM's id of the first, which has one of its own then.
            if self.seen.contains_key(&whole) || (!has_id && named.is_none()) {
                self.notes.repeated += 1;
                return Ok(None);
            }
            if has_id {
                return Err(mistake(line, "id", format!("{id:?} is the id on line {before} too")));
            }
            own = of(&content());
        }
        self.seen.insert(own.as_u128(), line);
        self.seen.insert(whole, line);
        if !ContactField::PHONES.iter().any(|field| fields.contains_key(field)) {
            self.notes.without_number += 1;
        }
        let id = if has_id { id.into() } else { own.to_string().into() };
        Ok(Some(Contact { id, fields }))
    }

    fn fields(&mut self, row: RawRow) -> Result<(String, BTreeMap<ContactField, Text>), Mistake> {
        let (mut id, mut fields, mut phones, mut names) =
            (String::new(), BTreeMap::new(), Vec::new(), [const { String::new() }; 2]);
        for (name, cell) in row.cells {
            let cell = cell.trim();
            let Some(column) = Column::of(&name).filter(|_| !cell.is_empty()) else { continue };
            if cell.len() > FIELD_BYTES {
                let wrong = format!("{} bytes long; at most {FIELD_BYTES} are kept", cell.len());
                return Err(mistake(row.line, &name, wrong));
            }
            match column {
                Column::Id if cell.len() > ID_BYTES => {
                    return Err(mistake(row.line, &name, format!("an id has at most {ID_BYTES} bytes")));
                }
                Column::Id => cell.clone_into(&mut id),
                Column::Field(field) if field.is_phone() => {
                    fields.insert(field, self.number(cell));
                }
                Column::Field(field) => {
                    fields.entry(field).or_insert_with(|| cell.into());
                }
                Column::Phone => phones.push(self.number(cell)),
                Column::FirstName => cell.clone_into(&mut names[0]),
                Column::LastName => cell.clone_into(&mut names[1]),
            }
        }
        let mut free = ContactField::PHONES
            .into_iter()
            .filter(|field| !fields.contains_key(field))
            .collect::<Vec<_>>()
            .into_iter();
        for phone in phones {
            let is_there = ContactField::PHONES.iter().any(|field| fields.get(field) == Some(&phone));
            if let Some(field) = (!is_there).then(|| free.next()).flatten() {
                fields.insert(field, phone);
            }
        }
        let name = names.join(" ");
        if !name.trim().is_empty() {
            fields.entry(ContactField::FullName).or_insert_with(|| name.trim().into());
        }
        Ok((id, fields))
    }

    fn number(&mut self, typed: &str) -> Text {
        match self.region.map_or_else(|| abroad(typed), |region| normalise(typed, region)) {
            Some(number) => {
                self.notes.numbers += 1;
                number.as_str().into()
            }
            None => {
                self.notes.as_typed += 1;
                typed.into()
            }
        }
    }
}

/// A number with a country code is one in every region.
fn abroad(typed: &str) -> Option<ringpost_numbers::E164> {
    if !typed.trim_start().starts_with('+') {
        return None;
    }
    normalise(typed, Region::new("US").ok()?)
}

impl Iterator for ContactReader<'_> {
    type Item = Result<Contact, Mistake>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let row = match self.rows.next()? {
                Ok(row) => row,
                Err(mistake) => return Some(Err(mistake)),
            };
            // Spreadsheets end in rows of nothing but separators.
            if row.cells.iter().all(|(_, cell)| cell.trim().is_empty()) {
                continue;
            }
            if let Some(contact) = self.contact(row).transpose() {
                return Some(contact);
            }
        }
    }
}

/// What a column is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Id,
    Field(ContactField),
    /// The first of the four that is free.
    Phone,
    FirstName,
    LastName,
}

impl Column {
    /// By its simple name: our own, and those that the exports of CRMs and phones have.
    fn of(name: &str) -> Option<Self> {
        use ContactField::{CompanyName, CrmId, Email, FullName, JobTitle, Phone1, Title};
        if let Some(field) = ContactField::ALL.into_iter().find(|field| simple(field.name()) == name) {
            return Some(Self::Field(field));
        }
        Some(match name {
            "id" | "contactid" => Self::Id,
            "name" | "displayname" | "contactname" => Self::Field(FullName),
            "firstname" | "givenname" => Self::FirstName,
            "lastname" | "surname" | "familyname" => Self::LastName,
            "salutation" | "prefix" => Self::Field(Title),
            "company" | "organisation" | "organization" | "account" | "accountname" => {
                Self::Field(CompanyName)
            }
            "job" | "position" | "role" => Self::Field(JobTitle),
            "emailaddress" | "mail" | "email1" => Self::Field(Email),
            "crm" | "externalid" | "recordid" => Self::Field(CrmId),
            "phonenumber" => Self::Field(Phone1),
            "phone" | "telephone" | "tel" | "mobile" | "mobilephone" | "cell" | "cellphone"
            | "businessphone" | "businessphone2" | "workphone" | "homephone" | "homephone2"
            | "otherphone" | "landline" | "number" | "directphone" | "mainphone" | "companymainphone" => {
                Self::Phone
            }
            _ => return None,
        })
    }
}
