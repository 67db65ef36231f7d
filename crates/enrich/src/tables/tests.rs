//! What tables fill in of a record, and what they leave alone.

use chrono_tz::Tz;
use proptest::prelude::*;
use ringpost_model::{Contact, ContactField, Context, Directory, Fields, LegId, PbxKey, PriceList, Rating};
use ringpost_model::{RoundingMode, SessionId, TenantKey};

use super::*;
use crate::{Builder, Edit};

fn pair(number: &str, name: &str) -> NumberName {
    NumberName { number: number.into(), name: name.into() }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros((1_773_136_800 + seconds) * 1_000_000)
}

/// A caller from outside rings 201, then 202 answers.
fn envelope() -> Envelope {
    let session = SessionId(uuid::Uuid::nil());
    let (tenant, pbx) = (TenantKey::new("acme").unwrap(), PbxKey::new("fs1").unwrap());
    let mut cdr = Cdr::empty(session);
    (cdr.start, cdr.answer, cdr.end) = (at(0), Some(at(10)), at(100));
    cdr.direction = CallDirection::Incoming;
    cdr.cli.number = "+441632960001".into();
    cdr.ddi = pair("+441632960100", "");
    cdr.devices.first_rang = pair("201", "");
    cdr.devices.last_rang = pair("202", "Desk 2");
    cdr.devices.answered = pair("202", "Desk 2");
    cdr.devices.last_answered = pair("202", "Desk 2");
    cdr.users.last_rang = pair("12", "Zoe");
    cdr.users.answered = pair("12", "Zoe");
    cdr.users.last_answered = pair("12", "Zoe");
    let caller = Fields {
        direction: Some(LegDirection::In),
        side: Some(Side::External),
        party: pair("01632960001", ""),
        ddi: pair("01632960100", ""),
        ..Fields::default()
    };
    let first = Fields {
        direction: Some(LegDirection::Out),
        side: Some(Side::Internal),
        device: pair("201", ""),
        ..Fields::default()
    };
    let second = Fields { device: pair("202", "Desk 2"), user: pair("12", "Zoe"), ..first.clone() };
    let legs = vec![leg("a", caller, 0, 10), leg("b", first, 1, 5), leg("c", second, 5, 10)];
    let context = Context::default();
    let (timeline, tables, cut) = (Vec::new(), BTreeMap::new(), Vec::new());
    Envelope {
        v: 1,
        tenant,
        pbx,
        session,
        rev: 1,
        emitted: at(103),
        cdr,
        context,
        legs,
        timeline,
        tables,
        cut,
        quiet: false,
    }
}

fn leg(id: &str, fields: Fields, created: i64, answered: i64) -> Leg {
    Leg {
        leg: LegId::new(id).unwrap(),
        links: Vec::new(),
        fields,
        created: at(created),
        ringing: None,
        answered: Some(at(answered)),
        ended: Some(at(100)),
        bridges: Vec::new(),
        holds: Vec::new(),
        parks: Vec::new(),
        services: Vec::new(),
        recordings: Vec::new(),
        tags: BTreeMap::new(),
    }
}

/// What the tables changed of the record, key by key.
fn filled(tables: &Tables, envelope: &Envelope) -> String {
    let mut after = envelope.clone();
    tables.enrich(&mut after, Region::new("GB").ok());
    let text = |envelope: &Envelope| serde_json::to_value(&envelope.cdr).unwrap();
    let (before, after) = (text(envelope), text(&after));
    let changed = after.as_object().unwrap().iter().filter(|(key, value)| before.get(key) != Some(value));
    changed.map(|(key, value)| format!("{key} {value}\n")).collect()
}

fn tariff(direction: TariffDirection, rows: &str) -> (TariffDirection, Tariff) {
    let list = PriceList {
        name: "retail".into(),
        currency: "GBP".into(),
        zone: Tz::Europe__London,
        direction,
        decimals: 4,
        rounding: RoundingMode::HalfUp,
        maximum: None,
        rows: rows.into(),
    };
    (direction, Tariff::from_list(&list).unwrap())
}

fn device(number: &str, name: &str, user: NumberName, groups: &[&str]) -> Device {
    let groups = groups.iter().map(|group| (*group).into()).collect();
    Device { number: number.into(), name: name.into(), user, agent: NumberName::default(), groups }
}

fn some_tables() -> Tables {
    let mut builder = Builder::new(vec![Directory { id: "d".into(), name: "Customers".into() }]);
    let fields = [(ContactField::FullName, "Ann"), (ContactField::Phone1, "+441632960001")];
    let fields = fields.map(|(field, text)| (field, text.into())).into();
    builder.push(0, &Contact { id: "c1".into(), fields }).unwrap();
    Tables {
        versions: BTreeMap::from([("contacts".into(), 7)]),
        contacts: builder.finish(),
        numbers: Numbers::from_iter([PublicNumber { number: "+441632960100".into(), name: "Sales".into() }]),
        devices: Devices::from_iter([
            device("201", "Desk 1", pair("11", "Yan"), &["Hall"]),
            device("202", "Other", pair("99", "Nobody"), &["A", "B"]),
        ]),
        tariffs: vec![tariff(
            TariffDirection::Outgoing,
            "prefix,name,band,rate_per_minute\n,World,day,0.6\n",
        )],
    }
}

