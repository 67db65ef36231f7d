//! Tables of Asterisk to finished records: what a tenant reads of a call, whatever the order, shape and pieces in which
//! its rows come.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fmt::Write;
use std::path::Path;

use proptest::prelude::*;
use ringpost_ingest::{Decoded, Decoder, Source, decode, frames, looks_like_table};
use ringpost_model::{Dialect, PartyNames, PbxKey, Side, SideRules, TenantKey};
use serde_json::{Map, Value};

#[path = "support/calls.rs"]
mod calls;
#[path = "support/fixtures.rs"]
mod fixtures;

use calls::records;
use fixtures::{files, fixture, fixtures, told};

fn source() -> Source<'static> {
    Source { tenant: TenantKey::new("acme").ok(), pbx: PbxKey::new("ast1").ok(), ..Source::default() }
}

fn read(dialect: Dialect, bytes: &[u8]) -> Decoded {
    let decoded = decode(dialect, &source(), bytes);
    assert_eq!(decoded.rejects, []);
    decoded
}

fn call(dialect: Dialect, bytes: &[u8]) -> Map<String, Value> {
    let records = records(read(dialect, bytes).records);
    assert_eq!(records.len(), 1, "{records:#?}");
    records.into_iter().next().unwrap()
}

/// One line a fixture; the calls begin at 09:00 on 2026-03-10.
fn all(dialect: Dialect) -> String {
    let mut out = String::new();
    for (name, bytes) in fixtures(dialect) {
        writeln!(out, "{name}: {}", told(&call(dialect, &bytes))).unwrap();
    }
    out
}

#[test]
fn channel_events_become_the_record_of_the_call() {
    insta::assert_snapshot!(all(Dialect::AsteriskCel));
}

#[test]
fn call_detail_records_become_the_record_of_the_call_and_are_marked() {
    insta::assert_snapshot!(all(Dialect::AsteriskCdr));
}

/// A line that names the columns, if there is one, and the rows.
fn lines(bytes: &[u8]) -> (Option<&[u8]>, Vec<&[u8]>) {
    let mut lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
    let has_header = lines[0].is_ascii() && !lines[0].contains(&b':');
    (has_header.then(|| lines.remove(0)), lines)
}

fn joined(header: Option<&[u8]>, rows: &[&[u8]]) -> Vec<u8> {
    header.into_iter().chain(rows.iter().copied()).collect::<Vec<_>>().join(&b'\n')
}

fn tables(dialect: Dialect) -> Vec<(String, Vec<u8>)> {
    let mut tables = fixtures(dialect);
    tables.retain(|(name, _)| !name.ends_with(".json"));
    tables
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn neither_the_order_of_rows_nor_a_row_that_comes_twice_changes_a_record(seed in any::<u64>()) {
        for dialect in [Dialect::AsteriskCel, Dialect::AsteriskCdr] {
            for (name, bytes) in tables(dialect) {
                let (header, mut rows) = lines(&bytes);
                let mut dice = seed;
                let mut below = |limit: usize| {
                    dice = dice.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
                    (dice >> 33) as usize % limit
                };
                rows.push(rows[below(rows.len())]);
                for at in (1..rows.len()).rev() {
                    rows.swap(at, below(at + 1));
                }
                let shuffled = call(dialect, &joined(header, &rows));
                prop_assert_eq!(told(&shuffled), told(&call(dialect, &bytes)), "{}", name);
            }
        }
    }

    /// Pieces of a followed file, or of a batch that a log shipper cut.
    #[test]
    fn a_table_in_two_pieces_gives_the_same_record(cut in any::<prop::sample::Index>()) {
        for name in ["blind-transfer.csv", "attended-transfer.csv", "park-retrieve.csv", "pickup.csv", "conference.csv"] {
            let bytes = fixture(Dialect::AsteriskCel, name);
            let (header, rows) = lines(&bytes);
            let (first, second) = rows.split_at(cut.index(rows.len()));
            let mut legs = read(Dialect::AsteriskCel, &joined(header, second)).records;
            legs.extend(read(Dialect::AsteriskCel, &joined(header, first)).records);
            let whole = told(&call(Dialect::AsteriskCel, &bytes));
            let pieces = records(legs);
            prop_assert_eq!(pieces.len(), 1);
            prop_assert_eq!(told(&pieces[0]), whole, "{} cut at {}", name, first.len());
        }
    }
}

