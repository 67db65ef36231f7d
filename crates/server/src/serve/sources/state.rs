//! How sources are doing, for whoever asks: metrics, and the status of the process.

use std::sync::{Mutex, PoisonError};

/// One source.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SourceState {
    /// As configured: file, folder or pattern.
    pub(crate) path: String,
    pub(crate) pbx: String,
    /// Files that are looked at.
    pub(crate) files: u64,
    /// Bytes of them that are not read.
    pub(crate) behind: u64,
    /// Legs taken in since the start of the process.
    pub(crate) legs: u64,
    /// Elements refused since then.
    pub(crate) rejected: u64,
    /// Every file is read to its end and is not followed.
    pub(crate) is_done: bool,
    /// What keeps it from being read; empty = nothing.
    pub(crate) trouble: String,
}

/// All of them, in the order of the configuration.
#[derive(Debug, Default)]
pub(crate) struct SourceStates(Mutex<Vec<SourceState>>);

impl SourceStates {
    pub(super) fn new(states: Vec<SourceState>) -> Self {
        Self(Mutex::new(states))
    }

    pub(super) fn update(&self, at: usize, change: impl FnOnce(&mut SourceState)) {
        let mut states = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        states.get_mut(at).map(change).unwrap_or_default();
    }

    /// As of now.
    pub(crate) fn all(&self) -> Vec<SourceState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
