//! Opens the store of a configuration: where it is, and which key its secrets are sealed with.

use anyhow::Context;
use ringpost_store::{Config as StoreConfig, Key, Keyring, Store};

use crate::config::Config;

/// Opens the store, or makes it with its folder and key.
///
/// # Errors
/// The folder, the key or the store cannot be used.
pub(crate) async fn open_store(config: &Config) -> anyhow::Result<Store> {
    let folder = config.data.dir.clone();
    std::fs::create_dir_all(&folder).with_context(|| format!("make the data folder {}", folder.display()))?;
    let keyring = Keyring::new(key(config)?);
    Ok(Store::open(StoreConfig { folder, keyring }).await?)
}

fn key(config: &Config) -> anyhow::Result<Key> {
    let key = match &config.data.key {
        Some(secret) => Key::parse(&secret.0),
        None => Key::read_or_make(&config.data.key_path()),
    };
    Ok(key?)
}

/// Whether there is a store to look at; looking makes none.
pub(crate) fn store_exists(config: &Config) -> bool {
    config.data.dir.join("store.db").exists()
}
