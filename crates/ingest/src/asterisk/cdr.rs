//! Dialect `asterisk-cdr`: call detail records, one row a path between two channels (enrichment-and-dialects.md 2).
//!
//! Poor: no hold, no park, whole seconds, and an answer by a queue or a menu looks like one by a person. So every leg
//! carries the tag `source` = `asterisk-cdr`. Channels are known by their names; those of one linked id are one call.

mod legs;
mod row;

use ringpost_model::{LegRecord, SideRules};

use super::table::{ACCOUNT, Columns, LINKEDID, OWN, SKIP, TENANT, Table, UNIQUEID};
use super::{Owner, Source, Untold, clock, sort_by_time};
use crate::decoded::Notes;
use crate::reason::Reason;
use row::Row;

const CHANNEL: usize = OWN;
const OTHER: usize = OWN + 1;
const FROM: usize = OWN + 2;
const TO: usize = OWN + 3;
const CONTEXT: usize = OWN + 4;
const CALLER: usize = OWN + 5;
const APP: usize = OWN + 6;
const DATA: usize = OWN + 7;
const START: usize = OWN + 8;
const ANSWER: usize = OWN + 9;
const END: usize = OWN + 10;
const DURATION: usize = OWN + 11;
const BILLABLE: usize = OWN + 12;
const DISPOSITION: usize = OWN + 13;
const SEQUENCE: usize = OWN + 14;
const RECORDING: usize = OWN + 15;
const PUBLIC: usize = OWN + 16;

/// Names as cdr_custom, cdr_adaptive_odbc, cdr_pgsql, cdr_manager and FreePBX spell them.
pub(super) const COLUMNS: Columns = Columns {
    switch: "Asterisk's CDR",
    names: &[
        ("channel", CHANNEL),
        ("dstchannel", OTHER),
        ("destinationchannel", OTHER),
        ("src", FROM),
        ("source", FROM),
        ("dst", TO),
        ("destination", TO),
        ("dcontext", CONTEXT),
        ("destinationcontext", CONTEXT),
        ("clid", CALLER),
        ("callerid", CALLER),
        ("lastapp", APP),
        ("lastapplication", APP),
        ("lastdata", DATA),
        ("start", START),
        ("starttime", START),
        ("calldate", START),
        ("answer", ANSWER),
        ("answertime", ANSWER),
        ("end", END),
        ("endtime", END),
        ("duration", DURATION),
        ("billsec", BILLABLE),
        ("billableseconds", BILLABLE),
        ("disposition", DISPOSITION),
        ("uniqueid", UNIQUEID),
        ("linkedid", LINKEDID),
        ("sequence", SEQUENCE),
        ("recordingfile", RECORDING),
        ("did", PUBLIC),
        ("tenantid", TENANT),
        ("accountcode", ACCOUNT),
    ],
    header: &[START, DISPOSITION, CHANNEL],
    order,
};

/// The order of `cdr_custom.conf` as it is shipped.
const CUSTOM: [usize; 19] = [
    CALLER,
    FROM,
    TO,
    CONTEXT,
    CHANNEL,
    OTHER,
    APP,
    DATA,
    START,
    ANSWER,
    END,
    DURATION,
    BILLABLE,
    DISPOSITION,
    SKIP,
    ACCOUNT,
    UNIQUEID,
    SKIP,
    SEQUENCE,
];

/// The order of `Master.csv` as `cdr_csv` writes it; what may follow is switched on in `cdr.conf`.
macro_rules! master {
    ($($more:expr),*) => {
        &[
            ACCOUNT, FROM, TO, CONTEXT, CALLER, CHANNEL, OTHER, APP, DATA, START, ANSWER, END, DURATION, BILLABLE,
            DISPOSITION, SKIP, $($more),*
        ]
    };
}

fn order(fields: &[&str]) -> Option<&'static [usize]> {
    let is_time =
        |at: usize| fields.get(at).is_some_and(|text| clock::read(text, None, &mut Notes::default()).is_ok());
    let is_custom = fields.len() == CUSTOM.len() && is_time(8) && is_time(10);
    if is_custom {
        return Some(&CUSTOM);
    }
    if !is_time(9) || !is_time(11) {
        return None;
    }
    let has_id = fields.get(16).is_some_and(|text| is_id(text));
    Some(match (fields.len(), has_id) {
        (16, _) => master![],
        (17, true) => master![UNIQUEID],
        (17, false) => master![SKIP],
        (18, _) => master![UNIQUEID, SKIP],
        (19, _) => master![SKIP, LINKEDID, SEQUENCE],
        (20, true) => master![UNIQUEID, SKIP, LINKEDID, SEQUENCE],
        (20, false) => master![SKIP, SKIP, LINKEDID, SEQUENCE],
        (21, _) => master![UNIQUEID, SKIP, SKIP, LINKEDID, SEQUENCE],
        _ => return None,
    })
}

/// `1773133200.17`, with or without the system's name before it.
fn is_id(text: &str) -> bool {
    let Some((epoch, count)) = text.rsplit_once('.') else { return false };
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number(count) && is_number(epoch.rsplit('-').next().unwrap_or_default())
}

/// Rows that are not yet told.
#[derive(Debug, Default)]
pub(super) struct Rows(Untold<Row>);

impl Rows {
    /// Keeps a row.
    pub(super) fn take(
        &mut self,
        source: &Source<'_>,
        table: &Table,
        owner: Owner,
        notes: &mut Notes,
    ) -> Result<(), Reason> {
        let row = Row::read(source, table, self.0.shared(owner), notes)?;
        let bytes = row.bytes();
        self.0.keep(row, bytes);
        Ok(())
    }

    /// Tells all once there are many: nothing shows whether a call will have more rows.
    pub(super) fn settle(&mut self, sides: &SideRules, records: &mut Vec<LegRecord>) {
        if self.0.is_full() {
            self.finish(sides, records);
        }
    }

    /// Tells all.
    pub(super) fn finish(&mut self, sides: &SideRules, records: &mut Vec<LegRecord>) {
        let mut rows = self.0.take();
        rows.sort_unstable();
        rows.dedup();
        let first = records.len();
        for call in rows.chunk_by(|a, b| a.call == b.call && a.owner == b.owner) {
            legs::tell(call, sides, records);
        }
        sort_by_time(&mut records[first..]);
    }
}
