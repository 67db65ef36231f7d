//! Which name a worker goes by in its group. A process that is started again must come by the same names, or the
//! partitions of its former self wait until that one counts as dead; so the lowest free number is taken, and a worker
//! that is still saying goodbye is waited for.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

/// Numbers in use, by group.
#[derive(Default)]
pub(super) struct Slots {
    groups: Mutex<HashMap<String, Group>>,
    freed: Notify,
}

#[derive(Default)]
struct Group {
    used: BTreeSet<u32>,
    closing: BTreeSet<u32>,
}

/// A number in use; free again when this is dropped.
pub(super) struct Slot {
    slots: Arc<Slots>,
    group: String,
    pub(super) number: u32,
}

impl Slots {
    pub(super) async fn take(self: &Arc<Self>, group: &str) -> Slot {
        loop {
            let freed = self.freed.notified();
            tokio::pin!(freed);
            freed.as_mut().enable();
            if let Some(number) = self.try_take(group) {
                return Slot { slots: Arc::clone(self), group: group.to_owned(), number };
            }
            freed.await;
        }
    }

    fn try_take(&self, group: &str) -> Option<u32> {
        let mut groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        let group = groups.entry(group.to_owned()).or_default();
        if !group.closing.is_empty() {
            return None;
        }
        let number = (0..).find(|number| !group.used.contains(number))?;
        group.used.insert(number);
        Some(number)
    }
}

impl Slot {
    /// Its worker says goodbye.
    pub(super) fn close(&self) {
        let mut groups = self.slots.groups.lock().unwrap_or_else(PoisonError::into_inner);
        groups.entry(self.group.clone()).or_default().closing.insert(self.number);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut groups = self.slots.groups.lock().unwrap_or_else(PoisonError::into_inner);
        let group = groups.entry(self.group.clone()).or_default();
        group.used.remove(&self.number);
        group.closing.remove(&self.number);
        drop(groups);
        self.slots.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn who_comes_back_gets_the_name_it_had() {
        let slots = Arc::new(Slots::default());
        let first = slots.take("g").await;
        let second = slots.take("g").await;
        assert_eq!((first.number, second.number), (0, 1));
        assert_eq!(slots.take("other").await.number, 0);
        first.close();
        let again = slots.take("g");
        tokio::pin!(again);
        assert!(again.as_mut().now_or_never().is_none(), "it waits for the goodbye");
        drop(first);
        assert_eq!(again.await.number, 0);
    }
}
