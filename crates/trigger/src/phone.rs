//! Phone numbers in two forms: as compared whole (E.164 where valid), and as searched for parts (without what people
//! put between digits).

use std::borrow::Cow;
use std::sync::LazyLock;

use ringpost_numbers::{Region, normalise};

/// A number in international form reads the same in every region; this one only has to exist.
static ANYWHERE: LazyLock<Option<Region>> = LazyLock::new(|| Region::new("GB").ok());

/// The number in E.164, where `text` is a valid one in the region. Without a region only international ones are.
pub(crate) fn e164(text: &str, region: Option<Region>) -> Option<Box<str>> {
    let is_international = || text.trim_start().starts_with(['+', '\u{ff0b}']);
    let region = region.or_else(|| ANYWHERE.filter(|_| is_international()))?;
    normalise(text, region).map(|number| number.as_str().into())
}

/// A dialled text, or a part of one, without separators: `0161 496-00` is `016149600`. A text with anything else in
/// it than digits, `+`, `*`, `#` and separators is a name, and stays as it is.
pub(crate) fn without_separators(text: &str) -> Cow<'_, str> {
    let is_separator = |char: char| matches!(char, ' ' | '\u{a0}' | '\t' | '-' | '.' | '(' | ')' | '/');
    let is_dialled = |char: char| char.is_ascii_digit() || matches!(char, '+' | '*' | '#');
    let is_number =
        text.chars().all(|char| is_dialled(char) || is_separator(char)) && text.contains(is_dialled);
    if is_number && text.contains(is_separator) {
        Cow::Owned(text.chars().filter(|char| is_dialled(*char)).collect())
    } else {
        Cow::Borrowed(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_read_in_the_region_of_the_tenant() {
        let region = Region::new("GB").ok();
        assert_eq!(e164("0161 496 0000", region).as_deref(), Some("+441614960000"));
        assert_eq!(e164("302", region), None);
    }

    #[test]
    fn without_a_region_only_an_international_number_is_read() {
        assert_eq!(e164("+44 161 496 0000", None).as_deref(), Some("+441614960000"));
        assert_eq!(e164("0161 496 0000", None), None);
    }

    #[test]
    fn separators_go_from_numbers_and_stay_in_names() {
        for (text, expected) in
            [("0161 (496)-0", "01614960"), ("*98.1", "*981"), ("user_a-b", "user_a-b"), ("-", "-"), ("", "")]
        {
            assert_eq!(without_separators(text), expected);
        }
    }
}
