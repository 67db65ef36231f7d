//! Durable state: tenants, pbxs, triggers, tables, sessions, debts, attempts, dead letters.
//!
//! One [`Store`], cheap to clone, over files in a folder (`store.db`, and one file a day for attempts) or over a
//! database of PostgreSQL, which several machines may share. It reads no clock: times are arguments. What it does not do: decide. When a debt is due, which lane it is of, what an
//! outcome means is said by its callers.

mod attempt;
mod backup;
mod change;
mod columns;
mod database;
mod day;
mod dead_letter;
mod debt;
mod ending;
mod error;
mod exchange;
mod face;
mod ingest_token;
mod lane;
mod log;
mod metrics;
mod notice;
mod pbx;
mod postgres;
mod retention;
mod rows;
mod secret;
mod session;
mod settle;
mod spent;
mod sql;
mod store;
mod table;
mod tenant;
mod trigger;

pub use attempt::{Attempt, AttemptFilter, Exchange, StoredAttempt};
pub use backup::BackupFile;
pub use change::{Change, Kind, Written};
pub use dead_letter::{
    DeadLetter, DeadLetterFilter, DeadLetterId, KEPT_BYTES, StoredDeadLetter, WHOLE_BYTES,
};
pub use debt::{Content, Damaged, Debt, DebtFilter, OwedCount, Prepared};
pub use ending::{Ended, Ending, EndingFilter};
pub use error::{Error, OpenError};
pub use face::{LaneLedger, Ledger};
pub use ingest_token::{IngestToken, TokenId, new_token};
pub use lane::{ASKED_FOR_PAUSE, LaneDue, LaneRow, LaneWord, WaitingTrigger};
pub use metrics::{Metrics, Stats};
pub use postgres::{Config as PostgresConfig, shown_url};
pub use retention::{Dropped, Keep};
pub use rows::{Rows, Unreadable};
pub use secret::{Key, KeyError, KeyId, Keyring, SecretError};
pub use session::{CallOutcome, NewSession, Session, SessionCursor, SessionFilter, StoredSession};
pub use settle::{Batch, Settled};
pub use store::{Config, Store};
pub use table::{ContactEdit, ContactImport, MOST_ROWS, StoredDirectory, StoredTables, TableVersions};
pub use trigger::{Expect, StoredTrigger};
