//! A delivery that was tried once, and is owed.

use ringpost_model::{Delivery, DeliveryId, LaneId, SessionId, TenantId, TenantKey, Timestamp, TriggerId};
use ringpost_store::Debt;

/// Who owes it, to whom, about what, since when.
pub(crate) struct Owed<'a> {
    pub(crate) owner: TenantId,
    pub(crate) tenant: &'a TenantKey,
    pub(crate) trigger: TriggerId,
    pub(crate) lane: LaneId,
    pub(crate) session: SessionId,
    pub(crate) at: Timestamp,
}

impl Owed<'_> {
    pub(crate) fn debt(&self) -> Debt {
        let Self { owner, tenant, trigger, lane, session, at } = *self;
        let delivery = Delivery {
            id: DeliveryId::of_record(trigger, session, 1),
            owner,
            tenant_id: owner,
            tenant: tenant.clone(),
            trigger,
            trigger_version: 1,
            session,
            rev: 1,
            matches: true,
        };
        Debt {
            delivery,
            lane,
            due: at,
            attempts: 1,
            tries: 1,
            queued: at,
            first_try: Some(at),
            reason: "answered 503".into(),
            leased_until: None,
        }
    }
}
