//! The records of one partition that `dispatch` has read and not yet settled. The consumer's offset moves past a
//! record only when all of its deliveries are delivered, failed on record, or owed (architecture.md, Dispatch).

use std::collections::VecDeque;

/// Records in flight, in order of offset.
#[derive(Debug, Default)]
pub(crate) struct Window {
    entries: VecDeque<Entry>,
}

#[derive(Debug)]
struct Entry {
    offset: u64,
    /// Effects of the record that are not durable yet.
    open: usize,
}

impl Window {
    /// A record was read; `open` of its effects are still to become durable.
    pub(crate) fn push(&mut self, offset: u64, open: usize) {
        debug_assert!(self.entries.back().is_none_or(|last| last.offset < offset), "records come in order");
        self.entries.push_back(Entry { offset, open });
    }

    /// One effect of the record is durable. An offset that is not in the window is ignored: its partition was
    /// given up and taken back meanwhile.
    pub(crate) fn settle(&mut self, offset: u64) {
        if let Ok(index) = self.entries.binary_search_by_key(&offset, |entry| entry.offset) {
            let open = &mut self.entries[index].open;
            *open = open.saturating_sub(1);
        }
    }

    /// Takes all settled records from the head, and tells the offset to commit: the one after the last of them.
    pub(crate) fn take_settled(&mut self) -> Option<u64> {
        let mut next = None;
        while let Some(entry) = self.entries.pop_front_if(|entry| entry.open == 0) {
            next = Some(entry.offset + 1);
        }
        next
    }

    /// How many records are in flight.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_never_passes_a_record_whose_delivery_is_in_flight() {
        let mut window = Window::default();
        window.push(10, 1);
        window.push(11, 2);
        window.push(15, 0);
        window.settle(11);
        window.settle(11);
        assert_eq!(window.take_settled(), None);
        window.settle(10);
        assert_eq!(window.take_settled(), Some(16));
        assert_eq!((window.take_settled(), window.len()), (None, 0));
    }

    #[test]
    fn a_report_about_a_record_of_an_earlier_assignment_changes_nothing() {
        let mut window = Window::default();
        window.push(3, 1);
        window.settle(2);
        assert_eq!((window.take_settled(), window.len()), (None, 1));
    }
}
