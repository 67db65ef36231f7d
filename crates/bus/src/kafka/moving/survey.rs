//! What is there before anything is moved, and what is in the way.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use rdkafka::Offset as KafkaOffset;
use rdkafka::consumer::BaseConsumer;

use crate::Partition;
use crate::kafka::context::Quiet;
use crate::kafka::ends::{self, Ends};
use crate::kafka::settings::KafkaConfig;
use crate::kafka::topics;

use super::groups::{self, MemberSeen};
use super::marker::{Marker, marker};
use super::read::Place;
use super::{Move, MoveError, blocking, failed, insist, probe, wait};

/// One question to a broker.
const PATIENCE: Duration = Duration::from_secs(20);
/// A transaction that a process has left open is ended by the brokers within so long, with their own defaults.
const OPEN: Duration = Duration::from_secs(40);
/// Between two looks.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// What was found.
#[derive(Debug, Clone)]
pub struct Survey {
    /// Of the first topic of records, and of the state that goes with it. Other topics may have other numbers.
    pub partitions: u32,
    /// What groups have not read.
    pub unread: Vec<UnreadSeen>,
    /// State.
    pub states: Vec<StateSeen>,
    /// Groups that read topics of others, each with the topic.
    pub others: Vec<(String, String)>,
    /// What is in the way; nothing can be moved before it is not.
    pub refusals: Vec<String>,
    /// What is read of each topic, by its name as configured.
    pub(super) places: HashMap<String, Vec<Place>>,
}

/// Records that a group has not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreadSeen {
    /// Its name as configured.
    pub group: String,
    /// The topic's as configured.
    pub topic: String,
    /// How many at most: markers of transactions are among them.
    pub records: u64,
}

/// A topic of state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateSeen {
    /// Its name as configured.
    pub topic: String,
    /// How many at most: values that are not the newest, and markers of transactions, are among them.
    pub records: u64,
}

/// Looks at everything, and changes nothing. Members of groups are given so long to leave: one that was stopped is missed only
/// after its session.
///
/// # Errors
/// The brokers do not answer, or do not let us see what is needed.
pub async fn survey(what: &Move, patience: Duration) -> Result<Survey, MoveError> {
    what.from.check()?;
    let mut refusals = until_gone(what, patience).await?.iter().map(MemberSeen::refusal).collect::<Vec<_>>();
    let marker = marker(&what.to, &what.marker).await?;
    refusals.extend(marked(what, &marker));
    let what = what.clone();
    blocking(move || look(&what, refusals, marker)).await
}

