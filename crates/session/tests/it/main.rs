//! Whole calls through the machine: legs in, records out.

mod build;
mod calls;
mod cases;
mod generate;
mod properties;
mod stream;
mod timeline;
