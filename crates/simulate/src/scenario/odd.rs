//! What breaks naive code: rooms shared by several calls, pairs of pseudo legs, clocks apart.

use ringpost_model::{CallDirection, LegDirection, Service, Side, State, Text};

use super::incoming::arrive;
use super::ring::{Outcome, Reached};
use super::story::Story;
use crate::script::{LegNo, MS, Micros, S};

/// A caller in a room of its own: alone in it is talk too, since others may be on another node.
pub(super) fn room(story: &mut Story<'_>) {
    let x = arrive(story);
    story.script.tells_bridges = true;
    story.wait(300 * MS, 8 * S);
    let now = story.now;
    story.track(State::Other, now);
    let room = story.machine_begins(Service::Conference, "Board");
    story.session().answer = Some(now);
    story.wait(2 * S, 400 * S);
    story.track(State::Talk, story.now);
    let (end, told) = (story.soon(300 * MS), story.now);
    story.machine_ends(&room, told, "");
    story.ends(x, end, "NORMAL_CLEARING");
    story.close();
}

/// Several callers meet in one room that belongs to none of them: each is a call of its own.
pub(super) fn shared_room(story: &mut Story<'_>) {
    story.script.tells_bridges = true;
    story.script.tells_begins = true;
    let opened = story.now;
    let first = arrive(story);
    story.wait(300 * MS, 5 * S);
    let room = LegNo(story.script.legs.len());
    let mut ends = Vec::new();
    let callers = 2 + story.dice.below(2);
    story.place(LegDirection::Out, Side::Service, story.now, None);
    let own = format!("room-{}", story.script.leg(room).id).into();
    let leg = story.leg(room);
    leg.session = None;
    leg.links = vec![own];
    leg.fields.service = Some(Service::Conference);
    leg.fields.tz = None;
    ends.push(stay_in_room(story, first, room));
    for number in 1..callers {
        story.now = opened + story.dice.between(6 * S, 30 * S);
        ends.push(visit(story, room, usize::try_from(number).expect("few callers")));
    }
    let last = ends.into_iter().max().expect("somebody was there");
    let closed = last + story.dice.between(0, S);
    story.ends(room, closed, "");
}

/// The next caller into the room, with a session of its own.
fn visit(story: &mut Story<'_>, room: LegNo, number: usize) -> Micros {
    story.new_interaction(number);
    let x = arrive(story);
    story.leg(x).session = Some(number);
    story.wait(100 * MS, 3 * S);
    stay_in_room(story, x, room)
}

fn stay_in_room(story: &mut Story<'_>, x: LegNo, room: LegNo) -> Micros {
    let joined = story.now;
    story.leg(x).answered = Some(joined);
    let bridge = story.bridge(x, room, joined);
    // What only the room tells comes when it closes: too late for who left before.
    story.script.bridges[bridge].teller = crate::script::Teller::First;
    story.session().answer = Some(joined);
    story.track(State::Other, joined);
    story.wait(5 * S, 300 * S);
    let left = story.now;
    story.unbridge(bridge, left);
    story.track(State::Talk, left);
    let end = story.soon(200 * MS);
    story.ends(x, end, "NORMAL_CLEARING");
    story.close_plainly();
    end
}

/// The switch connects the two through a pair of pseudo legs of its own.
pub(super) fn loopback(story: &mut Story<'_>) {
    let x = arrive(story);
    story.script.tells_bridges = true;
    story.wait(20 * MS, 300 * MS);
    let now = story.now;
    let near = story.place(LegDirection::Out, Side::Service, now, Some(x));
    let far = story.place(LegDirection::In, Side::Service, now + MS, Some(near));
    for no in [near, far] {
        story.leg(no).answered = Some(now + 2 * MS);
    }
    let desk = story.pbx.desk(story.dice);
    let Reached::Leg(desk) = story.ring(&[desk], &Text::default(), Outcome::Answered) else {
        unreachable!("the desk was told to answer")
    };
    let answered = story.now;
    story.leg(desk).answered.get_or_insert(answered);
    let pairs = [(x, near), (near, far), (far, desk)];
    let bridges = pairs.map(|(first, second)| {
        let at = story.soon(200 * MS);
        story.now = at;
        story.bridge(first, second, at)
    });
    let talk_from = story.now;
    story.track(State::Other, talk_from);
    story.talks_with(desk, talk_from);
    let length = story.dice.between(S, 200 * S);
    story.talk(length);
    let over = story.now;
    for bridge in bridges {
        story.unbridge(bridge, story.now);
        story.now = story.soon(60 * MS);
    }
    debug_assert!(over <= story.now);
    for no in [near, far, desk, x] {
        let at = story.soon(300 * MS);
        story.ends(no, at, "NORMAL_CLEARING");
    }
    story.close();
}

/// The desk is on a node whose clock is off by some seconds; only the caller's node tells of the bridge.
pub(super) fn clocks_apart(story: &mut Story<'_>) {
    let x = arrive(story);
    story.script.tells_bridges = true;
    let skew = story.dice.between(-4 * S, 4 * S);
    story.wait(50 * MS, S);
    let desk = story.pbx.desk(story.dice);
    let created = story.now + skew;
    let no = story.place_desk(desk, LegDirection::Out, created, Some(x));
    let ringing = created + story.dice.between(50 * MS, 900 * MS);
    story.rings(no, ringing);
    let answered = story.now + story.dice.between(5 * S, 20 * S);
    story.leg(no).answered = Some(answered + skew);
    story.now = answered;
    let from = story.soon(200 * MS);
    story.leg(x).answered = Some(from);
    let to = from + story.dice.between(10 * S, 90 * S);
    let bridge = story.bridge(x, no, from);
    story.script.bridges[bridge].teller = crate::script::Teller::First;
    story.unbridge(bridge, to);
    let desk_end = to + story.dice.between(0, 200 * MS) + skew;
    story.ends(no, desk_end, "NORMAL_CLEARING");
    let end = to + story.dice.between(0, 300 * MS);
    story.ends(x, end, "NORMAL_CLEARING");
    let alert = story.alert_of(no).expect("it rings");
    let begin = story.session().track.begin();
    // By its own clock the desk rang from `alert` and answered at `answered + skew`; no bridge is older than that.
    story.track(State::Other, alert.max(begin));
    story.track(State::Ring, (answered + skew).max(begin));
    let talk_from = from.max(answered + skew);
    story.track(State::Other, talk_from);
    story.talks_with(no, talk_from);
    story.track(State::Talk, to.min(desk_end));
    story.close();
}

/// The caller's ends are known; there is nobody else.
impl Story<'_> {
    fn close_plainly(&mut self) {
        let customer = self.session().customer;
        let end = self.script.leg(customer).ended.expect("just ended");
        let session = self.session();
        session.end = end;
        session.customer_end = end;
        session.track.until(State::Other, end);
        debug_assert_eq!(session.direction, CallDirection::Incoming);
    }
}
