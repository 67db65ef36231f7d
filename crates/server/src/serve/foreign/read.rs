//! What records of a topic of others say: whose they are, legs, and dead letters, each with the place of its record.

use ringpost_api::{Access, DeadLetter as Refused, Delivered, Grant, Judge, Refusal};
use ringpost_bus::{Batch, Message};
use ringpost_ingest::{Decoded, Source, decode};
use ringpost_model::{Dialect, PbxKey, TenantKey, Timestamp};
use ringpost_store::DeadLetter;

use crate::config::{KafkaSource, RecordPart};
use crate::serve::dead_letters::refused;

/// The header that says how a body is written, as over HTTP.
const CONTENT_TYPE: &str = "content-type";

/// What came of a batch.
#[derive(Debug, Default)]
pub(super) struct Reading {
    pub(super) delivered: Delivered,
    /// What was refused, as it is kept.
    pub(super) letters: Vec<DeadLetter>,
}

/// Reads a batch.
pub(super) fn read(access: &Access, source: &KafkaSource, batch: &Batch) -> Reading {
    let mut reading = Reading::default();
    let mut known: Option<(Whose, Grant)> = None;
    let mut rows: Option<Rows> = None;
    for message in batch.messages.iter().filter(|message| !message.value.is_empty()) {
        let place = place(batch, message);
        let whose = match Whose::of(source, message) {
            Ok(whose) => whose,
            Err(why) => {
                reading.refuse_whole(source, &place, message, &why);
                continue;
            }
        };
        if known.as_ref().is_none_or(|(of, _)| *of != whose) {
            match whose.grant(access, source) {
                Ok(grant) => known = Some((whose, grant)),
                Err((grant, refusal)) => {
                    reading.refuse_read(&grant, message, &place, &refusal);
                    continue;
                }
            }
        }
        let Some((_, grant)) = &known else { continue };
        reading.delivered.dialect = grant.dialect;
        if !reads_together(grant.dialect) {
            reading.take(access, grant, message, &place, &message.value);
            continue;
        }
        match &mut rows {
            Some(rows) if rows.grant.pbx == grant.pbx && rows.grant.tenant == grant.tenant => {
                rows.add(&message.value);
            }
            _ => {
                if let Some(before) = rows.replace(Rows::new(grant, message, place)) {
                    before.read(access, &mut reading);
                }
            }
        }
    }
    if let Some(rows) = rows {
        rows.read(access, &mut reading);
    }
    reading
}

fn place(batch: &Batch, message: &Message) -> String {
    format!("{}/{}@{}", batch.topic, batch.partition, message.offset)
}

/// Rows of one call, of which no single one says what a leg was, come one a record: those that follow each other are
/// looked at together.
fn reads_together(dialect: Dialect) -> bool {
    matches!(dialect, Dialect::AsteriskCel | Dialect::AsteriskCdr)
}

struct Rows<'a> {
    grant: Grant,
    first: &'a Message,
    /// Of the first one.
    place: String,
    text: Vec<u8>,
}

impl<'a> Rows<'a> {
    fn new(grant: &Grant, first: &'a Message, place: String) -> Self {
        Self { grant: grant.clone(), first, place, text: first.value.to_vec() }
    }

    fn add(&mut self, row: &[u8]) {
        self.text.push(b'\n');
        self.text.extend_from_slice(row);
    }

    fn read(self, access: &Access, reading: &mut Reading) {
        reading.take(access, &self.grant, self.first, &self.place, &self.text);
    }
}

/// What of a record says whose it is.
#[derive(Debug, PartialEq, Eq)]
struct Whose {
    pbx: PbxKey,
    tenant: Option<TenantKey>,
}

impl Whose {
    fn of(source: &KafkaSource, message: &Message) -> Result<Self, String> {
        let pbx = match &source.pbx_from {
            None => None,
            Some(part) => part_of(part, message)?,
        };
        let named = pbx.map(|text| text.parse().map_err(|_| format!("{text:?} is no key of a pbx")));
        let pbx = named.transpose()?.or_else(|| source.pbx.clone());
        let pbx = pbx.ok_or_else(|| format!("{} names no pbx", named_part(source.pbx_from.as_ref())))?;
        let Some(part) = &source.tenant_from else { return Ok(Self { pbx, tenant: None }) };
        let text = part_of(part, message)?;
        let text = text.ok_or_else(|| format!("{} names no tenant", named_part(Some(part))))?;
        let tenant = text.parse().map_err(|_| format!("{text:?} is no key of a tenant"))?;
        Ok(Self { pbx, tenant: Some(tenant) })
    }

