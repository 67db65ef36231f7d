//! Where a number is from: place, area code, state and country, as libphonenumber's offline geocoder says it in English.
//!
//! Two things differ, both from enrichment-and-dialects.md 1: where the geocoder says nothing, the country's name
//! stands; and the country is the number's own, not the main one of its calling code (+44 1534 is Jersey).

use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumber, PhoneNumberType, Region};

mod country;
mod state;
mod table;

use self::table::Table;

/// What is known of a number's place. What is not known is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Place {
    /// City, or region, or country: `Manchester`, `New York, NY`, `United Kingdom`.
    pub location: &'static str,
    /// Digits of the area code; empty for numbers without one (mobile, toll-free).
    pub area: Area,
    /// Two letters; only in the United States.
    pub state: &'static str,
    /// ISO 3166 alpha-2; empty where the calling code is of no country.
    pub country: &'static str,
}

/// The digits of an area code. Italy's keep their 0.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Area {
    digits: [u8; 8],
    length: u8,
}

impl Area {
    /// The longest area code of the world has 5 digits; what were longer would be none.
    fn new(digits: &str) -> Self {
        let mut area = Self::default();
        if let Some(room) = area.digits.get_mut(..digits.len()) {
            room.copy_from_slice(digits.as_bytes());
            area.length = room.len() as u8;
        }
        area
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.digits[..usize::from(self.length)]).unwrap_or_default()
    }
}

impl std::fmt::Debug for Area {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

/// The place of a number in E.164 (`+` and digits). It need not be valid; of what is no number nothing is known.
pub fn place(e164: &str) -> Place {
    let Some(digits) = e164.strip_prefix('+') else { return Place::default() };
    let is_number = (2..=17).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number {
        return Place::default();
    }
    let Ok(number) = PHONE_NUMBER_UTIL.parse(e164, None) else { return Place::default() };
    of_number(&number)
}

fn of_number(number: &PhoneNumber) -> Place {
    let own = PHONE_NUMBER_UTIL.get_region_for_number(number).filter(|region| is_country(*region));
    let country = own.or_else(|| main_region(number)).map_or("", country::code);
    let kind = PHONE_NUMBER_UTIL.get_number_type(number);
    let is_geographical =
        PHONE_NUMBER_UTIL.is_number_geographical_by_country_code_and_type(kind, number.country_code);
    let national = national(number);
    let described = match kind {
        PhoneNumberType::Unknown => "",
        _ if is_geographical => Table::embedded().description(number.country_code, &national),
        _ => "",
    };
    let location = if described.is_empty() { country::name(country) } else { described };
    let area = if is_geographical { area(number, &national) } else { Area::default() };
    let state = if country == "US" { state::of(described) } else { "" };
    Place { location, area, state, country }
}

/// The national number with its leading zeros.
fn national(number: &PhoneNumber) -> String {
    let zeros =
        if number.italian_leading_zero() { number.number_of_leading_zeros().max(0) as usize } else { 0 };
    let mut digits = "0".repeat(zeros.min(4));
    digits.push_str(&number.national_number.to_string());
    digits
}

fn area(number: &PhoneNumber, national: &str) -> Area {
    let length = PHONE_NUMBER_UTIL.get_length_of_geographical_area_code(number);
    national.get(..length).map(Area::new).unwrap_or_default()
}

/// For a number that is of no region: the only or main one of its calling code.
fn main_region(number: &PhoneNumber) -> Option<Region> {
    PHONE_NUMBER_UTIL.get_region_for_country_code(number.country_code).filter(|region| is_country(*region))
}

/// Calling codes such as +800 are of the region `001`, which is the world.
fn is_country(region: Region) -> bool {
    !country::name(country::code(region)).is_empty()
}

#[cfg(test)]
mod tests;