#[test]
fn a_followed_table_is_read_on_with_the_columns_it_began_with() {
    let bytes = fixture(Dialect::AsteriskCel, "ring-group.csv");
    let (header, rows) = lines(&bytes);
    let on = Source { header: Some(header.unwrap()), ..source() };
    let decoded = decode(Dialect::AsteriskCel, &on, &joined(None, &rows));
    assert_eq!(told(&records(decoded.records)[0]), told(&call(Dialect::AsteriskCel, &bytes)));
    // A table in the default order began with a row.
    let bytes = fixture(Dialect::AsteriskCel, "asterisk-11.csv");
    let on = Source { header: Some(lines(&bytes).1[0]), ..source() };
    let decoded = decode(Dialect::AsteriskCel, &on, &bytes);
    assert_eq!(told(&records(decoded.records)[0]), told(&call(Dialect::AsteriskCel, &bytes)));
}

/// What is lost where every row comes alone: docs/dialects/asterisk-cel.md.
#[test]
fn rows_that_come_one_by_one_lose_no_more_than_the_page_says() {
    let mut lost = String::new();
    for (name, bytes) in tables(Dialect::AsteriskCel) {
        let whole = call(Dialect::AsteriskCel, &bytes);
        let (header, rows) = lines(&bytes);
        let alone = rows.iter().flat_map(|row| read(Dialect::AsteriskCel, &joined(header, &[row])).records);
        let alone = records(alone);
        assert_eq!(alone.len(), 1, "{name}");
        for key in whole.keys().chain(alone[0].keys()) {
            let values = [whole.get(key), alone[0].get(key)].map(|value| value.map(ToString::to_string));
            let line = format!("{name}: {key}: {} -> {}\n", shown(&values[0]), shown(&values[1]));
            if values[0] != values[1] && !lost.contains(&line) {
                lost.push_str(&line);
            }
        }
    }
    insta::assert_snapshot!(lost);
}

fn shown(value: &Option<String>) -> &str {
    value.as_deref().unwrap_or("nothing")
}

#[test]
fn many_calls_in_one_table_stay_apart() {
    let tables =
        [fixture(Dialect::AsteriskCel, "pickup.csv"), fixture(Dialect::AsteriskCel, "local-channels.csv")];
    let later = String::from_utf8(tables[1].clone()).unwrap().replace("17731332", "17731399");
    let both = [&tables[0][..], later.as_bytes()].concat();
    let found = records(read(Dialect::AsteriskCel, &both).records);
    let mut talks: Vec<u64> = found.iter().map(|record| record["talk"].as_u64().unwrap()).collect();
    talks.sort_unstable();
    assert_eq!(talks, [20, 30]);
}

/// So many copies of a table, each with ids and times of its own, as rows with their times.
fn copies(name: &str, count: u64) -> (String, Vec<(u64, String)>) {
    let table = String::from_utf8(fixture(Dialect::AsteriskCel, name)).unwrap();
    let (header, rows) = table.split_once('\n').unwrap();
    let second = |row: &str| -> u64 {
        let clock = row.split(' ').nth(1).unwrap();
        let parts: Vec<u64> = clock[..8].split(':').map(|part| part.parse().unwrap()).collect();
        1_773_100_800 + parts[0] * 3600 + parts[1] * 60 + parts[2]
    };
    let mut copies = Vec::new();
    for copy in 0..count {
        for (at, row) in rows.lines().enumerate() {
            let time = second(row) + 7 * copy;
            let fraction = row.split(' ').nth(1).unwrap()[8..15].to_owned();
            let (before, rest) = row.split_once(",2026-03-10 ").unwrap();
            let own = |text: &str| {
                text.replace("17731332", &format!("{copy}-17731332")).replace("b-", &format!("b{copy}-"))
            };
            let row = format!("{},{time}{fraction}{}", own(before), own(&rest[15..]));
            copies.push((time * 1_000 + at as u64, row));
        }
    }
    copies.sort();
    (header.to_owned(), copies)
}

