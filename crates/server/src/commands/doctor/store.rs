//! Store and journal: whether they open, what is in them that nobody looks at, and where their webhooks go.

use std::collections::BTreeMap;

use ringpost_deliver::SystemLookup;
use ringpost_store::Store;

use super::finding::Finding;
use super::network::receiver;
use crate::config::{Backend, Config};
use crate::open_store::{open_store, store_exists};

/// Opens the store as every command does.
pub(super) async fn look(config: &Config, deep: bool, receivers: bool) -> Vec<Finding> {
    if !store_exists(config) {
        return vec![Finding::ok("store", "there is none yet")];
    }
    let store = match open_store(config).await {
        Ok(store) => store,
        Err(error) => {
            let todo = match config.store.postgres.url {
                None => "restore the folder from a backup, unless the text says something else",
                Some(_) => "see docs/postgresql.md, unless the text says what to do",
            };
            return vec![Finding::problem("store", format!("{error:#}"), todo)];
        }
    };
    let mut findings = counts(&store, config).await;
    if deep {
        if config.bus.backend == Backend::Embedded {
            findings.push(journal(config).await);
        }
        findings.push(match store.check_files().await {
            Ok(()) => Finding::ok("store files", "every page was read, and is whole"),
            Err(error) => {
                let text = format!("{:#}", anyhow::Error::from(error));
                Finding::problem("store files", text, "restore from a backup")
            }
        });
    }
    if receivers {
        findings.extend(all_receivers(&store, config).await);
    }
    store.close().await;
    findings
}

async fn counts(store: &Store, config: &Config) -> Vec<Finding> {
    let stats = match store.stats().await {
        Ok(stats) => stats,
        Err(error) => return vec![Finding::problem("store", error.to_string(), "restore it from a backup")],
    };
    let url = config.store.postgres.url.as_ref();
    let place = url.and_then(|url| ringpost_store::shown_url(&url.0.0));
    let place = place.map_or(String::new(), |place| format!("PostgreSQL, {place}: "));
    let text = format!("{place}it opens with its key; {} deliveries are owed", stats.debts);
    let mut findings = vec![Finding::ok("store", text)];
    if stats.damaged > 0 {
        let text = format!("{} rows could not be read and were put aside", stats.damaged);
        findings.push(Finding::problem("store", text, "look at the disk; restore from a backup"));
    }
    if stats.dead_letters > 0 {
        let text = format!("{} are open", stats.dead_letters);
        findings.push(Finding::warning("dead letters", text, "ringpost dead-letters list"));
    }
    findings
}

async fn journal(config: &Config) -> Finding {
    match ringpost_bus::check_journal(&config.data.dir).await {
        Ok(()) => Finding::ok("journal", "every page was read, and is whole"),
        Err(error) => {
            Finding::problem("journal", format!("{:#}", anyhow::Error::from(error)), "restore from a backup")
        }
    }
}

/// Each origin once, by the name of one of its triggers.
async fn all_receivers(store: &Store, config: &Config) -> Vec<Finding> {
    let failed = |error: ringpost_store::Error| {
        vec![Finding::problem("receiver", error.to_string(), "see what is said of the store")]
    };
    let tenants = match store.tenants().await {
        Ok(tenants) => tenants,
        Err(error) => return failed(error),
    };
    let mut urls = BTreeMap::new();
    for tenant in tenants.iter() {
        let triggers = match store.triggers(&tenant.key).await {
            Ok(triggers) => triggers,
            Err(error) => return failed(error),
        };
        for stored in triggers.iter().filter(|stored| stored.trigger.enabled) {
            let url: &str = &stored.trigger.url;
            let origin =
                url.parse::<url::Url>().map(|url| url.origin().ascii_serialization()).unwrap_or_default();
            let name = format!("{} of {}", stored.trigger.name, tenant.key);
            urls.entry(origin).or_insert((name, url.to_owned()));
        }
    }
    let lookup = match SystemLookup::new() {
        Ok(lookup) => lookup,
        Err(error) => {
            return vec![Finding::problem("receiver", error.to_string(), "look at /etc/resolv.conf")];
        }
    };
    let mut findings = Vec::new();
    for (name, url) in urls.into_values() {
        findings.push(receiver(&name, &url, config, &lookup).await);
    }
    findings
}
