//! Identifiers. A key is what a person or a switch writes; an id is made by us and is a UUID.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use uuid::Uuid;

/// Namespace of session ids (sessions.md 2).
const SESSION_NAMESPACE: Uuid = Uuid::from_u128(0x6f1cf5a2_6d0c_5a52_9d3e_6b1f0f3a7d11);

/// Longest tenant or pbx key, in bytes (sessions.md 1).
const KEY_BYTES: usize = 64;
/// Longest leg id, in bytes (sessions.md 1).
const LEG_ID_BYTES: usize = 256;

/// Why a text is no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} must be {rule}, got {got:?}")]
pub struct InvalidKey {
    what: &'static str,
    rule: &'static str,
    got: String,
}

macro_rules! key {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Box<str>);

        impl $name {
            /// Checks the key: 1–64 of `A-Z a-z 0-9 . _ -` (sessions.md 1).
            ///
            /// # Errors
            /// Anything else, with the rule in the message.
            pub fn new(text: &str) -> Result<Self, InvalidKey> {
                let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
                if text.is_empty() || text.len() > KEY_BYTES || !text.bytes().all(allowed) {
                    let rule = "1 to 64 of A-Z a-z 0-9 . _ -";
                    return Err(InvalidKey { what: $what, rule, got: clip(text) });
                }
                Ok(Self(text.into()))
            }

            /// The key as written.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        text_id!($name);
    };
}

macro_rules! text_id {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = InvalidKey;

            fn from_str(text: &str) -> Result<Self, InvalidKey> {
                Self::new(text)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                Self::new(&text).map_err(de::Error::custom)
            }
        }
    };
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, uuid::Error> {
                text.parse().map(Self)
            }
        }
    };
}

key! {
    /// Whose call it is, as switches write it.
    TenantKey, "tenant"
}
key! {
    /// Which communications platform, as switches write it.
    PbxKey, "pbx"
}

/// One leg of one pbx: 1–256 bytes, unique within the pbx.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LegId(Box<str>);

impl LegId {
    /// Checks the length.
    ///
    /// # Errors
    /// An empty id, or one over 256 bytes.
    pub fn new(text: &str) -> Result<Self, InvalidKey> {
        if text.is_empty() || text.len() > LEG_ID_BYTES {
            return Err(InvalidKey { what: "leg", rule: "1 to 256 bytes", got: clip(text) });
        }
        Ok(Self(text.into()))
    }

    /// The id as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

text_id!(LegId);

uuid_id! {
    /// One call. A function of its root leg, so that every process gives the same (sessions.md 2).
    SessionId
}
uuid_id! {
    /// A tenant in payloads and in the store.
    TenantId
}
uuid_id! {
    /// A trigger; stands at the end of its page's URL.
    TriggerId
}
uuid_id! {
    /// One request to a receiver, UUIDv7 made when the request starts.
    AttemptId
}

impl SessionId {
    /// The id of the session whose root is `root`.
    pub fn of_root(tenant: &TenantKey, pbx: &PbxKey, root: &LegId) -> Self {
        let mut name = Vec::with_capacity(tenant.0.len() + pbx.0.len() + root.0.len() + 2);
        name.extend_from_slice(tenant.0.as_bytes());
        name.push(0x1f);
        name.extend_from_slice(pbx.0.as_bytes());
        name.push(0x1f);
        name.extend_from_slice(root.0.as_bytes());
        Self(Uuid::new_v5(&SESSION_NAMESPACE, &name))
    }
}

/// A rejected text is shown, but a hostile one does not fill the log.
fn clip(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_id_is_that_of_the_worked_case() {
        let tenant = TenantKey::new("acme").unwrap();
        let pbx = PbxKey::new("k1").unwrap();
        let root = LegId::new("x").unwrap();
        let id = SessionId::of_root(&tenant, &pbx, &root);
        assert_eq!(id.to_string(), "d53d471f-7412-590d-be38-a3e1b99655e3");
    }

    #[test]
    fn keys_refuse_what_could_break_a_topic_or_a_path() {
        assert!(TenantKey::new("acme.eu_1-x").is_ok());
        for bad in ["", "a b", "a/b", "é", &"x".repeat(65)] {
            assert!(TenantKey::new(bad).is_err(), "{bad:?}");
        }
    }
}
