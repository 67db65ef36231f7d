//! Phone numbers: which texts are numbers, and their one written form (E.164).
//!
//! It judges a text in a region, normalises it, and says where a number is from. Pure: no IO, no clock. Why rlibphonenumber: docs/adr/001-phone-numbers.md.

mod e164;
mod place;
mod region;

pub use e164::{E164, normalise};
pub use place::{Area, Place, place};
pub use region::{InvalidRegion, Region};
