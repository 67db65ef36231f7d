//! Bytes of a file to text: spreadsheets write UTF-8, UTF-16 with a mark, or what Windows has always written.

use std::borrow::Cow;

use encoding_rs::{UTF_8, WINDOWS_1252};

/// How the letters were written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// UTF-8, with or without a mark.
    Utf8,
    /// UTF-16, by its mark.
    Utf16,
    /// What is no UTF-8.
    Windows1252,
}

/// The text, and how it was written. Every file is some text; what cannot be one letter becomes U+FFFD.
pub fn decoded(bytes: &[u8]) -> (Cow<'_, str>, Encoding) {
    if let Some((encoding, mark)) = encoding_rs::Encoding::for_bom(bytes) {
        let rest = bytes.get(mark..).unwrap_or_default();
        let (text, _) = encoding.decode_without_bom_handling(rest);
        return (text, if encoding == UTF_8 { Encoding::Utf8 } else { Encoding::Utf16 });
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => (Cow::Borrowed(text), Encoding::Utf8),
        Err(_) => (WINDOWS_1252.decode_without_bom_handling(bytes).0, Encoding::Windows1252),
    }
}
