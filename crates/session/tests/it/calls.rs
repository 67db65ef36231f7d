//! The cases of sessions.md 6 that break naive code, each worked by hand.

use ringpost_ingest::{Source, decode};
use ringpost_model::{Dialect, LegDirection, LegEvent, Service, Side};

use crate::build::{
    Leg, at, caller, check, desk, event, leg, loopback, machine, offline, one, outside, summary,
};

#[test]
fn blind_transfer_answered_counts_both_rings_and_both_talks() {
    check(
        [
            caller("x", 0., 100.).bridge("a", 5., 40.).bridge("b", 50., 100.),
            desk("a", 1., 40.).rang(1.).answered(5.),
            desk("b", 40.5, 100.).rang(41.).answered(50.),
        ],
        "dir2 0..100 ring 13 talk 85 answer 5 fRng=a lRng=b ans=a lAns=b",
    );
}

#[test]
fn blind_transfer_not_answered_stays_answered_by_the_first() {
    check(
        [
            caller("x", 0., 70.).bridge("a", 5., 40.),
            desk("a", 1., 40.).rang(1.).answered(5.),
            desk("b", 40.5, 70.).rang(41.),
        ],
        "dir2 0..70 ring 33 talk 35 answer 5 fRng=a lRng=b ans=a lAns=a",
    );
}

#[test]
fn attended_transfer_with_the_bridge_let_go_while_consulting_is_hold() {
    check(
        [
            caller("x", 0., 100.).bridge("a1", 5., 30.).bridge("c", 62., 100.),
            desk("a1", 1., 62.).rang(1.).answered(5.).hold(30., None),
            desk("a2", 31., 62.).calls().answered(31.).bridge("c", 40., 62.),
            desk("c", 31.5, 100.).rang(32.).answered(40.),
        ],
        "dir2 0..100 ring 4 talk 63 hold 32 answer 5 fRng=a1 lRng=c ans=a1 lAns=c",
    );
}

#[test]
fn agent_leaving_while_the_target_still_rings_turns_hold_into_ring() {
    check(
        [
            caller("x", 0., 100.).bridge("a1", 5., 36.).bridge("c", 40., 100.),
            desk("a1", 1., 36.).rang(1.).answered(5.).hold(30., None),
            desk("a2", 31., 36.).calls().answered(31.),
            desk("c", 31.5, 100.).rang(32.).answered(40.),
        ],
        "dir2 0..100 ring 8 talk 85 hold 6 answer 5 fRng=a1 lRng=c ans=a1 lAns=c",
    );
}

#[test]
fn parked_call_retrieved_without_a_word_ends_the_park_at_the_bridge() {
    check(
        [
            caller("x", 0., 90.).bridge("a", 4., 30.).park(30., None),
            desk("a", 1., 30.).rang(1.).answered(4.),
            desk("p", 60., 90.).calls().link("i2").bridge("x", 60., 90.),
        ],
        "dir2 0..90 ring 3 talk 56 park 30 answer 4 fRng=a lRng=a ans=a lAns=p",
    );
}

#[test]
fn caller_hanging_up_during_the_ring_back_is_lost_in_park() {
    check(
        [
            caller("x", 0., 75.).bridge("a", 4., 30.).park(30., Some(60.)),
            desk("a", 1., 30.).rang(1.).answered(4.),
            desk("r", 60., 75.).rang(61.),
        ],
        "dir2 0..75 ring 17 talk 26 park 30 answer 4 lostinPark fRng=a lRng=r ans=a lAns=a",
    );
}

#[test]
fn caller_going_elsewhere_after_park_is_not_lost_in_park() {
    check(
        [
            caller("x", 0., 80.).bridge("a", 4., 30.).park(30., Some(60.)).stay(Service::Voicemail, 60., 80.),
            desk("a", 1., 30.).rang(1.).answered(4.),
        ],
        "dir2 0..80 ring 3 talk 26 park 30 answer 4 fRng=a lRng=a ans=a lAns=a",
    );
}

#[test]
fn pickup_of_anothers_phone_rings_there_and_is_answered_here() {
    check(
        [
            caller("x", 0., 60.).bridge("p", 9., 60.),
            desk("b", 1., 9.2).rang(1.).cause("LOSE_RACE"),
            desk("p", 8.5, 60.).calls().answered(9.),
        ],
        "dir2 0..60 ring 8 talk 51 answer 9 fRng=b lRng=b ans=p lAns=p",
    );
}

