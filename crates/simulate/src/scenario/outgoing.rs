//! Calls to outside: dialled at a desk, asked for by a click, or placed by a dialler.

use ringpost_model::{CallDirection, LegDirection, NumberName, State, Text};

use super::ring::{Outcome, Reached};
use super::story::Story;
use crate::company;
use crate::script::{LegNo, MS, Micros, S};

#[derive(Clone, Copy)]
enum Fate {
    Answered,
    Busy,
    NoAnswer,
    GaveUp,
    SecondCarrier,
    AllCarriersFail,
}

/// A desk dials out.
pub(super) fn outgoing(story: &mut Story<'_>) {
    let desk = story.pbx.desk(story.dice);
    let far = company::reachable(story.dice);
    let caller = story.place_desk(desk, LegDirection::In, story.now, None);
    story.leg(caller).fields.dialled = far.number.clone();
    story.wait(20 * MS, 2 * S);
    let first = place_customer(story, &far, Some(caller));
    story.open(caller, first, CallDirection::Outgoing);
    parties(story, &far);
    let fate = story.dice.weighted(&[
        (62, Fate::Answered),
        (9, Fate::Busy),
        (11, Fate::NoAnswer),
        (9, Fate::GaveUp),
        (6, Fate::SecondCarrier),
        (3, Fate::AllCarriersFail),
    ]);
    match fate {
        Fate::Answered => answered(story, caller),
        Fate::Busy => busy(story, caller),
        Fate::NoAnswer => no_answer(story, caller),
        Fate::GaveUp => gave_up(story, caller),
        Fate::SecondCarrier => second_carrier(story, caller, &far),
        Fate::AllCarriersFail => all_fail(story, caller, &far),
    }
}

fn place_customer(story: &mut Story<'_>, far: &NumberName, parent: Option<LegNo>) -> LegNo {
    let x = story.place_outside(LegDirection::Out, far.clone(), story.now, parent);
    let shown = story.pbx.public_number(story.dice);
    let (dials, shows, owns) = (story.dice.percent(80), story.dice.percent(70), story.dice.percent(30));
    let fields = &mut story.leg(x).fields;
    if dials {
        // What is dialled to the carrier counts before what the carrier calls the party.
        fields.dialled = far.number.clone();
        fields.party.number = if owns { "1999".into() } else { far.number.clone() };
    }
    if let Some(first) = &mut story.leg(x).first_party {
        first.number = "1999".into();
    }
    let fields = &mut story.leg(x).fields;
    if shows {
        fields.presented = shown.clone();
    }
    if owns {
        fields.ddi = NumberName { number: shown, name: "Sales line".into() };
    }
    x
}

/// What the record says of the two numbers.
fn parties(story: &mut Story<'_>, far: &NumberName) {
    let (root, x) = (story.session().root, story.x);
    if root != x && story.dice.percent(20) {
        let number = story.pbx.public_number(story.dice);
        story.leg(root).fields.ddi = NumberName { number, name: Text::default() };
    }
    let own = story.script.leg(x).fields.ddi.clone();
    let by_root = story.script.leg(root).fields.ddi.clone();
    let shown = story.script.leg(x).fields.presented.clone();
    let ddi = match (own.is_empty(), by_root.is_empty()) {
        (false, _) => own,
        (true, false) => by_root,
        (true, true) => NumberName { number: shown, name: Text::default() },
    };
    story.session().ddi = ddi;
    story.session().cli = far.clone();
}

/// The far phone rings from then on.
fn far_rings(story: &mut Story<'_>) -> Micros {
    let x = story.x;
    let at = story.now + story.dice.between(200 * MS, 4 * S);
    story.rings(x, at);
    let alert = story.alert_of(x).expect("it rings");
    story.track(State::Other, alert);
    story.now = at;
    alert
}

/// Until the far end picks up and the two are connected. Some carriers play their tones through: no talk.
fn far_answers(story: &mut Story<'_>, caller: LegNo) {
    let rang = far_rings(story);
    story.wait(S, 30 * S);
    let x = story.x;
    let answered = story.now;
    story.leg(x).answered = Some(answered);
    story.track(State::Ring, answered);
    let early_media = story.script.tells_bridges && story.dice.percent(20);
    if early_media {
        story.connect(caller, answered);
        let bridge = story.partner.expect("just connected").bridge;
        story.script.bridges[bridge].from = story.dice.between(rang, answered);
        story.leg(caller).answered.get_or_insert(answered);
        return;
    }
    let connected = story.soon(200 * MS);
    let says = story.script.leg(caller).answered.is_none() && story.dice.percent(80);
    if says {
        story.leg(caller).answered = Some(connected);
    }
    let at = if story.script.tells_bridges || says { connected } else { answered };
    story.track(State::Other, at);
    story.connect(caller, at);
}

fn answered(story: &mut Story<'_>, caller: LegNo) {
    far_answers(story, caller);
    story.connected_conversation();
}

fn busy(story: &mut Story<'_>, caller: LegNo) {
    let x = story.x;
    if story.dice.percent(40) {
        far_rings(story);
    } else {
        // Nothing ever rang in this call: then its ring counts from the leg's begin (sessions.md 3).
        story.alerts = false;
        let created = story.script.leg(x).created;
        story.track(State::Other, created);
    }
    let tone_from = story.now;
    story.wait(200 * MS, 3 * S);
    let now = story.now;
    let (cause, sip) = *story.dice.pick(&[("USER_BUSY", 486), ("UNALLOCATED_NUMBER", 404), ("", 503)]);
    story.ends(x, now, cause);
    story.leg(x).fields.sip = Some(sip);
    if story.script.tells_bridges && story.dice.percent(30) {
        // The carrier's announcement is heard, but nobody answered: no bridge.
        let bridge = story.bridge(x, caller, tone_from);
        story.unbridge(bridge, now);
    }
    story.track(State::Ring, now);
    hang_up_caller(story, caller, 5 * S);
}

