//! The log on Kafka: whether brokers answer, topics are as they have to be, and how far groups are behind.

use ringpost_bus::{GroupSeen, Marker, TopicSeen, inspect};

use super::finding::Finding;
use crate::config::Config;
use crate::log::{self, GROUPS};
use crate::topics;

/// Copies with which one broker may be lost, and what is acknowledged is still on two.
const COPIES: usize = 3;

/// Everything about it.
pub(super) async fn look(config: &Config) -> Vec<Finding> {
    let kafka = match log::kafka(config) {
        Ok(kafka) => kafka,
        Err(error) => {
            return vec![Finding::problem("brokers", format!("{error:#}"), "set bus.kafka.instance")];
        }
    };
    let seen = match inspect(&kafka, &GROUPS).await {
        Ok(seen) => seen,
        Err(error) => {
            let todo = "look at bus.kafka.bootstrap, the network, and security.protocol; \
                        [bus.kafka.properties] debug = \"broker,security\" tells more";
            return vec![Finding::problem("brokers", format!("{:#}", anyhow::Error::from(error)), todo)];
        }
    };
    let mut findings = vec![brokers(&seen.brokers)];
    let marker = ringpost_bus::marker(&kafka, topics::MOVED).await;
    findings.extend(marker.is_ok_and(|marker| !matches!(marker, Marker::None | Marker::Whole(_))).then(
        || {
            let todo = "nothing starts on them; ringpost topics repartition --help says how to go on";
            Finding::problem("topics", topics::half_moved(&kafka.prefix), todo)
        },
    ));
    findings.extend(seen.topics.iter().flat_map(topic));
    findings.extend(partitions(&seen.topics));
    findings.extend(seen.groups.iter().map(group));
    findings
}

fn brokers(brokers: &[String]) -> Finding {
    let shown = brokers.join(", ");
    match brokers.len() {
        1 => Finding::warning(
            "brokers",
            format!("one broker: {shown}; what it has is lost with its disk"),
            "fine to try things out; else three of them, and topics with --replicas 3",
        ),
        count => Finding::ok("brokers", format!("{count} answer: {shown}")),
    }
}

fn topic(seen: &TopicSeen) -> Vec<Finding> {
    let what = format!("topic {}", seen.name);
    let mut findings: Vec<Finding> = seen.mistakes.iter().map(|mistake| mistaken(&what, mistake)).collect();
    if seen.partitions == 0 {
        return findings;
    }
    let in_sync = seen.min_in_sync.map_or_else(|| "?".to_owned(), |count| count.to_string());
    let shape = format!("{} partitions, {} copies, {in_sync} in sync wanted", seen.partitions, seen.copies);
    if !seen.weak.is_empty() {
        let text = format!("{shape}; partitions {:?} have no leader or lack copies in sync", seen.weak);
        findings.push(Finding::warning(
            &what,
            text,
            "look at the brokers: one is away, or its disk is too slow",
        ));
    } else if seen.copies >= COPIES && seen.min_in_sync == Some(1) {
        let todo = "set min.insync.replicas=2: else what is acknowledged may be on one disk only";
        findings.push(Finding::warning(&what, shape, todo));
    } else if findings.is_empty() {
        findings.push(Finding::ok(&what, shape));
    }
    findings
}

/// A mistake of a topic comes with the command that mends it.
fn mistaken(what: &str, mistake: &str) -> Finding {
    match mistake.split_once("; ") {
        Some((text, todo)) => Finding::problem(what, text, todo),
        None => {
            Finding::problem(what, mistake, "ringpost topics create, or give this client the right to see it")
        }
    }
}

/// A worker has a partition of all its topics or of none.
fn partitions(topics: &[TopicSeen]) -> Option<Finding> {
    let there = || topics.iter().filter(|seen| seen.partitions > 0);
    let first = there().next()?;
    let other = there().find(|seen| seen.partitions != first.partitions)?;
    let text = format!(
        "{} has {}, {} has {}: they need the same number",
        first.name, first.partitions, other.name, other.partitions
    );
    let todo = "never add partitions to a topic in use; make the smaller topic anew while nothing runs";
    Some(Finding::problem("partitions", text, todo))
}