#[test]
fn ring_group_is_one_ring_and_the_losers_are_no_lost_calls() {
    check(
        [
            caller("x", 0., 60.).bridge("c", 6., 60.),
            desk("a", 1., 6.).rang(1.5).cause("LOSE_RACE"),
            desk("b", 1., 6.).rang(1.5).cause("LOSE_RACE"),
            desk("c", 1., 60.).rang(2.).answered(6.),
        ],
        "dir2 0..60 ring 5 talk 54 answer 6 fRng=a lRng=c ans=c lAns=c",
    );
}

#[test]
fn ties_of_ringing_go_to_the_smaller_id_first_and_the_greater_last() {
    check(
        [caller("x", 0., 20.), desk("b", 1., 20.).rang(2.), desk("a", 1., 20.).rang(2.)],
        "dir2 0..20 ring 18 lost fRng=a lRng=b",
    );
}

#[test]
fn queue_answering_with_music_is_not_talk() {
    check(
        [
            caller("x", 0., 60.).answered(1.).stay(Service::Queue, 1., 20.).bridge("a", 20., 60.),
            desk("a", 14., 60.).rang(15.).answered(20.),
        ],
        "dir2 0..60 ring 5 talk 40 answer 20 fRng=a lRng=a ans=a lAns=a",
    );
}

#[test]
fn ivr_and_voicemail_answering_leave_the_call_lost() {
    let legs = [
        caller("x", 0., 40.).answered(0.5).stay(Service::Ivr, 1., 10.).stay(Service::Voicemail, 20., 40.),
        desk("a", 10., 20.).rang(10.),
    ];
    check(legs, "dir2 0..40 ring 10 lost fRng=a lRng=a");
    check([caller("x", 0., 40.).stay(Service::Fax, 1., 40.)], "dir2 0..40");
    check([caller("x", 0., 40.).bridge("f", 1., 40.), machine("f", Service::Fax, 1., 40.)], "dir2 0..40");
}

#[test]
fn a_handsets_own_forward_rang_that_handset_and_is_trunk_to_trunk() {
    check(
        [
            caller("x", 0., 60.).bridge("y", 12., 60.),
            desk("a", 1., 8.).rang(2.),
            outside("y", 8., 60.).rang(9.).answered(12.),
        ],
        "dir4 0..60 ring 9 talk 48 answer 12 t2t fRng=a lRng=a",
    );
}

#[test]
fn hang_up_while_on_hold_is_hold_to_the_end() {
    check(
        [caller("x", 0., 50.).bridge("a", 5., 50.), desk("a", 1., 50.).rang(1.).answered(5.).hold(30., None)],
        "dir2 0..50 ring 4 talk 25 hold 20 answer 5 fRng=a lRng=a ans=a lAns=a",
    );
}

#[test]
fn both_sides_holding_at_once_is_a_union() {
    check(
        [
            caller("x", 0., 60.).bridge("a", 5., 60.).hold(20., Some(40.)),
            desk("a", 1., 60.).rang(1.).answered(5.).hold(30., Some(50.)),
        ],
        "dir2 0..60 ring 4 talk 25 hold 30 answer 5 fRng=a lRng=a ans=a lAns=a",
    );
}

#[test]
fn one_of_three_holding_is_still_talk() {
    check(
        [
            caller("x", 0., 60.).bridge("a", 5., 60.).bridge("b", 20., 60.),
            desk("a", 1., 60.).rang(1.).answered(5.).hold(30., Some(40.)),
            desk("b", 15., 60.).rang(15.).answered(20.),
        ],
        "dir2 0..60 ring 4 talk 55 answer 5 fRng=a lRng=b ans=a lAns=b",
    );
}

#[test]
fn three_way_conference_names_who_was_there() {
    check(
        [
            caller("x", 0., 60.).bridge("a", 5., 20.).bridge("c", 20., 60.),
            desk("a", 1., 50.).rang(1.).answered(5.).bridge("c", 20., 50.),
            desk("b", 10., 60.).rang(11.).answered(15.).bridge("c", 21., 60.),
            machine("c", Service::Conference, 20., 60.),
        ],
        "dir2 0..60 ring 4 talk 55 answer 5 fRng=a lRng=b ans=a lAns=b",
    );
}

