//! Calls within the company, and the desk that has a mobile beside it.

use ringpost_model::{CallDirection, CallType, LegDirection, State, Text};

use super::ring::Reached;
use super::story::Story;
use crate::company;
use crate::script::{MS, S};

/// A colleague calls a colleague, or a group of them.
pub(super) fn internal(story: &mut Story<'_>) {
    let sideless = story.dice.percent(6) && story.holds_are_told;
    story.legless_machines |= sideless;
    let desks = story.pbx.desks(story.dice, 4);
    let caller = story.place_desk(desks[0], LegDirection::In, story.now, None);
    let many = *story.dice.pick(&[1, 1, 1, 2, 3]);
    story.leg(caller).fields.dialled = desks[1].number();
    story.open(caller, caller, CallDirection::Internal);
    story.session().cli = desks[0].party();
    let group = if many > 1 { story.group_name() } else { Text::default() };
    let outcome = story.outcome();
    match story.ring(&desks[1..=many], &group, outcome) {
        Reached::Leg(leg) => story.conversation(leg),
        Reached::Left => story.close(),
        Reached::Nobody => {
            story.unanswered();
            story.close();
        }
    }
    if sideless {
        forget_sides(story);
    }
}

/// A switch that does not say on which side its legs are: the record says so too.
fn forget_sides(story: &mut Story<'_>) {
    for leg in &mut story.script.legs {
        leg.fields.side = None;
    }
    story.session().direction = CallDirection::Unknown;
    story.session().call_type = CallType::Unknown;
}

/// A colleague's desk and mobile ring together, and the mobile is answered: that is a call to outside.
pub(super) fn mobile_twin(story: &mut Story<'_>) {
    let desks = story.pbx.desks(story.dice, 2);
    let mobile = company::reachable(story.dice);
    let caller = story.place_desk(desks[0], LegDirection::In, story.now, None);
    story.leg(caller).fields.dialled = desks[1].number();
    story.wait(20 * MS, 300 * MS);
    let desk = story.place_desk(desks[1], LegDirection::Out, story.now, Some(caller));
    story.wait(MS, 30 * MS);
    let x = story.place_outside(LegDirection::Out, mobile.clone(), story.now, Some(caller));
    story.leg(x).fields.dialled = mobile.number.clone();
    story.leg(x).fields.device = desks[1].device();
    story.open(caller, x, CallDirection::Outgoing);
    story.session().cli = mobile;
    let desk_rings = story.now + story.dice.between(30 * MS, 600 * MS);
    let mobile_rings = story.now + story.dice.between(300 * MS, 3 * S);
    story.rings(desk, desk_rings);
    story.rings(x, mobile_rings);
    let alerts = [desk, x].map(|no| story.alert_of(no).expect("it rings"));
    let first = alerts[0].min(alerts[1]);
    story.track(State::Other, first);
    story.now = mobile_rings;
    story.wait(S, 20 * S);
    let answered = story.now;
    story.leg(x).answered = Some(answered);
    story.leg(caller).answered = Some(answered);
    story.track(State::Ring, answered);
    let gone = answered + story.dice.between(0, 100 * MS);
    story.ends(desk, gone, "LOSE_RACE");
    story.quiet_from = gone;
    story.connect(caller, answered);
    story.connected_conversation();
}
