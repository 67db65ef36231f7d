//! Properties: nothing panics, nothing is lost, and what is written reads back the same.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use ringpost_ingest::{Source, decode, frames};
use ringpost_model::{
    Bridge, Dialect, EventReport, Fields, Hold, LegDirection, LegEvent, LegId, LegRecord, LegReport,
    NumberName, Park, PbxKey, Rating, Report, Route, Service, ServiceStay, Side, TenantKey, Text, Timestamp,
};
use rust_decimal::Decimal;

const NATIVE: &str = include_str!("../fixtures/fuzz/leg/everything.json");
const DOCUMENT: &str = include_str!("../fixtures/freeswitch-cdr/incoming-held.json");
const MESSAGES: &str = include_str!("../fixtures/kazoo/parked-retrieved.ndjson");
const HOOKS: &str = include_str!("../fixtures/kazoo/outgoing-webhooks.json");
const FORMS: &str = include_str!("../fixtures/kazoo/cancelled-forms.txt");
const JSON_EVENTS: &str = include_str!("../fixtures/freeswitch-event/incoming-held.ndjson");
const TEXT_EVENTS: &str = include_str!("../fixtures/freeswitch-event/outgoing-socket.txt");
const EVENTS: &str = include_str!("../fixtures/asterisk-cel/queue-local.csv");
const EVENTS_11: &str = include_str!("../fixtures/asterisk-cel/asterisk-11.csv");
const EVENTS_JSON: &str = include_str!("../fixtures/asterisk-cel/outgoing-recorded.ndjson");
const DETAILS: &str = include_str!("../fixtures/asterisk-cdr/ring-group.csv");
const ENCODED: &str = include_str!("../fixtures/freeswitch-cdr/outgoing-encoded.json");

/// Every element sent is accepted or rejected, and none gives a record without being accepted.
fn check(dialect: Dialect, bytes: &[u8]) -> Result<(), TestCaseError> {
    let tenant = Some(TenantKey::new("acme").unwrap());
    let source = Source { tenant, pbx: Some(PbxKey::new("fs1").unwrap()), ..Source::default() };
    let decoded = decode(dialect, &source, bytes);
    let sent = frames(dialect, bytes).count() as u64;
    let handled = decoded.accepted + decoded.rejects.len() as u64 + decoded.notes.headers;
    prop_assert!(handled == 1 || handled == sent);
    // A row of a table says little by itself, and some say nothing; so do lists and messages of Kazoo.
    let may_say_nothing =
        matches!(dialect, Dialect::AsteriskCel | Dialect::AsteriskCdr) || decoded.notes.passed_over > 0;
    let is_empty_list = dialect == Dialect::Kazoo && decoded.records.is_empty();
    prop_assert!(may_say_nothing || is_empty_list || decoded.records.len() as u64 >= decoded.accepted);
    prop_assert!(decoded.accepted > 0 || decoded.records.is_empty());
    for reject in &decoded.rejects {
        prop_assert!(!reject.reason.to_string().is_empty() && !reject.bytes.is_empty());
    }
    Ok(())
}

fn text() -> impl Strategy<Value = Text> {
    "[ -~é€😀\\x00-\\x1f]{0,12}".prop_map(Into::into)
}

fn some_text() -> impl Strategy<Value = Text> {
    "[ -~é\"\\\\]{1,12}".prop_map(Into::into)
}

fn id() -> impl Strategy<Value = LegId> {
    "[!-~é]{1,20}".prop_map(|text| LegId::new(&text).unwrap())
}

fn time() -> impl Strategy<Value = Timestamp> {
    (946_684_800_000_000_i64..=4_102_444_800_000_000).prop_map(|micros| Timestamp::checked(micros).unwrap())
}

fn pair() -> impl Strategy<Value = NumberName> {
    (text(), text()).prop_map(|(number, name)| NumberName { number, name })
}

