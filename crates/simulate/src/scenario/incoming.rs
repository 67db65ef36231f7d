//! Calls from outside: to a desk, a group, a queue, a menu, a machine; answered, forwarded, lost.

use ringpost_model::{CallDirection, LegDirection, NumberName, Service, State, Text};

use super::ring::Reached;
use super::story::Story;
use crate::company;
use crate::script::{LegNo, MS, S};

#[derive(Clone, Copy)]
enum Way {
    Desk,
    Group,
    List,
    Queue,
    Pickup,
    Forward,
    HandsetForward,
    Voicemail,
    Fax,
    GaveUp,
}

/// An outside party calls in.
pub(super) fn incoming(story: &mut Story<'_>) {
    arrive(story);
    story.wait(10 * MS, 900 * MS);
    if story.dice.percent(25) && !menu(story) {
        story.close();
        return;
    }
    let free = u64::from(story.script.tells_bridges);
    let way = story.dice.weighted(&[
        (28, Way::Desk),
        (15, Way::Group),
        (12, Way::List),
        (20, Way::Queue),
        (6 * free, Way::Pickup),
        (5, Way::Forward),
        (3, Way::HandsetForward),
        (4, Way::Voicemail),
        (2, Way::Fax),
        (5, Way::GaveUp),
    ]);
    match reach(story, way) {
        Reached::Leg(leg) if story.script.leg(leg).is_internal() => story.conversation(leg),
        Reached::Leg(leg) => story.plain_conversation(leg),
        Reached::Left => story.close(),
        Reached::Nobody => {
            story.unanswered();
            story.close();
        }
    }
}

/// The caller's leg, and what its record says of the two numbers.
pub(super) fn arrive(story: &mut Story<'_>) -> LegNo {
    let caller = company::outsider(story.dice);
    let public = story.pbx.public_number(story.dice);
    let x = story.place_outside(LegDirection::In, caller.clone(), story.now, None);
    let named = story.dice.percent(40);
    let bare = story.dice.percent(50);
    let leg = story.leg(x);
    leg.fields.dialled = public.clone();
    let mut ddi = NumberName { number: public, name: Text::default() };
    if named {
        // The number as the tenant writes it; what was dialled is the carrier's way.
        ddi.name = if bare { Text::default() } else { "Main line".into() };
        leg.fields.ddi = ddi.clone();
        leg.fields.dialled = "0012345".into();
    }
    story.open(x, x, CallDirection::Incoming);
    story.session().cli = caller;
    story.session().ddi = ddi;
    x
}

/// A menu speaks first. False: the caller hung up in it.
fn menu(story: &mut Story<'_>) -> bool {
    let menu = story.machine_begins(Service::Ivr, "Welcome");
    story.wait(500 * MS, 40 * S);
    let now = story.now;
    story.machine_ends(&menu, now, "");
    if story.dice.percent(12) {
        story.customer_leaves(now, State::Other);
        return false;
    }
    story.track(State::Other, now);
    story.now = story.soon(800 * MS);
    true
}

fn reach(story: &mut Story<'_>, way: Way) -> Reached {
    match way {
        Way::Desk => {
            let (desk, outcome) = (story.pbx.desk(story.dice), story.outcome());
            story.ring(&[desk], &Text::default(), outcome)
        }
        Way::Group => {
            let (group, many) = (story.group_name(), 2 + story.dice.below(4));
            let (desks, outcome) = (story.pbx.desks(story.dice, many), story.outcome());
            story.ring(&desks, &group, outcome)
        }
        Way::List => {
            let (group, many) = (story.group_name(), 2 + story.dice.below(3));
            let desks = story.pbx.desks(story.dice, many);
            story.hunt(&desks, &group)
        }
        Way::Queue => story.queue(),
        Way::Pickup => {
            let many = 2 + story.dice.below(2);
            let desks = story.pbx.desks(story.dice, many);
            story.pickup(&desks[1..], desks[0])
        }
        Way::Forward => {
            let to = company::reachable(story.dice);
            story.forward(to, None)
        }
        Way::HandsetForward => handset_forward(story),
        Way::Voicemail => Reached::Nobody,
        Way::Fax => fax(story),
        Way::GaveUp => gave_up(story),
    }
}

/// A phone rings, and sends the caller on to a mobile by itself.
fn handset_forward(story: &mut Story<'_>) -> Reached {
    let desk = story.pbx.desk(story.dice);
    match story.ring(&[desk], &Text::default(), super::ring::Outcome::TimedOut) {
        Reached::Nobody => {
            let to = company::reachable(story.dice);
            story.forward(to, Some(desk))
        }
        reached => reached,
    }
}

/// A fax machine of the switch takes it: nobody lost this call.
fn fax(story: &mut Story<'_>) -> Reached {
    let machine = story.machine_begins(Service::Fax, "");
    story.session().machine = true;
    story.wait(5 * S, 90 * S);
    let now = story.now;
    story.machine_ends(&machine, now, "");
    story.customer_leaves(now, State::Other);
    Reached::Left
}

/// Gone before anything rang; often within the second.
fn gave_up(story: &mut Story<'_>) -> Reached {
    let begin = story.script.leg(story.x).created;
    if story.script.legs.len() == 1 {
        let most = *story.dice.pick(&[0, 400 * MS, 4 * S, 9 * S]);
        story.now = begin + story.dice.between(0, most);
    }
    story.customer_leaves(story.now, State::Other);
    Reached::Left
}

impl Story<'_> {
    /// Nobody answered: a mailbox, an announcement, or the line goes dead.
    pub(super) fn unanswered(&mut self) {
        self.voicemail_or_nothing();
    }

    pub(crate) fn voicemail_or_nothing(&mut self) {
        self.now = self.soon(700 * MS);
        let x = self.x;
        if self.dice.percent(60) {
            let mailbox = self.machine_begins(Service::Voicemail, "");
            self.wait(400 * MS, 60 * S);
            let now = self.now;
            // A mailbox's end may be told, or be that of the caller.
            if self.dice.percent(60) {
                self.machine_ends(&mailbox, now, "");
            } else if let super::story::Machine::Leg(leg, _) = mailbox {
                self.ends(leg, now, "");
            }
            self.customer_leaves(now, State::Other);
            return;
        }
        let now = self.now;
        self.ends(x, now, "NO_ANSWER");
        self.leg(x).fields.sip = Some(480);
        self.track(State::Other, now);
    }
}
