//! Who is told what, and that nobody is told in circles.

use std::time::Duration;

use ringpost_model::{DeliveryId, SessionId, Tenant};
use ringpost_store::{Change, Error, StoredTrigger};
use uuid::Uuid;

use super::*;
use crate::trigger_cache::{TriggerCache, TriggerSource};

const NOW: Timestamp = Timestamp::from_micros(1_773_133_200_000_000);

fn key(text: &str) -> TenantKey {
    TenantKey::new(text).unwrap()
}

fn tenant_id(name: &str) -> TenantId {
    TenantId(Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()))
}

fn trigger(name: &str, more: &str) -> Trigger {
    let id = Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes());
    let json =
        format!(r#"{{"id":"{id}","name":"{name}","url":"https://a.example/catch/s3cret?key=s3cret"{more}}}"#);
    serde_json::from_str(&json).unwrap()
}

fn about<'a>(tenant: &'a TenantKey, trigger: &'a Trigger) -> About<'a> {
    About { tenant, tenant_id: tenant_id(tenant.as_str()), trigger }
}

/// A reseller, its customer `acme`, and the triggers of each.
struct World(Vec<(&'static str, Trigger)>);

impl TriggerSource for World {
    async fn load(&self, owner: &TenantKey) -> Result<Vec<StoredTrigger>, Error> {
        let own = self.0.iter().filter(|(tenant, _)| *tenant == owner.as_str());
        let stored = own.map(|(_, trigger)| StoredTrigger {
            tenant: owner.clone(),
            version: 4,
            trigger: trigger.clone(),
            created: NOW,
            changed: NOW,
        });
        Ok(stored.collect())
    }

    async fn tree(&self) -> Result<Vec<Tenant>, Error> {
        let tenant = |name: &str, parent: Option<&str>| Tenant {
            parent: parent.map(key),
            region: "GB".into(),
            thresholds: Default::default(),
            ..Tenant::new(tenant_id(name), key(name))
        };
        Ok(vec![tenant("reseller", None), tenant("acme", Some("reseller"))])
    }

    async fn changes_since(&self, _: u64) -> Result<Vec<Change>, Error> {
        Ok(Vec::new())
    }
}

/// Names of the triggers that are told of a notice about a trigger of `acme`.
async fn told(triggers: Vec<(&'static str, Trigger)>, notice: &Notice) -> String {
    let cache = TriggerCache::new(World(triggers), Duration::from_secs(600));
    let applicable = cache.lookup(&key("acme")).await.unwrap();
    let fired = fire(notice, &applicable);
    for (delivery, trigger) in &fired {
        assert_eq!(delivery.trigger, trigger.id);
        assert_eq!((delivery.tenant.as_str(), delivery.trigger_version), ("acme", 4));
        assert!(delivery.is_notice());
    }
    fired.iter().map(|(_, trigger)| &*trigger.name).collect::<Vec<_>>().join(" ")
}

const FAILING: &str = r#","event":"trigger.failing""#;
const DISABLED: &str = r#","event":"trigger.disabled""#;
const FROM_ABOVE: &str = r#","event":"trigger.failing","includeSubaccounts":true"#;

fn down(trigger: &Trigger) -> Notice {
    about(&key("acme"), trigger).failing(Down { since: NOW, owed: 3 }, "answered 503", NOW)
}

fn delivery(rev: u32) -> Delivery {
    let session = SessionId(Uuid::from_u128(0xc0));
    let trigger = trigger("crm", "");
    Delivery {
        id: DeliveryId::of_record(trigger.id, session, rev),
        owner: tenant_id("acme"),
        tenant_id: tenant_id("acme"),
        tenant: key("acme"),
        trigger: trigger.id,
        trigger_version: 1,
        session,
        rev,
        matches: true,
    }
}

#[tokio::test]
async fn the_owner_and_the_reseller_are_told_that_a_receiver_is_down() {
    let crm = trigger("crm", "");
    let world = || {
        vec![
            ("acme", crm.clone()),
            ("acme", trigger("pager", FAILING)),
            ("acme", trigger("disabled only", DISABLED)),
            ("reseller", trigger("desk", FROM_ABOVE)),
            ("reseller", trigger("own only", FAILING)),
        ]
    };
    assert_eq!(told(world(), &down(&crm)).await, "pager desk");
    let off = about(&key("acme"), &crm).disabled(7, "the receiver is gone: 410", NOW);
    assert_eq!(told(world(), &off).await, "disabled only");
}

#[tokio::test]
async fn a_trigger_is_not_told_of_itself() {
    let pager = trigger("pager", DISABLED);
    let notice = about(&key("acme"), &pager).disabled(7, "gone", NOW);
    let world = vec![("acme", pager), ("acme", trigger("second", DISABLED))];
    assert_eq!(told(world, &notice).await, "second");
}

#[tokio::test]
async fn two_broken_receivers_of_notices_do_not_keep_each_other_busy() {
    let (one, two) = (trigger("one", FAILING), trigger("two", FAILING));
    let world = || vec![("acme", one.clone()), ("acme", two.clone())];
    assert_eq!(told(world(), &down(&one)).await, "");
    let back = about(&key("acme"), &two).recovered(Down { since: NOW, owed: 0 }, NOW);
    assert_eq!(told(world(), &back).await, "");
}

#[test]
fn a_notice_that_cannot_be_delivered_makes_no_further_notice() {
    let crm = trigger("crm", "");
    let acme = key("acme");
    assert_eq!(about(&acme, &crm).exhausted(&delivery(0), 2, "answered 503", NOW), None);
    let notice = about(&acme, &crm).exhausted(&delivery(1), 2, "answered 503", NOW).unwrap();
    assert_eq!(notice.attempts, Some(2));
}

#[test]
fn what_is_told_twice_after_a_crash_has_one_id() {
    let (acme, crm, other) = (key("acme"), trigger("crm", ""), trigger("other", ""));
    let of = |trigger| about(&acme, trigger);
    let later = NOW.plus_micros(60_000_000);
    let down = Down { since: NOW, owed: 3 };
    let again = Down { since: NOW, owed: 9 };
    assert_eq!(of(&crm).failing(down, "a", NOW).id, of(&crm).failing(again, "b", later).id);
    assert_ne!(of(&crm).failing(down, "a", NOW).id, of(&other).failing(down, "a", NOW).id);
    assert_ne!(of(&crm).failing(down, "a", NOW).id, of(&crm).recovered(down, NOW).id);
    let next = Down { since: later, ..down };
    assert_ne!(of(&crm).failing(down, "a", NOW).id, of(&crm).failing(next, "a", NOW).id);
    assert_eq!(of(&crm).disabled(7, "a", NOW).id, of(&crm).disabled(7, "a", later).id);
    let given_up = |rev| of(&crm).exhausted(&delivery(rev), 1, "a", NOW).unwrap().id;
    assert_eq!(given_up(1), given_up(1));
    assert_ne!(given_up(1), given_up(2));
}

#[test]
fn no_secret_and_no_page_of_text_gets_into_a_notice() {
    let (acme, crm) = (key("acme"), trigger("crm", ""));
    let reason = format!("answered 503\r\nBcc: {}\u{0}", "é".repeat(1_000));
    let notice = about(&acme, &crm).disabled(7, &reason, NOW);
    assert_eq!(&*notice.url, "https://a.example/catch/…");
    assert!(!serde_json::to_string(&notice).unwrap().contains("s3cret"));
    assert!(notice.reason.starts_with("answered 503 Bcc: ééé"));
    assert_eq!(notice.reason.chars().count(), REASON_CHARACTERS + 1);
}

#[test]
fn a_notice_is_kept_as_it_was_made() {
    let (acme, crm) = (key("acme"), trigger("crm", ""));
    let made = about(&acme, &crm).exhausted(&delivery(1), 2, "answered 503", NOW).unwrap();
    let kept = serde_json::to_string(&made).unwrap();
    assert_eq!(serde_json::from_str::<Notice>(&kept).unwrap(), made);
}
