//! What only the files promise: no secret in them, a wrong key told, two processes at a time.

use std::fs;
use std::path::Path;

use ringpost_model::Auth;
use ringpost_store::{Batch, Config, Expect, Keyring, OpenError, Store, new_token};

use crate::bench::{
    Bench, at, attempt, delivery, key, pbx_key, tenant, tenant_key, trigger, trigger_id, with_triggers,
};

const SECRET: &str = "s3cr3t-that-nobody-else-has";

/// Every byte of every file of the store.
fn contains(folder: &Path, text: &str) -> Option<String> {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        if bytes.windows(text.len()).any(|window| window == text.as_bytes()) {
            return Some(path.display().to_string());
        }
    }
    None
}

#[tokio::test]
async fn no_secret_is_in_any_file() {
    let bench = Bench::new();
    let store = with_triggers(&bench).await;
    let mut secret = trigger(1);
    secret.url = format!("https://crm.example/{SECRET}").into();
    secret.headers.insert("X-Key".into(), SECRET.into());
    secret.auth = Auth::Bearer { token: SECRET.into() };
    secret.secrets = vec![SECRET.into()];
    secret.custom_data.insert("k".into(), SECRET.into());
    store.put_trigger(&tenant_key("acme"), &secret, Expect::Anything, at(1)).await.unwrap();
    secret.auth = Auth::Basic { user: SECRET.into(), password: SECRET.into() };
    store.put_trigger(&tenant_key("acme"), &secret, Expect::Anything, at(2)).await.unwrap();
    secret.auth = Auth::Oauth2 {
        token_url: format!("https://login.example/{SECRET}").into(),
        client_id: SECRET.into(),
        client_secret: SECRET.into(),
        scope: SECRET.into(),
        parameters: [("audience".into(), SECRET.into())].into(),
    };
    store.put_trigger(&tenant_key("acme"), &secret, Expect::Anything, at(3)).await.unwrap();
    secret.auth = Auth::Certificate { chain: SECRET.into(), key: SECRET.into() };
    store.put_trigger(&tenant_key("acme"), &secret, Expect::Anything, at(4)).await.unwrap();
    assert_eq!(store.trigger(secret.id).await.unwrap().unwrap().trigger.auth, secret.auth);
    let (row, mut exchange) = attempt(&delivery(1, 1, 1), at(0), 1);
    exchange.request_line = SECRET.into();
    exchange.request_headers = vec![("authorization".to_owned(), SECRET.to_owned())];
    exchange.request_body = SECRET.into();
    exchange.response_headers = vec![("set-cookie".to_owned(), SECRET.to_owned())];
    exchange.response_body = SECRET.into();
    let batch = Batch { attempts: vec![(row, exchange)], ..Batch::default() };
    store.settle(&batch, "me", at(0)).await.unwrap();
    // Now, in the write-ahead logs, and closed, in the main files.
    assert!(contains(bench.folder(), "CRM 1").is_some(), "the search itself works");
    assert_eq!(contains(bench.folder(), SECRET), None);
    store.close().await;
    assert!(contains(bench.folder(), "CRM 1").is_some());
    assert_eq!(contains(bench.folder(), SECRET), None);
}

