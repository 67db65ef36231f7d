//! A notice as receivers read it. What the store keeps is another type: there times are numbers.

use ringpost_model::{DeliveryId, Notice, NoticeId, SessionId, TenantId, TenantKey, Timestamp, TriggerId};
use serde::{Serialize, Serializer};

/// The value of key `notice`. Times are RFC 3339 in UTC: a notice is about a system, which has no zone.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NoticePayload<'a> {
    id: NoticeId,
    event: &'static str,
    #[serde(serialize_with = "utc")]
    at: Timestamp,
    tenant: &'a TenantKey,
    tenant_id: TenantId,
    trigger_id: TriggerId,
    trigger_name: &'a str,
    url: &'a str,
    reason: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    delivery: Option<DeliveryId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<SessionId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempts: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "utc_if_any")]
    since: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    owed: Option<u64>,
}

impl<'a> NoticePayload<'a> {
    /// Takes it apart field by field, so that one that is added is not forgotten here.
    pub(super) fn of(notice: &'a Notice) -> Self {
        let Notice {
            v: _,
            id,
            event,
            at,
            tenant,
            tenant_id,
            trigger_id,
            trigger_name,
            url,
            reason,
            delivery,
            session,
            attempts,
            since,
            owed,
        } = notice;
        Self {
            id: *id,
            event: event.name(),
            at: *at,
            tenant,
            tenant_id: *tenant_id,
            trigger_id: *trigger_id,
            trigger_name,
            url,
            reason,
            delivery: *delivery,
            session: *session,
            attempts: *attempts,
            since: *since,
            owed: *owed,
        }
    }
}

fn utc<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(time)
}

fn utc_if_any<S: Serializer>(time: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => utc(time, serializer),
        None => serializer.serialize_none(),
    }
}