#[test]
fn tables_fill_what_the_legs_do_not_say_and_nothing_else() {
    insta::assert_snapshot!(filled(&some_tables(), &envelope()), @r#"
    ddiName "Sales"
    directoryMatches [{"contactId":"c1","dirId":"d","dirName":"Customers","dirType":"DirectoryContactMatch","fields":{"fullName":"Ann","phone1":"+441632960001"}}]
    fRngDevName "Desk 1"
    fRngGroupName "Hall"
    fRngUsrName "Yan"
    fRngUsrNum "11"
    "#);
    assert_eq!(filled(&Tables::default(), &envelope()), "");
}

#[test]
fn an_incoming_call_has_a_price_only_where_a_tariff_is_for_incoming_calls() {
    let mut tables = Tables::default();
    tables.tariffs.push(tariff(TariffDirection::Outgoing, "prefix,rate_per_minute\n,1\n"));
    assert_eq!(filled(&tables, &envelope()), "");
    let rows = "prefix,name,band,rate_per_minute\n441632960100,Freephone,all,0.04\n";
    tables.tariffs.push(tariff(TariffDirection::Incoming, rows));
    insta::assert_snapshot!(filled(&tables, &envelope()), @r#"
    rate 1
    rateBand "all"
    rateCost 0.06
    rateName "Freephone"
    "#);
}

#[test]
fn an_outgoing_call_costs_from_answer_to_end_by_the_number_dialled() {
    let tables = some_tables();
    let mut call = envelope();
    call.cdr.direction = CallDirection::Outgoing;
    assert!(filled(&tables, &call).contains("rateCost 0.9"), "{}", filled(&tables, &call));
    call.cdr.answer = None;
    assert!(!filled(&tables, &call).contains("rate"), "nobody answered");
    call = envelope();
    call.cdr.direction = CallDirection::Internal;
    assert!(!filled(&tables, &call).contains("rate"), "a call inside costs nothing");
}

#[test]
fn a_call_from_outside_to_outside_costs_what_the_leg_that_was_placed_lasted() {
    let mut call = envelope();
    call.cdr.t2t = true;
    call.cdr.direction = CallDirection::Both;
    let outside = Fields {
        direction: Some(LegDirection::Out),
        side: Some(Side::External),
        dialled: "07911 123456".into(),
        ..Fields::default()
    };
    call.legs.push(leg("d", outside, 30, 40));
    let mut tables = Tables::default();
    let rows = "prefix,name,rate_per_minute\n44,UK,0.6\n447,Mobile,6\n";
    tables.tariffs.push(tariff(TariffDirection::Outgoing, rows));
    insta::assert_snapshot!(filled(&tables, &call), @r#"
    rate 1
    rateCost 6
    rateName "Mobile"
    "#);
}

#[test]
fn what_the_switch_has_charged_stays() {
    let mut call = envelope();
    call.cdr.direction = CallDirection::Outgoing;
    call.cdr.rate = Some(Rate { cost: 3.into(), band: "b".into(), name: "n".into() });
    assert!(!filled(&some_tables(), &call).contains("rate"));
}

#[test]
fn a_call_at_no_price_is_rated_all_the_same() {
    let mut call = envelope();
    call.cdr.direction = CallDirection::Outgoing;
    let mut tables = Tables::default();
    tables.tariffs.push(tariff(TariffDirection::Outgoing, "prefix,name,rate_per_minute\n44,Inclusive,0\n"));
    insta::assert_snapshot!(filled(&tables, &call), @r#"
    rate 1
    rateName "Inclusive"
    "#);
}

fn other_tables() -> impl Strategy<Value = Tables> {
    let users = (0_usize..3).prop_map(|n| [pair("", ""), pair("12", "Zoe"), pair("13", "Eve")][n].clone());
    let devices = proptest::collection::vec((0_u32..3, "[ab]?", users, 0_usize..3), 0..4);
    let devices = devices.prop_map(|devices| {
        Devices::from_iter(devices.into_iter().map(|(number, name, user, groups)| {
            device(&format!("20{number}"), &name, user, &["Hall", "Yard"][..groups])
        }))
    });
    (devices, any::<[bool; 3]>()).prop_map(|(devices, [named, known, priced])| {
        let mut tables = some_tables();
        tables.devices = devices;
        if !named {
            tables.numbers = Numbers::default();
        }
        if !known {
            let gone = Edit { directory: "d".into(), contact: "c1".into(), now: None };
            tables.contacts = tables.contacts.edited([gone]);
        }
        if !priced {
            tables.tariffs.clear();
        }
        tables
    })
}

proptest! {
    /// Enriched again by other tables, a record is what it would be had it never known the former ones.
    #[test]
    fn nothing_of_former_tables_stays(
        former in other_tables(),
        now in other_tables(),
        says_group in any::<bool>(),
        is_rated in any::<bool>(),
    ) {
        let mut call = envelope();
        call.cdr.direction = CallDirection::Outgoing;
        if says_group {
            call.legs[1].fields.group = "Hall".into();
            call.cdr.first_group = "Hall".into();
        }
        if is_rated {
            let (cost, band, name) = (3.into(), Text::default(), Text::default());
            call.legs[0].fields.rating = Some(Rating { cost, band, name, currency: Text::default() });
            call.cdr.rate = Some(Rate { cost, band: Text::default(), name: Text::default() });
        }
        let mut expected = call.clone();
        now.enrich(&mut expected, None);
        former.enrich(&mut call, None);
        Tables::strip(&mut call);
        now.enrich(&mut call, None);
        prop_assert_eq!(call, expected);
    }
}