#[test]
fn conference_room_with_several_outside_callers_is_both_ways_and_alone_in_it_is_talk() {
    check(
        [
            caller("x", 0., 60.).bridge("c", 5., 60.),
            caller("y", 20., 50.).bridge("c", 22., 50.),
            machine("c", Service::Conference, 5., 60.),
        ],
        "dir4 0..60 talk 55 answer 5 t2t",
    );
    let records = offline([
        caller("x", 0., 60.).link("p").bridge("c", 5., 60.).0,
        caller("y", 20., 50.).link("q").bridge("c", 22., 50.).0,
        machine("c", Service::Conference, 5., 60.).link("").0,
    ]);
    let lines: Vec<String> = records.iter().map(|envelope| summary(&envelope.cdr)).collect();
    let mut lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    lines.sort_unstable();
    assert_eq!(lines, ["dir2 0..60 talk 55 answer 5", "dir2 20..50 talk 28 answer 22"], "a room ties nobody");
}

#[test]
fn loopback_legs_pass_the_bridge_on_and_double_nothing() {
    check(
        [
            caller("x", 0., 60.).bridge("l1", 4., 60.),
            loopback("l1", 1., 60.).bridge("l2", 1., 60.),
            loopback("l2", 1., 60.).bridge("a", 6., 60.),
            desk("a", 1., 60.).rang(2.).answered(6.),
        ],
        "dir2 0..60 ring 4 talk 54 answer 6 fRng=a lRng=a ans=a lAns=a",
    );
    check(
        [
            caller("x", 0., 60.).bridge("l1", 4., 60.),
            loopback("l1", 1., 60.).bridge("l2", 1., 60.),
            loopback("l2", 1., 60.),
        ],
        "dir2 0..60 lost",
    );
}

#[test]
fn early_media_is_not_talk() {
    check(
        [caller("x", 0., 20.).bridge("a", 5., 20.), desk("a", 1., 20.).rang(3.).sip(486)],
        "dir2 0..20 ring 17 lost fRng=a lRng=a",
    );
    check(
        [caller("x", 0., 30.).bridge("a", 5., 30.), desk("a", 1., 30.).rang(3.).answered(12.)],
        "dir2 0..30 ring 9 talk 18 answer 12 fRng=a lRng=a ans=a lAns=a",
    );
}

#[test]
fn where_no_leg_rang_ring_is_from_creation() {
    check(
        [caller("x", 0., 30.).bridge("a", 5., 30.), desk("a", 1., 30.).answered(5.)],
        "dir2 0..30 ring 4 talk 25 answer 5 fRng=a lRng=a ans=a lAns=a",
    );
    check(
        [
            caller("x", 0., 30.).bridge("b", 5., 30.),
            desk("a", 1., 5.).rang(2.),
            desk("b", 1., 30.).answered(5.),
        ],
        "dir2 0..30 ring 3 talk 25 answer 5 fRng=a lRng=a ans=b lAns=b",
    );
}

#[test]
fn a_leg_that_never_ends_ends_with_what_is_known_and_is_partial() {
    check(
        [caller("x", 0., 0.).alive().bridge("a", 5., 30.), desk("a", 1., 30.).rang(2.).answered(5.)],
        "dir2 0..30 ring 3 talk 25 answer 5 partial fRng=a lRng=a ans=a lAns=a",
    );
}

#[test]
fn ids_that_change_in_mid_call_are_one_call() {
    check(
        [
            caller("x", 0., 60.).bridge("a", 5., 20.).bridge("b", 30., 60.).and_link("i2"),
            desk("a", 1., 20.).rang(2.).answered(5.),
            desk("b", 22., 60.).rang(23.).answered(30.).link("i2").and_link("i3"),
            desk("c", 22., 30.).rang(23.).link("i3"),
        ],
        "dir2 0..60 ring 10 talk 45 answer 5 fRng=a lRng=c ans=a lAns=b",
    );
}