#[tokio::test]
async fn an_ingest_token_is_nowhere_in_the_files() {
    let bench = Bench::new();
    let store = bench.open().await;
    store.put_tenant(&tenant("acme"), at(0)).await.unwrap();
    let pbx = serde_json::from_str(r#"{"key":"k1"}"#).unwrap();
    store.put_pbx(&pbx, at(0)).await.unwrap();
    let token = new_token().unwrap();
    store.put_ingest_token(&token, &pbx_key("k1"), None, "spool", at(0)).await.unwrap();
    assert!(store.ingest_token(&token).await.unwrap().is_some());
    store.close().await;
    assert_eq!(contains(bench.folder(), &token), None);
}

#[tokio::test]
async fn a_wrong_key_is_told_at_start_by_its_id() {
    let bench = Bench::new();
    with_triggers(&bench).await.close().await;
    let error = bench.open_with('b').await.unwrap_err();
    let (sealed, given) = (key('a').id(), key('b').id());
    assert!(matches!(error, OpenError::WrongKey { .. }));
    let text = format!(
        "open the store: its secrets are sealed with key {sealed}, the key given is {given}; give that key"
    );
    assert_eq!(error.to_string(), text);
    // With the former key beside the new one it opens, and reads what that sealed.
    let keyring = Keyring::new(key('b')).with_former(key('a'));
    let store = Store::open(Config { folder: bench.folder().to_owned(), keyring }).await.unwrap();
    assert!(store.trigger(trigger_id(1)).await.unwrap().is_some());
}

#[tokio::test]
async fn a_secret_moved_to_another_row_does_not_open() {
    let bench = Bench::new();
    with_triggers(&bench).await.close().await;
    let pool = sqlx::SqlitePool::connect(bench.folder().join("store.db").to_str().unwrap()).await.unwrap();
    let sql =
        "UPDATE trigger_versions SET sealed = (SELECT sealed FROM trigger_versions WHERE trigger_id = ?)
        WHERE trigger_id = ?";
    let ids = [trigger_id(1), trigger_id(2)].map(|id| id.0.as_bytes().to_vec());
    sqlx::query(sql).bind(ids[0].clone()).bind(ids[1].clone()).execute(&pool).await.unwrap();
    pool.close().await;
    let store = bench.open().await;
    assert!(store.trigger(trigger_id(1)).await.is_ok());
    let error = store.trigger(trigger_id(2)).await.unwrap_err();
    assert_eq!(error.to_string(), format!("failed to read a trigger: a secret of {}", trigger_id(2)));
    assert!(!error.is_temporary());
}

#[tokio::test]
async fn another_process_changes_the_configuration_beside_a_running_one() {
    let bench = Bench::new();
    let serve = with_triggers(&bench).await;
    let seen = serve.changes_since(0).await.unwrap().last().unwrap().seq;
    let apply = bench.open().await;
    let mut changed = trigger(1);
    changed.name = "renamed".into();
    apply.put_trigger(&tenant_key("acme"), &changed, Expect::Anything, at(1)).await.unwrap();
    apply.close().await;
    assert_eq!(serve.changes_since(seen).await.unwrap().len(), 1);
    assert_eq!(&*serve.trigger(trigger_id(1)).await.unwrap().unwrap().trigger.name, "renamed");
}

#[tokio::test]
async fn many_writers_at_once_all_get_through() {
    let bench = Bench::new();
    let (one, other) = (bench.open().await, bench.open().await);
    let puts = (0..40).map(|n| {
        let store = if n % 2 == 0 { one.clone() } else { other.clone() };
        async move { store.put_tenant(&tenant(&format!("t{n}")), at(0)).await }
    });
    for put in futures(puts).await {
        put.unwrap();
    }
    assert_eq!(one.tenants().await.unwrap().len(), 40);
}

async fn futures<F: Future + Send + 'static>(all: impl Iterator<Item = F>) -> Vec<F::Output>
where
    F::Output: Send,
{
    let mut outputs = Vec::new();
    for task in all.map(tokio::spawn).collect::<Vec<_>>() {
        outputs.push(task.await.unwrap());
    }
    outputs
}

#[tokio::test]
async fn a_store_of_a_later_version_is_left_alone() {
    let bench = Bench::new();
    bench.open().await.close().await;
    let path = bench.folder().join("store.db");
    let pool = sqlx::SqlitePool::connect(path.to_str().unwrap()).await.unwrap();
    sqlx::query("PRAGMA user_version = 99").execute(&pool).await.unwrap();
    pool.close().await;
    let error = bench.open_with('a').await.unwrap_err();
    assert!(matches!(error, OpenError::Newer { found: 99, .. }), "{error}");
}
