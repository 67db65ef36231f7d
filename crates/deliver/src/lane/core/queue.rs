//! What waits in one lane: two queues, taken in turns, and how much has passed through lately.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::job::Job;

#[derive(Debug)]
pub(super) struct Queued {
    pub(super) job: Arc<Job>,
    pub(super) since: Instant,
}

/// What is owed and what has just fired. While both wait they take turns, so that neither a backlog nor a flood
/// keeps the other from its receiver.
#[derive(Debug, Default)]
pub(super) struct Queue {
    owed: VecDeque<Queued>,
    fresh: VecDeque<Queued>,
    fresh_is_next: bool,
}

impl Queue {
    pub(super) fn push(&mut self, queued: Queued) {
        let queue = if queued.job.owed { &mut self.owed } else { &mut self.fresh };
        queue.push_back(queued);
    }

    /// Whose turn it is.
    pub(super) fn pop(&mut self) -> Option<Queued> {
        let of_fresh = self.owed.is_empty() || (self.fresh_is_next && !self.fresh.is_empty());
        self.fresh_is_next = !of_fresh;
        let queue = if of_fresh { &mut self.fresh } else { &mut self.owed };
        queue.pop_front()
    }

    /// The first one for which `which` holds.
    pub(super) fn take(&mut self, which: impl Fn(&Queued) -> bool) -> Option<Queued> {
        let queues = [&mut self.owed, &mut self.fresh];
        queues.into_iter().find_map(|queue| queue.iter().position(&which).and_then(|at| queue.remove(at)))
    }

    pub(super) fn drain(&mut self) -> impl Iterator<Item = Arc<Job>> {
        self.owed.drain(..).chain(self.fresh.drain(..)).map(|queued| queued.job)
    }

    #[cfg(test)]
    pub(super) fn iter(&self) -> impl Iterator<Item = &Queued> {
        self.owed.iter().chain(&self.fresh)
    }

    pub(super) fn len(&self) -> usize {
        self.owed.len() + self.fresh.len()
    }

    pub(super) fn owed(&self) -> usize {
        self.owed.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.owed.is_empty() && self.fresh.is_empty()
    }

    /// Since when the one has been waiting that waits longest.
    pub(super) fn oldest(&self) -> Option<Instant> {
        [self.owed.front(), self.fresh.front()].into_iter().flatten().map(|queued| queued.since).min()
    }
}

/// How many requests a lane started in the last whole stretch of time.
#[derive(Debug, Default)]
pub(super) struct Flow {
    begin: Option<Instant>,
    now: usize,
    before: usize,
}

impl Flow {
    pub(super) fn started(&mut self, now: Instant, stretch: Duration) {
        let begin = self.begin.unwrap_or(now);
        if now < begin + stretch {
            self.begin = Some(begin);
        } else {
            let is_next = now < begin + stretch * 2;
            self.before = if is_next { self.now } else { 0 };
            self.begin = Some(if is_next { begin + stretch } else { now });
            self.now = 0;
        }
        self.now += 1;
    }

    pub(super) fn last(&self, now: Instant, stretch: Duration) -> usize {
        match self.begin {
            Some(begin) if now < begin + stretch => self.before,
            Some(begin) if now < begin + stretch * 2 => self.now,
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::samples;

    /// In which order they are taken: `o` is owed, `f` fresh.
    fn order(waiting: &str) -> String {
        let mut queue = Queue::default();
        for kind in waiting.chars() {
            let mut job = samples::job("https://h.example/in", json!({}));
            job.owed = kind == 'o';
            queue.push(Queued { job: Arc::new(job), since: Instant::now() });
        }
        std::iter::from_fn(|| queue.pop()).map(|queued| if queued.job.owed { 'o' } else { 'f' }).collect()
    }

    #[test]
    fn fresh_ones_get_one_place_in_two_and_all_when_nothing_is_owed() {
        assert_eq!(order("ooooff"), "ofofoo");
        assert_eq!(order("ffffoo"), "ofofff");
        assert_eq!(order("fff"), "fff");
        assert_eq!(order("ooo"), "ooo");
    }

    #[test]
    fn the_flow_is_that_of_the_last_whole_stretch() {
        let (begin, second) = (Instant::now(), Duration::from_secs(1));
        let mut flow = Flow::default();
        let mut seen = Vec::new();
        for millis in [0, 300, 900, 1_100, 1_200, 2_500, 9_000] {
            flow.started(begin + Duration::from_millis(millis), second);
            seen.push(flow.last(begin + Duration::from_millis(millis), second));
        }
        assert_eq!(seen, [0, 0, 0, 3, 3, 2, 0]);
        assert_eq!(flow.last(begin + second * 11, second), 0);
    }
}
