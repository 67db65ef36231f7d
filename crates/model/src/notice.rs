//! What the system tells about itself: a delivery given up, a receiver down or back, a trigger switched off
//! (triggers-and-delivery.md 5, Telling people). It can fire triggers and be sent as mail.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    Delivery, DeliveryId, EventName, SessionId, TenantId, TenantKey, Text, Timestamp, Trigger, TriggerId,
};

/// Namespace of the ids of notices.
const NOTICE_NAMESPACE: Uuid = Uuid::from_u128(0x6a0e_3c57_11de_5b8e_9d42_7f31_c8a4_0b16);

/// The same after a crash, so that one thing is told once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NoticeId(pub Uuid);

impl NoticeId {
    /// UUID v5 of what is told, of which trigger, and about what: a delivery, or a time in microseconds.
    pub fn of(event: EventName, trigger: TriggerId, about: &str) -> Self {
        let name = format!("{} {trigger} {about}", event.name());
        Self(Uuid::new_v5(&NOTICE_NAMESPACE, name.as_bytes()))
    }
}

impl std::fmt::Display for NoticeId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// One notice, format 1: kept by the store, and sent as it is (key `notice` of the payload).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Notice {
    /// Format, always 1.
    pub v: u8,
    /// See [`NoticeId::of`].
    pub id: NoticeId,
    /// What is told.
    pub event: EventName,
    /// When it happened.
    pub at: Timestamp,
    /// Whose trigger it is about.
    pub tenant: TenantKey,
    /// The same tenant.
    pub tenant_id: TenantId,
    /// Which trigger it is about.
    pub trigger_id: TriggerId,
    /// Its name, for people.
    pub trigger_name: Text,
    /// Its URL, as it may be shown: origin and first path segment.
    pub url: Text,
    /// Why, for people.
    pub reason: Text,
    /// `delivery.exhausted`: which delivery.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<DeliveryId>,
    /// `delivery.exhausted`: about which call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    /// `delivery.exhausted`: requests made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u32>,
    /// `trigger.failing`, `trigger.recovered`: since when the receiver is, or was, down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// `trigger.failing`, `trigger.recovered`: deliveries that wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owed: Option<u64>,
}

impl Delivery {
    /// The delivery of a notice to a trigger. It is about no call: `session` is the notice's own id, `rev` is 0.
    pub fn of_notice(notice: &Notice, owner: TenantId, trigger: &Trigger, version: u64) -> Self {
        let session = SessionId(notice.id.0);
        Self {
            id: DeliveryId::of_record(trigger.id, session, 0),
            owner,
            tenant_id: notice.tenant_id,
            tenant: notice.tenant.clone(),
            trigger: trigger.id,
            trigger_version: version,
            session,
            rev: 0,
            matches: true,
        }
    }

    /// It tells a notice, and no call.
    pub fn is_notice(&self) -> bool {
        self.rev == 0
    }
}