fn service() -> impl Strategy<Value = Service> {
    use Service::{Conference, Fax, Ivr, Media, Park, Queue, Voicemail};
    select(vec![Ivr, Queue, Voicemail, Conference, Park, Fax, Media])
}

fn outcome(service: Service, text: Text) -> Text {
    if service == Service::Queue { "timeout".into() } else { text }
}

fn rating() -> impl Strategy<Value = Rating> {
    (any::<i64>(), 0_u32..10, text(), text(), text()).prop_map(|(digits, scale, band, name, currency)| {
        Rating { cost: Decimal::new(digits, scale), band, name, currency }
    })
}

fn route() -> impl Strategy<Value = Route> {
    (some_text(), text()).prop_map(|(id, name)| Route { id, name })
}

fn fields() -> impl Strategy<Value = Fields> {
    let ways = (
        option::of(select(vec![LegDirection::In, LegDirection::Out])),
        option::of(select(vec![Side::External, Side::Internal, Side::Service])),
        option::of(service()),
    );
    let pairs = (pair(), pair(), pair(), pair(), pair());
    let rest =
        (text(), option::of(route()), text(), option::of(any::<u16>()), option::of(rating()), text(), text());
    let zone = option::of(select(vec![chrono_tz::Tz::UTC, chrono_tz::Tz::Europe__London]));
    (ways, pairs, rest, zone).prop_map(|(ways, pairs, rest, tz)| Fields {
        direction: ways.0,
        side: ways.1,
        service: ways.2,
        party: pairs.0,
        ddi: pairs.1,
        device: pairs.2,
        user: pairs.3,
        agent: pairs.4,
        group: rest.0,
        route: rest.1,
        cause: rest.2,
        sip: rest.3,
        rating: rest.4,
        dialled: rest.5,
        presented: rest.6,
        tz,
    })
}

fn leg() -> impl Strategy<Value = Report> {
    let times = (time(), option::of(time()), option::of(time()), option::of(time()), option::of(time()));
    let bridge = (id(), time(), option::of(time())).prop_map(|(with, from, to)| Bridge { with, from, to });
    let hold = (time(), option::of(time())).prop_map(|(from, to)| Hold { from, to });
    let park = (time(), option::of(time()), text()).prop_map(|(from, to, slot)| Park { from, to, slot });
    let stay = (service(), time(), option::of(time()), text(), text()).prop_map(
        |(service, from, to, name, said)| ServiceStay {
            service,
            from,
            to,
            name,
            outcome: outcome(service, said),
        },
    );
    let lists = (vec(bridge, 0..3), vec(hold, 0..3), vec(park, 0..3), vec(stay, 0..3));
    (any::<u64>(), times, lists).prop_map(|(rev, times, lists)| {
        Report::Leg(LegReport {
            rev,
            at: Some(times.0),
            created: times.1,
            ringing: times.2,
            answered: times.3,
            ended: times.4,
            bridges: lists.0,
            holds: lists.1,
            parks: lists.2,
            services: lists.3,
        })
    })
}

fn event() -> impl Strategy<Value = Report> {
    let event = prop_oneof![
        select(vec![
            LegEvent::Created,
            LegEvent::Held,
            LegEvent::Updated,
            LegEvent::Ended,
            LegEvent::Retrieved
        ]),
        id().prop_map(|with| LegEvent::Bridged { with }),
        option::of(id()).prop_map(|with| LegEvent::Unbridged { with }),
        text().prop_map(|slot| LegEvent::Parked { slot }),
        (service(), text(), text()).prop_map(|(service, name, said)| {
            LegEvent::ServiceEnd { service, name, outcome: outcome(service, said) }
        }),
    ];
    (time(), event).prop_map(|(at, event)| Report::Event(EventReport { at, event }))
}

