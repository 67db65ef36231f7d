//! How often a person is told, and that nothing is forgotten.

use ringpost_model::{TenantId, TenantKey};
use uuid::Uuid;

use super::*;

const SECOND: i64 = 1_000_000;
const HOUR: i64 = 3_600 * SECOND;
const NOON: Timestamp = Timestamp::from_micros(1_773_144_000_000_000);

fn at(seconds: i64) -> Timestamp {
    NOON.plus_micros(seconds * SECOND)
}

/// The notice of one event of a trigger, that many seconds after noon.
fn notice(event: EventName, trigger: u128, seconds: i64) -> Notice {
    let trigger_id = TriggerId(Uuid::from_u128(trigger));
    Notice {
        v: 1,
        id: NoticeId::of(event, trigger_id, &seconds.to_string()),
        event,
        at: at(seconds),
        tenant: TenantKey::new("acme").unwrap(),
        tenant_id: TenantId(Uuid::nil()),
        trigger_id,
        trigger_name: "CRM".into(),
        url: "https://a.example/…".into(),
        reason: "answered 503".into(),
        delivery: None,
        session: None,
        attempts: None,
        since: None,
        owed: None,
    }
}

fn given_up(trigger: u128, seconds: i64) -> Notice {
    notice(EventName::DeliveryExhausted, trigger, seconds)
}

/// What is sent at that second, as `trigger@second+more`.
fn sent(book: &mut Book, seconds: i64) -> String {
    let mut told = Vec::new();
    while let Some(due) = book.due(at(seconds)) {
        let second = (due.newest.at.micros() - NOON.micros()) / SECOND;
        told.push(format!("{}@{second}+{}", due.newest.trigger_id.0.as_u128(), due.more));
        book.sent(&due, at(seconds));
    }
    told.join(" ")
}

#[test]
fn the_first_is_told_at_once_and_the_others_an_hour_later_together() {
    let mut book = Book::new(HOUR);
    book.take(&given_up(1, 0), at(1));
    assert_eq!(sent(&mut book, 1), "1@0+0");
    for second in 10..48 {
        book.take(&given_up(1, second), at(second));
        assert_eq!(sent(&mut book, second), "");
    }
    assert_eq!(sent(&mut book, 3_600), "");
    assert_eq!(sent(&mut book, 3_601), "1@47+37");
    assert_eq!(sent(&mut book, 9_000), "", "nothing has happened since");
    book.take(&given_up(1, 9_000), at(9_000));
    assert_eq!(sent(&mut book, 9_000), "1@9000+0");
}

#[test]
fn one_trigger_and_event_holds_no_other_back() {
    let mut book = Book::new(HOUR);
    book.take(&given_up(1, 0), at(0));
    book.take(&notice(EventName::TriggerFailing, 1, 1), at(1));
    book.take(&given_up(2, 2), at(2));
    assert_eq!(sent(&mut book, 2), "1@0+0 1@1+0 2@2+0");
}

#[test]
fn what_the_store_shows_again_is_counted_once() {
    let mut book = Book::new(HOUR);
    for _ in 0..3 {
        book.take(&given_up(1, 0), at(0));
        book.take(&given_up(1, 1), at(1));
    }
    assert_eq!(sent(&mut book, 1), "1@1+1");
    book.take(&given_up(1, 1), at(1));
    assert_eq!(sent(&mut book, 4_000), "", "it was told, and is only not marked yet");
}

#[test]
fn what_arrives_late_does_not_replace_what_is_newer() {
    let mut book = Book::new(HOUR);
    book.take(&given_up(1, 9), at(10));
    book.take(&given_up(1, 3), at(11));
    let due = book.due(at(11)).unwrap();
    assert_eq!((due.newest.at, due.first, due.more), (at(9), at(3), 1));
}

/// Of each topic one stays unmailed in the store until it is told: so a crash loses counts, and no news.
#[test]
fn only_what_is_told_or_counted_is_marked() {
    let mut book = Book::new(HOUR);
    let notices = [given_up(1, 0), given_up(1, 1), given_up(1, 2)];
    notices.iter().for_each(|notice| book.take(notice, at(2)));
    let done = |book: &Book| notices.iter().map(|notice| book.is_done(notice.id)).collect::<Vec<_>>();
    assert_eq!((done(&book), book.held()), (vec![true, true, false], 1));
    sent(&mut book, 2);
    assert_eq!((done(&book), book.held()), (vec![true, true, true], 0));
    book.marked(&[notices[0].id, notices[1].id, notices[2].id]);
    assert_eq!(book.done().count(), 0);
}

#[test]
fn a_mail_that_is_not_taken_is_tried_after_longer_and_longer_pauses_of_five_minutes_at_most() {
    let mut book = Book::new(HOUR);
    book.take(&given_up(1, 0), at(0));
    let (mut now, mut pauses) = (0, Vec::new());
    for _ in 0..9 {
        book.failed(at(now));
        let from = now;
        while book.due(at(now)).is_none() {
            now += 1;
        }
        pauses.push(now - from);
    }
    assert_eq!(pauses, [5, 10, 20, 40, 80, 160, 300, 300, 300]);
    assert_eq!(sent(&mut book, now), "1@0+0");
    book.take(&given_up(2, now), at(now));
    assert_eq!(sent(&mut book, now), format!("2@{now}+0"), "a success ends the pauses");
}

#[test]
fn a_mail_is_given_up_a_day_after_it_was_due() {
    let mut book = Book::new(40 * HOUR);
    book.take(&given_up(1, 0), at(0));
    assert_eq!(sent(&mut book, 0), "1@0+0");
    book.take(&given_up(1, 60), at(60));
    let due = 40 * 3_600;
    assert!(book.give_up(at(due + 24 * 3_600 - 1)).is_empty(), "until then it was held back by us");
    let over = book.give_up(at(due + 24 * 3_600));
    assert_eq!((over.len(), over[0].newest.id), (1, given_up(1, 60).id));
    assert!(book.is_done(given_up(1, 60).id));
}

#[test]
fn a_clock_that_was_put_back_does_not_stop_the_mail() {
    let mut book = Book::new(0);
    book.take(&given_up(1, 0), at(-100_000));
    book.failed(at(0));
    assert_eq!(sent(&mut book, -90_000), "1@0+0");
}