#[test]
fn a_dialler_that_calls_the_customer_first_makes_an_outgoing_call() {
    let legs = [
        outside("x", 0., 60.).rang(1.).answered(5.).bridge("a", 8., 60.),
        desk("a", 5.5, 60.).rang(6.).answered(8.),
    ];
    check(legs.clone(), "dir3 0..60 ring 6 talk 52 answer 8 fRng=a lRng=a ans=a lAns=a");
    assert_eq!(&*one(legs).cdr.cli.number, "+12025550123");
}

#[test]
fn a_consultation_leg_that_comes_much_later_is_not_the_root() {
    let late = [desk("z", 0., 60.).rang(0.), caller("x", 10., 60.), caller("y", 10.1, 60.)];
    assert_eq!(one(late.clone()).cdr.start, at(10.), "10 s after the earliest still counts");
    let later = [desk("z", 0., 60.).rang(0.), caller("x", 10.000_001, 60.)];
    assert_eq!(one(later).cdr.start, at(0.));
}

#[test]
fn clocks_of_two_nodes_apart_believe_the_reporter() {
    check(
        [caller("x", 0., 60.).bridge("a", 10., 50.), desk("a", 100., 160.).rang(101.).answered(110.)],
        "dir2 0..60 talk 40 answer 10 fRng=a lRng=a ans=a lAns=a",
    );
}

#[test]
fn a_clock_a_century_ahead_is_refused_and_its_neighbours_are_not() {
    let lines = br#"{"v":1,"kind":"leg","tenant":"t","pbx":"p","leg":"x","created":"2126-01-01T00:00:00Z","ended":"2126-01-01T00:01:00Z"}
{"v":1,"kind":"leg","tenant":"t","pbx":"p","leg":"y","created":"2026-01-01T00:00:00Z","ended":"2026-01-01T00:01:00Z"}"#;
    let decoded = decode(Dialect::Native, &Source::default(), lines);
    assert_eq!((decoded.rejects.len(), offline(decoded.records).len()), (1, 1));
}

#[test]
fn a_call_of_no_length_is_a_record_all_the_same() {
    check([caller("x", 0., 0.)], "dir2 0..0 lost aban");
}

#[test]
fn talk_of_less_than_a_second_is_an_answer() {
    check(
        [caller("x", 0., 5.9).bridge("a", 5.2, 5.8), desk("a", 1., 5.9).rang(2.).answered(5.2)],
        "dir2 0..5 ring 3 answer 5 short fRng=a lRng=a ans=a lAns=a",
    );
}

#[test]
fn an_answered_leg_without_answer_time_is_answered_at_its_bridge() {
    check(
        [caller("x", 0., 30.).bridge("a", 7., 30.), desk("a", 1., 30.).rang(2.)],
        "dir2 0..30 ring 5 talk 23 answer 7 fRng=a lRng=a ans=a lAns=a",
    );
}

#[test]
fn a_leg_record_that_comes_twice_with_different_content_counts_by_its_stamp() {
    let first = || caller("x", 0., 30.).cause("A").written(40.);
    let second = || caller("x", 0., 31.).cause("B").written(41.);
    for legs in [[first(), second()], [second(), first()]] {
        let cdr = one(legs).cdr;
        assert_eq!((&*cdr.cause, summary(&cdr).as_str()), ("B", "dir2 0..31 lost"));
    }
    let newer = |rev| caller("x", 0., 20.).cause("C").rev(rev).written(1.);
    for legs in [[first(), newer(1)], [newer(1), first()]] {
        let cdr = one(legs).cdr;
        assert_eq!(
            (&*cdr.cause, summary(&cdr).as_str()),
            ("C", "dir2 0..20 lost"),
            "only the greatest rev counts"
        );
    }
}

#[test]
fn an_unreported_bridge_is_inferred_from_the_answers() {
    check(
        [caller("x", 0., 30.).answered(6.), desk("a", 1., 29.).rang(2.).answered(5.)],
        "dir2 0..30 ring 3 talk 23 answer 6 fRng=a lRng=a ans=a lAns=a",
    );
    check(
        [caller("x", 0., 30.), desk("a", 1., 29.).rang(2.).answered(5.)],
        "dir2 0..30 ring 3 talk 24 answer 5 fRng=a lRng=a ans=a lAns=a",
    );
}

