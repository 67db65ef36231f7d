//! The keys of format 1, and sets of them.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Visitor};

macro_rules! keys {
    ($($name:ident $text:literal),+ $(,)?) => {
        /// A key, at any level.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Key {
            $($name,)+
            Unknown,
        }

        impl Key {
            fn of(text: &str) -> Self {
                match text {
                    $($text => Self::$name,)+
                    _ => Self::Unknown,
                }
            }
        }
    };
}

keys! {
    V "v", Kind "kind", Tenant "tenant", Pbx "pbx", Leg "leg", Links "links", Rev "rev", Event "event", At "at",
    Direction "direction", Side "side", Service "service", Number "number", Name "name", Dialled "dialled",
    Presented "presented", Ddi "ddi", Device "device", User "user", Agent "agent", Group "group", Route "route",
    Created "created", Ringing "ringing", Answered "answered", Ended "ended", Cause "cause", Sip "sip",
    Bridges "bridges", Holds "holds", Parks "parks", Services "services", Recordings "recordings", Tags "tags",
    Rating "rating", Tz "tz", With "with", Slot "slot", Outcome "outcome", From "from", To "to", Id "id",
    Cost "cost", Band "band", Currency "currency",
}

/// A set of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Keys(u64);

impl Keys {
    pub(super) const fn of(keys: &[Key]) -> Self {
        let (mut bits, mut at) = (0, 0);
        while at < keys.len() {
            bits |= 1 << keys[at] as u64;
            at += 1;
        }
        Self(bits)
    }

    pub(super) const fn has(self, key: Key) -> bool {
        self.0 & (1 << key as u64) != 0
    }

    /// True if it was not there before.
    pub(super) const fn insert(&mut self, key: Key) -> bool {
        let is_new = !self.has(key);
        self.0 |= 1 << key as u64;
        is_new
    }

    /// How many keys both have.
    pub(super) fn shared(self, other: Self) -> u64 {
        u64::from((self.0 & other.0).count_ones())
    }

    pub(super) const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_identifier(KeyVisitor)
    }
}

struct KeyVisitor;

impl Visitor<'_> for KeyVisitor {
    type Value = Key;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, text: &str) -> Result<Key, E> {
        Ok(Key::of(text))
    }
}