fn record() -> impl Strategy<Value = LegRecord> {
    let keys = ("[A-Za-z0-9._-]{1,64}", "[A-Za-z0-9._-]{1,64}", id());
    let lists = (vec(some_text(), 0..4), vec(some_text(), 0..3), btree_map(some_text(), some_text(), 0..3));
    (keys, lists, fields(), prop_oneof![leg(), event()]).prop_map(|(keys, lists, fields, report)| {
        let tags: BTreeMap<Text, Text> = lists.2;
        let mut record = LegRecord {
            tenant: TenantKey::new(&keys.0).unwrap(),
            pbx: PbxKey::new(&keys.1).unwrap(),
            leg: keys.2,
            links: lists.0,
            fields,
            recordings: lists.1,
            tags,
            report,
        };
        // In a service event `service` and `name` are what is executed: the leg's own cannot be said there.
        if let Report::Event(EventReport { event: LegEvent::ServiceEnd { .. }, .. }) = record.report {
            record.fields.service = None;
            record.fields.party.name = Text::default();
        }
        record
    })
}

/// Bytes of one text with some replaced, dropped or doubled.
fn mutated(original: &'static str) -> impl Strategy<Value = Vec<u8>> {
    let change = (any::<prop::sample::Index>(), any::<u8>(), 0_u8..4);
    vec(change, 1..6).prop_map(move |changes| {
        let mut bytes = original.as_bytes().to_vec();
        for (at, byte, kind) in changes {
            let at = at.index(bytes.len().max(1));
            match kind {
                _ if bytes.is_empty() => bytes.push(byte),
                0 => bytes[at] = byte,
                1 => _ = bytes.remove(at),
                2 => bytes.insert(at, byte),
                _ => bytes.truncate(at.max(1)),
            }
        }
        bytes
    })
}

proptest! {
    #[test]
    fn what_is_written_reads_back_the_same(record in record()) {
        let json = serde_json::to_vec(&record).unwrap();
        let decoded = decode(Dialect::Native, &Source::default(), &json);
        prop_assert_eq!(decoded.rejects, vec![]);
        prop_assert_eq!(decoded.records, vec![record]);
        prop_assert_eq!(decoded.notes, Default::default());
    }

    #[test]
    fn no_bytes_make_it_panic_or_lose_an_element(bytes in vec(any::<u8>(), 0..200)) {
        for dialect in Dialect::ALL {
            check(dialect, &bytes)?;
        }
    }

    #[test]
    fn no_text_of_brackets_makes_it_panic_or_lose_an_element(text in r#"([{}\[\]",:\\0a \n]|cdr=|%7B|%22|eyJ){0,80}"#) {
        for dialect in Dialect::ALL {
            check(dialect, text.as_bytes())?;
        }
    }

    #[test]
    fn no_change_of_a_record_makes_it_panic_or_lose_an_element(bytes in mutated(NATIVE)) {
        check(Dialect::Native, &bytes)?;
    }

    #[test]
    fn no_change_of_a_document_makes_it_panic_or_lose_an_element(bytes in prop_oneof![mutated(DOCUMENT), mutated(ENCODED)]) {
        check(Dialect::FreeswitchCdr, &bytes)?;
    }

    #[test]
    fn no_change_of_a_message_makes_it_panic_or_lose_an_element(
        bytes in prop_oneof![mutated(MESSAGES), mutated(HOOKS), mutated(FORMS)],
    ) {
        check(Dialect::Kazoo, &bytes)?;
    }

    #[test]
    fn no_change_of_an_event_makes_it_panic_or_lose_an_element(
        bytes in prop_oneof![mutated(JSON_EVENTS), mutated(TEXT_EVENTS)],
    ) {
        check(Dialect::FreeswitchEvent, &bytes)?;
    }

    #[test]
    fn no_change_of_a_table_makes_it_panic_or_lose_a_row(
        events in prop_oneof![mutated(EVENTS), mutated(EVENTS_11), mutated(EVENTS_JSON)],
        details in mutated(DETAILS),
    ) {
        check(Dialect::AsteriskCel, &events)?;
        check(Dialect::AsteriskCdr, &details)?;
    }
}
