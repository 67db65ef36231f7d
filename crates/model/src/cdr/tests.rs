//! The printed record: order, what is left out, exact decimals, and back.

use chrono_tz::Tz;

use super::*;

fn full() -> Cdr {
    let pair = |text: &str| NumberName { number: text.into(), name: format!("{text} name").into() };
    let faces = |text: &str| Faces {
        first_rang: pair(&format!("{text}1")),
        last_rang: pair(&format!("{text}2")),
        answered: pair(&format!("{text}3")),
        last_answered: pair(&format!("{text}4")),
    };
    let id = SessionId(uuid::Uuid::from_u128(7));
    let mut cdr = Cdr::empty(id);
    cdr.pbx_id = "k1".into();
    cdr.pbx_name = "Main".into();
    cdr.tz = Tz::Europe__London;
    cdr.start = Timestamp::from_micros(1_792_889_970_000_000);
    cdr.answer = Some(Timestamp::from_micros(1_792_889_980_000_000));
    cdr.end = Timestamp::from_micros(1_792_890_045_000_000);
    (cdr.dur, cdr.ring, cdr.talk, cdr.hold, cdr.park) = (75, 7, 65, 1, 2);
    (cdr.ans, cdr.short, cdr.t2t, cdr.partial) = (true, true, true, true);
    cdr.direction = CallDirection::Incoming;
    cdr.call_type = CallType::External;
    cdr.cli.number = "+441632960101".into();
    cdr.cli.name = "O\"Neill\u{1}é".into();
    cdr.ddi = pair("+441614960000");
    cdr.devices = faces("d");
    cdr.users = faces("u");
    cdr.agents = faces("a");
    cdr.rate = Some(Rate { cost: "0.10".parse().unwrap(), band: "peak".into(), name: "UK".into() });
    cdr.recording_ids = vec!["r1".into()];
    cdr.tags = BTreeMap::from([("Support".into(), "step1".into())]);
    cdr.rev = 2;
    cdr.replaces = vec![id];
    cdr
}

/// The order of sessions.md 4.2, without the keys that `full` leaves empty.
const ORDER: &str = "id dType sVer pbxId pbxName tz start answer end dur ring talk hold park ans short dir \
    type t2t cliNum cliName ddiNum ddiName fRngDevNum fRngDevName lRngDevNum lRngDevName ansDevNum ansDevName \
    lAnsDevNum lAnsDevName fRngUsrNum fRngUsrName lRngUsrNum lRngUsrName ansUsrNum ansUsrName lAnsUsrNum \
    lAnsUsrName fRngAgtNum fRngAgtName lRngAgtNum lRngAgtName ansAgtNum ansAgtName lAnsAgtNum lAnsAgtName \
    hasRec rate rateCost rateBand rateName recordingIds tags partial rev replaces";

#[test]
fn keys_come_in_the_order_of_the_contract() {
    let text = serde_json::to_string(&full()).unwrap();
    let mut at = 0;
    for key in ORDER.split_whitespace() {
        let quoted = format!("\"{key}\":");
        at +=
            text[at..].find(&quoted).unwrap_or_else(|| panic!("{key} is missing or out of order in {text}"));
    }
    assert!(text.contains(r#""rateCost":0.10,"#), "a decimal keeps its digits: {text}");
    assert!(text.contains("\"cliName\":\"O\\\"Neill\\u0001é\""), "{text}");
}

#[test]
fn a_printed_record_reads_back_the_same() {
    let cdr = full();
    let text = serde_json::to_string(&cdr).unwrap();
    assert_eq!(serde_json::from_str::<Cdr>(&text).unwrap(), cdr);
}

#[test]
fn an_empty_record_prints_what_is_never_left_out() {
    let text = serde_json::to_string(&Cdr::empty(SessionId(uuid::Uuid::nil()))).unwrap();
    insta::assert_snapshot!(text, @r#"{"id":"00000000-0000-0000-0000-000000000000","dType":"CloudSessionCdr","sVer":1,"tz":"UTC","start":"1970-01-01T00:00:00+00:00","end":"1970-01-01T00:00:00+00:00","dur":0,"dir":0,"type":0}"#);
}
