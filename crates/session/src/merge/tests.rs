//! What wins when records of one leg disagree.

use ringpost_model::{
    Fields, LegId, LegRecord, LegReport, NumberName, PbxKey, Rating, Report, TenantKey, Timestamp,
};

use super::{Merged, merge};
use crate::pack::{key, pack, records};

fn record(written: i64, fields: Fields) -> LegRecord {
    let report = LegReport { at: Some(Timestamp::from_micros(written)), ..LegReport::default() };
    LegRecord {
        tenant: TenantKey::new("t").unwrap(),
        pbx: PbxKey::new("p").unwrap(),
        leg: LegId::new("x").unwrap(),
        links: Vec::new(),
        fields,
        recordings: Vec::new(),
        tags: Default::default(),
        report: Report::Leg(report),
    }
}

/// Merges in both orders, which must agree.
fn both(all: &[LegRecord], look: impl Fn(&Merged<'_>) -> String) -> String {
    let merged = |backwards: bool| {
        let mut packed: Vec<Vec<u8>> = all.iter().map(|record| pack(record, &mut Vec::new())).collect();
        if backwards {
            packed.reverse();
        }
        let bytes = packed.concat();
        look(&merge(records(&bytes).map(|(record, _)| record)))
    };
    assert_eq!(merged(false), merged(true));
    merged(false)
}

fn cause(text: &str) -> Fields {
    Fields { cause: text.into(), ..Fields::default() }
}

fn cost(text: &str, band: &str) -> Fields {
    let rating =
        Rating { cost: text.parse().unwrap(), band: band.into(), name: "".into(), currency: "".into() };
    Fields { rating: Some(rating), ..Fields::default() }
}

#[test]
fn the_later_stamp_wins() {
    let found = both(&[record(1, cause("Z")), record(2, cause("A"))], |leg| leg.text(key::CAUSE).to_owned());
    assert_eq!(found, "A");
}

#[test]
fn equal_stamps_compare_the_json_and_not_the_text() {
    // `"ab"` ends with a quote, which is greater than the exclamation mark of `"ab!"`.
    let found =
        both(&[record(1, cause("ab")), record(1, cause("ab!"))], |leg| leg.text(key::CAUSE).to_owned());
    assert_eq!(found, "ab");
}

#[test]
fn decimals_compare_by_value_first() {
    let shown = |leg: &Merged<'_>| leg.rating().map(|(cost, ..)| cost.to_string()).unwrap();
    assert_eq!(both(&[record(1, cost("9", "z")), record(1, cost("10", "a"))], shown), "10");
    assert_eq!(both(&[record(1, cost("1.0", "")), record(1, cost("1.00", ""))], shown), "1.00");
}

#[test]
fn number_and_name_are_one_value() {
    let party = |number: &str, name: &str| Fields {
        party: NumberName { number: number.into(), name: name.into() },
        ..Fields::default()
    };
    let shown = |leg: &Merged<'_>| format!("{:?}", leg.pair(key::PARTY));
    let found = both(&[record(1, party("201", "Ann")), record(2, party("202", ""))], shown);
    assert_eq!(found, r#"("202", "")"#);
}

#[test]
fn tags_are_decided_one_by_one() {
    let tagged = |written: i64, tags: &[(&str, &str)]| {
        let mut record = record(written, Fields::default());
        record.tags = tags.iter().map(|(tag, value)| ((*tag).into(), (*value).into())).collect();
        record
    };
    let all = [tagged(1, &[("a", "old"), ("b", "kept")]), tagged(2, &[("a", "new")])];
    let found = both(&all, |leg| format!("{:?}", leg.tags().collect::<Vec<_>>()));
    assert_eq!(found, r#"[("a", "new"), ("b", "kept")]"#);
}

#[test]
fn a_leg_known_only_by_when_it_was_written_began_then() {
    assert_eq!(
        both(&[record(5, Fields::default()), record(7, Fields::default())], |leg| leg.created.to_string()),
        "5"
    );
    let mut ringing = record(5, Fields::default());
    if let Report::Leg(leg) = &mut ringing.report {
        leg.ringing = Some(Timestamp::from_micros(9));
    }
    assert_eq!(both(&[ringing], |leg| format!("{} {}", leg.created, leg.last)), "9 9");
}
