//! Copies records and state, looks that nobody wrote meanwhile, and reads again what was written. All of it blocks.

use std::collections::{BTreeMap, HashMap};

use rdkafka::message::{Message as _, OwnedMessage};

use crate::{Partition, partition_of};

use super::live::Live;
use super::read::{Place, Stream, millis};
use super::sums::Sum;
use super::survey;
use super::write::{Writer, Written};
use super::{Doing, Move, MoveError, MoveStep, Route, Router, Tell, To, probe};

/// Offsets between two words about how far it is.
const TELL_EVERY: u64 = 512;

/// What was moved.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Moved {
    /// By topic of records.
    pub records: Vec<MovedRecords>,
    /// By topic of state, then kind.
    pub states: Vec<MovedState>,
}

/// Of a topic of records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MovedRecords {
    /// The topic, as configured.
    pub topic: String,
    /// Unread in the old topic.
    pub old: u64,
    /// In the new one, read again.
    pub new: u64,
}

/// Of a kind of state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MovedState {
    /// The topic, as configured.
    pub topic: String,
    /// As the router calls it.
    pub kind: &'static str,
    /// Entries in the old topic.
    pub old: u64,
    /// Entries in the new one, read again. More than the old ones, where some are in every partition.
    pub new: u64,
}

struct Copier<'a> {
    what: &'a Move,
    group: &'a str,
    writer: Writer,
    tell: &'a Tell,
}

pub(super) fn copy(
    what: &Move,
    places: &HashMap<String, Vec<Place>>,
    mut router: Box<dyn Router>,
    tell: &Tell,
) -> Result<Moved, MoveError> {
    let group = what.unread.first().map_or("", |(group, _)| group);
    let mut copier = Copier { what, group, writer: Writer::new(&what.to)?, tell };
    let (mut written, mut moved) = (BTreeMap::new(), Moved::default());
    for topic in &what.states {
        let sum = copier.state(topic, &places[topic], &mut *router, &mut moved)?;
        written.insert(topic.clone(), sum);
    }
    for (_, topic) in &what.unread {
        let sum = copier.records(topic, &places[topic])?;
        moved.records.push(MovedRecords { topic: topic.clone(), old: sum.records, new: 0 });
        written.insert(topic.clone(), sum);
    }
    copier.writer.finish()?;
    copier.is_unwritten(places)?;
    copier.check(&written, &*router, &mut moved)?;
    Ok(moved)
}

