//! Why an element was rejected: what a person reads in the dead letters, with the key and, where there is one, a remedy.

use ringpost_model::InvalidTime;

/// Why an element is no record. None of them goes away by sending it again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// The bytes are no JSON.
    #[error("not JSON: {0}")]
    NotJson(String),
    /// Too large to be looked at.
    #[error("{length} bytes, at most {limit} are read")]
    TooLarge {
        /// Its whole length.
        length: u64,
        /// The most that is read.
        limit: u64,
    },
    /// Nested too deeply.
    #[error("more than 64 nested levels")]
    TooDeep,
    /// JSON, but no object.
    #[error("expected an object, got {0}")]
    NotAnObject(&'static str),
    /// A key without which there is no record.
    #[error("{path}: missing{remedy}")]
    Missing {
        /// The key, with the way to it.
        path: String,
        /// What to do about it, from `; ` on; may be empty.
        remedy: &'static str,
    },
    /// A value of another type.
    #[error("{path}: expected {expected}, got {got}")]
    WrongType {
        /// The key, with the way to it.
        path: String,
        /// The type that it has.
        expected: &'static str,
        /// The type that came.
        got: &'static str,
    },
    /// A value of the right type that is none of those allowed.
    #[error("{path}: {got:?} is none of {known}")]
    UnknownValue {
        /// The key, with the way to it.
        path: String,
        /// What came, shortened.
        got: String,
        /// What is allowed.
        known: &'static str,
    },
    /// A text or number that breaks a rule.
    #[error("{path}: {rule}, got {got}")]
    Invalid {
        /// The key, with the way to it.
        path: String,
        /// What is allowed.
        rule: &'static str,
        /// What came, shortened.
        got: String,
    },
    /// A time that is none, or not of our days.
    #[error("{path}: {error}")]
    Time {
        /// The key, with the way to it.
        path: String,
        /// What is wrong with it.
        error: InvalidTime,
    },
    /// A leg about which no time is known.
    #[error("no time: a leg record needs at least one, e.g. created, ended or at")]
    NoTime,
    /// JSON, but not what this dialect's switch writes.
    #[error("not a document of {switch}: {why}")]
    NotOfDialect {
        /// Who would have written it.
        switch: &'static str,
        /// What is missing or strange.
        why: &'static str,
    },
    /// A form or an encoding around the document that cannot be undone.
    #[error("cannot unwrap the body: {0}")]
    Wrapping(&'static str),
}

impl Reason {
    /// A text that stands where a tenant is told, and is none.
    pub(crate) fn no_tenant(path: &str, text: &str) -> Self {
        Self::Invalid {
            path: path.to_owned(),
            rule: "a tenant is 1 to 64 of A-Z a-z 0-9 . _ -",
            got: format!("{:?}", clip(text)),
        }
    }

    /// A short word for counting; there are few, and they stay.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotJson(_) | Self::Wrapping(_) => "not_json",
            Self::TooLarge { .. } => "too_large",
            Self::TooDeep => "too_deep",
            Self::NotAnObject(_) => "not_an_object",
            Self::Missing { .. } => "missing_key",
            Self::WrongType { .. } => "wrong_type",
            Self::UnknownValue { .. } => "unknown_value",
            Self::Invalid { .. } => "invalid_value",
            Self::Time { .. } => "bad_time",
            Self::NoTime => "no_time",
            Self::NotOfDialect { .. } => "wrong_dialect",
        }
    }

    pub(crate) fn missing(path: &str) -> Self {
        Self::Missing { path: path.to_owned(), remedy: "" }
    }

    /// Puts an outer key or index before the way to the value.
    pub(crate) fn inside(mut self, outer: &str) -> Self {
        if let Self::Missing { path, .. }
        | Self::WrongType { path, .. }
        | Self::UnknownValue { path, .. }
        | Self::Invalid { path, .. }
        | Self::Time { path, .. } = &mut self
        {
            let needs_dot = !path.is_empty() && !path.starts_with('[');
            let dot = if needs_dot { "." } else { "" };
            *path = format!("{outer}{dot}{path}");
        }
        self
    }
}

/// A rejected value is shown, but a hostile one does not fill the log.
pub(crate) fn clip(text: &str) -> String {
    text.chars().take(64).collect()
}
