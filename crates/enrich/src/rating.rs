//! What a call costs by a tariff (enrichment-and-dialects.md 1, Rating). Pure, exact decimals, and explained step by step.
//!
//! The rule: the longest prefix decides which rows there are; of these the row whose day and time match holds at each
//! moment, by the wall clock of the tariff's zone. Seconds are charged in increments that run on through a border
//! between rows: each increment is as long as the row says in which it begins, each of its seconds costs what the row
//! says in which it lies. Rounded once, at the end.

use chrono_tz::Tz;
use ringpost_model::{PriceList, RoundingMode, Text, Timestamp};
use rust_decimal::{Decimal, RoundingStrategy};

mod read;
mod row;
mod walk;

pub use read::{Mistake, rows_from_csv};
pub use row::{Days, Row, TimeOfDay};
use walk::Walk;

/// Seconds that are looked at of one call at most: a week. What lasts longer was not hung up.
const LONGEST: i64 = 7 * 86_400;

/// Prices of one kind of calls.
#[derive(Debug, Clone)]
pub struct Tariff {
    /// For people.
    pub name: Text,
    /// ISO 4217.
    pub currency: Text,
    /// Whose wall clock days and times are of.
    pub zone: Tz,
    /// How a cost is rounded.
    pub rounding: Rounding,
    /// No call costs more.
    pub maximum: Option<Decimal>,
    /// By prefix.
    rows: Vec<Row>,
}

/// How a cost is rounded, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rounding {
    /// Decimals of the currency's unit.
    pub decimals: u32,
    /// Which way.
    pub mode: RoundingMode,
}

impl Default for Rounding {
    fn default() -> Self {
        Self { decimals: 4, mode: RoundingMode::HalfUp }
    }
}

/// What a call costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rated<'a> {
    /// In units of the tariff's currency.
    pub cost: Decimal,
    /// The row that held when the call was answered: the record's band and name, the fee, the first increment.
    pub row: &'a Row,
    /// Seconds that were charged.
    pub charged: i64,
    /// How it came about, in order of time.
    pub steps: Vec<Step<'a>>,
}

/// Seconds charged by one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step<'a> {
    /// From this second of the call on.
    pub from: i64,
    /// So many.
    pub seconds: i64,
    /// By this row.
    pub row: &'a Row,
}

impl Tariff {
    /// A tariff of rows, in any order.
    pub fn new(name: &str, currency: &str, zone: Tz, mut rows: Vec<Row>) -> Self {
        // Rows of one prefix stand together, in the order in which they were written: the first that matches holds.
        rows.sort_by(|a, b| a.prefix.cmp(&b.prefix));
        let (name, currency) = (name.into(), currency.into());
        Self { name, currency, zone, rounding: Rounding::default(), maximum: None, rows }
    }

    /// As it is kept.
    ///
    /// # Errors
    /// Every mistake of its rows.
    pub fn from_list(list: &PriceList) -> Result<Self, Vec<Mistake>> {
        let mut tariff =
            Self::new(&list.name, &list.currency, list.zone, rows_from_csv(list.rows.as_bytes())?);
        tariff.rounding = Rounding { decimals: list.decimals, mode: list.rounding };
        tariff.maximum = list.maximum;
        Ok(tariff)
    }

    /// What it takes in memory, in bytes, about.
    pub fn bytes(&self) -> usize {
        let texts = |row: &Row| row.prefix.len() + row.name.len() + row.band.len();
        self.rows.iter().map(|row| size_of::<Row>() + texts(row)).sum()
    }

    /// Its rows, by prefix.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The rows of the longest prefix that the number has.
    pub fn rows_for(&self, number: &str) -> &[Row] {
        let digits = number.strip_prefix('+').unwrap_or(number);
        for length in (0..=digits.len().min(row::LONGEST_PREFIX)).rev() {
            let Some(prefix) = digits.get(..length) else { continue };
            let begin = self.rows.partition_point(|row| *row.prefix < *prefix);
            let rows = self.rows.get(begin..).unwrap_or_default();
            let count = rows.iter().take_while(|row| *row.prefix == *prefix).count();
            if count > 0 {
                return rows.get(..count).unwrap_or_default();
            }
        }
        &[]
    }

    /// What a call to `number` costs that was answered then and lasted so many seconds; none where no row holds at
    /// that moment. A call of no seconds costs what it costs to be answered: the fee and the shortest time.
    pub fn rate(&self, number: &str, answered: Timestamp, seconds: i64) -> Option<Rated<'_>> {
        let rows = self.rows_for(number);
        let seconds = seconds.clamp(0, LONGEST);
        let mut walk = Walk::start(rows, self.zone, answered)?;
        let first = walk.row();
        let mut increment = first.first_increment.max(first.minimum_seconds);
        let (mut charged, mut steps, mut by_minute) = (0, Vec::<Step<'_>>::new(), Decimal::ZERO);
        loop {
            let mut left = increment;
            while left > 0 {
                let (row, lasts) = (walk.row(), walk.lasts().min(left));
                match steps.last_mut() {
                    Some(last) if std::ptr::eq(last.row, row) => last.seconds += lasts,
                    _ => steps.push(Step { from: charged, seconds: lasts, row }),
                }
                by_minute += row.rate_per_minute * Decimal::from(lasts);
                charged += lasts;
                left -= lasts;
                walk.go(lasts);
            }
            if charged >= seconds {
                break;
            }
            // As many at once as are wanted and are this row's to the end: an hour by the second is one step.
            let next = walk.row().next_increment;
            let wanted = (seconds - charged + next - 1) / next;
            increment = next * wanted.min(walk.lasts() / next).max(1);
        }
        let cost = first.connect_fee + by_minute / Decimal::from(60);
        Some(Rated { cost: self.rounded(cost), row: first, charged, steps })
    }

    fn rounded(&self, cost: Decimal) -> Decimal {
        let strategy = match self.rounding.mode {
            RoundingMode::HalfUp => RoundingStrategy::MidpointAwayFromZero,
            RoundingMode::HalfEven => RoundingStrategy::MidpointNearestEven,
            RoundingMode::Up => RoundingStrategy::AwayFromZero,
            RoundingMode::Down => RoundingStrategy::ToZero,
        };
        let cost = cost.round_dp_with_strategy(self.rounding.decimals, strategy);
        self.maximum.map_or(cost, |maximum| cost.min(maximum))
    }
}

#[cfg(test)]
mod tests;
