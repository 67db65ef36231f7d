//! The one test binary over the whole workspace: what no single crate can promise alone.
//!
//! Some modules look at the sources; the others run the real binary as a user would. `make test` builds it before.

mod harness;

mod backup;
mod crash;
mod damage;
mod demo;
mod down;
mod edges;
mod folder;
mod full;
mod hostile;
mod kafka;
mod limits;
mod max_live;
mod mistakes;
mod neighbours;
mod operate;
mod postgres;
mod reopen;
mod retry;
mod secrets;
mod sources;
mod ssrf;
mod stop;
mod sums;
mod supply;
mod telling;
mod tidy;
