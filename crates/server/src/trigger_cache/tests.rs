//! How soon a change of configuration is effective, and what happens while the store is away. Time is paused.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use ringpost_model::{Cdr, EventName, SessionId, TenantId, Timestamp, Trigger, TriggerId};
use ringpost_store::{Change, Config, Expect, Key, Keyring, StoredTrigger};
use uuid::Uuid;

use super::*;

const LIMIT: Duration = Duration::from_secs(600);
const SECOND: Duration = Duration::from_secs(1);

/// A store in memory that can be away, slow, or silent about changes.
#[derive(Default)]
struct Fake {
    state: Mutex<State>,
    away: AtomicBool,
    loads: AtomicUsize,
    trees: AtomicUsize,
    /// A read takes so many seconds; what it gives is what was there when it began.
    seconds: AtomicUsize,
}

#[derive(Default)]
struct State {
    tenants: HashMap<TenantKey, Tenant>,
    triggers: HashMap<TenantKey, Vec<Trigger>>,
    changes: Vec<Change>,
}

impl Fake {
    async fn read<T>(&self, read: impl FnOnce(&State) -> T) -> Result<T, Error> {
        let value = read(&self.state.lock().unwrap());
        let seconds = self.seconds.load(Ordering::Relaxed) as u64;
        if seconds > 0 {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
        }
        if self.away.load(Ordering::Relaxed) {
            Err(Error::Busy { what: "read, says the test" })
        } else {
            Ok(value)
        }
    }

    fn tell(state: &mut State, kind: Kind, tenant: &str) {
        let seq = state.changes.len() as u64 + 1;
        state.changes.push(Change { kind, tenant: Some(key(tenant)), seq });
    }

    /// Puts a tenant below another.
    fn tenant(&self, name: &str, parent: Option<&str>, region: &str) {
        let id = TenantId(Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()));
        let mut state = self.state.lock().unwrap();
        let tenant = Tenant {
            parent: parent.map(key),
            region: region.into(),
            thresholds: Default::default(),
            ..Tenant::new(id, key(name))
        };
        state.tenants.insert(key(name), tenant);
        Self::tell(&mut state, Kind::Tenant, name);
    }

    /// Gives a tenant exactly these triggers, in JSON beyond id, name and URL.
    fn triggers(&self, tenant: &str, triggers: &[(&str, &str)]) {
        let mut state = self.state.lock().unwrap();
        let triggers = triggers.iter().map(|(name, more)| trigger(name, more)).collect();
        state.triggers.insert(key(tenant), triggers);
        Self::tell(&mut state, Kind::Trigger, tenant);
    }
}

impl TriggerSource for Arc<Fake> {
    async fn load(&self, owner: &TenantKey) -> Result<Vec<StoredTrigger>, Error> {
        self.loads.fetch_add(1, Ordering::Relaxed);
        let triggers = self.read(|state| state.triggers.get(owner).cloned().unwrap_or_default()).await?;
        let stored = |trigger| StoredTrigger {
            tenant: owner.clone(),
            version: 3,
            trigger,
            created: Timestamp::default(),
            changed: Timestamp::default(),
        };
        Ok(triggers.into_iter().map(stored).collect())
    }

    async fn tree(&self) -> Result<Vec<Tenant>, Error> {
        self.trees.fetch_add(1, Ordering::Relaxed);
        self.read(|state| state.tenants.values().cloned().collect()).await
    }

    async fn changes_since(&self, seq: u64) -> Result<Vec<Change>, Error> {
        self.read(|state| state.changes.iter().filter(|change| change.seq > seq).cloned().collect()).await
    }
}

fn key(text: &str) -> TenantKey {
    TenantKey::new(text).unwrap()
}

fn trigger(name: &str, more: &str) -> Trigger {
    let id = Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes());
    let more = if more.is_empty() { String::new() } else { format!(",{more}") };
    let json = format!(r#"{{"id":"{id}","name":"{name}","url":"https://a.example/"{more}}}"#);
    serde_json::from_str(&json).unwrap()
}

/// A reseller, its customer `acme`, and another customer.
fn world() -> (Arc<Fake>, TriggerCache<Arc<Fake>>) {
    let fake = Arc::new(Fake::default());
    fake.tenant("reseller", None, "GB");
    fake.tenant("acme", Some("reseller"), "GB");
    fake.tenant("other", Some("reseller"), "GB");
    fake.triggers("acme", &[("one", "")]);
    (Arc::clone(&fake), TriggerCache::new(fake, LIMIT))
}

