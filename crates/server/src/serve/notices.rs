//! What the system tells of itself (triggers-and-delivery.md 5, Telling people): notices are made here, and the
//! deliveries they lead to. Pure; dispatch calls it, the store keeps it, and [`mail`](super::mail) sends it to people.
//!
//! No chains: a delivery of a notice never makes a notice, no trigger is told of itself, and that a trigger fails
//! which is itself told of notices goes to people by mail only. Two broken receivers that are told of each other would
//! keep each other busy for ever.

use std::sync::Arc;

use ringpost_deliver::{ReadyTrigger, shown_text};
use ringpost_model::{Delivery, EventName, Notice, NoticeId, TenantId, TenantKey, Text, Timestamp, Trigger};

use crate::trigger_cache::Applicable;

/// Of a reason so many characters are told: a receiver writes part of it, and it goes into URLs and mails.
const REASON_CHARACTERS: usize = 300;

/// Which trigger a notice is about, and whose it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct About<'a> {
    /// The trigger's owner.
    pub(crate) tenant: &'a TenantKey,
    /// The same tenant.
    pub(crate) tenant_id: TenantId,
    /// As it is now.
    pub(crate) trigger: &'a Trigger,
}

/// A receiver that is, or was, down.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Down {
    /// Since when.
    pub(crate) since: Timestamp,
    /// Deliveries of the trigger that wait.
    pub(crate) owed: u64,
}

impl About<'_> {
    /// A delivery was given up after so many requests. None where it was to tell a notice.
    pub(crate) fn exhausted(
        &self,
        delivery: &Delivery,
        attempts: u32,
        reason: &str,
        at: Timestamp,
    ) -> Option<Notice> {
        if delivery.is_notice() {
            return None;
        }
        let about = delivery.id.to_string();
        let notice = Notice {
            delivery: Some(delivery.id),
            session: Some(delivery.session),
            attempts: Some(attempts),
            ..self.notice(EventName::DeliveryExhausted, &about, reason, at)
        };
        Some(notice)
    }

    /// The trigger's receiver counts as down. `reason` is what its last try came to.
    pub(crate) fn failing(&self, down: Down, reason: &str, at: Timestamp) -> Notice {
        Notice {
            since: Some(down.since),
            owed: Some(down.owed),
            ..self.notice(EventName::TriggerFailing, &down.since.micros().to_string(), reason, at)
        }
    }

    /// It takes calls again.
    pub(crate) fn recovered(&self, down: Down, at: Timestamp) -> Notice {
        let about = down.since.micros().to_string();
        Notice {
            since: Some(down.since),
            owed: Some(down.owed),
            ..self.notice(EventName::TriggerRecovered, &about, "the receiver answers again", at)
        }
    }

    /// The system switched the trigger off, which made this version of it.
    pub(crate) fn disabled(&self, version: u64, reason: &str, at: Timestamp) -> Notice {
        self.notice(EventName::TriggerDisabled, &format!("version {version}"), reason, at)
    }

    fn notice(&self, event: EventName, about: &str, reason: &str, at: Timestamp) -> Notice {
        Notice {
            v: 1,
            id: NoticeId::of(event, self.trigger.id, about),
            event,
            at,
            tenant: self.tenant.clone(),
            tenant_id: self.tenant_id,
            trigger_id: self.trigger.id,
            trigger_name: self.trigger.name.clone(),
            url: shown_text(&self.trigger.url).into(),
            reason: short(reason),
            delivery: None,
            session: None,
            attempts: None,
            since: None,
            owed: None,
        }
    }
}

/// One line of bounded length.
fn short(reason: &str) -> Text {
    let words: Vec<&str> = reason.split(|c: char| c.is_whitespace() || c.is_control()).collect();
    let line = words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(REASON_CHARACTERS) {
        Some((end, _)) => format!("{}…", &line[..end]).into(),
        None => line.into(),
    }
}

/// The deliveries of a notice, to the triggers of its tenant and of those above it that listen.
pub(crate) fn fire(notice: &Notice, applicable: &Applicable) -> Vec<(Delivery, Arc<ReadyTrigger>)> {
    let repeats = matches!(notice.event, EventName::TriggerFailing | EventName::TriggerRecovered);
    if repeats && applicable.is_told_of_notices(notice.trigger_id) {
        return Vec::new();
    }
    let listening = applicable.listening(notice.event).into_iter();
    let others = listening.filter(|firing| firing.trigger.id != notice.trigger_id);
    let deliveries = others.map(|firing| {
        let delivery = Delivery::of_notice(notice, firing.owner, &firing.trigger, firing.version);
        (delivery, firing.trigger)
    });
    deliveries.collect()
}

#[cfg(test)]
mod tests;
