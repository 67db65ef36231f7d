//! Calls of an Asterisk, told by its tables: channel events (`cel`) or call detail records (`cdr`).
//!
//! The scenarios are those of all platforms, but for what the tables cannot tell (`plain`): hold keys, alerts, users.

mod cdr;
mod cel;
mod plain;
mod text;

use ringpost_model::Dialect;

use crate::dice::Dice;
use crate::scenario;
use crate::script::{Micros, S, Script, truth};

/// Which of the two tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Table {
    Cel,
    Cdr,
}

impl Table {
    /// Channel events, for every dialect but `asterisk-cdr`.
    pub(crate) fn of(dialect: Dialect) -> Self {
        if dialect == Dialect::AsteriskCdr { Self::Cdr } else { Self::Cel }
    }
}

/// The rows of one call, and its expected record.
pub(crate) struct TableCall {
    pub(crate) script: Script,
    /// When the rows arrive.
    pub(crate) at: Micros,
    pub(crate) body: Vec<u8>,
}

/// Makes up one call and writes its rows.
pub(crate) fn call(dice: &mut Dice, begin: Micros, tag: &str, table: Table) -> TableCall {
    let mut script = scenario::of_tables(dice, begin, tag, table == Table::Cdr);
    plain::reduce(&mut script, table);
    debug_assert!(truth::record(&script, 0).dur < 86_400);
    let last = script.legs.iter().filter_map(|leg| leg.ended).max().unwrap_or(begin);
    let body = match table {
        Table::Cel => cel::rows(&script, dice),
        Table::Cdr => cdr::rows(&script),
    };
    TableCall { script, at: last + dice.between(10_000, 2 * S), body }
}
