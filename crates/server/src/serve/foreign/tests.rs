//! Records of topics of others in, legs and dead letters out.

use std::fmt::Write;
use std::sync::Arc;

use ringpost_api::{Access, PbxAccess};
use ringpost_bus::{Batch, Message, Offset, Partition};
use ringpost_model::{Dialect, PbxKey, TenantKey};

use super::read::{Reading, read};
use crate::config::{KafkaSource, RecordPart};

fn tenant(key: &str) -> TenantKey {
    TenantKey::new(key).unwrap()
}

/// A reseller with a customer, a rival; a pbx of the reseller's, one of everybody.
fn access() -> Access {
    let pbx = |owner: Option<&str>| PbxAccess {
        dialect: Dialect::Native,
        tenant: owner.map(tenant),
        zone: None,
        sides: Arc::default(),
        tokens: Vec::new(),
    };
    Access {
        pbxs: [("k1", pbx(Some("reseller"))), ("multi", pbx(None))]
            .map(|(key, pbx)| (PbxKey::new(key).unwrap(), pbx))
            .into(),
        tenants: [("reseller", None), ("acme", Some("reseller")), ("rival", None)]
            .map(|(key, above)| (tenant(key), above.map(tenant)))
            .into(),
    }
}

fn source(pbx: &str) -> KafkaSource {
    KafkaSource { topic: "raw".to_owned(), pbx: PbxKey::new(pbx).ok(), ..KafkaSource::default() }
}

fn header(name: &str) -> Option<RecordPart> {
    Some(RecordPart::Header(name.to_owned()))
}

