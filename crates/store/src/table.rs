//! The tables that records are enriched from, tenant by tenant. An import puts a whole table in the place of the former
//! one; contacts can be edited one by one as well (architecture.md, Change of configuration).

use ringpost_model::{Contact, Directory, PriceList, PublicNumber, TenantKey, Text, Timestamp};
use uuid::Uuid;

mod contacts;
mod import;
mod lists;
mod read;

pub use import::ContactImport;
pub use lists::MOST_ROWS;

/// A directory as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredDirectory {
    /// Whose.
    pub tenant: TenantKey,
    /// Its id and name.
    pub directory: Directory,
    /// How many contacts it has.
    pub contacts: u64,
    /// When it was imported, or edited.
    pub changed: Timestamp,
}

/// A contact as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContactEdit {
    /// Id of its directory.
    pub directory: Text,
    /// Its id.
    pub contact: Text,
    /// None = it was removed.
    pub now: Option<Contact>,
}

/// Which state of a tenant's tables is meant: the number of the last change of each kind, 0 = there never was one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TableVersions {
    /// Contacts: the last import.
    pub directories: u64,
    /// Contacts: the last edit.
    pub contacts: u64,
    /// How far the edits were read.
    pub edits: u64,
    /// Public numbers.
    pub numbers: u64,
    /// Devices.
    pub devices: u64,
    /// Tariffs.
    pub tariffs: u64,
}

impl TableVersions {
    /// Number of the last change of any kind.
    pub fn newest(&self) -> u64 {
        let kinds = [self.directories, self.contacts, self.numbers, self.devices, self.tariffs];
        kinds.into_iter().max().unwrap_or_default()
    }
}

/// A tenant's tables but for the contacts, which are given out one by one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredTables {
    /// All of it is of one moment.
    pub versions: TableVersions,
    /// By name, then id.
    pub directories: Vec<Directory>,
    /// Public numbers.
    pub numbers: Vec<PublicNumber>,
    /// Devices.
    pub devices: Vec<ringpost_model::Device>,
    /// By name.
    pub tariffs: Vec<PriceList>,
    /// Rows that could not be read and are left out.
    pub unreadable: u64,
}

/// Id of a directory: made of tenant and name, so that an import finds it again.
fn directory_id(tenant: &TenantKey, name: &str) -> Uuid {
    const NAMESPACE: Uuid = Uuid::from_u128(0x2f0c_4d1e_7a55_4b0b_9a50_64a1_22b7_7d11);
    Uuid::new_v5(&NAMESPACE, format!("{tenant}\u{1f}{name}").as_bytes())
}
