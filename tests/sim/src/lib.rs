//! The pipeline's own loops in a simulated world: log, store, receivers and clock are in memory, and a seed is a
//! schedule of crashes, torn writes, delays, full disks, slow and lying receivers. See docs/simulation.md.

mod check;
mod clock;
mod counts;
mod dice;
mod log;
mod many;
mod plan;
mod process;
mod receiver;
mod sender;
mod store;
mod trace;
mod weather;
mod world;

pub use clock::SimClock;
pub use counts::Counts;
pub use dice::Dice;
pub use log::{Disk as LogDisk, SimLog, SimTopic, SimWorker};
pub use many::{Progress, run_many};
pub use store::{Configuration, DayLog, DebtRow, Debts, Disk as StoreDisk, Records, SimStore};
pub use trace::Trace;
pub use weather::{Fault, Forecast, Luck, Weather, Window};
pub use world::{Outcome, run, run_down_for_an_hour, run_several};
