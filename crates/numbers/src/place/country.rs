//! English names of countries.

use std::sync::LazyLock;

use rlibphonenumber::Region;

/// `GB United Kingdom`, a line each, by code. Where the names are from is said in the file.
const COUNTRIES: &str = include_str!("../../data/countries.txt");

static BY_CODE: LazyLock<Vec<(&'static str, &'static str)>> = LazyLock::new(|| {
    let lines = COUNTRIES.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split_once(' ')).collect()
});

/// Two letters of ISO 3166; empty for what is no country.
pub(super) fn code(region: Region) -> &'static str {
    let code = region.as_region_str();
    find(code.as_ref()).map_or("", |(code, _)| code)
}

/// The name of a code; empty where it is no country.
pub(super) fn name(code: &str) -> &'static str {
    find(code).map_or("", |(_, name)| name)
}

fn find(code: &str) -> Option<(&'static str, &'static str)> {
    let at = BY_CODE.binary_search_by(|(known, _)| (*known).cmp(code)).ok()?;
    BY_CODE.get(at).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_country_is_found_by_its_code() {
        assert!(BY_CODE.is_sorted() && BY_CODE.len() == 245);
        assert!(BY_CODE.iter().all(|(code, known)| name(code) == *known && !known.is_empty()));
        assert_eq!((name("GB"), name("XK"), name("001"), name("")), ("United Kingdom", "Kosovo", "", ""));
    }
}
