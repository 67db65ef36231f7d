//! What goes wrong, and that it is told apart.

use super::receiver::{closed, mute, never_connecting};
use super::*;
use crate::tls::roots_from_pem;

/// `kind: text`, the port of the test's socket left out.
pub(super) fn failure(exchange: &Exchange) -> String {
    let failure = exchange.failure.as_ref().expect("this exchange fails");
    format!("{}: {}", outcome(exchange).class.name(), failure.text)
}

#[tokio::test(start_paused = true)]
async fn a_name_that_never_resolves_ends_with_the_deadline() {
    let client = client(open(), Answers::of(&[]));
    let exchange = post(&client, "http://silent.test/in").await;
    assert_eq!(failure(&exchange), "timeout_dns: resolve the name: not done within 10 s");
    let late = exchange.took - Duration::from_secs(10);
    assert!(late < Duration::from_millis(5), "{late:?}");
}

#[tokio::test]
async fn a_connection_that_is_never_made_ends_with_the_deadline() {
    let (address, _held) = never_connecting().await;
    let exchange = post(&client(hasty(), here()), &format!("http://crm.test:{}/in", address.port())).await;
    let text = failure(&exchange);
    assert!(text.starts_with("timeout_connect: connect to 127.0.0.1: "), "{text}");
}

#[tokio::test]
async fn tls_that_never_begins_ends_with_the_deadline() {
    let address = mute().await;
    let exchange = post(&client(hasty(), here()), &format!("https://{address}/in")).await;
    assert_eq!(outcome(&exchange).class.name(), "timeout_tls");
}

#[tokio::test]
async fn an_answer_that_never_comes_ends_with_the_deadline() {
    let address = mute().await;
    let exchange = post(&client(hasty(), here()), &format!("http://{address}/in")).await;
    assert_eq!(failure(&exchange), "timeout_answer: get an answer: not done within 1 s");
    let (slow, _) = super::exchange(hasty(), Act::Trickle("HTTP/1.1 200 OK\r\nx-slow: ".into())).await;
    assert_eq!(outcome(&slow).class.name(), "timeout_answer");
    assert!(slow.took < Duration::from_secs(8), "one deadline, not one per byte: {:?}", slow.took);
}

#[tokio::test]
async fn a_body_that_trickles_ends_with_the_deadline_and_what_came_is_kept() {
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nbegin ";
    let (exchange, _) = super::exchange(hasty(), Act::Trickle(head.into())).await;
    assert_eq!(failure(&exchange), "timeout_body: read the body of the answer: not done within 1 s");
    let answer = exchange.answer.unwrap();
    assert!(answer.status == 200 && answer.body.starts_with("begin x"), "{}", answer.body);
}

#[tokio::test]
async fn a_body_that_breaks_is_told_from_a_whole_one() {
    let half = "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nhalf";
    let (exchange, _) = super::exchange(open(), Act::AnswerAndClose(half.into())).await;
    assert!(failure(&exchange).starts_with("body_broken: read the body of the answer: "));
    assert_eq!(exchange.answer.unwrap().body, "half");
}

#[tokio::test]
async fn a_connection_that_breaks_or_speaks_no_http_is_broken() {
    let (reset, _) = super::exchange(open(), Act::Reset).await;
    assert!(failure(&reset).starts_with("broken: get an answer: "), "{}", failure(&reset));
    let (garbage, _) = super::exchange(open(), Act::AnswerAndClose("SSH-2.0-OpenSSH_9.2\r\n".into())).await;
    assert!(failure(&garbage).starts_with("broken: get an answer: "), "{}", failure(&garbage));
    let (empty, _) = super::exchange(open(), Act::AnswerAndClose(String::new())).await;
    assert!(failure(&empty).starts_with("broken: get an answer: "), "{}", failure(&empty));
}

#[tokio::test]
async fn nobody_listening_is_a_failure_to_connect() {
    let address = closed().await;
    let exchange = post(&client(open(), here()), &format!("http://crm.test:{}/in", address.port())).await;
    let text = failure(&exchange);
    assert!(text.starts_with("connect: connect to 127.0.0.1: Connection refused"), "{text}");
}

#[tokio::test]
async fn a_dead_address_of_a_name_leaves_the_others() {
    let receiver = Receiver::start(answer("200 OK", "", "")).await;
    let config = Config { allowed: vec!["127.0.0.0/8".parse().unwrap()], ..open() };
    let client = client(config, Answers::of(&[&["127.0.0.2", "127.0.0.1"]]));
    let exchange = post(&client, &format!("http://crm.test:{}/in", receiver.address.port())).await;
    assert!(outcome(&exchange).is_success(), "{exchange:?}");
    assert_eq!(exchange.address, Some(receiver.address));
}

