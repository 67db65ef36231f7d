//! What goes wrong with log and store, and when: windows in which a disk fails or is full, and a little of
//! everything at any time. When the weather clears, nothing goes wrong any more.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::SimClock;
use crate::dice::Dice;

/// A write is tried again after 0.5 s, and may take 2 s.
const ONE_TRY: Duration = Duration::from_millis(2_500);

/// What a window does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Every write and read fails.
    Fails,
    /// Every write finds the disk full.
    Full,
    /// Everything takes long.
    Slow,
}

/// A fault from then to then, by the clock that never jumps.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    /// Begin.
    pub from: Duration,
    /// End.
    pub to: Duration,
    /// What.
    pub fault: Fault,
}

/// How bad it is.
#[derive(Debug, Clone, Default)]
pub struct Forecast {
    /// Times of trouble.
    pub windows: Vec<Window>,
    /// At any time so many calls of a thousand fail without effect.
    pub fails: u64,
    /// So many of a thousand take effect, and their answer is lost.
    pub lost_answers: u64,
    /// So many of a thousand wait long.
    pub slow: u64,
    /// After this all is well.
    pub until: Duration,
}

/// What becomes of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Luck {
    /// Nothing.
    Fine,
    /// It fails and has no effect.
    Fails,
    /// The disk is full.
    Full,
    /// It has its effect, and nobody is told.
    LostAnswer,
}

/// The weather over one disk; a clone is the same weather.
#[derive(Debug, Clone)]
pub struct Weather {
    clock: SimClock,
    forecast: Arc<Forecast>,
    dice: Arc<Mutex<Dice>>,
}

impl Weather {
    /// As forecast.
    pub fn new(clock: SimClock, forecast: Forecast, dice: Dice) -> Self {
        Self { clock, forecast: Arc::new(forecast), dice: Arc::new(Mutex::new(dice)) }
    }

    /// Nothing ever goes wrong, and nothing takes time.
    pub fn calm(clock: SimClock) -> Self {
        let forecast =
            Forecast { windows: Vec::new(), fails: 0, lost_answers: 0, slow: 0, until: Duration::ZERO };
        Self::new(clock, forecast, Dice::new(0, "calm"))
    }

    /// In a window in which no write succeeds, or so short a time after it that what is tried again now and then was
    /// tried once at most: a write that takes long, and whose answer is lost.
    pub fn is_away(&self) -> bool {
        let now = self.clock.elapsed();
        let blocks = |window: &&Window| matches!(window.fault, Fault::Fails | Fault::Full);
        let mut windows = self.forecast.windows.iter().filter(blocks);
        !self.is_clear() && windows.any(|window| window.from <= now && now < window.to + ONE_TRY)
    }

    /// What becomes of a write.
    pub fn write(&self) -> Luck {
        if self.is_clear() {
            return Luck::Fine;
        }
        match self.window() {
            Some(Fault::Fails) => return Luck::Fails,
            Some(Fault::Full) => return Luck::Full,
            Some(Fault::Slow) | None => {}
        }
        let throw = self.dice().below(1_000);
        let Forecast { fails, lost_answers, .. } = *self.forecast;
        if throw < fails {
            Luck::Fails
        } else if throw < fails + lost_answers {
            Luck::LostAnswer
        } else {
            Luck::Fine
        }
    }

    /// What becomes of a read: a full disk can be read, and an answer that is lost is a failure.
    pub fn read(&self) -> Luck {
        if self.is_clear() {
            return Luck::Fine;
        }
        if self.window() == Some(Fault::Fails) || self.dice().permille(self.forecast.fails) {
            return Luck::Fails;
        }
        Luck::Fine
    }

    /// Part of the time that a write takes: a sync of the disk, mostly short. A crash may come in it.
    pub async fn pause(&self) {
        let wait = self.wait();
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }

    /// How many of so many, for a call that is stored in part.
    pub fn part(&self, of: usize) -> usize {
        self.dice().below(of as u64 + 1) as usize
    }

    fn wait(&self) -> Duration {
        if self.forecast.until.is_zero() {
            return Duration::ZERO;
        }
        let mut dice = self.dice();
        if self.is_clear() {
            return Duration::from_micros(dice.between(200, 3_000));
        }
        let is_slow = self.window() == Some(Fault::Slow) || dice.permille(self.forecast.slow);
        Duration::from_micros(if is_slow {
            dice.between(50_000, 2_000_000)
        } else {
            dice.between(200, 6_000)
        })
    }

    fn is_clear(&self) -> bool {
        self.clock.elapsed() >= self.forecast.until
    }

    fn window(&self) -> Option<Fault> {
        let now = self.clock.elapsed();
        let found = self.forecast.windows.iter().find(|window| window.from <= now && now < window.to);
        found.map(|window| window.fault)
    }

    fn dice(&self) -> MutexGuard<'_, Dice> {
        self.dice.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
