//! Deliveries with a token of OAuth 2: asked for once, kept, renewed, never shown.

use futures_util::future::{join, join_all};
use tokio::sync::Semaphore;

use super::failing::failure;
use super::receiver::{closed, mute, text_of};
use super::*;

const TOKEN: &str = r#"{"access_token":"tok3n-s3cret","token_type":"Bearer","expires_in":3600}"#;

fn grant(token_url: &str) -> Value {
    json!({ "auth": {
        "kind": "oauth2", "tokenUrl": token_url, "clientId": "ringpost", "clientSecret": "client-s3cret",
        "scope": "calls.write", "parameters": { "audience": "https://crm.example/" },
    }})
}

fn in_turn(answers: &[(&str, &str)]) -> Act {
    let texts = answers.iter().map(|(status, body)| text_of(status, "", body));
    Act::AnswerInTurn(Arc::new(Mutex::new(texts.collect())))
}

struct Both {
    tokens: Receiver,
    receiver: Receiver,
    client: Client,
}

impl Both {
    async fn start(tokens: Act, receiver: Act) -> Self {
        let (tokens, receiver) = (Receiver::start(tokens).await, Receiver::start(receiver).await);
        Self { tokens, receiver, client: client(open(), here()) }
    }

    fn request(&self) -> Request {
        let tokens = format!("http://tokens.test:{}/token?tenant=query-s3cret", self.tokens.address.port());
        request_to(&format!("http://{}/in", self.receiver.address), grant(&tokens))
    }

    async fn send(&self) -> Exchange {
        self.client.send(self.request()).await
    }

    /// How often each was asked.
    fn asked(&self) -> (usize, usize) {
        (self.tokens.requests().len(), self.receiver.requests().len())
    }
}

#[tokio::test]
async fn a_token_is_asked_for_once_and_carried_by_every_delivery() {
    let both = Both::start(answer("200 OK", "", TOKEN), Act::Echo).await;
    for _ in 0..3 {
        let exchange = both.send().await;
        assert!(outcome(&exchange).is_success(), "{exchange:?}");
        assert_masked(&exchange);
        assert!(exchange.shown_headers().any(|header| header == ("authorization", "…".into())));
        assert!(exchange.answer.unwrap().body.contains("authorization: Bearer …"));
    }
    assert_eq!(both.asked(), (1, 3));
    assert!(both.receiver.requests().iter().all(|it| it.contains("authorization: Bearer tok3n-s3cret\r\n")));
    let asked = both.tokens.requests();
    let (head, body) = asked[0].split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /token?tenant=query-s3cret HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("content-type: application/x-www-form-urlencoded"), "{head}");
    // ringpost:client-s3cret
    assert!(head.contains("authorization: Basic cmluZ3Bvc3Q6Y2xpZW50LXMzY3JldA=="), "{head}");
    let expected = "grant_type=client_credentials&scope=calls.write&audience=https%3A%2F%2Fcrm.example%2F";
    assert_eq!(body, expected);
}

#[tokio::test]
async fn a_hundred_deliveries_at_once_make_one_token_request() {
    let gate = Arc::new(Semaphore::new(0));
    let act = Act::AnswerWhenAllowed(gate.clone(), text_of("200 OK", "", TOKEN));
    let both = Both::start(act, answer("200 OK", "", "")).await;
    let allow = async {
        while both.tokens.requests().is_empty() {
            tokio::task::yield_now().await;
        }
        gate.add_permits(100);
    };
    let (exchanges, ()) = join(join_all((0..100).map(|_| both.send())), allow).await;
    assert!(exchanges.iter().all(|exchange| outcome(exchange).is_success()));
    assert_eq!(both.asked(), (1, 100));
}

#[tokio::test]
async fn a_token_that_the_receiver_refuses_is_replaced_within_the_same_attempt() {
    let other = TOKEN.replace("tok3n", "other");
    let tokens = in_turn(&[("200 OK", TOKEN), ("200 OK", &other)]);
    let receiver =
        in_turn(&[("200 OK", ""), ("401 Unauthorized", "tok3n-s3cret"), ("200 OK", "other-s3cret")]);
    let both = Both::start(tokens, receiver).await;
    assert!(outcome(&both.send().await).is_success());
    let exchange = both.send().await;
    assert!(outcome(&exchange).is_success(), "{exchange:?}");
    assert_masked(&exchange);
    assert_eq!(both.asked(), (2, 3));
    let carried = both.receiver.requests().iter().map(|it| it.contains("Bearer tok3n")).collect::<Vec<_>>();
    assert_eq!(carried, [true, true, false]);
}

#[tokio::test]
async fn a_receiver_that_refuses_every_token_does_not_turn_deliveries_into_token_requests() {
    let other = TOKEN.replace("tok3n", "other");
    let tokens = in_turn(&[("200 OK", TOKEN), ("200 OK", &other)]);
    let both = Both::start(tokens, answer("401 Unauthorized", "", "no")).await;
    for _ in 0..5 {
        let exchange = both.send().await;
        assert_eq!((outcome(&exchange).class, exchange.status()), (Class::HttpError, Some(401)));
    }
    // The first is refused with a token that is new, the second has another one made, the rest have to wait.
    assert_eq!(both.asked(), (2, 6));
}

