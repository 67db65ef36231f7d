//! Tenants and switches as configured (architecture.md, Tenants and switches).

use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use crate::{Dialect, PbxKey, SideRules, TenantId, TenantKey, Text};

/// Whose calls they are: a node of the reseller tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tenant {
    /// As switches write it.
    pub key: TenantKey,
    /// As payloads write it.
    pub id: TenantId,
    /// For people.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub name: Text,
    /// The reseller above; none = a root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<TenantKey>,
    /// Zone of its records where neither leg nor pbx says; none = UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<Tz>,
    /// ISO 3166 alpha-2, in which its numbers are read; empty = numbers stay as received.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub region: Text,
    /// What counts as short.
    #[serde(default)]
    pub thresholds: Thresholds,
    /// How much it may use.
    #[serde(default, skip_serializing_if = "Limits::is_none")]
    pub limits: Limits,
}

/// How much of the process one tenant may use, so that none harms another. None = as configured for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Limits {
    /// Calls that are not over, at one time (architecture.md, The log).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_live: Option<u32>,
}

impl Limits {
    /// Nothing is limited for this tenant alone.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

impl Tenant {
    /// One of which nothing else is configured.
    pub fn new(id: TenantId, key: TenantKey) -> Self {
        Self {
            key,
            id,
            name: Text::default(),
            parent: None,
            zone: None,
            region: Text::default(),
            thresholds: Thresholds::default(),
            limits: Limits::default(),
        }
    }
}

/// Borders of the flags `aban` and `short` (sessions.md 4.1), in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Thresholds {
    /// A lost call that rang less is `aban`.
    pub short_ring: u32,
    /// An answered call with less talk is `short`.
    pub short_talk: u32,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self { short_ring: 5, short_talk: 10 }
    }
}

/// A communications platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Pbx {
    /// As legs and paths write it.
    pub key: PbxKey,
    /// Printed as `pbxId` when given; else the key is.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub guid: Text,
    /// Printed as `pbxName`.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub name: Text,
    /// Its one tenant; none = it serves several, and each leg names its own (`multi`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<TenantKey>,
    /// Zone of its records where no leg says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<Tz>,
    /// Region in which its numbers are read, before the tenant's.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub region: Text,
    /// What it speaks.
    #[serde(default)]
    pub dialect: Dialect,
    /// The environment it belongs to (live-events.md).
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub environment: Text,
    /// Who is behind a carrier, where its messages do not say.
    #[serde(default, skip_serializing_if = "SideRules::is_stock")]
    pub sides: SideRules,
}
