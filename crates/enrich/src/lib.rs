//! Enrichment of records over read-only tables; place, rating, zone.
//!
//! The directory comes here as a further total function: a look-up that finds nothing leaves its
//! fields out. Pure: tables are arguments.

mod place;
mod rating;
mod zone;

pub use place::Places;
pub use rating::{Days, Mistake, Rated, Rounding, RoundingMode, Row, Step, Tariff, TimeOfDay, rows_from_csv};
pub use zone::{UnknownZone, zone};
