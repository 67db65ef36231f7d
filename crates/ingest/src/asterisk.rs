//! Dialects `asterisk-cel` and `asterisk-cdr`: tables of Asterisk, one row a line, as CSV or JSON
//! (enrichment-and-dialects.md 2).
//!
//! A row says little by itself, so the rows of one input are gathered, and a call is read out of all that are there.
//! What is not there is said by no row: the same legs told in several pieces join in `session`.

mod cdr;
mod cel;
mod clock;
mod endpoint;
mod pairs;
mod table;

use std::sync::Arc;

use ringpost_model::{Dialect, LegRecord, PbxKey, SideRules, TenantKey};

use crate::decoded::{Decoded, Source};
use crate::frame::Frame;
use crate::reason::Reason;
use table::Table;

/// So many rows, or bytes of text in them, are gathered before calls are told.
const GATHERED: usize = 20_000;
const GATHERED_BYTES: usize = 16 << 20;

/// Rows of one input, until they are made into records.
#[derive(Debug)]
pub(crate) struct Gathering {
    table: Table,
    rows: Rows,
    /// Of the platform that the input comes from.
    sides: SideRules,
    has_begun: bool,
}

#[derive(Debug)]
enum Rows {
    Cel(cel::Rows),
    Cdr(cdr::Rows),
}

/// What a line was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Line {
    /// It names the columns of those below it.
    Header,
    /// It was kept.
    Row,
}

impl Gathering {
    /// For one input of one of Asterisk's dialects; none for others.
    pub(crate) fn new(dialect: Dialect) -> Option<Self> {
        let (table, rows) = match dialect {
            Dialect::AsteriskCel => (Table::new(&cel::COLUMNS), Rows::Cel(cel::Rows::default())),
            Dialect::AsteriskCdr => (Table::new(&cdr::COLUMNS), Rows::Cdr(cdr::Rows::default())),
            _ => return None,
        };
        Some(Self { table, rows, sides: SideRules::default(), has_begun: false })
    }

    /// Takes a line.
    pub(crate) fn line(
        &mut self,
        source: &Source<'_>,
        bytes: &[u8],
        decoded: &mut Decoded,
    ) -> Result<Line, Reason> {
        if let Some(header) = source.header.filter(|_| !self.has_begun) {
            self.table.name_columns(header);
        }
        if !self.has_begun {
            self.sides.clone_from(source.sides);
        }
        self.has_begun = true;
        if self.table.read(bytes, &mut decoded.notes)? == Line::Header {
            return Ok(Line::Header);
        }
        let owner = Owner::of(source, &self.table)?;
        match &mut self.rows {
            Rows::Cel(rows) => rows.take(source, &self.table, owner, &mut decoded.notes)?,
            Rows::Cdr(rows) => rows.take(source, &self.table, owner, &mut decoded.notes)?,
        }
        Ok(Line::Row)
    }

    /// Makes records of the calls that seem to be over when many rows have been gathered: memory stays bounded.
    pub(crate) fn settle(&mut self, decoded: &mut Decoded) {
        match &mut self.rows {
            Rows::Cel(rows) => rows.settle(&self.sides, &mut decoded.records),
            Rows::Cdr(rows) => rows.settle(&self.sides, &mut decoded.records),
        }
    }

    /// Makes records of all rows.
    pub(crate) fn finish(&mut self, decoded: &mut Decoded) {
        match &mut self.rows {
            Rows::Cel(rows) => rows.finish(&self.sides, &mut decoded.records),
            Rows::Cdr(rows) => rows.finish(&self.sides, &mut decoded.records),
        }
    }

    /// The bytes of a row that cannot be read, with the line that names its columns: so it can be tried again.
    pub(crate) fn with_header(&self, frame: &Frame<'_>) -> Vec<u8> {
        match self.table.header() {
            Some(header) if !table::is_json(frame.bytes) => [header, frame.bytes].join(&b'\n'),
            _ => frame.bytes.to_vec(),
        }
    }
}

/// Whether bytes begin like a table of this dialect: one of Asterisk's, with or without a line that names its columns.
/// A cheap look at the first line.
pub fn looks_like(dialect: Dialect, bytes: &[u8]) -> bool {
    let columns = match dialect {
        Dialect::AsteriskCel => &cel::COLUMNS,
        Dialect::AsteriskCdr => &cdr::COLUMNS,
        _ => return false,
    };
    table::looks_like(columns, bytes)
}

/// Rows of one table that are not yet told.
#[derive(Debug)]
struct Untold<R> {
    rows: Vec<R>,
    bytes: usize,
    /// Of the row read last: nearly always that of the next.
    owner: Option<Arc<Owner>>,
}

impl<R> Default for Untold<R> {
    fn default() -> Self {
        Self { rows: Vec::new(), bytes: 0, owner: None }
    }
}

impl<R> Untold<R> {
    /// One copy of an owner for all of its rows.
    fn shared(&mut self, owner: Owner) -> Arc<Owner> {
        match &self.owner {
            Some(known) if **known == owner => known.clone(),
            _ => self.owner.insert(Arc::new(owner)).clone(),
        }
    }

    /// Keeps a row with so many bytes of text.
    fn keep(&mut self, row: R, bytes: usize) {
        self.bytes += bytes;
        self.rows.push(row);
    }

    fn is_full(&self) -> bool {
        self.rows.len() >= GATHERED || self.bytes >= GATHERED_BYTES
    }

    fn take(&mut self) -> Vec<R> {
        self.bytes = 0;
        std::mem::take(&mut self.rows)
    }
}

/// In the order in which a stream would have brought them.
fn sort_by_time(records: &mut [LegRecord]) {
    records.sort_by(|a, b| (a.stream_time(), &a.leg).cmp(&(b.stream_time(), &b.leg)));
}

/// Whose a row is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Owner {
    tenant: TenantKey,
    pbx: PbxKey,
}

impl Owner {
    fn of(source: &Source<'_>, table: &Table) -> Result<Self, Reason> {
        let tenant = match &source.tenant {
            Some(tenant) => tenant.clone(),
            None => tenant_of_row(table)?,
        };
        let missing = || Reason::Missing {
            path: "pbx".to_owned(),
            remedy: "; a row does not say which platform wrote it: name the pbx",
        };
        Ok(Self { tenant, pbx: source.pbx.clone().ok_or_else(missing)? })
    }
}

fn tenant_of_row(table: &Table) -> Result<TenantKey, Reason> {
    for (column, name) in [(table::TENANT, "tenantid"), (table::ACCOUNT, "accountcode")] {
        if let Some(text) = table.text(column) {
            return TenantKey::new(text).map_err(|_| Reason::no_tenant(name, text));
        }
    }
    let remedy = "; this switch serves several tenants: set tenantid or accountcode on its endpoints, or give the \
        pbx one tenant";
    Err(Reason::Missing { path: "accountcode".to_owned(), remedy })
}