/// Far more rows than are gathered at a time, calls overlapping, oldest and newest first.
#[test]
fn a_log_of_any_length_is_told_call_by_call_with_bounded_memory() {
    let (header, rows) = copies("attended-transfer.csv", 900);
    let mut rows: Vec<String> = rows.into_iter().map(|(_, row)| row).collect();
    assert!(rows.len() > 25_000);
    for _ in 0..2 {
        let mut decoder = Decoder::new(Dialect::AsteriskCel);
        let mut decoded = Decoded::default();
        let mut told_early = 0;
        let table = format!("{header}\n{}\n", rows.join("\n"));
        for frame in frames(Dialect::AsteriskCel, table.as_bytes()) {
            decoder.frame(&source(), &frame, &mut decoded);
            told_early = decoded.records.len();
        }
        decoder.finish(&mut decoded);
        assert_eq!(decoded.rejects, []);
        assert!(told_early > decoded.records.len() / 3, "{told_early} of {}", decoded.records.len());
        let found = records(decoded.records);
        assert_eq!(found.len(), 900);
        let of = |key: &str| found.iter().map(|record| record[key].as_u64().unwrap()).collect::<Vec<_>>();
        assert_eq!((of("talk"), of("ring")), (vec![40; 900], vec![5; 900]));
        rows.reverse();
    }
}

/// Rows that are made to cost: one linked id on everything, every rule that looks at other rows.
#[test]
fn a_table_made_to_be_slow_is_not() {
    let mut table = "eventtype,eventtime,uniqueid,linkedid,channame,appname,appdata,peer\n".to_owned();
    for row in 0..24_000 {
        let events =
            ["CHAN_START", "APP_START", "XIVO_OUTCALL", "BRIDGE_ENTER", "BRIDGE_EXIT", "BRIDGE_START"];
        let (event, channel) = (events[row % 6], row / 6 % 5_000);
        let name = format!("Local/x@y-{:08x};{}", channel / 2, channel % 2 + 1);
        writeln!(table, "{event},{}.5,{channel}.1,1.1,{name},Queue,q{row},{name}", 1_773_133_200 + row % 97)
            .unwrap();
    }
    for row in 0..24_000 {
        let events = ["PARK_START", "PARK_END", "BRIDGE_ENTER", "BRIDGE_EXIT", "BRIDGE_START", "ANSWER"];
        writeln!(table, "{},{}.{row:06},{}.2,2.2,PJSIP/1-1,,,", events[row % 6], 1_773_133_200, row % 700)
            .unwrap();
    }
    let begin = std::time::Instant::now();
    let decoded = read(Dialect::AsteriskCel, table.as_bytes());
    assert_eq!(decoded.accepted, 48_000);
    assert!(begin.elapsed().as_secs() < 30, "{:?}", begin.elapsed());
}

