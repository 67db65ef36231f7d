//! The words of a mail. Pure. Names and reasons are other people's text: in a subject and a body they are one line of
//! bounded length, so that nobody adds a header or a paragraph of ours.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use anyhow::Context;
use lettre::Message;
use lettre::message::Mailbox;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use ringpost_model::{EventName, Notice, NoticeId, Timestamp};

use super::book::Due;
use crate::cli::harmless;

/// Longest name of a trigger or tenant in a subject, in characters: a list of mails shows some 80.
const NAME_IN_SUBJECT: usize = 40;
/// Longest text of others in the body; a reason has 300.
const TEXT: usize = 300;

/// The mail about what is due, for one reader.
///
/// # Errors
/// The message cannot be put together, which no notice causes.
pub(super) fn letter(due: &Due, from: &Mailbox, to: &Mailbox, now: Timestamp) -> anyhow::Result<Message> {
    let notice = &due.newest;
    let domain = from.email.domain();
    let mut letter = Message::builder()
        .from(from.clone())
        .to(to.clone())
        .date(system_time(now))
        .subject(subject(due))
        // The same when it is sent again after a crash, so that a mailbox can show it once.
        .message_id(Some(message_id(notice.id, domain)));
    if let Some(earlier) = opened_by(notice) {
        letter = letter.in_reply_to(message_id(earlier, domain));
    }
    finish(letter, body(due)).context("put a mail together")
}

/// A mail that says nothing but that mail works.
///
/// # Errors
/// The message cannot be put together, which no configuration causes.
pub(crate) fn test_letter(from: &Mailbox, to: &Mailbox, now: Timestamp) -> anyhow::Result<Message> {
    let letter = Message::builder()
        .from(from.clone())
        .to(to.clone())
        .date(system_time(now))
        .subject("[ringpost] Test of mail")
        .message_id(None);
    let body = format!(
        "This mail was asked for by `ringpost mail-test` at {}.\n\n\
         It has arrived, so mails about triggers will arrive too.\n",
        utc(now)
    );
    finish(letter, body).context("put a mail together")
}

/// RFC 3834: no answering machine answers.
fn finish(letter: lettre::message::MessageBuilder, body: String) -> Result<Message, lettre::error::Error> {
    let automatic = HeaderName::new_from_ascii_str("Auto-Submitted");
    let letter = letter.raw_header(HeaderValue::new(automatic, "auto-generated".to_owned()));
    letter.header(ContentType::TEXT_PLAIN).body(body)
}

fn message_id(notice: NoticeId, domain: &str) -> String {
    format!("<{notice}@{domain}>")
}

/// That a receiver is back belongs to the mail that said it was down.
fn opened_by(notice: &Notice) -> Option<NoticeId> {
    let since = notice.since.filter(|_| notice.event == EventName::TriggerRecovered)?;
    Some(NoticeId::of(EventName::TriggerFailing, notice.trigger_id, &since.micros().to_string()))
}

fn subject(due: &Due) -> String {
    let notice = &due.newest;
    let tenant = line(notice.tenant.as_str(), NAME_IN_SUBJECT);
    let name = line(&notice.trigger_name, NAME_IN_SUBJECT);
    let what = match (notice.event, due.more) {
        (EventName::DeliveryExhausted, 0) => format!("a delivery of {name} was given up"),
        (EventName::DeliveryExhausted, more) => format!("{} deliveries of {name} were given up", more + 1),
        (EventName::TriggerFailing, _) => format!("{name}: the receiver is down"),
        (EventName::TriggerRecovered, _) => format!("{name}: the receiver answers again"),
        (EventName::TriggerDisabled, _) => format!("{name} was switched off"),
        (EventName::CallCompleted, _) => name,
    };
    format!("[ringpost] {tenant}: {what}")
}

fn body(due: &Due) -> String {
    let notice = &due.newest;
    let mut text = format!("{}\n\n", happened(notice));
    let mut row = |name: &str, value: String| _ = writeln!(text, "  {name:<9} {value}");
    row("trigger", format!("{} ({})", line(&notice.trigger_name, TEXT), notice.trigger_id));
    row("tenant", line(notice.tenant.as_str(), TEXT));
    row("receiver", line(&notice.url, TEXT));
    if let Some(since) = notice.since {
        row("since", utc(since));
    }
    row("at", utc(notice.at));
    row("reason", line(&notice.reason, TEXT));
    if let Some(attempts) = notice.attempts {
        row("requests", attempts.to_string());
    }
    if let Some(session) = notice.session {
        row("call", session.to_string());
    }
    if let Some(owed) = notice.owed {
        row("waiting", if owed == 1 { "1 delivery".to_owned() } else { format!("{owed} deliveries") });
    }
    if due.more > 0 {
        let since = utc(due.first);
        let _ =
            write!(text, "\nAnd {} more of the same since {since}, of which no mail was sent.\n", due.more);
    }
    let _ = write!(text, "\n{}", to_do(notice));
    let _ = write!(text, "\n-- \nringpost, notice {}\n", notice.id);
    text
}

fn happened(notice: &Notice) -> &'static str {
    match notice.event {
        EventName::DeliveryExhausted => "A delivery was given up: its tries are used up.",
        EventName::TriggerFailing => "A receiver does not take what is sent to it and counts as down.",
        EventName::TriggerRecovered => "A receiver that was down answers again.",
        EventName::TriggerDisabled => "A trigger was switched off by the system: it fires no more.",
        EventName::CallCompleted => "A call is over.",
    }
}

/// What a person can do, with the command to look at it.
fn to_do(notice: &Notice) -> String {
    match (notice.event, notice.session) {
        (EventName::DeliveryExhausted, Some(session)) => format!(
            "The receiver was not told of this call. Should it turn out to have been down all along, it will be, once it \
             answers.\nTo see what was sent and answered:\n\n  \
             ringpost calls show {session}\n"
        ),
        (EventName::TriggerFailing, _) => format!(
            "What waits is sent once the receiver answers. Its side has to be mended, or the trigger's URL. To see \
             the\ncalls it was to be told of:\n\n  \
             ringpost calls list --tenant {}\n",
            notice.tenant
        ),
        (EventName::TriggerRecovered, _) => {
            "What waits is being sent, the oldest first. Nothing needs to be done.\n".to_owned()
        }
        (EventName::TriggerDisabled, _) => "What it had not delivered was cancelled. When the receiver is right again, \
                                            switch the trigger on:\nset enabled = true in its file, and run ringpost apply.\n"
            .to_owned(),
        _ => String::new(),
    }
}

/// One line of at most so many characters, without anything that hides text or turns it around.
fn line(text: &str, longest: usize) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    let line = harmless(&words.collect::<Vec<_>>().join(" "));
    match line.char_indices().nth(longest) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// To the second; a mail has no zone of its own.
fn utc(time: Timestamp) -> String {
    time.in_zone(chrono_tz::UTC).format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

fn system_time(time: Timestamp) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_micros(u64::try_from(time.micros()).unwrap_or_default())
}

#[cfg(test)]
mod tests;
