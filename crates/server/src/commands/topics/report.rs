//! What `topics repartition` says: what is there, what was moved, and what to do next. No IO.

use std::fmt::Write as _;

use ringpost_bus::{Moved, StateSeen, UnreadSeen};

use crate::cli::harmless;
use crate::topics::{CDRS, DEAD_LETTERS, LEGS, SESSIONS};

/// The old log and the new one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sides<'a> {
    pub(super) from: &'a str,
    pub(super) to: &'a str,
    /// Partitions of each.
    pub(super) partitions: (u32, u32),
    pub(super) bootstrap: &'a str,
}

/// What there is to be moved.
pub(super) fn found(
    sides: Sides<'_>,
    waiting: &[UnreadSeen],
    states: &[StateSeen],
    others: &[(String, String)],
) -> String {
    let mut text = heading("at most", sides.partitions.0, None);
    for UnreadSeen { group, topic, records } in waiting {
        line(&mut text, &format!("{} not read by {group}", unread(topic)), &[*records]);
    }
    for StateSeen { topic, records } in states {
        let what = if topic == SESSIONS { "entries of sessions" } else { "entries of files read" };
        line(&mut text, what, &[*records]);
    }
    for (group, topic) in others {
        let _ = writeln!(text, "group {} goes on in {} where it is", harmless(group), harmless(topic));
    }
    text
}

/// What was moved, old against new.
pub(super) fn moved(sides: Sides<'_>, moved: &Moved) -> String {
    let mut text = heading("moved", sides.partitions.0, Some(sides.partitions.1));
    for one in &moved.records {
        line(&mut text, &format!("{}, unread", unread(&one.topic)), &[one.old, one.new]);
    }
    for one in &moved.states {
        line(&mut text, one.kind, &[one.old, one.new]);
    }
    text
}

/// What to do next.
pub(super) fn next(sides: Sides<'_>, topics: &[String]) -> String {
    let Sides { from, to, partitions: (_, partitions), bootstrap } = sides;
    let mut text = format!(
        "\nAll of it was read again and is the same. Now, for every process, set\n\n  [bus]\n  partitions = {partitions}\n  \
         [bus.kafka]\n  prefix = \"{to}\"\n\nand start them. Other programs write legs to {to}{LEGS} from now on.\n\nThe old \
         topics are as they were: until something was started on the new ones, prefix = \"{from}\" is the\nway back. When all is \
         well, delete them:\n\n"
    );
    for topic in topics {
        let _ =
            writeln!(text, "  kafka-topics.sh --bootstrap-server {bootstrap} --delete --topic {from}{topic}");
    }
    text
}

fn unread(topic: &str) -> &str {
    match topic {
        LEGS => "legs",
        CDRS => "records",
        DEAD_LETTERS => "dead letters",
        other => other,
    }
}

fn heading(what: &str, old: u32, new: Option<u32>) -> String {
    let new = new.map_or_else(String::new, |new| format!("{:>16}", format!("new ({new})")));
    format!("{what:<40}{:>16}{new}\n", format!("old ({old})"))
}

fn line(text: &mut String, what: &str, numbers: &[u64]) {
    let _ = write!(text, "{what:<40}");
    for number in numbers {
        let _ = write!(text, "{number:>16}");
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use ringpost_bus::{MovedRecords, MovedState};

    use super::*;

    const SIDES: Sides<'static> = Sides { from: "eu.", to: "eu2.", partitions: (4, 7), bootstrap: "b1:9092" };

    #[test]
    fn old_stands_against_new_and_the_next_step_is_told() {
        let records = |topic: &str, count| MovedRecords { topic: topic.to_owned(), old: count, new: count };
        let state = |kind, old, new| MovedState { topic: SESSIONS.to_owned(), kind, old, new };
        let all = Moved {
            records: vec![records(LEGS, 1_204), records(CDRS, 17), records(DEAD_LETTERS, 0)],
            states: vec![state("sessions", 250, 250), state("stubs of closed sessions", 3, 21)],
        };
        let text = moved(SIDES, &all) + &next(SIDES, &[LEGS.to_owned(), CDRS.to_owned()]);
        insta::assert_snapshot!(text, @r#"
    moved                                            old (4)         new (7)
    legs, unread                                        1204            1204
    records, unread                                       17              17
    dead letters, unread                                   0               0
    sessions                                             250             250
    stubs of closed sessions                               3              21

    All of it was read again and is the same. Now, for every process, set

      [bus]
      partitions = 7
      [bus.kafka]
      prefix = "eu2."

    and start them. Other programs write legs to eu2.ringpost.legs from now on.

    The old topics are as they were: until something was started on the new ones, prefix = "eu." is the
    way back. When all is well, delete them:

      kafka-topics.sh --bootstrap-server b1:9092 --delete --topic eu.ringpost.legs
      kafka-topics.sh --bootstrap-server b1:9092 --delete --topic eu.ringpost.cdrs
    "#);
    }

    #[test]
    fn what_would_be_moved_is_told_before() {
        let unread = |group: &str, topic: &str, records| UnreadSeen {
            group: group.to_owned(),
            topic: topic.to_owned(),
            records,
        };
        let text = found(
            SIDES,
            &[unread("aggregate", LEGS, 12), unread("dispatch", CDRS, 0)],
            &[StateSeen { topic: SESSIONS.to_owned(), records: 4_711 }],
            &[("ingest-pbx.cdr".to_owned(), "pbx.cdr".to_owned())],
        );
        insta::assert_snapshot!(text, @r#"
    at most                                          old (4)
    legs not read by aggregate                            12
    records not read by dispatch                           0
    entries of sessions                                 4711
    group ingest-pbx.cdr goes on in pbx.cdr where it is
    "#);
    }
}
