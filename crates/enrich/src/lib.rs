//! Enrichment of records over read-only tables; today place and zone.
//!
//! Directory and rating come here as further total functions: a look-up that finds nothing leaves its
//! fields out. Pure: tables are arguments.

mod place;
mod zone;

pub use place::Places;
pub use zone::{UnknownZone, zone};
