//! Receivers that demand a certificate of us.

use super::failing::{failure, trusting};
use super::*;

const CHAIN: &str = include_str!("tls/client.pem");
const ENDED: &str = include_str!("tls/ended.pem");
const KEY: &str = include_str!("tls/client.key");

fn showing(chain: &str) -> Value {
    json!({ "auth": { "kind": "certificate", "chain": chain, "key": KEY } })
}

async fn send(client: &Client, receiver: &Receiver, keys: Value) -> Exchange {
    client.send(request_to(&format!("https://crm.test:{}/in", receiver.address.port()), keys)).await
}

#[tokio::test]
async fn a_receiver_that_demands_a_certificate_gets_it_and_connections_are_kept() {
    let receiver = Receiver::start_mutual(answer("200 OK", "", "")).await;
    let client = client(trusting(), here());
    for _ in 0..3 {
        let exchange = send(&client, &receiver, showing(CHAIN)).await;
        assert!(outcome(&exchange).is_success(), "{exchange:?}");
    }
    assert_eq!((receiver.connections(), receiver.requests().len()), (1, 3));
}

#[tokio::test]
async fn a_connection_of_one_identity_is_not_used_by_a_trigger_without_it() {
    let receiver = Receiver::start_mutual(answer("200 OK", "", "")).await;
    let client = client(trusting(), here());
    assert!(outcome(&send(&client, &receiver, showing(CHAIN)).await).is_success());
    let nobody = send(&client, &receiver, json!({})).await;
    assert!(is_refused(&nobody), "{}", failure(&nobody));
    assert_eq!(receiver.requests().len(), 1);
}

#[tokio::test]
async fn a_certificate_that_has_ended_is_sent_and_the_failure_says_so() {
    let receiver = Receiver::start_mutual(answer("200 OK", "", "")).await;
    let exchange = send(&client(trusting(), here()), &receiver, showing(ENDED)).await;
    let text = failure(&exchange);
    assert!(is_refused(&exchange), "{text}");
    let ended = "(our certificate ended on 2025-01-01 00:00 UTC: most receivers refuse it)";
    assert!(text.ends_with(ended), "{text}");
}

#[tokio::test]
async fn a_certificate_that_cannot_be_used_is_our_mistake_and_not_tried_again() {
    let exchange =
        post_as(json!({ "auth": { "kind": "certificate", "chain": CHAIN, "key": "s3cret" } })).await;
    let text = failure(&exchange);
    assert!(
        text.starts_with("unsendable: use the certificate of the trigger: no private key is in it"),
        "{text}"
    );
    assert_masked(&exchange);
}

/// Refused by TLS. A server that closes at once may take its alert back: the connection is broken then.
fn is_refused(exchange: &Exchange) -> bool {
    matches!(outcome(exchange).class.name(), "tls" | "broken")
}

async fn post_as(keys: Value) -> Exchange {
    client(open(), here()).send(request_to("https://127.0.0.1:1/in", keys)).await
}

#[tokio::test]
async fn no_more_identities_are_kept_than_configured() {
    let receiver = Receiver::start_mutual(answer("200 OK", "", "")).await;
    let client = client(Config { certificates: 1, ..trusting() }, here());
    // The same certificate as another text is another identity.
    let texts = [CHAIN.to_owned(), format!("{CHAIN}\n")];
    for chain in texts.iter().cycle().take(4) {
        assert!(outcome(&send(&client, &receiver, showing(chain)).await).is_success());
    }
    assert_eq!(receiver.connections(), 4, "each took the place, and the connections, of the other");
}
