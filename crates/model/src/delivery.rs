//! A delivery: one revision of one record, for one trigger (triggers-and-delivery.md 3).

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{SessionId, TenantId, TenantKey, TriggerId};

/// Namespace of delivery ids: ours, so that no other generator meets it.
const DELIVERY_NAMESPACE: Uuid = Uuid::from_u128(0x2c9d6d0e_5c1b_5f0a_8f7e_4b6d1a0c3e55);

/// So many later revisions are looked for; a call is hardly ever corrected twice.
const LATER_REVISIONS: u32 = 8;

/// The same on every try and after every crash, so a receiver can drop repeats: header `webhook-id`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DeliveryId(pub Uuid);

impl DeliveryId {
    /// UUID v5 of trigger, session, revision.
    pub fn of_record(trigger: TriggerId, session: SessionId, rev: u32) -> Self {
        let mut name = [0; 36];
        name[..16].copy_from_slice(trigger.0.as_bytes());
        name[16..32].copy_from_slice(session.0.as_bytes());
        name[32..].copy_from_slice(&rev.to_be_bytes());
        Self(Uuid::new_v5(&DELIVERY_NAMESPACE, &name))
    }
}

impl std::fmt::Display for DeliveryId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::str::FromStr for DeliveryId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, uuid::Error> {
        text.parse().map(Self)
    }
}

/// What is to be delivered: a record's revision to a trigger, as the trigger was when it fired.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Delivery {
    /// See [`DeliveryId::of_record`].
    pub id: DeliveryId,
    /// Whose trigger it is: header `X-Account-ID`.
    pub owner: TenantId,
    /// The call's tenant: payload keys `id` and `tenantId`.
    pub tenant_id: TenantId,
    /// The call's tenant, as switches write it.
    pub tenant: TenantKey,
    /// Which trigger: payload key `triggerId`, header `X-Hook-ID`.
    pub trigger: TriggerId,
    /// Version of the trigger that renders the body on every try.
    pub trigger_version: u64,
    /// Which call.
    pub session: SessionId,
    /// Which revision of its record.
    pub rev: u32,
    /// False when a revision is told that no longer matches (`revisions: all`).
    pub matches: bool,
}

impl Delivery {
    /// The deliveries of later revisions, as far as anybody looks for them: after one of them this one must not come.
    /// None of a notice.
    pub fn later(&self) -> impl Iterator<Item = Self> {
        let first = if self.is_notice() { self.rev + LATER_REVISIONS } else { self.rev };
        (first + 1..=self.rev + LATER_REVISIONS).map(|rev| Self {
            id: DeliveryId::of_record(self.trigger, self.session, rev),
            rev,
            ..self.clone()
        })
    }
}