#[test]
fn a_bad_row_rejects_only_itself_and_can_be_tried_again() {
    let table = String::from_utf8(fixture(Dialect::AsteriskCel, "blind-transfer.csv")).unwrap();
    let header = table.lines().next().unwrap();
    let bad = [
        "CHAN_START,yesterday,,,,,,,,1,1,,",
        "ANSWER,2026-03-10 09:00:00,a,b",
        "\"ANSWER,2026",
        ",,,,,,,,,,,,",
    ];
    let mut rows: Vec<&str> = table.lines().collect();
    for (at, row) in bad.iter().enumerate() {
        rows.insert(3 * at + 2, row);
    }
    let decoded = decode(Dialect::AsteriskCel, &source(), rows.join("\n").as_bytes());
    let reasons: Vec<String> = decoded.rejects.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(reasons.join("\n"), @r#"
    element 3 (line 3, byte 248): eventtime: not an RFC 3339 time with an offset: "yesterday"
    element 6 (line 6, byte 556): row: a row has as many fields as the line that names its columns, got 4 instead of 13
    element 9 (line 9, byte 854): row: every quote is closed on its line, got "\"ANSWER,2026"
    element 12 (line 12, byte 1295): eventtype: missing
    "#);
    for (reject, row) in decoded.rejects.iter().zip(bad) {
        assert_eq!(reject.bytes, format!("{header}\n{row}").as_bytes());
        let again = decode(Dialect::AsteriskCel, &source(), &reject.bytes);
        assert_eq!((again.rejects.len(), &again.rejects[0].reason), (1, &reject.reason));
    }
    let whole = call(Dialect::AsteriskCel, table.as_bytes());
    assert_eq!(told(&records(decoded.records)[0]), told(&whole));
    assert_eq!((decoded.accepted, decoded.notes.headers), (table.lines().count() as u64 - 1, 1));
}

#[test]
fn every_spelling_of_a_table_tells_the_same() {
    let whole = told(&call(Dialect::AsteriskCel, &fixture(Dialect::AsteriskCel, "ring-group.csv")));
    let table = String::from_utf8(fixture(Dialect::AsteriskCel, "ring-group.csv")).unwrap();
    let tabs = table.replace(",\"\"", "\u{1}\"\"").replace(',', "\t").replace('\u{1}', ",");
    let windows = format!("\u{feff}{}", table.replace('\n', "\r\n"));
    let backslashes = table.replace("\"\"", "\\\"");
    for spelling in [
        tabs,
        windows,
        backslashes,
        table.replace("cid_num", "CallerIDNum").replace("eventtype", "EventName"),
    ] {
        assert_eq!(told(&call(Dialect::AsteriskCel, spelling.as_bytes())), whole, "{spelling}");
    }
}

/// As Asterisk's own JSON has them, unquoted.
#[test]
fn ids_and_numbers_that_come_as_json_numbers_are_kept_to_the_digit() {
    let rows = br#"{"eventtype":"CHAN_START","eventtime":1773133200.123456,"num":1001,"exten":1002,"channame":"PJSIP/1001-1","uniqueid":1773133200.1,"linkedid":1773133200.1}
{"eventtype":"CHAN_START","eventtime":1773133200.5,"num":1002,"exten":"s","channame":"PJSIP/1002-a","uniqueid":1773133200.10,"linkedid":1773133200.1,"eventextra":null}"#;
    let decoded = read(Dialect::AsteriskCel, rows);
    let legs: Vec<&str> = decoded.records.iter().map(|record| record.leg.as_str()).collect();
    assert_eq!(legs, ["1773133200.1", "1773133200.10"]);
    assert_eq!(decoded.records[0].stream_time().micros(), 1_773_133_200_123_456);
    assert_eq!(&*decoded.records[1].fields.party.number, "1002");
}

#[test]
fn a_local_time_is_in_the_zone_of_the_platform() {
    let mut source = source();
    source.zone = Some(chrono_tz::Tz::America__New_York);
    let decoded = decode(Dialect::AsteriskCel, &source, &fixture(Dialect::AsteriskCel, "ring-group.csv"));
    assert_eq!(records(decoded.records)[0]["start"], "2026-03-10T13:00:00+00:00");
}

#[test]
fn a_switch_of_several_tenants_names_them_on_its_rows() {
    let mut source = source();
    source.tenant = None;
    let table = b"eventtype,eventtime,uniqueid,linkedid,channame,accountcode\n\
        CHAN_START,2026-03-10 09:00:00,1773133200.1,1773133200.1,PJSIP/1001-00000001,globex\n\
        CHAN_END,2026-03-10 09:00:05,1773133200.1,1773133200.1,PJSIP/1001-00000001,\n";
    let decoded = decode(Dialect::AsteriskCel, &source, table);
    assert_eq!(decoded.records[0].tenant.as_str(), "globex");
    insta::assert_snapshot!(decoded.rejects[0].reason.to_string(), @"accountcode: missing; this switch serves several tenants: set tenantid or accountcode on its endpoints, or give the pbx one tenant");
}

#[test]
fn tables_are_recognised_by_their_first_line() {
    for dialect in [Dialect::AsteriskCel, Dialect::AsteriskCdr] {
        for (name, bytes) in tables(dialect) {
            assert!(looks_like_table(dialect, &bytes), "{name}");
            let other =
                if dialect == Dialect::AsteriskCel { Dialect::AsteriskCdr } else { Dialect::AsteriskCel };
            assert!(!looks_like_table(other, &bytes), "{name} is no {other}");
        }
        for other in ["", "{}", "{\"v\":1,\"kind\":\"leg\"}", "cdr=%7B%7D", "a,b,c", "\u{feff}"] {
            assert!(!looks_like_table(dialect, other.as_bytes()), "{other}");
        }
    }
}

/// Real tables that are not part of this project; without them there is nothing to look at. The values were worked
/// out by hand from the rows.
#[test]
fn real_tables_of_channel_events_come_out_as_they_were() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/samples/asterisk-cel");
    let expected = [
        ("answered_incoming_call.csv", "dur=7 ring=4 talk=3 dir=2 cliNum=0612345678 ansDevNum=1002"),
        ("answered_internal.csv", "dur=6 ring=2 talk=3 dir=1 cliNum=1045 ansDevNum=1001"),
        ("answered_originate.csv", "dur=7 ring=4 talk=3 dir=1 cliNum=1045 ansDevNum=1001"),
        ("answered_outgoing_call.csv", "dur=11 ring=6 talk=4 dir=3 cliNum=**9642301 ansDevNum=1001"),
        ("conference_has_a_destination_name.csv", "dur=8 talk=1 dir=1 cliNum=1101"),
        ("early_hung_up_incoming_call.csv", "dur=0 lost=1 aban=1 dir=2 cliNum=14201"),
        (
            "given_queue_call_then_destination_user_uuid_should_be_answered_callee.csv",
            "dur=4 ring=2 talk=1 dir=1 ansDevName=o7r761lt",
        ),
        ("internal_busy_fwd_answered_call.csv", "dur=6 ring=3 talk=1 dir=1 cliNum=101 ansDevNum=102"),
        ("internal_no_answer.csv", "dur=4 ring=4 dir=1 cliNum=1045"),
        (
            "noanswer_forward_to_external_answered.csv",
            "dur=31 ring=19 talk=7 dir=3 cliNum=18005551234 ansDevNum=1005",
        ),
        (
            "recording_from_interception.csv",
            "dur=33 ring=2 talk=29 dir=1 cliNum=8000 ansDevNum=8002 hasRec=1",
        ),
        ("unanswered_outcall.csv", "dur=3 ring=3 dir=3 cliNum=**9742310"),
    ];
    for (name, bytes) in files(&folder) {
        let record = call(Dialect::AsteriskCel, &bytes);
        let (_, expected) = expected.iter().find(|(file, _)| *file == name).unwrap();
        for entry in expected.split(' ') {
            let (key, value) = entry.split_once('=').unwrap();
            let found = record.get(key).map(|value| value.to_string().trim_matches('"').to_owned());
            assert_eq!(found.as_deref(), Some(value), "{name}: {key} of {}", told(&record));
        }
    }
}

