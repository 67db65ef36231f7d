//! What one reader of mail has been told, and what is due. Pure.
//!
//! Of one trigger and event at most one mail in so long. What happens meanwhile waits as its newest notice and a
//! count. That notice stays unmailed in the store, so that after a crash it is told, if without its count.

use std::collections::{HashMap, HashSet};

use ringpost_model::{EventName, Notice, NoticeId, Timestamp, TriggerId};

/// A mail that could not be sent for so long is given up, in microseconds; what is older when it is first seen is
/// not begun.
pub(super) const GIVE_UP: i64 = 24 * 3_600 * 1_000_000;
/// After a failure this reader is left alone for so long, each time twice as long, in microseconds.
const SHORTEST_PAUSE: i64 = 5_000_000;
const LONGEST_PAUSE: i64 = 300_000_000;

/// What one mail is about.
type Topic = (TriggerId, EventName);

/// What is to be told of one topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Due {
    /// The newest notice.
    pub(super) newest: Notice,
    /// So many before it, that no mail was sent of.
    pub(super) more: u64,
    /// When the first of them happened.
    pub(super) first: Timestamp,
    /// It may be sent from then on.
    from: Timestamp,
}

/// One reader's state.
#[derive(Debug)]
pub(super) struct Book {
    /// Distance of two mails about one topic, in microseconds.
    every: i64,
    waiting: HashMap<Topic, Due>,
    /// When the last mail about a topic was sent; only as long as it holds the next one back.
    told: HashMap<Topic, Timestamp>,
    /// Told, counted or given up, and not yet marked in the store.
    done: HashSet<NoticeId>,
    pause: Pause,
}

impl Book {
    pub(super) fn new(every: i64) -> Self {
        Self {
            every,
            waiting: HashMap::new(),
            told: HashMap::new(),
            done: HashSet::new(),
            pause: Pause::default(),
        }
    }

    /// Takes in a notice that the store has as unmailed; what is known already changes nothing.
    pub(super) fn take(&mut self, notice: &Notice, now: Timestamp) {
        let topic = (notice.trigger_id, notice.event);
        let is_known = self.waiting.get(&topic).is_some_and(|due| due.newest.id == notice.id);
        if is_known || self.done.contains(&notice.id) {
            return;
        }
        let held_until = self.told.get(&topic).map(|told| told.plus_micros(self.every));
        let Some(due) = self.waiting.get_mut(&topic) else {
            // Should the clock have been put back, it waits no longer than it ever would.
            let latest = now.plus_micros(self.every);
            let from = held_until.map_or(now, |until| until.clamp(now, latest));
            let due = Due { newest: notice.clone(), more: 0, first: notice.at, from };
            self.waiting.insert(topic, due);
            return;
        };
        due.more += 1;
        due.first = due.first.min(notice.at);
        let older = if (notice.at, notice.id) > (due.newest.at, due.newest.id) {
            std::mem::replace(&mut due.newest, notice.clone()).id
        } else {
            notice.id
        };
        self.done.insert(older);
    }

    /// What nobody is to be told of.
    pub(super) fn skip(&mut self, notice: NoticeId) {
        self.done.insert(notice);
    }

    /// What is to be sent next, what happened first before the rest.
    pub(super) fn due(&self, now: Timestamp) -> Option<Due> {
        if !self.pause.is_over(now) {
            return None;
        }
        let due = self.waiting.values().filter(|due| due.from <= now);
        due.min_by_key(|due| (due.newest.at, due.newest.id)).cloned()
    }

    /// The server has taken the mail.
    pub(super) fn sent(&mut self, due: &Due, now: Timestamp) {
        let topic = (due.newest.trigger_id, due.newest.event);
        self.waiting.remove(&topic);
        self.told.insert(topic, now);
        self.done.insert(due.newest.id);
        self.pause = Pause::default();
        let every = self.every;
        self.told.retain(|_, told| told.plus_micros(every) > now);
    }

    /// The mail could not be sent; the next one to this reader has to wait.
    pub(super) fn failed(&mut self, now: Timestamp) {
        self.pause.begin(now);
    }

    /// Drops what could not be sent for too long.
    pub(super) fn give_up(&mut self, now: Timestamp) -> Vec<Due> {
        let is_over = |due: &Due| due.from.plus_micros(GIVE_UP) <= now;
        let topics: Vec<_> =
            self.waiting.iter().filter(|(_, due)| is_over(due)).map(|(topic, _)| *topic).collect();
        let given_up: Vec<_> = topics.iter().filter_map(|topic| self.waiting.remove(topic)).collect();
        self.done.extend(given_up.iter().map(|due| due.newest.id));
        given_up
    }

    /// So many notices wait, each of which is unmailed in the store.
    pub(super) fn held(&self) -> usize {
        self.waiting.len()
    }

    /// The notice is the newest of a topic that waits.
    pub(super) fn holds(&self, notice: NoticeId) -> bool {
        self.waiting.values().any(|due| due.newest.id == notice)
    }

    /// Whether this reader needs to hear no more of the notice.
    pub(super) fn is_done(&self, notice: NoticeId) -> bool {
        self.done.contains(&notice)
    }

    /// What has been told, counted or given up, and is not marked.
    pub(super) fn done(&self) -> impl Iterator<Item = NoticeId> {
        self.done.iter().copied()
    }

    /// The store knows now.
    pub(super) fn marked(&mut self, notices: &[NoticeId]) {
        notices.iter().for_each(|id| _ = self.done.remove(id));
    }
}

/// A wait that doubles with every failure.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Pause {
    until: Option<Timestamp>,
    length: i64,
}

impl Pause {
    /// Begins, or begins again.
    pub(super) fn begin(&mut self, now: Timestamp) {
        self.length = (self.length * 2).clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
        self.until = Some(now.plus_micros(self.length));
    }

    pub(super) fn is_over(&self, now: Timestamp) -> bool {
        // A clock that was put back must not stop the mail for years.
        self.until.is_none_or(|until| until <= now || until.micros() - now.micros() > LONGEST_PAUSE)
    }
}

#[cfg(test)]
mod tests;
