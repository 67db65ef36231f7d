//! What records are enriched from, as it is kept: contacts, public numbers, devices, tariffs
//! (enrichment-and-dialects.md 1).

use std::collections::BTreeMap;
use std::fmt;

use chrono_tz::Tz;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::{NumberName, Text};

/// A field of a contact. The order is that of seed 002, and of every output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the names are seed 002's, and say what they are")]
pub enum ContactField {
    Title,
    FullName,
    CompanyName,
    JobTitle,
    Phone1,
    Phone2,
    Phone3,
    Phone4,
    Email,
    CrmId,
    Field1,
    Field2,
    Field3,
    Field4,
    Field5,
    Field6,
    Field7,
    Field8,
    Field9,
    Field10,
}

impl ContactField {
    /// Every field, in order.
    pub const ALL: [Self; 20] = [
        Self::Title,
        Self::FullName,
        Self::CompanyName,
        Self::JobTitle,
        Self::Phone1,
        Self::Phone2,
        Self::Phone3,
        Self::Phone4,
        Self::Email,
        Self::CrmId,
        Self::Field1,
        Self::Field2,
        Self::Field3,
        Self::Field4,
        Self::Field5,
        Self::Field6,
        Self::Field7,
        Self::Field8,
        Self::Field9,
        Self::Field10,
    ];

    /// The fields that hold phone numbers.
    pub const PHONES: [Self; 4] = [Self::Phone1, Self::Phone2, Self::Phone3, Self::Phone4];

    /// The name as records print it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Title => "title",
            Self::FullName => "fullName",
            Self::CompanyName => "companyName",
            Self::JobTitle => "jobTitle",
            Self::Phone1 => "phone1",
            Self::Phone2 => "phone2",
            Self::Phone3 => "phone3",
            Self::Phone4 => "phone4",
            Self::Email => "email",
            Self::CrmId => "crmId",
            Self::Field1 => "field1",
            Self::Field2 => "field2",
            Self::Field3 => "field3",
            Self::Field4 => "field4",
            Self::Field5 => "field5",
            Self::Field6 => "field6",
            Self::Field7 => "field7",
            Self::Field8 => "field8",
            Self::Field9 => "field9",
            Self::Field10 => "field10",
        }
    }

    /// The field of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.name() == name)
    }

    /// Whether it holds a phone number.
    pub const fn is_phone(self) -> bool {
        matches!(self, Self::Phone1 | Self::Phone2 | Self::Phone3 | Self::Phone4)
    }
}

impl fmt::Display for ContactField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A contact of a directory. Its phones are E.164, or as typed where they are no valid number: those match only
/// themselves.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Contact {
    /// Unique in its directory.
    pub id: Text,
    /// None empty.
    pub fields: BTreeMap<ContactField, Text>,
}

/// A directory of contacts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directory {
    /// As records print it.
    pub id: Text,
    /// For people; one of each name in a tenant.
    pub name: Text,
}

/// Who sits at a device: used where the legs name the device only.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Device {
    /// As the legs write it: an extension, a SIP user name.
    pub number: Text,
    /// For people.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub name: Text,
    /// Whose it is.
    #[serde(skip_serializing_if = "NumberName::is_empty")]
    pub user: NumberName,
    /// The agent who uses it.
    #[serde(skip_serializing_if = "NumberName::is_empty")]
    pub agent: NumberName,
    /// Groups it rings for; taken where there is exactly one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<Text>,
}

/// A public number of the tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicNumber {
    /// E.164, or as typed.
    pub number: Text,
    /// Printed as `ddiName`.
    pub name: Text,
}

/// Which calls a tariff is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TariffDirection {
    /// Outgoing calls, and those from outside to outside, by the number that was dialled.
    #[default]
    Outgoing,
    /// Incoming calls, by the tenant's own number that was called.
    Incoming,
}

/// Which way a cost is rounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RoundingMode {
    /// To the nearest; a half goes up.
    #[default]
    HalfUp,
    /// To the nearest; a half goes to the even neighbour.
    HalfEven,
    /// Up.
    Up,
    /// Down.
    Down,
}

/// Prices as they are kept; `enrich` makes a tariff of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PriceList {
    /// For people; one of each name in a tenant. Where several would do, the first by name is taken.
    pub name: Text,
    /// ISO 4217; empty = not said.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub currency: Text,
    /// Whose wall clock days and times are of.
    pub zone: Tz,
    /// Which calls it is for.
    #[serde(default)]
    pub direction: TariffDirection,
    /// Decimals of a cost.
    pub decimals: u32,
    /// Which way a cost is rounded, once.
    #[serde(default)]
    pub rounding: RoundingMode,
    /// No call costs more.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "rust_decimal::serde::str_option")]
    pub maximum: Option<Decimal>,
    /// The rows as CSV, as they were imported.
    pub rows: Text,
}