fn record() -> Cdr {
    let mut cdr = Cdr::empty(SessionId(Uuid::nil()));
    cdr.ddi.number = "+441614960000".into();
    cdr
}

/// Names of the triggers that fire for a call of the tenant.
async fn fires(cache: &TriggerCache<Arc<Fake>>, tenant: &str) -> Result<String, Stale> {
    let found = cache.lookup(&key(tenant)).await?.matching(&record());
    Ok(found.iter().map(|firing| &*firing.trigger.name).collect::<Vec<_>>().join(" "))
}

fn run(cache: &TriggerCache<Arc<Fake>>) -> CancellationToken {
    let stop = CancellationToken::new();
    tokio::spawn(cache.clone().run(SECOND, stop.clone()));
    stop
}

#[tokio::test(start_paused = true)]
async fn without_a_word_of_it_a_change_is_effective_after_ten_minutes_at_the_latest() {
    let (fake, cache) = world();
    assert_eq!(fires(&cache, "acme").await.unwrap(), "one");
    fake.triggers("acme", &[("two", "")]);
    tokio::time::advance(LIMIT - SECOND).await;
    assert_eq!(fires(&cache, "acme").await.unwrap(), "one");
    tokio::time::advance(SECOND).await;
    assert_eq!(fires(&cache, "acme").await.unwrap(), "two");
}