impl Copier<'_> {
    fn named_before(&self, topic: &str) -> String {
        format!("{}{topic}", self.what.from.prefix)
    }

    fn named_now(&self, topic: &str) -> String {
        format!("{}{topic}", self.what.to.prefix)
    }

    fn partitions(&self, topic: &str) -> u32 {
        self.what.to.topics.iter().find(|one| one.name == topic).map_or(1, |one| one.partitions)
    }

    /// Records, each to the partition of its key.
    fn records(&mut self, topic: &str, places: &[Place]) -> Result<Sum, MoveError> {
        let (named, partitions) = (self.named_now(topic), self.partitions(topic));
        let mut stream = Stream::open(&self.what.from, self.group, &self.named_before(topic), places)?;
        let mut progress = Progress::new(self.tell, Doing::Copying, topic, places);
        let mut sum = Sum::default();
        while let Some((_, mut message)) = stream.next()? {
            let partition = partition_of(message.key().unwrap_or_default(), partitions);
            let timestamp = Some(millis(&message));
            let headers = message.detach_headers();
            let (key, value) = (message.key(), message.payload());
            sum.add(partition, key, value, timestamp);
            self.writer.send(Written { topic: &named, partition, key, value, timestamp, headers })?;
            progress.at(stream.done());
        }
        progress.end();
        Ok(sum)
    }

    /// The newest values, one partition after the other.
    fn state(
        &mut self,
        topic: &str,
        places: &[Place],
        router: &mut dyn Router,
        moved: &mut Moved,
    ) -> Result<Sum, MoveError> {
        let (mut sum, mut old) = (Sum::default(), BTreeMap::<&'static str, u64>::new());
        let mut looking = Progress::new(self.tell, Doing::Looking, topic, places);
        let mut copying = Progress::new(self.tell, Doing::Copying, topic, places);
        for place in places {
            let named = self.named_before(topic);
            let open = || Stream::open(&self.what.from, self.group, &named, std::slice::from_ref(place));
            let live = Live::read(&mut open()?, |stream| looking.at(stream.done()))?;
            looking.next();
            let mut stream = open()?;
            while let Some((partition, message)) = stream.next()? {
                copying.at(stream.done());
                let (Some(key), Some(value)) = (message.key(), message.payload()) else { continue };
                if !live.is_newest(key, message.offset() as u64) {
                    continue;
                }
                let route = router.route(topic, partition, key, value);
                let route = route.map_err(|reason| MoveError::Entry {
                    topic: topic.to_owned(),
                    partition,
                    offset: message.offset() as u64,
                    reason,
                })?;
                *old.entry(route.kind).or_default() += 1;
                self.entry(topic, &route, value, &mut sum)?;
            }
            copying.next();
        }
        looking.end();
        copying.end();
        for (route, value) in router.rest(topic) {
            self.entry(topic, &route, &value, &mut sum)?;
        }
        let of_kind = |(kind, old)| MovedState { topic: topic.to_owned(), kind, old, new: 0 };
        moved.states.extend(old.into_iter().map(of_kind));
        Ok(sum)
    }

    fn entry(&mut self, topic: &str, route: &Route, value: &[u8], sum: &mut Sum) -> Result<(), MoveError> {
        let named = self.named_now(topic);
        let to = match route.to {
            To::One(partition) => partition.0..partition.0 + 1,
            To::All => 0..self.partitions(topic),
            To::Nowhere => 0..0,
        };
        for partition in to.map(Partition) {
            let (key, value) = (Some(&route.key[..]), Some(value));
            sum.add(partition, key, value, None);
            let (timestamp, headers) = (None, None);
            self.writer.send(Written { topic: &named, partition, key, value, timestamp, headers })?;
        }
        Ok(())
    }

    /// Whoever wrote to the old topics while they were copied wrote what is not in the new ones.
    fn is_unwritten(&self, places: &HashMap<String, Vec<Place>>) -> Result<(), MoveError> {
        let probe = probe(&self.what.from)?;
        for (topic, places) in places {
            let named = self.named_before(topic);
            let (_, ends) = survey::ask(&probe, &named, places.len() as u32)?;
            if places.iter().any(|place| ends[&(named.clone(), place.partition)] != place.end) {
                return Err(MoveError::Written { topic: named });
            }
        }
        Ok(())
    }

    /// Reads all of the new topics.
    fn check(
        &self,
        written: &BTreeMap<String, Sum>,
        router: &dyn Router,
        moved: &mut Moved,
    ) -> Result<(), MoveError> {
        let probe = probe(&self.what.to)?;
        for (topic, expected) in written {
            let (named, is_state) = (self.named_now(topic), self.what.states.contains(topic));
            let (begins, ends) = survey::ask(&probe, &named, self.partitions(topic))?;
            let place = |(at, end): (&(String, Partition), &u64)| Place {
                partition: at.1,
                from: begins[at],
                end: *end,
            };
            let places: Vec<Place> = ends.iter().map(place).collect();
            let mut progress = Progress::new(self.tell, Doing::Checking, topic, &places);
            let mut stream = Stream::open(&self.what.to, self.group, &named, &places)?;
            let (mut sum, mut kinds) = (Sum::default(), BTreeMap::<&'static str, u64>::new());
            while let Some((partition, message)) = stream.next()? {
                let timestamp = (!is_state).then(|| millis(&message));
                sum.add(partition, message.key(), message.payload(), timestamp);
                if is_state {
                    *kinds.entry(kind(router, topic, &message)).or_default() += 1;
                }
                progress.at(stream.done());
            }
            progress.end();
            if sum != *expected {
                let (found, expected) = (sum.records, expected.records);
                return Err(MoveError::Differs { topic: named, found, expected });
            }
            note(moved, topic, sum.records, &kinds);
        }
        Ok(())
    }
}

fn kind(router: &dyn Router, topic: &str, message: &OwnedMessage) -> &'static str {
    router.kind(topic, message.key().unwrap_or_default())
}

fn note(moved: &mut Moved, topic: &str, records: u64, kinds: &BTreeMap<&'static str, u64>) {
    for one in moved.records.iter_mut().filter(|one| one.topic == topic) {
        one.new = records;
    }
    for one in moved.states.iter_mut().filter(|one| one.topic == topic) {
        one.new = kinds.get(one.kind).copied().unwrap_or_default();
    }
}

/// Tells how far it is, not too often.
struct Progress<'a> {
    tell: &'a Tell,
    doing: Doing,
    topic: &'a str,
    /// Of streams before this one.
    before: u64,
    done: u64,
    told: u64,
    of: u64,
}

impl<'a> Progress<'a> {
    fn new(tell: &'a Tell, doing: Doing, topic: &'a str, places: &[Place]) -> Self {
        let of = places.iter().map(Place::length).sum();
        Self { tell, doing, topic, before: 0, done: 0, told: 0, of }
    }

    fn at(&mut self, done: u64) {
        self.done = self.before + done;
        if self.done >= self.told + TELL_EVERY {
            self.tell();
        }
    }

    /// Another stream follows.
    fn next(&mut self) {
        self.before = self.done;
    }

    fn end(&mut self) {
        self.done = self.of;
        self.tell();
    }

    fn tell(&mut self) {
        self.told = self.done;
        let Self { doing, topic, done, of, .. } = *self;
        (self.tell)(MoveStep { doing, topic, done, of });
    }
}
