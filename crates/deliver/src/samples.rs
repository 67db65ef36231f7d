//! What tests deliver: the call of seed 002, a trigger, a delivery of it.

use std::sync::{Arc, LazyLock};

use ringpost_model::{
    Cdr, Delivery, DeliveryId, EventName, Notice, NoticeId, SessionId, TenantId, TenantKey, Timestamp,
    Trigger, TriggerId,
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::content::Content;
use crate::job::Job;
use crate::ready::ReadyTrigger;
use crate::schedule::Tries;

static CDR: LazyLock<Arc<Cdr>> =
    LazyLock::new(|| Arc::new(serde_json::from_str(include_str!("samples/cdr.json")).unwrap()));

/// The call of seed 002, with what a form finds hard: exact decimals, plus signs, quotes, other scripts.
pub(crate) fn cdr() -> Cdr {
    (**CDR).clone()
}

/// A trigger with these keys beside the required ones.
pub(crate) fn trigger(url: &str, keys: Value) -> Trigger {
    let mut document = json!({
        "id": "11111111-1111-4111-8111-111111111111",
        "name": "CRM",
        "url": url,
    });
    for (key, value) in keys.as_object().unwrap() {
        document[key] = value.clone();
    }
    // Through text, because a filter's value is kept as written.
    serde_json::from_str(&document.to_string()).unwrap()
}

/// The first revision of session `session`, for the sample trigger.
pub(crate) fn delivery_of(session: u128) -> Delivery {
    let trigger = TriggerId(Uuid::from_u128(0x1111_1111_1111_4111_8111_1111_1111_1111));
    let session = SessionId(Uuid::from_u128(session));
    Delivery {
        id: DeliveryId::of_record(trigger, session, 1),
        owner: TenantId(Uuid::from_u128(0x0a)),
        tenant_id: TenantId(Uuid::from_u128(0x0b)),
        tenant: TenantKey::new("acme").unwrap(),
        trigger,
        trigger_version: 3,
        session,
        rev: 1,
        matches: true,
    }
}

pub(crate) fn delivery() -> Delivery {
    delivery_of(0xc0)
}

/// A first try for a trigger with these keys.
pub(crate) fn job(url: &str, keys: Value) -> Job {
    job_of(trigger(url, keys), delivery())
}

pub(crate) fn job_of(trigger: Trigger, delivery: Delivery) -> Job {
    let trigger = Arc::new(ReadyTrigger::new(delivery.owner, trigger));
    Job {
        delivery,
        version: trigger.clone(),
        trigger,
        content: Content::Record(CDR.clone()),
        attempt: 1,
        tries: Tries::NONE,
        queued: now(),
        owed: false,
        probe: false,
        last: false,
    }
}

/// 2026-03-10T09:00:00Z.
pub(crate) fn now() -> Timestamp {
    Timestamp::from_micros(1_773_133_200_000_000)
}

/// A delivery of a colleague's trigger was given up.
pub(crate) fn notice() -> Notice {
    let about = delivery();
    Notice {
        v: 1,
        id: NoticeId::of(EventName::DeliveryExhausted, about.trigger, &about.id.to_string()),
        event: EventName::DeliveryExhausted,
        at: now(),
        tenant: about.tenant,
        tenant_id: about.tenant_id,
        trigger_id: about.trigger,
        trigger_name: "CRM & \"Söhne\"".into(),
        url: "https://hooks.example/catch/…".into(),
        reason: "answered 503".into(),
        delivery: Some(about.id),
        session: Some(about.session),
        attempts: Some(2),
        since: None,
        owed: None,
    }
}

/// The delivery of the notice to the trigger that listens.
pub(crate) fn delivery_of_notice(notice: &Notice, listening: &Trigger) -> Delivery {
    Delivery::of_notice(notice, TenantId(Uuid::from_u128(0x0a)), listening, 7)
}