#[tokio::test(start_paused = true)]
async fn a_change_that_is_polled_is_effective_within_two_seconds() {
    let (fake, cache) = world();
    let _stop = run(&cache).drop_guard();
    for (name, expected) in [("two", "two"), ("three", "three")] {
        fires(&cache, "acme").await.unwrap();
        fake.triggers("acme", &[(name, "")]);
        tokio::time::sleep(2 * SECOND).await;
        assert_eq!(fires(&cache, "acme").await.unwrap(), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn an_edit_of_a_reseller_reaches_its_customers() {
    let (fake, cache) = world();
    let _stop = run(&cache).drop_guard();
    assert_eq!(fires(&cache, "acme").await.unwrap(), "one");
    fake.triggers("reseller", &[("all", r#""includeSubaccounts":true"#), ("own", "")]);
    tokio::time::sleep(2 * SECOND).await;
    assert_eq!(fires(&cache, "acme").await.unwrap(), "one all");
    assert_eq!(fires(&cache, "other").await.unwrap(), "all");
    assert_eq!(fires(&cache, "reseller").await.unwrap(), "all own");
}

#[tokio::test(start_paused = true)]
async fn a_customer_that_moves_takes_the_new_resellers_triggers() {
    let (fake, cache) = world();
    let _stop = run(&cache).drop_guard();
    fake.tenant("second", None, "GB");
    fake.triggers("second", &[("second", r#""includeSubaccounts":true"#)]);
    fake.triggers("reseller", &[("first", r#""includeSubaccounts":true"#)]);
    assert_eq!(fires(&cache, "acme").await.unwrap(), "one first");
    fake.tenant("acme", Some("second"), "GB");
    tokio::time::sleep(2 * SECOND).await;
    assert_eq!(fires(&cache, "acme").await.unwrap(), "one second");
}

#[tokio::test(start_paused = true)]
async fn numbers_are_read_in_the_region_that_the_owner_has_now() {
    let (fake, cache) = world();
    let _stop = run(&cache).drop_guard();
    fake.triggers("acme", &[("gb", r#""filters":[{"field":"ddiNum","op":"eq","value":"0161 496 0000"}]"#)]);
    assert_eq!(fires(&cache, "acme").await.unwrap(), "gb");
    fake.tenant("acme", None, "FR");
    tokio::time::sleep(2 * SECOND).await;
    assert_eq!(fires(&cache, "acme").await.unwrap(), "");
}

#[tokio::test(start_paused = true)]
async fn a_tenant_made_a_moment_ago_has_its_triggers_at_once() {
    let (fake, cache) = world();
    assert_eq!(fires(&cache, "acme").await.unwrap(), "one");
    tokio::time::advance(2 * SECOND).await;
    fake.tenant("new", Some("reseller"), "GB");
    fake.triggers("new", &[("first", "")]);
    assert_eq!(fires(&cache, "new").await.unwrap(), "first");
}

#[tokio::test(start_paused = true)]
async fn an_unknown_tenant_has_no_triggers_and_costs_one_look_a_second() {
    let (fake, cache) = world();
    for _ in 0..100 {
        assert_eq!(fires(&cache, "nobody").await.unwrap(), "");
    }
    assert_eq!(fake.trees.load(Ordering::Relaxed), 1);
    fake.away.store(true, Ordering::Relaxed);
    tokio::time::advance(5 * SECOND).await;
    assert!(fires(&cache, "nobody").await.is_err(), "it may have been made since, with triggers");
}

#[tokio::test(start_paused = true)]
async fn many_who_ask_at_once_cost_one_load() {
    let (fake, cache) = world();
    fake.seconds.store(3, Ordering::Relaxed);
    let asked: Vec<_> = (0..200)
        .map(|_| {
            let cache = cache.clone();
            tokio::spawn(async move { fires(&cache, "acme").await.unwrap() })
        })
        .collect();
    for asked in asked {
        assert_eq!(asked.await.unwrap(), "one");
    }
    // Of acme and of the reseller above it.
    assert_eq!((fake.loads.load(Ordering::Relaxed), fake.trees.load(Ordering::Relaxed)), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn that_there_is_no_trigger_is_kept_too() {
    let (fake, cache) = world();
    for _ in 0..100 {
        assert_eq!(fires(&cache, "other").await.unwrap(), "");
    }
    assert_eq!(fake.loads.load(Ordering::Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn with_the_store_away_triggers_are_used_up_to_the_limit_and_not_a_second_longer() {
    let (fake, cache) = world();
    let _stop = run(&cache).drop_guard();
    assert_eq!(fires(&cache, "acme").await.unwrap(), "one");
    fake.away.store(true, Ordering::Relaxed);
    tokio::time::sleep(LIMIT - 2 * SECOND).await;
    assert_eq!(fires(&cache, "acme").await.unwrap(), "one");
    tokio::time::sleep(3 * SECOND).await;
    let stale = fires(&cache, "acme").await.unwrap_err();
    assert_eq!(stale.tenant, key("acme"));
    fake.away.store(false, Ordering::Relaxed);
    tokio::time::sleep(2 * SECOND).await;
    assert_eq!(fires(&cache, "acme").await.unwrap(), "one");
}

#[tokio::test(start_paused = true)]
async fn a_change_that_cannot_be_loaded_does_not_stop_the_calls_before_the_limit() {
    let (fake, cache) = world();
    assert_eq!(fires(&cache, "acme").await.unwrap(), "one");
    fake.triggers("acme", &[("two", "")]);
    cache.poll().await.unwrap();
    fake.away.store(true, Ordering::Relaxed);
    assert_eq!(fires(&cache, "acme").await.unwrap(), "one");
    fake.away.store(false, Ordering::Relaxed);
    tokio::time::advance(2 * SECOND).await;
    assert_eq!(fires(&cache, "acme").await.unwrap(), "two");
}

#[tokio::test(start_paused = true)]
async fn many_who_wait_for_a_store_that_is_away_do_not_ask_it_one_after_the_other() {
    let (fake, cache) = world();
    fake.away.store(true, Ordering::Relaxed);
    for _ in 0..100 {
        assert!(fires(&cache, "acme").await.is_err());
    }
    assert_eq!(fake.trees.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn an_edit_while_its_tenant_is_being_loaded_is_not_lost() {
    let (fake, cache) = world();
    fake.seconds.store(5, Ordering::Relaxed);
    let early = tokio::spawn({
        let cache = cache.clone();
        async move { fires(&cache, "acme").await.unwrap() }
    });
    // The tree has been read by now, and the triggers are being read.
    tokio::time::sleep(7 * SECOND).await;
    fake.triggers("acme", &[("two", "")]);
    cache.poll().await.unwrap();
    assert_eq!(early.await.unwrap(), "one", "it asked before the edit");
    assert_eq!(fires(&cache, "acme").await.unwrap(), "two");
}

#[tokio::test(start_paused = true)]
async fn only_what_can_fire_is_looked_up() {
    let (fake, cache) = world();
    fake.triggers(
        "acme",
        &[
            ("off", r#""enabled":false"#),
            ("paused", r#""paused":true"#),
            ("told", r#""event":"trigger.disabled""#),
            ("broken", r#""filters":[{"field":"gone","op":"eq","value":1}]"#),
            ("elsewhere", r#""filters":[{"field":"ddiNum","op":"eq","value":"302"}]"#),
        ],
    );
    assert_eq!(fires(&cache, "acme").await.unwrap(), "paused");
    let applicable = cache.lookup(&key("acme")).await.unwrap();
    let names =
        |firings: Vec<&Firing>| firings.iter().map(|it| &*it.trigger.name).collect::<Vec<_>>().join(" ");
    assert_eq!(names(applicable.all().collect()), "paused elsewhere");
    let firing = applicable.all().next().unwrap();
    assert_eq!((firing.version, firing.owner), (3, TenantId(Uuid::new_v5(&Uuid::NAMESPACE_OID, b"acme"))));
    assert_eq!(firing.trigger.id, TriggerId(Uuid::new_v5(&Uuid::NAMESPACE_OID, b"paused")));
}

/// Names of the triggers that are told of a notice about a trigger of the tenant.
async fn told(cache: &TriggerCache<Arc<Fake>>, tenant: &str, event: EventName) -> String {
    let found = cache.lookup(&key(tenant)).await.unwrap().listening(event);
    found.iter().map(|firing| &*firing.trigger.name).collect::<Vec<_>>().join(" ")
}

#[tokio::test(start_paused = true)]
async fn a_notice_tells_the_tenants_own_triggers_and_those_above_that_include_it() {
    let (fake, cache) = world();
    let failing = r#""event":"trigger.failing""#;
    fake.triggers(
        "acme",
        &[
            ("calls", ""),
            ("here", failing),
            ("other event", r#""event":"trigger.recovered""#),
            ("off", &format!(r#"{failing},"enabled":false"#)),
            ("lab", &format!(r#"{failing},"environments":["lab"]"#)),
        ],
    );
    fake.triggers(
        "reseller",
        &[("above", &format!(r#"{failing},"includeSubaccounts":true"#)), ("own", failing)],
    );
    assert_eq!(told(&cache, "acme", EventName::TriggerFailing).await, "here lab above");
    assert_eq!(told(&cache, "other", EventName::TriggerFailing).await, "above");
    assert_eq!(told(&cache, "reseller", EventName::TriggerFailing).await, "above own");
    assert_eq!(told(&cache, "acme", EventName::TriggerRecovered).await, "other event");
    assert_eq!(told(&cache, "acme", EventName::DeliveryExhausted).await, "");
    assert_eq!(fires(&cache, "acme").await.unwrap(), "calls", "no call fires them");
}

#[tokio::test(start_paused = true)]
async fn a_loop_in_the_tree_ends() {
    let (fake, cache) = world();
    fake.tenant("reseller", Some("acme"), "GB");
    fake.triggers("acme", &[("one", r#""includeSubaccounts":true"#)]);
    assert_eq!(fires(&cache, "acme").await.unwrap(), "one");
}

/// Not in paused time: the store's threads are real. What the cache is told, it is told by one poll.
#[tokio::test]
async fn the_real_store_tells_of_triggers_and_tenants() {
    let folder = tempfile::tempdir().unwrap();
    let key_file = folder.path().join("key");
    let keyring = Keyring::new(Key::read_or_make(&key_file).unwrap());
    let store = Store::open(Config { folder: folder.path().join("store"), keyring }).await.unwrap();
    let cache = TriggerCache::new(store.clone(), LIMIT);
    let names = async || {
        cache.poll().await.unwrap();
        let found = cache.lookup(&key("acme")).await.unwrap().matching(&record());
        found
            .iter()
            .map(|firing| format!("{}@{}", firing.trigger.name, firing.version))
            .collect::<Vec<_>>()
            .join(" ")
    };
    let now = Timestamp::parse("2026-03-10T09:00:00Z").unwrap();
    let fake = Fake::default();
    fake.tenant("reseller", None, "GB");
    fake.tenant("acme", None, "GB");
    let tenant = |name: &str| fake.state.lock().unwrap().tenants[&key(name)].clone();

    assert_eq!(names().await, "");
    store.put_tenant(&tenant("reseller"), now).await.unwrap();
    store.put_tenant(&tenant("acme"), now).await.unwrap();
    store.put_trigger(&key("acme"), &trigger("one", ""), Expect::Nothing, now).await.unwrap();
    let inherited = trigger("two", r#""includeSubaccounts":true"#);
    store.put_trigger(&key("reseller"), &inherited, Expect::Nothing, now).await.unwrap();
    assert_eq!(names().await, "one@1");
    let moved = Tenant { parent: Some(key("reseller")), ..tenant("acme") };
    store.put_tenant(&moved, now).await.unwrap();
    assert_eq!(names().await, "one@1 two@1");
    let paused = trigger("one", r#""paused":true"#);
    store.put_trigger(&key("acme"), &paused, Expect::Version(1), now).await.unwrap();
    store.remove_trigger(inherited.id, Expect::Anything, now).await.unwrap();
    assert_eq!(names().await, "one@2");
}
