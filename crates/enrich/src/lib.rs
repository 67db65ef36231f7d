//! Enrichment of records over read-only tables: place, directory, numbers, devices, rating; and zones.
//!
//! Total functions: a look-up that finds nothing leaves its fields out. Pure: tables are arguments, and never change;
//! an edit makes another one.

mod contacts;
mod import;
mod place;
mod rating;
mod tables;
mod zone;

pub use contacts::{Builder, Contacts, Edit, Found, MOST_MATCHES, TooLarge};
pub use import::{
    ContactNotes, ContactReader, Encoding, FileFormat, decoded, devices as devices_from_file,
    numbers as numbers_from_file,
};
pub use place::Places;
pub use rating::{Days, Mistake, Rated, Rounding, Row, Step, Tariff, TimeOfDay, rows_from_csv};
pub use tables::{Counts, Devices, Numbers, Tables};
pub use zone::{UnknownZone, zone};
