//! Realistic traffic of several companies, with the expected record of every call from its own knowledge.
//!
//! A call is made up as a script: who rings when, who talks with whom, who holds, parks, transfers. From the
//! script are told both what a switch would write of it and the record that `ringpost` must print. Nothing here
//! reads legs; no code and no method is shared with `session`. See docs/simulate.md.

mod asterisk;
mod bare;
mod company;
mod compare;
mod dice;
mod events;
mod kazoo;
mod messages;
mod scenario;
mod script;
mod simulation;
mod switch;
mod tell;

pub use compare::{Difference, Different, Report, Run, compare};
pub use simulation::{Message, Params, Simulation, Truth};