#[tokio::test]
async fn this_machine_is_not_sent_to_unless_it_is_allowed() {
    let receiver = Receiver::start(answer("200 OK", "", "")).await;
    let client = client(Config { allow_http: true, ..Config::default() }, here());
    let port = receiver.address.port();
    for host in ["127.0.0.1", "2130706433", "0x7f.1", "0177.0.0.1", "[::ffff:127.0.0.1]", "crm.test"] {
        let exchange = post(&client, &format!("http://{host}:{port}/in")).await;
        assert_eq!(outcome(&exchange).class.name(), "refused_address", "{host}");
    }
    assert_eq!(receiver.connections(), 0);
}

#[tokio::test]
async fn a_name_whose_answer_turns_bad_is_refused_on_the_next_attempt() {
    let receiver = Receiver::start(Act::AnswerAndClose(
        "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".into(),
    ))
    .await;
    let client = client(open(), Answers::of(&[&["127.0.0.1"], &["127.0.0.1", "10.0.0.1"]]));
    let url = format!("http://crm.test:{}/in", receiver.address.port());
    assert!(outcome(&post(&client, &url).await).is_success());
    let exchange = post(&client, &url).await;
    let expected = "refused_address: resolve crm.test: address 10.0.0.1 is refused: private";
    assert_eq!(failure(&exchange), expected);
    assert_eq!(receiver.connections(), 1);
}

#[tokio::test]
async fn http_is_not_sent_to_unless_it_is_allowed() {
    let receiver = Receiver::start(answer("200 OK", "", "")).await;
    let config = Config { allow_http: false, ..open() };
    let exchange = post(&client(config, here()), &format!("http://{}/in", receiver.address)).await;
    assert_eq!(failure(&exchange), "unsendable: send to a URL of scheme http: only https is allowed");
    assert_eq!(receiver.connections(), 0);
}

pub(super) fn trusting() -> Config {
    Config { extra_roots: roots_from_pem(include_bytes!("tls/ca.pem")).unwrap(), ..open() }
}

#[tokio::test]
async fn a_root_of_the_operator_is_trusted() {
    let receiver = Receiver::start_tls(answer("200 OK", "", "")).await;
    let url = format!("https://crm.test:{}/in", receiver.address.port());
    let client = client(trusting(), here());
    for _ in 0..2 {
        let exchange = post(&client, &url).await;
        assert!(outcome(&exchange).is_success(), "{exchange:?}");
    }
    assert_eq!(receiver.connections(), 1);
}

#[tokio::test]
async fn http_2_is_spoken_where_the_receiver_offers_it() {
    let receiver = Receiver::start_h2(0).await;
    let url = format!("https://crm.test:{}/in", receiver.address.port());
    let client = client(trusting(), here());
    for _ in 0..2 {
        let exchange = post(&client, &url).await;
        assert!(outcome(&exchange).is_success(), "{exchange:?}");
        assert_eq!(
            (exchange.address, exchange.answer.unwrap().body.as_str()),
            (Some(receiver.address), "by h2")
        );
    }
    assert_eq!(receiver.requests(), [format!("POST {url}"), format!("POST {url}")]);
    assert_eq!(receiver.connections(), 1);
}

/// By the rules of HTTP/2 such a request may be sent again: it costs its receiver no try.
#[tokio::test]
async fn a_request_that_http_2_refuses_to_look_at_is_sent_again_and_not_for_ever() {
    for (refused, sent, class) in [(2, 3, "success"), (9, 3, "broken")] {
        let receiver = Receiver::start_h2(refused).await;
        let url = format!("https://crm.test:{}/in", receiver.address.port());
        let exchange = post(&client(trusting(), here()), &url).await;
        assert_eq!(outcome(&exchange).class.name(), class, "{exchange:?}");
        assert_eq!(receiver.requests().len(), sent);
    }
}

#[tokio::test]
async fn a_certificate_of_an_unknown_root_or_for_another_name_is_refused() {
    let receiver = Receiver::start_tls(answer("200 OK", "", "")).await;
    let port = receiver.address.port();
    let unknown = post(&client(open(), here()), &format!("https://crm.test:{port}/in")).await;
    assert_eq!(failure(&unknown), "tls: agree on TLS: invalid peer certificate: UnknownIssuer");
    let other = post(&client(trusting(), here()), &format!("https://other.test:{port}/in")).await;
    assert!(
        failure(&other).starts_with("tls: agree on TLS: invalid peer certificate: "),
        "{}",
        failure(&other)
    );
    assert!(receiver.requests().is_empty());
}

#[tokio::test]
async fn a_server_without_tls_is_a_failure_of_tls() {
    let receiver = Receiver::start(Act::AnswerAndClose("HTTP/1.1 400 Bad\r\n\r\n".into())).await;
    // A plain server reads the greeting of TLS as a request that never ends, or closes.
    let exchange = post(&client(hasty(), here()), &format!("https://{}/in", receiver.address)).await;
    let class = outcome(&exchange).class.name();
    assert!(class == "tls" || class == "timeout_tls", "{}", failure(&exchange));
}
