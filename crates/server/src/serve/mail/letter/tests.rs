//! The mails, word by word.

use ringpost_model::{SessionId, TenantId, TenantKey, TriggerId};
use uuid::Uuid;

use super::*;
use crate::serve::mail::book::Book;

const NOW: Timestamp = Timestamp::from_micros(1_773_133_200_000_000);

fn notice(event: EventName) -> Notice {
    let trigger_id = TriggerId(Uuid::from_u128(0x11));
    Notice {
        v: 1,
        id: NoticeId::of(event, trigger_id, "1"),
        event,
        at: NOW,
        tenant: TenantKey::new("acme").unwrap(),
        tenant_id: TenantId(Uuid::nil()),
        trigger_id,
        trigger_name: "CRM & Söhne".into(),
        url: "https://hooks.example/catch/…".into(),
        reason: "answered 503".into(),
        delivery: None,
        session: None,
        attempts: None,
        since: None,
        owed: None,
    }
}

/// All headers of a mail that answers no other.
const HEADERS: [&str; 8] = [
    "From",
    "To",
    "Date",
    "Subject",
    "Message-ID",
    "Auto-Submitted",
    "Content-Type",
    "Content-Transfer-Encoding",
];

/// What a book makes of these.
fn due(notices: &[Notice]) -> Due {
    let mut book = Book::new(0);
    notices.iter().for_each(|notice| book.take(notice, NOW));
    book.due(NOW).unwrap()
}

/// Subject and text as a person reads them.
fn read(notices: &[Notice]) -> String {
    let due = due(notices);
    format!("Subject: {}\n\n{}", subject(&due), body(&due))
}

#[test]
fn a_delivery_given_up() {
    let mut notice = notice(EventName::DeliveryExhausted);
    (notice.session, notice.attempts) = (Some(SessionId(Uuid::from_u128(0xc0))), Some(2));
    insta::assert_snapshot!("exhausted", read(&[notice]));
}

#[test]
fn many_deliveries_given_up_are_one_mail_with_their_count() {
    let many = (0..38).map(|n| {
        let mut notice = notice(EventName::DeliveryExhausted);
        notice.id = NoticeId::of(notice.event, notice.trigger_id, &n.to_string());
        (notice.session, notice.attempts) = (Some(SessionId(Uuid::from_u128(n))), Some(2));
        notice.at = NOW.plus_micros(n as i64 * 1_000_000);
        notice
    });
    insta::assert_snapshot!("exhausted_many", read(&many.collect::<Vec<_>>()));
}

#[test]
fn a_receiver_that_is_down() {
    let mut notice = notice(EventName::TriggerFailing);
    (notice.since, notice.owed) = (Some(NOW.plus_micros(-61_000_000)), Some(37));
    insta::assert_snapshot!("failing", read(&[notice]));
}

#[test]
fn a_receiver_that_is_back() {
    let mut notice = notice(EventName::TriggerRecovered);
    notice.reason = "the receiver answers again".into();
    (notice.since, notice.owed) = (Some(NOW.plus_micros(-3_600_000_000)), Some(1));
    insta::assert_snapshot!("recovered", read(&[notice]));
}

#[test]
fn a_trigger_that_was_switched_off() {
    let mut notice = notice(EventName::TriggerDisabled);
    notice.reason = "the receiver answered 410: it is gone".into();
    insta::assert_snapshot!("disabled", read(&[notice]));
}

fn mailbox(text: &str) -> Mailbox {
    text.parse().unwrap()
}

fn letter_of(notice: &Notice) -> Message {
    let (from, to) = (mailbox("Ringpost <ringpost@example.com>"), mailbox("ops@example.com"));
    letter(&due(std::slice::from_ref(notice)), &from, &to, NOW).unwrap()
}

#[test]
fn the_mail_as_it_travels() {
    let text = String::from_utf8(letter_of(&notice(EventName::TriggerDisabled)).formatted()).unwrap();
    assert!(text.is_ascii());
    insta::assert_snapshot!("raw", text.replace('\r', ""));
}

#[test]
fn names_of_others_add_no_header_and_no_paragraph() {
    let mut odd = notice(EventName::TriggerFailing);
    odd.trigger_name = "x\r\nBcc: spy@example.net\r\n\r\nDear all,\u{2028}\u{202e}cba".into();
    odd.reason = "500\r\n.\r\nMAIL FROM:<spy@example.net>\u{1b}[31m".into();
    odd.url = "https://a.example/\n…".into();
    let message = letter_of(&odd);
    assert_eq!(message.envelope().to().len(), 1);
    let text = String::from_utf8(message.formatted()).unwrap();
    let (head, _) = text.split_once("\r\n\r\n").unwrap();
    let names: Vec<&str> = head
        .lines()
        .filter(|line| !line.starts_with(' '))
        .map(|line| line.split_once(':').unwrap().0)
        .collect();
    assert_eq!(names, HEADERS);
    insta::assert_snapshot!("odd_names", read(&[odd]));
}

#[test]
fn a_name_without_end_is_cut() {
    let mut long = notice(EventName::TriggerDisabled);
    long.trigger_name = "é".repeat(5_000).into();
    let due = due(&[long]);
    assert!(subject(&due).chars().count() < 100);
    assert!(body(&due).chars().count() < 1_200);
}

#[test]
fn that_a_receiver_is_back_answers_the_mail_that_it_was_down() {
    let mut down = notice(EventName::TriggerFailing);
    down.since = Some(NOW);
    down.id = NoticeId::of(down.event, down.trigger_id, &NOW.micros().to_string());
    let mut back = notice(EventName::TriggerRecovered);
    back.since = Some(NOW);
    let header = |message: &Message, name: &str| message.headers().get_raw(name).unwrap().to_owned();
    assert_eq!(header(&letter_of(&back), "In-Reply-To"), header(&letter_of(&down), "Message-ID"));
}
