//! Opens the store of a configuration: where it is, and which key its secrets are sealed with.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use clap::Args;
use ringpost_store::{Config as StoreConfig, Key, Keyring, PostgresConfig, Store};

use crate::cli::{Failure, Io};
use crate::config::{self, Config, Flags, Pooler, Postgres, StorePassword, StoreUrl};
use crate::data_folder;

/// The store that a command works on.
#[derive(Debug, Args)]
pub(crate) struct StoreFlags {
    /// Configuration file; without it the defaults hold. Environment: RINGPOST_CONFIG
    #[arg(long, short, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// Folder of the store (data.dir)
    #[arg(long, value_name = "DIR", global = true)]
    data: Option<PathBuf>,
}

impl StoreFlags {
    /// The configuration that they name.
    ///
    /// # Errors
    /// All mistakes at once.
    pub(crate) fn load(&self, io: &Io<'_>) -> Result<Config, Failure> {
        load_for_store(self.config.as_deref(), self.data.as_deref(), io)
    }
}

/// Opens a store that is there. `otherwise`: how one comes about, for who has none.
///
/// # Errors
/// There is none, or it cannot be used.
pub(crate) async fn open_existing(config: &Config, otherwise: &str) -> anyhow::Result<Store> {
    if !store_exists(config) {
        let dir = config.data.dir.display();
        return Err(anyhow!("no store in {dir}: name its folder with --data{otherwise}"));
    }
    open_store(config).await
}

/// Opens the store, or makes it with its folder and key.
///
/// # Errors
/// The folder, the key or the store cannot be used, or a file that belongs to them is missing.
pub(crate) async fn open_store(config: &Config) -> anyhow::Result<Store> {
    let folder = config.data.dir.clone();
    std::fs::create_dir_all(&folder).with_context(|| format!("make the data folder {}", folder.display()))?;
    data_folder::check(config)?;
    let keyring = Keyring::new(key(config)?);
    let postgres = &config.store.postgres;
    Ok(match &postgres.url {
        None => Store::open(StoreConfig { folder, keyring }).await?,
        Some(StoreUrl(url)) => {
            Store::connect(PostgresConfig {
                password: password(postgres)?,
                connections: postgres.connections,
                wait: postgres.wait,
                timeout: postgres.timeout,
                transaction_pooler: postgres.pooler == Pooler::Transaction,
                ..PostgresConfig::new(&url.0, keyring)
            })
            .await?
        }
    })
}

/// None = it is in the URL, or none is needed.
fn password(postgres: &Postgres) -> anyhow::Result<Option<String>> {
    if let Some(StorePassword(password)) = &postgres.password {
        return Ok(Some(password.0.clone()));
    }
    let Some(path) = &postgres.password_file else { return Ok(None) };
    let text = std::fs::read_to_string(path);
    let text =
        text.with_context(|| format!("read the password from {} (store.password_file)", path.display()))?;
    Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned()))
}

fn key(config: &Config) -> anyhow::Result<Key> {
    let key = match &config.data.key {
        Some(secret) => Key::parse(&secret.0),
        None => Key::read_or_make(&config.data.key_path()),
    };
    Ok(key?)
}

/// Whether there is a store to look at; looking makes none. One in PostgreSQL is there, or says itself that it is not.
pub(crate) fn store_exists(config: &Config) -> bool {
    config.store.postgres.url.is_some() || config.data.dir.join("store.db").exists()
}

/// The configuration of a command that works on the store: a file or RINGPOST_CONFIG, and `--data`.
///
/// # Errors
/// All mistakes at once.
pub(crate) fn load_for_store(
    file: Option<&Path>,
    data: Option<&Path>,
    io: &Io<'_>,
) -> Result<Config, Failure> {
    let file = file.map(Path::to_owned).or_else(|| io.variable("RINGPOST_CONFIG").map(PathBuf::from));
    let data = data.map(|dir| dir.display().to_string());
    let flags = Flags::default().with("data.dir", "--data", data);
    Ok(config::load(file.as_deref(), &io.variables, &flags)?.config)
}