#[test]
fn an_internal_call_is_seen_from_both_desks() {
    check(
        [
            desk("a", 0., 50.).calls().bridge("b", 5., 50.),
            desk("b", 1., 52.).rang(2.).answered(5.).hold(20., Some(30.)),
        ],
        "dir1 0..52 ring 3 talk 35 hold 10 answer 5 fRng=b lRng=b ans=b lAns=b",
    );
}

#[test]
fn legs_of_unknown_side_are_taken_for_an_internal_call() {
    let unknown: [Leg; 2] = [
        leg("a", 0., 30.).calls().bridge("b", 5., 30.),
        leg("b", 1., 30.).rang(2.).direction(LegDirection::Out),
    ];
    check(unknown, "dir0 0..30 ring 3 talk 25 answer 5");
    check([leg("a", 0., 30.).calls().side(Side::Internal)], "dir1 0..30");
}

#[test]
fn a_bridge_with_a_leg_that_never_becomes_known_is_talk() {
    check([caller("x", 0., 30.).bridge("ghost", 5., 30.)], "dir2 0..30 talk 25 answer 5");
}

#[test]
fn a_leg_handed_on_leaves_one_bridge_and_keeps_the_next() {
    let name = |leg: &str| LegEvent::Bridged { with: crate::build::id(leg) };
    let x = caller("x", 0., 97.).0;
    let records = [
        x,
        desk("a", 1., 67.).rang(1.).answered(3.).0,
        desk("c", 60., 97.).rang(61.).answered(67.).0,
        event("x", 3., name("a")),
        event("x", 67., LegEvent::Unbridged { with: None }),
        event("x", 67., name("c")),
        event("x", 97., LegEvent::Unbridged { with: None }),
    ];
    let found = offline(records);
    assert_eq!(summary(&found[0].cdr), "dir2 0..97 ring 2 talk 94 answer 3 fRng=a lRng=c ans=a lAns=c");
}

#[test]
fn a_leg_that_leaves_and_comes_back_at_one_instant_keeps_its_second_talk() {
    let records = |leaves: Option<&str>| {
        [
            caller("x", 0., 30.).bridge("a", 1., 2.).0,
            desk("a", 0., 30.).answered(1.).0,
            event("a", 2., LegEvent::Unbridged { with: leaves.map(crate::build::id) }),
            event("a", 2., LegEvent::Bridged { with: crate::build::id("x") }),
            event("a", 11., LegEvent::Unbridged { with: leaves.map(crate::build::id) }),
        ]
    };
    for leaves in [None, Some("x")] {
        let found = offline(records(leaves));
        assert_eq!(
            summary(&found[0].cdr),
            "dir2 0..30 ring 1 talk 10 answer 1 fRng=a lRng=a ans=a lAns=a",
            "leaves {leaves:?}"
        );
    }
}

#[test]
fn nothing_is_inferred_for_a_root_that_failed_or_where_any_bridge_is_told() {
    check(
        [outside("x", 0., 30.).rang(1.).sip(486), desk("a", 2., 30.).rang(3.).answered(10.)],
        "dir3 0..30 ring 29",
    );
    check(
        [caller("x", 0., 18.).bridge("c", 13., 13.), desk("c", 1., 18.).rang(2.).answered(13.)],
        "dir2 0..18 ring 11 lost fRng=c lRng=c",
    );
}

#[test]
fn an_inferred_bridge_answers_a_root_that_the_switch_placed() {
    check(
        [outside("f", 0., 60.).rang(1.), desk("a", 5., 40.).rang(6.).answered(20.)],
        "dir3 0..60 ring 19 talk 20 answer 20 fRng=a lRng=a ans=a lAns=a",
    );
}

#[test]
fn outgoing_names_whom_the_customer_met_in_the_room() {
    check(
        [
            desk("x", 18., 39.).calls().bridge("room", 18., 39.),
            outside("z", 20., 39.).bridge("room", 20., 39.),
            desk("y", 25., 39.).calls().bridge("room", 25., 39.),
            machine("room", Service::Conference, 5., 50.),
        ],
        "dir3 18..39 talk 19 answer 20 fRng=x lRng=y ans=x lAns=y",
    );
}

#[test]
fn a_leg_with_a_service_has_no_unknown_side() {
    let mut queue = leg("d", 0., 9.);
    queue.0.fields.service = Some(Service::Queue);
    check([queue, leg("h", 0., 1.)], "dir1 0..1");
}
