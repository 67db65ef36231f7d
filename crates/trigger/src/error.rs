//! One mistake in a trigger: where it is and what to write instead.

use std::fmt::{self, Write as _};

use serde::Serialize;

/// Longest part of the user's own text that a message repeats.
const SHOWN_CHARS: usize = 60;

/// One mistake in a trigger. There is one for each, and all are told at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{pointer}: {message}")]
pub struct FilterError {
    /// JSON pointer (RFC 6901) into the trigger, e.g. `/filters/2/value`.
    pub pointer: String,
    /// What is wrong and what to write instead.
    pub message: String,
}

/// A place in the trigger's document.
#[derive(Debug, Clone)]
pub(crate) struct Pointer(String);

impl Pointer {
    /// The document itself.
    pub(crate) fn root() -> Self {
        Self(String::new())
    }

    /// A member or an element below this place.
    pub(crate) fn at(&self, part: impl fmt::Display) -> Self {
        let part = part.to_string().replace('~', "~0").replace('/', "~1");
        Self(format!("{}/{part}", self.0))
    }

    /// The mistake at this place.
    pub(crate) fn error(&self, message: impl Into<String>) -> FilterError {
        FilterError { pointer: self.0.clone(), message: message.into() }
    }
}

/// The user's text as a message repeats it: quoted, escaped, never long.
pub(crate) fn shown(text: &str) -> String {
    let mut out = String::from("\"");
    for (index, char) in text.chars().enumerate() {
        if index == SHOWN_CHARS {
            out.push('…');
            break;
        }
        // Writing into a String cannot fail.
        _ = write!(out, "{}", char.escape_debug());
    }
    out.push('"');
    out
}

/// The user's JSON as a message repeats it: as written, on one line, never long.
pub(crate) fn clipped(json: &str) -> String {
    let one_line = |char: char| if char.is_control() { ' ' } else { char };
    let mut out: String = json.chars().take(SHOWN_CHARS).map(one_line).collect();
    if out.len() < json.len() {
        out.push('…');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_escapes_what_rfc_6901_reserves() {
        let error = Pointer::root().at("headers").at("a/b~c").error("x");
        assert_eq!(error.pointer, "/headers/a~1b~0c");
    }

    #[test]
    fn a_hostile_text_neither_fills_nor_breaks_the_message() {
        assert_eq!(shown("a\nb"), "\"a\\nb\"");
        assert_eq!(shown(&"x".repeat(1000)).chars().count(), SHOWN_CHARS + 3);
    }
}
