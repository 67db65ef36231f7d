//! The time line and its reasons.

use ringpost_model::{Envelope, Service};

use crate::build::{at, caller, desk, one};

fn drawn(envelope: &Envelope) -> String {
    let lines = envelope.timeline.iter().map(|stretch| {
        let seconds = |time: ringpost_model::Timestamp| (time.micros() - at(0.).micros()) as f64 / 1e6;
        let legs: Vec<&str> = stretch.reason.legs.iter().map(|leg| leg.as_str()).collect();
        let state = format!("{:?}", stretch.state).to_lowercase();
        let (from, to) = (seconds(stretch.from), seconds(stretch.to));
        format!("{from}..{to} {state}: {} {}", stretch.reason.rule, legs.join("+")).trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn every_stretch_says_why() {
    let envelope = one([
        caller("x", 0., 90.)
            .stay(Service::Ivr, 0., 2.)
            .bridge("a", 5., 30.)
            .park(30., Some(50.))
            .bridge("b", 60., 90.),
        desk("a", 1., 31.).rang(2.).answered(5.).hold(20., Some(25.)),
        desk("b", 50., 90.).rang(55.).answered(60.),
    ]);
    insta::assert_snapshot!(drawn(&envelope), @r"
    0..2 other: other
    2..5 ring: alerting a
    5..20 talk: bridged a+x
    20..25 hold: partners-on-hold a
    25..30 talk: bridged a+x
    30..50 park: parked x
    50..55 other: other
    55..60 ring: alerting b
    60..90 talk: bridged b+x
    ");
}

#[test]
fn the_envelope_carries_what_the_record_has_no_key_for() {
    let mut x = caller("x", 0., 30.).stay(Service::Queue, 1., 5.).sip(200);
    x.0.fields.presented = "+441632960101".into();
    let envelope = one([x, desk("a", 1., 30.).rang(2.)]);
    let context = serde_json::to_string(&envelope.context).unwrap();
    insta::assert_snapshot!(context, @r#"{"dialled":"+441614960000","presented":"+441632960101","sip":200,"queueName":"Sales"}"#);
    let legs: Vec<&str> = envelope.legs.iter().map(|leg| leg.leg.as_str()).collect();
    assert_eq!(legs, ["x", "a"]);
}
