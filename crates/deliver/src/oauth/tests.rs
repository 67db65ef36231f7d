//! How long tokens are kept, and when they are renewed. Time is paused.

use std::cell::Cell;
use std::future::{pending, ready};

use ringpost_model::Auth;
use serde_json::{Value, json};
use tokio::time::advance;

use super::*;
use crate::exchange::FailureKind;

fn grant_of(change: &Value) -> Auth {
    let mut document = json!({ "kind": "oauth2", "tokenUrl": "https://t.example/", "clientId": "a",
        "clientSecret": "b" });
    document.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    serde_json::from_value(document).unwrap()
}

fn key(change: &Value) -> GrantKey {
    Grant::of(&grant_of(change)).unwrap().key()
}

/// A server whose tokens are numbered and live so long.
struct Server {
    tokens: Tokens,
    asked: Cell<u32>,
}

impl Server {
    fn new() -> Self {
        Self { tokens: Tokens::new(2), asked: Cell::new(0) }
    }

    async fn get(&self, life: Option<u64>) -> String {
        let ask = |style, _| {
            self.asked.set(self.asked.get() + 1);
            let token = format!("token {}", self.asked.get());
            ready(Ok((Granted { token, life: life.map(Duration::from_secs) }, style)))
        };
        self.tokens.get(key(&json!({})), &Trace::new(), ask).await.unwrap().value.to_string()
    }

    async fn fail(&self, pause: Option<u64>) -> Result<String, String> {
        let ask = |_, _| {
            self.asked.set(self.asked.get() + 1);
            let text = format!("failure {}", self.asked.get());
            let failure = Failure { kind: FailureKind::Token, text };
            ready(Err(NotGranted { failure, pause: pause.map(Duration::from_secs) }))
        };
        let result = self.tokens.get(key(&json!({})), &Trace::new(), ask).await;
        result.map(|given| given.value.to_string()).map_err(|failure| failure.text)
    }
}

/// The second in which a token of this life is replaced.
async fn renewed_after(life: Option<u64>) -> u64 {
    let server = Server::new();
    assert_eq!(server.get(life).await, "token 1");
    for second in 0.. {
        if server.get(life).await == "token 2" {
            return second;
        }
        advance(Duration::from_secs(1)).await;
    }
    unreachable!()
}

#[tokio::test(start_paused = true)]
async fn a_token_is_renewed_before_it_ends() {
    assert_eq!(renewed_after(Some(3600)).await, 3540);
    assert_eq!(renewed_after(Some(300)).await, 240);
    assert_eq!(renewed_after(Some(100)).await, 80);
    assert_eq!(renewed_after(Some(10)).await, 8);
    assert_eq!(renewed_after(Some(0)).await, 0);
    assert_eq!(renewed_after(None).await, 240, "five minutes where the server says nothing");
    assert_eq!(renewed_after(Some(u64::MAX)).await, 86_340, "a day at most");
}

#[tokio::test(start_paused = true)]
async fn a_token_server_that_fails_costs_nothing_until_the_old_token_ends() {
    let server = Server::new();
    server.get(Some(100)).await;
    advance(Duration::from_secs(80)).await;
    for _ in 0..19 {
        assert_eq!(server.fail(None).await.as_deref(), Ok("token 1"));
        advance(Duration::from_secs(1)).await;
    }
    assert_eq!(server.asked.get(), 20, "it is asked again once a second");
    advance(Duration::from_secs(1)).await;
    assert_eq!(server.fail(None).await, Err("failure 21".to_owned()));
    advance(Duration::from_secs(1)).await;
    assert_eq!(server.get(None).await, "token 22");
}

#[tokio::test(start_paused = true)]
async fn a_silent_token_server_delays_a_delivery_by_2_s_while_the_old_token_is_good() {
    let server = Server::new();
    server.get(Some(100)).await;
    advance(Duration::from_secs(80)).await;
    let begun = Instant::now();
    let ask = |_, _| pending::<Result<(Granted, Style), NotGranted>>();
    let given = server.tokens.get(key(&json!({})), &Trace::new(), ask).await.unwrap();
    assert_eq!((&*given.value, begun.elapsed().as_secs()), ("token 1", 2));
}

