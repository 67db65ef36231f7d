//! A dead letter as a record of its topic, format 1: JSON, keyed by the place that it came from.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use ringpost_bus::{Message, Record};
use ringpost_model::{PbxKey, TenantKey, Text, Timestamp};
use ringpost_store::DeadLetter;
use serde::{Deserialize, Serialize};

/// A body that takes more than this as text is written as base64: what is half control characters would grow sixfold,
/// beyond what a broker takes.
const TEXT_BYTES: usize = 512 << 10;

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    v: u8,
    position: Text,
    /// Microseconds since 1970.
    received: i64,
    reason: Text,
    dialect: Text,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tenant: Option<TenantKey>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pbx: Option<PbxKey>,
    /// Of the whole input.
    length: u64,
    /// Of the whole input, hexadecimal.
    sha256: String,
    /// The input, or its beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    /// The same, where it is no text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body64: Option<String>,
}

/// Why a record of the topic is no letter.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoLetter {
    #[error("read a dead letter from its topic: {0}")]
    Json(#[from] serde_json::Error),
    #[error("read a dead letter from its topic: format {0}, this version knows 1")]
    Version(u8),
    #[error("read a dead letter from its topic: its {0} is damaged")]
    Damaged(&'static str),
}

pub(super) fn record(letter: &DeadLetter) -> Record {
    let text = std::str::from_utf8(&letter.body).ok().map(str::to_owned);
    let body = text.filter(|text| serde_json::to_vec(text).is_ok_and(|json| json.len() <= TEXT_BYTES));
    let body64 = body.is_none().then(|| STANDARD.encode(&letter.body));
    let wire = Wire {
        v: 1,
        position: letter.position.clone(),
        received: letter.received.micros(),
        reason: letter.reason.clone(),
        dialect: letter.dialect.clone(),
        tenant: letter.tenant.clone(),
        pbx: letter.pbx.clone(),
        length: letter.length,
        sha256: letter.sha256.iter().map(|byte| format!("{byte:02x}")).collect(),
        body,
        body64,
    };
    Record {
        key: Bytes::copy_from_slice(letter.position.as_bytes()),
        value: serde_json::to_vec(&wire).expect("a letter has only text keys").into(),
        timestamp: letter.received.micros(),
    }
}

pub(super) fn letter(message: &Message) -> Result<DeadLetter, NoLetter> {
    let wire: Wire = serde_json::from_slice(&message.value)?;
    if wire.v != 1 {
        return Err(NoLetter::Version(wire.v));
    }
    let sha256 = hash(&wire.sha256).ok_or(NoLetter::Damaged("sha256"))?;
    let body = match (wire.body, wire.body64) {
        (Some(text), _) => text.into_bytes(),
        (None, Some(text)) => STANDARD.decode(text).map_err(|_| NoLetter::Damaged("body64"))?,
        (None, None) => return Err(NoLetter::Damaged("body")),
    };
    Ok(DeadLetter {
        position: wire.position,
        received: Timestamp::from_micros(wire.received),
        reason: wire.reason,
        dialect: wire.dialect,
        tenant: wire.tenant,
        pbx: wire.pbx,
        length: wire.length,
        sha256,
        body,
    })
}

fn hash(text: &str) -> Option<[u8; 32]> {
    let mut hash = [0; 32];
    if !text.is_ascii() || text.len() != 64 {
        return None;
    }
    for (byte, at) in hash.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(&text[at..at + 2], 16).ok()?;
    }
    Some(hash)
}

#[cfg(test)]
mod tests {
    use ringpost_bus::Offset;

    use super::*;

    fn message(record: Record) -> Message {
        let Record { key, value, timestamp } = record;
        Message { offset: Offset(7), key, value, timestamp, headers: Vec::new() }
    }

    fn there_and_back(body: &[u8]) -> Record {
        let at = Timestamp::from_micros(1_773_133_200_000_000);
        let mut sent = DeadLetter::new("pbx.cdr/3@17", at, "leg: missing", "native", body);
        sent.tenant = Some(TenantKey::new("acme").unwrap());
        let written = record(&sent);
        assert_eq!(written.key, "pbx.cdr/3@17");
        assert_eq!(letter(&message(written.clone())).unwrap(), sent);
        written
    }

    #[test]
    fn a_letter_comes_back_as_it_was_and_text_can_be_read_on_the_topic() {
        let written = there_and_back(b"{\"v\":1,\n\"x\":\"\x1b\"}");
        insta::assert_snapshot!(String::from_utf8(written.value.to_vec()).unwrap(), @r#"{"v":1,"position":"pbx.cdr/3@17","received":1773133200000000,"reason":"leg: missing","dialect":"native","tenant":"acme","length":16,"sha256":"a125081675703d41f8bfdcfe355039a5967ed3169da4bb42a2d4abbc214f733e","body":"{\"v\":1,\n\"x\":\"\u001b\"}"}"#);
    }

    #[test]
    fn what_is_no_text_or_would_grow_too_large_fits_into_a_record_all_the_same() {
        there_and_back(b"\xff\xfe\x00");
        there_and_back(b"");
        assert!(there_and_back(&vec![0; 256 << 10]).value.len() < 400 << 10);
        assert!(there_and_back(&vec![b'"'; 300 << 10]).value.len() < 400 << 10, "only its beginning is kept");
    }

    #[test]
    fn what_others_write_to_the_topic_is_no_letter() {
        let told = |value: &str| {
            let record = Record { key: Bytes::new(), value: value.to_owned().into(), timestamp: 0 };
            letter(&message(record)).unwrap_err().to_string()
        };
        let whole = r#""position":"p","received":1,"reason":"r","dialect":"native","length":1"#;
        assert!(told("hello").starts_with("read a dead letter from its topic: "));
        assert!(
            told(&format!(r#"{{"v":2,{whole},"sha256":""}}"#)).ends_with("format 2, this version knows 1")
        );
        assert!(told(&format!(r#"{{"v":1,{whole},"sha256":"zz"}}"#)).ends_with("its sha256 is damaged"));
        let hash = "ab".repeat(32);
        assert!(told(&format!(r#"{{"v":1,{whole},"sha256":"{hash}"}}"#)).ends_with("its body is damaged"));
    }
}
