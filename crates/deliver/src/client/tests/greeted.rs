//! Who asks whether a receiver can be reached is told what a delivery would meet.

use super::receiver::{Receiver, answer};
use crate::greet;
use crate::tls::roots_from_pem;

const CA: &[u8] = include_bytes!("tls/ca.pem");

#[tokio::test]
async fn a_certificate_that_is_trusted_says_when_it_ends_and_one_that_is_not_says_so() {
    let receiver = Receiver::start_tls(answer("200 OK", "", "ok")).await;
    let roots = roots_from_pem(CA).unwrap();
    let ends = greet("crm.test", receiver.address, roots.clone()).await.unwrap().unwrap();
    assert!(ends.seconds() > 1_795_000_000, "{ends}");
    let untrusted = greet("crm.test", receiver.address, Vec::new()).await.unwrap_err();
    assert!(format!("{untrusted:?}").contains("UnknownIssuer"), "{untrusted:?}");
    let other = greet("other.test", receiver.address, roots).await.unwrap_err();
    assert!(format!("{other:?}").contains("NotValidForName"), "{other:?}");
}
