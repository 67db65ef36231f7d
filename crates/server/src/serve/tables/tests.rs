//! Tables in memory follow the store.

use std::path::Path;
use std::time::Duration;

use ringpost_model::{Contact, ContactField, Tenant};
use ringpost_store::{Config, Key, Keyring, Store};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::clock;
use crate::metrics::Metrics;
use crate::resources::tenant_id;

/// Longer than anything takes, even on a busy machine.
const LONG: Duration = Duration::from_secs(60);

struct Bench {
    store: Store,
    metrics: Arc<Metrics>,
    reader: TableReader,
    stop: CancellationToken,
    _folder: TempDir,
}

async fn open(folder: &Path) -> Store {
    let keyring = Keyring::new(Key::read_or_make(&folder.join("key")).unwrap());
    Store::open(Config { folder: folder.to_owned(), keyring }).await.unwrap()
}

impl Bench {
    /// With tenants that have `contacts` each.
    async fn start(tenants: &[&str], contacts: u32, memory: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path()).await;
        for tenant in tenants {
            let key = key(tenant);
            let own = Tenant { region: "GB".into(), ..Tenant::new(tenant_id(&key), key) };
            store.put_tenant(&own, clock::now()).await.unwrap();
            import(&store, tenant, contacts).await;
        }
        let metrics = Arc::new(Metrics::new().unwrap());
        let poll = Duration::from_millis(5);
        let keeper = TableKeeper::start(store.clone(), poll, memory, Arc::clone(&metrics)).await.unwrap();
        let (reader, stop) = (keeper.reader(), CancellationToken::new());
        tokio::spawn(keeper.run(stop.clone()));
        Self { store, metrics, reader, stop, _folder: folder }
    }

    /// Waits until a tenant's tables are as wanted.
    async fn until(&mut self, tenant: &str, wanted: impl Fn(&Tables) -> bool) {
        let waited = tokio::time::timeout(LONG, async {
            loop {
                self.reader.refresh();
                if let Known::All(tables) = self.reader.of(&key(tenant))
                    && wanted(tables)
                {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
        waited.await.expect("the tables are as wanted");
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn key(tenant: &str) -> TenantKey {
    TenantKey::new(tenant).unwrap()
}

fn contact(n: u32, name: &str) -> Contact {
    let fields = [(ContactField::FullName, name.into()), (ContactField::Phone1, number(n).into())];
    Contact { id: format!("{n:06}").into(), fields: fields.into() }
}

fn number(n: u32) -> String {
    format!("+4477{n:08}")
}

async fn import(store: &Store, tenant: &str, contacts: u32) {
    let all: Vec<_> = (0..contacts).map(|n| contact(n, "imported")).collect();
    let mut import = store.begin_contacts(&key(tenant), "CRM", clock::now()).await.unwrap();
    store.stage_contacts(&mut import, &all).await.unwrap();
    store.finish_contacts(import, clock::now()).await.unwrap();
}

fn named(tables: &Tables, n: u32) -> Vec<String> {
    let found = tables.contacts.find(&number(n));
    found.matches.iter().map(|one| one.fields[&ContactField::FullName].to_string()).collect()
}

#[tokio::test]
async fn tables_are_loaded_when_they_are_wanted_and_only_then() {
    let mut bench = Bench::start(&["acme", "globex"], 10, 1 << 30).await;
    assert!(matches!(bench.reader.of(&key("nobody")), Known::Nothing));
    assert!(matches!(bench.reader.of(&key("acme")), Known::NotYet));
    bench.until("acme", |tables| named(tables, 3) == ["imported"]).await;
    assert_eq!(bench.metrics.tables_loaded.get(), 1);
    let Known::All(tables) = bench.reader.of(&key("acme")) else { panic!("they are loaded") };
    assert_eq!(tables.versions.keys().map(|kind| &**kind).collect::<Vec<_>>(), ["contacts"]);
}

#[tokio::test]
async fn an_edit_reaches_a_loaded_table_without_a_reload() {
    let mut bench = Bench::start(&["acme"], 2_000, 1 << 30).await;
    bench.until("acme", |tables| tables.contacts.count() == 2_000).await;
    for n in 0..200 {
        bench.store.put_contact(&key("acme"), "CRM", &contact(n, "edited"), clock::now()).await.unwrap();
    }
    bench.until("acme", |tables| named(tables, 199) == ["edited"]).await;
    bench.until("acme", |tables| tables.contacts.edits() == 200 && named(tables, 200) == ["imported"]).await;
    bench.store.remove_contact(&key("acme"), "CRM", "000007", clock::now()).await.unwrap();
    bench.until("acme", |tables| named(tables, 7).is_empty()).await;
    // An import after that is all there is.
    import(&bench.store, "acme", 5).await;
    bench.until("acme", |tables| tables.contacts.count() == 5 && named(tables, 1) == ["imported"]).await;
}

#[tokio::test]
async fn many_edits_are_folded_in() {
    let mut bench = Bench::start(&["acme"], 10, 1 << 30).await;
    bench.until("acme", |tables| tables.contacts.count() == 10).await;
    let edits: Vec<_> = (0..5_000).map(|n| contact(n, "edited")).collect();
    for contact in &edits {
        bench.store.put_contact(&key("acme"), "CRM", contact, clock::now()).await.unwrap();
    }
    bench.until("acme", |tables| named(tables, 4_999) == ["edited"] && tables.contacts.count() > 4_096).await;
    bench.until("acme", |tables| tables.contacts.edits() < 1_000 && named(tables, 5) == ["edited"]).await;
}

#[tokio::test]
async fn who_has_no_room_lets_go_of_what_was_not_used_for_longest() {
    let one = 100 * 70;
    let mut bench = Bench::start(&["a", "b", "c"], 100, 2 * one).await;
    for tenant in ["a", "b", "a", "c"] {
        bench.until(tenant, |tables| tables.contacts.count() == 100).await;
    }
    assert_eq!(bench.metrics.tables_loaded.get(), 2);
    assert!(matches!(bench.reader.of(&key("a")), Known::All(_)));
    assert!(matches!(bench.reader.of(&key("b")), Known::NotYet));
    bench.until("b", |tables| named(tables, 1) == ["imported"]).await;
}

#[tokio::test]
async fn a_tenant_that_gets_its_first_table_is_enriched_from_then_on() {
    let mut bench = Bench::start(&["acme"], 0, 1 << 30).await;
    bench.until("acme", |tables| tables.contacts.count() == 0).await;
    let name = ringpost_model::PublicNumber { number: "+441632960100".into(), name: "Sales".into() };
    bench.store.put_numbers(&key("acme"), &[name]).await.unwrap();
    bench.until("acme", |tables| tables.versions.contains_key("numbers")).await;
}