fn no_answer(story: &mut Story<'_>, caller: LegNo) {
    far_rings(story);
    story.wait(10 * S, 45 * S);
    let (x, now) = (story.x, story.now);
    story.ends(x, now, "NO_ANSWER");
    story.leg(x).fields.sip = Some(480);
    story.track(State::Ring, now);
    hang_up_caller(story, caller, 4 * S);
}

fn hang_up_caller(story: &mut Story<'_>, caller: LegNo, most: Micros) {
    let at = story.now + story.dice.between(0, most);
    story.ends(caller, at, "CALL_CLEARED");
    story.close();
}

/// The caller loses patience first.
fn gave_up(story: &mut Story<'_>, caller: LegNo) {
    let before_ring = story.dice.percent(15);
    if before_ring {
        story.alerts = false;
        let created = story.script.leg(story.x).created;
        story.track(State::Other, created);
        story.wait(50 * MS, 900 * MS);
    } else {
        far_rings(story);
        story.wait(300 * MS, 40 * S);
    }
    let (x, now) = (story.x, story.now);
    story.ends(caller, now, "ORIGINATOR_CANCEL");
    let gone = story.soon(300 * MS);
    story.ends(x, gone, "ORIGINATOR_CANCEL");
    story.leg(x).fields.sip = Some(487);
    story.track(State::Ring, gone);
    story.close();
}

/// The first carrier refuses; the second one gets through: its leg is the customer's.
fn second_carrier(story: &mut Story<'_>, caller: LegNo, far: &NumberName) {
    refuse(story);
    story.now = story.soon(400 * MS);
    let second = place_customer(story, far, Some(caller));
    story.x = second;
    story.session().customer = second;
    parties(story, far);
    far_answers(story, caller);
    story.connected_conversation();
}

fn refuse(story: &mut Story<'_>) {
    let x = story.x;
    let created = story.script.leg(x).created;
    story.track(State::Other, created);
    story.wait(100 * MS, 2 * S);
    let now = story.now;
    story.ends(x, now, "NORMAL_TEMPORARY_FAILURE");
    story.leg(x).fields.sip = Some(503);
    if !story.alerts {
        story.track(State::Ring, now);
    }
}

fn all_fail(story: &mut Story<'_>, caller: LegNo, far: &NumberName) {
    story.alerts = false;
    refuse(story);
    let first = story.x;
    story.now = story.soon(400 * MS);
    story.x = place_customer(story, far, Some(caller));
    refuse(story);
    // Nobody was reached: the first leg that was placed is the customer's.
    story.x = first;
    hang_up_caller(story, caller, 3 * S);
}

/// A click in a web page: the own phone rings first, then the customer is called.
pub(super) fn click_to_call(story: &mut Story<'_>) {
    let desk = story.pbx.desk(story.dice);
    let far = company::reachable(story.dice);
    let caller = story.place_desk(desk, LegDirection::Out, story.now, None);
    story.open(caller, caller, CallDirection::Outgoing);
    let at = story.now + story.dice.between(50 * MS, 900 * MS);
    story.rings(caller, at);
    let alert = story.alert_of(caller).expect("it rings");
    story.track(State::Other, alert);
    story.now = at;
    story.wait(500 * MS, 15 * S);
    let now = story.now;
    story.leg(caller).answered = Some(now);
    story.track(State::Ring, now);
    story.wait(20 * MS, S);
    let x = place_customer(story, &far, Some(caller));
    story.x = x;
    story.session().customer = x;
    parties(story, &far);
    far_answers(story, caller);
    story.connected_conversation();
}

/// A dialler calls the customer, and looks for an agent when somebody says hello.
pub(super) fn dialler(story: &mut Story<'_>) {
    let far = company::reachable(story.dice);
    let x = place_customer(story, &far, None);
    story.open(x, x, CallDirection::Outgoing);
    parties(story, &far);
    far_rings(story);
    story.wait(S, 25 * S);
    let now = story.now;
    story.leg(x).answered = Some(now);
    story.track(State::Ring, now);
    let group = story.group_name();
    let many = 1 + story.dice.below(3);
    let agents = story.pbx.desks(story.dice, many);
    match story.ring(&agents, &group, Outcome::Answered) {
        Reached::Leg(agent) => story.conversation(agent),
        Reached::Nobody | Reached::Left => unreachable!("the agent was told to answer"),
    }
}

/// The dialler places the call, and the agent's leg enters a moment later: it is the root all the same.
pub(super) fn agent_joins_dialler(story: &mut Story<'_>) {
    let far = company::reachable(story.dice);
    let x = place_customer(story, &far, None);
    let rings = story.now + story.dice.between(100 * MS, 900 * MS);
    let desk = story.pbx.desk(story.dice);
    story.wait(S, 5 * S);
    let agent = story.place_desk(desk, LegDirection::In, story.now, Some(x));
    story.open(agent, x, CallDirection::Outgoing);
    story.rings(x, rings);
    parties(story, &far);
    let entered = story.soon(50 * MS);
    story.leg(agent).answered = Some(entered);
    story.now = entered;
    story.wait(S, 20 * S);
    let answered = story.now;
    story.leg(x).answered = Some(answered);
    story.track(State::Ring, answered);
    let at = if story.script.tells_bridges { story.soon(200 * MS) } else { answered };
    story.track(State::Other, at);
    story.connect(agent, at);
    story.connected_conversation();
}
