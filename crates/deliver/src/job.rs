//! One try that is to be made: what a lane takes in.

use std::fmt;
use std::sync::Arc;

use ringpost_model::{Delivery, Timestamp};

use crate::content::Content;
use crate::masked::shown_text;
use crate::ready::ReadyTrigger;
use crate::schedule::Tries;

/// One try of one delivery. It is rendered when its turn comes, so a queue holds no bodies.
#[derive(Clone)]
pub struct Job {
    /// What is delivered.
    pub delivery: Delivery,
    /// The trigger at `delivery.trigger_version`: method, format, payload and additions, the same on every try.
    pub version: Arc<ReadyTrigger>,
    /// The current trigger: URL, headers, secrets, retries. The same as `version` where nothing was changed.
    pub trigger: Arc<ReadyTrigger>,
    /// The record's revision, or the notice.
    pub content: Content,
    /// Number of this request, from 1: for the log. What the receiver put off counts here.
    pub attempt: u32,
    /// How often it was tried before.
    pub tries: Tries,
    /// When the delivery fired, or its debt came due.
    pub queued: Timestamp,
    /// A debt stands for it, so it takes turns with those that have just fired.
    pub owed: bool,
    /// It is the one try that tells whether a receiver that counts as down is back: a shut lane lets it pass.
    pub probe: bool,
    /// Its time is over (`max_hold`): this is its last try, whatever else, and a shut lane lets it pass.
    pub last: bool,
}

/// The trigger's URL and headers may be secrets, the record is about people.
impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job")
            .field("delivery", &self.delivery.id)
            .field("trigger", &self.delivery.trigger)
            .field("session", &self.delivery.session)
            .field("rev", &self.delivery.rev)
            .field("url", &shown_text(&self.trigger.url))
            .field("attempt", &self.attempt)
            .field("tries", &self.tries)
            .finish_non_exhaustive()
    }
}
