//! What a delivery tells: a call's record, or a notice of the system about itself.

use std::sync::Arc;

use ringpost_model::{Cdr, Notice};

/// What is told. Cheap to clone: a queue of jobs holds it once for each record, not for each trigger.
#[derive(Debug, Clone)]
pub enum Content {
    /// A revision of a call's record: payload key `cdr`.
    Record(Arc<Cdr>),
    /// What the system tells about itself: payload keys `event` and `notice`.
    Notice(Arc<Notice>),
}

impl From<Cdr> for Content {
    fn from(cdr: Cdr) -> Self {
        Self::Record(Arc::new(cdr))
    }
}

impl From<Notice> for Content {
    fn from(notice: Notice) -> Self {
        Self::Notice(Arc::new(notice))
    }
}
