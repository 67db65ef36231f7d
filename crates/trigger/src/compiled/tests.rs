//! What each operator holds for, what is refused at save time and with which words, and properties on random
//! records.

use std::collections::BTreeMap;

use chrono_tz::Tz;
use ringpost_model::{
    CallDirection, CallType, Cdr, ContactField, DirectoryMatch, Filter, NumberName, Rate, SessionId,
    Timestamp,
};
use ringpost_numbers::Region;

use super::*;

fn gb() -> Option<Region> {
    Some(Region::new("GB").unwrap())
}

fn filters(json: &str) -> Vec<Filter> {
    let json = if json.starts_with('[') { json.to_owned() } else { format!("[{json}]") };
    serde_json::from_str(&json).unwrap()
}

/// An answered call of Tuesday 2026-03-10, 10:30:20 in London.
fn record() -> Cdr {
    let mut cdr = Cdr::empty(SessionId(uuid::Uuid::from_u128(0xabc)));
    cdr.tz = Tz::Europe__London;
    cdr.start = Timestamp::parse("2026-03-10T10:30:20Z").unwrap();
    cdr.answer = Some(Timestamp::parse("2026-03-10T10:30:27Z").unwrap());
    cdr.end = Timestamp::parse("2026-03-10T10:31:35Z").unwrap();
    (cdr.dur, cdr.ring, cdr.talk) = (75, 7, 68);
    cdr.ans = true;
    cdr.direction = CallDirection::Incoming;
    cdr.call_type = CallType::External;
    cdr.cli.number = "+441632960101".into();
    cdr.cli.name = "ÉCOLE Straße".into();
    cdr.ddi = NumberName { number: "+441614960000".into(), name: "Sales".into() };
    cdr.users.answered = NumberName { number: "302".into(), name: "Test User".into() };
    cdr.users.last_answered.number = "(0)30-2".into();
    cdr.rate = Some(Rate { cost: "0.10".parse().unwrap(), band: "".into(), name: "UK".into() });
    cdr.recording_ids = vec!["Rec-1".into(), "Rec-2".into()];
    cdr.tags = BTreeMap::from([("Support".into(), "step1".into()), ("a.b".into(), "x".into())]);
    let contact = |id: &str, fields: &[(&str, &str)]| DirectoryMatch {
        dir_name: "Customers".into(),
        dir_id: "d1".into(),
        dir_type: "DirectoryContactMatch".into(),
        contact_id: id.into(),
        fields: fields
            .iter()
            .map(|(key, value)| (ContactField::named(key).unwrap(), (*value).into()))
            .collect(),
    };
    cdr.directory_matches = vec![
        contact("c1", &[("companyName", "Acme Ltd"), ("phone1", "+441614960123")]),
        contact("c2", &[("companyName", "Bolt & Co")]),
    ];
    cdr
}

/// The filter holds for the record, and its complement does not; or the other way round. The explanation agrees.
fn check_on(cdr: &Cdr, json: &str, expected: bool) {
    let mut filters = filters(json);
    for not in [false, true] {
        filters.iter_mut().for_each(|filter| filter.not = not);
        let compiled = Compiled::new(&filters, gb()).unwrap_or_else(|errors| panic!("{json}: {errors:?}"));
        assert_eq!(compiled.holds(cdr), expected != not, "{json}, not: {not}");
        assert!(compiled.explain(cdr).iter().all(|it| it.held == (expected != not)), "{json}, not: {not}");
    }
}

fn holds(json: &str) {
    check_on(&record(), json, true);
}

fn fails(json: &str) {
    check_on(&record(), json, false);
}

/// Holds for an empty record.
fn holds_empty(json: &str) {
    check_on(&Cdr::empty(SessionId(uuid::Uuid::nil())), json, true);
}

fn fails_empty(json: &str) {
    check_on(&Cdr::empty(SessionId(uuid::Uuid::nil())), json, false);
}

