//! A mistake in the configuration: where, what is wrong, what to write instead.

use std::fmt;

use super::document::Place;

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Where it stands.
    pub place: Place,
    /// Path of the key, e.g. `sessions.settle`; empty when the text itself cannot be read.
    pub key: String,
    /// What is wrong.
    pub wrong: String,
    /// What to write instead.
    pub instead: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.wrong)?;
        if self.instead.is_empty() { Ok(()) } else { write!(f, "; {}", self.instead) }
    }
}

/// What a value's reader found wrong; the place and key are added by who knows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wrong {
    pub(crate) wrong: String,
    pub(crate) instead: String,
}

impl Wrong {
    pub(crate) fn new(wrong: impl Into<String>, instead: impl Into<String>) -> Self {
        Self { wrong: wrong.into(), instead: instead.into() }
    }
}