fn leg(tenant: &str, pbx: &str, leg: &str) -> String {
    let tenant = if tenant.is_empty() { String::new() } else { format!(r#""tenant":"{tenant}","#) };
    format!(r#"{{"v":1,"kind":"leg",{tenant}"pbx":"{pbx}","leg":"{leg}","created":1773133200000000}}"#)
}

/// A record with this key and these headers.
type Sent<'a> = (&'a str, &'a [(&'a str, &'a str)], String);

/// What comes of them, a line each.
fn told(source: &KafkaSource, sent: &[Sent<'_>]) -> String {
    let message = |(at, (key, headers, value)): (usize, &Sent<'_>)| Message {
        offset: Offset(40 + at as u64),
        key: key.as_bytes().to_vec().into(),
        value: value.clone().into(),
        timestamp: 1_773_133_200_000_000,
        headers: headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned().into()))
            .collect(),
    };
    let messages = sent.iter().enumerate().map(message).collect();
    let batch = Batch { topic: "raw".to_owned(), partition: Partition(2), messages };
    let Reading { delivered, letters } = read(&access(), source, &batch);
    let mut out = String::new();
    for record in delivered.records {
        writeln!(out, "{} of {} on {}", record.leg, record.tenant, record.pbx).unwrap();
    }
    for letter in letters {
        let pbx = letter.pbx.map_or_else(|| "-".to_owned(), |pbx| pbx.to_string());
        writeln!(out, "{} [{pbx}, {}]: {}", letter.position, letter.dialect, letter.reason).unwrap();
    }
    out
}

#[test]
fn the_messages_say_whose_they_are_and_a_pbx_speaks_for_its_tenants_only() {
    let sent =
        [leg("acme", "k1", "a"), leg("rival", "k1", "b"), leg("acme", "k2", "c"), "nonsense".to_owned()];
    insta::assert_snapshot!(told(&source("k1"), &sent.map(|value| ("", &[][..], value))), @r#"
    a of acme on k1
    raw/2@41 leg b [k1, native]: the leg is of tenant rival, pbx k1 may not speak for it
    raw/2@42 leg c [k1, native]: the leg is of pbx k2, what it came by is of k1
    raw/2@43 element 1 (line 1, byte 0) [k1, native]: not JSON: expected ident at line 1 column 2
    "#);
}

#[test]
fn the_key_names_the_tenant_and_what_it_names_is_judged_as_any_other() {
    let source = KafkaSource { tenant_from: Some(RecordPart::Key), ..source("k1") };
    let sent: Vec<Sent<'_>> = vec![
        ("acme", &[], leg("", "k1", "a")),
        ("rival", &[], leg("", "k1", "b")),
        ("nobody", &[], leg("", "k1", "c")),
        ("no key!", &[], leg("", "k1", "d")),
        ("", &[], leg("acme", "k1", "e")),
        ("acme", &[], leg("reseller", "k1", "f")),
    ];
    insta::assert_snapshot!(told(&source, &sent), @r#"
    a of acme on k1
    raw/2@41 leg b [k1, native]: the record is of tenant rival, pbx k1 may not speak for it
    raw/2@42 leg c [k1, native]: the record is of tenant nobody, pbx k1 may not speak for it
    raw/2@43 [-, native]: "no key!" is no key of a tenant
    raw/2@44 [-, native]: the key names no tenant
    raw/2@45 leg f [k1, native]: the leg is of tenant reseller, pbx k1 may not speak for it
    "#);
}

#[test]
fn headers_name_pbx_and_tenant_and_the_topic_says_what_records_without_them_are() {
    let source = KafkaSource { pbx_from: header("pbx"), tenant_from: header("Tenant"), ..source("multi") };
    let sent: Vec<Sent<'_>> = vec![
        ("", &[("pbx", "k1"), ("tenant", "acme")], leg("", "k1", "a")),
        ("", &[("tenant", "rival")], leg("", "multi", "b")),
        ("", &[("pbx", "no pbx"), ("tenant", "acme")], leg("", "k1", "c")),
        ("", &[("pbx", "k1")], leg("acme", "k1", "d")),
        ("", &[("tenant", "rival"), ("tenant", "acme")], leg("", "multi", "e")),
    ];
    insta::assert_snapshot!(told(&source, &sent), @r#"
    a of acme on k1
    b of rival on multi
    e of acme on multi
    raw/2@42 [-, native]: "no pbx" is no key of a pbx
    raw/2@43 [-, native]: the header Tenant names no tenant
    "#);
    let source = KafkaSource { pbx: None, ..source };
    insta::assert_snapshot!(told(&source, &sent[1..2]), @r#"raw/2@40 [-, native]: the header pbx names no pbx"#);
}

#[test]
fn several_elements_in_a_record_have_each_their_place_and_an_empty_record_says_nothing() {
    let several = [leg("acme", "k1", "a"), "{".to_owned(), leg("rival", "k1", "b")].join("\n");
    let sent: Vec<Sent<'_>> = vec![("", &[], several), ("", &[], String::new())];
    insta::assert_snapshot!(told(&source("k1"), &sent), @r#"
    a of acme on k1
    raw/2@40 element 2 (line 2, byte 85) [k1, native]: not JSON: EOF while parsing an object at line 1 column 1
    raw/2@40 leg b [k1, native]: the leg is of tenant rival, pbx k1 may not speak for it
    "#);
}

#[test]
fn rows_of_asterisk_that_come_one_a_record_are_read_together() {
    let row = |kind: &str, time: f64| {
        format!(
            r#"{{"eventtype":"{kind}","eventtime":"{time}","channame":"PJSIP/100-1","uniqueid":"1.1","linkedid":"1.1","accountcode":"acme"}}"#
        )
    };
    let rows = [
        row("CHAN_START", 1_773_133_200.0),
        row("ANSWER", 1_773_133_203.0),
        row("CHAN_END", 1_773_133_209.0),
    ];
    let source = KafkaSource {
        dialect: Some(Dialect::AsteriskCel),
        tenant_from: Some(RecordPart::Key),
        ..source("k1")
    };
    let told = told(&source, &rows.map(|row| ("acme", &[][..], row)));
    assert!(
        told.lines().count() >= 1 && told.lines().all(|line| line.starts_with("1.1 of acme on k1")),
        "{told}"
    );
}
