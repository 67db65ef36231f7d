//! The demo, as a newcomer runs it: a company, two switches, four webhooks, six calls, and `ringpost sink`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use standardwebhooks::Webhook;

use crate::harness::{Home, QUICK, Sink, run};

/// Of the fixture.
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const SIGNED_QUERY: &str = "api-version=2016-10-01&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig=Zm9v_YmFy-cXV4";

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/demo")
}

/// Calls of the fixture: which switch, and its file.
fn calls() -> Vec<(&'static str, PathBuf)> {
    let folder = std::fs::read_dir(fixtures().join("calls")).expect("the fixture has calls");
    let mut files: Vec<PathBuf> = folder.map(|entry| entry.expect("a file").path()).collect();
    files.sort();
    let pbx = |file: &Path| if file.extension().is_some_and(|end| end == "json") { "fs1" } else { "k1" };
    files.into_iter().map(|file| (pbx(&file), file)).collect()
}

/// The records that `ringpost aggregate` makes of the same files, by id, as printed.
fn expected() -> BTreeMap<String, String> {
    let company = fixtures().join("company.toml");
    let mut records = BTreeMap::new();
    for (pbx, file) in calls() {
        let mut arguments = vec!["aggregate", "--resources", path(&company)];
        if pbx == "fs1" {
            arguments.extend(["--dialect", "freeswitch-cdr", "--tenant", "acme", "--pbx", "fs1"]);
        }
        arguments.push(path(&file));
        let done = run(&arguments);
        assert_eq!(done.code, Some(0), "{}", done.stderr);
        for line in done.stdout.lines() {
            let record: Value = serde_json::from_str(line).expect("a record");
            records.insert(text(&record["id"]), line.to_owned());
        }
    }
    records
}

