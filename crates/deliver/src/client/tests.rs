//! The real client against real sockets on this machine.

use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;
use std::sync::Mutex;
use std::time::SystemTime;

use ringpost_model::AttemptId;
use serde_json::{Value, json};
use uuid::Uuid;

use super::*;
use crate::classify::{Class, Outcome, classify};
use crate::exchange::KEPT_BODY_BYTES;
use crate::request::request;
use crate::samples;

mod certificate;
mod failing;
mod greeted;
mod oauth;
mod proxy;
mod receiver;

use self::receiver::{Act, Receiver, answer};

/// Gives each lookup the next of these answers, the last one for ever; without any it is silent.
pub(super) struct Answers(Mutex<VecDeque<Vec<IpAddr>>>);

impl Answers {
    fn of(answers: &[&[&str]]) -> Arc<Self> {
        let parsed = answers.iter().map(|answer| answer.iter().map(|text| text.parse().unwrap()).collect());
        Arc::new(Self(Mutex::new(parsed.collect())))
    }
}

impl Lookup for Answers {
    fn lookup(&self, _: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let mut answers = self.0.lock().unwrap();
        let answer = if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() };
        match answer {
            Some(answer) => Box::pin(std::future::ready(Ok(answer))),
            None => Box::pin(std::future::pending()),
        }
    }
}

fn wall_clock() -> Clock {
    Arc::new(|| {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap())
    })
}

/// This machine, and `http`, are allowed.
fn open() -> Config {
    Config { allowed: vec!["127.0.0.1/32".parse().unwrap()], allow_http: true, ..Config::default() }
}

/// As `open`, with little time: for what hangs on a real socket.
fn hasty() -> Config {
    Config { deadline: Duration::from_secs(1), ..open() }
}

fn client(config: Config, lookup: Arc<Answers>) -> Client {
    Client::new(config, lookup, wall_clock()).unwrap()
}

/// Every name is this machine.
fn here() -> Arc<Answers> {
    Answers::of(&[&["127.0.0.1"]])
}

fn request_to(url: &str, keys: Value) -> Request {
    request(&samples::job(url, keys), AttemptId(Uuid::from_u128(7)), samples::now()).unwrap()
}

async fn post(client: &Client, url: &str) -> Exchange {
    client.send(request_to(url, json!({}))).await
}

/// Sends one POST to a receiver that acts so.
async fn exchange(config: Config, act: Act) -> (Exchange, Receiver) {
    let receiver = Receiver::start(act).await;
    let url = format!("http://{}/in", receiver.address);
    (post(&client(config, here()), &url).await, receiver)
}

fn outcome(exchange: &Exchange) -> Outcome {
    classify(&samples::trigger("https://h.example/in", json!({})), exchange)
}

#[tokio::test]
async fn an_accepted_delivery_is_a_success_with_everything_on_record() {
    let (exchange, receiver) = exchange(open(), answer("202 Accepted", "x-run: 1\r\n", "queued")).await;
    assert_eq!(outcome(&exchange).class, Class::Success);
    assert_eq!(exchange.failure, None);
    let given = exchange.answer.as_ref().unwrap();
    assert_eq!((given.status, given.body.as_str(), given.body_cut), (202, "queued", false));
    assert_eq!(given.header("x-run"), Some("1"));
    assert_eq!(exchange.address, Some(receiver.address));
    assert_eq!(exchange.request_line(), format!("POST http://{}/in", receiver.address));
    assert!(exchange.started <= exchange.ended && exchange.attempt.0 == Uuid::from_u128(7));
    let sent = receiver.requests();
    let (head, body) = sent[0].split_once("\r\n\r\n").unwrap();
    assert_eq!(body.as_bytes(), &exchange.request_body[..]);
    for (name, value) in exchange.shown_headers() {
        assert!(head.contains(&format!("{name}: {value}")), "{name}: the log shows what was sent");
    }
}

#[tokio::test]
async fn what_is_sent_is_what_the_log_shows_and_host_and_length() {
    let (exchange, receiver) = exchange(open(), answer("200 OK", "", "")).await;
    let sent = receiver.requests();
    let head = sent[0].split_once("\r\n\r\n").unwrap().0;
    assert_eq!(head.lines().next(), Some("POST /in HTTP/1.1"));
    let mut names: Vec<&str> =
        head.lines().skip(1).filter_map(|line| line.split_once(": ")).map(|(name, _)| name).collect();
    names.sort_unstable();
    let mut shown: Vec<&str> = exchange.shown_headers().map(|(name, _)| name).collect();
    shown.extend(["content-length", "host"]);
    shown.sort_unstable();
    assert_eq!(names, shown);
}

#[tokio::test]
async fn a_get_carries_its_pairs_in_the_url_and_no_body() {
    let receiver = Receiver::start(answer("200 OK", "", "")).await;
    let url = format!("http://{}/in?sig=a%2Bb%2F&x=%zz", receiver.address);
    let exchange = client(open(), here()).send(request_to(&url, json!({ "method": "GET" }))).await;
    let sent = receiver.requests();
    let line = sent[0].lines().next().unwrap();
    let appended = std::str::from_utf8(&exchange.request_body).unwrap();
    assert_eq!(line, format!("GET /in?sig=a%2Bb%2F&x=%zz&{appended} HTTP/1.1"));
    assert!(sent[0].ends_with("\r\n\r\n") && !sent[0].contains("content-length"));
}

