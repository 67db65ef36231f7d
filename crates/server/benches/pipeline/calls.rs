//! Calls of four legs, of the size that a switch writes: a caller, a desk that rings in vain, one that answers, holds
//! and hands on, and the one that talks to the end.

use std::fmt::Write;

use serde_json::{Value, json};

/// The one pbx; it speaks for every tenant.
pub(crate) const PBX: &str = "bench";
/// Its token.
pub(crate) const TOKEN: &str = "token-of-the-benchmark";
/// Legs of a call.
pub(crate) const LEGS: usize = 4;

/// Before the number of the call, in the name of its caller: by this the receiver knows it.
pub(crate) const MARK: &[u8] = b"Caller No ";
/// Digits of that number.
pub(crate) const DIGITS: usize = 8;

const SECOND: i64 = 1_000_000;

/// The four legs of call `number`, in the order in which they end.
pub(crate) fn legs(tenant: &str, number: usize, ended: i64) -> [String; LEGS] {
    let at = |seconds: i64| ended - (90 - seconds) * SECOND + number as i64;
    let id = |leg: &str| format!("{leg}-5d0c-4a52-9d3e-{number:012x}");
    let (caller, first, second, third) = (id("c0ffee00"), id("decade11"), id("facade22"), id("ace0fba5"));
    let bridge = |with: &str, from, to| json!({ "with": with, "from": at(from), "to": at(to) });
    let desk = |leg: &str, user: &str| {
        json!({
            "v": 1, "kind": "leg", "tenant": tenant, "pbx": PBX, "leg": leg, "links": [&caller],
            "direction": "out", "side": "internal", "number": user, "name": format!("User {user} of the desk"),
            "device": { "number": format!("dev{user}"), "name": "Desk phone" },
            "user": { "number": user, "name": format!("User {user} of the desk") },
            "group": { "name": "Sales" }, "dialled": user, "created": at(1), "ringing": at(2),
        })
    };
    let vain = with(desk(&first, "201"), json!({ "ended": at(8), "cause": "LOSE_RACE", "sip": 487 }));
    let handed = json!({
        "answered": at(8), "ended": at(40), "cause": "NORMAL_CLEARING", "sip": 200,
        "bridges": [bridge(&caller, 8, 40)], "holds": [{ "from": at(25), "to": at(39) }],
    });
    let last = json!({
        "created": at(40), "ringing": at(41), "answered": at(44), "ended": at(90), "cause": "NORMAL_CLEARING",
        "sip": 200, "bridges": [bridge(&caller, 44, 90)],
    });
    let caller = json!({
        "v": 1, "kind": "leg", "tenant": tenant, "pbx": PBX, "leg": &caller, "direction": "in",
        "side": "external", "number": self::caller(number), "name": format!("Caller No {number:08}"),
        "dialled": "+441614960000", "ddi": { "number": "+441614960000", "name": "Main line" },
        "created": at(0), "answered": at(8), "ended": at(90), "cause": "NORMAL_CLEARING",
        "sip": 200, "tz": "Europe/London", "recordings": [format!("rec-{number:012x}")],
        "bridges": [bridge(&second, 8, 40), bridge(&third, 44, 90)],
    });
    let legs = [vain, with(desk(&second, "202"), handed), with(desk(&third, "203"), last), caller];
    legs.map(|leg| leg.to_string())
}

fn with(mut leg: Value, more: Value) -> Value {
    if let (Value::Object(leg), Value::Object(more)) = (&mut leg, more) {
        leg.extend(more);
    }
    leg
}

/// Who calls.
pub(crate) fn caller(number: usize) -> String {
    format!("+44770{number:07}")
}

/// Key of the tenant with this number.
pub(crate) fn tenant(number: usize) -> String {
    format!("tenant-{number}")
}

/// Which call a payload is about.
pub(crate) fn number_in(body: &[u8]) -> Option<usize> {
    let at = body.windows(MARK.len()).position(|window| window == MARK)? + MARK.len();
    std::str::from_utf8(body.get(at..at + DIGITS)?).ok()?.parse().ok()
}

/// The legs of `calls` calls from number `first` on, each with its tenant. Those of one call lie apart, as they do where
/// many calls end at the same time.
pub(crate) fn mixed(first: usize, calls: usize, tenants: usize, ended: i64) -> Vec<(String, String)> {
    /// Calls that end between two legs of one.
    const SPREAD: usize = 50;
    let mut slots: Vec<Vec<(String, String)>> = vec![Vec::new(); calls + SPREAD * LEGS];
    for call in 0..calls {
        let tenant = tenant((first + call) % tenants);
        let legs = legs(&tenant, first + call, ended);
        for (leg, text) in legs.into_iter().enumerate() {
            slots[call + leg * SPREAD].push((tenant.clone(), text));
        }
    }
    slots.into_iter().flatten().collect()
}

/// The same as bodies of requests, so many legs each.
pub(crate) fn bodies(
    first: usize,
    calls: usize,
    tenants: usize,
    legs_each: usize,
    ended: i64,
) -> Vec<Vec<u8>> {
    let body = |some: &[(String, String)]| {
        let mut body = String::new();
        for (_, leg) in some {
            _ = writeln!(body, "{leg}");
        }
        body.into_bytes()
    };
    mixed(first, calls, tenants, ended).chunks(legs_each).map(body).collect()
}
