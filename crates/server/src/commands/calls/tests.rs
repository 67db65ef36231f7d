//! A call as a person reads it.

use ringpost_model::{
    CallDirection, CallType, Cdr, Context, Envelope, PbxKey, Reason, SessionId, State, Stretch, TenantKey,
    Timestamp,
};
use uuid::Uuid;

use super::show;

fn envelope() -> Envelope {
    let session = SessionId(Uuid::from_u128(7));
    let second = |second: i64| Timestamp::from_micros((1_773_133_200 + second) * 1_000_000);
    let mut cdr = Cdr::empty(session);
    (cdr.start, cdr.answer, cdr.end) = (second(0), Some(second(10)), second(60));
    (cdr.dur, cdr.ring, cdr.talk, cdr.hold, cdr.ans) = (60, 9, 30, 20, true);
    (cdr.direction, cdr.call_type) = (CallDirection::Incoming, CallType::External);
    cdr.cli.number = "+441632960101".into();
    cdr.cli.name = "Eve\u{1b}[2J\u{202e}".into();
    cdr.ddi.number = "+441614960000".into();
    let stretch = |from, to, state| Stretch {
        from: second(from),
        to: second(to),
        state,
        reason: Reason { rule: "bridged".into(), legs: Vec::new() },
    };
    let timeline = vec![
        stretch(0, 1, State::Other),
        stretch(1, 10, State::Ring),
        stretch(10, 40, State::Talk),
        stretch(40, 60, State::Hold),
    ];
    Envelope {
        v: 1,
        tenant: TenantKey::new("acme").unwrap(),
        pbx: PbxKey::new("k1").unwrap(),
        session,
        rev: 1,
        emitted: second(63),
        cdr,
        context: Context::default(),
        legs: Vec::new(),
        timeline,
        tables: std::collections::BTreeMap::new(),
        cut: Vec::new(),
        quiet: false,
    }
}

#[test]
fn the_parts_of_a_call_add_up_and_its_bar_shows_them() {
    insta::assert_snapshot!(show::page(&envelope()));
}

#[test]
fn a_callers_name_moves_no_cursor() {
    let page = show::page(&envelope());
    assert!(page.contains("Eve\u{fffd}[2J\u{fffd}"), "{page}");
    assert!(!show::line(&envelope().cdr).contains('\u{1b}'));
}