#[test]
fn rows_of_the_table_are_elements_and_its_header_is_none() {
    for dialect in [Dialect::AsteriskCel, Dialect::AsteriskCdr] {
        for (name, bytes) in fixtures(dialect) {
            let decoded = decode(dialect, &source(), &bytes);
            let elements = decoded.accepted + decoded.rejects.len() as u64 + decoded.notes.headers;
            assert_eq!(elements, frames(dialect, &bytes).count() as u64, "{name}");
        }
    }
}

#[test]
fn carriers_are_who_the_platform_says_they_are() {
    let rows = b"eventtype,eventtime,cid_num,exten,context,channame,uniqueid,linkedid\n\
        CHAN_START,1773133200.0,01632960001,01632960100,from-acme-lines,PJSIP/one-01,1773133200.1,1773133200.1\n\
        CHAN_START,1773133200.1,01632960002,s,from-internal,PJSIP/trunk-lobby-02,1773133200.2,1773133200.1\n\
        CHAN_START,1773133200.2,01632960999,s,from-internal,PJSIP/two-03,1773133200.3,1773133200.1\n";
    let sides = |rules: &SideRules| {
        let decoded = decode(Dialect::AsteriskCel, &Source { sides: rules, ..source() }, rows);
        decoded.records.iter().map(|leg| leg.fields.side.unwrap()).collect::<Vec<_>>()
    };
    let names = |name: &str| Some(vec![name.into()]);
    let external =
        PartyNames { contexts: names("from-acme*"), numbers: names("*999"), ..PartyNames::default() };
    let internal = PartyNames { endpoints: names("trunk-lobby"), ..PartyNames::default() };
    assert_eq!(sides(&SideRules::default()), [Side::Internal, Side::External, Side::Internal]);
    let rules = SideRules { external, internal };
    assert_eq!(sides(&rules), [Side::External, Side::Internal, Side::External]);
}
