//! One row of a tariff, and when it holds.

use chrono::{Datelike, NaiveDate, NaiveDateTime, Timelike, Weekday};
use ringpost_model::Text;
use rust_decimal::Decimal;

/// Digits of a prefix at most: E.164 has 15.
pub(super) const LONGEST_PREFIX: usize = 15;

/// A price, for numbers with a prefix, on some days at some times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Digits, without `+`; empty = every number.
    pub prefix: Text,
    /// For people: `United Kingdom, mobile`.
    pub name: Text,
    /// For people: `peak`.
    pub band: Text,
    /// Once a call.
    pub connect_fee: Decimal,
    /// Not negative.
    pub rate_per_minute: Decimal,
    /// Charged at least.
    pub minimum_seconds: i64,
    /// The first seconds that are charged together, 1 at least.
    pub first_increment: i64,
    /// The further ones, 1 at least.
    pub next_increment: i64,
    /// On which days of the week.
    pub days: Days,
    /// From this time of the day on …
    pub from: TimeOfDay,
    /// … up to this one, not included. Before `from`: over midnight, and the day is that on which it began. The same as
    /// `from`: the whole day.
    pub to: TimeOfDay,
    /// On this day and after.
    pub valid_from: Option<NaiveDate>,
    /// On this day at the latest.
    pub valid_to: Option<NaiveDate>,
}

/// Days of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Days(u8);

impl Days {
    /// Every day.
    pub const ALL: Self = Self(0x7f);

    /// These.
    pub fn of(days: impl IntoIterator<Item = Weekday>) -> Self {
        Self(days.into_iter().fold(0, |bits, day| bits | 1 << day.num_days_from_monday()))
    }

    fn has(self, day: Weekday) -> bool {
        self.0 & (1 << day.num_days_from_monday()) != 0
    }
}

/// Seconds since midnight by the wall clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct TimeOfDay(pub u32);

impl Row {
    /// Whether it holds at a moment of the wall clock.
    pub(super) fn holds(&self, wall: NaiveDateTime) -> bool {
        let now = wall.num_seconds_from_midnight();
        let (from, to) = (self.from.0, self.to.0);
        let day = match from.cmp(&to) {
            std::cmp::Ordering::Equal => wall.date(),
            std::cmp::Ordering::Less if (from..to).contains(&now) => wall.date(),
            std::cmp::Ordering::Greater if now >= from => wall.date(),
            // It began yesterday.
            std::cmp::Ordering::Greater if now < to => match wall.date().pred_opt() {
                Some(yesterday) => yesterday,
                None => return false,
            },
            _ => return false,
        };
        let is_begun = self.valid_from.is_none_or(|from| day >= from);
        let is_over = self.valid_to.is_some_and(|to| day > to);
        self.days.has(day.weekday()) && is_begun && !is_over
    }

    /// Seconds of the wall clock until it may begin or end to hold: a border of its times, or midnight.
    pub(super) fn until_border(&self, wall: NaiveDateTime) -> i64 {
        let now = wall.num_seconds_from_midnight();
        let borders = [self.from.0, self.to.0, 86_400];
        borders
            .into_iter()
            .filter(|border| *border > now)
            .map(|border| i64::from(border - now))
            .min()
            .unwrap_or(1)
    }
}
