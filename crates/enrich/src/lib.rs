//! Enrichment of records over read-only tables; today the zone.
//!
//! Place, directory and rating come here as further total functions: a look-up that finds nothing leaves its
//! fields out. Pure: tables are arguments.

mod zone;

pub use zone::{UnknownZone, zone};
