//! What of a trigger is refused when it is saved.

use ringpost_model::{Auth, Trigger};

use super::*;

fn trigger(change: &str) -> Trigger {
    let mut document: serde_json::Value = serde_json::json!({
        "id": "6a0e0a4e-0000-4000-8000-000000000001",
        "name": "CRM",
        "url": "https://crm.example.com/hook?sig=1",
    });
    let change: serde_json::Value = serde_json::from_str(change).unwrap();
    document.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    serde_json::from_value(document).unwrap()
}

fn mistakes(change: &str) -> String {
    let errors = check(&trigger(change), &Policy::default());
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

fn fine(change: &str) {
    assert_eq!(mistakes(change), "", "{change}");
}

fn refused_at(change: &str, pointer: &str) {
    let errors = check(&trigger(change), &Policy::default());
    let pointers: Vec<_> = errors.iter().map(|error| error.pointer.as_str()).collect();
    assert_eq!(pointers, [pointer], "{change}: {errors:?}");
}

#[test]
fn a_usual_trigger_is_fine() {
    fine("{}");
    fine(
        r#"{"retries":10,"method":"PUT","format":"form","customData":{"hook":""},"headers":{"X-Api-Key":"a b\tc"}}"#,
    );
    fine(r#"{"auth":{"kind":"basic","user":"me","password":"é:x"},"rateLimit":1,"environments":["Main"]}"#);
    fine(r#"{"secrets":["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],"headers":{"Authorization":"x"}}"#);
    fine(r#"{"url":"https://user.example.com:8443/a/b?x=%20&sv=@:#!"}"#.replace('#', "%23").as_str());
}

#[test]
fn only_urls_that_may_be_called_are_saved() {
    for url in [
        "",
        "crm.example.com/hook",
        "http://crm.example.com/hook",
        "ftp://crm.example.com/",
        "https://",
        "https:///hook",
        "https:hook",
        "https:\\\\crm.example.com\\hook",
        "https://me:secret@crm.example.com/",
        "https://me@crm.example.com/",
        "https://crm.example.com/a b",
        "https://crm.example.com/a\u{a0}b",
        "https://crm.example.com/\n",
        "https://crm.example.com/#part",
        "https://crm.example.com:99999/",
        "https://crm.example.com:0/",
        "https://[::1/",
        "https://crm.)example/",
        "https://crm.\"example/",
        "https://a,b.example/",
        "https://999.1.1.1/",
        "javascript:alert(1)",
    ] {
        refused_at(&serde_json::json!({ "url": url }).to_string(), "/url");
    }
    refused_at(
        &serde_json::json!({ "url": format!("https://a.example/{}", "x".repeat(8000)) }).to_string(),
        "/url",
    );
}

#[test]
fn http_needs_the_operators_leave() {
    let plain = trigger(r#"{"url":"http://127.0.0.1:8080/"}"#);
    assert_eq!(check(&plain, &Policy { allow_http: true }), []);
    assert_eq!(check(&plain, &Policy { allow_http: false }).len(), 1);
}

#[test]
fn no_message_repeats_a_secret() {
    let json = r#"{"url":"https://me:geheim@x/","headers":{"Host":"geheim","X":"geheim\n"},"secrets":["geheim"],
        "auth":{"kind":"bearer","token":"Bearer geheim"},"customData":{"":"geheim"}}"#;
    let mistakes = mistakes(json);
    assert_eq!(mistakes.lines().count(), 6, "{mistakes}");
    assert!(!mistakes.contains("geheim"), "{mistakes}");
}

#[test]
fn headers_that_are_not_the_users_are_refused() {
    for name in [
        "Connection",
        "keep-alive",
        "Transfer-Encoding",
        "TE",
        "Trailer",
        "Upgrade",
        "Proxy-Authorization",
        "host",
        "Content-Type",
        "CONTENT-LENGTH",
        "content-x",
        "webhook-id",
        "Webhook-Signature",
        "X-Hook-ID",
        "x-account-id",
        "User-Agent",
        "",
        "a b",
        "é",
        "a:b",
        "a\r\nb",
    ] {
        let errors =
            check(&trigger(&serde_json::json!({ "headers": { name: "x" } }).to_string()), &Policy::default());
        assert_eq!(errors.len(), 1, "{name}: {errors:?}");
    }
    for value in ["a\r\nX: y", "é", "\u{0}", "\u{7f}"] {
        refused_at(
            &serde_json::json!({ "headers": { "X-A/B": value } }).to_string().replace("A/B", "AB"),
            "/headers/X-AB",
        );
    }
    refused_at(r#"{"headers":{"x-a":"1","X-A":"2"}}"#, "/headers/x-a");
    refused_at(
        r#"{"headers":{"authorization":"1"},"auth":{"kind":"bearer","token":"t"}}"#,
        "/headers/authorization",
    );
}

#[test]
fn numbers_and_sizes_have_their_limits() {
    refused_at(r#"{"retries":11}"#, "/retries");
    refused_at(r#"{"rateLimit":0}"#, "/rateLimit");
    refused_at(r#"{"name":" "}"#, "/name");
    refused_at(r#"{"method":"GET","format":"form"}"#, "/format");
    refused_at(r#"{"environments":["a",""]}"#, "/environments/1");
    refused_at(r#"{"event":"trigger.disabled","filters":[{"field":"talk","op":"exists"}]}"#, "/filters");
    let keys = |count: usize| {
        (0..count).map(|at| (format!("k{at}"), "v".to_owned())).collect::<std::collections::BTreeMap<_, _>>()
    };
    fine(&serde_json::json!({ "customData": keys(50), "headers": keys(20) }).to_string());
    refused_at(&serde_json::json!({ "customData": keys(51) }).to_string(), "/customData");
    refused_at(&serde_json::json!({ "headers": keys(21) }).to_string(), "/headers");
    refused_at(
        &serde_json::json!({ "customData": { "a~/b": "x".repeat(4097) } }).to_string(),
        "/customData/a~0~1b",
    );
}

#[test]
fn a_secret_is_one_of_standard_webhooks() {
    let long = format!("whsec_{}", STANDARD_64);
    fine(&serde_json::json!({ "secrets": [long, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"] }).to_string());
    for bad in [
        "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "whsec_",
        "whsec_abc",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLa==",
        "whsec_é",
    ] {
        refused_at(&serde_json::json!({ "secrets": [bad] }).to_string(), "/secrets/0");
    }
    let three = ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"; 3];
    refused_at(&serde_json::json!({ "secrets": three }).to_string(), "/secrets");
}

/// 64 bytes.
const STANDARD_64: &str =
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==";

#[test]
fn a_user_name_with_a_colon_would_be_another_user() {
    let mut bad = trigger("{}");
    bad.auth = Auth::Basic { user: "a:b".into(), password: "c".into() };
    assert_eq!(check(&bad, &Policy::default())[0].pointer, "/auth/user");
}

fn oauth(change: &str) -> String {
    let mut auth: serde_json::Value = serde_json::json!({ "kind": "oauth2", "clientId": "me", "clientSecret": "x:é y",
        "tokenUrl": "https://login.example/token?tenant=1" });
    let change: serde_json::Value = serde_json::from_str(change).unwrap();
    auth.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    serde_json::json!({ "auth": auth }).to_string()
}

#[test]
fn credentials_for_a_token_server_are_checked_each_at_its_place() {
    fine(&oauth("{}"));
    fine(&oauth(
        r#"{"scope":"calls.write https://graph.example/.default","parameters":{"audience":"é","b":""}}"#,
    ));
    for url in
        ["", "http://login.example/", "login.example", "https://me:geheim@login.example/", "https://a b/"]
    {
        refused_at(&oauth(&serde_json::json!({ "tokenUrl": url }).to_string()), "/auth/tokenUrl");
    }
    for (key, value) in [("clientId", ""), ("clientSecret", ""), ("clientId", "a\n"), ("scope", "a  b")] {
        refused_at(&oauth(&serde_json::json!({ key: value }).to_string()), &format!("/auth/{key}"));
    }
    for scope in [" ", "a ", "é", "a\"b", "a\tb"] {
        refused_at(&oauth(&serde_json::json!({ "scope": scope }).to_string()), "/auth/scope");
    }
    for key in ["grant_type", "client_id", "client_secret", "scope", ""] {
        let change = serde_json::json!({ "parameters": { key: "geheim" } }).to_string();
        refused_at(&oauth(&change), &format!("/auth/parameters/{key}"));
        assert!(!mistakes(&oauth(&change)).contains("geheim"));
    }
    refused_at(&oauth(&format!(r#"{{"parameters":{{"a":"{}"}}}}"#, "x".repeat(5_000))), "/auth/parameters/a");
}

#[test]
fn a_certificate_leaves_the_header_authorization_free_and_a_token_does_not() {
    let with_header = |auth: serde_json::Value| {
        serde_json::json!({ "headers": { "Authorization": "x" }, "auth": auth }).to_string()
    };
    fine(&with_header(serde_json::json!({ "kind": "certificate", "chain": "…", "key": "…" })));
    let oauth: serde_json::Value = serde_json::from_str(&oauth("{}")).unwrap();
    refused_at(&with_header(oauth["auth"].clone()), "/headers/Authorization");
    let long = "x".repeat(70_000);
    let auth = serde_json::json!({ "kind": "certificate", "chain": "…", "key": long });
    refused_at(&serde_json::json!({ "auth": auth }).to_string(), "/auth/key");
}
