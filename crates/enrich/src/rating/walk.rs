//! A walk along a call: which row holds, and for how long, by the wall clock of a zone.

use chrono::{DateTime, NaiveDateTime, Offset, TimeZone};
use chrono_tz::Tz;
use ringpost_model::Timestamp;

use super::row::Row;

/// Clocks are changed on quarters of an hour.
const QUARTER: i64 = 900;

/// A place in a call.
pub(super) struct Walk<'a> {
    rows: &'a [Row],
    zone: Tz,
    /// Seconds since 1970-01-01 UTC.
    now: i64,
    row: &'a Row,
    /// Seconds for which the row holds from now on.
    lasts: i64,
}

impl<'a> Walk<'a> {
    /// None where no row holds then.
    pub(super) fn start(rows: &'a [Row], zone: Tz, at: Timestamp) -> Option<Self> {
        let now = at.seconds();
        let wall = wall(zone, now)?;
        let row = rows.iter().find(|row| row.holds(wall))?;
        let mut walk = Self { rows, zone, now, row, lasts: 0 };
        walk.lasts = walk.until_change();
        Some(walk)
    }

    /// The row that holds now.
    pub(super) fn row(&self) -> &'a Row {
        self.row
    }

    /// For how many seconds it does, at least; one or more.
    pub(super) fn lasts(&self) -> i64 {
        self.lasts
    }

    /// Goes on so many seconds, at most as long as the row holds. Where none holds then, the last one goes on: a gap in
    /// a tariff makes no call cheaper.
    pub(super) fn go(&mut self, seconds: i64) {
        self.now += seconds;
        self.lasts -= seconds;
        if self.lasts > 0 {
            return;
        }
        if let Some(wall) = wall(self.zone, self.now) {
            self.row = self.rows.iter().find(|row| row.holds(wall)).unwrap_or(self.row);
        }
        self.lasts = self.until_change();
    }

    /// Up to the next border of any of the rows, by the wall clock; not past a change of the clocks.
    fn until_change(&self) -> i64 {
        let Some(wall) = wall(self.zone, self.now) else { return QUARTER };
        let border = self.rows.iter().map(|row| row.until_border(wall)).min().unwrap_or(QUARTER).max(1);
        if offset(self.zone, self.now) == offset(self.zone, self.now + border) {
            return border;
        }
        // The clocks change on the way: up to the quarter of an hour at most, which a change falls on.
        (QUARTER - self.now.rem_euclid(QUARTER)).min(border)
    }
}

fn wall(zone: Tz, seconds: i64) -> Option<NaiveDateTime> {
    Some(zone.from_utc_datetime(&DateTime::from_timestamp(seconds, 0)?.naive_utc()).naive_local())
}

fn offset(zone: Tz, seconds: i64) -> Option<i32> {
    let utc = DateTime::from_timestamp(seconds, 0)?.naive_utc();
    Some(zone.offset_from_utc_datetime(&utc).fix().local_minus_utc())
}
