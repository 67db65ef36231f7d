//! The region in which a number without a country code is read.

use std::fmt;

use rlibphonenumber::PHONE_NUMBER_UTIL;

/// Why a text is no region.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown region {0:?}: two letters of ISO 3166 are wanted, e.g. GB")]
pub struct InvalidRegion(String);

/// A country or territory, ISO 3166 alpha-2, whose numbers we can read.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Region(rlibphonenumber::Region);

impl Region {
    /// From two letters, in either case.
    ///
    /// # Errors
    /// Anything that libphonenumber has no numbering plan for, so also `EU`, `XX` and the non-geographic `001`.
    pub fn new(code: &str) -> Result<Self, InvalidRegion> {
        let invalid = || InvalidRegion(code.chars().take(16).collect());
        let two_letters = code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_alphabetic());
        if !two_letters {
            return Err(invalid());
        }
        let region = rlibphonenumber::Region::from_code(&code.to_ascii_uppercase()).map_err(|_| invalid())?;
        let has_plan = PHONE_NUMBER_UTIL.get_country_code_for_region(region).is_some();
        if has_plan { Ok(Self(region)) } else { Err(invalid()) }
    }

    pub(crate) const fn inner(self) -> rlibphonenumber::Region {
        self.0
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.as_region_str())
    }
}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Region({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_is_read_in_either_case_and_printed_upper() {
        for (code, expected) in [("GB", "GB"), ("us", "US"), ("Je", "JE"), ("va", "VA")] {
            assert_eq!(Region::new(code).unwrap().to_string(), expected);
        }
    }

    #[test]
    fn what_has_no_numbering_plan_is_refused_with_a_remedy() {
        for code in ["", "G", "GBR", "XX", "EU", "ZZ", "001", "g1", "é", "ＧＢ", "G\u{0}"] {
            assert!(Region::new(code).is_err(), "{code:?}");
        }
        let message = Region::new("England, a country").unwrap_err().to_string();
        assert_eq!(
            message,
            "unknown region \"England, a count\": two letters of ISO 3166 are wanted, e.g. GB"
        );
    }
}
