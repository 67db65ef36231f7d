//! HTTP: the intake of legs, `POST /ingest/{pbx}`.
//!
//! Who may write is an immutable value ([`Access`]) that the caller swaps when the configuration changes: no
//! request waits for a database. Where legs go is the caller's ([`Intake`]): an answer of 202 is given only when
//! it says that they are durable. REST, pages and websockets come beside this.

mod access;
mod answer;
mod intake;
mod route;

pub use access::{Access, Denied, Grant, PbxAccess, TokenHash};
pub use intake::{DeadLetter, Delivered, Intake, Judge, NotStored, Refusal};
pub use route::{Limits, SharedAccess, router};
