//! The one test binary over the whole workspace: what no single crate can promise alone.

mod edges;
mod supply;
mod tidy;
