//! Which records are good and what they say; why the others are not.

use std::fmt::Write;

use super::*;
use crate::{Source, decode as decode_all};
use ringpost_model::Dialect;

/// A leg's keys that must be there, to be put into an object.
const LEG: &str = r#""v":1,"kind":"leg","tenant":"acme","pbx":"k1","leg":"x""#;
const EVENT: &str = r#""v":1,"kind":"event","tenant":"acme","pbx":"k1","leg":"x","at":1773133200000000"#;

fn all(json: &str) -> Decoded {
    decode_all(Dialect::Native, &Source::default(), json.as_bytes())
}

/// The record, as it would be written again, without the keys that every one has.
fn check(json: &str, expected: &str) {
    let decoded = all(json);
    let rejects: Vec<String> = decoded.rejects.iter().map(ToString::to_string).collect();
    assert_eq!(rejects, Vec::<String>::new(), "{json}");
    let written = serde_json::to_string(&decoded.records[0]).unwrap();
    let start = written.find(r#""leg":"x""#).unwrap() + r#""leg":"x""#.len();
    assert_eq!(written[start..].trim_matches([',', '}']), expected.trim_matches([',', '}']), "{json}");
}

fn leg(more: &str, expected: &str) {
    check(&format!("{{{LEG},{more}}}"), expected);
}

fn event(more: &str, expected: &str) {
    check(&format!("{{{EVENT},{more}}}"), expected);
}

#[test]
fn every_key_of_a_leg_is_read() {
    let everything = r#""links":["i1","i2"],"rev":3,"at":1773133205000000,"created":1773133200000000,"ringing":1773133201000000,"answered":1773133202000000,"ended":1773133203000000,"bridges":[{"with":"y","from":1773133202000000,"to":1773133203000000}],"holds":[{"from":1773133202000000}],"parks":[{"from":1773133202000000,"slot":"71"}],"services":[{"service":"queue","from":1773133200000000,"to":1773133201000000,"name":"sales","outcome":"answered"}],"direction":"in","side":"external","service":"ivr","name":"Ann","number":"+441614960000","dialled":"201","presented":"100","ddi":{"number":"1","name":"a"},"device":{"number":"2","name":"b"},"user":{"number":"3","name":"c"},"agent":{"number":"4","name":"d"},"group":{"name":"g"},"route":{"id":"8","name":"S:"},"cause":"NORMAL_CLEARING","sip":200,"rating":{"cost":"0.10","band":"peak","name":"UK","currency":"GBP"},"tz":"Europe/London","recordings":["r1"],"tags":{"k":"v"}"#;
    leg(everything, everything);
}

#[test]
fn every_event_is_read() {
    for name in
        ["created", "ringing", "answered", "held", "resumed", "retrieved", "updated", "ended", "unbridged"]
    {
        let event_only = format!(r#""event":"{name}""#);
        event(&event_only, &format!(r#""event":"{name}","at":1773133200000000"#));
    }
    event(r#""event":"bridged","with":"y""#, r#""event":"bridged","at":1773133200000000,"with":"y""#);
    event(r#""event":"unbridged","with":"y""#, r#""event":"unbridged","at":1773133200000000,"with":"y""#);
    event(r#""event":"parked","slot":"71""#, r#""event":"parked","at":1773133200000000,"slot":"71""#);
}

#[test]
fn in_a_service_event_service_and_name_are_what_is_executed() {
    let json =
        format!(r#"{{{EVENT},"event":"service","service":"ivr","name":"main","outcome":"x","number":"5"}}"#);
    let record = &all(&json).records[0];
    assert_eq!(record.fields.service, None);
    assert_eq!((&*record.fields.party.number, &*record.fields.party.name), ("5", ""));
    check(
        &json,
        r#""event":"service","at":1773133200000000,"service":"ivr","name":"main","outcome":"x","number":"5""#,
    );
}

#[test]
fn nothing_says_nothing_whatever_it_looks_like() {
    for nothing in ["null", r#""""#, "[]", "{}", "[ ]", "{ }"] {
        let keys = "links rev direction side service number name dialled presented ddi device user agent group route \
            ringing answered ended cause sip bridges holds parks services recordings tags rating tz at";
        let more: Vec<String> = keys.split_whitespace().map(|key| format!(r#""{key}":{nothing}"#)).collect();
        leg(&format!(r#""created":1773133200000000,{}"#, more.join(",")), r#""created":1773133200000000"#);
    }
}

#[test]
fn nothing_inside_says_nothing_too() {
    leg(
        r#""created":1773133200000000,"links":["",null,"i"],"device":{"number":"","name":null},"route":{"id":null},"tags":{"a":"","b":null},"group":{"name":""},"bridges":[{"with":"y","from":1773133200000000,"to":null}]"#,
        r#""links":["i"],"created":1773133200000000,"bridges":[{"with":"y","from":1773133200000000}]"#,
    );
}

#[test]
fn a_time_is_rfc_3339_or_microseconds() {
    let time = |written: &str, micros: &str| {
        leg(&format!(r#""created":{written}"#), &format!(r#""created":{micros}"#))
    };
    time(r#""2026-03-10T09:00:00Z""#, "1773133200000000");
    time(r#""2026-03-10T10:00:00.25+01:00""#, "1773133200250000");
    time(r#""2026-03-10T09:00:00.123456999-00:00""#, "1773133200123456");
    time(r#""2026-03-10t09:00:00z""#, "1773133200000000");
    time(r#""2026-03-10 09:00:00+00:00""#, "1773133200000000");
    time(r#""2026-03-10T08:59:60Z""#, "1773133200000000");
    time("946684800000000", "946684800000000");
    time("4102444800000000", "4102444800000000");
}

#[test]
fn cost_is_exact() {
    let cost = |written: &str, exact: &str| {
        leg(
            &format!(r#""created":1773133200000000,"rating":{{"cost":{written}}}"#),
            &format!(r#""created":1773133200000000,"rating":{{"cost":"{exact}"}}"#),
        );
    };
    cost("0.1", "0.1");
    cost("0.10", "0.10");
    cost(r#""0.1000""#, "0.1000");
    cost("12345678901234567890.12345678", "12345678901234567890.12345678");
    cost("1e-3", "0.001");
    cost("-2", "-2");
    cost("0", "0");
}

#[test]
fn unknown_keys_and_zones_and_repeated_keys_are_counted() {
    let notes = |json: String| {
        let decoded = all(&json);
        assert_eq!(decoded.records.len(), 1, "{:?}", decoded.rejects);
        let notes = decoded.notes;
        (notes.unknown_keys, notes.duplicate_keys, notes.unknown_zones)
    };
    assert_eq!(
        notes(format!(r#"{{{LEG},"at":1773133200000000,"x":[{{}}],"device":{{"ip":1}}}}"#)),
        (2, 0, 0)
    );
    assert_eq!(notes(format!(r#"{{{LEG},"at":1773133200000000,"tz":"Mars/Olympus"}}"#)), (0, 0, 1));
    assert_eq!(notes(format!(r#"{{{LEG},"at":"x","at":1773133200000000}}"#)), (0, 1, 0));
    // Keys of the other kind are as good as unknown, whatever their type.
    assert_eq!(
        notes(format!(r#"{{{LEG},"at":1773133200000000,"event":5,"with":[1],"slot":{{}}}}"#)),
        (3, 0, 0)
    );
    assert_eq!(
        notes(format!(r#"{{{EVENT},"event":"held","created":"x","bridges":[1],"with":5}}"#)),
        (3, 0, 0)
    );
}

#[test]
fn the_last_of_repeated_keys_wins() {
    leg(
        r#""number":"1","number":"2","created":1773133200000000"#,
        r#""created":1773133200000000,"number":"2""#,
    );
    leg(r#""number":"1","number":null,"created":1773133200000000"#, r#""created":1773133200000000"#);
    leg(r#""tags":{"a":"1","a":""},"created":1773133200000000"#, r#""created":1773133200000000"#);
}

#[test]
fn broken_characters_are_replaced_and_counted() {
    let mut bytes = format!(r#"{{{LEG},"created":1773133200000000,"name":"J"#).into_bytes();
    bytes.extend_from_slice(b"\xf6rg\xff\"}");
    let decoded = decode_all(Dialect::Native, &Source::default(), &bytes);
    assert_eq!(&*decoded.records[0].fields.party.name, "J\u{fffd}rg\u{fffd}");
    assert_eq!(decoded.notes.invalid_utf8, 2);
    let halves =
        all(&format!(r#"{{{LEG},"created":1773133200000000,"name":"\ud83d \u00e9 \ud83d\ude00","x":1}}"#));
    assert_eq!(&*halves.records[0].fields.party.name, "\u{fffd} é 😀");
    assert_eq!((halves.notes.invalid_utf8, halves.notes.unknown_keys), (1, 1));
}

#[test]
fn sixty_four_levels_are_read_and_no_more() {
    let nested = |levels: usize| {
        let inner = "[".repeat(levels - 1) + &"]".repeat(levels - 1);
        all(&format!(r#"{{{LEG},"at":1773133200000000,"x":{inner}}}"#))
    };
    assert_eq!(nested(64).records.len(), 1);
    assert_eq!(nested(65).rejects[0].reason, Reason::TooDeep);
    assert_eq!(nested(100_000).rejects[0].reason, Reason::TooDeep);
}

#[test]
fn a_record_may_have_256_kib_and_no_more() {
    let sized = |bytes: usize| {
        let head = format!(r#"{{{LEG},"at":1773133200000000,"x":""#);
        all(&format!("{head}{}\"}}", "y".repeat(bytes - head.len() - 2)))
    };
    assert_eq!(sized(256 * 1024).records.len(), 1);
    let too_large = Reason::TooLarge { length: 262_145, limit: 262_144 };
    assert_eq!(sized(256 * 1024 + 1).rejects[0].reason, too_large);
}

#[test]
fn one_bad_element_never_loses_its_neighbours() {
    let good = format!(r#"{{{LEG},"at":1773133200000000}}"#);
    let counts = |text: String| {
        let decoded = all(&text);
        (
            decoded.records.len(),
            decoded.rejects.iter().map(|reject| reject.position.element).collect::<Vec<_>>(),
        )
    };
    for bad in ["{", "5", "null", "nonsense", r#"{"v":"#, r#"{"v":1}"#, r#""a,b]""#, "[{}]", r#"{"a":[1}"#] {
        assert_eq!(counts(format!("[{good},\n{bad},\n{good}]")), (2, vec![2]), "{bad}");
        if bad != "[{}]" {
            assert_eq!(counts(format!("{good}\n{bad}\n\r\n{good}\n")), (2, vec![2]), "{bad}");
        }
    }
}

#[test]
fn why_records_are_bad() {
    let mut report = String::new();
    for more in include_str!("bad.txt").lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let json = match more.as_bytes()[0] {
            b'L' => format!("{{{LEG},{}}}", &more[2..]),
            b'E' => format!("{{{EVENT},{}}}", &more[2..]),
            _ => more[2..].to_owned(),
        };
        let decoded = all(&json);
        assert_eq!(decoded.records, [], "{more}");
        let reason = &decoded.rejects[0].reason;
        writeln!(report, "{more}\n    {}: {reason}", reason.code()).unwrap();
    }
    insta::assert_snapshot!(report);
}