fn path(path: &Path) -> &str {
    path.to_str().expect("a plain name")
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Requests by the path that they came to.
fn to<'a>(requests: &'a [Value], path: &'a str) -> impl Iterator<Item = &'a Value> {
    requests.iter().filter(move |request| text(&request["path"]).starts_with(path))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demo_tells_each_receiver_of_the_right_calls_in_the_form_it_wants() {
    let home = Home::new(QUICK);
    let sink = Sink::start(&home, &["--secret", SECRET, "--route", "/counter=fail-first:1"]);
    let company = std::fs::read_to_string(fixtures().join("company.toml")).expect("the fixture");
    let (k1, fs1) = ("demo-token-of-the-head-office", "demo-token-of-the-branch");
    home.apply(&company.replace("http://127.0.0.1:9000", &sink.origin));
    let expected = expected();
    let records: Vec<Value> = expected.values().map(|line| serde_json::from_str(line).unwrap()).collect();
    let chosen = |holds: &dyn Fn(&Value) -> bool| -> Vec<String> {
        records.iter().filter(|record| holds(record)).map(|record| text(&record["id"])).collect()
    };
    let answered = chosen(&|record| record["ans"] == 1);
    let lost = chosen(&|record| record["lost"] == 1 && text(&record["ddiNum"]).starts_with("+44161496"));
    let long = chosen(&|record| {
        record["talk"].as_u64() > Some(30) && [2, 3].contains(&record["dir"].as_u64().unwrap())
    });
    assert_eq!(
        (records.len(), answered.len(), lost.len(), long.len()),
        (6, 4, 2, 4),
        "the fixture has changed"
    );

    let serve = home.serve().await;
    for (pbx, file) in calls() {
        let token = if pbx == "fs1" { fs1 } else { k1 };
        let answer = serve.post_with(pbx, token, std::fs::read(file).expect("a call")).await;
        assert_eq!(answer.status, 202, "{}", answer.body);
    }
    // Each request of the counter fails once.
    let count = records.len() + answered.len() + lost.len() + 2 * long.len();
    let requests = sink.count(count).await;
    serve.until("nothing owed", |value| value("deliver_debts") == 0.0).await;

    every_call_to_zapier(&requests, &expected);
    answered_calls_to_the_signed_url(&requests, &answered);
    lost_calls_as_a_form(&requests, &lost, &expected);
    long_calls_as_a_query(&requests, &long, &expected);
    let (status, _) = serve.stop().await;
    assert_eq!(status.code(), Some(0));
    assert_eq!(sink.count(count).await.len(), count, "something came twice, or to nobody");
}

/// Every record is, byte for byte, what `aggregate` prints.
fn every_call_to_zapier(requests: &[Value], expected: &BTreeMap<String, String>) {
    let mut told = BTreeMap::new();
    for request in to(requests, "/hooks/") {
        assert_eq!(
            (text(&request["method"]), &request["headers"]["content-type"]),
            ("POST".into(), &json!("application/json"))
        );
        assert_eq!(
            (text(&request["path"]), &request["query"]),
            ("/hooks/catch/1234567/abcdef/".into(), &json!(""))
        );
        assert_eq!(request["json"]["customData"], json!({"source": "ringpost demo"}));
        let body = text(&request["body"]);
        verify(request, &body);
        let record = body.split_once("\"cdr\":").and_then(|(_, rest)| rest.rsplit_once(",\"customData\""));
        told.insert(text(&request["json"]["cdr"]["id"]), record.expect("a payload").0.to_owned());
    }
    assert_eq!(&told, expected);
}

/// The query of a signed URL is not touched. 202 is success: nothing came twice, the caller counts.
fn answered_calls_to_the_signed_url(requests: &[Value], answered: &[String]) {
    let mut told = Vec::new();
    for request in to(requests, "/workflows/") {
        assert_eq!((text(&request["method"]), request["status"].as_u64()), ("POST".into(), Some(202)));
        assert_eq!(text(&request["query"]), SIGNED_QUERY);
        assert_eq!(request["signature"], "absent");
        told.push(text(&request["json"]["cdr"]["id"]));
    }
    told.sort();
    assert_eq!(told, answered);
}

fn lost_calls_as_a_form(requests: &[Value], lost: &[String], expected: &BTreeMap<String, String>) {
    let mut told = Vec::new();
    for request in to(requests, "/crm/calls") {
        let headers = &request["headers"];
        assert_eq!(
            (text(&request["method"]), &headers["content-type"]),
            ("PUT".into(), &json!("application/x-www-form-urlencoded"))
        );
        assert_eq!(headers["authorization"], "Basic cmluZ3Bvc3Q6ZGVtbw==");
        told.push(check_pairs(&text(&request["body"]), expected));
    }
    told.sort();
    assert_eq!(told, lost);
}

/// The pairs come behind the query that the URL has. The first try of each fails, the second succeeds.
fn long_calls_as_a_query(requests: &[Value], long: &[String], expected: &BTreeMap<String, String>) {
    let mut tries: BTreeMap<String, Vec<(String, Value)>> = BTreeMap::new();
    for request in to(requests, "/counter") {
        assert_eq!((text(&request["method"]), text(&request["body"])), ("GET".into(), String::new()));
        let query = text(&request["query"]);
        let ours = query.strip_prefix("team=sales&").expect("the URL's own query comes first");
        let id = check_pairs(ours, expected);
        tries
            .entry(id)
            .or_default()
            .push((text(&request["headers"]["webhook-id"]), request["status"].clone()));
    }
    assert_eq!(tries.keys().collect::<Vec<_>>(), long.iter().collect::<Vec<_>>());
    for (id, tries) in tries {
        let statuses: Vec<_> = tries.iter().map(|(_, status)| status.clone()).collect();
        assert_eq!(statuses, [json!(500), json!(202)], "{id}");
        assert_eq!(tries[0].0, tries[1].0, "the repeat of {id} has another webhook-id");
    }
}

/// The pairs are the record's keys and values, nested; returns its id.
fn check_pairs(pairs: &str, expected: &BTreeMap<String, String>) -> String {
    let pairs: Vec<(String, String)> = form_urlencoded::parse(pairs.as_bytes()).into_owned().collect();
    let of_record: Vec<_> = pairs.iter().filter(|(key, _)| key.starts_with("cdr[")).cloned().collect();
    let id = pairs.iter().find(|(key, _)| key == "cdr[id]").expect("the record has an id").1.clone();
    let record: Value = serde_json::from_str(&expected[&id]).expect("a record");
    let mut wanted = Vec::new();
    flatten("cdr", &record, &mut wanted);
    let sorted = |mut pairs: Vec<(String, String)>| {
        pairs.sort();
        pairs
    };
    assert_eq!(sorted(of_record), sorted(wanted));
    let others: Vec<&str> =
        pairs.iter().map(|(key, _)| key.as_str()).filter(|key| !key.starts_with("cdr[")).collect();
    assert_eq!(others, ["triggerId", "id", "tenantId"]);
    id
}

fn flatten(key: &str, value: &Value, pairs: &mut Vec<(String, String)>) {
    match value {
        Value::Object(object) => {
            object.iter().for_each(|(inner, value)| flatten(&format!("{key}[{inner}]"), value, pairs))
        }
        Value::Array(list) => list.iter().for_each(|value| flatten(&format!("{key}[]"), value, pairs)),
        Value::String(text) => pairs.push((key.to_owned(), text.clone())),
        other => pairs.push((key.to_owned(), other.to_string())),
    }
}

/// By the receivers' own library.
fn verify(request: &Value, body: &str) {
    let mut headers = HeaderMap::new();
    for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        let value = HeaderValue::from_str(&text(&request["headers"][name])).expect("a value");
        headers.insert(HeaderName::from_static(name), value);
    }
    let webhook = Webhook::new(SECRET).expect("the secret of the fixture");
    webhook.verify(body.as_bytes(), &headers).expect("the signature is right");
    assert!(webhook.verify(format!("{body} ").as_bytes(), &headers).is_err(), "it signs anything");
}