/// All mistakes, one a line.
fn mistakes(json: &str) -> String {
    let errors = Compiled::new(&filters(json), gb()).expect_err("there are mistakes");
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_number_is_found_as_people_write_it() {
    for value in ["+441614960000", "0161 496 0000", "0161-4960000", "+44 (0) 161 496 0000", "00441614960000"]
    {
        holds(&format!(r#"{{"field":"ddiNum","op":"eq","value":"{value}"}}"#));
        holds(&format!(r#"{{"field":"ddiNum","op":"in","value":["302","{value}"]}}"#));
    }
    fails(r#"{"field":"ddiNum","op":"eq","value":"0161 496 0001"}"#);
    fails(r#"{"field":"ddiNum","op":"eq","value":"1614960000x"}"#);
}

#[test]
fn a_number_of_the_record_is_normalised_too() {
    let mut cdr = record();
    cdr.ddi.number = "0161 496 0000".into();
    check_on(&cdr, r#"{"field":"ddiNum","op":"eq","value":"+441614960000"}"#, true);
    check_on(&cdr, r#"{"field":"ddiNum","op":"startsWith","value":"+44161"}"#, true);
}

#[test]
fn the_region_decides_how_a_national_number_is_read() {
    let filters = filters(r#"{"field":"ddiNum","op":"eq","value":"0161 496 0000"}"#);
    let holds_in = |region: Option<&str>| {
        let region = region.map(|code| Region::new(code).unwrap());
        Compiled::new(&filters, region).unwrap().holds(&record())
    };
    assert!(holds_in(Some("GB")));
    assert!(!holds_in(Some("FR")));
    assert!(!holds_in(None));
}

#[test]
fn an_extension_is_compared_as_it_is() {
    holds(r#"{"field":"ansUsrNum","op":"eq","value":"302"}"#);
    fails(r#"{"field":"ansUsrNum","op":"eq","value":"30-2"}"#);
    fails(r#"{"field":"ansUsrNum","op":"eq","value":"3020"}"#);
}

#[test]
fn a_part_of_a_number_is_found_whatever_stands_between_its_digits() {
    holds(r#"{"field":"ddiNum","op":"startsWith","value":"+44 161"}"#);
    holds(r#"{"field":"ddiNum","op":"contains","value":"161-496"}"#);
    holds(r#"{"field":"ddiNum","op":"endsWith","value":"496 0000"}"#);
    holds(r#"{"field":"ddiNum","op":"endsWith","value":"0161 496 0000"}"#);
    holds(r#"{"field":"ddiNum","op":"startsWith","value":"0161 496 0000"}"#);
    holds(r#"{"field":"lAnsUsrNum","op":"startsWith","value":"03"}"#);
    holds(r#"{"field":"lAnsUsrNum","op":"eq","value":"(0)30-2"}"#);
    fails(r#"{"field":"ddiNum","op":"startsWith","value":"0161"}"#);
}

#[test]
fn a_text_is_compared_without_regard_to_case_unless_asked() {
    holds(r#"{"field":"cliName","op":"eq","value":"école STRAßE"}"#);
    holds(r#"{"field":"cliName","op":"contains","value":"COLE s"}"#);
    holds(r#"{"field":"cliName","op":"startsWith","value":"éc"}"#);
    holds(r#"{"field":"cliName","op":"endsWith","value":"AẞE"}"#);
    holds(r#"{"field":"cliName","op":"in","value":["x","ÉCOLE straße"]}"#);
    holds(r#"{"field":"cliName","op":"matches","value":"^école s\\w+e$"}"#);
    fails(r#"{"field":"cliName","op":"eq","value":"ecole Straße"}"#);
    fails(r#"{"field":"cliName","op":"eq","value":"ÉCOLE STRASSE"}"#);
    fails(r#"{"field":"cliName","op":"eq","value":"école straße","caseSensitive":true}"#);
    fails(r#"{"field":"cliName","op":"contains","value":"cole","caseSensitive":true}"#);
    fails(r#"{"field":"cliName","op":"matches","value":"école","caseSensitive":true}"#);
    holds(r#"{"field":"cliName","op":"matches","value":"COLE .t","caseSensitive":true}"#);
}

#[test]
fn a_cost_is_compared_exactly() {
    holds(r#"{"field":"rateCost","op":"eq","value":0.1}"#);
    holds(r#"{"field":"rateCost","op":"eq","value":"0.100"}"#);
    holds(r#"{"field":"rateCost","op":"in","value":[1, 1e-1]}"#);
    holds(r#"{"field":"rateCost","op":"gt","value":0.0999999999999999999999999999}"#);
    fails(r#"{"field":"rateCost","op":"gt","value":0.1}"#);
    holds(r#"{"field":"rateCost","op":"gte","value":0.1}"#);
    fails(r#"{"field":"rateCost","op":"lt","value":0.1}"#);
    holds(r#"{"field":"rateCost","op":"lte","value":0.1}"#);
    fails(r#"{"field":"rateCost","op":"eq","value":0.1000000000000000055511151231}"#);
}

#[test]
fn between_has_both_its_ends() {
    holds(r#"{"field":"talk","op":"between","value":[68, 70]}"#);
    holds(r#"{"field":"talk","op":"between","value":[60, 68]}"#);
    fails(r#"{"field":"talk","op":"between","value":[68.5, 70]}"#);
}

#[test]
fn flags_and_codes_are_written_in_words_or_numbers() {
    for value in ["true", "1"] {
        holds(&format!(r#"{{"field":"ans","op":"eq","value":{value}}}"#));
        fails(&format!(r#"{{"field":"lost","op":"eq","value":{value}}}"#));
    }
    for value in ["false", "0"] {
        holds(&format!(r#"{{"field":"lost","op":"eq","value":{value}}}"#));
    }
    holds(r#"{"field":"dir","op":"eq","value":2}"#);
    holds(r#"{"field":"dir","op":"eq","value":"Incoming"}"#);
    holds(r#"{"field":"dir","op":"in","value":["outgoing", 2]}"#);
    fails(r#"{"field":"dir","op":"in","value":["outgoing", "both"]}"#);
    holds(r#"{"field":"type","op":"eq","value":"external"}"#);
}

#[test]
fn times_are_instants_whatever_their_offset() {
    holds(r#"{"field":"start","op":"before","value":"2026-03-10T11:30:21+01:00"}"#);
    fails(r#"{"field":"start","op":"before","value":"2026-03-10T10:30:20Z"}"#);
    fails(r#"{"field":"start","op":"after","value":"2026-03-10T10:30:20Z"}"#);
    holds(r#"{"field":"end","op":"after","value":"2026-03-10T10:30:20Z"}"#);
}

#[test]
fn the_day_and_the_hour_are_those_of_the_records_zone() {
    holds(r#"{"field":"weekday","op":"in","value":[1, 2]}"#);
    fails(r#"{"field":"weekday","op":"in","value":[3, 7]}"#);
    holds(r#"{"field":"timeOfDay","op":"between","value":["09:00","10:30"]}"#);
    fails(r#"{"field":"timeOfDay","op":"between","value":["10:31","17:00"]}"#);
    let mut cdr = record();
    cdr.tz = Tz::Asia__Tokyo;
    check_on(&cdr, r#"{"field":"timeOfDay","op":"between","value":["19:30","19:30"]}"#, true);
    cdr.tz = Tz::Pacific__Auckland;
    cdr.start = Timestamp::parse("2026-03-10T12:00:00Z").unwrap();
    check_on(&cdr, r#"{"field":"weekday","op":"in","value":[3]}"#, true);
}

#[test]
fn a_night_shift_may_cross_midnight() {
    let night = r#"{"field":"timeOfDay","op":"between","value":["22:00","06:00"]}"#;
    for (time, expected) in
        [("21:59:59", false), ("22:00:00", true), ("00:00:00", true), ("06:00:59", true), ("06:01:00", false)]
    {
        let mut cdr = record();
        cdr.start = Timestamp::parse(&format!("2026-03-10T{time}Z")).unwrap();
        check_on(&cdr, night, expected);
    }
}

#[test]
fn of_a_list_any_element_will_do() {
    holds(r#"{"field":"recordingIds","op":"eq","value":"rec-2"}"#);
    holds(r#"{"field":"recordingIds","op":"endsWith","value":"1"}"#);
    fails(r#"{"field":"recordingIds","op":"eq","value":"rec"}"#);
    holds(r#"{"field":"directoryMatches.companyName","op":"contains","value":"bolt"}"#);
    holds(r#"{"field":"directoryMatches.companyName","op":"startsWith","value":"acme"}"#);
    holds(r#"{"field":"directoryMatches.dirName","op":"eq","value":"customers"}"#);
    holds(r#"{"field":"directoryMatches.phone1","op":"eq","value":"0161 4960123"}"#);
    holds(r#"{"field":"tags","op":"eq","value":"STEP1"}"#);
    holds(r#"{"field":"tags.Support","op":"eq","value":"step1"}"#);
    holds(r#"{"field":"tags.a.b","op":"eq","value":"x"}"#);
    fails(r#"{"field":"tags.support","op":"eq","value":"step1"}"#);
}

#[test]
fn what_is_absent_is_zero() {
    holds_empty(r#"{"field":"talk","op":"lt","value":5}"#);
    holds_empty(r#"{"field":"rateCost","op":"eq","value":0}"#);
    holds_empty(r#"{"field":"cliName","op":"eq","value":""}"#);
    holds_empty(r#"{"field":"tags.x","op":"eq","value":""}"#);
    holds_empty(r#"{"field":"cliNum","op":"in","value":["302",""]}"#);
    holds_empty(r#"{"field":"ans","op":"eq","value":false}"#);
    holds_empty(r#"{"field":"answer","op":"before","value":"2026-01-01T00:00:00Z"}"#);
    holds_empty(r#"{"field":"cliName","op":"matches","value":"^$"}"#);
    holds_empty(r#"{"field":"rev","op":"eq","value":0}"#);
    fails_empty(r#"{"field":"recordingIds","op":"eq","value":""}"#);
    fails_empty(r#"{"field":"directoryMatches.email","op":"matches","value":"^$"}"#);
}

#[test]
fn exists_asks_for_more_than_zero() {
    for field in
        ["talk", "ans", "dir", "cliName", "cliNum", "answer", "rateCost", "recordingIds", "directoryMatches"]
    {
        let json = format!(r#"{{"field":"{field}","op":"exists"}}"#);
        holds(&json);
        fails_empty(&json);
    }
    holds(r#"{"field":"tags.Support","op":"exists"}"#);
    fails(r#"{"field":"tags.other","op":"exists"}"#);
    holds(r#"{"field":"directoryMatches.companyName","op":"exists"}"#);
    fails(r#"{"field":"directoryMatches.email","op":"exists"}"#);
    holds_empty(r#"{"field":"timeOfDay","op":"exists"}"#);
    holds_empty(r#"{"field":"weekday","op":"exists"}"#);
    fails(r#"{"field":"rev","op":"exists"}"#);
}

#[test]
fn no_filters_hold_for_every_call_and_several_must_all_hold() {
    assert!(Compiled::new(&[], None).unwrap().holds(&record()));
    let both = r#"[{"field":"talk","op":"gt","value":60},{"field":"ddiName","op":"eq","value":"Support"}]"#;
    assert!(!Compiled::new(&filters(both), None).unwrap().holds(&record()));
}

#[test]
fn the_explanation_shows_what_was_compared() {
    let json = r#"[
        {"field":"ddiNum","op":"eq","value":"302"}, {"field":"talk","op":"gt","value":5},
        {"field":"rateCost","op":"gt","value":5}, {"field":"recordingIds","op":"exists"},
        {"field":"timeOfDay","op":"between","value":["09:00","12:00"],"not":true}, {"field":"answer","op":"exists"},
        {"field":"dir","op":"eq","value":"incoming"}, {"field":"cliArea","op":"exists"}]"#;
    let mut cdr = record();
    cdr.ddi.number = "0161 496 0000".into();
    let explained = Compiled::new(&filters(json), gb()).unwrap().explain(&cdr);
    let lines: Vec<_> = explained.iter().map(|it| format!("{} {} {}", it.field, it.held, it.value)).collect();
    insta::assert_snapshot!(lines.join("\n"), @r#"
    ddiNum false "+441614960000"
    talk true 68
    rateCost false 0.10
    recordingIds true ["Rec-1","Rec-2"]
    timeOfDay false "10:30"
    answer true "2026-03-10T10:30:27+00:00"
    dir true 2
    cliArea false ""
    "#);
}

#[test]
fn every_mistake_is_told_once_with_its_place_and_its_remedy() {
    let json = r#"[
        {"field":"ddinum","op":"equals","value":1},
        {"field":"talk","op":"contains","value":"5"},
        {"field":"talk","op":"between","value":[9,"x"]},
        {"field":"talk","op":"between","value":[9,5]},
        {"field":"talk","op":"eq"},
        {"field":"talk","op":"eq","value":[1,2]},
        {"field":"talk","op":"eq","value":"12 s","caseSensitive":true},
        {"field":"cliArea","op":"eq","value":161},
        {"field":"cliName","op":"in","value":[]},
        {"field":"cliName","op":"in","value":"x"},
        {"field":"cliName","op":"contains","value":""},
        {"field":"cliName","op":"matches","value":"(a"},
        {"field":"cliName","op":"exists","value":true},
        {"field":"ans","op":"eq","value":"yes"},
        {"field":"dir","op":"in","value":["incomming", 7]},
        {"field":"start","op":"before","value":"2026-03-10 09:00"},
        {"field":"timeOfDay","op":"between","value":["9:00","24:00"]},
        {"field":"weekday","op":"in","value":[0, 1]},
        {"field":"directoryMatches","op":"eq","value":"x"},
        {"field":"directoryMatches.fields.compnyName","op":"!=","value":"x"}]"#;
    insta::assert_snapshot!(mistakes(json));
}

#[test]
fn limits_hold() {
    let many: Vec<String> = (0..=LIST).map(|at| format!("\"{at}\"")).collect();
    let json = format!(r#"{{"field":"cliName","op":"in","value":[{}]}}"#, many.join(","));
    assert_eq!(
        mistakes(&json),
        "/filters/0/value: the list has 1001 values: at most 1000, use several triggers"
    );
    let json = format!(r#"{{"field":"cliName","op":"eq","value":"{}"}}"#, "x".repeat(1025));
    assert_eq!(mistakes(&json), "/filters/0/value: the text has 1025 bytes: at most 1024");
    let one = r#"{"field":"talk","op":"eq","value":1}"#;
    let json = format!("[{}]", vec![one; 51].join(","));
    assert_eq!(mistakes(&json), "/filters: 51 filters: at most 50 of a trigger");
    let wrong: Vec<String> = (0..500).map(|_| "1".to_owned()).collect();
    let json = format!(r#"{{"field":"cliName","op":"in","value":[{}]}}"#, wrong.join(","));
    assert_eq!(mistakes(&json).lines().count(), ERRORS);
}

const LIST: usize = crate::limits::LIST_ENTRIES;
