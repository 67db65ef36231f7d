//! Which switch speaks: the name in configuration, paths and the command line.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A dialect that `ingest` reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dialect {
    /// Leg records, format 1 (sessions.md 1).
    #[default]
    Native,
    /// FreeSWITCH `mod_json_cdr` documents.
    FreeswitchCdr,
    /// FreeSWITCH's events, as JSON or as the event socket's text.
    FreeswitchEvent,
    /// Kazoo's call events and call detail records.
    Kazoo,
    /// Asterisk's channel event log, as CSV or JSON lines.
    AsteriskCel,
    /// Asterisk's call detail records, as CSV or JSON lines.
    AsteriskCdr,
}

impl Dialect {
    /// Every dialect, in the order of help texts.
    pub const ALL: [Self; 6] = [
        Self::Native,
        Self::FreeswitchCdr,
        Self::FreeswitchEvent,
        Self::Kazoo,
        Self::AsteriskCel,
        Self::AsteriskCdr,
    ];

    /// The name as written in configuration and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::FreeswitchCdr => "freeswitch-cdr",
            Self::FreeswitchEvent => "freeswitch-event",
            Self::Kazoo => "kazoo",
            Self::AsteriskCel => "asterisk-cel",
            Self::AsteriskCdr => "asterisk-cdr",
        }
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Dialect {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|dialect| dialect.name() == text);
        found.ok_or_else(|| {
            let known = Self::ALL.map(Self::name).join(", ");
            format!("unknown dialect {text:?}; known are {known}")
        })
    }
}
