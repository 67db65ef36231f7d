//! Phone numbers: which texts are numbers, and their one written form (E.164).
//!
//! It judges a text in a region and normalises it; the place of a number is not looked up here. Pure: no IO,
//! no clock. Why rlibphonenumber: docs/adr/001-phone-numbers.md.

mod e164;
mod region;

pub use e164::{E164, normalise};
pub use region::{InvalidRegion, Region};
