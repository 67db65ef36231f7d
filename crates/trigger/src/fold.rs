//! Unicode simple case folding: one character to one character, so that parts of a text fold as the text does.

use std::borrow::Cow;

/// The folded text. Most texts of calls are digits or lower case already and are not copied.
pub(crate) fn fold(text: &str) -> Cow<'_, str> {
    let is_folded = |byte: u8| byte.is_ascii() && !byte.is_ascii_uppercase();
    if text.bytes().all(is_folded) {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(text.chars().map(fold_char).collect())
    }
}

/// The folded character.
pub(crate) fn fold_char(char: char) -> char {
    if char.is_ascii() {
        return char.to_ascii_lowercase();
    }
    let folded = unicode_case_mapping::case_folded(char).and_then(|code| char::from_u32(code.get()));
    folded.unwrap_or(char)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_that_users_take_for_equal_are_equal() {
        for (one, other) in [("ÉCOLE", "école"), ("ΣΊΣΥΦΟΣ", "σίσυφος"), ("ẞ", "ß"), ("K", "k"), ("ſ", "S")]
        {
            assert_eq!(fold(one), fold(other));
        }
    }

    #[test]
    fn simple_folding_makes_no_letter_two_letters() {
        assert_ne!(fold("straße"), fold("STRASSE"));
        assert_ne!(fold("İ"), fold("i"), "the Turkish dotted I has no simple folding");
    }

    #[test]
    fn folding_twice_is_folding_once() {
        for char in '\0'..=char::MAX {
            assert_eq!(fold_char(fold_char(char)), fold_char(char), "{char:?}");
        }
    }
}