fn group(seen: &GroupSeen) -> Finding {
    let what = format!("group {}", seen.group);
    if let Some(trouble) = &seen.trouble {
        let todo = format!("this client needs READ on the group, and DESCRIBE and READ on {}", seen.topic);
        return Finding::problem(&what, trouble, todo);
    }
    if seen.positions.is_empty() && seen.behind > 0 {
        let text = format!("it has never committed, and {} holds {} records", seen.topic, seen.behind);
        return Finding::warning(&what, text, "start a process with its role (docs/roles.md)");
    }
    // A marker of a transaction that nobody commits past is no record.
    if seen.behind <= seen.positions.len() as u64 {
        return Finding::ok(&what, format!("it has read {} to its end", seen.topic));
    }
    let text = format!("it is {} records behind in {}", seen.behind, seen.topic);
    Finding::warning(
        &what,
        text,
        "look again in a minute: if it grows, see `ringpost status` of its processes",
    )
}

#[cfg(test)]
mod tests {
    use super::super::finding::page;
    use super::*;

    fn seen(name: &str, partitions: u32, copies: usize, min_in_sync: usize) -> TopicSeen {
        let (name, min_in_sync) = (name.to_owned(), Some(min_in_sync));
        TopicSeen { name, partitions, copies, min_in_sync, ..TopicSeen::default() }
    }

    #[test]
    fn each_thing_that_is_off_is_told_with_what_to_do() {
        let topics = [
            seen("ringpost.legs", 8, 3, 2),
            TopicSeen { weak: vec![3], ..seen("ringpost.cdrs", 8, 3, 2) },
            seen("ringpost.sessions", 4, 3, 1),
            TopicSeen {
                mistakes: vec!["it is wrong; mend it".to_owned()],
                ..seen("ringpost.sources", 8, 1, 1)
            },
        ];
        let behind = |group: &str, behind, trouble: Option<&str>| GroupSeen {
            group: group.to_owned(),
            topic: "ringpost.legs".to_owned(),
            behind,
            trouble: trouble.map(str::to_owned),
            ..GroupSeen::default()
        };
        let groups =
            [behind("a", 0, None), behind("b", 7, None), behind("c", 0, Some("GroupAuthorizationFailed"))];
        let mut findings = vec![brokers(&["b1:9092".to_owned()])];
        findings.extend(topics.iter().flat_map(topic));
        findings.extend(partitions(&topics));
        findings.extend(groups.iter().map(group));
        insta::assert_snapshot!(page(&findings, false), @r#"
    warning  brokers        one broker: b1:9092; what it has is lost with its disk
                            -> fine to try things out; else three of them, and topics with --replicas 3
    ok       topic ringpost.legs  8 partitions, 3 copies, 2 in sync wanted
    warning  topic ringpost.cdrs  8 partitions, 3 copies, 2 in sync wanted; partitions [3] have no leader or lack copies in sync
                            -> look at the brokers: one is away, or its disk is too slow
    warning  topic ringpost.sessions  4 partitions, 3 copies, 1 in sync wanted
                            -> set min.insync.replicas=2: else what is acknowledged may be on one disk only
    problem  topic ringpost.sources  it is wrong
                            -> mend it
    problem  partitions     ringpost.legs has 8, ringpost.sessions has 4: they need the same number
                            -> never add partitions to a topic in use; make the smaller topic anew while nothing runs
    ok       group a        it has read ringpost.legs to its end
    warning  group b        it has never committed, and ringpost.legs holds 7 records
                            -> start a process with its role (docs/roles.md)
    problem  group c        GroupAuthorizationFailed
                            -> this client needs READ on the group, and DESCRIBE and READ on ringpost.legs

    3 problems, 4 warnings
    "#);
    }
}
