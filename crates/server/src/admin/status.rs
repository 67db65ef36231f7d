//! The state of a running server as one document, version 1: what `GET /status` gives and `ringpost status` prints.
//! Housekeeping makes it every second; a question costs nothing.

mod collect;
mod minute;

use std::sync::{Mutex, PoisonError};

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use ringpost_model::Timestamp;
use serde::{Deserialize, Serialize};

use super::{AdminState, json};
use crate::serve::sources::SourceState;

pub(crate) use collect::Collector;

/// The version of the document. What is added needs no other one; readers pass over what they do not know.
pub(crate) const FORMAT: u32 = 1;

/// All of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Status {
    /// See [`FORMAT`].
    pub(crate) v: u32,
    /// Of the program.
    pub(crate) version: String,
    /// When this was seen.
    pub(crate) at: Timestamp,
    /// Since when the process runs.
    pub(crate) started: Timestamp,
    /// What it does.
    #[serde(default)]
    pub(crate) roles: Vec<String>,
    /// `ready`, `starting` or `stopping`, as of the question.
    pub(crate) readiness: String,
    /// Roles that are not ready, each with the reason where it is known.
    pub(crate) waiting_for: Vec<String>,
    pub(crate) stages: Vec<Stage>,
    /// Files that legs are read from.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub(crate) sources: Vec<Source>,
    pub(crate) sessions: Sessions,
    pub(crate) last_minute: LastMinute,
    pub(crate) lanes: Lanes,
    pub(crate) owed: Owed,
    /// Dead letters that were not sent in again.
    pub(crate) dead_letters: u64,
    pub(crate) queues: Vec<Queue>,
    /// What could not be found out, and why.
    pub(crate) unknown: Vec<String>,
}

/// A reader of the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Stage {
    pub(crate) name: String,
    /// Records not read yet.
    pub(crate) lag_records: u64,
    /// Age of the oldest of them, in seconds.
    pub(crate) lag_seconds: f64,
}

/// Files that legs are read from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Source {
    /// As configured: file, folder or pattern.
    pub(crate) path: String,
    pub(crate) pbx: String,
    /// `trouble`, `done`, `waiting` (there is no file yet), `behind` or `current`.
    pub(crate) state: String,
    pub(crate) files: u64,
    pub(crate) behind_bytes: u64,
    /// Since the start of the process.
    pub(crate) legs: u64,
    pub(crate) rejected: u64,
    /// What keeps it from being read.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub(crate) reason: String,
}

impl From<SourceState> for Source {
    fn from(source: SourceState) -> Self {
        let state = match () {
            () if !source.trouble.is_empty() => "trouble",
            () if source.is_done => "done",
            () if source.files == 0 => "waiting",
            () if source.behind > 0 => "behind",
            () => "current",
        };
        Self {
            path: source.path,
            pbx: source.pbx,
            state: state.to_owned(),
            files: source.files,
            behind_bytes: source.behind,
            legs: source.legs,
            rejected: source.rejected,
            reason: source.trouble,
        }
    }
}

/// Calls in memory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Sessions {
    /// Not over yet.
    pub(crate) live: u64,
    /// Over, and kept for late records.
    pub(crate) kept: u64,
}

/// What was done lately.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LastMinute {
    /// In so many seconds: 60, or fewer after a start.
    pub(crate) seconds: u64,
    /// Legs taken in.
    pub(crate) legs: u64,
    /// Records put out.
    pub(crate) records: u64,
    /// Requests made.
    pub(crate) requests: u64,
    /// Those that were a success.
    pub(crate) delivered: u64,
}

/// Lanes to receivers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Lanes {
    /// With something to do now.
    pub(crate) busy: u64,
    /// Requests in flight, in all lanes.
    pub(crate) in_flight: u64,
    /// Deliveries that wait for their turn in memory, in all lanes.
    pub(crate) waiting: u64,
    /// Those that are not plain: failing, open, ramping or paused. The most that is owed first.
    pub(crate) troubled: Vec<Lane>,
    /// Those that are not in the list, since they are too many.
    pub(crate) more: u64,
}

/// A lane that is not plain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Lane {
    pub(crate) lane: String,
    /// Origin and first path segment.
    pub(crate) url: String,
    /// `failing`, `open`, `ramping` or `paused`.
    pub(crate) state: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) since: Option<Timestamp>,
    /// Of an open lane: the next probe; of a paused one: when it goes on.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) next: Option<Timestamp>,
    /// Deliveries owed in it.
    pub(crate) owed: u64,
    pub(crate) reason: String,
}

/// What is owed to receivers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Owed {
    pub(crate) deliveries: u64,
    /// Those of paused triggers.
    pub(crate) held: u64,
    /// Those that failed for good, and come back if their receiver turns out to be down.
    pub(crate) spent: u64,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) oldest_due: Option<Timestamp>,
    /// The triggers with the most.
    pub(crate) most: Vec<OwedBy>,
}

/// What is owed for one trigger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OwedBy {
    pub(crate) trigger: String,
    pub(crate) tenant: String,
    pub(crate) name: String,
    /// Origin and first path segment.
    pub(crate) url: String,
    pub(crate) deliveries: u64,
    /// Requests a second at most; none = no limit.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) rate: Option<u32>,
}

/// A bounded queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Queue {
    pub(crate) name: String,
    pub(crate) depth: u64,
    pub(crate) capacity: u64,
    /// What is counted.
    pub(crate) unit: String,
}

/// Where the newest document hangs.
#[derive(Debug, Default)]
pub(crate) struct Board(Mutex<Option<Status>>);

impl Board {
    /// Hangs a newer one up.
    pub(crate) fn set(&self, status: Status) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(status);
    }

    fn get(&self) -> Option<Status> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// `GET /status`.
pub(super) async fn show(State(state): State<AdminState>) -> Response {
    let Some(mut status) = state.board.get() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "nothing was measured yet\n").into_response();
    };
    status.waiting_for = state.readiness.waiting_for();
    status.roles = state.readiness.roles();
    let readiness = match (state.readiness.is_stopping(), status.waiting_for.is_empty()) {
        (true, _) => "stopping",
        (_, true) => "ready",
        (_, false) => "starting",
    };
    readiness.clone_into(&mut status.readiness);
    json(&status)
}