#[tokio::test]
async fn what_a_token_server_says_is_told_and_classed_by_who_is_to_blame() {
    let table = [
        (
            "401 No",
            r#"{"error":"invalid_client"}"#,
            "token_refused: get a token: answered 401 invalid_client",
        ),
        (
            "400 Bad",
            r#"{"error":"invalid_scope","error_description":"no\n  client-s3cret here"}"#,
            "token_refused: get a token: answered 400 invalid_scope (no … here)",
        ),
        ("403 No", "<html>", "token_refused: get a token: answered 403"),
        ("429 Slow", "", "token: get a token: answered 429"),
        ("500 Oh", "<html>", "token: get a token: answered 500"),
        ("302 Found", "", "token: get a token: answered 302"),
        ("200 OK", "<html>", "token: get a token: the answer is no JSON with an access_token in it"),
        (
            "200 OK",
            r#"{"token":"x"}"#,
            "token: get a token: the answer is no JSON with an access_token in it",
        ),
        (
            "200 OK",
            r#"{"access_token":"x","token_type":"mac"}"#,
            "token: get a token: it is of type \"mac\", only Bearer can be sent",
        ),
        (
            "200 OK",
            r#"{"access_token":"x y"}"#,
            "token: get a token: it has 3 bytes, or characters that no header can hold",
        ),
    ];
    for (status, body, expected) in table {
        let both = Both::start(answer(status, "location: /token\r\n", body), answer("200 OK", "", "")).await;
        let exchange = both.send().await;
        assert_eq!(failure(&exchange), expected);
        assert_masked(&exchange);
        assert_eq!(both.receiver.requests().len(), 0);
    }
}

#[tokio::test]
async fn of_an_endless_answer_of_a_token_server_64_kib_are_read() {
    let endless = Act::Pour("HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n".into());
    let exchange = Both::start(endless, answer("200 OK", "", "")).await.send().await;
    assert_eq!(failure(&exchange), "token: get a token: the answer is longer than 65536 bytes");
}

#[tokio::test]
async fn a_token_server_that_wants_the_credentials_in_the_body_gets_them_there() {
    let no = r#"{"error":"invalid_client"}"#;
    let short = r#"{"access_token":"tok3n-s3cret","token_type":"bearer","expires_in":0}"#;
    let tokens = in_turn(&[("401 No", no), ("200 OK", short)]);
    let both = Both::start(tokens, answer("200 OK", "", "")).await;
    assert!(outcome(&both.send().await).is_success());
    assert!(outcome(&both.send().await).is_success());
    let in_body: Vec<bool> = both
        .tokens
        .requests()
        .iter()
        .map(|it| it.ends_with("client_id=ringpost&client_secret=client-s3cret"))
        .collect();
    assert_eq!(in_body, [false, true, true], "what was understood is remembered");
    assert!(!both.tokens.requests()[1].contains("authorization"));
}

#[tokio::test]
async fn a_token_server_that_cannot_be_reached_is_told_from_a_receiver_that_cannot() {
    let client = client(hasty(), here());
    let send =
        async |token_url: &str| client.send(request_to("http://crm.test:1/in", grant(token_url))).await;
    let closed = send(&format!("http://tokens.test:{}/", closed().await.port())).await;
    let text = failure(&closed);
    assert!(text.starts_with("token: get a token: connect to 127.0.0.1: Connection refused"), "{text}");
    let silent = send(&format!("http://tokens.test:{}/", mute().await.port())).await;
    assert_eq!(failure(&silent), "timeout_token: get a token: get an answer: not done within 1 s");
    let expected = "refused_address: get a token: address 10.0.0.1 is refused: private";
    assert_eq!(failure(&send("http://10.0.0.1/").await), expected);
    let expected = "unsendable: get a token: send to a URL of scheme ftp: only https is allowed";
    assert_eq!(failure(&send("ftp://tokens.test/").await), expected);
}

#[tokio::test]
async fn a_slow_token_server_holds_its_own_deliveries_only() {
    let both = Both::start(answer("200 OK", "", TOKEN), answer("200 OK", "", "")).await;
    let url = format!("http://{}/in", both.receiver.address);
    let silent = format!("http://{}/", mute().await);
    let client = client(hasty(), here());
    let held = join_all((0..10).map(|_| client.send(request_to(&url, grant(&silent)))));
    let good = format!("http://{}/", both.tokens.address);
    let free = async {
        for _ in 0..10 {
            assert!(outcome(&client.send(request_to(&url, grant(&good))).await).is_success());
            assert!(outcome(&post(&client, &url).await).is_success());
        }
        Instant::now()
    };
    let begun = Instant::now();
    let (held, done) = join(held, free).await;
    assert!(held.iter().all(|exchange| outcome(exchange).class.name() == "timeout_token"));
    assert!(done - begun < Duration::from_secs(1), "{:?}", done - begun);
}

#[tokio::test]
async fn no_token_is_asked_for_where_the_receiver_is_refused() {
    let both = Both::start(answer("200 OK", "", TOKEN), answer("200 OK", "", "")).await;
    let keys = grant(&format!("http://{}/", both.tokens.address));
    let exchange = both.client.send(request_to("http://10.0.0.1/in", keys)).await;
    assert_eq!(failure(&exchange), "refused_address: address 10.0.0.1 is refused: private");
    assert_eq!(both.asked(), (0, 0));
}