async fn until_gone(what: &Move, patience: Duration) -> Result<Vec<MemberSeen>, MoveError> {
    let deadline = Instant::now() + patience;
    loop {
        let members = groups::members(what).await?;
        if members.is_empty() || Instant::now() >= deadline {
            return Ok(members);
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

fn marked(what: &Move, marker: &Marker) -> Option<String> {
    let prefix = &what.to.prefix;
    match marker {
        Marker::None | Marker::Made => None,
        Marker::Begun(_) => Some(format!(
            "a move to the prefix {prefix:?} was broken off: remove what it has left with \
             `ringpost topics repartition --to-prefix {prefix:?} --discard`, then begin again"
        )),
        Marker::Whole(note) => Some(format!(
            "a move to the prefix {prefix:?} is whole already ({}): choose another prefix",
            String::from_utf8_lossy(note)
        )),
    }
}

fn look(what: &Move, mut refusals: Vec<String>, marker: Marker) -> Result<Survey, MoveError> {
    let probe = probe(&what.from)?;
    let partitions = partitions(what, &probe, &mut refusals)?;
    let of = |topic: &str| partitions.get(topic).copied().unwrap_or_default();
    // What a move that was broken off has left is told as a whole.
    if matches!(marker, Marker::None | Marker::Made) {
        targets(what, &probe, &mut refusals)?;
    }
    let (mut places, mut unread, mut states) = (HashMap::new(), Vec::new(), Vec::new());
    for (group, topic) in &what.unread {
        let named = format!("{}{topic}", what.from.prefix);
        let mut of_topic = all_of(&what.from, &probe, &named, of(topic))?;
        let committed = groups::committed(&what.from, group, &named, of(topic))?;
        for (place, committed) in of_topic.iter_mut().zip(committed) {
            place.from = place.from.max(committed.unwrap_or(0));
        }
        let records = of_topic.iter().map(Place::length).sum();
        unread.push(UnreadSeen { group: group.clone(), topic: topic.clone(), records });
        places.insert(topic.clone(), of_topic);
    }
    for topic in &what.states {
        let named = format!("{}{topic}", what.from.prefix);
        let of_topic = all_of(&what.from, &probe, &named, of(topic))?;
        states.push(StateSeen { topic: topic.clone(), records: of_topic.iter().map(Place::length).sum() });
        places.insert(topic.clone(), of_topic);
    }
    let others = groups::of_others(what, &probe)?;
    let partitions = what.unread.first().map_or(0, |(_, topic)| of(topic));
    Ok(Survey { partitions, unread, states, others, refusals, places })
}

/// Of each old topic.
fn partitions(
    what: &Move,
    probe: &BaseConsumer<Quiet>,
    refusals: &mut Vec<String>,
) -> Result<HashMap<String, u32>, MoveError> {
    let names: Vec<String> =
        what.from.topics.iter().map(|topic| format!("{}{}", what.from.prefix, topic.name)).collect();
    let counted = topics::count(probe, &names, what.from.timeout)
        .map_err(|error| failed("look at the old topics", &error))?;
    let counted: Result<Vec<u32>, String> = counted.into_iter().collect();
    let counted =
        counted.map_err(|why| MoveError::Refused(vec![format!("there is nothing to move: {why}")]))?;
    let wanted = what.to.topics.first().map_or(0, |topic| topic.partitions);
    if counted.iter().all(|count| *count == wanted) {
        refusals.push(format!("the topics have {wanted} partitions already: ask for another number"));
    }
    Ok(what.from.topics.iter().map(|topic| topic.name.clone()).zip(counted).collect())
}

/// New topics that are there already have to be empty, and as wide as is asked for.
fn targets(what: &Move, probe: &BaseConsumer<Quiet>, refusals: &mut Vec<String>) -> Result<(), MoveError> {
    let names: Vec<String> =
        what.to.topics.iter().map(|topic| format!("{}{}", what.to.prefix, topic.name)).collect();
    let counted = topics::count(probe, &names, what.to.timeout)
        .map_err(|error| failed("look at the new topics", &error))?;
    for ((topic, name), count) in what.to.topics.iter().zip(&names).zip(counted) {
        let Ok(count) = count else { continue };
        if count != topic.partitions {
            let wanted = topic.partitions;
            refusals.push(format!(
                "topic {name} is there and has {count} partitions, not {wanted}: delete it, or choose another prefix"
            ));
            continue;
        }
        let (begins, ends) = ask(probe, name, count)?;
        if ends.iter().any(|(place, end)| *end > begins[place]) {
            refusals.push(format!(
                "topic {name} is there and is not empty: choose another prefix; nothing is mixed with what is there"
            ));
        }
    }
    for (group, topic) in &what.unread {
        let (named, wide) = (format!("{}{topic}", what.to.prefix), what.to.topics.first());
        let positions = groups::committed(&what.to, group, &named, wide.map_or(0, |topic| topic.partitions))?;
        if positions.iter().any(Option::is_some) {
            let group = format!("{}{group}", what.to.prefix);
            refusals.push(format!(
                "group {group} has positions in {named} already, and would skip what is moved: choose another prefix, or \
                 `kafka-consumer-groups.sh --bootstrap-server {} --delete --group {group}`",
                what.to.bootstrap
            ));
        }
    }
    Ok(())
}

/// All that is in a topic.
fn all_of(
    config: &KafkaConfig,
    probe: &BaseConsumer<Quiet>,
    named: &str,
    partitions: u32,
) -> Result<Vec<Place>, MoveError> {
    let (begins, ends) = bounds(config, probe, named, partitions)?;
    let place = |at| {
        let (partition, of) = (Partition(at), (named.to_owned(), Partition(at)));
        Place { partition, from: begins[&of], end: ends[&of] }
    };
    Ok((0..partitions).map(place).collect())
}

/// Where the partitions of a topic begin and end, once no transaction is open there any more.
fn bounds(
    config: &KafkaConfig,
    probe: &BaseConsumer<Quiet>,
    named: &str,
    partitions: u32,
) -> Result<(Ends, Ends), MoveError> {
    let what = format!("ask where {named} ends");
    let mut committed = config.probe();
    committed.set("isolation.level", "read_committed");
    let committed: BaseConsumer<Quiet> =
        committed.create_with_context(Quiet).map_err(|error| failed(&what, &error))?;
    let deadline = Instant::now() + OPEN;
    loop {
        let (begins, ends) = ask(probe, named, partitions)?;
        let (_, stable) = ask(&committed, named, partitions)?;
        let Some((place, _)) = ends.iter().find(|(place, end)| stable[*place] < **end) else {
            return Ok((begins, ends));
        };
        if Instant::now() >= deadline {
            let reason = format!("a transaction is open in partition {}: somebody is writing to it", place.1);
            return Err(MoveError::Broker { what, reason });
        }
        wait(LOOK_AGAIN);
    }
}

/// Begins and ends.
pub(super) fn ask(
    client: &BaseConsumer<Quiet>,
    named: &str,
    partitions: u32,
) -> Result<(Ends, Ends), MoveError> {
    let places: Vec<_> = (0..partitions).map(|at| (named.to_owned(), Partition(at))).collect();
    let what = format!("ask where {named} ends");
    let ask = |which| insist(&what, PATIENCE, || ends::ask(client, &places, which, PATIENCE));
    Ok((ask(KafkaOffset::Beginning)?, ask(KafkaOffset::End)?))
}
