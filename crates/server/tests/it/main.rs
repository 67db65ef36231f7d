//! The binary itself: what only a process can show.

mod process;
