//! Which certificates and keys are taken, and what is told of the others.

use serde_json::json;

use super::*;

const CHAIN: &str = include_str!("../client/tests/tls/client.pem");
const ENDED: &str = include_str!("../client/tests/tls/ended.pem");
const KEY: &str = include_str!("../client/tests/tls/client.key");

fn auth(chain: &str, key: &str) -> Auth {
    serde_json::from_value(json!({ "kind": "certificate", "chain": chain, "key": key })).unwrap()
}

fn mistake(chain: &str, key: &str) -> Option<CertificateError> {
    check_certificate(&auth(chain, key)).err()
}

#[test]
fn a_chain_and_its_key_are_taken_in_every_usual_form() {
    let root = include_str!("../client/tests/tls/client-ca.pem");
    for chain in
        [CHAIN.to_owned(), format!("{CHAIN}{root}"), format!("subject: us\n{CHAIN}"), ENDED.to_owned()]
    {
        assert_eq!(mistake(&chain, KEY), None);
    }
    assert_eq!(mistake(CHAIN, include_str!("pem/sec1.key")), None);
    assert_eq!(mistake(CHAIN, &KEY.replace('\n', "\r\n")), None);
}

#[test]
fn each_mistake_is_told_apart() {
    use CertificateError::*;
    let cut = &CHAIN[..CHAIN.len() - 40];
    let root = include_str!("../client/tests/tls/client-ca.pem");
    let no_certificate = "-----BEGIN CERTIFICATE-----\nc2VjcmV0\n-----END CERTIFICATE-----\n";
    let no_key = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n";
    let table = [
        ("", KEY, NoCertificate),
        (KEY, KEY, NoCertificate),
        (cut, KEY, BadCertificate),
        (no_certificate, KEY, BadCertificate),
        (CHAIN, "", NoKey),
        (CHAIN, CHAIN, NoKey),
        (CHAIN, include_str!("pem/encrypted.key"), EncryptedKey),
        (CHAIN, no_key, BadKey),
        (CHAIN, include_str!("pem/other.key"), OtherKey),
        (root, KEY, OtherKey),
    ];
    for (chain, key, expected) in table {
        assert_eq!(mistake(chain, key), Some(expected));
        assert!(!expected.to_string().contains("c2VjcmV0"));
    }
}

fn warning(chain: &str, now: &str) -> Option<String> {
    let now = DateTime::parse_from_rfc3339(now).unwrap();
    certificate_warning(&auth(chain, KEY), Timestamp::from_micros(now.timestamp_micros()))
}

#[test]
fn an_end_is_warned_of_two_weeks_before() {
    assert_eq!(warning(ENDED, "2024-12-17T23:59:59Z"), None);
    let soon = "our certificate ends on 2025-01-01 00:00 UTC: get another one before";
    assert_eq!(warning(ENDED, "2024-12-18T00:00:01Z").as_deref(), Some(soon));
    let ended = "our certificate ended on 2025-01-01 00:00 UTC: most receivers refuse it";
    assert_eq!(warning(ENDED, "2025-01-01T00:00:00Z").as_deref(), Some(ended));
}

/// Its end is written with four digits of the year, that of the other with two.
#[test]
fn an_end_after_2049_is_read_too() {
    assert_eq!(warning(CHAIN, "2126-10-01T00:00:00Z"), None);
    assert!(warning(CHAIN, "2126-11-02T00:00:00Z").is_some());
}

#[test]
fn bytes_that_are_no_certificate_are_none_and_cut_ones_too() {
    let whole = CertificateDer::from_pem_slice(CHAIN.as_bytes()).unwrap();
    assert!(ends(&whole).is_some());
    for length in 0..whole.len() {
        let _ = ends(&whole[..length]);
    }
    assert_eq!(ends(&whole[..whole.len() - 1]), None);
    for at in 0..whole.len() {
        for value in [0x00, 0x30, 0x7f, 0x80, 0x83, 0x84, 0xff] {
            let mut changed = whole.to_vec();
            changed[at] = value;
            let _ = ends(&changed);
        }
    }
}
