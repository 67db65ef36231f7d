//! Reads the tables of one tenant: whole, or what was changed since they were read.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use anyhow::Context;
use ringpost_enrich::{Builder, Contacts, Devices, Edit, Numbers, Tables, Tariff};
use ringpost_model::{TenantKey, Text};
use ringpost_store::{ContactEdit, Store, StoredTables, TableVersions};
use tracing::error;

use super::Loaded;

/// Edits that are kept apart at most: each further one costs a copy of these.
const MOST_EDITS: usize = 4_096;

/// Reads all of it.
pub(super) async fn whole(store: &Store, tenant: &TenantKey) -> anyhow::Result<Loaded> {
    let mut builder = None;
    let read = store.read_tables::<anyhow::Error>(tenant, |directories, at, contact| {
        let builder = builder.get_or_insert_with(|| Builder::new(directories.to_vec()));
        Ok(builder.push(at, &contact)?)
    });
    let stored = read.await.with_context(|| format!("load the tables of {tenant}"))?;
    let builder = builder.unwrap_or_else(|| Builder::new(stored.directories.clone()));
    Ok(made(tenant, stored, builder.finish()))
}

/// Reads what was changed since.
pub(super) async fn update(store: &Store, tenant: &TenantKey, former: Arc<Loaded>) -> anyhow::Result<Loaded> {
    let read = store.table_update(tenant, former.versions.edits).await;
    let (stored, edits) = read.with_context(|| format!("load what changed in the tables of {tenant}"))?;
    if stored.versions.directories != former.versions.directories {
        drop(former);
        return whole(store, tenant).await;
    }
    let edits =
        edits.into_iter().map(|ContactEdit { directory, contact, now }| Edit { directory, contact, now });
    let mut contacts = former.tables.contacts.edited(edits);
    if contacts.edits() > MOST_EDITS {
        // A copy of a million contacts takes a second: not where others wait.
        let folded = tokio::task::spawn_blocking(move || contacts.folded()).await;
        contacts = folded.context("fold edits into the contacts")??;
    }
    Ok(made(tenant, stored, contacts))
}

fn made(tenant: &TenantKey, stored: StoredTables, contacts: Contacts) -> Loaded {
    if stored.unreadable > 0 {
        error!(%tenant, rows = stored.unreadable, "a part of the tables cannot be read: import them again");
    }
    let tariffs = stored.tariffs.iter().filter_map(|list| match Tariff::from_list(list) {
        Ok(tariff) => Some((list.direction, tariff)),
        Err(_) => {
            error!(%tenant, tariff = &*list.name, "a tariff cannot be read: import it again");
            None
        }
    });
    let tables = Tables {
        versions: named(&stored.versions),
        contacts,
        numbers: Numbers::from_iter(stored.numbers),
        devices: Devices::from_iter(stored.devices),
        tariffs: tariffs.collect(),
    };
    Loaded { bytes: tables.bytes(), tables, versions: stored.versions, used: AtomicU64::new(0) }
}

/// As the envelope names them.
fn named(versions: &TableVersions) -> BTreeMap<Text, u64> {
    let all = [
        ("contacts", versions.directories.max(versions.contacts)),
        ("numbers", versions.numbers),
        ("devices", versions.devices),
        ("tariffs", versions.tariffs),
    ];
    all.into_iter()
        .filter(|(_, version)| *version > 0)
        .map(|(kind, version)| (kind.into(), version))
        .collect()
}