#[tokio::test]
async fn a_redirect_is_a_failure_and_not_followed() {
    for status in ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"] {
        let (exchange, receiver) =
            exchange(open(), answer(status, "location: http://127.0.0.1:1/in/s3cret\r\n", "")).await;
        assert_eq!(outcome(&exchange).class, Class::Redirect);
        assert_eq!(receiver.requests().len(), 1);
        assert_eq!(exchange.answer.unwrap().header("location"), Some("http://127.0.0.1:1/in/…"));
    }
}

#[tokio::test]
async fn gone_and_throttled_are_read_from_a_real_answer() {
    let (gone, _) = exchange(open(), answer("410 Gone", "", "bye")).await;
    assert!(outcome(&gone).disables_trigger());
    let (throttled, _) = exchange(open(), answer("429 Too Many", "Retry-After: 7\r\n", "")).await;
    assert_eq!(outcome(&throttled).pause, Some(Duration::from_secs(7)));
}

#[tokio::test]
async fn of_an_endless_body_the_beginning_is_kept_and_the_rest_not_waited_for() {
    let (exchange, _) =
        exchange(open(), Act::Pour("HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n".into())).await;
    assert_eq!(outcome(&exchange).class, Class::Success);
    let answer = exchange.answer.unwrap();
    assert!(answer.body_cut);
    assert_eq!(answer.body, "y".repeat(KEPT_BODY_BYTES));
}

#[tokio::test]
async fn a_body_that_is_kept_whole_is_not_called_cut() {
    let body = "z".repeat(KEPT_BODY_BYTES);
    let (whole, _) = exchange(open(), answer("200 OK", "", &body)).await;
    assert_eq!(
        whole.answer.map(|answer| (answer.body.len(), answer.body_cut)),
        Some((KEPT_BODY_BYTES, false))
    );
    let (cut, _) = exchange(open(), answer("200 OK", "", &format!("{body}z"))).await;
    assert_eq!(cut.answer.map(|answer| (answer.body.len(), answer.body_cut)), Some((KEPT_BODY_BYTES, true)));
}

#[tokio::test]
async fn connections_are_kept_and_used_again() {
    let receiver = Receiver::start(answer("200 OK", "", "ok")).await;
    let client = client(open(), here());
    let url = format!("http://{}/in", receiver.address);
    for _ in 0..5 {
        assert!(outcome(&post(&client, &url).await).is_success());
    }
    assert_eq!((receiver.connections(), receiver.requests().len()), (1, 5));
}

#[tokio::test]
async fn a_cookie_is_not_sent_back_and_not_shown() {
    let receiver = Receiver::start(answer("200 OK", "set-cookie: id=s3cret\r\n", "")).await;
    let client = client(open(), here());
    let url = format!("http://{}/in", receiver.address);
    let exchange = post(&client, &url).await;
    post(&client, &url).await;
    assert!(receiver.requests().iter().all(|request| !request.contains("s3cret")));
    assert_eq!(exchange.answer.unwrap().header("set-cookie"), Some("…"));
}

const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

fn secretive() -> Value {
    json!({
        "headers": { "X-Api-Key": "header-s3cret" },
        "auth": { "kind": "basic", "user": "us3r", "password": "pass-s3cret" },
        "secrets": [SECRET],
    })
}

/// Everything that can be printed or stored of an exchange.
fn printed(exchange: &Exchange) -> String {
    let answer =
        exchange.answer.as_ref().map(|answer| format!("{answer:?} {:?} {}", answer.headers, answer.body));
    format!(
        "{exchange:?} {} {:?} {answer:?} {:?}",
        exchange.request_line(),
        exchange.shown_headers().collect::<Vec<_>>(),
        exchange.failure
    )
}

fn assert_masked(exchange: &Exchange) {
    let printed = printed(exchange);
    for secret in ["s3cret", "C2FVsBQ", "dXMzcjpwYXNz"] {
        assert!(!printed.contains(secret), "{secret} in {printed}");
    }
}

#[tokio::test]
async fn a_receiver_that_echoes_the_request_puts_no_secret_into_the_log() {
    let receiver = Receiver::start(Act::Echo).await;
    let url = format!("http://{}/in/path-s3cret?sig=query-s3cret", receiver.address);
    let exchange = client(open(), here()).send(request_to(&url, secretive())).await;
    assert!(receiver.requests()[0].contains("header-s3cret"), "it did get them");
    assert!(exchange.answer.as_ref().unwrap().body.contains("x-api-key: …"));
    assert_masked(&exchange);
}

#[tokio::test]
async fn no_failure_tells_a_secret() {
    let client = client(hasty(), here());
    let closed = receiver::closed().await;
    let (resetting, mute) = (Receiver::start(Act::Reset).await, receiver::mute().await);
    for url in [
        format!("http://{closed}/in/path-s3cret?sig=query-s3cret"),
        format!("http://{}/in/path-s3cret?sig=query-s3cret", resetting.address),
        format!("http://{mute}/in/path-s3cret?sig=query-s3cret"),
        format!("https://{mute}/in/path-s3cret?sig=query-s3cret"),
        "https://10.0.0.1/in/path-s3cret?sig=query-s3cret".to_owned(),
        "ftp://crm.test/in/path-s3cret?sig=query-s3cret".to_owned(),
    ] {
        let request = request_to(&url, secretive());
        assert!(!format!("{request:?}").contains("s3cret"));
        let exchange = client.send(request).await;
        assert!(exchange.failure.is_some());
        assert_masked(&exchange);
    }
}
