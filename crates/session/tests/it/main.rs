//! Whole calls through the machine: legs in, records out.

mod build;
mod calls;
mod cases;
mod generate;
mod max_live;
mod properties;
mod stream;
mod timeline;