    /// What its messages may say; or what they would be read with, and why they may not say it.
    fn grant(&self, access: &Access, source: &KafkaSource) -> Result<Grant, (Grant, Refusal)> {
        let grant = access.grant_input(&self.pbx, source.tenant.as_ref(), source.dialect);
        match &self.tenant {
            None => Ok(grant),
            Some(tenant) => access.narrow(&grant, tenant).map_err(|refusal| {
                let read_with = Grant { tenant: Some(tenant.clone()), ..grant };
                (read_with, refusal)
            }),
        }
    }
}

/// None where it is not there or empty.
fn part_of(part: &RecordPart, message: &Message) -> Result<Option<String>, String> {
    let bytes = match part {
        RecordPart::Key => Some(&message.key),
        RecordPart::Header(name) => header(message, name),
    };
    let Some(bytes) = bytes.filter(|bytes| !bytes.is_empty()) else { return Ok(None) };
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(Some(text.trim().to_owned())),
        Err(_) => Err(format!("{} is no text", named_part(Some(part)))),
    }
}

fn header<'a>(message: &'a Message, name: &str) -> Option<&'a bytes::Bytes> {
    // Of several the last one: whoever passed the record on knew more.
    message.headers.iter().rev().find(|(of, _)| of.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

fn named_part(part: Option<&RecordPart>) -> String {
    match part {
        Some(RecordPart::Header(name)) => format!("the header {name}"),
        Some(RecordPart::Key) | None => "the key".to_owned(),
    }
}

impl Reading {
    fn take(&mut self, access: &Access, grant: &Grant, message: &Message, place: &str, body: &[u8]) {
        let decoded = decoded(grant, message, body);
        let judge = Judge { access, grant, input: place };
        let delivered = &mut self.delivered;
        delivered.read += decoded.accepted + decoded.notes.headers;
        let before = delivered.dead_letters.len();
        for reject in decoded.rejects {
            let position = reject.position.to_string();
            delivered.dead_letters.push(judge.unreadable(reject, position));
        }
        for record in decoded.records {
            let position = format!("leg {}", record.leg);
            judge.record(record, || position, delivered);
        }
        for notice in decoded.notices {
            let position = format!("notice {}", notice.name);
            judge.notice(notice, || position, delivered);
        }
        let now = Timestamp::from_micros(message.timestamp);
        let letters = delivered.dead_letters[before..].iter().map(|refused| letter(refused, now));
        self.letters.extend(letters);
    }

    /// Of a tenant that this topic may not speak for, or that nobody knows. Legs are kept in format 1, with the tenant that
    /// the record named: so they can be replayed once it may.
    fn refuse_read(&mut self, grant: &Grant, message: &Message, place: &str, refusal: &Refusal) {
        let (now, reason) = (Timestamp::from_micros(message.timestamp), refusal.to_string());
        let decoded = decoded(grant, message, &message.value);
        for record in &decoded.records {
            let place = format!("{place} leg {}", record.leg);
            let mut letter = refused(&place, record, &reason, now);
            letter.pbx = Some(grant.pbx.clone());
            self.letters.push(letter);
        }
        if decoded.records.is_empty() {
            let mut letter = DeadLetter::new(place, now, &reason, grant.dialect.name(), &message.value);
            letter.tenant.clone_from(&grant.tenant);
            self.letters.push(letter);
        }
    }

    /// Of whom it is cannot be said, so nothing of it is read; nor is it ever replayed as somebody's, whence no pbx.
    fn refuse_whole(&mut self, source: &KafkaSource, place: &str, message: &Message, why: &str) {
        let now = Timestamp::from_micros(message.timestamp);
        let dialect = source.dialect.unwrap_or_default();
        self.letters.push(DeadLetter::new(place, now, why, dialect.name(), &message.value));
    }
}

fn decoded(grant: &Grant, message: &Message, body: &[u8]) -> Decoded {
    let content_type = header(message, CONTENT_TYPE).and_then(|value| std::str::from_utf8(value).ok());
    let now = Timestamp::from_micros(message.timestamp);
    let source = Source { content_type, received: Some(now), is_named: true, ..grant.source() };
    decode(grant.dialect, &source, body)
}

/// The place of a record is the same whenever it is read.
fn letter(refused: &Refused, now: Timestamp) -> DeadLetter {
    let place = format!("{} {}", refused.input, refused.position);
    let reason = refused.refusal.to_string();
    let mut letter = DeadLetter::new(&place, now, &reason, refused.dialect.name(), &refused.bytes);
    letter.pbx = Some(refused.pbx.clone());
    letter
}