#[tokio::test(start_paused = true)]
async fn a_token_server_that_failed_is_not_asked_again_at_once() {
    let server = Server::new();
    assert_eq!(server.fail(None).await, Err("failure 1".to_owned()));
    advance(Duration::from_millis(999)).await;
    assert_eq!(server.fail(None).await, Err("failure 1".to_owned()));
    advance(Duration::from_millis(1)).await;
    assert_eq!(server.fail(Some(60)).await, Err("failure 2".to_owned()));
    advance(Duration::from_secs(59)).await;
    assert_eq!(server.fail(None).await, Err("failure 2".to_owned()), "it asked to be left alone");
    advance(Duration::from_secs(1)).await;
    assert_eq!(server.get(None).await, "token 3");
}

#[tokio::test(start_paused = true)]
async fn who_asks_first_may_give_up_and_the_others_get_the_token() {
    let server = Server::new();
    let (send, receive) = tokio::sync::oneshot::channel::<()>();
    let ask = |style, _| async move {
        receive.await.unwrap();
        Ok((Granted { token: "late".into(), life: None }, style))
    };
    let trace = Trace::new();
    let mut first = Box::pin(server.tokens.get(key(&json!({})), &trace, ask));
    assert!(futures_util::poll!(&mut first).is_pending());
    let second = server.get(None);
    let mut second = Box::pin(second);
    assert!(futures_util::poll!(&mut second).is_pending());
    drop(first);
    send.send(()).unwrap();
    assert_eq!((second.await.as_str(), server.asked.get()), ("late", 0));
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_is_taken_away_once_in_ten_seconds() {
    let server = Server::new();
    let given = |value: &str, fresh| Given { value: value.into(), fresh };
    server.get(None).await;
    let key = key(&json!({}));
    assert!(!server.tokens.refused(key, &given("token 1", true)), "it was made for this very delivery");
    assert!(server.tokens.refused(key, &given("token 1", false)));
    assert_eq!(server.get(None).await, "token 2");
    assert!(server.tokens.refused(key, &given("token 1", false)), "another one is there already");
    assert!(!server.tokens.refused(key, &given("token 2", false)));
    advance(Duration::from_secs(10)).await;
    assert!(server.tokens.refused(key, &given("token 2", false)));
}

#[test]
fn grants_that_differ_in_anything_have_tokens_of_their_own() {
    let keys = [
        json!({}),
        json!({ "tokenUrl": "https://t.example/2" }),
        json!({ "clientId": "ab", "clientSecret": "" }),
        json!({ "clientSecret": "c" }),
        json!({ "scope": "s" }),
        json!({ "parameters": { "s": "" } }),
        json!({ "parameters": { "": "s" } }),
    ];
    let keys: std::collections::HashSet<GrantKey> = keys.iter().map(key).collect();
    assert_eq!(keys.len(), 7);
}

#[test]
fn credentials_with_any_character_are_encoded_as_the_standard_says() {
    let auth = grant_of(&json!({ "clientId": "a:b", "clientSecret": "p% é+" }));
    let headers = Grant::of(&auth).unwrap().headers(Style::Basic);
    // a%3Ab:p%25+%C3%A9%2B
    assert_eq!(headers["authorization"], "Basic YSUzQWI6cCUyNSslQzMlQTklMkI=");
    assert!(headers["authorization"].is_sensitive());
    let body = Grant::of(&auth).unwrap().body(Style::Body);
    assert_eq!(body, "grant_type=client_credentials&client_id=a%3Ab&client_secret=p%25+%C3%A9%2B");
}

#[test]
fn a_life_is_read_as_servers_write_it() {
    let life = |expires_in: &str| {
        let body = format!(r#"{{"access_token":"t","token_type":"BEARER","expires_in":{expires_in}}}"#);
        read(200, body.as_bytes(), &crate::masked::Secrets::default())
            .unwrap()
            .life
            .map(|life| life.as_secs())
    };
    assert_eq!([life("3600"), life("\"3600\""), life("59.9")], [Some(3600), Some(3600), Some(59)]);
    assert_eq!([life("-1"), life("null"), life("\"soon\""), life("[]")], [Some(0), None, None, None]);
    assert_eq!(life("1e300"), Some(u64::MAX));
}
